"""A world with a time of its own, in which aggregators share a market and may die.

What waits in it waits for no clock: one thing after the other happens, in an order that a seed
decides, and an hour takes seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import floor
from random import Random
from threading import Semaphore, Thread
from typing import Any

from energy_chain import AggregatorNode, MemoryLedger
from energy_chain.errors import MarketPaused, NodeUnreachable
from energy_chain.events import Receipt
from energy_chain.market import Release, Request

OWNER, OPERATOR, SUN, OVEN = (f"0x{n:040X}" for n in range(1, 5))
AGGREGATORS = [f"0x{n:040X}" for n in range(0xA0, 0xA8)]
PERIOD_LENGTH = 900


class Killed(BaseException):
    """As SIGKILL does: nothing of the process's own is done any more."""


class World:
    """Lets processes wait for each other, one of them running at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._next: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._turn = Semaphore(0)

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Lets something happen at a time."""
        heapq.heappush(self._next, (time, next(self._numbers), action))

    def sleep(self, seconds: float) -> None:
        """Lets a process wait."""
        woken = Semaphore(0)
        self.at(self.now + seconds, lambda: self._let(woken.release))
        self._turn.release()
        woken.acquire()

    def start(self, process: Callable[[], None]) -> None:
        """Begins a process now."""

        def run() -> None:
            try:
                process()
            except Killed:
                pass
            finally:
                self._turn.release()

        self.at(self.now, lambda: self._let(Thread(target=run).start))

    def _let(self, go_on: Callable[[], None]) -> None:
        go_on()
        self._turn.acquire()  # until it waits again, or has ended

    def run(self) -> None:
        """Lets everything happen."""
        while self._next:
            self.now, _, action = heapq.heappop(self._next)
            action()


@dataclass
class Call:
    """A transaction of an aggregator, as the chain has it."""

    time: float
    account: str
    matches: int


@dataclass
class Market:
    """A market on a chain with a block each `block` seconds, or one for each transaction (0)."""

    world: World
    random: Random
    block: float = 0.0
    latency: tuple[float, float] = (0.002, 0.02)
    calls: list[Call] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger.deploy(
            OWNER, AGGREGATORS[0], OPERATOR, PERIOD_LENGTH, lambda: int(self.world.now)
        )
        self.ledger.register_meters([SUN, OVEN])

    def next_block(self) -> float:
        """When what is sent now is mined."""
        now = self.world.now
        return (floor(now / self.block) + 1) * self.block if self.block else now

    def post(self, pairs: int, matching: bool = False) -> None:
        """Somebody offers and somebody needs as much; mined with the next block.

        Nothing is posted while the market is paused.
        """

        def mined() -> None:
            if not self.ledger.paused():
                self.ledger.as_account(OPERATOR).post_and_match(
                    [Request(1, 5)] * pairs, [Release(2, 5)] * pairs, 256 * matching
                )

        self.world.at(self.next_block(), mined)

    def posts(self, until: float, mean: float, most: int = 3) -> None:
        """A stream of them."""
        time = 0.0
        while (time := time + self.random.expovariate(1 / mean)) < until:
            self.world.at(time, lambda: self.post(self.random.randint(1, most)))

    def useful(self) -> float:
        """Share of the calls that matched anything."""
        return sum(call.matches > 0 for call in self.calls) / len(self.calls)


class Process:
    """An aggregator that is running. Looks to it like a ledger, and like its event to stop."""

    def __init__(self, market: Market, number: int, start: float, poll: float = 1.0) -> None:
        self.market, self.account = market, AGGREGATORS[number]
        self.reports: list[Any] = []
        self.troubles: list[str] = []
        self._world = market.world
        self._node = AggregatorNode(self)  # type: ignore[arg-type]
        self._dead = self._stopped = False
        self._stalled_until = 0.0
        self._random = Random(f"{market.random.random()} {number}")
        self._poll = poll
        self._world.at(start, lambda: self._world.start(self._run))

    def _run(self) -> None:
        self._node.run(
            self,  # type: ignore[arg-type]
            self.reports.append,
            self._poll,
            self.troubles.append,
            lambda: self._world.now,
            self._random,
        )

    def kill(self) -> None:
        self._dead = True

    def stop(self) -> None:
        self._stopped = True

    def stall(self, seconds: float) -> None:
        """As SIGSTOP and SIGCONT do, or a machine with too much to do."""
        self._stalled_until = self._world.now + seconds

    def _sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)
        if self._world.now < self._stalled_until:
            self._world.sleep(self._stalled_until - self._world.now)
        if self._dead:
            raise Killed

    # as the event to stop

    def is_set(self) -> bool:
        return self._stopped

    def wait(self, timeout: float) -> bool:
        self._sleep(timeout)
        return self._stopped

    # as the ledger

    def _ask(self) -> None:
        self._sleep(self.market.random.uniform(*self.market.latency))
        if self.market.away:
            raise NodeUnreachable("nobody answers")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def read(*arguments: Any) -> Any:
            self._ask()
            return getattr(self.market.ledger, name)(*arguments)

        return read

    def match_pending(self, most: int) -> Receipt:
        self._ask()
        market = self.market
        if market.ledger.paused():  # tried as a call before it is sent
            raise MarketPaused
        told: list[Receipt] = []

        def mined() -> None:
            told.append(market.ledger.as_account(self.account).match_pending(most))
            market.calls.append(Call(self._world.now, self.account, len(told[0].fills)))

        time = market.next_block()
        self._world.at(time, mined)  # also when whoever sent it is dead by then
        self._sleep(time - self._world.now)
        while not told:
            self._ask()
        return told[0]
