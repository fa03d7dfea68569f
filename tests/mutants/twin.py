"""Mutants of the twin and of the codecs in Python, by mutmut: what it wrote down of its run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from .report import Survivor, Tally

FOLDER = Path("mutants")
"""Where mutmut works."""
DEAD = ("killed", "timeout", "segfault", "suspicious")


def run(jobs: int) -> float:
    """Has mutmut run what `pyproject.toml` says; how many seconds it took.

    What it has found for the same code before, it does not look for again.
    """
    begun = time.monotonic()
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def found(seconds: float, jobs: int) -> Tally:
    """What mutmut has found."""
    from mutmut.__main__ import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code

    statuses: Counter[str] = Counter()
    files: dict[str, tuple[int, int]] = {}
    survivors = []
    for path in sorted(FOLDER.rglob("*.meta")):
        source = path.relative_to(FOLDER).with_suffix("")
        dead = alive = 0
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items():
            status = status_by_exit_code[code]
            statuses[status] += 1
            dead += status in DEAD
            if status not in DEAD:
                alive += 1
                survivors.append(_survivor(source, name, get_diff_for_mutant(name, path=source)))
        if dead or alive:
            files[source.name] = dead, alive
    return Tally(
        notes=[
            f"All {sum(statuses.values()):,} mutants of "
            + ", ".join(f"`{name}` ({sum(counts)})" for name, counts in files.items())
            + f", against the tests that `[tool.mutmut]` in `pyproject.toml` names: "
            f"{seconds / 60:.0f} minutes with {jobs} at once."
        ],
        by={
            "a test that fails": statuses["killed"] + statuses["suspicious"],
            "a test that does not end": statuses["timeout"] + statuses["segfault"],
        },
        survivors=survivors,
        rules=files,
    )


def _survivor(source: Path, name: str, diff: str) -> Survivor:
    lines = diff.splitlines()[2:]
    function = name.rpartition("__mutmut_")[0].rpartition(".")[2].removeprefix("x_")
    return Survivor(
        source.name,
        function.replace("xǁ", "").replace("ǁ", "."),
        "\n".join(line[1:].strip() for line in lines if line.startswith("-")),
        "\n".join(line[1:].strip() for line in lines if line.startswith("+")),
    )
