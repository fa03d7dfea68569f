"""Pausing: posting and matching stop, all else goes on."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import fills

PAUSED = "energy: market is paused"


def test_the_owner_pauses_and_unpauses(market, owner):
    assert not market.paused()
    assert market.pause({"from": owner}).events == [("Paused", {"account": owner})]
    assert market.paused()
    assert market.unpause({"from": owner}).events == [("Unpaused", {"account": owner})]
    assert not market.paused()


@pytest.mark.parametrize("role", ["stranger", "producer", "aggregator", "operator"])
def test_nobody_else_does(market, owner, role, request):
    sender = request.getfixturevalue(role)
    with reverts("energy: sender is not the owner"):
        market.pause({"from": sender})
    market.pause({"from": owner})
    with reverts("energy: sender is not the owner"):
        market.unpause({"from": sender})
    assert market.paused()


def test_a_pause_does_not_begin_twice(market, owner):
    market.pause({"from": owner})
    with reverts(PAUSED):
        market.pause({"from": owner})
    assert market.paused()


def test_a_pause_that_did_not_begin_does_not_end(market, owner):
    with reverts("energy: market is not paused"):
        market.unpause({"from": owner})
    assert not market.paused()


@pytest.fixture(params=["without periods", "with periods"])
def any_market(request, market, periodic_market):
    return market if request.param == "without periods" else periodic_market


@pytest.mark.parametrize(
    ("call", "role", "arguments"),
    [
        ("incomingRequest", "producer", ["producer", 5]),
        ("incomingRelease", "producer", ["producer", 5]),
        ("post_requests", "operator", [[1 << 32 | 5]]),
        ("post_releases", "operator", [[1 << 32 | 5]]),
        ("post_and_match", "operator", [[1 << 32 | 5], [], 0]),
        ("match_pending", "stranger", [1]),
        ("doMatching", "aggregator", [5]),
    ],
)
def test_posting_and_matching_stop_and_go_on(
    any_market, call, role, arguments, owner, producer, request
):
    sender = request.getfixturevalue(role)
    arguments = [producer if argument == "producer" else argument for argument in arguments]
    any_market.incomingRequest(producer, 5, {"from": producer})
    any_market.incomingRelease(producer, 5, {"from": producer})
    any_market.pause({"from": owner})
    with reverts(PAUSED):
        getattr(any_market, call)(*arguments, {"from": sender})
    any_market.unpause({"from": owner})
    assert getattr(any_market, call)(*arguments, {"from": sender}).events


def test_what_is_pending_stays_pending(market, post, match, owner, producer, consumer):
    post([(1, 100), (3, 5)], [(2, 30)])
    match()
    market.pause({"from": owner})
    assert market.check_request_counter() == 2
    assert market.get_request_value() == market.request(producer) == 70
    assert market.get_matching_value(consumer) == 30
    assert market.match_counter() == 1
    market.unpause({"from": owner})
    post([], [(4, 72)])
    assert fills(match()) == [(1, 4, 70), (3, 4, 2)]


def test_meters_and_roles_change_in_a_pause(
    market, owner, operator, aggregator, newcomer, producer
):
    market.pause({"from": owner})
    market.register_meters([newcomer], {"from": operator})
    market.retire_meter(producer, {"from": operator})
    market.set_aggregator(newcomer, {"from": owner})
    market.set_metering_operator(aggregator, {"from": owner})
    market.transfer_ownership(newcomer, {"from": owner})
    market.accept_ownership({"from": newcomer})
    assert market.paused()
    market.unpause({"from": newcomer})
    assert market.is_registered(newcomer)
    assert not market.is_registered(producer)
