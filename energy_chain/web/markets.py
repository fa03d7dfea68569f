"""`/api/markets`: what a market and all its meters did. An ancestor's region is a market here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select

from energy_chain.record import ranges
from energy_chain.record.identity import MarketRow
from energy_chain.record.ranges import Bucket
from energy_chain.record.standing import Queue, meters_standing, paused, queues
from energy_chain.record.store import Record, market_rows
from energy_chain.record.sums import DAY, HOUR
from energy_chain.record.tables import sums
from energy_chain.signing import Kind
from energy_chain.web import answers
from energy_chain.web.looking import (
    AddressPath,
    Look,
    as_of,
    began,
    look,
    span,
    unchanged,
    zone_of,
)
from energy_chain.web.problems import UNPROCESSABLE, Refused, said
from energy_chain.web.schemas import (
    MOST_BUCKETS,
    By,
    Consumer,
    FlowOut,
    FlowQuery,
    Listed,
    MarketOut,
    MarketsOut,
    Producer,
    QueueOut,
    Queues,
    Range,
    UsageOut,
    UsageQuery,
)
from energy_chain.web.times import iso

markets = APIRouter(prefix="/api/markets", tags=["markets"])


@markets.get("", operation_id="list_markets", responses=said(503))
def list_markets(request: Request, response: Response) -> MarketsOut:
    """List the markets of the record."""
    record: Record = request.app.state.record
    with record.reading() as connection:
        rows = market_rows(connection)
        unchanged(request, response, rows)
        listed = [_listed(row, began(connection, row)) for row in rows]
    return MarketsOut(markets=listed)


@markets.get("/{address}", operation_id="get_market", responses=said(404, 422, 503))
def get_market(address: AddressPath, request: Request, response: Response) -> MarketOut:
    """Ask how a market stands: its queues, its totals, its node, its audit."""
    with look(request, response, address) as here:
        market, standing = here.market, here.state.of(here.market.address)
        meters = meters_standing(here.connection, market)
        waiting = queues(here.connection, market)
        whole = ranges.total(here.connection, market, *here.range(Range()))
        current = market.current_period if market.period_length and market.cursor_hash else None
        return MarketOut(
            **_listed(market, here.began()).model_dump(),
            meters=len(meters),
            retired=sum(meter.retired for meter in meters.values()),
            current_period=None if current is None else answers.period(market, current),
            queues=Queues(
                requests=_queue(waiting[Kind.REQUEST]), releases=_queue(waiting[Kind.RELEASE])
            ),
            totals=answers.totals(whole),
            paused=paused(here.connection, market),
            node=standing.node,
            audit=standing.audit,
        )


@markets.get("/{address}/usage", operation_id="get_usage", responses=said(404, 422, 503))
def get_usage(
    address: AddressPath,
    asked: Annotated[UsageQuery, Query()],
    request: Request,
    response: Response,
) -> UsageOut:
    """Ask what all meters did, over time."""
    with look(request, response, address) as here:
        begin, end = here.range(asked)
        series = series_of(here, begin, end, asked.by, asked.timezone)
        whole = ranges.total(here.connection, here.market, begin, end)
        return UsageOut(
            by=asked.by,
            timezone=asked.timezone,
            range=span(begin, end),
            buckets=[answers.bucket(bucket) for bucket in series],
            totals=answers.totals(whole),
            as_of=here.as_of,
        )


@markets.get("/{address}/flow", operation_id="get_flow", responses=said(404, 422, 503))
def get_flow(
    address: AddressPath,
    asked: Annotated[FlowQuery, Query()],
    request: Request,
    response: Response,
) -> FlowOut:
    """Ask who produced and who needed, what was matched, and what the grid took and gave."""
    with look(request, response, address) as here:
        market, latest = here.market, None
        if asked.from_ is None and asked.to is None and market.period_length:
            latest = _latest_with_orders(here)
        if latest is None:
            begin, end = here.range(asked)
        else:
            begin, end = latest, latest + market.period_length
        homes = ranges.by_meter(here.connection, market, begin, end)
        pending = answers.Pending(market, queues(here.connection, market), begin, end)
        of = {
            number: answers.meter_sums(market, did, pending.of(number))
            for number, did in homes.items()
        }
        names = {n: meter.address for n, meter in meters_standing(here.connection, market).items()}
        one = latest is not None or (market.period_length and end - begin == market.period_length)
        return FlowOut(
            range=span(begin, end),
            period=answers.period(market, begin // market.period_length) if one else None,
            producers=_producers(of, names, asked.top),
            consumers=_consumers(of, names, asked.top),
            matched_wh=sum(did["sold_wh"] for did in of.values()),
            to_grid_wh=sum(did["to_grid_wh"] for did in of.values()),
            from_grid_wh=sum(did["from_grid_wh"] for did in of.values()),
            pending_requests_wh=sum(did["pending_offered_wh"] for did in of.values()),
            pending_releases_wh=sum(did["pending_needed_wh"] for did in of.values()),
            as_of=here.as_of,
        )


def series_of(
    here: Look, begin: int, end: int, by: By, timezone: str, meter: int | None = None
) -> Sequence[Bucket]:
    """The buckets of a range, of one meter or of all.

    Raises:
        Refused: there are too many, or the market has no such buckets.
    """
    market, zone = here.market, zone_of(timezone)
    if by == "period" and not market.period_length:
        raise Refused(UNPROCESSABLE, "orders of this market never expire", "ask by=hour or by=day")
    size = {"period": market.period_length, "hour": HOUR, "day": DAY}[by]
    if (end - begin) // size > MOST_BUCKETS:
        raise Refused(
            UNPROCESSABLE,
            f"these are {(end - begin) // size:,} buckets, more than {MOST_BUCKETS:,}",
            "ask by a longer time, or from and to nearer to each other",
        )
    return _series(here, begin, end, by, zone, meter)


def _series(
    here: Look, begin: int, end: int, by: By, zone: tzinfo, meter: int | None
) -> Sequence[Bucket]:
    if by == "period":
        return ranges.periods(here.connection, here.market, begin, end, meter)
    of = ranges.hours if by == "hour" else ranges.days
    return of(here.connection, here.market, begin, end, zone, meter)


def _latest_with_orders(here: Look) -> int | None:
    """When the latest period with orders begins."""
    of = sums.c
    found: int | None = here.connection.scalar(
        select(of.bucket)
        .where((of.market == here.market.id) & (of.level == 0) & (of.meter == 0))
        .where(of.requests + of.releases > 0)
        .order_by(of.bucket.desc())
        .limit(1)
    )
    return found


def _producers(of: dict[int, dict[str, int]], names: dict[int, str], top: int) -> list[Producer]:
    homes = sorted(
        (n for n, did in of.items() if did["offered_wh"] or did["sold_wh"]),
        key=lambda n: (-of[n]["offered_wh"], n),
    )
    return [
        Producer(
            meter=here[0] if alone else None,
            address=names.get(here[0]) if alone else None,
            homes=len(here),
            sold_wh=sum(of[n]["sold_wh"] for n in here),
            pending_wh=sum(of[n]["pending_offered_wh"] for n in here),
            to_grid_wh=sum(of[n]["to_grid_wh"] for n in here),
        )
        for here, alone in _shown(homes, top)
    ]


def _consumers(of: dict[int, dict[str, int]], names: dict[int, str], top: int) -> list[Consumer]:
    homes = sorted(
        (n for n, did in of.items() if did["needed_wh"] or did["bought_wh"]),
        key=lambda n: (-of[n]["needed_wh"], n),
    )
    return [
        Consumer(
            meter=here[0] if alone else None,
            address=names.get(here[0]) if alone else None,
            homes=len(here),
            bought_wh=sum(of[n]["bought_wh"] for n in here),
            pending_wh=sum(of[n]["pending_needed_wh"] for n in here),
            from_grid_wh=sum(of[n]["from_grid_wh"] for n in here),
        )
        for here, alone in _shown(homes, top)
    ]


def _shown(homes: list[int], top: int) -> list[tuple[list[int], bool]]:
    """The first homes one by one, and the others together."""
    alone = [([home], True) for home in homes[:top]]
    return [*alone, (homes[top:], False)] if homes[top:] else alone


def _listed(market: MarketRow, start: int | None) -> Listed:
    return Listed(
        address=market.address,
        chain_id=market.chain_id,
        network=market.network,
        period_length=market.period_length,
        began=None if start is None else iso(start),
        as_of=as_of(market),
    )


def _queue(of: Queue) -> QueueOut:
    return QueueOut(outstanding=of.orders, wh=of.energy)
