"""The matching loop: match_pending."""

from __future__ import annotations

import pytest

from tests.brownie import reverts
from tests.contract.orders import fills, first_come_first_served, numbered


def test_equal_orders_use_each_other_up(market, post, match, producer, consumer):
    post([(1, 60)], [(2, 60)])
    tx = match()
    word = (1 << 48 | 2 << 32 | 60) << 192
    assert tx.events == [("Matched", {"first": 0, "words": [word]})]
    assert tx.return_value == 1
    assert market.match_counter() == 1
    assert market.match_at(0) == (0, producer, consumer, 60)
    assert market.check_request_counter() == market.check_release_counter() == 0
    assert market.get_request_value() == market.get_release_value() == 0
    assert market.request(producer) == market.release(consumer) == 0


def test_a_larger_request_keeps_its_rest(market, post, match, producer, consumer):
    post([(1, 100)], [(2, 30)])
    assert fills(match()) == [(1, 2, 30)]
    assert market.check_request_counter() == 1
    assert market.get_request_value() == market.request(producer) == 70
    assert market.check_release_counter() == market.release(consumer) == 0


def test_a_larger_release_keeps_its_rest(market, post, match, producer, consumer):
    post([(1, 30)], [(2, 100)])
    assert fills(match()) == [(1, 2, 30)]
    assert market.check_release_counter() == 1
    assert market.get_release_value() == market.release(consumer) == 70
    assert market.check_request_counter() == market.request(producer) == 0


def test_a_rest_is_matched_before_what_came_later(post, match):
    post([(1, 100)], [(2, 30)])
    match()
    post([(3, 50)], [(4, 90)])
    assert fills(match()) == [(1, 4, 70), (3, 4, 20)]


def test_the_oldest_is_served_first(post, match):
    post([(1, 10), (3, 10), (5, 10)], [(2, 10), (4, 10), (6, 10)])
    assert fills(match()) == [(1, 2, 10), (3, 4, 10), (5, 6, 10)]


def test_the_slot_of_a_matched_order_is_not_deleted(market, post, match, producer):
    post([(1, 60)], [(2, 60)])
    match()
    assert market.pending_requests(0) == (producer, 60)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 255, 256])
def test_equal_amounts_leave_both_queues_together(market, post, match, count):
    requests, releases = numbered(count), numbered(count)
    post(requests, releases)
    tx = match()
    assert tx.return_value == count
    assert fills(tx) == first_come_first_served(requests, releases)
    assert market.check_request_counter() == market.check_release_counter() == 0
    assert match().return_value == 0


@pytest.mark.parametrize("aligned", range(4))
@pytest.mark.parametrize(
    ("requests", "releases"),
    [
        ([7] * 10, [70]),
        ([70], [7] * 10),
        ([5, 5, 5, 5], [10, 10]),
        ([10, 10], [5, 5, 5, 5]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ([4, 4, 4, 4, 4, 4], [3, 3, 3, 3, 3, 3, 3, 3]),
        ([3, 3, 3, 3, 3, 3, 3, 3], [4, 4, 4, 4, 4, 4]),
        ([100, 1, 1, 1, 97], [1, 1, 1, 1, 96, 50, 50]),
        ([2**32 - 1, 1], [1, 2**32 - 1]),
        ([2**32 - 1] * 5, [2**32 - 2] * 6),
    ],
)
def test_fills_cross_words_of_both_sides(market, post, match, meters, requests, releases, aligned):
    # Both heads and the match counter start in lane `aligned`.
    before = [(8, 1)] * aligned
    post(before, before)
    match()
    requests = [(1 + i % 4, energy) for i, energy in enumerate(requests)]
    releases = [(5 + i % 4, energy) for i, energy in enumerate(releases)]
    post(requests, releases)
    expected = first_come_first_served(requests, releases)
    tx = match()
    assert tx.return_value == len(expected)
    assert fills(tx) == expected
    matched = sum(energy for _, _, energy in expected)
    assert sum(map(market.request, meters)) == (sum(energy for _, energy in requests) - matched)
    assert sum(map(market.release, meters)) == (sum(energy for _, energy in releases) - matched)
    assert match().return_value == 0


def test_one_producer_serves_many_consumers(market, post, match):
    releases = numbered(256)
    total = sum(energy for _, energy in releases)
    post([(1, total + 5)], releases)
    assert fills(match()) == [(1, number, energy) for number, energy in releases]
    assert market.check_release_counter() == 0
    assert market.get_request_value() == 5


def test_many_producers_serve_one_consumer(market, post, match):
    requests = numbered(256)
    total = sum(energy for _, energy in requests)
    post(requests, [(2, total + 5)])
    assert fills(match()) == [(number, 2, energy) for number, energy in requests]
    assert market.check_request_counter() == 0
    assert market.get_release_value() == 5


@pytest.mark.parametrize("limit", range(1, 8))
def test_max_matches_limits_one_call(market, post, match, limit):
    requests, releases = numbered(7), numbered(7)
    post(requests, releases)
    tx = match(limit)
    assert tx.return_value == market.match_counter() == limit
    assert fills(tx) == first_come_first_served(requests, releases)[:limit]
    assert market.check_request_counter() == market.check_release_counter() == 7 - limit
    tx = match()
    assert tx.return_value == 7 - limit
    assert fills(tx) == first_come_first_served(requests, releases)[limit:]


def test_256_matches_are_the_most_of_a_call(market, post, match):
    post(numbered(300), numbered(300))
    tx = match(256)
    assert tx.return_value == 256
    assert market.check_request_counter() == 44
    assert fills(tx) == first_come_first_served(numbered(256), numbered(256))


@pytest.mark.parametrize("max_matches", [0, 257, 2**256 - 1])
def test_a_limit_outside_1_to_256_is_refused(market, post, match, max_matches):
    post([(1, 60)], [(2, 60)])
    with reverts("energy: max_matches not 1..256"):
        match(max_matches)
    assert market.match_counter() == 0


@pytest.mark.parametrize(
    ("requests", "releases"), [([], []), ([(1, 60)], []), ([], [(2, 60)])], ids=str
)
def test_an_empty_queue_matches_nothing(market, post, match, requests, releases):
    post(requests, releases)
    tx = match()
    assert tx.return_value == 0
    assert tx.events == []
    assert market.match_counter() == 0
    assert market.check_request_counter() == len(requests)
    assert market.check_release_counter() == len(releases)


@pytest.mark.parametrize("role", ["stranger", "producer", "owner", "aggregator", "operator"])
def test_anyone_may_call(market, post, role, request):
    post([(1, 60)], [(2, 60)])
    tx = market.match_pending(1, {"from": request.getfixturevalue(role)})
    assert tx.return_value == 1


def test_a_meter_matched_with_itself_conserves_energy(market, post, match, producer):
    post([(1, 100)], [(1, 40)])
    assert fills(match()) == [(1, 1, 40)]
    assert market.request(producer) == 60
    assert market.release(producer) == 0
    assert market.match_at(0) == (0, producer, producer, 40)


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_many_small_calls_give_the_same_pairs(market, post, match, step):
    requests = [(1 + i % 4, 10 + 3 * i) for i in range(9)]
    releases = [(5 + i % 4, 31 - 2 * i) for i in range(9)]
    post(requests, releases)
    expected = first_come_first_served(requests, releases)
    matched = []
    while (tx := match(step)).return_value:
        matched += fills(tx)
    assert matched == expected
    assert [market.match_at(i)[3] for i in range(len(expected))] == [m[2] for m in expected]


def test_an_event_goes_on_with_the_word_that_was_begun(post, match):
    lanes = [1 << 48 | 2 << 32 | energy for energy in (10, 20, 30, 40, 50)]
    first_word = lanes[0] << 192 | lanes[1] << 128 | lanes[2] << 64 | lanes[3]
    post([(1, energy) for energy in (10, 20, 30, 40, 50)], [(2, 150)])
    assert match(1).events == [("Matched", {"first": 0, "words": [lanes[0] << 192]})]
    assert match(1).events == [
        ("Matched", {"first": 1, "words": [lanes[0] << 192 | lanes[1] << 128]})
    ]
    assert match(3).events == [("Matched", {"first": 2, "words": [first_word, lanes[4] << 192]})]


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_full_call_from_inside_a_word_writes_65_words(market, post, match, first):
    post(numbered(256 + first), numbered(256 + first))
    match(first)
    tx = match(256)
    assert tx.return_value == 256
    assert len(tx.events["Matched"][0]["words"]) == 65
    assert fills(tx) == first_come_first_served(numbered(256, first), numbered(256, first))
    assert market.match_counter() == 256 + first


def test_a_word_that_was_begun_keeps_what_was_consumed(market, post, match, consumer):
    post([(1, 10), (1, 20)], [(2, 10), (2, 20)])
    match(1)
    market.consume_match(0, 4, {"from": consumer})
    match(1)
    assert [market.match_at(0)[3], market.match_at(1)[3]] == [6, 20]


@pytest.mark.parametrize("size", range(1, 6))
def test_a_head_never_lands_on_an_empty_lane(market, post, match, size):
    # The lanes behind a batch that does not end a word hold nothing: nothing is matched of them.
    post(numbered(size), numbered(size))
    assert match().return_value == size
    assert match().return_value == 0
    post(numbered(3, size), numbered(3, size))
    assert fills(match()) == first_come_first_served(numbered(3, size), numbered(3, size))
    assert market.check_request_counter() == market.check_release_counter() == 0


@pytest.mark.parametrize("size", range(1, 6))
def test_orders_may_join_the_word_of_a_head_filled_in_part(market, post, match, size):
    requests = [(1, 100), *numbered(size)]
    post(requests[:1], [(2, 30)])
    match()
    post(requests[1:], [(3, 70), (4, 5000)])
    expected = first_come_first_served(requests, [(2, 30), (3, 70), (4, 5000)])
    assert fills(match()) == expected[1:]
    assert market.match_counter() == len(expected)
