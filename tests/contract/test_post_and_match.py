"""Posting both sides and matching in one call: post_and_match."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.brownie import Chain, Contract, Tx, reverts
from tests.contract.orders import (
    STATE,
    Order,
    fills,
    first_come_first_served,
    numbered,
    order_words,
    releases_of,
    requests_of,
    state_word,
    storage,
)

MALFORMED = "energy: order lacks meter or Wh"
GOOD = [(1, 5)]


@pytest.fixture
def trade(market: Contract, operator: str) -> Callable[..., Tx]:
    """Posts and matches in one call."""

    def trade(requests: Sequence[Order], releases: Sequence[Order], max_matches: int = 256) -> Tx:
        sides = order_words(requests), order_words(releases)
        return market.post_and_match(*sides, max_matches, {"from": operator})

    return trade


@contextmanager
def undone(chain: Chain) -> Iterator[None]:
    snapshot = chain.snapshot()
    yield
    chain.revert(snapshot)


# ------------------------------------------------------------------ what it does


def test_it_logs_what_the_three_calls_would(market, trade, producer, consumer):
    requests, releases = order_words([(1, 60), (3, 5)]), order_words([(2, 62)])
    tx = trade([(1, 60), (3, 5)], [(2, 62)])
    matches = (1 << 48 | 2 << 32 | 60) << 192 | (3 << 48 | 2 << 32 | 2) << 128
    assert tx.events == [
        ("RequestsPosted", {"first": 0, "words": requests}),
        ("ReleasesPosted", {"first": 0, "words": releases}),
        ("Matched", {"first": 0, "words": [matches]}),
    ]
    assert tx.return_value == 2
    assert market.match_at(0) == (0, producer, consumer, 60)
    assert market.get_request_value() == 3


def test_a_side_may_be_empty(market, trade):
    assert [name for name, _ in trade([(1, 60)], []).events] == ["RequestsPosted"]
    assert [name for name, _ in trade([(3, 5)], []).events] == ["RequestsPosted"]
    tx = trade([], [(2, 62)])
    assert [name for name, _ in tx.events] == ["ReleasesPosted", "Matched"]
    assert fills(tx) == [(1, 2, 60), (3, 2, 2)]
    assert market.check_request_counter() == 1


def test_no_matches_only_posts(market, trade, match):
    tx = trade([(1, 60)], [(2, 60)], 0)
    assert tx.return_value == 0
    assert [name for name, _ in tx.events] == ["RequestsPosted", "ReleasesPosted"]
    assert market.match_counter() == 0
    assert fills(match()) == [(1, 2, 60)]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6, 7, 256])
def test_it_writes_no_more_matches_than_it_may(trade, match, most):
    expected = first_come_first_served(numbered(6), numbered(6))
    tx = trade(numbered(6), numbered(6), most)
    assert tx.return_value == min(most, 6)
    assert fills(tx) == expected[:most]
    assert fills(match()) == expected[most:]


def test_what_was_pending_is_matched_first(trade, post):
    post([(1, 60)], [])
    assert fills(trade([(3, 10)], [(2, 65)])) == [(1, 2, 60), (3, 2, 5)]


def test_a_full_call_of_both_sides(market, trade):
    tx = trade(numbered(256), numbered(256))
    assert tx.return_value == market.match_counter() == 256
    assert fills(tx) == first_come_first_served(numbered(256), numbered(256))
    assert tx.gas_used < 30_000_000 / 2


orders = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 9)), max_size=14)
most = st.one_of(st.integers(0, 30), st.just(256))


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counters=st.tuples(
        st.sampled_from([0, 1021, 1022, 1023, 1024, 4093]),
        st.sampled_from([0, 1019, 1020, 2047]),
        st.sampled_from([0, 2040, 2044, 4092]),
    ),
    before=st.tuples(orders, orders, most.filter(bool)),
    batch=st.tuples(orders, orders).filter(any),
    most=most,
)
def test_it_leaves_what_the_three_calls_leave(
    market: Contract, chain: Chain, operator: str, counters: Any, before: Any, batch: Any, most: int
) -> None:
    by = {"from": operator}
    sides = [order_words(side) for side in batch]
    with undone(chain):
        requests, releases, matches = counters
        heads = {"request_head": requests, "release_head": releases}
        tails = {"request_tail": requests, "release_tail": releases}
        chain.store(market, STATE, state_word(**heads, **tails, match_counter=matches))
        requests_of(market).post_all(before[0], operator)
        releases_of(market).post_all(before[1], operator)
        market.match_pending(before[2], by)
        with undone(chain):
            one = market.post_and_match(*sides, most, by)
            after_one = storage(market)
        three = []
        if batch[0]:
            three.append(market.post_requests(sides[0], by))
        if batch[1]:
            three.append(market.post_releases(sides[1], by))
        if most:
            three.append(market.match_pending(most, by))
        assert one.events == [event for tx in three for event in tx.events]
        assert one.return_value == (three[-1].return_value if most else 0)
        assert after_one == storage(market)


# ------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("role", ["stranger", "producer", "owner", "aggregator"])
def test_only_the_operator_may(market, role, request):
    sender = {"from": request.getfixturevalue(role)}
    for arguments in (([1 << 32 | 5], [1 << 32 | 5], 1), ([], [], 257), ([0], [], 0)):
        with reverts("energy: sender is not operator"):
            market.post_and_match(*arguments, sender)


@pytest.mark.parametrize("most", [257, 2**32, 2**256 - 1])
def test_more_matches_than_256_are_refused(trade, most):
    for sides in ((GOOD, GOOD), ([], [])):
        with reverts("energy: max_matches not 1..256"):
            trade(*sides, most)


@pytest.mark.parametrize("most", [0, 1, 256])
def test_without_orders_it_is_refused(market, trade, owner, most):
    with reverts("energy: batch is empty"):
        trade([], [], most)
    market.pause({"from": owner})
    with reverts("energy: batch is empty"):
        trade([], [], most)


@pytest.mark.parametrize("most", [0, 256])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ((0, 5), MALFORMED),
        ((1, 0), MALFORMED),
        ((9, 5), MALFORMED),
        ((8, 5), "energy: meter is retired"),
    ],
)
def test_one_order_that_is_not_good_refuses_both_sides(
    market, trade, post, meters, operator, most, wrong, reason
):
    post([(1, 3)] * 3, [(2, 2)] * 2)
    market.retire_meter(meters[7], {"from": operator})
    before = storage(market)
    good = [(1, 5)] * 9
    for sides in (([*good, wrong], good), (good, [*good, wrong]), ([*good, wrong], [])):
        with reverts(reason):
            trade(*sides, most)
        assert storage(market) == before


def test_requests_are_checked_before_releases(market, operator):
    priced, nobody = 1 << 48 | 1 << 32 | 5, 9 << 32 | 5
    for sides, reason in (
        (([priced], [nobody]), "energy: limit price is not zero"),
        (([nobody], [priced]), MALFORMED),
    ):
        with reverts(reason):
            market.post_and_match(*sides, 1, {"from": operator})


def test_a_gap_is_refused_on_either_side(market, operator):
    gap, word = 5 << 32 | 5 << 64, 1 << 32 | 5
    for sides in (([gap], [word]), ([word], [gap]), ([word, 0], [word]), ([word], [0])):
        with reverts(MALFORMED):
            market.post_and_match(*sides, 1, {"from": operator})
    assert (market.request_counter(), market.release_counter()) == (0, 0)


@pytest.mark.parametrize("most", [0, 256])
def test_a_full_ring_of_either_side_refuses_both(market, side, trade, operator, most):
    side.post_all(numbered(1020), operator)
    before = storage(market)
    batch = (numbered(5), numbered(4))
    with reverts(side.full):
        trade(*(batch if side.party == 0 else batch[::-1]), most)
    assert storage(market) == before
    trade(numbered(4), numbered(4), most)  # matching comes after the check for room
    assert side.counter() == 1024


def test_a_batch_above_256_is_refused(market, operator):
    many = order_words(numbered(256)) + order_words(GOOD)
    for sides in ((many, []), ([], many)):
        with reverts():
            market.post_and_match(*sides, 0, {"from": operator})
    assert (market.request_counter(), market.release_counter()) == (0, 0)


def test_counters_that_are_used_up_refuse_all(market, chain, trade):
    chain.store(market, STATE, state_word(match_counter=2**32 - 4))
    before = storage(market)
    with reverts("energy: counter is used up"):
        trade(numbered(4), numbered(4))
    assert storage(market) == before
    assert trade(numbered(4), numbered(4), 3).return_value == 3


# ------------------------------------------------------------------ pause and periods


def test_a_pause_stops_it(market, trade, owner):
    market.pause({"from": owner})
    for sides in ((GOOD, GOOD), ([(9, 5)], []), ([], GOOD)):
        with reverts("energy: market is paused"):
            trade(*sides, 0)


def test_it_opens_a_period_once_and_matches_nothing_that_expired(periodic_market, chain, operator):
    by = {"from": operator}
    sides = order_words([(1, 60), (1, 7)]), order_words([(2, 60), (3, 3)])
    names = [name for name, _ in periodic_market.post_and_match(*sides, 0, by).events]
    assert names == ["PeriodOpened", "RequestsPosted", "ReleasesPosted"]
    chain.sleep(900)
    tx = periodic_market.post_and_match(order_words([(4, 9)]), order_words([(5, 8)]), 9, by)
    assert [name for name, _ in tx.events] == [
        "PeriodOpened",
        "RequestsPosted",
        "ReleasesPosted",
        "Matched",
    ]
    assert tx.events["PeriodOpened"][0]["expired_requests"] == 2
    assert tx.events["PeriodOpened"][0]["expired_releases"] == 2
    assert fills(tx) == [(4, 5, 8)]
    chain.sleep(900)
    tx = periodic_market.post_and_match([], order_words([(5, 8)]), 9, by)
    assert [name for name, _ in tx.events] == ["PeriodOpened", "ReleasesPosted"]
    assert periodic_market.get_request_value() == 0
