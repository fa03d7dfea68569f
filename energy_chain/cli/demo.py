"""`energy-chain demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.printing import output, print_json, print_verdict, verdict_as_json
from energy_chain.cli.readings import readings_of
from energy_chain.cli.trading import print_trade, progress, trade_as_json

if TYPE_CHECKING:
    from energy_chain.meters import Readings


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

        energy-chain demo --data homes.csv --day 2016-08-15 --timezone America/Los_Angeles

        energy-chain demo --network ganache --json
    """
    from energy_chain.settings import load_settings

    settings = load_settings()
    where = settings.network_of(network or settings.network or "embedded")

    from energy_chain.demo import run_demo

    with progress(readings) as show:
        result = run_demo(readings, where, show, packed, signed)
    if as_json:
        print_json(
            {
                "network": result.network,
                "chain_id": result.chain_id,
                "contract": result.contract,
                **trade_as_json(readings, result.trade),
                "audit": verdict_as_json(result.audit),
            }
        )
    else:
        print_trade(readings, result.trade)
        output().print(f"Contract {result.contract} on {result.network}, chain {result.chain_id}.")
        print_verdict(result.audit)
    if not result.audit.clean:
        raise typer.Exit(AUDIT_FAILED)
