"""`energy-chain relay`: take orders that meters have signed, and post them; or give it some."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import daemon
from energy_chain.cli.printing import count, output, print_json, print_waiting
from energy_chain.cli.session import AGGREGATOR, Session
from energy_chain.errors import InvalidInput, NodeUnreachable

if TYPE_CHECKING:
    from energy_chain.relay.batcher import BatchReport

relay = typer.Typer(no_args_is_help=True, help="Relay orders that meters have signed.")

PORT = 8410
URL = f"http://127.0.0.1:{PORT}"
ANSWER_SECONDS = 30
LONGEST_ANSWER = 1_000_000
"""Bytes of an answer that are read."""

UrlOption = Annotated[
    str, typer.Option(envvar="ENERGY_CHAIN_RELAY", help="The relay's URL, without a path.")
]


@relay.command()
@daemon()
@options.gives(session=options.signing)
def serve(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. What comes from elsewhere is not encrypted."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = PORT,
    store: Annotated[
        Path | None,
        typer.Option(help="SQLite file of the orders; by default one a market in the data folder."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=100, help="Post as soon as so many orders wait.")
    ] = 100,
    batch_seconds: Annotated[
        float, typer.Option(min=0.1, help="Post when an order has waited so long.")
    ] = 5.0,
    most_waiting: Annotated[
        int, typer.Option(min=1, help="Take no more orders while so many wait.")
    ] = 10_000,
    client_rate: Annotated[
        str, typer.Option(help="Requests that one client address may make.")
    ] = "600/minute",
    meter_rate: Annotated[
        str, typer.Option(help="Orders that one registered meter may give.")
    ] = "30/minute",
    *,
    session: Session,
    as_json: options.JsonOption = False,
) -> None:
    """Take signed orders over HTTP and post them in batches, until Ctrl-C.

    Anyone may sign, because the relay can forge and alter nothing: it pays the
    gas; dev1 on a development network. The orders are on the disk before they
    are accepted, and go on after a restart. With --json, a line with the URL,
    and one for each batch.

    Examples:

        energy-chain relay serve --network ganache

        energy-chain relay serve --account relayer --network pilot --port 9000 --json
    """
    from energy_chain.relay.settings import RelaySettings

    settings = RelaySettings(batch_size, batch_seconds, most_waiting, client_rate, meter_rate)
    market = session.market(AGGREGATOR)

    from energy_chain.http_server import serving
    from energy_chain.relay.app import create_app
    from energy_chain.relay.service import Relay, store_file

    place = store or store_file(market.order_domain())
    here = Relay(market, place, settings)
    try:
        with session.until_stopped() as stop, serving(create_app(here), host, port) as url:
            _print_start(url, market.address, session.connection.chain_id, place, as_json)
            here.batcher.run(stop, lambda done: _print_batch(done, as_json), print_waiting)
    finally:
        here.close()


def _print_start(url: str, contract: str, chain_id: int, place: Path, as_json: bool) -> None:
    if as_json:
        told = {"url": url, "chain_id": chain_id, "contract": contract, "store": str(place)}
        print_json({"serving": told}, line=True)
    else:
        output().print(f"Relaying for {contract} at {url}; Ctrl-C ends it.")


def _print_batch(done: BatchReport, as_json: bool) -> None:
    now = datetime.now(UTC)
    if as_json:
        print_json(
            {
                "time": now.isoformat(timespec="seconds"),
                "posted": done.posted,
                "skipped": done.skipped,
                "refused": done.refused,
                "gas": done.gas,
                "block": done.block,
                "transaction": done.transaction,
            },
            line=True,
        )
        return
    others = "".join(
        f", {number:,} {what}"
        for number, what in ((done.skipped, "skipped"), (done.refused, "refused"))
        if number
    )
    output().print(
        f"{now:%H:%M:%S} UTC  {count(done.posted, 'order')} posted{others}, {done.gas:,} gas, "
        f"block {done.block:,}, {done.transaction}"
    )


@relay.command()
def post(
    file: Annotated[
        Path, typer.Argument(help="File with a signed order in JSON; - for standard input.")
    ],
    url: UrlOption = URL,
    as_json: options.JsonOption = False,
) -> None:
    """Give a relay an order that a meter has signed, and print its receipt id.

    Examples:

        energy-chain relay post order.json

        energy-chain relay post order.json --url http://127.0.0.1:9000 --json
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    told = _ask(f"{url}/orders", text.encode())
    if as_json:
        print_json(told)
    else:
        output().print(str(told.get("id")))


@relay.command()
def status(
    receipt_id: Annotated[str, typer.Argument(help="What relay post has printed.")],
    url: UrlOption = URL,
    as_json: options.JsonOption = False,
) -> None:
    """Ask a relay what became of an order.

    Examples:

        energy-chain relay status 5f1d7a84db00d2fce00b31a7fc73224f8ebb17fef4dd8da2b5d2d7eb3ed1d1ae

        energy-chain relay status 5f1d7a84... --json
    """
    from urllib.parse import quote

    told = _ask(f"{url}/orders/{quote(receipt_id, safe='')}")
    if as_json:
        print_json(told)
        return
    from energy_chain.units import kwh

    line = f"{told.get('kind')} of {told.get('meter')}: {told.get('state')}"
    if told.get("reason"):
        line += f" ({told['reason']})"
    matched, energy = told.get("matched_wh"), told.get("energy_wh")
    if isinstance(matched, int) and isinstance(energy, int):
        line += f", {kwh(matched)} of {kwh(energy)} matched"
    output().print(line)


def _ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    """A relay's answer.

    Raises:
        InvalidInput: it refused.
        NodeUnreachable: nobody answers there, or it is no relay.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError("it does not begin with http:// or https://")
        request = Request(url, body, headers)
    except ValueError as error:
        raise InvalidInput(f"--url {url[:100]!r} is no URL of a relay: {error}") from error
    try:
        # The scheme was looked at above.
        with urlopen(request, timeout=ANSWER_SECONDS) as answer:  # nosec B310
            told = json.loads(answer.read(LONGEST_ANSWER))
    except HTTPError as error:
        with error:
            raise _refusal(error.code, error.read(LONGEST_ANSWER)) from error
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise NodeUnreachable(
            f"no usable answer of a relay at {url} ({type(error).__name__}): give --url, and check "
            "that energy-chain relay serve runs there"
        ) from error
    if not isinstance(told, dict):
        raise NodeUnreachable(f"what answers at {url} is no relay: give --url")
    return told


def _refusal(status: int, body: bytes) -> InvalidInput | NodeUnreachable:
    try:
        told = json.loads(body)
        said = f"{told['error']}: {told['remedy']}"
    except (ValueError, TypeError, LookupError):
        return NodeUnreachable(f"the relay answered {status} and does not say why: check --url")
    kind = NodeUnreachable if status >= 500 else InvalidInput
    return kind(f"the relay refused ({status}): {' '.join(said.split())}")
