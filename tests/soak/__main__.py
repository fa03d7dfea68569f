"""Lets a market trade while its processes, its node and the ways to it fail, and proves the result.

python -m tests.soak --minutes 5 --seed 7 --report soak.json

Producers, consumers, homes that sign their orders, a relay, two aggregators and an operator trade
on a Ganache of their own. Faults are drawn from a seed. At the end the chain alone tells what has
become of every order that somebody was told is accepted. Ends with 1 when one was lost or doubled,
when there is something that nobody gave, when energy is lost, or when a process ended by itself.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from energy_chain.chain.ganache import installed
from energy_chain.record.audit import audit
from tests.soak.checking import check, posted_orders
from tests.soak.report import Soak, print_report, recoveries
from tests.soak.town import AGGREGATORS, PERIOD, Town

SETTLE_SECONDS = 60.0
NEWS = 30.0
"""Seconds between two lines of progress, where there is no terminal."""


def soak(minutes: float, seed: int, folder: Path, console: Console) -> Soak:
    """Lets a town trade for some minutes, and finds out what came of it."""
    began = time.monotonic()
    with Town(folder, seed, minutes) as town:
        with town.signing:
            town.wait_until_it_trades()
            console.print(f"everybody trades after {time.monotonic() - began:.0f} s")
            with town.chaos, _progress(minutes, console) as show:
                deadline = time.monotonic() + 60 * minutes
                while (left := deadline - time.monotonic()) > 0:
                    town.look_after()
                    show(minutes - left / 60, town.chaos.counts.total())
                    time.sleep(0.5)
        ended = time.monotonic()
        town.enough.touch()
        settled = None
        while time.monotonic() - ended < SETTLE_SECONDS:
            town.look_after()
            if not (waiting := town.under_way()):
                settled = round(time.monotonic() - ended, 1)
                break
            time.sleep(0.5)
        else:
            why = f"{waiting} under way {SETTLE_SECONDS:g} s after the last fault"
            town.journal.note("fault found", by="everybody", why=why)
        town.note_outcomes()
        town.end()
        town.note_outboxes()
        return _judged(town, seed, minutes, settled)


def _judged(town: Town, seed: int, minutes: float, settled: float | None) -> Soak:
    # As of one block: a period may begin while the chain is read.
    ledger = town.reader().at_latest_block()
    history = list(ledger.history())
    posted = list(posted_orders(history, PERIOD))
    journal = list(town.journal)
    report = audit(history, ledger)
    orders = {each.transaction for each in posted}
    went_on = [
        receipt.timestamp for receipt in history if receipt.transaction in orders or receipt.fills
    ]
    useful = {receipt.transaction for receipt in history if receipt.fills}
    return Soak(
        seed=seed,
        minutes=minutes,
        faults=town.chaos.counts,
        recoveries=recoveries((each for each in journal if each["what"] == "fault"), went_on),
        restarts=town.restarts,
        settled_seconds=settled,
        matching=_matching(town, useful),
        audit=report,
        verdict=check(journal, posted, report),
    )


def _matching(town: Town, useful: set[str]) -> dict[str, tuple[int, int]]:
    """Transactions of each aggregator on the chain, and those of them that matched something."""
    by = {town.addresses[f"dev{number}"].lower(): name for name, number in AGGREGATORS.items()}
    counts = {name: [0, 0] for name in AGGREGATORS}
    for number in range(town.node.height() + 1):
        for transaction in town.node.ask("eth_getBlockByNumber", hex(number), True)["transactions"]:
            if name := by.get(transaction["from"].lower()):
                counts[name][0] += 1
                counts[name][1] += transaction["hash"] in useful
    return {name: (sent, matched) for name, (sent, matched) in counts.items()}


@contextmanager
def _progress(minutes: float, console: Console) -> Iterator[Callable[[float, int], None]]:
    """A live line on a terminal; elsewhere a line every now and then."""
    live = console.is_terminal
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    told = time.monotonic()
    with Progress(*columns, console=console, disable=not live, transient=True) as progress:
        task = progress.add_task("faults", total=minutes)

        def show(done: float, faults: int) -> None:
            nonlocal told
            progress.update(task, completed=done, description=f"{faults} faults")
            if not live and time.monotonic() - told >= NEWS:
                told = time.monotonic()
                console.print(f"{done:.1f} of {minutes:g} minutes, {faults} faults")

        yield show


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(prog="soak", description="A market while everything fails.")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long there are faults")
    parser.add_argument("--seed", type=int, help="of the faults; a random one without it")
    parser.add_argument("--report", type=Path, help="file for what came of it, in JSON")
    chosen = parser.parse_args(arguments)
    if installed() is None:
        print("error: Ganache is not installed: run make nodes", file=sys.stderr)
        return 2
    seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    console.print(f"seed {seed}, {chosen.minutes:g} minutes, in {folder}")
    found = soak(chosen.minutes, seed, folder, console)
    print_report(found, console)
    if chosen.report:
        chosen.report.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")
    if violations := found.verdict.violations:
        told = f"error: {violations[0]} (seed {seed}; what everybody was told is in {folder})"
        print(told, file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
