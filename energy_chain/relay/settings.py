"""How a relay is set up."""

from __future__ import annotations

from dataclasses import dataclass

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_SIGNED

MOST_WAITING = 10_000
CLIENT_RATE = "600/minute"
METER_RATE = "30/minute"


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How a relay is set up.

    Attributes:
        batch_size: orders that are posted as soon as so many wait, 1..100.
        batch_seconds: seconds after which an order is posted even if few wait.
        most_waiting: orders that may wait; above it none is taken.
        client_rate: requests of one client address, such as 600/minute.
        meter_rate: orders of one registered meter, such as 30/minute.
    """

    batch_size: int = MAX_SIGNED
    batch_seconds: float = 5.0
    most_waiting: int = MOST_WAITING
    client_rate: str = CLIENT_RATE
    meter_rate: str = METER_RATE

    def __post_init__(self) -> None:
        """Refuses what no relay can be run with.

        Raises:
            InvalidInput: a number is out of range, or a rate is none.
        """
        from limits import parse

        if not 1 <= self.batch_size <= MAX_SIGNED:
            raise InvalidInput(
                f"a batch of {self.batch_size} orders is out of range: give 1 to {MAX_SIGNED}"
            )
        if not self.batch_seconds > 0 or self.most_waiting < 1:
            raise InvalidInput("seconds and orders to wait have to be above zero")
        for rate in (self.client_rate, self.meter_rate):
            try:
                parse(rate)
            except ValueError:
                raise InvalidInput(f"{rate!r} is no rate: give one such as {CLIENT_RATE}") from None
