"""The aggregator: watches the queues and runs the matching."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from energy_chain.errors import MarketPaused
from energy_chain.ledger import Ledger
from energy_chain.market import Fill


@dataclass(frozen=True, slots=True)
class MatchingReport:
    """What one look at the queues led to: matches by their indexes, calls and gas used."""

    fills: Mapping[int, Fill] = field(default_factory=dict)
    calls: int = 0
    gas_used: int = 0

    @property
    def matches(self) -> int:
        """How many were written."""
        return len(self.fills)

    @property
    def energy(self) -> int:
        """Wh matched."""
        return sum(fill.energy for fill in self.fills.values())


class AggregatorNode:
    """Matches through a ledger of any account: matching leaves the caller no choice."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def check_incoming_energy(self) -> MatchingReport:
        """Matches until one queue is empty, in batches that fit a block.

        Raises:
            MarketPaused: matching is stopped.
        """
        fills: dict[int, Fill] = {}
        calls = gas_used = 0
        while True:
            # Every match uses up an order, so there are fewer matches than orders.
            requests = self._ledger.requests_outstanding()
            releases = self._ledger.releases_outstanding()
            if not requests or not releases:
                break
            limit = min(self._ledger.max_matches(), requests + releases - 1)
            receipt = self._ledger.match_pending(limit)
            calls += 1
            gas_used += receipt.gas_used
            fills |= receipt.matches
            if len(receipt.fills) < limit:
                break  # a queue is empty, or another aggregator was faster
        return MatchingReport(fills, calls, gas_used)

    def run(
        self,
        stop: Event,
        report: Callable[[MatchingReport], None] = lambda _: None,
        poll_seconds: float = 1.0,
    ) -> None:
        """Looks at the queues every `poll_seconds` until `stop`; reports each time it matched.

        Waits while the market is paused.
        """
        while not stop.is_set():
            with suppress(MarketPaused):
                done = self.check_incoming_energy()
                if done.matches:
                    report(done)
            stop.wait(poll_seconds)
