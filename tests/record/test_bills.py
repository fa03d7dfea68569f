"""Bills: what is in them, and that nothing in them can be changed unnoticed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from energy_chain.errors import InvalidInput
from energy_chain.market import Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.record.bill import Bill, Tariff, bill_of, faults_of, read_bill, verify
from energy_chain.record.bill_page import render
from energy_chain.record.indexer import Indexer
from energy_chain.record.source import MemorySource
from energy_chain.record.statements import Month, MonthBook, close_month
from energy_chain.record.store import Record
from energy_chain.signing import OrderDomain

QUARTER = 900
METERS = [f"0x{n:040x}" for n in (0xA1, 0xA2, 0xA3)]
ROLES = [f"0x{n:040x}" for n in (1, 2, 3)]
CONTRACT = "0x" + "c" * 40
JULY, AUGUST = Month(2026, 7), Month(2026, 8)
TARIFF = Tariff(currency="EUR", local="0.20", grid="0.35", feed_in="0.08")


class Town:
    """A market of three meters whose clock can be set."""

    def __init__(self, period_length: int = QUARTER) -> None:
        self.at("2026-07-31T20:00")
        domain = OrderDomain(1337, CONTRACT)
        owner, aggregator, operator = ROLES
        market = MemoryLedger.deploy(
            owner, aggregator, operator, period_length, lambda: self.time, domain
        )
        self.operator = market.as_account(operator)
        self.operator.register_meters(METERS)

    def at(self, time: str) -> None:
        self.time = int(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp())

    def trades(self, time: str, offers: dict[int, int], needs: dict[int, int], draw: bool) -> None:
        """A period's orders, all matched that can be, and maybe confirmed."""
        self.at(time)
        first = self.operator.match_counter()
        self.operator.post_and_match(
            [Request(*each) for each in offers.items()],
            [Release(*each) for each in needs.items()],
            256,
        )
        written = self.operator.match_counter() - first
        if draw and written:
            self.operator.confirm_matches(first, written)

    @property
    def source(self) -> MemorySource:
        return MemorySource(self.operator)


@pytest.fixture
def town() -> Town:
    town = Town()
    town.trades("2026-07-31T23:45", {1: 1_000}, {2: 400}, draw=True)  # the last of July in UTC
    town.trades("2026-08-01T00:00", {1: 500}, {2: 300, 3: 700}, draw=True)
    town.trades("2026-08-14T12:00", {3: 2_000}, {1: 250, 3: 50, 2: 100}, draw=False)
    town.trades("2026-08-31T23:45", {2: 90}, {1: 1_000}, draw=True)
    town.trades("2026-09-01T00:00", {2: 5}, {1: 5}, draw=True)
    return town


@pytest.fixture
def books(tmp_path: Path, town: Town) -> Iterator[Record]:
    with Record.open(tmp_path / "books.sqlite") as opened:
        Indexer(opened, town.source).update()
        yield opened


@pytest.fixture
def close(books: Record) -> Callable[..., MonthBook]:
    return lambda month=AUGUST: close_month(books, books.market(), month)


@pytest.fixture
def august(close: Callable[..., MonthBook]) -> list[Bill]:
    return [bill_of(close(), number, TARIFF) for number in (1, 2, 3)]


def altered(bill: Bill, change: Callable[[dict[str, Any]], object]) -> Bill:
    document = json.loads(bill.to_json())
    change(document)
    return Bill.model_validate_json(json.dumps(document))


def test_a_bill_has_the_periods_that_begin_in_its_month(august: list[Bill]) -> None:
    one, two, three = (bill.energy_wh for bill in august)
    assert (one.offered, one.sold, one.to_grid) == (500, 500, 0)
    assert (one.needed, one.bought, one.from_grid) == (1_250, 340, 910)
    assert (two.needed, two.bought, two.offered, two.sold) == (400, 400, 90, 90)
    assert (three.offered, three.sold, three.to_grid) == (2_000, 400, 1_600)
    assert (three.needed, three.bought, three.from_grid) == (750, 250, 500)


def test_what_is_matched_with_itself_is_own_use(august: list[Bill]) -> None:
    assert august[2].energy_wh.own == 50
    assert august[2].money is not None
    assert (august[2].money.bought, august[2].money.sold) == ("0.04", "-0.07")


def test_only_what_was_confirmed_is_drawn(august: list[Bill]) -> None:
    assert [bill.energy_wh.drawn for bill in august] == [90, 300, 200]


def test_the_months_are_those_of_the_time_zone(close: Callable[..., MonthBook]) -> None:
    # Nine hours ahead, where the last quarter of July in UTC is in August.
    tokyo = bill_of(close(Month(2026, 8, "Asia/Tokyo")), 2)
    assert tokyo.energy_wh.bought == 400 + 300 + 100
    assert tokyo.month.begins == "2026-08-01T00:00:00+09:00"
    assert bill_of(close(JULY), 2).energy_wh.bought == 400


def test_a_meter_that_did_nothing_has_a_bill_of_zeros(close: Callable[..., MonthBook]) -> None:
    bill = bill_of(close(JULY), 3)
    assert (bill.matches, bill.energy_wh.needed) == ((), 0)
    assert not list(faults_of(bill))


@pytest.mark.parametrize("month", [(2026, 6), (2026, 10), (1, 1), (9999, 12)])
def test_a_month_outside_the_record_has_no_bills(
    month: tuple[int, int], close: Callable[..., MonthBook]
) -> None:
    with pytest.raises(InvalidInput, match=r"the record runs from 2026-07-31 to 2026-09-01"):
        close(Month(*month))


def test_a_market_that_begins_within_a_long_period_has_the_month_in_which_that_begins() -> None:
    town = Town(period_length=31 * 86_400)
    town.trades("2026-08-01T00:00", {1: 500}, {2: 300}, draw=True)
    with Record.temporary() as record:
        Indexer(record, town.source).update()
        book = close_month(record, record.market(), JULY)
    assert book.statements[2].usage.bought == 300


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE matches SET energy_wh = 'lots'", "is damaged .*'lots'"),
        ("UPDATE matches SET energy_wh = -5", "is damaged .*-5"),
        ("UPDATE blocks SET timestamp = 'noon'", "timestamp is 'noon', no integer"),
        ("UPDATE markets SET genesis = '0x'", "makes no bill .*genesis"),
        ("UPDATE orders SET meter = NULL", "makes no bill .*to_grid"),
    ],
)
def test_a_record_that_is_damaged_gives_no_bill(change: str, fault: str, books: Record) -> None:
    with books.writing() as connection:
        connection.execute(text(change))
    with pytest.raises(InvalidInput, match=fault):
        bill_of(close_month(books, books.market(), AUGUST), 1)


def test_money_follows_from_energies_and_prices(august: list[Bill]) -> None:
    money = august[0].money
    assert money is not None
    # 0.34 kWh and 0.5 kWh at 0.20, 0.91 kWh at 0.35.
    assert (money.bought, money.sold, money.from_grid, money.to_grid) == (
        *("0.07", "-0.10", "0.32", "0.00"),
    )
    assert money.total == "0.29"


def test_all_bills_of_a_month_lead_to_one_root(august: list[Bill]) -> None:
    assert len({bill.proof.root for bill in august}) == 1
    assert len({bill.proof.statement for bill in august}) == 3
    assert all(not list(faults_of(bill)) for bill in august)


def test_a_bill_follows_from_the_chain(august: list[Bill], town: Town) -> None:
    assert [verify(bill, town.source) for bill in august] == ["", "", ""]


def test_a_bill_is_the_same_in_every_database(
    august: list[Bill], record: Record, town: Town
) -> None:
    Indexer(record, town.source).update()
    assert bill_of(close_month(record, record.market(), AUGUST), 1, TARIFF) == august[0]


def test_it_still_follows_when_the_chain_has_gone_on(august: list[Bill], town: Town) -> None:
    town.trades("2026-09-02T00:00", {2: 5}, {1: 5}, draw=True)
    town.operator.consume_match(3, 100)  # of August, confirmed late
    assert verify(august[0], town.source) == ""


def test_a_bill_comes_back_from_its_file(august: list[Bill], tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    file.write_text(august[0].to_json())
    assert read_bill(file) == august[0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda b: b["energy_wh"].update(sold=501), "its matches come to 500 Wh sold"),
        (lambda b: b["energy_wh"].update(bought=341), "its matches come to 340 Wh bought"),
        (lambda b: b["energy_wh"].update(drawn=0), "its matches come to 90 Wh drawn"),
        (lambda b: b["energy_wh"].update(own=1), "its matches come to 0 Wh own"),
        (lambda b: b["energy_wh"].update(to_grid=1), "is not the rest"),
        (lambda b: b["energy_wh"].update(needed=339, from_grid=0), "is not the rest"),
        (
            lambda b: b["energy_wh"].update(needed=2_250, from_grid=1_910),
            "the amounts do not follow",
        ),
        (lambda b: b["money"].update(total="0.00"), "the amounts do not follow"),
        (lambda b: b["matches"][0].update(producer=2), "Wh sold"),
        (lambda b: b["matches"][0].update(index=9), "hash of its statement is another"),
        (lambda b: b["meter"].update(address=METERS[2]), "hash of its statement is another"),
        (lambda b: b["market"].update(chain_id=1), "hash of its statement is another"),
        (lambda b: b["month"].update(begins="2026-08-02T00:00:00+00:00"), "the month begins"),
        (lambda b: b["month"].update(timezone="Mars/Base"), "is no month of a time zone"),
        (lambda b: b["proof"].update(root="0x" + "0" * 64), "does not lead to its root"),
        (lambda b: b["proof"].update(path=[]), "does not lead to its root"),
    ],
)
def test_what_was_changed_does_not_add_up(
    august: list[Bill], change: Callable[[dict[str, Any]], object], fault: str
) -> None:
    assert fault in "\n".join(faults_of(altered(august[0], change)))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda b: b["as_of"].update(hash="0x" + "0" * 64), "is not 0x000"),
        (lambda b: b["as_of"].update(block=99), "block 99 is not"),
        (
            lambda b: b["as_of"].update(time="2026-08-01T00:00:00+00:00"),
            "as_of.time: the bill says 2026-08-01T00",
        ),
        (lambda b: b["market"].update(period_length=60), "periods last 900 s"),
        (lambda b: b["market"].update(first_block=1), "does not begin with a deployment"),
        (
            lambda b: b["month"].update(over=False),
            "month.over: the bill says False, the chain True",
        ),
        (
            lambda b: b["matches"][0].update(block=1),
            "matches[0].block: the bill says 1, the chain ",
        ),
        (
            lambda b: b["matches"][2].update(begins="2026-08-31"),
            "matches[2].begins: the bill says 2026-08-31, the chain 2026-08-14T12:00:00+00:00",
        ),
        (
            lambda b: b["matches"][0].update(producer_address=METERS[2]),
            f"matches[0].producer_address: the bill says {METERS[2]}, the chain 0x",
        ),
    ],
)
def test_what_adds_up_and_is_not_so_differs_from_the_chain(
    august: list[Bill], town: Town, change: Callable[[dict[str, Any]], object], difference: str
) -> None:
    told = altered(august[0], change)
    source = town.source
    if told.market.first_block:
        identity = source.identity()
        source.identity = lambda: identity.__class__(  # type: ignore[method-assign]
            *(identity.chain_id, identity.genesis, identity.address, told.market.first_block),
            *(identity.period_length, identity.network),
        )
    assert difference in verify(told, source)


def test_a_forger_who_hashes_anew_is_found_by_the_root(august: list[Bill], town: Town) -> None:
    """All of the bill is consistent; only the chain says that it is not so."""
    with Record.temporary() as forged:
        other = Town()
        other.trades("2026-08-01T00:00", {1: 9_000}, {2: 9_000}, draw=True)
        other.at("2026-09-02T00:00")
        Indexer(forged, other.source).update()
        told = bill_of(close_month(forged, forged.market(), AUGUST), 1)
    true = json.loads(august[0].to_json())
    told = altered(told, lambda b: b.update(as_of=true["as_of"], market=true["market"]))
    assert not list(faults_of(told))
    assert "the root of the month is" in verify(told, town.source)


def test_a_bill_of_another_market_is_refused(august: list[Bill], town: Town) -> None:
    told = altered(august[0], lambda b: b["market"].update(genesis="0x" + "1" * 64))
    with pytest.raises(InvalidInput, match="chain's first block is 0x111"):
        verify(told, town.source)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"format": "energy-chain bill 2"}', "nonsense", '{"format": NaN}'],
)
def test_what_is_no_bill_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    file.write_text(content)
    with pytest.raises(InvalidInput, match="is no bill"):
        read_bill(file)


def test_what_is_no_json_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    file.write_text("nonsense")
    with pytest.raises(InvalidInput, match="is no bill: Invalid JSON"):
        read_bill(file)


def test_a_number_that_is_no_whole_watt_hours_is_named(august: list[Bill], tmp_path: Path) -> None:
    document = json.loads(august[0].to_json())
    document["energy_wh"]["sold"] = "500"
    file = tmp_path / "bill.json"
    file.write_text(json.dumps(document))
    with pytest.raises(InvalidInput, match=r"energy_wh\.sold: Input should be a valid integer"):
        read_bill(file)


def test_a_market_without_periods_has_no_months() -> None:
    town = Town(period_length=0)
    with Record.temporary() as record:
        Indexer(record, town.source).update()
        with pytest.raises(InvalidInput, match="never expire"):
            close_month(record, record.market(), AUGUST)


def test_a_meter_that_is_none_is_refused(close: Callable[..., MonthBook]) -> None:
    with pytest.raises(InvalidInput, match=r"no meter 4 is registered on .*: give 1 to 3"):
        bill_of(close(), 4)


@pytest.mark.parametrize("text", ["2026", "2026-13", "08-2026", "August"])
def test_a_month_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="give one such as 2016-08"):
        Month.parse(text)


def test_a_page_tells_what_the_bill_does_and_loads_nothing(august: list[Bill]) -> None:
    page = render(august[0])
    for told in ("August 2026", "0.340 kWh", "0.910 kWh", "0.29", august[0].proof.root):
        assert told in page
    assert "http" not in page
    assert "<script" not in page
    assert page.count("<rect") == 62


def test_a_page_escapes_what_a_bill_says(august: list[Bill]) -> None:
    told = altered(august[0], lambda b: b["market"].update(network="<b>fine</b>"))
    assert "<b>fine" not in render(told)


def test_a_page_says_times_as_people_do(close: Callable[..., MonthBook]) -> None:
    page = render(bill_of(close(Month(2026, 8, "Europe/Berlin")), 1))
    assert "1 August 2026, 00:00 to 1 September 2026, 00:00 (Europe/Berlin)" in page
    assert "1 September 2026, 00:00 UTC<" in page
    assert "T00:00" not in page


def test_what_is_paid_to_the_home_has_words_and_no_sign(august: list[Bill]) -> None:
    money = august[2].money
    assert money is not None
    assert not money.total.startswith("-")
    assert "To be paid to you" not in render(august[2])
    paid = altered(august[2], lambda b: b["money"].update(total="-2.13"))
    assert re.search(r"To be paid to you</td><td></td><td[^>]*>2\.13<", render(paid))


def test_a_page_of_a_month_without_trade_has_no_axis(close: Callable[..., MonthBook]) -> None:
    page = render(bill_of(close(JULY), 3))
    assert "Nothing was traded with neighbours" in page
    assert "<svg" not in page
    assert "<p>The proof is in the JSON document" in page
    assert "<p>Its match and the proof are in" in render(bill_of(close(JULY), 1))
    assert "<p>Its 4 matches and the proof are in" in render(bill_of(close(), 1))
