"""Loads of made-up homes.

The mean over many homes is the standard load profile H25 (see `standard_load`) and
what heating, cooling and cars add. One home differs from it by

* its size, the share that is always on, and the cycles of its fridge;
* its routine: an hour or so earlier or later than others, with two times of the day
  that are more its own than others';
* its days: busier and quieter ones, weeks of either, and some days away;
* appliances that are on or off: short ones (kettle, hair dryer), cooking, and long
  ones (washing, dishes, drying), which begin by chance, the more often the higher
  the shape stands, and use what the shape has to spare above a home's base load;
* heat pump and air conditioner, by the temperature outside, where people left them on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import fsum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energy_chain.meters.made_up import standard_load
from energy_chain.meters.made_up.draws import lanes, smooth, uniform, words
from energy_chain.meters.made_up.places import Place
from energy_chain.meters.made_up.portable import Floats
from energy_chain.meters.made_up.standard_load import SLOTS

_TRAITS, _DAYS, _SPELLS = range(3)  # streams of a home
_TRAIT_WORDS = 12
_DAY_WORDS = SLOTS + 4
_SPELL_WORDS = 4
_SPELL = 16
"""Days between two knots of the noise that makes weeks busier or quieter."""

_HOURS_A_YEAR = 8_760.0
_LONGEST = 8
"""Slots that the longest appliance runs, beyond the one that it begins in."""
_CHARGING = 24
"""Slots that charging a car takes at the most."""


class _Appliance(NamedTuple):
    """A class of appliances.

    Attributes:
        share: of the energy above the base load.
        weakest, strongest: power while it runs, in W.
        slots: which part of that power it takes in the slots from the one on that it begins in.
    """

    share: float
    weakest: float
    strongest: float
    slots: tuple[float, ...]


_APPLIANCES = (
    _Appliance(0.18, 200, 1_400, (1.0,)),
    _Appliance(0.24, 600, 2_800, (0.5, 1.0, 0.5)),
    _Appliance(0.22, 500, 2_200, (0.8, 1.0, 0.3, 0.2, 0.7, 0.3)),
)
_PRESENCE = 1 - fsum(appliance.share for appliance in _APPLIANCES)
"""Share of light, screens and the like, which are on while people are in and awake."""


@dataclass(frozen=True, slots=True)
class Homes:
    """Traits, each of shape (homes,): powers in W, times in slots of a quarter of an hour."""

    number: NDArray[np.int64]
    base: Floats
    active: Floats  # mean above the base
    scale: Floats  # of appliances' powers
    fridge: Floats
    fridge_rate: Floats
    fridge_phase: Floats
    shift: NDArray[np.int64]
    late_weekend: NDArray[np.int64]
    habit: Floats  # of shape (homes, 2): slots of the day
    habit_weight: Floats  # of shape (homes, 2)
    restless: Floats
    cooling: Floats  # W per K
    cooling_from: Floats  # °C
    heating: Floats
    heating_below: Floats
    setback: Floats
    care: Floats
    car: Floats
    car_slot: Floats
    solar_kwp: Floats
    tilt: Floats  # in turns
    azimuth: Floats  # in turns from north, clockwise

    def part(self, begin: int, end: int) -> Homes:
        """Some of them."""
        return Homes(*(getattr(self, field.name)[begin:end] for field in fields(self)))


def settle(seed: int, homes: int, place: Place, solar_share: float) -> Homes:
    """Homes 1 to `homes` of a neighbourhood, by chance."""
    number = np.arange(1, homes + 1)
    drawn = [words(seed, home, _TRAITS, 0, 1, _TRAIT_WORDS)[0] for home in number.tolist()]
    u = uniform(lanes(np.array(drawn)).reshape(homes, -1)).T
    mean = place.home_kwh * (0.62 + 1.1 * u[0] * np.sqrt(u[0])) * 1000 / _HOURS_A_YEAR
    large = place.home_kwh / 3_500  # in such places all that is heated, cooled or used is larger
    fridge = 40 + 50 * u[1]
    base = mean * (0.07 + 0.25 * u[2])
    # By number and not by chance, so that even a small neighbourhood can trade.
    has_solar = np.ceil(number * solar_share) > np.ceil((number - 1) * solar_share)
    return Homes(
        number=number,
        base=base,
        active=np.maximum(mean - base - fridge, 0.3 * mean),
        # Larger homes have stronger appliances rather than only more of them.
        scale=(0.4 + 1.4 * u[3] * u[3]) * np.sqrt(large),
        fridge=fridge,
        fridge_rate=0.16 + 0.14 * u[4],
        fridge_phase=u[5],
        # Earlier by half an hour: what is begun goes on, and weekends are late.
        shift=np.rint(10 * (u[6] - 0.7)).astype(np.int64),
        late_weekend=np.rint(6 * u[7]).astype(np.int64),
        habit=24 + 66 * np.stack((u[8], u[9]), 1),  # while people are awake
        habit_weight=np.stack((2.2 * u[10] * u[10], 1.6 * u[11] * u[11]), 1),
        restless=0.5 + 0.5 * u[12],
        cooling=np.where(u[13] < place.cooled, large * (30 + 110 * u[14]), 0),
        cooling_from=20 + 5 * u[15],
        heating=np.where(u[16] < place.heated, large * (20 + 90 * u[17]), 0),
        heating_below=14 + 4 * u[18],
        setback=0.5 + 3 * u[19],
        care=0.5 + 0.5 * u[20],
        car=np.where(u[21] < place.cars, np.where(u[22] < 0.5, 3_700.0, 11_000.0), 0.0),
        car_slot=70 + 20 * u[23],
        solar_kwp=np.where(
            has_solar, place.solar_kwp * (0.55 + 0.5 * u[24] + 0.2 * u[25] + 0.2 * u[0]), 0
        ),
        tilt=(10 + 25 * u[26]) / 360,
        azimuth=(180 + 150 * (u[27] + u[28] - 1)) / 360,
    )


@dataclass(frozen=True, slots=True)
class DayDraws:
    """Uniform chance of homes and days.

    Attributes:
        slots: 16-bit lanes, of shape (homes, days, 96, 4).
        days: between 0 and 1, of shape (homes, days, 16).
        spells: between 0 and 1, changing over weeks, of shape (homes, days).
    """

    slots: NDArray[np.uint16]
    days: Floats
    spells: Floats


def draw(seed: int, homes: Homes, days: NDArray[np.int64]) -> DayDraws:
    """The chance of homes on consecutive days, given by their ordinals."""
    first, count = int(days[0]), len(days)
    knot, knots = first // _SPELL, int(days[-1]) // _SPELL - first // _SPELL + 2
    drawn = np.empty((len(homes.number), count, _DAY_WORDS), np.uint64)
    spells = np.empty((len(homes.number), knots, _SPELL_WORDS), np.uint64)
    for row, number in enumerate(homes.number.tolist()):
        drawn[row] = words(seed, number, _DAYS, first, count, _DAY_WORDS)
        spells[row] = words(seed, number, _SPELLS, knot, knots, _SPELL_WORDS)
    of_days = lanes(drawn[:, :, SLOTS:]).reshape(*drawn.shape[:2], -1)
    return DayDraws(
        lanes(drawn[:, :, :SLOTS]),
        uniform(of_days),
        smooth(uniform(lanes(spells)[:, :, 0, 0]), days, _SPELL),
    )


class Calendar(NamedTuple):
    """Consecutive days, each of shape (days,)."""

    ordinal: NDArray[np.int64]
    month: NDArray[np.int64]  # 0 to 11
    day_of_year: NDArray[np.int64]  # from 1
    kind: NDArray[np.int64]  # of the day, as `standard_load` has it

    @classmethod
    def of(cls, first: int, count: int, southern: bool) -> Calendar:
        """From an ordinal on. South of the equator January has what July has in the north."""
        ordinal = np.arange(first, first + count)
        day = (ordinal - 719_163).astype("datetime64[D]")
        month = day.astype("datetime64[M]").astype(np.int64) % 12
        of_year = (day - day.astype("datetime64[Y]")).astype(np.int64)
        weekday = (ordinal + 6) % 7  # 0 on Mondays
        kind = np.where(weekday < 5, 0, weekday - 4)
        if southern:
            month, of_year = (month + 6) % 12, (of_year + 182) % 365
        return cls(ordinal, month, of_year + 1, kind)


def loads(homes: Homes, calendar: Calendar, drawn: DayDraws, temperature: Floats) -> Floats:
    """Mean power, in W, of shape (homes, days * 96), by the clock on the wall.

    What began on the day before the first is not in it: give a day more than is wanted.

    Args:
        homes: whose.
        calendar: of the days.
        drawn: the chance of these homes and days.
        temperature: outside, in °C, of shape (days, 96).
    """
    rows, days = drawn.spells.shape
    activity = _activity(homes, calendar, drawn).reshape(rows, -1)
    present = uniform(drawn.slots[:, :, :, 0]).reshape(rows, -1)
    load = np.empty((rows, days * SLOTS + _LONGEST))
    inside = load[:, : days * SLOTS]
    np.multiply(activity, _PRESENCE * (0.5 + present), out=inside)
    inside += homes.base[:, None] + _fridge(homes, calendar)
    load[:, days * SLOTS :] = 0
    for lane, appliance in enumerate(_APPLIANCES, 1):
        _run(appliance, activity, drawn.slots[..., lane].reshape(rows, -1), homes.scale, load)
    _climate(homes, drawn, temperature, inside)
    _cars(homes, drawn, load)
    return inside


def _activity(homes: Homes, calendar: Calendar, drawn: DayDraws) -> Floats:
    """Mean power above the base load, of shape (homes, days, 96)."""
    pairs, day_pair = np.unique(calendar.month * 3 + calendar.kind, return_inverse=True)
    shapes = standard_load.table()[pairs // 3, pairs % 3]
    # Of what everybody uses by night, most is what the base load and the fridge use already.
    shapes = shapes - 0.45 * shapes.min(axis=1, keepdims=True)
    # What `sum` makes of floats hangs on the version of Python, and numpy's on the machine.
    shapes = shapes * np.array([[SLOTS / fsum(shape)] for shape in shapes.tolist()])
    late = np.where(pairs % 3 == standard_load.WORKDAY, 0, homes.late_weekend[:, None])
    slot = (np.arange(SLOTS) - homes.shift[:, None, None] - late[:, :, None]) % SLOTS
    own = shapes[np.arange(len(pairs))[:, None], slot] * _habits(homes)[:, None, :]
    mood = drawn.days[:, :, 0]
    busy = 1 + homes.restless[:, None] * (1.1 * mood + 1.9 * drawn.spells - 1.5)
    away = (drawn.days[:, :, 1] < 0.03) | (drawn.spells < 0.03)
    level = np.where(away, 0.06, np.maximum(busy, 0.15)) * standard_load.season(
        calendar.day_of_year
    )
    result: Floats = own[:, day_pair] * (homes.active[:, None] * level)[:, :, None]
    return result


def _habits(homes: Homes) -> Floats:
    """What a home does more of than others at its own times of the day, its mean 1."""
    apart = np.abs(np.arange(SLOTS)[None, None] - homes.habit[:, :, None])
    near = np.maximum(0, 1 - np.minimum(apart, SLOTS - apart) / 10)  # two and a half hours
    bump = near * near * (3 - 2 * near) * (SLOTS / 10)
    weight = homes.habit_weight * 0.35
    made = 1 + weight[:, 0, None] * bump[:, 0] + weight[:, 1, None] * bump[:, 1]
    own: Floats = made / (1 + weight[:, 0] + weight[:, 1])[:, None]
    return own


def _fridge(homes: Homes, calendar: Calendar) -> Floats:
    """On for half of each cycle."""
    slot = np.arange(calendar.ordinal[0] * SLOTS, (calendar.ordinal[-1] + 1) * SLOTS)
    turns = slot * homes.fridge_rate[:, None] + homes.fridge_phase[:, None]
    return np.where(turns - np.floor(turns) < 0.5, 2 * homes.fridge[:, None], 0.0)


def _run(
    appliance: _Appliance,
    activity: Floats,
    lane: NDArray[np.uint16],
    scale: Floats,
    load: Floats,
) -> None:
    """Adds what appliances of a class use to `load`."""
    typical = (appliance.weakest + appliance.strongest) / 2 * fsum(appliance.slots)
    # Both sides in 65,536ths: a start is where the lane falls below.
    chance = activity * (appliance.share * 65_536 / typical / scale)[:, None]
    row, slot = np.nonzero(lane < chance)
    part = (lane[row, slot] + 0.5) / np.minimum(chance[row, slot], 65_536)
    power = scale[row] * (appliance.weakest + (appliance.strongest - appliance.weakest) * part)
    for later, share in enumerate(appliance.slots):
        load[row, slot + later] += share * power


def _climate(homes: Homes, drawn: DayDraws, outside: Floats, load: Floats) -> None:
    """Adds cooling and heating."""
    days = drawn.spells.shape[1]
    slot = np.arange(SLOTS)
    for row in np.flatnonzero(homes.cooling + homes.heating).tolist():
        on = drawn.days[row, :, 2] < homes.care[row]
        begin, end = drawn.days[row, :, 3] * 48, 60 + drawn.days[row, :, 4] * 40
        awake = (slot > begin[:, None]) & (slot < end[:, None])
        warm = np.maximum(outside - homes.cooling_from[row], 0) * (awake & on[:, None])
        night = np.where((slot < 24) | (slot > 88), homes.setback[row], 0)
        cold = np.maximum(homes.heating_below[row] - night - outside, 0)
        need = homes.cooling[row] * warm + homes.heating[row] * cold
        cycle = uniform(drawn.slots[row, :, :, 0])
        load[row] += (need * (0.5 + cycle)).reshape(days * SLOTS)


def _cars(homes: Homes, drawn: DayDraws, load: Floats) -> None:
    """Adds a car that comes home in the evening and charges what it drove."""
    slots = np.arange(_CHARGING)
    for row in np.flatnonzero(homes.car).tolist():
        drives = np.flatnonzero(drawn.days[row, :, 5] < 0.55)
        wh = 3_000 + 14_000 * drawn.days[row, drives, 6]
        begin = homes.car_slot[row] + 8 * (drawn.days[row, drives, 7] - 0.5)
        lasts = wh / homes.car[row] * 4
        place = begin.astype(np.int64)[:, None] + slots
        overlap = np.clip(
            np.minimum(begin + lasts, place.T + 1) - np.maximum(begin, place.T), 0, 1
        ).T
        target = drives[:, None] * SLOTS + place
        inside = target < load.shape[1]
        np.add.at(load[row], target[inside], (overlap * homes.car[row])[inside])
