"""Places that a made-up neighbourhood can stand in."""

from __future__ import annotations

from dataclasses import dataclass

from energy_chain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Place:
    """A climate, and what homes have in it.

    Attributes:
        name: for people.
        latitude: in degrees, north positive, -66 to 66. The sun stands highest at noon of the
            zone's standard time.
        cloud_winter, cloud_summer: mean cover of the sky as it takes to give the production of
            the place's roofs, above 0 and below 1.
        temperature: mean of the year, in °C.
        season_swing, day_swing: from the mean to the warmest, of the year's course and a clear
            day's, in K.
        home_kwh: what a typical home uses in a year without heating, cooling and car, in kWh.
        solar_kwp: peak power of a typical roof that has solar, in kW.
        cooled, heated, cars: shares of the homes, 0 to 1, that cool, that heat with a heat pump
            and that charge a car.

    Raises:
        InvalidInput: one of them is out of its range.
    """

    name: str
    latitude: float
    cloud_winter: float
    cloud_summer: float
    temperature: float
    season_swing: float
    day_swing: float
    home_kwh: float
    solar_kwp: float
    cooled: float = 0.0
    heated: float = 0.0
    cars: float = 0.0

    def __post_init__(self) -> None:
        if not -66 <= self.latitude <= 66:
            raise InvalidInput(f"latitude is {self.latitude}; give -66 to 66")
        for what in ("cloud_winter", "cloud_summer"):
            if not 0 < getattr(self, what) < 1:
                raise InvalidInput(f"{what} is {getattr(self, what)}; give a share between 0 and 1")
        for what in ("cooled", "heated", "cars"):
            if not 0 <= getattr(self, what) <= 1:
                raise InvalidInput(f"{what} is {getattr(self, what)}; give a share, 0 to 1")
        for what in ("home_kwh", "solar_kwp"):
            if not getattr(self, what) > 0:
                raise InvalidInput(f"{what} is {getattr(self, what)}; give more than 0")


GERMANY = Place(
    name="germany",
    latitude=51.0,
    cloud_winter=0.82,
    cloud_summer=0.64,
    temperature=9.5,
    season_swing=9.0,
    day_swing=4.0,
    home_kwh=3_500,
    solar_kwp=6.5,
    heated=0.05,
    cars=0.10,
)
"""Middle of the country: dull winters, mild summers, no air conditioners to speak of."""

CALIFORNIA = Place(
    name="california",
    latitude=34.0,
    cloud_winter=0.72,
    cloud_summer=0.28,
    temperature=18.5,
    season_swing=6.5,
    day_swing=7.0,
    home_kwh=6_500,
    solar_kwp=4.5,
    cooled=1.0,
    heated=0.9,
)
"""Inland in the south: hot summers, mild winters, and one machine that cools and heats.

Set so that its homes are like ten measured ones: see docs/meter-data.md.
"""

PLACES = {place.name: place for place in (GERMANY, CALIFORNIA)}
"""By name."""
