"""What the relay needs of a market besides what every ledger has: blocks and transactions.

`chain.ContractLedger` has all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from energy_chain.events import Receipt
from energy_chain.ledger import Ledger


class RelayMarket(Ledger, Protocol):
    """A market whose past can be read block by block."""

    def latest(self) -> tuple[int, int]:
        """Number and Unix time of the latest block."""

    def settled(self) -> tuple[int, int]:
        """Number and Unix time of the latest block that counts as done."""

    def at_block(self, number: int) -> Ledger:
        """The same market, read as it stands after a block."""

    def receipts(self, first_block: int, last_block: int) -> Iterator[Receipt]:
        """What each transaction of these blocks made the market log, oldest first."""

    def look_up(self, transaction: str) -> tuple[bool, int | None]:
        """Whether a transaction is known, and the number of its block once it is mined."""

    def announcing(self, announce: Callable[[str], None]) -> Ledger:
        """The same market; `announce` is told each transaction's hash before it is sent."""

    def max_signed(self) -> int:
        """The most signed orders that one call can post here."""

    def genesis(self) -> str:
        """What tells chains apart that share a chain id."""
