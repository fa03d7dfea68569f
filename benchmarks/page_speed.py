"""How long the page waits: each view's API over a year of a large neighbourhood.

Made-up homes trade every quarter of an hour of a year; two of five have a roof. The record of it is
made by the indexer itself from blocks as a chain would tell them, which takes minutes, and is kept
in a folder for the next time. `energy-chain serve` then answers from SQLite, one request after the
other, each of another day, home or page, so that no answer is known already. Seconds depend on the
machine, which is named beside them.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode, urlsplit

from rich.progress import Progress

from benchmarks.record_speed import AGGREGATOR, CONTRACT, OPERATOR, OWNER
from energy_chain import events as ev
from energy_chain.chain.event_codec import encode
from energy_chain.chain.mined import MinedBlock, MinedLog, MinedTransaction
from energy_chain.market import ZERO_ADDRESS, Fill, Release, Request
from energy_chain.record.identity import Identity
from energy_chain.record.indexer import Indexer
from energy_chain.record.source import Header
from energy_chain.record.store import Record

GOAL_MS = 100
HOMES, DAYS = 500, 365
PERIOD = 900
A_DAY = 24 * 3600 // PERIOD
SUN = range(A_DAY // 4, 3 * A_DAY // 4)
"""Periods of a day in which roofs produce."""
BATCH, MOST_MATCHES = 100, 256
BEGIN = datetime(2025, 11, 1, tzinfo=UTC)
GAS, PRICE = 900_000, 1_500_000_007


class MadeUpYear:
    """A neighbourhood's blocks, made as they are asked for. Implements `MarketSource`.

    Block 0 deploys, block 1 registers, then each period has as many blocks as it takes. A
    producer's surplus is what the consumer beside it in the queue needs, so that matches follow
    the rules; who has no producer beside it needs the grid.
    """

    def __init__(self, homes: int = HOMES, days: int = DAYS) -> None:
        self.homes, self.days = homes, days
        self._roofs = homes * 2 // 5
        self._first = int(BEGIN.timestamp()) // PERIOD
        self._counters = [0, 0, 0]
        self._next = 0
        self._of_a_period = max(
            len(list(self._calls(0, quarter, [0, 0, 0]))) for quarter in range(A_DAY)
        )

    def identity(self) -> Identity:
        """As `MarketSource.identity`."""
        return Identity(1, _hash(0), CONTRACT, 0, PERIOD, "benchmark")

    def settled(self) -> int:
        """As `MarketSource.settled`."""
        return 1 + self.days * A_DAY * self._of_a_period

    def header(self, number: int) -> Header | None:
        """As `MarketSource.header`."""
        return Header(_hash(number), self._time(number))

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        """As `MarketSource.blocks`; only one range after the other."""
        assert first == self._next, "a year is made in one go"
        for number in range(first, last + 1):
            logged = self._logged(number)
            if logged:
                yield self._block(number, logged)
        self._next = last + 1

    def _time(self, number: int) -> int:
        period, within = divmod(max(0, number - 2), self._of_a_period)
        return (self._first + period) * PERIOD + (5 + within * 30 if number > 1 else number)

    def _logged(self, number: int) -> Sequence[ev.Event]:
        if number == 0:
            return (
                ev.OwnershipTransferred(ZERO_ADDRESS, OWNER),
                ev.AggregatorChanged(ZERO_ADDRESS, AGGREGATOR),
                ev.MeteringOperatorChanged(ZERO_ADDRESS, OPERATOR),
            )
        if number == 1:
            return [ev.MeterRegistered(_home(n), n) for n in range(1, self.homes + 1)]
        period, within = divmod(number - 2, self._of_a_period)
        if within == 0:
            self._planned = list(self._calls(period, period % A_DAY, self._counters))
        return self._planned[within] if within < len(self._planned) else ()

    def _calls(self, period: int, quarter: int, counters: list[int]) -> Iterator[list[ev.Event]]:
        """What each call of a period logs; counts requests, releases and matches on."""
        roofs = self._roofs if quarter in SUN else 0
        surplus = [_energy(period, n) for n in range(roofs)]
        requests = [Request(n + 1, wh) for n, wh in enumerate(surplus)]
        # In another order each period, so that everybody trades with everybody.
        consumers = [roofs + (n + period) % (self.homes - roofs) for n in range(self.homes - roofs)]
        needs = [*surplus, *(_energy(period, n) for n in consumers[roofs:])]
        releases = [Release(n + 1, wh) for n, wh in zip(consumers, needs, strict=False)]
        opened: list[ev.Event] = [ev.PeriodOpened(self._first + period, 0, _expired(period, self))]
        for at in range(0, len(requests), BATCH):
            offers = tuple(requests[at : at + BATCH])
            yield [*opened, ev.RequestsPosted(counters[0], offers)]
            counters[0] += len(offers)
            opened = []
        for at in range(0, len(releases), BATCH):
            wants = tuple(releases[at : at + BATCH])
            yield [*opened, ev.ReleasesPosted(counters[1], wants)]
            counters[1] += len(wants)
            opened = []
        fills = [
            Fill(request.meter, release.meter, request.energy)
            for request, release in zip(requests, releases, strict=False)
        ]
        for at in range(0, len(fills), MOST_MATCHES):
            part = tuple(fills[at : at + MOST_MATCHES])
            yield [ev.Matched(counters[2], part)]
            yield [ev.MatchesConfirmed(counters[2], len(part))]
            counters[2] += len(part)

    def _block(self, number: int, logged: Sequence[ev.Event]) -> MinedBlock:
        logs = tuple(MinedLog(index, *encode(event)) for index, event in enumerate(logged))
        sent = MinedTransaction(0, _hash(number, "aa"), OPERATOR, GAS, PRICE + number % 1000, logs)
        return MinedBlock(number, _hash(number), self._time(number), (sent,))


def _expired(period: int, year: MadeUpYear) -> int:
    """Releases of the period before that nobody served."""
    if period == 0:
        return 0
    return year.homes - (2 * year._roofs if (period - 1) % A_DAY in SUN else 0)


def _energy(period: int, home: int) -> int:
    return 40 + (period * 31 + home * 17 + period * home % 101) % 400


def _home(number: int) -> str:
    from energy_chain.chain.addresses import checksummed

    return checksummed(number.to_bytes(20, "big"))


def _hash(number: int, prefix: str = "00") -> str:
    # Spread as hashes are: an index of them is written all over.
    return f"0x{prefix}{random.Random(number).getrandbits(248):062x}"  # nosec B311


def make_record(folder: Path, homes: int, days: int) -> Path:
    """The record of such a year, made unless the folder has it."""
    place = folder / f"{homes}-homes-{days}-days.sqlite"
    if place.is_file():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with Record.open(unfinished) as record, Progress(transient=True) as bar:
        task = bar.add_task(f"{homes} homes, {days} days", total=None)
        Indexer(record, MadeUpYear(homes, days)).update(
            lambda block, last: bar.update(task, completed=block, total=last)
        )
    unfinished.rename(place)
    return place


@dataclass(frozen=True, slots=True)
class View:
    """How long a view took.

    Attributes:
        what: the view.
        milliseconds: of each request.
        size: bytes of the largest answer.
    """

    what: str
    milliseconds: tuple[float, ...]
    size: int

    @property
    def p95(self) -> float:
        """Of a hundred requests, ninety-five took no longer."""
        return quantiles(self.milliseconds, n=20)[-1]


def measure(place: Path, asked: int) -> list[View]:
    """Asks each view so often."""
    found = []
    # As after a server has run for a while: else the disk of this machine is what is measured.
    with place.open("rb") as file:
        while file.read(2**24):
            pass
    with _served(place) as ask, Progress(transient=True) as bar:
        market = "/api/markets/" + ask("/api/markets")[0]["markets"][0]["address"]
        views = _views(ask, market)
        task = bar.add_task("asking", total=len(views))
        for what, path in views.items():
            ask(path(random.Random(0)))  # nosec B311
            took, size, draws = [], 0, random.Random(1)  # nosec B311
            for _ in range(asked):
                url = path(draws)
                begun = time.perf_counter()
                _, length = ask(url)
                took.append((time.perf_counter() - begun) * 1000)
                size = max(size, length)
            found.append(View(what, tuple(took), size))
            bar.advance(task)
    return found


def _views(
    ask: Callable[[str], tuple[Any, int]], market: str
) -> dict[str, Callable[[random.Random], str]]:
    told, _ = ask(market)
    first = datetime.fromisoformat(told["began"]).replace(hour=0, minute=0, second=0)
    last = datetime.fromisoformat(told["as_of"]["time"])
    days = (last - first).days
    homes, matches = told["meters"], told["totals"]["matches"]
    listed, _ = ask(f"{market}/transactions?limit=500")
    hashes = [each["hash"] for each in listed["transactions"]]

    def span(draws: random.Random, length: int) -> dict[str, str]:
        begin = first + timedelta(days=draws.randrange(max(1, days - length)))
        end = begin + timedelta(days=length)
        return {"from": begin.isoformat(), "to": end.isoformat()}

    def of(path: str, length: int = 0, **query: str) -> Callable[[random.Random], str]:
        def url(draws: random.Random) -> str:
            here = path.format(
                home=draws.randrange(1, homes + 1),
                match=draws.randrange(matches),
                hash=draws.choice(hashes),
                period=int(first.timestamp()) // PERIOD + draws.randrange(days * A_DAY),
            )
            asked = query | (span(draws, length) if length else {})
            return f"{market}{here}?{urlencode(asked)}" if asked else f"{market}{here}"

        return url

    zone = "Europe/Berlin"
    return {
        "all markets": lambda _: "/api/markets",
        "the market": of(""),
        "usage, a day by periods": of("/usage", 1, by="period"),
        "usage, a week by hours": of("/usage", 7, by="hour", timezone=zone),
        "usage, a month by days": of("/usage", 31, by="day", timezone=zone),
        "usage, a week by periods": of("/usage", 7, by="period"),
        "usage, a month by hours": of("/usage", 31, by="hour", timezone=zone),
        "usage, all by days": of("/usage", by="day", timezone=zone),
        "flow now": of("/flow"),
        "flow of a day": of("/flow", 1),
        "flow of a month": of("/flow", 31),
        "flow of all": of("/flow", max(1, days - 3)),
        "all homes, a day": of("/meters", 1, limit="500"),
        "all homes, a month": of("/meters", 31, limit="500"),
        "all homes, all": of("/meters", max(1, days - 3), limit="500"),
        "a home, a month": of("/meters/{home}", 31),
        "a home's usage, a day by periods": of("/meters/{home}/usage", 1, by="period"),
        "a home's usage, a week by periods": of("/meters/{home}/usage", 7, by="period"),
        "a home's usage, a month by days": of("/meters/{home}/usage", 31, by="day", timezone=zone),
        "a home's usage, all by days": of("/meters/{home}/usage", by="day", timezone=zone),
        "a home's partners, a day": of("/meters/{home}/partners", 1),
        "a home's partners, a month": of("/meters/{home}/partners", 31),
        "latest orders": of("/orders"),
        "a home's orders": of("/orders?meter={home}"),
        "latest matches": of("/matches"),
        "a home's matches": of("/matches?meter={home}"),
        "a period's matches": of("/matches?period={period}&limit=500"),
        "matches of a month, oldest first": of("/matches", 31, order="oldest"),
        "a match": of("/matches/{match}"),
        "latest transactions": of("/transactions"),
        "transactions of a day": of("/transactions", 1),
        "a transaction": of("/transactions/{hash}"),
        "latest periods": of("/periods"),
        "a period": of("/periods/{period}"),
        "metrics": lambda _: "/metrics",
    }


@contextmanager
def _served(place: Path) -> Iterator[Callable[[str], tuple[Any, int]]]:
    """Serves a record in a process of its own; gives what asks it."""
    command = [sys.executable, "-m", "energy_chain", "serve", "--offline", "--no-audit"]
    command += ["--record", str(place), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = urlsplit(json.loads(process.stdout.readline())["serving"]["url"])
            connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)

            def ask(path: str) -> tuple[Any, int]:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise ValueError(f"{path}: {answer.status} {body[:300]!r}")
                is_json = answer.headers["content-type"] == "application/json"
                return (json.loads(body) if is_json else None), len(body)

            yield ask
        finally:
            process.terminate()


def markdown(found: Sequence[View], place: Path) -> str:
    """The report."""
    with Record.open(place, must_exist=True) as record:
        (market,) = record.markets()
        counts = record.counts(market)
    slowest = max(found, key=lambda view: view.p95)
    lines = [
        "# How long the page waits",
        "",
        "Written by `python -m benchmarks page`: `energy-chain serve` over a record in SQLite, one",
        f"request after the other, {len(found[0].milliseconds)} of each view, each of another day,",
        "home or page. Milliseconds from the request to the whole answer; the goal is a p95 under",
        f"{GOAL_MS} ms for every view. The file was read once before, so that it is in memory.",
        "",
        f"The record: {counts.orders:,} orders and {counts.matches:,} matches in {counts.events:,} "
        f"events, {place.stat().st_size / 2**30:.1f} GiB.",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.",
        "",
        "| view | median ms | p95 ms | KiB |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| {view.what} | {median(view.milliseconds):.0f} | {view.p95:.0f} | "
        f"{view.size / 1024:.1f} |"
        for view in found
    ]
    verdict = "is kept" if slowest.p95 < GOAL_MS else "is not kept"
    lines += ["", f"The goal {verdict}: the slowest is {slowest.what}, {slowest.p95:.0f} ms."]
    return "\n".join(lines) + "\n"
