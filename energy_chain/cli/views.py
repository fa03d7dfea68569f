"""Looking at a market: `status`, `watch`, `audit`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.printing import (
    count,
    output,
    print_json,
    print_verdict,
    table,
    verdict_as_json,
)
from energy_chain.cli.session import Session
from energy_chain.units import kwh

if TYPE_CHECKING:
    from rich.console import RenderableType

    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.market import Address
    from energy_chain.record.audit import AuditReport
    from energy_chain.status import MarketStatus

METERS = Annotated[int, typer.Option(min=0, help="The most meters to show, the latest ones.")]
MATCHES = Annotated[int, typer.Option(min=0, help="The most matches to show, the latest ones.")]


@options.gives(session=options.reading)
def status(
    meters: METERS = 20,
    matches: MATCHES = 10,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Show how the market stands: queues, period, roles, meters, latest matches.

    All of it is as of one block. Needs no account.

    Examples:

        energy-chain status --network ganache

        energy-chain status --meters 100 --matches 50 --json
    """
    told = _told(session, session.reader(), meters, matches)
    if as_json:
        print_json(_status_as_json(*told))
    else:
        output().print(_status_table(*told))


@options.gives(session=options.reading)
def watch(
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    meters: METERS = 20,
    matches: MATCHES = 10,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Watch the market live, until Ctrl-C.

    What `energy-chain status` shows, again and again; with --json, a line each
    time.

    Examples:

        energy-chain watch --network ganache

        energy-chain watch --every 5 --json
    """
    from rich.live import Live

    from energy_chain.cli.daemon import until_stopped

    ledger = session.reader()
    with until_stopped() as stop:
        if as_json:
            while not stop.is_set():
                print_json(_status_as_json(*_told(session, ledger, meters, matches)), line=True)
                stop.wait(every)
            return
        with Live(console=output(), auto_refresh=False) as live:
            while not stop.is_set():
                told = _told(session, ledger, meters, matches)
                live.update(_status_table(*told), refresh=True)
                stop.wait(every)


def _told(
    session: Session, ledger: ContractLedger, meters: int, matches: int
) -> tuple[dict[str, Any], MarketStatus]:
    from energy_chain.status import read_status

    as_of = ledger.at_latest_block()
    time = datetime.fromtimestamp(session.connection.block_time(as_of.block), UTC)
    under_way, since = session.outbox().waiting()
    place = {
        "network": session.network.name,
        "chain_id": session.connection.chain_id,
        "contract": ledger.address,
        "block": as_of.block,
        "block_time": time.isoformat(),
        "under_way": under_way,
        "under_way_since": None
        if since is None
        else datetime.fromtimestamp(since, UTC).isoformat(),
    }
    return place, read_status(as_of, meters, matches)


def _status_as_json(place: dict[str, Any], told: MarketStatus) -> dict[str, Any]:
    from energy_chain.telling import jsonable

    return {**place, **jsonable(told)}


def _status_table(place: dict[str, Any], told: MarketStatus) -> RenderableType:
    from rich.console import Group

    market = table("", "", title="Market")
    market.add_row("contract", f"{place['contract']} on {place['network']}")
    time = datetime.fromisoformat(place["block_time"])
    market.add_row("block", f"{place['block']:,} of {time:%Y-%m-%d %H:%M:%S} UTC")
    market.add_row("period", _period(told))
    if place["under_way"]:
        since = datetime.fromisoformat(place["under_way_since"])
        market.add_row(
            "under way",
            f"{count(place['under_way'], 'transaction')} of this machine, the oldest since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC; energy-chain outbox show",
            style="yellow",
        )
    if told.paused:
        market.add_row("paused", "posting and matching are stopped", style="bold red")
    for what, queue in (("requests", told.requests), ("releases", told.releases)):
        line = f"; next in line {kwh(queue.next_energy)}" if queue.outstanding else ""
        market.add_row(what, f"{queue.outstanding:,} outstanding of {queue.posted:,}{line}")
    for role, account in (
        ("owner", told.owner),
        ("offered to", told.pending_owner),
        ("aggregator", told.aggregator),
        ("metering operator", told.metering_operator),
    ):
        if account:
            market.add_row(role, account)

    numbers = {meter.address: meter.number for meter in told.meters}
    meters = table(
        *("number", "address", "offers", "needs", "state"),
        title=f"Meters: {told.meter_count:,}",
        right=("number", "offers", "needs"),
    )
    for meter in told.meters:
        offers, needs = (kwh(energy) if energy else "-" for energy in (meter.offers, meter.needs))
        state = "retired" if meter.retired else "registered"
        meters.add_row(str(meter.number), meter.address, offers, needs, state)

    matches = table(
        *("match", "producer", "consumer", "not consumed yet"),
        title=f"Matches: {told.match_count:,}",
        right=("match", "not consumed yet"),
    )
    for match in told.matches:
        parties = (_party(party, numbers) for party in (match.producer, match.consumer))
        left = kwh(match.unconsumed) if match.unconsumed else "-"
        matches.add_row(f"{match.index:,}", *parties, left)
    return Group(market, meters, matches)


def _party(address: str, numbers: dict[str, int]) -> str:
    return f"meter {numbers[address]}" if address in numbers else address


def _period(told: MarketStatus) -> str:
    if not told.period_length:
        return "none: orders never expire"
    start = datetime.fromtimestamp(told.period * told.period_length, UTC)
    minutes = told.period_length / 60
    return f"{told.period:,}, from {start:%Y-%m-%d %H:%M:%S} UTC, {minutes:g} min"


@options.gives(session=options.reading)
def audit(
    offline: Annotated[
        bool, typer.Option("--offline", help="Audit the record by itself, and ask no chain.")
    ] = False,
    *,
    session: Session,
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Recompute every match from what the chain logged, and compare.

    With --record or --offline it audits the record: what is in it against the
    chain, against the rules, and row by row against what its events say. Ends
    with 1 when something differs, and says what first. Needs no account.

    Examples:

        energy-chain audit --network ganache

        energy-chain audit --network pilot --record pilot.sqlite --json

        energy-chain audit --record pilot.sqlite --offline
    """
    from rich.console import Console

    with Console(stderr=True).status("recomputing every match"):
        if place or offline:
            address, block, verdict = _audit_of_record(session, place, offline)
        else:
            address, block, verdict = _audit_of_chain(session)
    if as_json:
        print_json({"contract": address, "block": block, **verdict_as_json(verdict)})
    else:
        print_verdict(verdict)
    if not verdict.clean:
        raise typer.Exit(AUDIT_FAILED)


def _audit_of_chain(session: Session) -> tuple[Address, int | None, AuditReport]:
    from energy_chain.record.audit import audit as audit_of

    # As of one block: others may go on trading meanwhile.
    ledger = session.reader().at_latest_block()
    return ledger.address, ledger.block, audit_of(ledger.history(), ledger)


def _audit_of_record(
    session: Session, place: str | None, offline: bool
) -> tuple[Address, int | None, AuditReport]:
    from energy_chain.record.check import audit_as_it_is, audit_record
    from energy_chain.record.source import ChainSource
    from energy_chain.record.store import Record, default_place

    with Record.open(place or default_place(), must_exist=True) as opened:
        if offline:
            market, verdict = audit_as_it_is(opened, opened.market(session.contract))
            return market.address, market.cursor_block, verdict
        ledger = session.reader()
        source = ChainSource(ledger)
        market = opened.market_of(source.identity())
        as_of = ledger.at_block(market.cursor_block)
        verdict = audit_record(opened, market, (source, as_of))
        return market.address, market.cursor_block, verdict
