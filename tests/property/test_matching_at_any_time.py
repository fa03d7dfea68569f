"""Whoever calls `match_pending`, whenever and however often: the pairs are the same."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain.ledger import Ledger
from energy_chain.market import MAX_BATCH, Fill

from .histories import (
    DETERMINISTIC,
    accounts,
    calls_of,
    good_posts,
    good_releases,
    good_requests,
)
from .markets import GENESIS, OPERATOR, REGISTER, STRANGER, Call, Clock, new_twin, outcome, stage

limits = st.sampled_from([0, 1, 1, 2, 3, 7, 256, 257])
matchings = calls_of("match_pending", accounts, limits)
trades = calls_of("post_and_match", st.just(OPERATOR), good_requests, good_releases, limits)
interleaved = st.lists(st.one_of(good_posts, matchings, trades), min_size=4, max_size=24)
ONCE = Call(STRANGER, "match_pending", (256,))


def pairs(ledger: Ledger, calls: list[Call]) -> list[Fill]:
    """The matches that calls make, in their order."""
    return [
        fill
        for events in (outcome(ledger, call) for call in calls)
        if isinstance(events, tuple)
        for event in events
        for fill in getattr(event, "fills", ())
    ]


def posts_of(calls: list[Call]) -> list[Call]:
    """The same orders, matched by none of the calls. One that allows too many posts nothing."""
    posts = []
    for call in calls:
        if call.method == "post_and_match":
            requests, releases, most = call.arguments
            if most <= MAX_BATCH:
                posts.append(replace(call, arguments=(requests, releases, 0)))
        elif call.method != "match_pending":
            posts.append(call)
    return posts


@given(calls=interleaved)
@settings(DETERMINISTIC, max_examples=150)
def test_the_twin_makes_the_pairs_of_one_call_at_the_end(calls):
    often, once = new_twin(Clock(GENESIS)), new_twin(Clock(GENESIS))
    made_often = pairs(often, [REGISTER, *calls, ONCE])
    assert made_often == pairs(once, [REGISTER, *posts_of(calls), ONCE])


@given(calls=interleaved)
@settings(DETERMINISTIC, max_examples=3)
def test_the_contract_makes_the_pairs_of_one_call_at_the_end(calls):
    made_often = pairs(stage("empty").pair().contract, [*calls, ONCE])
    assert made_often == pairs(stage("empty").pair().contract, [*posts_of(calls), ONCE])
