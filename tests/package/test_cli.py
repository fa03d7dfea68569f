"""The command line: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import energy_chain
from energy_chain import meters
from energy_chain.cli.exit_codes import AUDIT_FAILED
from tests.package.command_line import (
    COMMANDS,
    LEAVES,
    Outcome,
    Run,
    cannot_use_the_chain,
    in_json,
    parse,
    refused,
)

HEADER = "meter,period_start,consumption_kwh,production_kwh"
DAY = "2016-08-15"
HOMES = {"a": (311, 0), "b": (420, 950), "c": (97, 133)}
"""Wh that each home consumes and produces in a typical hour."""


def hours(step: int = 1) -> Iterator[tuple[str, int, str, str]]:
    """Home, hour, kWh consumed and kWh produced."""
    for hour in range(0, 24, step):
        sun = max(0, 6 - abs(12 - hour))
        for home, (consumed, produced) in HOMES.items():
            yield home, hour, f"{(consumed + 7 * hour) / 1000}", f"{produced * sun / 2000:.5f}"


def lines(step: int = 1) -> list[str]:
    return [
        f"{home},{DAY}T{hour:02}:00:00Z,{consumed},{produced}"
        for home, hour, consumed, produced in hours(step)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: list[str], header: str = HEADER) -> Path:
        path = tmp_path / "homes.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def hourly(write: Callable[..., Path]) -> Path:
    """Three homes, 24 periods."""
    return write(lines())


@pytest.fixture
def short(write: Callable[..., Path]) -> Path:
    """Three homes, four periods."""
    return write(lines(6))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings that are made up have four periods a day."""
    monkeypatch.setattr(meters, "generate", partial(meters.generate, period=timedelta(hours=6)))


def orders_of(step: int) -> list[list[int]]:
    """The whole-Wh orders of each period, a surplus positive, worked out by hand."""
    rests = dict.fromkeys(HOMES, Fraction(0))
    periods: dict[int, list[int]] = {}
    for home, hour, consumed, produced in hours(step):
        net = (Fraction(produced) - Fraction(consumed)) * 1000 + rests[home]
        periods.setdefault(hour, []).append(int(net))
        rests[home] = net - int(net)
    return list(periods.values())


# ------------------------------------------------------------------ the demo


def test_a_file_trades_to_what_its_readings_add_up_to(run: Run, hourly: Path) -> None:
    code, out, err = run("demo", "--data", hourly, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    periods = orders_of(1)
    offers = [sum(order for order in period if order > 0) for period in periods]
    needs = [-sum(order for order in period if order < 0) for period in periods]
    matched = sum(map(min, offers, needs))
    assert result["energy_wh"] == {
        "offered": sum(offers),
        "needed": sum(needs),
        "matched": matched,
        "consumed": matched,
        "to_grid": sum(offers) - matched,
        "from_grid": sum(needs) - matched,
    }
    assert 0 < matched < min(sum(offers), sum(needs))
    assert result["requests"] == sum(order > 0 for period in periods for order in period)
    assert result["releases"] == sum(order < 0 for period in periods for order in period)
    assert result["local_share"] == matched / sum(needs)
    assert (result["homes"], result["periods"], result["period_seconds"]) == (3, 24, 3600)
    assert (result["network"], result["chain_id"]) == ("embedded", 131277322940537)
    assert result["first_period"] == f"{DAY}T00:00:00+00:00"
    assert result["last_period"] == f"{DAY}T23:00:00+00:00"
    audit = result["audit"]
    assert audit["clean"]
    assert audit["matches"] == result["matches"]
    assert audit["requests_wh"]["posted"] == sum(offers)
    assert audit["releases_wh"]["posted"] == sum(needs)
    assert audit["consumed_wh"] == matched
    gas = result["gas"]
    assert gas["posting_and_matching"] == 0
    trading = gas["posting"] + gas["matching"] + gas["consuming"]
    assert gas["per_matched_kwh"] == pytest.approx(trading * 1000 / matched)


def test_packed_homes_trade_the_same_for_less_gas(run: Run, short: Path) -> None:
    single = json.loads(run("demo", "--data", short, "--json").out)
    packed = json.loads(run("demo", "--data", short, "--packed", "--json").out)
    assert packed["energy_wh"] == single["energy_wh"]
    assert packed["matches"] == single["matches"]
    assert packed["audit"]["clean"]
    gas = packed["gas"]
    assert gas["posting"] == gas["matching"] == 0
    trading = gas["posting_and_matching"] + gas["consuming"]
    matched = packed["energy_wh"]["matched"]
    assert gas["per_matched_kwh"] == pytest.approx(trading * 1000 / matched)
    assert gas["per_matched_kwh"] < single["gas"]["per_matched_kwh"]


def test_signed_orders_make_the_matches_of_packed_ones(run: Run, short: Path) -> None:
    packed = in_json(run("demo", "--data", short, "--packed", "--json"))
    signed = in_json(run("demo", "--data", short, "--signed", "--json"))
    assert signed["audit"] == {**packed["audit"], "transactions": signed["audit"]["transactions"]}
    assert signed["audit"]["clean"]
    gas = signed.pop("gas")
    assert gas["posting_and_matching"] == 0
    # Homes that draw by the operator's call, as packed ones do.
    assert gas["consuming"] == packed["gas"]["consuming"]
    trading = gas["posting"] + gas["matching"] + gas["consuming"]
    matched = signed["energy_wh"]["matched"]
    assert gas["per_matched_kwh"] == pytest.approx(trading * 1000 / matched)
    for what in ("requests", "releases", "matches", "energy_wh", "homes", "periods"):
        assert signed[what] == packed[what]


def test_orders_are_not_packed_and_signed_at_once(run: Run, short: Path) -> None:
    both = "--packed", "--signed"
    refused(run("demo", "--data", short, *both), "are two ways to trade: give one of them")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((), ["posting", "matching", "consuming"]),
        (("--signed",), ["posting", "matching", "consuming"]),
        (("--packed",), ["posting and matching", "consuming"]),
    ],
)
def test_the_table_names_what_gas_was_used_for(
    run: Run, short: Path, options: tuple[str, ...], named: list[str]
) -> None:
    out = run("demo", "--data", short, *options).out
    assert re.findall(r"Gas of ([a-z ]+?) +\W", out) == named


def test_matches_and_confirmations_are_told_in_words() -> None:
    from energy_chain.events import MatchesConfirmed, PairMatched
    from energy_chain.market import Fill
    from energy_chain.telling import described

    assert described(PairMatched(1234, Fill(1, 2, 500))) == "Match 1,234: 0.500 kWh matched."
    assert described(MatchesConfirmed(3, 1)) == "All consumed of 1 match from match 3 on."
    assert described(MatchesConfirmed(3, 20)) == "All consumed of 20 matches from match 3 on."


def test_the_table_names_the_energies_and_the_audit(run: Run, short: Path) -> None:
    code, out, err = run("demo", "--data", short)
    assert (code, err) == (0, "")
    periods = orders_of(6)
    offered = sum(order for period in periods for order in period if order > 0)
    assert re.search(rf"Offered\W+{offered / 1000:.3f} kWh", out)
    assert re.search(r"Consumed and confirmed\W+\d+\.\d{3} kWh", out)
    assert f"3 homes, {DAY}, 4 periods of 360 min" in out
    assert "Audit: clean." in out
    assert "energy conserved, 0 Wh lost" in out


def test_the_first_homes_of_a_file_can_be_chosen(run: Run, short: Path) -> None:
    result = json.loads(run("demo", "--data", short, "--homes", 2, "--json").out)
    orders = [period[:2] for period in orders_of(6)]
    assert result["homes"] == 2
    assert result["energy_wh"]["needed"] == -sum(o for p in orders for o in p if o < 0)


def test_a_file_can_have_columns_units_and_times_of_its_own(
    run: Run, write: Callable[..., Path]
) -> None:
    rows = [
        f"{DAY} {hour:02}:00,{home},9.5,{produced}"
        for home, produced in (("x", 500), ("y", 0))
        for hour in (0, 6, 12, 18)
    ]
    path = write(rows, "when,who,consumption_wh,solar")
    result = run(
        *("demo", "--data", path, "--unit", "Wh", "--timezone", "Asia/Dhaka", "--json"),
        *("--column", "meter=who", "--column", "period_start=when"),
        *("--column", "production=solar", "--day", DAY),
    )
    energies = json.loads(result.out)["energy_wh"]
    assert (energies["offered"], energies["needed"], energies["matched"]) == (1962, 38, 38)


@pytest.mark.usefixtures("quick")
def test_a_seed_gives_the_same_result_each_time(run: Run) -> None:
    arguments = ("demo", "--homes", 2, "--seed", 7, "--json")
    assert run(*arguments) == run(*arguments)


@pytest.mark.usefixtures("quick")
def test_another_seed_gives_another_result(run: Run) -> None:
    seven, eight = (run("demo", "--homes", 2, "--seed", seed, "--json") for seed in (7, 8))
    assert json.loads(seven.out)["energy_wh"] != json.loads(eight.out)["energy_wh"]


@pytest.mark.usefixtures("quick")
def test_days_and_homes_that_are_made_up_are_as_many_as_asked_for(run: Run) -> None:
    result = json.loads(run("demo", "--homes", 2, "--days", 2, "--day", DAY, "--json").out)
    assert (result["homes"], result["periods"]) == (2, 8)
    assert result["first_period"].startswith(DAY)


def test_a_development_node_serves_as_well(
    run: Run, short: Path, start_node: Callable[..., Any]
) -> None:
    from energy_chain.chain.accounts import development_accounts

    node = start_node([development_accounts(1)[0].address], 1_700_000_000)
    code, out, err = run("demo", "--data", short, "--network", node.url, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["network"] == node.url.removeprefix("http://")
    needs = [-sum(order for order in period if order < 0) for period in orders_of(6)]
    assert result["energy_wh"]["needed"] == sum(needs)
    assert result["audit"]["clean"]


def test_the_module_runs_as_the_command_does(short: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "energy_chain",
            "demo",
            "--data",
            str(short),
            "--homes",
            "1",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["audit"]["clean"]


# ------------------------------------------------------------------ an audit that fails


@pytest.fixture
def forged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first match of the chain's record is 1 Wh more than was matched."""
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.events import Matched, Receipt

    honest = ContractLedger.history

    def history(ledger: ContractLedger) -> Iterator[Receipt]:
        altered = False
        for receipt in honest(ledger):
            found = receipt.events[-1]
            if isinstance(found, Matched) and not altered:
                altered = True
                fill = replace(found.fills[0], energy=found.fills[0].energy + 1)
                event = replace(found, fills=(fill, *found.fills[1:]))
                yield replace(receipt, events=(*receipt.events[:-1], event))
            else:
                yield receipt

    monkeypatch.setattr(ContractLedger, "history", history)


@pytest.mark.usefixtures("forged")
def test_an_audit_that_fails_ends_with_1(run: Run, short: Path) -> None:
    code, out, _ = run("demo", "--data", short)
    assert code == AUDIT_FAILED == 1
    assert re.search(r"Audit: FAILED. block \d+, transaction 0x\w{64}: the record says Match", out)
    assert "clean" not in out


@pytest.mark.usefixtures("forged")
def test_an_audit_that_fails_ends_with_1_in_json_too(run: Run, short: Path) -> None:
    code, out, _ = run("demo", "--data", short, "--json")
    assert code == 1
    assert not json.loads(out)["audit"]["clean"]
    assert json.loads(out)["audit"]["difference"].startswith("block ")


# ------------------------------------------------------------------ unusable input


def changed(number: int, row: str | None) -> list[str]:
    """The rows, with another one in one place."""
    rows = lines(6)
    return [*rows[:number], *([] if row is None else [row]), *rows[number + 1 :]]


@pytest.mark.parametrize(
    ("rows", "fragments"),
    [
        ([], ("has no readings below its header",)),
        (changed(4, None), ("meter b: no reading from 2016-08-15T06:00:00+00:00", "1 period")),
        (
            lines(6)[:5] + lines(6)[1:2] + lines(6)[5:],
            ("line 7: ", "line 3 is a reading of the same period"),
        ),
        (changed(4, f"b,{DAY}T06:00:00Z,-1,0"), ("line 6: consumption '-1' is negative",)),
        (changed(4, f"b,{DAY}T06:00:00Z,1,much"), ("line 6: production 'much' is not a number",)),
        (changed(4, f"b,{DAY}T06:00:00Z,nan,0"), ("line 6: consumption 'nan' is not a number",)),
        (changed(4, f"b,{DAY}T06:00:00Z,1"), ("line 6: 3 columns where the header has 4",)),
        (changed(4, "b,yesterday,1,1"), ("line 6: time 'yesterday' is not ISO 8601",)),
        ([row.replace("Z", "") for row in lines(6)], ("no UTC offset", "with --timezone")),
    ],
    ids=["empty", "gap", "doubled", "negative", "text", "nan", "short", "time", "naive"],
)
def test_a_file_that_cannot_be_used_is_refused(
    run: Run, write: Callable[..., Path], rows: list[str], fragments: tuple[str, ...]
) -> None:
    refused(run("demo", "--data", write(rows)), "homes.csv", *fragments)


def test_a_missing_file_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run("demo", "--data", tmp_path / "no.csv"), "no.csv cannot be read: No such file")


def test_a_folder_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run("demo", "--data", tmp_path), "cannot be read: ")


def test_a_binary_file_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(256)))
    refused(run("demo", "--data", tmp_path / "x"), "is no text in UTF-8")


def test_a_missing_column_is_refused(run: Run, write: Callable[..., Path]) -> None:
    path = write(lines(6), HEADER.replace("meter", "house"))
    refused(run("demo", "--data", path), "no column 'meter'", "--column meter=NAME", "'house'")


def test_a_day_that_the_file_does_not_have_is_refused(run: Run, short: Path) -> None:
    refused(run("demo", "--data", short, "--day", "2030-01-01"), "2030-01-01", f"from {DAY}")
    refused(run("demo", "--data", short, "--days", 2), f"{DAY} to 2016-08-16")


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--timezone", "Mars/Olympus"), ("time zone 'Mars/Olympus' is unknown",)),
        (("--timezone", "../../etc"), ("time zone '../../etc' is unknown",)),
        (("--timezone", ""), ("time zone '' is unknown",)),
        (("--column", "meter=house"), ("--column", "give --data FILE as well")),
        (("--unit", "Wh"), ("--unit", "give --data FILE as well")),
        (("--network", "mainnet"), ("network 'mainnet' is unknown", "embedded, ganache, anvil")),
        (("--network", "http://[::1"), ("'http://[::1' is not the URL", "http://127.0.0.1:8545")),
        (("--homes", 65_536), ("homes is 65536; give 1 to 65535",)),
        (("--days", 9_999_999), ("go beyond 9999-12-31",)),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(
    run: Run, arguments: tuple[object, ...], fragments: tuple[str, ...]
) -> None:
    refused(run("demo", *arguments), *fragments)


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--seed", 0), ("--seed makes readings up",)),
        (("--column", "meter"), ("--column meter: give ROLE=NAME", "production")),
        (("--column", "meter="), ("--column meter=: give ROLE=NAME",)),
        (("--column", "price=EUR"), ("--column price=EUR: give ROLE=NAME",)),
        (("--timezone", "nowhere"), ("time zone 'nowhere' is unknown",)),
    ],
)
def test_an_option_that_does_not_fit_the_file_is_refused(
    run: Run, short: Path, arguments: tuple[object, ...], fragments: tuple[str, ...]
) -> None:
    refused(run("demo", "--data", short, *arguments), *fragments)


def test_several_problems_of_a_file_are_listed_with_their_lines(
    run: Run, write: Callable[..., Path]
) -> None:
    rows = lines(6)
    rows[2], rows[7] = f"c,{DAY}T00:00:00Z,-1,0", f"b,{DAY}T12:00:00Z,0,much"
    code, out, err = run("demo", "--data", write(rows))
    first, *rest = err.splitlines()
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .*homes\.csv: 2 problems", first)
    assert rest[0] == "  line 4: consumption '-1' is negative"
    assert rest[1] == "  line 9: production 'much' is not a number"
    assert len(rest) == 3


def test_an_option_that_does_not_exist_ends_with_2(run: Run) -> None:
    code, out, err = run("demo", "--colour", "red")
    assert (code, out) == (2, "")
    assert "--colour" in err


# ------------------------------------------------------------------ a chain that cannot be used


def test_a_node_that_refuses_the_connection_ends_with_3(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    outcome = run("demo", "--homes", 1, "--network", f"http://user:secret@{address}")
    cannot_use_the_chain(outcome, f"no usable answer to eth_chainId from {address}")
    assert "secret" not in outcome.err


def test_a_server_that_is_no_node_ends_with_3(run: Run, serve: Callable[..., str]) -> None:
    url = serve(lambda *_: b"<!doctype html><title>It works!</title>")
    cannot_use_the_chain(run("demo", "--homes", 1, "--network", url), "speaks JSON-RPC")


def test_another_chain_than_the_one_asked_for_ends_with_3(
    run: Run, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__URL", serve(lambda *_: {"result": "0x1"}))
    outcome = run("demo", "--homes", 1, "--network", "ganache")
    cannot_use_the_chain(outcome, "serves chain 1, not 1337")


def test_a_chain_that_is_no_development_chain_ends_with_3(
    run: Run, serve: Callable[..., str]
) -> None:
    asked = []

    def mainnet(method: str, _: Any) -> dict[str, str]:
        asked.append(method)
        return {"result": "0x1"}

    outcome = run("demo", "--homes", 1, "--network", serve(mainnet))
    cannot_use_the_chain(outcome, "is chain 1, not a development chain")
    assert asked == ["eth_chainId"]


def test_a_node_that_refuses_to_tell_ends_with_3(run: Run, serve: Callable[..., str]) -> None:
    def answer(method: str, _: Any) -> dict[str, Any]:
        if method == "eth_chainId":
            return {"result": "0x539"}
        return {"error": {"code": -32000, "message": "limit exceeded"}}

    outcome = run("demo", "--homes", 1, "--network", serve(answer))
    cannot_use_the_chain(outcome, "limit exceeded")


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_a_help_text(name: str) -> None:
    assert COMMANDS[name].help
    assert [p.name for p in COMMANDS[name].params if not p.help] == []


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_examples_that_parse(name: str) -> None:
    examples = re.findall(rf"^ *({name}\b.*)$", COMMANDS[name].help, re.MULTILINE)
    assert len(examples) > 1
    for example in examples:
        parse(example)


@pytest.mark.parametrize(
    "line",
    [
        "energy-chain no-such-command",
        "energy-chain demo --colour red",
        "energy-chain demo surplus",
        "energy-chain demo --homes many",
        "energy-chain demo --homes 0",
        "energy-chain producer put",
    ],
)
def test_what_does_not_parse_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"[Nn]o such|extra arg|should be|Missing"):
        parse(line)


def options_of(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_speaks_json(name: str) -> None:
    assert "--json" in options_of(name)


def test_every_command_takes_a_network_that_does_not_have_it_as_its_subject() -> None:
    without = [name for name in LEAVES if "--network" not in options_of(name)]
    assert without == [
        "energy-chain simulate",
        "energy-chain ganache",
        "energy-chain data generate",
        "energy-chain data check",
        "energy-chain data inspect",
        "energy-chain data convert",
        "energy-chain networks list",
        "energy-chain networks check",
        "energy-chain meters verify",
        "energy-chain relay post",
        "energy-chain relay status",
        "energy-chain record show",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_help(run: Run, name: str) -> None:
    code, out, err = run(*name.split()[1:], "--help")
    assert (code, err) == (0, "")
    assert "Usage:" in out


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version") == Outcome(0, f"{energy_chain.__version__}\n", "")


def test_help_imports_nothing_heavy_and_mistakes_nothing_of_a_chain() -> None:
    program = (
        "import json, sys\n"
        "from contextlib import redirect_stdout\n"
        "from io import StringIO\n"
        "from energy_chain import cli\n"
        "for arguments in json.load(sys.stdin):\n"
        "    sys.argv[1:] = arguments\n"
        "    try:\n"
        "        with redirect_stdout(StringIO()):\n"
        "            cli.main()\n"
        "    except SystemExit as ended:\n"
        "        names = sorted({name.split('.')[0] for name in sys.modules})\n"
        "        print(json.dumps([ended.code, names]))\n"
    )
    # Whichever is asked for, the modules of all commands are imported.
    helps = [["--help"], ["demo", "--help"], ["relay", "--help"], ["relay", "serve", "--help"]]
    mistakes = [
        ["demo", "--colour", "red"],
        ["demo", "--timezone", "nowhere"],
        ["demo", "--network", "nowhere"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([*helps, *mistakes]),
        capture_output=True,
        text=True,
        check=True,
    )
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert [code or 0 for code, _ in ends] == [0] * len(helps) + [2] * len(mistakes)

    def heavy(names: list[str]) -> list[str]:
        chain = {"web3", "vyper", "eth", "hexbytes", "requests"}
        chain |= {"fastapi", "limits", "sqlalchemy", "starlette", "uvicorn"}
        return [name for name in names if name in chain or name.startswith("eth_")]

    after_help, after_mistakes = ends[len(helps) - 1][1], ends[-1][1]
    assert heavy(after_help) == heavy(after_mistakes) == []
    assert "pydantic_settings" not in after_help
    assert not {"demandlib", "matplotlib", "numpy", "pandas", "pvlib"} & set(after_help)
