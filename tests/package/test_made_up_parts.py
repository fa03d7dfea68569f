"""What made-up readings are made of: chance, arithmetic, the standard load profile, the sun."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from numpy.random import Philox

from energy_chain.meters import SolarModel, generate
from energy_chain.meters.made_up import standard_load as standard
from energy_chain.meters.made_up.draws import lanes, smooth, uniform, words
from energy_chain.meters.made_up.household import Calendar
from energy_chain.meters.made_up.places import GERMANY
from energy_chain.meters.made_up.portable import cosine, exponential, sine
from energy_chain.meters.made_up.sky import sun

# ------------------------------------------------------------------ chance


def test_words_of_a_day_are_the_same_in_whatever_range_of_days() -> None:
    range_of_days = words(5, 3, 1, 700, 10, 8)
    assert (words(5, 3, 1, 704, 2, 8) == range_of_days[4:6]).all()


def test_seed_home_and_stream_each_change_the_words() -> None:
    drawn = {tuple(words(*key, 9, 1, 4)[0]) for key in [(5, 3, 1), (6, 3, 1), (5, 4, 1), (5, 3, 2)]}
    assert len(drawn) == 4


def test_negative_seeds_are_seeds() -> None:
    assert (words(-1, 1, 0, 0, 1, 4) == words(2**64 - 1, 1, 0, 0, 1, 4)).all()


def test_numpy_draws_what_philox_s_authors_say() -> None:
    """The known answer of Random123 for philox4x64-10 with counter and key of ones."""
    ones = np.array([2**64 - 1] * 4, np.uint64)
    # numpy counts up before it draws.
    before = ones - np.array([1, 0, 0, 0], np.uint64)
    drawn = Philox(key=ones[:2], counter=before).random_raw(4)
    assert drawn.tolist() == [
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    ]


def test_a_word_has_four_lanes_from_its_lowest_bits_on() -> None:
    assert lanes(np.array([[0x0004_0003_0002_0001]], np.uint64)).tolist() == [[[1, 2, 3, 4]]]


def test_uniform_numbers_leave_out_both_ends() -> None:
    assert uniform(np.array([0, 65_535], np.uint16)).tolist() == [0.5 / 65_536, 1 - 0.5 / 65_536]


def test_smooth_noise_goes_through_its_knots_and_hangs_on_no_range() -> None:
    knots = np.array([0.1, 0.9, 0.4, 0.6])
    whole = smooth(knots, np.arange(100, 115), 5)
    assert whole[[0, 5, 10]].tolist() == pytest.approx([0.1, 0.9, 0.4])
    assert (np.diff(whole[:6]) > 0).all()
    assert smooth(knots[1:], np.arange(107, 115), 5).tolist() == whole[7:].tolist()


# ------------------------------------------------------------------ arithmetic


def test_sine_and_cosine_are_those_of_the_library() -> None:
    turns = np.linspace(-3, 3, 1_001)
    assert sine(turns) == pytest.approx(np.sin(turns * math.tau), abs=1e-8)
    assert cosine(turns) == pytest.approx(np.cos(turns * math.tau), abs=1e-8)


def test_the_exponential_is_that_of_the_library() -> None:
    powers = np.linspace(-50, 0, 1_001)
    assert exponential(powers) == pytest.approx(np.exp(powers), rel=1e-5)


# ------------------------------------------------------------------ the standard load profile


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, about demandlib
def test_the_standard_load_is_that_of_demandlib() -> None:
    import pandas as pd
    from demandlib.bdew import H25

    times = pd.date_range("2024-01-01", "2024-12-31 23:45", freq="15min")
    theirs = H25(times).to_numpy() / 1e6 * 8_760  # kW for 1 GWh a year, to a mean of 1
    calendar = Calendar.of(date(2024, 1, 1).toordinal(), 366, southern=False)
    season = standard.season(calendar.day_of_year)
    ours = standard.table()[calendar.month, calendar.kind] * season[:, None]
    assert ours.ravel() == pytest.approx(theirs, rel=1e-9)


def test_many_homes_together_are_like_the_standard_load() -> None:
    first, days = date(2023, 3, 1), 28
    calendar = Calendar.of(first.toordinal(), days, southern=False)
    expected = standard.table()[calendar.month, calendar.kind].mean(axis=0)
    used = generate(homes=300, first=first, days=days).consumption.sum(axis=1)
    mean_day = used.reshape(days, 96).mean(axis=0)
    assert np.corrcoef(mean_day, expected)[0, 1] > 0.95
    one = generate(homes=1, first=first, days=1).consumption[:, 0]
    assert np.corrcoef(one, expected)[0, 1] < 0.8


def test_weekends_are_of_their_own_kind() -> None:
    week = Calendar.of(date(2024, 6, 17).toordinal(), 7, southern=False)  # a Monday
    assert week.kind.tolist() == [standard.WORKDAY] * 5 + [standard.SATURDAY, standard.SUNDAY]
    assert set(week.month.tolist()) == {5}
    assert Calendar.of(date(2024, 6, 17).toordinal(), 1, southern=True).month.tolist() == [11]


# ------------------------------------------------------------------ the sun


def seconds(*moments: datetime) -> np.ndarray:
    return np.array([int(moment.timestamp()) for moment in moments])


def test_the_sun_stands_where_astronomy_has_it() -> None:
    """Noon at the equinox and the solstices, at 51° north on the meridian of Greenwich."""
    noons = [
        datetime(2024, 3, 20, 12, 7, tzinfo=UTC),
        datetime(2024, 12, 21, 11, 58, tzinfo=UTC),
        datetime(2024, 6, 21, 12, 2, tzinfo=UTC),
    ]
    found = sun(GERMANY, seconds(*noons), np.zeros(3), SolarModel.OWN)
    heights = np.degrees(np.arcsin(found.up))
    assert heights == pytest.approx([39, 15.6, 62.4], abs=0.5)
    assert (found.north < 0).all()  # it stands in the south
    assert found.east == pytest.approx(0, abs=0.02)
    assert (found.east**2 + found.north**2 + found.up**2) == pytest.approx(1)


def test_the_sun_rises_in_the_east_and_there_is_none_at_night() -> None:
    hours = [datetime(2024, 6, 21, hour, tzinfo=UTC) for hour in (0, 6, 18)]
    found = sun(GERMANY, seconds(*hours), np.zeros(3), SolarModel.OWN)
    assert found.direct[0] == found.diffuse[0] == 0
    assert found.up[0] < 0
    assert found.east[1] > 0 > found.east[2]


def test_a_clear_summer_noon_has_about_a_kilowatt_a_square_metre() -> None:
    noon = seconds(datetime(2024, 6, 21, 12, tzinfo=UTC))
    clear = sun(GERMANY, noon, np.zeros(1), SolarModel.OWN)
    level = clear.direct * clear.up + clear.diffuse
    assert 800 < level[0] < 1_000


def test_clouds_take_most_of_the_light_and_all_of_what_comes_straight() -> None:
    noon = seconds(datetime(2024, 6, 21, 12, tzinfo=UTC))
    above = sun(GERMANY, noon, np.zeros(1), SolarModel.OWN)
    clear = above.direct[0] * above.up[0] + above.diffuse[0]
    half = np.full(1, 0.5)
    direct, diffuse = above.under(np.zeros(1), half)
    assert (direct[0], diffuse[0]) == pytest.approx((above.direct[0], above.diffuse[0]))
    direct, diffuse = above.under(np.ones(1), half)
    assert direct[0] == pytest.approx(0)
    assert diffuse[0] == pytest.approx(0.25 * clear)  # Kasten and Czeplak
    haze, rain = (above.under(np.ones(1), np.full(1, of))[1][0] for of in (0.0, 1.0))
    assert rain < 0.1 * clear < 0.4 * clear < haze
