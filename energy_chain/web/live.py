"""Server-sent events: whoever listens is told what is new, as soon as it is in the record.

What is new is found by looking at the record, so that it does not matter which process
has written it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from energy_chain.errors import InvalidInput
from energy_chain.record import ranges
from energy_chain.record.identity import MarketRow
from energy_chain.record.ranges import Sum
from energy_chain.record.store import Record, market_rows
from energy_chain.web.times import iso

MOST_LISTENERS = 100
MOST_WAITING = 256
"""Events that wait for a listener; one that takes none is let go, and comes again by itself."""
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.5


@dataclass(eq=False)
class Listener:
    """Somebody who listens, in an event loop of its own."""

    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[bytes | None] = field(
        default_factory=lambda: asyncio.Queue(MOST_WAITING + 1)
    )

    def tell(self, message: bytes | None) -> None:
        """Puts an event, or the end, into the queue; from any thread."""
        with suppress(RuntimeError):  # the loop has ended, and the listener with it
            self.loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: bytes | None) -> None:
        if self.queue.qsize() >= MOST_WAITING:
            message = None
        with suppress(asyncio.QueueFull):
            self.queue.put_nowait(message)


class Hub:
    """Tells every listener of every event."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._listeners: set[Listener] = set()
        self._lock = Lock()
        self._closed = False

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Tells of an event, from any thread."""
        message = event_text(event, data)
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.tell(message)

    def close(self) -> None:
        """Ends every answer, so that the server can end."""
        with self._lock:
            self._closed = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener.tell(None)

    def join(self) -> Listener | None:
        """A new listener in the event loop that runs; None where there are too many."""
        listener = Listener(asyncio.get_running_loop())
        with self._lock:
            if self._closed or len(self._listeners) >= MOST_LISTENERS:
                return None
            self._listeners.add(listener)
        return listener

    async def events(self, listener: Listener, first: list[bytes]) -> AsyncIterator[bytes]:
        """What a listener is told, `first` and then what comes, until somebody ends it."""
        try:
            yield b"retry: 2000\n\n"
            for message in first:
                yield message
            while True:
                try:
                    async with asyncio.timeout(self._heartbeat_seconds):
                        told = await listener.queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if told is None:
                    return
                yield told
        finally:
            with self._lock:
                self._listeners.discard(listener)


def event_text(event: str, data: dict[str, Any]) -> bytes:
    """An event as it is sent."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def record_event(market: MarketRow, new: Sum) -> dict[str, Any]:
    """What is told when the record of a market has changed."""
    return {
        "address": market.address,
        "block": market.cursor_block,
        "time": iso(market.cursor_time),
        "new": {
            "orders": new.requests + new.releases,
            "matches": new.matches,
            "transactions": new.transactions,
        },
    }


class Watch:
    """Looks at the record again and again, and publishes what has changed."""

    def __init__(self, record: Record, hub: Hub, seconds: float = LOOK_SECONDS) -> None:
        """Begins with the record as it is now."""
        self._record, self._hub, self._seconds = record, hub, seconds
        self._seen: dict[int, tuple[MarketRow, Sum]] = {}
        self.look(tell=False)

    def run(self, stop: Event) -> None:
        """Looks until it is told to stop; what cannot be read is looked at again."""
        while not stop.wait(self._seconds):
            with suppress(InvalidInput):
                self.look()

    def look(self, tell: bool = True) -> None:
        """Looks once."""
        with self._record.reading() as connection:
            found = [
                (market, ranges.everything(connection, market))
                for market in market_rows(connection)
                if self._seen.get(market.id, (None, None))[0] != market
            ]
        for market, now in found:
            _, before = self._seen.get(market.id, (None, Sum()))
            self._seen[market.id] = market, now
            if tell and market.cursor_hash:
                self._hub.publish("record", record_event(market, now - before))
