"""Clients are killed at every step of a post: no order is lost, none is on the chain twice.

`python -m tests.faults.crashing --kills 1000` does it longer.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.nodes import NODES, FaultyNode

KILLS = 25
"""On each node."""
SEED = 7
TIMEOUT = 240.0


@pytest.mark.parametrize("kind", NODES, ids=lambda kind: kind.name)
def test_no_kill_loses_or_doubles_an_order(kind: type[FaultyNode]) -> None:
    kind.require()
    # In a process of its own: it forks, and pytest has threads.
    command = [sys.executable, "-m", "tests.faults.crashing", "--node", kind.name]
    done = subprocess.run(
        [*command, "--kills", str(KILLS), "--seed", str(SEED)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost [], doubled [], failed 0" in done.stdout
