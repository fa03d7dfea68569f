"""The sums of a record: the same as the rows come to, whatever happened to the chain."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update

from energy_chain.chain.mined import MinedBlock
from energy_chain.record import indexer as module
from energy_chain.record import ranges, sums, tables
from energy_chain.record.check import audit_record
from energy_chain.record.indexer import Indexer
from energy_chain.record.ranges import Sum, cover
from energy_chain.record.store import FORMAT, WITHOUT_SUMS, Record
from tests.property.histories import DETERMINISTIC, histories
from tests.property.markets import PERIOD, STRANGER, Call
from tests.record.chains import Block, FakeChain, rows_of
from tests.record.test_indexer import BATCHES, DRAW, MATCH, NEED, POST, TRADE, WAIT

PRICE = 3 * 10**9 + 7
GAS = 999_999_999
"""Of a transaction: so much that its price is no whole number of gwei."""


class PaidChain(FakeChain):
    """A chain on which calls cost gas."""

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        for block in super().blocks(first, last):
            paid = [replace(each, gas_used=GAS, gas_price=PRICE) for each in block.transactions]
            yield replace(block, transactions=tuple(paid))


def expected(record: Record, size: int) -> dict[tuple[int, int], dict[str, int]]:
    """Sums by meter and begin of stretches of `size` seconds, from the rows, in Python."""
    rows, (market,) = rows_of(record), record.markets()
    times = {number: time for _, number, _, time in rows["blocks"]}
    length = market.period_length
    names = asdict(Sum())
    found: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))

    def add(meter: int | None, period: int | None, block: int, **more: int) -> None:
        if not length or period is None:
            begin = times[block] // (length or 3600) * (length or 3600)
        else:
            begin = period * length
        for name, number in more.items():
            if meter is not None:
                found[meter, begin // size * size][name] += number

    for _, kind, _, meter, energy, period, _, block, _ in rows["orders"]:
        count, wh = (("requests", "offered"), ("releases", "needed"))[kind]
        for of in (0, meter):
            add(of, period, block, **{count: 1, wh: energy})
    drawn: dict[int, int] = defaultdict(int)
    for _, _, _, index, energy in rows["consumption"]:
        drawn[index] += energy
    for _, index, producer, consumer, energy, _, _, period, block, _ in rows["matches"]:
        own = energy if producer == consumer else 0
        both = {"sold": energy, "bought": energy, "own": own, "drawn": drawn[index], "matches": 1}
        add(0, period, block, **both)
        if own:
            add(producer, period, block, **both)
        else:
            add(producer, period, block, sold=energy, matches=1)
            add(consumer, period, block, bought=energy, drawn=drawn[index], matches=1)
    for _, block, _, _, _, gas, price in rows["transactions"]:
        add(0, None, block, transactions=1, gas=gas, cost=gas * price)
    return {key: value for key, value in found.items() if any(value.values())}


def kept(record: Record, level: int) -> dict[tuple[int, int], dict[str, int]]:
    """Those in the table."""
    with record.reading() as connection:
        found = connection.execute(select(tables.sums).where(tables.sums.c.level == level))
        return {
            (row.meter, row.bucket): {
                **{
                    name: getattr(row, name if hasattr(row, name) else f"{name}_wh")
                    for name in asdict(Sum())
                    if name != "cost"
                },
                "cost": row.cost_gwei * 10**9 + row.cost_wei,
            }
            for row in found
        }


def check(record: Record) -> None:
    """Every level against the rows."""
    (market,) = record.markets()
    for level in sums.LEVELS:
        assert kept(record, level) == expected(record, level)
    periods = expected(record, market.period_length or 1)
    wholes = {key: value for key, value in periods.items() if key[0] == 0}
    assert kept(record, 0) == (wholes if market.period_length else {})
    with record.reading() as connection:
        assert sums.difference(connection, market) == ""


@pytest.mark.parametrize("period_length", [PERIOD, 5_400, 0])
def test_the_sums_are_those_of_the_rows(record: Record, period_length: int) -> None:
    chain = PaidChain([*BATCHES, WAIT, *TRADE, WAIT, *TRADE], period_length=period_length)
    Indexer(record, chain).update()
    check(record)
    totals = [value for key, value in kept(record, sums.FOUR_WEEKS).items() if key[0] == 0]
    assert sum(value["matches"] for value in totals) == chain.ledger.match_counter() > 3
    assert (
        sum(value["cost"] for value in totals) == len(rows_of(record)["transactions"]) * GAS * PRICE
    )


steps = st.one_of(
    st.tuples(st.just("extend"), histories(1, 8)),
    st.tuples(st.just("reorganise"), histories(0, 6), st.integers(1, 12), st.integers(1, 99)),
    st.tuples(st.just("wait"), st.sampled_from((900, 3_600, 86_400, 40 * 86_400))),
)


@given(
    steps=st.lists(steps, min_size=2, max_size=8),
    stretch=st.integers(1, 9),
    length=st.sampled_from((PERIOD, PERIOD, 0)),
)
@settings(DETERMINISTIC, max_examples=12)
def test_whatever_the_chain_does_the_sums_are_those_of_the_rows(
    steps: list[tuple[Any, ...]], stretch: int, length: int
) -> None:
    chain = PaidChain(TRADE, period_length=length)
    with Record.temporary() as record, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "STRETCH", stretch)
        patched.setattr(module, "LONGEST_STRETCH", stretch)
        indexer = Indexer(record, chain)
        for step, *details in steps:
            match step:
                case "extend":
                    chain.extend([Block(call) for call in details[0]])
                case "wait":
                    chain.extend([Block(Call(STRANGER, "wait", (details[0],))), *map(Block, TRADE)])
                case "reorganise":
                    calls, depth, salt = details
                    chain.reorganise(depth, [Block(call, salt) for call in calls])
            indexer.update()
            check(record)


def test_energy_that_is_drawn_later_counts_in_the_period_of_its_match(record: Record) -> None:
    chain = FakeChain([POST, NEED, MATCH, WAIT])
    indexer = Indexer(record, chain)
    indexer.update()
    before = kept(record, 0)
    chain.extend([Block(DRAW)])
    indexer.update()
    drawn = {key for key, value in kept(record, 0).items() if value["drawn"]}
    (changed,) = drawn - {key for key, value in before.items() if value["drawn"]}
    assert changed == (0, chain.ledger.current_period() * PERIOD - PERIOD)
    chain.reorganise(1, [Block(None, 1)] * 2)
    indexer.update()
    assert kept(record, 0) == before


def test_a_record_that_had_no_sums_gets_them_when_it_is_opened(place: str) -> None:
    with Record.open(place) as record:
        Indexer(record, PaidChain(BATCHES)).update()
        before = [kept(record, level) for level in (0, *sums.LEVELS)]
        with record.writing() as connection:
            tables.sums.drop(connection)
            connection.execute(text("DROP INDEX transactions_by_hash"))
            connection.execute(update(tables.about).values(value=WITHOUT_SUMS))
    with Record.open(place, must_exist=True) as record:
        assert [kept(record, level) for level in (0, *sums.LEVELS)] == before
        with record.reading() as connection:
            assert connection.scalar(select(tables.about.c.value)) == FORMAT


@pytest.mark.parametrize(
    ("level", "meter", "values", "said"),
    [
        (0, 0, {"gas": 1}, "level 0, meter 0, bucket .*: gas: the record says 1, its rows 0"),
        (3_600, 2, {"needed_wh": 1}, "level 3600, meter 2, .*: needed_wh: the record says 1, its"),
        (86_400, 0, {"cost_wei": 1}, "level 86400, meter 0, .*: cost_wei: the record says 1"),
        (sums.FOUR_WEEKS, 1, {}, "level 2419200, meter 1, .*: the row is missing"),
        (86_400, 1, {"level": 7}, "the row is missing|the row follows from nothing"),
    ],
)
def test_the_audit_finds_a_sum_that_was_altered(
    tmp_path: Path, level: int, meter: int, values: dict[str, int], said: str
) -> None:
    with Record.open(tmp_path / "record.sqlite") as record:
        Indexer(record, FakeChain(BATCHES)).update()
        assert audit_record(record, record.market()).clean
        of = (tables.sums.c.level == level) & (tables.sums.c.meter == meter)
        with record.writing() as connection:
            changed = update(tables.sums).values(values) if values else delete(tables.sums)
            assert connection.execute(changed.where(of)).rowcount == 1
        report = audit_record(record, record.market())
        assert not report.clean
        assert re.search(said, report.difference), report.difference


def test_the_audit_finds_a_sum_of_nothing(tmp_path: Path) -> None:
    with Record.open(tmp_path / "record.sqlite") as record:
        Indexer(record, FakeChain(BATCHES)).update()
        with record.writing() as connection:
            row = connection.execute(select(tables.sums).limit(1)).one()._asdict()
            connection.execute(insert(tables.sums).values({**row, "level": 7}))
        said = audit_record(record, record.market()).difference
        assert said.startswith("table sums, level 7, ")
        assert said.endswith("the row follows from nothing")


# ------------------------------------------------------------------ ranges

DAYS = [Call(STRANGER, "wait", (seconds,)) for seconds in (4_000, 86_400, 90_000, 30 * 86_400)]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    """A record of trades on different hours and days, over a change of the clocks."""
    calls = [call for wait in DAYS * 3 for call in (*TRADE, WAIT, *BATCHES[:2], MATCH, wait)]
    with Record.open(tmp_path_factory.mktemp("months") / "record.sqlite") as record:
        Indexer(record, PaidChain(calls)).update()
        yield record


def within(record: Record, begin: int, end: int, meter: int) -> Sum:
    """What a range comes to, from the rows."""
    found = Sum()
    for (of, moment), values in expected(record, PERIOD).items():
        if of == meter and begin <= moment < end:
            found += Sum(**values)
    return found


def test_a_range_is_what_its_periods_come_to(months: Record) -> None:
    (market,) = months.markets()
    start, stop = months.began(market), market.cursor_time
    assert start is not None
    edges = [
        start - 900,
        start + 1_000,
        start + 8_000,
        start + 3 * 86_400,
        stop - 5_000,
        stop + 900,
    ]
    with months.reading() as connection:
        for begin, end in [(a, b) for a in edges for b in edges if a < b]:
            assert ranges.total(connection, market, begin, end) == within(months, begin, end, 0)
            homes = ranges.by_meter(connection, market, begin, end)
            for meter in range(1, 6):
                told = within(months, begin, end, meter)
                assert homes.get(meter, Sum()) == told
                one = ranges.by_meter(connection, market, begin, end, meter)
                assert one.get(meter, Sum()) == told
                assert one.keys() <= {meter}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("meter", [None, 2])
def test_a_series_is_whole_and_by_the_clocks_of_its_zone(
    months: Record, zone: str, meter: int | None
) -> None:
    (market,) = months.markets()
    place = ZoneInfo(zone)
    start = months.began(market) or 0
    begin, end = ranges.rounded(market, start, market.cursor_time)
    with months.reading() as connection:
        for series in (
            ranges.days(connection, market, begin, end, place, meter),
            ranges.hours(connection, market, begin, end, place, meter)[:2_000],
        ):
            assert series[0].begin == begin
            for one, other in pairwise(series):
                assert one.end == other.begin
            for bucket in [*series[::7], *(each for each in series if each.sum != Sum())]:
                assert bucket.sum == within(months, bucket.begin, bucket.end, meter or 0)
        days = ranges.days(connection, market, begin, end, place, meter)
    assert days[-1].end == end
    for day in days[1:]:
        shown = datetime.fromtimestamp(day.begin, UTC).astimezone(place)
        assert (shown.hour, shown.minute) == (0, 0)


@pytest.mark.parametrize("meter", [None, 2])
def test_a_series_has_every_period(months: Record, meter: int | None) -> None:
    (market,) = months.markets()
    start = months.began(market) or 0
    begin = start - start % PERIOD
    with months.reading() as connection:
        series = ranges.periods(connection, market, begin, begin + 40 * PERIOD, meter)
    assert [bucket.begin for bucket in series] == [begin + n * PERIOD for n in range(40)]
    for bucket in series:
        assert bucket.sum == within(months, bucket.begin, bucket.end, meter or 0)


def test_where_orders_never_expire_an_hour_is_the_shortest_range(tmp_path: Path) -> None:
    with Record.open(tmp_path / "record.sqlite") as record:
        calls = [call for wait in DAYS for call in (*TRADE, wait)]
        Indexer(record, FakeChain(calls, period_length=0)).update()
        (market,) = record.markets()
        start = record.began(market) or 0
        begin, end = ranges.rounded(market, start, market.cursor_time)
        assert (begin % 3_600, end % 3_600) == (0, 0)
        with record.reading() as connection:
            whole = ranges.total(connection, market, begin, end)
            assert whole.matches == len(rows_of(record)["matches"]) > len(DAYS)
            series = ranges.days(connection, market, begin, end, ZoneInfo("Asia/Kolkata"))
            assert sum((bucket.sum for bucket in series), Sum()) == whole
            hours = ranges.hours(connection, market, begin, end, UTC, 1)
            assert sum(bucket.sum.sold for bucket in hours) == whole.sold


@given(st.integers(0, 10**7), st.integers(0, 10**7))
@settings(DETERMINISTIC)
def test_the_pieces_of_a_range_follow_each_other_and_are_whole(begin: int, end: int) -> None:
    at = begin
    for piece in cover(begin, end, (sums.FOUR_WEEKS, sums.DAY, sums.HOUR)):
        assert piece.begin == at < piece.end
        if piece.level:
            assert piece.begin % piece.level == piece.end % piece.level == 0
        at = piece.end
    assert at == max(begin, end) or begin >= end
