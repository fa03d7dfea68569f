"""The end of the counters. Storage is written in place of four billion calls."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import STATE, fills, numbered, order_words, state_word

USED_UP = "energy: counter is used up"
LAST_WORD = 2**32 - 4


@pytest.fixture
def late_market(market, chain):
    """All counters stand at the beginning of their last word."""
    word = state_word(
        request_head=LAST_WORD,
        request_tail=LAST_WORD,
        release_head=LAST_WORD,
        release_tail=LAST_WORD,
        match_counter=LAST_WORD,
    )
    chain.store(market, STATE, word)
    assert market.request_counter() == market.release_counter() == LAST_WORD
    assert market.match_counter() == LAST_WORD
    assert market.check_request_counter() == market.check_release_counter() == 0


@pytest.mark.usefixtures("late_market")
class TestLate:
    def test_the_last_orders_are_posted_one_by_one(self, side, producer, operator):
        for i in range(3):
            tx = side.post(producer, 5 + i, {"from": producer})
            assert tx.events[side.posted][0]["counter"] == LAST_WORD + i
        with reverts(USED_UP):
            side.post(producer, 5, {"from": producer})
        assert side.counter() == 2**32 - 1
        assert side.drain(operator) == [(1, 5), (1, 6), (1, 7)]

    def test_the_last_orders_are_posted_in_a_batch(self, side, operator):
        with reverts(USED_UP):
            side.post_batch(order_words(numbered(4)), {"from": operator})
        side.post_batch(order_words(numbered(3)), {"from": operator})
        with reverts(USED_UP):
            side.post_batch(order_words(numbered(1)), {"from": operator})
        assert side.counter() == 2**32 - 1
        assert side.drain(operator) == numbered(3)

    def test_the_last_matches_are_written(self, market, post, match, consumer):
        post([(1, 10)], [(2, 2), (2, 2), (2, 2)])
        assert fills(match()) == [(1, 2, 2)] * 3
        assert market.match_counter() == 2**32 - 1
        market.consume_match(2**32 - 2, 2, {"from": consumer})
        assert market.get_matching_value(consumer) == 0
        assert [m[0] for m in market.matches_of(consumer)] == [2**32 - 2, 2**32 - 3, 2**32 - 4]

    def test_no_match_is_written_beyond_the_last(self, market, chain, post, match, aggregator):
        chain.store(market, STATE, state_word(match_counter=LAST_WORD))
        post([(1, 1)] * 4, [(2, 1)] * 4)
        with reverts(USED_UP):
            match(4)
        with reverts(USED_UP):
            market.doMatching(4, {"from": aggregator})
        assert match(3).return_value == 3
        with reverts(USED_UP):
            match(1)
        with reverts(USED_UP):
            market.doMatching(1, {"from": aggregator})
        assert market.check_request_counter() == 1
        assert market.match_counter() == 2**32 - 1
