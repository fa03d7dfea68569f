"""Times as files write them: ISO 8601, with an offset or in a time zone that is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, tzinfo
from itertools import groupby, pairwise

from energy_chain.meters.measurements import EPOCH, MICROSECOND
from energy_chain.meters.readings import shown

NO_OFFSET = "the time has no UTC offset"
GIVE_ZONE = "give its time zone with --timezone"
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant and its local time's offset from UTC, in microseconds.

    Of a local time that comes twice the first is meant, and `again` is the other.
    """

    instant: int
    offset: int
    text: str = ""
    again: Moment | None = None


def read_time(text: str, zone: tzinfo | None) -> Moment | str:
    """The moment that `text` gives, or what is wrong with it.

    A local time that the clocks skip does not exist. One that comes twice, when
    they are set back, is told by its neighbours: see `tell_apart`.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return f"time {shown(text)} is not ISO 8601, as 2016-08-15 13:00 is"
    if time.year in (MINYEAR, MAXYEAR):  # where a conversion could leave the calendar
        return f"time {shown(text)} is at the very end of the calendar"
    if time.tzinfo is not None:
        return moment(time if zone is None else time.astimezone(zone))
    if zone is None:
        return NO_OFFSET
    time = time.replace(tzinfo=zone)
    second = time.replace(fold=1)
    if time.utcoffset() == second.utcoffset():
        return moment(time)
    back = time.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None, fold=0) != time.replace(tzinfo=None):
        return f"time {shown(text)} does not exist in {zone}"
    first = moment(time)
    return Moment(first.instant, first.offset, text, moment(second))


def moment(time: datetime) -> Moment:
    """The moment of an aware time."""
    offset = (time.utcoffset() or _NO_TIME) // MICROSECOND
    return Moment((time - EPOCH) // MICROSECOND, offset)


def tell_apart(moments: Sequence[tuple[int, Moment]]) -> dict[int, Moment] | None:
    """Which of two each local time that comes twice is, for rows of one meter that follow each
    other in the file; None when that is not beyond doubt.

    It is when all of these times come twice, and come in the order of time: 01:00,
    01:30, 01:00, 01:30. Nothing else would be in order, so nothing is guessed.

    Args:
        moments: by row, in the order of the file.
    """
    seen: set[int] = set()
    told = {}
    for row, time in moments:
        assert time.again is not None  # only of times that come twice
        told[row] = time.again if time.instant in seen else time
        seen.add(time.instant)
    instants = [time.instant for time in told.values()]
    ascending = all(before < after for before, after in pairwise(instants))
    return told if ascending and len(instants) == 2 * len(seen) else None


def runs(rows: Sequence[int]) -> list[list[int]]:
    """Numbers in ascending order as runs of those that follow each other without a gap."""
    numbered = enumerate(rows)
    return [[row for _, row in run] for _, run in groupby(numbered, lambda at: at[1] - at[0])]
