"""The defects of the contract this one descends from, each named after what must hold here."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import ZERO_ADDRESS, fills, storage

CANNOT_MATCH = "energy: cannot match that much"
NOT_AN_ENERGY = "energy: value not 1..2**32-1 Wh"
NOT_THE_OPERATOR = "energy: sender is not operator"


def test_01_nobody_posts_or_matches_for_another(market, post, producer, consumer, stranger):
    post([(1, 60)], [(2, 60)])
    with reverts(NOT_THE_OPERATOR):
        market.incomingRequest(producer, 5, {"from": stranger})
    with reverts(NOT_THE_OPERATOR):
        market.incomingRelease(consumer, 5, {"from": stranger})
    with reverts("energy: sender is not aggregator"):
        market.doMatching(60, {"from": stranger})
    assert (market.request(producer), market.release(consumer)) == (60, 60)


@pytest.mark.parametrize("energy", [500, 2**32 - 1])
def test_02_no_more_is_matched_than_is_needed(market, post, aggregator, energy):
    post([(1, 1000)], [(2, 10)])
    with reverts(CANNOT_MATCH):
        market.doMatching(energy, {"from": aggregator})
    with reverts(NOT_AN_ENERGY):
        market.doMatching(2**255 - 1, {"from": aggregator})
    assert market.match_counter() == 0
    market.doMatching(10, {"from": aggregator})
    assert market.match_at(0)[3] == 10


def test_03_no_energy_is_negative(market, producer, consumer, aggregator):
    market.incomingRequest(producer, 10, {"from": producer})
    with reverts(NOT_AN_ENERGY):
        market.incomingRelease(consumer, -1000, {"from": consumer})
    with reverts(NOT_AN_ENERGY):
        market.doMatching(-1000, {"from": aggregator})
    assert market.request(producer) == 10


@pytest.mark.parametrize(("energy", "reason"), [(-250, NOT_AN_ENERGY), (250, NOT_THE_OPERATOR)])
def test_04_a_stranger_does_not_change_what_a_victim_posted(
    market, producer, stranger, energy, reason
):
    market.incomingRequest(producer, 100, {"from": producer})
    with reverts(reason):
        market.incomingRequest(producer, energy, {"from": stranger})
    assert market.request(producer) == 100


def test_05_sums_do_not_wrap(market, producer):
    for energy in (2**255 - 1, -(2**255), 2**32):
        with reverts(NOT_AN_ENERGY):
            market.incomingRequest(producer, energy, {"from": producer})
    for _ in range(3):
        market.incomingRequest(producer, 2**32 - 1, {"from": producer})
    assert market.request(producer) == 3 * (2**32 - 1)


def test_06_a_partial_fill_loses_nothing(market, post, match, producer):
    post([(1, 100)], [(2, 30)])
    match()
    assert market.check_request_counter() == 1
    assert market.request(producer) == 70
    post([], [(3, 70)])
    assert fills(match()) == [(1, 3, 70)]


def test_07_the_oldest_consumer_is_served_before_twenty_newer_rounds(market, post, match, consumer):
    post([], [(2, 10)])
    for _ in range(20):
        post([(1, 10)], [(3, 10)])
        match(1)
    assert market.release(consumer) == 0
    assert market.matches_of(consumer)[0][0] == 0


def test_08_a_small_order_at_the_head_blocks_nobody(market, post, match, aggregator):
    post([(1, 100), (3, 5)], [(2, 50)])
    assert fills(match()) == [(1, 2, 50)]
    post([], [(4, 55)])
    tx = market.doMatching(55, {"from": aggregator})
    assert fills(tx) == [(1, 4, 50), (3, 4, 5)]


def test_09_a_hundred_small_orders_deny_no_service(market, post, match, producer, consumer):
    post([(1, 1)] * 100, [])
    tx = market.incomingRequest(producer, 7, {"from": producer})
    assert tx.gas_used < 100_000
    market.incomingRelease(consumer, 107, {"from": consumer})
    assert sum(fill[2] for fill in fills(match())) == 107


def test_10_a_second_order_of_a_consumer_does_not_overwrite_its_first(market, match, post):
    post([], [(2, 50), (2, 7)])
    assert market.release(market.meter_address(2)) == 57
    post([(1, 100)], [])
    assert fills(match()) == [(1, 2, 50), (1, 2, 7)]


def test_11_two_orders_of_a_producer_are_two_orders(market, match, post, producer):
    post([(1, 60), (1, 40)], [(2, 80)])
    assert [market.pending_requests(i)[1] for i in range(2)] == [60, 40]
    assert fills(match()) == [(1, 2, 60), (1, 2, 20)]
    assert market.request(producer) == market.get_request_value() == 20


def test_12_demand_that_is_matched_does_not_grow(market, match, post, consumer):
    post([(1, 10)], [(2, 10)])
    match()
    assert market.release(consumer) == 0
    assert market.get_matching_value(consumer) == 10


def test_13_a_new_match_keeps_those_before_it(market, match, post, producer, consumer, meters):
    post([(1, 10)], [(2, 10)])
    match()
    post([(3, 20)], [(2, 20)])
    match()
    assert market.matches_of(consumer) == [
        (1, meters[2], consumer, 20),
        (0, producer, consumer, 10),
    ]


def test_14_a_stranger_does_not_rewrite_what_was_consumed(market, match, post, consumer, stranger):
    post([(1, 10)], [(2, 10)])
    match()
    market.consume(consumer, 4, {"from": consumer})
    with reverts(NOT_THE_OPERATOR):
        market.consume(consumer, 6, {"from": stranger})
    with reverts(NOT_THE_OPERATOR):
        market.consume_match(0, 6, {"from": stranger})
    assert market.get_matching_value(consumer) == 6


def test_15_reading_changes_nothing(market, match, post, consumer, producer, stranger):
    post([(1, 10)], [(2, 77)])
    match()
    before = storage(market)
    assert market.get_mapping_data(consumer, {"from": stranger}) == producer
    assert market.outgoingRelease(consumer, {"from": stranger}) == producer
    assert storage(market) == before
    assert market.release(consumer) == 67


def test_16_a_post_that_lands_first_changes_no_pair(market, post, aggregator, meters):
    # Between reading what is needed and matching it, another meter posts on each side.
    post([(1, 50)], [(2, 50)])
    needed = market.get_release_value()
    market.incomingRequest(meters[2], 50, {"from": meters[2]})
    market.incomingRelease(meters[3], 50, {"from": meters[3]})
    assert fills(market.doMatching(needed, {"from": aggregator})) == [(1, 2, 50)]


def test_17_own_use_conserves_energy(market, match, post, producer):
    post([(1, 30)], [(1, 50)])
    assert fills(match()) == [(1, 1, 30)]
    assert (market.request(producer), market.release(producer)) == (0, 20)
    assert market.match_at(0) == (0, producer, producer, 30)


def test_18_the_zero_address_does_not_trade(market, operator):
    for function in (market.incomingRequest, market.incomingRelease):
        with reverts("energy: meter is not registered"):
            function(ZERO_ADDRESS, 5, {"from": operator})
    with reverts("energy: address is zero"):
        market.register_meters([ZERO_ADDRESS], {"from": operator})


def test_19_empty_queues_burn_no_gas(market, match, aggregator, consumer):
    assert match().gas_used < 30_000
    assert market.get_request_value() == market.get_release_value() == 0
    assert market.check_request_counter() == market.check_release_counter() == 0
    assert market.outgoingRelease(consumer) == market.get_mapping_data(consumer) == ZERO_ADDRESS
    with reverts(CANNOT_MATCH) as error:
        market.doMatching(5, {"from": aggregator})
    assert error.gas_used < 40_000


def test_20_every_change_is_logged(market, owner, aggregator, operator, producer, newcomer):
    by = {"from": operator}
    changes = [
        (market.incomingRequest(producer, 9, by), "RequestPosted"),
        (market.incomingRelease(producer, 5, by), "ReleasePosted"),
        (market.post_requests([1 << 32 | 9], by), "RequestsPosted"),
        (market.post_releases([1 << 32 | 5], by), "ReleasesPosted"),
        (market.post_and_match([], [1 << 32 | 1], 0, by), "ReleasesPosted"),
        (market.doMatching(2, {"from": aggregator}), "PairMatched"),
        (market.match_pending(9, by), "Matched"),
        (market.consume(producer, 1, by), "DeliveryConfirmed"),
        (market.consume_match(0, 1, by), "DeliveryConfirmed"),
        (market.confirm_deliveries(0, [1 << 192], by), "DeliveriesConfirmed"),
        (market.confirm_matches(0, 2, by), "MatchesConfirmed"),
        (market.register_meters([newcomer], by), "MeterRegistered"),
        (market.retire_meter(newcomer, by), "MeterRetired"),
        (market.set_aggregator(newcomer, {"from": owner}), "AggregatorChanged"),
        (market.set_metering_operator(newcomer, {"from": owner}), "MeteringOperatorChanged"),
        (market.pause({"from": owner}), "Paused"),
        (market.unpause({"from": owner}), "Unpaused"),
        (market.transfer_ownership(newcomer, {"from": owner}), "OwnershipTransferStarted"),
        (market.accept_ownership({"from": newcomer}), "OwnershipTransferred"),
    ]
    assert [tx.events[0][0] for tx, _ in changes] == [name for _, name in changes]


def test_21_orders_expire_and_the_owner_can_pause(periodic_market, chain, producer, owner):
    periodic_market.incomingRequest(producer, 5, {"from": producer})
    chain.sleep(900)
    assert periodic_market.check_request_counter() == 0
    assert periodic_market.owner() == owner
    periodic_market.pause({"from": owner})
    with reverts("energy: market is paused"):
        periodic_market.incomingRequest(producer, 5, {"from": producer})
