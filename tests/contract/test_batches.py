"""Posting packed orders: post_requests and post_releases."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import METER_AT, PRICE_AT, ZERO_ADDRESS, numbered, order_words

MALFORMED = "energy: order lacks meter or Wh"


def lane(meter, energy, price=0):
    return price << PRICE_AT | meter << METER_AT | energy


def test_lanes_are_laid_out_as_drawn(market, operator, producer, consumer):
    market.post_requests([0x0000_0001_00000064 | 0x0000_0002_000000C8 << 64], {"from": operator})
    market.post_releases([0x0000_0001_0000012C | 0x0000_0002_00000190 << 64], {"from": operator})
    assert market.pending_requests(0) == (producer, 100)
    assert market.pending_requests(1) == (consumer, 200)
    assert market.pending_release(0) == (producer, 300)
    assert market.pending_release(1) == (consumer, 400)


@pytest.mark.parametrize("alignment", range(4))
@pytest.mark.parametrize("size", [1, 3, 4, 5, 8, 255, 256])
def test_a_batch_of_any_size_leaves_no_gap(side, operator, meters, size, alignment):
    before = [(8, 9)] * alignment
    for _ in before:
        side.post(meters[7], 9, {"from": meters[7]})
    orders = numbered(size)
    tx = side.post_batch(order_words(orders), {"from": operator})
    assert tx.events == [(side.batch_posted, {"first": alignment, "words": order_words(orders)})]
    expected = before + orders
    assert side.counter() == side.outstanding() == len(expected)
    slots = [(meters[number - 1], energy) for number, energy in expected]
    slots += [(ZERO_ADDRESS, 0)] * 5
    for i in {*range(12), *range(len(expected) - 5, len(slots))} & set(range(len(slots))):
        assert side.slot(i) == slots[i]
    assert side.drain(operator) == expected


@pytest.mark.parametrize(("first", "second"), [(5, 6), (1, 1), (3, 256), (256, 7), (2, 2), (4, 3)])
def test_two_batches_in_a_row_leave_no_gap(side, operator, first, second):
    side.post_batch(order_words(numbered(first)), {"from": operator})
    tx = side.post_batch(order_words(numbered(second, first)), {"from": operator})
    assert tx.events[side.batch_posted][0]["first"] == first
    assert side.drain(operator) == numbered(first + second)


@pytest.mark.parametrize("size", range(1, 6))
def test_single_orders_follow_a_batch(side, operator, producer, size):
    side.post_batch(order_words(numbered(size)), {"from": operator})
    side.post(producer, 3, {"from": producer})
    side.post(producer, 4, {"from": producer})
    assert side.drain(operator) == [*numbered(size), (1, 3), (1, 4)]


def test_a_batch_may_hold_several_orders_of_a_meter(side, operator, producer):
    side.post_batch(order_words([(1, 10), (1, 20), (1, 30)]), {"from": operator})
    assert side.energy_of(producer) == 60


def test_the_least_and_the_most_energy_are_accepted(side, operator, producer, meters):
    side.post_batch(order_words([(1, 1), (8, 2**32 - 1)]), {"from": operator})
    assert side.slot(0) == (producer, 1)
    assert side.slot(1) == (meters[7], 2**32 - 1)


@pytest.mark.parametrize("role", ["stranger", "producer", "owner", "aggregator"])
def test_only_the_operator_posts_batches(side, role, request):
    with reverts("energy: sender is not operator"):
        side.post_batch(order_words([(1, 5)]), {"from": request.getfixturevalue(role)})
    assert side.counter() == 0


def test_an_empty_batch_is_refused(side, operator):
    with reverts("energy: batch is empty"):
        side.post_batch([], {"from": operator})


def test_a_batch_above_256_is_refused(side, operator):
    with reverts():
        side.post_batch(order_words(numbered(256)) + order_words([(1, 5)]), {"from": operator})
    assert side.counter() == 0


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("wrong", [(0, 5), (1, 0), (9, 5), (65535, 5)])
def test_one_order_that_is_not_good_refuses_the_batch(side, operator, at, wrong):
    orders = numbered(8)
    orders[4 + at] = wrong
    with reverts(MALFORMED):
        side.post_batch(order_words(orders), {"from": operator})
    assert side.counter() == 0


@pytest.mark.parametrize("wrong", [(0, 5), (1, 0), (9, 5)])
def test_the_last_order_of_the_largest_batch_is_checked(side, operator, wrong):
    with reverts(MALFORMED):
        side.post_batch(order_words([*numbered(255), wrong]), {"from": operator})
    assert side.counter() == 0


@pytest.mark.parametrize("gap", [0b1110, 0b1101, 0b1011, 0b1000, 0b0100, 0b0010, 0b0110])
def test_a_gap_in_the_last_word_is_refused(side, operator, gap):
    word = sum(lane(1, 5) << 64 * i for i in range(4) if gap >> i & 1)
    with reverts(MALFORMED):
        side.post_batch([word], {"from": operator})
    assert side.counter() == 0


@pytest.mark.parametrize("lanes", range(4))
def test_a_word_before_the_last_is_full(side, operator, lanes):
    part = sum(lane(1, 5) << 64 * i for i in range(lanes))
    with reverts(MALFORMED):
        side.post_batch([part, lane(1, 5)], {"from": operator})
    assert side.counter() == 0


def test_a_word_without_orders_is_refused(side, operator):
    with reverts(MALFORMED):
        side.post_batch([0], {"from": operator})


def test_a_word_without_orders_behind_a_full_one_is_refused(side, operator):
    with reverts(MALFORMED):
        side.post_batch([*order_words(numbered(4)), 0], {"from": operator})
    assert side.counter() == 0


@pytest.mark.parametrize("price", [1, 0x8000, 0xFFFF])
@pytest.mark.parametrize("at", range(4))
def test_the_limit_price_is_reserved(side, operator, at, price):
    word = order_words(numbered(4))[0] | price << (64 * at + PRICE_AT)
    with reverts("energy: limit price is not zero"):
        side.post_batch([word], {"from": operator})
    assert side.counter() == 0


@pytest.mark.parametrize("meter", [0, 9, 0xFFFF])
@pytest.mark.parametrize("at", range(4))
def test_a_limit_price_is_named_before_what_an_order_lacks(side, operator, at, meter):
    # The check of four lanes at once is only good for orders without a price.
    lanes = [lane(1, 5)] * 4
    lanes[at] = lane(meter, 0, price=0xFFFF)
    with reverts("energy: limit price is not zero"):
        side.post_batch([sum(one << 64 * i for i, one in enumerate(lanes))], {"from": operator})


def test_two_wrong_orders_do_not_make_up_for_each_other(side, operator):
    # The check counts good orders of each lane: a fifth lane cannot stand in for a bad one.
    with reverts(MALFORMED):
        side.post_batch([*order_words([(1, 5), (1, 5), (0, 5), (1, 5)]), 0], {"from": operator})


def test_a_refused_batch_leaves_what_was_pending(side, operator, producer):
    side.post(producer, 3, {"from": producer})
    with reverts(MALFORMED):
        side.post_batch(order_words([*numbered(4), (9, 5)]), {"from": operator})
    assert side.counter() == 1
    assert side.slot(1) == (ZERO_ADDRESS, 0)
    assert side.drain(operator) == [(1, 3)]
