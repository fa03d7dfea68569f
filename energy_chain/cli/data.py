"""`energy-chain data`: readings of neighbourhoods, made up and compared."""

from __future__ import annotations

import typer

from energy_chain.cli import neighbourhoods

data = typer.Typer(no_args_is_help=True, help="Make meter readings up, and compare them.")

data.command()(neighbourhoods.generate)
data.command()(neighbourhoods.check)
