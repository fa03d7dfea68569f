"""Reading meters from CSV files, and refusing what cannot be used."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from energy_chain.errors import InvalidInput
from energy_chain.meters import (
    Columns,
    DayRange,
    Problem,
    Readings,
    ReadingsError,
    first_whole_day,
    read_csv,
)

HEADER = "meter,period_start,consumption_kwh,production_kwh"
LOS_ANGELES = ZoneInfo("America/Los_Angeles")

Reader = Callable[..., Readings]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Reads lines as a CSV file below a header."""

    def read_lines(*lines: str, header: str = HEADER, **options: Any) -> Readings:
        path = tmp_path / "home.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return read_csv(path, **options)

    return read_lines


def hourly(
    meter: str, first: str, count: int, zone: ZoneInfo | None = None, energies: str = "0.5,0.25"
) -> list[str]:
    """Lines for `count` hours from `first`; written as local times of `zone` without offset."""
    start = datetime.fromisoformat(first)
    starts = [start + timedelta(hours=n) for n in range(count)]
    if zone:
        starts = [s.astimezone(zone).replace(tzinfo=None) for s in starts]
    return [f"{meter},{s.isoformat()},{energies}" for s in starts]


def problems_of(error: pytest.ExceptionInfo[ReadingsError]) -> list[str]:
    return [str(problem) for problem in error.value.problems]


def test_kwh_are_read_as_exact_microwatt_hours(read: Reader) -> None:
    result = read(*hourly("a", "2016-08-01T00:00Z", 2, energies="2.2758,0.0001"))
    assert result.rows()[0].consumption == 2_275_800_000
    assert result.rows()[0].production == 100_000


def test_wh_have_their_own_column_names(read: Reader) -> None:
    lines = hourly("a", "2016-08-01T00:00Z", 2, energies="17.5,3")
    result = read(*lines, header="meter,period_start,consumption_wh,production_wh", unit="Wh")
    assert result.rows()[0].consumption == 17_500_000


def test_another_unit_is_refused(read: Reader) -> None:
    with pytest.raises(InvalidInput, match="give kWh or Wh"):
        read(unit="MWh")


def test_columns_can_be_mapped_and_others_are_ignored(read: Reader) -> None:
    result = read(
        "x,1,2,2016-08-01T00:00Z,a",
        "x,1,2,2016-08-01T01:00Z,a",
        header="note,used,made,when,who",
        columns=Columns("who", "when", "used", "made"),
    )
    reading = result.rows()[0]
    assert reading.consumption == 1_000_000_000
    assert reading.production == 2_000_000_000


def test_a_missing_column_is_named_with_those_found_and_the_option(read: Reader) -> None:
    with pytest.raises(ReadingsError) as error:
        read(header="meter,period_start,used,production_kwh")
    message = str(error.value)
    assert "no column 'consumption_kwh'" in message
    assert "--column consumption=NAME" in message
    assert "'used'" in message


def test_a_column_name_that_comes_twice_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="2 columns are named 'meter'"):
        read(header=HEADER + ",meter")


def test_one_column_cannot_have_two_roles(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="cannot be consumption and production at once"):
        read(columns=Columns(consumption="production_kwh"))


def test_the_period_is_found(read: Reader) -> None:
    assert read(*hourly("a", "2016-08-01T00:00Z", 3)).period == timedelta(hours=1)


def test_meters_are_in_order_of_first_appearance(read: Reader) -> None:
    lines = hourly("b", "2016-08-01T00:00Z", 2) + hourly("a", "2016-08-01T00:00Z", 2)
    assert read(*lines).meters == ("b", "a")


def test_readings_are_sorted_by_instant_and_then_by_meter(read: Reader) -> None:
    lines = hourly("b", "2016-08-01T00:00Z", 2) + hourly("a", "2016-08-01T00:00Z", 2)[::-1]
    found = [(r.start.hour, r.meter) for r in read(*lines).rows()]
    assert found == [(0, "b"), (0, "a"), (1, "b"), (1, "a")]


def test_a_byte_order_mark_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    lines = hourly("a", "2016-08-01T00:00Z", 2)
    path.write_text("\r\n\r\n".join([HEADER, *lines]), encoding="utf-8-sig")
    assert len(read_csv(path).rows()) == 2


def test_a_naive_time_needs_a_timezone(read: Reader) -> None:
    lines = [*hourly("a", "2016-08-01T00:00Z", 1), "a,2016-08-01T01:00,1,1"]
    with pytest.raises(ReadingsError, match=r"line 3: .*--timezone"):
        read(*lines)


def test_a_file_of_naive_times_is_one_problem(read: Reader) -> None:
    with pytest.raises(ReadingsError) as error:
        read(*hourly("a", "2016-08-01T00:00", 5))
    [problem] = error.value.problems
    assert problem.line == 2
    assert "4 more lines" in problem.message


def test_naive_times_are_local_times_of_the_timezone(read: Reader) -> None:
    result = read(*hourly("a", "2016-08-01T00:00", 2), timezone=LOS_ANGELES)
    assert result.rows()[0].start.isoformat() == "2016-08-01T00:00:00-07:00"


def test_aware_times_are_converted_to_the_timezone(read: Reader) -> None:
    result = read(*hourly("a", "2016-08-01T00:00Z", 2), timezone=LOS_ANGELES)
    assert result.rows()[0].start.isoformat() == "2016-07-31T17:00:00-07:00"


def test_a_local_time_that_does_not_exist_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match=r"line 3: .*does not exist in America/Los_Angeles"):
        read(*hourly("a", "2017-03-12T01:00", 3), timezone=LOS_ANGELES)


def test_a_local_time_that_comes_twice_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match=r"line 3: .*comes twice.*UTC offsets"):
        read(*hourly("a", "2016-11-06T00:00", 3), timezone=LOS_ANGELES)


@pytest.mark.parametrize("text", ["", "yesterday", "15/08/2016 13:00", "2016-02-30T00:00Z"])
def test_a_time_that_cannot_be_read_is_refused(read: Reader, text: str) -> None:
    with pytest.raises(ReadingsError, match=r"line 2: time .* is not ISO 8601"):
        read(f"a,{text},1,1")


def test_a_time_at_the_end_of_the_calendar_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match=r"line 2: .*end of the calendar"):
        read("a,0001-01-01T00:00Z,1,1", timezone=LOS_ANGELES)


def test_a_time_that_cannot_be_read_is_a_problem_outside_the_days_too(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="line 26"):
        read(
            *hourly("a", "2016-08-01T00:00Z", 24),
            "a,later,1,1",
            days=DayRange(date(2016, 8, 1)),
        )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no consumption"),
        ("NaN", "is not a number"),
        ("inf", "is not a number"),
        ("1e999", "is not a number"),
        ("1_0", "is not a number"),
        ("0 5", "is not a number"),
        ("-0.1", "is negative"),
        ("4294967.2951", "more than 4294967295 Wh"),
    ],
)
def test_an_unusable_energy_is_refused(read: Reader, text: str, fault: str) -> None:
    lines = [*hourly("a", "2016-08-01T00:00Z", 2), f"a,2016-08-01T02:00Z,{text},1"]
    with pytest.raises(ReadingsError) as error:
        read(*lines)
    [problem] = error.value.problems
    assert problem.line == 4
    assert fault in problem.message


def test_the_largest_energy_is_taken(read: Reader) -> None:
    result = read(*hourly("a", "2016-08-01T00:00Z", 2, energies="4294967.295,0"))
    assert result.rows()[0].consumption == 4_294_967_295_000_000


def test_energies_as_floats_are_written_are_rounded_to_microwatt_hours(read: Reader) -> None:
    lines = hourly(
        "a", "2016-08-01T00:00Z", 2, energies="5.551115123125783e-17,0.30000000000000004"
    )
    reading = read(*lines).rows()[0]
    assert reading.consumption == 0
    assert reading.production == 300_000_000


def test_a_line_with_too_many_columns_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="line 2: 6 columns where the header has 4"):
        read("a,2016-08-01T00:00Z,0,5,0,1")


def test_a_line_without_a_meter_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="line 2: no meter name"):
        read(",2016-08-01T00:00Z,0,1")


def test_a_second_reading_of_a_period_is_refused_with_both_lines(read: Reader) -> None:
    lines = [*hourly("a", "2016-08-01T00:00Z", 3), "a,2016-08-01T03:00+02:00,1,1"]
    with pytest.raises(ReadingsError, match=r"line 5: .*line 3 is a reading of the same period"):
        read(*lines)


def test_a_gap_is_one_problem_with_the_line_before_it(read: Reader) -> None:
    lines = hourly("a", "2016-08-01T00:00Z", 6)
    with pytest.raises(ReadingsError) as error:
        read(*lines[:2], *lines[4:])
    assert problems_of(error) == [
        "line 3: meter a: no reading from 2016-08-01T02:00:00+00:00"
        " to 2016-08-01T04:00:00+00:00 (2 periods)"
    ]


def test_a_meter_that_starts_later_than_another_has_a_gap(read: Reader) -> None:
    with pytest.raises(ReadingsError) as error:
        read(*hourly("a", "2016-08-01T00:00Z", 3), *hourly("b", "2016-08-01T01:00Z", 2))
    assert problems_of(error) == [
        "meter b: no reading from 2016-08-01T00:00:00+00:00 to 2016-08-01T01:00:00+00:00 (1 period)"
    ]


def test_a_meter_without_readings_on_the_selected_day_has_a_gap(read: Reader) -> None:
    lines = hourly("a", "2016-08-01T00:00Z", 48) + hourly("b", "2016-08-02T00:00Z", 24)
    with pytest.raises(ReadingsError, match=r"meter b: no reading .* \(24 periods\)"):
        read(*lines, days=DayRange(date(2016, 8, 1)))


def test_a_selected_day_must_be_whole(read: Reader) -> None:
    with pytest.raises(ReadingsError) as error:
        read(*hourly("a", "2016-08-01T01:00-08:00", 22), days=DayRange(date(2016, 8, 1)))
    assert problems_of(error) == [
        "line 23: meter a: no reading from 2016-08-01T23:00:00-08:00"
        " to 2016-08-02T00:00:00-08:00 (1 period)",
        "meter a: no reading from 2016-08-01T00:00:00-08:00"
        " to 2016-08-01T01:00:00-08:00 (1 period)",
    ]


def test_days_are_those_of_the_offset_in_the_file(read: Reader) -> None:
    result = read(*hourly("a", "2016-08-01T00:00-08:00", 72), days=DayRange(date(2016, 8, 2)))
    assert len(result.rows()) == 24
    assert result.rows()[0].start.isoformat() == "2016-08-02T00:00:00-08:00"


def test_days_are_those_of_the_timezone_when_it_is_given(read: Reader) -> None:
    lines = hourly("a", "2016-08-01T00:00Z", 72)
    result = read(*lines, timezone=LOS_ANGELES, days=DayRange(date(2016, 8, 1), 2))
    assert len(result.rows()) == 48
    assert result.rows()[0].start == datetime(2016, 8, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2016, 11, 6), 25), (date(2017, 3, 12), 23)])
def test_the_days_when_the_clocks_change_are_whole(read: Reader, day: date, hours: int) -> None:
    lines = hourly("a", f"{day - timedelta(days=1)}T00:00Z", 96)
    assert len(read(*lines, timezone=LOS_ANGELES, days=DayRange(day)).rows()) == hours


def test_a_day_with_local_times_that_skip_an_hour_is_whole(read: Reader) -> None:
    lines = hourly("a", "2017-03-12T08:00Z", 23, zone=LOS_ANGELES)
    day = DayRange(date(2017, 3, 12))
    assert len(read(*lines, timezone=LOS_ANGELES, days=day).rows()) == 23


def test_a_day_whose_offset_changes_in_the_file_is_whole(read: Reader) -> None:
    first = hourly("a", "2016-11-06T00:00-07:00", 2)
    rest = hourly("a", "2016-11-06T01:00-08:00", 23)
    assert len(read(*first, *rest, days=DayRange(date(2016, 11, 6))).rows()) == 25


def test_the_two_hours_of_the_same_name_stay_apart(read: Reader) -> None:
    result = read(*hourly("a", "2016-11-06T07:00Z", 4), timezone=LOS_ANGELES)
    assert len({reading.start for reading in result.rows()}) == 4


@pytest.mark.parametrize("day", [date(2016, 7, 31), date(2016, 8, 3)])
def test_a_day_that_is_not_in_the_file_is_refused_with_those_that_are(
    read: Reader, day: date
) -> None:
    with pytest.raises(InvalidInput, match="give days from 2016-08-01 to 2016-08-02"):
        read(*hourly("a", "2016-08-01T00:00Z", 48), days=DayRange(day))


@pytest.mark.parametrize("day", [date(2016, 7, 31), date(2016, 8, 3), date(2018, 1, 1)])
def test_days_that_are_advised_are_whole(read: Reader, day: date) -> None:
    lines = hourly("a", "2016-07-31T23:00Z", 50)  # an hour of the day before, and of that after
    with pytest.raises(
        InvalidInput,
        match=rf"no readings for all of {day}; give days from 2016-08-01 to 2016-08-02",
    ):
        read(*lines, days=DayRange(day))


def test_a_day_of_a_file_without_a_whole_one_is_not_advised_to_be_another(read: Reader) -> None:
    with pytest.raises(InvalidInput, match="has no whole day, only 2016-08-01T05"):
        read(*hourly("a", "2016-08-01T05:00Z", 5), days=DayRange(date(2016, 8, 2)))


def test_a_day_between_others_that_has_no_readings_is_refused(read: Reader) -> None:
    lines = hourly("a", "2016-08-01T00:00Z", 24) + hourly("a", "2016-08-03T00:00Z", 24)
    with pytest.raises(InvalidInput, match="no readings for all of 2016-08-02"):
        read(*lines, days=DayRange(date(2016, 8, 2)))


def test_energies_outside_the_selected_days_are_not_looked_at(read: Reader) -> None:
    lines = [*hourly("a", "2016-08-01T00:00Z", 24), "a,2016-08-02T05:00Z,broken,-1"]
    assert len(read(*lines, days=DayRange(date(2016, 8, 1))).rows()) == 24


def test_one_reading_does_not_give_the_period(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="length of a period unknown"):
        read("a,2016-08-01T00:00Z,1,1")


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ("00:00:30", "at least 60 s"),
        ("00:07:00", "divide a day"),
        ("00:01:00.5", "whole number of seconds"),
    ],
)
def test_an_unusable_period_is_refused(read: Reader, second: str, fault: str) -> None:
    with pytest.raises(ReadingsError, match=fault):
        read("a,2016-08-01T00:00:00Z,1,1", f"a,2016-08-01T{second}Z,1,1")


def test_a_start_off_the_grid_of_periods_is_refused(read: Reader) -> None:
    lines = [*hourly("a", "2016-08-01T00:00Z", 4), "a,2016-08-01T04:05Z,1,1"]
    with pytest.raises(ReadingsError, match=r"line 6: .* whole number of periods of 60 min"):
        read(*lines)


def test_a_file_with_only_a_header_is_refused(read: Reader) -> None:
    with pytest.raises(InvalidInput, match="no readings below its header"):
        read()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home.csv").touch()
    with pytest.raises(InvalidInput, match="is empty"):
        read_csv(tmp_path / "home.csv")


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file") as error:
        read_csv(tmp_path / "home.csv")
    assert "\n" not in str(error.value)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_csv(tmp_path)


def test_a_file_that_is_not_utf_8_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home.csv").write_bytes(f"{HEADER},ü".encode("latin-1"))
    with pytest.raises(InvalidInput, match="not UTF-8 text"):
        read_csv(tmp_path / "home.csv")


def test_a_stray_quote_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="not CSV"):
        read('"a,2016-08-01T00:00Z,1,1', *hourly("a", "2016-08-01T01:00Z", 2))


def test_the_message_shows_the_number_of_problems_and_the_first_ten() -> None:
    error = ReadingsError([Problem(n, "bad") for n in range(2, 14)], "home.csv")
    lines = str(error).splitlines()
    assert lines[0] == "home.csv: 12 problems"
    assert lines[1:11] == [f"  line {n}: bad" for n in range(2, 12)]
    assert lines[11] == "  and 2 more"
    assert lines[12] == (
        "correct the file, or choose days without these lines; readings are never guessed"
    )


def test_a_readings_error_survives_pickling() -> None:
    error = ReadingsError([Problem(2, "bad")], "home.csv")
    again = pickle.loads(pickle.dumps(error))
    assert (again.problems, str(again)) == (error.problems, str(error))


def test_a_range_of_no_days_is_refused() -> None:
    with pytest.raises(InvalidInput, match="days is 0; give 1 or more"):
        DayRange(date(2016, 8, 1), 0)


def test_a_range_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidInput, match="give fewer days"):
        DayRange(date(2016, 8, 1), 10**9)


def test_the_first_whole_day_begins_at_midnight_and_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    path.write_text("\n".join([HEADER, *hourly("a", "2016-08-01T05:00Z", 50)]))
    assert first_whole_day(path) == date(2016, 8, 2)


def test_a_file_without_a_whole_day_says_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "home.csv"
    path.write_text("\n".join([HEADER, *hourly("a", "2016-08-01T12:00Z", 12)]))
    with pytest.raises(InvalidInput, match=r"no whole day, only 2016-08-01T12.* to 2016-08-01T23"):
        first_whole_day(path)


def test_a_decimal_comma_is_told_so(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="write it with a decimal point"):
        read('a,2016-08-01T00:00Z,"0,5",0')
