"""Trading a set of readings: what is posted, matched and drawn, against sums of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from energy_chain import InvalidInput, MemoryLedger
from energy_chain.events import ReleasePosted, RequestPosted
from energy_chain.market import MAX_BATCH
from energy_chain.meters import Reading, Readings, generate
from energy_chain.record.audit import audit
from energy_chain.replay import Trade, replay

OWNER, AGGREGATOR, OPERATOR = (f"0x{n:040X}" for n in range(1, 4))
START = datetime(2016, 8, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """The market's time; each look at it takes `pace` seconds."""

    def __init__(self, period: timedelta = HOUR, pace: int = 0) -> None:
        self.period, self.pace = int(period.total_seconds()), pace
        self.now = 0

    def __call__(self) -> int:
        self.now += self.pace
        return self.now

    def advance_to(self, start: datetime) -> int:
        self.now = int(start.timestamp())
        return self.now // self.period


def market(clock: Clock) -> MemoryLedger:
    """The metering operator's ledger of a new market."""
    ledger = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock)
    return ledger.as_account(OPERATOR)


def accounts_of(readings: Readings) -> dict[str, str]:
    return {meter: f"0x{n:040X}" for n, meter in enumerate(readings.meters, 0xA00)}


def of_nets(*periods: dict[str, str]) -> Readings:
    """Hours in which each meter's production less its consumption is as given, in Wh."""
    readings = [
        Reading(
            meter, START + n * HOUR, max(-Decimal(net), Decimal(0)), max(Decimal(net), Decimal(0))
        )
        for n, nets in enumerate(periods)
        for meter, net in nets.items()
    ]
    return Readings(HOUR, tuple(periods[0]), tuple(readings))


def traded(readings: Readings) -> tuple[Trade, MemoryLedger]:
    clock = Clock(readings.period)
    ledger = market(clock)
    return replay(readings, accounts_of(readings), ledger, clock), ledger


def expected(readings: Readings) -> dict[str, int]:
    """What a market must make of readings, added up without any of its parts."""
    rests: dict[str, Fraction] = defaultdict(Fraction)
    offers: dict[datetime, list[int]] = defaultdict(list)
    needs: dict[datetime, list[int]] = defaultdict(list)
    for r in readings.readings:
        net = Fraction(r.production) - Fraction(r.consumption) + rests[r.meter]
        order = int(net)
        rests[r.meter] = net - order
        if order:
            (offers if order > 0 else needs)[r.start.astimezone(UTC)].append(abs(order))
    periods = offers.keys() | needs.keys()
    return {
        "homes": len(readings.meters),
        "periods": len({r.start.astimezone(UTC) for r in readings.readings}),
        "requests": sum(map(len, offers.values())),
        "releases": sum(map(len, needs.values())),
        "offered": sum(map(sum, offers.values())),
        "needed": sum(map(sum, needs.values())),
        "matched": sum(min(sum(offers[p]), sum(needs[p])) for p in periods),
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_day_trades_to_the_totals_of_the_readings(seed: int) -> None:
    readings = generate(homes=8, first=date(2026, 6, 21), seed=seed)
    trade, _ = traded(readings)
    totals = expected(readings)
    assert {name: getattr(trade, name) for name in totals} == totals
    assert trade.consumed == trade.matched > 0


def test_fractions_of_a_wh_trade_to_the_totals_of_the_readings() -> None:
    nets = [{"a": f"{n}.37", "b": f"-{n}.61", "c": f"{3 - n}.999"} for n in range(6)]
    trade, _ = traded(of_nets(*nets))
    totals = expected(of_nets(*nets))
    assert {name: getattr(trade, name) for name in totals} == totals


def test_the_rest_of_rounding_is_carried_over() -> None:
    trade, _ = traded(of_nets(*[{"a": "0.5", "b": "-0.5"}] * 4))
    assert (trade.offered, trade.needed, trade.matched) == (2, 2, 2)
    assert (trade.requests, trade.releases) == (2, 2)


def test_a_home_never_sends_both_a_request_and_a_release_in_a_period() -> None:
    _, ledger = traded(generate(homes=8, first=date(2026, 6, 21)))
    orders = [
        (receipt.timestamp // 900, event.meter)
        for receipt in ledger.history()
        for event in receipt.events
        if isinstance(event, RequestPosted | ReleasePosted)
    ]
    assert len(orders) == len(set(orders))


def test_each_home_posts_from_an_account_of_its_own() -> None:
    readings = of_nets({"a": "5", "b": "-7"})
    _, ledger = traded(readings)
    events = [event for receipt in ledger.history() for event in receipt.events]
    a, b = accounts_of(readings).values()
    assert RequestPosted(a, 0, 5) in events
    assert ReleasePosted(b, 0, 7) in events


def test_what_was_not_matched_is_left_to_the_grid_and_taken_from_it() -> None:
    trade, _ = traded(of_nets({"a": "50", "b": "-30"}, {"a": "10", "b": "-40"}))
    assert (trade.matched, trade.to_grid, trade.from_grid) == (40, 20, 30)
    assert trade.local_share == 40 / 70


def test_a_surplus_does_not_meet_the_need_of_another_period() -> None:
    trade, _ = traded(of_nets({"a": "50", "b": "0"}, {"a": "0", "b": "-50"}))
    assert (trade.requests, trade.releases, trade.matches) == (1, 1, 0)


def test_where_nothing_was_matched_there_is_no_gas_for_each_kwh() -> None:
    trade, _ = traded(of_nets({"a": "-5", "b": "-7"}))
    assert trade.gas_per_matched_kwh is None
    assert trade.local_share == 0


def test_where_nothing_was_needed_there_is_no_local_share() -> None:
    trade, _ = traded(of_nets({"a": "5", "b": "7"}))
    assert trade.local_share is None


def test_gas_is_added_up_by_what_it_was_used_for() -> None:
    class Costly(MemoryLedger):
        def as_account(self, account: str) -> Costly:
            return Costly(self._book, account)

        def _receipt(self, *events: Any) -> Any:
            return replace(super()._receipt(*events), gas_used=1000)

    clock = Clock()
    ledger = Costly.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock)
    readings = of_nets({"a": "500", "b": "-250"}, {"a": "500", "b": "-250"})
    trade = replay(readings, accounts_of(readings), ledger.as_account(OPERATOR), clock)
    assert (trade.setup_gas, trade.posting_gas) == (1000, 4000)
    assert (trade.matching_gas, trade.consuming_gas) == (2000, 2000)
    assert trade.trading_gas == 8000
    assert trade.gas_per_matched_kwh == 16_000


def test_a_period_that_ends_too_early_names_the_remedy() -> None:
    readings = of_nets({f"home {n}": "5" for n in range(40)}, {f"home {n}": "5" for n in range(40)})
    clock = Clock(pace=60)
    with pytest.raises(
        InvalidInput,
        match=r"^the period of 2016-08-15T00:00:00\+00:00 ended before 40 homes had posted and "
        r"were matched: give longer periods or fewer homes$",
    ):
        replay(readings, accounts_of(readings), market(clock), clock)


def test_more_homes_than_a_batch_are_registered() -> None:
    readings = of_nets({f"home {n}": "1" for n in range(MAX_BATCH + 1)})
    trade, ledger = traded(readings)
    assert ledger.meter_count() == trade.homes == MAX_BATCH + 1


def test_progress_is_shown_after_each_period() -> None:
    seen: list[int] = []
    clock = Clock()
    readings = of_nets(*[{"a": "5", "b": "-3"}] * 3)
    replay(
        readings,
        accounts_of(readings),
        market(clock),
        clock,
        lambda trade: seen.append(trade.matched),
    )
    assert seen == [3, 6, 9]


def test_what_a_replay_does_is_audited_clean() -> None:
    trade, ledger = traded(generate(homes=5, first=date(2026, 6, 21)))
    report = audit(ledger.history(), ledger)
    assert report.clean
    assert (report.requests.posted, report.releases.posted) == (trade.offered, trade.needed)
    assert (report.requests.matched, report.consumed) == (trade.matched, trade.consumed)
