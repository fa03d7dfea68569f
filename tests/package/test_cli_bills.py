"""Bills and exports from the command line, on a node of this process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energy_chain.cli.exit_codes import AUDIT_FAILED
from tests.package.command_line import Run, in_json, printed, refused
from tests.package.conftest import Neighbourhood

PRICES = ("--local-price", "0.20", "--grid-price", "0.35", "--feed-in-price", "0.08")


@pytest.fixture
def month(neighbourhood: Neighbourhood, run: Run) -> str:
    """The month of a market with a match, whose record is up to date."""
    neighbourhood.match(500, 300)
    run("record", "update")
    time = neighbourhood.by(0).latest()[1]
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m")


@pytest.fixture
def bill(month: str, run: Run, tmp_path: Path) -> Path:
    """The bill of meter 1."""
    printed(run("record", "bill", month, "--to", tmp_path / "bills"))
    return tmp_path / "bills" / f"{month}-meter-1.json"


def test_all_meters_have_a_bill_under_one_root(month: str, run: Run) -> None:
    told = in_json(run("record", "bill", month, *PRICES, "--json"))
    assert [each["meter"]["number"] for each in told["bills"]] == [1, 2, 3]
    assert {each["proof"]["root"] for each in told["bills"]} == {told["root"]}
    assert told["bills"][0]["energy_wh"]["sold"] == 300
    assert told["bills"][0]["money"]["total"] == "-0.08"
    shown = printed(run("record", "bill", month, *PRICES))
    assert told["root"] in shown
    assert "to pay, EUR" in shown
    assert "The month is not over" in shown


def test_bills_are_written_as_documents_and_pages(bill: Path) -> None:
    names = {path.name for path in bill.parent.iterdir()}
    stems = {f"{bill.name[:-6]}{number}" for number in (1, 2, 3)}
    assert names == {f"{stem}{ending}" for stem in stems for ending in (".json", ".html")}


def test_a_bill_is_verified_with_nothing_but_the_node(bill: Path, run: Run, own_home: Path) -> None:
    (own_home / "record.sqlite").unlink()
    (own_home / "deployments.json").unlink()
    contract = json.loads(bill.read_text())["market"]["contract"]
    shown = printed(run("verify-bill", bill))
    assert "The bill holds: meter 1" in shown
    assert f"Contract {contract}, chain " in shown
    told = in_json(run("verify-bill", bill, "--json"))
    assert (told["holds"], told["difference"], told["against"]) == (True, "", "chain")


def test_a_bill_that_was_altered_does_not_hold(bill: Path, run: Run) -> None:
    document = json.loads(bill.read_text())
    document["matches"][0]["block"] += 1
    bill.write_text(json.dumps(document))
    outcome = run("verify-bill", bill)
    assert outcome.code == AUDIT_FAILED
    assert "The bill does not hold: matches[0].block: the bill says " in outcome.out
    assert json.loads(run("verify-bill", bill, "--json").out)["holds"] is False


def test_prices_are_said_to_be_the_issuers(month: str, run: Run, tmp_path: Path) -> None:
    run("record", "bill", month, "--meter", 1, *PRICES, "--to", tmp_path)
    shown = printed(run("verify-bill", tmp_path / f"{month}-meter-1.json"))
    assert "energies and matches follow from the chain" in shown
    assert "the prices are the issuer's" in shown


def test_a_bill_of_another_market_than_the_one_that_is_meant_is_refused(
    bill: Path, run: Run, neighbourhood: Neighbourhood
) -> None:
    root = json.loads(bill.read_text())["proof"]["root"]
    other = neighbourhood.dev[9]
    fault = f"is of the market {neighbourhood.address}, not of {other}"
    refused(run("verify-bill", bill, "--contract", other), fault)
    refused(run("verify-bill", bill, "--contract", other, "--root", root), fault)
    printed(run("verify-bill", bill, "--contract", neighbourhood.address.lower()))


def test_a_bill_of_another_market_than_the_one_of_this_machine_is_refused(
    bill: Path, run: Run, neighbourhood: Neighbourhood, own_home: Path
) -> None:
    other = in_json(run("deploy", "--json"))["address"]
    refused(run("verify-bill", bill), f"not of {other}", f"--contract {neighbourhood.address}")
    printed(run("verify-bill", bill, "--contract", neighbourhood.address))
    genesis = json.loads(bill.read_text())["market"]["genesis"]
    known = (own_home / "deployments.json").read_text()
    # Of a chain of the same id, before it began anew.
    (own_home / "deployments.json").write_text(known.replace(genesis, "0x" + "1" * 64))
    printed(run("verify-bill", bill))


def test_a_bill_is_held_against_a_published_root_without_a_chain(
    bill: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = json.loads(bill.read_text())["proof"]["root"]
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__URL", "http://127.0.0.1:1")
    assert "leads to the root that was given" in printed(run("verify-bill", bill, "--root", root))
    outcome = run("verify-bill", bill, "--root", "0x" + "0" * 64, "--json")
    assert outcome.code == AUDIT_FAILED
    assert "its root is" in json.loads(outcome.out)["difference"]
    for written in (root[2:], root.upper(), f" {root[2:].upper()}"):
        printed(run("verify-bill", bill, "--root", written))


@pytest.mark.parametrize("text", ["abc", "", "0x" + "0" * 63, "0x" + "g" * 64])
def test_a_root_that_is_none_accuses_nobody(text: str, bill: Path, run: Run) -> None:
    refused(run("verify-bill", bill, "--root", text), f"--root {text!r} is no root")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--local-price", "0.20"], "--grid-price is missing"),
        ([*PRICES[:-1], "cheap"], "--feed-in-price 'cheap'"),
        ([*PRICES, "--currency", "euros"], "--currency 'euros'"),
        (["--timezone", "Mars/Base"], "is unknown"),
        (["--meter", "9"], "no meter 9 is registered"),
    ],
)
def test_what_cannot_be_billed_is_refused(
    month: str, run: Run, options: list[str], fault: str
) -> None:
    refused(run("record", "bill", month, *options), fault)


def test_a_folder_that_cannot_be_written_is_named(month: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(run("record", "bill", month, "--to", tmp_path / "file"), "cannot be written")


def test_tables_are_exported(month: str, run: Run, tmp_path: Path) -> None:
    assert month
    told = in_json(run("record", "export", "--to", tmp_path / "t", "--format", "csv", "--json"))
    assert {Path(each["file"]).name: each["rows"] for each in told["files"]}["matches.csv"] == 1
    assert "orders.parquet" in printed(run("record", "export", "--to", tmp_path / "t"))
