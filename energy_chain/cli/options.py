"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

import typer

from energy_chain.cli.session import Session
from energy_chain.errors import EnergyChainError


class Unit(StrEnum):
    """Unit of the values in a file."""

    KWH = "kWh"
    WH = "Wh"
    KW = "kW"
    W = "W"


class Format(StrEnum):
    """Format of a file of readings."""

    LONG = "long"
    WIDE = "wide"
    SINGLE = "single"
    GREEN_BUTTON = "green-button"
    P1 = "p1"
    PARQUET = "parquet"


class Label(StrEnum):
    """Which end of a period a time names."""

    START = "start"
    END = "end"


class DecimalMark(StrEnum):
    """What stands before the decimals of a number."""

    POINT = "point"
    COMMA = "comma"


def complete_network(incomplete: str) -> Iterator[str]:
    """The names of networks, for the shell. None where the settings cannot be used."""
    from energy_chain.settings import load_settings

    with suppress(EnergyChainError):
        yield from (name for name in load_settings().networks if name.startswith(incomplete))


def complete_account(context: typer.Context, incomplete: str) -> Iterator[str]:
    """The names of accounts on the network of the command so far. Asks no node, opens no file."""
    from energy_chain.chain.accounts import NAMED_DEVELOPMENT_ACCOUNTS
    from energy_chain.chain.keystore import Keystore

    with suppress(EnergyChainError):
        network = Session(context.params.get("network")).network
        names = list(Keystore(network.keystore).names())
        if network.is_development is not False:
            names += [f"dev{number}" for number in range(NAMED_DEVELOPMENT_ACCOUNTS)]
        yield from (name for name in names if name.startswith(incomplete))


FILES = "Files of readings"
"""Where help texts show the options that say how files are to be read."""

NetworkOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="ENERGY_CHAIN_NETWORK",
        autocompletion=complete_network,
        help="Name of a network, or the URL of a node.",
    ),
]
AccountOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="ENERGY_CHAIN_ACCOUNT",
        autocompletion=complete_account,
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
        autocompletion=complete_account,
        help="The meter that is meant, by address or account name; by default the account that "
        "signs. The metering operator may act for any.",
    ),
]
RecordOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--record",
        envvar="ENERGY_CHAIN_RECORD",
        metavar="FILE|URL",
        help="The record: a SQLite file, or the URL of a PostgreSQL database; by default "
        "record.sqlite in the data folder. A password stands better in PGPASSWORD or ~/.pgpass.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DataOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="File of meter readings, or a folder of them; may be given more than once. Without "
        "it, readings are made up. energy-chain data inspect says what is in a file.",
    ),
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
    Unit | None,
    typer.Option(
        help="Unit of the file's values; kW and W are mean power. By default what its columns' "
        "names say, else kWh.",
        case_sensitive=False,
        rich_help_panel=FILES,
    ),
]
FormatOption: TypeAlias = Annotated[
    Format | None,
    typer.Option(
        help="Format of the file, where it cannot be found out: CSV with a line for each meter and "
        "period (long), with columns for each meter (wide) or of one meter (single), Green Button, "
        "P1 telegrams, Parquet.",
        rich_help_panel=FILES,
    ),
]
RegistersOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--registers", help="The file's values are cumulative registers.", rich_help_panel=FILES
    ),
]
DigitsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=9,
        help="Digits of a register in kWh, where it begins again at zero.",
        rich_help_panel=FILES,
    ),
]
LabelOption: TypeAlias = Annotated[
    Label,
    typer.Option(
        help="Whether the file's times are of the starts or ends of periods.", rich_help_panel=FILES
    ),
]
PeriodOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="How long the file's periods are, such as 15min, where its times do not tell; P1 "
        "telegrams are read every 15min.",
        rich_help_panel=FILES,
    ),
]
DecimalOption: TypeAlias = Annotated[
    DecimalMark | None,
    typer.Option(
        help="What stands before the file's decimals, where it cannot be found out.",
        rich_help_panel=FILES,
    ),
]
EncodingOption: TypeAlias = Annotated[
    str, typer.Option(help="Encoding of a CSV file, such as latin-1.", rich_help_panel=FILES)
]
MeterNameOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--meter-name",
        metavar="NAME",
        help="Meter of a file that does not name it; by default the file's name.",
        rich_help_panel=FILES,
    ),
]
ColumnOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=NAME",
        help="Name of a column of a CSV file; ROLE is meter, period_start, consumption or "
        "production, or consumption:METER and production:METER where each meter has columns of its "
        "own. NAME - says that there is no such column. May be given more than once.",
        rich_help_panel=FILES,
    ),
]
TimezoneOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Time zone whose days are meant, and of times without an offset, such as "
        "Europe/Berlin."
    ),
]


def signing(
    account: AccountOption = None,
    passphrase_file: PassphraseFileOption = None,
    contract: ContractOption = None,
    network: NetworkOption = None,
) -> Session:
    """A session in which somebody signs."""
    return Session(network, account, contract, passphrase_file)


def naming(
    account: AccountOption = None,
    contract: ContractOption = None,
    network: NetworkOption = None,
) -> Session:
    """A session in which an account is named, and nobody signs."""
    return Session(network, account, contract)


def reading(contract: ContractOption = None, network: NetworkOption = None) -> Session:
    """A session that only reads."""
    return Session(network, contract=contract)


def gives(**makers: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command, or a maker, what is made of options that several commands share.

    `@gives(session=signing)` puts the options of `signing` in the place of the
    command's parameter `session`, and what `signing` makes of them into it.
    Typer takes a command's options from its signature and has no such thing.
    """
    wanted = {name: _parameters(maker) for name, maker in makers.items()}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        parameters = _parameters(command, wanted)

        @wraps(command)
        def run(**given: Any) -> Any:
            for name, maker in makers.items():
                given[name] = maker(
                    **{option.name: given.pop(option.name) for option in wanted[name]}
                )
            return command(**given)

        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _parameters(
    function: Callable[..., Any], instead: Mapping[str, list[Parameter]] = MappingProxyType({})
) -> list[Parameter]:
    """The parameters of a function, with others in the place of some."""
    found: list[Parameter] = []
    for parameter in signature(function).parameters.values():
        if parameter.name in instead:
            found += instead[parameter.name]
        else:
            # Text, unless it was looked at before. Names that are left out may be known to type
            # checkers only.
            annotation = parameter.annotation
            if isinstance(annotation, str):
                annotation = eval(annotation, function.__globals__)  # nosec B307
            found.append(parameter.replace(annotation=annotation, kind=Parameter.KEYWORD_ONLY))
    return found
