"""The made-up neighbourhood."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import Readings, SolarModel, generate, net_positions
from energy_chain.meters.made_up import generator as generator_module
from energy_chain.meters.made_up.places import CALIFORNIA, GERMANY, Place

DAY = date(2024, 6, 15)
HOUR = timedelta(hours=1)


def fingerprint(readings: Readings) -> str:
    lines = [
        f"{r.meter},{r.start.isoformat()},{r.consumption // 10**6},{r.production // 10**6}\n"
        for r in readings.rows()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_same_seed_gives_the_same_readings_everywhere() -> None:
    assert (
        fingerprint(generate(first=DAY))
        == "1dc5ae3371b4026e2a63aa6a5c497783555431e5f6f8608f24fe496c08ee4471"
    )


def test_a_year_under_another_climate_is_the_same_everywhere_too() -> None:
    year = generate(
        homes=3,
        first=date(2024, 1, 1),
        days=366,
        period=HOUR,
        seed=-7,
        timezone=ZoneInfo("America/Los_Angeles"),
        place=replace(CALIFORNIA, cars=1),
        solar_share=1,
    )
    energies = np.stack((year.consumption, year.production)).astype("<i8")
    assert (
        hashlib.sha256(energies.tobytes()).hexdigest()
        == "ee7bea4a9a5bdaec96170f802db0279dc8afc8e9496985c079147f98902d93b0"
    )


def test_another_seed_gives_other_readings() -> None:
    assert generate(first=DAY, seed=1).rows() != generate(first=DAY, seed=0).rows()


def test_a_day_does_not_depend_on_the_days_before_it() -> None:
    both = generate(first=DAY, days=2).rows()
    assert both[len(both) // 2 :] == generate(first=DAY + timedelta(days=1)).rows()


def test_a_home_does_not_depend_on_the_number_of_homes() -> None:
    many = generate(homes=4, first=DAY).rows()
    assert [r for r in many if r.meter == "home-01"] == generate(homes=1, first=DAY).rows()


def test_what_is_made_at_once_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    together = generate(homes=7, first=DAY, days=5)
    monkeypatch.setattr(generator_module, "_HOME_DAYS", 1)
    assert together.rows() == generate(homes=7, first=DAY, days=5).rows()


def test_a_day_of_a_long_time_is_the_same_alone() -> None:
    zone = ZoneInfo("Europe/Berlin")
    autumn = generate(homes=2, first=date(2024, 10, 1), days=60, timezone=zone)
    for day in (date(2024, 10, 27), date(2024, 10, 28), date(2024, 11, 29)):
        alone = generate(homes=2, first=day, timezone=zone).rows()
        assert alone == [r for r in autumn.rows() if r.start.date() == day]


def test_the_default_is_a_day_of_ten_homes_in_quarters_of_an_hour() -> None:
    result = generate(first=DAY)
    assert result.period == timedelta(minutes=15)
    assert result.meters == tuple(f"home-{n:02}" for n in range(1, 11))
    assert len(result.rows()) == 960


@pytest.mark.parametrize("first", [date(2024, month, 21) for month in range(1, 13)])
@pytest.mark.parametrize("seed", range(3))
def test_requests_and_releases_meet_in_daylight(first: date, seed: int) -> None:
    noon = [p for p in net_positions(generate(first=first, seed=seed)) if p.start.hour == 12]
    assert any(min(p.energies.values()) < 0 < max(p.energies.values()) for p in noon)


def test_there_is_no_sun_at_night() -> None:
    assert all(r.production == 0 for r in generate(first=DAY).rows() if r.start.hour < 4)


def test_energies_are_whole_wh_and_not_negative() -> None:
    energies = [e for r in generate(first=DAY).rows() for e in (r.consumption, r.production)]
    assert all(e >= 0 and e % 1_000_000 == 0 for e in energies)


def test_the_homes_of_a_place_use_about_what_it_says_some_twice_as_much_as_others() -> None:
    calm = replace(GERMANY, heated=0, cars=0)
    year = generate(homes=60, first=date(2023, 1, 1), days=365, period=HOUR, place=calm)
    used = year.consumption.sum(axis=0) / 1e9
    assert used.mean() == pytest.approx(GERMANY.home_kwh, rel=0.1)
    assert 1_500 < used.min() < used.max() / 2 < 4_000


def test_a_kwp_yields_about_a_mwh_a_year_in_germany_and_more_in_california() -> None:
    made = [
        generate(
            homes=40, first=date(2023, 1, 1), days=365, period=HOUR, place=place, solar_share=1
        ).production.sum()
        / (40e9 * place.solar_kwp)
        for place in (GERMANY, CALIFORNIA)
    ]
    assert 850 < made[0] < 1_100 < 1_250 < made[1] < 1_650


@pytest.mark.parametrize("minutes", [1, 5, 20, 30, 60, 480, 1440])
def test_the_energy_of_a_day_does_not_hang_on_the_period(minutes: int) -> None:
    quarters = generate(first=DAY)
    others = generate(first=DAY, period=timedelta(minutes=minutes))
    for energy, of_quarters in (
        (others.consumption, quarters.consumption),
        (others.production, quarters.production),
    ):
        assert (energy.sum(axis=0) == of_quarters.sum(axis=0)).all()


def test_an_hour_is_its_quarters_to_the_wh() -> None:
    zone = ZoneInfo("Europe/Berlin")  # two days, so that midnight is among them
    quarters, hours = (
        generate(first=DAY, days=2, period=timedelta(minutes=minutes), timezone=zone).consumption
        for minutes in (15, 60)
    )
    assert (quarters.reshape(48, 4, 10).sum(axis=1) == hours).all()


@pytest.mark.parametrize(("day", "hours"), [(date(2016, 11, 6), 25), (date(2017, 3, 12), 23)])
def test_the_days_when_the_clocks_change_have_their_own_length(day: date, hours: int) -> None:
    zone = ZoneInfo("America/Los_Angeles")
    result = generate(homes=1, first=day, period=HOUR, timezone=zone)
    starts = {r.start.astimezone(UTC) for r in result.rows()}
    assert len(starts) == hours
    assert {r.start.date() for r in result.rows()} == {day}


@pytest.mark.parametrize(
    ("zone", "first", "periods"),
    [
        ("Pacific/Apia", date(2011, 12, 29), 2 * 96),  # without the 30th, when the date line moved
        ("Australia/Lord_Howe", date(2024, 4, 6), 3 * 96 + 2),  # half an hour of daylight saving
        ("Europe/Amsterdam", date(1850, 6, 1), 3 * 96),  # 19 minutes and 32 seconds
        ("America/Sao_Paulo", date(2018, 11, 3), 3 * 96 - 4),  # without the first midnight hour
    ],
)
def test_odd_days_have_their_own_length_too(zone: str, first: date, periods: int) -> None:
    days = generate(homes=2, first=first, days=3, timezone=ZoneInfo(zone))
    assert len(days.starts) == periods
    assert (days.consumption > 0).all()


def test_a_period_that_ends_on_the_next_day_is_of_the_day_it_starts_on() -> None:
    zone = ZoneInfo("Europe/Berlin")  # in summer a day of UTC begins at two o'clock
    week = generate(homes=3, first=DAY, days=7, period=timedelta(days=1), timezone=zone)
    assert [start.hour for start in week.starts] == [2] * 7
    alone = generate(
        homes=3, first=DAY + timedelta(days=3), period=timedelta(days=1), timezone=zone
    )
    assert alone.consumption.tolist() == week.consumption[3:4].tolist()
    quarters = generate(homes=3, first=DAY, days=8, timezone=zone).consumption
    assert abs(quarters[8 : 8 + 96].sum(axis=0) - week.consumption[0]).max() <= 10**6


def test_periods_start_on_whole_multiples_since_1970() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    result = generate(homes=1, first=DAY, period=HOUR, timezone=zone)
    assert result.rows()[0].start == datetime(2024, 6, 14, 19, tzinfo=UTC)
    assert len(result.rows()) == 24


def test_homes_have_spikes_and_quiet_hours() -> None:
    """A standard load profile has a load factor of 0.5, and hardly a step."""
    month = generate(homes=30, first=DAY, days=28, place=replace(GERMANY, heated=0, cars=0))
    load = month.consumption / 1e9 * 4
    factors = load.mean(axis=0) / load.max(axis=0)
    assert 0.04 < np.median(factors) < 0.2
    ramps = abs(np.diff(load, axis=0)).mean(axis=0) / load.mean(axis=0)
    assert np.median(ramps) > 0.3
    together = load.sum(axis=1)
    assert together.max() < 0.4 * load.max(axis=0).sum()


def test_people_do_not_live_the_same_day_twice() -> None:
    days = generate(homes=20, first=DAY, days=28).consumption.reshape(28, 96, 20).sum(axis=1)
    variation = days.std(axis=0) / days.mean(axis=0)
    assert 0.1 < np.median(variation) < 0.6


def test_dull_and_fine_days_come_in_spells_that_all_roofs_share() -> None:
    year = generate(homes=4, first=date(2023, 1, 1), days=365, period=HOUR, solar_share=1)
    days = year.production.reshape(365, 24, 4).sum(axis=1).astype(float)
    summer = days[120:240]
    assert summer.min() < 0.4 * summer.max()
    assert np.corrcoef(summer[:, 0], summer[:, 1])[0, 1] > 0.9
    total = days.sum(axis=1)
    season = np.convolve(total, np.ones(61) / 61, "same")
    rest = (total / season)[60:-60]
    assert np.corrcoef(rest[1:], rest[:-1])[0, 1] > 0.2


def test_roofs_face_different_ways() -> None:
    month = generate(homes=30, first=DAY, days=28, solar_share=1)
    made = month.production.reshape(28, 96, 30).mean(axis=0)
    noon = (made * np.arange(96)[:, None]).sum(axis=0) / made.sum(axis=0) / 4
    assert noon.min() < 11.8 < 12.2 < noon.max()


@pytest.mark.parametrize(("share", "homes"), [(0, 0), (0.25, 5), (0.6, 12), (1, 20)])
def test_as_many_homes_have_solar_as_are_asked_for(share: float, homes: int) -> None:
    day = generate(homes=20, first=DAY, solar_share=share)
    assert (day.production.sum(axis=0) > 0).sum() == homes


def test_hot_afternoons_and_cold_nights_use_more_where_homes_cool_and_heat() -> None:
    def used(place: Place, first: date) -> Any:
        month = generate(homes=20, first=first, days=28, period=HOUR, place=place)
        return month.consumption.reshape(28, 24, 20).mean(axis=(0, 2))

    plain = replace(CALIFORNIA, cooled=0, heated=0)
    july, january = date(2023, 7, 1), date(2023, 1, 1)
    cooling = used(CALIFORNIA, july) - used(plain, july)
    heating = used(CALIFORNIA, january) - used(plain, january)
    assert cooling.argmax() in range(13, 20)
    assert cooling[3] < 0.2 * cooling.max()
    assert heating.argmax() in range(3, 12)


def test_a_car_is_charged_in_the_evening() -> None:
    without, with_cars = (
        generate(homes=20, first=DAY, days=7, place=replace(GERMANY, cars=cars)).consumption
        for cars in (0, 1)
    )
    charged = (with_cars - without).reshape(7, 96, 20) // 10**6
    assert charged.min() >= -1  # a Wh may be counted in the next quarter
    days = charged.sum(axis=1)
    assert 3_000 < days[days > 1].mean() < 17_000
    assert (charged > 500)[:, 68:88].any(axis=(0, 2)).all()
    assert (charged <= 1)[:, 36:56].all()


def test_south_of_the_equator_the_sun_stands_high_in_january() -> None:
    south = replace(GERMANY, latitude=-GERMANY.latitude)
    january, july = (
        generate(first=date(2023, month, 1), days=28, place=south).production.sum()
        for month in (1, 7)
    )
    assert january > 2 * july


@pytest.mark.filterwarnings("ignore:DatetimeIndex")  # of pandas, about pvlib
def test_the_sky_of_pvlib_is_like_our_own() -> None:
    own, theirs = (
        generate(first=date(2024, 6, 15), days=7, solar_model=model, timezone=zone)
        for zone in [ZoneInfo("Europe/Berlin")]
        for model in SolarModel
    )
    assert theirs.production.sum() == pytest.approx(own.production.sum(), rel=0.15)
    assert (theirs.production != own.production).any()
    assert (theirs.consumption == own.consumption).all()
    middle = [r.production.sum(axis=1) @ np.arange(672) / r.production.sum() for r in (own, theirs)]
    assert middle[0] == pytest.approx(middle[1], abs=1)


def test_without_pvlib_its_sky_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pvlib.location", None)
    with pytest.raises(InvalidInput, match=r"pip install 'energy-chain\[solar\]', or take"):
        generate(first=DAY, solar_model=SolarModel.PVLIB)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latitude": 80}, "latitude is 80; give -66 to 66"),
        ({"cloud_summer": 1}, "cloud_summer is 1; give a share between 0 and 1"),
        ({"cooled": 1.5}, "cooled is 1.5; give a share, 0 to 1"),
        ({"home_kwh": 0}, "home_kwh is 0; give more than 0"),
        ({"solar_kwp": -1}, "solar_kwp is -1; give more than 0"),
    ],
)
def test_a_place_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(GERMANY, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"homes": 0}, "homes is 0; give 1 to 65535"),
        ({"homes": 65_536}, "homes is 65536; give 1 to 65535"),
        ({"solar_share": 1.5}, "solar_share is 1.5; give a share, 0 to 1"),
        ({"days": 0}, "days is 0; give 1 or more"),
        ({"period": timedelta(seconds=30)}, "period is 0:00:30; it must be at least 60 s"),
        ({"period": timedelta(minutes=7)}, "period is 0:07:00; it must divide a day"),
        ({"period": timedelta(minutes=-15)}, "it must be at least 60 s"),
    ],
)
def test_an_unusable_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        generate(first=DAY, **arguments)


def test_a_day_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidInput, match="end of the calendar"):
        generate(first=date.min, timezone=ZoneInfo("Asia/Tokyo"))
