"""Python twin of `contracts_vy/packed_orders.vy`: four 64-bit lanes to a word.

The layout is drawn there. Orders have lane 0 lowest, matches and confirmations
have lane 0 highest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
HIGH_METER_AT = 48
"""Where a request keeps its meter and a match its producer."""
LOW_METER_AT = 32
"""Where a release keeps its meter and a match its consumer."""


def pack_requests(requests: Sequence[Request]) -> list[int]:
    """Packs requests into words.

    Raises:
        InvalidInput: a meter or an energy does not fit its bits, or there are more than 256.
        MalformedOrder: meter and energy are both 0, which no word can tell from a free lane.
    """
    return _pack_orders((r.meter, r.energy, HIGH_METER_AT) for r in requests)


def pack_releases(releases: Sequence[Release]) -> list[int]:
    """Packs releases into words.

    Raises:
        InvalidInput: a meter or an energy does not fit its bits, or there are more than 256.
        MalformedOrder: meter and energy are both 0, which no word can tell from a free lane.
    """
    return _pack_orders((r.meter, r.energy, LOW_METER_AT) for r in releases)


def request_lanes(words: Iterable[int]) -> list[Request]:
    """The requests in all lanes of words; zeros in lanes that are not in use."""
    return [Request(lane >> HIGH_METER_AT, lane & MAX_ENERGY) for lane in _low_lanes(words)]


def release_lanes(words: Iterable[int]) -> list[Release]:
    """The releases in all lanes of words; zeros in lanes that are not in use."""
    return [
        Release(lane >> LOW_METER_AT & MAX_METERS, lane & MAX_ENERGY) for lane in _low_lanes(words)
    ]


def unpack_requests(words: Iterable[int]) -> tuple[Request, ...]:
    """The requests in words that were posted."""
    return tuple(request for request in request_lanes(words) if request != Request(0, 0))


def unpack_releases(words: Iterable[int]) -> tuple[Release, ...]:
    """The releases in words that were posted."""
    return tuple(release for release in release_lanes(words) if release != Release(0, 0))


def unpack_fills(first: int, words: Iterable[int]) -> tuple[Fill, ...]:
    """The matches from match `first` on that are in the words of an event."""
    lanes = [lane for word in words for lane in _high_lanes(word)]
    return tuple(
        Fill(lane >> HIGH_METER_AT, lane >> LOW_METER_AT & MAX_METERS, lane & MAX_ENERGY)
        for lane in lanes[first % LANES_PER_WORD :]
        if lane
    )


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


def _pack_orders(orders: Iterable[tuple[int, int, int]]) -> list[int]:
    lanes = []
    for meter, energy, meter_at in orders:
        _check_fits("meter number", meter, MAX_METERS)
        _check_fits("energy", energy, MAX_ENERGY)
        if not meter and not energy:
            raise MalformedOrder("meter number 0, 0 Wh")
        lanes.append(meter << meter_at | energy)
    check_batch(lanes)
    return [
        sum(lane << LANE_BITS * i for i, lane in enumerate(lanes[start : start + LANES_PER_WORD]))
        for start in range(0, len(lanes), LANES_PER_WORD)
    ]


def _low_lanes(words: Iterable[int]) -> Iterator[int]:
    for word in words:
        for i in range(LANES_PER_WORD):
            yield word >> LANE_BITS * i & LANE_MASK


def _high_lanes(word: int) -> list[int]:
    return [word >> LANE_BITS * i & LANE_MASK for i in reversed(range(LANES_PER_WORD))]


def _check_fits(what: str, value: int, largest: int) -> None:
    if type(value) is not int or not 0 <= value <= largest:
        raise InvalidInput(f"{what} {value!r} does not fit its lane: give an int in 0..{largest}")
