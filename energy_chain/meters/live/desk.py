"""The rule by which readings that come one by one become orders: `docs/meter-data.md`.

A reading of a period is due until a deadline after the period's end. Then

    in time      its net energy becomes an order
    missing      no order; the gap is told, and the energy counts nowhere as 0 Wh
    late         as in time, and told as an adjustment
    corrected    the difference to what was taken before becomes an order, told as an adjustment
    repeated     changes nothing
    outdated     it has a lower revision than what was taken: changes nothing
    refused      too old, of a time before the desk began, or of a period that is not over

Orders are of the delivery period that is current when they are posted. All go
through the same netting: what is left below 1 Wh is carried over to the meter's
next order, so that over any time the orders add up to the readings as they stand.

Nothing here has a clock or keeps anything: see `desk_store`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY
from energy_chain.meters.measurements import EPOCH
from energy_chain.meters.readings import UWH, Reading, period_fault

SKEW = timedelta(seconds=60)
"""How far a meter's clock may be ahead of the desk's."""
DEADLINE = timedelta(minutes=5)
KEEP = timedelta(days=35)


class Verdict(StrEnum):
    """What becomes of a reading."""

    IN_TIME = "in time"
    LATE = "late"
    CORRECTION = "correction"
    REPEATED = "repeated"
    OUTDATED = "outdated"
    TOO_OLD = "too old"
    BEFORE_START = "before the desk began"
    NOT_OVER = "period not over"
    OFF_GRID = "start off the periods"
    OUT_OF_RANGE = "energy out of range"


TAKEN = (Verdict.IN_TIME, Verdict.LATE, Verdict.CORRECTION)
"""Verdicts of readings that change something."""
TOLD = (Verdict.LATE, Verdict.CORRECTION)
"""Verdicts that are told as adjustments."""


@dataclass(frozen=True, slots=True)
class DeskRule:
    """The numbers of the rule.

    Attributes:
        period: how long a period is.
        deadline: how long after its end a reading is in time; shorter than a period.
        keep: how long after its end a reading is taken or corrected at all.

    Raises:
        InvalidInput: they do not go together.
    """

    period: timedelta
    deadline: timedelta = DEADLINE
    keep: timedelta = KEEP

    def __post_init__(self) -> None:
        """Refuses numbers that do not go together."""
        if fault := period_fault(self.period):
            raise InvalidInput(f"period is {self.period}; {fault}")
        if not timedelta(0) <= self.deadline < self.period:
            raise InvalidInput(
                f"deadline is {self.deadline}; give less than a period of {self.period}"
            )
        if self.keep <= self.deadline:
            raise InvalidInput(f"keep is {self.keep}; give more than the deadline")


@dataclass(frozen=True, slots=True)
class Known:
    """A reading as it was taken: microwatt-hours, and the revision that it had."""

    consumption: int
    production: int
    revision: int = 0

    @property
    def net(self) -> int:
        """Production minus consumption."""
        return self.production - self.consumption


def judge(
    reading: Reading,
    revision: int,
    received_at: datetime,
    known: Known | None,
    begin: datetime,
    rule: DeskRule,
) -> Verdict:
    """What becomes of a reading.

    Args:
        reading: it.
        revision: the number of the correction, 0 where meters do not count them.
        received_at: when it came.
        known: what was taken of the same meter and period before.
        begin: the start of the first period of which readings are taken.
        rule: the numbers.
    """
    end = reading.start + rule.period
    if (reading.start - EPOCH) % rule.period:
        return Verdict.OFF_GRID
    if not all(0 <= e <= MAX_ENERGY * UWH for e in (reading.consumption, reading.production)):
        return Verdict.OUT_OF_RANGE
    if received_at < end - SKEW:
        return Verdict.NOT_OVER
    if reading.start < begin:
        return Verdict.BEFORE_START
    if received_at > end + rule.keep:
        return Verdict.TOO_OLD
    if known is None:
        return Verdict.IN_TIME if received_at <= end + rule.deadline else Verdict.LATE
    if revision < known.revision:
        return Verdict.OUTDATED
    same = (known.consumption, known.production) == (reading.consumption, reading.production)
    return Verdict.REPEATED if same else Verdict.CORRECTION


def last_over(now: datetime, rule: DeskRule) -> datetime:
    """The start of the latest period whose deadline is over."""
    periods = (now - rule.deadline - EPOCH) // rule.period
    return EPOCH + (periods - 1) * rule.period


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A late or corrected reading, and the order that it became. Told for good.

    Attributes:
        meter: whose.
        period_start: of the reading.
        was: net energy that was taken before, production minus consumption in microwatt-hours;
            None of a late reading.
        is_: net energy now.
        received_at: when the reading came.
        order_period: number of the delivery period of the order; None before it is posted.
        order_energy: Wh, positive surplus; 0 when the difference is still carried over.
        reason: late or correction.
    """

    meter: str
    period_start: datetime
    was: int | None
    is_: int
    received_at: datetime
    order_period: int | None
    order_energy: int
    reason: Verdict


@dataclass(frozen=True, slots=True)
class Missing:
    """A reading that had not come at its deadline."""

    meter: str
    period_start: datetime
