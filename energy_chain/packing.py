"""Python twin of `contracts_vy/packed_orders.vy`: four 64-bit lanes to a word.

The layout is drawn there. Orders have lane 0 lowest, matches and confirmations
have lane 0 highest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from energy_chain.errors import InvalidInput, MalformedOrder
from energy_chain.market import (
    LANES_PER_WORD,
    MAX_ENERGY,
    MAX_METERS,
    Fill,
    Release,
    Request,
    check_batch,
)

LANE_BITS = 64
LANE_MASK = 2**LANE_BITS - 1
METER_AT = 32
"""Where an order keeps its meter and a match its consumer."""
PRODUCER_AT = 48

Order = TypeVar("Order", Request, Release)


def pack_orders(orders: Sequence[Request] | Sequence[Release]) -> list[int]:
    """Packs orders of either side into words.

    Raises:
        InvalidInput: a meter or an energy does not fit its bits, or there are more than 256.
        MalformedOrder: meter and energy are both 0, which no word can tell from a free lane.
    """
    check_batch(orders)
    lanes = []
    for order in orders:
        _check_fits("meter number", order.meter, MAX_METERS)
        _check_fits("energy", order.energy, MAX_ENERGY)
        if not order.meter and not order.energy:
            raise MalformedOrder("meter number 0, 0 Wh")
        lanes.append(order.meter << METER_AT | order.energy)
    return [
        sum(lane << LANE_BITS * i for i, lane in enumerate(lanes[start : start + LANES_PER_WORD]))
        for start in range(0, len(lanes), LANES_PER_WORD)
    ]


def order_lanes(side: type[Order], words: Iterable[int]) -> list[Order]:
    """The orders of a side in all lanes of words; zeros in lanes that are not in use."""
    return [
        side(lane >> METER_AT & MAX_METERS, lane & MAX_ENERGY)
        for word in words
        for lane in _low_lanes(word)
    ]


def unpack_orders(side: type[Order], words: Iterable[int]) -> tuple[Order, ...]:
    """The orders of a side in words that were posted."""
    return tuple(order for order in order_lanes(side, words) if order != side(0, 0))


def unpack_signed(side: type[Order], first: int, words: Iterable[int]) -> tuple[Order, ...]:
    """The orders of a side from counter `first` on that are in the words of an event.

    The words are those of the ring: the first may begin with orders posted earlier.
    """
    posted = order_lanes(side, words)[first % LANES_PER_WORD :]
    return tuple(order for order in posted if order != side(0, 0))


def unpack_fill(lane: int) -> Fill:
    """The match in a lane."""
    return Fill(lane >> PRODUCER_AT, lane >> METER_AT & MAX_METERS, lane & MAX_ENERGY)


def unpack_fills(first: int, words: Iterable[int]) -> tuple[Fill, ...]:
    """The matches from match `first` on that are in the words of an event."""
    lanes = [lane for word in words for lane in _high_lanes(word)]
    return tuple(unpack_fill(lane) for lane in lanes[first % LANES_PER_WORD :] if lane)


def unpack_pair(pair: int) -> tuple[int, Fill]:
    """The index of a match that was logged by itself, and the match."""
    return pair >> LANE_BITS, unpack_fill(pair & LANE_MASK)


def pack_energies(energies: Sequence[int]) -> list[int]:
    """Packs the Wh of a batch of confirmations, 0 for a match to be left alone.

    Raises:
        InvalidInput: an energy does not fit 32 bits, or there are more than 256.
    """
    check_batch(energies)
    for energy in energies:
        _check_fits("energy", energy, MAX_ENERGY)
    return [
        sum(
            energy << LANE_BITS * (LANES_PER_WORD - 1 - i)
            for i, energy in enumerate(energies[start : start + LANES_PER_WORD])
        )
        for start in range(0, len(energies), LANES_PER_WORD)
    ]


def unpack_energies(words: Iterable[int]) -> tuple[int, ...]:
    """The Wh of a batch of confirmations, four to a word."""
    return tuple(lane & MAX_ENERGY for word in words for lane in _high_lanes(word))


def _low_lanes(word: int) -> list[int]:
    return [word >> LANE_BITS * i & LANE_MASK for i in range(LANES_PER_WORD)]


def _high_lanes(word: int) -> list[int]:
    return _low_lanes(word)[::-1]


def _check_fits(what: str, value: int, largest: int) -> None:
    if type(value) is not int or not 0 <= value <= largest:
        raise InvalidInput(f"{what} {value!r} does not fit its lane: give an int in 0..{largest}")
