"""`energy-chain demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import until_stopped
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.printing import output, print_json, print_verdict, verdict_as_json
from energy_chain.cli.readings import readings_of
from energy_chain.cli.serve import PORT, HostOption, PortOption
from energy_chain.cli.trading import print_trade, progress, trade_as_json

if TYPE_CHECKING:
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.chain.networks import Network
    from energy_chain.demo import DemoResult
    from energy_chain.meters import Readings
    from energy_chain.replay import Trade


@options.gives(readings=readings_of)
def demo(
    readings: Readings,
    packed: Annotated[
        bool,
        typer.Option(
            "--packed",
            help="Let the metering operator post, match and confirm for all homes in packed calls.",
        ),
    ] = False,
    signed: Annotated[
        bool,
        typer.Option(
            "--signed",
            help="Let each home's meter sign its orders off chain, and a relayer without a role "
            "post them in batches; the metering operator confirms for all homes.",
        ),
    ] = False,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Show it in a browser meanwhile, and go on until Ctrl-C."),
    ] = False,
    host: HostOption = "127.0.0.1",
    port: PortOption = PORT,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Let a neighbourhood trade on a market of its own, and audit it.

    Each home's meter posts its surplus or need of every period, the aggregator
    matches first come, first served, consumers look up their producers and
    draw. Then every match is recomputed from what the chain logged. Runs on the
    embedded chain unless a network is given, and only on development networks.

    Examples:

        energy-chain demo

        energy-chain demo --homes 20 --seed 7 --days 2 --packed

        energy-chain demo --signed

        energy-chain demo --serve --days 7

        energy-chain demo --data homes.csv --day 2016-08-15 --timezone America/Los_Angeles

        energy-chain demo --network ganache --json
    """
    from energy_chain.settings import load_settings

    settings = load_settings()
    where = settings.network_of(network or settings.network or "embedded")

    from energy_chain.demo import run_demo

    if serve:
        result = _served(readings, where, packed, signed, (host, port), as_json)
    else:
        with progress(readings) as show:
            result = run_demo(readings, where, show, packed, signed)
        _print(readings, result, as_json)
    if result is not None and not result.audit.clean:
        raise typer.Exit(AUDIT_FAILED)


class _Stopped(Exception):
    """Somebody has ended the demo before it was over."""


def _served(
    readings: Readings,
    where: Network,
    packed: bool,
    signed: bool,
    at: tuple[str, int],
    as_json: bool,
) -> DemoResult | None:
    """Runs the demo while its page is served, which goes on afterwards; None when it is stopped."""
    from urllib.parse import quote

    from energy_chain.demo import run_demo
    from energy_chain.record.indexer import Indexer
    from energy_chain.record.source import ChainSource
    from energy_chain.record.store import Record
    from energy_chain.web.following import Following
    from energy_chain.web.server import page_served

    with (
        Record.temporary() as record,
        until_stopped() as stop,
        page_served(record, record.place, *at) as served,
    ):
        # The days of the readings are the days of their time zone, wherever the browser is.
        page = f"{served.url}/?zone={quote(str(readings.starts[0].tzinfo))}"
        if as_json:
            print_json({"serving": {"url": served.url}}, line=True)
        else:
            output().print(f"The demo is shown at {page} while it runs.")
        followed: list[Following] = []

        def opened(ledger: ContractLedger) -> None:
            source = ChainSource(ledger)
            followed.append(Following(lambda: Indexer(record, source), served.state))

        def told(trade: Trade) -> None:
            if stop.is_set():
                raise _Stopped
            show(trade)
            # Between two periods: the embedded chain is of one thread.
            followed[0].step()

        try:
            with progress(readings) as show:
                result = run_demo(readings, where, told, packed, signed, opened)
        except _Stopped:
            return None
        followed[0].step()
        _print(readings, result, as_json, line=True)
        if not as_json:
            output().print(f"It is still shown at {page}; Ctrl-C ends it.")
        stop.wait()
        return result


def _print(readings: Readings, result: DemoResult, as_json: bool, line: bool = False) -> None:
    if as_json:
        print_json(
            {
                "network": result.network,
                "chain_id": result.chain_id,
                "contract": result.contract,
                **trade_as_json(readings, result.trade),
                "audit": verdict_as_json(result.audit),
            },
            line,
        )
    else:
        print_trade(readings, result.trade)
        output().print(f"Contract {result.contract} on {result.network}, chain {result.chain_id}.")
        print_verdict(result.audit)
