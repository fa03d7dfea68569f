"""What commands print: lines and tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from energy_chain.units import kwh

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from energy_chain.events import Event, Receipt
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


def count(number: int, of_what: str) -> str:
    """A number and its noun, in the plural unless it is one."""
    if number == 1:
        return f"1 {of_what}"
    if of_what.endswith("y"):
        return f"{number:,} {of_what[:-1]}ies"
    return f"{number:,} {of_what}{'es' if of_what.endswith('ch') else 's'}"


def jsonable(value: Any) -> Any:
    """A dataclass of ours as JSON has it: energies say that they are Wh, numbers that they are."""
    if is_dataclass(value):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {_json_name(name, item): jsonable(item) for name, item in items}
    return [jsonable(item) for item in value] if isinstance(value, list | tuple) else value


def _json_name(name: str, value: Any) -> str:
    if name in _PARTIES and isinstance(value, int):
        return f"{name}_number"
    return f"{name}_wh" if name in _ENERGIES else name


_PARTIES = {"meter", "producer", "consumer"}
"""Addresses or, in packed orders and matches, meter numbers."""
_ENERGIES = {"energy", "energies", "next_energy", "offers", "needs", "unconsumed"}


def receipt_as_json(receipt: Receipt) -> dict[str, Any]:
    """What a transaction did, for JSON."""
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
    console = output()
    for event in receipt.events:
        console.print(described(event))
    cost = f"block {receipt.block:,}, {receipt.gas_used:,} gas, {receipt.transaction}"
    console.print(f"  {cost}", style="dim")


def described(event: Event) -> str:
    """One event in words."""
    from energy_chain import events as ev

    match event:
        case ev.RequestPosted(meter=meter, counter=counter, energy=energy):
            return f"Request {counter:,}: {meter} offers {kwh(energy)}."
        case ev.ReleasePosted(meter=meter, counter=counter, energy=energy):
            return f"Release {counter:,}: {meter} needs {kwh(energy)}."
        case ev.RequestsPosted(first=first, orders=orders):
            energy = sum(order.energy for order in orders)
            return f"{count(len(orders), 'request')} from request {first:,} on: {kwh(energy)}."
        case ev.ReleasesPosted(first=first, orders=needs):
            energy = sum(order.energy for order in needs)
            return f"{count(len(needs), 'release')} from release {first:,} on: {kwh(energy)}."
        case ev.SignedRequestsPosted(first=first, orders=orders):
            energy = sum(order.energy for order in orders)
            signed = count(len(orders), "signed request")
            return f"{signed} from request {first:,} on: {kwh(energy)}."
        case ev.SignedReleasesPosted(first=first, orders=needs):
            energy = sum(order.energy for order in needs)
            signed = count(len(needs), "signed release")
            return f"{signed} from release {first:,} on: {kwh(energy)}."
        case ev.SignedOrderSkipped(r=r, reason=reason):
            return f"A signed order was skipped ({reason}); the r of its signature is {r:#x}."
        case ev.PeriodOpened(period=period, expired_requests=requests, expired_releases=releases):
            expired = f"{count(requests, 'request')} and {count(releases, 'release')} expired"
            return f"Period {period:,} began; {expired}."
        case ev.Matched(first=first, fills=fills):
            energy = sum(fill.energy for fill in fills)
            return f"{count(len(fills), 'match')} from match {first:,} on: {kwh(energy)}."
        case ev.PairMatched(index=index, fill=fill):
            return f"Match {index:,}: {kwh(fill.energy)} matched."
        case ev.DeliveryConfirmed(index=index, energy=energy):
            return f"Match {index:,}: {kwh(energy)} consumed."
        case ev.DeliveriesConfirmed(first=first, energies=energies):
            return f"{kwh(sum(energies))} consumed of the matches from match {first:,} on."
        case ev.MatchesConfirmed(first=first, count=number):
            return f"All consumed of {count(number, 'match')} from match {first:,} on."
        case ev.MeterRegistered(meter=meter, number=number):
            return f"Meter {number}: {meter} registered."
        case ev.MeterRetired(meter=meter, number=number):
            return f"Meter {number}: {meter} retired."
        case ev.OwnershipTransferStarted(new_owner=new_owner):
            return f"The ownership is offered to {new_owner}."
        case ev.OwnershipTransferred(new_owner=new_owner):
            return f"{new_owner} is the owner."
        case ev.AggregatorChanged(new_aggregator=new_aggregator):
            return f"{new_aggregator} is the aggregator."
        case ev.MeteringOperatorChanged(new_operator=new_operator):
            return f"{new_operator} is the metering operator."
        case ev.Paused():
            return "Posting and matching are paused."
        case ev.Unpaused():
            return "Posting and matching go on."


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
