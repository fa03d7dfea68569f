"""The twin does what a list-based model does, over many laps of small rings."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain import memory_ledger
from energy_chain.market import CAPACITY, MATCH_CAPACITY, Release, Request

from .histories import (
    DETERMINISTIC,
    calls_of,
    good_posts,
    good_releases,
    good_requests,
    meter_numbers,
    small_energies,
)
from .markets import AGGREGATOR, OPERATOR, PERIOD, Call
from .twin_and_model import TwinAndModel

SMALL = 8, 16
indexes = st.integers(0, 60)
trades = st.sampled_from(
    ["post"] * 6 + ["match"] * 4 + ["trade"] * 2 + ["energy", "consume", "match of", "all", "wait"]
).flatmap(
    {
        "post": good_posts,
        "trade": calls_of(
            "post_and_match", st.just(OPERATOR), good_requests, good_releases, st.integers(0, 9)
        ),
        "match": calls_of("match_pending", st.just(OPERATOR), st.integers(1, 9)),
        "energy": calls_of("match_energy", st.just(AGGREGATOR), st.integers(1, 12)),
        "consume": calls_of("consume", st.just(OPERATOR), meter_numbers, small_energies),
        "match of": calls_of("consume_match", st.just(OPERATOR), indexes, small_energies),
        "all": calls_of("confirm_matches", st.just(OPERATOR), indexes, st.integers(0, 9)),
        "wait": calls_of("wait", st.just(OPERATOR), st.just(PERIOD)),
    }.__getitem__
)
confirmations = calls_of(
    "confirm_deliveries",
    st.just(OPERATOR),
    indexes.map(lambda index: index // 4 * 4),
    st.lists(st.integers(0, 2), min_size=1, max_size=9),
)


@given(calls=st.lists(st.one_of(trades, trades, confirmations), min_size=20, max_size=80))
@settings(DETERMINISTIC, max_examples=80)
def test_the_twin_does_what_the_model_does_in_small_rings(calls):
    with patch.multiple(memory_ledger, CAPACITY=SMALL[0], MATCH_CAPACITY=SMALL[1]):
        both = TwinAndModel(*SMALL)
        for call in calls:
            both.do(call)
            both.assert_same()


def test_the_twin_does_what_the_model_does_in_rings_of_full_size():
    both = TwinAndModel(CAPACITY, MATCH_CAPACITY)
    for lap in range(24):
        both.do(Call(OPERATOR, "post_requests", ([Request(1 + lap % 5, 2)] * (250 - lap),)))
        both.do(Call(OPERATOR, "post_releases", ([Release(2, 3), Release(3, 1)] * (128 - lap),)))
        both.do(Call(AGGREGATOR, "match_energy", (5,)))
        both.do(Call(OPERATOR, "match_pending", (256,)))
    both.assert_same()
    assert both.twin.match_counter() > 2 * MATCH_CAPACITY
