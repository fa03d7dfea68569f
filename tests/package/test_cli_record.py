"""The record and its audit from the command line, on a node of this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.record.store import Record
from energy_chain.record.tables import matches, orders
from tests.package.command_line import Outcome, Run, in_json, json_lines, printed, refused
from tests.package.conftest import Neighbourhood

NODE = "ENERGY_CHAIN_NETWORKS__GANACHE__URL"


@pytest.fixture
def traded(neighbourhood: Neighbourhood, run: Run) -> Neighbourhood:
    """A market with a match, whose record is up to date."""
    neighbourhood.match(500, 300)
    run("record", "update")
    return neighbourhood


def tamper(home: Path, statement: Any) -> None:
    with Record.open(home / "record.sqlite") as record, record.writing() as connection:
        connection.execute(statement)


def test_the_record_is_made_in_the_data_folder_and_brought_up_to_date(
    neighbourhood: Neighbourhood, run: Run, own_home: Path
) -> None:
    neighbourhood.match(500, 300)
    told = in_json(run("record", "update", "--json"))
    assert told["contract"] == neighbourhood.address
    # Roles, three meters, then two posts, the first of which opens the period, and a match.
    assert (told["events"], told["rolled_back"]) == (3 + 3 + 3 + 1, 0)
    assert (own_home / "record.sqlite").is_file()
    assert "0 blocks read, 0 events added." in printed(run("record", "update"))


def test_the_gas_of_a_transaction_is_that_of_its_receipt(
    neighbourhood: Neighbourhood, run: Run, own_home: Path
) -> None:
    receipt = neighbourhood.by(3).post_request(neighbourhood.dev[3], 500)
    run("record", "update")
    from sqlalchemy import select

    from energy_chain.record.tables import transactions

    with Record.open(own_home / "record.sqlite") as record, record.reading() as connection:
        rows = connection.execute(select(transactions).order_by(transactions.c.block)).all()
    assert (rows[-1].hash, rows[-1].gas_used) == (receipt.transaction, receipt.gas_used)
    assert rows[-1].sender == neighbourhood.dev[3]
    assert 0 < rows[-1].gas_price < 10**11


def test_what_is_in_a_record_is_shown(traded: Neighbourhood, run: Run) -> None:
    told = in_json(run("record", "show", "--json"))
    (market,) = told["markets"]
    assert (market["contract"], market["network"]) == (traded.address, "ganache")
    assert (market["events"], market["orders"], market["matches"]) == (10, 2, 1)
    shown = printed(run("record", "show"))
    assert traded.address in shown
    assert f"{market['block']:,}" in shown
    assert market["begins"] <= market["block_time"]
    assert f" {market['begins'][:10]} " in shown


def test_a_record_that_was_not_filled_yet_is_shown_as_such(
    neighbourhood: Neighbourhood, run: Run, own_home: Path
) -> None:
    from energy_chain.record.indexer import Indexer
    from tests.record.chains import FakeChain

    with Record.open(own_home / "record.sqlite") as record:
        Indexer(record, FakeChain(contract=neighbourhood.address))
    (market,) = in_json(run("record", "show", "--json"))["markets"]
    assert (market["block"], market["block_hash"], market["events"]) == (None, None, 0)
    assert market["begins"] is None
    assert neighbourhood.address in printed(run("record", "show"))


def test_a_record_stands_where_the_option_or_the_environment_says(
    traded: Neighbourhood, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "other.sqlite"
    assert in_json(run("record", "update", "--record", place, "--json"))["events"] == 10
    monkeypatch.setenv("ENERGY_CHAIN_RECORD", str(place))
    assert in_json(run("record", "show", "--json"))["record"] == str(place)
    traded.match(1, 1)
    assert in_json(run("record", "update", "--json"))["events"] == 3


def test_a_record_that_was_not_made_cannot_be_shown_or_audited(
    neighbourhood: Neighbourhood, run: Run, own_home: Path
) -> None:
    assert neighbourhood.address
    for command in (("record", "show"), ("audit", "--offline")):
        refused(run(*command), "there is no record in", "energy-chain record update makes one")
    assert not (own_home / "record.sqlite").exists()


def test_a_record_bears_the_name_that_its_network_had_last(traded: Neighbourhood, run: Run) -> None:
    for network in (traded.node.url, "ganache"):
        run("record", "update", "--network", network)
        (market,) = in_json(run("record", "show", "--json"))["markets"]
        assert market["network"] == network.removeprefix("http://")


@pytest.mark.parametrize(
    "command",
    [
        ("record", "update"),
        ("record", "show"),
        ("record", "bill", "2023-11"),
        ("record", "export", "--to", "tables"),
        ("audit", "--offline"),
    ],
)
def test_a_record_that_lacks_a_table_is_told_in_a_line(
    traded: Neighbourhood, run: Run, own_home: Path, command: tuple[str, ...]
) -> None:
    traded.match(500, 300)
    tamper(own_home, text("DROP TABLE matches"))
    refused(run(*command), "no such table: matches", "energy-chain record update makes a new one")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE matches SET energy_wh = 'lots'", "table matches, market 1, match_index 0"),
        ("UPDATE events SET topics = 'none' WHERE log_index = 0", ": topics is 'none', no blob"),
        ("UPDATE meters SET block = X'00' WHERE number = 1", ": block is X'00', no integer"),
    ],
)
def test_an_audit_names_a_value_that_is_none_of_its_column(
    traded: Neighbourhood, run: Run, own_home: Path, change: str, fault: str
) -> None:
    assert traded.address
    tamper(own_home, text(change))
    code, out, err = run("audit", "--offline")
    assert (code, err) == (AUDIT_FAILED, "")
    assert fault in out


def test_a_record_whose_cursor_is_no_number_is_told_in_a_line(
    traded: Neighbourhood, run: Run, own_home: Path
) -> None:
    assert traded.address
    tamper(own_home, text("UPDATE markets SET cursor_time = 'noon'"))
    refused(run("record", "show"), "is damaged: table markets, id 1: cursor_time is 'noon'")


def test_what_the_chain_has_taken_back_is_undone_and_told(
    neighbourhood: Neighbourhood, run: Run
) -> None:
    with neighbourhood.node.undone():
        neighbourhood.match(500, 300)
        run("record", "update")
    neighbourhood.by(3).post_request(neighbourhood.dev[3], 42)
    assert "undone" in printed(run("record", "update"))
    assert in_json(run("record", "show", "--json"))["markets"][0]["orders"] == 1


def test_all_markets_of_a_chain_are_brought_up_to_date(traded: Neighbourhood, run: Run) -> None:
    other = in_json(run("deploy", "--json"))["address"]
    run("record", "update", "--contract", other)
    traded.match(7, 7)
    told = json_lines(run("record", "update", "--all", "--json"))
    assert [each["contract"] for each in told] == [traded.address, other]
    assert [each["events"] for each in told] == [3, 0]
    refused(run("audit", "--offline"), "holds 2 markets: say which with --contract")
    assert in_json(run("audit", "--offline", "--contract", other, "--json"))["clean"]


def test_a_record_without_a_market_of_this_chain_has_none_to_bring_up_to_date(
    neighbourhood: Neighbourhood, run: Run
) -> None:
    assert neighbourhood.address
    refused(run("record", "update", "--all"), "holds no market of ganache", "leave out --all")


def test_a_market_is_followed_until_ctrl_c(
    traded: Neighbourhood, stopped_when: Callable[..., Outcome], own_home: Path
) -> None:
    def followed() -> bool:
        with Record.open(own_home / "record.sqlite") as record:
            return record.counts(record.market()).matches == 2

    traded.match(9, 9)
    command = ("record", "update", "--follow", "--every", "0.1", "--json")
    told = json_lines(stopped_when(followed, *command))
    assert [each["events"] for each in told] == [3]


# ------------------------------------------------------------------ the audit


def test_an_honest_record_is_audited_against_the_chain(traded: Neighbourhood, run: Run) -> None:
    told = in_json(run("audit", "--record", "home/record.sqlite", "--json"))
    assert (told["contract"], told["clean"], told["against_chain"]) == (traded.address, True, True)
    # Three meters, one period, two orders, one match.
    assert (told["events"], told["rows"]) == (10, 7)
    assert "7 rows of the record follow" in printed(run("audit", "--record", "home/record.sqlite"))


def test_a_record_is_audited_as_of_its_last_block(traded: Neighbourhood, run: Run) -> None:
    traded.match(10, 10)
    assert in_json(run("audit", "--record", "home/record.sqlite", "--json"))["matches"] == 1


def test_a_record_is_audited_without_a_node_and_the_verdict_says_so(
    traded: Neighbourhood, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NODE, "http://127.0.0.1:1")
    traded.node.asked.clear()
    assert "The chain was not asked" in printed(run("audit", "--offline"))
    assert traded.node.asked == []


@pytest.mark.parametrize("how", [("--offline",), ("--record", "home/record.sqlite")])
def test_a_tampered_record_fails_its_audit_and_the_row_is_named(
    traded: Neighbourhood, run: Run, own_home: Path, how: tuple[str, ...]
) -> None:
    assert traded.address
    tamper(own_home, update(matches).values(energy_wh=301))
    code, out, err = run("audit", *how)
    assert (code, err) == (AUDIT_FAILED, "")
    assert out.startswith("Audit: FAILED. table matches, block ")
    assert out.rstrip().endswith("energy_wh: the record says 301, the events 300")
    code, out, _ = run("audit", *how, "--json")
    assert (code, json.loads(out)["clean"]) == (AUDIT_FAILED, False)


def test_the_chain_itself_is_audited_whatever_the_record_says(
    traded: Neighbourhood, run: Run, own_home: Path
) -> None:
    assert traded.address
    tamper(own_home, update(orders).values(energy_wh=1))
    told = in_json(run("audit", "--json"))
    assert (told["clean"], told["rows"]) == (True, 0)


def test_a_record_of_another_chain_cannot_be_audited_against_this_one(
    neighbourhood: Neighbourhood, run: Run, own_home: Path
) -> None:
    Record.open(own_home / "record.sqlite").close()
    refused(
        run("audit", "--record", "home/record.sqlite"),
        f"does not hold the market at {neighbourhood.address} on ganache",
    )
