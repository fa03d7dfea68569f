"""Delivery periods: orders expire with theirs, matches do not."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import fills, first_come_first_served, numbered, order_words

LENGTH = 900
FIRST = 1_888_889
"""The period in which the chain begins."""


@pytest.fixture
def market(periodic_market):
    return periodic_market


@pytest.fixture
def next_period(chain):
    """Goes to the first second of the next period, or of a later one."""

    def next_period(periods=1):
        chain.sleep((chain.time() // LENGTH + periods) * LENGTH - chain.time())

    return next_period


def opened(period, requests=0, releases=0):
    fields = {"period": period, "expired_requests": requests, "expired_releases": releases}
    return ("PeriodOpened", fields)


def calls(market, producer, operator):
    return {
        "incomingRequest": lambda: market.incomingRequest(producer, 5, {"from": producer}),
        "incomingRelease": lambda: market.incomingRelease(producer, 5, {"from": producer}),
        "post_requests": lambda: market.post_requests([1 << 32 | 5], {"from": operator}),
        "post_releases": lambda: market.post_releases([1 << 32 | 5], {"from": operator}),
        "post_and_match": lambda: market.post_and_match(
            [1 << 32 | 5], [1 << 32 | 5], 0, {"from": operator}
        ),
        "match_pending": lambda: market.match_pending(1, {"from": operator}),
    }


CALLS = {
    "incomingRequest": (1, 0),
    "incomingRelease": (0, 1),
    "post_requests": (1, 0),
    "post_releases": (0, 1),
    "post_and_match": (1, 1),
    "match_pending": (0, 0),
}
"""How many requests and releases each posts."""


def test_the_period_is_the_time_by_its_length(market, chain, next_period):
    assert market.period_length() == LENGTH
    assert market.current_period() == chain.time() // LENGTH == FIRST
    next_period()
    assert market.current_period() == FIRST + 1


@pytest.mark.parametrize("call", CALLS)
def test_the_first_call_opens_the_period(market, producer, operator, call):
    calls_ = calls(market, producer, operator)
    assert calls_[call]().events[0] == opened(FIRST)
    assert calls_[call]().events["PeriodOpened"] == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("requests", "releases"), [(1, 0), (0, 2), (5, 3), (4, 8), (7, 256)])
def test_what_was_pending_expires_in_the_first_call(
    market, post, next_period, producer, operator, call, requests, releases
):
    post(numbered(requests), numbered(releases))
    next_period()
    tx = calls(market, producer, operator)[call]()
    assert tx.events[0] == opened(FIRST + 1, requests, releases)
    posted = CALLS[call]
    assert len(tx.events) == 1 + sum(posted)
    assert (market.check_request_counter(), market.check_release_counter()) == posted
    assert market.request_counter() == requests + posted[0]
    assert market.release_counter() == releases + posted[1]
    assert market.match_counter() == 0


def test_what_expired_cannot_be_matched_in_the_first_call(market, post, next_period, stranger):
    post([(1, 60)], [(2, 60)])
    next_period()
    tx = market.match_pending(256, {"from": stranger})
    assert tx.events == [opened(FIRST + 1, 1, 1)]
    assert tx.return_value == 0


def test_do_matching_does_not_match_what_expired(market, post, next_period, aggregator):
    post([(1, 60)], [(2, 60)])
    next_period()
    with reverts("energy: cannot match that much"):
        market.doMatching(60, {"from": aggregator})


def test_do_matching_in_the_period_that_was_opened(market, post, match, next_period, aggregator):
    post([(1, 60)], [(2, 60)])
    next_period()
    post([(1, 50)], [(2, 50)])
    tx = market.doMatching(20, {"from": aggregator})
    assert [name for name, _ in tx.events] == ["PairMatched"]
    assert fills(tx) == [(1, 2, 20)]
    assert fills(match()) == [(1, 2, 30)]


def test_heads_filled_in_part_expire_as_one_order_each(post, match, next_period):
    post([(1, 100), (3, 5)], [(2, 30)])
    match()
    next_period()
    assert match().events == [opened(FIRST + 1, 2, 0)]


def test_what_was_filled_of_an_expired_head_is_forgotten(side, match, next_period, operator):
    side.post_all([(1, 100)], operator)
    side.opposite().post_all([(2, 30)], operator)
    match()
    assert side.head_energy() == 70
    next_period()
    side.post_all([(3, 40)], operator)
    assert side.head_energy() == 40
    assert side.drain(operator) == [(3, 40)]


@pytest.mark.parametrize("expired", range(1, 6))
def test_new_orders_share_a_word_with_expired_ones(market, post, match, next_period, expired):
    post(numbered(expired), numbered(expired + 1))
    next_period()
    post(numbered(7, 50), numbered(9, 80))
    expected = first_come_first_served(numbered(7, 50), numbered(9, 80))
    assert market.get_request_value() == 1050
    assert fills(match()) == expected


def test_nothing_shows_as_pending_before_the_first_call(
    market, post, match, next_period, producer, consumer
):
    post([(1, 100), (1, 50)], [(2, 30), (2, 10)])
    match(1)
    next_period()
    assert market.check_request_counter() == market.check_release_counter() == 0
    assert market.get_request_value() == market.get_release_value() == 0
    assert market.request(producer) == market.release(consumer) == 0
    assert market.pending_requests(0) == (producer, 100)
    assert market.request_counter() == market.release_counter() == 2


def test_matches_of_earlier_periods_can_be_consumed(
    market, post, match, next_period, consumer, operator
):
    post([(1, 60), (1, 20)], [(2, 60), (2, 20)])
    match()
    next_period(3)
    tx = market.consume_match(0, 25, {"from": consumer})
    assert tx.events == [("DeliveryConfirmed", {"index": 0, "energy": 25})]
    market.consume(consumer, 5, {"from": consumer})
    market.confirm_deliveries(0, [35 << 192 | 15 << 128], {"from": operator})
    assert [market.match_at(i)[3] for i in range(2)] == [0, 0]


def test_consuming_opens_no_period(market, post, match, next_period, consumer):
    post([(1, 60)], [(2, 60), (2, 5)])
    match()
    next_period()
    market.consume(consumer, 5, {"from": consumer})
    assert match().events == [opened(FIRST + 1, 0, 1)]


def test_match_counters_go_on_over_periods(market, post, match, next_period):
    post([(1, 60)], [(2, 60)])
    match()
    next_period()
    post([(3, 40)], [(4, 40)])
    assert match().events["Matched"][0]["first"] == 1
    assert [market.match_at(i)[3] for i in range(2)] == [60, 40]


def test_several_periods_may_pass_without_a_call(post, match, next_period):
    post([(1, 60)] * 3, [])
    next_period(96)
    assert match().events == [opened(FIRST + 96, 3, 0)]
    assert match().events == []


def test_orders_last_to_the_last_second_of_their_period(market, post, match, chain):
    post([(1, 60)], [(2, 50)])
    chain.sleep((FIRST + 1) * LENGTH - 1 - chain.time())
    assert market.check_request_counter() == 1
    assert fills(match()) == [(1, 2, 50)]
    assert chain.time() == (FIRST + 1) * LENGTH
    assert market.check_request_counter() == 0
    assert match().events == [opened(FIRST + 1, 1, 0)]


def test_expired_orders_give_their_room_back(side, next_period, operator):
    side.post_all(numbered(1023), operator)
    with reverts(side.full):
        side.post_batch(order_words(numbered(4)), {"from": operator})
    next_period()
    for start in range(0, 1021, 256):
        side.post_all(numbered(min(256, 1021 - start), start), operator)
    with reverts(side.full):
        side.post_batch(order_words(numbered(1)), {"from": operator})
    assert side.drain(operator) == numbered(1021)


def test_a_pause_outlasts_a_period(market, post, match, next_period, owner, producer):
    post([(1, 60)], [(2, 60)])
    market.pause({"from": owner})
    next_period()
    assert market.check_request_counter() == 0
    with reverts("energy: market is paused"):
        market.incomingRequest(producer, 5, {"from": producer})
    market.unpause({"from": owner})
    assert match().events == [opened(FIRST + 1, 1, 1)]
    assert not market.paused()


@pytest.mark.parametrize("seconds", [899, 900, 86_400 * 365 * 50])
def test_without_a_period_length_nothing_expires(deploy, chain, stranger, producer, seconds):
    market = deploy(0)
    tx = market.incomingRequest(producer, 60, {"from": producer})
    assert tx.events["PeriodOpened"] == []
    chain.sleep(seconds)
    assert market.period_length() == market.current_period() == 0
    assert market.check_request_counter() == 1
    market.incomingRelease(producer, 60, {"from": producer})
    assert market.match_pending(1, {"from": stranger}).return_value == 1


@pytest.mark.parametrize("length", [0, 60, 61, 900, 31_622_400])
def test_period_lengths_that_are_accepted(EnergyContract, chain, aggregator, operator, length):
    market = EnergyContract.deploy(aggregator, operator, length, {"from": operator})
    assert market.period_length() == length
    assert market.current_period() == (chain.time() // length if length else 0)


@pytest.mark.parametrize("length", [1, 59, 31_622_401, 2**256 - 1])
def test_period_lengths_that_are_refused(EnergyContract, aggregator, operator, length):
    with reverts("energy: period length is invalid"):
        EnergyContract.deploy(aggregator, operator, length, {"from": operator})
