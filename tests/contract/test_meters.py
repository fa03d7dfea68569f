"""Registering and retiring meters."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import (
    REGISTRY,
    ZERO_ADDRESS,
    fills,
    order_words,
    releases_of,
    requests_of,
)

RETIRED = "energy: meter is retired"


def address(n):
    """An address that no test holds the key of."""
    return f"0x{n:040d}"


@pytest.mark.parametrize("role", ["owner", "operator"])
def test_owner_and_operator_register_meters(market, role, newcomer, stranger, request):
    sender = request.getfixturevalue(role)
    assert not market.is_registered(newcomer)
    tx = market.register_meters([newcomer, stranger], {"from": sender})
    assert tx.events == [
        ("MeterRegistered", {"meter": newcomer, "number": 9}),
        ("MeterRegistered", {"meter": stranger, "number": 10}),
    ]
    assert market.is_registered(newcomer)
    assert (market.meter_number(newcomer), market.meter_number(stranger)) == (9, 10)
    assert (market.meter_address(9), market.meter_address(10)) == (newcomer, stranger)
    assert market.meter_count() == 10


@pytest.mark.parametrize("role", ["stranger", "newcomer", "producer", "aggregator"])
def test_nobody_else_registers_meters(market, role, newcomer, request):
    with reverts("energy: sender may not register"):
        market.register_meters([newcomer], {"from": request.getfixturevalue(role)})
    assert market.meter_count() == 8


def test_the_zero_address_is_no_meter(market, newcomer, operator):
    with reverts("energy: address is zero"):
        market.register_meters([newcomer, ZERO_ADDRESS], {"from": operator})
    assert not market.is_registered(newcomer)
    assert market.meter_count() == 8


def test_a_meter_is_registered_once(market, newcomer, producer, operator):
    with reverts("energy: meter is registered"):
        market.register_meters([newcomer, producer], {"from": operator})
    with reverts("energy: meter is registered"):
        market.register_meters([newcomer, newcomer], {"from": operator})
    assert market.meter_number(newcomer) == 0
    assert market.meter_number(producer) == 1
    assert market.meter_count() == 8


def test_256_meters_are_registered_at_once(market, operator):
    meters = [address(n) for n in range(1, 257)]
    tx = market.register_meters(meters, {"from": operator})
    assert [fields["number"] for fields in tx.events["MeterRegistered"]] == list(range(9, 265))
    assert market.meter_count() == 264
    assert market.meter_address(264) == meters[-1]


def test_more_than_256_meters_at_once_are_refused(market, operator):
    with reverts():
        market.register_meters([address(n) for n in range(1, 258)], {"from": operator})
    assert market.meter_count() == 8


def test_registering_no_meter_changes_nothing(market, operator):
    assert market.register_meters([], {"from": operator}).events == []
    assert market.meter_count() == 8


def test_meter_numbers_end_at_65535(market, chain, operator, newcomer, stranger, producer):
    # In place of 65,526 registrations.
    chain.store(market, REGISTRY, chain.load(market, REGISTRY) + ((65534 - 8) << 160))
    assert market.meter_count() == 65534
    assert market.metering_operator() == operator
    market.retire_meter(producer, {"from": operator})
    tx = market.register_meters([newcomer], {"from": operator})
    assert tx.events == [("MeterRegistered", {"meter": newcomer, "number": 65535})]
    with reverts("energy: meter numbers used up"):
        market.register_meters([stranger], {"from": operator})
    market.register_meters([producer], {"from": operator})
    assert market.meter_number(producer) == 1
    assert market.meter_count() == 65535
    market.post_requests(order_words([(65535, 7)]), {"from": operator})
    market.post_releases(order_words([(65535, 7)]), {"from": operator})
    assert fills(market.match_pending(1, {"from": stranger})) == [(65535, 65535, 7)]
    assert market.matching(newcomer) == (newcomer, 7)


@pytest.mark.parametrize("role", ["owner", "operator"])
def test_owner_and_operator_retire_a_meter(market, role, producer, consumer, request):
    tx = market.retire_meter(producer, {"from": request.getfixturevalue(role)})
    assert tx.events == [("MeterRetired", {"meter": producer, "number": 1})]
    assert not market.is_registered(producer)
    assert market.is_registered(consumer)
    assert market.meter_number(producer) == 1
    assert market.meter_address(1) == producer
    assert market.meter_count() == 8


@pytest.mark.parametrize("role", ["stranger", "producer", "aggregator"])
def test_nobody_else_retires_a_meter(market, role, producer, request):
    with reverts("energy: sender may not register"):
        market.retire_meter(producer, {"from": request.getfixturevalue(role)})
    assert market.is_registered(producer)


@pytest.mark.parametrize("role", ["owner", "operator"])
def test_a_meter_that_is_not_registered_cannot_retire(market, role, stranger, request):
    sender = request.getfixturevalue(role)
    with reverts("energy: meter is not registered"):
        market.retire_meter(stranger, {"from": sender})
    with reverts("energy: meter is not registered"):
        market.retire_meter(ZERO_ADDRESS, {"from": sender})


def test_a_meter_retires_once(market, producer, operator):
    market.retire_meter(producer, {"from": operator})
    with reverts(RETIRED):
        market.retire_meter(producer, {"from": operator})


def test_a_retired_meter_does_not_post(side, market, producer, operator):
    market.retire_meter(producer, {"from": operator})
    for sender in (producer, operator):
        with reverts(RETIRED):
            side.post(producer, 5, {"from": sender})
    assert side.counter() == 0


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 8])
def test_a_batch_with_a_retired_meter_is_refused(side, market, meters, operator, at):
    market.retire_meter(meters[4], {"from": operator})
    orders = [(1, 10)] * 9
    orders[at] = (5, 10)
    with reverts(RETIRED):
        side.post_batch(order_words(orders), {"from": operator})
    assert side.counter() == 0


def test_the_other_meters_trade_on(side, market, meters, operator):
    market.retire_meter(meters[4], {"from": operator})
    orders = [(n, 10 + n) for n in (1, 2, 3, 4, 6, 7, 8)]
    side.post_batch(order_words(orders), {"from": operator})
    side.post(meters[0], 5, {"from": meters[0]})
    assert side.counter() == 8
    assert side.drain(operator) == [*orders, (1, 5)]


def test_batches_are_checked_while_a_meter_is_retired(side, market, meters, operator):
    market.retire_meter(meters[4], {"from": operator})
    for wrong in ((0, 5), (9, 5), (1, 0)):
        with reverts("energy: order lacks meter or Wh"):
            side.post_batch(order_words([(1, 5), wrong]), {"from": operator})


def test_pending_orders_of_a_retired_meter_are_matched(market, meters, operator):
    requests_of(market).post_all([(1, 60)], operator)
    releases_of(market).post_all([(2, 60)], operator)
    market.retire_meter(meters[0], {"from": operator})
    market.retire_meter(meters[1], {"from": operator})
    assert market.request(meters[0]) == market.release(meters[1]) == 60
    assert fills(market.match_pending(1, {"from": meters[0]})) == [(1, 2, 60)]
    market.consume(meters[1], 60, {"from": meters[1]})
    assert market.matching(meters[1]) == (meters[0], 0)


def test_a_retired_meter_gets_its_number_back(side, market, producer, newcomer, operator):
    market.retire_meter(producer, {"from": operator})
    tx = market.register_meters([newcomer, producer], {"from": operator})
    assert tx.events == [
        ("MeterRegistered", {"meter": newcomer, "number": 9}),
        ("MeterRegistered", {"meter": producer, "number": 1}),
    ]
    assert market.is_registered(producer)
    assert market.meter_count() == 9
    side.post(producer, 5, {"from": producer})
    side.post_batch(order_words([(1, 6), (9, 7)]), {"from": operator})
    assert side.drain(operator) == [(1, 5), (1, 6), (9, 7)]


def test_a_meter_may_retire_and_return_often(market, producer, operator):
    for _ in range(3):
        market.retire_meter(producer, {"from": operator})
        assert not market.is_registered(producer)
        market.register_meters([producer], {"from": operator})
        assert market.is_registered(producer)
        with reverts("energy: meter is registered"):
            market.register_meters([producer], {"from": operator})


def test_all_meters_may_retire(market, meters, operator):
    for meter in meters:
        market.retire_meter(meter, {"from": operator})
    assert not any(map(market.is_registered, meters))
    with reverts(RETIRED):
        market.post_requests(order_words([(8, 5)]), {"from": operator})
    market.register_meters(meters, {"from": operator})
    assert [market.meter_number(meter) for meter in meters] == list(range(1, 9))
    market.post_requests(order_words([(8, 5)]), {"from": operator})


@pytest.mark.parametrize("number", [1, 9, 255, 256, 257, 264])
def test_retiring_one_number_retires_no_other(market, producer, operator, number):
    # The bits of retired meters are kept in words of 256.
    market.register_meters([address(n) for n in range(1, 257)], {"from": operator})
    market.retire_meter(market.meter_address(number), {"from": operator})
    others = [(n, 5) for n in (1, 2, 9, 254, 255, 256, 257, 258, 263, 264) if n != number]
    market.post_requests(order_words(others), {"from": operator})
    with reverts(RETIRED):
        market.post_requests(order_words([*others, (number, 5)]), {"from": operator})
    assert market.is_registered(producer) == (number != 1)
