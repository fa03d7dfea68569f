"""A chain that changes its mind: no order is lost or doubled, and the record is the chain's.

`python -m tests.faults.reorganising --times 1000` does it longer.
"""

from __future__ import annotations

from pathlib import Path

from tests.faults.reorganising import reorganise, show

TIMES = 10
SEED = 7


def test_no_reorganisation_loses_or_doubles_an_order(tmp_path: Path) -> None:
    result = reorganise(tmp_path, TIMES, SEED)
    show(result)
    assert not result.wrong
    assert result.rolled_back > 0
