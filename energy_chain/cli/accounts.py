"""`energy-chain accounts`: keys, encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy_chain.cli import options
from energy_chain.cli.printing import output, print_json, table
from energy_chain.cli.session import OWNER, Session
from energy_chain.errors import InvalidInput

if TYPE_CHECKING:
    from energy_chain.chain.keystore import KnownAccount

accounts = typer.Typer(no_args_is_help=True, help="Keep the keys of accounts, encrypted.")

NameArgument = Annotated[str, typer.Argument(help="What to call the account.")]


@accounts.command()
def new(
    name: NameArgument,
    passphrase_file: options.PassphraseFileOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Make an account with a key of its own, encrypted with a passphrase.

    Examples:

        energy-chain accounts new bakery

        energy-chain accounts new bakery --passphrase-file bakery.txt --json
    """
    session = Session(network, passphrase_file=passphrase_file)
    _print_kept(session.accounts.new(name), as_json)


@accounts.command("import")
def import_account(
    name: NameArgument,
    key_file: Annotated[
        Path | None,
        typer.Option(help="File with the private key in hexadecimal; otherwise it is asked for."),
    ] = None,
    keystore_file: Annotated[
        Path | None,
        typer.Option(help="Encrypted keystore file of another program, such as Brownie or geth."),
    ] = None,
    passphrase_file: options.PassphraseFileOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Keep the key of an account that exists, encrypted with a passphrase.

    The passphrase opens a keystore file of another program, and is that of the
    account from then on.

    Examples:

        energy-chain accounts import bakery --keystore-file UTC--2026-01-01--bakery.json

        energy-chain accounts import bakery --key-file bakery.key --passphrase-file bakery.txt
    """
    import sys
    from getpass import getpass

    from pydantic import SecretStr

    from energy_chain.chain import keystore

    session = Session(network, passphrase_file=passphrase_file)
    if key_file and keystore_file:
        raise InvalidInput("--key-file and --keystore-file are two keys: give one of them")
    if keystore_file:
        account = keystore.account_from_keystore_file(keystore_file, session.passphrases)
    elif key_file:
        account = keystore.account_from_key_file(key_file)
    elif sys.stdin.isatty():
        account = keystore.account_from_key(SecretStr(getpass(f"Private key of {name}: ")))
    else:
        raise InvalidInput(
            "no key is given: give --key-file or --keystore-file, or run it in a terminal, where "
            "it is asked for"
        )
    _print_kept(session.accounts.add(name, account), as_json)


@accounts.command()
def fund(
    names: Annotated[
        list[str],
        typer.Argument(
            autocompletion=options.complete_account, help="Accounts, by name or address."
        ),
    ],
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Give accounts an ether each to pay gas with, on a development network.

    It comes from dev0. Accounts that have an ether are left alone. On other
    networks ask whoever runs the chain.

    Examples:

        energy-chain accounts fund bakery roof

        energy-chain accounts fund 0x90F79bf6EB2c4f870365E785982E1f101E93b906 --json
    """
    from energy_chain.chain.sender import TransactionSender
    from energy_chain.demo import fund

    session = Session(network)
    if not session.connection.is_development:
        raise InvalidInput(
            f"{session.network.name} is no development network: ask whoever runs it for ether"
        )
    giver = session.accounts.unlock(OWNER)
    addresses = [session.accounts.address(name) for name in names]
    fund(TransactionSender.durable(session.connection, [giver]), giver.address, addresses)
    owned = {address: session.connection.balance(address) for address in addresses}
    if as_json:
        print_json([{"address": address, "wei": wei} for address, wei in owned.items()])
        return
    for name, address in zip(names, addresses, strict=True):
        output().print(f"{name} ({address}) has {owned[address] / 10**18:.6f} ether.")


@accounts.command("list")
def list_accounts(
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """List the accounts that can sign on a network. Takes no passphrase.

    Examples:

        energy-chain accounts list

        energy-chain accounts list --network pilot --json
    """
    session = Session(network)
    known = session.accounts.list()
    if as_json:
        print_json([_as_json(account) for account in known])
        return
    if not known:
        output().print("There are none: energy-chain accounts new NAME makes one.")
        return
    listed = table("account", "address", "key")
    for account in known:
        listed.add_row(
            account.name, account.address, str(account.path or "public: development only")
        )
    output().print(listed)


def _print_kept(account: KnownAccount, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(account))
    else:
        output().print(
            f"{account.name} is {account.address}; its key is in {account.path}.\n"
            "Keep the passphrase: nobody can open the key without it."
        )


def _as_json(account: KnownAccount) -> dict[str, str | None]:
    return {
        "name": account.name,
        "address": account.address,
        "path": str(account.path) if account.path else None,
    }
