"""`/api/markets/{address}/meters`: what each meter did, with its neighbours and its bill."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from energy_chain.errors import InvalidInput
from energy_chain.record import lists, ranges
from energy_chain.record.bill import Bill, bill_of
from energy_chain.record.bill_page import render
from energy_chain.record.ranges import Sum
from energy_chain.record.standing import Meter, Queue, meters_standing, queues
from energy_chain.record.statements import Month, MonthBook, close_month
from energy_chain.record.store import Record
from energy_chain.record.tables import blocks
from energy_chain.record.tables import meters as meters_table
from energy_chain.signing import Kind
from energy_chain.web import answers
from energy_chain.web.looking import AddressPath, Look, key_of, look, span, zone_of
from energy_chain.web.markets import series_of
from energy_chain.web.problems import NOT_FOUND, UNPROCESSABLE, Refused, refused, said
from energy_chain.web.schemas import (
    LARGEST,
    BillQuery,
    List,
    MeterBucket,
    MeterOut,
    MeterRow,
    MetersOut,
    MeterSums,
    MeterUsageOut,
    Partner,
    PartnersOut,
    Range,
    UsageQuery,
)
from energy_chain.web.times import iso

BOOKS = 2
"""Months whose statements are kept in memory, because a home looks at several forms of its bill."""

meters = APIRouter(prefix="/api/markets/{address}/meters", tags=["meters"])
NumberPath = Annotated[int, Path(ge=0, le=LARGEST, description="The number of the meter.")]


@meters.get("", operation_id="list_meters", responses=said(404, 422, 503))
def list_meters(
    address: AddressPath, asked: Annotated[List, Query()], request: Request, response: Response
) -> MetersOut:
    """List the meters, and what each did in a range."""
    with look(request, response, address) as here:
        key = key_of(asked, 1)
        begin, end = here.range(asked)
        known = meters_standing(here.connection, here.market)
        wanted = [meter for number, meter in known.items() if key is None or number > key[0]]
        did = ranges.by_meter(here.connection, here.market, begin, end)
        pending = answers.Pending(here.market, queues(here.connection, here.market), begin, end)
        return MetersOut(
            range=span(begin, end),
            meters=[
                MeterRow(
                    number=meter.number,
                    address=meter.address,
                    retired=meter.retired,
                    **answers.meter_sums(
                        here.market, did.get(meter.number, Sum()), pending.of(meter.number)
                    ),
                )
                for meter in wanted[: asked.limit]
            ],
            next=str(wanted[asked.limit - 1].number) if len(wanted) > asked.limit else None,
            as_of=here.as_of,
        )


@meters.get("/{number}", operation_id="get_meter", responses=said(404, 422, 503))
def get_meter(
    address: AddressPath,
    number: NumberPath,
    asked: Annotated[Range, Query()],
    request: Request,
    response: Response,
) -> MeterOut:
    """Ask what a meter did in a range."""
    with look(request, response, address) as here:
        meter = _meter(here, number)
        begin, end = here.range(asked)
        return MeterOut(
            number=number,
            address=meter.address,
            retired=meter.retired,
            registered=_registered(here, number),
            range=span(begin, end),
            totals=_totals(here, number, begin, end, queues(here.connection, here.market)),
            as_of=here.as_of,
        )


@meters.get("/{number}/usage", operation_id="get_meter_usage", responses=said(404, 422, 503))
def get_meter_usage(
    address: AddressPath,
    number: NumberPath,
    asked: Annotated[UsageQuery, Query()],
    request: Request,
    response: Response,
) -> MeterUsageOut:
    """Ask what a meter did, over time."""
    with look(request, response, address) as here:
        _meter(here, number)
        begin, end = here.range(asked)
        waiting, buckets = queues(here.connection, here.market), []
        for bucket in series_of(here, begin, end, asked.by, asked.timezone, number):
            pending = answers.Pending(here.market, waiting, bucket.begin, bucket.end)
            did = answers.meter_sums(here.market, bucket.sum, pending.of(number))
            buckets.append(MeterBucket(start=iso(bucket.begin), end=iso(bucket.end), **did))
        return MeterUsageOut(
            number=number,
            by=asked.by,
            timezone=asked.timezone,
            range=span(begin, end),
            buckets=buckets,
            totals=_totals(here, number, begin, end, waiting),
            as_of=here.as_of,
        )


@meters.get("/{number}/partners", operation_id="list_partners", responses=said(404, 422, 503))
def list_partners(
    address: AddressPath,
    number: NumberPath,
    asked: Annotated[Range, Query()],
    request: Request,
    response: Response,
) -> PartnersOut:
    """List the neighbours that a meter traded with in a range."""
    with look(request, response, address) as here:
        _meter(here, number)
        begin, end = here.range(asked)
        found = lists.partners(here.connection, here.market, number, begin, end)
        return PartnersOut(
            range=span(begin, end),
            partners=[
                Partner(
                    meter=row.meter,
                    address=row.address,
                    sold_wh=int(row.sold),
                    bought_wh=int(row.bought),
                    matches=row.matches,
                )
                for row in found
            ],
            as_of=here.as_of,
        )


@meters.get(
    "/{number}/bill",
    operation_id="get_bill",
    response_model_exclude_none=True,  # as the document is written
    responses=said(404, 422, 503),
)
def get_bill(
    address: AddressPath,
    number: NumberPath,
    asked: Annotated[BillQuery, Query()],
    request: Request,
    response: Response,
) -> Bill:
    """Make a meter's bill of a month: as `energy-chain record bill` does, without prices.

    It holds a proof over the statements of all meters, which takes seconds for many of them.
    """
    return _bill(request, response, address, number, asked)


@meters.get(
    "/{number}/bill.html",
    operation_id="get_bill_page",
    response_class=Response,
    responses={
        **said(404, 422, 503),
        200: {"content": {"text/html": {}}, "description": "The page."},
    },
)
def get_bill_page(
    address: AddressPath,
    number: NumberPath,
    asked: Annotated[BillQuery, Query()],
    request: Request,
    response: Response,
) -> HTMLResponse:
    """Make a meter's bill of a month, as a page to print."""
    page = render(_bill(request, response, address, number, asked))
    return HTMLResponse(page, headers={"ETag": response.headers["ETag"]})


class Books:
    """The statements of the months that were asked for last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._books: OrderedDict[object, MonthBook] = OrderedDict()

    def of(self, record: Record, here: Look, month: Month) -> MonthBook:
        """Those of a month; one at a time, as they take the whole machine."""
        key = here.market, month
        with self._lock:
            if key not in self._books:
                self._books[key] = close_month(record, here.market, month)
            self._books.move_to_end(key)
            while len(self._books) > BOOKS:
                self._books.popitem(last=False)
            return self._books[key]


def _bill(
    request: Request, response: Response, address: str, number: int, asked: BillQuery
) -> Bill:
    books: Books = request.app.state.books
    with look(request, response, address) as here:
        _meter(here, number)
        zone_of(asked.timezone)
        try:
            month = Month.parse(asked.month, asked.timezone)
            return bill_of(books.of(request.app.state.record, here, month), number)
        except InvalidInput as error:
            raise refused(error) from error
        except (ValueError, OverflowError):
            raise Refused(
                UNPROCESSABLE, "the calendar has no such month", "give one such as 2026-11"
            ) from None


def _meter(here: Look, number: int) -> Meter:
    found = meters_standing(here.connection, here.market).get(number)
    if found is None:
        raise Refused(
            NOT_FOUND, f"no meter {number} was ever registered", "take one of this market's meters"
        )
    return found


def _registered(here: Look, number: int) -> str:
    of = meters_table.c
    first = here.connection.scalar(
        select(blocks.c.timestamp)
        .join(meters_table, (blocks.c.market == of.market) & (blocks.c.number == of.block))
        .where((of.market == here.market.id) & (of.number == number))
        .order_by(of.block)
        .limit(1)
    )
    return iso(first or 0)


def _totals(
    here: Look, number: int, begin: int, end: int, waiting: Mapping[Kind, Queue]
) -> MeterSums:
    did = ranges.by_meter(here.connection, here.market, begin, end, number).get(number, Sum())
    pending = answers.Pending(here.market, waiting, begin, end)
    return MeterSums(**answers.meter_sums(here.market, did, pending.of(number)))
