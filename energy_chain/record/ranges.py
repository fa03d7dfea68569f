"""What a market and its meters did in a range of time, added up in the database.

A range is answered from whole stretches of four weeks, days and hours (`sums`), and from
delivery periods at its edges. Begins and ends are Unix times, the end not included; a
period is in a range when it begins in it. Where orders never expire, ranges are of whole
hours: `rounded` makes one of any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select, union_all

from energy_chain.record.identity import MarketRow
from energy_chain.record.sums import (
    ALL_METERS,
    DAY,
    FOUR_WEEKS,
    GWEI,
    HOUR,
    PERIOD,
    SUMMED,
    Within,
    floor,
    meter_parts,
    unit,
)
from energy_chain.record.tables import meters, sums

_LONG_AFTER = 2**40
"""A Unix time that no block has."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a range comes to, of a meter or of all. Energies in Wh.

    Attributes:
        requests, releases: how many.
        offered, needed: their energies.
        sold, bought: of matches; of all meters both are what was matched.
        own: of matches of a home with itself, which is in both.
        drawn: of what was bought, so much was confirmed as drawn.
        matches: how many.
        transactions: in the blocks of the range; 0 of a meter, as many are of several.
        gas: that they used.
        cost: wei that they cost.
    """

    requests: int = 0
    releases: int = 0
    offered: int = 0
    needed: int = 0
    sold: int = 0
    bought: int = 0
    own: int = 0
    drawn: int = 0
    matches: int = 0
    transactions: int = 0
    gas: int = 0
    cost: int = 0

    def __add__(self, other: Sum) -> Sum:
        """Both together."""
        names = (field.name for field in fields(Sum))
        return Sum(*(getattr(self, name) + getattr(other, name) for name in names))

    def __sub__(self, other: Sum) -> Sum:
        """What came after the other; below 0 where a reorganisation has taken more away."""
        names = (field.name for field in fields(Sum))
        return Sum(*(getattr(self, name) - getattr(other, name) for name in names))


class Piece(NamedTuple):
    """A part of a range: whole stretches of a level."""

    level: int
    begin: int
    end: int


def rounded(market: MarketRow, begin: int, end: int) -> tuple[int, int]:
    """A range that holds the whole periods, or hours, which begin or end in this one."""
    size = unit(market)
    return floor(begin, size), -floor(-end, size)


def cover(begin: int, end: int, levels: Sequence[int]) -> Iterator[Piece]:
    """The pieces of a range, in their order: as many whole stretches of the first level as fit.

    Args:
        begin, end: the range.
        levels: seconds of the stretches, the longest first.
    """
    if begin >= end:
        return
    if not levels:
        yield Piece(PERIOD, begin, end)
        return
    size, *others = levels
    first, last = -floor(-begin, size), floor(end, size)
    if first >= last:
        yield from cover(begin, end, others)
        return
    yield from cover(begin, first, others)
    yield Piece(size, first, last)
    yield from cover(last, end, others)


def total(connection: Connection, market: MarketRow, begin: int, end: int) -> Sum:
    """What all meters did in a range."""
    of_all = [_kept(market, piece, sums.c.meter == ALL_METERS) for piece in _pieces(begin, end)]
    return next(iter(_added(connection, of_all).values()), Sum())


def everything(connection: Connection, market: MarketRow) -> Sum:
    """What all meters ever did."""
    return total(connection, market, 0, _LONG_AFTER)


def by_meter(
    connection: Connection, market: MarketRow, begin: int, end: int, meter: int | None = None
) -> dict[int, Sum]:
    """What each meter that did something did in a range, by its number; of one alone if given."""
    parts: list[Any] = []
    for piece in _pieces(begin, end):
        if piece.level != PERIOD:
            # A search for each of the meters: their stretches lie together.
            known = select(meters.c.number).where(meters.c.market == market.id)
            which = sums.c.meter.in_(known) if meter is None else sums.c.meter == meter
            parts.append(_kept(market, piece, which))
        else:
            within = Within(market, piece.begin, piece.end, meter=meter)
            parts += [_labelled(part.subquery()) for part in meter_parts(market, within)]
    return _added(connection, parts)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of a series: an hour, a day, a delivery period. `begin` and `end` are Unix times."""

    begin: int
    end: int
    sum: Sum


def periods(
    connection: Connection, market: MarketRow, begin: int, end: int, meter: int | None = None
) -> list[Bucket]:
    """Every delivery period of a range, also where nothing happened; of one meter if given."""
    length = unit(market)
    found = periods_with_something(connection, market, begin, end, meter)
    first = -floor(-begin, length)
    return [
        Bucket(start, start + length, found.get(start, Sum()))
        for start in range(first, end, length)
    ]


def periods_with_something(
    connection: Connection, market: MarketRow, begin: int, end: int, meter: int | None = None
) -> dict[int, Sum]:
    """The delivery periods of a range in which something happened, by when they begin."""
    if meter is None:
        which = sums.c.meter == ALL_METERS
        parts = [_kept(market, Piece(PERIOD, begin, end), which, sums.c.bucket)]
    else:
        within = Within(market, begin, end, meter=meter)
        found = [part.subquery() for part in meter_parts(market, within)]
        parts = [_labelled(part, part.c.moment) for part in found]
    return _added(connection, parts)


def hours(
    connection: Connection,
    market: MarketRow,
    begin: int,
    end: int,
    zone: tzinfo = UTC,
    meter: int | None = None,
) -> list[Bucket]:
    """Every hour of a range by the clocks of a zone, the first and last cut by the range."""
    found = _series(connection, market, begin, end, zone, HOUR, meter)
    buckets = []
    for start, stop, offset in _offsets(begin, end, zone):
        at = start
        while at < stop:
            after = min(floor(at + offset, HOUR) + HOUR - offset, stop)
            here = found.get((offset, floor(at + offset, HOUR)), Sum())
            buckets.append(Bucket(at, after, here))
            at = after
    return buckets


def days(
    connection: Connection,
    market: MarketRow,
    begin: int,
    end: int,
    zone: tzinfo = UTC,
    meter: int | None = None,
) -> list[Bucket]:
    """Every calendar day of a range in a zone, the first and the last cut by the range."""
    found: dict[int, Sum] = {}
    for (_, day), here in _series(connection, market, begin, end, zone, DAY, meter).items():
        found[day] = found.get(day, Sum()) + here
    buckets, at = [], begin
    while at < end:
        date = datetime.fromtimestamp(at, zone).date()
        tomorrow = date + timedelta(days=1)
        midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
        after = min(max(int(midnight.timestamp()), at + 1), end)
        day = (date - _EPOCH).days * DAY
        buckets.append(Bucket(at, after, found.get(day, Sum())))
        at = after
    return buckets


_EPOCH = datetime(1970, 1, 1).date()


def _series(
    connection: Connection,
    market: MarketRow,
    begin: int,
    end: int,
    zone: tzinfo,
    size: int,
    meter: int | None,
) -> dict[tuple[int, int], Sum]:
    """Sums by the offset of the zone's clocks, and by what they show at the begin of a stretch."""
    found: dict[tuple[int, int], Sum] = {}
    for start, stop, offset in _offsets(begin, end, zone):
        levels = [level for level in (DAY, HOUR) if level <= size and offset % level == 0]
        pieces = cover(start, stop, levels) if market.period_length else [Piece(HOUR, start, stop)]
        parts: list[Any] = []
        for piece in pieces:
            if piece.level != PERIOD or meter is None:
                which = sums.c.meter == (ALL_METERS if meter is None else meter)
                shown = sums.c.bucket + offset
                parts.append(_kept(market, piece, which, shown - shown % size))
                continue
            within = Within(market, piece.begin, piece.end, meter=meter)
            for part in meter_parts(market, within):
                rows = part.subquery()
                shown = rows.c.moment + offset
                parts.append(_labelled(rows, shown - shown % size))
        found |= {(offset, shown): here for shown, here in _added(connection, parts).items()}
    return found


def _offsets(begin: int, end: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """The parts of a range in which the clocks of a zone are not changed, and their offsets."""

    def offset(moment: int) -> int:
        shown = datetime.fromtimestamp(moment, zone).utcoffset()
        return int(shown.total_seconds()) if shown is not None else 0

    start = begin
    while start < end:
        here, stop = offset(start), min(floor(start, DAY) + DAY, end)
        while stop < end and offset(stop) == here:
            stop = min(stop + DAY, end)
        if stop < end or offset(stop - 1) != here:
            # It is within a day of here that they are changed.
            low, high = max(start, stop - DAY), stop
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == here else (low, middle)
            stop = high
        yield start, stop, here
        start = stop


def _pieces(begin: int, end: int) -> Iterator[Piece]:
    return cover(begin, end, (FOUR_WEEKS, DAY, HOUR))


def _kept(market: MarketRow, piece: Piece, meter: ColumnElement[bool], key: Any = None) -> Any:
    """What is kept of a piece, under a key: the meter if none is given."""
    of = sums.c
    return select((of.meter if key is None else key).label("key"), *(of[n] for n in SUMMED)).where(
        (of.market == market.id)
        & (of.level == piece.level)
        & (of.bucket >= piece.begin)
        & (of.bucket < piece.end)
        & meter
    )


def _labelled(rows: Any, key: Any = None) -> Any:
    return select(
        (rows.c.meter if key is None else key).label("key"), *(rows.c[name] for name in SUMMED)
    )


def _added(connection: Connection, parts: Sequence[Any]) -> dict[int, Sum]:
    """The sums of parts by their keys."""
    if not parts:
        return {}
    of = union_all(*parts).subquery().c
    asked = select(of.key, *(func.sum(of[name]) for name in SUMMED)).group_by(of.key)
    found = {}
    for key, *values in connection.execute(asked).all():
        numbers = [int(value) for value in values]
        wei = numbers.pop()
        gwei = numbers.pop()
        numbers.append(gwei * GWEI + wei)
        found[int(key)] = Sum(*numbers)
    return found
