"""The one way from what stands in files to readings that can be traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta, timezone
from itertools import pairwise

import numpy as np

from energy_chain.errors import InvalidInput
from energy_chain.meters.measurements import (
    DAY_MICROSECONDS,
    EPOCH,
    MICROSECOND,
    Fault,
    FaultKind,
    Measurements,
)
from energy_chain.meters.readings import (
    DAY,
    DayRange,
    Problem,
    Readings,
    ReadingsError,
    day_start,
    period_fault,
)
from energy_chain.units import duration


@dataclass(frozen=True, slots=True)
class Gap:
    """Periods of a meter that have no reading.

    Attributes:
        meter: which.
        first, end: instants in microseconds: where it begins, and where readings go on.
        periods: how many are missing.
        row: of the reading before it; None where there is none.
    """

    meter: str
    first: int
    end: int
    periods: int
    row: int | None


def complete(measurements: Measurements, days: DayRange | None = None) -> Readings:
    """The readings of `days`, or all: one for each meter and period, or a refusal.

    `days` are calendar days of the time zone that was given for the file, or else
    of the offset that is written in it.

    The period is the one that the file states, or the most common time between
    consecutive readings of a meter. It must be at least 60 s, whole seconds and a
    divisor of a day, and each reading must start at a whole multiple of it since
    1970-01-01 00:00 UTC. Every meter must have exactly one reading for each period
    of the selected days, or, without `days`, from the first reading to the last of
    all meters. Values outside the selected days are not looked at.

    Raises ReadingsError with every line that is to blame. Periods are looked at
    only when every line has a meter and a usable time, gaps only when all readings
    start on whole periods besides. Raises InvalidInput when there are no readings,
    or none for all of `days`.
    """
    faults = [
        fault
        for fault in measurements.faults
        if days is None or fault.day is None or days.first <= fault.day <= days.last
    ]
    if not all(fault.placed for fault in faults):
        raise refusal(faults, measurements)
    if not len(measurements):
        if faults:
            raise refusal(faults, measurements)
        raise InvalidInput(f"{measurements.source} has no readings; give some")
    selected = _of_days(measurements, days).by_time()
    doubles, rows = split_doubles(selected)
    faults += doubles
    period = period_of(rows)
    if isinstance(period, Fault):
        if days is not None and not rows.usual_step() and measurements.usual_step():
            # The days are to blame: other readings of the files tell a period.
            raise _not_for_all_of(days, measurements)
        raise refusal([*faults, period], measurements)
    off = off_grid(rows, period)
    faults += off
    if not off:
        faults += [gap_fault(rows, gap) for gap in find_gaps(rows, period, days)]
    if faults:
        raise refusal(faults, measurements)
    # Complete, so that it fills periods by meters without a gap.
    shape = len(rows.meters), -1
    starts = [rows.start(row) for row in range(len(rows) // len(rows.meters))]
    return Readings(
        period,
        rows.meters,
        tuple(starts),
        np.ascontiguousarray(rows.consumption.reshape(shape).T),
        np.ascontiguousarray(rows.production.reshape(shape).T),
    )


def first_day(measurements: Measurements) -> date:
    """The first local day that some readings begin and others end.

    Raises what `complete` does for lines and times, and InvalidInput when there is no such day.
    """
    if not all(fault.placed for fault in measurements.faults) or not len(measurements):
        complete(measurements)
    found = _begun_and_ended(measurements)
    if not found:
        raise _no_whole_day(measurements)
    return found[0]


def _begun_and_ended(measurements: Measurements) -> list[date]:
    """The local days that some readings begin and others end."""
    order = np.unique(measurements.instant, return_index=True)[1]
    rows = measurements.where(order)
    instants = rows.instant.tolist()
    steps = np.unique(np.diff(rows.instant), return_counts=True)
    period = int(steps[0][steps[1].argmax()]) if len(instants) > 1 else 0
    midnights = np.flatnonzero((rows.instant + rows.offset) % DAY_MICROSECONDS < 1_000_000)
    known = set(instants)
    found = []
    for row in midnights.tolist():
        start = rows.start(row)
        end = day_start(start.date() + DAY, measurements.timezone or start.tzinfo or UTC)
        if (end - EPOCH) // MICROSECOND - period in known:
            found.append(start.date())
    return found


def _no_whole_day(measurements: Measurements) -> InvalidInput:
    first, last = (
        measurements.start(int(row))
        for row in (measurements.instant.argmin(), measurements.instant.argmax())
    )
    return InvalidInput(
        f"{measurements.source} has no whole day, only {first.isoformat()} to "
        f"{last.isoformat()}; give readings from midnight on, each with the start of its period"
    )


def refusal(faults: list[Fault], measurements: Measurements) -> ReadingsError:
    """The error that tells of faults, by file and line."""

    def place(problem: Problem) -> tuple[bool, int, int]:
        file = measurements.files.index(problem.file) if problem.file else 0
        return problem.line is None, file, problem.line or 0

    return ReadingsError(
        sorted((fault.problem for fault in faults), key=place), measurements.source
    )


def split_doubles(rows: Measurements) -> tuple[list[Fault], Measurements]:
    """Second readings of a period as faults, and the rows without them; `rows` are by time."""
    same = (np.diff(rows.instant) == 0) & (np.diff(rows.meter) == 0)
    again = np.concatenate(([False], same)) if len(rows) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(rows))))
    faults = []
    for row in np.flatnonzero(again).tolist():
        start = rows.start(row)
        message = (
            f"meter {rows.meters[rows.meter[row]]} at {start.isoformat()}: "
            f"{rows.place(int(first[row]))} is a reading of the same period"
        )
        faults.append(Fault(FaultKind.DOUBLE, rows.problem(row, message), start.date()))
    return faults, rows.where(~again)


def period_of(rows: Measurements) -> timedelta | Fault:
    """How long a period is, or why that is not known or of no use."""
    period = rows.period or rows.usual_step()
    if period is None:
        message = (
            "no meter has two readings here, which leaves the length of a period unknown;"
            " give more readings or select more days"
        )
        return Fault(FaultKind.PERIOD, Problem(None, message))
    fault = period_fault(period)
    if fault:
        message = f"the most common time between readings of a meter is {duration(period)}; {fault}"
        return Fault(FaultKind.PERIOD, Problem(None, message))
    return period


def off_grid(rows: Measurements, period: timedelta) -> list[Fault]:
    """The rows that do not start at a whole number of periods."""
    faults = []
    for row in np.flatnonzero(rows.instant % (period // MICROSECOND)).tolist():
        start = rows.start(row)
        message = (
            f"{start.isoformat()} is not a whole number of periods"
            f" of {duration(period)} since 1970-01-01 00:00 UTC"
        )
        faults.append(Fault(FaultKind.GRID, rows.problem(row, message), start.date()))
    return faults


def find_gaps(rows: Measurements, period: timedelta, days: DayRange | None = None) -> list[Gap]:
    """What is missing from the first reading to the last of all meters, or of `days`.

    The rows are by time, without doubles, and start at whole periods.
    """
    step = period // MICROSECOND
    first, end = int(rows.instant.min()), int(rows.instant.max()) + step
    if days is not None:
        early, late = int(rows.instant.argmin()), int(rows.instant.argmax())
        zones = [
            rows.timezone or timezone(int(rows.offset[row]) * MICROSECOND) for row in (early, late)
        ]
        begin = day_start(days.first, zones[0])
        stop = day_start(days.last + DAY, zones[1])
        # Up to the first start that is not before the day's.
        first = -(-((begin - EPOCH) // MICROSECOND) // step) * step
        end = -(-((stop - EPOCH) // MICROSECOND) // step) * step
    gaps = []
    bounds = np.searchsorted(rows.meter, np.arange(len(rows.meters) + 1))
    for name, (begin_row, end_row) in zip(rows.meters, pairwise(bounds.tolist()), strict=True):
        instants = rows.instant[begin_row:end_row]
        within = (instants >= first) & (instants < end)
        inside = np.flatnonzero(within) + begin_row
        known = np.concatenate(([first - step], instants[within], [end]))
        for after in np.flatnonzero(np.diff(known) > step).tolist():
            start, stop_at = int(known[after]) + step, int(known[after + 1])
            row = int(inside[after - 1]) if after else None
            gaps.append(Gap(name, start, stop_at, (stop_at - start) // step, row))
    return gaps


def gap_fault(rows: Measurements, gap: Gap) -> Fault:
    """A gap in words, at the line before it."""
    offset = int(rows.offset[rows.instant.argmin()])
    begin, stop = rows.local(gap.first, offset), rows.local(gap.end, offset)
    periods = f"{gap.periods} period{'' if gap.periods == 1 else 's'}"
    message = (
        f"meter {gap.meter}: no reading from {begin.isoformat()} to {stop.isoformat()} ({periods})"
    )
    problem = Problem(None, message) if gap.row is None else rows.problem(gap.row, message)
    return Fault(FaultKind.GAP, problem, begin.date())


def _of_days(measurements: Measurements, days: DayRange | None) -> Measurements:
    if days is None:
        return measurements
    found = measurements.days()
    first, last = (date.fromordinal(int(day)) for day in (found.min(), found.max()))
    wanted = (found >= days.first.toordinal()) & (found <= days.last.toordinal())
    if days.first < first or days.last > last or not wanted.any():
        raise _not_for_all_of(days, measurements)
    return measurements.where(wanted)


def _not_for_all_of(days: DayRange, measurements: Measurements) -> InvalidInput:
    whole = _begun_and_ended(measurements)
    if not whole:
        return _no_whole_day(measurements)
    named = str(days.first)
    if days.days > 1:
        named += f" to {days.last}"
    return InvalidInput(
        f"{measurements.source} has no readings for all of {named};"
        f" give days from {whole[0]} to {whole[-1]}"
    )
