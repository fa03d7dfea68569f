"""How a market stands as of the last block that was read: its meters, its queues, its pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from energy_chain.market import Address
from energy_chain.record.identity import MarketRow
from energy_chain.record.tables import PAUSES, events, is_pause, matches, meters, orders, periods
from energy_chain.signing import Kind


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter: its number and address, and whether it was retired."""

    number: int
    address: Address
    retired: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """Orders that may still be matched.

    Attributes:
        orders: how many.
        energy: Wh that is left of them.
        by_meter: Wh of them, by meter number.
    """

    orders: int = 0
    energy: int = 0
    by_meter: Mapping[int, int] = field(default_factory=dict)


def meters_standing(connection: Connection, market: MarketRow) -> dict[int, Meter]:
    """Every meter ever registered, by its number."""
    asked = (
        select(meters.c.number, meters.c.address, meters.c.registered)
        .where(meters.c.market == market.id)
        .order_by(meters.c.block, meters.c.log_index)
    )
    found = {
        number: Meter(number, address, not registered)
        for number, address, registered in connection.execute(asked)
    }
    return dict(sorted(found.items()))


def paused(connection: Connection, market: MarketRow) -> bool:
    """Whether posting and matching are stopped."""
    of = events.c
    latest = connection.scalar(
        select(of.name)
        .where((of.market == market.id) & is_pause(of.name))
        .order_by(of.block.desc(), of.log_index.desc())
        .limit(1)
    )
    return latest == PAUSES[0]


def queues(connection: Connection, market: MarketRow) -> dict[Kind, Queue]:
    """The queue of each side; empty where no order of the current period was posted yet."""
    opened = connection.execute(
        select(periods)
        .where(periods.c.market == market.id)
        .order_by(periods.c.period.desc())
        .limit(1)
    ).first()
    if not market.period_length:
        return {kind: _queue(connection, market, kind, 0) for kind in Kind}
    if opened is None or opened.period != market.current_period:
        return {kind: Queue() for kind in Kind}
    first = {Kind.REQUEST: opened.first_request, Kind.RELEASE: opened.first_release}
    return {kind: _queue(connection, market, kind, first[kind]) for kind in Kind}


def _queue(connection: Connection, market: MarketRow, kind: Kind, first: int) -> Queue:
    """Orders are filled in the order of their counters: the one that was filled last is first."""
    filled = matches.c.request_counter if kind is Kind.REQUEST else matches.c.release_counter
    here = matches.c.market == market.id
    head = connection.scalar(select(func.max(filled)).where(here & (filled >= first)))
    taken = 0
    if head is not None:
        first = head
        taken = connection.scalar(
            select(func.sum(matches.c.energy_wh)).where(here & (filled == head))
        )
    of = orders.c
    asked = (
        select(of.meter, of.energy_wh)
        .where((of.market == market.id) & (of.kind == int(kind)) & (of.counter >= first))
        .order_by(of.counter)
    )
    number, energy, by_meter = 0, 0, dict[int, int]()
    for meter, posted in connection.execute(asked):
        left, taken = posted - int(taken or 0), 0
        if left > 0:
            number += 1
            energy += left
            if meter is not None:
                by_meter[meter] = by_meter.get(meter, 0) + left
    return Queue(number, energy, by_meter)
