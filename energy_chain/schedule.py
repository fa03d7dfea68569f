"""Posting on time: each energy in the delivery period that it was metered for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from typing import NamedTuple

from energy_chain.errors import ReceiptTimeout
from energy_chain.ledger import Ledger
from energy_chain.trouble import Troubles


class PeriodEnergy(NamedTuple):
    """Wh of one delivery period, which has the number Unix time // period length."""

    period: int
    energy: int


@dataclass(frozen=True, slots=True)
class PostingReport:
    """What became of a node's orders.

    Attributes:
        posted: orders that are on chain.
        late: orders that came too late for their period, and were not posted.
        unknown: orders that were sent in their period, and of which nobody knows whether they were
            mined. They were not posted again.
    """

    posted: int
    late: int
    unknown: int = 0


def post_on_time(
    ledger: Ledger,
    energies: Iterable[PeriodEnergy],
    post: Callable[[PeriodEnergy], None],
    stop: Event,
    poll_seconds: float,
    troubles: Troubles,
    wait: Callable[[], None] = lambda: None,
) -> PostingReport:
    """Calls `post` with each energy once the chain has reached its period.

    Energies of 0 Wh are no orders. One whose period is over is counted, not posted. `wait` is
    called on each look at a period that is still to come, and until the period of the last order
    is over. What fails and passes is tried again while the period lasts: `post` must have its
    effect once, see `Ledger.keyed`.

    Raises:
        EnergyChainError: what does not pass.
    """
    posted = late = unknown = 0
    sent: PeriodEnergy | None = None
    last = None

    def until(done: Callable[[], bool]) -> None:
        while not stop.is_set():
            with troubles:
                if done():
                    return
            stop.wait(poll_seconds)

    def reached(period: int) -> bool:
        if ledger.current_period() >= period:
            return True
        wait()
        return False

    def settled(due: PeriodEnergy) -> bool:
        nonlocal posted, late, unknown, sent, last
        if ledger.current_period() > due.period:
            late += sent is None
            unknown += sent is not None
        else:
            try:
                post(due)
            except ReceiptTimeout:
                sent = due
                raise
            posted += 1
            last = due.period
        sent = None
        return True

    for due in energies:
        until(lambda period=due.period: reached(period))  # type: ignore[misc]
        if stop.is_set():
            break
        if due.energy:
            until(lambda due=due: settled(due))  # type: ignore[misc]
    if last is not None:
        until(lambda: reached(last + 1))
    return PostingReport(posted, late, unknown + (sent is not None))
