"""Owner, aggregator and metering operator: who they are and how they change."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import ZERO_ADDRESS, order_words

NOT_THE_OWNER = "energy: sender is not the owner"


def test_a_deployment_appoints_the_roles(EnergyContract, owner, aggregator, operator):
    market = EnergyContract.deploy(aggregator, operator, 0, {"from": owner})
    assert market.owner() == owner
    assert market.pending_owner() == ZERO_ADDRESS
    assert market.aggregator() == aggregator
    assert market.metering_operator() == operator
    assert market.meter_count() == 0
    assert market.tx.events == [
        ("OwnershipTransferred", {"previous_owner": ZERO_ADDRESS, "new_owner": owner}),
        (
            "AggregatorChanged",
            {"previous_aggregator": ZERO_ADDRESS, "new_aggregator": aggregator},
        ),
        (
            "MeteringOperatorChanged",
            {"previous_operator": ZERO_ADDRESS, "new_operator": operator},
        ),
    ]


def test_a_deployment_needs_an_aggregator(EnergyContract, owner, operator):
    with reverts("energy: address is zero"):
        EnergyContract.deploy(ZERO_ADDRESS, operator, 0, {"from": owner})


def test_a_deployment_needs_a_metering_operator(EnergyContract, owner, aggregator):
    with reverts("energy: address is zero"):
        EnergyContract.deploy(aggregator, ZERO_ADDRESS, 0, {"from": owner})


def test_one_account_may_hold_all_roles(EnergyContract, owner):
    market = EnergyContract.deploy(owner, owner, 900, {"from": owner})
    market.register_meters([owner], {"from": owner})
    market.incomingRequest(owner, 5, {"from": owner})
    market.incomingRelease(owner, 5, {"from": owner})
    market.doMatching(5, {"from": owner})
    assert market.match_counter() == 1


@pytest.mark.parametrize("call", ["transfer_ownership", "set_aggregator", "set_metering_operator"])
@pytest.mark.parametrize("role", ["stranger", "newcomer", "producer", "aggregator", "operator"])
def test_only_the_owner_gives_roles(market, newcomer, call, role, request):
    with reverts(NOT_THE_OWNER):
        getattr(market, call)(newcomer, {"from": request.getfixturevalue(role)})
    assert newcomer not in (market.pending_owner(), market.aggregator())
    assert market.metering_operator() != newcomer


def test_the_aggregator_changes(market, post, owner, aggregator, newcomer):
    post([(1, 60)], [(2, 60)])
    tx = market.set_aggregator(newcomer, {"from": owner})
    assert tx.events == [
        ("AggregatorChanged", {"previous_aggregator": aggregator, "new_aggregator": newcomer})
    ]
    assert market.aggregator() == newcomer
    with reverts("energy: sender is not aggregator"):
        market.doMatching(60, {"from": aggregator})
    market.doMatching(60, {"from": newcomer})
    assert market.match_counter() == 1


def test_the_aggregator_is_not_the_zero_address(market, owner, aggregator):
    with reverts("energy: address is zero"):
        market.set_aggregator(ZERO_ADDRESS, {"from": owner})
    assert market.aggregator() == aggregator


def test_the_metering_operator_changes(market, owner, operator, newcomer):
    tx = market.set_metering_operator(newcomer, {"from": owner})
    assert tx.events == [
        ("MeteringOperatorChanged", {"previous_operator": operator, "new_operator": newcomer})
    ]
    assert market.metering_operator() == newcomer
    assert market.meter_count() == 8


def test_the_metering_operator_is_not_the_zero_address(market, owner, operator):
    with reverts("energy: address is zero"):
        market.set_metering_operator(ZERO_ADDRESS, {"from": owner})
    assert market.metering_operator() == operator


def test_what_the_new_operator_may_the_old_one_may_no_more(
    market, match, owner, operator, newcomer, stranger, producer, consumer, meters
):
    market.retire_meter(meters[5], {"from": operator})
    market.set_metering_operator(newcomer, {"from": owner})
    calls = [
        ("energy: sender is not operator", market.incomingRequest, producer, 30),
        ("energy: sender is not operator", market.incomingRelease, consumer, 30),
        ("energy: sender is not operator", market.post_requests, order_words([(1, 5)])),
        ("energy: sender is not operator", market.post_releases, order_words([(2, 5)])),
        ("energy: sender is not operator", market.post_and_match, order_words([(1, 5)]), [], 0),
        ("energy: sender may not register", market.register_meters, [stranger]),
        ("energy: sender may not register", market.retire_meter, meters[6]),
    ]
    for reason, function, *arguments in calls:
        with reverts(reason):
            function(*arguments, {"from": operator})
        function(*arguments, {"from": newcomer})
    match()
    calls = [
        (market.consume, consumer, 5),
        (market.consume_match, 0, 5),
        (market.confirm_deliveries, 0, [5 << 192]),
        (market.confirm_matches, 0, 1),
    ]
    for function, *arguments in calls:
        with reverts("energy: sender is not operator"):
            function(*arguments, {"from": operator})
        function(*arguments, {"from": newcomer})
    with reverts("energy: meter is retired"):
        market.post_requests(order_words([(6, 5)]), {"from": newcomer})


def test_a_role_may_be_given_to_its_holder(market, owner, operator):
    market.set_metering_operator(operator, {"from": owner})
    assert market.metering_operator() == operator
    assert market.meter_count() == 8


def test_the_ownership_passes_in_two_steps(market, owner, newcomer):
    tx = market.transfer_ownership(newcomer, {"from": owner})
    assert tx.events == [
        ("OwnershipTransferStarted", {"previous_owner": owner, "new_owner": newcomer})
    ]
    assert (market.owner(), market.pending_owner()) == (owner, newcomer)
    with reverts(NOT_THE_OWNER):
        market.pause({"from": newcomer})
    tx = market.accept_ownership({"from": newcomer})
    assert tx.events == [("OwnershipTransferred", {"previous_owner": owner, "new_owner": newcomer})]
    assert (market.owner(), market.pending_owner()) == (newcomer, ZERO_ADDRESS)
    market.pause({"from": newcomer})
    with reverts(NOT_THE_OWNER):
        market.unpause({"from": owner})


@pytest.mark.parametrize("role", ["stranger", "owner", "operator"])
def test_only_who_was_offered_the_ownership_accepts(market, owner, newcomer, role, request):
    market.transfer_ownership(newcomer, {"from": owner})
    with reverts("energy: sender not pending owner"):
        market.accept_ownership({"from": request.getfixturevalue(role)})
    assert market.owner() == owner


def test_nobody_accepts_what_was_not_offered(market, owner, stranger):
    with reverts("energy: sender not pending owner"):
        market.accept_ownership({"from": stranger})
    assert market.owner() == owner


def test_an_offer_is_accepted_once(market, owner, newcomer):
    market.transfer_ownership(newcomer, {"from": owner})
    market.accept_ownership({"from": newcomer})
    with reverts("energy: sender not pending owner"):
        market.accept_ownership({"from": newcomer})


def test_the_zero_address_withdraws_an_offer(market, owner, newcomer):
    market.transfer_ownership(newcomer, {"from": owner})
    tx = market.transfer_ownership(ZERO_ADDRESS, {"from": owner})
    assert tx.events == [
        ("OwnershipTransferStarted", {"previous_owner": owner, "new_owner": ZERO_ADDRESS})
    ]
    with reverts("energy: sender not pending owner"):
        market.accept_ownership({"from": newcomer})
    assert market.owner() == owner


def test_a_later_offer_replaces_an_earlier_one(market, owner, newcomer, stranger):
    market.transfer_ownership(newcomer, {"from": owner})
    market.transfer_ownership(stranger, {"from": owner})
    with reverts("energy: sender not pending owner"):
        market.accept_ownership({"from": newcomer})
    market.accept_ownership({"from": stranger})
    assert market.owner() == stranger


def test_the_new_owner_gives_roles(market, owner, newcomer, stranger):
    market.transfer_ownership(newcomer, {"from": owner})
    market.accept_ownership({"from": newcomer})
    with reverts(NOT_THE_OWNER):
        market.set_aggregator(stranger, {"from": owner})
    with reverts("energy: sender may not register"):
        market.register_meters([stranger], {"from": owner})
    market.set_aggregator(stranger, {"from": newcomer})
    assert market.aggregator() == stranger
