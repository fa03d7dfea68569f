"""`energy-chain data generate` and `energy-chain data check`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from energy_chain.cli import options
from energy_chain.cli.printing import count, output, print_json, table
from energy_chain.cli.readings import DEMO_DAY, DEMO_HOMES, zone_of
from energy_chain.errors import InvalidInput
from energy_chain.units import duration, parse_duration

if TYPE_CHECKING:
    from rich.progress import Progress

    from energy_chain.meters import Readings
    from energy_chain.meters.check import Comparison, Measure, Spread

GENERATED = "generated"
"""In the place of a file's name."""


class PlaceName(StrEnum):
    """Where made-up homes stand."""

    GERMANY = "germany"
    CALIFORNIA = "california"


class SkyName(StrEnum):
    """Whose clear sky is taken."""

    OWN = "own"
    PVLIB = "pvlib"


PlaceOption = Annotated[
    PlaceName, typer.Option(help="Climate of made-up homes, and what homes have in it.")
]
SolarShareOption = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the made-up homes that have solar.")
]
SolarModelOption = Annotated[
    SkyName,
    typer.Option(
        help="Clear sky of made-up days: our own, or that of pvlib, which the extra "
        "energy-chain[solar] installs."
    ),
]
Side = Annotated[
    str,
    typer.Argument(
        metavar="FILE|generated",
        help="File or folder of readings, or the word generated for homes that are made up.",
    ),
]


@dataclass(frozen=True, slots=True)
class MadeUp:
    """What made-up readings are of, but for homes, days and period."""

    seed: int
    place: PlaceName
    solar_share: float
    solar_model: SkyName


def made_up(
    seed: Annotated[int, typer.Option(help="Seed of what is made up.")] = 0,
    place: PlaceOption = PlaceName.GERMANY,
    solar_share: SolarShareOption = 0.6,
    solar_model: SolarModelOption = SkyName.OWN,
) -> MadeUp:
    """What the options of the same names describe."""
    return MadeUp(seed, place, solar_share, solar_model)


@options.gives(model=made_up)
def generate(
    file: Annotated[
        Path,
        typer.Argument(help="File to write, whose name ends in .csv or .parquet."),
    ],
    homes: Annotated[int, typer.Option(min=1, help="How many homes.")] = DEMO_HOMES,
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="First day; 2026-06-21 if left out.",
        ),
    ] = None,
    days: options.DaysOption = 1,
    period: Annotated[
        str, typer.Option(help="How long a period is, such as 15min or 1h.")
    ] = "15min",
    timezone: options.TimezoneOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite it if it exists.")] = False,
    *,
    model: MadeUp,
    as_json: options.JsonOption = False,
) -> None:
    """Write readings of a made-up neighbourhood.

    The same options give the same file everywhere, unless pvlib is the solar model.

    Examples:

        energy-chain data generate homes.csv

        energy-chain data generate year.parquet --homes 100 --days 365 --timezone Europe/Berlin

        energy-chain data generate hot.csv --place california --solar-share 1 --period 1h
    """
    from energy_chain.meters import Measurements, writer_for

    write = writer_for(file, force)  # refused before the work is done
    length = timedelta(seconds=parse_duration(period))
    zone = zone_of(timezone) or ZoneInfo("UTC")
    with _progress() as bar:
        task = bar.add_task("making readings up", total=None)
        first = day.date() if day else DEMO_DAY
        readings = _generated(model, homes, first, days, length, zone)
        bar.update(task, description="writing")
        write(Measurements.of_readings(readings, str(file)), file)
    used, made = (int(energy.sum()) / 1e9 for energy in (readings.consumption, readings.production))
    if as_json:
        print_json(
            {
                "file": str(file),
                "homes": homes,
                "periods": len(readings.starts),
                "period_seconds": length.total_seconds(),
                "first_period": readings.starts[0].isoformat(),
                "last_period": readings.starts[-1].isoformat(),
                "consumption_kwh": used,
                "production_kwh": made,
            }
        )
    else:
        output().print(
            f"{count(homes, 'home')}, {count(len(readings.starts), 'period')}: {used:,.1f} kWh "
            f"used, {made:,.1f} kWh produced; written to {file}."
        )


@options.gives(model=made_up)
def check(
    a: Side,
    b: Side,
    homes: Annotated[
        int | None,
        typer.Option(min=1, help="How many homes to make up; as many as the file has if left out."),
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="First day to make up; that of the file if left out.",
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="How many days to make up; as many as the file has if left out."),
    ] = None,
    timezone: options.TimezoneOption = None,
    *,
    model: MadeUp,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to draw: a file that ends in .svg or .png.")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compare two neighbourhoods: measured homes with made-up ones, say.

    Each figure is the median over the homes, or the days, and the range of the
    middle 80 % of them. Two sides are alike in it when the median of each lies
    within that range of the other.

    Examples:

        energy-chain data check homes.csv generated

        energy-chain data check homes.csv generated --place california --solar-share 1 --plot c.svg

        energy-chain data check north.csv south.csv --timezone Europe/Berlin --json
    """
    from energy_chain.meters import FileOptions, compare, read_readings
    from energy_chain.plots import check_picture, save

    if plot:
        check_picture(plot)
    if a == b == GENERATED:
        raise InvalidInput(
            "two neighbourhoods that are made up alike: give a file for one of them, which "
            "energy-chain data generate FILE writes"
        )
    zone = zone_of(timezone)
    with _progress() as bar:
        bar.add_task("comparing", total=None)
        how = FileOptions(timezone=zone)
        read = {name: read_readings([Path(name)], how) for name in (a, b) if name != GENERATED}
        if GENERATED in (a, b):
            (like,) = read.values()
            read[GENERATED] = _generated_like(like, model, homes, day, days)
        names = _names(a, b)
        comparison = compare(read[a], read[b], names)
        if plot:
            from energy_chain.meters.check_plot import draw_check

            save(draw_check(read[a], read[b], names), plot)
    if as_json:
        print_json({**_as_json(comparison, names), "plot": str(plot) if plot else None})
    else:
        _print(comparison, names)
        if plot:
            output().print(f"Drawn in {plot}.")


def _generated(
    model: MadeUp, homes: int, first: date, days: int, period: timedelta, zone: tzinfo
) -> Readings:
    from energy_chain.meters import SolarModel, generate
    from energy_chain.meters.made_up.places import PLACES

    return generate(
        homes=homes,
        first=first,
        days=days,
        period=period,
        seed=model.seed,
        timezone=zone,
        place=PLACES[model.place],
        solar_share=model.solar_share,
        solar_model=SolarModel(model.solar_model),
    )


def _generated_like(
    measured: Readings,
    model: MadeUp,
    homes: int | None,
    day: datetime | None,
    days: int | None,
) -> Readings:
    """As many homes and whole days as were measured, by the same period and clock."""
    from energy_chain.meters.check import whole_days

    dates = whole_days(measured).dates
    first = day.date() if day else dates[0]
    count = days or (dates[-1] - dates[0]).days + 1
    zone = measured.starts[0].tzinfo
    assert zone is not None  # readings have aware times
    return _generated(model, homes or len(measured.meters), first, count, measured.period, zone)


def _progress() -> Progress:
    """A live line on standard error; nothing when that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _names(a: str, b: str) -> tuple[str, str]:
    """Files by their names alone, unless these are the same."""
    short = [name if name == GENERATED else Path(name).name for name in (a, b)]
    return (short[0], short[1]) if short[0] != short[1] else (a, b)


def _print(comparison: Comparison, names: tuple[str, str]) -> None:
    console = output()
    figures = [f"{name}: median (10 to 90 %)" for name in names]
    listed = table("measure", "of", *figures, "alike")
    for measure in comparison.measures:
        listed.add_row(
            measure.name + (f", {measure.unit}" if measure.unit else ""),
            measure.across,
            _range(measure, measure.a),
            _range(measure, measure.b),
            "yes" if measure.alike else "no",
        )
    console.print(listed)
    length = duration(comparison.period)
    for name, homes, days, (first, last), solar, own in zip(
        names,
        comparison.homes,
        comparison.days,
        comparison.dates,
        comparison.solar,
        comparison.periods,
        strict=True,
    ):
        of_these = f"{solar:.0%} of them with solar"
        summed = "" if own == comparison.period else f", summed up from {duration(own)}"
        console.print(
            f"{name}: {count(homes, 'home')}, {of_these}; {days:,} whole days from {first} to "
            f"{last} in periods of {length}{summed}."
        )
    if comparison.uneven:
        console.print(
            f"Uneven to begin with: {'; '.join(comparison.uneven)}. Measures may be unlike for "
            "this reason alone.",
            style="bold yellow",
        )
    alike = sum(measure.alike for measure in comparison.measures)
    console.print(f"Alike in {alike} of {len(comparison.measures)} measures.")
    console.print(
        f"The nearest other home is of the same side for {comparison.told} of "
        f"{comparison.guessed} homes; {comparison.guessed / 2:g} would be chance."
    )


def _range(measure: Measure, spread: Spread | None) -> str:
    if spread is None:
        return "-"
    digits = 1 if measure.unit else 3
    low, median, high = (
        f"{value:,.{digits}f}" for value in (spread.low, spread.median, spread.high)
    )
    return f"{median} ({low} to {high})"


def _as_json(comparison: Comparison, names: tuple[str, str]) -> dict[str, Any]:
    sides = zip(
        names,
        comparison.homes,
        comparison.days,
        comparison.dates,
        comparison.solar,
        comparison.periods,
        strict=True,
    )
    return {
        "period_seconds": comparison.period.total_seconds(),
        "sides": [
            {
                "name": name,
                "homes": homes,
                "days": days,
                "first_day": first.isoformat(),
                "last_day": last.isoformat(),
                "solar_share": solar,
                "own_period_seconds": own.total_seconds(),
            }
            for name, homes, days, (first, last), solar, own in sides
        ],
        "measures": [
            {
                **{name: getattr(measure, name) for name in ("name", "unit", "across", "meaning")},
                "spreads": [spread and spread._asdict() for spread in (measure.a, measure.b)],
                "alike": measure.alike,
            }
            for measure in comparison.measures
        ],
        "alike": comparison.alike,
        "uneven": list(comparison.uneven),
        "nearest_home_of_the_same_side": {"homes": comparison.told, "of": comparison.guessed},
    }
