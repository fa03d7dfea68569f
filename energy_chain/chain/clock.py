"""The clock of a development chain, moved from delivery period to delivery period."""

from __future__ import annotations

from datetime import datetime

from energy_chain.chain.connection import Connection


class ChainClock:
    """Lets readings of any day be traded on a chain that has a time of its own.

    The first readings trade in the chain's next period, the others as much later
    as they are in the file. On an embedded chain that begins one period before
    the readings, the chain's time is the time of the readings.
    """

    def __init__(self, connection: Connection, period_length: int) -> None:
        self._connection = connection
        self._period_length = period_length
        self._shift: int | None = None

    def advance_to(self, start: datetime) -> int:
        """Moves the chain's clock to the period of `start`; returns the period's number.

        Raises:
            ChainError: the node cannot move its clock.
        """
        wanted = int(start.timestamp())
        now = self._connection.block_time()
        if self._shift is None:
            self._shift = (now // self._period_length + 1) * self._period_length - wanted
        wanted += self._shift
        if now < wanted:
            self._connection.advance_time(wanted - now)
        return wanted // self._period_length
