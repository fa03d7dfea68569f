"""Sine, cosine and exponential that are the same on every machine.

Those of numpy and of the C library may differ in the last bit from one processor
to another, and the energies of a seed may not. Only sums, products and quotients
are taken here, which IEEE 754 fixes to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SINE = (1.0, -1 / 6, 1 / 120, -1 / 5_040, 1 / 362_880, -1 / 39_916_800, 1 / 6_227_020_800)
_TAU = 6.283185307179586


def sine(turns: Any) -> Floats:
    """Sine of an angle in turns, to 1e-9, by its Taylor series within a quarter of a turn."""
    rest = np.asarray(turns, np.float64)
    rest = rest - np.rint(rest)
    rest = np.where(rest > 0.25, 0.5 - rest, np.where(rest < -0.25, -0.5 - rest, rest)) * _TAU
    square = rest * rest
    total = np.full_like(square, _SINE[-1])
    for factor in _SINE[-2::-1]:
        total = total * square + factor
    return total * rest


def cosine(turns: Any) -> Floats:
    """Cosine of an angle in turns, to 1e-9."""
    return sine(np.asarray(turns, np.float64) + 0.25)


def exponential(power: Any) -> Floats:
    """e to a power of 0 to -50, to 1e-5 of its size, as the 1,024th power of a short series."""
    small = np.asarray(power, np.float64) / 1024
    total = 1 + small * (1 + small / 2 * (1 + small / 3))
    for _ in range(10):
        total = total * total
    return total
