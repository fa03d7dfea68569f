"""The rings of pending orders and of matches: wrapped, full, overwritten by counter."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import (
    ZERO_ADDRESS,
    fills,
    first_come_first_served,
    numbered,
    order_words,
    releases_of,
    requests_of,
)

CAPACITY, MATCH_CAPACITY = 1024, 2048


@pytest.fixture(scope="module")
def full_market(deploy, operator):
    """1,024 requests and 1,024 releases are pending."""
    market = deploy(0)
    requests_of(market).post_all(numbered(CAPACITY), operator)
    releases_of(market).post_all(numbered(CAPACITY), operator)
    return market


@pytest.fixture(scope="module")
def matched_market(deploy, operator):
    """2,048 matches are kept, of meter 1 with meters 2 and 3 in turn; match i is of 1,000 + i Wh.

    Nothing is pending on the side of releases, a large request on the other.
    """
    market = deploy(0)
    requests_of(market).post_all([(1, 2**32 - 1)], operator)
    for start in range(0, MATCH_CAPACITY, 256):
        batch = [(2 + i % 2, 1000 + i) for i in range(start, start + 256)]
        releases_of(market).post_all(batch, operator)
        assert market.match_pending(256, {"from": operator}).return_value == 256
    return market


@pytest.mark.parametrize("count", [CAPACITY - 1, CAPACITY, CAPACITY + 1, 2 * CAPACITY])
def test_both_rings_wrap(market, post, match, count):
    for start in range(0, count, 256):
        orders = numbered(min(256, count - start), start)
        post(orders, orders)
        assert fills(match()) == first_come_first_served(orders, orders)
    post(numbered(5, count), numbered(5, count))
    assert fills(match()) == first_come_first_served(numbered(5, count), numbered(5, count))
    assert market.request_counter() == market.release_counter() == count + 5
    assert market.check_request_counter() == market.check_release_counter() == 0


@pytest.mark.parametrize("count", [CAPACITY - 1, CAPACITY, CAPACITY + 1, 2 * CAPACITY])
def test_a_ring_wraps_while_the_other_does_not(side, operator, count):
    for start in range(0, count, 256):
        orders = numbered(min(256, count - start), start)
        side.post_all(orders, operator)
        side.opposite().post_all([(8, sum(energy for _, energy in orders))], operator)
        matched = fills(side.market.match_pending(256, {"from": operator}))
        assert [fill[2] for fill in matched] == [energy for _, energy in orders]
    assert side.counter() == count
    side.post_all(numbered(9, count), operator)
    assert side.drain(operator) == numbered(9, count)


@pytest.mark.parametrize("before", [1, 3, 5])
def test_a_batch_wraps_in_its_midst(side, operator, before):
    for size in (253 + before, 256, 256, 256):
        side.post_all(numbered(size), operator)
        side.drain(operator)
    assert side.counter() == CAPACITY - 3 + before
    side.post_all(numbered(50), operator)
    side.post_all(numbered(7, 50), operator)
    assert side.drain(operator) == numbered(57)


class TestFull:
    @pytest.fixture
    def market(self, full_market):
        return full_market

    def test_every_slot_is_pending(self, side, meters):
        assert side.outstanding() == side.counter() == CAPACITY
        assert side.head_energy() == 1000
        assert side.slot(CAPACITY - 1) == (meters[7], 1000 + CAPACITY - 1)

    def test_one_more_order_is_refused(self, side, producer):
        with reverts(side.full):
            side.post(producer, 5, {"from": producer})
        assert side.outstanding() == side.counter() == CAPACITY

    @pytest.mark.parametrize("size", [1, 4, 256])
    def test_one_more_batch_is_refused(self, side, operator, size):
        with reverts(side.full):
            side.post_batch(order_words(numbered(size)), {"from": operator})
        assert side.outstanding() == side.counter() == CAPACITY

    def test_a_batch_without_orders_does_not_overwrite_the_head(self, side, operator, producer):
        with reverts("energy: order lacks meter or Wh"):
            side.post_batch([0], {"from": operator})
        assert side.slot(0) == (producer, 1000)
        assert side.head_energy() == 1000

    def test_a_refusal_overwrites_nothing(self, market, match, producer, operator):
        for side in (requests_of(market), releases_of(market)):
            with reverts(side.full):
                side.post(producer, 5, {"from": producer})
            with reverts(side.full):
                side.post_batch(order_words(numbered(256)), {"from": operator})
        matched = [fill for _ in range(4) for fill in fills(match())]
        assert matched == first_come_first_served(numbered(CAPACITY), numbered(CAPACITY))

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_there_is_room_only_up_to_the_word_of_the_head(self, side, match, producer, count):
        match(count)
        assert side.outstanding() == CAPACITY - count
        with reverts(side.full):
            side.post(producer, 5, {"from": producer})
        assert side.head_energy() == 1000 + count

    def test_a_word_that_is_matched_is_free(self, side, match, meters, operator):
        match(4)
        for i in range(4):
            tx = side.post(meters[0], 5 + i, {"from": meters[0]})
            assert tx.events[side.posted][0]["counter"] == CAPACITY + i
        with reverts(side.full):
            side.post(meters[0], 5, {"from": meters[0]})
        assert [side.slot(i) for i in range(4)] == [(meters[0], 5 + i) for i in range(4)]
        assert side.slot(4) == (meters[4], 1004)
        while fills(match()):
            pass
        assert side.outstanding() == 4
        assert side.drain(operator)[-4:] == [(1, 5), (1, 6), (1, 7), (1, 8)]

    def test_a_batch_takes_exactly_the_room_there_is(self, side, match, operator):
        match(7)
        with reverts(side.full):
            side.post_batch(order_words(numbered(5)), {"from": operator})
        side.post_batch(order_words(numbered(4)), {"from": operator})
        assert side.outstanding() == CAPACITY - 7 + 4
        assert side.head_energy() == 1007

    def test_a_zero_word_in_the_last_room_does_not_overwrite_the_head(self, side, match, operator):
        match(4)
        with reverts("energy: order lacks meter or Wh"):
            side.post_batch([*order_words(numbered(4)), 0], {"from": operator})
        assert side.head_energy() == 1004

    def test_a_head_filled_in_part_keeps_its_slot(self, market, aggregator, producer):
        market.doMatching(600, {"from": aggregator})
        for side in (requests_of(market), releases_of(market)):
            with reverts(side.full):
                side.post(producer, 5, {"from": producer})
            assert side.head_energy() == 400
            assert side.energy_of(producer) == sum(1000 + i for i in range(0, CAPACITY, 8)) - 600


class TestMatches:
    @pytest.fixture
    def market(self, matched_market):
        return matched_market

    def test_2048_matches_are_kept(self, market, meters):
        assert market.match_counter() == MATCH_CAPACITY
        for i in (0, 1, 3, 4, 1023, 1024, MATCH_CAPACITY - 1):
            assert market.match_at(i) == (i, meters[0], meters[1 + i % 2], 1000 + i)
        assert market.match_at(MATCH_CAPACITY) == (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)

    def test_all_of_them_are_listed(self, market, meters):
        listed = market.matches_of(meters[1])
        assert [match[0] for match in listed] == list(range(MATCH_CAPACITY - 2, -1, -2))

    def test_the_oldest_of_them_can_be_consumed(self, market, meters, operator):
        market.consume_match(0, 1000, {"from": meters[1]})
        market.confirm_deliveries(0, [1001 << 128], {"from": operator})
        assert [market.match_at(i)[3] for i in range(4)] == [0, 0, 1002, 1003]

    def test_the_next_match_overwrites_a_word(self, market, post, match, meters, operator):
        post([], [(4, 7)])
        assert match().events["Matched"][0]["first"] == MATCH_CAPACITY
        assert market.match_at(MATCH_CAPACITY) == (MATCH_CAPACITY, meters[0], meters[3], 7)
        for i in range(4):
            assert market.match_at(i) == (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)
            with reverts("energy: match is not kept"):
                market.consume_match(i, 1, {"from": meters[1 + i % 2]})
        with reverts("energy: match is not kept"):
            market.confirm_deliveries(0, [1 << 192], {"from": operator})
        assert market.match_at(4) == (4, meters[0], meters[1], 1004)
        market.confirm_deliveries(4, [1004 << 192], {"from": operator})

    def test_an_overwritten_match_is_not_credited_to_another(
        self, market, post, match, meters, operator
    ):
        post([], [(4, 7)])
        match()
        for account in (meters[0], meters[1], meters[3], operator):
            with reverts("energy: match is not kept"):
                market.consume_match(0, 1, {"from": account})
        assert market.get_matching_value(meters[3]) == 7
        assert [entry[0] for entry in market.matches_of(meters[3])] == [MATCH_CAPACITY]
        assert market.matches_of(meters[1])[-1][0] == 4

    def test_small_calls_keep_as_much_as_a_large_one(self, market, post, match, meters):
        post([], [(4, 1)] * 10)
        for i in range(1, 11):
            match(1)
            oldest = (i + 3) // 4 * 4
            assert market.match_at(oldest)[3] == 1000 + oldest
            assert market.match_at(oldest - 1) == (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)
        with reverts("energy: match is not kept"):
            market.consume_match(11, 1, {"from": meters[2]})
        market.consume_match(12, 1, {"from": meters[1]})

    def test_a_consumer_whose_matches_are_overwritten_has_none(self, deploy, operator, meters):
        market = deploy(0)
        requests_of(market).post_all([(1, 2**32 - 1)], operator)
        releases_of(market).post_all([(5, 50)], operator)
        for _ in range(8):
            releases_of(market).post_all([(2, 1)] * 256, operator)
            market.match_pending(256, {"from": operator})
        assert market.match_counter() == MATCH_CAPACITY
        assert market.get_matching_value(meters[4]) == 50
        market.match_pending(256, {"from": operator})
        assert market.get_matching_value(meters[4]) == 0
        assert market.outgoingRelease(meters[4]) == ZERO_ADDRESS
        with reverts("energy: consumer has no match"):
            market.consume(meters[4], 1, {"from": meters[4]})
