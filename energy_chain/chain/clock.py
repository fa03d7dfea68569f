"""Clocks of a chain: which delivery period the readings of a time trade in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from time import sleep
from types import TracebackType
from typing import Self

from web3.exceptions import Web3Exception

from energy_chain.chain.connection import Connection
from energy_chain.chain.networks import Network
from energy_chain.errors import ChainError
from energy_chain.trouble import Troubles

POLL_SECONDS = 1.0
IDLE_SECONDS = 5.0
"""After this long without a block, a development chain is given one."""
STANDSTILL_SECONDS = 30.0
"""After this long without a block, another chain stands still."""
LEAVE_SECONDS = 2.0
"""How long the end waits for a beat that is under way: a node that hangs holds nobody up."""


class ChainClock:
    """Lets readings of any day be traded on a chain that has a time of its own.

    The first readings trade in the chain's next period, the others as many
    periods later as they are in the file. On an embedded chain that begins one
    period before the readings, the chain's time is the time of the readings.

    A development chain's clock is moved; elsewhere the clock waits.
    """

    def __init__(self, connection: Connection, period_length: int, step: timedelta) -> None:
        """A clock for readings with a period of `step` and a market with `period_length` s."""
        self._connection = connection
        self._period_length = period_length
        self._step = step
        self._first: tuple[datetime, int] | None = None

    @property
    def began(self) -> datetime | None:
        """When the first readings' period began on the chain; None before, and without periods."""
        if self._first is None:
            return None
        return datetime.fromtimestamp(self._first[1] * self._period_length, UTC)

    def advance_to(self, start: datetime) -> int:
        """Lets the period of the readings of `start` begin; returns the period's number.

        In a market whose orders never expire there is one period, 0.

        Raises:
            ChainError: the node of a development chain cannot move its clock.
        """
        if not self._period_length:
            return 0
        now = self._connection.block_time()
        if self._first is None:
            self._first = start, now // self._period_length + 1
        first_start, first_period = self._first
        period = first_period + (start - first_start) // self._step
        begin = period * self._period_length
        if now < begin and self._connection.is_development:
            self._connection.advance_time(begin - now)
        while self._connection.block_time() < begin:
            sleep(POLL_SECONDS)
        return period


class Heartbeat:
    """Sees to it that time goes on while somebody waits for a delivery period.

    A development chain makes a block for each transaction, and its time is that
    of its latest block: without blocks no period would ever begin, so it is given
    some. On other chains a standstill is only reported.
    """

    def __init__(
        self,
        network: Network,
        idle_seconds: float = IDLE_SECONDS,
        standstill_seconds: float = STANDSTILL_SECONDS,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """A heartbeat with a connection of its own.

        Args:
            network: the chain's.
            idle_seconds: after so long without a block a development chain is given one.
            standstill_seconds: after so long without a block another chain stands still.
            report: is told of a standstill, once for each.

        Raises:
            NodeUnreachable, WrongChain: see `Connection`.
        """
        self._connection = Connection.open(network)
        self._standstill = Troubles(report)
        development = self._connection.is_development
        self._seconds = idle_seconds if development else standstill_seconds
        self._stop = Event()
        self._thread = Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join(LEAVE_SECONDS)

    def _beat(self) -> None:
        seen = -1
        while not self._stop.wait(self._seconds):
            try:
                latest = self._connection.w3.eth.block_number
                if latest != seen:
                    self._standstill.over()
                elif self._connection.is_development:
                    self._connection.advance_time(0)
                else:
                    self._standstill.met(
                        f"{self._connection.network.name} has made no block for "
                        f"{self._seconds:g} s, and periods follow blocks; a Ganache makes them by "
                        "itself with energy-chain ganache --block-time 1"
                    )
                seen = latest
            except (ChainError, Web3Exception):
                # Whoever waits for the chain meets the same fault, and says so if it stays.
                continue
