"""Two neighbourhoods side by side: each measure worked out by hand, and what is told of them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import Comparison, Measure, Readings, Spread, compare, generate
from energy_chain.meters.check import whole_days
from energy_chain.meters.made_up.places import CALIFORNIA
from energy_chain.meters.readings import UWH

HOUR = timedelta(hours=1)
START = datetime(2024, 6, 3, tzinfo=timezone(timedelta(hours=2)))
ZONE = ZoneInfo("Europe/Berlin")


def readings(
    load: Any, solar: Any = None, start: datetime = START, period: timedelta = HOUR
) -> Readings:
    """Of energies in Wh, of shape (periods, homes)."""
    load = np.asarray(load, np.int64)
    made = np.zeros_like(load) if solar is None else np.asarray(solar, np.int64)
    starts = tuple(start + number * period for number in range(len(load)))
    meters = tuple(f"home-{number}" for number in range(load.shape[1]))
    return Readings(period, meters, starts, load * UWH, made * UWH)


def two_days() -> tuple[Any, Any]:
    """Wh of three homes and two days: load and solar. The third home has no solar."""
    load = np.full((48, 3), 100)
    load[19] = [1_000, 100, 500]  # the first day's peak
    load[24 + 20] = [100, 2_100, 100]
    solar = np.zeros((48, 3), np.int64)
    solar[12] = [400, 100, 0]
    solar[24 + 13] = [200, 50, 0]
    return load, solar


def of(comparison: Comparison, name: str) -> Measure:
    (found,) = [measure for measure in comparison.measures if measure.name == name]
    return found


def medians(name: str) -> Spread | None:
    load, solar = two_days()
    measure = of(compare(readings(load, solar), readings(load, solar)), name)
    assert measure.a == measure.b
    assert measure.alike
    return measure.a


ENERGIES = [5.7 / 2, 6.8 / 2, 5.2 / 2]
"""kWh that the three homes use in a day."""


@pytest.mark.parametrize(
    ("name", "of_homes"),
    [
        ("Energy used", ENERGIES),
        ("Hour of the peak", [19, 20, 19]),
        ("Load factor", [ENERGIES[0] / 24, ENERGIES[1] / 24 / 2.1, ENERGIES[2] / 24 / 0.5]),
        # The first day is 2.4 kWh and what the peak adds.
        (
            "Variation of days",
            [0.45 / ENERGIES[0], 1 / ENERGIES[1], 0.2 / ENERGIES[2]],
        ),
        # An hour of the 24 is another on the next day.
        (
            "Change to the next day",
            [0.9 / ENERGIES[0], 2 / ENERGIES[1], 0.4 / ENERGIES[2]],
        ),
        ("Night base load", [0.1 * 24 / energy for energy in ENERGIES]),
        ("Lowest tenth", [0.1 * 24 / energy for energy in ENERGIES]),
        # Of 46 steps two are up or down: from day to day is no step.
        (
            "Ramp",
            [2 * up / 46 * 24 / energy for up, energy in zip((0.9, 2, 0.4), ENERGIES, strict=True)],
        ),
        ("Solar hour", [(12.5 * 2 + 13.5) / 3, (12.5 * 2 + 13.5) / 3]),
        ("Self-consumption", [0.2 / 0.6, 0.15 / 0.15]),
        ("Self-sufficiency", [0.2 / 5.7, 0.15 / 6.8]),
    ],
)
def test_a_measure_of_homes_is_what_it_says(name: str, of_homes: list[float]) -> None:
    # Two of the homes have solar; in "Self-consumption" the second uses 0.1 and then 0.05.
    found = medians(name)
    assert found is not None
    assert found.number == len(of_homes)
    assert found[:3] == pytest.approx(tuple(np.percentile(of_homes, (10, 50, 90))))


@pytest.mark.parametrize(
    ("name", "of_days_or_weeks"),
    [
        # The sun of all homes: 0.5 kWh on one day, 0.25 on the other, each within an hour.
        ("Solar capacity factor", [0.375 / 24 / 0.5]),
        ("Solar variation of days", [0.125 / 0.375]),
        ("Solar ramp", [2 / 23 * 24] * 2),
    ],
)
def test_a_measure_of_the_weather_is_of_all_homes_together(
    name: str, of_days_or_weeks: list[float]
) -> None:
    found = medians(name)
    assert found is not None
    assert found.number == len(of_days_or_weeks)
    assert found.median == pytest.approx(np.median(of_days_or_weeks))


def test_weeks_are_whole_where_there_is_one() -> None:
    hours = np.arange(24 * 16)
    load, solar = np.full((len(hours), 2), 100), np.zeros((len(hours), 2))
    solar[12::24] = 100 + hours[::24, None]
    measure = of(compare(readings(load, solar), readings(load)), "Solar variation of days")
    assert measure.a is not None
    assert measure.a.number == 2
    weeks = solar[12::24, 0][:14].reshape(2, 7)
    assert measure.a.median == pytest.approx((weeks.std(axis=1) / weeks.mean(axis=1)).mean())
    assert measure.across == "weeks"


def test_peak_coincidence_is_of_days() -> None:
    found = medians("Peak coincidence")
    assert found is not None
    days = [1.6 / 1.6, 2.3 / 2.3]
    assert found.number == 2
    assert found.median == pytest.approx(np.median(days))
    apart = two_days()[0]
    apart[20] = [100, 800, 100]  # not when the others have their peak
    measure = of(compare(readings(apart), readings(apart)), "Peak coincidence")
    assert measure.a is not None
    assert measure.a.median == pytest.approx((1.6 / 2.3 + 1) / 2)


def test_the_shape_of_a_home_is_held_against_the_other_homes() -> None:
    hours = np.arange(48) % 24
    early, late = 100 + 10 * (hours < 12), 100 + 10 * (hours >= 12)
    first = readings(np.stack([early, early, early], axis=1))
    second = readings(np.stack([late, late, late], axis=1))
    comparison = compare(first, second)
    like_first = of(comparison, "Day's shape, like the first")
    assert (like_first.a, like_first.b) == (
        pytest.approx((1, 1, 1, 3)),
        pytest.approx((-1, -1, -1, 3)),
    )
    assert not like_first.alike
    like_second = of(comparison, "Day's shape, like the second")
    assert (like_second.a, like_second.b) == (
        pytest.approx((-1, -1, -1, 3)),
        pytest.approx((1, 1, 1, 3)),
    )


def test_a_home_that_always_uses_the_same_has_no_shape() -> None:
    load = two_days()[0]
    load[:, 1] = 100
    measure = of(compare(readings(load), readings(load)), "Day's shape, like the first")
    assert measure.a is not None
    assert measure.a.number == 2


def test_a_side_without_solar_has_no_solar_to_measure() -> None:
    load, solar = two_days()
    comparison = compare(readings(load), readings(load, solar))
    measure = of(comparison, "Self-consumption")
    assert measure.a is None
    assert not measure.alike
    assert comparison.solar == (0, 2 / 3)
    neither = compare(readings(load), readings(load))
    assert of(neither, "Self-consumption").alike
    assert neither.alike


def test_medians_outside_each_other_s_range_are_not_alike() -> None:
    inside, outside, wide = Spread(1, 2, 3, 9), Spread(2.5, 3.5, 4, 9), Spread(0, 3.5, 9, 9)

    def alike(a: Spread, b: Spread) -> bool:
        return Measure("x", "", "homes", "", a, b).alike

    assert alike(inside, inside)
    assert not alike(inside, outside)
    assert not alike(inside, wide)  # its own median lies outside the narrow one
    assert not alike(wide, inside)


def test_homes_of_one_kind_cannot_be_told_apart_and_of_two_kinds_can() -> None:
    year: Any = {"homes": 12, "first": date(2023, 1, 1), "days": 365, "period": HOUR}
    one, other = (generate(seed=seed, **year) for seed in (1, 2))
    same = compare(one, other)
    assert sum(measure.alike for measure in same.measures) >= 15
    assert same.guessed == 24
    assert same.told <= 18
    apart = compare(one, generate(seed=2, place=CALIFORNIA, solar_share=1, **year))
    assert sum(measure.alike for measure in apart.measures) <= 13
    assert apart.told >= 20


def test_the_longer_period_of_the_two_is_compared() -> None:
    week: Any = {"homes": 3, "first": date(2024, 6, 1), "days": 7}
    quarters, hours = (generate(period=timedelta(minutes=minutes), **week) for minutes in (15, 60))
    comparison = compare(quarters, hours)
    assert comparison.period == HOUR
    for measure in comparison.measures:
        assert measure.a is not None
        assert measure.b is not None
        assert list(measure.a) == pytest.approx(list(measure.b), rel=0.01), measure.name
    assert compare(quarters, quarters).period == timedelta(minutes=15)


def test_only_days_from_midnight_to_midnight_count() -> None:
    cut = readings(np.ones((24 * 3, 2)), start=START + timedelta(hours=5))
    assert whole_days(cut).dates == (date(2024, 6, 4), date(2024, 6, 5))
    assert whole_days(cut).load.shape == (2, 24, 2)


def test_days_on_which_the_clocks_change_are_left_out() -> None:
    spring = generate(homes=2, first=date(2024, 3, 29), days=5, period=HOUR, timezone=ZONE)
    assert [day.day for day in whole_days(spring).dates] == [29, 30, 1, 2]
    autumn = generate(homes=2, first=date(2024, 10, 26), days=3, period=HOUR, timezone=ZONE)
    assert [day.day for day in whole_days(autumn).dates] == [26, 28]


@pytest.mark.parametrize(
    ("load", "period", "message"),
    [
        (np.ones((20, 2)), HOUR, "no whole day in readings from 2024-06-03T00:00:00"),
        (np.ones((24, 2)), HOUR, "the first neighbourhood is too small"),
        (np.ones((48, 1)), HOUR, "the first neighbourhood is too small"),
        (np.zeros((48, 3)), HOUR, "the first neighbourhood is too small"),
        (np.ones((48, 2)), timedelta(hours=2), "readings of 120 min cannot be compared"),
        (np.ones((96, 2)), timedelta(minutes=45), "cannot be compared by periods of 60 min"),
        (np.ones((192, 2)), timedelta(minutes=40), "cannot be compared by periods of 60 min"),
    ],
    ids=[
        "no whole day",
        "one day",
        "one home",
        "no load",
        "too long",
        "no part of an hour",
        "no multiple",
    ],
)
def test_what_cannot_be_compared_is_refused(load: Any, period: timedelta, message: str) -> None:
    sound = readings(two_days()[0])
    with pytest.raises(InvalidInput, match=message):
        compare(readings(load, period=period), sound)


def test_a_home_that_never_uses_anything_is_not_measured() -> None:
    load = two_days()[0]
    empty = np.concatenate((load, np.zeros((48, 1), np.int64)), axis=1)
    comparison = compare(readings(empty), readings(load))
    assert comparison.homes == (4, 3)
    for measure in comparison.measures:
        if measure.a is not None and measure.across == "homes":
            assert measure.a.number == 3, measure.name
