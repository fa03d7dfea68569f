"""The contract and its Python twin do the same, whatever happens."""

import random

import pytest
from hypothesis import given, settings

from energy_chain.errors import BatchEmpty, CounterUsedUp, InvalidMaxMatches, MarketPaused
from energy_chain.events import PeriodOpened
from energy_chain.market import CAPACITY, Release, Request

from .histories import DETERMINISTIC, histories
from .markets import AGGREGATOR, GENESIS, METERS, OPERATOR, PERIOD, STAGES, STRANGER, Call, stage


@pytest.mark.parametrize("name", STAGES)
@given(history=histories(10, 24))
@settings(DETERMINISTIC, max_examples=1)
def test_contract_and_twin_agree_on_any_history(name, history):
    pair = stage(name).pair()
    for call in history:
        pair.do(call)
    pair.assert_same()


def test_the_histories_of_both_tell_the_same_events():
    pair = stage("about to wrap").pair()
    pair.do(Call(OPERATOR, "post_request", (METERS[0], 9)))
    pair.do(Call(STRANGER, "match_pending", (1,)))
    told = [receipt.events for receipt in pair.contract.history()]
    assert told == [receipt.events for receipt in pair.twin.history()]


@pytest.mark.parametrize(("seconds", "opens"), [(-1, False), (0, True), (1, True)])
def test_a_period_begins_with_its_first_second_in_both(seconds, opens):
    pair = stage("empty").pair()
    pair.do(Call(OPERATOR, "post_request", (METERS[0], 9)))
    boundary = GENESIS + PERIOD
    # The next block comes a second after the latest, and one second after it the next but one.
    pair.do(Call(OPERATOR, "wait", (boundary + seconds - pair.connection.block_time() - 2,)))
    events = pair.do(Call(OPERATOR, "post_release", (METERS[1], 9)))
    assert pair.connection.block_time() == boundary + seconds
    assert (events[0] == PeriodOpened(boundary // PERIOD, 1, 0)) == opens


def test_every_slot_and_match_agrees_after_laps_of_both_rings():
    chosen = random.Random(7)
    pair = stage("about to wrap").pair()
    for lap in range(5):
        requests, releases = (
            [
                order(chosen.randint(1, 5), chosen.randint(1, 3))
                for _ in range(chosen.randint(201, 256))
            ]
            for order in (Request, Release)
        )
        if lap % 2:
            pair.do(Call(OPERATOR, "post_requests", (requests,)))
            pair.do(Call(OPERATOR, "post_releases", (releases,)))
        else:
            pair.do(Call(OPERATOR, "post_and_match", (requests, releases, 256)))
        for most in 3, 256, 256:
            pair.do(Call(STRANGER, "match_pending", (most,)))
    assert pair.contract.match_counter() > 3000
    slots = range(CAPACITY)
    for ring in "request_slot", "release_slot":
        twin = [getattr(pair.twin, ring)(slot) for slot in slots]
        assert [getattr(pair.contract, ring)(slot) for slot in slots[::16]] == twin[::16]
    for meter in METERS:
        assert pair.contract.matches_of(meter) == pair.twin.matches_of(meter)
    pair.assert_same()


def test_both_refuse_what_would_overwrite_a_pending_order():
    pair = stage("about to wrap").pair()
    order = Request(1, 1)
    for count in 256, 256, 256, 255:
        pair.do(Call(OPERATOR, "post_requests", ([order] * count,)))
    for count in 2, 1, 1:
        pair.do(Call(OPERATOR, "post_requests", ([order] * count,)))
    assert pair.contract.requests_outstanding() == 1023
    pair.assert_same()


@pytest.mark.parametrize("energy", [1, 256, 257, 300])
def test_both_match_no_more_than_256_orders_for_an_energy(energy):
    pair = stage("empty").pair()
    for side, order in ("requests", Request(1, 1)), ("releases", Release(2, 1)):
        pair.do(Call(OPERATOR, f"post_{side}", ([order] * 256,)))
        pair.do(Call(OPERATOR, f"post_{side}", ([order] * 3,)))
    pair.do(Call(AGGREGATOR, "match_energy", (energy,)))
    pair.assert_same()


@pytest.mark.parametrize(
    ("method", "arguments", "refusal"),
    [
        ("post_requests", ([],), MarketPaused),
        ("post_releases", ([],), MarketPaused),
        ("post_and_match", ([], [], 0), BatchEmpty),
        ("post_and_match", ([], [], 257), InvalidMaxMatches),
        ("post_and_match", ([Request(9, 1)], [], 257), InvalidMaxMatches),
        ("post_and_match", ([Request(9, 1)], [], 256), MarketPaused),
    ],
)
def test_of_two_reasons_both_name_the_same_in_a_pause(method, arguments, refusal):
    pair = stage("empty").pair()
    pair.do(Call("owner", "pause"))
    assert pair.do(Call(OPERATOR, method, arguments)) is refusal


@pytest.mark.parametrize("offered", [1, 5])
@pytest.mark.parametrize("count", [1, 4, 5])
def test_both_sides_used_up_by_the_same_fill_leave_both_queues(count, offered):
    pair = stage("empty").pair()
    pair.do(Call(OPERATOR, "post_requests", ([Request(1, offered)] * count,)))
    pair.do(Call(OPERATOR, "post_releases", ([Release(2, offered)] * count,)))
    pair.do(Call(STRANGER, "match_pending", (256,)))
    assert pair.contract.requests_outstanding() == pair.contract.releases_outstanding() == 0
    pair.do(Call(STRANGER, "match_pending", (256,)))
    assert pair.contract.match_counter() == count
    pair.assert_same()


@pytest.mark.parametrize(("side", "left"), [("requests", 13), ("releases", 14)])
def test_both_count_orders_up_to_the_last_number_and_no_further(side, left):
    order = {"requests": Request, "releases": Release}[side]
    pair = stage("almost used up").pair()
    post = f"post_{side}"
    assert pair.do(Call(OPERATOR, post, ([order(1, 1)] * (left + 1),))) is CounterUsedUp
    assert isinstance(pair.do(Call(OPERATOR, post, ([order(1, 1)] * left,))), tuple)
    assert pair.do(Call(OPERATOR, post, ([order(1, 1)],))) is CounterUsedUp
    assert pair.do(Call(OPERATOR, post[:-1], (METERS[0], 1))) is CounterUsedUp
    pair.assert_same()


def test_both_count_matches_up_to_the_last_number_and_no_further():
    pair = stage("almost used up").pair()
    pair.do(Call(OPERATOR, "post_requests", ([Request(1, 1)] * 12,)))
    pair.do(Call(OPERATOR, "post_releases", ([Release(2, 1)] * 12,)))
    assert pair.do(Call(STRANGER, "match_pending", (12,))) is CounterUsedUp
    assert pair.do(Call(OPERATOR, "post_and_match", ([Request(3, 1)], [], 12))) is CounterUsedUp
    assert isinstance(pair.do(Call(STRANGER, "match_pending", (11,))), tuple)
    assert pair.do(Call(STRANGER, "match_pending", (1,))) is CounterUsedUp
    assert pair.do(Call(AGGREGATOR, "match_energy", (1,))) is CounterUsedUp
    pair.assert_same()
