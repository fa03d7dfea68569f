"""`energy-chain serve`: the page that people look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from energy_chain.cli import options
from energy_chain.cli.daemon import GRACE_SECONDS, daemon, until_stopped
from energy_chain.cli.printing import output, print_json, print_waiting
from energy_chain.cli.session import Session

if TYPE_CHECKING:
    from energy_chain.record.indexer import Indexer
    from energy_chain.record.store import Record
    from energy_chain.web.following import Following
    from energy_chain.web.server import Served

PORT = 8420

HostOption = Annotated[
    str, typer.Option(help="Address to listen on. What comes from elsewhere is not encrypted.")
]
PortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
]


@daemon()
@options.gives(session=options.reading)
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = PORT,
    offline: Annotated[
        bool, typer.Option("--offline", help="Show the record as it is, and ask no chain.")
    ] = False,
    audits: Annotated[
        bool, typer.Option("--audit/--no-audit", help="Audit the record in the background.")
    ] = True,
    *,
    session: Session,
    place: options.RecordOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show the neighbourhood in a browser, live, until Ctrl-C.

    Keeps the record up to date with the market, and serves a page and its API
    (/openapi.json), events (/api/events) and metrics (/metrics). Where the node
    does not answer, the page shows the record and says as of when. Needs no
    account.

    Examples:

        energy-chain serve --network ganache

        energy-chain serve --record pilot.sqlite --network pilot --port 9000 --json

        energy-chain serve --record pilot.sqlite --offline
    """
    from energy_chain.record.store import Record, default_place
    from energy_chain.web.server import page_served

    place = place or default_place()
    with Record.open(place, must_exist=offline) as record, until_stopped(GRACE_SECONDS) as stop:
        contract = session.contract
        if offline:
            audited = record.market(contract).address if contract else None
            with page_served(record, place, host, port, audited, audits) as served:
                _print_start(served, record, as_json)
                stop.wait()
            return
        # Before anybody is told of a URL: what will never do ends here.
        first = _Opening(record, session)
        first.try_once()
        with page_served(record, place, host, port, first.address, audits) as served:
            _print_start(served, record, as_json)
            first.following(served).run(stop)


class _Opening:
    """Opens the market that is to be followed, now or once its node answers."""

    def __init__(self, record: Record, session: Session) -> None:
        self._record, self._session = record, session
        self._indexer: Indexer | None = None

    def try_once(self) -> None:
        """Opens it.

        Raises:
            EnergyChainError: it will never do, or there is nothing to show meanwhile.
        """
        from energy_chain.errors import EnergyChainError
        from energy_chain.trouble import passes

        try:
            self._indexer = self._open()
        except EnergyChainError as error:
            if not passes(error) or self._known() is None:
                raise

    @property
    def address(self) -> str | None:
        """Of the market, as far as it is known."""
        return self._known() if self._indexer is None else self._indexer.market.address

    def following(self, served: Served) -> Following:
        """What keeps the record up to date."""
        from energy_chain.web.following import Following

        return Following(self._again, served.state, self.address, print_waiting)

    def _again(self) -> Indexer:
        return self._indexer or self._open()

    def _open(self) -> Indexer:
        from energy_chain.record.indexer import Indexer
        from energy_chain.record.source import ChainSource

        return Indexer(self._record, ChainSource(self._session.reader()))

    def _known(self) -> str | None:
        """The market that the record holds of this network."""
        network, wanted = self._session.network, self._session.contract or None
        of_it = [
            market.address
            for market in self._record.markets()
            if market.network == network.name and wanted in (None, market.address)
        ]
        return of_it[-1] if of_it else None


def _print_start(served: Served, record: Record, as_json: bool) -> None:
    if as_json:
        contracts = [market.address for market in record.markets()]
        told = {"url": served.url, "record": record.place, "contracts": contracts}
        print_json({"serving": told}, line=True)
    else:
        output().print(f"Showing {record.place} at {served.url}; Ctrl-C ends it.")
