"""Several aggregators of one market: one matches, the others stand by, and one takes over."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

import pytest

from energy_chain.trouble import ANSWERS_AGAIN
from energy_chain.turns import PATIENCE, Turns
from tests.package.worlds import OWNER, Market, Process, World

LEAST, MOST = PATIENCE


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    return Turns(clock, Random(1))


def waited(turns: Turns, clock: Clock, work: object) -> float:
    """Seconds after which it is its turn to match some work that it sees for the first time."""
    begun = clock.now
    while not turns.has_come(work):
        clock.now += 0.01
    return clock.now - begun


# ------------------------------------------------------------------ one of them


def test_who_stands_by_acts_on_work_that_has_waited_for_its_patience(
    turns: Turns, clock: Clock
) -> None:
    assert not turns.active
    assert LEAST <= waited(turns, clock, "work") <= MOST + 0.01


def test_work_is_waited_for_anew_once_somebody_has_matched(turns: Turns, clock: Clock) -> None:
    for work in range(20):
        assert not turns.has_come(work)
        clock.now += LEAST - 0.01
        assert not turns.has_come(work)
    assert not turns.has_come(None)


def test_patience_is_drawn_anew_each_time_and_a_seed_repeats_it(clock: Clock) -> None:
    def drawn() -> list[float]:
        turns = Turns(clock, Random(7))
        found = []
        for work in range(5):
            found.append(waited(turns, clock, work))
            turns.acted(matched=False, in_time=True)  # expired: nobody was faster, nobody is active
            turns.stand_by()
        return [round(seconds, 1) for seconds in found]

    first = drawn()
    assert len(set(first)) == len(first)
    assert drawn() == first


def test_a_first_patience_holds_until_somebody_else_has_matched(clock: Clock) -> None:
    turns = Turns(clock, Random(1), first_patience=0.5)
    assert not turns.has_come(None)
    assert waited(turns, clock, "work") == pytest.approx(0.5, abs=0.02)
    turns = Turns(clock, Random(1), first_patience=0.5)
    assert not turns.has_come("work")
    clock.now += 0.1
    assert not turns.has_come("other work")
    assert waited(turns, clock, "yet other work") >= LEAST


def test_who_has_matched_acts_at_once_until_another_one_is_faster(
    turns: Turns, clock: Clock
) -> None:
    assert waited(turns, clock, "work")
    turns.acted(matched=True, in_time=True)
    assert turns.active
    assert turns.has_come("more work")
    turns.acted(matched=False, in_time=True)  # all of it had expired
    assert turns.active
    assert not turns.has_come(None)
    assert turns.has_come("more work")
    turns.acted(matched=True, in_time=False)  # less than there was
    assert not turns.active
    assert waited(turns, clock, "yet more work") >= LEAST


def test_who_was_faster_by_chance_is_not_active_before_it_has_matched(
    turns: Turns, clock: Clock
) -> None:
    assert waited(turns, clock, "work")
    turns.acted(matched=False, in_time=True)
    assert not turns.active


def test_who_was_active_and_has_not_looked_for_as_long_as_others_wait_stands_by(
    turns: Turns, clock: Clock
) -> None:
    assert waited(turns, clock, "work")
    clock.now += 2 * MOST  # the call took so long: it was there
    turns.acted(matched=True, in_time=True)
    clock.now += LEAST
    assert turns.has_come("more work")
    clock.now += LEAST + 0.01
    assert not turns.has_come("more work")
    assert not turns.active
    assert waited(turns, clock, "more work") >= LEAST


def test_after_a_call_of_which_nobody_knows_it_stands_by(turns: Turns, clock: Clock) -> None:
    assert waited(turns, clock, "work")
    turns.acted(matched=True, in_time=True)
    assert turns.has_come("more work")
    turns.stand_by()
    assert waited(turns, clock, "more work") >= LEAST


def test_what_was_waited_for_before_the_chain_was_lost_does_not_count(
    turns: Turns, clock: Clock
) -> None:
    assert not turns.has_come("work")
    clock.now += 10 * MOST
    turns.lost()
    assert waited(turns, clock, "work") >= LEAST


def test_who_stands_by_learns_how_long_the_others_take(turns: Turns, clock: Clock) -> None:
    for work in range(6):
        assert not turns.has_come(work)
        clock.now += 12.0  # a block
        turns.has_come(None)
    assert 12 + LEAST <= waited(turns, clock, "work") <= 12 + MOST + 0.01


def test_a_death_does_not_make_those_who_stand_by_more_patient(turns: Turns, clock: Clock) -> None:
    for work, seconds in enumerate((1.0, 60.0, 1.0, 1.0, 60.0)):
        assert not turns.has_come(work)
        clock.now += seconds
        turns.has_come(None)
    assert waited(turns, clock, "work") <= 1 + MOST + 0.01


# ------------------------------------------------------------------ several of them


class Trial(NamedTuple):
    market: Market
    processes: list[Process]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def trial(world: World) -> Callable[..., Trial]:
    """Aggregators that start almost at once, and posts for `seconds`, which end them."""

    def trial(
        seed: int, processes: int, block: float, seconds: float, appointed: bool = True
    ) -> Trial:
        random = Random(seed)
        market = Market(world, random, block)
        started = [
            Process(market, number + (not appointed), random.uniform(0, 0.3))
            for number in range(processes)
        ]
        market.posts(seconds, mean=1.0)
        for process in started:
            world.at(seconds + 10, process.stop)
        return Trial(market, started)

    return trial


def active(trial: Trial) -> Process:
    """Who has matched last."""
    account = trial.market.calls[-1].account
    return next(process for process in trial.processes if process.account == account)


@pytest.mark.parametrize("appointed", [True, False])
@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("processes", [2, 3, 4])
def test_of_several_that_die_one_after_the_other_the_next_takes_over(
    world: World, trial: Callable[..., Trial], processes: int, block: float, appointed: bool
) -> None:
    begun = trial(processes, processes, block, 200.0 * processes, appointed)
    market, killed = begun.market, []

    def kill() -> None:
        victim = active(begun)
        victim.kill()
        killed.append((world.now, victim.account))

    for number in range(1, processes):
        world.at(200.0 * number, kill)
    world.run()
    assert market.useful() >= 0.99
    assert market.ledger.requests_outstanding() * market.ledger.releases_outstanding() == 0
    for time, account in killed:
        others = [c.time for c in market.calls if c.account != account and c.matches]
        assert next(other for other in others if other > time) - time <= 15
    assert len({account for _, account in killed}) == processes - 1


def test_a_single_one_that_the_market_has_appointed_begins_after_two_looks(
    world: World, trial: Callable[..., Trial]
) -> None:
    begun = trial(1, 1, 0, 20.0)
    posted = world.now
    world.run()
    first = begun.market.calls[0].time - posted
    assert first <= 6
    assert begun.market.useful() == 1
    assert [report.active for report in begun.processes[0].reports[:2]] == [True, True]


def test_one_that_was_stalled_and_comes_back_stands_by_again(
    world: World, trial: Callable[..., Trial]
) -> None:
    begun = trial(5, 3, 1, 500.0)
    stalled: list[Process] = []

    def stall() -> None:
        stalled.append(active(begun))
        stalled[0].stall(40.0)

    world.at(200.0, stall)
    world.run()
    assert begun.market.useful() >= 0.99
    (victim,) = stalled
    since = [call.account for call in begun.market.calls if call.time > 260]
    assert len(set(since)) == 1
    assert since[0] != victim.account
    late = [
        each for each in begun.market.calls if each.time > 200 and victim.account == each.account
    ]
    assert len(late) <= 1  # the call that it was at


def test_a_node_that_is_away_for_all_of_them_is_told_once_and_costs_nothing(
    world: World, trial: Callable[..., Trial]
) -> None:
    begun = trial(2, 3, 1, 300.0)
    market = begun.market
    world.at(100.0, lambda: setattr(market, "away", True))
    world.at(160.0, lambda: setattr(market, "away", False))
    world.run()
    told = ["nobody answers", ANSWERS_AGAIN]
    assert [process.troubles for process in begun.processes] == [told] * 3
    assert market.useful() >= 0.99
    back = min(call.time for call in market.calls if call.time > 162)
    assert back - 160 <= 15


def test_a_pause_costs_nothing_and_its_end_is_noticed_at_once(
    world: World, trial: Callable[..., Trial]
) -> None:
    begun = trial(3, 3, 1, 100.0)
    market = begun.market
    owner = market.ledger.as_account(OWNER)
    world.at(30.5, owner.pause)
    world.at(60.5, owner.unpause)
    world.run()
    assert market.useful() >= 0.99
    assert [call for call in market.calls if 31 < call.time < 60] == []
    assert min(call.time for call in market.calls if call.time > 60) <= 63


def test_where_the_operator_matches_as_well_one_of_its_calls_spoils_one_call_at_most(
    world: World, trial: Callable[..., Trial]
) -> None:
    begun = trial(4, 2, 1, 400.0)
    market = begun.market
    for number in range(10):
        world.at(40.0 * number, lambda: market.post(2, matching=True))
    world.run()
    assert sum(not call.matches for call in market.calls) <= 10
    assert market.ledger.requests_outstanding() * market.ledger.releases_outstanding() == 0
