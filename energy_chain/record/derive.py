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
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, func, select

from energy_chain import events as ev
from energy_chain.chain.event_codec import decode
from energy_chain.chain.mined import MinedBlock
from energy_chain.errors import ContradictoryChain
from energy_chain.market import MATCH_CAPACITY, Address, Fill, Release, Request
from energy_chain.record import tables
from energy_chain.signing import Kind

Row: TypeAlias = dict[str, Any]
"""The value of each column."""
Rows: TypeAlias = dict[Table, list[Row]]


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
        at = {"market": self._market, "block": block.number}
        rows[tables.blocks].append(
            {
                "market": self._market,
                "number": block.number,
                "hash": block.hash,
                "timestamp": block.timestamp,
            }
        )
        for transaction in block.transactions:
            rows[tables.transactions].append(
                {
                    **at,
                    "position": transaction.position,
                    "hash": transaction.hash,
                    "sender": transaction.sender,
                    "gas_used": transaction.gas_used,
                    "gas_price": transaction.gas_price,
                }
            )
            for log in transaction.logs:
                event = decode(log.topics, log.data)
                here = {**at, "log_index": log.index}
                rows[tables.events].append(
                    {
                        **here,
                        "position": transaction.position,
                        "name": type(event).__name__,
                        "topics": b"".join(log.topics),
                        "data": log.data,
                    }
                )
                self._hear(event, here, rows)

    def _hear(self, event: ev.Event, here: Row, rows: Rows) -> None:
        match event:
            case ev.RequestPosted(meter, counter, energy):
                of = [(self._numbers.get(meter), energy)]
                self._post(Kind.REQUEST, counter, of, False, here, rows)
            case ev.ReleasePosted(meter, counter, energy):
                of = [(self._numbers.get(meter), energy)]
                self._post(Kind.RELEASE, counter, of, False, here, rows)
            case ev.RequestsPosted(first, orders):
                self._post(Kind.REQUEST, first, _slots(orders), False, here, rows)
            case ev.ReleasesPosted(first, orders):
                self._post(Kind.RELEASE, first, _slots(orders), False, here, rows)
            case ev.SignedRequestsPosted(first, orders):
                self._post(Kind.REQUEST, first, _slots(orders), True, here, rows)
            case ev.SignedReleasesPosted(first, orders):
                self._post(Kind.RELEASE, first, _slots(orders), True, here, rows)
            case ev.Matched(first, fills):
                self._fill(first, fills, here, rows)
            case ev.PairMatched(index, fill):
                self._fill(index, (fill,), here, rows)
            case ev.PeriodOpened():
                self._open(event, here, rows)
            case ev.DeliveryConfirmed(index, energy):
                self._draw(index, energy, here, rows)
            case ev.DeliveriesConfirmed(first, energies):
                for index, energy in enumerate(energies, first):
                    self._draw(index, energy, here, rows)
            case ev.MatchesConfirmed(first, count):
                for index in range(first, min(first + count, self._next_match)):
                    self._draw(index, self._left.get(index, 0), here, rows)
            case ev.MeterRegistered(meter, number):
                self._numbers[meter] = number
                told = {**here, "number": number, "address": meter, "registered": True}
                rows[tables.meters].append(told)
            case ev.MeterRetired(meter, number):
                told = {**here, "number": number, "address": meter, "registered": False}
                rows[tables.meters].append(told)
            case ev.SignedOrderSkipped(r, terms, reason):
                told = {**here, "r": f"{r:#x}", "terms": f"{terms:#x}", "reason": reason}
                rows[tables.skipped].append(told)

    def _post(
        self,
        kind: Kind,
        first: int,
        slots: Sequence[tuple[int | None, int]],
        signed: bool,
        here: Row,
        rows: Rows,
    ) -> None:
        line = self._lines[kind]
        _check_next(kind.name.lower(), first, line.next_counter, here)
        into = rows[tables.orders]
        for counter, (meter, energy) in enumerate(slots, first):
            into.append(
                {
                    "market": self._market,
                    "kind": int(kind),
                    "counter": counter,
                    "meter": meter,
                    "energy_wh": energy,
                    "period": self._period,
                    "signed": signed,
                    "block": here["block"],
                    "log_index": here["log_index"],
                }
            )
            line.orders.append(_Pending(counter, meter, energy))
        line.next_counter = first + len(slots)

    def _open(self, opened: ev.PeriodOpened, here: Row, rows: Rows) -> None:
        self._period = opened.period
        for line in self._lines.values():
            line.orders.clear()
        rows[tables.periods].append(
            {
                **here,
                "period": opened.period,
                "expired_requests": opened.expired_requests,
                "expired_releases": opened.expired_releases,
                "first_request": self._lines[Kind.REQUEST].next_counter,
                "first_release": self._lines[Kind.RELEASE].next_counter,
            }
        )

    def _fill(self, first: int, fills: Sequence[Fill], here: Row, rows: Rows) -> None:
        _check_next("match", first, self._next_match, here)
        into = rows[tables.matches]
        requests, releases = (self._lines[kind].orders for kind in (Kind.REQUEST, Kind.RELEASE))
        for index, fill in enumerate(fills, first):
            into.append(
                {
                    "market": self._market,
                    "match_index": index,
                    "producer": fill.producer,
                    "consumer": fill.consumer,
                    "energy_wh": fill.energy,
                    "request_counter": _taken(requests, fill.producer, fill.energy),
                    "release_counter": _taken(releases, fill.consumer, fill.energy),
                    "period": self._period,
                    "block": here["block"],
                    "log_index": here["log_index"],
                }
            )
            self._left[index] = fill.energy
        self._next_match = first + len(fills)
        if len(self._left) > 2 * MATCH_CAPACITY:
            kept = range(self._next_match - MATCH_CAPACITY, self._next_match)
            self._left = {index: self._left[index] for index in kept}

    def _draw(self, index: int, energy: int, here: Row, rows: Rows) -> None:
        if not energy:
            return
        if index in self._left:
            self._left[index] -= energy
        rows[tables.consumption].append({**here, "match_index": index, "energy_wh": energy})

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


def _check_next(what: str, told: int, expected: int, here: Row) -> None:
    if told != expected:
        raise ContradictoryChain(
            f"block {here['block']}, log {here['log_index']}: {what} {told} comes where {what} "
            f"{expected} is next: the node has left out or made up logs; ask another node"
        )
