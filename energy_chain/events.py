"""What the market logs, decoded: one frozen dataclass for each event of the contract.

Names and fields are those of `contracts_vy/interfaces/IEnergyContract.vyi`;
packed words are unpacked. Energies are Wh, counters and indexes count from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from energy_chain.market import Address, Fill, Release, Request


@dataclass(frozen=True, slots=True)
class RequestPosted:
    """A meter posted a request."""

    meter: Address
    counter: int
    energy: int


@dataclass(frozen=True, slots=True)
class ReleasePosted:
    """A meter posted a release."""

    meter: Address
    counter: int
    energy: int


@dataclass(frozen=True, slots=True)
class RequestsPosted:
    """The metering operator posted a batch of requests; the first has counter `first`."""

    first: int
    orders: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class ReleasesPosted:
    """The metering operator posted a batch of releases; the first has counter `first`."""

    first: int
    orders: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class SignedRequestsPosted:
    """Somebody posted requests that their meters had signed; the first has counter `first`."""

    first: int
    orders: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class SignedReleasesPosted:
    """Somebody posted releases that their meters had signed; the first has counter `first`."""

    first: int
    orders: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class SignedOrderSkipped:
    """A signed order was not good, for a reason that an error of `errors` has.

    `r` is of its signature; `terms` are as `signing.pack_signed` packs them.
    """

    r: int
    terms: int
    reason: str


@dataclass(frozen=True, slots=True)
class PeriodOpened:
    """The first call of a period came; so many orders of earlier periods expired."""

    period: int
    expired_requests: int
    expired_releases: int


@dataclass(frozen=True, slots=True)
class Matched:
    """Matches from match `first` on."""

    first: int
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class PairMatched:
    """One match of a call that limits the energy: it may leave both orders partly filled."""

    index: int
    fill: Fill


@dataclass(frozen=True, slots=True)
class DeliveryConfirmed:
    """Energy of one match was consumed."""

    index: int
    energy: int


@dataclass(frozen=True, slots=True)
class DeliveriesConfirmed:
    """Energies of the matches from match `first` on were consumed; 0 where none was."""

    first: int
    energies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatchesConfirmed:
    """What was left of `count` matches from match `first` on was consumed."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class MeterRegistered:
    """A meter may trade from now on."""

    meter: Address
    number: int


@dataclass(frozen=True, slots=True)
class MeterRetired:
    """A meter posts no more."""

    meter: Address
    number: int


@dataclass(frozen=True, slots=True)
class OwnershipTransferStarted:
    """The ownership was offered; the zero address withdraws an offer."""

    previous_owner: Address
    new_owner: Address


@dataclass(frozen=True, slots=True)
class OwnershipTransferred:
    """The ownership passed."""

    previous_owner: Address
    new_owner: Address


@dataclass(frozen=True, slots=True)
class AggregatorChanged:
    """Another account is the aggregator."""

    previous_aggregator: Address
    new_aggregator: Address


@dataclass(frozen=True, slots=True)
class MeteringOperatorChanged:
    """Another account is the metering operator."""

    previous_operator: Address
    new_operator: Address


@dataclass(frozen=True, slots=True)
class Paused:
    """Posting and matching stopped."""

    account: Address


@dataclass(frozen=True, slots=True)
class Unpaused:
    """Posting and matching go on."""

    account: Address


Event: TypeAlias = (
    RequestPosted
    | ReleasePosted
    | RequestsPosted
    | ReleasesPosted
    | SignedRequestsPosted
    | SignedReleasesPosted
    | SignedOrderSkipped
    | PeriodOpened
    | Matched
    | PairMatched
    | DeliveryConfirmed
    | DeliveriesConfirmed
    | MatchesConfirmed
    | MeterRegistered
    | MeterRetired
    | OwnershipTransferStarted
    | OwnershipTransferred
    | AggregatorChanged
    | MeteringOperatorChanged
    | Paused
    | Unpaused
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one call to the market did: its events in order, and what it cost.

    Attributes:
        events: in the order in which they were logged.
        timestamp: Unix time of its block; 0 when it was not asked for.
        gas_used: 0 when it was not asked for, or where no chain is involved.
        transaction: the transaction's hash; empty where no chain is involved.
        block: number of its block.
    """

    events: tuple[Event, ...]
    timestamp: int = 0
    gas_used: int = 0
    transaction: str = ""
    block: int = 0

    @property
    def matches(self) -> dict[int, Fill]:
        """The matches that the call wrote, by their indexes."""
        return {index: fill for event in self.events for index, fill in _matches(event)}

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The matches that the call wrote."""
        return tuple(self.matches.values())


def _matches(event: Event) -> Iterable[tuple[int, Fill]]:
    match event:
        case Matched(first=first, fills=fills):
            return enumerate(fills, first)
        case PairMatched(index=index, fill=fill):
            return ((index, fill),)
    return ()
