"""The budget: gas that every scenario may use, under the compiler that it was measured with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report import Report

BUDGET = Path(__file__).parent / "budget.json"
SETTINGS = ("vyper", "evm", "optimizer")


def read_budget(path: Path = BUDGET) -> dict[str, Any]:
    """The budget as it is written down."""
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def budget_of(report: Report) -> str:
    """The budget that a report just meets, as JSON."""
    budget: dict[str, Any] = {name: getattr(report, name) for name in SETTINGS}
    budget["gas"] = {row.key: row.cost.total for row in report.all_rows()}
    return json.dumps(budget, indent=1) + "\n"


def faults(report: Report, budget: dict[str, Any]) -> list[str]:
    """Where a report does not keep the budget, in words; empty when it does.

    A rise has to be mended or argued for, a fall to be kept: both ask for something.
    """
    found = [
        f"the budget is for {name} {budget[name]}, this is {getattr(report, name)}: "
        "measure anew and write the budget with --budget"
        for name in SETTINGS
        if budget[name] != getattr(report, name)
    ]
    measured = {row.key: row.cost.total for row in report.all_rows()}
    allowed: dict[str, int] = budget["gas"]
    for key in sorted(measured.keys() | allowed.keys()):
        if key not in allowed:
            found.append(f"{key}: has no budget; write it with --budget")
        elif key not in measured:
            found.append(f"{key}: has a budget and is not measured; write the budget with --budget")
        elif measured[key] > allowed[key]:
            rise = measured[key] - allowed[key]
            found.append(f"{key}: {measured[key]:,} gas, {rise:,} above its budget")
        elif measured[key] < allowed[key]:
            fall = allowed[key] - measured[key]
            found.append(
                f"{key}: {measured[key]:,} gas, {fall:,} below its budget; "
                "lower the budget with --budget, so that it stays so"
            )
    return found
