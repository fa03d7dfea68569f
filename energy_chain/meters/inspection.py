"""What is in files of readings, what they lack, and whether it can be traded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from types import MappingProxyType

import numpy as np

from energy_chain.errors import InvalidInput
from energy_chain.meters.completing import (
    complete,
    find_gaps,
    gap_fault,
    off_grid,
    period_of,
    split_doubles,
)
from energy_chain.meters.measurements import (
    MICROSECOND,
    UNUSABLE,
    Fault,
    FaultKind,
    Measurements,
)
from energy_chain.meters.readings import Problem, ReadingsError

ODD_FACTOR = 10
"""An energy so many times the meter's 99th percentile is shown as odd. It is no fault."""


@dataclass(frozen=True, slots=True)
class MeterSummary:
    """One meter of a file. Energies are microwatt-hours.

    Attributes:
        meter: which.
        readings: how many can be used.
        first, last: starts of the first and the last period that has one, of use or not.
        consumption, production: of the readings that can be used.
        missing: periods without a reading between the first and the last of all meters.
        bad: readings whose consumption or production is of no use; a fault says why.
    """

    meter: str
    readings: int
    first: datetime
    last: datetime
    consumption: int
    production: int
    missing: int
    bad: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in files.

    Attributes:
        source, files: what was looked at.
        facts: what was found about the format, for people.
        period: how long a period is; None where that is not known or of no use.
        first, last: starts of the first and the last period; None without readings.
        offsets: from UTC, of the local times, as `+02:00`.
        meters: one by one.
        faults: everything that is wrong, by file and line.
        odd: what is no fault and worth a look: readings of doubtful quality, energies far above the
            meter's others.
        refusal: why all of it cannot be traded; None when it can.
        remedy: the end of that, which says what to do and repeats no fault.
        days: the longest run of whole days that can be traded, first and number; None without.
    """

    source: str
    files: tuple[str, ...]
    facts: Mapping[str, str]
    period: timedelta | None
    first: datetime | None
    last: datetime | None
    offsets: tuple[str, ...]
    meters: tuple[MeterSummary, ...]
    faults: tuple[Fault, ...]
    odd: tuple[Problem, ...]
    refusal: str | None
    remedy: str | None
    days: tuple[date, int] | None

    @property
    def counts(self) -> Mapping[FaultKind, int]:
        """How many faults there are of each kind."""
        return MappingProxyType(Counter(fault.kind for fault in self.faults))


def inspect(measurements: Measurements) -> Inspection:
    """Looks measurements over. Nothing is refused: what is wrong is told."""
    doubles, rows = split_doubles(measurements.by_time())
    faults = [*measurements.faults, *doubles]
    found = period_of(rows) if len(rows) else None
    period = found if isinstance(found, timedelta) else None
    missing: Counter[str] = Counter()
    if isinstance(found, Fault):
        faults.append(found)
    elif period is not None:
        off = off_grid(rows, period)
        faults += off
        if not off:
            for gap in find_gaps(rows, period):
                missing[gap.meter] += gap.periods
                faults.append(gap_fault(rows, gap))
    refusal = _refusal(measurements)
    ends = (int(rows.instant.argmin()), int(rows.instant.argmax())) if len(rows) else None
    return Inspection(
        source=measurements.source,
        files=measurements.files,
        facts=measurements.facts,
        period=period,
        first=rows.start(ends[0]) if ends else None,
        last=rows.start(ends[1]) if ends else None,
        offsets=tuple(_offset(offset) for offset in np.unique(rows.offset).tolist()),
        meters=tuple(_summaries(rows, missing)),
        faults=tuple(sorted(faults, key=lambda fault: _place(measurements, fault.problem))),
        odd=(*measurements.notes, *_odd(rows)),
        refusal=str(refusal) if refusal else None,
        remedy=_remedy(refusal) if refusal else None,
        days=_whole_days(measurements, rows, faults, period),
    )


def _place(measurements: Measurements, problem: Problem) -> tuple[int, bool, int]:
    file = measurements.files.index(problem.file) if problem.file else 0
    return file, problem.line is None, problem.line or 0


def _refusal(measurements: Measurements) -> InvalidInput | None:
    try:
        complete(measurements)
    except InvalidInput as error:
        return error
    return None


def _remedy(refusal: InvalidInput) -> str:
    return refusal.remedy if isinstance(refusal, ReadingsError) else str(refusal)


def _offset(microseconds: int) -> str:
    hours, rest = divmod(abs(microseconds * MICROSECOND), timedelta(hours=1))
    return f"{'-' if microseconds < 0 else '+'}{hours:02}:{rest // timedelta(minutes=1):02}"


def _summaries(rows: Measurements, missing: Mapping[str, int]) -> list[MeterSummary]:
    summaries = []
    for number, meter in enumerate(rows.meters):
        of_meter = np.flatnonzero(rows.meter == number)
        if not len(of_meter):
            continue
        usable = of_meter[
            (rows.consumption[of_meter] != UNUSABLE) & (rows.production[of_meter] != UNUSABLE)
        ]
        summaries.append(
            MeterSummary(
                meter,
                len(usable),
                rows.start(int(of_meter[0])),
                rows.start(int(of_meter[-1])),
                int(rows.consumption[usable].sum()),
                int(rows.production[usable].sum()),
                missing=missing.get(meter, 0),
                bad=len(of_meter) - len(usable),
            )
        )
    return summaries


def _odd(rows: Measurements) -> list[Problem]:
    problems = []
    for name in ("consumption", "production"):
        column = getattr(rows, name)
        for number, meter in enumerate(rows.meters):
            of_meter = np.flatnonzero((rows.meter == number) & (column > 0))
            if not len(of_meter):
                continue
            usual = float(np.percentile(column[of_meter], 99, method="lower"))
            for row in of_meter[column[of_meter] > ODD_FACTOR * usual].tolist():
                start = rows.start(row).isoformat()
                message = (
                    f"meter {meter} at {start}: {name} of {column[row] / 1e9:.3f} kWh is more than "
                    f"{ODD_FACTOR} times its 99th percentile, {usual / 1e9:.3f} kWh"
                )
                problems.append(rows.problem(row, message))
    return sorted(problems, key=lambda problem: _place(rows, problem))


def _whole_days(
    measurements: Measurements, rows: Measurements, faults: list[Fault], period: timedelta | None
) -> tuple[date, int] | None:
    """The longest run of days on which nothing is wrong and all meters have all readings."""
    if period is None or not all(fault.placed for fault in measurements.faults):
        return None
    bad = {
        fault.day.toordinal() for fault in faults if fault.day and fault.kind is not FaultKind.GAP
    }
    days = rows.days()
    # By time, because a day that a change of the clocks makes longer or shorter begins and ends
    # with different offsets where the file has no time zone.
    by_time = np.argsort(rows.instant, kind="stable")
    found, first = np.unique(days[by_time], return_index=True)
    last = len(rows) - 1 - np.unique(days[by_time[::-1]], return_index=True)[1]
    first_rows, last_rows = by_time[first], by_time[last]
    counts = np.bincount(days - found[0], minlength=int(found[-1] - found[0]) + 1)
    best: tuple[date, int] | None = None
    length = 0
    for day, *ends in zip(found.tolist(), first_rows.tolist(), last_rows.tolist(), strict=True):
        begin, end = (
            datetime.combine(
                date.fromordinal(midnight),
                time.min,
                measurements.timezone or rows.start(row).tzinfo,
            )
            for midnight, row in zip((day, day + 1), ends, strict=True)
        )
        wanted = round((end.timestamp() - begin.timestamp()) / period.total_seconds())
        whole = counts[day - found[0]] == wanted * len(rows.meters) and day not in bad
        length = length + 1 if whole else 0
        if length > (best[1] if best else 0):
            best = date.fromordinal(day - length + 1), length
    return best
