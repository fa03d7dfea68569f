"""Orders that their meters signed and somebody else posts: `post_signed`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy_chain.market import Release, Request
from energy_chain.packing import unpack_signed
from tests.brownie import Chain, Contract, Events, Tx, reverts
from tests.contract.orders import (
    METER_AT,
    order_words,
    releases_of,
    requests_of,
    state_word,
    storage,
)
from tests.contract.signatures import (
    CURVE_ORDER,
    EARLY_AT,
    KIND_AT,
    MAX_SIGNED,
    PERIOD,
    RELEASE,
    REQUEST,
    Signed,
    Signer,
    keys,
    penniless,
)

NOT_REGISTERED = "energy: signer is not registered"
POSTED_ALREADY = "energy: meter has posted already"
HALF = CURVE_ORDER // 2
SIGNED_SLOT_PAGES = 293
"""Pages of meters of each kind."""


@pytest.fixture
def signer(periodic_market: Contract) -> Signer:
    return Signer.of(periodic_market)


@pytest.fixture
def relay(periodic_market: Contract, stranger: str) -> Callable[..., Tx]:
    """Posts signed orders as anyone may."""

    def relay(orders: Sequence[Signed], all_or_nothing: bool = False, period: int = -1) -> Tx:
        now = periodic_market.chain.time() // PERIOD
        at = now if period < 0 else period
        return periodic_market.post_signed(at, list(orders), all_or_nothing, {"from": stranger})

    return relay


def posted(events: Events) -> list[tuple[int, int, int, int]]:
    """Kind, counter, meter number and Wh of each order that was posted, in the order logged."""
    orders = []
    for name, fields in events:
        if name not in ("SignedRequestsPosted", "SignedReleasesPosted"):
            continue
        side: Any = Request if name == "SignedRequestsPosted" else Release
        kind = REQUEST if name == "SignedRequestsPosted" else RELEASE
        run = unpack_signed(side, fields["first"], fields["words"])
        orders += [(kind, fields["first"] + i, o.meter, o.energy) for i, o in enumerate(run)]
    return orders


def skipped(events: Events) -> list[tuple[int, str]]:
    """The r and the reason of each order that was skipped."""
    return [(event["r"], event["reason"]) for event in events["SignedOrderSkipped"]]


# ------------------------------------------------------------------ posting


def test_anyone_posts_what_meters_have_signed(periodic_market, relay, signer, producer, consumer):
    tx = relay([signer.order(producer, REQUEST, 60), signer.order(consumer, RELEASE, 40)])
    assert tx.events == [
        ("PeriodOpened", {"period": signer.period(), "expired_requests": 0, "expired_releases": 0}),
        ("SignedRequestsPosted", {"first": 0, "words": [1 << METER_AT | 60]}),
        ("SignedReleasesPosted", {"first": 0, "words": [2 << METER_AT | 40]}),
    ]
    assert tx.return_value == 2
    assert periodic_market.request(producer) == 60
    assert periodic_market.release(consumer) == 40


def test_a_meter_needs_no_ether(periodic_market, relay, signer, operator):
    poor = penniless(1)
    periodic_market.register_meters(poor, {"from": operator})
    relay([signer.order(poor[0], REQUEST, 60)])
    assert periodic_market.request(poor[0]) == 60


def test_they_join_the_queue_of_all_other_orders(periodic_market, relay, signer, meters, operator):
    market = periodic_market
    market.post_requests(order_words([(1, 10), (2, 20)]), {"from": operator})
    relay([signer.order(meters[n], REQUEST, 30 + n) for n in range(5)])
    market.incomingRequest(meters[7], 50, {"from": meters[7]})
    assert requests_of(market).drain(operator) == [
        *((1, 10), (2, 20)),
        *((n + 1, 30 + n) for n in range(5)),
        (8, 50),
    ]


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_every_word_is_filled_wherever_the_tail_stands(
    periodic_market, relay, signer, meters, operator, kind, before, count
):
    side = (requests_of, releases_of)[kind](periodic_market)
    side.post_all([(8, 7)] * before, operator)
    tx = relay([signer.order(meters[n], kind, 30 + n) for n in range(count)])
    assert posted(tx.events) == [(kind, before + n, n + 1, 30 + n) for n in range(count)]
    assert [side.slot(n)[1] for n in range(12)] == [
        *(7,) * before,
        *range(30, 30 + count),
        *(0,) * (12 - before - count),
    ]
    assert side.counter() == side.outstanding() == before + count


@pytest.fixture(params=[REQUEST, RELEASE], ids=["requests", "releases"])
def kind(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_kinds_may_be_mixed_and_each_run_is_told_of(periodic_market, relay, signer, meters):
    kinds = [REQUEST, RELEASE, RELEASE, REQUEST, REQUEST, RELEASE, REQUEST, RELEASE]
    tx = relay([signer.order(meters[n], kind, 10 + n) for n, kind in enumerate(kinds)])
    assert tx.return_value == 8
    assert posted(tx.events) == [
        *((REQUEST, 0, 1, 10), (RELEASE, 0, 2, 11), (RELEASE, 1, 3, 12)),
        *((REQUEST, 1, 4, 13), (REQUEST, 2, 5, 14), (RELEASE, 2, 6, 15)),
        *((REQUEST, 3, 7, 16), (RELEASE, 3, 8, 17)),
    ]
    assert [periodic_market.request(meter) for meter in meters] == [10, 0, 0, 13, 14, 0, 16, 0]
    assert [periodic_market.release(meter) for meter in meters] == [0, 11, 12, 0, 0, 15, 0, 17]


def test_a_meter_posts_one_order_of_each_kind(periodic_market, relay, signer, producer):
    tx = relay([signer.order(producer, REQUEST, 5), signer.order(producer, RELEASE, 6)])
    assert tx.return_value == 2
    assert [periodic_market.has_signed(producer, kind) for kind in (REQUEST, RELEASE)] == [1, 1]


def test_deadlines_may_differ(relay, signer, meters):
    orders = [signer.order(meters[n], REQUEST, 10 + n, early=n * 100) for n in range(4)]
    assert relay([*orders, signer.order(meters[4], REQUEST, 14, early=100)]).return_value == 5


def test_what_is_posted_is_matched_and_confirmed_like_any_order(
    periodic_market, relay, signer, producer, consumer, stranger
):
    relay([signer.order(producer, REQUEST, 60), signer.order(consumer, RELEASE, 40)])
    periodic_market.match_pending(1, {"from": stranger})
    assert periodic_market.match_at(0) == (0, producer, consumer, 40)
    periodic_market.consume_match(0, 40, {"from": consumer})


def test_the_largest_batch(periodic_market, relay, signer, operator):
    many = penniless(MAX_SIGNED)
    periodic_market.register_meters(many, {"from": operator})
    tx = relay([signer.order(meter, REQUEST, 2**32 - 1) for meter in many])
    assert tx.return_value == MAX_SIGNED
    assert posted(tx.events) == [(REQUEST, n, 9 + n, 2**32 - 1) for n in range(MAX_SIGNED)]


def test_the_first_call_of_a_period_may_be_one(periodic_market, relay, signer, chain, operator):
    periodic_market.post_requests(order_words([(1, 10)] * 3), {"from": operator})
    chain.sleep(PERIOD)
    tx = relay([signer.order(list(keys())[5], REQUEST, 9)])
    opened = {"period": signer.period(), "expired_requests": 3, "expired_releases": 0}
    assert tx.events[0] == ("PeriodOpened", opened)
    assert posted(tx.events) == [(REQUEST, 3, 1, 9)]
    assert periodic_market.check_request_counter() == 1


# ------------------------------------------------------------------ what a signature is good for


def test_the_domain_is_told(periodic_market, signer):
    fields, name, version, chain_id, contract, salt, extensions = periodic_market.eip712Domain()
    assert (fields, name, version) == (b"\x0f", "EnergyChain", "1")
    assert (chain_id, contract) == (signer.chain_id, periodic_market.address)
    assert (salt, extensions) == (bytes(32), [])


def test_an_order_for_another_chain_is_skipped(relay, signer, producer):
    order = signer.elsewhere(chain_id=signer.chain_id + 1).order(producer, REQUEST, 5)
    assert skipped(relay([order]).events) == [(order[1], NOT_REGISTERED)]


def test_an_order_for_another_contract_is_skipped(relay, signer, producer, stranger):
    order = signer.elsewhere(contract=stranger).order(producer, REQUEST, 5)
    assert skipped(relay([order]).events) == [(order[1], NOT_REGISTERED)]


@pytest.mark.parametrize("later", [-1, 1, 2**32 - 1])
def test_an_order_for_another_period_is_skipped(relay, signer, producer, later):
    order = signer.order(producer, REQUEST, 5, period=(signer.period() + later) % 2**32)
    assert skipped(relay([order]).events) == [(order[1], NOT_REGISTERED)]


@pytest.mark.parametrize("later", [-1, 1, 2**32, 2**255])
def test_a_call_for_another_period_is_refused(relay, signer, producer, later):
    period = signer.period() + later
    order = signer.order(producer, REQUEST, 5, period=period % 2**32)
    with reverts("energy: orders of another period"):
        relay([order], period=period)


def test_an_order_is_void_when_its_period_is_over(relay, signer, producer, chain):
    order = signer.order(producer, REQUEST, 5)
    chain.sleep(PERIOD)
    assert skipped(relay([order]).events) == [(order[1], NOT_REGISTERED)]


@pytest.mark.parametrize("bit", [0, 31, 64, 95, 96])
def test_altered_terms_are_not_the_meters(relay, signer, producer, bit):
    terms, r, vs = signer.order(producer, REQUEST, 5, early=4)
    altered = terms ^ 1 << bit
    told = skipped(relay([(altered, r, vs)]).events)
    assert told in ([(r, NOT_REGISTERED)], [(r, "energy: deadline has passed")])


@pytest.mark.parametrize("bit", [32, 47, 97, 127, 128, 255])
def test_bits_that_mean_nothing_are_zero(relay, signer, producer, bit):
    order = signer.order(producer, REQUEST, 5, junk=1 << bit)
    assert skipped(relay([order]).events) == [(order[1], "energy: signed order malformed")]


@pytest.mark.parametrize("bit", [48, 63])
def test_limit_prices_are_zero(relay, signer, producer, bit):
    order = signer.order(producer, REQUEST, 5, price=1 << bit - 48)
    assert skipped(relay([order]).events) == [(order[1], "energy: limit price is not zero")]


def test_an_order_has_an_energy(relay, signer, producer):
    order = signer.order(producer, REQUEST, 0)
    assert skipped(relay([order]).events) == [(order[1], "energy: value not 1..2**32-1 Wh")]


def test_a_deadline_is_the_last_time_that_is_good(relay, signer, meters, chain):
    left = (signer.period() + 1) * PERIOD - chain.time()
    good = signer.order(meters[0], REQUEST, 5, early=left)
    late = signer.order(meters[1], REQUEST, 6, early=left + 1)
    tx = relay([good, late])
    assert posted(tx.events) == [(REQUEST, 0, 1, 5)]
    assert skipped(tx.events) == [(late[1], "energy: deadline has passed")]


def test_a_deadline_before_time_began_has_passed(relay, signer, producer):
    order = signer.order(producer, REQUEST, 5, early=2**32 - 1)
    assert skipped(relay([order]).events) == [(order[1], "energy: deadline has passed")]


@pytest.mark.parametrize("r", [0, CURVE_ORDER, 2**256 - 1, 5])
@pytest.mark.parametrize("s", [1, HALF])
def test_a_signature_of_nobody_is_not_that_of_meter_zero(relay, signer, meters, r, s):
    tx = relay([signer.order(meters[0], REQUEST, 5), (9, r, s), (9, r, s | 1 << 255)])
    assert tx.return_value == 1
    assert skipped(tx.events) == [(r, NOT_REGISTERED)] * 2


@pytest.mark.parametrize("s", [HALF + 1, 2**255 - 1])
@pytest.mark.parametrize("parity", [0, 1])
def test_a_high_s_is_refused(relay, s, parity):
    tx = relay([(9, 5, s | parity << 255)])
    assert skipped(tx.events) == [(5, "energy: signature has a high s")]


def test_the_other_signature_of_the_same_order_does_not_fit(relay, signer, producer):
    terms, r, vs = signer.order(producer, REQUEST, 5)
    s, parity = vs % 2**255, vs >> 255
    other = CURVE_ORDER - s
    assert other >= 2**255  # the parity would stand on its highest bit
    tx = relay([(terms, r, other % 2**255 | (1 - parity) << 255)])
    assert tx.return_value == 0


def test_an_unregistered_meter_is_skipped(relay, signer, meters, newcomer):
    order = signer.order(newcomer, REQUEST, 5)
    tx = relay([signer.order(meters[0], REQUEST, 5), order])
    assert skipped(tx.events) == [(order[1], NOT_REGISTERED)]


def test_a_retired_meter_is_skipped_until_it_is_registered_again(
    periodic_market, relay, signer, producer, operator
):
    periodic_market.retire_meter(producer, {"from": operator})
    order = signer.order(producer, REQUEST, 5)
    assert skipped(relay([order]).events) == [(order[1], "energy: meter is retired")]
    periodic_market.register_meters([producer], {"from": operator})
    assert relay([order]).return_value == 1


# ------------------------------------------------------------------ once


def test_an_order_is_posted_once(periodic_market, relay, signer, producer, kind):
    order = signer.order(producer, kind, 5)
    tx = relay([order, order])
    assert (tx.return_value, skipped(tx.events)) == (1, [(order[1], POSTED_ALREADY)])
    assert skipped(relay([order]).events) == [(order[1], POSTED_ALREADY)]
    assert (requests_of, releases_of)[kind](periodic_market).counter() == 1


def test_a_meter_does_not_post_two_orders_of_a_kind(relay, signer, producer):
    first, second = signer.order(producer, REQUEST, 5), signer.order(producer, REQUEST, 6)
    assert skipped(relay([first, second]).events) == [(second[1], POSTED_ALREADY)]


def test_what_was_posted_otherwise_does_not_count(periodic_market, relay, signer, producer):
    periodic_market.incomingRequest(producer, 5, {"from": producer})
    assert not periodic_market.has_signed(producer, REQUEST)
    assert relay([signer.order(producer, REQUEST, 6)]).return_value == 1


def test_a_new_period_is_a_new_chance(periodic_market, relay, signer, producer, chain):
    for _ in range(3):
        assert not periodic_market.has_signed(producer, REQUEST)
        assert relay([signer.order(producer, REQUEST, 5)]).return_value == 1
        assert periodic_market.has_signed(producer, REQUEST)
        chain.sleep(PERIOD)


def test_one_meter_says_nothing_of_another(periodic_market, relay, signer, meters):
    relay([signer.order(meters[n], n % 2, 5) for n in (0, 3, 4, 7)])
    told = [[periodic_market.has_signed(m, kind) for kind in (REQUEST, RELEASE)] for m in meters]
    assert told == [
        *([True, False], [False, False], [False, False], [False, True]),
        *([True, False], [False, False], [False, False], [False, True]),
    ]


def test_nobody_has_signed_who_is_no_meter(periodic_market, stranger, producer):
    assert not periodic_market.has_signed(stranger, REQUEST)
    assert not periodic_market.has_signed(producer, 2)
    assert not periodic_market.has_signed(producer, 2**256 - 1)


def test_an_order_that_was_skipped_may_be_posted_later(
    periodic_market, relay, signer, newcomer, operator
):
    order = signer.order(newcomer, REQUEST, 5)
    assert relay([order]).return_value == 0
    periodic_market.register_meters([newcomer], {"from": operator})
    assert relay([order]).return_value == 1


def test_pages_of_meters_do_not_overlap(periodic_market, signer, relay, operator):
    market, known = periodic_market, penniless(12)
    others = [f"0x{n:040x}" for n in range(1, 443)]
    # Meters 9 to 450: the known ones at the ends of the pages 1..224, 225..448 and 449..672.
    at = dict(zip([9, 10, 223, 224, 225, 226, 447, 448, 449, 450], known, strict=False))
    for start in (9, 230):
        numbers = range(start, start + 221)
        market.register_meters([at.get(n, others[n - 9]) for n in numbers], {"from": operator})
    assert [market.meter_number(meter) for meter in at.values()] == list(at)
    ends = [signer.order(meter, REQUEST, n) for n, meter in at.items()]
    tx = relay([ends[i] for i in (0, 9, 3, 4, 2, 8, 7, 1, 6, 5)])
    assert tx.return_value == 10
    assert [market.has_signed(meter, REQUEST) for meter in at.values()] == [True] * 10
    assert [market.has_signed(meter, RELEASE) for meter in at.values()] == [False] * 10
    assert [reason for _, reason in skipped(relay(ends).events)] == [POSTED_ALREADY] * 10
    assert relay([signer.order(m, RELEASE, n) for n, m in at.items()]).return_value == 10


def test_meter_65535_is_on_the_last_page(periodic_market, relay, signer, chain, operator):
    market, meter = periodic_market, penniless(1)[0]
    registry = chain.load(market, 2)
    chain.store(market, 2, registry & ~(0xFFFF << 160) | 65_534 << 160)
    market.register_meters([meter], {"from": operator})
    assert market.meter_number(meter) == 65_535
    order = signer.order(meter, RELEASE, 5)
    assert relay([order, order]).return_value == 1
    assert market.has_signed(meter, RELEASE)
    market.retire_meter(meter, {"from": operator})
    retired = signer.order(meter, REQUEST, 5)
    assert skipped(relay([retired]).events) == [(retired[1], "energy: meter is retired")]


def test_a_retired_meter_is_on_no_page(periodic_market, relay, signer, chain, operator, meters):
    # With another meter's page turned up: the last one, that the numbers of retired meters follow.
    market, last = periodic_market, penniless(1)[0]
    chain.store(market, 2, chain.load(market, 2) & ~(0xFFFF << 160) | 65_534 << 160)
    market.register_meters([last], {"from": operator})
    market.retire_meter(meters[0], {"from": operator})
    tx = relay([signer.order(last, REQUEST, 1), signer.order(meters[0], REQUEST, 2)])
    assert posted(tx.events) == [(REQUEST, 0, 65_535, 1)]


# ------------------------------------------------------------------ one bad order among good ones


def bad_orders(signer: Signer, stranger: str, meter: str) -> list[Signed]:
    terms, r, vs = signer.order(meter, REQUEST, 5)
    return [
        (terms, r, HALF + 1),
        (terms & ~0xFFFFFFFF, r, vs),
        (terms | 1 << 200, r, vs),
        (terms | 1 << 48, r, vs),
        (terms | 2**32 - 1 << EARLY_AT, r, vs),
        (terms + 1, r, vs),
        (terms | 1 << KIND_AT, r, vs),
        signer.order(stranger, REQUEST, 5),
        signer.order(stranger, RELEASE, 5),
    ]


def test_neither_a_retired_meter_nor_a_second_order_blocks_a_good_one(
    periodic_market, relay, signer, meters, operator
):
    periodic_market.retire_meter(meters[0], {"from": operator})
    orders = [signer.order(meters[n], REQUEST, 10 + n) for n in (0, 1, 1, 2)]
    tx = relay(orders)
    assert posted(tx.events) == [(REQUEST, 0, 2, 11), (REQUEST, 1, 3, 12)]
    retired, _, second, _ = (r for _, r, _ in orders)
    assert skipped(tx.events) == [(retired, "energy: meter is retired"), (second, POSTED_ALREADY)]


@pytest.mark.parametrize("which", range(9))
@pytest.mark.parametrize("place", [0, 4])
def test_a_bad_order_blocks_no_good_one(relay, signer, meters, stranger, which, place):
    good = [signer.order(meters[n], n // 3 % 2, 10 + n) for n in range(6)]
    bad = bad_orders(signer, stranger, meters[7])[which]
    tx = relay([*good[:place], bad, *good[place:]])
    assert tx.return_value == 6
    assert sorted(order[2:] for order in posted(tx.events)) == [(n + 1, 10 + n) for n in range(6)]
    assert [r for r, _ in skipped(tx.events)] == [bad[1]]
    assert tx.events["SignedOrderSkipped"][0]["terms"] == bad[0]


@pytest.mark.parametrize("which", range(9))
def test_it_refuses_all_when_it_shall(periodic_market, relay, signer, meters, stranger, which):
    good = [signer.order(meters[n], n // 3 % 2, 10 + n) for n in range(6)]
    bad = bad_orders(signer, stranger, meters[7])[which]
    reason = skipped(relay([bad]).events)[0][1]
    before = storage(periodic_market)
    with reverts(reason):
        relay([*good[:5], bad, good[5]], True)
    assert storage(periodic_market) == before
    assert not periodic_market.has_signed(meters[0], REQUEST)
    assert relay(good, True).return_value == 6


def test_all_or_nothing_refuses_what_was_posted(relay, signer, producer):
    order = signer.order(producer, REQUEST, 5)
    with reverts(POSTED_ALREADY):
        relay([order, order], True)
    assert relay([order], True).return_value == 1
    with reverts(POSTED_ALREADY):
        relay([order], True)


def test_nothing_but_bad_orders_changes_nothing(periodic_market, relay, signer, stranger, producer):
    bad = bad_orders(signer, stranger, producer)
    relay(bad[:1])  # opens the period
    before = storage(periodic_market)
    tx = relay(bad)
    assert (tx.return_value, len(skipped(tx.events)), len(tx.events)) == (0, 9, 9)
    assert storage(periodic_market) == before


def test_an_empty_batch_is_refused(relay):
    with reverts("energy: batch is empty"):
        relay([])


def test_a_batch_of_101_is_refused(relay, signer, producer):
    with reverts():
        relay([signer.order(producer, REQUEST, 5)] * (MAX_SIGNED + 1))


def test_a_pause_refuses_it(periodic_market, relay, signer, producer, owner):
    periodic_market.pause({"from": owner})
    with reverts("energy: market is paused"):
        relay([signer.order(producer, REQUEST, 5)])
    periodic_market.unpause({"from": owner})
    assert relay([signer.order(producer, REQUEST, 5)]).return_value == 1


# ------------------------------------------------------------------ room


@pytest.mark.parametrize("pending", [1020, 1021, 1023, 1024])
def test_what_finds_no_room_is_skipped_and_may_come_again(
    periodic_market, relay, signer, meters, operator, kind, pending
):
    side = (requests_of, releases_of)[kind](periodic_market)
    side.post_all([(8, 7)] * pending, operator)
    orders = [signer.order(meters[n], kind, 10 + n) for n in range(6)]
    tx = relay(orders)
    room = 1024 - pending
    assert posted(tx.events) == [(kind, pending + n, n + 1, 10 + n) for n in range(room)]
    assert skipped(tx.events) == [(order[1], side.full) for order in orders[room:]]
    drained = side.drain(operator)
    assert drained == [(8, 7)] * pending + [(n + 1, 10 + n) for n in range(room)]
    assert relay(orders).return_value == 6 - room


def test_a_full_side_leaves_the_other_alone(periodic_market, relay, signer, meters, operator):
    requests_of(periodic_market).post_all([(8, 7)] * 1024, operator)
    kinds = [REQUEST, RELEASE, REQUEST, RELEASE]
    tx = relay([signer.order(meters[n], kind, 10 + n) for n, kind in enumerate(kinds)])
    assert posted(tx.events) == [(RELEASE, 0, 2, 11), (RELEASE, 1, 4, 13)]
    assert [reason for _, reason in skipped(tx.events)] == [requests_of(periodic_market).full] * 2


def test_all_or_nothing_wants_room_for_all(periodic_market, relay, signer, meters, operator, kind):
    side = (requests_of, releases_of)[kind](periodic_market)
    side.post_all([(8, 7)] * 1023, operator)
    with reverts(side.full):
        relay([signer.order(meters[n], kind, 5) for n in range(2)], True)


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_ring_is_overwritten_by_counter(
    periodic_market, relay, signer, meters, operator, kind, rounds
):
    side = (requests_of, releases_of)[kind](periodic_market)
    for _ in range(rounds):
        side.post_all([(8, 7)] * 1022, operator)
        side.drain(operator)
    first = 1022 * rounds
    tx = relay([signer.order(meters[n], kind, 10 + n) for n in range(6)])
    assert posted(tx.events) == [(kind, first + n, n + 1, 10 + n) for n in range(6)]
    assert [side.slot((first + n) % 1024) for n in range(6)] == [
        (meters[n], 10 + n) for n in range(6)
    ]


def test_it_stops_before_the_counter_ends(periodic_market, relay, signer, meters, chain, kind):
    last = 2**32 - 4
    period = signer.period() << 224
    head = ("request_head", "request_tail") if kind == REQUEST else ("release_head", "release_tail")
    word = period | state_word(**dict.fromkeys(head, last - 2))
    chain.store(periodic_market, 1, word)
    tx = relay([signer.order(meters[n], kind, 10 + n) for n in range(4)])
    assert [order[1] for order in posted(tx.events)] == [last - 2, last - 1]
    assert [reason for _, reason in skipped(tx.events)] == ["energy: counter is used up"] * 2


@pytest.mark.parametrize("tail", [2**32 - 4, 2**32 - 3, 2**32 - 1])
def test_it_never_passes_the_counters_end(
    periodic_market, relay, signer, producer, chain, kind, tail
):
    head = ("request_head", "request_tail") if kind == REQUEST else ("release_head", "release_tail")
    word = signer.period() << 224 | state_word(**dict.fromkeys(head, tail))
    chain.store(periodic_market, 1, word)
    tx = relay([signer.order(producer, kind, 10)])
    assert [reason for _, reason in skipped(tx.events)] == ["energy: counter is used up"]


# ------------------------------------------------------------------ without periods


def test_where_orders_never_expire_they_are_signed_by_the_quarter_hour(
    market, chain, stranger, producer
):
    signer = Signer.of(market)
    assert market.current_period() == 0
    for round_ in range(2):
        assert market.signing_period() == chain.time() // PERIOD
        order = signer.order(producer, REQUEST, 5 + round_)
        tx = market.post_signed(signer.period(), [order, order], False, {"from": stranger})
        assert tx.return_value == 1
        chain.sleep(PERIOD)
    assert market.request(producer) == 11


# ------------------------------------------------------------------ against a plain rule

fields = st.fixed_dictionaries(
    {
        "key": st.integers(6, 16),  # meters 1 to 8 have the keys 6 to 13
        "kind": st.sampled_from([0, 0, 0, 1, 1, 1, 2, 255]),
        "energy": st.sampled_from([1, 2, 5, 2**32 - 1, 0]),
        "early": st.sampled_from([0, 0, 0, 100, 800, 2**32 - 1]),
        "price": st.sampled_from([0] * 9 + [1]),
        "junk": st.sampled_from([0] * 12 + [1 << 32, 1 << 128, 1 << 255]),
        "forged": st.sampled_from([0] * 9 + [1, 2**255]),
    }
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(fields, max_size=14), tail=st.integers(0, 3))
def test_it_posts_what_a_plain_rule_says(
    chain: Chain, periodic_market: Contract, relay, signer, operator, batch, tail
):
    snapshot = chain.snapshot()
    if tail:
        periodic_market.post_requests(order_words([(8, 7)] * tail), {"from": operator})
    accounts = list(keys())
    orders, expected, taken = [], [], set()
    left = (signer.period() + 1) * PERIOD - chain.time()
    for order in batch:
        given = {name: order[name] for name in ("kind", "energy", "early", "price", "junk")}
        terms, r, vs = signer.order(accounts[order["key"] - 1], **given)
        orders.append((terms, r, vs ^ order["forged"]))
        meter = order["key"] - 5
        good = (
            order["kind"] < 2
            and order["energy"] > 0
            and order["early"] <= left
            and not order["price"] | order["junk"] | order["forged"]
            and meter <= 8
            and (order["kind"], meter) not in taken
        )
        if good:
            taken.add((order["kind"], meter))
            expected.append((order["kind"], meter, order["energy"]))
    if orders:
        tx = relay(orders)
        told = [(kind, meter, energy) for kind, _, meter, energy in posted(tx.events)]
        assert told == expected
        assert tx.return_value == len(expected)
        assert len(skipped(tx.events)) == len(orders) - len(expected)
    else:
        with reverts("energy: batch is empty"):
            relay(orders)
    chain.revert(snapshot)
