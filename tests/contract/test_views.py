"""What anyone can read."""

from __future__ import annotations

import pytest

from tests.contract.orders import ZERO_ADDRESS, fills

NOTHING = (0, ZERO_ADDRESS, ZERO_ADDRESS, 0)


@pytest.fixture
def five_matches(post, match):
    """Meter 2 has matches 0 (10 Wh of meter 1), 2 (30 of 3) and 3 (40 of 4)."""
    post([(1, 10), (1, 20), (3, 30), (4, 40), (5, 50)], [(2, 10), (6, 20), (2, 70), (7, 50)])
    assert [fill[1] for fill in fills(match())] == [2, 6, 2, 2, 7]


def test_a_new_market_is_empty(market, producer):
    for view in (
        "check_request_counter",
        "check_release_counter",
        "request_counter",
        "release_counter",
        "match_counter",
        "get_request_value",
        "get_release_value",
        "current_period",
        "period_length",
    ):
        assert getattr(market, view)() == 0
    assert market.meter_count() == 8
    assert not market.paused()
    assert market.request(producer) == market.release(producer) == 0
    assert market.pending_requests(0) == market.pending_release(0) == (ZERO_ADDRESS, 0)
    assert market.outgoingRelease(producer) == market.get_mapping_data(producer) == ZERO_ADDRESS
    assert market.get_matching_value(producer) == 0
    assert market.matching(producer) == (ZERO_ADDRESS, 0)
    assert market.match_at(0) == NOTHING
    assert market.matches_of(producer) == []


def test_slots_are_those_of_the_ring(side, producer):
    side.post(producer, 5, {"from": producer})
    assert side.slot(0) == (producer, 5)
    for index in (1, 1023, 1024, 2**32, 2**256 - 1):
        assert side.slot(index) == (ZERO_ADDRESS, 0)


def test_energy_outstanding_is_of_all_orders_of_a_meter(side, meters, operator):
    orders = [(1, 10), (2, 20), (1, 30), (1, 40), (2, 50), (1, 60)]
    side.post_all(orders, operator)
    assert side.energy_of(meters[0]) == 140
    assert side.energy_of(meters[1]) == 70
    assert side.energy_of(meters[2]) == 0


def test_a_head_filled_in_part_counts_with_its_rest(side, market, match, meters, operator):
    side.post_all([(1, 10), (2, 20), (1, 30)], operator)
    side.opposite().post_all([(5, 4)], operator)
    match()
    assert side.head_energy() == 6
    assert side.energy_of(meters[0]) == 36
    assert side.energy_of(meters[1]) == 20
    assert market.match_counter() == 1


def test_sums_may_exceed_one_order(side, producer, operator):
    side.post_all([(1, 2**32 - 1)] * 5, operator)
    assert side.energy_of(producer) == 5 * (2**32 - 1)


@pytest.mark.parametrize("role", ["stranger", "newcomer"])
def test_who_is_not_registered_has_nothing(market, post, role, request):
    post([(1, 10)], [(2, 10)])
    account = request.getfixturevalue(role)
    for who in (account, ZERO_ADDRESS):
        assert market.request(who) == market.release(who) == 0
        assert market.meter_number(who) == 0
        assert not market.is_registered(who)
        assert market.matches_of(who) == []


@pytest.mark.usefixtures("five_matches")
class TestMatches:
    def test_the_latest_match_of_a_consumer(self, market, consumer, meters):
        assert market.outgoingRelease(consumer) == meters[3]
        assert market.get_mapping_data(consumer) == meters[3]
        assert market.get_matching_value(consumer) == 40
        assert market.matching(consumer) == (meters[3], 40)

    def test_a_producer_has_no_match_as_a_consumer(self, market, producer):
        assert market.outgoingRelease(producer) == ZERO_ADDRESS
        assert market.matches_of(producer) == []

    def test_what_is_consumed_is_left_out(self, market, consumer, meters):
        market.consume(consumer, 15, {"from": consumer})
        assert market.get_matching_value(consumer) == 25
        market.consume(consumer, 25, {"from": consumer})
        assert market.matching(consumer) == (meters[3], 0)
        assert market.outgoingRelease(consumer) == meters[3]

    def test_all_matches_of_a_consumer_latest_first(self, market, consumer, meters):
        expected = [
            (3, meters[3], consumer, 40),
            (2, meters[2], consumer, 30),
            (0, meters[0], consumer, 10),
        ]
        assert market.matches_of(consumer) == expected
        assert market.matches_of(consumer, 0) == expected
        assert market.matches_of(meters[6]) == [(4, meters[4], meters[6], 50)]

    @pytest.mark.parametrize(
        ("since", "indexes"),
        [(1, [3, 2]), (2, [3, 2]), (3, [3]), (4, []), (5, []), (6, []), (2**256 - 1, [])],
    )
    def test_matches_since(self, market, consumer, since, indexes):
        assert [match[0] for match in market.matches_of(consumer, since)] == indexes

    def test_each_match_by_its_index(self, market, meters):
        assert market.match_counter() == 5
        assert market.match_at(1) == (1, meters[0], meters[5], 20)
        assert market.match_at(4) == (4, meters[4], meters[6], 50)

    @pytest.mark.parametrize("index", [5, 6, 7, 8, 2048, 2**256 - 1])
    def test_a_match_that_does_not_exist_is_zeros(self, market, index):
        assert market.match_at(index) == NOTHING

    def test_matches_of_a_retired_meter_stay_readable(self, market, consumer, meters, operator):
        for meter in (consumer, meters[3]):
            market.retire_meter(meter, {"from": operator})
        assert market.matching(consumer) == (meters[3], 40)
        assert [match[0] for match in market.matches_of(consumer)] == [3, 2, 0]


@pytest.mark.parametrize("number", [0, 9, 65535, 65536, 2**256 - 1])
def test_a_number_that_is_not_taken_has_no_address(market, number):
    assert market.meter_address(number) == ZERO_ADDRESS


def test_numbers_and_addresses_belong_together(market, meters):
    assert [market.meter_number(meter) for meter in meters] == list(range(1, 9))
    assert [market.meter_address(number) for number in range(1, 9)] == meters
