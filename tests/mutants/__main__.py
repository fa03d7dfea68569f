"""Mutants of the contract and of its twin: whether the tests notice a line that is another one.

    python -m tests.mutants --seed 1 --sample 400

The contract's are drawn; of the twin's all are run, by mutmut. Why those survive that do is written
in `survivors.toml`; all of it comes to stand in `report.md`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from tests import brownie

from . import report, twin
from .killing import Job, killers
from .revm_chain import RevmChain
from .sources import Compiled, Mutant, mutants

CACHE = Path(".mutants")
"""What the compiler made of mutants, and the last run, for a report on it."""
CONTRACT_TESTS = ["tests/contract"]
SLOW_TESTS = ["tests/property/test_agreement.py", "tests/property/test_raw_words.py"]
"""Contract and twin side by side, on the embedded chain: a minute each."""
SECONDS, SLOW_SECONDS = 120, 900


def main() -> None:
    """Draws mutants, looks for tests that fail with them, and writes down what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--sample", type=int, default=400, help="mutants of the contract to run")
    parser.add_argument("--all", action="store_true", help="every one, which takes half a day")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--only", choices=["contract", "twin"], help="leaves the other as it was")
    parser.add_argument("--report", action="store_true", help="runs nothing, explains anew")
    options = parser.parse_args()
    if options.only != "twin" and not options.report:
        _keep("contract", run_contract(options))
    if options.only != "contract" and not options.report:
        _keep("twin", {"seconds": twin.run(options.jobs), "jobs": options.jobs})
    contract, python = _kept("contract"), _kept("twin")
    report.write(
        report.of_contract(contract) if contract else None,
        twin.found(**python) if python else None,
    )


def _keep(name: str, result: dict[Any, Any]) -> None:
    (CACHE / f"{name}.json").write_text(json.dumps(result))


def _kept(name: str) -> dict[str, Any] | None:
    path = CACHE / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def run_contract(options: argparse.Namespace) -> dict[str, Any]:
    """Draws mutants of the contract and runs its tests on them."""
    begun = time.monotonic()
    compiled = Compiled(CACHE / "compiled")
    every = mutants()
    random.Random(options.seed).shuffle(every)
    drawn, counts = draw(every, None if options.all else options.sample, compiled, options.jobs)
    print(f"{len(drawn)} mutants to run, {time.monotonic() - begun:.0f} s", flush=True)
    killed = run(drawn, compiled, options.jobs)
    seconds = round(time.monotonic() - begun)
    print(f"{len(killed)} of {len(drawn)} killed, {seconds} s", flush=True)
    return {
        "seed": options.seed,
        "generated": len(every),
        **counts,
        "seconds": seconds,
        "jobs": options.jobs,
        "mutants": [asdict(mutant) for mutant in drawn],
        "killed": killed,
    }


def draw(
    every: Sequence[Mutant], sample: int | None, compiled: Compiled, jobs: int
) -> tuple[list[Mutant], dict[str, int]]:
    """The first mutants that compile and are neither the contract nor one before them.

    Returns:
        The mutants; how many were tried for them, and why others were left out.
    """
    seen: set[str] = set()
    original = Mutant("EnergyContract.vy", 1, "", "", "# pragma version 0.4.3\n", "")
    known = compiled.code(original)
    counts = {"tried": 0, "refused": 0, "same": 0, "twice": 0}
    drawn: list[Mutant] = []
    with Pool(jobs, gc.disable, maxtasksperchild=10) as pool:
        codes: Iterator[str] = pool.imap(compiled.code, every, chunksize=1)
        for mutant, code in zip(every, codes, strict=True):
            counts["tried"] += 1
            if not code:
                counts["refused"] += 1
            elif code == known:
                counts["same"] += 1
            elif code in seen:
                counts["twice"] += 1
            else:
                seen.add(code)
                drawn.append(mutant)
                if len(drawn) == sample:
                    pool.terminate()
                    break
    return drawn, counts


def run(drawn: Sequence[Mutant], compiled: Compiled, jobs: int) -> dict[int, tuple[str, str]]:
    """What killed which mutant: the stage and the test, by the mutant's place among the drawn."""
    killed: dict[int, tuple[str, str]] = {}
    chain = brownie.Chain
    for stage, paths, options in STAGES:
        left = [
            Job(n, mutant.place, compiled.path(mutant))
            for n, mutant in enumerate(drawn)
            if n not in killed
        ]
        brownie.Chain = RevmChain if stage == "pyrevm" else chain
        if left:
            found, left_out = killers(paths, left, jobs, **options)
            killed.update((n, (stage, test)) for n, test in found.items())
            print(f"{stage}: {len(found)} of {len(left)} killed; left out: {left_out}", flush=True)
            _keep("killed", killed)
    return killed


STAGES: list[tuple[str, list[str], dict[str, Any]]] = [
    ("pyrevm", CONTRACT_TESTS, {"seconds": SECONDS}),
    ("gas", CONTRACT_TESTS, {"seconds": SLOW_SECONDS, "gas_only": True}),
    ("twin", SLOW_TESTS, {"seconds": SLOW_SECONDS}),
]
"""The contract's tests where they run fast, those that look at gas where gas is true, and the
contract beside its twin."""


if __name__ == "__main__":
    main()
