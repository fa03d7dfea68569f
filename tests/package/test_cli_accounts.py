"""Commands for accounts, and commands that accounts of the keystore sign."""

from __future__ import annotations

import getpass
import json
import os
import stat
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from tests.package.command_line import ROOF_KEY, Run, in_json, printed, refused

pytestmark = pytest.mark.usefixtures("fast_keystore")

ADDRESS = Account.from_key(ROOF_KEY).address
OTHER_KEY = "0b" * 32
PASSPHRASE = "ENERGY_CHAIN_PASSPHRASE"


@pytest.fixture
def private(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file that only its owner can read."""

    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def passphrase(private: Callable[[str, str], Path]) -> Path:
    return private("passphrase.txt", "open sesame\nnot this\n")


@pytest.fixture
def roof(run: Run, private: Callable[[str, str], Path], passphrase: Path) -> str:
    """An account of the keystore that is a meter of the neighbourhood."""
    key_file = private("roof.key", ROOF_KEY)
    given = "--key-file", key_file, "--passphrase-file", passphrase, "--json"
    told = in_json(run("accounts", "import", "roof", *given))
    return str(told["address"])


class Terminal(StringIO):
    """Somebody sits at it, and types these answers when asked for what nobody shall read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        rest = list(answers)

        def ask(question: str) -> str:
            self.asked.append(question)
            return rest.pop(0)

        monkeypatch.setattr(sys, "stdin", self)
        monkeypatch.setattr(getpass, "getpass", ask)

    def isatty(self) -> bool:
        return True


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("*") if path.is_file())


# ------------------------------------------------------------------ accounts


def test_a_new_account_is_kept_for_its_owner_only(
    run: Run, own_home: Path, passphrase: Path
) -> None:
    out = printed(run("accounts", "new", "bakery", "--passphrase-file", passphrase))
    path = own_home / "keystore" / "bakery.json"
    document = json.loads(path.read_text())
    address = Account.from_key(Account.decrypt(document, "open sesame")).address
    assert out.startswith(f"bakery is {address}; its key is in {path}.\n")
    assert "nobody can open the key without it" in out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = in_json(run("accounts", "new", "mill", "--passphrase-file", passphrase, "--json"))
    assert told["name"] == "mill"
    assert told["path"] == str(own_home / "keystore" / "mill.json")
    assert told["address"] not in (address, None)


@pytest.mark.parametrize("how", ["environment", "file of the environment", "typed"])
def test_a_passphrase_comes_from_elsewhere_too(
    run: Run, own_home: Path, passphrase: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    terminal = Terminal(monkeypatch, *["open sesame"] * 2 * (how == "typed"))
    if how == "environment":
        monkeypatch.setenv(PASSPHRASE, "open sesame")
    elif how != "typed":
        monkeypatch.setenv(PASSPHRASE + "_FILE", str(passphrase))
    assert "bakery is 0x" in printed(run("accounts", "new", "bakery"))
    document = json.loads((own_home / "keystore" / "bakery.json").read_text())
    assert Account.decrypt(document, "open sesame")
    assert len(terminal.asked) == 2 * (how == "typed")


def test_a_key_is_imported_from_a_file(run: Run, roof: str, own_home: Path) -> None:
    assert roof == ADDRESS
    assert kept(own_home) == ["roof.json"]
    assert in_json(run("accounts", "list", "--json"))[0] == {
        "name": "roof",
        "address": ADDRESS,
        "path": str(own_home / "keystore" / "roof.json"),
    }


def test_a_keystore_file_is_imported_under_its_passphrase(
    run: Run, own_home: Path, private: Callable[[str, str], Path], passphrase: Path
) -> None:
    document = Account.encrypt(ROOF_KEY, "open sesame", kdf="pbkdf2", iterations=1)
    file = private("UTC--roof", json.dumps(document))
    imported = "accounts", "import", "roof", "--keystore-file", file
    out = printed(run(*imported, "--passphrase-file", passphrase))
    assert f"roof is {ADDRESS}; its key is in " in out
    ours = json.loads((own_home / "keystore" / "roof.json").read_text())
    assert bytes(Account.decrypt(ours, "open sesame")).hex() == ROOF_KEY


def test_a_key_is_typed_in_a_terminal(
    run: Run, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(monkeypatch, ROOF_KEY, "open sesame", "open sesame")
    assert f"roof is {ADDRESS}" in printed(run("accounts", "import", "roof"))
    assert terminal.asked[0] == "Private key of roof: "
    assert kept(own_home) == ["roof.json"]


def test_accounts_are_listed_by_network(
    run: Run, roof: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = printed(run("accounts", "list"))
    assert roof in out
    assert "public: development only" in out
    names = [account["name"] for account in in_json(run("accounts", "list", "--json"))]
    assert names == ["roof", *(f"dev{number}" for number in range(20))]
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__CHAIN_ID", "5")
    there = "accounts", "list", "--network", "pilot"
    assert [a["name"] for a in in_json(run(*there, "--json"))] == ["roof"]
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__KEYSTORE", str(tmp_path / "elsewhere"))
    assert printed(run(*there)) == "There are none: energy-chain accounts new NAME makes one.\n"
    assert in_json(run(*there, "--json")) == []


def test_an_account_that_cannot_be_made_is_refused(
    run: Run, own_home: Path, roof: str, passphrase: Path, private: Callable[[str, str], Path]
) -> None:
    new = "accounts", "new"
    given = "--passphrase-file", passphrase
    refused(run(*new, "roof", *given), "there is an account 'roof' already, in ")
    refused(run(*new, "dev3", *given), "'dev3' is the name of a development account")
    refused(run(*new, "Café", *given), "cannot be the name of an account: give up to 32")
    refused(run(*new, "mill"), "no passphrase is given", PASSPHRASE, "in a terminal that can ask")
    refused(run(*new, "mill", "--passphrase-file", "no.txt"), "cannot read no.txt: No such file")
    refused(
        run(*new, "mill", "--passphrase-file", private("empty.txt", "\n")), "is empty: give one"
    )
    passphrase.chmod(0o644)
    refused(run(*new, "mill", *given), "others than its owner can read", "chmod 600")
    assert (roof, kept(own_home)) == (ADDRESS, ["roof.json"])


def test_two_passphrases_that_differ_make_no_account(
    run: Run, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Terminal(monkeypatch, "open sesame", "open sesamy")
    refused(run("accounts", "new", "bakery"), "the two passphrases for account 'bakery' differ")
    assert kept(own_home) == []


def test_a_key_that_cannot_be_imported_is_refused(
    run: Run, own_home: Path, private: Callable[[str, str], Path], passphrase: Path
) -> None:
    given = "--passphrase-file", passphrase
    again = "accounts", "import", "roof", *given
    key = private("roof.key", ROOF_KEY)
    refused(run(*again), "no key is given: give --key-file or --keystore-file")
    refused(run(*again, "--key-file", key, "--keystore-file", key), "two keys: give one of them")
    refused(run(*again, "--key-file", private("bad", ROOF_KEY[1:])), "bad is not a private key")
    refused(run(*again, "--key-file", "no.key"), "cannot read no.key: No such file")
    refused(run(*again, "--keystore-file", key), "is not an Ethereum keystore file of version 3")
    document = Account.encrypt(OTHER_KEY, "other", kdf="pbkdf2", iterations=1)
    other = private("other.json", json.dumps(document))
    refused(run(*again, "--keystore-file", other), "the passphrase of ", "is wrong: try again")
    dev0 = private("dev0.key", "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    refused(run(*again, "--key-file", dev0), "is a development account and everybody has its key")
    key.chmod(0o640)
    refused(run(*again, "--key-file", key), "others than its owner can read", "chmod 600")
    assert kept(own_home) == []


def test_a_key_that_is_kept_already_is_refused(
    run: Run, own_home: Path, roof: str, passphrase: Path
) -> None:
    given = "--key-file", "roof.key", "--passphrase-file", passphrase
    refused(run("accounts", "import", "again", *given), f"has {roof} already, as 'roof'")
    assert kept(own_home) == ["roof.json"]


def test_a_network_without_a_node_has_the_accounts_of_the_keystore_if_its_chain_is_known(
    run: Run,
) -> None:
    code, out, err = run("accounts", "list", "--network", "http://127.0.0.1:1")
    assert (code, out) == (3, "")
    assert err.startswith("error: no usable answer to eth_chainId from 127.0.0.1:1")
    assert "dev19" in printed(run("accounts", "list", "--network", "anvil"))
    refused(run("accounts", "list", "--network", "mainnet"), "network 'mainnet' is unknown")
    refused(run("accounts", "new", "x", "--network", "mainnet"), "network 'mainnet' is unknown")


# ------------------------------------------------------------------ signing with them


@pytest.mark.usefixtures("pilot")
def test_a_home_trades_with_a_key_of_its_own(
    run: Run, neighbourhood: Any, roof: str, passphrase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = "producer", "put", "1kWh", "--json"
    given = "--passphrase-file", passphrase
    by_name = in_json(run(*put, "--account", "roof", *given))
    assert by_name["events"][-1]["meter"] == roof == neighbourhood.roof
    assert in_json(run(*put, "--account", roof, *given))["events"][-1]["counter"] == 1
    monkeypatch.setenv("ENERGY_CHAIN_ACCOUNT", "roof")
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    assert in_json(run(*put))["events"][-1]["counter"] == 2
    monkeypatch.delenv(PASSPHRASE)
    terminal = Terminal(monkeypatch, "open sesame")
    assert in_json(run(*put))["events"][-1]["counter"] == 3
    assert terminal.asked == ["Passphrase of account 'roof': "]
    assert neighbourhood.by(0).request_energy(roof) == 4_000


@pytest.mark.usefixtures("pilot", "roof")
def test_a_passphrase_that_does_not_open_an_account_ends_with_2(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = "producer", "put", "1kWh", "--account", "roof"
    refused(run(*put), "no passphrase is given: ", "or run it in a terminal that can ask")
    monkeypatch.setenv(PASSPHRASE, "open sesamy")
    refused(run(*put), "the passphrase of account 'roof' is wrong: try again")
    monkeypatch.setenv(PASSPHRASE, os.fsdecode(b"\xff"))
    refused(run(*put), f"the passphrase in {PASSPHRASE} is not UTF-8")
    assert neighbourhood.node.sent() == []


@pytest.mark.usefixtures("pilot", "roof")
def test_nobody_types_a_passphrase_for_nothing(
    run: Run, neighbourhood: Any, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(monkeypatch)
    (own_home / "deployments.json").unlink()
    outcome = run("producer", "put", "1kWh", "--account", "roof")
    assert (outcome.code, terminal.asked) == (3, [])
    refused(run("producer", "put", "1", "--account", "roof"), "is not an energy")
    assert "has no match yet" in printed(
        run("consumer", "target", "--account", "roof", "--contract", neighbourhood.address)
    )
    assert terminal.asked == []


@pytest.mark.usefixtures("pilot")
def test_keys_that_everybody_knows_sign_on_no_other_chain(run: Run, neighbourhood: Any) -> None:
    for given in ("pause",), ("register", neighbourhood.dev[5]), ("aggregator", "run", "--once"):
        refused(run(*given), "nobody is given to sign: give --account NAME")
        refused(
            run(*given, "--account", "dev0"),
            "'dev0' is a development account and everybody has its key",
        )
        refused(run(*given, "--account", neighbourhood.dev[0]), "development account")
    assert neighbourhood.node.sent() == []


def test_accounts_are_given_an_ether_on_a_development_network(
    run: Run, neighbourhood: Any, roof: str, passphrase: Path
) -> None:
    run("accounts", "new", "bakery", "--passphrase-file", passphrase)
    (bakery,) = in_json(run("accounts", "fund", "bakery", "--json"))
    assert bakery["wei"] == 10**18
    sent = len(neighbourhood.node.sent())
    # Who has one gets no other.
    out = printed(run("accounts", "fund", "bakery", roof))
    assert f"bakery ({bakery['address']}) has 1.000000 ether." in out
    assert len(neighbourhood.node.sent()) == sent


@pytest.mark.usefixtures("pilot")
def test_nobody_is_given_ether_on_another_network(
    run: Run, neighbourhood: Any, passphrase: Path
) -> None:
    run("accounts", "new", "bakery", "--passphrase-file", passphrase)
    refused(run("accounts", "fund", "bakery"), "pilot is no development network: ask")
    assert neighbourhood.node.sent() == []
