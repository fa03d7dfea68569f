"""The made-up neighbourhood."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import Readings, generate, net_positions

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
        == "f19a859975f83b7a5d743e17f3d8b1a34566af91bd42dd5e74f0f713782974a4"
    )


def test_another_seed_gives_other_readings() -> None:
    assert generate(first=DAY, seed=1).rows() != generate(first=DAY, seed=0).rows()


def test_a_day_does_not_depend_on_the_days_before_it() -> None:
    both = generate(first=DAY, days=2).rows()
    assert both[len(both) // 2 :] == generate(first=DAY + timedelta(days=1)).rows()


def test_a_home_does_not_depend_on_the_number_of_homes() -> None:
    many = generate(homes=4, first=DAY).rows()
    assert [r for r in many if r.meter == "home-01"] == generate(homes=1, first=DAY).rows()


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


def test_a_home_uses_two_to_six_mwh_a_year() -> None:
    year = generate(first=date(2023, 1, 1), days=365, period=HOUR)
    for meter in year.meters:
        used = sum(r.consumption for r in year.rows() if r.meter == meter)
        assert 2_000_000 < used / 1e6 < 6_000_000


def test_the_energy_of_a_day_does_not_hang_on_the_period() -> None:
    def produced(period: timedelta) -> int:
        return sum(int(r.production) for r in generate(first=DAY, period=period).rows())

    assert produced(timedelta(hours=24)) == pytest.approx(produced(timedelta(minutes=15)), rel=0.01)


@pytest.mark.parametrize(("day", "hours"), [(date(2016, 11, 6), 25), (date(2017, 3, 12), 23)])
def test_the_days_when_the_clocks_change_have_their_own_length(day: date, hours: int) -> None:
    zone = ZoneInfo("America/Los_Angeles")
    result = generate(homes=1, first=day, period=HOUR, timezone=zone)
    starts = {r.start.astimezone(UTC) for r in result.rows()}
    assert len(starts) == hours
    assert {r.start.date() for r in result.rows()} == {day}


def test_periods_start_on_whole_multiples_since_1970() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    result = generate(homes=1, first=DAY, period=HOUR, timezone=zone)
    assert result.rows()[0].start == datetime(2024, 6, 14, 19, tzinfo=UTC)
    assert len(result.rows()) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"homes": 0}, "homes is 0; give 1 to 65535"),
        ({"homes": 65_536}, "homes is 65536; give 1 to 65535"),
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
