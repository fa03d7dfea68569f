"""`energy-chain data`: meter readings, looked at, converted, made up and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import neighbourhoods, options
from energy_chain.cli.printing import count, output, print_json, table
from energy_chain.cli.readings import file_options
from energy_chain.errors import InvalidInput
from energy_chain.units import duration

if TYPE_CHECKING:
    from energy_chain.meters import FileOptions, Inspection

data = typer.Typer(
    no_args_is_help=True, help="Look at meter readings, convert, make up and compare them."
)

data.command()(neighbourhoods.generate)
data.command()(neighbourhoods.check)

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files of readings, or folders of them.")
]
SHOWN = 10
"""Faults that are shown one by one."""


@data.command()
@options.gives(file=file_options)
def inspect(
    files: FilesArgument,
    *,
    file: FileOptions,
    as_json: options.JsonOption = False,
) -> None:
    """Say what is in files of readings, what is wrong with them, and whether they can trade.

    CSV in many dialects, Green Button, P1 telegrams and Parquet. Nothing is
    guessed: where a file can be read in several ways, the option is named that
    settles it.

    Ends with 0 when it has looked, faults or not, and with 2 when no reading can be used.

    Examples:

        energy-chain data inspect homes.csv

        energy-chain data inspect meters/ --timezone Europe/Berlin --label end --json

        energy-chain data inspect registers.csv --registers --digits 6

        energy-chain data inspect greenbutton.xml
    """
    from energy_chain import meters

    with _working("reading"):
        found = meters.inspect(meters.measure(files, file))
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if not _has_any(found):
        raise InvalidInput(f"no reading of {found.source} can be used: {found.remedy}")


@data.command()
@options.gives(file=file_options)
def convert(
    files: FilesArgument,
    to: Annotated[
        Path,
        typer.Option(metavar="OUT", help="File to write, whose name ends in .parquet or .csv."),
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite it if it exists.")] = False,
    *,
    file: FileOptions,
    as_json: options.JsonOption = False,
) -> None:
    """Write files of readings as one table, in Parquet or CSV.

    A line for each meter and period, with exact energies; readings that are
    missing stay missing. What cannot be read or comes twice is refused.

    Examples:

        energy-chain data convert homes.csv --to homes.parquet

        energy-chain data convert meters/ --to homes.csv --timezone Europe/Berlin --force
    """
    from energy_chain import meters

    write = meters.writer_for(to, force)
    with _working("converting"):
        found = meters.measure(files, file)
        write(found, to)
    if as_json:
        print_json({"file": str(to), "readings": len(found), "meters": len(found.meters)})
    else:
        output().print(
            f"{count(len(found), 'reading')} of {count(len(found.meters), 'meter')} in {to}."
        )


def _working(what: str) -> Any:
    """A line on standard error while something goes on, where that is a terminal."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def _as_json(found: Inspection) -> dict[str, Any]:
    return {
        "source": found.source,
        "files": list(found.files),
        "facts": dict(found.facts),
        "period_seconds": found.period.total_seconds() if found.period else None,
        "first_period": found.first.isoformat() if found.first else None,
        "last_period": found.last.isoformat() if found.last else None,
        "offsets": list(found.offsets),
        "meters": [
            {
                "meter": meter.meter,
                "readings": meter.readings,
                "missing": meter.missing,
                "bad": meter.bad,
                "first_period": meter.first.isoformat(),
                "last_period": meter.last.isoformat(),
                "consumption_kwh": _kwh(meter.consumption),
                "production_kwh": _kwh(meter.production),
            }
            for meter in found.meters
        ],
        "faults": {kind.value: number for kind, number in found.counts.items()},
        "first_faults": [
            {
                "kind": fault.kind.value,
                "file": fault.problem.file or found.files[0],
                "line": fault.problem.line,
                "message": fault.problem.message,
            }
            for fault in found.faults[:SHOWN]
        ],
        "odd": [
            {"file": odd.file or found.files[0], "line": odd.line, "message": odd.message}
            for odd in found.odd[:SHOWN]
        ],
        "can_trade": found.refusal is None,
        "refusal": found.refusal,
        "whole_days": (
            {"first": found.days[0].isoformat(), "days": found.days[1]} if found.days else None
        ),
    }


def _print(found: Inspection) -> None:
    console = output()
    facts = table("", "", title=found.source)
    facts.show_header = False
    for name, answer in found.facts.items():
        facts.add_row(name, answer)
    facts.add_row("period", "not known" if found.period is None else duration(found.period))
    if found.first and found.last:
        facts.add_row("first to last", f"{found.first.isoformat()} to {found.last.isoformat()}")
        facts.add_row("offsets from UTC", ", ".join(found.offsets))
    console.print(facts)
    figures = ("readings", "missing", "bad", "consumption kWh", "production kWh")
    listed = table("meter", *figures, "first", "last", right=figures)
    for meter in found.meters:
        listed.add_row(
            meter.meter,
            f"{meter.readings:,}",
            f"{meter.missing:,}",
            f"{meter.bad:,}",
            f"{_kwh(meter.consumption):,.3f}",
            f"{_kwh(meter.production):,.3f}",
            f"{meter.first:%Y-%m-%d %H:%M}",
            f"{meter.last:%Y-%m-%d %H:%M}",
        )
    console.print(listed)
    for fault in found.faults[:SHOWN]:
        console.print(f"{fault.kind}: {fault.problem}")
    if len(found.faults) > SHOWN:
        each = ", ".join(f"{number:,} {kind}" for kind, number in found.counts.items())
        console.print(f"... {len(found.faults):,} in all: {each}")
    for odd in found.odd[:SHOWN]:
        console.print(f"odd: {odd}")
    _print_verdict(found)


def _print_verdict(found: Inspection) -> None:
    console = output()
    if found.refusal is None:
        console.print("Can trade: all of it.", style="bold green")
    else:
        console.print("Cannot trade as a whole.", style="bold red")
    if found.days:
        first, days = found.days
        which = f"--day {first} --days {days}"
        console.print(f"Days that are whole and without a fault: {which}")
    elif found.remedy is None:
        console.print(
            "No day is whole, from midnight to midnight, and a command trades whole days: give "
            "more readings, or the --timezone whose days are meant."
        )
    elif _has_any(found):
        console.print(found.remedy)


def _has_any(found: Inspection) -> bool:
    return any(meter.readings for meter in found.meters)


def _kwh(energy: int) -> float:
    """For people: an energy in microwatt-hours as kWh."""
    return energy / 1e9
