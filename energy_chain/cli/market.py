"""Setting a market up and looking at it: `deploy` to `unpause`, `status`, `watch`, `audit`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import AUDIT_FAILED
from energy_chain.cli.printing import (
    jsonable,
    output,
    print_json,
    print_receipt,
    print_verdict,
    table,
    verdict_as_json,
)
from energy_chain.errors import InvalidInput
from energy_chain.units import kwh, parse_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.cli.session import Session
    from energy_chain.status import MarketStatus


def deploy(
    aggregator: Annotated[
        str | None,
        typer.Option(help="The aggregator, by address or account name; dev1 on development."),
    ] = None,
    operator: Annotated[
        str | None,
        typer.Option(help="The metering operator, by address or account name; dev2."),
    ] = None,
    period: Annotated[
        str, typer.Option(help="Delivery period, such as 15min or 1h; 'never': no order expires.")
    ] = "15min",
    account: options.AccountOption = None,
    passphrase_file: options.PassphraseFileOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Deploy a market, try it, and remember where it is.

    The account that signs is its owner. Later commands on that network find the
    market by themselves; on other machines they are given its address.

    Examples:

        energy-chain deploy --network ganache

        energy-chain deploy --account owner --aggregator community --operator meter-office
    """
    from energy_chain.chain.check import require_evm
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.chain.deployments import deployments_file, remember
    from energy_chain.chain.sender import TransactionSender
    from energy_chain.cli.session import AGGREGATOR, OPERATOR, OWNER, Session

    session = Session(network, account, None, passphrase_file)
    seconds = parse_duration(period)
    development = session.connection.is_development
    roles = [
        session.accounts.address(_given(reference, option, default if development else None))
        for reference, option, default in (
            (aggregator, "--aggregator", AGGREGATOR),
            (operator, "--operator", OPERATOR),
        )
    ]
    require_evm(session.connection)
    owner = session.accounts.unlock(session.signer(OWNER))
    sender = TransactionSender(session.connection, [owner])
    ledger = ContractLedger.deploy(sender, str(owner.address), roles[0], roles[1], seconds)
    deployment = remember(session.connection, ledger)
    if as_json:
        print_json({"chain_id": session.connection.chain_id, **jsonable(deployment)})
        return
    console = output()
    console.print(f"{ledger.address} is deployed in block {ledger.first_block:,}.")
    _print_roles(ledger)
    console.print(f"{session.network.name} remembers it in {deployments_file()}.")


def _given(reference: str | None, option: str, default: str | None) -> str:
    found = reference or default
    if found is None:
        raise InvalidInput(f"{option} is missing: give an address or an account's name")
    return found


def register(
    meters: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=options.complete_account, help="Meters, by address or account name."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="File with a meter on each line, or - for standard input.")
    ] = None,
    account: options.AccountOption = None,
    passphrase_file: options.PassphraseFileOption = None,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Register meters: only registered meters trade.

    The owner or the metering operator signs; dev2 on a development network.
    Meters that are registered already are left alone.

    Examples:

        energy-chain register dev3 dev4 --network ganache

        energy-chain register --file meters.txt --account operator --network pilot
    """
    from energy_chain.cli.session import OPERATOR, Session
    from energy_chain.market import MAX_BATCH

    session = Session(network, account, contract, passphrase_file)
    given = [*(meters or []), *(_lines(file) if file else [])]
    if not given:
        raise InvalidInput("no meter is given: give addresses or account names, or --file FILE")
    addresses = list(dict.fromkeys(map(session.accounts.address, given)))
    ledger = session.market(OPERATOR)
    new = [a for a in addresses if (meter := ledger.meter(a)) is None or meter.retired]
    for start in range(0, len(new), MAX_BATCH):
        print_receipt(ledger.register_meters(new[start : start + MAX_BATCH]), as_json, line=True)
    if not as_json and len(new) < len(addresses):
        output().print(f"{len(addresses) - len(new)} registered already.")


def _lines(file: Path) -> list[str]:
    import sys

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def retire(
    meter: Annotated[
        str,
        typer.Argument(
            autocompletion=options.complete_account, help="The meter, by address or account name."
        ),
    ],
    account: options.AccountOption = None,
    passphrase_file: options.PassphraseFileOption = None,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Retire a meter: it posts no more.

    The owner or the metering operator signs; dev2 on a development network.

    Examples:

        energy-chain retire dev3 --network ganache

        energy-chain retire 0x90F79bf6EB2c4f870365E785982E1f101E93b906 --json
    """
    from energy_chain.cli.session import OPERATOR, Session

    session = Session(network, account, contract, passphrase_file)
    address = session.accounts.address(meter)
    print_receipt(session.market(OPERATOR).retire_meter(address), as_json)


def roles(
    aggregator: Annotated[
        str | None, typer.Option(help="Appoint this aggregator. The owner signs.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option(help="Appoint this metering operator. The owner signs.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="Offer the ownership to this account. The owner signs.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the ownership that the account was offered.")
    ] = False,
    account: options.AccountOption = None,
    passphrase_file: options.PassphraseFileOption = None,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show who has which role, and appoint others.

    The ownership passes in two steps, so that it is never given to nobody: the
    owner offers it, the other account takes it. Offering it to the zero address
    withdraws an offer.

    Examples:

        energy-chain roles --network ganache

        energy-chain roles --aggregator community --account owner

        energy-chain roles --accept --account new-owner --network pilot
    """
    from energy_chain.cli.session import OWNER, Session

    session = Session(network, account, contract, passphrase_file)
    changes = [
        (call, session.accounts.address(reference))
        for call, reference in (
            ("set_aggregator", aggregator),
            ("set_metering_operator", operator),
            ("transfer_ownership", owner),
        )
        if reference is not None
    ]
    ledger = session.market(OWNER) if changes or accept else session.reader()
    receipts = [getattr(ledger, call)(address) for call, address in changes]
    if accept:
        receipts.append(ledger.accept_ownership())
    if as_json:
        print_json({**_roles(ledger), "transactions": [r.transaction for r in receipts]})
        return
    for receipt in receipts:
        print_receipt(receipt, as_json=False)
    _print_roles(ledger)


def _roles(ledger: ContractLedger) -> dict[str, Any]:
    from energy_chain.market import ZERO_ADDRESS

    pending = ledger.pending_owner()
    return {
        "contract": ledger.address,
        "owner": ledger.owner(),
        "pending_owner": None if pending == ZERO_ADDRESS else pending,
        "aggregator": ledger.aggregator(),
        "metering_operator": ledger.metering_operator(),
    }


def _print_roles(ledger: ContractLedger) -> None:
    listed = table("", "")
    for role, account in _roles(ledger).items():
        if role != "contract" and account is not None:
            listed.add_row(role.replace("_", " "), account)
    output().print(listed)


def pause(
    account: options.AccountOption = None,
    passphrase_file: options.PassphraseFileOption = None,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Stop posting and matching; reading and consuming go on.

    The owner signs; dev0 on a development network.

    Examples:

        energy-chain pause --network ganache

        energy-chain pause --account owner --network pilot --json
    """
    from energy_chain.cli.session import OWNER, Session

    session = Session(network, account, contract, passphrase_file)
    print_receipt(session.market(OWNER).pause(), as_json)


def unpause(
    account: options.AccountOption = None,
    passphrase_file: options.PassphraseFileOption = None,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Let posting and matching go on.

    The owner signs; dev0 on a development network.

    Examples:

        energy-chain unpause --network ganache

        energy-chain unpause --account owner --network pilot --json
    """
    from energy_chain.cli.session import OWNER, Session

    session = Session(network, account, contract, passphrase_file)
    print_receipt(session.market(OWNER).unpause(), as_json)


METERS = Annotated[int, typer.Option(min=0, help="The most meters to show, the latest ones.")]
MATCHES = Annotated[int, typer.Option(min=0, help="The most matches to show, the latest ones.")]


def status(
    meters: METERS = 20,
    matches: MATCHES = 10,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show how the market stands: queues, period, roles, meters, latest matches.

    All of it is as of one block. Needs no account.

    Examples:

        energy-chain status --network ganache

        energy-chain status --meters 100 --matches 50 --json
    """
    from energy_chain.cli.session import Session

    session = Session(network, contract=contract)
    told = _told(session, session.reader(), meters, matches)
    if as_json:
        print_json(_status_as_json(*told))
    else:
        output().print(_status_table(*told))


def watch(
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    meters: METERS = 20,
    matches: MATCHES = 10,
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
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
    from energy_chain.cli.session import Session

    session = Session(network, contract=contract)
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
    place = {
        "network": session.network.name,
        "chain_id": session.connection.chain_id,
        "contract": ledger.address,
        "block": as_of.block,
        "block_time": time.isoformat(),
    }
    return place, read_status(as_of, meters, matches)


def _status_as_json(place: dict[str, Any], told: MarketStatus) -> dict[str, Any]:
    return {**place, **jsonable(told)}


def _status_table(place: dict[str, Any], told: MarketStatus) -> RenderableType:
    from rich.console import Group

    market = table("", "", title="Market")
    market.add_row("contract", f"{place['contract']} on {place['network']}")
    market.add_row("block", f"{place['block']:,} of {place['block_time']}")
    market.add_row("period", _period(told))
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
        *("number", "address", "offers", "needs", ""),
        title=f"Meters: {told.meter_count:,}",
        right=("number", "offers", "needs"),
    )
    for meter in told.meters:
        offers, needs = (kwh(energy) if energy else "-" for energy in (meter.offers, meter.needs))
        retired = "retired" if meter.retired else ""
        meters.add_row(str(meter.number), meter.address, offers, needs, retired)

    matches = table(
        *("match", "producer", "consumer", "not consumed yet"),
        title=f"Matches: {told.match_count:,}",
        right=("match", "not consumed yet"),
    )
    for match in told.matches:
        parties = (_party(party, numbers) for party in (match.producer, match.consumer))
        left = kwh(match.energy) if match.energy else "-"
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


def audit(
    contract: options.ContractOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Recompute every match from what the chain logged, and compare.

    Ends with 1 when something differs, and says what. Needs no account.

    Examples:

        energy-chain audit --network ganache

        energy-chain audit --network pilot --json
    """
    from rich.console import Console

    from energy_chain.cli.session import Session
    from energy_chain.record.audit import audit as audit_of

    # As of one block: others may go on trading meanwhile.
    ledger = Session(network, contract=contract).reader().at_latest_block()
    with Console(stderr=True).status("recomputing every match"):
        verdict = audit_of(ledger.history(), ledger)
    if as_json:
        print_json({"contract": ledger.address, **verdict_as_json(verdict)})
    else:
        print_verdict(verdict)
    if not verdict.clean:
        raise typer.Exit(AUDIT_FAILED)
