"""From readings to the whole-Wh orders that a market takes.

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
from datetime import datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from energy_chain.meters.readings import UWH, Reading, Readings


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

    def __init__(self, rests: Mapping[str, int] = MappingProxyType({})) -> None:
        """A netting that goes on from rests in microwatt-hours, or begins without any."""
        self._rests = dict(rests)

    @property
    def rests(self) -> Mapping[str, int]:
        """What each meter has carried over so far, in microwatt-hours: less than 1 Wh in size."""
        return MappingProxyType(self._rests)

    def position(self, reading: Reading) -> int:
        """The order that `reading` gives, in whole Wh: positive surplus, negative need."""
        return self.order(reading.meter, reading.production - reading.consumption)

    def order(self, meter: str, energy: int) -> int:
        """The order in whole Wh that a net energy in microwatt-hours gives."""
        net = energy + self._rests.get(meter, 0)
        order = abs(net) // UWH * (1 if net > 0 else -1)
        self._rests[meter] = net - order * UWH
        return order

    def positions(self, readings: Readings) -> NDArray[np.int64]:
        """The orders that `readings` give, in whole Wh, of shape (periods, meters)."""
        nets = readings.production - readings.consumption
        rest = np.array([self._rests.get(meter, 0) for meter in readings.meters], np.int64)
        orders = np.empty_like(nets)
        for net, order in zip(nets, orders, strict=True):
            rest += net
            order[:] = np.sign(rest) * (np.abs(rest) // UWH)
            rest -= order * UWH
        self._rests.update(zip(readings.meters, rest.tolist(), strict=True))
        return orders


def net_positions(readings: Readings, netting: Netting | None = None) -> Iterator[PeriodPositions]:
    """The orders of each period, in the order of time.

    Give a `netting` to start from the rests that it holds, or to read the final
    rests from it once the iterator is used up.
    """
    orders = (netting or Netting()).positions(readings)
    for start, energies in zip(readings.starts, orders.tolist(), strict=True):
        yield PeriodPositions(start, dict(zip(readings.meters, energies, strict=True)))
