"""The aggregator: watches the queues and runs the matching."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from threading import Event

from energy_chain.errors import MarketPaused, ReceiptTimeout
from energy_chain.events import PeriodOpened
from energy_chain.ledger import Ledger
from energy_chain.market import Fill
from energy_chain.trouble import Troubles
from energy_chain.turns import Turns

FIRST_LOOKS = 2
"""How many polls long work waits before the market's own aggregator matches for the first time."""


@dataclass(frozen=True, slots=True)
class MatchingReport:
    """What one look at the queues led to: matches by their indexes, calls and gas used.

    Attributes:
        fills: the matches.
        calls: calls that were made.
        gas_used: by all of them.
        in_time: whether nobody else was faster; of the last call.
        active: whether the node matches at once from now on; see `AggregatorNode.run`.
    """

    fills: Mapping[int, Fill] = field(default_factory=dict)
    calls: int = 0
    gas_used: int = 0
    in_time: bool = True
    active: bool = True

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
        in_time = True
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
            # One queue is empty after the call, and each of its orders took a match at least. In a
            # period that has just begun all of them had expired, and nobody else was faster.
            in_time = len(receipt.fills) >= min(requests, releases, limit) or any(
                isinstance(event, PeriodOpened) for event in receipt.events
            )
            if len(receipt.fills) < limit:
                break
        return MatchingReport(fills, calls, gas_used, in_time)

    def run(
        self,
        stop: Event,
        report: Callable[[MatchingReport], None] = lambda _: None,
        poll_seconds: float = 1.0,
        trouble: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        """Looks at the queues every `poll_seconds` until `stop`, and matches when it is its turn.

        Several may run at once, each with an account of its own: one matches at once, the others
        stand by and one of them takes over when it is gone, as `Turns` says. The aggregator that
        the market has appointed begins soon, another one when nobody else does. It waits while the
        market is paused or the chain cannot be used.

        Args:
            stop: ends it.
            report: is told each time it matched or its turn is over.
            poll_seconds: between two looks.
            trouble: is told what it waits for, once until that is over or another trouble comes.
            clock: seconds, from anywhere.
            random: draws how long it stands by.

        Raises:
            WrongChain, NotOurContract: the market is gone.
            MarketRefusal: it is refused for good.
        """
        troubles = Troubles(trouble)
        turns: Turns | None = None
        while not stop.is_set():
            with troubles:
                if turns is None:
                    is_appointed = self._ledger.aggregator() == self._ledger.account
                    patience = FIRST_LOOKS * poll_seconds if is_appointed else None
                    turns = Turns(clock, random or Random(), patience, poll_seconds)
                self._look(turns, report)
            if troubles and turns:
                turns.lost()
            stop.wait(poll_seconds)

    def _look(self, turns: Turns, report: Callable[[MatchingReport], None]) -> None:
        if not turns.has_come(self._work()):
            return
        was_active = turns.active
        try:
            done = self.check_incoming_energy()
        except MarketPaused:
            turns.lost()
            return
        except ReceiptTimeout:
            turns.stand_by()  # until it is mined, the work looks as if nobody had come
            raise
        if not done.calls:
            return  # somebody else has just matched, or it has just expired
        turns.acted(bool(done.matches), done.in_time)
        if done.matches or turns.active != was_active:
            report(replace(done, active=turns.active))

    def _work(self) -> tuple[int, int] | None:
        """What is to be matched: another one once anybody has matched, or a period is over."""
        ledger = self._ledger
        if not ledger.requests_outstanding() or not ledger.releases_outstanding():
            return None
        if ledger.paused():
            return None
        return ledger.match_counter(), ledger.current_period()
