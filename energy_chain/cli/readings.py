"""The readings that a command's options describe: made up, or of files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from energy_chain.cli import options
from energy_chain.errors import InvalidInput

if TYPE_CHECKING:
    from energy_chain.meters import Columns, FileOptions, Readings

DEMO_DAY = date(2026, 6, 21)
DEMO_HOMES = 10


def file_options(
    unit: options.UnitOption = None,
    column: options.ColumnOption = None,
    format: options.FormatOption = None,
    registers: options.RegistersOption = False,
    digits: options.DigitsOption = None,
    label: options.LabelOption = options.Label.START,
    period: options.PeriodOption = None,
    decimal: options.DecimalOption = None,
    encoding: options.EncodingOption = "utf-8",
    meter_name: options.MeterNameOption = None,
    timezone: options.TimezoneOption = None,
) -> FileOptions:
    """How files of readings are to be read.

    Raises:
        InvalidInput: a value is of no use.
    """
    from energy_chain import meters

    return meters.FileOptions(
        format=meters.Format(format) if format else None,
        columns=_columns(column),
        unit=meters.Unit(unit) if unit else None,
        registers=registers,
        digits=digits,
        label=meters.Label(label),
        period=_period(period),
        decimal=meters.DecimalMark(decimal) if decimal else None,
        encoding=encoding,
        timezone=zone_of(timezone),
        meter=meter_name,
    )


@options.gives(file=file_options)
def readings_of(
    data: options.DataOption = None,
    day: options.DayOption = None,
    days: options.DaysOption = 1,
    homes: options.HomesOption = None,
    seed: options.SeedOption = None,
    *,
    file: FileOptions,
) -> Readings:
    """The readings that the options of the same names describe.

    Raises:
        InvalidInput: the options contradict each other, or the files cannot be used.
    """
    return chosen_readings(data, day.date() if day else None, days, homes, seed, file)


def chosen_readings(
    data: Sequence[Path] | None,
    first: date | None,
    days: int,
    homes: int | None,
    seed: int | None,
    file: FileOptions,
) -> Readings:
    """The readings of `days` days from `first`: of files, or made up without any.

    Raises:
        InvalidInput: the options contradict each other, or the files cannot be used.
    """
    if data:
        if seed is not None:
            raise InvalidInput("--seed makes readings up: leave it out with --data")
        return _measured(data, first, days, homes, file)
    from energy_chain.meters import FileOptions

    if file != FileOptions(timezone=file.timezone):
        raise InvalidInput(
            "--column, --unit and their like describe a file: give --data FILE as well"
        )
    return _generated(first or DEMO_DAY, days, homes, seed or 0, file)


def _generated(first: date, days: int, homes: int | None, seed: int, file: FileOptions) -> Readings:
    from energy_chain.meters import generate

    return generate(
        homes=homes or DEMO_HOMES,
        first=first,
        days=days,
        seed=seed,
        timezone=file.timezone or ZoneInfo("UTC"),
    )


def _measured(
    paths: Sequence[Path], first: date | None, days: int, homes: int | None, file: FileOptions
) -> Readings:
    from energy_chain.meters import DayRange, complete, first_day, measure

    found = measure(paths, file)
    readings = complete(found, DayRange(first or first_day(found), days))
    if homes is None:
        return readings
    if homes > len(readings.meters):
        raise InvalidInput(
            f"--homes {homes}: {found.source} has {len(readings.meters)}; give at most as many"
        )
    return readings.of_meters(readings.meters[:homes])


def _columns(given: list[str] | None) -> Columns:
    from energy_chain.meters import Columns

    plain = ("meter", "period_start", "consumption", "production")
    names: dict[str, str] = {}
    of_meters = []
    for text in given or []:
        role, equals, name = text.partition("=")
        direction, _, meter = role.partition(":")
        if not equals or not name or direction not in plain or (":" in role and not meter):
            raise InvalidInput(
                f"--column {text}: give ROLE=NAME, where ROLE is one of {', '.join(plain)}, or "
                "consumption:METER or production:METER"
            )
        if not meter:
            names[role] = name
        elif direction in ("consumption", "production"):
            of_meters.append((direction, meter, name))
        else:
            raise InvalidInput(f"--column {text}: only consumption and production are of a meter")
    return Columns(**names, of_meters=tuple(of_meters))


def _period(text: str | None) -> timedelta | None:
    from energy_chain.units import parse_duration

    return timedelta(seconds=parse_duration(text)) if text else None


def zone_of(name: str | None) -> ZoneInfo | None:
    """The time zone of a name in the tz database.

    Raises:
        InvalidInput: there is none of that name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"time zone {name!r} is unknown: give a name of the tz database, such as Europe/Berlin"
        ) from None
