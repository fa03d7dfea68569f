"""What the record says, in the form in which it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from energy_chain.chain.event_codec import WORD, decode
from energy_chain.market import Address
from energy_chain.record.identity import MarketRow
from energy_chain.record.ranges import Bucket, Sum
from energy_chain.record.standing import Queue
from energy_chain.signing import Kind
from energy_chain.telling import described, jsonable
from energy_chain.web import schemas
from energy_chain.web.times import iso

WH_A_KWH = 1_000
_LARGEST_EXACT = 2**53
"""Whole numbers above it are not the same in every reader of JSON."""


def period(market: MarketRow, number: int) -> schemas.Period:
    """A delivery period."""
    length = market.period_length
    return schemas.Period(number=number, start=iso(number * length), end=iso((number + 1) * length))


def summed(of: Sum) -> dict[str, Any]:
    """The fields of `Summed`."""
    return {
        "requests": of.requests,
        "releases": of.releases,
        "matches": of.matches,
        "offered_wh": of.offered,
        "needed_wh": of.needed,
        "matched_wh": of.sold,
        "own_wh": of.own,
        "drawn_wh": of.drawn,
        "transactions": of.transactions,
        "gas": of.gas,
        "cost_wei": str(of.cost),
    }


def totals(of: Sum) -> schemas.Totals:
    """A sum, and what follows from it."""
    return schemas.Totals(
        **summed(of),
        self_sufficiency=of.sold / of.needed if of.needed else None,
        self_consumption=of.sold / of.offered if of.offered else None,
        gas_per_kwh=round(of.gas * WH_A_KWH / of.sold) if of.sold else None,
        cost_wei_per_kwh=str(of.cost * WH_A_KWH // of.sold) if of.sold else None,
    )


def bucket(of: Bucket) -> schemas.Bucket:
    """A part of a series."""
    return schemas.Bucket(start=iso(of.begin), end=iso(of.end), **summed(of.sum))


def meter_sums(market: MarketRow, of: Sum, pending: tuple[int, int] = (0, 0)) -> dict[str, int]:
    """The fields of `MeterSums`.

    Args:
        market: the market.
        of: what the meter did.
        pending: Wh of its requests and releases among them that may still be matched.
    """
    offers, needs = pending
    if not market.period_length:
        # What never expires is nobody else's.
        offers, needs = max(0, of.offered - of.sold), max(0, of.needed - of.bought)
    return {
        "requests": of.requests,
        "releases": of.releases,
        "matches": of.matches,
        "offered_wh": of.offered,
        "needed_wh": of.needed,
        "sold_wh": of.sold,
        "bought_wh": of.bought,
        "own_wh": of.own,
        "drawn_wh": of.drawn,
        "pending_offered_wh": offers,
        "pending_needed_wh": needs,
        "to_grid_wh": max(0, of.offered - of.sold - offers),
        "from_grid_wh": max(0, of.needed - of.bought - needs),
    }


class Pending:
    """What may still be matched of the orders of a range."""

    def __init__(
        self, market: MarketRow, queues: Mapping[Kind, Queue], begin: int, end: int
    ) -> None:
        """Args: `begin` and `end` of the range are Unix times."""
        length = market.period_length
        now = market.current_period * length
        self._is_now = begin <= now < end if length else True
        self._queues = queues

    def of(self, meter: int) -> tuple[int, int]:
        """Wh of a meter's requests, and of its releases."""
        if not self._is_now:
            return 0, 0
        offers, needs = (self._queues[kind].by_meter.get(meter, 0) for kind in Kind)
        return offers, needs


def order(market: MarketRow, row: Any) -> schemas.OrderRow:
    """An order and what became of it."""
    matched = int(row.matched)
    over = row.period < market.current_period
    return schemas.OrderRow(
        kind="request" if row.kind == int(Kind.REQUEST) else "release",
        counter=row.counter,
        meter=row.meter,
        address=row.address,
        energy_wh=row.energy_wh,
        matched_wh=matched,
        state="matched" if matched >= row.energy_wh else "expired" if over else "pending",
        signed=row.signed,
        period=row.period,
        period_start=_period_start(market, row.period),
        **_traced(row),
    )


def match(market: MarketRow, row: Any) -> schemas.MatchRow:
    """A match."""
    return schemas.MatchRow(
        index=row.match_index,
        producer=row.producer,
        consumer=row.consumer,
        producer_address=row.producer_address,
        consumer_address=row.consumer_address,
        energy_wh=row.energy_wh,
        drawn_wh=int(row.drawn),
        period=row.period,
        period_start=_period_start(market, row.period),
        **_traced(row),
    )


def confirmation(row: Any) -> schemas.Confirmation:
    """Energy that was confirmed as drawn."""
    return schemas.Confirmation(energy_wh=row.energy_wh, **_traced(row))


def opened(market: MarketRow, row: Any, of: Sum) -> schemas.PeriodRow:
    """A period that somebody's call opened."""
    length = market.period_length
    return schemas.PeriodRow(
        number=row.period,
        start=iso(row.period * length),
        end=iso((row.period + 1) * length),
        expired_requests=row.expired_requests,
        expired_releases=row.expired_releases,
        **summed(of),
        **_traced(row),
    )


def transaction(row: Any, names: Iterable[str]) -> schemas.TransactionRow:
    """A transaction; `names` are of its events."""
    return schemas.TransactionRow(
        hash=row.hash,
        block=row.block,
        time=iso(row.timestamp),
        sender=row.sender,
        gas_used=row.gas_used,
        gas_price_wei=str(row.gas_price),
        cost_wei=str(row.gas_used * row.gas_price),
        events=list(names),
    )


def event(row: Any, parties: Mapping[int, Address]) -> schemas.EventOut:
    """What the contract logged; `parties` are the addresses of meter numbers."""
    topics = tuple(row.topics[at : at + WORD] for at in range(0, len(row.topics), WORD))
    decoded = decode(topics, row.data)
    return schemas.EventOut(
        name=row.name,
        log_index=row.log_index,
        said=described(decoded),
        arguments=_readable(jsonable(decoded), parties),
    )


def _readable(value: Any, parties: Mapping[int, Address]) -> Any:
    """With the addresses of meters that are told by number, and large numbers in text."""
    if isinstance(value, dict):
        told = {name: _readable(item, parties) for name, item in value.items()}
        for name, item in value.items():
            if name.endswith("_number") and item in parties:
                told[name.removesuffix("_number")] = parties[item]
        return told
    if isinstance(value, list):
        return [_readable(item, parties) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value > _LARGEST_EXACT:
        return hex(value)
    return value


def _traced(row: Any) -> dict[str, Any]:
    return {"block": row.block, "time": iso(row.timestamp), "transaction": row.hash}


def _period_start(market: MarketRow, number: int) -> str | None:
    return iso(number * market.period_length) if market.period_length else None
