"""How a market stands: queues, period, roles, meters, latest matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from energy_chain.ledger import Ledger
from energy_chain.market import ZERO_ADDRESS, Address


@dataclass(frozen=True, slots=True)
class Queue:
    """One side's orders: how many were ever posted and are outstanding, and Wh of the next one."""

    posted: int
    outstanding: int
    next_energy: int


@dataclass(frozen=True, slots=True)
class MeterStatus:
    """A meter, and Wh that it offers and needs and that are not matched yet."""

    number: int
    address: Address
    retired: bool
    offers: int
    needs: int


@dataclass(frozen=True, slots=True)
class MatchStatus:
    """A match, and Wh of it that are not consumed yet."""

    index: int
    producer: Address
    consumer: Address
    unconsumed: int


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """How a market stands.

    Attributes:
        period: number of the delivery period of now; 0 when orders never expire.
        period_length: seconds; 0 when orders never expire.
        paused: whether posting and matching are stopped.
        owner, pending_owner, aggregator, metering_operator: the roles; `pending_owner` is None
            while the ownership is not offered.
        requests, releases: the queues.
        meter_count: meters ever registered.
        meters: the latest ones, by number.
        match_count: matches ever written.
        matches: the latest ones that are kept, latest first.
    """

    period: int
    period_length: int
    paused: bool
    owner: Address
    pending_owner: Address | None
    aggregator: Address
    metering_operator: Address
    requests: Queue
    releases: Queue
    meter_count: int
    meters: tuple[MeterStatus, ...]
    match_count: int
    matches: tuple[MatchStatus, ...]


def read_status(ledger: Ledger, meters: int = 20, matches: int = 10) -> MarketStatus:
    """Reads how a market stands.

    Args:
        ledger: the market; on a chain, as of one block, or the parts may not fit together.
        meters: the most meters to look at.
        matches: the most matches to look at.
    """
    meter_count, match_count = ledger.meter_count(), ledger.match_counter()
    pending_owner = ledger.pending_owner()
    return MarketStatus(
        period=ledger.current_period(),
        period_length=ledger.period_length(),
        paused=ledger.paused(),
        owner=ledger.owner(),
        pending_owner=None if pending_owner == ZERO_ADDRESS else pending_owner,
        aggregator=ledger.aggregator(),
        metering_operator=ledger.metering_operator(),
        requests=Queue(
            ledger.request_counter(), ledger.requests_outstanding(), ledger.next_request_energy()
        ),
        releases=Queue(
            ledger.release_counter(), ledger.releases_outstanding(), ledger.next_release_energy()
        ),
        meter_count=meter_count,
        meters=tuple(
            _meter(ledger, number)
            for number in range(max(1, meter_count - meters + 1), meter_count + 1)
        ),
        match_count=match_count,
        matches=tuple(_latest_matches(ledger, match_count, matches)),
    )


def _latest_matches(ledger: Ledger, count: int, most: int) -> Iterator[MatchStatus]:
    for index in range(count - 1, max(count - most, 0) - 1, -1):
        match = ledger.match_at(index)
        if match is None:
            return  # overwritten, as all before it are
        yield MatchStatus(match.index, match.producer, match.consumer, match.energy)


def _meter(ledger: Ledger, number: int) -> MeterStatus:
    address = ledger.meter_address(number)
    assert address is not None  # numbers up to the count are taken
    meter = ledger.meter(address)
    assert meter is not None
    return MeterStatus(
        number,
        address,
        meter.retired,
        ledger.request_energy(address),
        ledger.release_energy(address),
    )
