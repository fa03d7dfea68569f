"""What people ask a record: orders and what became of them, matches, usage, totals.

Each query is one statement of SQL, of one market and, where that is asked for, of
some periods and one meter. Energies are Wh, periods are numbers of the market.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Subquery,
    Table,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)

from energy_chain.errors import InvalidInput
from energy_chain.market import Address
from energy_chain.record.identity import MarketRow
from energy_chain.record.store import Record
from energy_chain.record.tables import (
    blocks,
    consumption,
    matches,
    meters,
    orders,
    periods,
    transactions,
)
from energy_chain.signing import Kind

FETCHED = 1_000
"""Rows that are fetched at a time."""


class OrderState(StrEnum):
    """What became of an order, as of the last block that was read."""

    PENDING = "pending"
    MATCHED = "matched"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a market a query is about.

    Attributes:
        first_period: the first period; from the beginning when None.
        last_period: the last period, itself included; to the end when None.
        meter: a meter number; all meters when None.
    """

    first_period: int | None = None
    last_period: int | None = None
    meter: int | None = None


ALL = Wanted()


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order and what became of it.

    Attributes:
        kind: request or release.
        counter: its place among all orders of its kind.
        meter: the number of its meter; None where no such meter was registered.
        address: of the meter.
        energy: Wh.
        matched: Wh of it that were matched.
        state: as of the last block that was read.
        period: in which it was posted.
        signed: whether its meter signed it.
        block: in which it was posted.
        time: Unix time of that block.
    """

    kind: Kind
    counter: int
    meter: int | None
    address: Address | None
    energy: int
    matched: int
    state: OrderState
    period: int
    signed: bool
    block: int
    time: int


@dataclass(frozen=True, slots=True)
class MatchLine:
    """A match.

    Attributes:
        index: its place among all matches.
        producer, consumer: their meter numbers.
        producer_address, consumer_address: of these meters.
        energy: Wh.
        consumed: Wh of it that were confirmed as drawn.
        request_counter, release_counter: the orders that it fills; None where it does not follow
            from the orders.
        period: in which it was written.
        block: in which it was written.
        time: Unix time of that block.
    """

    index: int
    producer: int
    consumer: int
    producer_address: Address | None
    consumer_address: Address | None
    energy: int
    consumed: int
    request_counter: int | None
    release_counter: int | None
    period: int
    block: int
    time: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a meter did in a period, or in several that are taken together. Energies in Wh.

    Attributes:
        meter: its number.
        period: the first of the periods.
        offered, needed: of its requests and of its releases.
        sold, bought: of its matches as producer and as consumer; `own` is in both.
        own: of matches in which it is both.
        drawn: of what it bought, so much was confirmed as drawn.
    """

    meter: int
    period: int
    offered: int
    needed: int
    sold: int
    bought: int
    own: int
    drawn: int


@dataclass(frozen=True, slots=True)
class MeterLine:
    """A meter was registered, or retired.

    Attributes:
        number: of the meter.
        address: of the meter.
        registered: whether it was registered; retired otherwise.
        block: in which that happened.
        time: Unix time of that block.
    """

    number: int
    address: Address
    registered: bool
    block: int
    time: int


@dataclass(frozen=True, slots=True)
class TransactionLine:
    """A transaction that made the market log something.

    Attributes:
        block: in which it is.
        time: Unix time of that block.
        hash: of the transaction.
        sender: who paid for it.
        gas_used: units of gas.
        gas_price: wei that were paid for each of them.
    """

    block: int
    time: int
    hash: str
    sender: Address
    gas_used: int
    gas_price: int


@dataclass(frozen=True, slots=True)
class Totals:
    """A market, added up. Energies in Wh.

    Attributes:
        meters: meters ever registered.
        periods: delivery periods that began.
        requests, releases, matches: how many.
        offered, needed, matched, consumed: their energies.
        transactions: that made the market log something.
        gas: that they used.
        wei: that they cost.
    """

    meters: int
    periods: int
    requests: int
    releases: int
    matches: int
    offered: int
    needed: int
    matched: int
    consumed: int
    transactions: int
    gas: int
    wei: int


def orders_of(record: Record, market: MarketRow, wanted: Wanted = ALL) -> Iterator[OrderLine]:
    """The orders, the requests first, each side in the order of its counters."""
    filled = {
        kind: select(func.coalesce(func.sum(matches.c.energy_wh), 0))
        .where((matches.c.market == market.id) & (counter == orders.c.counter))
        .correlate(orders)
        .scalar_subquery()
        for kind, counter in (
            (Kind.REQUEST, matches.c.request_counter),
            (Kind.RELEASE, matches.c.release_counter),
        )
    }
    matched = case(
        (orders.c.kind == int(Kind.REQUEST), filled[Kind.REQUEST]), else_=filled[Kind.RELEASE]
    )
    of = _addresses(market)
    statement = (
        select(orders, of.c.address, matched.label("matched"), blocks.c.timestamp)
        .join(blocks, _block_of(orders, market))
        .outerjoin(of, of.c.number == orders.c.meter)
        .where(_within(orders, market, wanted, orders.c.meter))
        .order_by(*_by(wanted, orders.c.kind, orders.c.counter))
    )
    for row in _rows(record, statement):
        matched_wh = int(row.matched)
        if matched_wh >= row.energy_wh:
            state = OrderState.MATCHED
        else:
            over = row.period < market.current_period
            state = OrderState.EXPIRED if over else OrderState.PENDING
        yield OrderLine(
            kind=Kind(row.kind),
            counter=row.counter,
            meter=row.meter,
            address=row.address,
            energy=row.energy_wh,
            matched=matched_wh,
            state=state,
            period=row.period,
            signed=row.signed,
            block=row.block,
            time=row.timestamp,
        )


def matches_of(record: Record, market: MarketRow, wanted: Wanted = ALL) -> Iterator[MatchLine]:
    """The matches, in the order in which they were written; a meter's on either side."""
    consumed = (
        select(func.coalesce(func.sum(consumption.c.energy_wh), 0))
        .where(
            (consumption.c.market == market.id)
            & (consumption.c.match_index == matches.c.match_index)
        )
        .correlate(matches)
        .scalar_subquery()
    )
    producer, consumer = _addresses(market, "producers"), _addresses(market, "consumers")
    statement = (
        select(
            matches,
            producer.c.address.label("producer_address"),
            consumer.c.address.label("consumer_address"),
            consumed.label("consumed"),
            blocks.c.timestamp,
        )
        .join(blocks, _block_of(matches, market))
        .outerjoin(producer, producer.c.number == matches.c.producer)
        .outerjoin(consumer, consumer.c.number == matches.c.consumer)
        .where(_within(matches, market, wanted, matches.c.producer, matches.c.consumer))
        .order_by(*_by(wanted, matches.c.match_index))
    )
    for row in _rows(record, statement):
        yield MatchLine(
            index=row.match_index,
            producer=row.producer,
            consumer=row.consumer,
            producer_address=row.producer_address,
            consumer_address=row.consumer_address,
            energy=row.energy_wh,
            consumed=int(row.consumed),
            request_counter=row.request_counter,
            release_counter=row.release_counter,
            period=row.period,
            block=row.block,
            time=row.timestamp,
        )


def usage_of(
    record: Record, market: MarketRow, wanted: Wanted = ALL, together: int = 1
) -> Iterator[Usage]:
    """What each meter did in each period in which it did something, by period and meter.

    Args:
        record: the record.
        market: the market in it.
        wanted: which part of it.
        together: how many periods are taken together, counted from the first one wanted: 96
            quarters of an hour are a day.

    Raises:
        InvalidInput: `together` is less than 1.
    """
    if together < 1:
        raise InvalidInput(f"{together} periods cannot be taken together: give 1 or more")
    origin = (wanted.first_period or 0) % together
    drawn = (
        select(func.coalesce(func.sum(consumption.c.energy_wh), 0))
        .where(
            (consumption.c.market == market.id)
            & (consumption.c.match_index == matches.c.match_index)
        )
        .correlate(matches)
        .scalar_subquery()
    )
    zero = literal(0)
    own = case((matches.c.producer == matches.c.consumer, matches.c.energy_wh), else_=0)

    def part(table: Any, meter: Any, *energies: Any) -> Any:
        columns = zip(
            ("offered", "needed", "sold", "bought", "own", "drawn"), energies, strict=True
        )
        return select(
            meter.label("meter"),
            table.c.period.label("period"),
            *(energy.label(name) for name, energy in columns),
        ).where(_within(table, market, wanted, meter) & meter.is_not(None))

    offers = case((orders.c.kind == int(Kind.REQUEST), orders.c.energy_wh), else_=0)
    needs = case((orders.c.kind == int(Kind.RELEASE), orders.c.energy_wh), else_=0)
    energy = matches.c.energy_wh
    done = union_all(
        part(orders, orders.c.meter, offers, needs, zero, zero, zero, zero),
        part(matches, matches.c.producer, zero, zero, energy, zero, own, zero),
        part(matches, matches.c.consumer, zero, zero, zero, energy, zero, drawn),
    ).subquery()
    first = done.c.period - (done.c.period - origin) % together
    statement = (
        select(
            done.c.meter,
            first.label("first"),
            *(
                func.sum(done.c[name]).label(name)
                for name in ("offered", "needed", "sold", "bought", "own", "drawn")
            ),
        )
        .group_by(first, done.c.meter)
        .order_by(first, done.c.meter)
    )
    for row in _rows(record, statement):
        sums = (row.offered, row.needed, row.sold, row.bought, row.own, row.drawn)
        yield Usage(row.meter, row.first, *map(int, sums))


def totals_of(record: Record, market: MarketRow) -> Totals:
    """The whole market, added up."""

    def of(table: Any, *what: Any, only: ColumnElement[bool] | None = None) -> Any:
        wanted = table.c.market == market.id
        return select(*what).where(wanted if only is None else wanted & only)

    count, wh = func.count(), orders.c.energy_wh
    with record.reading() as connection:
        posted = [
            connection.execute(of(orders, count, func.sum(wh), only=orders.c.kind == int(kind)))
            for kind in (Kind.REQUEST, Kind.RELEASE)
        ]
        (requests, offered), (releases, needed) = (each.one() for each in posted)
        written, matched = connection.execute(
            of(matches, count, func.sum(matches.c.energy_wh))
        ).one()
        consumed = connection.scalar(of(consumption, func.sum(consumption.c.energy_wh)))
        # Wei are added up here: a database's integers hold nine ether.
        gas_used, price = transactions.c.gas_used, transactions.c.gas_price
        costs = [
            (number, int(gas), price)
            for price, number, gas in connection.execute(
                of(transactions, price, count, func.sum(gas_used)).group_by(price)
            )
        ]
        registered = connection.scalar(of(meters, func.count(meters.c.number.distinct())))
        opened = connection.scalar(of(periods, func.count(periods.c.period.distinct())))
    return Totals(
        meters=int(registered or 0),
        periods=int(opened or 0),
        requests=requests,
        releases=releases,
        matches=written,
        offered=int(offered or 0),
        needed=int(needed or 0),
        matched=int(matched or 0),
        consumed=int(consumed or 0),
        transactions=sum(number for number, _, _ in costs),
        gas=sum(gas for _, gas, _ in costs),
        wei=sum(gas * price for _, gas, price in costs),
    )


def meters_of(record: Record, market: MarketRow) -> dict[int, Address]:
    """The address of each meter number, registered or retired."""
    of = _addresses(market)
    statement = select(of.c.number, of.c.address).order_by(of.c.number)
    return {row.number: row.address for row in _rows(record, statement)}


def meter_lines_of(record: Record, market: MarketRow) -> Iterator[MeterLine]:
    """Each time a meter was registered or retired, in the order of the chain."""
    statement = (
        select(meters, blocks.c.timestamp)
        .join(blocks, _block_of(meters, market))
        .where(meters.c.market == market.id)
        .order_by(meters.c.block, meters.c.log_index)
    )
    for row in _rows(record, statement):
        yield MeterLine(row.number, row.address, row.registered, row.block, row.timestamp)


def transactions_of(record: Record, market: MarketRow) -> Iterator[TransactionLine]:
    """The transactions, in the order of the chain."""
    of = transactions
    statement = (
        select(of, blocks.c.timestamp)
        .join(blocks, _block_of(of, market))
        .where(of.c.market == market.id)
        .order_by(of.c.block, of.c.position)
    )
    for row in _rows(record, statement):
        yield TransactionLine(
            row.block, row.timestamp, row.hash, row.sender, row.gas_used, row.gas_price
        )


def _addresses(market: MarketRow, name: str = "addresses") -> Subquery:
    return (
        select(meters.c.number, func.min(meters.c.address).label("address"))
        .where(meters.c.market == market.id)
        .group_by(meters.c.number)
        .subquery(name)
    )


def _block_of(table: Table, market: MarketRow) -> ColumnElement[bool]:
    """Joins the block that a row was read in, for its time."""
    return and_(blocks.c.market == market.id, blocks.c.number == table.c.block)


def _within(table: Any, market: MarketRow, wanted: Wanted, *meter: Any) -> ColumnElement[bool]:
    parts = [table.c.market == market.id]
    if wanted.first_period is not None:
        parts.append(table.c.period >= wanted.first_period)
    if wanted.last_period is not None:
        parts.append(table.c.period <= wanted.last_period)
    if wanted.meter is not None:
        parts.append(or_(*(column == wanted.meter for column in meter)))
    return and_(*parts)


def _by(wanted: Wanted, *columns: ColumnElement[int]) -> list[ColumnElement[int]]:
    # Of a part, SQLite would rather read the whole market in this order than sort what is wanted.
    return list(columns) if wanted == ALL else [column + 0 for column in columns]


def _rows(record: Record, statement: Any) -> Iterator[Any]:
    with record.reading() as connection:
        yield from connection.execution_options(yield_per=FETCHED).execute(statement)
