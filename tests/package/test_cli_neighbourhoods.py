"""`energy-chain data generate` and `energy-chain data check`."""

from __future__ import annotations

import errno
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from energy_chain.cli.neighbourhoods import PlaceName, SkyName
from energy_chain.errors import InvalidInput
from energy_chain.meters import (
    Measurements,
    Readings,
    SolarModel,
    generate,
    read_csv,
    read_readings,
    writer_for,
)
from energy_chain.meters.files import writers
from energy_chain.meters.made_up.places import CALIFORNIA, PLACES
from tests.package.command_line import Run, in_json, printed, refused

HOUR = timedelta(hours=1)
DAY = date(2024, 6, 3)


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    """Three homes and three days, hourly."""
    path = tmp_path / "homes.csv"
    write(generate(homes=3, first=DAY, days=3, period=HOUR, seed=5), path)
    return path


def write(readings: Readings, path: Path) -> None:
    writer_for(path)(Measurements.of_readings(readings, "made up"), path)


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("name", ["homes.csv", "homes.parquet"])
def test_what_is_written_is_read_back_unchanged(tmp_path: Path, name: str) -> None:
    made = generate(homes=2, first=DAY, days=2)
    made.consumption[0, 0] += 1  # a microwatt-hour is not lost
    made.production[:] = 0
    path = tmp_path / name
    write(made, path)
    assert read_readings([path]).rows() == made.rows()


def test_a_file_that_exists_is_not_written_over(homes: Path) -> None:
    before = homes.read_bytes()
    with pytest.raises(InvalidInput, match=r"homes\.csv exists: give --force"):
        write(generate(first=DAY), homes)
    assert homes.read_bytes() == before


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written: No such file"):
        write(generate(first=DAY), tmp_path / "no" / "homes.csv")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_half_a_file_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(_: int) -> str:
        raise error

    monkeypatch.setattr(writers, "_kwh", fail)
    expected = InvalidInput if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write(generate(first=DAY), tmp_path / "homes.csv")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ generate


def test_the_options_have_a_word_for_every_place_and_sky() -> None:
    assert [str(name) for name in PlaceName] == list(PLACES)
    assert [str(name) for name in SkyName] == [str(name) for name in SolarModel]


def test_generated_files_have_what_the_library_makes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    options = ("--homes", 3, "--day", "2024-06-03", "--days", 2, "--period", "1h", "--seed", 4)
    more = ("--place", "california", "--solar-share", 1, "--timezone", "America/Los_Angeles")
    told = in_json(run("data", "generate", path, *options, *more, "--json"))
    found = read_csv(path)
    zone = found.starts[0].tzinfo
    assert zone is not None
    expected = generate(
        homes=3,
        first=DAY,
        days=2,
        period=HOUR,
        seed=4,
        place=CALIFORNIA,
        solar_share=1,
        timezone=zone,
    )
    assert zone.utcoffset(None) == timedelta(hours=-7)
    assert found.consumption.tolist() == expected.consumption.tolist()
    assert told["file"] == str(path)
    assert (told["homes"], told["periods"], told["period_seconds"]) == (3, 48, 3600)
    assert told["first_period"] == "2024-06-03T00:00:00-07:00"
    assert told["consumption_kwh"] == expected.consumption.sum() / 1e9


def test_a_file_is_generated_with_nothing_but_its_name(run: Run, tmp_path: Path) -> None:
    out = printed(run("data", "generate", tmp_path / "homes.csv"))
    assert re.fullmatch(
        r"10 homes, 96 periods: [\d.]+ kWh used, [\d.]+ kWh produced; written to .*\.csv\.\n", out
    )


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--homes", 65_536), "homes is 65536; give 1 to 65535"),
        (("--period", "7min"), "period is 0:07:00; it must divide a day"),
        (("--period", "soon"), "'soon' is not a duration"),
        (("--timezone", "nowhere"), "time zone 'nowhere' is unknown"),
    ],
)
def test_an_option_that_cannot_be_is_refused(
    run: Run, tmp_path: Path, arguments: tuple[Any, ...], fragment: str
) -> None:
    refused(run("data", "generate", tmp_path / "homes.csv", *arguments), fragment)
    assert list(tmp_path.iterdir()) == []


def test_generating_writes_over_nothing(run: Run, homes: Path) -> None:
    refused(run("data", "generate", homes), "homes.csv exists: give --force")


# ------------------------------------------------------------------ check


def test_made_up_homes_take_number_days_period_and_clock_of_the_file(run: Run, homes: Path) -> None:
    told = in_json(run("data", "check", homes, "generated", "--seed", 5, "--json"))
    assert [side["name"] for side in told["sides"]] == ["homes.csv", "generated"]
    assert [(side["homes"], side["days"]) for side in told["sides"]] == [(3, 3)] * 2
    assert told["period_seconds"] == 3600
    # The same seed and days: the same homes.
    assert told["alike"]
    for measure in told["measures"]:
        assert measure["spreads"][0] == measure["spreads"][1], measure["name"]
        assert measure["meaning"]


def test_two_sides_are_printed_side_by_side(run: Run, homes: Path) -> None:
    out = printed(run("data", "check", "generated", homes, "--seed", 6, "--days", 2, "--homes", 4))
    assert "generated: median (10 to 90 %)" in out
    assert re.search(r"Energy used, kWh/day +\W homes +\W +[\d.]+ \([\d.]+ to [\d.]+\)", out)
    for name, homes, solar, days, last in (
        ("generated", 4, "75%", 2, "04"),
        ("homes.csv", 3, "67%", 3, "05"),
    ):
        assert (
            f"{name}: {homes} homes, {solar} of them with solar; {days} whole days from 2024-06-03 "
            f"to 2024-06-{last} in periods of 60 min." in out
        )
    assert "Uneven" not in out
    assert re.search(r"Alike in \d+ of 17 measures\.", out)
    assert re.search(r"of the same side for \d of 6 homes; 3 would be chance\.", out)


def test_what_a_side_lacks_is_shown_as_a_dash(run: Run, homes: Path) -> None:
    out = printed(run("data", "check", homes, "generated", "--solar-share", 0))
    (line,) = [line for line in out.splitlines() if "Self-consumption" in line]
    assert re.search(r"\) +\W - +\W no", line)


def test_files_of_one_name_are_told_apart(run: Run, homes: Path) -> None:
    other = homes.parent / "other" / homes.name
    other.parent.mkdir()
    other.write_bytes(homes.read_bytes())
    told = in_json(run("data", "check", homes, other, "--json"))
    assert [side["name"] for side in told["sides"]] == [str(homes), str(other)]
    assert told["alike"]


def test_what_is_uneven_to_begin_with_is_said(run: Run, homes: Path) -> None:
    other = homes.parent / "january.csv"
    write(generate(homes=3, first=date(2024, 1, 1), days=3, solar_share=0), other)
    out = printed(run("data", "check", homes, other))
    assert "in periods of 60 min, summed up from 15 min." in out
    assert (
        "Uneven to begin with: the days are not of the same part of the year; 67% and 0% of the "
        "homes have solar." in out
    )
    told = in_json(run("data", "check", homes, other, "--json"))
    assert len(told["uneven"]) == 2
    assert [side["own_period_seconds"] for side in told["sides"]] == [3600, 900]
    assert [side["first_day"] for side in told["sides"]] == ["2024-06-03", "2024-01-01"]


def test_a_file_that_is_too_small_is_named(run: Run, homes: Path) -> None:
    small = homes.parent / "small.csv"
    write(generate(homes=3, first=DAY, days=1, period=HOUR), small)
    refused(run("data", "check", small, homes), "small.csv is too small")


def test_the_two_sides_are_drawn(run: Run, homes: Path) -> None:
    picture = homes.parent / "check.svg"
    out = printed(run("data", "check", homes, "generated", "--plot", picture))
    assert out.endswith("check.svg.\n")
    text = "".join(ElementTree.parse(picture).getroot().itertext())
    for heading in ("Mean day: homes.csv", "Mean day: generated", "All homes: generated"):
        assert heading in text
    assert "Load duration, home by home" in text
    assert "Energy of a day" in text
    again = homes.parent / "again.svg"
    told = in_json(run("data", "check", homes, "generated", "--plot", again, "--json"))
    assert told["plot"] == str(again)
    assert again.read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("generated", "generated"), "give a file for one of them"),
        (("homes.csv", "no.csv"), "no.csv cannot be read"),
        (("homes.csv", "generated", "--plot", "check.pdf"), "is no picture that can be drawn"),
        (("homes.csv", "generated", "--days", 1), "generated is too small"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    run: Run,
    homes: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[Any, ...],
    fragment: str,
) -> None:
    monkeypatch.chdir(homes.parent)
    refused(run("data", "check", *words), fragment)
