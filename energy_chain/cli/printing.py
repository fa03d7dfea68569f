"""What commands print: lines and tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from energy_chain.units import count as count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from energy_chain.events import Receipt
    from energy_chain.record.audit import AuditReport

WIDE = 160
"""Columns where nobody looks: room for every address."""


def output() -> Console:
    """Standard output. Text is printed as it is, and broken only where somebody looks at it."""
    from rich.console import Console

    # Reasons of refusals and paths of files may hold what Rich takes for markup.
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.soft_wrap = True
        console.width = max(console.width, WIDE)
    return console


def table(*headings: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """An empty table that never shortens what stands in it.

    Args:
        headings: of the columns.
        title: above it.
        right: the headings of the columns whose figures are lined up on the right.
    """
    from rich.table import Table

    made = Table(title=title, title_justify="left", show_header=any(headings))
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return made


def print_json(value: Any, line: bool = False) -> None:
    """A value as JSON: on one line where more follow, indented otherwise."""
    print(json.dumps(value, indent=None if line else 2), flush=True)


def print_waiting(said: str) -> None:
    """What a command waits for that goes on, on standard error."""
    print(f"waiting: {said}", file=sys.stderr, flush=True)


def receipt_as_json(receipt: Receipt) -> dict[str, Any]:
    """What a transaction did, for JSON."""
    from energy_chain.telling import jsonable

    return {
        "transaction": receipt.transaction,
        "block": receipt.block,
        "gas": receipt.gas_used,
        "events": [{"event": type(event).__name__, **jsonable(event)} for event in receipt.events],
    }


def print_receipt(receipt: Receipt, as_json: bool, line: bool = False) -> None:
    """What a transaction did: a line for each event, and one for what it cost."""
    if as_json:
        print_json(receipt_as_json(receipt), line)
        return
    from energy_chain.telling import described

    console = output()
    for event in receipt.events:
        console.print(described(event))
    cost = f"block {receipt.block:,}, {receipt.gas_used:,} gas, {receipt.transaction}"
    console.print(f"  {cost}", style="dim")


def verdict_as_json(verdict: AuditReport) -> dict[str, Any]:
    """An audit's verdict, for JSON."""
    return {
        "clean": verdict.clean,
        "difference": verdict.difference,
        "transactions": verdict.transactions,
        "events": verdict.events,
        "matches": verdict.matches,
        "requests_wh": asdict(verdict.requests),
        "releases_wh": asdict(verdict.releases),
        "consumed_wh": verdict.consumed,
        "against_chain": verdict.against_chain,
        "rows": verdict.rows,
    }


def print_verdict(verdict: AuditReport) -> None:
    """An audit's verdict."""
    console = output()
    if verdict.clean:
        console.print("Audit: clean.", style="bold green", end=" ")
        console.print(
            f"{count(verdict.matches, 'match')} in {count(verdict.events, 'event')} of "
            f"{count(verdict.transactions, 'transaction')} recomputed; energy conserved, 0 Wh lost."
        )
        if verdict.rows:
            console.print(f"{count(verdict.rows, 'row')} of the record follow from the events.")
        if not verdict.against_chain:
            console.print("The chain was not asked: this says nothing of what it holds.")
    else:
        lost = verdict.requests.lost, verdict.releases.lost
        found = verdict.difference or f"{lost[0]} Wh offered and {lost[1]} Wh needed are lost"
        console.print("Audit: FAILED.", style="bold red", end=" ")
        console.print(found)


@contextmanager
def reading_progress(what: str) -> Iterator[Any]:
    """Shows how much of something is done, where somebody looks: call what it gives."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
