"""The figures of the README are the ones that the benchmark measures."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.__main__ import BATCHES, singles, steady, written_market

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_table_of_the_readme_is_current():
    rows = re.findall(r"^\|((?: [\d,]+ \|){6})$", README, re.MULTILINE)
    told = [[int(cell.replace(",", "")) for cell in re.findall(r"[\d,]+", row)] for row in rows]
    operator, *_ = written_market()
    measured = []
    for orders in BATCHES:
        gas = list(steady(operator, orders).values())
        measured.append([orders, *(round(used) for used in gas), round(sum(gas))])
    assert told == measured


def test_the_single_calls_of_the_readme_are_current():
    single = singles()
    assert f"pays {single['incomingRequest']:,} gas" in README
    assert re.search(rf"confirms for itself\s+{single['consume_match']:,}", README)
