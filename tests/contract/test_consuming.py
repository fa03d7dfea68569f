"""Confirming energy drawn, one match at a time: consume and consume_match."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import ZERO_ADDRESS, fills

ABOVE = "energy: value above what is left"
INVALID = [0, -1, 2**32, 2**255 - 1, -(2**255)]


@pytest.fixture
def two_matches(post, match):
    """Meter 2 has drawn nothing of match 0 (60 Wh of meter 1) and match 2 (40 Wh of meter 3)."""
    post([(1, 60), (1, 25), (3, 40)], [(2, 60), (4, 25), (2, 40)])
    assert fills(match()) == [(1, 2, 60), (1, 4, 25), (3, 2, 40)]


def left(market):
    return [market.match_at(i)[3] for i in range(3)]


@pytest.mark.usefixtures("two_matches")
class TestConsume:
    @pytest.mark.parametrize("role", ["consumer", "operator"])
    def test_the_consumer_or_the_operator_confirms_the_latest_match(
        self, market, consumer, role, request
    ):
        tx = market.consume(consumer, 40, {"from": request.getfixturevalue(role)})
        assert tx.events == [("DeliveryConfirmed", {"index": 2, "energy": 40})]
        assert left(market) == [60, 25, 0]

    @pytest.mark.parametrize("role", ["stranger", "producer", "owner", "aggregator"])
    def test_nobody_else_confirms(self, market, consumer, role, request):
        with reverts("energy: sender is not operator"):
            market.consume(consumer, 40, {"from": request.getfixturevalue(role)})
        assert left(market) == [60, 25, 40]

    def test_partly_then_the_rest(self, market, consumer):
        market.consume(consumer, 15, {"from": consumer})
        assert market.get_matching_value(consumer) == 25
        tx = market.consume(consumer, 25, {"from": consumer})
        assert tx.events == [("DeliveryConfirmed", {"index": 2, "energy": 25})]
        assert left(market) == [60, 25, 0]

    def test_never_more_than_is_left(self, market, consumer, operator):
        with reverts(ABOVE):
            market.consume(consumer, 41, {"from": consumer})
        market.consume(consumer, 15, {"from": consumer})
        for sender in (consumer, operator):
            with reverts(ABOVE):
                market.consume(consumer, 26, {"from": sender})
        assert left(market) == [60, 25, 25]

    def test_never_twice(self, market, consumer):
        market.consume(consumer, 40, {"from": consumer})
        with reverts(ABOVE):
            market.consume(consumer, 1, {"from": consumer})
        assert left(market) == [60, 25, 0]

    @pytest.mark.parametrize("energy", INVALID)
    def test_energy_outside_an_order_is_refused(self, market, consumer, energy):
        with reverts("energy: value not 1..2**32-1 Wh"):
            market.consume(consumer, energy, {"from": consumer})

    @pytest.mark.parametrize("role", ["producer", "stranger"])
    def test_who_has_no_match_consumes_nothing(self, market, role, request, operator):
        account = request.getfixturevalue(role)
        for sender in (account, operator):
            with reverts("energy: consumer has no match"):
                market.consume(account, 1, {"from": sender})

    def test_the_zero_address_has_no_match(self, market, operator):
        with reverts("energy: consumer has no match"):
            market.consume(ZERO_ADDRESS, 1, {"from": operator})


@pytest.mark.usefixtures("two_matches")
class TestConsumeMatch:
    @pytest.mark.parametrize("role", ["consumer", "operator"])
    def test_the_consumer_or_the_operator_confirms_any_match(self, market, role, request):
        tx = market.consume_match(0, 60, {"from": request.getfixturevalue(role)})
        assert tx.events == [("DeliveryConfirmed", {"index": 0, "energy": 60})]
        assert left(market) == [0, 25, 40]

    @pytest.mark.parametrize("role", ["stranger", "producer", "owner", "aggregator"])
    def test_nobody_else_confirms(self, market, role, request):
        with reverts("energy: sender is not operator"):
            market.consume_match(0, 60, {"from": request.getfixturevalue(role)})
        assert left(market) == [60, 25, 40]

    def test_a_consumer_does_not_confirm_for_another(self, market, consumer, meters):
        with reverts("energy: sender is not operator"):
            market.consume_match(1, 1, {"from": consumer})
        market.consume_match(1, 1, {"from": meters[3]})
        assert left(market) == [60, 24, 40]

    def test_partly_then_the_rest(self, market, consumer):
        market.consume_match(0, 15, {"from": consumer})
        assert left(market) == [45, 25, 40]
        market.consume_match(0, 45, {"from": consumer})
        assert left(market) == [0, 25, 40]

    def test_never_more_than_is_left(self, market, consumer, operator):
        market.consume_match(0, 15, {"from": consumer})
        for sender in (consumer, operator):
            with reverts(ABOVE):
                market.consume_match(0, 46, {"from": sender})
        assert left(market) == [45, 25, 40]

    def test_never_twice(self, market, consumer):
        market.consume_match(0, 60, {"from": consumer})
        with reverts(ABOVE):
            market.consume_match(0, 1, {"from": consumer})

    @pytest.mark.parametrize("energy", INVALID)
    def test_energy_outside_an_order_is_refused(self, market, consumer, energy):
        with reverts("energy: value not 1..2**32-1 Wh"):
            market.consume_match(0, energy, {"from": consumer})

    @pytest.mark.parametrize("index", [3, 4, 2048, 2**32, 2**256 - 1])
    def test_a_match_that_does_not_exist_is_refused(self, market, consumer, operator, index):
        for sender in (consumer, operator):
            with reverts("energy: match is not kept"):
                market.consume_match(index, 1, {"from": sender})

    def test_parties_and_counters_stay(self, market, consumer, producer, meters):
        market.consume_match(0, 60, {"from": consumer})
        assert market.match_at(0) == (0, producer, consumer, 0)
        assert market.match_at(1) == (1, producer, meters[3], 25)
        assert market.match_counter() == 3


def test_the_most_energy_can_be_consumed(market, post, match, consumer):
    post([(1, 2**32 - 1)], [(2, 2**32 - 1)])
    match()
    market.consume(consumer, 2**32 - 1, {"from": consumer})
    assert market.match_at(0)[3] == 0


@pytest.mark.usefixtures("two_matches")
def test_consuming_goes_on_in_a_pause(market, owner, consumer, operator):
    market.pause({"from": owner})
    market.consume(consumer, 40, {"from": consumer})
    market.consume_match(0, 50, {"from": consumer})
    market.confirm_deliveries(0, [10 << 192 | 25 << 128], {"from": operator})
    assert left(market) == [0, 0, 0]


@pytest.mark.usefixtures("two_matches")
def test_retired_meters_still_consume(market, consumer, producer, operator):
    market.retire_meter(consumer, {"from": operator})
    market.retire_meter(producer, {"from": operator})
    market.consume(consumer, 40, {"from": consumer})
    market.consume_match(0, 60, {"from": consumer})
    assert left(market) == [0, 25, 0]
