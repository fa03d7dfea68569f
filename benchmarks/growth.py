"""How time and memory of a simulation grow with the number of homes."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import perf_counter

from energy_chain.simulation import Community, simulate

DAY = date(2026, 6, 21)
SIZES = ((10, 1), (100, 1), (100, 10), (1_000, 1), (100, 100), (1_000, 10))
"""Homes of a community, and how many communities."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What a simulated day took.

    Attributes:
        homes, communities: homes of each community, and how many of these.
        seconds: on the wall, in one process.
        seconds_of_two: the same in two processes, their start included.
        memory: MB that the one process held at the most.
        idle: MB of them that it held before it began.
        orders: that were posted.
    """

    homes: int
    communities: int
    seconds: float
    seconds_of_two: float
    memory: float
    idle: float
    orders: int


def grow() -> Iterator[Growth]:
    """Measures each size, the smallest first."""
    for homes, communities in SIZES:
        seconds, idle, memory, orders = _run(homes, communities, 1)
        of_two, *_ = _run(homes, communities, 2)
        yield Growth(homes, communities, seconds, of_two, memory, idle, int(orders))


def _run(homes: int, communities: int, workers: int) -> list[float]:
    # In a process of its own, so that its memory is nobody else's.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", str(homes), str(communities), str(workers)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


def markdown(grown: Sequence[Growth]) -> str:
    """The report."""
    rows = [
        f"| {each.homes * each.communities:,} | {each.communities:,} of {each.homes:,} | "
        f"{each.orders:,} | {each.seconds:.2f} | {each.seconds / each.seconds_of_two:.2f} | "
        f"{each.orders / each.seconds:,.0f} | {each.memory:,.0f} | {each.memory - each.idle:,.0f} |"
        for each in grown
    ]
    return "\n".join(
        [
            "# How a simulation grows",
            "",
            "`python -m benchmarks growth` writes this. A day of quarters of an hour: readings are",
            "made up, netted, posted, matched first come, first served and confirmed by the",
            f"contract's twin. {os.cpu_count()} cores, {platform.machine()}, Python "
            f"{platform.python_version()}.",
            "*Seconds* are on the wall in one process; *two processes* is how many times as fast",
            "two of them are, their start included; *memory* is the most that the one process",
            "held, and how much more than before it began.",
            "",
            "| homes | communities | orders | seconds | two processes | orders a second "
            "| memory, MB | more, MB |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            "One contract serves up to 1,024 homes: more of them are several communities, which",
            "know nothing of each other. Memory is that of one community at a time.",
            "",
        ]
    )


def _measure(homes: int, communities: int, workers: int) -> None:
    jobs = [Community(number, homes, DAY) for number in range(communities)]
    idle = _peak()
    begun = perf_counter()
    done = simulate(jobs, workers)
    seconds = perf_counter() - begun
    orders = sum(each.trade.requests + each.trade.releases for each in done)
    print(json.dumps([seconds, idle, _peak(), orders]))


def _peak() -> float:
    """MB that this process has held at the most, as Linux tells it since the program began."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) / 1024


if __name__ == "__main__":
    _measure(*map(int, sys.argv[1:]))
