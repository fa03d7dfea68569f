"""How like one another two neighbourhoods are: made-up homes and measured ones, say.

Each measure is taken at the longer of the two periods, of every home; or of every day
or week of all homes together, where it is the weather's, which homes share and one of
them tells as much about as all. Two sides are alike in a measure when the median of
each lies within the middle 80 % of the other, so that a reader who is given one home,
day or week could not tell from it where it belongs.

Sources: load factor and coincidence as in Willis, "Power Distribution Planning
Reference Book", 2nd ed. 2004, chapter 3; self-consumption and self-sufficiency as in
Luthander et al., "Photovoltaic self-consumption in buildings: A review", Applied
Energy 142 (2015). The guess by the nearest home is the leave-one-out nearest-neighbour
test of Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energy_chain.errors import InvalidInput
from energy_chain.meters.readings import DAY, Readings
from energy_chain.units import duration

Floats = NDArray[np.float64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)
_UWH_IN_KWH = 1e9
_WEEK = 7
_MOST_ASKED = 200
"""Homes of a side of which the nearest other one is looked for: all pairs are in memory."""
_SOLAR_APART = 0.15
"""Difference of the shares of homes with solar from which on two sides are said to be uneven."""
_NIGHT = (1, 5)
"""Hours of the clock from and to which the base load is looked at."""


class Spread(NamedTuple):
    """Of a measure across homes or days: its 10th, 50th and 90th percentile, and of how many."""

    low: float
    median: float
    high: float
    number: int

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """Of at least one value."""
        low, median, high = np.percentile(values, (10, 50, 90)).tolist()
        return cls(low, median, high, len(values))

    def holds(self, value: float) -> bool:
        """Whether a value lies within the middle 80 %."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure on both sides.

    Attributes:
        name: for people.
        unit: of its figures; empty where they are shares or plain numbers.
        across: what the spread is across: homes, days or weeks.
        meaning: how it is defined.
        a, b: its spread on each side; None where a side has nothing to measure, as the solar
            of homes that have none.
    """

    name: str
    unit: str
    across: str
    meaning: str
    a: Spread | None
    b: Spread | None

    @property
    def alike(self) -> bool:
        """Whether each side's median lies within the middle 80 % of the other."""
        if self.a is None or self.b is None:
            return self.a is self.b
        return self.a.holds(self.b.median) and self.b.holds(self.a.median)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two neighbourhoods have in common.

    Attributes:
        period: at which both were looked at.
        periods: of the readings, on each side.
        homes: on each side.
        days: whole ones on each side.
        dates: the first and the last of them, on each side.
        solar: share of the homes that have solar, on each side.
        measures: one by one.
        told: of how many homes the nearest other one, by all measures of homes, is of the same
            side. Half of `guessed` is what chance gives, all is what unlike homes give.
        guessed: of how many homes that was asked.
        uneven: in what the sides differ before anything is measured, for people: measures may be
            unlike for no other reason.
    """

    period: timedelta
    periods: tuple[timedelta, timedelta]
    homes: tuple[int, int]
    days: tuple[int, int]
    dates: tuple[tuple[date, date], tuple[date, date]]
    solar: tuple[float, float]
    measures: tuple[Measure, ...]
    told: int
    guessed: int
    uneven: tuple[str, ...]

    @property
    def alike(self) -> bool:
        """Whether they are alike in every measure."""
        return all(measure.alike for measure in self.measures)


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days of a neighbourhood, by the clock on the wall.

    Attributes:
        period: of the readings.
        dates: of the days, ascending.
        load, solar: energy in kWh, of shape (days, periods of a day, homes).
    """

    period: timedelta
    dates: tuple[date, ...]
    load: Floats
    solar: Floats

    @property
    def hours(self) -> Floats:
        """The hour of the clock at which each period of a day begins."""
        step: float = self.period / _HOUR
        return np.arange(self.load.shape[1], dtype=np.float64) * step


def whole_days(readings: Readings, period: timedelta | None = None) -> Days:
    """The days that readings cover from midnight to midnight; days of 23 or 25 hours are left out.

    Args:
        readings: of one neighbourhood.
        period: to add up to; a multiple of the readings' own, which is taken by default.

    Raises:
        InvalidInput: the period is no such multiple or no part of an hour, or no day is whole.
    """
    wanted = period or readings.period
    if wanted % readings.period or _HOUR % wanted:
        raise InvalidInput(
            f"readings of {duration(readings.period)} cannot be compared by periods of "
            f"{duration(wanted)}: "
            "give readings whose periods divide an hour, the longer a multiple of the shorter"
        )
    count = wanted // readings.period
    a_day = DAY // readings.period
    seconds = np.array([(start - _EPOCH) // _SECOND for start in readings.starts])
    offsets = np.array(
        [(start.utcoffset() or timedelta(0)) // _SECOND for start in readings.starts]
    )
    local = seconds + offsets
    day, within = np.divmod(local, 86_400)
    length = readings.period // _SECOND
    # A whole day is one run of periods from midnight on, under one offset.
    first = np.flatnonzero(within == 0)
    first = first[first + a_day <= len(local)]
    last = first + a_day - 1
    first = first[
        (day[first] == day[last])
        & (local[last] - local[first] == (a_day - 1) * length)
        & (offsets[first] == offsets[last])
    ]
    if not len(first):
        raise InvalidInput(
            f"no whole day in readings from {readings.starts[0].isoformat()} to "
            f"{readings.starts[-1].isoformat()}; give some from midnight to midnight"
        )
    rows = first[:, None] + np.arange(a_day)

    def of_days(energy: NDArray[np.int64]) -> Floats:
        whole = energy[rows].reshape(len(first), a_day // count, count, -1)
        summed: Floats = whole.sum(axis=2) / _UWH_IN_KWH
        return summed

    return Days(
        wanted,
        tuple(readings.starts[row].date() for row in first.tolist()),
        of_days(readings.consumption),
        of_days(readings.production),
    )


def compare(
    a: Readings,
    b: Readings,
    names: tuple[str, str] = ("the first neighbourhood", "the second neighbourhood"),
) -> Comparison:
    """Two neighbourhoods side by side.

    Args:
        a, b: the neighbourhoods.
        names: what errors call them.

    Raises:
        InvalidInput: a side has fewer than two homes with a load or fewer than two days that
            follow each other, or their periods do not go together (see `whole_days`).
    """
    period = max(a.period, b.period)
    sides = [whole_days(readings, period) for readings in (a, b)]
    for days, name in zip(sides, names, strict=True):
        if (days.load.sum(axis=(0, 1)) > 0).sum() < 2 or not _followed(days).any():
            raise InvalidInput(
                f"{name} is too small: give two homes that use energy and two "
                "whole days that follow each other"
            )
    values = [_of_homes(days) | _shapes(days, sides) for days in sides]
    whole = [_of_all_homes(days) for days in sides]
    measures = [
        Measure(
            name,
            unit,
            across,
            meaning,
            *(_spread((values if across == "homes" else whole)[side], name) for side in (0, 1)),
        )
        for name, unit, across, meaning in _MEASURES
    ]
    told, guessed = _told(values)
    solar = _solar_share(sides[0]), _solar_share(sides[1])
    return Comparison(
        period,
        (a.period, b.period),
        (sides[0].load.shape[2], sides[1].load.shape[2]),
        (len(sides[0].dates), len(sides[1].dates)),
        (_ends(sides[0]), _ends(sides[1])),
        solar,
        tuple(measures),
        told,
        guessed,
        tuple(_uneven(sides, solar)),
    )


LIKE_FIRST, LIKE_SECOND = "Day's shape, like the first", "Day's shape, like the second"

_MEASURES = (
    ("Energy used", "kWh/day", "homes", "mean of a day"),
    (
        LIKE_FIRST,
        "",
        "homes",
        "correlation of a home's mean day with that of the first neighbourhood but for one home",
    ),
    (LIKE_SECOND, "", "homes", "the same with the second neighbourhood"),
    ("Hour of the peak", "h", "homes", "when the home's mean day is highest, over an hour"),
    ("Load factor", "", "homes", "mean load over the highest of a period"),
    ("Peak coincidence", "", "days", "highest load of all homes over the sum of their highest"),
    ("Variation of days", "", "homes", "standard deviation of a day's energy over its mean"),
    (
        "Change to the next day",
        "",
        "homes",
        "mean difference of a period to that of the day after, over the mean",
    ),
    ("Night base load", "", "homes", "mean load from 1 to 5 o'clock over the mean"),
    ("Lowest tenth", "", "homes", "load that a tenth of the periods stay below, over the mean"),
    ("Ramp", "", "homes", "mean difference of a period to the next, over the mean"),
    ("Solar capacity factor", "", "weeks", "mean production over the highest of any period"),
    ("Solar variation of days", "", "weeks", "standard deviation of a day's over its mean"),
    ("Solar ramp", "", "days", "mean difference of a period to the next, over the mean"),
    ("Solar hour", "h", "homes", "mean hour of the clock, weighed by production"),
    ("Self-consumption", "", "homes", "share of production that is used in its period"),
    ("Self-sufficiency", "", "homes", "share of use that is produced in its period"),
)


def _of_homes(days: Days) -> dict[str, Floats]:
    """Measures of the homes, nan where a home has no load or no solar."""
    load, solar = days.load, days.solar
    mean, made = load.mean(axis=(0, 1)), solar.mean(axis=(0, 1))
    mean, made = np.where(mean > 0, mean, np.nan), np.where(made > 0, made, np.nan)
    in_a_row = load.reshape(-1, load.shape[2])
    follows = _followed(days)
    hours = days.hours
    night = (hours >= _NIGHT[0]) & (hours < _NIGHT[1])
    used = np.minimum(load, solar).mean(axis=(0, 1))
    a_day = load.sum(axis=1)
    middle = hours + days.period / _HOUR / 2
    an_hour = load.mean(axis=0).reshape(24, -1, load.shape[2]).sum(axis=1)
    return {
        "Energy used": mean * load.shape[1],
        "Hour of the peak": np.where(mean > 0, an_hour.argmax(axis=0), np.nan),
        "Load factor": mean / in_a_row.max(axis=0),
        "Variation of days": a_day.std(axis=0) / (mean * load.shape[1]),
        "Change to the next day": np.abs(np.diff(load, axis=0))[follows].mean(axis=(0, 1)) / mean,
        "Night base load": load[:, night].mean(axis=(0, 1)) / mean,
        "Lowest tenth": np.percentile(in_a_row, 10, axis=0) / mean,
        "Ramp": np.abs(np.diff(load, axis=1)).mean(axis=(0, 1)) / mean,
        "Solar hour": (solar * middle[:, None]).mean(axis=(0, 1)) / made,
        "Self-consumption": used / made,
        "Self-sufficiency": np.where(made > 0, used, np.nan) / mean,
    }


def _followed(days: Days) -> NDArray[np.bool_]:
    """Whether each day but the last is followed by the next one of the calendar."""
    follows: NDArray[np.bool_] = np.diff([day.toordinal() for day in days.dates]) == 1
    return follows


def _shapes(days: Days, sides: list[Days]) -> dict[str, Floats]:
    """How like each side's mean day those of a side's homes are."""
    own = _normalised(days)
    result = {}
    for name, other in zip((LIKE_FIRST, LIKE_SECOND), sides, strict=True):
        theirs = np.nan_to_num(_normalised(other))
        whole = theirs.sum(axis=1)
        # Always with one home left out: on its own side that is the home itself, which would
        # otherwise be like a mean of few of which it is one.
        left_out = theirs[:, np.arange(own.shape[1]) % theirs.shape[1]]
        against = whole[:, None] - left_out
        # A day without ups and downs has no shape: its correlation is nan.
        with np.errstate(invalid="ignore", divide="ignore"):
            result[name] = np.array(
                [np.corrcoef(home, rest)[0, 1] for home, rest in zip(own.T, against.T, strict=True)]
            )
    return result


def _normalised(days: Days) -> Floats:
    """Mean day of each home, of shape (periods of a day, homes), its mean 1."""
    shape = days.load.mean(axis=0)
    mean = shape.mean(axis=0)
    # Rounded, so that a day that is always the same does not get a shape from its last bits.
    result: Floats = np.round(shape / np.where(mean > 0, mean, np.nan), 9)
    return result


def _of_all_homes(days: Days) -> dict[str, Floats]:
    """Measures of all homes together: of days, and of weeks, whole ones but for a single short one.

    Days without a load or without sun have none.
    """
    highest = days.load.max(axis=1).sum(axis=1)
    together = days.load.sum(axis=2).max(axis=1)
    solar = days.solar.sum(axis=2)
    a_day = solar.sum(axis=1)
    sunny = a_day > 0
    week = min(_WEEK, len(solar))
    weeks = a_day[: len(a_day) // week * week].reshape(-1, week)
    weeks = weeks[weeks.sum(axis=1) > 0]
    ramps = np.abs(np.diff(solar[sunny], axis=1)).mean(axis=1)
    return {
        "Peak coincidence": together[highest > 0] / highest[highest > 0],
        "Solar capacity factor": weeks.mean(axis=1) / max(solar.max() * solar.shape[1], 1e-9),
        "Solar variation of days": weeks.std(axis=1) / weeks.mean(axis=1),
        "Solar ramp": ramps * solar.shape[1] / a_day[sunny],
    }


def _ends(days: Days) -> tuple[date, date]:
    return days.dates[0], days.dates[-1]


def _uneven(sides: list[Days], solar: tuple[float, float]) -> Iterator[str]:
    """What makes a comparison lopsided: other parts of the year, or another share of solar."""
    ours, theirs = ({(day.month, day.day) for day in days.dates} for days in sides)
    if 2 * len(ours & theirs) < len(ours | theirs):
        yield "the days are not of the same part of the year"
    if abs(solar[0] - solar[1]) > _SOLAR_APART:
        yield f"{solar[0]:.0%} and {solar[1]:.0%} of the homes have solar"


def _solar_share(days: Days) -> float:
    return float((days.solar.sum(axis=(0, 1)) > 0).mean())


def _spread(values: dict[str, Floats], name: str) -> Spread | None:
    known = values[name][~np.isnan(values[name])]
    return Spread.of(known) if len(known) else None


def _told(values: list[dict[str, Floats]]) -> tuple[int, int]:
    """Of how many homes the nearest other one is of their own side, and of how many homes.

    Measures are put on one scale by their standard deviation over all homes. Those
    that a home of either side lacks are left out. So that the sides are of one size,
    as many homes are taken of each as the smaller one has, and some hundreds at most,
    evenly from its list.
    """
    tables: list[Any] = [np.array([side[name] for name in side]).T for side in values]
    tables = [table[~np.isnan(table).all(axis=1)] for table in tables]
    size = min(_MOST_ASKED, *(len(table) for table in tables))
    points = np.concatenate([table[np.arange(size) * len(table) // size] for table in tables])
    points = points[:, ~np.isnan(points).any(axis=0)]
    spread = points.std(axis=0)
    points = points[:, spread > 0] / spread[spread > 0]
    side = np.repeat((0, 1), size)
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    return int((side[apart.argmin(axis=1)] == side).sum()), len(side)
