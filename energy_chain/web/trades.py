"""Orders, matches, transactions and periods of a market, each traced to its block."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from energy_chain.record import lists, ranges
from energy_chain.record.lists import Asked
from energy_chain.record.ranges import Sum
from energy_chain.record.standing import meters_standing
from energy_chain.signing import Kind
from energy_chain.web import answers
from energy_chain.web.looking import AddressPath, Look, look, next_of
from energy_chain.web.problems import NOT_FOUND, Refused, said
from energy_chain.web.schemas import (
    HASH,
    LARGEST,
    LARGEST_PERIOD,
    MatchesOut,
    MatchesQuery,
    MatchOut,
    Ordered,
    OrdersOut,
    OrdersQuery,
    PeriodOut,
    PeriodRow,
    PeriodsOut,
    TransactionOut,
    TransactionRow,
    TransactionsOut,
)

trades = APIRouter(prefix="/api/markets/{address}", tags=["trades"])


@trades.get("/orders", operation_id="list_orders", responses=said(404, 422, 503))
def list_orders(
    address: AddressPath,
    asked: Annotated[OrdersQuery, Query()],
    request: Request,
    response: Response,
) -> OrdersOut:
    """List orders, the latest period first; in a period the releases, then the requests."""
    with look(request, response, address) as here:
        kind = None if asked.kind is None else Kind[asked.kind.upper()]
        wanted = _of_period(here, here.rows(asked, 3, asked.meter, kind), asked.period)
        rows = lists.orders_page(here.connection, here.market, wanted)
        return OrdersOut(
            orders=[answers.order(here.market, row) for row in rows[: asked.limit]],
            next=next_of(rows, asked.limit, "period", "kind", "counter"),
            as_of=here.as_of,
        )


@trades.get("/matches", operation_id="list_matches", responses=said(404, 422, 503))
def list_matches(
    address: AddressPath,
    asked: Annotated[MatchesQuery, Query()],
    request: Request,
    response: Response,
) -> MatchesOut:
    """List matches, the latest first."""
    with look(request, response, address) as here:
        wanted = _of_period(here, here.rows(asked, 2, asked.meter), asked.period)
        rows = lists.matches_page(here.connection, here.market, wanted)
        return MatchesOut(
            matches=[answers.match(here.market, row) for row in rows[: asked.limit]],
            next=next_of(rows, asked.limit, "period", "match_index"),
            as_of=here.as_of,
        )


@trades.get("/matches/{index}", operation_id="get_match", responses=said(404, 422, 503))
def get_match(
    address: AddressPath,
    index: Annotated[int, Path(ge=0, le=LARGEST)],
    request: Request,
    response: Response,
) -> MatchOut:
    """Ask for a match, the orders that it fills, and what was confirmed of it."""
    with look(request, response, address) as here:
        found = lists.match_at(here.connection, here.market, index)
        if found is None:
            raise _none(f"match {index}")
        orders = [
            None if counter is None else lists.order_at(here.connection, here.market, kind, counter)
            for kind, counter in (
                (Kind.REQUEST, found.request_counter),
                (Kind.RELEASE, found.release_counter),
            )
        ]
        request_row, release_row = (
            None if row is None else answers.order(here.market, row) for row in orders
        )
        confirmed = lists.confirmations(here.connection, here.market, index)
        return MatchOut(
            match=answers.match(here.market, found),
            request=request_row,
            release=release_row,
            confirmations=[answers.confirmation(row) for row in confirmed],
            as_of=here.as_of,
        )


@trades.get("/transactions", operation_id="list_transactions", responses=said(404, 422, 503))
def list_transactions(
    address: AddressPath, asked: Annotated[Ordered, Query()], request: Request, response: Response
) -> TransactionsOut:
    """List transactions, the latest first."""
    with look(request, response, address) as here:
        wanted = here.rows(asked, 2)
        rows = lists.transactions_page(here.connection, here.market, wanted)
        return TransactionsOut(
            transactions=_transactions(here, rows[: asked.limit]),
            next=next_of(rows, asked.limit, "block", "position"),
            as_of=here.as_of,
        )


@trades.get("/transactions/{hash}", operation_id="get_transaction", responses=said(404, 422, 503))
def get_transaction(
    address: AddressPath,
    hash: Annotated[str, Path(pattern=HASH)],
    request: Request,
    response: Response,
) -> TransactionOut:
    """Ask for a transaction and what it made the market log."""
    with look(request, response, address) as here:
        found = lists.transaction_at(here.connection, here.market, hash.lower())
        if found is None:
            raise _none(f"transaction {hash.lower()}")
        known = meters_standing(here.connection, here.market)
        parties = {number: meter.address for number, meter in known.items()}
        events = lists.events_of(here.connection, here.market, [found])
        return TransactionOut(
            transaction=answers.transaction(found, [row.name for row in events]),
            events=[answers.event(row, parties) for row in events],
            as_of=here.as_of,
        )


@trades.get("/periods", operation_id="list_periods", responses=said(404, 422, 503))
def list_periods(
    address: AddressPath, asked: Annotated[Ordered, Query()], request: Request, response: Response
) -> PeriodsOut:
    """List the delivery periods that somebody's call opened, the latest first."""
    with look(request, response, address) as here:
        wanted = here.rows(asked, 1)
        rows = lists.periods_page(here.connection, here.market, wanted)
        return PeriodsOut(
            periods=_periods(here, rows[: asked.limit]),
            next=next_of(rows, asked.limit, "period"),
            as_of=here.as_of,
        )


@trades.get("/periods/{number}", operation_id="get_period", responses=said(404, 422, 503))
def get_period(
    address: AddressPath,
    number: Annotated[int, Path(ge=0, le=LARGEST_PERIOD)],
    request: Request,
    response: Response,
) -> PeriodOut:
    """Ask for a delivery period."""
    with look(request, response, address) as here:
        found = lists.period_at(here.connection, here.market, number)
        if found is None:
            raise _none(f"period {number}, in which something was called,")
        (period,) = _periods(here, [found])
        return PeriodOut(period=period, as_of=here.as_of)


def _periods(here: Look, rows: list[Any]) -> list[PeriodRow]:
    if not rows:
        return []
    length = here.market.period_length
    begins = [row.period * length for row in rows]
    did = ranges.periods_with_something(
        here.connection, here.market, min(begins), max(begins) + length
    )
    return [
        answers.opened(here.market, row, did.get(begin, Sum()))
        for row, begin in zip(rows, begins, strict=True)
    ]


def _transactions(here: Look, rows: list[Any]) -> list[TransactionRow]:
    names: dict[tuple[int, int], list[str]] = defaultdict(list)
    for row in lists.events_of(here.connection, here.market, rows):
        names[row.block, row.position].append(row.name)
    return [answers.transaction(row, names[row.block, row.position]) for row in rows]


def _of_period(here: Look, asked: Asked, period: int | None) -> Asked:
    """Of one period within the times; all where orders never expire, as all are of period 0."""
    length = here.market.period_length
    if period is None or (not length and not period):
        return asked
    if not length:
        return replace(asked, begin=0, end=0)
    begin, end = period * length, (period + 1) * length
    return replace(
        asked,
        begin=max(begin, asked.begin or 0),
        end=end if asked.end is None else min(end, asked.end),
    )


def _none(what: str) -> Refused:
    return Refused(NOT_FOUND, f"{what} is not in the record", "take one of those that are listed")
