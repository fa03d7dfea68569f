"""Reads what the market logs, block by block, and tells each order what became of it.

The queues are kept beside the market's own: matches come first come, first
served, so the energy of a match is of the orders that are first in line,
whoever posted them. A new store begins with the queues as they stand. Where the
chain was reorganised, the store goes back to the last block that is still there.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from energy_chain.errors import AlreadyPosted, ChainError, ContradictoryChain
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
    SignedReleasesPosted,
    SignedRequestsPosted,
)
from energy_chain.market import Fill, Release, Request
from energy_chain.relay.lines import InLine, keep_lines, read_lines, standing_at
from energy_chain.relay.market import RelayMarket
from energy_chain.relay.rewind import rewind
from energy_chain.relay.store import (
    State,
    Store,
    find_live,
    matches,
    orders,
    set_followed,
)
from energy_chain.signing import Kind, signing_length

BLOCKS = 2_000
"""Blocks that are read at a time."""
DISTANCES = (0, 1, 2, 4, 8, 16, 32, 64)
"""How far below the last block that was read the hashes of others are remembered as well.

Where many blocks were read at once, the next reorganisation need not cost all of them.
"""
ATTEMPTS = 5
"""How often blocks are read that are reorganised meanwhile."""


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
            standing = standing_at(market, block)
            hashes = self._hashes(0, block)
            with store.writing() as connection:
                keep_lines(connection, standing.lines)
                set_followed(connection, block, hashes)

    def follow(self) -> None:
        """Reads up to the latest block that is settled.

        Raises:
            ContradictoryChain: the chain is reorganised again and again.
            WrongChain: another chain answers than before.
            ChainError: the chain cannot be read, or its log does not add up.
        """
        for attempt in range(ATTEMPTS):
            try:
                # First of all, as it tells a lost chain from one that was reorganised.
                block, time = self._market.settled()
                self._go_back()
                self._read(block)
                break
            except ContradictoryChain:
                if attempt == ATTEMPTS - 1:
                    raise
        self._name_partners()
        never = not self._period_length
        self._store.expire(time, time // self._length, never)

    def _read(self, block: int) -> None:
        """Reads on, up to a block."""
        followed = self._store.followed()
        assert followed is not None  # since `__init__`
        for first in range(followed + 1, block + 1, BLOCKS):
            last = min(first + BLOCKS - 1, block)
            hashes = self._hashes(first, last)
            receipts = list(self._market.receipts(first, last))
            # A block's hash stands for all before it: what was read is of one chain with both.
            if not self._is_there(last, hashes[last]) or self._has_lost_its_place():
                raise ContradictoryChain(
                    f"the chain is reorganised again and again around block {last}: set "
                    "confirmations for this network, or try again later"
                )
            with self._store.writing() as connection:
                if receipts:
                    _Book(connection, self._length).read(receipts)
                set_followed(connection, last, hashes)

    def _go_back(self) -> None:
        """Takes back what was read of blocks that are no longer in the chain."""
        if not self._has_lost_its_place():
            return
        for block, hash in self._store.followed_hashes()[1:]:
            if self._is_there(block, hash):
                break
        else:
            raise ChainError(
                "the chain was reorganised deeper than this store remembers: move the store away, "
                "so that the relay begins anew"
            )
        standing = standing_at(self._market, block)
        if not self._is_there(block, hash):
            raise ContradictoryChain(f"block {block} was reorganised while it was read: try again")
        with self._store.writing() as connection:
            rewind(connection, standing, self._length, never=not self._period_length)

    def _has_lost_its_place(self) -> bool:
        known = self._store.followed_hashes(1)
        return bool(known) and not self._is_there(*known[0])

    def _is_there(self, block: int, hash: str) -> bool:
        header = self._market.header(block)
        return header is not None and header[0] == hash

    def _hashes(self, first: int, last: int) -> dict[int, str]:
        """Hashes of the last block of a range, and of some before it."""
        found = {}
        for block in (last - distance for distance in DISTANCES):
            if block >= first:
                header = self._market.header(block)
                if header is None:
                    raise ContradictoryChain(f"block {block} is no longer there: try again")
                found[block] = header[0]
        return found

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


class _Book:
    """One reading of the log, in one transaction of the store."""

    def __init__(self, connection: Connection, length: int) -> None:
        self._connection = connection
        self._length = length
        self._lines = read_lines(connection)

    def read(self, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            for event in receipt.events:
                self._read(event, receipt)
        keep_lines(self._connection, self._lines)

    def _read(self, event: Event, receipt: Receipt) -> None:
        match event:
            case RequestPosted(counter=counter, energy=energy):
                self._lines[Kind.REQUEST].append(InLine(counter, energy))
            case ReleasePosted(counter=counter, energy=energy):
                self._lines[Kind.RELEASE].append(InLine(counter, energy))
            case RequestsPosted(first=first, orders=requests):
                for counter, order in enumerate(requests, first):
                    self._lines[Kind.REQUEST].append(InLine(counter, order.energy))
            case ReleasesPosted(first=first, orders=releases):
                for counter, need in enumerate(releases, first):
                    self._lines[Kind.RELEASE].append(InLine(counter, need.energy))
            case SignedRequestsPosted(first=first, orders=requests):
                self._posted(Kind.REQUEST, first, requests, receipt)
            case SignedReleasesPosted(first=first, orders=releases):
                self._posted(Kind.RELEASE, first, releases, receipt)
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
            in_line = InLine(counter, order.energy)
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
                self._tell(
                    ours.seq,
                    state=State.REFUSED,
                    reason=AlreadyPosted.reason,
                    block=receipt.block,
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
