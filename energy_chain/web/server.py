"""The page while it is served: the application, what looks at the record, and the audits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from energy_chain.http_server import serving
from energy_chain.market import Address
from energy_chain.record.store import Record
from energy_chain.web.app import create_app
from energy_chain.web.auditing import Auditing
from energy_chain.web.live import Hub, Watch
from energy_chain.web.state import State

LOCAL = ("127.0.0.1", "localhost", "::1")
ANY = ("0.0.0.0", "::")  # nosec B104


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: where, and what is to be told how the node is."""

    url: str
    state: State


@contextmanager
def page_served(
    record: Record,
    place: str,
    host: str,
    port: int,
    audited: Address | None = None,
    audits: bool = True,
) -> Iterator[Served]:
    """Serves the page of a record until the context ends.

    Args:
        record: what is shown.
        place: where it is, with what it takes to open it.
        host: to listen on. Other names than it and this machine's are refused.
        port: to listen on; 0 for a free one.
        audited: the market that is audited; all of the record when None.
        audits: whether anything is.

    Raises:
        InvalidInput: nobody can listen there.
    """
    hub, stop = Hub(), Event()
    state = State(hub.publish)
    # Who listens on every address has names that nobody knows here.
    names = () if host in ANY else (host, *LOCAL)
    app = create_app(record, state, hub, names)
    tasks: list[Callable[[Event], None]] = [Watch(record, hub).run]
    if audits:
        tasks.append(Auditing(record, place, state, audited).run)
    threads = [Thread(target=task, args=(stop,), daemon=True) for task in tasks]
    with serving(app, host, port) as url:
        for thread in threads:
            thread.start()
        try:
            yield Served(url, state)
        finally:
            stop.set()
            hub.close()
            for thread in threads:
                thread.join()
