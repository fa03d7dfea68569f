"""What a soak must come to: what was told to somebody, held against what the chain says.

Nothing is asked here: the journal and what was read from the chain are given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energy_chain import events as ev
from energy_chain.record.audit import AuditReport
from tests.soak.journal import Order, Way, order_of

ONE_A_PERIOD = (Way.SINGLE, Way.SIGNED)
"""Orders of which a meter has one of each kind in a period."""


@dataclass(frozen=True, slots=True)
class Posted:
    """An order as it is on the chain.

    Attributes:
        order: which.
        period: the delivery period that its block is in.
        transaction: hash of what posted it.
    """

    order: Order
    period: int
    transaction: str


@dataclass
class Tally:
    """Orders of one way.

    Attributes:
        intended: that somebody was about to give.
        accepted: of which somebody was told that they are taken.
        on_chain: on chain.
        late: accepted, withdrawn because their period was over, and reported.
    """

    intended: int = 0
    accepted: int = 0
    on_chain: int = 0
    late: int = 0


@dataclass
class Verdict:
    """What the check came to.

    Attributes:
        violations: what must not be, the worst first; empty when all is well.
        tallies: for each way.
    """

    violations: list[str] = field(default_factory=list)
    tallies: dict[Way, Tally] = field(default_factory=dict)


def posted_orders(history: Iterable[ev.Receipt], period_length: int) -> Iterator[Posted]:
    """Every order on the chain, the oldest first; meters by what the chain says their numbers are.

    Args:
        history: the receipts since the deployment.
        period_length: seconds.
    """
    addresses: dict[int, str] = {}
    for receipt in history:
        period = receipt.timestamp // period_length
        for event in receipt.events:
            if isinstance(event, ev.MeterRegistered):
                addresses[event.number] = event.meter
            for order in _orders(event, addresses):
                yield Posted(order, period, receipt.transaction)


def _orders(event: ev.Event, addresses: Mapping[int, str]) -> Iterator[Order]:
    match event:
        case ev.RequestPosted(meter=meter, energy=energy):
            yield Order(Way.SINGLE, "request", meter, energy)
        case ev.ReleasePosted(meter=meter, energy=energy):
            yield Order(Way.SINGLE, "release", meter, energy)
        case ev.RequestsPosted(orders=requests):
            for each in requests:
                yield Order(Way.PACKED, "request", addresses[each.meter], each.energy)
        case ev.ReleasesPosted(orders=releases):
            for need in releases:
                yield Order(Way.PACKED, "release", addresses[need.meter], need.energy)
        case ev.SignedRequestsPosted(orders=requests):
            for each in requests:
                yield Order(Way.SIGNED, "request", addresses[each.meter], each.energy)
        case ev.SignedReleasesPosted(orders=releases):
            for need in releases:
                yield Order(Way.SIGNED, "release", addresses[need.meter], need.energy)


def check(
    journal: Iterable[Mapping[str, Any]], posted: Sequence[Posted], audit: AuditReport
) -> Verdict:
    """Holds what was told against what the chain says.

    Every accepted order must be on chain once, or be reported as late and not be there; nothing
    may be there that nobody was about to give, or that no outbox knows the transaction of; no
    meter may have two orders of a period where it gives one; and no Wh may be lost.

    Args:
        journal: what was noted, see `Journal`. Who was killed notes the same thing twice.
        posted: what is on the chain.
        audit: of that chain.
    """
    told: dict[str, dict[Order, str]] = {"intended": {}, "accepted": {}, "late": {}}
    sent: set[str] = set()
    periods: dict[str, int] = {}
    faults: list[str] = []
    for record in journal:
        match record["what"]:
            case "intended" | "accepted" | "late" as what:
                told[what].setdefault(order_of(dict(record)), record["by"])
            case "sent":
                sent.update(record["transactions"])
                periods |= record.get("periods", {})
            case "fault found":
                faults.append(f"{record['by']}: {record['why']}")
    on_chain = Counter(each.order for each in posted)
    verdict = Verdict(
        [
            *_of_accepted(told["accepted"], told["late"], on_chain),
            *_of_posted(told["intended"], posted, on_chain, sent, periods),
            *_of_energy(audit, posted),
            *faults,
        ]
    )
    for way in Way:
        late = told["late"].keys() & told["accepted"].keys()
        verdict.tallies[way] = Tally(
            *(
                sum(order.way == way for order in orders)
                for orders in (told["intended"], told["accepted"], on_chain.elements(), late)
            )
        )
    return verdict


def _of_accepted(
    accepted: Mapping[Order, str], late: Mapping[Order, str], on_chain: Counter[Order]
) -> Iterator[str]:
    for order, by in accepted.items():
        if not on_chain[order] and order not in late:
            yield f"lost: {by} was told that it is accepted, and it is not on chain: {order}"
    for order, number in on_chain.items():
        if number > 1:
            yield f"doubled: on chain {number} times: {order}"
    for order, by in late.items():
        if on_chain[order]:
            yield f"untrue: {by} says that it came too late, and it is on chain: {order}"


def _of_posted(
    intended: Mapping[Order, str],
    posted: Sequence[Posted],
    on_chain: Counter[Order],
    sent: set[str],
    periods: Mapping[str, int],
) -> Iterator[str]:
    for order in on_chain:
        if order not in intended:
            yield f"stranger: on chain, and nobody has given it: {order}"
    of_period: dict[tuple[Any, ...], set[Order]] = defaultdict(set)
    for each in posted:
        order = each.order
        if each.transaction not in sent and order in intended:
            yield f"stranger: no outbox knows transaction {each.transaction} of {order}"
        if order.way in ONE_A_PERIOD:
            # An unsigned order names no period on chain: sent with the last block of its period, it
            # may be mined with the first of the next one. Its outbox knows which it was for.
            period = periods.get(each.transaction, each.period)
            of_period[order.way, order.kind, order.meter, period].add(order)
    for (*_, period), orders in of_period.items():
        if len(orders) > 1:
            told = " and ".join(map(str, sorted(orders)))
            yield f"doubled: two orders for one period, {period}: {told}"


def _of_energy(audit: AuditReport, posted: Sequence[Posted]) -> Iterator[str]:
    if not audit.clean:
        lost = audit.requests.lost, audit.releases.lost
        yield f"audit: {audit.difference or f'Wh lost of requests and releases: {lost}'}"
    for kind, energies in (("request", audit.requests), ("release", audit.releases)):
        wh = sum(each.order.energy for each in posted if each.order.kind == kind)
        if wh != energies.posted:
            yield f"energy: {kind}s of {wh:,} Wh are on chain, and {energies.posted:,} were audited"
    if audit.consumed > audit.requests.matched:
        yield f"energy: {audit.consumed:,} Wh consumed of {audit.requests.matched:,} matched"
