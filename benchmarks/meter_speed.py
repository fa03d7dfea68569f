"""How fast made-up readings are made: home-days a second, by one process.

Seconds of the processor, which a second process does not stretch as it does those
on the wall; they depend on the machine, which is named beside them.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from rich.progress import track

from energy_chain.meters import generate

GOAL = 20_000
"""Home-days a second, 500 homes for 60 days in quarters of an hour."""
ROUNDS = 5
FIRST = date(2026, 6, 1)
_CASES = ((10, 1, 15), (10, 365, 15), (500, 60, 15), (500, 60, 60), (5_000, 7, 15))
_BY_GOAL = (500, 60, 15)
_FIRST_CALL = (
    "from datetime import date; from energy_chain.meters import generate; "
    "generate(first=date(2026, 6, 21))"
)


@dataclass(frozen=True, slots=True)
class Speed:
    """What one neighbourhood took, the median of some rounds.

    Attributes:
        homes, days: how many.
        minutes: length of a period.
        seconds: of the processor.
    """

    homes: int
    days: int
    minutes: int
    seconds: float

    @property
    def home_days_a_second(self) -> float:
        """Days of one home."""
        return self.homes * self.days / self.seconds

    @property
    def is_the_goal_s(self) -> bool:
        """Whether the goal is about this neighbourhood."""
        return (self.homes, self.days, self.minutes) == _BY_GOAL


def measure() -> tuple[list[Speed], float]:
    """Each neighbourhood, and the seconds on the wall of a new process that makes the demo's."""
    # What is made once, such as the table of the standard load, is in no round.
    generate(first=FIRST)
    speeds = []
    for homes, days, minutes in track(_CASES, "making readings up", transient=True):
        took = []
        for _ in range(ROUNDS):
            begun = time.process_time()
            generate(homes=homes, first=FIRST, days=days, period=timedelta(minutes=minutes))
            took.append(time.process_time() - begun)
        speeds.append(Speed(homes, days, minutes, median(took)))
    first = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", _FIRST_CALL], check=True)
        first.append(time.perf_counter() - begun)
    return speeds, median(first)


def markdown(speeds: list[Speed], first: float) -> str:
    """The report."""
    lines = [
        "# How fast made-up readings are made",
        "",
        f"`python -m benchmarks meters` writes this. One process on {platform.machine()} with",
        f"{os.cpu_count()} cores and Python {platform.python_version()}; seconds of the processor,",
        f"the median of {ROUNDS} rounds. The goal is {GOAL:,} home-days a second for 500 homes and",
        "60 days in quarters of an hour. A day of few homes has what is fixed to bear: the traits",
        "of each home, and the sun.",
        "",
        "| homes | days | period | seconds | home-days a second | goal |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {speed.homes:,} | {speed.days} | {speed.minutes} min | {speed.seconds:.3f} "
        f"| {speed.home_days_a_second:,.0f} | {f'{GOAL:,}' if speed.is_the_goal_s else ''} |"
        for speed in speeds
    ]
    lines += [
        "",
        f"A new process that imports the package and makes the demo's day takes {first:.2f} s on",
        "the wall, most of it Python's own start and imports.",
        "",
    ]
    return "\n".join(lines)
