"""Reads what the market logs, block by block, and tells each order what became of it.

The queues are kept beside the market's own: matches come first come, first
served, so the energy of a match is of the orders that are first in line,
whoever posted them. A new store begins with the queues as they stand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from energy_chain.errors import AlreadyPosted, ChainError
from energy_chain.events import (
    Event,
    Matched,
    PairMatched,
    PeriodOpened,
    Receipt,
    ReleasePosted,
    ReleasesPosted,
    RequestPosted,
    RequestsPosted,
    SignedOrderSkipped,
    SignedReleasesPosted,
    SignedRequestsPosted,
)
from energy_chain.ledger import Ledger
from energy_chain.market import CAPACITY, Fill, Release, Request
from energy_chain.relay.market import RelayMarket
from energy_chain.relay.store import (
    State,
    Store,
    find_live,
    matches,
    orders,
    queue,
    set_followed,
)
from energy_chain.signing import Kind, signing_length

BLOCKS = 2_000
"""Blocks that are read at a time."""


class Follower:
    """Keeps a store up with its market."""

    def __init__(self, market: RelayMarket, store: Store) -> None:
        """Begins where the store ends, a new one with the latest block that is settled."""
        self._market = market
        self._store = store
        self._period_length = market.period_length()
        self._length = signing_length(self._period_length)
        if store.followed() is None:
            block, _ = market.settled()
            lines = _lines_at(market.at_block(block))
            with store.writing() as connection:
                _keep(connection, lines)
                set_followed(connection, block)

    def follow(self) -> None:
        """Reads up to the latest block that is settled.

        Raises:
            ChainError: the chain cannot be read, or its log does not add up.
        """
        block, time = self._market.settled()
        followed = self._store.followed()
        assert followed is not None  # since `__init__`
        for first in range(followed + 1, block + 1, BLOCKS):
            last = min(first + BLOCKS - 1, block)
            receipts = list(self._market.receipts(first, last))
            with self._store.writing() as connection:
                if receipts:
                    _Book(connection, self._length).read(receipts)
                set_followed(connection, last)
        self._name_partners()
        self._store.expire(time, time // self._length, never=not self._period_length)

    def _name_partners(self) -> None:
        nameless = select(matches.c.number).where(matches.c.partner.is_(None)).distinct()
        with self._store.reading() as connection:
            numbers = list(connection.scalars(nameless))
        named = {number: self._market.meter_address(number) for number in numbers}
        if named:
            with self._store.writing() as connection:
                for number, partner in named.items():
                    wanted = (matches.c.number == number) & matches.c.partner.is_(None)
                    connection.execute(update(matches).where(wanted).values(partner=partner))


@dataclass(slots=True)
class _InLine:
    """An order in its queue: its counter, the Wh left of it, and its line if it is the relay's."""

    counter: int
    left: int
    seq: int | None = None


_Lines = dict[Kind, deque[_InLine]]


def _lines_at(market: Ledger) -> _Lines:
    """The queues of a market as they stand."""
    lines: _Lines = {kind: deque() for kind in Kind}
    for kind, tail, outstanding, ring, left in (
        (
            Kind.REQUEST,
            market.request_counter(),
            market.requests_outstanding(),
            market.request_ring,
            market.next_request_energy(),
        ),
        (
            Kind.RELEASE,
            market.release_counter(),
            market.releases_outstanding(),
            market.release_ring,
            market.next_release_energy(),
        ),
    ):
        if outstanding:
            slots = ring()
            for counter in range(tail - outstanding, tail):
                lines[kind].append(_InLine(counter, slots[counter % CAPACITY].energy))
            lines[kind][0].left = left
    return lines


def _keep(connection: Connection, lines: _Lines) -> None:
    connection.execute(delete(queue))
    rows = [
        {"kind": int(kind), "counter": each.counter, "left": each.left, "seq": each.seq}
        for kind, line in lines.items()
        for each in line
    ]
    if rows:
        connection.execute(insert(queue), rows)


class _Book:
    """One reading of the log, in one transaction of the store."""

    def __init__(self, connection: Connection, length: int) -> None:
        self._connection = connection
        self._length = length
        self._lines: _Lines = {kind: deque() for kind in Kind}
        for row in connection.execute(select(queue).order_by(queue.c.counter)):
            self._lines[Kind(row.kind)].append(_InLine(row.counter, row.left, row.seq))

    def read(self, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            for event in receipt.events:
                self._read(event, receipt)
        _keep(self._connection, self._lines)

    def _read(self, event: Event, receipt: Receipt) -> None:
        match event:
            case RequestPosted(counter=counter, energy=energy):
                self._lines[Kind.REQUEST].append(_InLine(counter, energy))
            case ReleasePosted(counter=counter, energy=energy):
                self._lines[Kind.RELEASE].append(_InLine(counter, energy))
            case RequestsPosted(first=first, orders=requests):
                for counter, order in enumerate(requests, first):
                    self._lines[Kind.REQUEST].append(_InLine(counter, order.energy))
            case ReleasesPosted(first=first, orders=releases):
                for counter, need in enumerate(releases, first):
                    self._lines[Kind.RELEASE].append(_InLine(counter, need.energy))
            case SignedRequestsPosted(first=first, orders=requests):
                self._posted(Kind.REQUEST, first, requests, receipt)
            case SignedReleasesPosted(first=first, orders=releases):
                self._posted(Kind.RELEASE, first, releases, receipt)
            case SignedOrderSkipped(r=r, reason=reason):
                self._skipped(r, reason, receipt)
            case PeriodOpened():
                for line in self._lines.values():
                    line.clear()
            case Matched(first=first, fills=fills):
                for index, fill in enumerate(fills, first):
                    self._matched(index, fill, receipt)
            case PairMatched(index=index, fill=fill):
                self._matched(index, fill, receipt)

    def _posted(
        self,
        kind: Kind,
        first: int,
        posted: Sequence[Request | Release],
        receipt: Receipt,
    ) -> None:
        period = receipt.timestamp // self._length
        for counter, order in enumerate(posted, first):
            # Whoever posted it: a meter has one of a kind in a period.
            ours = find_live(self._connection, order.meter, kind, period)
            in_line = _InLine(counter, order.energy)
            self._lines[kind].append(in_line)
            if ours is None or ours.state not in (State.ACCEPTED, State.SENT):
                continue
            if ours.energy == order.energy:
                in_line.seq = ours.seq
                self._tell(
                    ours.seq,
                    state=State.ON_CHAIN,
                    transaction=receipt.transaction or ours.transaction,
                    block=receipt.block,
                    counter=counter,
                )
            else:
                self._tell(ours.seq, state=State.REFUSED, reason=AlreadyPosted.reason)

    def _skipped(self, r: int, reason: str, receipt: Receipt) -> None:
        # Others can have an order skipped as well: only what the relay has sent itself counts.
        wanted = (orders.c.state == State.SENT) & (orders.c.r == f"{r:x}")
        self._connection.execute(
            update(orders)
            .where(wanted & (orders.c.transaction == receipt.transaction))
            .values(state=State.REFUSED, reason=reason, block=receipt.block)
        )

    def _matched(self, index: int, fill: Fill, receipt: Receipt) -> None:
        for kind, partner in ((Kind.REQUEST, fill.consumer), (Kind.RELEASE, fill.producer)):
            line = self._lines[kind]
            if not line or line[0].left < fill.energy:
                raise ChainError(
                    f"match {index} of block {receipt.block} is of orders that are not first in "
                    "line: move the store away, so that the relay begins anew"
                )
            first = line[0]
            first.left -= fill.energy
            if first.seq is not None:
                self._fill(first.seq, index, fill.energy, partner)
            if first.left == 0:
                if first.seq is not None:
                    self._tell(first.seq, state=State.MATCHED)
                line.popleft()

    def _fill(self, seq: int, index: int, energy: int, partner: int) -> None:
        self._connection.execute(
            insert(matches).values(seq=seq, match=index, energy=energy, number=partner)
        )
        self._connection.execute(
            update(orders).where(orders.c.seq == seq).values(matched=orders.c.matched + energy)
        )

    def _tell(self, seq: int, **fields: object) -> None:
        self._connection.execute(update(orders).where(orders.c.seq == seq).values(**fields))
