"""Trading a file of meter readings: each home's meter posts, the aggregator matches, homes draw.

Works on any `Ledger` whose clock can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from energy_chain.aggregator_node import AggregatorNode
from energy_chain.consumer_node import ConsumerNode
from energy_chain.errors import InvalidInput
from energy_chain.events import DeliveryConfirmed
from energy_chain.ledger import Ledger
from energy_chain.market import MAX_BATCH, Address
from energy_chain.meters import Readings, net_positions
from energy_chain.producer_node import ProducerNode


class Clock(Protocol):
    """Moves the market's time to where the readings are."""

    def advance_to(self, start: datetime) -> int:
        """Lets the delivery period of the readings that start at `start` begin.

        Returns the period's number in the market.
        """


@dataclass(slots=True)
class Trade:
    """What has been traded so far. Energies in Wh, gas in units of gas.

    Attributes:
        homes: meters that were registered.
        periods: delivery periods that are over.
        requests, releases: orders posted.
        matches: matches written.
        offered, needed: energy of the requests and of the releases.
        matched, consumed: energy of the matches, and what of it was drawn and confirmed.
        setup_gas, posting_gas, matching_gas, consuming_gas: what the calls used.
    """

    homes: int = 0
    periods: int = 0
    requests: int = 0
    releases: int = 0
    matches: int = 0
    offered: int = 0
    needed: int = 0
    matched: int = 0
    consumed: int = 0
    setup_gas: int = 0
    posting_gas: int = 0
    matching_gas: int = 0
    consuming_gas: int = 0

    @property
    def to_grid(self) -> int:
        """Wh offered that nobody needed: left to the grid."""
        return self.offered - self.matched

    @property
    def from_grid(self) -> int:
        """Wh needed that nobody offered: taken from the grid."""
        return self.needed - self.matched

    @property
    def local_share(self) -> float | None:
        """Share of the need that was met locally, 0 to 1; None without a need."""
        return self.matched / self.needed if self.needed else None

    @property
    def trading_gas(self) -> int:
        """Gas of posting, matching and consuming."""
        return self.posting_gas + self.matching_gas + self.consuming_gas

    @property
    def gas_per_matched_kwh(self) -> float | None:
        """Gas of trading for each kWh matched; None when nothing was."""
        return self.trading_gas * 1000 / self.matched if self.matched else None


def register(operator: Ledger, homes: list[Address]) -> int:
    """Registers the homes' meters in as few calls as possible; returns the gas used."""
    return sum(
        operator.register_meters(homes[start : start + MAX_BATCH]).gas_used
        for start in range(0, len(homes), MAX_BATCH)
    )


def replay(
    readings: Readings,
    accounts: Mapping[str, Address],
    operator: Ledger,
    clock: Clock,
    progress: Callable[[Trade], None] = lambda _: None,
) -> Trade:
    """Trades readings: registers the homes, then posts, matches and draws period by period.

    Args:
        readings: what the homes' meters measured.
        accounts: the account of each meter.
        operator: the metering operator's ledger, which can act for every account.
        clock: lets the delivery periods begin.
        progress: called after each period with what was traded so far.

    Raises:
        InvalidInput: a period of the market ended before all was posted and matched.
        MarketRefusal, ChainError: as the ledger raises them.
    """
    homes = [accounts[meter] for meter in readings.meters]
    trade = Trade(homes=len(homes), setup_gas=register(operator, homes))
    producers = {home: ProducerNode(operator.as_account(home)) for home in homes}
    consumers = {home: ConsumerNode(operator.as_account(home)) for home in homes}
    aggregator = AggregatorNode(operator.as_account(operator.aggregator()))
    for positions in net_positions(readings):
        period = clock.advance_to(positions.start)
        for meter, energy in positions.energies.items():
            home = accounts[meter]
            if energy > 0:
                trade.posting_gas += producers[home].put_energy_request(home, energy).gas_used
                trade.requests += 1
                trade.offered += energy
            elif energy < 0:
                trade.posting_gas += consumers[home].put_energy_release(home, -energy).gas_used
                trade.releases += 1
                trade.needed -= energy
        done = aggregator.check_incoming_energy()
        trade.matches += done.matches
        trade.matched += done.energy
        trade.matching_gas += done.gas_used
        if operator.current_period() != period:
            raise InvalidInput(
                f"the period of {positions.start.isoformat()} ended before {len(homes)} homes had "
                "posted and were matched: give longer periods or fewer homes"
            )
        if done.matches:
            for meter, energy in positions.energies.items():
                if energy < 0:
                    _draw(consumers[accounts[meter]], accounts[meter], trade)
        trade.periods += 1
        progress(trade)
    return trade


def _draw(consumer: ConsumerNode, home: Address, trade: Trade) -> None:
    if consumer.fetch_target_address(home) is None:
        return
    for receipt in consumer.draw(home):
        trade.consuming_gas += receipt.gas_used
        trade.consumed += sum(
            event.energy for event in receipt.events if isinstance(event, DeliveryConfirmed)
        )
