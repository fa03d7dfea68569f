"""What the benchmark says of its figures, and that what is committed is what it measures now."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import REPORT, default_day, main, measure, measured_day, stale
from benchmarks.budget import budget_of, faults, read_budget
from benchmarks.laboratory import Cost
from benchmarks.report import Report, Setting, compare, read_money, with_main_table
from benchmarks.scenarios import a_day


@pytest.fixture(scope="module")
def committed() -> Report:
    return Report.from_json((REPORT / "report.json").read_text())


def changed(report: Report, by: int) -> tuple[Report, str]:
    """The report with the first scenario's computation changed, and that scenario's key."""
    (heading, [first, *others]), *_ = report.rows.items()
    cost = replace(first.cost, computation=first.cost.computation + by)
    rows = report.rows | {heading: [replace(first, cost=cost), *others]}
    return replace(report, rows=rows), first.key


def test_the_report_says_what_the_contract_uses(committed: Report):
    # Those take longer than all of these: `.ci/run` checks them, with --check.
    measured = measure(default_day(), left_out=("A day", "Baselines", "The whole life of a pair"))
    assert len(measured.rows) > 7
    assert {heading: committed.rows[heading] for heading in measured.rows} == measured.rows


def test_report_plots_and_readme_are_current(committed: Report):
    assert stale(committed) == []


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
    fault, remedy = faults(worse, read_budget())
    assert fault.startswith(f"{key}: ")
    assert "3 (+" in fault
    assert "above its budget" in fault
    assert remedy.startswith("1 above budget: mend")


def test_a_fall_asks_for_a_lower_budget(committed: Report):
    better, key = changed(committed, -3)
    fault, remedy = faults(better, read_budget())
    assert fault.startswith(f"{key}: ")
    assert "below its budget" in fault
    assert remedy.startswith("1 below budget: lower it")


def test_scenarios_and_settings_have_to_be_those_of_the_budget(committed: Report):
    budget: dict[str, Any] = json.loads(budget_of(committed))
    key = next(iter(budget["gas"]))
    budget["gas"]["something else"] = budget["gas"].pop(key)
    budget["vyper"] = "0.0.0"
    settings, *others, remedy = faults(committed, budget)
    assert "vyper 0.0.0" in settings
    assert "--budget" in remedy
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
    assert "no.json: no report of this version" in told
    assert "missing.json" in told


PRICES = """gas_price = 1
data_price = 0
token_price = 1.5
block_gas = 30_000_000
block_time = 12
"""


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "has no setting"),
        ("[main", "is no TOML"),
        ("gas_price = 5", "give block_gas"),
        ("[main]\ngas_price = 5", "give block_gas"),
        (f"[main]\n{PRICES}extra = 1", "nothing else"),
        (f"[main]\n{PRICES.replace('1.5', '-1.5')}", "token_price is -1.5"),
        (f"[main]\n{PRICES.replace('1.5', 'true')}", "token_price is True"),
        (f"[main]\n{PRICES.replace('1.5', repr('cheap'))}", "token_price is 'cheap'"),
        (f"[main]\n{PRICES.replace('= 12', '= 0')}", "block_time is 0"),
    ],
)
def test_prices_that_are_none_are_refused_before_anything_is_measured(
    written: str, told: str, tmp_path: Path, capsys: Any
):
    money = tmp_path / "prices.toml"
    money.write_text(written)
    assert main(["--money", str(money), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "prices.toml" in error
    assert told in error


HEADER = "meter,period_start,consumption_kwh,production_kwh\n"


def test_a_day_without_a_match_is_refused(tmp_path: Path, capsys: Any):
    homes = tmp_path / "homes.csv"
    lines = (f"home,2016-08-15T{hour:02}:00:00Z,0.5,0\n" for hour in range(24))
    homes.write_text(HEADER + "".join(lines))
    assert main(["--data", str(homes), "--output", str(tmp_path / "out")]) == 2
    assert "has no match on 2016-08-15" in capsys.readouterr().err


def test_a_day_may_be_before_the_laboratory(tmp_path: Path):
    homes = tmp_path / "homes.csv"
    lines = (
        f"{home},2016-08-15T{hour:02}:00:00Z,{used},1\n"
        for hour in range(0, 24, 6)
        for home, used in (("sun", 0), ("shop", 2))
    )
    homes.write_text(HEADER + "".join(lines))
    rows = list(a_day(*measured_day(homes, date(2016, 8, 15))))
    assert [(row.units, row.energy) for row in rows] == [(4, 4_000)] * 4


@pytest.mark.parametrize(
    ("day", "told"),
    [("2016-08-15", "--day is of the homes of --data"), ("tomorrow", "give one as 2016-08-15")],
)
def test_a_day_is_a_date_of_measured_homes(day: str, told: str, capsys: Any):
    with pytest.raises(SystemExit):
        main(["--day", day])
    assert told in capsys.readouterr().err


def test_a_readme_without_a_place_for_the_table_is_refused(committed: Report):
    with pytest.raises(ValueError, match="has no"):
        with_main_table("no marks here", committed)


def test_money_is_gas_and_data_at_their_prices():
    setting = Setting(gas_price=2, data_price=3, token_price=1_000, block_gas=1, block_time=1)
    assert setting.euro(Cost(computation=500, data_bytes=100)) == pytest.approx(0.0013)


def test_the_prices_are_said_to_be_assumptions():
    assert {"main net", "rollup", "consortium chain"} == read_money().settings.keys()
    assert "**Assumptions" in (REPORT / "report.md").read_text()


def test_measured_homes_do_not_overwrite_the_committed_report(capsys: Any):
    with pytest.raises(SystemExit):
        main(["--data", "homes.csv"])
    assert "--output" in capsys.readouterr().err
