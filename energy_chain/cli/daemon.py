"""Commands that run until they are told to stop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from threading import Event, Thread, Timer
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 12.0
"""How long what is under way may take to end: longer than a node that hangs keeps one call."""


def daemon(
    goes_on: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a command one that SIGINT and SIGTERM end well from its beginning on.

    Until it comes to `until_stopped` nothing is under way that would have to end first.

    Args:
        goes_on: whether it does with these options; otherwise Ctrl-C ends it as any other command.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(**given: Any) -> Any:
            with _handling(lambda *_: sys.exit(0)) if goes_on(given) else nullcontext():
                return command(**given)

        return run

    return decorate


@contextmanager
def until_stopped(grace_seconds: float | None = None) -> Iterator[Event]:
    """An event that SIGINT (Ctrl-C) and SIGTERM set, so that what is under way can end well.

    Args:
        grace_seconds: how long it may take for that; then the process ends, with code 0 as well.
            What matters is on the disk by then, and is looked up when it starts again. None waits.
    """
    stop = Event()
    overdue = Timer(grace_seconds or 0, _end)
    overdue.daemon = True

    def told(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[number])  # a second one does not wait
        # In a thread of its own: the main thread may hold the event's lock, waiting for it.
        Thread(target=stop.set).start()
        if grace_seconds is not None and overdue.ident is None:
            overdue.start()

    with _handling(told) as before:
        try:
            yield stop
        finally:
            overdue.cancel()


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[dict[int, Any]]:
    """Handles both signals; gives what handled them before, and does again afterwards."""
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    for number in before:
        signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)


def _end() -> None:
    said = "stopped: what was under way is looked up at the next start"
    print(said, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(0)
