"""Faults that are drawn, how long it takes until they are over, and where the operator goes on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from threading import Event

import pytest

from tests.soak.chaos import AT_ONCE, CUTS, KILL, NODE, PAUSE, Chaos, Fault, plan
from tests.soak.journal import Journal, Order, Way
from tests.soak.posting import NAME, batch_to_begin_with
from tests.soak.report import Recovery, recoveries

WORKERS, WAYS = ["relay", "operator"], ["homes", "town hall"]


def test_the_same_seed_draws_the_same_faults() -> None:
    one, again, other = (list(islice(plan(seed, WORKERS, WAYS), 500)) for seed in (7, 7, 8))
    assert one == again
    assert one != other
    assert {fault.victim for fault in one} == {*WORKERS, *WAYS, NODE}
    assert {fault.kind for fault in one} == {KILL, PAUSE, *CUTS}
    assert all((fault.kind in CUTS) == (fault.victim in WAYS) for fault in one)


class Victim:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.was_started = Event()

    def kill(self) -> None:
        self.done.append("kill")

    def start(self) -> None:
        self.done.append("start")
        self.was_started.set()

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")


def test_a_fault_is_over_once_chaos_is(tmp_path: Path) -> None:
    journal, victim, still = Journal(tmp_path / "journal"), Victim(), Victim()
    faults = iter([Fault(0, PAUSE, "still", 1_000), Fault(0, KILL, "relay", 0)])
    with Chaos(faults, {"relay": victim, "still": still}, {}, journal) as there:
        assert victim.was_started.wait(10)
        with there.spared("still") as free:
            assert not free
        assert there.disturbs("still")
        assert still.done == ["pause"]
    there.check()
    assert victim.done == ["kill", "start"]
    assert still.done == ["pause", "resume"]
    assert there.counts == {(KILL, "relay"): 1, (PAUSE, "still"): 1}
    assert {(each["what"], each["victim"]) for each in journal} == {
        ("fault", "relay"),
        ("fault", "still"),
    }


def test_faults_are_two_at_once_at_most(tmp_path: Path) -> None:
    struck: set[str] = set()
    together: list[int] = []
    all_over = Event()

    class Counted(Victim):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def pause(self) -> None:
            struck.add(self.name)
            together.append(len(struck))

        def resume(self) -> None:
            struck.remove(self.name)
            if len(together) == len(victims) and not struck:
                all_over.set()

    victims = {name: Counted(name) for name in "abcdef"}
    faults = iter([Fault(0, PAUSE, name, 0.02) for name in victims])
    with Chaos(faults, victims, {}, Journal(tmp_path / "journal")):
        assert all_over.wait(10)
    assert len(together) == len(victims)
    assert max(together) <= AT_ONCE


def test_a_recovery_lasts_until_the_next_order_or_match_on_chain() -> None:
    faults = [
        {"kind": "kill", "victim": "relay", "time": 100.25},
        {"kind": "hang", "victim": "homes", "time": 103.5},
        {"kind": "pause", "victim": "relay", "time": 200.0},
    ]
    assert recoveries(faults, [99, 103, 110]) == [
        Recovery(2.75, "kill of relay"),
        # A block of that very second: it went on meanwhile.
        Recovery(0.0, "hang of homes"),
    ]


@pytest.mark.parametrize(("noted", "begins"), [("", 0), ("i", 0), ("ia", 1), ("iai", 1)])
def test_the_operator_goes_on_with_the_batch_that_it_was_at(
    tmp_path: Path, noted: str, begins: int
) -> None:
    journal = Journal(tmp_path / "journal")
    for number, what in enumerate(noted):
        name = {"i": "intended", "a": "accepted"}[what]
        order = Order(Way.PACKED, "request", "0xabc", 200_000)
        journal.order(name, order, NAME, batch=number // 2)
    assert batch_to_begin_with(journal) == begins
