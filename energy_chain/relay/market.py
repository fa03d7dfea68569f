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

    def header(self, number: int) -> tuple[str, int] | None:
        """Hash and Unix time of a block as the chain is now; None where it has none."""

    def outcome(self, key: str) -> Receipt | None:
        """What this account's call under a key came to; None where it has no effect.

        Raises:
            ReceiptTimeout: it is under way.
        """

    @property
    def trouble(self) -> str | None:
        """What the node is waited for; None while it answers."""

    def under_way(self) -> tuple[int, float | None]:
        """How many transactions of this account are under way, and since when the oldest is."""

    def announcing(self, announce: Callable[[str], None]) -> Ledger:
        """The same market; `announce` is told each transaction's hash before it is sent.

        Again where it is signed anew while it is waited for, which gives it another hash.
        """

    def max_signed(self) -> int:
        """The most signed orders that one call can post here."""

    def genesis(self) -> str:
        """What tells chains apart that share a chain id."""
