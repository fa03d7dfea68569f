"""Readings of a made-up neighbourhood, the same for the same arguments everywhere.

Loads are those of `household`, the sun is that of `sky`. The homes of a
neighbourhood share the weather: spells of fine and dull days, clouds that pass, and
the temperature. Roofs differ in size, slope and direction.

Everything is made in quarters of an hour, as whole microwatt-hours, and then added
up to periods and counted in whole Wh, as a meter does: what a home uses on a day does
not hang on the period. Shorter periods divide a quarter evenly. People follow the
clock on the wall, daylight saving included; the sun follows the instant.

Chance hangs on seed, home and day alone (see `draws`), and floats are added,
multiplied, divided and put under a square root only (see `portable`), so neither the
machine nor what else is asked for shows in a reading. The solar model of pvlib is the
exception: its last bits are of the machine, and it changes with its version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_METERS
from energy_chain.meters.made_up.draws import NEIGHBOURHOOD, lanes, smooth, uniform, words
from energy_chain.meters.made_up.household import Calendar, DayDraws, Homes, draw, loads, settle
from energy_chain.meters.made_up.places import GERMANY, Place
from energy_chain.meters.made_up.portable import Floats, cosine, sine
from energy_chain.meters.made_up.sky import SolarModel, Sun, sun
from energy_chain.meters.made_up.standard_load import SLOTS
from energy_chain.meters.readings import (
    DAY,
    UWH,
    DayRange,
    Readings,
    day_start,
    local_time,
    period_fault,
)

SOLAR_SHARE = 0.6
"""Share of the homes that have solar, unless somebody says otherwise."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_SLOT = 900
_UWH_A_WATT = 250_000
"""Microwatt-hours of a watt in a quarter of an hour."""
_HOME_DAYS = 2_000
"""Made at a time, so that what is worked on stays in a processor's cache."""

_WEATHER, _FRONTS = range(2)  # streams of the neighbourhood
_WEATHER_WORDS = SLOTS // 4 + 4
_FRONT_WORDS = 4
_FRONT = 4
"""Days between two knots of the noise that makes spells of weather."""

_PERFORMANCE = 0.87
"""What is left of a module's power behind wires, dirt and inverter."""
_GLASS = 0.05
"""The module's glass turns light away that comes aslant: b0 of ASHRAE's model of incidence."""
_STANDING = 10.0
"""What an inverter needs while it is on, in W for each kWp."""
_GROUND = 0.2
"""Share of the light that the ground throws back."""


def generate(
    *,
    homes: int = 10,
    first: date,
    days: int = 1,
    period: timedelta = timedelta(minutes=15),
    seed: int = 0,
    timezone: tzinfo = UTC,
    place: Place = GERMANY,
    solar_share: float = SOLAR_SHARE,
    solar_model: SolarModel = SolarModel.OWN,
) -> Readings:
    """Readings, in whole Wh, of `homes` homes for the periods that start in the given days.

    The days are calendar days of `timezone`: one on which the clock is changed
    has 23 or 25 hours. Periods begin at whole multiples of `period` since
    1970-01-01 00:00 UTC. The meters are home-01, home-02 and so on. The same
    arguments give the same readings on every platform, but for another `solar_model`
    than the own one.

    Args:
        homes: 1 to 65,535.
        first: day.
        days: at least 1.
        period: at least 60 s, in whole seconds, a divisor of a day.
        seed: of all chance; seeds that differ by a multiple of 2**64 are the same.
        timezone: of the days. The place lies in its middle: the sun stands highest at noon of
            standard time.
        place: climate, and what homes have.
        solar_share: share of the homes that have solar, 0 to 1; which ones is told by their
            numbers, so that two of any three neighbours have it when it is two thirds.
        solar_model: whose clear sky.

    Raises:
        InvalidInput: an argument is out of its range, or the solar model is not installed.
    """
    if not 1 <= homes <= MAX_METERS:
        raise InvalidInput(f"homes is {homes}; give 1 to {MAX_METERS}")
    fault = period_fault(period)
    if fault:
        raise InvalidInput(f"period is {period}; {fault}")
    if not 0 <= solar_share <= 1:
        raise InvalidInput(f"solar_share is {solar_share}; give a share, 0 to 1")
    selected = DayRange(first, days)
    bounds = _bounds(selected, period, timezone)
    steps = _steps(first, bounds[-1], timezone)
    calendar = Calendar.of(
        # A day earlier, for what still runs at midnight.
        first.toordinal() - 1,
        steps.days + 1,
        southern=place.latitude < 0,
    )
    sky = _Sky.over(seed, calendar, place)
    above = sun(place, steps.middle, steps.longitude, solar_model)
    neighbourhood = settle(seed, homes, place, solar_share)

    periods = len(bounds) - 1
    consumption = np.empty((periods, homes), np.int64)
    production = np.empty((periods, homes), np.int64)
    at_once = max(1, _HOME_DAYS // len(calendar.ordinal))
    for begin in range(0, homes, at_once):
        part = neighbourhood.part(begin, begin + at_once)
        drawn = draw(seed, part, calendar.ordinal)
        used = loads(part, calendar, drawn, sky.temperature)[:, steps.slot]
        consumption[:, begin : begin + at_once] = _energies(used, steps, bounds)
        made = _production(part, drawn, sky, above, steps)
        production[:, begin : begin + at_once] = _energies(made, steps, bounds)
    return Readings(
        period,
        tuple(f"home-{number:02}" for number in range(1, homes + 1)),
        tuple(local_time(_EPOCH + second * _SECOND, timezone) for second in bounds[:-1].tolist()),
        consumption,
        production,
    )


def _bounds(days: DayRange, period: timedelta, zone: tzinfo) -> NDArray[np.int64]:
    """Where periods begin, and where the last one ends, in seconds since 1970."""
    length = period // _SECOND
    begin = _seconds(day_start(days.first, zone))
    end = _seconds(day_start(days.last + DAY, zone))
    first = -(-begin // length)
    count = -(-end // length) - first
    return (first + np.arange(count + 1)) * length


@dataclass(frozen=True, slots=True)
class _Steps:
    """Quarters of an hour by the instant.

    Attributes:
        edges: where they begin, and where the last one ends, in seconds since 1970.
        middle: of each.
        midnight: the number of the step with which the day of each begins.
        slot: of each by the clock on the wall, counted from midnight of the day before the first.
        longitude: of the middle of the time zone then, in degrees.
        days: how many calendar days they reach into.
    """

    edges: NDArray[np.int64]
    middle: NDArray[np.int64]
    midnight: NDArray[np.int64]
    slot: NDArray[np.int64]
    longitude: Floats
    days: int


def _steps(first: date, end: int, zone: tzinfo) -> _Steps:
    """Those of the calendar days from `first` on until `end`, in seconds since 1970."""
    day = first
    begin = _seconds(day_start(day, zone))
    begins, midnights, slots, longitudes = [], [], [], []
    past = 0  # steps of the days before
    meridians: dict[int, float] = {}
    number = 0
    while begin < end:
        number += 1
        day += DAY
        next_begin = _seconds(day_start(day, zone))
        starts = np.arange(begin, next_begin, _SLOT)
        if len(starts) == SLOTS:
            slot = np.arange(SLOTS)
        else:
            times = [local_time(_EPOCH + s * _SECOND, zone) for s in starts.tolist()]
            slot = np.array([time.hour * 4 + time.minute // 15 for time in times], np.int64)
        year = day.year
        if year not in meridians:
            meridians[year] = _meridian(year, zone)
        begins.append(starts)
        midnights.append(np.full(len(starts), past))
        past += len(starts)
        slots.append(slot + number * SLOTS)
        longitudes.append(np.full(len(starts), meridians[year]))
        begin = next_begin
    edges = np.concatenate([*begins, [begin]])
    return _Steps(
        edges,
        (edges[:-1] + edges[1:]) // 2,
        np.concatenate(midnights),
        np.concatenate(slots),
        np.concatenate(longitudes),
        number,
    )


def _meridian(year: int, zone: tzinfo) -> float:
    """Longitude at which the sun stands highest at noon of a zone's standard time."""
    offsets = (datetime(year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))
    return min(offset or timedelta(0) for offset in offsets) / timedelta(hours=24) * 360


@dataclass(frozen=True, slots=True)
class _Sky:
    """The weather of the calendar's days.

    Attributes:
        cover: of the sky by clouds, 0 to 1, of shape (days, 96).
        density: of the clouds, 0 to 1, of shape (days, 96).
        broken: how much clouds differ from roof to roof, of shape (days, 96).
        temperature: in °C, of shape (days, 96).
    """

    cover: Floats
    density: Floats
    broken: Floats
    temperature: Floats

    @classmethod
    def over(cls, seed: int, calendar: Calendar, place: Place) -> _Sky:
        days, count = calendar.ordinal, len(calendar.ordinal)
        first = int(days[0])
        drawn = words(seed, NEIGHBOURHOOD, _WEATHER, first, count, _WEATHER_WORDS)
        u = uniform(lanes(drawn).reshape(count, -1))
        knots = int(days[-1]) // _FRONT - first // _FRONT + 2
        fronts = words(seed, NEIGHBOURHOOD, _FRONTS, first // _FRONT, knots, _FRONT_WORDS)
        cloud, warmth = (
            smooth(uniform(lanes(fronts)[:, 0, lane]), days, _FRONT) for lane in (0, 1)
        )
        summer = -cosine((calendar.day_of_year - 1) / 365 + 10 / 365)  # -1 to 1
        cover = place.cloud_winter * (1 - summer) / 2 + place.cloud_summer * (1 + summer) / 2
        # Two uniform numbers have a hill in the middle; days are fine or dull, so it is stretched.
        fortune = np.clip(0.5 + 1.4 * (0.55 * cloud + 0.45 * u[:, SLOTS] - 0.5), 0.01, 0.99)
        fortune = fortune * fortune * (3 - 2 * fortune)
        # Schlick's bias: between 0 and 1, its mean about that of the season.
        cover = cover * fortune / (cover * fortune + (1 - cover) * (1 - fortune))
        passing = _passing(u[:, :SLOTS])
        unsettled = 4 * cover * (1 - cover)
        now = np.clip(cover[:, None] + 1.1 * unsettled[:, None] * (passing - 0.5), 0, 1)
        slot = np.arange(SLOTS)
        late = -cosine((calendar.day_of_year - 1) / 365 - 28 / 365)
        mean = place.temperature + place.season_swing * late + 12 * (warmth - 0.5)
        swing = place.day_swing * (1 - 0.6 * cover)
        temperature = mean[:, None] + swing[:, None] * cosine((slot - 62) / SLOTS)
        density, broken = (np.repeat(of_day, SLOTS) for of_day in (u[:, SLOTS + 1], unsettled))
        return cls(now, density.reshape(now.shape), broken.reshape(now.shape), temperature)


def _passing(u: Floats) -> Floats:
    """Clouds that pass: noise of quarters, and of the hours between them."""
    hours = u[:, ::4]
    following = np.concatenate((hours[:, 1:], hours[:, -1:]), axis=1)
    part = np.arange(4) / 4
    slow = hours[:, :, None] * (1 - part) + following[:, :, None] * part
    result: Floats = 0.4 * slow.reshape(u.shape) + 0.6 * u
    return result


def _production(homes: Homes, drawn: DayDraws, sky: _Sky, above: Sun, steps: _Steps) -> Floats:
    """Mean power of the roofs, in W, of shape (homes, steps)."""
    made = np.zeros((len(homes.number), len(steps.slot)))
    roofs = np.flatnonzero(homes.solar_kwp)
    light = np.flatnonzero(above.direct > 0)
    slot = steps.slot[light]
    cover = sky.cover.reshape(-1)[slot]
    broken = sky.broken.reshape(-1)[slot] * 0.3
    warm = sky.temperature.reshape(-1)[slot]
    day_sun = Sun(
        *(getattr(above, name)[light] for name in ("east", "north", "up", "direct", "diffuse"))
    )
    chance = drawn.slots[..., 1].reshape(len(homes.number), -1)
    direct, diffuse = day_sun.under(cover, sky.density.reshape(-1)[slot])
    level = direct * np.maximum(day_sun.up, 0) + diffuse
    for roof in roofs.tolist():
        slope = cosine(homes.tilt[roof])
        across = sine(homes.tilt[roof])
        facing = (
            day_sun.east * (across * sine(homes.azimuth[roof]))
            + day_sun.north * (across * cosine(homes.azimuth[roof]))
            + day_sun.up * slope
        )
        shade = 1 - broken * (uniform(chance[roof, slot]) - 0.5)
        plane = (
            direct * np.maximum(facing - _GLASS * (1 - facing), 0) * shade
            + diffuse * ((1 + slope) / 2)
            + level * (_GROUND * (1 - slope) / 2)
        )
        # A module is some 3 K warmer than the air for each 100 W/m², and loses 0.4 % a K.
        heat = 1 - 0.004 * (warm + 0.03 * plane - 25)
        power = np.maximum(_PERFORMANCE * plane * heat - _STANDING, 0)
        made[roof, light] = homes.solar_kwp[roof] * power
    return made


def _energies(power: Floats, steps: _Steps, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Energy between bounds, in µWh of whole Wh, of shape (bounds - 1, homes).

    Rounded as a meter counts, from midnight on: what one period is short of is in the
    next, and the day is right to the Wh whatever the period.

    Args:
        power: in W, of shape (homes, steps).
        steps: of the power.
        bounds: of the periods, in seconds since 1970, within the steps' edges.
    """
    # Whole numbers from here on: their sums are exact in any order.
    energy = (power * _UWH_A_WATT).astype(np.int64)
    sums = np.zeros((energy.shape[0], energy.shape[1] + 1), np.int64)
    np.cumsum(energy, axis=1, out=sums[:, 1:])
    step = np.searchsorted(steps.edges, bounds, side="right") - 1
    reached = sums[:, step]
    past = bounds - steps.edges[step]
    if past.any():
        within = np.minimum(step, energy.shape[1] - 1)
        reached = reached + energy[:, within] * past // _SLOT
    midnight = sums[:, steps.midnight[step[:-1]]] - UWH // 2  # half a Wh more: to the nearest
    counted = (reached[:, 1:] - midnight) // UWH - (reached[:, :-1] - midnight) // UWH
    result: NDArray[np.int64] = (counted * UWH).T
    return result


def _seconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _SECOND
