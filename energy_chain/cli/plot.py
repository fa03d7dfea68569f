"""`energy-chain plot`: the main pictures of a market as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from energy_chain.cli import options
from energy_chain.cli.printing import output, print_json
from energy_chain.cli.readings import zone_of
from energy_chain.cli.session import Session

DAY = "%Y-%m-%d"


@options.gives(session=options.reading)
def plot(
    to: Annotated[Path, typer.Option(help="Folder for the pictures; those in it are replaced.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=[DAY], metavar="YYYY-MM-DD", help="First day; the record's first."
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=[DAY], metavar="YYYY-MM-DD", help="Last day; the record's last."
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Time zone whose days are meant, such as Europe/Berlin.")
    ] = "UTC",
    format: Annotated[
        Literal["both", "svg", "png"], typer.Option(help="What files to write.")
    ] = "both",
    *,
    session: Session,
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Draw what was offered, needed and matched, as SVG and PNG.

    Three pictures: usage over time, self-sufficiency and self-consumption, and
    each home. Takes the record as it is and asks no chain: bring it up to date
    first.

    Examples:

        energy-chain plot --to pictures

        energy-chain plot --to june --from 2026-06-01 --until 2026-06-30 --timezone Europe/Berlin

        energy-chain plot --to pictures --record pilot.sqlite --format svg --json
    """
    from rich.console import Console

    from energy_chain.errors import InvalidInput
    from energy_chain.plots import save
    from energy_chain.record.pictures import Pictures
    from energy_chain.record.store import Record, default_place

    zone = zone_of(timezone) or UTC
    begin = since and since.replace(tzinfo=zone)
    end = until and (until + timedelta(days=1)).replace(tzinfo=zone)
    with (
        Record.open(place or default_place(), must_exist=True) as opened,
        Console(stderr=True).status("drawing"),
    ):
        market = opened.market(session.contract)
        figures = Pictures(opened, market, begin, end, zone).draw()
        try:
            to.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"{to} cannot be made ({error.strerror}): give --to") from error
        formats = ("svg", "png") if format == "both" else (format,)
        written = []
        for name, figure in figures.items():
            for suffix in formats:
                written.append(to / f"{name}.{suffix}")
                save(figure, written[-1])
    if as_json:
        print_json({"contract": market.address, "files": [str(path) for path in written]})
    else:
        for path in written:
            output().print(str(path))
