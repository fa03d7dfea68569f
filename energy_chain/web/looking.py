"""One look at a market for one answer: all that it says is as of the same block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Path, Request, Response
from sqlalchemy import Connection, func, select

from energy_chain.record import ranges
from energy_chain.record.identity import MarketRow
from energy_chain.record.lists import Asked, Key
from energy_chain.record.store import Record, market_rows
from energy_chain.record.sums import unit
from energy_chain.record.tables import blocks
from energy_chain.signing import Kind
from energy_chain.web.problems import NOT_FOUND, UNPROCESSABLE, NotModified, Refused
from energy_chain.web.schemas import ADDRESS, AsOf, List, Ordered, Range, Span
from energy_chain.web.state import State
from energy_chain.web.times import iso, unix

AddressPath = Annotated[str, Path(pattern=ADDRESS, description="The address of the market.")]


@dataclass(frozen=True, slots=True)
class Look:
    """A market at a moment, and what is known of it besides."""

    connection: Connection
    market: MarketRow
    state: State

    @property
    def as_of(self) -> AsOf:
        """The last block that was read."""
        return as_of(self.market)

    def began(self) -> int | None:
        """Unix time of the first block in which the market logged something."""
        return began(self.connection, self.market)

    def range(self, asked: Range) -> tuple[int, int]:
        """The part of the record that was asked for: whole delivery periods, or hours.

        Raises:
            Refused: it ends before it begins.
        """
        start = self.began()
        if start is None:
            return 0, 0
        size = unit(self.market)
        first, last = ranges.rounded(self.market, start, self.market.cursor_time + 1)
        begin, end = (None if each is None else moment(each) for each in (asked.from_, asked.to))
        if begin is not None and end is not None and end <= begin:
            raise Refused(
                UNPROCESSABLE, "the range ends before it begins", "give a from that is before to"
            )
        if begin is not None:
            # A period is in a range when it begins in it; an hour of orders when it ends in it.
            begin = -(-begin // size) * size if self.market.period_length else begin // size * size
            first = min(max(first, begin), last)
        if end is not None:
            last = max(min(last, -(-end // size) * size), first)
        return first, last

    def rows(
        self, asked: Ordered, parts: int, meter: int | None = None, kind: Kind | None = None
    ) -> Asked:
        """The rows that were asked for, and one more, which tells whether that is all.

        Raises:
            Refused: `after` is no key of so many parts, or a time is none.
        """
        begin, end = (None if each is None else moment(each) for each in (asked.from_, asked.to))
        latest = asked.order == "latest"
        return Asked(asked.limit + 1, key_of(asked, parts), latest, begin, end, meter, kind)


@contextmanager
def look(request: Request, response: Response, address: str) -> Iterator[Look]:
    """Looks at the market at an address, unless who asks has seen it as it is now.

    Raises:
        Refused: the record holds no such market.
        NotModified: the answer is the one of `If-None-Match`.
    """
    record: Record = request.app.state.record
    with record.reading() as connection:
        found = [row for row in market_rows(connection) if row.address.lower() == address.lower()]
        if not found:
            raise Refused(
                NOT_FOUND, "there is no such market in the record", "take one of /api/markets"
            )
        here = Look(connection, found[-1], request.app.state.state)
        standing = here.state.of(here.market.address)
        unchanged(request, response, here.market, standing)
        yield here


def unchanged(request: Request, response: Response, *of: Any) -> None:
    """Gives an answer its ETag, from all that it depends on.

    Raises:
        NotModified: who asks has seen it.
    """
    depends = repr((request.app.version, request.url.path, request.url.query, of))
    # Weak: compressed or not, it says the same.
    etag = f'W/"{hashlib.sha256(depends.encode()).hexdigest()[:32]}"'
    known = request.headers.get("if-none-match", "").split(",")
    if etag.removeprefix("W/") in (each.strip().removeprefix("W/") for each in known):
        raise NotModified(etag)
    response.headers["ETag"] = etag


def as_of(market: MarketRow) -> AsOf:
    """The last block that was read of a market."""
    if not market.cursor_hash:
        return AsOf(block=None, hash=None, time=None)
    return AsOf(block=market.cursor_block, hash=market.cursor_hash, time=iso(market.cursor_time))


def began(connection: Connection, market: MarketRow) -> int | None:
    """Unix time of the first block in which a market logged something."""
    found: int | None = connection.scalar(
        select(func.min(blocks.c.timestamp)).where(
            (blocks.c.market == market.id)
            & (
                blocks.c.number
                == select(func.min(blocks.c.number))
                .where(blocks.c.market == market.id)
                .scalar_subquery()
            )
        )
    )
    return found


def span(begin: int, end: int) -> Span:
    """A range as it is written."""
    return Span(start=iso(begin), end=iso(end))


def moment(text: str) -> int:
    """A time that was given.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return unix(text)
    except ValueError:
        raise Refused(
            UNPROCESSABLE, f"{text} is no time", "give one such as 2026-11-23T06:00:00Z"
        ) from None


def zone_of(name: str) -> ZoneInfo:
    """A time zone that was given.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(
            UNPROCESSABLE,
            f"there is no such time zone: {name[:60]!r}",
            "give one such as Europe/Berlin",
        ) from None


def key_of(asked: List, parts: int) -> Key | None:
    """Behind which row a page begins; None at the first.

    Raises:
        Refused: it is no key of so many parts, as the rows of this list have.
    """
    key = asked.key
    if key is not None and len(key) != parts:
        raise Refused(UNPROCESSABLE, "after is of another list", "give the next of this one")
    return key


def next_of(rows: Sequence[Any], limit: int, *key: str) -> str | None:
    """What stands for the rest of a list; None where that is all."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return "-".join(str(getattr(last, name)) for name in key)
