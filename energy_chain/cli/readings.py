"""The readings that a command's options describe: made up, or of a file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from energy_chain.cli import options
from energy_chain.errors import InvalidInput

if TYPE_CHECKING:
    from energy_chain.meters import Columns, Readings

DEMO_DAY = date(2026, 6, 21)
DEMO_HOMES = 10


def readings_of(
    data: options.DataOption = None,
    day: options.DayOption = None,
    days: options.DaysOption = 1,
    homes: options.HomesOption = None,
    seed: options.SeedOption = None,
    unit: options.UnitOption = options.Unit.KWH,
    column: options.ColumnOption = None,
    timezone: options.TimezoneOption = None,
) -> Readings:
    """The readings that the options of the same names describe.

    Raises:
        InvalidInput: the options contradict each other, or the file cannot be used.
    """
    first = day.date() if day else None
    zone = zone_of(timezone)
    if data is None:
        if column or unit is not options.Unit.KWH:
            raise InvalidInput("--column and --unit describe a file: give --data FILE as well")
        return _generated(first or DEMO_DAY, days, homes, seed or 0, zone)
    if seed is not None:
        raise InvalidInput("--seed makes readings up: leave it out with --data")
    return _measured(data, first, days, homes, unit, _columns(column), zone)


def _generated(
    first: date, days: int, homes: int | None, seed: int, zone: ZoneInfo | None
) -> Readings:
    from energy_chain.meters import generate

    return generate(
        homes=homes or DEMO_HOMES,
        first=first,
        days=days,
        seed=seed,
        timezone=zone or ZoneInfo("UTC"),
    )


def _measured(
    path: Path,
    first: date | None,
    days: int,
    homes: int | None,
    unit: options.Unit,
    columns: Columns,
    zone: ZoneInfo | None,
) -> Readings:
    from energy_chain.meters import DayRange, first_whole_day, read_csv

    if first is None:
        first = first_whole_day(path, columns=columns, unit=unit.value, timezone=zone)
    readings = read_csv(
        path, columns=columns, unit=unit.value, timezone=zone, days=DayRange(first, days)
    )
    if homes is None:
        return readings
    if homes > len(readings.meters):
        raise InvalidInput(
            f"--homes {homes}: {path} has {len(readings.meters)}; give at most as many"
        )
    return readings.of_meters(readings.meters[:homes])


def _columns(given: list[str] | None) -> Columns:
    from energy_chain.meters import Columns

    names: dict[str, str] = {}
    for text in given or []:
        role, equals, name = text.partition("=")
        if not equals or not name or role not in Columns.__dataclass_fields__:
            raise InvalidInput(
                f"--column {text}: give ROLE=NAME, where ROLE is one of "
                f"{', '.join(Columns.__dataclass_fields__)}"
            )
        names[role] = name
    return Columns(**names)


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
