"""Drives the market on pyrevm with as many random calls as wanted, and prints what came of them.

python -m tests.stateful.fuzz --rules 100000 --seed 7 --workers 2

Hypothesis draws the calls, in rounds of a seed each. The first round takes the seed that was given:
the one of a round that failed replays it. Ends with 1 when a rule of the market was broken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from energy_chain.chain import artifact

from .machine import ACCEPTED, VIOLATED, MarketMachine, Tally
from .revm import RevmStage

EXAMPLES = 25
"""Sequences of calls in a round."""
STEPS = 500
"""Calls in a sequence, or fewer once Hypothesis has drawn all the bytes that it allows."""
NEWS = 10.0
"""Seconds between two lines of progress, where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did.

    Attributes:
        seed: what replays it.
        tally: its calls, up to a violation.
        violation: the shortest calls that break a rule, and how; empty when none was broken.
    """

    seed: int
    tally: Tally
    violation: str = ""


@dataclass(slots=True)
class Result:
    """What all rounds did."""

    seeds: list[int] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    violations: list[Round] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, done: Round) -> None:
        """Adds a round."""
        self.seeds.append(done.seed)
        self.tally.merge(done.tally)
        if done.violation:
            self.violations.append(done)


_done: Any = None
"""In a worker: the count of calls of all workers."""


def _begin(done: Any, contracts: Path | None) -> None:
    global _done
    _done = done
    if contracts is not None:
        assert not artifact.load_artifact.cache_info().currsize, "another contract was read before"
        artifact.sources = lambda: contracts


class _Counted(Tally):
    """Tells the calls of this worker to whoever shows the progress."""

    def add(self, rule: str, outcome: str) -> None:
        super().add(rule, outcome)
        if _done is not None:
            with _done.get_lock():
                _done.value += 1


def run_round(round_seed: int, shrink: bool = True) -> Round:
    """Runs the sequences of calls of a seed, up to the first that breaks a rule."""
    tally = _Counted()
    machine = seed(round_seed)(
        type("Market", (MarketMachine,), {"stages": RevmStage, "tally": tally})
    )
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        phases=phases,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=how)
    except Exception as error:
        return Round(round_seed, tally, "".join(traceback.format_exception(error)))
    return Round(round_seed, tally)


def seeds(first: int) -> Iterator[int]:
    """The seeds of the rounds: the first is the one given."""
    chosen = random.Random(first)
    yield first
    while True:
        yield chosen.getrandbits(32)


def fuzz(
    rules: int,
    first_seed: int,
    workers: int,
    console: Console,
    contracts: Path | None = None,
    shrink: bool = True,
) -> Result:
    """Runs rounds until so many rules were called, or one was broken."""
    result, began = Result(), monotonic()
    context = multiprocessing.get_context("spawn")
    done = context.Value("Q", 0)
    rounds = seeds(first_seed)
    with (
        _progress(console, rules) as progress,
        ProcessPoolExecutor(workers, context, _begin, (done, contracts)) as pool,
    ):
        running: set[Future[Round]] = set()
        told = monotonic()
        while running or (result.tally.calls < rules and not result.violations):
            while len(running) < workers and done.value < rules and not result.violations:
                running.add(pool.submit(run_round, next(rounds), shrink))
            finished, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                result.add(future.result())
            progress.update(progress.task_ids[0], completed=min(done.value, rules))
            if not console.is_terminal and monotonic() - told >= NEWS:
                told = monotonic()
                console.print(f"{done.value:,} of {rules:,} calls")
    result.seconds = monotonic() - began
    return result


def _progress(console: Console, rules: int) -> Progress:
    progress = Progress(
        TextColumn("calls"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    progress.add_task("calls", total=rules)
    return progress


def table_of(tally: Tally) -> Table:
    """Each rule, how often it was called and what came of it."""
    table = Table("rule", box=None, pad_edge=False)
    for column in ("called", "accepted", "refused"):
        table.add_column(column, justify="right")
    table.add_column("refused because", overflow="fold")
    for rule, outcomes in sorted(tally.outcomes.items()):
        refused = {
            name: count
            for name, count in outcomes.most_common()
            if name not in (ACCEPTED, VIOLATED)
        }
        table.add_row(
            rule,
            f"{outcomes.total():,}",
            f"{outcomes[ACCEPTED]:,}",
            f"{sum(refused.values()):,}",
            ", ".join(f"{name} {count:,}" for name, count in refused.items()),
        )
    return table


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; 1 when a rule of the market was broken."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Random calls, all checked.")
    parser.add_argument("--rules", type=int, default=100_000, help="how many calls at least")
    parser.add_argument("--seed", type=int, help="of the first round; a random one without it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--contracts", type=Path, help="folder of other sources of the contract")
    parser.add_argument("--no-shrink", action="store_true", help="show a failure as it was found")
    chosen = parser.parse_args(arguments)
    first_seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(f"seed {first_seed}, {chosen.workers} workers, at least {chosen.rules:,} calls")
    result = fuzz(
        chosen.rules,
        first_seed,
        chosen.workers,
        console,
        chosen.contracts,
        not chosen.no_shrink,
    )
    console.print(table_of(result.tally))
    calls, seconds = result.tally.calls, result.seconds
    console.print(
        f"{calls:,} calls of {len(result.tally.outcomes)} rules in {len(result.seeds)} rounds "
        f"and {seconds:.0f} s, {calls / seconds:,.0f} a second"
    )
    console.print(f"seeds of the rounds: {' '.join(map(str, result.seeds))}")
    console.print(f"violations: {len(result.violations)}")
    for broken in result.violations:
        console.print(f"\nseed {broken.seed}, at call {broken.tally.calls:,} of its round:")
        console.print(broken.violation, markup=False)
        console.print(
            f"replay it: python -m tests.stateful.fuzz --rules 1 --workers 1 --seed {broken.seed}"
        )
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
