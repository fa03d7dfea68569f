"""Setting a market up: `deploy`, `register`, `retire`, `roles`, `pause`, `unpause`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.printing import (
    output,
    print_json,
    print_receipt,
    table,
)
from energy_chain.cli.session import AGGREGATOR, OPERATOR, OWNER, Session
from energy_chain.errors import InvalidInput
from energy_chain.units import parse_duration

if TYPE_CHECKING:
    from energy_chain.chain.contract_ledger import ContractLedger


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
        str,
        typer.Option(
            help="Delivery period, 1min to 366 days, such as 15min; 'never': no order expires."
        ),
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
    sender = TransactionSender.durable(session.connection, [owner])
    ledger = ContractLedger.deploy(sender, str(owner.address), roles[0], roles[1], seconds)
    deployment = remember(session.connection, ledger)
    if as_json:
        from energy_chain.telling import jsonable

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


@options.gives(session=options.signing)
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
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Register meters: only registered meters trade.

    The owner or the metering operator signs; dev2 on a development network.
    Meters that are registered already are left alone.

    Examples:

        energy-chain register dev3 dev4 --network ganache

        energy-chain register --file meters.txt --account operator --network pilot
    """
    from energy_chain.replay import register_new

    given = [*(meters or []), *(_lines(file) if file else [])]
    if not given:
        raise InvalidInput("no meter is given: give addresses or account names, or --file FILE")
    addresses = list(dict.fromkeys(map(session.accounts.address, given)))
    known = len(addresses)
    for receipt in register_new(session.market(OPERATOR), addresses):
        print_receipt(receipt, as_json, line=True)
        known -= len(receipt.events)  # each tells of one meter
    if not as_json and known:
        output().print(f"{known} registered already.")


def _lines(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


@options.gives(session=options.signing)
def retire(
    meter: Annotated[
        str,
        typer.Argument(
            autocompletion=options.complete_account, help="The meter, by address or account name."
        ),
    ],
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Retire a meter: it posts no more.

    The owner or the metering operator signs; dev2 on a development network.

    Examples:

        energy-chain retire dev3 --network ganache

        energy-chain retire 0x90F79bf6EB2c4f870365E785982E1f101E93b906 --json
    """
    address = session.accounts.address(meter)
    print_receipt(session.market(OPERATOR).retire_meter(address), as_json)


@options.gives(session=options.signing)
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
    *,
    session: Session,
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


@options.gives(session=options.signing)
def pause(
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Stop posting and matching; reading and consuming go on.

    The owner signs; dev0 on a development network.

    Examples:

        energy-chain pause --network ganache

        energy-chain pause --account owner --network pilot --json
    """
    print_receipt(session.market(OWNER).pause(), as_json)


@options.gives(session=options.signing)
def unpause(
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Let posting and matching go on.

    The owner signs; dev0 on a development network.

    Examples:

        energy-chain unpause --network ganache

        energy-chain unpause --account owner --network pilot --json
    """
    print_receipt(session.market(OWNER).unpause(), as_json)
