"""Trading a set of readings: what is posted, matched and drawn, against sums of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain import InvalidInput, MemoryLedger
from energy_chain.errors import MalformedOrder, SignerNotRegistered
from energy_chain.events import (
    DeliveriesConfirmed,
    DeliveryConfirmed,
    MatchesConfirmed,
    MeterRegistered,
    Receipt,
    ReleasePosted,
    ReleasesPosted,
    RequestPosted,
    RequestsPosted,
    SignedReleasesPosted,
    SignedRequestsPosted,
)
from energy_chain.market import MAX_BATCH, MAX_SIGNED, Fill, Meter, Release, Request
from energy_chain.meters import Readings, generate
from energy_chain.meters.readings import UWH
from energy_chain.record.audit import audit
from energy_chain.replay import Relay, Trade, energies_of, post_batches, register, replay
from energy_chain.schedule import PeriodEnergy
from energy_chain.signing import OrderDomain
from tests.package.command_line import ROOF_KEY

OWNER, AGGREGATOR, OPERATOR, RELAYER = (f"0x{n:040X}" for n in range(1, 5))
DOMAIN = OrderDomain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
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
    energies = np.array(
        [[int(Decimal(net) * UWH) for net in nets.values()] for nets in periods], np.int64
    )
    starts = tuple(START + n * HOUR for n in range(len(periods)))
    return Readings(
        HOUR, tuple(periods[0]), starts, np.maximum(-energies, 0), np.maximum(energies, 0)
    )


def traded(readings: Readings, packed: bool = False) -> tuple[Trade, MemoryLedger]:
    clock = Clock(readings.period)
    ledger = market(clock)
    trade = replay(readings, accounts_of(readings), ledger, clock, packed=packed)
    return trade, ledger


def signed_by_homes(
    readings: Readings, kind: type[MemoryLedger] = MemoryLedger
) -> tuple[Trade, MemoryLedger]:
    """The same by orders that the homes' meters sign and `RELAYER` posts."""
    clock = Clock(readings.period)
    ledger = kind.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock, DOMAIN)
    accounts = [Account.from_key(f"0x{n:064x}") for n in range(1, len(readings.meters) + 1)]
    addresses = {m: str(a.address) for m, a in zip(readings.meters, accounts, strict=True)}
    keys = {str(account.address): bytes(account.key) for account in accounts}
    relay = Relay(ledger.as_account(RELAYER), keys)
    trade = replay(readings, addresses, ledger.as_account(OPERATOR), clock, relay=relay)
    return trade, ledger.as_account(OPERATOR)


def expected(readings: Readings) -> dict[str, int]:
    """What a market must make of readings, added up without any of its parts."""
    rests: dict[str, Fraction] = defaultdict(Fraction)
    offers: dict[datetime, list[int]] = defaultdict(list)
    needs: dict[datetime, list[int]] = defaultdict(list)
    for r in readings.rows():
        net = Fraction(r.production - r.consumption, UWH) + rests[r.meter]
        order = int(net)
        rests[r.meter] = net - order
        if order:
            (offers if order > 0 else needs)[r.start.astimezone(UTC)].append(abs(order))
    periods = offers.keys() | needs.keys()
    return {
        "homes": len(readings.meters),
        "periods": len({r.start.astimezone(UTC) for r in readings.rows()}),
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


@pytest.mark.parametrize(
    ("packed", "separate", "gas"),
    [
        (False, False, (4000, 2000, 0, 2000)),
        (False, True, (4000, 2000, 0, 2000)),
        (True, True, (2000, 2000, 0, 2000)),
        (True, False, (0, 0, 2000, 2000)),
    ],
)
def test_gas_is_added_up_by_what_it_was_used_for(
    packed: bool, separate: bool, gas: tuple[int, ...]
) -> None:
    class Costly(MemoryLedger):
        def as_account(self, account: str) -> Costly:
            return Costly(self._book, account)

        def _receipt(self, *events: Any) -> Any:
            return replace(super()._receipt(*events), gas_used=1000)

    clock = Clock()
    ledger = Costly.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock)
    operator = ledger.as_account(OPERATOR)
    aggregator = ledger.as_account(AGGREGATOR) if separate else None
    readings = of_nets({"a": "500", "b": "-250"}, {"a": "500", "b": "-250"})
    accounts = accounts_of(readings)
    trade = replay(readings, accounts, operator, clock, packed=packed, aggregator=aggregator)
    assert trade.setup_gas == 1000
    assert gas == (
        trade.posting_gas,
        trade.matching_gas,
        trade.posting_and_matching_gas,
        trade.consuming_gas,
    )
    assert trade.trading_gas == sum(gas)
    assert trade.gas_per_matched_kwh == 2 * sum(gas)


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


# ------------------------------------------------------------------ packed batches


def pairs(ledger: MemoryLedger) -> list[Fill]:
    """All matches, in order."""
    return [fill for receipt in ledger.history() for fill in receipt.fills]


def events(ledger: MemoryLedger, kind: Any) -> list[Any]:
    return [e for receipt in ledger.history() for e in receipt.events if isinstance(e, kind)]


def days_of_homes() -> Any:
    """Readings of a few homes and hours, some of which have nothing to trade."""
    home = st.lists(st.integers(-300, 300), min_size=3, max_size=3)

    def readings(homes: list[list[int]]) -> Readings:
        nets = [{f"home {n}": f"{home[p]}.3" for n, home in enumerate(homes)} for p in range(3)]
        return of_nets(*nets)

    return st.lists(home, min_size=1, max_size=12).map(readings)


@settings(max_examples=40)
@given(days_of_homes())
def test_packed_batches_trade_the_same_as_single_meters(readings: Readings) -> None:
    single, by_homes = traded(readings)
    packed, by_operator = traded(readings, packed=True)
    assert packed == single
    assert packed.consumed == packed.matched == sum(fill.energy for fill in pairs(by_homes))
    assert pairs(by_operator) == pairs(by_homes)
    assert audit(by_operator.history(), by_operator).clean
    assert {(e.meter, e.energy) for e in events(by_homes, RequestPosted)} == {
        (by_operator.meter_address(order.meter), order.energy)
        for e in events(by_operator, RequestsPosted)
        for order in e.orders
    }


def test_packed_batches_are_the_operators_calls_and_as_few_as_possible() -> None:
    _, ledger = traded(of_nets(*[{"a": "50", "b": "-30", "c": "-10", "d": "0"}] * 2), packed=True)
    assert not events(ledger, RequestPosted | ReleasePosted | DeliveryConfirmed)
    assert [e.orders for e in events(ledger, RequestsPosted)] == [(Request(1, 50),)] * 2
    assert [e.orders for e in events(ledger, ReleasesPosted)] == [
        (Release(2, 30), Release(3, 10))
    ] * 2
    assert not events(ledger, DeliveriesConfirmed)
    # The second begins within a word.
    assert events(ledger, MatchesConfirmed) == [MatchesConfirmed(0, 2), MatchesConfirmed(2, 2)]
    # The deployment, the registration, and two calls in each period.
    assert len(list(ledger.history())) == 2 + 2 * 2


def test_matches_of_others_between_those_of_the_homes_are_left_alone() -> None:
    class Crowded(MemoryLedger):
        def as_account(self, account: str) -> Crowded:
            return Crowded(self._book, account)

        def post_and_match(self, requests: Any, releases: Any, max_matches: int) -> Receipt:
            others = [Release(1, 7)]
            return super().post_and_match(
                requests, [*releases[:1], *others, *releases[1:]], max_matches
            )

    clock = Clock()
    ledger = Crowded.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock).as_account(OPERATOR)
    ledger.register_meters(["somebody"])
    readings = of_nets(*[{"a": "50", "b": "-30", "c": "-10"}] * 2)
    trade = replay(readings, accounts_of(readings), ledger, clock, packed=True)
    # The second begins within a word: what stands in it already is left alone.
    assert events(ledger, DeliveriesConfirmed) == [
        DeliveriesConfirmed(0, (30, 0, 10, 0)),
        DeliveriesConfirmed(0, (0, 0, 0, 30, 0, 10, 0, 0)),
    ]
    assert trade.consumed == 80
    assert [match.energy for match in ledger.matches_of("somebody")] == [7, 7]


@pytest.mark.parametrize("packed", [False, True])
def test_a_day_of_a_neighbourhood_trades_to_its_totals_either_way(packed: bool) -> None:
    readings = generate(homes=8, first=date(2026, 6, 21))
    trade, ledger = traded(readings, packed)
    totals = expected(readings)
    assert {name: getattr(trade, name) for name in totals} == totals
    assert trade.consumed == trade.matched > 0
    assert audit(ledger.history(), ledger).clean


def test_more_homes_than_a_batch_trade_in_several() -> None:
    homes = range(MAX_BATCH + 2)
    nets = {f"p{n}": "2" for n in homes} | {f"c{n}": "-3" for n in homes[1:]}
    trade, ledger = traded(of_nets(nets), packed=True)
    assert [len(e.orders) for e in events(ledger, RequestsPosted)] == [MAX_BATCH, 2]
    assert [len(e.orders) for e in events(ledger, ReleasesPosted)] == [MAX_BATCH, 1]
    assert trade.matches > MAX_BATCH
    assert events(ledger, MatchesConfirmed) == [
        MatchesConfirmed(0, MAX_BATCH),
        MatchesConfirmed(MAX_BATCH, trade.matches - MAX_BATCH),
    ]
    assert (trade.offered, trade.needed) == (2 * MAX_BATCH + 4, 3 * MAX_BATCH + 3)
    assert trade.matched == trade.consumed == 2 * MAX_BATCH + 4
    assert audit(ledger.history(), ledger).clean


def test_a_batch_that_is_refused_leaves_those_before_it() -> None:
    clock = Clock()
    ledger = market(clock)
    ledger.register_meters(["a"])
    orders = [Request(1, 5)] * MAX_BATCH + [Request(7, 5)]
    receipts: list[Receipt] = []
    with pytest.raises(MalformedOrder):
        receipts.extend(post_batches(ledger, orders, [Release(1, 5)]))
    assert (ledger.request_counter(), ledger.release_counter()) == (MAX_BATCH, 1)
    assert list(post_batches(ledger, [], [])) == []


@pytest.mark.parametrize(("requests", "releases"), [(1, 0), (0, 1), (3, 2), (300, 2), (2, 513)])
def test_both_sides_are_posted_in_as_few_calls_as_possible(requests: int, releases: int) -> None:
    ledger = market(Clock())
    ledger.register_meters(["a"])
    orders = [Request(1, 5)] * requests, [Release(1, 5)] * releases
    receipts = list(post_batches(ledger, *orders))
    assert len(receipts) == -(-max(requests, releases) // MAX_BATCH)
    assert (ledger.request_counter(), ledger.release_counter()) == (requests, releases)
    assert ledger.match_counter() == 0


def test_batches_are_matched_in_the_calls_that_post_them() -> None:
    ledger = market(Clock())
    ledger.register_meters(["a"])
    (receipt,) = post_batches(ledger, [Request(1, 5)] * 9, [Release(1, 9)] * 5, matching=True)
    assert sum(fill.energy for fill in receipt.fills) == 45
    assert (ledger.requests_outstanding(), ledger.releases_outstanding()) == (0, 0)


# ------------------------------------------------------------------ signed orders


@settings(max_examples=20)
@given(days_of_homes())
def test_signed_orders_trade_the_same_as_packed_batches(readings: Readings) -> None:
    packed, by_operator = traded(readings, packed=True)
    signed, by_homes = signed_by_homes(readings)
    assert signed == packed
    assert pairs(by_homes) == pairs(by_operator)
    assert audit(by_homes.history(), by_homes).clean
    for ours, theirs in (
        (SignedRequestsPosted, RequestsPosted),
        (SignedReleasesPosted, ReleasesPosted),
    ):
        assert [(e.first, e.orders) for e in events(by_homes, ours)] == [
            (e.first, e.orders) for e in events(by_operator, theirs)
        ]
    assert events(by_homes, MatchesConfirmed) == events(by_operator, MatchesConfirmed)


def test_a_relayer_posts_batches_sorted_by_kind_and_meter_number() -> None:
    batches: list[tuple[str, bool, list[tuple[int, int]]]] = []

    class Watched(MemoryLedger):
        def as_account(self, account: str) -> Watched:
            return Watched(self._book, account)

        def post_signed(self, orders: Any, all_or_nothing: bool = False) -> Receipt:
            receipt = super().post_signed(orders, all_or_nothing)
            told = [(order.terms.kind, order.terms.energy) for order in orders]
            batches.append((self.account, all_or_nothing, told))
            assert {order.terms.deadline for order in orders} == {
                (self.signing_period() + 1) * 3600
            }
            return receipt

    homes = range(1, MAX_SIGNED + 2)
    nets = {f"p{n}": f"{n}" for n in homes} | {f"c{n}": f"-{n}" for n in homes} | {"idle": "0"}
    trade, ledger = signed_by_homes(of_nets(nets), Watched)
    posted = [(0, n) for n in homes] + [(1, n) for n in homes]
    assert batches == [
        (RELAYER, True, posted[start : start + MAX_SIGNED]) for start in (0, 100, 200)
    ]
    assert (trade.requests, trade.releases) == (MAX_SIGNED + 1, MAX_SIGNED + 1)
    assert trade.consumed == trade.matched == sum(homes)
    assert audit(ledger.history(), ledger).clean


def test_an_order_that_is_not_good_ends_a_replay_of_signed_ones() -> None:
    class Elsewhere(MemoryLedger):
        def order_domain(self) -> OrderDomain:
            return replace(super().order_domain(), chain_id=5)

        def as_account(self, account: str) -> Elsewhere:
            return Elsewhere(self._book, account)

    with pytest.raises(SignerNotRegistered):
        signed_by_homes(of_nets({"a": "5", "b": "-3"}), Elsewhere)


def test_orders_are_packed_or_signed() -> None:
    readings, clock = of_nets({"a": "5"}), Clock()
    ledger = market(clock)
    accounts = accounts_of(readings)
    with pytest.raises(InvalidInput, match="either packed or signed"):
        replay(readings, accounts, ledger, clock, packed=True, relay=Relay(ledger, {}))
    assert ledger.meter_count() == 0


def test_a_relay_does_not_show_its_keys() -> None:
    relay = Relay(market(Clock()), {"a": bytes.fromhex(ROOF_KEY)})
    assert "keys" not in repr(relay)
    assert repr(bytes.fromhex(ROOF_KEY))[2:-1] not in repr(relay)


# ------------------------------------------------------------------ other parties


class Interfering(MemoryLedger):
    """After each release, or batches of both sides, somebody else matches what is pending."""

    def as_account(self, account: str) -> Interfering:
        return Interfering(self._book, account)

    def post_release(self, meter: str, energy: int) -> Receipt:
        return self._then_match(super().post_release(meter, energy))

    def post_and_match(self, requests: Any, releases: Any, max_matches: int) -> Receipt:
        return self._then_match(super().post_and_match(requests, releases, max_matches))

    def _then_match(self, receipt: Receipt) -> Receipt:
        MemoryLedger(self._book, AGGREGATOR).match_pending(1)
        return receipt


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("releases", [1, 2])
def test_what_another_aggregator_matched_is_drawn_and_counted_as_well(
    packed: bool, releases: int
) -> None:
    # With one release, the other one is faster with all of it; with two, with a part.
    hour = {"a": "500", "b": "-250"} | ({"c": "-100"} if releases == 2 else {})
    readings = of_nets(hour, hour)
    clock = Clock()
    ledger = Interfering.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock)
    operator = ledger.as_account(OPERATOR)
    accounts = accounts_of(readings)
    trade = replay(readings, accounts, operator, clock, packed=packed, aggregator=operator)
    total = 2 * (250 if releases == 1 else 350)
    assert (trade.matches, trade.matched, trade.consumed) == (2 * releases, total, total)
    assert trade.to_grid == 1000 - total
    assert trade.from_grid == 0
    assert [match.energy for match in operator.matches_of(accounts_of(readings)["b"])] == [0, 0]


@pytest.mark.parametrize(
    ("packed", "separate", "events_of_matching"),
    [(False, True, 1), (False, False, 1), (True, True, 1), (True, False, 4)],
)
def test_whoever_is_given_as_aggregator_matches(
    packed: bool, separate: bool, events_of_matching: int
) -> None:
    matched: list[tuple[str, int]] = []

    class Watched(MemoryLedger):
        def as_account(self, account: str) -> Watched:
            return Watched(self._book, account)

        def _receipt(self, *happened: Any) -> Receipt:
            receipt = super()._receipt(*happened)
            if receipt.fills:
                matched.append((self.account, len(happened)))
            return receipt

    readings, clock = of_nets({"a": "5", "b": "-3"}), Clock()
    ledger = Watched.deploy(OWNER, AGGREGATOR, OPERATOR, clock.period, clock)
    operator, aggregator = ledger.as_account(OPERATOR), ledger.as_account(AGGREGATOR)
    trade = replay(
        readings,
        accounts_of(readings),
        operator,
        clock,
        packed=packed,
        aggregator=aggregator if separate else None,
    )
    assert (trade.matches, trade.consumed) == (1, 3)
    # Four: one call opened the period, posted both sides and matched them.
    assert matched == [(AGGREGATOR if separate else OPERATOR, events_of_matching)]


def test_nothing_is_posted_into_a_period_that_is_not_the_readings() -> None:
    class Late(Clock):
        def advance_to(self, start: datetime) -> int:
            return super().advance_to(start) - 1

    readings, clock = of_nets({"a": "5", "b": "-3"}), Late()
    ledger = market(clock)
    with pytest.raises(InvalidInput, match="give longer periods or fewer homes"):
        replay(readings, accounts_of(readings), ledger, clock)
    assert (ledger.request_counter(), ledger.release_counter()) == (0, 0)


# ------------------------------------------------------------------ registering


def test_meters_that_are_registered_are_left_alone_and_retired_ones_come_back() -> None:
    ledger = market(Clock())
    ledger.register_meters(["a", "b"])
    ledger.retire_meter("b")
    known = len(list(ledger.history()))
    register(ledger, ["a", "b", "c"])
    (receipt,) = list(ledger.history())[known:]
    assert receipt.events == (MeterRegistered("b", 2), MeterRegistered("c", 3))
    assert [ledger.meter(home) for home in "abc"] == [
        Meter(1, "a"),
        Meter(2, "b"),
        Meter(3, "c"),
    ]


def test_where_all_meters_are_registered_nothing_is_called() -> None:
    ledger = market(Clock())
    ledger.register_meters(["a"])
    known = len(list(ledger.history()))
    assert register(ledger, ["a"]) == register(ledger, []) == 0
    assert len(list(ledger.history())) == known


def test_the_gas_of_all_batches_of_registrations_is_added_up() -> None:
    class Costly(MemoryLedger):
        def _receipt(self, *events: Any) -> Any:
            return replace(super()._receipt(*events), gas_used=1000)

    ledger = Costly.deploy(OWNER, AGGREGATOR, OWNER, 3600, Clock())
    homes = [f"home {n}" for n in range(2 * MAX_BATCH + 1)]
    assert register(ledger, homes) == 3000
    assert ledger.meter_count() == len(homes)
    assert register(ledger, homes) == 0


def test_readings_can_be_traded_on_a_market_that_knows_some_of_the_homes() -> None:
    readings, clock = of_nets({"a": "5", "b": "-3"}), Clock()
    accounts = accounts_of(readings)
    ledger = market(clock)
    ledger.register_meters(["somebody", accounts["b"]])
    ledger.retire_meter(accounts["b"])
    trade = replay(readings, accounts, ledger, clock, packed=True)
    assert (trade.homes, trade.consumed) == (2, 3)
    assert pairs(ledger) == [Fill(3, 2, 3)]


# ------------------------------------------------------------------ what one home posts


def test_the_energies_of_a_home_are_numbered_from_the_first_period() -> None:
    readings = of_nets({"a": "5", "b": "-7"}, {"a": "0", "b": "2"}, {"a": "-1", "b": "1"})
    assert list(energies_of(readings, "a", 100)) == [
        PeriodEnergy(100, 5),
        PeriodEnergy(101, 0),
        PeriodEnergy(102, -1),
    ]
    assert [due.energy for due in energies_of(readings, "b", 0)] == [-7, 2, 1]


def test_the_energies_of_a_home_are_what_a_replay_posts_for_it() -> None:
    readings = of_nets(*[{"a": "0.4", "b": "-0.7"}] * 6)
    _, ledger = traded(readings)
    posted = [(e.meter, -e.energy) for e in events(ledger, ReleasePosted)]
    accounts = accounts_of(readings)
    energies = [due.energy for due in energies_of(readings, "b", 0) if due.energy]
    assert posted == [(accounts["b"], energy) for energy in energies]
    assert sum(energies) == -4
    assert sum(due.energy for due in energies_of(readings, "a", 0)) == 2


def test_a_home_without_readings_is_refused_with_those_that_have_some() -> None:
    readings = of_nets({"a": "5", "b": "-7"})
    with pytest.raises(InvalidInput, match=r"no readings of 'c': give one of a, b$"):
        list(energies_of(readings, "c", 0))
