"""Readings of a made-up neighbourhood, the same for the same arguments everywhere.

The model is simple on purpose, and is to be made realistic later:

* Three of every five homes have solar, of 3 to 8 kWp. A bell curve from sunrise
  to sunset, with a season of the northern middle latitudes, is scaled by one
  cloudiness a day for the whole neighbourhood. No temperature, no shade, no
  clouds that pass; a kWp yields about 1 MWh a year.
* Every home has a base load, a morning and an evening peak, a little more load
  in winter, and noise: 2 to 6 MWh a year. No weekends, no appliances, no
  batteries, no cars.
* Sun and people follow the clock on the wall, daylight saving included.

Floats are only added, multiplied and divided, sums are taken by `fsum` (what
`sum` does with floats depends on the Python version), chance comes only from
`random.Random.random`, which Python promises not to change, and energies are
rounded to whole Wh; so the platform and the Python version do not show. A home
does not depend on how many homes there are, nor a day on which days are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import fsum
from random import Random

import numpy as np

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_METERS
from energy_chain.meters.readings import (
    DAY,
    UWH,
    DayRange,
    Readings,
    day_start,
    local_time,
    period_fault,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_STEP = timedelta(minutes=15)
_HOURS_A_YEAR = 8_760
_MIDSUMMER = 172  # day of the year
_BELL_MEAN = 8 / 15  # mean of _bell between -1 and 1
_MORNING_WIDTH = 2.0  # hours from a peak to where it ends
_EVENING_WIDTH = 3.5
_PEAK_YIELD = 0.8  # kW from 1 kWp at a clear midsummer noon


@dataclass(frozen=True, slots=True)
class _Home:
    meter: str
    solar_kwp: float
    base: float  # average power of the three parts of the load, in W
    morning: float
    evening: float
    morning_peak: float  # hour of the day
    evening_peak: float

    def load_w(self, hour: float, season: float) -> float:
        """Load in W, before noise, at an hour of a day of `season`."""
        morning = _bell(_hours_apart(hour, self.morning_peak) / _MORNING_WIDTH)
        evening = _bell(_hours_apart(hour, self.evening_peak) / _EVENING_WIDTH)
        return (self.base + self.morning * morning + self.evening * evening) * (1 - 0.15 * season)


def generate(
    *,
    homes: int = 10,
    first: date,
    days: int = 1,
    period: timedelta = timedelta(minutes=15),
    seed: int = 0,
    timezone: tzinfo = UTC,
) -> Readings:
    """Readings, in whole Wh, of `homes` homes for the periods that start in the given days.

    The days are calendar days of `timezone`: one on which the clock is changed
    has 23 or 25 hours. Periods begin at whole multiples of `period` since
    1970-01-01 00:00 UTC. The meters are home-01, home-02 and so on. The same
    arguments give the same readings on every platform.

    Raises InvalidInput when `homes` is not in 1..65535, `days` is less than 1,
    or `period` is less than 60 s, no whole number of seconds or no divisor of a day.
    """
    if not 1 <= homes <= MAX_METERS:
        raise InvalidInput(f"homes is {homes}; give 1 to {MAX_METERS}")
    fault = period_fault(period)
    if fault:
        raise InvalidInput(f"period is {period}; {fault}")
    selected = DayRange(first, days)
    begin = day_start(selected.first, timezone)
    end = day_start(selected.last + DAY, timezone)

    neighbourhood = [_home(seed, number) for number in range(1, homes + 1)]
    noises = [Random() for _ in neighbourhood]
    starts: list[datetime] = []
    consumption: list[list[int]] = []
    production: list[list[int]] = []
    today: date | None = None
    clearness = 0.0
    start = _EPOCH - ((_EPOCH - begin) // period) * period  # rounded up to the grid
    while start < end:
        local = local_time(start, timezone)
        if local.date() != today:
            today = local.date()
            clearness = 0.25 + 0.75 * Random(f"{seed}/{today}").random()
            for home, noise in zip(neighbourhood, noises, strict=True):
                noise.seed(f"{seed}/{today}/{home.meter}")
        moments = _moments(local, period)
        hours = period / _HOUR / len(moments)
        sun_kwh = fsum(_sun_kw(hour, season) for hour, season in moments) * hours * clearness
        starts.append(local)
        consumption.append(
            [
                round(
                    fsum(home.load_w(hour, season) for hour, season in moments)
                    * hours
                    * (0.6 + 0.8 * noise.random())
                )
                for home, noise in zip(neighbourhood, noises, strict=True)
            ]
        )
        production.append([round(home.solar_kwp * sun_kwh * 1000) for home in neighbourhood])
        start += period
    return Readings(
        period,
        tuple(home.meter for home in neighbourhood),
        tuple(starts),
        np.array(consumption, np.int64) * UWH,
        np.array(production, np.int64) * UWH,
    )


def _home(seed: int, number: int) -> _Home:
    meter = f"home-{number:02}"
    random = Random(f"{seed}/{meter}").random
    mean_w = (2.2 + 3.6 * random()) * 1e6 / _HOURS_A_YEAR
    kwp = 3 + 5 * random()
    base, morning, evening = 0.5 + 0.3 * random(), 0.8 + 0.8 * random(), 1.5 + 1.5 * random()
    mean = base + _BELL_MEAN * (morning * _MORNING_WIDTH + evening * _EVENING_WIDTH) / 12
    return _Home(
        meter=meter,
        # By number and not by chance, so that even a small neighbourhood can trade.
        solar_kwp=kwp if (number - 1) * 3 % 5 < 3 else 0.0,
        base=mean_w * base / mean,
        morning=mean_w * morning / mean,
        evening=mean_w * evening / mean,
        morning_peak=6.5 + 2 * random(),
        evening_peak=17.5 + 3 * random(),
    )


def _moments(local: datetime, period: timedelta) -> list[tuple[float, float]]:
    """Hour of the day and season at the middles of equal steps of a period."""
    steps = -(-period // _STEP)
    step = period / steps
    moments = []
    for number in range(steps):
        moment = local + step * number + step / 2
        hour = moment.hour + moment.minute / 60 + moment.second / 3600
        moments.append((hour, _season(moment.date())))
    return moments


def _season(day: date) -> float:
    """From -1 in midwinter to 1 in midsummer, smoothly."""
    distance = abs(day.timetuple().tm_yday - _MIDSUMMER)
    x = min(distance, 365 - distance) / 182.5
    return 1 - 2 * x * x * (3 - 2 * x)


def _sun_kw(hour: float, season: float) -> float:
    """Power of 1 kWp in kW under a clear sky."""
    half_day = 6 + 1.8 * season  # hours from noon to sunset
    return _PEAK_YIELD * (0.75 + 0.25 * season) * _bell((hour - 12.5) / half_day)


def _bell(x: float) -> float:
    """1 at 0, falling smoothly to 0 at -1 and 1, and 0 beyond."""
    y = max(0.0, 1 - x * x)
    return y * y


def _hours_apart(a: float, b: float) -> float:
    apart = abs(a - b)
    return min(apart, 24 - apart)
