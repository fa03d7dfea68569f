"""What people ask a record, against what the market itself says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import text

from energy_chain.errors import InvalidInput
from energy_chain.record import queries
from energy_chain.record.indexer import Indexer
from energy_chain.record.queries import (
    OrderState,
    Totals,
    Usage,
    Wanted,
    matches_of,
    meters_of,
    orders_of,
    totals_of,
    usage_of,
)
from energy_chain.record.store import Record
from energy_chain.signing import Kind
from tests.property.histories import DETERMINISTIC, histories
from tests.property.markets import METERS, Call
from tests.record.chains import Block, FakeChain
from tests.record.test_indexer import BATCHES, POST, TRADE, WAIT

HISTORY = [*BATCHES, POST, WAIT, *TRADE]
FIRST, SECOND = 1_777_778, 1_777_779
"""The periods: the batches and a post that expires, and the trade."""


@pytest.fixture
def traded(record: Record) -> Record:
    chain = FakeChain(HISTORY)
    Indexer(record, chain).update()
    return record


def test_orders_come_with_what_became_of_them(traded: Record) -> None:
    found = list(orders_of(traded, traded.market()))
    assert [(o.kind, o.counter, o.meter, o.energy, o.matched, o.state) for o in found] == [
        (Kind.REQUEST, 0, 1, 5, 5, OrderState.MATCHED),
        (Kind.REQUEST, 1, 3, 4, 2, OrderState.EXPIRED),
        (Kind.REQUEST, 2, 1, 5, 0, OrderState.EXPIRED),
        (Kind.REQUEST, 3, 1, 5, 3, OrderState.PENDING),
        (Kind.RELEASE, 0, 2, 6, 6, OrderState.MATCHED),
        (Kind.RELEASE, 1, 4, 1, 1, OrderState.MATCHED),
        (Kind.RELEASE, 2, 2, 3, 3, OrderState.MATCHED),
    ]
    assert {(o.meter, o.address) for o in found} == {(n, METERS[n - 1]) for n in (1, 2, 3, 4)}
    assert [o.period for o in found] == [FIRST] * 3 + [SECOND] + [FIRST] * 2 + [SECOND]
    market = FakeChain(HISTORY)
    assert [o.time for o in found] == [market.header(o.block).timestamp for o in found]


def test_an_order_is_expired_once_its_period_is_over_though_nobody_called(record: Record) -> None:
    chain = FakeChain([POST])
    Indexer(record, chain).update()
    chain.extend([Block(WAIT)])
    (order,) = orders_of(record, record.market())
    assert order.state is OrderState.PENDING
    Indexer(record, chain).update()
    (order,) = orders_of(record, record.market())
    assert order.state is OrderState.EXPIRED


def test_orders_of_a_market_without_periods_stay_pending(record: Record) -> None:
    Indexer(record, FakeChain([POST, WAIT], period_length=0)).update()
    (order,) = orders_of(record, record.market())
    assert (order.state, order.period) == (OrderState.PENDING, 0)


def test_matches_come_with_addresses_and_what_was_drawn(traded: Record) -> None:
    found = list(matches_of(traded, traded.market()))
    assert [(m.index, m.producer, m.consumer, m.energy, m.consumed) for m in found] == [
        (0, 1, 2, 5, 5),
        (1, 3, 2, 1, 1),
        (2, 3, 4, 1, 1),
        (3, 1, 2, 3, 2),
    ]
    assert [(m.request_counter, m.release_counter) for m in found] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (3, 2),
    ]
    assert all(m.producer_address == METERS[m.producer - 1] for m in found)
    assert all(m.consumer_address == METERS[m.consumer - 1] for m in found)


@pytest.mark.parametrize(
    ("wanted", "orders", "matches"),
    [
        (Wanted(first_period=SECOND), 2, 1),
        (Wanted(last_period=FIRST), 5, 3),
        (Wanted(FIRST, SECOND), 7, 4),
        (Wanted(meter=4), 1, 1),
        (Wanted(meter=3), 1, 2),
        (Wanted(first_period=SECOND, meter=3), 0, 0),
        (Wanted(meter=99), 0, 0),
    ],
)
def test_periods_and_a_meter_can_be_asked_for(
    traded: Record, wanted: Wanted, orders: int, matches: int
) -> None:
    market = traded.market()
    assert len(list(orders_of(traded, market, wanted))) == orders
    assert len(list(matches_of(traded, market, wanted))) == matches


def test_usage_is_told_by_period_and_meter(traded: Record) -> None:
    assert list(usage_of(traded, traded.market())) == [
        Usage(1, FIRST, offered=10, needed=0, sold=5, bought=0, own=0, drawn=0),
        Usage(2, FIRST, offered=0, needed=6, sold=0, bought=6, own=0, drawn=6),
        Usage(3, FIRST, offered=4, needed=0, sold=2, bought=0, own=0, drawn=0),
        Usage(4, FIRST, offered=0, needed=1, sold=0, bought=1, own=0, drawn=1),
        Usage(1, SECOND, offered=5, needed=0, sold=3, bought=0, own=0, drawn=0),
        Usage(2, SECOND, offered=0, needed=3, sold=0, bought=3, own=0, drawn=2),
    ]


def test_usage_of_one_meter_is_its_part_of_all(traded: Record) -> None:
    market = traded.market()
    for number in range(1, 6):
        assert list(usage_of(traded, market, Wanted(meter=number))) == [
            usage for usage in usage_of(traded, market) if usage.meter == number
        ]


def test_periods_are_taken_together_from_the_first_that_is_wanted(traded: Record) -> None:
    market = traded.market()
    assert list(usage_of(traded, market, Wanted(first_period=FIRST - 1, meter=1), 3)) == [
        Usage(1, FIRST - 1, offered=15, needed=0, sold=8, bought=0, own=0, drawn=0)
    ]
    firsts = [u.period for u in usage_of(traded, market, Wanted(FIRST, meter=1), together=1)]
    assert firsts == [FIRST, SECOND]


@pytest.mark.parametrize("together", [0, -1])
def test_no_periods_cannot_be_taken_together(traded: Record, together: int) -> None:
    with pytest.raises(InvalidInput, match="give 1 or more"):
        next(usage_of(traded, traded.market(), together=together))


def test_own_use_is_sold_and_bought_and_told(record: Record) -> None:
    chain = FakeChain(
        [
            Call(METERS[0], "post_request", (METERS[0], 5)),
            Call(METERS[0], "post_release", (METERS[0], 4)),
            Call(METERS[0], "match_pending", (1,)),
        ]
    )
    Indexer(record, chain).update()
    (usage,) = usage_of(record, record.market())
    assert (usage.sold, usage.bought, usage.own) == (4, 4, 4)


def test_everything_is_added_up(traded: Record) -> None:
    assert totals_of(traded, traded.market()) == Totals(
        meters=5,
        periods=2,
        requests=4,
        releases=3,
        matches=4,
        offered=19,
        needed=10,
        matched=10,
        consumed=9,
        transactions=12,
        gas=0,
        wei=0,
    )


def test_an_empty_market_adds_up_to_nothing(record: Record) -> None:
    Indexer(record, FakeChain())
    assert totals_of(record, record.market()) == Totals(*[0] * 12)


def test_every_meter_number_has_its_address(traded: Record) -> None:
    assert meters_of(traded, traded.market()) == dict(enumerate(METERS[:5], 1))


def test_a_query_is_read_while_another_is_asked(traded: Record) -> None:
    market = traded.market()
    for order in orders_of(traded, market):
        assert order.address == meters_of(traded, market)[order.meter]


@pytest.mark.parametrize(
    ("ask", "indexes"),
    [
        (orders_of, {"orders_by_meter", "matches_by_request", "matches_by_release"}),
        (matches_of, {"matches_by_producer", "matches_by_consumer", "consumption_by_match"}),
        (usage_of, {"orders_by_meter", "matches_by_producer", "consumption_by_match"}),
    ],
)
def test_a_meter_is_looked_up_in_sqlite_and_no_table_is_read_as_a_whole(
    ask: Any, indexes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []

    def explained(record: Record, statement: Any) -> Iterator[Any]:
        with record.reading() as connection:
            literal = {"literal_binds": True}
            asked = statement.compile(dialect=connection.dialect, compile_kwargs=literal)
            plans.extend(row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {asked}")))
        return iter(())

    monkeypatch.setattr(queries, "_rows", explained)
    with Record.temporary() as record:
        Indexer(record, FakeChain(HISTORY)).update()
        list(ask(record, record.market(), Wanted(FIRST, SECOND, 1)))
    plan = "\n".join(plans)
    assert {index for index in indexes if f"INDEX {index} " not in plan} == set()
    for table in ("orders", "matches", "consumption"):
        assert f"SCAN {table}" not in plan
        assert f"SEARCH {table} USING PRIMARY KEY (market=?)" not in plan


@given(history=histories(20, 50))
@settings(DETERMINISTIC, max_examples=12)
def test_usage_orders_and_matches_add_up_to_the_same(history: list[Call]) -> None:
    chain = FakeChain(history)
    with Record.temporary() as record:
        Indexer(record, chain).update()
        market = record.market()
        orders, matches = list(orders_of(record, market)), list(matches_of(record, market))
        usage, totals = list(usage_of(record, market)), totals_of(record, market)
    assert sum(u.offered for u in usage) == totals.offered
    assert sum(u.needed for u in usage) == totals.needed
    assert sum(u.sold for u in usage) == sum(u.bought for u in usage) == totals.matched
    assert sum(u.drawn for u in usage) == sum(m.consumed for m in matches) == totals.consumed
    assert sum(o.matched for o in orders) == 2 * totals.matched
    # What is pending is what the market itself says is pending.
    left: Counter[tuple[Kind, str | None]] = Counter()
    for order in orders:
        if order.state is OrderState.PENDING:
            left[order.kind, order.address] += order.energy - order.matched
    for meter in METERS[:5]:
        assert left[Kind.REQUEST, meter] == chain.ledger.request_energy(meter)
        assert left[Kind.RELEASE, meter] == chain.ledger.release_energy(meter)
