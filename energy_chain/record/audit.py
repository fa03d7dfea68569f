"""The audit: every match recomputed from the events by the reference market.

The auditor takes nothing but what the contract logged and the times of its
blocks, makes the same calls on a `MemoryLedger` and compares what that logs,
event by event. Matches are not checked for plausibility but computed anew from
the orders, so a forged, left-out or altered event is a difference. At the end
the chain's state must be the one that the replay arrived at, slot by slot: so
far back as the rings reach, that also covers orders that no match used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from energy_chain import events as ev
from energy_chain.errors import REFUSALS, EnergyChainError
from energy_chain.ledger import Ledger
from energy_chain.market import Address
from energy_chain.memory_ledger import MemoryLedger


@dataclass(frozen=True, slots=True)
class Energies:
    """Wh of one side of the market over the whole record."""

    posted: int = 0
    matched: int = 0
    expired: int = 0
    outstanding: int = 0

    @property
    def lost(self) -> int:
        """What is neither matched nor expired nor outstanding. Anything but 0 is a fault."""
        return self.posted - self.matched - self.expired - self.outstanding


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The verdict of an audit.

    Attributes:
        difference: the first place where the record and the rules disagree; empty when they agree.
        transactions: how many were replayed.
        events: how many were recomputed and found the same.
        matches: how many of them are matches.
        requests: what became of the energy offered.
        releases: what became of the energy needed.
        consumed: Wh of matches that were confirmed as drawn.
        against_chain: whether the chain was asked as well; a record can be audited without.
        rows: how many rows of a record were found to be what the events say; 0 without a record.
    """

    difference: str
    transactions: int
    events: int
    matches: int
    requests: Energies
    releases: Energies
    consumed: int
    against_chain: bool = True
    rows: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything follows from the rules and no Wh is lost."""
        return not self.difference and self.requests.lost == 0 and self.releases.lost == 0


class Difference(EnergyChainError):
    """The record disagrees with the rules or with the chain. Ends up in a report."""


def audit(history: Iterable[ev.Receipt], ledger: Ledger) -> AuditReport:
    """Replays a record and compares it with the rules and with the chain.

    Args:
        history: the receipts since the deployment, oldest first, with the times of their blocks.
        ledger: the market as it stands now; the account it acts for does not matter.
    """
    auditor = Replay(ledger.period_length())
    difference = ""
    try:
        for receipt in history:
            auditor.replay(receipt)
        auditor.compare_state(ledger)
    except Difference as found:
        difference = str(found)
    return auditor.report(difference)


class Replay:
    """Makes a market's calls on the reference market, one transaction after the other."""

    def __init__(self, period_length: int) -> None:
        self._period_length = period_length
        self._time = 0
        self._market: MemoryLedger | None = None
        self._meters: set[Address] = set()
        self._transactions = self._events = self._matches = self._consumed = 0
        self._posted, self._expired = [0, 0], [0, 0]
        self._matched = 0

    def replay(self, receipt: ev.Receipt) -> None:
        """Makes the calls that a transaction's events tell of, and compares what they log."""
        where = f"block {receipt.block}, transaction {receipt.transaction or '-'}"
        if receipt.timestamp < self._time:
            raise Difference(f"{where}: its time {receipt.timestamp} is before {self._time}")
        self._time = receipt.timestamp
        self._transactions += 1
        logged = list(receipt.events)
        while logged:
            recomputed = self._repeat(logged, where)
            for expected, event in zip_longest(recomputed, logged[: len(recomputed)]):
                if event != expected:
                    raise Difference(f"{where}: the record says {event}, the rules {expected}")
            self._count(recomputed)
            del logged[: len(recomputed)]

    def _repeat(self, logged: list[ev.Event], where: str) -> tuple[ev.Event, ...]:
        """The events of the call that logged the first of `logged`, recomputed."""
        try:
            if self._market is None:
                return self._deploy(logged)
            if isinstance(logged[0], ev.PeriodOpened):
                pending = self._market.pending_energy()
                self._expired = [sum(wh) for wh in zip(self._expired, pending, strict=True)]
            elif isinstance(logged[0], ev.MatchesConfirmed):
                self._consumed += _left(self._market, logged[0])
            receipt = _call(self._market, logged)
        except EnergyChainError as error:
            raise Difference(f"{where}: the rules refuse {logged[0]}: {error}") from error
        if not receipt.events:
            raise Difference(f"{where}: the rules log nothing where the record says {logged[0]}")
        return receipt.events

    def _deploy(self, logged: list[ev.Event]) -> tuple[ev.Event, ...]:
        match logged[:3]:
            case [
                ev.OwnershipTransferred(previous_owner=_, new_owner=owner),
                ev.AggregatorChanged(previous_aggregator=_, new_aggregator=aggregator),
                ev.MeteringOperatorChanged(previous_operator=_, new_operator=operator),
            ]:
                self._market = MemoryLedger.deploy(
                    owner, aggregator, operator, self._period_length, lambda: self._time
                )
                return next(self._market.history()).events
        raise Difference("the record does not begin with a deployment")

    def _count(self, recomputed: tuple[ev.Event, ...]) -> None:
        self._events += len(recomputed)
        for event in recomputed:
            match event:
                case ev.MeterRegistered(meter=meter):
                    self._meters.add(meter)
                case ev.RequestPosted(energy=energy):
                    self._posted[0] += energy
                case ev.ReleasePosted(energy=energy):
                    self._posted[1] += energy
                case ev.RequestsPosted(orders=orders):
                    self._posted[0] += sum(order.energy for order in orders)
                case ev.ReleasesPosted(orders=orders):
                    self._posted[1] += sum(order.energy for order in orders)
                case ev.SignedRequestsPosted(orders=orders):
                    self._posted[0] += sum(order.energy for order in orders)
                case ev.SignedReleasesPosted(orders=orders):
                    self._posted[1] += sum(order.energy for order in orders)
                case ev.Matched(fills=fills):
                    self._matches += len(fills)
                    self._matched += sum(fill.energy for fill in fills)
                case ev.PairMatched(fill=fill):
                    self._matches += 1
                    self._matched += fill.energy
                case ev.DeliveryConfirmed(energy=energy):
                    self._consumed += energy
                case ev.DeliveriesConfirmed(energies=energies):
                    self._consumed += sum(energies)

    def market(self) -> MemoryLedger:
        """The reference market as the replay has left it.

        Raises:
            Difference: there was nothing to replay.
        """
        if self._market is None:
            raise Difference("the record is empty: it does not reach back to the deployment")
        return self._market

    def compare_state(self, chain: Ledger) -> None:
        """Compares the chain's state with the one that the replay arrived at."""
        replay = self.market()
        self._time = max(self._time, chain.current_period() * self._period_length)
        for what in (
            *("request_counter", "release_counter", "match_counter", "meter_count", "paused"),
            *("owner", "pending_owner", "aggregator", "metering_operator"),
            *("requests_outstanding", "releases_outstanding"),
            *("next_request_energy", "next_release_energy"),
        ):
            _compare(what, getattr(chain, what)(), getattr(replay, what)())
        # What expired is in no match, but stands in its slot until that is overwritten.
        for what in ("request_ring", "release_ring"):
            slots = zip(getattr(chain, what)(), getattr(replay, what)(), strict=True)
            for slot, (on_chain, replayed) in enumerate(slots):
                _compare(f"slot {slot} of {what}", on_chain, replayed)
        for meter in sorted(self._meters):
            for what in ("meter", "matches_of", "request_energy", "release_energy"):
                _compare(
                    f"{what} of {meter}", getattr(chain, what)(meter), getattr(replay, what)(meter)
                )

    def report(self, difference: str) -> AuditReport:
        """The verdict."""
        pending = self._market.pending_energy() if self._market else (0, 0)
        requests, releases = (
            Energies(posted, self._matched, expired, outstanding)
            for posted, expired, outstanding in zip(
                self._posted, self._expired, pending, strict=True
            )
        )
        return AuditReport(
            difference=difference,
            transactions=self._transactions,
            events=self._events,
            matches=self._matches,
            requests=requests,
            releases=releases,
            consumed=self._consumed,
        )


def _compare(what: str, on_chain: object, replayed: object) -> None:
    if on_chain != replayed:
        raise Difference(f"{what}: the chain says {on_chain}, the replay {replayed}")


def _left(market: MemoryLedger, confirmed: ev.MatchesConfirmed) -> int:
    """Wh that a call is about to confirm: its event does not tell."""
    end = min(confirmed.first + confirmed.count, market.match_counter())
    matches = (market.match_at(index) for index in range(confirmed.first, end))
    return sum(match.energy for match in matches if match)


def _call(market: MemoryLedger, logged: list[ev.Event]) -> ev.Receipt:
    """Repeats the call that logged the first of `logged`. Who made it follows from what it did."""
    opened = isinstance(logged[0], ev.PeriodOpened)
    operator = market.as_account(market.metering_operator())
    match logged[1:] if opened else logged:
        case [ev.RequestPosted(meter=meter, energy=energy), *_]:
            return market.as_account(meter).post_request(meter, energy)
        case [ev.ReleasePosted(meter=meter, energy=energy), *_]:
            return market.as_account(meter).post_release(meter, energy)
        case [ev.RequestsPosted(orders=requests), *_]:
            return operator.post_requests(requests)
        case [ev.ReleasesPosted(orders=releases), *_]:
            return operator.post_releases(releases)
        case [ev.SignedRequestsPosted() | ev.SignedReleasesPosted() as posted, *_]:
            return market.repeat_signed(posted)
        case [ev.PairMatched(fill=fill), *_]:
            # One match of a call, maybe of many: to the state it is the same to make one for each.
            return market.as_account(market.aggregator()).match_energy(fill.energy)
        case [ev.Matched(fills=fills), *_]:
            return market.match_pending(max(1, len(fills)))
        case [ev.SignedOrderSkipped(reason=reason) as skipped, *_] if not opened:
            if reason not in REFUSALS:
                raise Difference(f"the rules skip no signed order because of {reason!r}")
            return ev.Receipt((skipped,))  # changes nothing
        case _ if opened:
            return market.match_pending(1)
        case [ev.DeliveryConfirmed(index=index, energy=energy), *_]:
            return operator.consume_match(index, energy)
        case [ev.DeliveriesConfirmed(first=first, energies=energies), *_]:
            return operator.confirm_deliveries(first, energies)
        case [ev.MatchesConfirmed(first=first, count=count), *_]:
            return operator.confirm_matches(first, count)
        case [ev.MeterRegistered(meter=meter), *_]:
            return operator.register_meters([meter])
        case [ev.MeterRetired(meter=meter), *_]:
            return operator.retire_meter(meter)
    return _call_as_owner(market.as_account(market.owner()), logged[0])


def _call_as_owner(market: MemoryLedger, event: ev.Event) -> ev.Receipt:
    match event:
        case ev.OwnershipTransferStarted(new_owner=new_owner):
            return market.transfer_ownership(new_owner)
        case ev.OwnershipTransferred(new_owner=new_owner):
            return market.as_account(new_owner).accept_ownership()
        case ev.AggregatorChanged(new_aggregator=new_aggregator):
            return market.set_aggregator(new_aggregator)
        case ev.MeteringOperatorChanged(new_operator=new_operator):
            return market.set_metering_operator(new_operator)
        case ev.Paused():
            return market.pause()
        case ev.Unpaused():
            return market.unpause()
    raise Difference(f"no call logs {event} first")
