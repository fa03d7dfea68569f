"""The mean shape of what many homes use: the standard load profile H25 of the BDEW.

The table is the one that demandlib ships (MIT). It is read from demandlib's file,
because importing demandlib imports pandas and takes a second or two; a test holds
the result against demandlib's own class.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from energy_chain.meters.made_up.portable import Floats

SLOTS = 96
"""Quarters of an hour in a day."""
WORKDAY, SATURDAY, SUNDAY = range(3)

_KINDS = {"WT": WORKDAY, "SA": SATURDAY, "FT": SUNDAY}


@cache
def table() -> Floats:
    """Power of shape (month, kind of day, quarter), before `season`, the mean of a year 1 or so."""
    spec = find_spec("demandlib")
    assert spec is not None  # a dependency of this package
    assert spec.origin is not None
    path = Path(spec.origin).parent / "bdew" / "bdew_data" / "h25.csv"
    with path.open(encoding="utf-8", newline="") as file:
        _, (_, *kinds), *rows = csv.reader(file)
    values = np.array([row[1:] for row in rows], np.float64)
    if values.shape != (SLOTS, 12 * len(_KINDS)) or set(kinds) != set(_KINDS):
        raise RuntimeError(f"{path} is not the table of H25 that this was written for")
    # Months follow each other in threes; the energies are kWh of a quarter in a year of 1 GWh.
    power = np.zeros((12, len(_KINDS), SLOTS))
    for column, kind in enumerate(kinds):
        power[column // 3, _KINDS[kind]] = values[:, column] * (4 * 8_760 / 1e6)
    power.setflags(write=False)
    return power


def season(day_of_year: NDArray[np.int64]) -> Floats:
    """The BDEW's factor by which a day's profile is multiplied; 1 January is day 1."""
    day = day_of_year.astype(np.float64)
    return (((-3.92e-10 * day + 3.2e-7) * day - 7.02e-5) * day + 0.0021) * day + 1.24
