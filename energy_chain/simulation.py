"""Many communities, many days: each traded through the contract's twin, in parallel.

One community is one contract, and one job: its days follow each other, because
orders carry rests over and the contract's counters go on. What comes of a job
depends on nothing but the job, so processes of this machine and the workers of
a Dask cluster give the same.

The metering operator posts, matches and confirms for all homes in packed calls,
whose gas is told by `gas`. Registering the meters is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from energy_chain.errors import ChainError, InvalidInput
from energy_chain.events import Receipt
from energy_chain.gas import confirm_matches_gas, post_and_match_gas
from energy_chain.market import CAPACITY, Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.meters import (
    DayRange,
    FileOptions,
    Netting,
    Place,
    Readings,
    SolarModel,
    generate,
    read_readings,
)
from energy_chain.meters.made_up.generator import SOLAR_SHARE
from energy_chain.meters.made_up.places import GERMANY
from energy_chain.meters.readings import DAY
from energy_chain.replay import Trade, replay

DAYS_AT_ONCE = 7
"""Days that are made up at a time."""
_OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Community:
    """What one community trades.

    Attributes:
        number: tells it from the others.
        homes: how many are made up, or the first so many of the file; all of a file's when None.
        first: the first day.
        days: how many.
        seed: of the readings that are made up. The number goes into it as well.
        period: of the readings that are made up.
        timezone: whose days are meant, by its name in the tz database; those of the offsets in the
            file when None.
        place: climate of homes that are made up.
        solar_share: share of them that have solar.
        solar_model: whose clear sky they have.
        data: a file or folder of measured homes.
    """

    number: int
    homes: int | None
    first: date
    days: int = 1
    seed: int = 0
    period: timedelta = timedelta(minutes=15)
    timezone: str | None = "UTC"
    place: Place = GERMANY
    solar_share: float = SOLAR_SHARE
    solar_model: SolarModel = SolarModel.OWN
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a community has traded."""

    community: Community
    trade: Trade


class _Clock:
    """The time of the readings."""

    def __init__(self, period: timedelta) -> None:
        self.length = int(period.total_seconds())
        self._now = 0

    def __call__(self) -> int:
        return self._now

    def advance_to(self, start: datetime) -> int:
        self._now = int(start.timestamp())
        return self._now // self.length


class _MeteredLedger(MemoryLedger):
    """A market in memory that tells the gas of the metering operator's packed calls."""

    def post_and_match(
        self, requests: Sequence[Request], releases: Sequence[Release], max_matches: int
    ) -> Receipt:
        first_call = not self.request_counter() and not self.release_counter()
        receipt = super().post_and_match(requests, releases, max_matches)
        gas = post_and_match_gas(requests, releases, max_matches, receipt, first_call)
        return replace(receipt, gas_used=gas)

    def confirm_matches(self, first: int, count: int) -> Receipt:
        receipt = super().confirm_matches(first, count)
        return replace(receipt, gas_used=confirm_matches_gas(first, count))


def trade_community(community: Community) -> Outcome:
    """Lets one community trade, some days of readings at a time.

    Raises:
        InvalidInput: the readings cannot be made or read, or there are more homes than the rings
            of one contract are sure to hold.
    """
    total, market = Trade(), None
    for readings in _readings(community):
        market = market or MemoryMarket(readings.period)
        part = market.trade(readings)
        total += replace(part, homes=part.homes - total.homes)
    return Outcome(community, total)


class MemoryMarket:
    """A community's contract in memory, whose metering operator does all in packed calls."""

    def __init__(self, period: timedelta) -> None:
        self._clock = _Clock(period)
        self._netting = Netting()
        self._operator = _MeteredLedger.deploy(
            _OPERATOR, _OPERATOR, _OPERATOR, self._clock.length, self._clock, keep_history=False
        )

    def trade(
        self, readings: Readings, progress: Callable[[Trade], None] = lambda _: None
    ) -> Trade:
        """Trades readings that follow on those before."""
        if len(readings.meters) > CAPACITY:
            raise InvalidInput(
                f"{len(readings.meters)} homes are too many for one contract, which serves "
                f"{CAPACITY}: give fewer homes and more communities"
            )
        homes = {meter: meter for meter in readings.meters}
        return replay(
            *(readings, homes, self._operator, self._clock, progress),
            packed=True,
            netting=self._netting,
        )


def _readings(community: Community) -> Iterator[Readings]:
    zone = ZoneInfo(community.timezone) if community.timezone else None
    if community.data is not None:
        days = DayRange(community.first, community.days)
        measured = read_readings([Path(community.data)], FileOptions(timezone=zone), days)
        if community.homes is not None and community.homes > len(measured.meters):
            raise InvalidInput(
                f"--homes {community.homes}: {community.data} has {len(measured.meters)}; give at "
                "most as many"
            )
        yield measured.of_meters(measured.meters[: community.homes])
        return
    if community.homes is None:
        raise InvalidInput("a community without a file has no homes: say how many")
    for begin in range(0, community.days, DAYS_AT_ONCE):
        yield generate(
            homes=community.homes,
            first=community.first + begin * DAY,
            days=min(DAYS_AT_ONCE, community.days - begin),
            period=community.period,
            # Apart from each other, and the same however many there are.
            seed=community.seed * 1_000_003 + community.number,
            timezone=zone or UTC,
            place=community.place,
            solar_share=community.solar_share,
            solar_model=community.solar_model,
        )


def simulate(
    communities: Iterable[Community],
    workers: int | None = None,
    dask: str | None = None,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Lets communities trade in parallel; what comes of it is in their order.

    Args:
        communities: the jobs.
        workers: processes on this machine; as many as it has processors when None.
        dask: address of the scheduler of a Dask cluster that takes the jobs instead, such as
            tcp://127.0.0.1:8786. Its workers have to have this package.
        progress: called with each outcome as it comes.

    Raises:
        InvalidInput: a community cannot trade, or Dask is not installed.
        ChainError: the cluster does not answer.
    """
    jobs = list(communities)
    done: dict[int, Outcome] = {}
    run = _on_cluster(jobs, dask) if dask else _in_processes(jobs, workers)
    for outcome in run:
        done[outcome.community.number] = outcome
        progress(outcome)
    return [done[job.number] for job in jobs]


def _in_processes(jobs: Sequence[Community], workers: int | None) -> Iterator[Outcome]:
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(trade_community, jobs)
        return
    # Spawned: a fork would copy whatever threads of the caller are doing.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(trade_community, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _on_cluster(jobs: Sequence[Community], address: str) -> Iterator[Outcome]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise InvalidInput(
            "Dask is not installed: pip install energy-chain[dask], or leave --dask out"
        ) from None
    try:
        client = distributed.Client(address, timeout=5, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ChainError(
            f"no Dask scheduler answers at {address} ({type(error).__name__}): check its address"
        ) from None
    with client, client.as_current():
        futures = client.map(trade_community, jobs, pure=False)
        for _, outcome in distributed.as_completed(futures, with_results=True):
            yield outcome


@dataclass(frozen=True, slots=True)
class BySize:
    """The communities of one size, taken together.

    Attributes:
        homes: of each of them.
        communities: how many.
        days: that each of them traded.
        trade: all that they traded.
        local_shares: share of the need that each met locally, ascending; those with a need.
    """

    homes: int
    communities: int
    days: int
    trade: Trade
    local_shares: tuple[float, ...]

    @property
    def median_local_share(self) -> float | None:
        """Share of the need that the median community met locally; None without a need."""
        return median(self.local_shares) if self.local_shares else None

    @property
    def home_days(self) -> int:
        """Days of one home, all of them together."""
        return self.homes * self.communities * self.days


def by_size(outcomes: Iterable[Outcome]) -> list[BySize]:
    """Outcomes taken together by the number of homes and days, the smallest first."""
    groups: dict[tuple[int, int], list[Trade]] = {}
    for outcome in outcomes:
        size = outcome.trade.homes, outcome.community.days
        groups.setdefault(size, []).append(outcome.trade)
    return [
        BySize(
            homes,
            len(trades),
            days,
            sum(trades, Trade()),
            tuple(sorted(share for t in trades if (share := t.local_share) is not None)),
        )
        for (homes, days), trades in sorted(groups.items())
    ]
