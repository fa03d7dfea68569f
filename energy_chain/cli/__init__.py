"""The command line: parses, calls the library, prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from energy_chain import __version__
from energy_chain.cli import (
    accounts,
    bills,
    chains,
    data,
    demo,
    feed,
    homes,
    market,
    meters,
    operator,
    outbox,
    plot,
    record,
    relay,
    serve,
    simulate,
    views,
)
from energy_chain.cli.exit_codes import BAD_INPUT, CHAIN_FAILED
from energy_chain.errors import ChainError, EnergyChainError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def main() -> None:
    """Runs the command line; errors of ours end in one line on standard error."""
    try:
        app()
    except EnergyChainError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(CHAIN_FAILED if isinstance(error, ChainError) else BAD_INPUT)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def energy_chain(
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """A peer-to-peer energy market whose matching runs on an EVM chain."""


TRY, SET_UP, TAKE_PART, LOOK = "Try it", "Set a market up", "Take part", "Look"

app.command(rich_help_panel=TRY)(demo.demo)
app.command(rich_help_panel=TRY)(simulate.simulate)
app.command(rich_help_panel=TRY)(chains.ganache)
app.add_typer(data.data, name="data", rich_help_panel=TRY)
app.add_typer(chains.networks, name="networks", rich_help_panel=SET_UP)
app.add_typer(accounts.accounts, name="accounts", rich_help_panel=SET_UP)
app.command(rich_help_panel=SET_UP)(market.deploy)
app.command(rich_help_panel=SET_UP)(market.register)
app.command(rich_help_panel=SET_UP)(market.retire)
app.command(rich_help_panel=SET_UP)(market.roles)
app.command(rich_help_panel=SET_UP)(market.pause)
app.command(rich_help_panel=SET_UP)(market.unpause)
app.add_typer(homes.producer, name="producer", rich_help_panel=TAKE_PART)
app.add_typer(homes.consumer, name="consumer", rich_help_panel=TAKE_PART)
app.add_typer(meters.meters, name="meters", rich_help_panel=TAKE_PART)
app.add_typer(operator.aggregator, name="aggregator", rich_help_panel=TAKE_PART)
operator.operator.command()(feed.feed)
operator.operator.command()(feed.adjustments)
app.add_typer(operator.operator, name="operator", rich_help_panel=TAKE_PART)
app.command(rich_help_panel=TAKE_PART)(operator.run)
app.add_typer(relay.relay, name="relay", rich_help_panel=TAKE_PART)
app.command(rich_help_panel=LOOK)(serve.serve)
app.command(rich_help_panel=LOOK)(plot.plot)
app.command(rich_help_panel=LOOK)(views.status)
app.command(rich_help_panel=LOOK)(views.watch)
app.command(rich_help_panel=LOOK)(views.audit)
app.add_typer(outbox.outbox, name="outbox", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(bills.verify_bill)
record.record.command()(bills.bill)
app.add_typer(record.record, name="record", rich_help_panel=LOOK)
