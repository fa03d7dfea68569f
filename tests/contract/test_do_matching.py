"""Matching a given amount of energy: doMatching."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import (
    MATCHES,
    STATE,
    fills,
    first_come_first_served,
    numbered,
    storage,
)

CANNOT = "energy: cannot match that much"


def test_exactly_that_energy_is_matched(market, post, aggregator, producer, consumer):
    post([(1, 100)], [(2, 80)])
    tx = market.doMatching(30, {"from": aggregator})
    assert tx.events == [("PairMatched", {"fill": 0 << 64 | 1 << 48 | 2 << 32 | 30})]
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
    before = storage(market)
    with reverts(CANNOT):
        market.doMatching(100, {"from": aggregator})
    assert storage(market) == before
    assert fills(match()) == first_come_first_served(requests, releases)


@pytest.mark.parametrize("aligned", range(4))
@pytest.mark.parametrize("energy", [1, 9, 10, 11, 29, 30, 31, 70, 99, 100])
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
    assert [event["fill"] >> 64 for event in tx.events["PairMatched"]] == list(
        range(aligned, aligned + len(tx.events))
    )
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
    for i in range(5):
        tx = market.doMatching(2, {"from": aggregator})
        assert tx.events == [("PairMatched", {"fill": i << 64 | 1 << 48 | 2 << 32 | 2})]
    assert [market.match_at(i)[3] for i in range(5)] == [2] * 5


@pytest.mark.parametrize("aligned", range(4))
def test_many_pairs_are_matched_in_one_call(market, post, match, aggregator, meters, aligned):
    post([(8, 1)] * aligned, [(8, 1)] * aligned)
    match()
    post(numbered(41), numbered(39, 7))
    expected = first_come_first_served(numbered(41), numbered(39, 7), 30_000)
    tx = market.doMatching(30_000, {"from": aggregator})
    assert tx.events == [
        ("PairMatched", {"fill": index << 64 | producer << 48 | consumer << 32 | energy})
        for index, (producer, consumer, energy) in enumerate(expected, aligned)
    ]
    assert market.match_counter() == aligned + len(expected) > 50
    for index, (producer, consumer, energy) in enumerate(expected, aligned):
        parties = meters[producer - 1], meters[consumer - 1]
        assert market.match_at(index) == (index, *parties, energy)


@pytest.mark.parametrize("energy", [100, 999, 1000, 1001, 7000, 31_416, 61_770])
def test_it_matches_the_pairs_of_the_loop_and_stores_them_alike(
    market, chain, post, match, aggregator, energy
):
    requests, releases = numbered(60), numbered(70, 3)
    post(requests, releases)
    snapshot = chain.snapshot()
    cut = fills(market.doMatching(energy, {"from": aggregator}))
    words = storage(market)[MATCHES - STATE :]
    chain.revert(snapshot)
    assert cut == first_come_first_served(requests, releases, energy)
    assert fills(match(len(cut)))[:-1] == cut[:-1]  # the last may be cut
    full = (len(cut) - 1) // 4
    assert storage(market)[MATCHES - STATE :][:full] == words[:full]


def test_both_heads_can_be_cut_at_once_and_go_on_in_the_loop(market, post, match, aggregator):
    post([(1, 100), (3, 10)], [(2, 40), (4, 200)])
    assert fills(market.doMatching(70, {"from": aggregator})) == [(1, 2, 40), (1, 4, 30)]
    assert (market.get_request_value(), market.get_release_value()) == (30, 170)
    assert fills(market.doMatching(5, {"from": aggregator})) == [(1, 4, 5)]
    assert fills(match()) == [(1, 4, 25), (3, 4, 10)]
    assert market.get_release_value() == 130


def test_a_match_goes_on_in_a_word_that_the_loop_began(market, post, match, aggregator, consumer):
    post([(1, 10)] * 3, [(2, 10)] * 3)
    match(1)
    market.consume_match(0, 4, {"from": consumer})
    market.doMatching(12, {"from": aggregator})
    match()
    assert [market.match_at(i)[3] for i in range(5)] == [6, 10, 2, 8, 0]


def test_orders_are_found_over_the_end_of_the_ring(market, post, match, aggregator):
    for _ in range(4):
        post(numbered(255), numbered(255))
        match()
    post(numbered(12), numbered(12))
    tx = market.doMatching(10_000, {"from": aggregator})
    assert fills(tx) == first_come_first_served(numbered(12), numbered(12), 10_000)
    assert market.request_counter() == 1032


@pytest.mark.parametrize("energy", [101, 155])
def test_a_refusal_after_many_pairs_leaves_nothing(market, post, aggregator, energy):
    post([(1, 1)] * 100, [(2, 1)] * 90)
    before = storage(market)
    with reverts(CANNOT):
        market.doMatching(energy, {"from": aggregator})
    assert storage(market) == before


def test_a_pause_is_named_before_what_cannot_be_matched(market, owner, aggregator):
    market.pause({"from": owner})
    with reverts("energy: market is paused"):
        market.doMatching(5, {"from": aggregator})
    with reverts("energy: value not 1..2**32-1 Wh"):
        market.doMatching(0, {"from": aggregator})
