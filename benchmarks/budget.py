"""The budget: gas that every scenario may use, under the compiler that it was measured with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report import SETTINGS, Report

BUDGET = Path(__file__).parent / "budget.json"


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
        f"the budget is for {name} {budget[name]}, this is {getattr(report, name)}"
        for name in SETTINGS
        if budget[name] != getattr(report, name)
    ]
    measured = {row.key: row.cost.total for row in report.all_rows()}
    allowed: dict[str, int] = budget["gas"]
    rises, falls = 0, 0
    for key in sorted(measured.keys() | allowed.keys()):
        if key not in allowed:
            found.append(f"{key}: has no budget")
        elif key not in measured:
            found.append(f"{key}: has a budget and is not measured")
        elif change := measured[key] - allowed[key]:
            rises, falls = rises + (change > 0), falls + (change < 0)
            where = "above" if change > 0 else "below"
            found.append(
                f"{key}: {measured[key]:,} gas, {abs(change):,} ({change / allowed[key]:+.2%}) "
                f"{where} its budget"
            )
    if rises:
        found.append(
            f"{rises} above budget: mend what made them rise, or say in the commit why it is worth "
            "it and write the budget with --budget"
        )
    if falls:
        found.append(f"{falls} below budget: lower it with --budget, so that it stays so")
    if found and not rises and not falls:
        found.append("the budget is of something else: write it anew with --budget")
    return found
