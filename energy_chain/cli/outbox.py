"""`energy-chain outbox`: what was sent from this machine, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.exit_codes import CHAIN_FAILED
from energy_chain.cli.printing import count, output, print_json, print_waiting, table
from energy_chain.cli.session import Session
from energy_chain.errors import NodeUnreachable, UnknownAccount

if TYPE_CHECKING:
    from energy_chain.chain.outbox import Entry

MOST = 10_000
"""Transactions that are brought to an end at a time."""

outbox = typer.Typer(no_args_is_help=True, help="Look after transactions that are under way.")


@outbox.command()
def show(
    everything: Annotated[
        bool, typer.Option("--all", help="Those that are over as well, not only those under way.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="The most to show, the latest ones.")] = 50,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show the transactions that this machine has under way on a network.

    What was sent from here is kept until it is deep in the chain: each
    transaction has one nonce and one or more attempts, the later ones with
    higher fees. Needs no account, and no node where the network's settings have
    a chain id. What is under way on another chain of the same id, such as one that
    has begun anew since, is shown after it.

    Examples:

        energy-chain outbox show --network ganache

        energy-chain outbox show --all --limit 200 --network pilot --json
    """
    session = Session(network)
    here, chain_id = _place(session)
    kept = _listed(chain_id, here, limit, everything)
    if as_json:
        print_json([_as_json(entry, place, here) for place in kept for entry in kept[place]])
        return
    name = session.network.name
    if here and not kept[here]:
        output().print(f"Nothing is under way on {name}.")
    elif not any(kept.values()):
        output().print(f"Nothing is under way on chains with chain id {chain_id}.")
    for place, entries in kept.items():
        if entries and place != here:
            which = f"another chain than that of {name} now" if here else "a chain"
            output().print(f"On {which}, kept in {place}:")
        for account in dict.fromkeys(entry.account for entry in entries):
            columns = "nonce", "call and transaction", "state"
            listed = table(*columns, title=account, right=("nonce",))
            for entry in entries:
                if entry.account == account:
                    known = _hash(entry)
                    what = entry.call if known is None else f"{entry.call}\n{known}"
                    listed.add_row(str(entry.form.nonce), what, _state(entry))
            output().print(listed)


def _place(session: Session) -> tuple[Path | None, int]:
    """The file of the network's chain, None where the node does not answer, and its chain id."""
    try:
        return session.outbox_file(), session.connection.chain_id
    except NodeUnreachable as error:
        if session.network.chain_id is None:
            raise
        print_waiting(f"{error}; shown is what is kept here")
        return None, session.network.chain_id


def _listed(
    chain_id: int, here: Path | None, limit: int, everything: bool
) -> dict[Path, list[Entry]]:
    """The latest transactions of each file of a chain id, those of the chain itself first."""
    from energy_chain.chain.outbox import Outbox, outbox_files

    found = {}
    for place in dict.fromkeys([here, *outbox_files(chain_id)] if here else outbox_files(chain_id)):
        kept = Outbox.open(place)
        found[place] = kept.listed(limit, everything)
        kept.close()
    return found


def _state(entry: Entry) -> str:
    since = f"{datetime.fromtimestamp(entry.created_at, UTC):%Y-%m-%d %H:%M:%S}"
    if entry.block is not None:
        return f"{entry.state}, block {entry.block:,}\n{since}"
    state = "being withdrawn" if _is_being_withdrawn(entry) else entry.state.value
    return f"{state}, {count(len(entry.attempts), 'attempt')}\n{since}"


@outbox.command()
def finish(
    seconds: Annotated[
        float, typer.Option("--for", min=0, help="Give up after this many seconds.")
    ] = 60.0,
    passphrase_file: options.PassphraseFileOption = None,
    network: options.NetworkOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Bring what is under way to an end: mined, or withdrawn.

    Sends again what the network has dropped, offers more for what is stuck, and
    withdraws orders whose delivery period is over. Signs with the accounts that
    have something under way; ends with 3 when something still is.

    Examples:

        energy-chain outbox finish --network ganache

        energy-chain outbox finish --for 600 --network pilot --json
    """
    from energy_chain.chain.outbox import Outbox
    from energy_chain.chain.sender import TransactionSender

    session = Session(network, passphrase_file=passphrase_file)
    here = session.outbox_file()
    kept = Outbox.open(here)
    before = kept.listed(MOST)
    accounts, missing = [], []
    for address in dict.fromkeys(entry.account for entry in before):
        try:
            accounts.append(session.accounts.unlock(address))
        except UnknownAccount:
            missing.append(address)
    sender = TransactionSender(session.connection, accounts, kept)
    said: list[str] = []

    def report(what: str) -> None:
        said.append(what)
        if not as_json:
            output().print(what)

    deadline = monotonic() + seconds
    with session.until_stopped() as stop:
        while sender.tend(report) and not stop.is_set() and monotonic() < deadline:
            stop.wait(1.0)
    after = [found for entry in before if (found := kept.get(entry.id))]
    left = kept.waiting()[0]
    elsewhere = _waiting_elsewhere(session.connection.chain_id, here)
    if as_json:
        print_json(
            {
                "transactions": [_as_json(entry, here, here) for entry in after],
                "reports": said,
                "under_way": left,
                "without_key": missing,
                "elsewhere": {str(place): number for place, number in elsewhere.items()},
            }
        )
    else:
        for entry in after:
            output().print(f"{entry.call}: {entry.state.value}")
        output().print(f"{count(left, 'transaction')} under way.")
        for address in missing:
            output().print(f"There is no key for {address}: finish it where its key is.")
        for place, number in elsewhere.items():
            output().print(
                f"{count(number, 'transaction')} under way on another chain than that of "
                f"{session.network.name} now, in {place}: bring that chain back and finish there, "
                "or delete the file if it is gone for good."
            )
    if left:
        raise typer.Exit(CHAIN_FAILED)


def _waiting_elsewhere(chain_id: int, here: Path) -> dict[Path, int]:
    """How much is under way in the files of other chains with a chain id."""
    from energy_chain.chain.outbox import Outbox, outbox_files

    found = {}
    for place in outbox_files(chain_id):
        if place != here:
            kept = Outbox.open(place)
            found[place] = kept.waiting()[0]
            kept.close()
    return {place: number for place, number in found.items() if number}


def _hash(entry: Entry) -> str | None:
    return entry.transaction or (entry.attempts[0].hash if entry.attempts else None)


def _is_being_withdrawn(entry: Entry) -> bool:
    return entry.state.value == "open" and entry.is_withdrawn


def _as_json(entry: Entry, place: Path, here: Path | None) -> dict[str, Any]:
    return {
        "outbox": str(place),
        "this_chain": None if here is None else place == here,
        "key": entry.key,
        "account": entry.account,
        "nonce": entry.form.nonce,
        "call": entry.call,
        "created_at": datetime.fromtimestamp(entry.created_at, UTC).isoformat(),
        "expires": None
        if entry.expires is None
        else datetime.fromtimestamp(entry.expires, UTC).isoformat(),
        "state": entry.state.value,
        "being_withdrawn": _is_being_withdrawn(entry),
        "attempts": [attempt.hash for attempt in entry.attempts],
        "transaction": entry.transaction,
        "block": entry.block,
    }
