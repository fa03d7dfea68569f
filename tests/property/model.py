"""The market once more, as plainly as can be: lists that only grow, matched oldest first.

It shares nothing with `MemoryLedger` but the words. Calls are made by the
metering operator, for registered meters, with energies that are good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy_chain.errors import (
    AboveMatched,
    CannotMatch,
    ConfirmationMisaligned,
    InvalidMatchCount,
    MarketRefusal,
    MatchNotKept,
    NoMatch,
    ReleaseRingFull,
    RequestRingFull,
)
from energy_chain.market import Fill, Release, Request


@dataclass
class Order:
    """An order and the Wh of it that are not matched."""

    meter: int
    energy: int
    left: int


class Side:
    """All orders ever posted on a side. Those before `head` are matched or have expired."""

    def __init__(self, capacity: int, full: type[MarketRefusal]) -> None:
        self.orders: list[Order] = []
        self.head = 0
        self.expired = 0
        self._capacity = capacity
        self._full = full

    @property
    def outstanding(self) -> list[Order]:
        return self.orders[self.head :]

    @property
    def left(self) -> int:
        return sum(order.left for order in self.outstanding)

    def check_room(self, orders: Sequence[Request | Release]) -> None:
        in_use = len(self.outstanding) + self.head % 4  # up to the first lane of the head's word
        if in_use + len(orders) > self._capacity:
            raise self._full

    def post(self, orders: Sequence[Request | Release]) -> None:
        self.check_room(orders)
        self.orders += [Order(order.meter, order.energy, order.energy) for order in orders]

    def expire(self) -> None:
        self.expired += self.left
        self.head = len(self.orders)


class NaiveMarket:
    """A market of lists."""

    def __init__(self, capacity: int, match_capacity: int) -> None:
        self.requests = Side(capacity, RequestRingFull)
        self.releases = Side(capacity, ReleaseRingFull)
        self.fills: list[Fill] = []
        self.unconsumed: list[int] = []
        self._match_capacity = match_capacity

    def post_requests(self, requests: Sequence[Request]) -> None:
        self.requests.post(requests)

    def post_releases(self, releases: Sequence[Release]) -> None:
        self.releases.post(releases)

    def expire(self) -> None:
        self.requests.expire()
        self.releases.expire()

    def match_pending(self, max_matches: int) -> list[Fill]:
        fills = []
        while len(fills) < max_matches and self.requests.outstanding and self.releases.outstanding:
            fills.append(self._match(2**32))
        return fills

    def post_and_match(
        self, requests: Sequence[Request], releases: Sequence[Release], max_matches: int
    ) -> list[Fill]:
        self.requests.check_room(requests)
        self.releases.check_room(releases)
        self.requests.post(requests)
        self.releases.post(releases)
        return self.match_pending(max_matches)

    def match_energy(self, energy: int) -> list[Fill]:
        possible = min(self.requests.left, self.releases.left)
        if energy > possible:
            raise CannotMatch
        fills = []
        while energy:
            fills.append(self._match(energy))
            energy -= fills[-1].energy
        return fills

    def _match(self, limit: int) -> Fill:
        request, release = self.requests.outstanding[0], self.releases.outstanding[0]
        energy = min(request.left, release.left, limit)
        for side, order in (self.requests, request), (self.releases, release):
            order.left -= energy
            side.head += order.left == 0
        fill = Fill(request.meter, release.meter, energy)
        self.fills.append(fill)
        self.unconsumed.append(energy)
        return fill

    @property
    def oldest_match(self) -> int:
        """The first match of the oldest word that is not overwritten."""
        kept_words = self._match_capacity // 4
        words = [index // 4 for index in range(len(self.fills))]
        return 4 * max(0, words[-1] + 1 - kept_words) if words else 0

    def is_kept(self, index: int) -> bool:
        return self.oldest_match <= index < len(self.fills)

    def matches_of(self, consumer: int) -> list[int]:
        """The indexes of a consumer's matches that are kept, latest first."""
        kept = range(self.oldest_match, len(self.fills))
        return [index for index in reversed(kept) if self.fills[index].consumer == consumer]

    def consume_match(self, index: int, energy: int) -> None:
        if not self.is_kept(index):
            raise MatchNotKept
        if energy > self.unconsumed[index]:
            raise AboveMatched
        self.unconsumed[index] -= energy

    def consume(self, consumer: int, energy: int) -> None:
        matches = self.matches_of(consumer)
        if not matches:
            raise NoMatch
        self.consume_match(matches[0], energy)

    def confirm_deliveries(self, first: int, energies: Sequence[int]) -> None:
        if first % 4:
            raise ConfirmationMisaligned
        last_word = first + (len(energies) - 1) // 4 * 4
        if not self.is_kept(first) or not self.is_kept(last_word):
            raise MatchNotKept
        for index, energy in enumerate(energies, first):
            if energy > (self.unconsumed[index] if index < len(self.fills) else 0):
                raise AboveMatched
        for index, energy in enumerate(energies, first):
            if energy:
                self.unconsumed[index] -= energy

    def confirm_matches(self, first: int, count: int) -> None:
        if not 1 <= count <= 256:
            raise InvalidMatchCount
        if not self.is_kept(first) or not self.is_kept(first + count - 1):
            raise MatchNotKept
        self.unconsumed[first : first + count] = [0] * count
