"""What the benchmark says of its figures, and that what is committed is what it measures now."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import REPORT, main
from benchmarks.budget import budget_of, faults, read_budget
from benchmarks.laboratory import Cost
from benchmarks.report import Report, Setting, compare, read_money, with_main_table


@pytest.fixture(scope="module")
def committed() -> Report:
    return Report.from_json((REPORT / "report.json").read_text())


def changed(report: Report, by: int) -> tuple[Report, str]:
    """The report with the first scenario's computation changed, and that scenario's key."""
    (heading, [first, *others]), *_ = report.rows.items()
    cost = replace(first.cost, computation=first.cost.computation + by)
    rows = report.rows | {heading: [replace(first, cost=cost), *others]}
    return replace(report, rows=rows), first.key


def test_budget_report_plots_and_readme_are_current(capsys: pytest.CaptureFixture[str]):
    # Byte for byte what this run writes: so two runs write the same.
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_a_report_comes_back_from_json(committed: Report):
    assert committed.to_json() == (REPORT / "report.json").read_text()


def test_every_scenario_has_a_name_of_its_own(committed: Report):
    keys = [row.key for row in committed.all_rows()]
    assert len(set(keys)) == len(keys)


def test_no_figure_is_below_its_bound_and_none_far_above(committed: Report):
    ratios = {row.key: row.ratio for row in committed.all_rows() if row.ratio is not None}
    assert len(ratios) > 100
    assert {key: ratio for key, ratio in ratios.items() if not 1 < ratio <= 1.2} == {}


def test_the_budget_is_what_was_measured(committed: Report):
    assert faults(committed, read_budget()) == []
    assert json.loads(budget_of(committed)) == read_budget()


def test_a_rise_is_a_fault_and_names_what_rose(committed: Report):
    worse, key = changed(committed, +3)
    [fault] = faults(worse, read_budget())
    assert key in fault
    assert "3 above its budget" in fault


def test_a_fall_asks_for_a_lower_budget(committed: Report):
    better, key = changed(committed, -3)
    [fault] = faults(better, read_budget())
    assert key in fault
    assert "lower the budget" in fault


def test_scenarios_and_settings_have_to_be_those_of_the_budget(committed: Report):
    budget: dict[str, Any] = json.loads(budget_of(committed))
    key = next(iter(budget["gas"]))
    budget["gas"]["something else"] = budget["gas"].pop(key)
    budget["vyper"] = "0.0.0"
    settings, *others = faults(committed, budget)
    assert "vyper 0.0.0" in settings
    assert sorted(fault.partition(": ")[0] for fault in others) == sorted([key, "something else"])


def test_two_reports_are_compared(committed: Report, tmp_path: Path, capsys: Any):
    worse, key = changed(committed, +1_000)
    (tmp_path / "old.json").write_text(committed.to_json())
    (tmp_path / "new.json").write_text(worse.to_json())
    assert main(["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 scenarios differ")
    assert f"| {key} |" in told
    assert "| +1,000 |" in told
    assert compare(committed, committed).startswith("0 scenarios differ")


def test_what_is_no_report_is_refused(tmp_path: Path, capsys: Any):
    (tmp_path / "no.json").write_text('{"rows": {}}')
    missing = str(tmp_path / "missing.json")
    assert main(["compare", str(tmp_path / "no.json"), missing]) == 2
    assert main(["compare", missing, missing]) == 2
    told = capsys.readouterr().err
    assert "no report of this version" in told
    assert "missing.json" in told


def test_prices_that_are_none_are_refused(tmp_path: Path):
    money = tmp_path / "money.toml"
    money.write_text("[main]\ngas = 5\n")
    with pytest.raises(ValueError, match=r"money\.toml does"):
        read_money(money)


def test_a_readme_without_a_place_for_the_table_is_refused(committed: Report):
    with pytest.raises(ValueError, match="has no"):
        with_main_table("no marks here", committed)


def test_money_is_gas_and_data_at_their_prices():
    setting = Setting(gas_price=2, data_price=3, token_price=1_000, block_gas=1, block_time=1)
    assert setting.euro(Cost(computation=500, data_bytes=100)) == pytest.approx(0.0013)


def test_the_prices_are_said_to_be_assumptions():
    assert {"main net", "rollup", "consortium chain"} == read_money().keys()
    assert "**Assumptions" in (REPORT / "report.md").read_text()


def test_measured_homes_do_not_overwrite_the_committed_report(capsys: Any):
    with pytest.raises(SystemExit):
        main(["--data", "homes.csv"])
    assert "--output" in capsys.readouterr().err
