"""Wall-clock of the same day on every chain, side by side in one run.

Seconds depend on the machine, so only ratios to the embedded chain are told,
and nothing of this is committed or tested.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from rich.progress import track
from rich.table import Table

from energy_chain.chain.networks import EMBEDDED, Network, network_at
from energy_chain.demo import run_demo
from energy_chain.meters import generate

ROUNDS = 3


def clock() -> Table:
    """A table of how long the day takes on each chain, the embedded one being 1.

    Each round runs the day once on each chain, one after the other; the ratio is
    the median over the rounds. Chains that are not installed are left out.
    """
    readings = generate(homes=4, first=date(2026, 6, 21), period=timedelta(hours=1), seed=0)
    with ExitStack() as stack:
        networks = {EMBEDDED.name: EMBEDDED}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("Ganache", "anvil"):
            if (network := stack.enter_context(_running(name, folder))) is not None:
                networks[name] = network
        ratios: dict[tuple[str, bool], list[float]] = {}
        for _ in track(range(ROUNDS), "a day on each chain"):
            for packed in (False, True):
                took = {}
                for name, network in networks.items():
                    begun = time.perf_counter()
                    run_demo(readings, network, packed=packed)
                    took[name] = time.perf_counter() - begun
                for name, seconds in took.items():
                    ratios.setdefault((name, packed), []).append(seconds / took[EMBEDDED.name])
    table = Table(
        title=f"Wall-clock of a day of 4 homes, embedded = 1, median of {ROUNDS} rounds",
        title_justify="left",
    )
    for heading in ("chain", "each meter for itself", "by the operator"):
        table.add_column(heading, justify="left" if heading == "chain" else "right")
    for name in networks:
        table.add_row(name, *(f"{median(ratios[name, packed]):.2f}" for packed in (False, True)))
    return table


@contextmanager
def _running(name: str, folder: Path) -> Iterator[Network | None]:
    import pytest

    from tests.integration.nodes import running_anvil, running_ganache

    with ExitStack() as stack:
        try:
            running = running_ganache(folder / "chain") if name == "Ganache" else running_anvil()
            node = stack.enter_context(running)
        except pytest.skip.Exception as missing:
            print(missing)
            yield None
        else:
            yield network_at(node.url)
