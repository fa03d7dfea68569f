"""A trade of readings for people and for programs: how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from energy_chain.cli.printing import count, output, table
from energy_chain.units import kwh

if TYPE_CHECKING:
    from energy_chain.meters import Readings
    from energy_chain.replay import Trade


@contextmanager
def progress(readings: Readings, beginning: str = "starting the chain") -> Iterator[Any]:
    """A live line on standard error while a market trades; nothing when that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    periods = len(readings.starts)
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
        trading = bar.add_task(beginning, total=periods)

        def show(trade: Trade) -> None:
            description = f"period {trade.periods} of {periods}, {kwh(trade.matched)} matched"
            bar.update(trading, completed=trade.periods, description=description)
            if trade.periods == periods:
                bar.add_task("auditing", total=None)

        yield show


def print_trade(readings: Readings, trade: Trade) -> None:
    """A table of what was traded, and what it cost."""
    minutes = readings.period / timedelta(minutes=1)
    listed = table(
        *("what", "how much", "of what"),
        title=f"{count(trade.homes, 'home')}, {_days(readings)}, "
        f"{count(trade.periods, 'period')} of {minutes:g} min",
        right=("how much",),
    )
    listed.show_header = False
    for name, value, note in _rows(trade):
        if name:
            listed.add_row(name, value, note)
        else:
            listed.add_section()
    output().print(listed)


def _rows(trade: Trade) -> Iterator[tuple[str, str, str]]:
    orders = trade.requests + trade.releases
    yield "Offered", kwh(trade.offered), f"{count(trade.requests, 'request')}, after own use"
    yield "Needed", kwh(trade.needed), f"{count(trade.releases, 'release')}, after own use"
    yield "Matched", kwh(trade.matched), count(trade.matches, "match")
    yield "Consumed and confirmed", kwh(trade.consumed), ""
    yield "Left to the grid", kwh(trade.to_grid), "nobody needed it in its period"
    yield "Taken from the grid", kwh(trade.from_grid), "nobody offered it in its period"
    share = trade.local_share
    yield "Need met locally", "-" if share is None else f"{share:.1%}", ""
    yield "", "", ""
    for what, gas, number, of_what in (
        ("posting", trade.posting_gas, orders, "order"),
        ("matching", trade.matching_gas, trade.matches, "match"),
        ("posting and matching", trade.posting_and_matching_gas, orders, "order"),
        ("consuming", trade.consuming_gas, trade.matches, "match"),
    ):
        if gas:
            yield f"Gas of {what}", f"{gas:,}", _each(gas, number, of_what)
    per_kwh = trade.gas_per_matched_kwh
    yield (
        "Gas for each kWh matched",
        "-" if per_kwh is None else f"{per_kwh:,.0f}",
        "posting, matching and consuming",
    )


def trade_as_json(readings: Readings, trade: Trade) -> dict[str, Any]:
    """What was traded, and what it cost, for JSON."""
    return {
        "period_seconds": int(readings.period.total_seconds()),
        "first_period": readings.starts[0].isoformat(),
        "last_period": readings.starts[-1].isoformat(),
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
            "posting_and_matching": trade.posting_and_matching_gas,
            "consuming": trade.consuming_gas,
            "per_matched_kwh": trade.gas_per_matched_kwh,
        },
    }


def _each(gas: int, number: int, of_what: str) -> str:
    return f"{gas / number:,.0f} for each of {count(number, of_what)}" if number else ""


def _days(readings: Readings) -> str:
    first, last = (readings.starts[i].date() for i in (0, -1))
    return f"{first}" if first == last else f"{first} to {last}"
