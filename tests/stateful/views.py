"""What each view of the contract should return, told from the twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from energy_chain.market import CAPACITY, MATCH_CAPACITY, MAX_BATCH, ZERO_ADDRESS, Match
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.signing import Kind

NOTHING = ZERO_ADDRESS, 0


def _fields(match: Match) -> tuple[int, str, str, int]:
    return match.index, match.producer, match.consumer, match.energy


def _match_at(twin: MemoryLedger, index: int) -> tuple[int, str, str, int]:
    match = twin.match_at(index)
    return _fields(match) if match else (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)


def _matches_of(
    twin: MemoryLedger, meter: str, since: int
) -> tuple[tuple[int, str, str, int], ...]:
    if twin.meter(meter) is None:  # a stage may begin behind matches of nobody
        return ()
    return tuple(_fields(match) for match in twin.matches_of(meter, since))


def _number(twin: MemoryLedger, address: str) -> int:
    meter = twin.meter(address)
    return meter.number if meter else 0


def _is_registered(twin: MemoryLedger, address: str) -> bool:
    meter = twin.meter(address)
    return meter is not None and not meter.retired


VIEWS: dict[str, Callable[..., Any]] = {
    "CAPACITY()": lambda _: CAPACITY,
    "MATCH_CAPACITY()": lambda _: MATCH_CAPACITY,
    "MAX_BATCH()": lambda _: MAX_BATCH,
    "check_request_counter()": MemoryLedger.requests_outstanding,
    "check_release_counter()": MemoryLedger.releases_outstanding,
    "get_request_value()": MemoryLedger.next_request_energy,
    "get_release_value()": MemoryLedger.next_release_energy,
    "request(address)": MemoryLedger.request_energy,
    "release(address)": MemoryLedger.release_energy,
    "pending_requests(uint256)": MemoryLedger.request_slot,
    "pending_release(uint256)": MemoryLedger.release_slot,
    "request_counter()": MemoryLedger.request_counter,
    "release_counter()": MemoryLedger.release_counter,
    "outgoingRelease(address)": lambda twin, meter: (twin.latest_match(meter) or NOTHING)[0],
    "get_mapping_data(address)": lambda twin, meter: (twin.latest_match(meter) or NOTHING)[0],
    "get_matching_value(address)": lambda twin, meter: (twin.latest_match(meter) or NOTHING)[1],
    "matching(address)": lambda twin, meter: twin.latest_match(meter) or NOTHING,
    "match_counter()": MemoryLedger.match_counter,
    "match_at(uint256)": _match_at,
    "matches_of(address,uint256)": _matches_of,
    "meter_number(address)": _number,
    "meter_address(uint256)": lambda twin, number: twin.meter_address(number) or ZERO_ADDRESS,
    "is_registered(address)": _is_registered,
    "meter_count()": MemoryLedger.meter_count,
    "period_length()": MemoryLedger.period_length,
    "current_period()": MemoryLedger.current_period,
    "signing_period()": MemoryLedger.signing_period,
    "has_signed(address,uint256)": lambda twin, meter, kind: (
        kind in tuple(Kind) and twin.has_signed(meter, Kind(kind))
    ),
    "paused()": MemoryLedger.paused,
    "owner()": MemoryLedger.owner,
    "pending_owner()": MemoryLedger.pending_owner,
    "aggregator()": MemoryLedger.aggregator,
    "metering_operator()": MemoryLedger.metering_operator,
}
"""By signature. A view that is missing here is called, but what it returns is not looked at."""
