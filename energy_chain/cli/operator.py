"""`energy-chain aggregator`, `operator` and `run`: those who act for the whole neighbourhood."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import daemon
from energy_chain.cli.printing import (
    count,
    output,
    print_json,
    print_receipt,
    print_waiting,
    table,
)
from energy_chain.cli.readings import readings_of
from energy_chain.cli.session import AGGREGATOR, FIRST_HOME, OPERATOR, RELAYER, Session
from energy_chain.cli.trading import print_trade, progress, trade_as_json
from energy_chain.errors import InvalidInput, MeterNotRegistered
from energy_chain.units import kwh, parse_energy

if TYPE_CHECKING:
    from energy_chain.aggregator_node import MatchingReport
    from energy_chain.chain.clock import ChainClock
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.market import Address
    from energy_chain.meters import Readings
    from energy_chain.replay import Relay

SHOWN_METERS = 20
"""The most homes of a replay whose meters are listed for people."""

aggregator = typer.Typer(no_args_is_help=True, help="Act for the aggregator: match.")
operator = typer.Typer(no_args_is_help=True, help="Act for the metering operator.")


@aggregator.command("run")
@daemon(lambda given: not given["once"])
@options.gives(session=options.signing)
def run_aggregator(
    once: Annotated[bool, typer.Option("--once", help="Look at the queues once and end.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks at the queues.")
    ] = 1.0,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Match what is pending, first come, first served, until Ctrl-C.

    Anyone may sign, because matching leaves no choice; dev1 on a development
    network. Several may run at once, each with an account of its own: one matches,
    the others stand by, and one of them takes over within 15 seconds when it is
    gone. With --json, a line each time something was matched or another one was
    faster, and at the end one with the total.

    Examples:

        energy-chain aggregator run --network ganache

        energy-chain aggregator run --once --account aggregator --network pilot --json
    """
    from energy_chain.aggregator_node import AggregatorNode

    node = AggregatorNode(session.market(AGGREGATOR))
    if once:
        _print_matching(node.check_incoming_energy(), as_json)
        return
    total = [0, 0]
    active = False

    def report(done: MatchingReport) -> None:
        nonlocal active
        _print_matching(done, as_json, done.active, taking_over=done.active and not active)
        active = done.active
        total[0] += done.matches
        total[1] += done.energy

    if not as_json:
        output().print("Waiting for requests and releases; Ctrl-C ends it.")
    with session.until_stopped() as stop:
        node.run(stop, report, every, print_waiting)
    if as_json:
        print_json({"total": {"matches": total[0], "energy_wh": total[1]}}, line=True)
    else:
        output().print(f"{count(total[0], 'match')}, {kwh(total[1])} in all.")


def _print_matching(
    done: MatchingReport, as_json: bool, active: bool | None = None, taking_over: bool = False
) -> None:
    """What one look has led to; of an aggregator that goes on, also whether it is active."""
    now = datetime.now(UTC)
    if as_json:
        print_json(
            {
                "time": now.isoformat(timespec="seconds"),
                "matches": done.matches,
                "energy_wh": done.energy,
                "calls": done.calls,
                "gas": done.gas_used,
                **({} if active is None else {"active": active}),
            },
            line=True,
        )
        return
    if not done.calls:
        output().print("Nothing to match: one queue is empty.")
        return
    turn = "; taking over" if taking_over else ""
    if active is False:
        turn = "; standing by, another one was faster"
    output().print(
        f"{now:%H:%M:%S} UTC  {count(done.matches, 'match')}, {kwh(done.energy)}, "
        f"{done.gas_used:,} gas{turn}"
    )


@operator.command()
@options.gives(session=options.signing)
def post(
    request: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METER=ENERGY",
            help="A surplus, such as 1=1.5kWh or 0x…=800Wh. May be given more than once.",
        ),
    ] = None,
    release: Annotated[
        list[str] | None,
        typer.Option(metavar="METER=ENERGY", help="A need. May be given more than once."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="CSV file of orders with the header meter,kind,energy; kind is request or release."
        ),
    ] = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Post orders of many meters in packed batches, in the current period.

    A meter is a meter number, an address or an account's name. The metering
    operator signs; dev2 on a development network. With --json, a line for each
    transaction. All orders are looked at before the first is posted.

    Examples:

        energy-chain operator post --request 1=1.5kWh --release 2=900Wh --network ganache

        energy-chain operator post --file orders.csv --account operator --network pilot
    """
    from energy_chain.market import Release, Request, check_energy
    from energy_chain.replay import post_batches

    orders = [
        *(_order("request", text) for text in request or []),
        *(_order("release", text) for text in release or []),
        *(_orders(file) if file else []),
    ]
    if not orders:
        raise InvalidInput("no order is given: give --request, --release or --file")
    for kind, meter, energy in orders:
        check_energy(energy, f"{kind} of {meter}")
    reader = session.reader()
    numbered = [(kind, _number(meter, session, reader), wh) for kind, meter, wh in orders]
    ledger = session.market(OPERATOR)
    requests = [Request(number, energy) for kind, number, energy in numbered if kind == "request"]
    releases = [Release(number, energy) for kind, number, energy in numbered if kind == "release"]
    for receipt in post_batches(ledger, requests, releases):
        print_receipt(receipt, as_json, line=True)


def _order(kind: str, text: str) -> tuple[str, str, int]:
    meter, equals, energy = text.partition("=")
    if not equals or not meter:
        raise InvalidInput(f"--{kind} {text}: give METER=ENERGY, such as 1=1.5kWh")
    return kind, meter, parse_energy(energy)


def _orders(file: Path) -> list[tuple[str, str, int]]:
    orders = []
    for line, row in _rows(file, ("meter", "kind", "energy")):
        if row["kind"] not in ("request", "release"):
            raise InvalidInput(
                f"{file}, line {line}: kind {row['kind']!r} is neither request nor release"
            )
        try:
            orders.append((row["kind"], row["meter"], parse_energy(row["energy"])))
        except InvalidInput as error:
            raise InvalidInput(f"{file}, line {line}: {error}") from error
    return orders


def _rows(file: Path, header: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, strict=True)
            found = tuple(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    if found != header:
        raise InvalidInput(f"{file}: its first line must be {','.join(header)}")
    for line, row in rows:
        if None in row or None in row.values():
            raise InvalidInput(f"{file}, line {line}: give {len(header)} columns")
    return rows


def _number(meter: str, session: Session, ledger: ContractLedger) -> int:
    if meter.isascii() and meter.isdigit():
        if not 1 <= int(meter) <= ledger.meter_count():
            raise InvalidInput(
                f"there is no meter {meter}: this market has registered {ledger.meter_count()}"
            )
        return int(meter)
    known = ledger.meter(session.accounts.address(meter))
    if known is None:
        raise MeterNotRegistered(meter)
    return known.number


@options.gives(readings=readings_of, session=options.signing)
def run(
    readings: Readings,
    single: Annotated[
        bool,
        typer.Option("--single", help="Let each home's meter post and draw for itself."),
    ] = False,
    signed: Annotated[
        bool,
        typer.Option("--signed", help="Let each home's meter sign its orders, and a relayer post."),
    ] = False,
    relayer: Annotated[
        str | None,
        typer.Option(
            autocompletion=options.complete_account,
            help="The account that posts what was signed, and pays for it; dev19 on a development "
            "network. It needs no role.",
        ),
    ] = None,
    meters: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the header meter,account: whose readings belong to which account, "
            "by name or address. Otherwise it is the account of the same name; on a development "
            "network that lacks one of them, the development accounts from dev3 on."
        ),
    ] = None,
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Replay readings on a market that is deployed.

    The metering operator registers the homes, posts each period's orders in
    packed batches, matches, and confirms what was matched. With --single each
    home's meter posts and draws for itself; with --signed it signs its orders,
    at no gas of its own, and a relayer posts them. The clock of a development
    chain is moved from period to period; on any other chain each period is
    waited for. Says which meter each home is, and when it traded by the chain's
    time, which is the one that bills go by; with --json of all homes.

    Examples:

        energy-chain run --data homes.csv --network ganache

        energy-chain run --data homes.csv --single --meters meters.csv

        energy-chain run --data homes.csv --signed --relayer bakery
    """
    from energy_chain.chain.clock import ChainClock
    from energy_chain.replay import replay

    if single and signed:
        raise InvalidInput("--single and --signed are two ways to trade: give one of them")
    if relayer and not signed:
        raise InvalidInput("--relayer posts signed orders: give --signed as well")
    owners = _owners(readings, meters, single or signed, session)
    addresses = {name: session.accounts.address(owner) for name, owner in owners.items()}
    also = list(owners.values()) if single else []
    if signed:
        also = [_relayer(relayer, session)]
        check_distinct({**addresses, "--relayer": session.accounts.address(also[0])})
    check_distinct(addresses)
    ledger = session.market(OPERATOR, also)
    relay = _relay(ledger, also[0], owners, session) if signed else None
    market_period = ledger.period_length()
    period = readings.period.total_seconds()
    if market_period not in (0, period) and not as_json:
        output().print(
            f"Readings are of {period / 60:g} min, the market's periods of "
            f"{market_period / 60:g} min: one reading is posted in each."
        )
    clock = ChainClock(session.connection, market_period, readings.period)
    with session.in_time(), progress(readings, "waiting for a period to begin") as show:
        trade = replay(
            readings, addresses, ledger, clock, show, not single and not signed, None, relay
        )
    if as_json:
        print_json(
            {
                "network": session.network.name,
                "chain_id": session.connection.chain_id,
                "contract": ledger.address,
                "chain_time": _chain_time(clock, session),
                "meters": [
                    {"home": home, "number": number, "address": address}
                    for home, number, address in _meters(addresses, ledger)
                ],
                **trade_as_json(readings, trade),
            }
        )
    else:
        print_trade(readings, trade)
        _print_meters(addresses, ledger)
        if span := _chain_time(clock, session):
            output().print(
                f"By the chain's time it traded from {span['from']} to {span['to']}: bills are of "
                "the months of that."
            )


def _meters(
    addresses: Mapping[str, Address], ledger: ContractLedger
) -> Iterator[tuple[str, int, Address]]:
    for home, address in addresses.items():
        known = ledger.meter(address)
        if known is None:
            raise MeterNotRegistered(home)
        yield home, known.number, address


def _print_meters(addresses: Mapping[str, Address], ledger: ContractLedger) -> None:
    listed = table("home", "meter", "address", right=("meter",))
    for home, number, address in islice(_meters(addresses, ledger), SHOWN_METERS):
        listed.add_row(home, str(number), address)
    output().print(listed)
    if len(addresses) > SHOWN_METERS:
        output().print(f"And {len(addresses) - SHOWN_METERS:,} more: --json lists all.")


def _chain_time(clock: ChainClock, session: Session) -> dict[str, str] | None:
    """When it traded; None in a market without periods."""
    if clock.began is None:
        return None
    ended = datetime.fromtimestamp(session.connection.block_time(), UTC)
    return {"from": clock.began.isoformat(), "to": ended.isoformat()}


def _relayer(given: str | None, session: Session) -> str:
    """The account that posts signed orders, by name or address."""
    if given:
        return given
    if session.connection.is_development:
        return RELAYER
    raise InvalidInput(
        "nobody is given to post the signed orders: give --relayer NAME; "
        "energy-chain accounts list shows them"
    )


def _relay(
    ledger: ContractLedger, relayer: str, owners: Mapping[str, str], session: Session
) -> Relay:
    from energy_chain.replay import Relay

    homes = [session.accounts.unlock(owner) for owner in owners.values()]
    return Relay(
        ledger.as_account(session.accounts.address(relayer)),
        {str(home.address): bytes(home.key) for home in homes},
    )


def _owners(
    readings: Readings, file: Path | None, with_keys: bool, session: Session
) -> dict[str, str]:
    """The account of each meter, by name or address; one that has a key here, where it is used."""
    from energy_chain.chain.accounts import NAMED_DEVELOPMENT_ACCOUNTS, development_accounts

    if file is not None:
        given = read_map(file)
        missing = [meter for meter in readings.meters if meter not in given]
        if missing:
            raise InvalidInput(f"{file} has no account of {', '.join(missing)}: add a line of each")
        return {meter: given[meter] for meter in readings.meters}
    known = {account.name for account in session.accounts.list()}
    if not session.connection.is_development or known.issuperset(readings.meters):
        return {meter: meter for meter in readings.meters}
    if with_keys and len(readings.meters) > NAMED_DEVELOPMENT_ACCOUNTS - FIRST_HOME:
        raise InvalidInput(
            f"{len(readings.meters)} homes are more than there are development accounts with "
            f"names: give --homes {NAMED_DEVELOPMENT_ACCOUNTS - FIRST_HOME}, --meters FILE, or "
            "leave out --single and --signed"
        )
    homes = development_accounts(FIRST_HOME + len(readings.meters))[FIRST_HOME:]
    return {meter: home.address for meter, home in zip(readings.meters, homes, strict=True)}


def read_map(file: Path) -> dict[str, str]:
    """The account of each meter in a CSV file with the header meter,account.

    Raises:
        InvalidInput: it cannot be used.
    """
    return {row["meter"]: row["account"] for _, row in _rows(file, ("meter", "account"))}


def check_distinct(addresses: dict[str, Address]) -> None:
    """Refuses two meters of one account. Raises InvalidInput."""
    owners: dict[Address, str] = {}
    for meter, address in addresses.items():
        other = owners.setdefault(address, meter)
        if other != meter:
            raise InvalidInput(f"{other} and {meter} have the same account: give each its own")
