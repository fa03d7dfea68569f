"""What the outbox makes of keyed calls, for markets in memory whose calls are blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from energy_chain.errors import MarketRefusal, ReceiptTimeout
from energy_chain.events import Receipt


@dataclass
class KeyedCall:
    """A call under way, or with effect once it has a receipt. It may be mined in one period."""

    hash: str
    make: Callable[[str], Receipt]
    period: int
    receipt: Receipt | None = None


class KeyedCalls:
    """Calls that have their effect once: under way, mined, or withdrawn and forgotten."""

    def __init__(self, period: Callable[[], int], is_deep: Callable[[int], bool]) -> None:
        """Calls that must be mined in the period that is when they are sent.

        Args:
            period: the period that is now.
            is_deep: whether a block has the confirmations that it needs.
        """
        self.calls: dict[str, KeyedCall] = {}
        self.mines = True
        """Whether the node puts transactions into blocks."""
        self._period = period
        self._is_deep = is_deep
        self._hashes = count(0xFFFF)

    def send(
        self,
        key: str,
        make: Callable[[str], Receipt],
        announce: Callable[[str], None] = lambda _: None,
    ) -> Receipt:
        """Makes a call, or waits for the one that was made under its key.

        What `make` raises, other than a refusal, is the end of whoever waits: the call stays under
        way.
        """
        call = self.calls.get(key)
        if call is None:
            call = self.calls[key] = KeyedCall(self._new_hash(), make, self._period())
            announce(call.hash)
        if call.receipt is None:
            if not self.mines:
                raise ReceiptTimeout("not mined in time")
            self._mine(key, call)
        assert call.receipt is not None
        return call.receipt

    def outcome(self, key: str) -> Receipt | None:
        """As `ContractLedger.outcome`: what is under way is helped, and seen at the next look."""
        call = self.calls.get(key)
        if call is None:
            return None
        if call.receipt is not None and self._is_deep(call.receipt.block):
            return call.receipt
        if call.receipt is None and self.mines:
            if call.period != self._period():
                del self.calls[key]
                return None
            try:
                self._mine(key, call)
            except MarketRefusal:
                return None
        raise ReceiptTimeout("under way")

    def under_way(self) -> int:
        """How many are not mined."""
        return sum(call.receipt is None for call in self.calls.values())

    def resign(self) -> None:
        """Replaces what is under way with a higher fee, which nobody who waits is told of."""
        for call in self.calls.values():
            if call.receipt is None:
                call.hash = self._new_hash()

    def dropped(self, block: int) -> None:
        """The blocks above one are no longer in the chain: what they held is under way again."""
        for call in self.calls.values():
            if call.receipt is not None and call.receipt.block > block:
                call.receipt = None

    def _mine(self, key: str, call: KeyedCall) -> None:
        try:
            call.receipt = call.make(call.hash)
        except MarketRefusal:
            del self.calls[key]  # mined without effect
            raise

    def _new_hash(self) -> str:
        return f"0x{next(self._hashes):064x}"
