"""How fast the record catches up: events and orders a second, from receipts as a node tells them.

Two markets of a made-up history. In the one each home posts and confirms for itself, one event a
transaction and one transaction a block, which is the most rows an event can make. In the other the
metering operator posts batches of a hundred. Reading hexadecimal receipts, decoding, deriving and
writing are in the time; fetching is not. Seconds depend on the machine, which is named beside them.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.progress import Progress
from sqlalchemy import func, select

from energy_chain.chain.event_codec import encode
from energy_chain.chain.mined import MinedBlock, parse_receipts
from energy_chain.events import Receipt
from energy_chain.market import ZERO_ADDRESS, Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.record.identity import Identity
from energy_chain.record.indexer import Indexer
from energy_chain.record.source import Header
from energy_chain.record.store import Record
from energy_chain.record.tables import APPENDED, METADATA

GOAL = 20_000
"""Events a second, one event a transaction."""
ROUNDS = 3
BATCH = 100
PERIOD = 900
OWNER, AGGREGATOR, OPERATOR = (f"0x{n:040x}" for n in range(1, 4))
CONTRACT = f"0x{0xEC:040x}"


@dataclass(frozen=True, slots=True)
class Speed:
    """What one history took, the median of some rounds.

    Attributes:
        what: the history.
        where: the database.
        events: logs in it.
        orders: requests and releases in it.
        rows: rows that were written.
        seconds: to catch up.
    """

    what: str
    where: str
    events: int
    orders: int
    rows: int
    seconds: float

    @property
    def events_a_second(self) -> float:
        """Logs a second."""
        return self.events / self.seconds

    @property
    def orders_a_second(self) -> float:
        """Requests and releases a second."""
        return self.orders / self.seconds


class FetchedSource:
    """A market whose receipts were fetched already. Implements `MarketSource`."""

    def __init__(self, history: list[Receipt]) -> None:
        """The blocks of a history, each of one transaction, in JSON as a node tells them."""
        self._times = [receipt.timestamp for receipt in history]
        self._receipts = [_as_json(number, receipt) for number, receipt in enumerate(history)]

    def identity(self) -> Identity:
        """As `MarketSource.identity`."""
        return Identity(1, _hash(0), CONTRACT, 0, PERIOD, "benchmark")

    def settled(self) -> int:
        """As `MarketSource.settled`."""
        return len(self._receipts) - 1

    def header(self, number: int) -> Header | None:
        """As `MarketSource.header`."""
        return Header(_hash(number), self._times[number])

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        """As `MarketSource.blocks`."""
        for number in range(first, last + 1):
            transactions = parse_receipts([self._receipts[number]], CONTRACT)
            yield MinedBlock(number, _hash(number), self._times[number], transactions)


def singles(trades: int) -> list[Receipt]:
    """A history of homes that act for themselves: four events a trade, and those of its period."""
    market, clock, homes = _market(2 * 50)
    for trade in range(trades):
        producer, consumer = homes[trade % 50], homes[50 + trade % 50]
        if trade % 50 == 0:
            clock.time += PERIOD
        market.as_account(producer).post_request(producer, 500)
        market.as_account(consumer).post_release(consumer, 500)
        market.match_pending(1)
        market.as_account(consumer).consume(consumer, 500)
    return list(market.history())


def batches(periods: int) -> list[Receipt]:
    """A history of an operator that posts, matches and confirms a hundred homes in each period."""
    market, clock, _ = _market(2 * BATCH)
    operator = market.as_account(OPERATOR)
    requests = [Request(number, 500) for number in range(1, BATCH + 1)]
    releases = [Release(number, 500) for number in range(BATCH + 1, 2 * BATCH + 1)]
    for _ in range(periods):
        clock.time += PERIOD
        operator.post_requests(requests)
        operator.post_releases(releases)
        operator.match_pending(BATCH)
        operator.confirm_matches(market.match_counter() - BATCH, BATCH)
    return list(market.history())


HISTORIES: dict[str, Callable[[], list[Receipt]]] = {
    "each home for itself": lambda: singles(10_000),
    f"batches of {BATCH}": lambda: batches(300),
}


def speeds(url: str | None) -> list[Speed]:
    """Measures every history in SQLite and, if the URL of one is given, in PostgreSQL.

    Args:
        url: of a PostgreSQL database; what a record holds there is deleted.
    """
    places: list[Callable[[], AbstractContextManager[tuple[str, Record]]]] = [_in_sqlite]
    if url is not None:
        places.append(lambda: _in_database(url))
    found = []
    with Progress(transient=True) as bar:
        task = bar.add_task("catching up", total=len(HISTORIES) * len(places) * ROUNDS)
        for what, made in HISTORIES.items():
            source = FetchedSource(made())
            gc.collect()
            gc.freeze()  # an indexer holds the receipts of a stretch, not those of all
            for place in places:
                took = []
                for _ in range(ROUNDS):
                    with place() as (where, record):
                        begun = time.perf_counter()
                        done = Indexer(record, source).update()
                        took.append(time.perf_counter() - begun)
                        orders, rows = _counted(record)
                    bar.advance(task)
                found.append(Speed(what, where, done.events, orders, rows, median(took)))
    return found


def markdown(found: list[Speed]) -> str:
    """The report."""
    lines = [
        "# How fast the record catches up",
        "",
        "Written by `python -m benchmarks record`. From receipts in JSON as a node tells them to",
        f"rows in the database, median of {ROUNDS} rounds; the goal is {GOAL:,} events a second",
        "where each home acts for itself, one event a transaction and one transaction a block.",
        "",
        f"{_machine()}.",
        "",
        "| history | database | events | orders | rows | events/s | orders/s | rows/s |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.what} | {each.where} | {each.events:,} | {each.orders:,} | {each.rows:,} | "
        f"{each.events_a_second:,.0f} | {each.orders_a_second:,.0f} | "
        f"{each.rows / each.seconds:,.0f} |"
        for each in found
    ]
    return "\n".join(lines) + "\n"


class _Clock:
    def __init__(self) -> None:
        self.time = 1_888_889 * PERIOD

    def __call__(self) -> int:
        return self.time


def _market(homes: int) -> tuple[MemoryLedger, _Clock, list[str]]:
    clock = _Clock()
    market = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD, clock)
    addresses = [f"0x{0x1000 + number:040x}" for number in range(homes)]
    market.as_account(OPERATOR).register_meters(addresses)
    return market, clock, addresses


def _hash(number: int) -> str:
    return f"0x{number:064x}"


def _as_json(number: int, receipt: Receipt) -> dict[str, Any]:
    logs = []
    for index, event in enumerate(receipt.events):
        topics, data = encode(event)
        logs.append(
            {
                "address": CONTRACT,
                "topics": [f"0x{topic.hex()}" for topic in topics],
                "data": f"0x{data.hex()}",
                "logIndex": hex(index),
            }
        )
    return {
        "transactionHash": _hash(number),
        "transactionIndex": "0x0",
        "from": ZERO_ADDRESS,
        "gasUsed": hex(50_000),
        "effectiveGasPrice": hex(10**9),
        "logs": logs,
    }


@contextmanager
def _in_sqlite() -> Iterator[tuple[str, Record]]:
    with TemporaryDirectory() as folder, Record.open(Path(folder) / "record.sqlite") as record:
        yield "SQLite", record


@contextmanager
def _in_database(url: str) -> Iterator[tuple[str, Record]]:
    with Record.open(url) as record, record.writing() as connection:
        METADATA.drop_all(connection)
    with Record.open(url) as record:
        yield "PostgreSQL", record


def _counted(record: Record) -> tuple[int, int]:
    with record.reading() as connection:
        rows = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in APPENDED
        }
    return rows["orders"], sum(rows.values())


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
