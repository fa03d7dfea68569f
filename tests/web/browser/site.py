"""The page of a town, served as `energy-chain serve` serves it, from a thread of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

from energy_chain.record.indexer import Indexer
from energy_chain.record.store import Record
from energy_chain.web.following import Following
from energy_chain.web.server import page_served
from tests.web.browser.town import Town

HOST = "127.0.0.1"
POLL_SECONDS = 0.2


class Site:
    """A server that can be stopped, and started again at the same address."""

    def __init__(self, folder: Path, town: Town | None, audits: bool = False) -> None:
        """A record in a folder; without a town it has no market."""
        self._place = folder / "record.sqlite"
        self._town = town
        self._audits = audits
        self._running = ExitStack()
        self._port = 0
        self.url = ""

    def start(self) -> None:
        """Serves, and has read all that there is when it returns."""
        with ExitStack() as stack:
            record = stack.enter_context(Record.open(self._place))
            if self._town is not None:
                Indexer(record, self._town).update()
            served = stack.enter_context(
                page_served(record, str(self._place), HOST, self._port, audits=self._audits)
            )
            if self._town is not None:
                town = self._town
                following = Following(lambda: Indexer(record, town), served.state)
                assert following.step()
                stack.enter_context(_running(following))
            self.url = served.url
            self._port = int(served.url.rpartition(":")[2])
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Serves no more."""
        self._running.close()


@contextmanager
def _running(following: Following) -> Iterator[None]:
    stop = Event()
    thread = Thread(target=following.run, args=(stop, POLL_SECONDS))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
