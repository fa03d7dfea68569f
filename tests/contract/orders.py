"""Orders and matches as the contract tests write them.

An order is (meter number, Wh), a match (producer's number, consumer's number, Wh).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import TypeAlias

from energy_chain.market import Request
from energy_chain.packing import pack_orders, unpack_fills, unpack_pair
from tests.brownie import Contract, Tx

Order: TypeAlias = tuple[int, int]

ZERO_ADDRESS = "0x" + "0" * 40
STATE, REGISTRY, MATCHES = 1, 2, 515
"""Storage slots of the contract. Between registry and matches are both rings of orders."""


METER_AT, PRICE_AT = 32, 48
"""Bits of an order's lane."""


def order_words(orders: Sequence[Order]) -> list[int]:
    """Orders of either side in words."""
    return pack_orders([Request(*order) for order in orders])


def storage(market: Contract) -> list[int]:
    """The state, the registry, the orders and the matches, as they are stored."""
    return [market.chain.load(market, slot) for slot in range(STATE, MATCHES + 512)]


def numbered(count: int, first: int = 0) -> list[Order]:
    """Orders of the eight meters in turn, told apart by their energy: 1,000 Wh and more."""
    return [(i % 8 + 1, 1000 + i) for i in range(first, first + count)]


def fills(tx: Tx) -> list[tuple[int, int, int]]:
    """The matches that a call wrote, told together or one by one."""
    together = [
        fill
        for event in tx.events["Matched"]
        for fill in unpack_fills(event["first"], event["words"])
    ]
    pairs = [unpack_pair(event["fill"])[1] for event in tx.events["PairMatched"]]
    return [astuple(fill) for fill in together + pairs]


def first_come_first_served(
    requests: Sequence[Order], releases: Sequence[Order], energy: int = 2**64
) -> list[tuple[int, int, int]]:
    """The matches that must come of these orders: of so many Wh, or of all that can be matched."""
    offers, needs = [list(order) for order in requests], [list(order) for order in releases]
    matches = []
    while offers and needs and energy:
        filled = min(offers[0][1], needs[0][1], energy)
        matches.append((offers[0][0], needs[0][0], filled))
        energy -= filled
        for queue in (offers, needs):
            queue[0][1] -= filled
            if queue[0][1] == 0:
                queue.pop(0)
    return matches


@dataclass(frozen=True)
class Side:
    """One side of a market: what is true of requests must be true of releases.

    `party` is where a match has the meter of this side.
    """

    market: Contract
    post: Callable[..., Tx]
    post_batch: Callable[..., Tx]
    counter: Callable[[], int]
    outstanding: Callable[[], int]
    head_energy: Callable[[], int]
    energy_of: Callable[[str], int]
    slot: Callable[[int], tuple[str, int]]
    posted: str
    batch_posted: str
    full: str
    party: int
    opposite: Callable[[], Side]

    def post_all(self, orders: Sequence[Order], operator: str) -> None:
        """Posts orders in batches as large as they may be."""
        for start in range(0, len(orders), 256):
            self.post_batch(order_words(orders[start : start + 256]), {"from": operator})

    def drain(self, operator: str) -> list[Order]:
        """Matches all that is outstanding with one order of the other side; returns what was."""
        self.opposite().post_all([(8, 2**32 - 1)], operator)
        drained = []
        while self.outstanding():
            drained += fills(self.market.match_pending(256, {"from": operator}))
        return [(fill[self.party], fill[2]) for fill in drained]


def requests_of(market: Contract) -> Side:
    return Side(
        market=market,
        post=market.incomingRequest,
        post_batch=market.post_requests,
        counter=market.request_counter,
        outstanding=market.check_request_counter,
        head_energy=market.get_request_value,
        energy_of=market.request,
        slot=market.pending_requests,
        posted="RequestPosted",
        batch_posted="RequestsPosted",
        full="energy: ring of requests is full",
        party=0,
        opposite=lambda: releases_of(market),
    )


def releases_of(market: Contract) -> Side:
    return Side(
        market=market,
        post=market.incomingRelease,
        post_batch=market.post_releases,
        counter=market.release_counter,
        outstanding=market.check_release_counter,
        head_energy=market.get_release_value,
        energy_of=market.release,
        slot=market.pending_release,
        posted="ReleasePosted",
        batch_posted="ReleasesPosted",
        full="energy: ring of releases is full",
        party=1,
        opposite=lambda: requests_of(market),
    )


def state_word(**fields: int) -> int:
    """The contract's state with these fields, the others zero."""
    at = {
        "request_head": 0,
        "request_tail": 32,
        "release_head": 64,
        "release_tail": 96,
        "match_counter": 128,
    }
    return sum(value << at[name] for name, value in fields.items())
