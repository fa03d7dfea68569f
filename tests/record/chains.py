"""A chain in memory that can be reorganised, and what a record holds of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from energy_chain.chain.mined import MinedBlock
from energy_chain.events import Receipt
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.record.derive import Derivation
from energy_chain.record.identity import Identity
from energy_chain.record.source import Header, mined_block
from energy_chain.record.store import Record
from energy_chain.record.tables import APPENDED, markets
from energy_chain.signing import OrderDomain
from tests.property.markets import GENESIS, PERIOD, REGISTER, Call, Clock, new_twin, outcome

CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


@dataclass(frozen=True)
class Block:
    """A block of at most one call. Blocks with other salts have other hashes."""

    call: Call | None
    salt: int = 0


class FakeChain:
    """A market whose calls are blocks, which can be taken back. Implements `MarketSource`."""

    def __init__(
        self,
        calls: Sequence[Call] = (),
        contract: str = CONTRACT,
        period_length: int = PERIOD,
        confirmations: int = 0,
    ) -> None:
        """Deploys in block 0, registers five meters in block 1, then makes the calls."""
        self.contract = contract
        self.period_length = period_length
        self.confirmations = confirmations
        self.chain: list[Block] = []
        self.read: list[tuple[int, int]] = []
        """The ranges of blocks that were asked for."""
        self.extend([Block(REGISTER), *map(Block, calls)])

    def extend(self, blocks: Sequence[Block]) -> None:
        """Puts blocks on top."""
        self.chain = [*self.chain, *blocks]
        self._mine()

    def reorganise(self, depth: int, blocks: Sequence[Block]) -> None:
        """Replaces the uppermost blocks; the deployment and the meters stay."""
        self.chain = self.chain[: max(1, len(self.chain) - depth)]
        self.extend(blocks)

    def _mine(self) -> None:
        clock = Clock(GENESIS + 1)
        self.ledger: MemoryLedger = new_twin(
            clock, self.period_length, OrderDomain(1, self.contract)
        )
        logged = [True]
        hashes, times = [_digest(self.contract)], [clock.time]
        for block in self.chain:
            clock.time += 1
            call = block.call
            if call is not None and call.method == "wait":
                clock.time += call.arguments[0]
            elif call is not None:
                logged.append(isinstance(outcome(self.ledger, call), tuple))
            if len(logged) == len(hashes):
                logged.append(False)
            hashes.append(_digest(f"{hashes[-1]} {block.salt} {call}"))
            times.append(clock.time)
        history = self.ledger.history()
        self._told: list[Receipt | None] = [next(history) if did else None for did in logged]
        self._hashes, self._times = hashes, times

    def identity(self) -> Identity:
        return Identity(1, _digest("genesis"), self.contract, 0, self.period_length, "fake")

    def settled(self) -> int:
        return max(0, len(self.chain) - self.confirmations)

    def header(self, number: int) -> Header | None:
        if not 0 <= number < len(self._hashes):
            return None
        return Header(self._hashes[number], self._times[number])

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        self.read.append((first, last))
        for number in range(first, last + 1):
            receipt, header = self._told[number], self.header(number)
            if receipt is not None and header is not None:
                yield mined_block(number, header, receipt)


def rows_of(record: Record) -> dict[str, list[tuple[Any, ...]]]:
    """All that a record says, and under `cursor` how far each of its markets was read."""
    with record.reading() as connection:
        found = {
            table.name: sorted(tuple(row) for row in connection.execute(select(table)))
            for table in APPENDED
        }
        cursor = select(markets.c.cursor_block, markets.c.cursor_hash, markets.c.cursor_time)
        found["cursor"] = [tuple(row) for row in connection.execute(cursor.order_by(markets.c.id))]
    return found


def fresh(chain: FakeChain) -> dict[str, list[tuple[Any, ...]]]:
    """What a record says that has read a chain at once, made without a database."""
    last = chain.settled()
    rows = Derivation(1).rows_of(chain.blocks(0, last))
    header = chain.header(last)
    assert header is not None
    found = {table.name: sorted(some) for table, some in rows.items()}
    return {**found, "cursor": [(last, header.hash, header.timestamp)]}


def _digest(text: str) -> str:
    return f"0x{hashlib.sha256(text.encode()).hexdigest()}"
