"""`energy-chain record`: keep what the chain said in a database, and look at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import GRACE_SECONDS, daemon, until_stopped
from energy_chain.cli.printing import (
    count,
    output,
    print_json,
    print_waiting,
    reading_progress,
    table,
)
from energy_chain.cli.session import Session

if TYPE_CHECKING:
    from energy_chain.record.identity import MarketRow
    from energy_chain.record.indexer import Indexer, Update
    from energy_chain.record.store import Record

record = typer.Typer(no_args_is_help=True, help="Keep what the chain said in a database.")


@record.command()
@daemon(lambda given: given["follow"])
@options.gives(session=options.reading)
def update(
    follow: Annotated[bool, typer.Option("--follow", help="Go on, until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="With --follow: seconds between two looks.")
    ] = 1.0,
    all_markets: Annotated[
        bool, typer.Option("--all", help="Every market of this chain that is in the record.")
    ] = False,
    *,
    session: Session,
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Bring the record up to date with the market.

    Reads what is settled, begins where the record ends, and undoes what the
    chain has taken back. The first time it makes the record. With --follow, a
    line each time something was read. Needs no account.

    Examples:

        energy-chain record update --network ganache

        energy-chain record update --network pilot --record pilot.sqlite --follow

        energy-chain record update --all --record postgresql://db.example/energy --json
    """
    from energy_chain.record.indexer import follow as follow_all
    from energy_chain.record.store import Record, default_place

    with Record.open(place or default_place()) as opened:
        indexers = list(_indexers(opened, session, all_markets))
        if follow:
            with until_stopped(GRACE_SECONDS) as stop:
                tell = partial(_print_update, as_json=as_json)
                follow_all(indexers, stop, tell, print_waiting, every)
            return
        for indexer in indexers:
            with reading_progress("reading blocks") as show:
                done = indexer.update(show)
            _print_update(indexer, done, as_json)


@record.command()
def show(
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show which markets are in the record, and how far each was read.

    Asks no chain. Times are the chain's: bills are of the months between them.

    Examples:

        energy-chain record show

        energy-chain record show --record pilot.sqlite --json
    """
    from energy_chain.record.store import Record, default_place

    with Record.open(place or default_place(), must_exist=True) as opened:
        told = [
            (market, opened.began(market), asdict(opened.counts(market)))
            for market in opened.markets()
        ]
        if as_json:
            markets = [_market_as_json(*each) for each in told]
            print_json({"record": opened.place, "markets": markets})
            return
        shown = table(
            *("market", "network", "chain", "begins", "read up to block", "of", "events"),
            *("orders", "matches"),
            title=opened.place,
            right=("chain", "read up to block", "events", "orders", "matches"),
        )
        for market, began, counts in told:
            read = market.cursor_hash
            time = datetime.fromtimestamp(market.cursor_time, UTC)
            shown.add_row(
                market.address,
                market.network,
                str(market.chain_id),
                "-" if began is None else f"{datetime.fromtimestamp(began, UTC):%Y-%m-%d}",
                f"{market.cursor_block:,}" if read else "-",
                f"{time:%Y-%m-%d %H:%M:%S} UTC" if read else "-",
                *(f"{counts[what]:,}" for what in ("events", "orders", "matches")),
            )
        output().print(shown)


@record.command("export")
@options.gives(session=options.reading)
def export_tables(
    to: Annotated[Path, typer.Option(help="Folder for the files; those in it are replaced.")],
    format: Annotated[
        Literal["parquet", "csv"], typer.Option(help="What files to write.")
    ] = "parquet",
    *,
    session: Session,
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Write meters, orders, matches and transactions as Parquet or CSV files.

    Takes the record as it is and asks no chain: bring it up to date first.

    Examples:

        energy-chain record export --to march

        energy-chain record export --to march --format csv --record pilot.sqlite --json
    """
    from rich.console import Console

    from energy_chain.record.export import Format, export
    from energy_chain.record.store import Record, default_place

    with (
        Record.open(place or default_place(), must_exist=True) as opened,
        Console(stderr=True).status("writing"),
    ):
        market = opened.market(session.contract)
        written = export(opened, market, to, Format(format))
    if as_json:
        files = [{"file": str(path), "rows": rows} for path, rows in written.items()]
        print_json({"contract": market.address, "files": files})
        return
    listed = table("file", "rows", title=f"{market.address}", right=("rows",))
    for path, rows in written.items():
        listed.add_row(str(path), f"{rows:,}")
    output().print(listed)


def _indexers(opened: Record, session: Session, all_markets: bool) -> Iterator[Indexer]:
    from energy_chain.record.indexer import Indexer
    from energy_chain.record.source import ChainSource

    if not all_markets:
        yield Indexer(opened, ChainSource(session.reader()))
        return
    for market in _of_this_chain(opened, session):
        yield Indexer(opened, ChainSource(session.reader_at(market.address, market.first_block)))


def _of_this_chain(opened: Record, session: Session) -> Sequence[MarketRow]:
    from energy_chain.errors import InvalidInput

    connection = session.connection
    here = connection.chain_id, connection.genesis()
    found = [market for market in opened.markets() if (market.chain_id, market.genesis) == here]
    if not found:
        raise InvalidInput(
            f"{opened.place} holds no market of {session.network.name}: leave out --all, and give "
            "--contract, to put one into it"
        )
    return found


def _market_as_json(market: MarketRow, began: int | None, counts: dict[str, int]) -> dict[str, Any]:
    read = bool(market.cursor_hash)
    time = datetime.fromtimestamp(market.cursor_time, UTC)
    return {
        "contract": market.address,
        "network": market.network,
        "chain_id": market.chain_id,
        "genesis": market.genesis,
        "first_block": market.first_block,
        "period_seconds": market.period_length,
        "begins": None if began is None else datetime.fromtimestamp(began, UTC).isoformat(),
        "block": market.cursor_block if read else None,
        "block_hash": market.cursor_hash or None,
        "block_time": time.isoformat() if read else None,
        **counts,
    }


def _print_update(indexer: Indexer, done: Update, as_json: bool) -> None:
    if as_json:
        print_json({"contract": indexer.market.address, **asdict(done)}, line=True)
        return
    undone = f", {count(done.rolled_back, 'block')} undone" if done.rolled_back else ""
    output().print(
        f"{indexer.market.address}: read up to block {done.block:,}; "
        f"{count(done.blocks, 'block')} read, {count(done.events, 'event')} added{undone}."
    )
