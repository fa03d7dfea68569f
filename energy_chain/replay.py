"""Trading a file of meter readings: each home's meter posts, the aggregator matches, homes draw.

Works on any `Ledger` whose clock can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Protocol

from energy_chain.aggregator_node import AggregatorNode
from energy_chain.consumer_node import ConsumerNode
from energy_chain.errors import InvalidInput
from energy_chain.events import DeliveryConfirmed, Receipt
from energy_chain.ledger import Ledger
from energy_chain.market import (
    LANES_PER_WORD,
    MAX_BATCH,
    MAX_SIGNED,
    Address,
    Fill,
    Release,
    Request,
)
from energy_chain.meters import Netting, Readings, net_positions
from energy_chain.producer_node import ProducerNode
from energy_chain.schedule import PeriodEnergy
from energy_chain.signing import Kind, OrderTerms, SignedOrder, sign, signing_length


class Clock(Protocol):
    """Moves the market's time to where the readings are."""

    def advance_to(self, start: datetime) -> int:
        """Lets the delivery period of the readings that start at `start` begin.

        Returns the period's number in the market.
        """


@dataclass(frozen=True, slots=True)
class Relay:
    """What it takes to trade orders that the homes' meters sign and somebody else posts.

    Attributes:
        ledger: of whoever posts them and pays the gas; needs no role in the market.
        keys: the private key of each meter's account.
    """

    ledger: Ledger
    keys: Mapping[Address, bytes] = field(repr=False)


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
        posting_and_matching_gas: what the calls used that did both; in neither of the two.
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
    posting_and_matching_gas: int = 0
    consuming_gas: int = 0

    def __add__(self, other: Trade) -> Trade:
        """Both: of two communities, or of what one of them traded later with more homes."""
        return Trade(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

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
        return (
            self.posting_gas
            + self.matching_gas
            + self.posting_and_matching_gas
            + self.consuming_gas
        )

    @property
    def gas_per_matched_kwh(self) -> float | None:
        """Gas of trading for each kWh matched; None when nothing was."""
        return self.trading_gas * 1000 / self.matched if self.matched else None


def register(operator: Ledger, homes: Sequence[Address]) -> int:
    """Registers those of the homes' meters that are not, in as few calls as possible.

    Returns the gas used.
    """
    return sum(receipt.gas_used for receipt in register_new(operator, homes))


def register_new(registrar: Ledger, homes: Sequence[Address]) -> Iterator[Receipt]:
    """Registers as `register` does; yields the receipt of each call.

    Raises:
        MarketRefusal, ChainError: as the ledger raises them; what was registered before stays so.
    """
    new = [home for home in homes if (meter := registrar.meter(home)) is None or meter.retired]
    for start in range(0, len(new), MAX_BATCH):
        yield registrar.register_meters(new[start : start + MAX_BATCH])


def energies_of(readings: Readings, meter: str, first_period: int) -> Iterator[PeriodEnergy]:
    """What one home posts, period after period from `first_period` on: a surplus is positive.

    Raises:
        InvalidInput: the readings have no such meter.
    """
    if meter not in readings.meters:
        raise InvalidInput(
            f"there are no readings of {meter!r}: give one of {', '.join(readings.meters)}"
        )
    for period, positions in enumerate(net_positions(readings.of_meters([meter])), first_period):
        yield PeriodEnergy(period, positions.energies[meter])


def replay(
    readings: Readings,
    accounts: Mapping[str, Address],
    operator: Ledger,
    clock: Clock,
    progress: Callable[[Trade], None] = lambda _: None,
    packed: bool = False,
    aggregator: Ledger | None = None,
    relay: Relay | None = None,
    netting: Netting | None = None,
) -> Trade:
    """Trades readings: registers the homes, then posts, matches and draws period by period.

    Args:
        readings: what the homes' meters measured.
        accounts: the account of each meter.
        operator: the metering operator's ledger, which can act for every account.
        clock: lets the delivery periods begin.
        progress: called after each period with what was traded so far.
        packed: whether the metering operator posts and confirms for all homes in packed batches;
            otherwise each home's meter posts and draws for itself.
        aggregator: the ledger of whoever matches; the metering operator when None, which matches
            packed batches in the calls that post them.
        relay: who posts what the homes' meters have signed, in batches, while the metering operator
            confirms for all homes. Not with `packed`.
        netting: holds what earlier readings of these homes have carried over.

    Raises:
        InvalidInput: a period of the market ended before all was posted and matched; or both
            `packed` and `relay` are given.
        MarketRefusal, ChainError: as the ledger raises them.
    """
    if packed and relay:
        raise InvalidInput("orders are either packed or signed: give one of packed and relay")
    homes = [accounts[meter] for meter in readings.meters]
    trade = Trade(homes=len(homes), setup_gas=register(operator, homes))
    trader: _Batches | _SingleMeters
    if relay:
        trader = _SignedOrders(operator, homes, trade, relay)
    elif packed:
        trader = _Batches(operator, homes, trade, matching=aggregator is None)
    else:
        trader = _SingleMeters(operator, homes, trade)
    matching = AggregatorNode(aggregator or operator)
    for positions in net_positions(readings, netting):
        period = clock.advance_to(positions.start)
        energies = {accounts[meter]: energy for meter, energy in positions.energies.items()}
        for energy in energies.values():
            trade.requests += energy > 0
            trade.releases += energy < 0
            trade.offered += max(energy, 0)
            trade.needed += max(-energy, 0)
        first_match = operator.match_counter()
        _check_period(operator, period, positions.start, len(homes))
        fills = trader.post(energies)
        done = matching.check_incoming_energy()
        _check_period(operator, period, positions.start, len(homes))
        fills |= done.fills
        matches, energy = len(fills), sum(fill.energy for fill in fills.values())
        if (written := operator.match_counter() - first_match) > matches:
            # Another aggregator was faster: what both of them matched is still there to be read.
            found = (operator.match_at(first_match + index) for index in range(written))
            matches, energy = written, sum(match.energy for match in found if match)
        trade.matches += matches
        trade.matched += energy
        trade.matching_gas += done.gas_used
        if matches:
            consumers = [home for home, energy in energies.items() if energy < 0]
            trader.draw(consumers, first_match, fills if len(fills) == matches else None)
        trade.periods += 1
        progress(trade)
    return trade


def _check_period(ledger: Ledger, period: int, start: datetime, homes: int) -> None:
    if ledger.current_period() != period:
        raise InvalidInput(
            f"the period of {start.isoformat()} ended before {homes} homes had "
            "posted and were matched: give longer periods or fewer homes"
        )


class _SingleMeters:
    """Each home's meter posts and draws for itself, a transaction each."""

    def __init__(self, operator: Ledger, homes: Sequence[Address], trade: Trade) -> None:
        self._producers = {home: ProducerNode(operator.as_account(home)) for home in homes}
        self._consumers = {home: ConsumerNode(operator.as_account(home)) for home in homes}
        self._trade = trade

    def post(self, energies: Mapping[Address, int]) -> dict[int, Fill]:
        """Posts what the homes have and need; returns the matches that this wrote."""
        for home, energy in energies.items():
            if energy > 0:
                receipt = self._producers[home].put_energy_request(home, energy)
                self._trade.posting_gas += receipt.gas_used
            elif energy < 0:
                receipt = self._consumers[home].put_energy_release(home, -energy)
                self._trade.posting_gas += receipt.gas_used
        return {}

    def draw(
        self, consumers: Iterable[Address], _first_match: int, _fills: Mapping[int, Fill] | None
    ) -> None:
        """Each home looks its matches up, draws them and confirms."""
        for home in consumers:
            if self._consumers[home].fetch_target_address(home) is None:
                continue
            for receipt in self._consumers[home].draw(home):
                self._trade.consuming_gas += receipt.gas_used
                self._trade.consumed += sum(
                    event.energy for event in receipt.events if isinstance(event, DeliveryConfirmed)
                )


class _Batches:
    """The metering operator posts and confirms for all homes, in packed batches.

    When it is the one that matches, it does so in the calls that post.
    """

    def __init__(
        self, operator: Ledger, homes: Sequence[Address], trade: Trade, matching: bool
    ) -> None:
        self._operator = operator
        self._matching = matching
        self._numbers = {}
        for home in homes:
            meter = operator.meter(home)
            assert meter is not None  # registered by `register`
            self._numbers[home] = meter.number
        self._trade = trade

    def post(self, energies: Mapping[Address, int]) -> dict[int, Fill]:
        """Posts what the homes have and need; returns the matches that this wrote."""
        numbered = [(self._numbers[home], energy) for home, energy in energies.items()]
        requests = [Request(number, energy) for number, energy in numbered if energy > 0]
        releases = [Release(number, -energy) for number, energy in numbered if energy < 0]
        fills: dict[int, Fill] = {}
        for receipt in post_batches(self._operator, requests, releases, self._matching):
            if self._matching:
                self._trade.posting_and_matching_gas += receipt.gas_used
            else:
                self._trade.posting_gas += receipt.gas_used
            fills |= receipt.matches
        return fills

    def draw(
        self, consumers: Iterable[Address], first_match: int, fills: Mapping[int, Fill] | None
    ) -> None:
        """Confirms what was matched for the consumers: `fills`, or what the market says if None."""
        if fills is None:
            left = {
                match.index: match.energy
                for home in consumers
                for match in self._operator.matches_of(home, first_match)
                if match.energy
            }
        else:
            ours = {self._numbers[home] for home in consumers}
            left = {index: fill.energy for index, fill in fills.items() if fill.consumer in ours}
        for receipt in self._confirm(left):
            self._trade.consuming_gas += receipt.gas_used
        self._trade.consumed += sum(left.values())

    def _confirm(self, left: Mapping[int, int]) -> Iterator[Receipt]:
        begin, end = min(left, default=0), max(left, default=-1) + 1
        if len(left) == end - begin:
            for first in range(begin, end, MAX_BATCH):
                yield self._operator.confirm_matches(first, min(MAX_BATCH, end - first))
            return
        # Matches of others lie between: 0 leaves them alone. Energies begin at a word of matches.
        for first in range(begin // LANES_PER_WORD * LANES_PER_WORD, end, MAX_BATCH):
            energies = [left.get(i, 0) for i in range(first, min(first + MAX_BATCH, end))]
            if any(energies):
                yield self._operator.confirm_deliveries(first, energies)


class _SignedOrders(_Batches):
    """The homes' meters sign, a relayer posts, the metering operator confirms for all homes.

    Where meter numbers ascend as the homes do, as they do for meters that are registered here, the
    queues are those of packed batches, and so are the matches.
    """

    def __init__(
        self, operator: Ledger, homes: Sequence[Address], trade: Trade, relay: Relay
    ) -> None:
        super().__init__(operator, homes, trade, matching=False)
        self._relay = relay
        self._domain = operator.order_domain()
        self._length = signing_length(operator.period_length())

    def post(self, energies: Mapping[Address, int]) -> dict[int, Fill]:
        """Posts what the homes have and need; returns the matches that this wrote."""
        period = self._operator.signing_period()
        ends = (period + 1) * self._length
        # A home has one energy a period, and so at most one order: all that a meter may sign.
        posting = [home for home in energies if energies[home]]
        posting.sort(key=self._numbers.__getitem__)
        orders = [
            self._signed(home, OrderTerms(kind, abs(energies[home]), period, ends))
            for kind in Kind
            for home in posting
            if (energies[home] < 0) == (kind is Kind.RELEASE)
        ]
        for start in range(0, len(orders), MAX_SIGNED):
            # All or nothing: an order that is not good is a fault here, and none that can be left.
            batch = orders[start : start + MAX_SIGNED]
            receipt = self._relay.ledger.post_signed(batch, all_or_nothing=True)
            self._trade.posting_gas += receipt.gas_used
        return {}

    def _signed(self, home: Address, terms: OrderTerms) -> SignedOrder:
        return sign(terms, self._domain, self._relay.keys[home])


def post_batches(
    operator: Ledger,
    requests: Sequence[Request],
    releases: Sequence[Release],
    matching: bool = False,
) -> Iterator[Receipt]:
    """Posts orders in packed batches of both sides, as few as it takes; yields the receipt of each.

    Args:
        operator: the metering operator's ledger.
        requests, releases: the orders.
        matching: whether to match in the same calls. More matches than orders of a call, or than
            fit a block, are left pending.

    Raises:
        MarketRefusal, ChainError: as the ledger raises them; what was posted before stays so.
    """
    limit = operator.max_matches() if matching else 0
    for start in range(0, max(len(requests), len(releases)), MAX_BATCH):
        offers = requests[start : start + MAX_BATCH]
        needs = releases[start : start + MAX_BATCH]
        yield operator.post_and_match(offers, needs, min(limit, len(offers) + len(needs)))
