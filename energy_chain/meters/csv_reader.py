"""Readings from a CSV file in long form: one line for each meter and period."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

import numpy as np

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY
from energy_chain.meters.readings import (
    DAY,
    UWH,
    DayRange,
    Problem,
    Readings,
    ReadingsError,
    day_start,
    local_time,
    period_fault,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LIMIT = Decimal(MAX_ENERGY * UWH)
_UWH_IN: dict[str, Decimal] = {"kWh": Decimal(1000 * UWH), "Wh": Decimal(UWH)}
# Digits enough for what a meter can measure; the default context would round to 28 as well.
_PRECISE = Context(prec=200)

# Decimal alone would take "1_000" and digits of every script. Two digits of
# exponent and 60 characters are enough for any float that a meter's software
# writes out, and cost no time.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d\d?)?", re.ASCII)
_NUMBER_LENGTH = 60
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")

_NO_OFFSET = "the time has no UTC offset"
_GIVE_ZONE = "give its time zone with --timezone"

_SHOWN_COLUMNS = 20
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of a file's columns.

    None stands for the name that goes with the unit: consumption_kwh and
    production_kwh, or consumption_wh and production_wh.
    """

    meter: str = "meter"
    period_start: str = "period_start"
    consumption: str | None = None
    production: str | None = None

    def names(self, unit: str) -> dict[str, str]:
        """The column name of each role, for energies in `unit`."""
        return {
            "meter": self.meter,
            "period_start": self.period_start,
            "consumption": self.consumption or f"consumption_{unit.lower()}",
            "production": self.production or f"production_{unit.lower()}",
        }


def read_csv(
    path: str | os.PathLike[str],
    *,
    columns: Columns | None = None,
    unit: Literal["kWh", "Wh"] = "kWh",
    timezone: tzinfo | None = None,
    days: DayRange | None = None,
) -> Readings:
    """Read a CSV file (UTF-8, commas, a header) with one line for each meter and period.

    `unit` is the unit of the file's energies. Those of the result are in whole
    microwatt-hours: digits beyond, the ninth after the point of a kWh, are
    rounded. `columns` names the file's columns when they are not the default
    ones; other columns are ignored.

    Times are in ISO 8601. A time without a UTC offset is local time in
    `timezone`, and is refused when there is none. When the clocks are set
    forward some local times do not exist, and when they are set back an hour of
    them comes twice: both are refused, so a file that covers such an hour needs
    UTC offsets. When `timezone` is given, all times are converted to it.

    `days` selects calendar days of `timezone`, or else of the offset that is
    written in the file; None takes all of the file. (Give `timezone` when the
    offset changes within a file, so that the ends of days are beyond doubt.)

    The period is the most common time between consecutive readings of a meter.
    It must be at least 60 s, whole seconds and a divisor of a day, and each
    reading must start at a whole multiple of it since 1970-01-01 00:00 UTC.
    Every meter of the file must have exactly one reading for each period of the
    selected days, or, without `days`, from the first reading to the last of all
    meters. Lines outside the selected days need only have all of their columns
    and a time that can be read.

    Raises ReadingsError with every line that is to blame when columns, times or
    energies are missing or unusable, or readings are missing or doubled. Periods
    are looked at only when every line has a meter and a usable time, gaps only
    when all readings start on whole periods besides. Raises InvalidInput when
    the file cannot be read or is empty, or does not have the selected days.
    """
    return _scan(path, columns, unit, timezone, days).result()


def first_whole_day(
    path: str | os.PathLike[str],
    *,
    columns: Columns | None = None,
    unit: Literal["kWh", "Wh"] = "kWh",
    timezone: tzinfo | None = None,
) -> date:
    """The first local day of a file that some readings begin and others end.

    The arguments and what is raised are those of `read_csv`, for columns and
    times. Raises InvalidInput when the file has no such day.
    """
    scan = _scan(path, columns, unit, timezone, DayRange(date.min))
    times = sorted(scan.known_times(), key=lambda time: time.instant)
    steps = Counter(after.instant - time.instant for time, after in pairwise(times))
    period = _most_common(steps) if steps else 0
    instants = {time.instant for time in times}
    for time in times:
        midnight = not any((time.start.hour, time.start.minute, time.start.second))
        end = day_start(time.day + DAY, timezone or time.start.tzinfo or UTC)
        last = (end - _EPOCH) // _MICROSECOND - period
        if midnight and last in instants:
            return time.day
    raise InvalidInput(
        f"{path} has no whole day, only {times[0].start.isoformat()} to "
        f"{times[-1].start.isoformat()}; give readings from midnight on, each with the start of "
        "its period"
    )


def _scan(
    path: str | os.PathLike[str],
    columns: Columns | None,
    unit: str,
    timezone: tzinfo | None,
    days: DayRange | None,
) -> _Scan:
    if unit not in _UWH_IN:
        raise InvalidInput(f"unit is {unit!r}; give kWh or Wh")
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            scan = _Scan(file, str(path), timezone, days, _UWH_IN[unit])
            scan.read((columns or Columns()).names(unit))
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text; give a CSV file in UTF-8") from None
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror or error}; give a readable CSV file"
        ) from None
    return scan


class _Time(NamedTuple):
    start: datetime
    instant: int  # microseconds since 1970-01-01 00:00 UTC
    day: date


class _Scan:
    """One pass over a file, and what it has found."""

    def __init__(
        self,
        file: TextIO,
        source: str,
        zone: tzinfo | None,
        days: DayRange | None,
        uwh_in_unit: Decimal,
    ) -> None:
        # Strict, because a stray quote would otherwise swallow lines in silence.
        self.reader = csv.reader(file, strict=True)
        self.source = source
        self.zone = zone
        self.days = days
        self.uwh_in_unit = uwh_in_unit
        self.problems: list[Problem] = []
        self.places_known = True  # false once the meter or the time of a line is unknown
        # The meters share their times, so each is parsed once; a str says what is wrong.
        self.times: dict[str, _Time | str] = {}
        self.without_offset: list[int] = []
        # By meter, in order of first appearance, the line of each selected instant.
        self.lines: dict[str, dict[int, int]] = {}
        # Instant, number of the meter, consumption and production.
        self.found: list[tuple[int, int, int, int]] = []

    def read(self, names: dict[str, str]) -> None:
        try:
            header = next((row for row in self.reader if row), None)
            if header is None:
                raise InvalidInput(f"{self.source} is empty; give a CSV file with a header")
            self._read_rows(len(header), self._positions(header, names))
        except csv.Error as error:
            self._problem(f"not CSV: {error}")
            self.places_known = False

    def known_times(self) -> list[_Time]:
        """The times of the file. Raises ReadingsError when one of them is not known."""
        self._report_missing_offsets()
        if not self.places_known:
            raise self._refusal()
        if not self.times:
            raise InvalidInput(f"{self.source} has no readings below its header; give some")
        return [time for time in self.times.values() if isinstance(time, _Time)]

    def result(self) -> Readings:
        self._check_days([time.day for time in self.known_times()])
        period = self._period()
        if period is None:
            raise self._refusal()
        if self._on_grid(period):
            self._check_gaps(period)
        if self.problems:
            raise self._refusal()
        # Complete, so that it fills periods by meters without a gap.
        table = np.array(sorted(self.found), np.int64).reshape(-1, len(self.lines), 4)
        starts = self._starts()
        return Readings(
            period * _MICROSECOND,
            tuple(self.lines),
            tuple(starts[instant] for instant in table[:, 0, 0].tolist()),
            table[:, :, 2],
            table[:, :, 3],
        )

    def _problem(self, message: str) -> None:
        self.problems.append(Problem(self.reader.line_num, message))

    def _misplaced(self, message: str) -> None:
        self._problem(message)
        self.places_known = False

    def _refusal(self) -> ReadingsError:
        ordered = sorted(self.problems, key=lambda p: (p.line is None, p.line or 0))
        return ReadingsError(ordered, self.source)

    def _positions(self, header: list[str], names: dict[str, str]) -> list[int]:
        found = [name.strip() for name in header]
        if len(found) == 1 and (separator := next((c for c in ";\t|" if c in found[0]), None)):
            raise InvalidInput(
                f"{self.source} separates its columns by {separator!r}; give a file with commas, "
                "and with points in its numbers"
            )
        faults = []
        for name in names.values():
            count = found.count(name)
            if count == 0:
                faults.append(f"no column {name!r}")
            elif count > 1:
                faults.append(f"{count} columns are named {name!r}")
        for name, count in Counter(names.values()).items():
            if count > 1:
                roles = " and ".join(role for role in names if names[role] == name)
                faults.append(f"column {name!r} cannot be {roles} at once")
        if faults:
            shown = ", ".join(_shown(name) for name in found[:_SHOWN_COLUMNS])
            more = ", ..." if len(found) > _SHOWN_COLUMNS else ""
            raise ReadingsError(
                [
                    Problem(
                        self.reader.line_num,
                        f"{'; '.join(faults)}; the columns found are {shown}{more}",
                    )
                ],
                self.source,
                "name the file's columns with "
                + " ".join(f"--column {role}=NAME" for role in names if names[role] not in found),
            )
        return [found.index(name) for name in names.values()]

    def _read_rows(self, width: int, positions: list[int]) -> None:
        at_meter, at_start, at_consumption, at_production = positions
        order: dict[str, int] = {}  # of the meters' first appearance
        first = self.days.first if self.days else date.min
        last = self.days.last if self.days else date.max
        for row in self.reader:
            if len(row) != width:
                if row:
                    self._misplaced(f"{len(row)} columns where the header has {width}")
                continue
            text = row[at_start]
            time = self.times.get(text)
            if time is None:
                time = self.times[text] = self._time(text.strip())
            if isinstance(time, str):
                if time is _NO_OFFSET:
                    self.without_offset.append(self.reader.line_num)
                else:
                    self._misplaced(time)
                continue
            selected = first <= time.day <= last
            meter = row[at_meter].strip()
            if not meter:
                if selected:
                    self._misplaced("no meter name")
                continue
            lines = self.lines.get(meter)
            if lines is None:
                lines = self.lines[meter] = {}
                order[meter] = len(order)
            if not selected:
                continue
            earlier = lines.setdefault(time.instant, self.reader.line_num)
            if earlier != self.reader.line_num:
                self._problem(
                    f"meter {meter} at {time.start.isoformat()}: line {earlier}"
                    " is a reading of the same period"
                )
                continue
            consumption = self._energy(row[at_consumption], "consumption")
            production = self._energy(row[at_production], "production")
            if consumption is not None and production is not None:
                self.found.append((time.instant, order[meter], consumption, production))

    def _time(self, text: str) -> _Time | str:
        """The time that `text` gives, or what is wrong with it."""
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return f"time {_shown(text)} is not ISO 8601, as 2016-08-15 13:00 is"
        if time.year in (MINYEAR, MAXYEAR):  # where a conversion could leave the calendar
            return f"time {_shown(text)} is at the very end of the calendar"
        if time.tzinfo is None:
            if self.zone is None:
                return _NO_OFFSET
            time = time.replace(tzinfo=self.zone)
            if time.utcoffset() != time.replace(fold=1).utcoffset():
                back = time.astimezone(UTC).astimezone(self.zone)
                if back.replace(tzinfo=None, fold=0) != time.replace(tzinfo=None):
                    return f"time {_shown(text)} does not exist in {self.zone}"
                return (
                    f"time {_shown(text)} comes twice in {self.zone};"
                    " write the file's times with UTC offsets"
                )
        if self.zone is not None:
            time = local_time(time, self.zone)
        return _Time(time, (time - _EPOCH) // _MICROSECOND, time.date())

    def _energy(self, text: str, role: str) -> int | None:
        """The energy in µWh; None, and a problem, when `text` is not a usable one."""
        text = text.strip()
        if len(text) > _NUMBER_LENGTH or not _NUMBER.fullmatch(text):
            fault = f"{role} {_shown(text)} is not a number" if text else f"no {role}"
            if _DECIMAL_COMMA.fullmatch(text):
                fault += ": write it with a decimal point"
            self._problem(fault)
            return None
        energy = _PRECISE.multiply(Decimal(text), self.uwh_in_unit)
        if 0 <= energy <= _LIMIT:
            return int(energy.to_integral_value(ROUND_HALF_EVEN))
        fault = "is negative" if energy < 0 else f"is more than {MAX_ENERGY} Wh"
        self._problem(f"{role} {_shown(text)} {fault}")
        return None

    def _report_missing_offsets(self) -> None:
        lines = self.without_offset
        if not lines:
            return
        self.places_known = False
        if any(isinstance(time, _Time) for time in self.times.values()):
            self.problems += [Problem(line, f"{_NO_OFFSET}; {_GIVE_ZONE}") for line in lines]
        else:
            count = "" if len(lines) == 1 else f", here and in {len(lines) - 1} more lines"
            self.problems.append(Problem(lines[0], f"{_NO_OFFSET}{count}; {_GIVE_ZONE}"))

    def _check_days(self, known: list[date]) -> None:
        if self.days is None:
            return
        first, last = min(known), max(known)
        if self.days.first < first or self.days.last > last or not any(self.lines.values()):
            wanted = str(self.days.first)
            if self.days.days > 1:
                wanted += f" to {self.days.last}"
            raise InvalidInput(
                f"{self.source} has no readings for all of {wanted};"
                f" give days from {first} to {last}"
            )

    def _period(self) -> int | None:
        """The period in microseconds; None, and a problem, when it is unusable."""
        steps = Counter(
            later - earlier
            for lines in self.lines.values()
            for earlier, later in pairwise(sorted(lines))
        )
        if not steps:
            message = (
                "no meter has two readings here, which leaves the length of a period unknown;"
                " give more readings or select more days"
            )
            self.problems.append(Problem(None, message))
            return None
        period = _most_common(steps)
        fault = period_fault(period * _MICROSECOND)
        if fault:
            length = period * _MICROSECOND
            message = f"the most common time between readings of a meter is {length}; {fault}"
            self.problems.append(Problem(None, message))
            return None
        return period

    def _on_grid(self, period: int) -> bool:
        off = {
            line: instant
            for lines in self.lines.values()
            for instant, line in lines.items()
            if instant % period
        }
        starts = self._starts()
        self.problems += [
            Problem(
                line,
                f"{starts[instant].isoformat()} is not a whole number of periods"
                f" of {period * _MICROSECOND} since 1970-01-01 00:00 UTC",
            )
            for line, instant in off.items()
        ]
        return not off

    def _starts(self) -> dict[int, datetime]:
        return {t.instant: t.start for t in self.times.values() if isinstance(t, _Time)}

    def _check_gaps(self, period: int) -> None:
        instants = {instant for lines in self.lines.values() for instant in lines}
        first, end = min(instants), max(instants) + period
        starts = self._starts()
        zone = self.zone or starts[first].tzinfo or UTC
        if self.days is not None:
            last_zone = self.zone or starts[end - period].tzinfo or UTC
            begin = day_start(self.days.first, zone)
            stop = day_start(self.days.last + DAY, last_zone)
            # Up to the first start that is not before the day's.
            first = -(-((begin - _EPOCH) // _MICROSECOND) // period) * period
            end = -(-((stop - _EPOCH) // _MICROSECOND) // period) * period
        for meter, lines in self.lines.items():
            before = first - period
            for instant in [*sorted(i for i in lines if first <= i < end), end]:
                missing = (instant - before) // period - 1
                if missing:
                    begin = local_time(_EPOCH + (before + period) * _MICROSECOND, zone)
                    stop = local_time(_EPOCH + instant * _MICROSECOND, zone)
                    periods = f"{missing} period{'' if missing == 1 else 's'}"
                    self.problems.append(
                        Problem(
                            lines.get(before),
                            f"meter {meter}: no reading from {begin.isoformat()}"
                            f" to {stop.isoformat()} ({periods})",
                        )
                    )
                before = instant


def _most_common(steps: Counter[int]) -> int:
    """The step that comes most often; of several, the shortest."""
    return min(steps, key=lambda step: (-steps[step], step))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")
