"""The lower bound's numbers, and what first come, first served does without a loop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bounds import Log, Touched, array_log, matched_of
from benchmarks.laboratory import Cost
from energy_chain import MemoryLedger
from energy_chain.gas import calldata_gas, words_of
from energy_chain.market import MAX_BATCH, Release, Request


def test_a_transaction_that_does_nothing_costs_what_it_is():
    assert Touched().bound(0) == 21_000


def test_a_word_of_matches_costs_two_reads_a_write_and_its_log():
    # From the start of a word: the words of both sides, the word written, 32 bytes more of a log.
    four = Touched(read=2, overwritten=1, logs=(array_log(1),), transactions=0)
    assert four.storage + array_log(1).gas - array_log(0).gas == 4 * 2_364


@pytest.mark.parametrize(("log", "gas"), [(Log(1, 0), 750), (Log(2, 2), 1_637), (Log(1, 4), 1_774)])
def test_a_log_pays_for_topics_and_bytes(log: Log, gas: int):
    assert log.gas == gas


def test_zero_bytes_of_calldata_cost_a_quarter():
    assert calldata_gas(bytes([0, 0, 1, 255])) == 2 * 4 + 2 * 16


@pytest.mark.parametrize(
    ("first", "count", "words"), [(0, 1, 1), (0, 4, 1), (0, 5, 2), (3, 1, 1), (3, 2, 2), (7, 0, 1)]
)
def test_lanes_lie_in_words(first: int, count: int, words: int):
    assert words_of(first, count) == words


def test_costs_add_up_part_by_part():
    total = Cost(1, 2, 3, 4, 5, 6) + Cost(10, 20, 30, 40, 50, 60)
    assert total == Cost(11, 22, 33, 44, 55, 66)
    assert total.total == 165


SIDE = st.lists(st.integers(1, 5), min_size=1, max_size=40)


@given(SIDE, SIDE)
def test_what_takes_part_is_what_the_market_matches(requests: list[int], releases: list[int]):
    market = MemoryLedger.deploy("owner", "aggregator", "operator", 0, clock=lambda: 0)
    operator = market.as_account("operator")
    operator.register_meters(["home"])
    operator.post_requests([Request(1, energy) for energy in requests])
    operator.post_releases([Release(1, energy) for energy in releases])
    fills = operator.match_pending(MAX_BATCH).fills
    used = []
    for posted, left, head in (
        (requests, operator.requests_outstanding(), operator.next_request_energy()),
        (releases, operator.releases_outstanding(), operator.next_release_energy()),
    ):
        cut = left > 0 and head < posted[len(posted) - left]
        used.append(len(posted) - left + cut)
    assert matched_of(requests, releases) == (len(fills), *used)
