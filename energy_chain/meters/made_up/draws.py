"""Chance, by seed, home and day: no draw depends on which others are made.

Philox counts (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011):
what it gives hangs on a key and a counter alone. The key is the seed and the home,
the counter the stream and the day. numpy promises that the raw words of its bit
generators stay what they are, and makes no such promise of its distributions.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

from energy_chain.meters.made_up.portable import Floats

NEIGHBOURHOOD = 0
"""In the place of a home's number: what all homes share."""

LANES = 4
"""Uniform numbers that one word gives, of 16 bits each."""

_WORDS_A_COUNT = 4
_WORD = 2**64


def words(
    seed: int, home: int, stream: int, first: int, count: int, width: int
) -> NDArray[np.uint64]:
    """Random words of shape (count, width): those of the days, say, from `first` on.

    `width` is a multiple of 4 and always the same in a stream; `first` is not negative.
    """
    generator = Philox(
        key=np.array([seed % _WORD, home], np.uint64),
        counter=np.array([first * (width // _WORDS_A_COUNT), stream, 0, 0], np.uint64),
    )
    return generator.random_raw(count * width).reshape(count, width)


def lanes(drawn: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The words with a last axis of 4 more: whole numbers below 65,536."""
    # Little-endian by name, so that the order of the lanes is no matter of the machine.
    return drawn.astype("<u8").view("<u2").reshape(*drawn.shape, LANES)


def uniform(lane: NDArray[np.uint16]) -> Floats:
    """Between 0 and 1, neither of them included."""
    return (lane.astype(np.float64) + 0.5) * (1 / 65_536)


def smooth(knots: Floats, days: NDArray[np.int64], every: int) -> Floats:
    """Noise that changes within `every` days, at each of some days.

    Args:
        knots: of shape (..., knots), the first of which is of the day `days[0] // every * every`.
        days: ordinals, ascending.
        every: days between two knots.

    Returns:
        What lies between the knots, of shape (..., days).
    """
    place = days // every - days[0] // every
    part = (days % every) / every
    part = part * part * (3 - 2 * part)
    result: Floats = knots[..., place] * (1 - part) + knots[..., place + 1] * part
    return result
