"""What everybody was told while a soak ran: a file of lines that are only ever added to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple


class Way(StrEnum):
    """How an order comes to the chain."""

    SINGLE = "single"
    SIGNED = "signed"
    PACKED = "packed"


class Order(NamedTuple):
    """An order. No two of a soak are the same: each has an energy of its own.

    Attributes:
        way: how it comes to the chain.
        kind: request or release.
        meter: address of its meter.
        energy: Wh.
    """

    way: Way
    kind: str
    meter: str
    energy: int

    def __str__(self) -> str:
        return f"{self.way} {self.kind} of {self.energy:,} Wh by {self.meter}"


class Journal:
    """Lines of JSON in a file. Threads and processes may share it: a line is one write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def note(self, what: str, **fields: Any) -> None:
        """Adds what has happened."""
        line = json.dumps({"what": what, "time": time.time(), **fields}) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with self._lock:
            file = os.open(self.path, flags, 0o600)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)

    def order(self, what: str, order: Order, by: str, **fields: Any) -> None:
        """Adds what has happened to an order: intended, accepted or late."""
        self.note(what, by=by, **order._asdict(), **fields)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """What was noted, the oldest first."""
        if self.path.exists():
            with self.path.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)


def order_of(record: dict[str, Any]) -> Order:
    """The order that a record is about."""
    return Order(Way(record["way"]), record["kind"], record["meter"], record["energy"])
