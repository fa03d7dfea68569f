"""What a set of meter readings is, and how it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

import numpy as np
from numpy.typing import NDArray

from energy_chain.errors import InvalidInput

UWH = 1_000_000
"""Microwatt-hours in a watt-hour."""
DAY = timedelta(days=1)
MIN_PERIOD = timedelta(seconds=60)

_SHOWN_PROBLEMS = 10
_SHOWN_CHARACTERS = 40
_REMEDY = "correct the file, or choose days without these lines; readings are never guessed"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one meter measured over the one period that begins at `start`.

    `consumption` and `production` are whole microwatt-hours, and not negative.

    `start` is aware. The readers and the generator of this package give it the
    UTC offset of its local time as a fixed offset, because two datetimes that
    share a ZoneInfo are compared by the clock on the wall: the two 01:30 of the
    night on which daylight saving ends would be equal.
    """

    meter: str
    start: datetime
    consumption: int
    production: int


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """A complete set of readings: one for each meter and each period.

    Energies are whole microwatt-hours, a thousand-millionth of a kWh: no meter
    tells more, and sums of them are exact.

    Attributes:
        period: how long a period is.
        meters: in order of first appearance.
        starts: of the periods, aware, each later than the one before.
        consumption, production: of shape (periods, meters), not negative.
    """

    period: timedelta
    meters: tuple[str, ...]
    starts: tuple[datetime, ...]
    consumption: NDArray[np.int64]
    production: NDArray[np.int64]

    def rows(self) -> list[Reading]:
        """One by one, by the instant of the start and then by the order of `meters`."""
        energies = np.stack((self.consumption, self.production), axis=2).tolist()
        return [
            Reading(meter, start, consumption, production)
            for start, period in zip(self.starts, energies, strict=True)
            for meter, (consumption, production) in zip(self.meters, period, strict=True)
        ]

    def of_meters(self, meters: Sequence[str]) -> Readings:
        """The readings of some of the meters only."""
        wanted = set(meters)
        kept = [number for number, meter in enumerate(self.meters) if meter in wanted]
        return Readings(
            self.period,
            tuple(self.meters[number] for number in kept),
            self.starts,
            self.consumption[:, kept],
            self.production[:, kept],
        )

    def since(self, start: datetime) -> Readings:
        """The readings of the periods that begin at `start`, which is aware, or later.

        Raises:
            InvalidInput: there are none.
        """
        first = next((n for n, begin in enumerate(self.starts) if begin >= start), None)
        if first is None:
            raise InvalidInput(
                f"there are no readings from {start.isoformat()} on: the last ones are of "
                f"{self.starts[-1].isoformat()}"
            )
        return Readings(
            self.period,
            self.meters,
            self.starts[first:],
            self.consumption[first:],
            self.production[first:],
        )


@dataclass(frozen=True, slots=True)
class DayRange:
    """`days` calendar days of local time, of which `first` is the first.

    Raises InvalidInput when `days` is less than 1 or the calendar ends sooner.
    """

    first: date
    days: int = 1

    def __post_init__(self) -> None:
        if self.days < 1:
            raise InvalidInput(f"days is {self.days}; give 1 or more")
        if self.days > (date.max - self.first).days:
            raise InvalidInput(
                f"{self.days} days from {self.first} go beyond {date.max}; give fewer days"
            )

    @property
    def last(self) -> date:
        """The last day of the range."""
        return self.first + (self.days - 1) * DAY


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why readings are refused.

    `line` is None when no line is to blame, `file` where the readings are of one file only. `word`
    is what the format calls its lines.
    """

    line: int | None
    message: str
    file: str | None = None
    word: str = "line"

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        place += [f"{self.word} {self.line}"] if self.line is not None else []
        return f"{', '.join(place)}: {self.message}" if place else self.message


class ReadingsError(InvalidInput):
    """Readings that cannot be used.

    `problems` has all of the reasons; the message shows the first ten of them.
    """

    def __init__(
        self, problems: Iterable[Problem], source: str = "readings", remedy: str = _REMEDY
    ) -> None:
        self.problems = tuple(problems)
        self.source = source
        self.remedy = remedy
        super().__init__(self.problems, source, remedy)

    def __str__(self) -> str:
        count = len(self.problems)
        if count == 1:
            return f"{self.source}: {self.problems[0]}; {self.remedy}"
        lines = [f"{self.source}: {count} problem{'' if count == 1 else 's'}"]
        lines += [f"  {problem}" for problem in self.problems[:_SHOWN_PROBLEMS]]
        if count > _SHOWN_PROBLEMS:
            lines.append(f"  and {count - _SHOWN_PROBLEMS} more")
        lines.append(self.remedy)
        return "\n".join(lines)


def day_start(day: date, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which `day` begins in `zone`. Raises InvalidInput.

    A midnight that daylight saving skips is taken as the instant of the skip,
    and of a midnight that comes twice the first is taken.
    """
    try:
        return datetime.combine(day, time.min, zone).astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{day} is at the very end of the calendar; give another day") from None


def local_time(instant: datetime, zone: tzinfo) -> datetime:
    """`instant` as local time in `zone`, with the offset of that moment as a fixed offset."""
    local = instant.astimezone(zone)
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta(0)), fold=0)


def shown(text: str) -> str:
    """A text of a file as messages quote it: never more than a little of it."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")


def period_fault(period: timedelta) -> str | None:
    """Why `period` cannot be a market period; None when it can."""
    if period < MIN_PERIOD:
        return "it must be at least 60 s"
    if period % timedelta(seconds=1):
        return "it must be a whole number of seconds"
    if DAY % period:
        return "it must divide a day, as 5, 15, 30 or 60 minutes do"
    return None
