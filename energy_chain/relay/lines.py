"""The queues of the market as the relay keeps them: who is in line, and with how much."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from energy_chain.errors import ContradictoryChain
from energy_chain.ledger import Ledger
from energy_chain.market import CAPACITY
from energy_chain.relay.market import RelayMarket
from energy_chain.relay.store import queue
from energy_chain.signing import Kind


@dataclass(slots=True)
class InLine:
    """An order in its queue: its counter, the Wh left of it, and its line if it is the relay's."""

    counter: int
    left: int
    seq: int | None = None


Lines = dict[Kind, deque[InLine]]


@dataclass(frozen=True, slots=True)
class Standing:
    """A market as it stands after a block.

    Attributes:
        block: its number.
        time: its Unix time.
        lines: the queues.
        matches: how many matches there were by then.
    """

    block: int
    time: int
    lines: Lines
    matches: int


def standing_at(market: RelayMarket, block: int) -> Standing:
    """A market as it stands after a block.

    Raises:
        ContradictoryChain: the chain was reorganised meanwhile.
        ChainError: the chain cannot be read, or the node has forgotten how it stood.
    """
    before, then = market.header(block), market.at_block(block)
    lines, matches = _lines_at(then), then.match_counter()
    if before is None or market.header(block) != before:
        raise ContradictoryChain(f"block {block} was reorganised while it was read: try again")
    return Standing(block, before[1], lines, matches)


def read_lines(connection: Connection) -> Lines:
    """The queues as they were kept."""
    lines: Lines = {kind: deque() for kind in Kind}
    for row in connection.execute(select(queue).order_by(queue.c.counter)):
        lines[Kind(row.kind)].append(InLine(row.counter, row.left, row.seq))
    return lines


def keep_lines(connection: Connection, lines: Lines) -> None:
    """Keeps the queues as they are now."""
    connection.execute(delete(queue))
    rows = [
        {"kind": int(kind), "counter": each.counter, "left": each.left, "seq": each.seq}
        for kind, line in lines.items()
        for each in line
    ]
    if rows:
        connection.execute(insert(queue), rows)


def _lines_at(market: Ledger) -> Lines:
    lines: Lines = {kind: deque() for kind in Kind}
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
                lines[kind].append(InLine(counter, slots[counter % CAPACITY].energy))
            lines[kind][0].left = left
    return lines
