"""What each meter did in a month, in a form whose hash anybody can recompute from the chain.

A statement adds up one meter's orders and matches of the delivery periods that begin
in the month, and holds the root of its matches. The root of the statements of all meters
stands for the whole month: with it, a meter's own statement and a proof of a few hashes
show that nothing of that meter was added, left out or altered.

    match      (uint256 index, uint256 period, uint256 producer, uint256 consumer,
                uint256 energy, uint256 drawn)
    statement  (uint256 chain id, address contract, uint256 from, uint256 to, uint256 meter number,
                address meter, uint256 offered, uint256 needed, uint256 sold, uint256 bought,
                uint256 own, uint256 drawn, bytes32 root of the meter's matches)

Energies are Wh, `from` and `to` the Unix times at which the month begins and ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from energy_chain.errors import InvalidInput
from energy_chain.market import Address
from energy_chain.record.identity import MarketRow
from energy_chain.record.merkle import Tree, leaf
from energy_chain.record.queries import MatchLine, Usage, Wanted, matches_of, meters_of, usage_of
from energy_chain.record.store import ANEW, Record
from energy_chain.record.tables import blocks

_MATCH = ("uint256",) * 6
_STATEMENT = (
    *("uint256", "address", "uint256", "uint256", "uint256", "address"),
    *("uint256",) * 6,
    "bytes32",
)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of a time zone.

    Attributes:
        year, month: which.
        timezone: the name of the zone in the tz database.
    """

    year: int
    month: int
    timezone: str = "UTC"

    @classmethod
    def parse(cls, text: str, timezone: str = "UTC") -> Month:
        """A month as ISO 8601 writes it, such as 2016-08.

        Raises:
            InvalidInput: it is none.
        """
        try:
            first = datetime.strptime(text, "%Y-%m")
        except ValueError:
            raise InvalidInput(f"{text!r} is no month: give one such as 2016-08") from None
        return cls(first.year, first.month, timezone)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def begins(self) -> datetime:
        """Its first moment, in its zone."""
        return datetime(self.year, self.month, 1, tzinfo=ZoneInfo(self.timezone))

    @property
    def ends(self) -> datetime:
        """The first moment of the next one, in its zone."""
        year, month = divmod(self.year * 12 + self.month, 12)
        return datetime(year, month + 1, 1, tzinfo=ZoneInfo(self.timezone))

    def periods(self, length: int) -> tuple[int, int]:
        """The first and the last delivery period that begins in it; `length` in seconds."""
        first, end = (-(-int(moment.timestamp()) // length) for moment in (self.begins, self.ends))
        return first, end - 1


class Span(NamedTuple):
    """A month of a market, in Unix times."""

    chain_id: int
    contract: Address
    begins: int
    ends: int

    @classmethod
    def of(cls, market: MarketRow, month: Month) -> Span:
        """That month of that market."""
        begins, ends = (int(moment.timestamp()) for moment in (month.begins, month.ends))
        return cls(market.chain_id, market.address, begins, ends)


def match_leaf(
    index: int, period: int, producer: int, consumer: int, energy: int, drawn: int
) -> bytes:
    """The hash of a match, as the module says."""
    return leaf(_MATCH, (index, period, producer, consumer, energy, drawn))


def matches_root(matches: Iterable[tuple[int, int, int, int, int, int]]) -> bytes:
    """The root of matches, each with the values of `match_leaf`."""
    return Tree(match_leaf(*match) for match in matches).root


def statement_leaf(span: Span, address: Address, usage: Usage, matches_root: bytes) -> bytes:
    """The hash of a meter's statement, as the module says."""
    energies = (usage.offered, usage.needed, usage.sold, usage.bought, usage.own, usage.drawn)
    return leaf(_STATEMENT, (*span, usage.meter, address, *energies, matches_root))


@dataclass(frozen=True, slots=True)
class Statement:
    """One meter's month.

    Attributes:
        address: of the meter.
        usage: its energies, taken together.
        matches: those in which it is producer or consumer, in the order of their indexes.
        hash: of the statement, 32 bytes.
    """

    address: Address
    usage: Usage
    matches: tuple[MatchLine, ...]
    hash: bytes


@dataclass(frozen=True, slots=True)
class MonthBook:
    """All meters' statements of a month, and the tree over them.

    Attributes:
        market: the market, as of the last block that was read.
        month: which.
        statements: by meter number: of every meter that was ever registered.
        tree: over the hashes of the statements.
    """

    market: MarketRow
    month: Month
    statements: dict[int, Statement]
    tree: Tree

    @property
    def over(self) -> bool:
        """Whether the month is over as of the last block that was read."""
        return self.market.cursor_time >= self.month.ends.timestamp()

    @property
    def as_of(self) -> datetime:
        """Time of the last block that was read."""
        return datetime.fromtimestamp(self.market.cursor_time, UTC)


def close_month(record: Record, market: MarketRow, month: Month) -> MonthBook:
    """Adds up a month of a market, as of the last block that the record has read.

    Raises:
        InvalidInput: orders of the market never expire, so that they are of no month; or the month
            is before or after all that was read of the market; or the record is damaged.
    """
    if not market.period_length:
        raise InvalidInput(
            f"orders of {market.address} never expire and so are of no month: only a market with "
            "delivery periods has bills"
        )
    # Of all tables that takes long; what is hashed is looked at where it is.
    if misfit := record.misfit(market, (blocks,)):
        raise InvalidInput(f"the record in {record.place} is damaged: {misfit}; {ANEW}")
    _refuse_outside(record, market, month)
    first, last = month.periods(market.period_length)
    wanted = Wanted(first, last)
    usages = {
        usage.meter: usage for usage in usage_of(record, market, wanted, together=last - first + 1)
    }
    matches: dict[int, list[MatchLine]] = defaultdict(list)
    for match in matches_of(record, market, wanted):
        for meter in {match.producer, match.consumer}:
            matches[meter].append(match)
    try:
        statements = dict(_statements(record, market, month, usages, matches))
    except ValueError as error:
        raise InvalidInput(f"the record in {record.place} is damaged ({error}): {ANEW}") from None
    tree = Tree(statement.hash for statement in statements.values())
    return MonthBook(market, month, statements, tree)


def _statements(
    record: Record,
    market: MarketRow,
    month: Month,
    usages: Mapping[int, Usage],
    matches: Mapping[int, Sequence[MatchLine]],
) -> Iterator[tuple[int, Statement]]:
    first, _ = month.periods(market.period_length)
    span = Span.of(market, month)
    for meter, address in meters_of(record, market).items():
        usage = usages.get(meter) or Usage(meter, first, 0, 0, 0, 0, 0, 0)
        lines = tuple(matches.get(meter, ()))
        root = matches_root(
            (m.index, m.period, m.producer, m.consumer, m.energy, m.consumed) for m in lines
        )
        hashed = statement_leaf(span, address, usage, root)
        yield meter, Statement(address, usage, lines, hashed)


def _refuse_outside(record: Record, market: MarketRow, month: Month) -> None:
    began = record.began(market)
    if began is None:
        return
    # The first period that something can be of may have begun before the market did.
    times = began - began % market.period_length, market.cursor_time
    first, last = (datetime.fromtimestamp(time, ZoneInfo(month.timezone)) for time in times)
    if not (first.year, first.month) <= (month.year, month.month) <= (last.year, last.month):
        raise InvalidInput(
            f"nothing of {market.address} is of {month}: by the chain's time the record runs from "
            f"{first:%Y-%m-%d} to {last:%Y-%m-%d}; give a month of those"
        )
