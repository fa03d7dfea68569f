"""The rules that never break, checked on what a market logs and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from energy_chain import events
from energy_chain.events import Event
from energy_chain.market import Fill
from energy_chain.signing import Kind


class Auditor:
    """Follows a market by its events from the deployment on."""

    def __init__(self, counters: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Begins to follow.

        Args:
            counters: of requests, releases and matches, where they do not begin at 0.
        """
        self.requests: list[list[int]] = []
        """Meter number and Wh left of the requests outstanding, oldest first."""
        self.releases: list[list[int]] = []
        self.posted_requests = self.posted_releases = 0
        """Wh."""
        self.expired_requests = self.expired_releases = 0
        """Wh."""
        self.request_counter, self.release_counter, self._first_match = counters
        self.matched: list[int] = []
        """Wh of every match."""
        self.unconsumed: list[int] = []
        self._numbers: dict[str, int] = {}
        self._signing_period = 0
        self._signed: set[tuple[Kind, int]] = set()
        """Kind and meter number of the signed orders of this period."""

    @property
    def match_counter(self) -> int:
        """Index of the next match."""
        return self._first_match + len(self.matched)

    def hear(self, happened: Sequence[Event], signing_period: int = 0) -> None:
        """Checks the events of one call.

        Args:
            happened: what it logged.
            signing_period: the period that orders had to be signed for.
        """
        if signing_period != self._signing_period:
            self._signing_period = signing_period
            self._signed.clear()
        for event in happened:
            match event:
                case events.MeterRegistered(meter, number):
                    assert self._numbers.setdefault(meter, number) == number
                case events.RequestPosted(meter, counter, energy):
                    self._post_requests(counter, [(self._numbers[meter], energy)])
                case events.ReleasePosted(meter, counter, energy):
                    self._post_releases(counter, [(self._numbers[meter], energy)])
                case events.SignedRequestsPosted(first, orders):
                    self._hear_signed(Kind.REQUEST, [o.meter for o in orders])
                    self._post_requests(first, [(o.meter, o.energy) for o in orders])
                case events.SignedReleasesPosted(first, orders):
                    self._hear_signed(Kind.RELEASE, [o.meter for o in orders])
                    self._post_releases(first, [(o.meter, o.energy) for o in orders])
                case events.RequestsPosted(first, orders):
                    self._post_requests(first, [(o.meter, o.energy) for o in orders])
                case events.ReleasesPosted(first, orders):
                    self._post_releases(first, [(o.meter, o.energy) for o in orders])
                case events.PeriodOpened(_, expired_requests, expired_releases):
                    self._expire(expired_requests, expired_releases)
                case events.Matched(first, fills):
                    assert first == self.match_counter
                    for fill in fills:
                        assert self._fill(fill) == fill.energy, "not all that was possible"
                case events.PairMatched(index, fill):
                    assert index == self.match_counter
                    cut = self._fill(fill) > fill.energy
                    assert not cut or event is happened[-1], "cut, but not the last"
                case events.DeliveryConfirmed(index, energy):
                    self._consume(index, energy)
                case events.DeliveriesConfirmed(first, energies):
                    for index, energy in enumerate(energies, first):
                        if energy:
                            self._consume(index, energy)
                case events.MatchesConfirmed(first, count):
                    assert 0 < count <= self.match_counter - first
                    for at in range(max(first, self._first_match), first + count):
                        self.unconsumed[at - self._first_match] = 0

    def _hear_signed(self, kind: Kind, numbers: Sequence[int]) -> None:
        for number in numbers:
            assert number in self._numbers.values()
            assert (kind, number) not in self._signed, "two signed orders in a period"
            self._signed.add((kind, number))

    def assert_balanced(self) -> None:
        """Fails unless every Wh is accounted for, on both sides."""
        matched = sum(self.matched)
        offered = sum(left for _, left in self.requests)
        needed = sum(left for _, left in self.releases)
        assert self.posted_requests == matched + self.expired_requests + offered
        assert self.posted_releases == matched + self.expired_releases + needed
        assert not self.requests or self.requests[0][1] > 0
        assert not self.releases or self.releases[0][1] > 0

    def _post_requests(self, first: int, orders: list[tuple[int, int]]) -> None:
        assert first == self.request_counter
        self.request_counter += len(orders)
        self.requests += [list(order) for order in orders]
        self.posted_requests += sum(energy for _, energy in orders)

    def _post_releases(self, first: int, orders: list[tuple[int, int]]) -> None:
        assert first == self.release_counter
        self.release_counter += len(orders)
        self.releases += [list(order) for order in orders]
        self.posted_releases += sum(energy for _, energy in orders)

    def _expire(self, requests: int, releases: int) -> None:
        assert (requests, releases) == (len(self.requests), len(self.releases))
        self.expired_requests += sum(left for _, left in self.requests)
        self.expired_releases += sum(left for _, left in self.releases)
        self.requests, self.releases = [], []

    def _fill(self, fill: Fill) -> int:
        """Moves what a match moves; returns what it could have moved at most."""
        request, release = self.requests[0], self.releases[0]
        assert (fill.producer, fill.consumer) == (request[0], release[0]), "not the oldest orders"
        possible = min(request[1], release[1])
        assert 0 < fill.energy <= possible
        for queue in self.requests, self.releases:
            queue[0][1] -= fill.energy
            if queue[0][1] == 0:
                del queue[0]
        self.matched.append(fill.energy)
        self.unconsumed.append(fill.energy)
        return possible

    def _consume(self, index: int, energy: int) -> None:
        at = index - self._first_match
        assert at >= 0
        assert 0 < energy <= self.unconsumed[at]
        self.unconsumed[at] -= energy
