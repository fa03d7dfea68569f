"""Commands that run until they are told to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from types import FrameType


@contextmanager
def until_stopped() -> Iterator[Event]:
    """An event that SIGINT (Ctrl-C) and SIGTERM set, so that what is under way can end well."""
    stop = Event()

    def told(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])  # a second one does not wait
        # In a thread of its own: the main thread may hold the event's lock, waiting for it.
        Thread(target=stop.set).start()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, told)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
