"""The gas laboratory: measures every scenario and writes the report.

python -m benchmarks                  measure; write report, plots and the README's table
python -m benchmarks --check          measure; fail unless budget, report and README are current
python -m benchmarks --budget         measure; write report and budget
python -m benchmarks compare OLD NEW  what changed between two report.json, as Markdown
python -m benchmarks meters           how fast made-up readings are made; write report/meters.md
python -m benchmarks clock            wall-clock of a day on each chain, as ratios
python -m benchmarks growth           time and memory of simulations; write report/growth.md
python -m benchmarks record           how fast the record catches up; write report/record.md
python -m benchmarks page             how long the page waits for a year; write report/page.md
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterator
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from benchmarks.budget import BUDGET, budget_of, faults, read_budget
from benchmarks.report import (
    HEADS,
    MONEY,
    Money,
    Report,
    compare,
    main_rows,
    markdown,
    read_money,
    with_main_table,
)
from benchmarks.scenarios import (
    SCALING,
    MarketScenarios,
    Row,
    a_day,
    address_ring,
    ancestors_way,
    periods,
)
from benchmarks.subjects import FIRST_LAP, METERS, STEADY
from energy_chain.errors import EnergyChainError, InvalidInput
from energy_chain.meters import (
    DayRange,
    Readings,
    first_whole_day,
    generate,
    net_positions,
    read_csv,
)

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "report"
README = ROOT / "README.md"


def default_day() -> tuple[Readings, str]:
    """The generated day that everybody can repeat."""
    readings = generate(homes=10, first=date(2026, 6, 21), period=timedelta(hours=1), seed=0)
    return readings, "10 generated homes, hourly"


def measured_day(path: Path, day: date | None) -> tuple[Readings, str]:
    """A day of measured homes."""
    first = day or first_whole_day(path)
    readings = read_csv(path, days=DayRange(first, 1))
    if len(readings.meters) > METERS:
        raise InvalidInput(
            f"{path} has {len(readings.meters)} homes: the day is measured for {METERS} at most"
        )
    homes = [list(positions.energies.values()) for positions in net_positions(readings)]
    if not any(min(wh) < 0 < max(wh) for wh in homes):
        raise InvalidInput(f"{path} has no match on {first}: give a day on which some can sell")
    return readings, f"{path.name}, {first}"


def measure(
    day: tuple[Readings, str],
    progress: Callable[[str, int], None] = lambda *_: None,
    left_out: Collection[str] = (),
) -> Report:
    """Runs the scenarios.

    Args:
        day: readings of the day to trade, and what to call it.
        progress: told the heading of each group that begins, and how many groups there are.
        left_out: headings of groups that are not run.
    """
    from energy_chain.chain.artifact import CONTRACT, load_artifact, sources

    laps = {lap: MarketScenarios(lap) for lap in (FIRST_LAP, STEADY)}
    groups: dict[str, list[Callable[[], Iterator[Row]]]] = {}
    for heading in laps[STEADY].groups():
        groups[heading] = [laps[lap].groups()[heading] for lap in (STEADY, FIRST_LAP)]
    groups |= {
        "Opening a period": [periods],
        "A day": [lambda: a_day(*day)],
        SCALING: [laps[STEADY].occupancy, laps[STEADY].registered],
        "Baselines": [address_ring, ancestors_way],
    }
    rows: dict[str, list[Row]] = {}
    for heading in left_out:
        del groups[heading]
    for heading, scenarios in groups.items():
        progress(heading, len(groups))
        rows[heading] = [row for scenario in scenarios for row in scenario()]
    artifact = load_artifact()
    size = len(artifact.runtime.removeprefix("0x")) // 2
    deployed = laps[STEADY].market.contract.deployment_gas
    source = (sources() / f"{CONTRACT}.vy").read_text()
    pragma = dict(re.findall(r"^# pragma (\S+) (\S+)$", source, re.MULTILINE))
    return Report(
        *(pragma["version"], pragma["evm-version"], pragma["optimize"]),
        {"bytes": size, "gas": deployed},
        rows,
    )


def outputs(report: Report, folder: Path, money: Money) -> dict[Path, str]:
    """What is written of a report, by the file that it is written to."""
    from benchmarks.plots import plots

    written = {
        folder / "report.json": report.to_json(),
        folder / "report.md": markdown(report, money),
    }
    written |= {folder / name: svg for name, svg in plots(report).items()}
    if folder == REPORT:
        written[README] = with_main_table(README.read_text(), report)
    return written


def stale(report: Report) -> list[str]:
    """Which of the committed files are not what this report writes."""
    return [
        f"{path.relative_to(ROOT)} is not current: run python -m benchmarks"
        for path, text in outputs(report, REPORT, read_money()).items()
        if not path.is_file() or path.read_text() != text
    ]


def show(report: Report, console: Console) -> None:
    """Prints the figures that people compare."""
    table = Table(title="Gas, steady unless said otherwise", title_justify="left")
    table.add_column(HEADS[0])
    for head in HEADS[1:]:
        table.add_column(head.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in main_rows(report):
        table.add_row(*row)
    console.print(table)


def run(arguments: argparse.Namespace) -> int:
    """Measures, and checks or writes."""
    # What can be refused is looked at before a minute of measuring.
    day = measured_day(arguments.data, arguments.day) if arguments.data else default_day()
    money = read_money(arguments.money)
    arguments.output.mkdir(parents=True, exist_ok=True)
    errors = Console(stderr=True)
    columns = (
        *(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar:
        task = bar.add_task("setting up the markets", total=None)

        def progress(what: str, of: int) -> None:
            bar.update(task, description=what, total=of, advance=1)
            if not errors.is_terminal:
                print(what, file=sys.stderr)

        report = measure(day, progress)
    if arguments.check:
        # Files are not current anyhow while the budget is not kept.
        found = faults(report, read_budget()) or stale(report)
        print(*found, sep="\n", file=sys.stderr)
        return 1 if found else 0
    show(report, Console())
    written = outputs(report, arguments.output.resolve(), money)
    if arguments.budget:
        written[BUDGET] = budget_of(report)
    for path, text in written.items():
        path.write_text(text)
    print(f"every scenario: {arguments.output / 'report.md'}", file=sys.stderr)
    if README in written:
        print("the table of README.md was written as well", file=sys.stderr)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=form
    )
    parser.set_defaults(run=run)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("--budget", action="store_true", help="write the budget as well")
    parser.add_argument("--output", type=Path, default=REPORT, help="folder of the report")
    parser.add_argument("--money", type=Path, default=MONEY, help="prices of gas, as in money.toml")
    parser.add_argument(
        "--data", type=Path, help="measured homes for the day, a CSV file as the README has it"
    )
    parser.add_argument("--day", type=_date, help="which day of them, as 2016-08-15")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    comparing = commands.add_parser("compare", help="two reports, as Markdown")
    comparing.add_argument("old", type=Path, help="report.json from before")
    comparing.add_argument("new", type=Path, help="report.json from after")
    comparing.set_defaults(run=run_compare)
    clocking = commands.add_parser("clock", help="wall-clock of a day on each chain")
    clocking.set_defaults(run=run_clock)
    growing = commands.add_parser("growth", help="time and memory of simulations")
    growing.set_defaults(run=run_growth)
    recording = commands.add_parser("record", help="how fast the record catches up")
    recording.add_argument(
        "--postgres", metavar="URL", help="a PostgreSQL database; a record in it is deleted"
    )
    recording.set_defaults(run=run_record)
    paging = commands.add_parser("page", help="how long the page waits for a year of 500 homes")
    paging.add_argument("--homes", type=int, default=500, help="homes of the record")
    paging.add_argument("--days", type=int, default=365, help="days of the record")
    paging.add_argument("--asked", type=int, default=60, help="requests of each view")
    paging.add_argument(
        "--cache", type=Path, default=ROOT / "benchmarks" / "cache", help="folder of the record"
    )
    paging.set_defaults(run=run_page)
    metering = commands.add_parser("meters", help="how fast made-up readings are made")
    metering.set_defaults(run=run_meters)
    chosen = parser.parse_args(arguments)
    if chosen.day and not chosen.data:
        parser.error("--day is of the homes of --data: give both")
    if chosen.run is run and chosen.data and (chosen.check or chosen.output == REPORT):
        parser.error(
            "--data needs an --output of its own: the committed report is of the generated day"
        )
    try:
        return int(chosen.run(chosen))
    except (EnergyChainError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: give one as 2016-08-15") from None


def run_compare(arguments: argparse.Namespace) -> int:
    """Prints what changed."""
    reports = []
    for path in (arguments.old, arguments.new):
        try:
            reports.append(Report.from_json(path.read_text()))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    print(compare(*reports), end="")
    return 0


def run_clock(_: argparse.Namespace) -> int:
    """Measures wall-clock and prints ratios."""
    from benchmarks.wall_clock import clock

    Console().print(clock())
    return 0


def run_growth(arguments: argparse.Namespace) -> int:
    """Measures how simulations grow, and writes it down."""
    from benchmarks.growth import grow, markdown

    text = markdown(list(grow()))
    print(text, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "growth.md").write_text(text)
    return 0


def run_record(arguments: argparse.Namespace) -> int:
    """Measures how fast the record catches up, and writes it down."""
    from benchmarks.record_speed import markdown, speeds

    text = markdown(speeds(arguments.postgres))
    print(text, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "record.md").write_text(text)
    return 0


def run_page(arguments: argparse.Namespace) -> int:
    """Measures how long the page waits, and writes it down."""
    from benchmarks.page_speed import make_record, markdown, measure

    place = make_record(arguments.cache, arguments.homes, arguments.days)
    text = markdown(measure(place, arguments.asked), place)
    print(text, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "page.md").write_text(text)
    return 0


def run_meters(arguments: argparse.Namespace) -> int:
    """Measures how fast readings are made up, prints it and writes it."""
    from benchmarks.meter_speed import markdown, measure

    text = markdown(*measure())
    print(text, end="")
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "meters.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
