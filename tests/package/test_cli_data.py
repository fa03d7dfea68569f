"""`energy-chain data`, and the options of files that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from energy_chain import meters
from energy_chain.cli import options
from tests.package.command_line import Run, in_json, printed, refused
from tests.package.meter_files import green_button

HEADER = "meter,period_start,consumption_kwh,production_kwh"


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    """A day of two homes, in local time, with a gap of an hour."""
    lines = [
        f"{meter};2020-01-01 {hour:02}:00;0,5;{hour % 2}"
        for meter in ("sun", "oven")
        for hour in range(24)
    ]
    del lines[30]
    path = tmp_path / "homes.csv"
    path.write_text("\n".join([HEADER.replace(",", ";"), *lines]))
    return path


def test_what_can_be_said_on_the_command_line_is_what_readers_know() -> None:
    for ours, theirs in (
        (options.Unit, meters.Unit),
        (options.Format, meters.Format),
        (options.Label, meters.Label),
        (options.DecimalMark, meters.DecimalMark),
    ):
        assert [word.value for word in ours] == [word.value for word in theirs]


def test_inspect_says_what_is_in_a_file_and_what_it_lacks(run: Run, homes: Path) -> None:
    out = printed(run("data", "inspect", homes, "--timezone", "Europe/Berlin"))
    for said in ("CSV, long", "comma", "+01:00", "sun", "Cannot trade as a whole."):
        assert said in out
    assert "gap: line 31: meter oven: no reading from 2020-01-01T06:00:00+01:00" in out


def test_inspect_in_json_has_figures_and_lines(run: Run, homes: Path) -> None:
    told = in_json(run("data", "inspect", homes, "--timezone", "Europe/Berlin", "--json"))
    assert told["facts"]["separator"] == ";"
    assert told["period_seconds"] == 3600
    assert told["faults"] == {"gap": 1}
    [fault] = told["first_faults"]
    assert (fault["kind"], fault["line"]) == ("gap", 31)
    assert told["meters"][0] == {
        "meter": "sun",
        "readings": 24,
        "missing": 0,
        "bad": 0,
        "first_period": "2020-01-01T00:00:00+01:00",
        "last_period": "2020-01-01T23:00:00+01:00",
        "consumption_kwh": 12.0,
        "production_kwh": 12.0,
    }
    assert (told["can_trade"], told["whole_days"]) == (False, None)


def test_inspect_says_which_option_is_missing(run: Run, homes: Path) -> None:
    looked = run("data", "inspect", homes)
    assert "give its time zone with --timezone" in looked.out
    assert looked.code == 2


def test_inspect_fails_when_no_reading_can_be_used_and_not_when_some_cannot(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "homes.csv"
    lines = [f"a,2020-01-01T{hour:02}:00Z,1,0" for hour in range(24)]
    path.write_text("\n".join([HEADER, *lines[:23], "a,today,1,0"]))
    printed(run("data", "inspect", path))
    path.write_text("\n".join([HEADER, *("a,today,1,0" for _ in range(24))]))
    for more in ((), ("--json",)):
        code, out, err = run("data", "inspect", path, *more)
        assert code == 2
        assert out
        assert err.startswith(f"error: no reading of {path} can be used: correct the file")


def test_readings_of_no_use_are_not_counted_among_the_others(run: Run, tmp_path: Path) -> None:
    lines = [f"a,2020-01-01T{hour:02}:00Z,1,2" for hour in range(24)]
    for hour, bad in ((3, "-1,2"), (4, "nan,2"), (5, ",2"), (6, "1,x")):
        lines[hour] = f"a,2020-01-01T{hour:02}:00Z,{bad}"
    path = tmp_path / "homes.csv"
    path.write_text("\n".join([HEADER, *lines]))
    [meter] = in_json(run("data", "inspect", path, "--json"))["meters"]
    assert (meter["readings"], meter["bad"], meter["missing"]) == (20, 4, 0)
    assert (meter["consumption_kwh"], meter["production_kwh"]) == (20, 40)


def test_a_fault_is_said_once_with_minutes_and_what_to_do(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "homes.csv"
    path.write_text("\n".join([HEADER, *(f"a,2020-01-01T{n:02}:00Z,1,2" for n in (1, 2, 4))]))
    out = printed(run("data", "inspect", path))
    assert out.count("meter a: no reading from") == 1
    assert out.endswith("readings are never guessed\n")
    assert "60 min" in out
    assert "1:00:00 " not in out


def test_a_file_without_a_whole_day_is_said_to_have_none(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "homes.csv"
    path.write_text("\n".join([HEADER, *(f"a,2020-01-01T{n:02}:00Z,1,2" for n in range(5))]))
    assert "No day is whole, from midnight to midnight" in printed(run("data", "inspect", path))


def test_a_file_that_can_be_traded_is_said_to_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "usage.xml").write_text(green_button([100] * 48, start=1_388_552_400))
    out = printed(run("data", "inspect", tmp_path / "usage.xml"))
    assert "Can trade: all of it." in out
    assert "--day 2014-01-01 --days 2" in out


def test_many_faults_are_counted_and_the_first_are_shown(run: Run, tmp_path: Path) -> None:
    lines = [f"a,2020-01-01T{hour:02}:00Z,-1,0" for hour in range(24)]
    (tmp_path / "homes.csv").write_text("\n".join([HEADER, *lines]))
    _, out, _ = run("data", "inspect", tmp_path / "homes.csv")
    assert out.count("unusable value: line") == 10
    assert "... 24 in all: 24 unusable value" in out


def test_a_file_with_gaps_can_be_converted_and_read_back(
    run: Run, homes: Path, tmp_path: Path
) -> None:
    parquet, again = tmp_path / "homes.parquet", tmp_path / "again.csv"
    told = in_json(
        run("data", "convert", homes, "--to", parquet, "--timezone", "Europe/Berlin", "--json")
    )
    assert (told["readings"], told["meters"]) == (47, 2)
    assert "47 readings of 2 meters in" in printed(run("data", "convert", parquet, "--to", again))
    lines = again.read_text().splitlines()
    assert lines[:3] == [
        HEADER,
        "sun,2020-01-01T00:00:00+01:00,0.5,0",
        "sun,2020-01-01T01:00:00+01:00,0.5,1",
    ]
    assert len(lines) == 48


def test_convert_overwrites_only_when_it_is_told_to(run: Run, homes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    zone = "--timezone", "UTC"
    refused(run("data", "convert", homes, "--to", out, *zone), "out.csv exists: give --force")
    assert out.read_text() == "precious"
    printed(run("data", "convert", homes, "--to", out, *zone, "--force"))
    assert out.read_text().startswith(HEADER)


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--to", "out.xlsx"), ("end its name in .parquet or .csv",)),
        (("--to", "out.csv", "--encoding", "klingon"), ("encoding 'klingon' is unknown",)),
        (("--to", "out.csv", "--period", "7min"), ("it must divide a day",)),
        (("--to", "out.csv", "--period", "soon"), ("'soon' is not a duration",)),
        (("--to", "out.csv", "--column", "meter:a=b"), ("only consumption and production",)),
        (("--to", "out.csv", "--registers", "--unit", "kW"), ("a register counts energy",)),
    ],
)
def test_unusable_options_are_refused(
    run: Run, homes: Path, arguments: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    refused(run("data", "convert", homes, *arguments), *fragments)


def test_registers_in_a_file_for_each_meter_can_be_traded(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "meters"
    folder.mkdir()
    # Each hour oven has 4 kWh to spare, and sun needs 1 kWh.
    for meter, used, made in (("oven", 1, 5), ("sun", 3, 2)):
        lines = [
            f"2020-01-0{1 + hour // 24}T{hour % 24:02}:00,{hour * used},{hour * made}"
            for hour in range(25)
        ]
        text = "\n".join(["period_start,import_kwh,export_kwh", *lines])
        (folder / f"{meter}.csv").write_text(text)
    told: Any = in_json(
        run("demo", "--data", folder, "--registers", "--timezone", "UTC", "--packed", "--json")
    )
    assert (told["requests"], told["releases"], told["periods"]) == (24, 24, 24)
    assert told["energy_wh"]["offered"] == 24 * 4000
    assert told["energy_wh"]["matched"] == 24 * 1000
