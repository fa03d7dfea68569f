"""Matching a given amount of energy: doMatching."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import fills, first_come_first_served, numbered

CANNOT = "energy: cannot match that much"


def test_exactly_that_energy_is_matched(market, post, aggregator, producer, consumer):
    post([(1, 100)], [(2, 80)])
    tx = market.doMatching(30, {"from": aggregator})
    word = (1 << 48 | 2 << 32 | 30) << 192
    assert tx.events == [
        ("MatchingLimited", {"energy": 30}),
        ("Matched", {"first": 0, "words": [word]}),
    ]
    assert market.match_at(0) == (0, producer, consumer, 30)
    assert market.get_request_value() == market.request(producer) == 70
    assert market.get_release_value() == market.release(consumer) == 50
    assert market.check_request_counter() == market.check_release_counter() == 1


@pytest.mark.parametrize("role", ["stranger", "producer", "owner", "operator"])
def test_only_the_aggregator_may_cut_orders(market, post, role, request):
    post([(1, 100)], [(2, 80)])
    with reverts("energy: sender is not aggregator"):
        market.doMatching(30, {"from": request.getfixturevalue(role)})
    assert market.match_counter() == 0


@pytest.mark.parametrize("energy", [0, -1, -1000, 2**32, 2**255 - 1, -(2**255)])
def test_energy_outside_an_order_is_refused(market, post, aggregator, energy):
    post([(1, 100)], [(2, 80)])
    with reverts("energy: value not 1..2**32-1 Wh"):
        market.doMatching(energy, {"from": aggregator})


@pytest.mark.parametrize(
    ("requests", "releases"),
    [
        ([], []),
        ([(1, 100)], []),
        ([], [(2, 100)]),
        ([(1, 99)], [(2, 100)]),
        ([(1, 100)], [(2, 99)]),
        ([(1, 50), (3, 49)], [(2, 100)]),
        ([(1, 100), (3, 10)], [(2, 50), (4, 49)]),
    ],
    ids=str,
)
def test_more_than_there_is_on_a_side_is_refused(
    market, post, match, aggregator, requests, releases
):
    post(requests, releases)
    with reverts(CANNOT):
        market.doMatching(100, {"from": aggregator})
    assert market.match_counter() == 0
    assert fills(match()) == first_come_first_served(requests, releases)


@pytest.mark.parametrize("aligned", range(4))
@pytest.mark.parametrize("energy", [1, 9, 10, 11, 25, 29, 30, 31, 69, 70, 71, 99, 100])
def test_the_cut_orders_go_on_with_their_rest(
    market, post, match, aggregator, meters, energy, aligned
):
    before = [(8, 1)] * aligned
    post(before, before)
    match()
    requests = [(1, 10), (2, 20), (3, 40), (4, 5), (1, 15), (2, 10)]
    releases = [(5, 25), (6, 5), (7, 1), (8, 39), (5, 30)]
    post(requests, releases)
    tx = market.doMatching(energy, {"from": aggregator})
    assert tx.events[0] == ("MatchingLimited", {"energy": energy})
    cut = first_come_first_served(requests, releases, energy)
    assert fills(tx) == cut
    assert sum(e for _, _, e in fills(tx)) == energy
    assert sum(map(market.request, meters)) == 100 - energy
    assert sum(map(market.release, meters)) == 100 - energy
    after = fills(match())
    for orders, at in ((requests, 0), (releases, 1)):
        matched = dict.fromkeys(range(1, 9), 0)
        for fill in cut + after:
            matched[fill[at]] += fill[2]
        posted = dict.fromkeys(range(1, 9), 0)
        for number, wh in orders:
            posted[number] += wh
        assert matched == posted
    assert market.check_request_counter() == market.check_release_counter() == 0


@pytest.mark.parametrize("steps", [[1] * 10, [3, 3, 3, 1], [5, 5], [7, 1, 2]], ids=str)
def test_a_head_filled_in_part_can_be_cut_again(market, post, aggregator, meters, steps):
    post([(1, 6), (3, 6)], [(2, 4), (4, 8)])
    matched = 0
    for step in steps:
        tx = market.doMatching(step, {"from": aggregator})
        assert sum(energy for _, _, energy in fills(tx)) == step
        matched += step
        assert market.request(meters[0]) == max(6 - matched, 0)
        assert market.request(meters[2]) == min(12 - matched, 6)
        assert market.release(meters[1]) == max(4 - matched, 0)
        assert market.release(meters[3]) == min(12 - matched, 8)
    with reverts(CANNOT):
        market.doMatching(3, {"from": aggregator})


@pytest.mark.parametrize("aligned", range(4))
def test_what_stands_behind_the_cut_is_untouched(market, post, match, aggregator, aligned):
    post([(8, 1)] * aligned, [(8, 1)] * aligned)
    match()
    requests = numbered(6)
    post(requests, [(7, 6000)])
    slots = [market.pending_requests(i) for i in range(8)]
    market.doMatching(1500, {"from": aggregator})
    assert [market.pending_requests(i) for i in range(8)] == slots
    assert market.check_request_counter() == 5
    assert market.request_counter() == 6 + aligned
    assert fills(match()) == first_come_first_served(
        [(requests[1][0], 501), *requests[2:]], [(7, 4500)]
    )


def test_a_cut_between_two_orders_cuts_none(market, post, aggregator):
    post([(1, 10), (3, 20)], [(2, 10), (4, 20)])
    tx = market.doMatching(10, {"from": aggregator})
    assert fills(tx) == [(1, 2, 10)]
    assert market.get_request_value() == market.get_release_value() == 20
    assert market.check_request_counter() == market.check_release_counter() == 1


def test_all_there_is_can_be_matched(market, post, aggregator):
    post([(1, 10), (3, 20)], [(2, 25), (4, 5)])
    tx = market.doMatching(30, {"from": aggregator})
    assert fills(tx) == [(1, 2, 10), (3, 2, 15), (3, 4, 5)]
    assert market.check_request_counter() == market.check_release_counter() == 0


def test_the_most_energy_of_a_call_can_be_matched(market, post, aggregator):
    most = 2**32 - 1
    post([(1, most), (3, most)], [(2, most), (4, most)])
    market.doMatching(1, {"from": aggregator})
    tx = market.doMatching(most, {"from": aggregator})
    assert fills(tx) == [(1, 2, most - 1), (3, 4, 1)]
    assert market.get_request_value() == market.get_release_value() == most - 1


@pytest.mark.parametrize("many", ["requests", "releases"])
def test_256_matches_are_the_most_of_a_call(market, post, aggregator, many):
    small, large = [(1, 1)] * 257, [(2, 1000)]
    post(*((small, large) if many == "requests" else (large, small)))
    with reverts(CANNOT):
        market.doMatching(257, {"from": aggregator})
    assert market.match_counter() == 0
    market.doMatching(256, {"from": aggregator})
    assert market.match_counter() == 256
    assert market.get_release_value() == (744 if many == "requests" else 1)


def test_256_requests_and_255_releases_interleaved_are_too_many(market, post, aggregator):
    # Each side has at most 256 orders, but together they make more than 256 matches.
    post([(1, 3)] * 200, [(2, 2)] * 256)
    with reverts(CANNOT):
        market.doMatching(512, {"from": aggregator})
    assert market.match_counter() == 0


def test_single_calls_write_into_the_same_word(market, post, aggregator):
    post([(1, 10)], [(2, 10)])
    for _ in range(5):
        market.doMatching(2, {"from": aggregator})
    assert [market.match_at(i)[3] for i in range(5)] == [2] * 5
