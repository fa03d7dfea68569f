"""No key, no passphrase and no password of a node is printed or written, whatever happens."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from tests.package.command_line import PASSPHRASE, ROOF_KEY, Run, printed

PASSWORD = "canary-password-4711"
OTHER_KEY = "ba5eba11" * 8
SECRETS = [
    PASSPHRASE,
    PASSWORD,
    base64.b64encode(f"user:{PASSWORD}".encode()).decode(),
    *(
        form
        for key in (ROOF_KEY, OTHER_KEY)
        for form in (key, str(int(key, 16)), repr(bytes.fromhex(key))[2:-1])
    ),
]
WRONG = {"ENERGY_CHAIN_PASSPHRASE": "canary-passphrase-wrong"}
BY_VARIABLE = {"ENERGY_CHAIN_PASSPHRASE": PASSPHRASE}
BY_FILE = {"ENERGY_CHAIN_PASSPHRASE_FILE": "passphrase"}
MARKET = "--chain-id 5 --contract 0x5FbDB2315678afecb367f032d93F642f64180aa3"

# Runs command lines one after the other: each start of web3 takes seconds. A fast way from
# passphrase to encryption key stands in for the strong one.
PROGRAM = """
import json, os, sys
from energy_chain import cli
from energy_chain.chain.keystore import Keystore
Keystore.__init__.__kwdefaults__.update(kdf="pbkdf2", iterations=1)
codes = []
for environment, arguments in json.load(open(sys.argv[1])):
    before = dict(os.environ)
    os.environ.update(environment)
    sys.argv = ["energy-chain", *arguments]
    try:
        cli.main()
    except SystemExit as ended:
        codes.append(ended.code or 0)
    os.environ.clear()
    os.environ.update(before)
print("codes:", codes)
"""
DEFECT = """
from energy_chain import cli
from energy_chain.chain.sender import TransactionSender
def send(self, *_, **__):
    account, *_ = self._accounts.values()
    key = account.key.hex()
    raise RuntimeError("a defect")
TransactionSender.send = send
cli.main()
"""


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret.lower() in text.lower()]


class Place:
    """A folder with secrets in files, and a node whose URL has a password."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        host = url.removeprefix("http://")
        self.environment = {
            **os.environ,
            "PYTHONFAULTHANDLER": "1",
            "ENERGY_CHAIN_NETWORK": "pilot",
            "ENERGY_CHAIN_NETWORKS__PILOT__URL": f"http://user:{PASSWORD}@{host}/{PASSWORD}",
            "ENERGY_CHAIN_NETWORKS__PILOT__DEVELOPMENT": "false",
            "ENERGY_CHAIN_NETWORKS__DOWN__URL": f"http://user:{PASSWORD}@127.0.0.1:1/{PASSWORD}",
            "ENERGY_CHAIN_NETWORKS__DOWN__CHAIN_ID": "5",
        }
        other = Account.encrypt(OTHER_KEY, PASSPHRASE, kdf="pbkdf2", iterations=1)
        self.given = {
            self._write(name, text)
            for name, text in {
                "passphrase": PASSPHRASE,
                "roof.key": ROOF_KEY,
                "long.key": ROOF_KEY + "00",
                "both.key": f"{ROOF_KEY} {PASSPHRASE}",
                "other.json": json.dumps(other),
                "torn.json": json.dumps(other)[:-30],
                "key.json": json.dumps({**other, "address": ROOF_KEY}),
                "bad.toml": f"[networks.x]\nurl = 'htp://user:{PASSWORD}@node/{PASSWORD}'",
            }.items()
        }
        self._write("open.key", ROOF_KEY).chmod(0o644)
        self.given.add(folder / "open.key")

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def python(self, program: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def run(self, commands: Sequence[tuple[Mapping[str, str], str]]) -> tuple[list[int], str]:
        """How command lines end, and all that they print."""
        lines = self._write("commands.json", json.dumps([(e, c.split()) for e, c in commands]))
        code, out, err = self.python(PROGRAM, str(lines))
        lines.unlink()
        assert code == 0, err
        out, _, codes = out.rpartition("codes: ")
        return json.loads(codes), out + err

    def written(self) -> dict[Path, str]:
        """The files that were not there before."""
        files = {path for path in self.folder.rglob("*") if path.is_file()} - self.given
        return {path: path.read_bytes().decode("latin-1") for path in files}


@pytest.fixture
def place(tmp_path: Path, neighbourhood: Any) -> Place:
    return Place(tmp_path, neighbourhood.node.url)


DONE = [
    ({}, "accounts import roof --key-file roof.key --passphrase-file passphrase"),
    (BY_VARIABLE, "accounts import oven --keystore-file other.json --json"),
    (BY_FILE, "accounts new bakery"),
    ({}, "accounts list"),
    ({}, "networks list"),
    ({}, "networks list --json"),
    ({}, "networks check pilot"),
    ({}, "producer put 1kWh --account roof --passphrase-file passphrase"),
    (BY_VARIABLE, "producer put 1kWh --account roof --json"),
    (BY_FILE, "consumer put 1kWh --account roof"),
    (BY_VARIABLE, f"meters sign request 1kWh --account roof {MARKET}"),
    ({}, f"meters sign release 1kWh --account roof {MARKET} --passphrase-file passphrase --json"),
    ({}, f"meters sign release 1kWh {MARKET} --typed-data"),
    ({}, "consumer target --account roof"),
    ({}, "status"),
    ({}, "audit --json"),
]
REFUSED = [
    (BY_VARIABLE, "pause --account roof"),
    (BY_VARIABLE, "accounts import again --key-file roof.key"),
    (BY_VARIABLE, "accounts new roof"),
    (WRONG, "producer put 1kWh --account roof"),
    (WRONG, f"meters sign request 1kWh --account roof {MARKET}"),
    (WRONG, "accounts import x --keystore-file other.json"),
    (BY_VARIABLE, "accounts import x --key-file long.key"),
    (BY_VARIABLE, "accounts import x --key-file both.key"),
    (BY_VARIABLE, "accounts import x --key-file open.key"),
    (BY_VARIABLE, "accounts import x --key-file other.json"),
    (BY_VARIABLE, "accounts import x --keystore-file roof.key"),
    (BY_VARIABLE, "accounts import x --keystore-file torn.json"),
    (BY_VARIABLE, "accounts import x --keystore-file key.json"),
    ({}, "producer put 1kWh --account roof --passphrase-file open.key"),
    ({"ENERGY_CHAIN_SETTINGS": "bad.toml"}, "status"),
    # A secret where another word belongs.
    (BY_VARIABLE, f"accounts new {ROOF_KEY}"),
    (BY_VARIABLE, f"producer put 1kWh --account {ROOF_KEY}"),
    (BY_VARIABLE, f"producer put 1kWh --account 0x{ROOF_KEY}"),
    (BY_VARIABLE, f"meters sign request 1kWh --account {ROOF_KEY} {MARKET}"),
    (BY_VARIABLE, f"meters sign request 1kWh --account roof --contract {ROOF_KEY} --chain-id 5"),
    (BY_VARIABLE, f"meters sign request 1kWh --account roof {MARKET} --at {ROOF_KEY}"),
    ({}, f"meters verify x --meter {ROOF_KEY}"),
    *(({}, f"meters verify {name}") for name in ("roof.key", "other.json", "both.key")),
    (BY_VARIABLE, f"producer put 1kWh --account roof --meter {ROOF_KEY}"),
    (BY_VARIABLE, f"register {ROOF_KEY} --account roof"),
    (BY_VARIABLE, f"operator post --request 0x{ROOF_KEY}=1kWh --account roof"),
    (BY_VARIABLE, f"status --contract 0x{ROOF_KEY}"),
    ({}, f"status --network htp://user:{PASSWORD}@node/{PASSWORD}"),
]
CHAIN_FAILED = [
    (BY_VARIABLE, "producer put 1kWh --account bakery"),
    (BY_VARIABLE, "producer put 1kWh --account roof --network down"),
    ({}, "status --network down"),
    ({}, "networks check down --json"),
    ({}, f"status --network http://user:{PASSWORD}@127.0.0.1:1/{PASSWORD}"),
    ({"ENERGY_CHAIN_NETWORKS__PILOT__CHAIN_ID": "7"}, "status"),
    (
        {**BY_VARIABLE, "ENERGY_CHAIN_NETWORKS__PILOT__FEE_CEILING_GWEI": "0.000001"},
        "producer put 1kWh --account roof",
    ),
]


def test_the_search_for_secrets_finds_them() -> None:
    account = Account.from_key(ROOF_KEY)
    for text in account.key.hex().upper(), repr(bytes(account.key)), f"<{PASSPHRASE}>":
        assert leaks(text)
    assert not leaks(account.address)


def test_no_command_tells_a_secret(place: Place) -> None:
    codes, said = place.run([*DONE, *REFUSED, *CHAIN_FAILED])
    assert codes == [0] * len(DONE) + [2] * len(REFUSED) + [3] * len(CHAIN_FAILED), said
    assert leaks(said) == []
    assert said.count("error: ") == len(REFUSED) + len(CHAIN_FAILED) - 1  # check tells in JSON
    assert "Traceback" not in said
    written = place.written()
    kept = sorted(path.name for path in written if path.parent.name != "outbox")
    assert kept == ["bakery.json", "deployments.json", "oven.json", "roof.json"]
    assert {path.name: leaks(text) for path, text in written.items() if leaks(text)} == {}


@pytest.mark.usefixtures("fast_keystore")
def test_a_defect_shows_where_it_is_and_no_values(place: Place, run: Run) -> None:
    given = "--key-file", "roof.key", "--passphrase-file", "passphrase"
    assert "roof is 0x" in printed(run("accounts", "import", "roof", *given))
    put = "producer", "put", "1kWh", "--account", "roof"
    code, out, err = place.python(DEFECT, *put, **BY_VARIABLE)
    assert (code, out) == (1, "")
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("RuntimeError: a defect\n")
    assert "╭" not in err
    assert leaks(err) == []
