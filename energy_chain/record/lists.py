"""Lists of what is in a record, a page at a time, each row with the transaction behind it.

A page begins after the key of the last row of the one before, so that it takes the same
time wherever it is and shows no row twice while others are written. Rows are in the order
of the chain, or the latest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    func,
    literal,
    select,
    tuple_,
    union_all,
)

from energy_chain.record.identity import MarketRow
from energy_chain.record.sums import unit
from energy_chain.record.tables import (
    blocks,
    consumption,
    events,
    matches,
    meters,
    orders,
    periods,
    transactions,
)
from energy_chain.signing import Kind

Key = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows of a list are wanted.

    Attributes:
        limit: the most rows.
        after: the key of the row before the first; from the begin of the list when None.
        latest: the latest first.
        begin, end: Unix times; of rows whose period begins within them.
        meter: a meter number; all meters when None.
        kind: requests or releases; both when None.
    """

    limit: int
    after: Key | None = None
    latest: bool = True
    begin: int | None = None
    end: int | None = None
    meter: int | None = None
    kind: Kind | None = None


def block_at(connection: Connection, market: MarketRow, moment: int) -> int:
    """The first number from which on all blocks of the record are of a Unix time or later."""
    number, low, high = blocks.c.number, market.first_block, market.cursor_block + 1
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(
            select(number, blocks.c.timestamp)
            .where((blocks.c.market == market.id) & (number >= middle))
            .order_by(number)
            .limit(1)
        ).first()
        if found is None or found.timestamp >= moment:
            high = middle
        else:
            low = found.number + 1
    return low


def orders_page(connection: Connection, market: MarketRow, asked: Asked) -> list[Any]:
    """Orders: the columns of the table, `address`, `matched`, `timestamp` and `hash`.

    Their key is period, kind and counter. Requests come before releases in a period.
    """
    of = orders.c
    where = [_in_time(connection, market, orders, asked)]
    if asked.meter is not None:
        where.append(of.meter == asked.meter)
    if asked.kind is not None:
        where.append(of.kind + 0 == int(asked.kind))  # or SQLite would sort the whole side
    chosen = _chosen(orders, where, (of.period, of.kind, of.counter), asked)
    return _orders(connection, market, chosen, asked.latest)


def order_at(connection: Connection, market: MarketRow, kind: Kind, counter: int) -> Any:
    """One of them; None where there is none."""
    of = orders.c
    chosen = select(orders).where(
        (of.market == market.id) & (of.kind == int(kind)) & (of.counter == counter)
    )
    return next(iter(_orders(connection, market, chosen, True)), None)


def _orders(
    connection: Connection, market: MarketRow, chosen: Select[Any], latest: bool
) -> list[Any]:
    of = chosen.subquery("chosen")
    filled = {
        kind: select(func.coalesce(func.sum(matches.c.energy_wh), 0))
        .where((matches.c.market == market.id) & (column == of.c.counter))
        .correlate(of)
        .scalar_subquery()
        for kind, column in (
            (Kind.REQUEST, matches.c.request_counter),
            (Kind.RELEASE, matches.c.release_counter),
        )
    }
    matched = case(
        (of.c.kind == int(Kind.REQUEST), filled[Kind.REQUEST]), else_=filled[Kind.RELEASE]
    )
    shown = select(of, _address(market, of.c.meter).label("address"), matched.label("matched"))
    return _told(connection, market, shown, of, (of.c.period, of.c.kind, of.c.counter), latest)


def matches_page(connection: Connection, market: MarketRow, asked: Asked) -> list[Any]:
    """Matches: the columns of the table, both addresses, `drawn`, `timestamp` and `hash`.

    Their key is period and index; a meter's are those on either side.
    """
    of, within = matches.c, _in_time(connection, market, matches, asked)
    key = (of.period, of.match_index)
    if asked.meter is None:
        chosen = _chosen(matches, [within], key, asked)
    else:
        # Each side by its own index; a match of a home with itself is in one of them.
        me = asked.meter
        sides = (of.producer == me, (of.consumer == me) & (of.producer + 0 != me))
        both = union_all(
            *(select(_chosen(matches, [within, side], key, asked).subquery()) for side in sides)
        ).subquery()
        chosen = (
            select(both)
            .order_by(*_ordered((both.c.period, both.c.match_index), asked.latest))
            .limit(asked.limit)
        )
    return _matches(connection, market, chosen, asked.latest)


def match_at(connection: Connection, market: MarketRow, index: int) -> Any:
    """One of them; None where there is none."""
    chosen = select(matches).where(
        (matches.c.market == market.id) & (matches.c.match_index == index)
    )
    return next(iter(_matches(connection, market, chosen, True)), None)


def _matches(
    connection: Connection, market: MarketRow, chosen: Select[Any], latest: bool
) -> list[Any]:
    of = chosen.subquery("chosen")
    drawn = (
        select(func.coalesce(func.sum(consumption.c.energy_wh), 0))
        .where(
            (consumption.c.market == market.id) & (consumption.c.match_index == of.c.match_index)
        )
        .correlate(of)
        .scalar_subquery()
    )
    shown = select(
        of,
        _address(market, of.c.producer).label("producer_address"),
        _address(market, of.c.consumer).label("consumer_address"),
        drawn.label("drawn"),
    )
    return _told(connection, market, shown, of, (of.c.period, of.c.match_index), latest)


def confirmations(connection: Connection, market: MarketRow, index: int) -> list[Any]:
    """What was confirmed of a match: the columns of the table, `timestamp` and `hash`."""
    chosen = select(consumption).where(
        (consumption.c.market == market.id) & (consumption.c.match_index == index)
    )
    of = chosen.subquery("chosen")
    return _told(connection, market, select(of), of, (of.c.block, of.c.log_index), False)


def periods_page(connection: Connection, market: MarketRow, asked: Asked) -> list[Any]:
    """Periods that somebody's call opened: the columns of the table, `timestamp` and `hash`.

    Their key is the period.
    """
    of = periods.c
    chosen = _chosen(periods, [_in_time(connection, market, periods, asked)], (of.period,), asked)
    found = chosen.subquery("chosen")
    return _told(connection, market, select(found), found, (found.c.period,), asked.latest)


def period_at(connection: Connection, market: MarketRow, period: int) -> Any:
    """One of them; None where there is none."""
    of = (
        select(periods)
        .where((periods.c.market == market.id) & (periods.c.period == period))
        .subquery("chosen")
    )
    return next(iter(_told(connection, market, select(of), of, (of.c.period,), False)), None)


def transactions_page(connection: Connection, market: MarketRow, asked: Asked) -> list[Any]:
    """Transactions: the columns of the table, and `timestamp`. Their key is block and position."""
    of = transactions.c
    where = [of.market == market.id, *_in_blocks(connection, market, of.block, asked)]
    chosen = _chosen(transactions, where, (of.block, of.position), asked)
    return _transactions(connection, market, chosen, asked.latest)


def transaction_at(connection: Connection, market: MarketRow, hash: str) -> Any:
    """One of them; None where there is none."""
    chosen = select(transactions).where(
        (transactions.c.market == market.id) & (transactions.c.hash == hash)
    )
    return next(iter(_transactions(connection, market, chosen, True)), None)


def _transactions(
    connection: Connection, market: MarketRow, chosen: Select[Any], latest: bool
) -> list[Any]:
    of = chosen.subquery("chosen")
    asked = (
        select(of, blocks.c.timestamp)
        .join(blocks, (blocks.c.market == market.id) & (blocks.c.number == of.c.block))
        .order_by(*_ordered((of.c.block, of.c.position), latest))
    )
    return list(connection.execute(asked))


def events_of(connection: Connection, market: MarketRow, wanted: Sequence[Any]) -> list[Any]:
    """The events of transactions, in the order of the chain, as the table has them."""
    if not wanted:
        return []
    of, numbers = events.c, [each.block for each in wanted]
    here = {(each.block, each.position) for each in wanted}
    asked = (
        select(events)
        .where((of.market == market.id) & of.block.between(min(numbers), max(numbers)))
        .order_by(of.block, of.log_index)
    )
    return [row for row in connection.execute(asked) if (row.block, row.position) in here]


def partners(
    connection: Connection, market: MarketRow, meter: int, begin: int, end: int
) -> list[Any]:
    """Who a meter traded with in a range: `meter`, `address`, `sold`, `bought`, `matches`.

    The one with whom it traded most comes first. Matches with itself are left out.
    """
    of, zero = matches.c, literal(0)
    within = _in_time(connection, market, matches, Asked(0, begin=begin, end=end))
    other = of.producer != of.consumer
    both = union_all(
        select(of.consumer.label("meter"), of.energy_wh.label("sold"), zero.label("bought")).where(
            within & other & (of.producer == meter)
        ),
        select(of.producer.label("meter"), zero.label("sold"), of.energy_wh.label("bought")).where(
            within & other & (of.consumer == meter)
        ),
    ).subquery("both")
    traded = (
        select(
            both.c.meter,
            func.sum(both.c.sold).label("sold"),
            func.sum(both.c.bought).label("bought"),
            func.count().label("matches"),
        )
        .group_by(both.c.meter)
        .subquery("traded")
    )
    asked = select(traded, _address(market, traded.c.meter).label("address")).order_by(
        (traded.c.sold + traded.c.bought).desc(), traded.c.meter
    )
    return list(connection.execute(asked))


def _chosen(
    table: Table, where: Sequence[ColumnElement[bool]], key: Sequence[Any], asked: Asked
) -> Select[Any]:
    of = select(table).where(*where)
    if asked.after is not None:
        here, there = tuple_(*key), tuple_(*(literal(part) for part in asked.after))
        # The bound of the first column alone is what an index is searched with in any case.
        first, bound = key[0], asked.after[0]
        of = of.where(
            and_(here < there, first <= bound)
            if asked.latest
            else and_(here > there, first >= bound)
        )
    return of.order_by(*_ordered(key, asked.latest)).limit(asked.limit)


def _ordered(key: Sequence[Any], latest: bool) -> list[Any]:
    return [column.desc() if latest else column for column in key]


def _in_time(
    connection: Connection, market: MarketRow, table: Table, asked: Asked
) -> ColumnElement[bool]:
    parts = [table.c.market == market.id]
    if not market.period_length:
        return and_(*parts, *_in_blocks(connection, market, table.c.block, asked))
    if asked.begin is not None:
        parts.append(table.c.period >= -(-asked.begin // market.period_length))
    if asked.end is not None:
        parts.append(table.c.period < -(-asked.end // market.period_length))
    return and_(*parts)


def _in_blocks(
    connection: Connection, market: MarketRow, block: Any, asked: Asked
) -> list[ColumnElement[bool]]:
    """Whether the period of a block begins within the times."""
    size, parts = unit(market), []
    if asked.begin is not None:
        first = -(-asked.begin // size) * size
        parts.append(block >= block_at(connection, market, first))
    if asked.end is not None:
        end = -(-asked.end // size) * size
        parts.append(block < block_at(connection, market, end))
    return parts


def _address(market: MarketRow, number: ColumnElement[Any]) -> Any:
    return (
        select(func.min(meters.c.address))
        .where((meters.c.market == market.id) & (meters.c.number == number))
        .scalar_subquery()
    )


def _told(
    connection: Connection,
    market: MarketRow,
    shown: Select[Any],
    of: Any,
    key: Sequence[Any],
    latest: bool,
) -> list[Any]:
    """With the time and the transaction of each row."""
    log, sent = events, transactions
    asked = (
        shown.add_columns(blocks.c.timestamp, sent.c.hash)
        .join(blocks, (blocks.c.market == market.id) & (blocks.c.number == of.c.block))
        .outerjoin(
            log,
            (log.c.market == market.id)
            & (log.c.block == of.c.block)
            & (log.c.log_index == of.c.log_index),
        )
        .outerjoin(
            sent,
            (sent.c.market == market.id)
            & (sent.c.block == of.c.block)
            & (sent.c.position == log.c.position),
        )
        .order_by(*_ordered(key, latest))
    )
    return list(connection.execute(asked))
