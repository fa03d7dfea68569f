"""The sun over a place, and the clouds before it.

* The sun's place: declination and equation of time after Spencer, "Fourier series
  representation of the position of the sun", Search 2 (1971).
* A clear sky: the model of ASHRAE, with the constants as Masters fits them over the
  year ("Renewable and Efficient Electric Power Systems", 2004, section 7.10); or
  that of pvlib, Ineichen's with the turbidity of the place.
* Clouds: Kasten and Czeplak, "Solar and terrestrial radiation dependent on the amount
  and type of cloud", Solar Energy 24 (1980): with N of the sky covered, 1 - 0.75 N^3.4
  of the clear sky's radiation arrives (here 3.5, which a square root gives, and from
  0.52 to 0.98 instead of 0.75, as clouds are thin or thick), and of what arrives the
  more is diffuse the more is covered, all of it under a closed cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from energy_chain.errors import InvalidInput
from energy_chain.meters.made_up.places import Place
from energy_chain.meters.made_up.portable import Floats, cosine, exponential, sine


class SolarModel(StrEnum):
    """Whose clear sky it is."""

    OWN = "own"
    PVLIB = "pvlib"


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands and what a clear sky sends, moment by moment.

    Attributes:
        east, north, up: parts of the unit vector to the sun.
        direct: W/m² on a plane that faces the sun; 0 by night.
        diffuse: W/m² from the sky on a level plane.
    """

    east: Floats
    north: Floats
    up: Floats
    direct: Floats
    diffuse: Floats

    def under(self, cover: Floats, density: Floats) -> tuple[Floats, Floats]:
        """Direct and diffuse radiation when `cover` of the sky, 0 to 1, is clouded.

        `density`, 0 to 1 and 0.5 on average, tells haze from rain clouds.
        """
        square = cover * cover
        clear = self.direct * np.maximum(self.up, 0) + self.diffuse
        kept = (0.52 + 0.46 * density) * square * cover * np.sqrt(cover)
        arriving = clear * (1 - kept)
        share = self.diffuse / np.maximum(clear, 1e-9)
        diffuse = arriving * (share + (1 - share) * square)
        # A low sun would make much of little: no more comes straight than from a clear sky.
        direct = np.minimum((arriving - diffuse) / np.maximum(self.up, 0.02), self.direct)
        return direct, diffuse


def sun(place: Place, instants: NDArray[np.int64], longitude: Floats, model: SolarModel) -> Sun:
    """The sun and a clear sky at instants, in seconds since 1970-01-01 00:00 UTC.

    Args:
        place: whose latitude is taken.
        instants: of shape (moments,), ascending.
        longitude: in degrees, east positive, at each of them.
        model: of the clear sky. The own one gives the same everywhere; pvlib's hangs on its
            version and, in the last bits, on the machine.

    Raises:
        InvalidInput: pvlib is asked for and not installed.
    """
    if model is SolarModel.PVLIB:
        return _of_pvlib(place, instants, longitude)
    day = (instants // 86_400).astype("datetime64[D]")
    number = (day - day.astype("datetime64[Y]")).astype(np.int64)  # 0 on 1 January
    year = number / 365  # in turns
    declination = (
        0.006918
        - 0.399912 * cosine(year)
        + 0.070257 * sine(year)
        - 0.006758 * cosine(2 * year)
        + 0.000907 * sine(2 * year)
        - 0.002697 * cosine(3 * year)
        + 0.00148 * sine(3 * year)
    ) / 6.283185307179586
    minutes = 229.18 * (
        0.000075
        + 0.001868 * cosine(year)
        - 0.032077 * sine(year)
        - 0.014615 * cosine(2 * year)
        - 0.040849 * sine(2 * year)
    )
    hour = (instants % 86_400 + 60 * minutes) / 86_400 + longitude / 360 - 0.5
    latitude = place.latitude / 360
    east = -cosine(declination) * sine(hour)
    across = cosine(declination) * cosine(hour)
    north = cosine(latitude) * sine(declination) - sine(latitude) * across
    up = sine(latitude) * sine(declination) + cosine(latitude) * across

    apparent = 1160 + 75 * sine((number - 274) / 365)
    depth = 0.174 + 0.035 * sine((number - 99) / 365)
    sky = 0.095 + 0.04 * sine((number - 99) / 365)
    direct = np.where(
        up > 0, apparent * exponential(-np.minimum(depth / np.maximum(up, 1e-3), 50)), 0.0
    )
    return Sun(east, north, up, direct, sky * direct)


def _of_pvlib(place: Place, instants: NDArray[np.int64], longitude: Floats) -> Sun:
    try:
        import pandas as pd
        from pvlib.location import Location
    except ImportError:
        raise InvalidInput(
            "the solar model pvlib is not installed: pip install 'energy-chain[solar]', "
            "or take the model own"
        ) from None
    parts = []
    for meridian in dict.fromkeys(longitude.tolist()):
        where = Location(place.latitude, meridian)
        times = pd.to_datetime(instants[longitude == meridian], unit="s", utc=True)
        position = where.get_solarposition(times)
        sky = where.get_clearsky(times, solar_position=position)
        azimuth = np.radians(position["azimuth"].to_numpy())
        elevation = np.radians(position["elevation"].to_numpy())
        parts.append(
            (
                np.cos(elevation) * np.sin(azimuth),
                np.cos(elevation) * np.cos(azimuth),
                np.sin(elevation),
                sky["dni"].to_numpy(),
                sky["dhi"].to_numpy(),
            )
        )
    # The years, and with them the meridians, follow one another.
    return Sun(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
