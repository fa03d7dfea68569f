"""`energy-chain simulate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.neighbourhoods import MadeUp, made_up
from energy_chain.cli.printing import count, output, print_json, table
from energy_chain.cli.readings import DEMO_DAY
from energy_chain.errors import InvalidInput
from energy_chain.units import kwh

if TYPE_CHECKING:
    from energy_chain.simulation import BySize, Community, Outcome

_SIZES = "10,30,100"


@options.gives(model=made_up)
def simulate(
    homes: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Homes of a community: a size, or several; made up, 10,30,100 by default, or the "
            "first so many of each --data.",
        ),
    ] = None,
    communities: Annotated[int, typer.Option(min=1, help="Communities of each size.")] = 4,
    day: options.DayOption = None,
    days: options.DaysOption = 7,
    *,
    model: MadeUp,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="File or folder of measured homes, a community of its own in place of those that "
            "are made up. May be given more than once."
        ),
    ] = None,
    timezone: options.TimezoneOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of this machine; as many as processors if left out."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Scheduler of a Dask cluster that does it instead, such as tcp://127.0.0.1:8786.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to draw: a file that ends in .svg or .png.")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Let many communities trade for days, without a chain, and compare them by size.

    Each community is a contract of its own: its twin in Python, in which the
    metering operator posts, matches and confirms in packed calls. Their gas is
    told within one per cent. The need met locally is that of all homes of a size
    together; the picture shows the median community.

    Examples:

        energy-chain simulate

        energy-chain simulate --homes 5,20,100,500 --communities 8 --days 30 --plot sizes.svg

        energy-chain simulate --place california --solar-share 0.9 --homes 50

        energy-chain simulate --data north.csv --data south.csv --day 2016-08-15

        energy-chain simulate --homes 100 --communities 100 --dask tcp://127.0.0.1:8786 --json
    """
    from energy_chain.plots import check_picture, draw_simulation, save
    from energy_chain.simulation import by_size
    from energy_chain.simulation import simulate as simulated

    if plot:
        check_picture(plot)
    jobs = list(_communities(homes, communities, day, days, model, data, timezone))
    with _progress(jobs) as show:
        outcomes = simulated(jobs, workers, dask, show)
    sizes = by_size(outcomes)
    if plot:
        save(draw_simulation(sizes), plot)
    if as_json:
        print_json(
            {
                "plot": str(plot) if plot else None,
                "sizes": [_size_as_json(size) for size in sizes],
                "communities": [_outcome_as_json(outcome) for outcome in outcomes],
            }
        )
    else:
        _print(sizes)
        if plot:
            output().print(f"{plot} written.")


def _communities(
    homes: str | None,
    communities: int,
    day: datetime | None,
    days: int,
    model: MadeUp,
    data: list[Path] | None,
    timezone: str | None,
) -> Iterator[Community]:
    from energy_chain.cli.readings import zone_of
    from energy_chain.meters import FileOptions, SolarModel, first_day, measure
    from energy_chain.meters.made_up.places import PLACES
    from energy_chain.simulation import Community

    zone = zone_of(timezone)
    name = timezone or "UTC"
    if data:
        sizes = _sizes(homes) if homes is not None else [None]
        for number, path in enumerate(data):
            first = day.date() if day else first_day(measure([path], FileOptions(timezone=zone)))
            place = str(path.resolve())
            for nth, size in enumerate(sizes):
                yield Community(
                    number * len(sizes) + nth, size, first, days, timezone=timezone, data=place
                )
        return
    first = day.date() if day else DEMO_DAY
    for size in _sizes(_SIZES if homes is None else homes):
        for number in range(communities):
            # The number is of the size too: one that is left out changes no other.
            yield Community(
                size * 100_000 + number,
                size,
                first,
                days,
                model.seed,
                timezone=name,
                place=PLACES[model.place],
                solar_share=model.solar_share,
                solar_model=SolarModel(model.solar_model),
            )


def _sizes(text: str) -> Sequence[int]:
    try:
        sizes = sorted({int(part) for part in text.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1:
        raise InvalidInput(f"--homes {text}: give one number of homes or several, such as 10,100")
    return sizes


@contextmanager
def _progress(jobs: list[Community]) -> Iterator[Any]:
    """A live line on standard error; nothing when that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(count(len(jobs), "community"), total=len(jobs))
        yield lambda _outcome: bar.advance(task)


def _print(sizes: list[BySize]) -> None:
    numbers = ("homes", "communities", "days", "need met locally", "least to most")
    energies = ("matched", "to the grid", "from the grid")
    gas = ("gas a kWh", "gas a day")
    listed = table(
        *numbers,
        *energies,
        *gas,
        title="Communities by size; need met locally is that of all their homes together, "
        "energies and gas a day are per home and day",
        right=(*numbers, *energies, *gas),
    )
    for size in sizes:
        trade = size.trade
        per_kwh = trade.gas_per_matched_kwh
        listed.add_row(
            f"{size.homes:,}",
            f"{size.communities:,}",
            f"{size.days:,}",
            _share(trade.local_share),
            " to ".join(_share(size.local_shares[i]) for i in (0, -1))
            if size.local_shares
            else "-",
            *(
                kwh(round(energy / size.home_days))
                for energy in (trade.matched, trade.to_grid, trade.from_grid)
            ),
            "-" if per_kwh is None else f"{per_kwh:,.0f}",
            f"{trade.trading_gas / size.home_days:,.0f}",
        )
    output().print(listed)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _size_as_json(size: BySize) -> dict[str, Any]:
    trade = size.trade
    return {
        "homes": size.homes,
        "communities": size.communities,
        "days": size.days,
        "local_share": trade.local_share,
        "median_local_share": size.median_local_share,
        "local_shares": list(size.local_shares),
        "gas_per_matched_kwh": trade.gas_per_matched_kwh,
        "gas_per_home_day": trade.trading_gas / size.home_days,
        "energy_wh": {
            "offered": trade.offered,
            "needed": trade.needed,
            "matched": trade.matched,
            "to_grid": trade.to_grid,
            "from_grid": trade.from_grid,
        },
    }


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    community, trade = outcome.community, outcome.trade
    return {
        "number": community.number,
        "data": community.data,
        "homes": trade.homes,
        "periods": trade.periods,
        "requests": trade.requests,
        "releases": trade.releases,
        "matches": trade.matches,
        "offered_wh": trade.offered,
        "needed_wh": trade.needed,
        "matched_wh": trade.matched,
        "gas": trade.trading_gas,
    }
