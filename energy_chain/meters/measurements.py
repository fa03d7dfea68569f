"""What stands in files of meter readings, before anything is asked of it.

Every reader makes `Measurements`: a table of what it found and a list of what is
wrong with it. `complete` asks for more, because trading does: one reading for
each meter and period.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from energy_chain.meters.readings import Problem, Readings, local_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_MICROSECONDS = 86_400_000_000
UNUSABLE = -1
"""Stands for an energy that the file has and that cannot be used; a fault says why."""

_FIRST_DAY = date(1970, 1, 1).toordinal()

Integers = NDArray[np.int64]


class Quantity(StrEnum):
    """What the values of `Measurements` are."""

    ENERGY = "energy of each period"
    """Microwatt-hours."""
    POWER = "mean power of each period"
    """Microwatts."""
    REGISTER = "cumulative registers"
    """Microwatt-hours that a meter has counted up to an instant."""


class FaultKind(StrEnum):
    """What can be wrong with a file of readings."""

    LINE = "unreadable line"
    TIME = "unusable time"
    VALUE = "unusable value"
    QUALITY = "quality"
    DOUBLE = "doubled reading"
    GRID = "start off the periods"
    PERIOD = "unusable period"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with a file.

    Attributes:
        kind: what.
        problem: where, and in words.
        day: the local day that it concerns; None where that is not known.
        placed: whether it is known which meter and time it concerns.
    """

    kind: FaultKind
    problem: Problem
    day: date | None = None
    placed: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """What stands in a file, or several, row by row.

    The arrays are as long as there are rows, in the order of the files. Instants
    and offsets from UTC are microseconds, instants since 1970-01-01 00:00 UTC; a
    row's local time is its instant plus its offset.

    Attributes:
        source: what was read, for messages.
        files: its files.
        meters: in order of first appearance.
        meter, file: of each row, as an index of `meters` and of `files`.
        line: of each row; what the format counts.
        by_row: the files that have no lines, whose rows are counted.
        instant, offset: the start of each row's period, or when a register was read.
        consumption, production: in microwatt-hours or, of power, microwatts, not negative;
            UNUSABLE where a fault says so.
        quantity: what those are.
        faults: what is wrong with the files.
        timezone: the one that was asked for.
        period: how long a period is, where that is known and need not be found.
        facts: what was found about the format, for people.
        notes: what is worth knowing of single rows, and no fault.
    """

    source: str
    files: tuple[str, ...]
    meters: tuple[str, ...]
    meter: Integers
    file: Integers
    line: Integers
    instant: Integers
    offset: Integers
    consumption: Integers
    production: Integers
    quantity: Quantity = Quantity.ENERGY
    faults: tuple[Fault, ...] = ()
    by_row: frozenset[str] = frozenset()
    timezone: tzinfo | None = None
    period: timedelta | None = None
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.instant)

    @classmethod
    def of_rows(
        cls,
        source: str,
        meters: Sequence[str],
        rows: Sequence[tuple[int, int, int, int, int, int]] | Integers,
        **others: object,
    ) -> Self:
        """One file's measurements.

        Args:
            source: the file.
            meters: in order of first appearance.
            rows: meter, line, instant, offset, consumption and production of each.
            others: attributes of the same names.
        """
        table = np.array(rows, np.int64).reshape(-1, 6).T
        meter, line, instant, offset, consumption, production = (column.copy() for column in table)
        return cls(
            source=source,
            files=(source,),
            meters=tuple(meters),
            meter=meter,
            file=np.zeros_like(meter),
            line=line,
            instant=instant,
            offset=offset,
            consumption=consumption,
            production=production,
            **others,  # type: ignore[arg-type]
        )

    @classmethod
    def of_readings(cls, readings: Readings, source: str) -> Self:
        """All of a complete set, period by period; `source` is what to call it."""
        meters = len(readings.meters)
        instants = [(start - EPOCH) // MICROSECOND for start in readings.starts]
        offsets = [(start.utcoffset() or timedelta(0)) // MICROSECOND for start in readings.starts]
        columns = (
            np.tile(np.arange(meters), len(instants)),
            np.arange(len(instants) * meters),
            np.repeat(instants, meters),
            np.repeat(offsets, meters),
            readings.consumption.ravel(),
            readings.production.ravel(),
        )
        rows = np.stack(columns, axis=1)
        return cls.of_rows(source, readings.meters, rows, period=readings.period)

    def where(self, wanted: NDArray[np.bool_] | Integers) -> Measurements:
        """Some of the rows: a mask, or their indices in the order that they shall have."""
        return replace(
            self,
            **{
                name: getattr(self, name)[wanted]
                for name in (
                    *("meter", "file", "line", "instant", "offset"),
                    *("consumption", "production"),
                )
            },
        )

    def with_offsets(self, offsets: Integers) -> Measurements:
        """The same rows with other offsets from UTC."""
        return replace(self, offset=offsets)

    def by_time(self) -> Measurements:
        """The rows by meter, then instant, then place in the files."""
        return self.where(np.lexsort((self.line, self.file, self.instant, self.meter)))

    def place(self, row: int) -> str:
        """The line of a row, for messages that name another line already."""
        line = f"{self._word(row)} {self.line[row]}"
        return line if len(self.files) == 1 else f"{line} of {self.files[self.file[row]]}"

    def _word(self, row: int) -> str:
        return "row" if self.files[self.file[row]] in self.by_row else "line"

    def problem(self, row: int, message: str) -> Problem:
        """A problem at the line of a row."""
        file = None if len(self.files) == 1 else self.files[self.file[row]]
        return Problem(int(self.line[row]), message, file, self._word(row))

    def start(self, row: int) -> datetime:
        """The start of a row's period in local time, with its offset as a fixed one."""
        return self.local(int(self.instant[row]), int(self.offset[row]))

    def local(self, instant: int, offset: int = 0) -> datetime:
        """An instant in `timezone`, or else at an offset, as a fixed one."""
        at = EPOCH + instant * MICROSECOND
        return local_time(at, self.timezone or timezone(offset * MICROSECOND))

    def days(self) -> Integers:
        """The local day of each row, as the ordinal of its date."""
        days: Integers = (self.instant + self.offset) // DAY_MICROSECONDS + _FIRST_DAY
        return days

    def usual_step(self) -> timedelta | None:
        """The most common time between readings of a meter; of several, the shortest."""
        rows = self.by_time()
        steps = np.diff(rows.instant)[np.diff(rows.meter) == 0]
        found, counts = np.unique(steps[steps > 0], return_counts=True)
        return int(found[counts.argmax()]) * MICROSECOND if len(found) else None


def combine(parts: Sequence[Measurements], source: str) -> Measurements:
    """Several files as one: meters of the same name are one meter."""
    if len(parts) == 1:
        return parts[0]
    numbers: dict[str, int] = {}
    meters, files = [], []
    for number, part in enumerate(parts):
        renumbered = [numbers.setdefault(name, len(numbers)) for name in part.meters]
        meters.append(np.array(renumbered, np.int64)[part.meter])
        files.append(np.full(len(part), number))
    faults = tuple(
        replace(fault, problem=replace(fault.problem, file=part.source))
        for part in parts
        for fault in part.faults
    )
    notes = tuple(replace(note, file=part.source) for part in parts for note in part.notes)
    return Measurements(
        source=source,
        files=tuple(part.source for part in parts),
        meters=tuple(numbers),
        meter=np.concatenate(meters),
        file=np.concatenate(files),
        line=np.concatenate([part.line for part in parts]),
        instant=np.concatenate([part.instant for part in parts]),
        offset=np.concatenate([part.offset for part in parts]),
        consumption=np.concatenate([part.consumption for part in parts]),
        production=np.concatenate([part.production for part in parts]),
        quantity=parts[0].quantity,
        faults=faults,
        by_row=frozenset().union(*(part.by_row for part in parts)),
        timezone=parts[0].timezone,
        period=parts[0].period,
        facts=MappingProxyType(dict(_shared(part.facts for part in parts))),
        notes=notes,
    )


def _shared(facts: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Facts of several files, each with all the answers that it has."""
    answers: dict[str, dict[str, None]] = {}
    for each in facts:
        for name, answer in each.items():
            answers.setdefault(name, {})[answer] = None
    for name, found in answers.items():
        yield name, " and ".join(found)
