"""The command line: parses, calls the library, prints.

Exit codes: 0 done, 1 the audit found a difference, 2 unusable input or a refusal,
3 the chain cannot be reached, trusted or used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from energy_chain import __version__
from energy_chain.errors import ChainError, EnergyChainError, InvalidInput

if TYPE_CHECKING:
    # Web3 takes a second to import; `--help` and mistakes should not.
    from energy_chain.demo import DemoResult
    from energy_chain.meters import Columns, Readings
    from energy_chain.replay import Trade

AUDIT_FAILED, BAD_INPUT, CHAIN_FAILED = 1, 2, 3
DEMO_DAY = date(2026, 6, 21)
DEMO_HOMES = 10

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


class Unit(StrEnum):
    """Unit of the energies in a file."""

    KWH = "kWh"
    WH = "Wh"


def main() -> None:
    """Runs the command line; errors of ours end in one line on standard error."""
    try:
        app()
    except EnergyChainError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(CHAIN_FAILED if isinstance(error, ChainError) else BAD_INPUT)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def energy_chain(
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """A peer-to-peer energy market whose matching runs on an EVM chain."""


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="CSV file of meter readings; without it, readings are made up."),
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="First day; by default a file's first whole day, or 2026-06-21 made up.",
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 1,
    homes: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many homes: made up (10 by default), or the first so many of the file."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of readings that are made up; 0 by default.")
    ] = None,
    unit: Annotated[
        Unit, typer.Option(help="Unit of the file's energies.", case_sensitive=False)
    ] = Unit.KWH,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Name of a column of the file; ROLE is meter, period_start, consumption or "
            "production. May be given more than once.",
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Time zone whose days are meant, and of times without an offset, such as "
            "Europe/Berlin."
        ),
    ] = None,
    network: Annotated[
        str, typer.Option(help="'embedded', or the URL of a development node.")
    ] = "embedded",
    chain_id: Annotated[int | None, typer.Option(help="Chain id that the node must have.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let a neighbourhood trade, and audit it.

    Each home's meter posts its surplus or need of every period, the aggregator
    matches first come, first served, consumers look up their producers and
    draw. Then every match is recomputed from what the chain logged.

    Examples:

        energy-chain demo

        energy-chain demo --homes 20 --seed 7 --days 2

        energy-chain demo --data homes.csv --day 2016-08-15 --timezone America/Los_Angeles

        energy-chain demo --network http://127.0.0.1:8545 --json
    """
    from energy_chain.chain.networks import network as network_of

    where = network_of(network, chain_id)
    first = day.date() if day else None
    if data is None:
        if column or unit is not Unit.KWH:
            raise InvalidInput("--column and --unit describe a file: give --data FILE as well")
        readings = _generated(first or DEMO_DAY, days, homes, seed or 0, _zone(timezone))
    else:
        if seed is not None:
            raise InvalidInput("--seed makes readings up: leave it out with --data")
        readings = _measured(data, first, days, homes, unit, _columns(column), _zone(timezone))

    from energy_chain.demo import run_demo

    with _progress(readings) as show:
        result = run_demo(readings, where, show)
    if as_json:
        print(json.dumps(_as_json(readings, result), indent=2))
    else:
        _print_result(readings, result)
    if not result.audit.clean:
        raise typer.Exit(AUDIT_FAILED)


def _generated(
    first: date, days: int, homes: int | None, seed: int, zone: ZoneInfo | None
) -> Readings:
    from energy_chain.meters import generate

    return generate(
        homes=homes or DEMO_HOMES,
        first=first,
        days=days,
        seed=seed,
        timezone=zone or ZoneInfo("UTC"),
    )


def _measured(
    path: Path,
    first: date | None,
    days: int,
    homes: int | None,
    unit: Unit,
    columns: Columns,
    zone: ZoneInfo | None,
) -> Readings:
    from energy_chain.meters import DayRange, first_whole_day, read_csv

    if first is None:
        first = first_whole_day(path, columns=columns, unit=unit.value, timezone=zone)
    readings = read_csv(
        path, columns=columns, unit=unit.value, timezone=zone, days=DayRange(first, days)
    )
    if homes is None:
        return readings
    if homes > len(readings.meters):
        raise InvalidInput(
            f"--homes {homes}: {path} has {len(readings.meters)}; give at most as many"
        )
    return readings.of_meters(readings.meters[:homes])


def _columns(given: list[str] | None) -> Columns:
    from energy_chain.meters import Columns

    names: dict[str, str] = {}
    for text in given or []:
        role, equals, name = text.partition("=")
        if not equals or not name or role not in Columns.__dataclass_fields__:
            raise InvalidInput(
                f"--column {text}: give ROLE=NAME, where ROLE is one of "
                f"{', '.join(Columns.__dataclass_fields__)}"
            )
        names[role] = name
    return Columns(**names)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"time zone {name!r} is unknown: give a name of the tz database, such as Europe/Berlin"
        ) from None


@contextmanager
def _progress(readings: Readings) -> Iterator[Any]:
    """A live line on standard error while a market trades; nothing when that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    periods = len(readings.readings) // len(readings.meters)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    terminal = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not terminal) as bar:
        trading = bar.add_task("starting the chain", total=periods)

        def show(trade: Trade) -> None:
            description = f"period {trade.periods} of {periods}, {_kwh(trade.matched)} matched"
            bar.update(trading, completed=trade.periods, description=description)
            if trade.periods == periods:
                bar.add_task("auditing", total=None)

        yield show


def _kwh(energy: int) -> str:
    return f"{energy / 1000:,.3f} kWh"


def _count(number: int, of_what: str) -> str:
    plural = "es" if of_what.endswith("ch") else "s"
    return f"{number:,} {of_what}{'' if number == 1 else plural}"


def _each(gas: int, number: int, of_what: str) -> str:
    return f"{gas / number:,.0f} for each of {_count(number, of_what)}" if number else ""


def _days(readings: Readings) -> str:
    first, last = (readings.readings[i].start.date() for i in (0, -1))
    return f"{first}" if first == last else f"{first} to {last}"


def _print_result(readings: Readings, result: DemoResult) -> None:
    from rich.console import Console
    from rich.table import Table

    trade, verdict = result.trade, result.audit
    minutes = readings.period / timedelta(minutes=1)
    table = Table(
        title=f"{_count(trade.homes, 'home')}, {_days(readings)}, "
        f"{_count(trade.periods, 'period')} of {minutes:g} min",
        show_header=False,
        title_justify="left",
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for name, value, note in _rows(trade):
        if name:
            table.add_row(name, value, note)
        else:
            table.add_section()
    console = Console(highlight=False)
    console.print(table)
    console.soft_wrap = not console.is_terminal
    console.print(f"Contract {result.contract} on {result.network}, chain {result.chain_id}.")
    if verdict.clean:
        console.print(
            f"[bold green]Audit: clean.[/] {verdict.matches} matches in {verdict.events} events of "
            f"{verdict.transactions} transactions recomputed; energy conserved, 0 Wh lost."
        )
    else:
        lost = verdict.requests.lost, verdict.releases.lost
        found = verdict.difference or f"{lost[0]} Wh offered and {lost[1]} Wh needed are lost"
        console.print(f"[bold red]Audit: FAILED.[/] {found}")


def _rows(trade: Trade) -> Iterator[tuple[str, str, str]]:
    orders = trade.requests + trade.releases
    yield "Offered", _kwh(trade.offered), f"{_count(trade.requests, 'request')}, after own use"
    yield "Needed", _kwh(trade.needed), f"{_count(trade.releases, 'release')}, after own use"
    yield "Matched", _kwh(trade.matched), _count(trade.matches, "match")
    yield "Consumed and confirmed", _kwh(trade.consumed), ""
    yield "Left to the grid", _kwh(trade.to_grid), "nobody needed it in its period"
    yield "Taken from the grid", _kwh(trade.from_grid), "nobody offered it in its period"
    share = trade.local_share
    yield "Need met locally", "-" if share is None else f"{share:.1%}", ""
    yield "", "", ""
    yield "Gas of posting", f"{trade.posting_gas:,}", _each(trade.posting_gas, orders, "order")
    yield (
        "Gas of matching",
        f"{trade.matching_gas:,}",
        _each(trade.matching_gas, trade.matches, "match"),
    )
    yield (
        "Gas of consuming",
        f"{trade.consuming_gas:,}",
        _each(trade.consuming_gas, trade.matches, "match"),
    )
    per_kwh = trade.gas_per_matched_kwh
    yield (
        "Gas for each kWh matched",
        "-" if per_kwh is None else f"{per_kwh:,.0f}",
        "posting, matching and consuming",
    )


def _as_json(readings: Readings, result: DemoResult) -> dict[str, Any]:
    trade = result.trade
    return {
        "network": result.network,
        "chain_id": result.chain_id,
        "contract": result.contract,
        "period_seconds": int(readings.period.total_seconds()),
        "first_period": readings.readings[0].start.isoformat(),
        "last_period": readings.readings[-1].start.isoformat(),
        "homes": trade.homes,
        "periods": trade.periods,
        "requests": trade.requests,
        "releases": trade.releases,
        "matches": trade.matches,
        "energy_wh": {
            "offered": trade.offered,
            "needed": trade.needed,
            "matched": trade.matched,
            "consumed": trade.consumed,
            "to_grid": trade.to_grid,
            "from_grid": trade.from_grid,
        },
        "local_share": trade.local_share,
        "gas": {
            "setup": trade.setup_gas,
            "posting": trade.posting_gas,
            "matching": trade.matching_gas,
            "consuming": trade.consuming_gas,
            "per_matched_kwh": trade.gas_per_matched_kwh,
        },
        "audit": {"clean": result.audit.clean, **asdict(result.audit)},
    }
