"""Whose turn it is to match, where several aggregators serve one market and talk to nobody.

Each of them is active or stands by. Standing by it leaves work alone until that has waited
unmatched for longer than the others take and for a patience of its own, drawn anew each time: so
one of them takes over when the active one dies, and seldom two at once. It is active once a call of
its own has matched, and stands by again once somebody else was faster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from random import Random
from statistics import median_low

PATIENCE = (3.0, 8.0)
"""Seconds, the least and the most, on top of what others take to match."""
WAITS = 9
"""Waits that are remembered; one that ended in a take-over among them says nothing."""


class Turns:
    """One aggregator's view of the others.

    Attributes:
        active: whether it matches at once.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        random: Random,
        first_patience: float | None = None,
        between: float = 0.0,
    ) -> None:
        """One that stands by.

        Args:
            clock: seconds, from anywhere.
            random: draws the patience.
            first_patience: seconds, until it has seen somebody else match; drawn when None.
            between: seconds between two of its looks.
        """
        self.active = False
        self._clock = clock
        self._random = random
        self._work: Hashable | None = None
        self._since = 0.0
        self._looked = clock()
        self._between = between
        self._waits = deque([0.0], WAITS)
        self._patience = self._drawn() if first_patience is None else first_patience

    def has_come(self, work: Hashable | None) -> bool:
        """Whether to match now.

        Args:
            work: what is to be matched; as long as it is equal, nobody has matched anything. None
                when there is nothing to match.
        """
        now = self._clock()
        if self.active and now - self._looked > self._between + self._soonest():
            self.stand_by()  # it did not run, or its node hung: somebody may have taken over
        self._looked = now
        if work != self._work:
            if self._work is not None:
                self._others_took(now - self._since)
            self._work, self._since = work, now
        return work is not None and (self.active or now - self._since >= self._patience)

    def acted(self, matched: bool, in_time: bool) -> None:
        """A call of its own has been mined.

        Args:
            matched: whether it matched anything.
            in_time: whether nobody else was faster.
        """
        if not in_time:
            self._others_took(self._clock() - self._since)
        self.active = in_time and (matched or self.active)
        self._looked = self._clock()
        self._work = None

    def stand_by(self) -> None:
        """Nobody knows what a call of its own has come to."""
        self.active = False
        self._work = None
        self._patience = self._drawn()

    def lost(self) -> None:
        """It cannot see what happens: what it waited for may be over."""
        self._work = None

    def _others_took(self, seconds: float) -> None:
        if not self.active:
            self._waits.append(seconds)
        self._patience = self._drawn()

    def _soonest(self) -> float:
        """Seconds after which one that stands by may take over."""
        # A chain with slow blocks lets work wait for a block, whoever is alive.
        return median_low(self._waits) + PATIENCE[0]

    def _drawn(self) -> float:
        return self._soonest() + self._random.uniform(0, PATIENCE[1] - PATIENCE[0])
