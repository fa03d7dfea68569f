"""CSV files as different software writes them: found out where that is beyond doubt."""

from __future__ import annotations

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
    DecimalMark,
    FileOptions,
    Format,
    Label,
    Readings,
    ReadingsError,
    Unit,
    measure,
    read_readings,
)

LONG = "meter,period_start,consumption_kwh,production_kwh"
BERLIN = ZoneInfo("Europe/Berlin")
KWH = 10**9

Reader = Callable[..., Readings]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "home.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


@pytest.fixture
def read(write: Callable[..., Path]) -> Reader:
    def read(*lines: str, name: str = "home.csv", encoding: str = "utf-8", **said: Any) -> Readings:
        return read_readings([write(*lines, name=name, encoding=encoding)], FileOptions(**said))

    return read


def consumed(readings: Readings, meter: int = 0) -> list[float]:
    """What a meter consumed, in kWh."""
    return [energy / KWH for energy in readings.consumption[:, meter].tolist()]


def produced(readings: Readings, meter: int = 0) -> list[float]:
    return [energy / KWH for energy in readings.production[:, meter].tolist()]


# ------------------------------------------------------------------ separators and decimals


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_found_out(read: Reader, separator: str) -> None:
    lines = LONG, "a,2020-01-01T00:00Z,0.5,1", "a,2020-01-01T01:00Z,0.25,1"
    assert consumed(read(*(line.replace(",", separator) for line in lines))) == [0.5, 0.25]


def test_a_decimal_comma_is_found_out_where_columns_have_semicolons(read: Reader) -> None:
    header = LONG.replace(",", ";")
    result = read(header, "a;2020-01-01T00:00Z;1,234;0", "a;2020-01-01T01:00Z;0,5;12,75")
    assert consumed(result) == [1.234, 0.5]
    assert produced(result) == [0, 12.75]


@pytest.mark.parametrize("number", ["1,234", "1.234", "12,345,678"])
def test_numbers_that_may_be_grouped_thousands_are_asked_about(read: Reader, number: str) -> None:
    lines = [f"a;2020-01-01T0{hour}:00Z;{number};0" for hour in range(2)]
    with pytest.raises(InvalidInput, match="give --decimal comma or --decimal point"):
        read(LONG.replace(",", ";"), *lines)


def test_what_is_said_of_decimals_goes_first(read: Reader) -> None:
    lines = [f"a;2020-01-01T0{hour}:00Z;1,234;0" for hour in range(2)]
    said = read(LONG.replace(",", ";"), *lines, decimal=DecimalMark.COMMA)
    assert consumed(said) == [1.234, 1.234]
    with pytest.raises(ReadingsError, match="'1,234' is not a number"):
        read(LONG.replace(",", ";"), *lines, decimal=DecimalMark.POINT)


def test_a_decimal_comma_between_commas_has_to_be_said(read: Reader) -> None:
    lines = ['a,2020-01-01T00:00Z,"0,5",0', 'a,2020-01-01T01:00Z,"1,5",0']
    with pytest.raises(ReadingsError, match="give --decimal comma"):
        read(LONG, *lines)
    assert consumed(read(LONG, *lines, decimal=DecimalMark.COMMA)) == [0.5, 1.5]


@pytest.mark.parametrize("number", ["1.234,5", "1 234,5", "0,5,5"])
def test_grouped_thousands_are_never_taken_out(read: Reader, number: str) -> None:
    with pytest.raises(ReadingsError, match=r"line 3: consumption .* is not a number"):
        read(LONG.replace(",", ";"), "a;2020-01-01T00:00Z;0,5;0", f"a;2020-01-01T01:00Z;{number};0")


def test_a_header_that_two_separators_fit_is_told_by_its_names(read: Reader) -> None:
    header = "meter;period_start;consumption_kwh;production_kwh;note, free"
    lines = [f"a;2020-01-01T0{hour}:00Z;0,5;0;x, y" for hour in range(2)]
    assert consumed(read(header, *lines)) == [0.5, 0.5]
    with pytest.raises(InvalidInput, match="may be separated by ',' or ';'"):
        read("a;b,c", "1;2,3")


def test_another_encoding_has_to_be_said(read: Reader) -> None:
    lines = LONG, "Küche,2020-01-01T00:00Z,1,0", "Küche,2020-01-01T01:00Z,1,0"
    with pytest.raises(InvalidInput, match=r"is not UTF-8 text; .* --encoding latin-1"):
        read(*lines, encoding="latin-1")
    with pytest.raises(InvalidInput, match="encoding 'klingon' is unknown"):
        FileOptions(encoding="klingon")
    path_options = FileOptions(encoding="latin-1")
    assert path_options.encoding == "latin-1"


def test_a_file_in_the_encoding_that_is_said_is_read(write: Callable[..., Path]) -> None:
    lines = LONG, "Küche,2020-01-01T00:00Z,1,0", "Küche,2020-01-01T01:00Z,1,0"
    path = write(*lines, encoding="latin-1")
    assert read_readings([path], FileOptions(encoding="latin-1")).meters == ("Küche",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_that_begins_with_another_byte_order_mark_is_told_its_encoding(
    read: Reader, encoding: str
) -> None:
    lines = LONG, "a,2020-01-01T00:00Z,1,0", "a,2020-01-01T01:00Z,1,0"
    with pytest.raises(InvalidInput, match=f"text: give --encoding {encoding}$"):
        read(*lines, encoding=encoding)


def test_a_file_of_two_bytes_a_character_is_read_when_that_is_said(
    write: Callable[..., Path],
) -> None:
    path = write(LONG, "ü,2020-01-01T00:00Z,1,0", "ü,2020-01-01T01:00Z,1,0", encoding="utf-16")
    assert read_readings([path], FileOptions(encoding="utf-16")).meters == ("ü",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is no text"),
        (b"PK\x03\x04\x14\0\x06\0", "spreadsheet has to be saved as one"),
        (LONG.encode() + b"\na,2020-01-01T00:00Z,\0,0", "is no text"),
        (b'{"meter": "a"}', "is JSON"),
        (b'\xef\xbb\xbf[\n  {"meter": "a"}]', "is JSON"),
        (b"<!DOCTYPE html>\n<html></html>", "is a web page"),
        (b"\n<HTML lang=en>", "is a web page"),
    ],
)
def test_what_is_no_csv_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "home.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said) as error:
        measure([path], FileOptions())
    assert "--column" not in str(error.value)


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
def test_a_separator_that_the_first_line_names_is_taken(read: Reader, first: str) -> None:
    header = "meter;period_start;consumption_kwh;production_kwh"
    lines = [f"a;2020-01-01T0{hour}:00Z;0,5;0" for hour in range(2)]
    assert consumed(read(first, header, *lines)) == [0.5, 0.5]
    with pytest.raises(ReadingsError, match="line 5: consumption 'x' is not a number"):
        read(first, header, *lines, "a;2020-01-01T02:00Z;x;0")
    with pytest.raises(InvalidInput, match="has no header"):
        read(first)


def test_decimal_commas_between_commas_are_named_as_the_reason_of_columns_too_many(
    read: Reader,
) -> None:
    with pytest.raises(ReadingsError, match=r"line 2: 6 columns where the header has 4: decimals"):
        read(LONG, "a,2020-01-01T00:00Z,0,5,1,25")
    for line in ("a,2020-01-01T00:00Z,0", "a,2020-01-01T00:00Z,0,5,note,other"):
        with pytest.raises(ReadingsError, match="columns where the header has 4;"):
            read(LONG, line)


# ------------------------------------------------------------------ columns


UNITS = "meter,period_start,{},{}"


@pytest.mark.parametrize(
    "name",
    [
        *("consumption_mwh", "consumption (MWh)", "energy [GJ]", "used/MW", "consumption.kVA"),
        *("consumption_watts", "MWh"),
    ],
)
def test_a_unit_that_a_column_names_and_nobody_reads_is_refused(read: Reader, name: str) -> None:
    header = UNITS.format(name, "production_kwh")
    lines = "a,2020-01-01T00:00Z,1,0", "a,2020-01-01T01:00Z,1,0"
    columns = Columns(consumption=name)
    with pytest.raises(ReadingsError, match=r"by its name, a unit that is not read.* --unit"):
        read(header, *lines, columns=columns)
    said = Columns(consumption=name, production="production_kwh")
    assert consumed(read(header, *lines, columns=said, unit=Unit.KWH)) == [1, 1]


def test_a_unit_in_brackets_is_read(read: Reader) -> None:
    columns = Columns(consumption="used [Wh]", production="-")
    header = UNITS.format("used [Wh]", "note")
    lines = "a,2020-01-01T00:00Z,1,0", "a,2020-01-01T01:00Z,1,0"
    assert consumed(read(header, *lines, columns=columns)) == [0.001, 0.001]


def test_several_units_are_not_answered_with_the_columns_that_are_known(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="several units: kW, kWh") as error:
        read(UNITS.format("consumption_kw", "production_kwh"), "a,2020-01-01T00:00Z,1,0")
    assert "write all values in one unit" in str(error.value)
    assert "--column" not in str(error.value)


def test_imports_and_exports_at_the_grid_are_consumption_and_production(read: Reader) -> None:
    header = "meter,period_start,import_wh,export_wh"
    result = read(header, "a,2020-01-01T00:00Z,500,20", "a,2020-01-01T01:00Z,250,10")
    assert consumed(result) == [0.5, 0.25]
    assert produced(result) == [0.02, 0.01]


def test_two_columns_that_may_be_consumption_are_asked_about(read: Reader) -> None:
    with pytest.raises(ReadingsError, match=r"may both be consumption.*--column consumption=NAME"):
        read("meter,period_start,consumption_kwh,import_kwh,production_kwh")


def test_columns_of_two_units_are_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="several units: Wh, kWh"):
        read("meter,period_start,consumption_kwh,production_wh")


def test_a_file_without_production_has_to_say_so(read: Reader) -> None:
    lines = "meter,period_start,consumption_kwh", "a,2020-01-01T00:00Z,1", "a,2020-01-01T01:00Z,1"
    with pytest.raises(
        ReadingsError,
        match=r"no column 'production_kwh'.*--column production=- where there is",
    ):
        read(*lines)
    assert produced(read(*lines, columns=Columns(production="-"))) == [0, 0]


def test_a_file_of_one_meter_is_named_after_the_file(read: Reader) -> None:
    lines = (
        "period_start,consumption_kwh,production_kwh",
        *("2020-01-01T00:00Z,1,0", "2020-01-01T01:00Z,2,0"),
    )
    assert read(*lines, name="roof.csv").meters == ("roof",)
    assert read(*lines, meter="barn").meters == ("barn",)


def test_a_file_with_a_column_that_may_name_the_meter_is_not_of_one_meter(read: Reader) -> None:
    lines = (
        "house,period_start,consumption_kwh,production_kwh",
        *("a,2020-01-01T00:00Z,1,0", "a,2020-01-01T01:00Z,2,0"),
    )
    with pytest.raises(ReadingsError, match=r"no column 'meter'.*--format single"):
        read(*lines)
    assert read(*lines, format=Format.SINGLE).meters == ("home",)


def test_wide_columns_tell_meter_direction_and_unit(read: Reader) -> None:
    result = read(
        "period_start,home-01_consumption_wh,home-01_production_wh,home-02_import_wh",
        "2020-01-01T00:00Z,500,100,50",
        "2020-01-01T01:00Z,250,0,60",
    )
    assert result.meters == ("home-01", "home-02")
    assert (consumed(result), produced(result)) == ([0.5, 0.25], [0.1, 0])
    assert (consumed(result, 1), produced(result, 1)) == ([0.05, 0.06], [0, 0])


def test_columns_named_by_meters_only_are_consumption_when_the_file_is_said_to_be_wide(
    read: Reader,
) -> None:
    lines = "period_start,a,b", "2020-01-01T00:00Z,1,2", "2020-01-01T01:00Z,3,4"
    with pytest.raises(ReadingsError, match="--format wide"):
        read(*lines)
    result = read(*lines, format=Format.WIDE)
    assert (consumed(result), consumed(result, 1)) == ([1, 3], [2, 4])


def test_wide_columns_can_be_mapped_and_others_are_ignored(read: Reader) -> None:
    of_meters = (
        ("consumption", "a", "Zähler 1"),
        ("production", "a", "PV"),
        ("consumption", "b", "Z2"),
    )
    result = read(
        "when;Zähler 1;PV;Z2;weather",
        "2020-01-01T00:00Z;0,5;0,1;2;sun",
        "2020-01-01T01:00Z;0,5;0,2;3;rain",
        columns=Columns(period_start="when", of_meters=of_meters),
    )
    assert result.meters == ("a", "b")
    assert (produced(result), consumed(result, 1)) == ([0.1, 0.2], [2, 3])


def test_an_empty_wide_cell_is_a_gap_and_half_a_reading_a_fault(read: Reader) -> None:
    header = "period_start,a_consumption,a_production,b_consumption"
    lines = "2020-01-01T00:00Z,1,1,1", "2020-01-01T01:00Z,,,1", "2020-01-01T02:00Z,1,,1"
    with pytest.raises(ReadingsError) as error:
        read(header, *lines)
    assert [str(problem) for problem in error.value.problems] == [
        "line 2: meter a: no reading from 2020-01-01T01:00:00+00:00 to 2020-01-01T02:00:00+00:00"
        " (1 period)",
        "line 4: no production of a",
    ]


def test_a_meter_with_two_columns_of_a_kind_is_refused(read: Reader) -> None:
    with pytest.raises(ReadingsError, match="meter 'a' has two columns of consumption"):
        read("period_start,a_consumption,a_import", "2020-01-01T00:00Z,1,1")


# ------------------------------------------------------------------ several files


def test_a_folder_has_a_file_for_each_meter(write: Callable[..., Path]) -> None:
    for name in ("b", "a"):
        write(
            "period_start,consumption_kwh,production_kwh",
            *("2020-01-01T00:00Z,1,0", "2020-01-01T01:00Z,2,0"),
            name=f"{name}.csv",
        )
    folder = write("not of a meter", name="notes.md").parent
    assert read_readings([folder]).meters == ("a", "b")


def test_a_problem_in_one_of_several_files_names_it(write: Callable[..., Path]) -> None:
    header = "period_start,consumption_kwh,production_kwh"
    first = write(header, "2020-01-01T00:00Z,1,0", "2020-01-01T01:00Z,2,0", name="a.csv")
    second = write(header, "2020-01-01T00:00Z,1,0", "2020-01-01T01:00Z,x,0", name="b.csv")
    with pytest.raises(ReadingsError) as error:
        read_readings([first, second])
    [problem] = error.value.problems
    assert str(problem) == f"{second}, line 3: consumption 'x' is not a number"


def test_a_reading_that_two_files_have_is_refused(write: Callable[..., Path]) -> None:
    lines = [f"a,2020-01-01T0{hour}:00Z,1,0" for hour in range(4)]
    first, second = write(LONG, *lines[:3], name="1.csv"), write(LONG, *lines[2:], name="2.csv")
    with pytest.raises(ReadingsError, match=r"2.csv, line 2: .*line 4 of .*1.csv is a reading"):
        read_readings([first, second])


def test_a_folder_without_readings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: a folder with no file"):
        read_readings([tmp_path])


def test_one_name_cannot_be_given_to_several_files(write: Callable[..., Path]) -> None:
    paths = [write("x", name=f"{n}.csv") for n in range(2)]
    with pytest.raises(InvalidInput, match="would name the meter of 2 files"):
        measure(paths, FileOptions(meter="a"))


# ------------------------------------------------------------------ units, labels


@pytest.mark.parametrize(("unit", "power"), [(Unit.KW, "2.4"), (Unit.W, "2400")])
def test_mean_power_times_the_period_is_energy(read: Reader, unit: Unit, power: str) -> None:
    lines = [f"a,2020-01-01T00:{minute}Z,{power},0" for minute in ("00", "15", "30")]
    assert (
        consumed(read("meter,period_start,consumption,production", *lines, unit=unit)) == [0.6] * 3
    )


def test_power_is_told_by_the_names_of_columns(read: Reader) -> None:
    header = "meter,period_start,consumption_kw,production_kw"
    lines = [f"a,2020-01-01T00:{minute}Z,1,0" for minute in ("00", "20", "40")]
    assert read(header, *lines).consumption[:, 0].tolist() == [333_333_333] * 3


@pytest.mark.parametrize(("microwatts", "energy"), [(1, 0), (2, 0), (3, 1), (6, 2), (10, 2)])
def test_halves_of_a_microwatt_hour_are_rounded_to_even(
    read: Reader, microwatts: int, energy: int
) -> None:
    lines = [f"a,2020-01-01T00:{minute}Z,0.{microwatts:06},0" for minute in ("00", "15")]
    result = read("meter,period_start,consumption_w,production_w", *lines)
    assert result.consumption[:, 0].tolist() == [energy] * 2


def test_power_at_one_time_says_nothing_of_energy(read: Reader) -> None:
    header = "meter,period_start,consumption_kw,production_kw"
    with pytest.raises(InvalidInput, match=r"mean power, and one reading of each meter.*--period"):
        read(header, "a,2020-01-01T00:00Z,1,0")
    period = timedelta(minutes=30)
    assert consumed(read(header, "a,2020-01-01T00:00Z,1,0", period=period)) == [0.5]


def test_times_of_the_ends_of_periods_are_a_period_later_than_starts(read: Reader) -> None:
    lines = [f"a,2020-01-01T0{hour}:00Z,{hour},0" for hour in (1, 2, 3)]
    result = read(LONG, *lines, label=Label.END)
    assert result.starts[0] == datetime(2020, 1, 1, tzinfo=UTC)
    assert consumed(result) == [1, 2, 3]


def test_the_start_of_a_period_has_the_offset_of_its_own_time(read: Reader) -> None:
    # The clocks go forward at 02:00: the period that ends at 03:00 +02:00 began at 01:00 +01:00.
    lines = [f"a,2020-03-29T{time},1,0" for time in ("01:00", "03:00", "04:00")]
    result = read(LONG, *lines, label=Label.END, timezone=BERLIN)
    assert [start.isoformat() for start in result.starts] == [
        "2020-03-29T00:00:00+01:00",
        "2020-03-29T01:00:00+01:00",
        "2020-03-29T03:00:00+02:00",
    ]


def test_the_last_period_of_a_day_is_of_that_day_where_clocks_change_at_midnight(
    write: Callable[..., Path],
) -> None:
    # In Beirut the clocks go from 00:00 to 01:00: the period from 23:00 on ends at 01:00.
    ends = [f"2020-03-28T{hour:02}:00" for hour in range(1, 24)] + ["2020-03-29T01:00"]
    path = write(LONG, *(f"a,{end},1,0" for end in ends))
    options = FileOptions(label=Label.END, timezone=ZoneInfo("Asia/Beirut"))
    assert len(read_readings([path], options, DayRange(date(2020, 3, 28))).starts) == 24


# ------------------------------------------------------------------ when the clocks change


def local(*times: str, meter: str = "a", day: str = "2020-10-25") -> list[str]:
    return [f"{meter},{day} {time},1,0" for time in times]


def test_the_hour_that_comes_twice_is_told_by_its_order(read: Reader) -> None:
    result = read(LONG, *local("01:00", "02:00", "02:00", "03:00"), timezone=BERLIN)
    assert [start.isoformat() for start in result.starts] == [
        "2020-10-25T01:00:00+02:00",
        "2020-10-25T02:00:00+02:00",
        "2020-10-25T02:00:00+01:00",
        "2020-10-25T03:00:00+01:00",
    ]


def test_quarters_of_the_hour_that_comes_twice_are_told_by_their_order(read: Reader) -> None:
    hour = ("02:00", "02:15", "02:30", "02:45")
    result = read(LONG, *local("01:45", *hour, *hour, "03:00"), timezone=BERLIN)
    assert len(result.starts) == 10
    assert result.period == timedelta(minutes=15)


def test_each_meter_has_the_hour_in_its_own_order(read: Reader) -> None:
    # By period, not by meter: both meters' lines alternate.
    times = ("01:00", "02:00", "02:00", "03:00")
    lines = [line for time in times for meter in "ab" for line in local(time, meter=meter)]
    assert read(LONG, *lines, timezone=BERLIN).consumption.shape == (4, 2)


@pytest.mark.parametrize(
    "times",
    [
        ("01:00", "02:00", "03:00"),
        ("02:00", "01:00", "02:00", "03:00"),
        ("01:30", "02:00", "02:00", "02:30", "02:30", "03:00"),
        ("01:00", "02:00", "02:00", "02:00", "03:00"),
        ("03:00", "02:30", "02:00", "02:30", "02:00", "01:30"),
        ("01:30", "02:00", "02:30", "02:00", "03:00"),
    ],
    ids=["once", "apart", "sorted by name", "three times", "backwards", "one missing"],
)
def test_the_hour_that_comes_twice_is_refused_in_any_other_order(
    read: Reader, times: tuple[str, ...]
) -> None:
    with pytest.raises(ReadingsError, match=r"comes twice in Europe/Berlin.*UTC offsets"):
        read(LONG, *local(*times), timezone=BERLIN)


def test_an_hour_that_the_clocks_skip_is_refused(read: Reader) -> None:
    lines = local("01:00", "02:00", "03:00", day="2020-03-29")
    with pytest.raises(ReadingsError, match=r"line 3: .*does not exist in Europe/Berlin"):
        read(LONG, *lines, timezone=BERLIN)
