"""Bills: `energy-chain record bill` writes them, `energy-chain verify-bill` checks them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.printing import count, output, print_json, reading_progress, table
from energy_chain.cli.readings import zone_of
from energy_chain.cli.session import Session
from energy_chain.errors import InvalidInput
from energy_chain.units import kwh

if TYPE_CHECKING:
    from energy_chain.record.bill import Bill, Tariff
    from energy_chain.record.statements import MonthBook

PRICE = "Price of a kWh {}, for amounts of money; give all prices or none."


@options.gives(session=options.reading)
def bill(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="The month.")],
    to: Annotated[
        Path | None,
        typer.Option(help="Folder for the bills, a JSON document and a page for each meter."),
    ] = None,
    meter: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Meter number; all meters if left out. May be given repeatedly."),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Time zone whose month is meant, such as Europe/Berlin.")
    ] = "UTC",
    local_price: Annotated[
        str | None, typer.Option(help=PRICE.format("traded between neighbours"))
    ] = None,
    grid_price: Annotated[
        str | None, typer.Option(help=PRICE.format("taken from the grid"))
    ] = None,
    feed_in_price: Annotated[
        str | None, typer.Option(help=PRICE.format("left to the grid"))
    ] = None,
    currency: Annotated[str, typer.Option(help="Currency of the prices, by ISO 4217.")] = "EUR",
    *,
    session: Session,
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Add up each meter's month, with a proof that anybody can check.

    Takes the record as it is and asks no chain: bring it up to date first. The
    root that is shown stands for all meters of the month; publish it, and every
    home can hold its bill against it.

    Examples:

        energy-chain record bill 2016-08

        energy-chain record bill 2016-08 --timezone America/Los_Angeles --to bills

        energy-chain record bill 2016-08 --meter 3 --local-price 0.20 --grid-price 0.35
        --feed-in-price 0.08 --to bills --json
    """
    from energy_chain.record.bill import bill_of
    from energy_chain.record.statements import Month, close_month
    from energy_chain.record.store import Record, default_place

    tariff = _tariff(local_price, grid_price, feed_in_price, currency)
    zone_of(timezone)  # refused by its name
    chosen = Month.parse(month, timezone)
    with Record.open(place or default_place(), must_exist=True) as opened:
        book = close_month(opened, opened.market(session.contract), chosen)
    if not book.statements:
        raise InvalidInput(
            f"no meter of {book.market.address} is in the record: energy-chain record update first"
        )
    bills = [bill_of(book, number, tariff) for number in meter or book.statements]
    written = _write(bills, to) if to else []
    if as_json:
        print_json(
            {
                "month": month,
                "timezone": timezone,
                "over": book.over,
                "root": bills[0].proof.root,
                "bills": [each.model_dump(mode="json", exclude_none=True) for each in bills],
                "files": [str(path) for path in written],
            }
        )
    else:
        _print(book, bills, written)


def _tariff(
    local: str | None, grid: str | None, feed_in: str | None, currency: str
) -> Tariff | None:
    from pydantic import ValidationError

    from energy_chain.record.bill import Tariff

    given = {"local": local, "grid": grid, "feed_in": feed_in}
    if not any(given.values()):
        return None
    missing = [name.replace("_", "-") for name, price in given.items() if price is None]
    if missing:
        raise InvalidInput(f"--{missing[0]}-price is missing: give all three prices or none")
    try:
        return Tariff(currency=currency, local=local or "", grid=grid or "", feed_in=feed_in or "")
    except ValidationError as error:
        at = error.errors()[0]
        name = str(at["loc"][0]).replace("_", "-")
        option = "--currency" if name == "currency" else f"--{name}-price"
        raise InvalidInput(
            f"{option} {str(at['input'])[:40]!r}: give prices such as 0.20, a currency such as EUR"
        ) from None


def _write(bills: Sequence[Bill], folder: Path) -> list[Path]:
    from energy_chain.folders import write_whole
    from energy_chain.record.bill_page import render

    written = []
    for each in bills:
        stem = folder / f"{each.month.name}-meter-{each.meter.number}"
        for path, content in ((".json", each.to_json()), (".html", render(each))):
            file = stem.with_name(stem.name + path)
            try:
                write_whole(file, content)
            except OSError as error:
                raise InvalidInput(
                    f"{file} cannot be written ({error.strerror}): give --to another folder"
                ) from error
            written.append(file)
    return written


def _print(book: MonthBook, bills: Sequence[Bill], written: Sequence[Path]) -> None:
    numbers = ("meter", "needed", "from neighbours", "from the grid")
    more = ("offered", "to neighbours", "to the grid")
    money = [f"to pay, {each.money.tariff.currency}" for each in bills[:1] if each.money]
    columns = (*numbers, *more, *money)
    listed = table(*columns, title=f"{book.month} of {book.market.address}", right=columns)
    for each in bills:
        energy = each.energy_wh
        listed.add_row(
            str(each.meter.number),
            *map(kwh, (energy.needed, energy.bought, energy.from_grid)),
            *map(kwh, (energy.offered, energy.sold, energy.to_grid)),
            *([each.money.total] if each.money else []),
        )
    output().print(listed)
    if not book.over:
        output().print(f"The month is not over: this is how it stood at {book.as_of.isoformat()}.")
    output().print(f"Root of the month, as of block {book.market.cursor_block:,}:")
    output().print(bills[0].proof.root)
    if written:
        output().print(f"{count(len(written), 'file')} written, the first is {written[0]}.")


@options.gives(session=options.reading)
def verify_bill(
    file: Annotated[Path, typer.Argument(metavar="BILL", help="The JSON document of a bill.")],
    root: Annotated[
        str | None,
        typer.Option(
            metavar="0x...",
            help="Root of the month as it was published: checks the bill against it, and asks no "
            "chain.",
        ),
    ] = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Check a bill, with nothing but the bill and a node of its chain.

    Adds the bill up by itself, then reads the contract's events from the chain,
    replays them by the rules and adds the month up again. Ends with 1 when the
    bill does not follow, and says why. Needs no account, and no record. Prices
    are not on the chain: they are the issuer's.

    A bill of another market than yours may hold as well. It is refused where
    --contract, the settings or what was deployed from this machine say which
    market is yours; where nothing does, compare the contract that is shown.

    Examples:

        energy-chain verify-bill 2016-08-meter-3.json --network http://127.0.0.1:7545

        energy-chain verify-bill 2016-08-meter-3.json --network pilot --json

        energy-chain verify-bill 2016-08-meter-3.json
        --contract 0x5FbDB2315678afecb367f032d93F642f64180aa3
    """
    from energy_chain.record.bill import faults_of, read_bill

    published = None if root is None else _root(root)
    told = read_bill(file)
    _refuse_another_market(told, session)
    difference = next(faults_of(told), "")
    if not difference and published is not None:
        if published != told.proof.root:
            difference = f"its root is {told.proof.root}, not {published}"
    elif not difference:
        difference = _against_the_chain(told, session)
    against = "root" if published is not None else "chain"
    if as_json:
        print_json({**_as_json(told), "against": against, **_verdict(difference)})
    else:
        _print_verdict(told, against, difference)
    if difference:
        raise typer.Exit(AUDIT_FAILED)


def _root(text: str) -> str:
    digits = text.strip().lower().removeprefix("0x")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise InvalidInput(
            f"--root {text[:80]!r} is no root: give its 64 hexadecimal digits, as energy-chain "
            "record bill shows them"
        )
    return f"0x{digits}"


def _refuse_another_market(told: Bill, session: Session) -> None:
    from energy_chain.chain.addresses import parse_address

    of = parse_address(told.market.contract)
    ours = session.market_known_on(told.market.chain_id, told.market.genesis)
    if ours not in (None, of):
        raise InvalidInput(
            f"the bill is of the market {of}, not of {ours}, which is the one here: give "
            f"--contract {of} if it is that market that you mean"
        )


def _verdict(difference: str) -> dict[str, Any]:
    return {"holds": not difference, "difference": difference}


def _print_verdict(told: Bill, against: str, difference: str) -> None:
    of = f"Contract {told.market.contract}, chain {told.market.chain_id}."
    if difference:
        output().print(f"The bill does not hold: {difference}.", style="bold red")
        output().print(of)
        return
    reason = (
        "it leads to the root that was given"
        if against == "root"
        else f"its energies and matches follow from the chain as of block {told.as_of.block:,}"
    )
    prices = "; the prices are the issuer's" if told.money else ""
    output().print(
        f"The bill holds: meter {told.meter.number}, {told.month.name}, "
        f"{count(len(told.matches), 'match')}; {reason}{prices}.",
        style="green",
    )
    output().print(of)


def _against_the_chain(told: Bill, session: Session) -> str:
    from energy_chain.record.bill import verify
    from energy_chain.record.source import ChainSource

    ledger = session.reader_at(told.market.contract, told.market.first_block)
    with reading_progress("reading blocks") as show:
        return verify(told, ChainSource(ledger), show)


def _as_json(told: Bill) -> dict[str, Any]:
    return {
        "holds_for": {
            "meter": told.meter.number,
            "month": told.month.name,
            "contract": told.market.contract,
            "block": told.as_of.block,
        },
        "root": told.proof.root,
    }
