"""What the rows of a stretch of time come to, kept so that a year is added up in milliseconds.

Sums are of whole hours, days and four weeks by UTC, of each meter and of all of them
(meter 0), and of each delivery period of all of them (level 0). A period belongs to the
hour in which it begins, energy that was drawn to the period of its match, a transaction
to the period of its block. Where orders never expire there are no periods: an order then
belongs to the hour of its block, and nothing is kept below an hour.

The indexer adds to them in the transaction in which it writes the rows (`add`). What
a reorganisation touches is made anew from the rows that are left (`remake`), which is
also what fills a record that had no sums, and what the audit compares them with
(`difference`).
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from energy_chain.record.derive import Rows
from energy_chain.record.identity import MarketRow
from energy_chain.record.tables import blocks, consumption, matches, orders, sums, transactions
from energy_chain.signing import Kind

PERIOD = 0
"""The level with a row for each delivery period."""
HOUR = 3_600
DAY = 24 * HOUR
FOUR_WEEKS = 28 * DAY
LEVELS = (HOUR, DAY, FOUR_WEEKS)
"""Seconds of the stretches; each is some of the one before."""
ALL_METERS = 0
KEY = ("market", "level", "meter", "bucket")
SUMMED = tuple(column.name for column in sums.columns if column.name not in KEY)
"""The columns that are added up."""
GWEI = 10**9

_REQUESTS, _RELEASES, _OFFERED, _NEEDED, _SOLD, _BOUGHT, _OWN, _DRAWN = range(8)
_MATCHES, _TRANSACTIONS, _GAS, _COST_GWEI, _COST_WEI = range(8, len(SUMMED))


def finest(market: MarketRow) -> int:
    """The lowest level that is kept of all meters: `PERIOD`, or `HOUR` where there are none."""
    return PERIOD if market.period_length else HOUR


def floor(moment: int, size: int) -> int:
    """The begin of the stretch of `size` seconds that a Unix time is in."""
    return moment - moment % size


def unit(market: MarketRow) -> int:
    """Seconds of the shortest stretch that is kept: a delivery period, or an hour without them."""
    return market.period_length or HOUR


# ------------------------------------------------------------------ kept by the indexer


def add(connection: Connection, market: MarketRow, rows: Rows) -> None:
    """Adds what `rows`, which were just written, come to."""
    wholes, hours = _Cells(), _Cells()
    times = {number: time for _, number, _, time in rows[blocks]}
    _add_orders(market, times, rows, wholes, hours)
    _add_matches(market, times, rows, wholes, hours)
    _add_drawn(connection, market, times, rows, wholes, hours)
    at = None
    for _, block, _, _, _, gas, price in rows[transactions]:
        if at != (begin := floor(times[block], unit(market))):
            at, whole = begin, wholes.of(begin)[ALL_METERS]
        gwei, wei = divmod(gas * price, GWEI)
        whole[_TRANSACTIONS] += 1
        whole[_GAS] += gas
        whole[_COST_GWEI] += gwei
        whole[_COST_WEI] += wei
    changed = [(PERIOD, wholes)] if market.period_length else []
    for level in LEVELS:
        wholes, hours = wholes.coarser(level), hours.coarser(level)
        changed += [(level, wholes), (level, hours)]
    _upsert(connection, market, changed)


class _Cells(dict[int, defaultdict[int, list[int]]]):
    """Sums, by when they begin and by meter."""

    def of(self, begin: int) -> defaultdict[int, list[int]]:
        """Those of a stretch."""
        if begin not in self:
            self[begin] = defaultdict(_nothing)
        return self[begin]

    def coarser(self, level: int) -> _Cells:
        """Those of the stretches of a level."""
        coarser = _Cells()
        for begin, cells in self.items():
            into = coarser.of(floor(begin, level))
            for meter, cell in cells.items():
                into[meter] = list(map(operator.add, into[meter], cell))
        return coarser


def _nothing() -> list[int]:
    return [0] * len(SUMMED)


# Each of these looks up the cells of a period once for all rows of it that follow each other.


def _add_orders(
    market: MarketRow, times: dict[int, int], rows: Rows, wholes: _Cells, hours: _Cells
) -> None:
    at = None
    for _, side, _, meter, energy, period, _, block, _ in rows[orders]:
        if at != (here := period or block):
            at, begin = here, _begin(market, times, period, block)
            whole, cells = wholes.of(begin)[ALL_METERS], hours.of(floor(begin, HOUR))
        whole[side] += 1
        whole[_OFFERED + side] += energy
        if meter is not None:
            cell = cells[meter]
            cell[side] += 1
            cell[_OFFERED + side] += energy


def _add_matches(
    market: MarketRow, times: dict[int, int], rows: Rows, wholes: _Cells, hours: _Cells
) -> None:
    at = None
    for _, _, producer, consumer, energy, _, _, period, block, _ in rows[matches]:
        if at != (here := period or block):
            at, begin = here, _begin(market, times, period, block)
            whole, cells = wholes.of(begin)[ALL_METERS], hours.of(floor(begin, HOUR))
        whole[_SOLD] += energy
        whole[_BOUGHT] += energy
        whole[_MATCHES] += 1
        cell = cells[producer]
        cell[_SOLD] += energy
        cell[_MATCHES] += 1
        if producer != consumer:
            cell = cells[consumer]
            cell[_MATCHES] += 1
        else:
            cell[_OWN] += energy
            whole[_OWN] += energy
        cell[_BOUGHT] += energy


def _add_drawn(
    connection: Connection,
    market: MarketRow,
    times: dict[int, int],
    rows: Rows,
    wholes: _Cells,
    hours: _Cells,
) -> None:
    drawn, new = rows[consumption], rows[matches]
    first = new[0][1] if new else None
    earlier = {row[3] for row in drawn if first is None or row[3] < first}
    known = _earlier(connection, market, earlier)
    at = None
    for _, _, _, index, energy in drawn:
        if index in known:
            begin, consumer = known[index]
        elif first is not None and first <= index < first + len(new):
            _, _, _, consumer, _, _, _, period, block, _ = new[index - first]
            begin = _begin(market, times, period, block)
        else:
            continue  # of a match that there is not: the audit says so
        if at != begin:
            at = begin
            whole, cells = wholes.of(begin)[ALL_METERS], hours.of(floor(begin, HOUR))
        whole[_DRAWN] += energy
        cells[consumer][_DRAWN] += energy


def _begin(market: MarketRow, times: dict[int, int], period: int, block: int) -> int:
    length = market.period_length
    return period * length if length else floor(times[block], HOUR)


def _earlier(
    connection: Connection, market: MarketRow, indexes: set[int]
) -> dict[int, tuple[int, int]]:
    """When the periods of matches of earlier stretches begin, and their consumers, by index."""
    if not indexes:
        return {}
    of = matches.c
    within = (of.market == market.id) & of.match_index.between(min(indexes), max(indexes))
    asked = select(of.match_index, of.consumer, _moment(market, matches)).where(within)
    found = connection.execute(_timed(market, matches, asked))
    return {index: (moment, consumer) for index, consumer, moment in found if index in indexes}


def _upsert(
    connection: Connection, market: MarketRow, changed: Iterable[tuple[int, _Cells]]
) -> None:
    values = sorted(
        (market.id, level, meter, begin, *cell)
        for level, cells in changed
        for begin, by_meter in cells.items()
        for meter, cell in by_meter.items()
    )
    if values and connection.dialect.name == "sqlite":
        # As `insert_rows`: SQLAlchemy would look at each value on its way.
        connection.exec_driver_sql(_in_sqlite(), values)
    elif values:
        names = [column.name for column in sums.columns]
        rows = [dict(zip(names, row, strict=True)) for row in values]
        connection.execute(_upserting(postgresql.insert(sums)), rows)


@cache
def _in_sqlite() -> str:
    return str(_upserting(sqlite.insert(sums)).compile(dialect=sqlite.dialect()))


def _upserting(made: Any) -> Any:
    added = {name: sums.c[name] + made.excluded[name] for name in SUMMED}
    return made.on_conflict_do_update(index_elements=list(KEY), set_=added)


# ------------------------------------------------------------------ made from the rows


def touched(connection: Connection, market: MarketRow, block: int) -> int | None:
    """Begin of the earliest period that what is above a block counts in; None without any."""
    found = [
        connection.scalar(_least(market, orders).where(orders.c.block > block)),
        connection.scalar(_least(market, matches).where(matches.c.block > block)),
        connection.scalar(
            _least(market, matches).where(
                (consumption.c.market == market.id)
                & (consumption.c.block > block)
                & (consumption.c.match_index == matches.c.match_index)
            )
        ),
        connection.scalar(
            select(func.min(blocks.c.timestamp)).where(
                (blocks.c.market == market.id) & (blocks.c.number > block)
            )
        ),
    ]
    return min(
        (floor(moment, unit(market)) for moment in found if moment is not None), default=None
    )


def _least(market: MarketRow, table: Any) -> Select[Any]:
    asked = select(func.min(_moment(market, table))).where(table.c.market == market.id)
    return _timed(market, table, asked)


def remake(connection: Connection, market: MarketRow, since: int = 0) -> None:
    """Makes the sums of all that begins at a Unix time or later anew, from the rows.

    `since` is the begin of a period.
    """
    for level in (PERIOD, *LEVELS):
        connection.execute(
            delete(sums).where(
                (sums.c.market == market.id)
                & (sums.c.level == level)
                & (sums.c.bucket >= (floor(since, level) if level else since))
            )
        )
    for asked in _made(connection, market, since):
        connection.execute(insert(sums).from_select([c.name for c in sums.columns], asked))


def difference(connection: Connection, market: MarketRow) -> str:
    """The first sum that is not what the rows come to; empty without any."""
    stored = select(*sums.columns).where(sums.c.market == market.id)
    for asked in _made(connection, market, 0):
        level, of_all = asked.get_execution_options()["of"]
        part = (sums.c.level == level) & (
            (sums.c.meter == ALL_METERS) if of_all else (sums.c.meter != ALL_METERS)
        )
        kept, right = stored.where(part), select(asked.subquery())
        for some, others in ((kept, right), (right, kept)):
            found = connection.execute(some.except_(others).limit(1)).first()
            if found is not None:
                return _described(connection, found, right)
    unknown = stored.where(sums.c.level.not_in((PERIOD, *LEVELS)[not market.period_length :]))
    found = connection.execute(unknown.limit(1)).first()
    return "" if found is None else f"{_place(found)}: the row follows from nothing"


def _described(connection: Connection, found: Any, right: Any) -> str:
    of, key = right.subquery().c, {name: getattr(found, name) for name in KEY}
    kept = connection.execute(select(sums).where(*(sums.c[n] == v for n, v in key.items()))).first()
    told = connection.execute(select(of).where(*(of[n] == v for n, v in key.items()))).first()
    if kept is None:
        return f"{_place(found)}: the row is missing"
    if told is None:
        return f"{_place(found)}: the row follows from nothing"
    name = next(n for n in SUMMED if getattr(kept, n) != getattr(told, n))
    said = f"the record says {getattr(kept, name)}, its rows {getattr(told, name)}"
    return f"{_place(found)}: {name}: {said}"


def _place(row: Any) -> str:
    return f"table sums, level {row.level}, meter {row.meter}, bucket {row.bucket}"


def _made(connection: Connection, market: MarketRow, since: int) -> Iterator[Select[Any]]:
    """What is to be in the table: the finest from the rows, each other from the one below it."""
    from_rows = _since(connection, market, since)
    if market.period_length:
        yield _summed(market, PERIOD, True, _union(whole_parts(market, from_rows)))
    hour = floor(since, HOUR)
    from_rows = _since(connection, market, hour)
    if market.period_length:
        yield _summed(market, HOUR, True, _kept(market, PERIOD, True, hour))
    else:
        yield _summed(market, HOUR, True, _union(whole_parts(market, from_rows)))
    yield _summed(market, HOUR, False, _union(meter_parts(market, from_rows)))
    for below, level in pairwise(LEVELS):
        for of_all in (True, False):
            kept = _kept(market, below, of_all, floor(since, level))
            yield _summed(market, level, of_all, kept)


def _kept(market: MarketRow, level: int, of_all: bool, since: int) -> Any:
    of = sums.c
    meter = of.meter == ALL_METERS if of_all else of.meter != ALL_METERS
    return (
        select(of.meter, of.bucket.label("moment"), *(of[name] for name in SUMMED))
        .where((of.market == market.id) & (of.level == level) & meter & (of.bucket >= since))
        .subquery()
    )


def _union(parts: Iterable[Select[Any]]) -> Any:
    return union_all(*parts).subquery()


def _summed(market: MarketRow, level: int, of_all: bool, parts: Any) -> Select[Any]:
    of = parts.c
    bucket = of.moment - of.moment % level if level else of.moment
    return (
        select(
            *(literal(market.id).label("market"), literal(level).label("level")),
            *(of.meter.label("meter"), bucket.label("bucket")),
            *(cast(func.sum(of[name]), BigInteger).label(name) for name in SUMMED),
        )
        .group_by(of.meter, bucket)
        .execution_options(of=(level, of_all))
    )


# ------------------------------------------------------------------ what rows come to


class Within:
    """Which rows of a market are added up: those of some periods, or of some blocks."""

    def __init__(
        self,
        market: MarketRow,
        begin: int = 0,
        end: int | None = None,
        block: int = 0,
        meter: int | None = None,
    ) -> None:
        """Args: `begin` and `end` are Unix times; `block` is the first that is of them."""
        self._market, self._block = market, block
        self._first = -(-begin // unit(market))
        self._end = None if end is None else -(-end // unit(market))
        self.meter = meter

    def of(self, table: Any, *meter: Any) -> ColumnElement[bool]:
        """Whether a row of `table` is one of them; `meter` is its column with the meter."""
        parts = [table.c.market == self._market.id]
        if self._market.period_length and "period" in table.c:
            parts.append(table.c.period >= self._first)
            if self._end is not None:
                parts.append(table.c.period < self._end)
        else:
            parts.append(table.c.block >= self._block)
        if self.meter is not None:
            parts += [column == self.meter for column in meter]
        return and_(*parts)


def _since(connection: Connection, market: MarketRow, since: int) -> Within:
    """All that begins at a Unix time or later."""
    if not since:
        return Within(market)
    cut = -(-since // unit(market)) * unit(market)
    before = connection.scalar(
        select(blocks.c.number)
        .where((blocks.c.market == market.id) & (blocks.c.timestamp < cut))
        .order_by(blocks.c.number.desc())
        .limit(1)
    )
    return Within(market, since, block=0 if before is None else before + 1)


def whole_parts(market: MarketRow, within: Within) -> Iterator[Select[Any]]:
    """What each row adds to the sums of all meters."""
    everybody = literal(ALL_METERS)
    own = case((matches.c.producer == matches.c.consumer, matches.c.energy_wh), else_=0)
    energy = matches.c.energy_wh
    yield _part(market, orders, everybody, **_posted()).where(within.of(orders))
    traded = {"sold_wh": energy, "bought_wh": energy, "own_wh": own, "matches": literal(1)}
    yield _part(market, matches, everybody, **traded).where(within.of(matches))
    yield _drawn(market, everybody, within)
    gas, price = transactions.c.gas_used, transactions.c.gas_price
    yield _part(
        market,
        transactions,
        everybody,
        transactions=literal(1),
        gas=gas,
        # No product of a gas and wei that is above a gwei: the sum of those is not of 64 bits.
        cost_gwei=gas * (price // GWEI) + (gas * (price % GWEI)) // GWEI,
        cost_wei=(gas * (price % GWEI)) % GWEI,
    ).where(within.of(transactions))


def meter_parts(market: MarketRow, within: Within) -> Iterator[Select[Any]]:
    """What each row adds to the sums of its meters."""
    of, energy = orders.c, matches.c.energy_wh
    own = case((matches.c.producer == matches.c.consumer, energy), else_=0)
    yield _part(market, orders, of.meter, **_posted()).where(
        within.of(orders, of.meter) & of.meter.is_not(None)
    )
    sold = {"sold_wh": energy, "own_wh": own, "matches": literal(1)}
    yield _part(market, matches, matches.c.producer, **sold).where(
        within.of(matches, matches.c.producer)
    )
    # A match of a home with itself was counted with what it sold.
    other = case((matches.c.producer == matches.c.consumer, 0), else_=1)
    yield _part(market, matches, matches.c.consumer, bought_wh=energy, matches=other).where(
        within.of(matches, matches.c.consumer)
    )
    yield _drawn(market, matches.c.consumer, within)


def _posted() -> dict[str, ColumnElement[int]]:
    of = orders.c
    request, release = (of.kind == int(kind) for kind in (Kind.REQUEST, Kind.RELEASE))
    return {
        "requests": case((request, 1), else_=0),
        "releases": case((release, 1), else_=0),
        "offered_wh": case((request, of.energy_wh), else_=0),
        "needed_wh": case((release, of.energy_wh), else_=0),
    }


def _drawn(market: MarketRow, meter: ColumnElement[int], within: Within) -> Select[Any]:
    return _part(market, matches, meter, drawn_wh=consumption.c.energy_wh).where(
        (consumption.c.market == market.id)
        & (consumption.c.match_index == matches.c.match_index)
        & within.of(matches, matches.c.consumer)
    )


def _part(
    market: MarketRow, table: Any, meter: ColumnElement[int], **summed: ColumnElement[int]
) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        meter.label("meter"),
        _moment(market, table).label("moment"),
        *(summed.get(name, literal(0)).label(name) for name in SUMMED),
    ]
    return _timed(market, table, select(*columns))


def _moment(market: MarketRow, table: Any) -> ColumnElement[int]:
    """When the period of a row begins."""
    if market.period_length and "period" in table.c:
        moment: ColumnElement[int] = table.c.period * market.period_length
        return moment
    return blocks.c.timestamp - blocks.c.timestamp % unit(market)


def _timed(market: MarketRow, table: Any, asked: Select[Any]) -> Select[Any]:
    """Joins what `_moment` takes."""
    if market.period_length and "period" in table.c:
        return asked
    return asked.where((blocks.c.market == market.id) & (blocks.c.number == table.c.block))
