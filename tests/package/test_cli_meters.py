"""`energy-chain meters`: orders that are signed and looked at without a chain."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from energy_chain.cli import meters
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.meters import Delivery, parse_time, shown_time
from energy_chain.errors import InvalidInput
from energy_chain.signing import CURVE_ORDER, HIGHEST_S, OrderDocument
from tests.package.command_line import ROOF_KEY, Run, in_json, printed, refused

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
MARKET = "--chain-id", "1337", "--contract", CONTRACT
DEV3 = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
DEV4 = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
NOW = 1_795_341_601
"""2026-11-22 10:00:01 UTC."""
PERIOD = 1_994_824
SIGN = "meters", "sign", "request", "1.5kWh", "--account", "dev3"
ORDER = {
    "kind": "request",
    "energy_wh": 1_500,
    "limit_price": 0,
    "period": PERIOD,
    "deadline": (PERIOD + 1) * 900,
    "chain_id": 1337,
    "contract": CONTRACT,
    "meter": DEV3,
}


@pytest.fixture(autouse=True)
def _at_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_now", lambda: NOW)


@pytest.fixture
def signed(run: Run) -> dict[str, Any]:
    """An order of dev3, as a relay takes it."""
    order: dict[str, Any] = in_json(run(*SIGN, *MARKET, "--json"))
    return order


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(order: dict[str, Any], **changes: Any) -> Path:
        path = tmp_path / "order.json"
        changed = {**order, **changes}
        path.write_text(json.dumps({k: v for k, v in changed.items() if v is not None}))
        return path

    return write


# ------------------------------------------------------------------ sign


def test_an_order_is_signed_as_a_relay_takes_it(signed: dict[str, Any]) -> None:
    signature = signed.pop("signature")
    assert signed == ORDER
    assert len(signature) == 2 + 128
    document = OrderDocument.from_json({**signed, "signature": signature})
    assert document.signer == DEV3


def test_an_order_is_told_in_a_table(run: Run, signed: dict[str, Any]) -> None:
    out = printed(run(*SIGN, *MARKET))
    for told in (DEV3, "1.500 kWh", str(PERIOD), "2026-11-22 10:15:00 UTC", CONTRACT, "1337"):
        assert told in out
    assert "--json" in out
    # A terminal of 120 columns breaks it.
    assert signed["signature"][:40] in out


@pytest.mark.parametrize(
    ("given", "period", "deadline"),
    [
        ((), PERIOD, (PERIOD + 1) * 900),
        (("--period", "7"), 7, 7200),
        (("--period", "0", "--period-length", "1h"), 0, 3600),
        (("--period-length", "1h"), NOW // 3600, (NOW // 3600 + 1) * 3600),
        (("--period-length", "never"), PERIOD, (PERIOD + 1) * 900),
        (("--at", "2026-11-22T10:00+00:00", "--period-length", "900"), PERIOD, (PERIOD + 1) * 900),
        (("--at", "2026-11-22T11:14:59+01:00"), PERIOD, (PERIOD + 1) * 900),
        (("--at", "2026-11-22T10:15:00Z"), PERIOD + 1, (PERIOD + 2) * 900),
        (("--at", "900"), 1, 1800),
        (("--deadline", str(PERIOD * 900)), PERIOD, PERIOD * 900),
        (("--deadline", "2026-11-22T10:05+00:00"), PERIOD, PERIOD * 900 + 300),
        (("--period", "7", "--deadline", "6301"), 7, 6301),
    ],
)
def test_an_order_is_for_the_period_that_is_meant(
    run: Run, given: tuple[str, ...], period: int, deadline: int
) -> None:
    order = in_json(run(*SIGN, *MARKET, *given, "--json"))
    assert (order["period"], order["deadline"]) == (period, deadline)


def test_the_period_is_of_the_time_that_is_given() -> None:
    delivery = Delivery(None, None, "900", None)
    assert delivery.at_time(899) == (0, 900)
    assert delivery.at_time(900) == (1, 1800)
    assert Delivery(5, None, "900", None).at_time(0) == (5, 5400)


@pytest.mark.parametrize(
    ("given", "fragments"),
    [
        (("--period", "7", "--at", "900"), ("two periods: give one",)),
        (("--at", "2026-11-22T10:00"), ("--at '2026-11-22T10:00' is no time", "with an offset")),
        (("--at", "yesterday"), ("--at 'yesterday' is no time",)),
        (("--at", "1969-12-31T10:00+00:00"), ("is no time",)),
        (("--at", "9" * 32), ("period", "out of range")),
        (("--deadline", "2026-11-22T10:00:00.5+00:00"), ("--deadline", "give whole seconds")),
        (
            ("--deadline", str(PERIOD * 900 - 1)),
            (f"is not in period {PERIOD}: give {PERIOD * 900} to {PERIOD * 900 + 900}, 2026-11",),
        ),
        (("--deadline", str((PERIOD + 1) * 900 + 1)), (f"is not in period {PERIOD}",)),
        (("--period-length", "59s"), ("that of no market: give 60s to 31622400s, or never",)),
        (("--period-length", "31622401"), ("that of no market",)),
        (("--period-length", "quarter"), ("'quarter' is not a duration",)),
        (("--period-length", "٩٠٠"), ("is not a duration",)),
    ],
)
def test_a_time_that_cannot_be_is_refused(
    run: Run, given: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    refused(run(*SIGN, *MARKET, *given), *fragments)


@pytest.mark.parametrize("energy", ["0kWh", "5000000kWh", "-1kWh"])
def test_an_energy_that_no_order_holds_is_not_signed(run: Run, energy: str) -> None:
    sign = "meters", "sign", "release", "--account", "dev3", *MARKET
    refused(run(*sign, "--", energy), "energy: value not 1..2**32-1 Wh")


def test_times_are_shown_in_utc() -> None:
    assert shown_time(NOW) == "2026-11-22 10:00:01 UTC"
    assert shown_time(2**64 - 1) == f"Unix time {2**64 - 1}"
    assert parse_time("2026-11-22T10:00:01+00:00", "--at") == NOW
    with pytest.raises(InvalidInput):
        parse_time("1" * 33, "--at")


def test_typed_data_is_for_another_signer_and_takes_no_account(
    run: Run, signed: dict[str, Any]
) -> None:
    data = in_json(run("meters", "sign", "request", "1.5kWh", *MARKET, "--typed-data"))
    assert (data["primaryType"], data["message"]["energy"]) == ("Order", 1_500)
    wallet = Account.sign_typed_data("0x" + dev_key(), full_message=data)
    given = {**signed, "signature": wallet.signature.to_0x_hex()}
    assert OrderDocument.from_json(given).to_json() == signed


def dev_key() -> str:
    from energy_chain.chain.accounts import development_accounts

    return str(development_accounts(4)[3].key.hex())


@pytest.mark.usefixtures("fast_keystore")
def test_the_key_is_one_of_the_keystore(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("key", ROOF_KEY), ("passphrase", "of the roof")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    given = "--passphrase-file", tmp_path / "passphrase"
    roof = in_json(run("accounts", "import", "roof", "--key-file", "key", *given, "--json"))
    for account in ("roof", roof["address"]):
        sign = "meters", "sign", "release", "2Wh", "--account", account, *MARKET
        order = in_json(run(*sign, *given, "--json"))
        assert order["meter"] == roof["address"] == OrderDocument.from_json(order).signer
    refused(run(*sign), "no passphrase is given")
    monkeypatch.setenv("ENERGY_CHAIN_PASSPHRASE", "wrong")
    refused(run(*sign), "the passphrase of account 'roof' is wrong")


def test_keys_that_everybody_knows_sign_for_development_chains_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "--chain-id", "1", "--contract", CONTRACT
    refused(run(*SIGN, *elsewhere), "'dev3' is a development account and everybody has its key")
    refused(run(*SIGN, *elsewhere, "--network", "http://127.0.0.1:1"), "development account")
    url, name = "http://127.0.0.1:1", "ENERGY_CHAIN_NETWORKS__PILOT__"
    monkeypatch.setenv(f"{name}URL", url)
    monkeypatch.setenv(f"{name}DEVELOPMENT", "true")
    assert in_json(run(*SIGN, *elsewhere, "--network", "pilot", "--json"))["chain_id"] == 1
    monkeypatch.setenv(f"{name}DEVELOPMENT", "false")
    refused(run(*SIGN, *MARKET, "--network", "pilot"), "development account")


def test_the_market_is_the_one_that_is_remembered(
    run: Run, neighbourhood: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = in_json(run(*SIGN, "--network", "ganache", "--json"))
    assert order["contract"] == neighbourhood.address
    assert order["chain_id"] == int(neighbourhood.by(0).order_domain().chain_id)
    neighbourhood.node.asked.clear()
    run(*SIGN, "--network", "ganache", "--json")
    assert neighbourhood.node.asked == []
    other = in_json(run(*SIGN, "--contract", CONTRACT.lower(), "--json"))
    assert other["contract"] == CONTRACT
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__CONTRACT", CONTRACT)
    assert in_json(run(*SIGN, "--json"))["contract"] == CONTRACT


def test_what_was_signed_is_good_in_the_market(run: Run, neighbourhood: Any) -> None:
    ledger = neighbourhood.by(9)
    given = "--network", "ganache", "--period", ledger.signing_period(), "--json"
    document = OrderDocument.from_json(in_json(run(*SIGN, *given)))
    ledger.post_signed([document.signed], all_or_nothing=True)
    assert ledger.request_energy(neighbourhood.dev[3]) == 1_500


@pytest.mark.parametrize(
    ("given", "fragments"),
    [
        ((), ("no market is known on chain 1337: give --contract ADDRESS",)),
        (("--chain-id", "5"), ("no market is known on chain 5",)),
        (
            ("--network", "anvil", "--chain-id", "1337"),
            ("anvil is chain 31337, not 1337", "two that agree"),
        ),
        (
            ("--network", "http://127.0.0.1:1", "--contract", CONTRACT),
            ("the chain id of 127.0.0.1:1 is not in the settings: give --chain-id",),
        ),
        (("--contract", "0x12"), ("'0x12' is not an address",)),
    ],
)
def test_a_market_that_is_not_known_is_refused(
    run: Run, given: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    refused(run(*SIGN, *given), *fragments)


def test_somebody_has_to_be_given_to_sign(run: Run) -> None:
    refused(run("meters", "sign", "request", "1Wh", *MARKET), "nobody is given to sign")


def test_nothing_of_a_chain_is_imported() -> None:
    program = (
        "import sys\nfrom energy_chain import cli\n"
        "try:\n    cli.main()\nfinally:\n    print('web3' in sys.modules, 'vyper' in sys.modules)"
    )
    words = [*SIGN, *MARKET, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    order, _, told = done.stdout.rpartition("}\n")
    assert told == "False False\n"
    assert OrderDocument.parse(f"{order}}}".encode()).signer == DEV3


# ------------------------------------------------------------------ verify


def test_whoever_signed_is_named(
    run: Run, signed: dict[str, Any], write: Callable[..., Path]
) -> None:
    path = write(signed)
    out = printed(run("meters", "verify", path))
    for told in (DEV3, "1.500 kWh", "2026-11-22 10:15:00 UTC", CONTRACT, "1337"):
        assert told in out
    assert "The signature is the meter's." in out
    assert in_json(run("meters", "verify", path, "--json")) == {
        "valid": True,
        "fault": "",
        "signer": DEV3,
        **signed,
    }
    nameless = write(signed, meter=None)
    assert "nobody says whose it should be" in printed(run("meters", "verify", nameless))
    assert in_json(run("meters", "verify", nameless, "--json"))["meter"] is None
    told = in_json(run("meters", "verify", nameless, "--meter", DEV3.lower(), "--json"))
    assert (told["valid"], told["meter"]) == (True, DEV3)


def test_standard_input_is_read(
    run: Run, signed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    given(json.dumps(signed).encode())
    assert DEV3 in printed(run("meters", "verify", "-"))
    given(b" " * 20_000)
    refused(run("meters", "verify", "-"), "bytes are too many for a signed order")


@pytest.mark.parametrize(
    ("changes", "given", "fault"),
    [
        ({}, ("--meter", DEV4), f"{DEV3} signed it, or it was altered; --meter names {DEV4}"),
        ({"meter": DEV4}, (), f"{DEV3} signed it, or it was altered; the order itself names"),
        ({"meter": DEV4}, ("--meter", DEV3), "the order itself names"),
        ({"energy_wh": 1_501}, (), "or it was altered; the order itself names"),
        ({"signature": "0x" + "00" * 64}, (), "the signature is of nobody"),
        ({"signature": "0x" + "00" * 64, "meter": None}, (), "the signature is of nobody"),
        (
            {"signature": f"0x{5:064x}{HIGHEST_S + 1:064x}"},
            (),
            "the s of the signature is high, which the market refuses",
        ),
    ],
)
def test_a_signature_that_is_not_the_meters_ends_with_1(
    run: Run,
    signed: dict[str, Any],
    write: Callable[..., Path],
    changes: dict[str, Any],
    given: tuple[str, ...],
    fault: str,
) -> None:
    path = write(signed, **changes)
    code, out, err = run("meters", "verify", path, *given)
    assert (code, err) == (AUDIT_FAILED, "")
    assert "Not good: " in out
    assert fault in " ".join(out.split())
    code, out, err = run("meters", "verify", path, *given, "--json")
    assert (code, err) == (AUDIT_FAILED, "")
    told = json.loads(out)
    assert not told["valid"]
    assert fault in told["fault"]
    assert told["signer"] is None or told["signer"].startswith("0x")


def test_what_is_no_signed_order_is_refused(
    run: Run, signed: dict[str, Any], write: Callable[..., Path]
) -> None:
    def verify(**changes: Any) -> Any:
        return run("meters", "verify", write(signed, **changes))

    refused(verify(price=1), "a signed order has no field 'price': leave it out")
    refused(verify(energy_wh="1500"), "energy_wh '1500' of a signed order is out of range")
    refused(verify(kind="offer"), "kind 'offer' of a signed order: give request or release")
    refused(verify(signature=None), "the signed order has no signature")
    refused(verify(pad="x" * 10_000), "10,001 bytes are too many for a signed order: give one")
    # The other s of a signature, in the form with room for it.
    r, vs = signed["signature"][2:66], int(signed["signature"][66:], 16) % 2**255
    other = f"0x{r}{CURVE_ORDER - vs:064x}1c"
    refused(verify(signature=other), "v is 27 or 28 and s below 2**255")
    refused(run("meters", "verify", "no.json"), "no.json cannot be read", "check the path")
    refused(run("meters", "verify", "x", "--meter", "dev3"), "'dev3' is not an address")
