"""What follows from the events: orders, matches, which order a match fills, what was drawn.

The queues are kept beside the market's own: matches come first come, first served,
so the energy of a match is of the orders that are first in line. What the chain
says is written down as it says it, also where it breaks the market's rules, which
is for the audit to find; what has no place at all is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Table, func, select

from energy_chain import events as ev
from energy_chain.chain.event_codec import decode
from energy_chain.chain.mined import MinedBlock
from energy_chain.errors import ContradictoryChain
from energy_chain.market import MATCH_CAPACITY, Address, Fill, Release, Request
from energy_chain.record import tables
from energy_chain.signing import Kind

Row: TypeAlias = tuple[Any, ...]
"""The value of each column of a table, in the order of `tables`."""
Rows: TypeAlias = dict[Table, list[Row]]


class _Place(NamedTuple):
    """Where a log is, as the rows say it."""

    block: int
    log_index: int


@dataclass(slots=True)
class _Pending:
    """An order in its queue: Wh left of it."""

    counter: int
    meter: int | None
    left: int


@dataclass(slots=True)
class _Line:
    """One side's queue: the orders in it, and the counter of the next."""

    orders: deque[_Pending] = field(default_factory=deque)
    next_counter: int = 0


class Derivation:
    """Follows one market from block to block, and makes the rows of each."""

    def __init__(self, market: int) -> None:
        """Begins with an empty market, as it is before its deployment; `market` is its id."""
        self._market = market
        self._period = 0
        self._numbers: dict[Address, int] = {}
        self._lines = {kind: _Line() for kind in Kind}
        self._next_match = 0
        self._left: dict[int, int] = {}
        """Wh not drawn yet of the latest matches, at least of all that the market keeps."""

    @classmethod
    def resume(cls, connection: Connection, market: int) -> Derivation:
        """Goes on where the rows of a market end."""
        derivation = cls(market)
        derivation._load(connection)
        return derivation

    def rows_of(self, blocks: Iterable[MinedBlock]) -> Rows:
        """The rows that blocks leave behind, oldest first.

        Raises:
            ContradictoryChain: a log is none of the contract's, or is not the next of its kind.
        """
        rows: Rows = {table: [] for table in tables.APPENDED}
        for block in blocks:
            self._add(block, rows)
        return rows

    def _add(self, block: MinedBlock, rows: Rows) -> None:
        market, number = self._market, block.number
        rows[tables.blocks].append((market, number, block.hash, block.timestamp))
        for mined in block.transactions:
            rows[tables.transactions].append(
                (
                    *(market, number, mined.position, mined.hash),
                    *(mined.sender, mined.gas_used, mined.gas_price),
                )
            )
            for log in mined.logs:
                event = decode(log.topics, log.data)
                name, topics = type(event).__name__, b"".join(log.topics)
                rows[tables.events].append(
                    (market, number, log.index, mined.position, name, topics, log.data)
                )
                self._hear(event, _Place(number, log.index), rows)

    def _hear(self, event: ev.Event, at: _Place, rows: Rows) -> None:
        match event:
            case ev.RequestPosted(meter, counter, energy):
                self._post(Kind.REQUEST, counter, [(self._number(meter), energy)], False, at, rows)
            case ev.ReleasePosted(meter, counter, energy):
                self._post(Kind.RELEASE, counter, [(self._number(meter), energy)], False, at, rows)
            case ev.RequestsPosted(first, orders):
                self._post(Kind.REQUEST, first, _slots(orders), False, at, rows)
            case ev.ReleasesPosted(first, orders):
                self._post(Kind.RELEASE, first, _slots(orders), False, at, rows)
            case ev.SignedRequestsPosted(first, orders):
                self._post(Kind.REQUEST, first, _slots(orders), True, at, rows)
            case ev.SignedReleasesPosted(first, orders):
                self._post(Kind.RELEASE, first, _slots(orders), True, at, rows)
            case ev.Matched(first, fills):
                self._fill(first, fills, at, rows)
            case ev.PairMatched(index, fill):
                self._fill(index, (fill,), at, rows)
            case ev.PeriodOpened():
                self._open(event, at, rows)
            case ev.DeliveryConfirmed(index, energy):
                self._draw(index, energy, at, rows)
            case ev.DeliveriesConfirmed(first, energies):
                for index, energy in enumerate(energies, first):
                    self._draw(index, energy, at, rows)
            case ev.MatchesConfirmed(first, count):
                for index in range(first, min(first + count, self._next_match)):
                    self._draw(index, self._left.get(index, 0), at, rows)
            case ev.MeterRegistered(meter, number):
                self._numbers[meter] = number
                rows[tables.meters].append((self._market, *at, number, meter, True))
            case ev.MeterRetired(meter, number):
                rows[tables.meters].append((self._market, *at, number, meter, False))
            case ev.SignedOrderSkipped(r, terms, reason):
                rows[tables.skipped].append((self._market, *at, f"{r:#x}", f"{terms:#x}", reason))

    def _number(self, meter: Address) -> int | None:
        return self._numbers.get(meter)

    def _post(
        self,
        kind: Kind,
        first: int,
        slots: Sequence[tuple[int | None, int]],
        signed: bool,
        at: _Place,
        rows: Rows,
    ) -> None:
        line, into = self._lines[kind], rows[tables.orders]
        _check_next(kind.name.lower(), first, line.next_counter, at)
        market, side, period, (block, log_index) = self._market, int(kind), self._period, at
        for counter, (meter, energy) in enumerate(slots, first):
            into.append((market, side, counter, meter, energy, period, signed, block, log_index))
            line.orders.append(_Pending(counter, meter, energy))
        line.next_counter = first + len(slots)

    def _open(self, opened: ev.PeriodOpened, at: _Place, rows: Rows) -> None:
        self._period = opened.period
        for line in self._lines.values():
            line.orders.clear()
        rows[tables.periods].append(
            (
                *(self._market, *at, opened.period),
                *(opened.expired_requests, opened.expired_releases),
                *(self._lines[kind].next_counter for kind in (Kind.REQUEST, Kind.RELEASE)),
            )
        )

    def _fill(self, first: int, fills: Sequence[Fill], at: _Place, rows: Rows) -> None:
        _check_next("match", first, self._next_match, at)
        into = rows[tables.matches]
        requests, releases = (self._lines[kind].orders for kind in (Kind.REQUEST, Kind.RELEASE))
        market, period, (block, log_index) = self._market, self._period, at
        for index, fill in enumerate(fills, first):
            producer, consumer, energy = fill.producer, fill.consumer, fill.energy
            request = _taken(requests, producer, energy)
            release = _taken(releases, consumer, energy)
            into.append(
                (
                    *(market, index, producer, consumer, energy, request, release),
                    *(period, block, log_index),
                )
            )
            self._left[index] = energy
        self._next_match = first + len(fills)
        if len(self._left) > 2 * MATCH_CAPACITY:
            kept = range(self._next_match - MATCH_CAPACITY, self._next_match)
            self._left = {index: self._left[index] for index in kept}

    def _draw(self, index: int, energy: int, at: _Place, rows: Rows) -> None:
        if not energy:
            return
        if index in self._left:
            self._left[index] -= energy
        rows[tables.consumption].append((self._market, *at, index, energy))

    # where the rows end

    def _load(self, connection: Connection) -> None:
        of_market = tables.meters.c.market == self._market
        for row in connection.execute(
            select(tables.meters.c.address, tables.meters.c.number).where(of_market).distinct()
        ):
            self._numbers[row.address] = row.number
        period = connection.execute(
            select(tables.periods)
            .where(tables.periods.c.market == self._market)
            .order_by(tables.periods.c.block.desc(), tables.periods.c.log_index.desc())
            .limit(1)
        ).first()
        if period is not None:
            self._period = period.period
        self._load_line(connection, Kind.REQUEST, period.first_request if period else 0)
        self._load_line(connection, Kind.RELEASE, period.first_release if period else 0)
        self._load_matches(connection)

    def _load_line(self, connection: Connection, kind: Kind, first: int) -> None:
        orders, matches = tables.orders.c, tables.matches.c
        filled = matches.request_counter if kind is Kind.REQUEST else matches.release_counter
        line = self._lines[kind]
        of_kind = (orders.market == self._market) & (orders.kind == int(kind))
        last = connection.scalar(select(func.max(orders.counter)).where(of_kind))
        line.next_counter = 0 if last is None else last + 1
        # The order that was filled last is the first that may be in line.
        head = connection.scalar(
            select(func.max(filled)).where((matches.market == self._market) & (filled >= first))
        )
        taken = 0
        if head is not None:
            first = head
            taken = connection.scalar(
                select(func.sum(matches.energy_wh)).where(
                    (matches.market == self._market) & (filled == head)
                )
            )
        for row in connection.execute(
            select(orders.counter, orders.meter, orders.energy_wh)
            .where(of_kind & (orders.counter >= first))
            .order_by(orders.counter)
        ):
            left = row.energy_wh - int(taken or 0)
            taken = 0
            if left:
                line.orders.append(_Pending(row.counter, row.meter, left))

    def _load_matches(self, connection: Connection) -> None:
        matches, drawn = tables.matches.c, tables.consumption.c
        of_market = matches.market == self._market
        last = connection.scalar(select(func.max(matches.match_index)).where(of_market))
        if last is None:
            return
        self._next_match = last + 1
        oldest = self._next_match - MATCH_CAPACITY
        for row in connection.execute(
            select(matches.match_index, matches.energy_wh).where(
                of_market & (matches.match_index >= oldest)
            )
        ):
            self._left[row.match_index] = row.energy_wh
        for row in connection.execute(
            select(drawn.match_index, drawn.energy_wh).where(
                (drawn.market == self._market) & (drawn.match_index >= oldest)
            )
        ):
            if row.match_index in self._left:
                self._left[row.match_index] -= row.energy_wh


def _slots(orders: Sequence[Request] | Sequence[Release]) -> list[tuple[int | None, int]]:
    return [(order.meter, order.energy) for order in orders]


def _taken(line: deque[_Pending], meter: int, energy: int) -> int | None:
    """Takes energy from the order that is first in line; its counter, None if it does not fit."""
    if not line or line[0].meter != meter or line[0].left < energy:
        return None
    order = line[0]
    order.left -= energy
    if not order.left:
        line.popleft()
    return order.counter


def _check_next(what: str, told: int, expected: int, at: _Place) -> None:
    if told != expected:
        raise ContradictoryChain(
            f"block {at.block}, log {at.log_index}: {what} {told} comes where {what} "
            f"{expected} is next: the node has left out or made up logs; ask another node"
        )
