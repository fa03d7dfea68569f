"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class Unit(StrEnum):
    """Unit of the energies in a file."""

    KWH = "kWh"
    WH = "Wh"


def _networks(incomplete: str) -> Iterator[str]:
    from energy_chain.settings import load_settings

    yield from (name for name in load_settings().networks if name.startswith(incomplete))


def _accounts(incomplete: str) -> Iterator[str]:
    from energy_chain.cli.session import Session

    known = Session().accounts.list()
    yield from (account.name for account in known if account.name.startswith(incomplete))


NetworkOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="ENERGY_CHAIN_NETWORK",
        autocompletion=_networks,
        help="Name of a network, or the URL of a node.",
    ),
]
AccountOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="ENERGY_CHAIN_ACCOUNT",
        autocompletion=_accounts,
        help="Who signs: an account of the keystore by name or address; on a development network "
        "also dev0 to dev19.",
    ),
]
PassphraseFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="File whose first line is the passphrase. Otherwise it is ENERGY_CHAIN_PASSPHRASE, "
        "the file that ENERGY_CHAIN_PASSPHRASE_FILE names, or asked for."
    ),
]
ContractOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="ENERGY_CHAIN_CONTRACT",
        help="Address of the market, where it was deployed from another machine.",
    ),
]
MeterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        autocompletion=_accounts,
        help="The meter that is meant, by address or account name; by default the account that "
        "signs. The metering operator may act for any.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DataOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="CSV file of meter readings; without it, readings are made up."),
]
DayOption: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        metavar="YYYY-MM-DD",
        help="First day; by default a file's first whole day, or 2026-06-21 made up.",
    ),
]
DaysOption: TypeAlias = Annotated[int, typer.Option(min=1, help="How many days.")]
HomesOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1, help="How many homes: made up (10 by default), or the first so many of the file."
    ),
]
SeedOption: TypeAlias = Annotated[
    int | None, typer.Option(help="Seed of readings that are made up; 0 by default.")
]
UnitOption: TypeAlias = Annotated[
    Unit, typer.Option(help="Unit of the file's energies.", case_sensitive=False)
]
ColumnOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=NAME",
        help="Name of a column of the file; ROLE is meter, period_start, consumption or "
        "production. May be given more than once.",
    ),
]
TimezoneOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Time zone whose days are meant, and of times without an offset, such as "
        "Europe/Berlin."
    ),
]
