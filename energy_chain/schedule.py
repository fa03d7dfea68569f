"""Posting on time: each energy in the delivery period that it was metered for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from typing import NamedTuple

from energy_chain.ledger import Ledger


class PeriodEnergy(NamedTuple):
    """Wh of one delivery period, which has the number Unix time // period length."""

    period: int
    energy: int


@dataclass(frozen=True, slots=True)
class PostingReport:
    """How many orders a node posted, and how many came too late for their period."""

    posted: int
    late: int


def post_on_time(
    ledger: Ledger,
    energies: Iterable[PeriodEnergy],
    post: Callable[[int], None],
    stop: Event,
    poll_seconds: float,
    wait: Callable[[], None] = lambda: None,
) -> PostingReport:
    """Calls `post` with each energy once the chain has reached its period.

    Energies of 0 Wh are no orders. One whose period is over is counted, not posted. `wait` is
    called on each look at a period that is still to come, and until the period of the last order
    is over.
    """
    posted = late = 0
    last = None

    def wait_for(period: int) -> None:
        while ledger.current_period() < period and not stop.is_set():
            wait()
            stop.wait(poll_seconds)

    for due in energies:
        wait_for(due.period)
        if stop.is_set():
            break
        if due.energy == 0:
            continue
        if ledger.current_period() > due.period:
            late += 1
            continue
        post(due.energy)
        posted += 1
        last = due.period
    if last is not None:
        wait_for(last + 1)
    return PostingReport(posted, late)
