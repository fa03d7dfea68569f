"""How a market stands: what is told of it, in memory and on a chain."""

from __future__ import annotations

from typing import Any

import pytest

from energy_chain import MemoryLedger
from energy_chain.market import MATCH_CAPACITY, MAX_BATCH, ZERO_ADDRESS, Match, Release, Request
from energy_chain.status import MarketStatus, MatchStatus, MeterStatus, Queue, read_status

OWNER, AGGREGATOR, OPERATOR, STRANGER = (f"0x{n:040X}" for n in range(1, 5))
PRODUCER, CONSUMER, NEIGHBOUR = METERS = [f"0x{n:040X}" for n in range(0xA0, 0xA3)]
PERIOD_LENGTH = 900
PERIOD = 1_000


class Clock:
    now = PERIOD * PERIOD_LENGTH

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> MemoryLedger:
    """The metering operator's ledger of a market with three meters."""
    ledger = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH, clock)
    ledger.register_meters(METERS)
    return ledger.as_account(OPERATOR)


def test_a_new_market_is_empty(clock: Clock) -> None:
    ledger = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH, clock)
    assert read_status(ledger) == MarketStatus(
        period=PERIOD,
        period_length=PERIOD_LENGTH,
        paused=False,
        owner=OWNER,
        pending_owner=None,
        aggregator=AGGREGATOR,
        metering_operator=OPERATOR,
        requests=Queue(0, 0, 0),
        releases=Queue(0, 0, 0),
        meter_count=0,
        meters=(),
        match_count=0,
        matches=(),
    )


def test_a_market_tells_its_queues_meters_and_matches(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 70)
    ledger.post_request(NEIGHBOUR, 7)
    ledger.post_release(CONSUMER, 30)
    ledger.match_pending(1)
    ledger.post_release(CONSUMER, 100)
    ledger.match_pending(1)
    ledger.consume_match(0, 10)
    status = read_status(ledger)
    assert status.requests == Queue(posted=2, outstanding=1, next_energy=7)
    assert status.releases == Queue(posted=2, outstanding=1, next_energy=60)
    assert status.meters == (
        MeterStatus(1, PRODUCER, False, offers=0, needs=0),
        MeterStatus(2, CONSUMER, False, offers=0, needs=60),
        MeterStatus(3, NEIGHBOUR, False, offers=7, needs=0),
    )
    assert status.match_count == 2
    assert status.matches == (
        MatchStatus(1, PRODUCER, CONSUMER, 40),
        MatchStatus(0, PRODUCER, CONSUMER, 20),
    )


def test_reading_changes_nothing(ledger: MemoryLedger) -> None:
    ledger.post_request(PRODUCER, 70)
    before = list(ledger.history())
    assert read_status(ledger) == read_status(ledger)
    assert list(ledger.history()) == before


def test_orders_of_a_period_that_is_over_are_none(ledger: MemoryLedger, clock: Clock) -> None:
    ledger.post_request(PRODUCER, 70)
    clock.now += PERIOD_LENGTH
    status = read_status(ledger)
    assert status.period == PERIOD + 1
    assert status.requests == Queue(posted=1, outstanding=0, next_energy=0)
    assert status.meters[0] == MeterStatus(1, PRODUCER, False, offers=0, needs=0)


def test_a_retired_meter_is_told_as_retired_with_what_it_still_offers(
    ledger: MemoryLedger,
) -> None:
    ledger.post_request(PRODUCER, 70)
    ledger.retire_meter(PRODUCER)
    status = read_status(ledger)
    assert status.meter_count == 3
    assert status.meters[0] == MeterStatus(1, PRODUCER, True, offers=70, needs=0)
    ledger.register_meters([PRODUCER])
    assert read_status(ledger).meters[0] == MeterStatus(1, PRODUCER, False, offers=70, needs=0)


def test_roles_and_a_pause_are_told(ledger: MemoryLedger) -> None:
    owner = ledger.as_account(OWNER)
    owner.transfer_ownership(STRANGER)
    owner.set_aggregator(CONSUMER)
    owner.set_metering_operator(PRODUCER)
    owner.pause()
    status = read_status(ledger)
    assert (status.owner, status.pending_owner, status.paused) == (OWNER, STRANGER, True)
    assert (status.aggregator, status.metering_operator) == (CONSUMER, PRODUCER)
    ledger.as_account(STRANGER).accept_ownership()
    status = read_status(ledger)
    assert (status.owner, status.pending_owner) == (STRANGER, None)


def test_an_offer_of_the_ownership_that_was_taken_back_is_none(ledger: MemoryLedger) -> None:
    ledger.as_account(OWNER).transfer_ownership(STRANGER)
    ledger.as_account(OWNER).transfer_ownership(ZERO_ADDRESS)
    assert read_status(ledger).pending_owner is None


@pytest.mark.parametrize(
    ("most", "numbers"), [(0, []), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (99, [1, 2, 3])]
)
def test_the_latest_meters_are_told(ledger: MemoryLedger, most: int, numbers: list[int]) -> None:
    status = read_status(ledger, meters=most)
    assert [meter.number for meter in status.meters] == numbers
    assert [meter.address for meter in status.meters] == [METERS[n - 1] for n in numbers]
    assert status.meter_count == 3


@pytest.mark.parametrize(
    ("most", "indexes"), [(0, []), (1, [2]), (2, [2, 1]), (3, [2, 1, 0]), (99, [2, 1, 0])]
)
def test_the_latest_matches_are_told(ledger: MemoryLedger, most: int, indexes: list[int]) -> None:
    for energy in (5, 6, 7):
        ledger.post_request(PRODUCER, energy)
        ledger.post_release(CONSUMER, energy)
    ledger.match_pending(3)
    status = read_status(ledger, matches=most)
    assert [match.index for match in status.matches] == indexes
    assert [match.unconsumed for match in status.matches] == [5 + index for index in indexes]
    assert status.match_count == 3


def test_matches_that_were_overwritten_are_left_out_and_not_looked_for(
    ledger: MemoryLedger,
) -> None:
    rounds = MATCH_CAPACITY // MAX_BATCH + 1
    for _ in range(rounds):
        ledger.post_requests([Request(1, 5)] * MAX_BATCH)
        ledger.post_releases([Release(2, 5)] * MAX_BATCH)
        ledger.match_pending(MAX_BATCH)
    looked_at: list[int] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        def match_at(self, index: int) -> Match | None:
            looked_at.append(index)
            return ledger.match_at(index)

    status = read_status(Watched(), matches=10**6)  # type: ignore[arg-type]
    count = rounds * MAX_BATCH
    assert status.match_count == count
    assert [match.index for match in status.matches] == [
        *range(count - 1, count - MATCH_CAPACITY - 1, -1)
    ]
    assert len(looked_at) == MATCH_CAPACITY + 1


def test_orders_that_never_expire_have_no_period(clock: Clock) -> None:
    ledger = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, 0, clock)
    ledger.register_meters(METERS)
    ledger.as_account(OPERATOR).post_request(PRODUCER, 70)
    clock.now += 10 * PERIOD_LENGTH
    status = read_status(ledger)
    assert (status.period, status.period_length) == (0, 0)
    assert status.requests == Queue(1, 1, 70)


def test_a_market_on_a_chain_is_told_as_of_one_block(connection: Any) -> None:
    from . import chains

    ledger = chains.market_on(connection)
    ledger.as_account(chains.PRODUCER).post_request(chains.PRODUCER, 70)
    ledger.as_account(chains.CONSUMER).post_release(chains.CONSUMER, 30)
    ledger.match_pending(1)
    ledger.transfer_ownership(chains.STRANGER)
    as_of = ledger.at_latest_block()
    ledger.as_account(chains.CONSUMER).consume_match(0, 30)
    ledger.retire_meter(chains.PRODUCER)
    ledger.as_account(chains.STRANGER).accept_ownership()
    expected = MarketStatus(
        period=chains.GENESIS_TIME // chains.PERIOD_LENGTH,
        period_length=chains.PERIOD_LENGTH,
        paused=False,
        owner=chains.OWNER,
        pending_owner=chains.STRANGER,
        aggregator=chains.AGGREGATOR,
        metering_operator=chains.OPERATOR,
        requests=Queue(1, 1, 40),
        releases=Queue(1, 0, 0),
        meter_count=2,
        meters=(
            MeterStatus(1, chains.PRODUCER, False, 40, 0),
            MeterStatus(2, chains.CONSUMER, False, 0, 0),
        ),
        match_count=1,
        matches=(MatchStatus(0, chains.PRODUCER, chains.CONSUMER, 30),),
    )
    assert read_status(as_of) == expected
    now = read_status(ledger)
    assert (now.owner, now.pending_owner) == (chains.STRANGER, None)
    assert now.meters[0].retired
    assert now.matches[0].unconsumed == 0
