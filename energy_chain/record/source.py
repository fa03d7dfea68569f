"""What the indexer needs of a market, and the two that have it: a chain's, and one in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from energy_chain.chain.event_codec import encode
from energy_chain.chain.mined import MinedBlock, MinedLog, MinedTransaction
from energy_chain.market import ZERO_ADDRESS
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.record.identity import Identity

if TYPE_CHECKING:
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.events import Receipt


@dataclass(frozen=True, slots=True)
class Header:
    """A block's hash and Unix time."""

    hash: str
    timestamp: int


class MarketSource(Protocol):
    """A market whose blocks can be read."""

    def identity(self) -> Identity:
        """Which market it is."""

    def settled(self) -> int:
        """Number of the latest block with the network's confirmations."""

    def header(self, number: int) -> Header | None:
        """A block of the chain as it is now; None where it has none of that number."""

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        """The blocks of a range in which the market logged something, oldest first.

        All of one chain: what was reorganised meanwhile is refused.

        Raises:
            ContradictoryChain: what the node tells does not fit together.
        """


class ChainSource:
    """A market on a chain. Implements `MarketSource`."""

    def __init__(self, ledger: ContractLedger) -> None:
        """The market of a ledger; the account that it acts for does not matter."""
        self._ledger = ledger

    def identity(self) -> Identity:
        """As `MarketSource.identity`."""
        ledger = self._ledger
        return Identity(
            chain_id=ledger.order_domain().chain_id,
            genesis=ledger.genesis(),
            address=ledger.address,
            first_block=ledger.first_block,
            period_length=ledger.period_length(),
            network=ledger.network,
        )

    def settled(self) -> int:
        """As `MarketSource.settled`."""
        return self._ledger.settled()[0]

    def header(self, number: int) -> Header | None:
        """As `MarketSource.header`."""
        found = self._ledger.header(number)
        return None if found is None else Header(*found)

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        """As `MarketSource.blocks`."""
        return self._ledger.mined(first, last)


class MemorySource:
    """A market in memory, as if each of its calls were a block of its own.

    Implements `MarketSource`. Nobody sends, and nothing costs gas.
    """

    def __init__(self, ledger: MemoryLedger, network: str = "memory") -> None:
        """The market of a ledger; `network` is what to call it."""
        self._ledger = ledger
        self._network = network
        self._receipts: list[Receipt] = []

    def identity(self) -> Identity:
        """As `MarketSource.identity`."""
        domain = self._ledger.order_domain()
        return Identity(
            chain_id=domain.chain_id,
            genesis=_digest(f"{self._network} {domain.chain_id} {domain.contract}"),
            address=domain.contract,
            first_block=0,
            period_length=self._ledger.period_length(),
            network=self._network,
        )

    def settled(self) -> int:
        """As `MarketSource.settled`."""
        self._look()
        return len(self._receipts) - 1

    def header(self, number: int) -> Header | None:
        """As `MarketSource.header`."""
        if number >= len(self._receipts):
            self._look()
        if not 0 <= number < len(self._receipts):
            return None
        return Header(_digest(f"{self._network} block {number}"), self._receipts[number].timestamp)

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        """As `MarketSource.blocks`."""
        for number, receipt in enumerate(self._receipts[first : last + 1], first):
            header = self.header(number)
            assert header is not None  # it is one of the receipts
            yield mined_block(number, header, receipt)

    def _look(self) -> None:
        self._receipts = list(self._ledger.history())


def mined_block(number: int, header: Header, receipt: Receipt) -> MinedBlock:
    """A block whose only transaction is that of a receipt, sent by nobody."""
    logs = tuple(MinedLog(i, *encode(event)) for i, event in enumerate(receipt.events))
    transaction = MinedTransaction(
        position=0,
        hash=receipt.transaction or _digest(f"transaction of {header.hash}"),
        sender=ZERO_ADDRESS,
        gas_used=receipt.gas_used,
        gas_price=0,
        logs=logs,
    )
    return MinedBlock(number, header.hash, header.timestamp, (transaction,))


def _digest(text: str) -> str:
    return f"0x{hashlib.sha256(text.encode()).hexdigest()}"
