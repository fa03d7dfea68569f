"""From exact readings to the whole-Wh orders that a market takes.

For each meter and period

    net   = production - consumption + rest carried over from earlier periods
    order = net, truncated toward zero to whole Wh
    rest  = net - order, which is carried over to the meter's next period

The rest is always less than 1 Wh in size, and nothing is lost: over any run of
a meter's periods, the sum of its orders plus the rest after the last of them
equals the exact sum of production - consumption plus the rest before the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from types import MappingProxyType

from energy_chain.errors import InvalidInput
from energy_chain.meters.readings import EXACT, Reading, Readings

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PeriodPositions:
    """The orders of one period, in whole Wh by meter.

    Positive is a surplus (a request), negative a need (a release), zero no order.
    """

    start: datetime
    energies: Mapping[str, int]


class Netting:
    """Nets readings into whole-Wh orders and carries each meter's rest over.

    Give each meter's readings in the order of their periods.
    """

    def __init__(self) -> None:
        self._rests: dict[str, Decimal] = {}

    @property
    def rests(self) -> Mapping[str, Decimal]:
        """What each meter has carried over so far, in Wh: more than -1, less than 1."""
        return MappingProxyType(self._rests)

    def position(self, reading: Reading) -> int:
        """The order that `reading` gives, in whole Wh: positive surplus, negative need.

        Raises InvalidInput when an energy is not finite or has so many digits
        (about 200) that the sum would not be exact; nothing is carried over then.
        """
        rest = self._rests.get(reading.meter, _ZERO)
        try:
            net = EXACT.add(EXACT.subtract(reading.production, reading.consumption), rest)
            order = int(net)
            rest = EXACT.subtract(net, Decimal(order))
        except (ArithmeticError, ValueError):
            raise InvalidInput(
                f"meter {reading.meter} at {reading.start.isoformat()}: consumption and production"
                " cannot be netted exactly; give finite energies with fewer digits"
            ) from None
        self._rests[reading.meter] = rest
        return order


def net_positions(readings: Readings, netting: Netting | None = None) -> Iterator[PeriodPositions]:
    """The orders of each period, in the order of time.

    Give a `netting` to start from the rests that it holds, or to read the final
    rests from it once the iterator is used up. Raises InvalidInput as
    `Netting.position` does.
    """
    if netting is None:
        netting = Netting()
    # Grouped by instant: equal times on the wall need not be the same period.
    for _, group in groupby(readings.readings, key=lambda reading: reading.start.astimezone(UTC)):
        period = list(group)
        yield PeriodPositions(
            period[0].start, {reading.meter: netting.position(reading) for reading in period}
        )
