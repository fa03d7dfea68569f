"""Posting one order: incomingRequest and incomingRelease."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import ZERO_ADDRESS

INVALID = [0, -1, -1000, 2**32, 2**255 - 1, -(2**255)]


def test_a_meter_posts_for_itself(side, producer):
    tx = side.post(producer, 250, {"from": producer})
    assert tx.events == [(side.posted, {"meter": producer, "counter": 0, "energy": 250})]
    assert side.counter() == 1
    assert side.outstanding() == 1
    assert side.head_energy() == 250
    assert side.energy_of(producer) == 250
    assert side.slot(0) == (producer, 250)


def test_the_metering_operator_posts_for_a_meter(side, producer, operator):
    tx = side.post(producer, 250, {"from": operator})
    assert tx.events == [(side.posted, {"meter": producer, "counter": 0, "energy": 250})]
    assert side.slot(0) == (producer, 250)


@pytest.mark.parametrize("role", ["stranger", "consumer", "owner", "aggregator"])
def test_nobody_else_posts_for_a_meter(side, producer, role, request):
    with reverts("energy: sender is not operator"):
        side.post(producer, 250, {"from": request.getfixturevalue(role)})
    assert side.counter() == 0


@pytest.mark.parametrize("energy", [1, 2**32 - 1])
def test_the_least_and_the_most_energy_are_accepted(side, producer, energy):
    tx = side.post(producer, energy, {"from": producer})
    assert tx.events == [(side.posted, {"meter": producer, "counter": 0, "energy": energy})]
    assert side.head_energy() == energy
    assert side.slot(0) == (producer, energy)


@pytest.mark.parametrize("energy", INVALID)
def test_energy_outside_an_order_is_refused(side, producer, energy):
    with reverts("energy: value not 1..2**32-1 Wh"):
        side.post(producer, energy, {"from": producer})
    assert side.counter() == 0


def test_an_unregistered_meter_does_not_post(side, stranger):
    with reverts("energy: meter is not registered"):
        side.post(stranger, 5, {"from": stranger})
    assert side.counter() == 0


def test_the_operator_does_not_post_for_an_unregistered_meter(side, stranger, operator):
    with reverts("energy: meter is not registered"):
        side.post(stranger, 5, {"from": operator})


def test_the_zero_address_does_not_trade(side, operator):
    with reverts("energy: meter is not registered"):
        side.post(ZERO_ADDRESS, 5, {"from": operator})


def test_a_second_order_of_a_meter_stands_behind_the_first(side, producer):
    side.post(producer, 50, {"from": producer})
    tx = side.post(producer, 7, {"from": producer})
    assert tx.events == [(side.posted, {"meter": producer, "counter": 1, "energy": 7})]
    assert [side.slot(0), side.slot(1)] == [(producer, 50), (producer, 7)]
    assert side.head_energy() == 50
    assert side.energy_of(producer) == 57


def test_orders_fill_word_after_word(side, meters):
    for i in range(9):
        side.post(meters[i % 8], 10 + i, {"from": meters[i % 8]})
    assert [side.slot(i) for i in range(9)] == [(meters[i % 8], 10 + i) for i in range(9)]
    assert side.slot(9) == (ZERO_ADDRESS, 0)
    assert side.counter() == side.outstanding() == 9


def test_one_side_does_not_touch_the_other(side, producer):
    side.post(producer, 250, {"from": producer})
    other = side.opposite()
    assert (other.counter(), other.outstanding(), other.head_energy()) == (0, 0, 0)
    assert other.energy_of(producer) == 0
    assert other.slot(0) == (ZERO_ADDRESS, 0)


def test_a_meter_may_post_on_both_sides(market, producer):
    market.incomingRequest(producer, 30, {"from": producer})
    market.incomingRelease(producer, 20, {"from": producer})
    assert market.request(producer) == 30
    assert market.release(producer) == 20


def test_posting_matches_nothing(market, producer, consumer):
    market.incomingRequest(producer, 30, {"from": producer})
    tx = market.incomingRelease(consumer, 30, {"from": consumer})
    assert [name for name, _ in tx.events] == ["ReleasePosted"]
    assert market.match_counter() == 0
