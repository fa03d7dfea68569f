"""The audit: an honest record is clean, and whatever is altered in it is found.

The record has every kind of event. Each field of each event is altered, one at a
time; what no audit can find is listed, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias, get_args

import pytest

from energy_chain import events as ev
from energy_chain.events import Receipt
from energy_chain.ledger import Ledger
from energy_chain.market import ZERO_ADDRESS, Fill, Release, Request
from energy_chain.memory_ledger import NO_DOMAIN, MemoryLedger
from energy_chain.record.audit import AuditReport, Energies, audit
from energy_chain.signing import Kind, OrderTerms, SignedOrder, sign

Record: TypeAlias = tuple[Receipt, ...]

OWNER, AGGREGATOR, OPERATOR, HEIR, STRANGER = (f"0x{n:040X}" for n in range(1, 6))
A, B, C, D, E = METERS = [f"0x{n:040X}" for n in range(0xA0, 0xA5)]
PERIOD_LENGTH = 900
FIRST_PERIOD = 1_888_889
KEY_OF_F = bytes([*bytes(31), 7])
F = "0xd41c057fd1c78805AAC12B0A94a405c0461A6FBb"
"""The address of private key 7."""


@dataclass
class Clock:
    now: int = FIRST_PERIOD * PERIOD_LENGTH

    def __call__(self) -> int:
        return self.now


def signed(kind: Kind, energy: int) -> SignedOrder:
    """An order of meter F, for the first period."""
    terms = OrderTerms(kind, energy, FIRST_PERIOD, (FIRST_PERIOD + 1) * PERIOD_LENGTH)
    return sign(terms, NO_DOMAIN, KEY_OF_F)


UNKNOWN = replace(signed(Kind.REQUEST, 15), r=1)
"""Of no meter that is registered."""


def honest_market() -> MemoryLedger:
    """A market in which every kind of event has happened; a second passes with each call."""
    clock = Clock()
    owner = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH, clock)
    operator, aggregator = owner.as_account(OPERATOR), owner.as_account(AGGREGATOR)
    heir, a, c = owner.as_account(HEIR), owner.as_account(A), owner.as_account(C)

    def next_period() -> None:
        clock.now = (clock.now // PERIOD_LENGTH + 1) * PERIOD_LENGTH

    calls: list[Callable[[], object]] = [
        lambda: operator.register_meters(METERS),
        lambda: a.post_request(A, 500),
        lambda: operator.post_requests([Request(2, 300), Request(5, 40)]),
        lambda: c.post_release(C, 350),
        lambda: operator.post_releases([Release(4, 200), Release(3, 120)]),
        lambda: aggregator.match_energy(400),  # A to C 350, A to D 50 of 200
        lambda: c.match_pending(1),  # A to D 100
        lambda: c.match_pending(256),  # B to D 50, B to C 120
        lambda: c.consume(C, 30),
        lambda: operator.confirm_deliveries(0, [350, 20, 100, 50, 45]),
        lambda: owner.set_aggregator(STRANGER),
        lambda: owner.pause(),
        lambda: owner.unpause(),
        lambda: owner.transfer_ownership(HEIR),
        lambda: heir.accept_ownership(),
        lambda: heir.set_metering_operator(OWNER),
        lambda: heir.retire_meter(E),
        lambda: owner.register_meters([E, F]),
        lambda: c.post_signed([signed(Kind.REQUEST, 15), signed(Kind.RELEASE, 25), UNKNOWN]),
        next_period,
        # 130 Wh of B, 40 Wh of E, and 15 and 25 Wh of F have expired.
        lambda: c.post_release(C, 70),
        next_period,
        lambda: c.match_pending(8),  # 70 Wh of C have expired
        lambda: owner.post_release(D, 60),
        lambda: a.post_request(A, 25),
        lambda: c.match_pending(256),  # A to D 25; 35 Wh of D are outstanding
        lambda: heir.transfer_ownership(STRANGER),
        lambda: owner.confirm_matches(5, 1),  # A to D 25
    ]
    for call in calls:
        clock.now += 1
        call()
    return owner


MARKET = honest_market()
HONEST: Record = tuple(MARKET.history())


def test_an_honest_record_is_clean_and_its_energies_add_up() -> None:
    assert audit(HONEST, MARKET) == AuditReport(
        difference="",
        transactions=len(HONEST),
        events=sum(len(receipt.events) for receipt in HONEST),
        matches=6,
        requests=Energies(posted=880, matched=645 + 50, expired=185, outstanding=0),
        releases=Energies(posted=825, matched=645 + 50, expired=95, outstanding=35),
        consumed=30 + 350 + 20 + 100 + 50 + 45 + 25,
    )
    assert audit(HONEST, MARKET).clean


def test_the_record_has_every_kind_of_event() -> None:
    assert {type(event) for receipt in HONEST for event in receipt.events} == set(
        get_args(ev.Event)
    )


def test_whose_ledger_the_state_is_read_with_does_not_matter() -> None:
    assert audit(HONEST, MARKET.as_account(STRANGER)).clean


def test_a_record_can_be_read_from_an_iterator() -> None:
    assert audit(MARKET.history(), MARKET).clean


def test_energy_that_is_lost_makes_an_audit_unclean() -> None:
    report = audit(HONEST, MARKET)
    assert not replace(report, releases=replace(report.releases, matched=694)).clean


# ------------------------------------------------------------------ one field altered


def altered_values(value: Any) -> Iterator[tuple[str, Any]]:
    """Other values of a field, each a little different."""
    match value:
        case int():
            yield "+1", value + 1
            yield "-1", value - 1
        case str():
            yield "other", STRANGER if value != STRANGER else A
            if value != ZERO_ADDRESS:
                yield "zero", ZERO_ADDRESS
        case tuple():
            for i, item in enumerate(value):
                yield f"{i} dropped", value[:i] + value[i + 1 :]
                yield f"{i} doubled", value[: i + 1] + value[i:]
                for change, other in altered_values(item):
                    yield f"{i} {change}", (*value[:i], other, *value[i + 1 :])
            for i, (left, right) in enumerate(pairwise(value)):
                if left != right:
                    yield f"{i} swapped", (*value[:i], right, left, *value[i + 2 :])
        case _ if is_dataclass(value):
            for field in fields(value):
                for change, other in altered_values(getattr(value, field.name)):
                    yield f"{field.name} {change}", replace(value, **{field.name: other})


def with_events(record: Record, at: int, events: tuple[ev.Event, ...]) -> Record:
    return (*record[:at], replace(record[at], events=events), *record[at + 1 :])


def alterations() -> Iterator[tuple[str, int, Record]]:
    """What was altered, at which transaction, and the altered record."""
    for at, receipt in enumerate(HONEST):
        for i, event in enumerate(receipt.events):
            before, after = receipt.events[:i], receipt.events[i + 1 :]
            name = f"{at} {type(event).__name__}{f' {i}' if len(receipt.events) > 1 else ''}"
            yield f"{name} dropped", at, with_events(HONEST, at, before + after)
            yield f"{name} doubled", at, with_events(HONEST, at, (*before, event, event, *after))
            for change, other in altered_values(event):
                yield f"{name} {change}", at, with_events(HONEST, at, (*before, other, *after))


# A second offer to the same account changes nothing, nor does confirming again that all was drawn.
# A signed order that was skipped leaves nothing on the chain but its event.
REPEATABLE = (14, 25, 26)
TRACELESS = {
    "14 OwnershipTransferStarted doubled",
    "25 OwnershipTransferStarted doubled",
    "26 MatchesConfirmed doubled",
    *(f"19 SignedOrderSkipped 2 {change}" for change in ("dropped", "doubled")),
    *(f"19 SignedOrderSkipped 2 {field} {by}" for field in ("r", "terms") for by in ("+1", "-1")),
}
ALTERED = {name: (at, record) for name, at, record in alterations()}


@pytest.mark.parametrize("name", sorted(ALTERED.keys() - TRACELESS))
def test_an_altered_event_is_found(name: str) -> None:
    at, record = ALTERED[name]
    report = audit(record, MARKET)
    assert not report.clean
    assert_names_a_place(report.difference, at)


@pytest.mark.parametrize("name", sorted(TRACELESS))
def test_what_has_no_consequence_cannot_be_found(name: str) -> None:
    _, record = ALTERED[name]
    assert audit(record, MARKET).clean


def assert_names_a_place(difference: str, first: int) -> None:
    """The difference is in a block from `first` on, or in the state at the end."""
    block = re.match(r"block (\d+), transaction -: ", difference)
    if block:
        assert int(block[1]) >= first
    else:
        assert re.match(
            r"(slot \d+ of )?[a-z_]+( of 0x[0-9A-Za-z]{40})?: the chain says .*, the replay ",
            difference,
        )


# ------------------------------------------------------------------ transactions altered


@pytest.mark.parametrize("at", range(len(HONEST)))
def test_a_dropped_transaction_is_found(at: int) -> None:
    report = audit(HONEST[:at] + HONEST[at + 1 :], MARKET)
    assert not report.clean
    assert_names_a_place(report.difference, at)


@pytest.mark.parametrize("at", [i for i in range(len(HONEST)) if i not in REPEATABLE])
def test_a_doubled_transaction_is_found(at: int) -> None:
    assert not audit(HONEST[: at + 1] + HONEST[at:], MARKET).clean


@pytest.mark.parametrize("at", range(len(HONEST) - 1))
def test_transactions_in_another_order_are_found(at: int) -> None:
    report = audit((*HONEST[:at], HONEST[at + 1], HONEST[at], *HONEST[at + 2 :]), MARKET)
    assert not report.clean
    assert_names_a_place(report.difference, at)


def test_orders_in_another_order_are_found_though_their_times_fit() -> None:
    first, second = HONEST[2], HONEST[3]
    swapped = (replace(first, events=second.events), replace(second, events=first.events))
    assert not audit((*HONEST[:2], *swapped, *HONEST[4:]), MARKET).clean


def test_a_match_that_nobody_computed_is_found() -> None:
    forged = Receipt((ev.Matched(6, (Fill(1, 4, 35),)),), HONEST[-1].timestamp, block=99)
    report = audit((*HONEST, forged), MARKET)
    assert report.difference.startswith("block 99, transaction -: the rules log nothing where")


def test_an_order_that_nobody_posted_is_found() -> None:
    forged = Receipt((ev.RequestPosted(A, 5, 1),), HONEST[-1].timestamp, block=99)
    report = audit((*HONEST, forged), MARKET)
    assert report.difference == "request_counter: the chain says 5, the replay 6"


@pytest.mark.parametrize("at", range(1, len(HONEST)))
def test_a_time_before_the_one_before_is_found(at: int) -> None:
    early = replace(HONEST[at], timestamp=HONEST[at - 1].timestamp - 1)
    report = audit((*HONEST[:at], early, *HONEST[at + 1 :]), MARKET)
    assert report.difference.startswith(f"block {at}, transaction -: its time ")


@pytest.mark.parametrize("at", [2, 6, 19, 20, 21, 22, 24])
def test_posting_or_matching_in_another_period_is_found(at: int) -> None:
    late = [replace(r, timestamp=r.timestamp + PERIOD_LENGTH) for r in HONEST[at:]]
    report = audit((*HONEST[:at], *late), MARKET)
    assert report.difference.startswith(f"block {at}, ")


def test_another_time_in_the_same_period_has_no_consequence() -> None:
    last = replace(HONEST[-1], timestamp=HONEST[-1].timestamp + 1)
    assert audit((*HONEST[:-1], last), MARKET).clean


def test_a_difference_names_the_transaction() -> None:
    named = replace(HONEST[0], events=HONEST[0].events[1:], transaction="0xabc", block=17)
    assert audit([named], MARKET).difference.startswith("block 17, transaction 0xabc: ")


def test_a_record_that_does_not_reach_back_to_the_deployment_is_found() -> None:
    assert "does not begin with a deployment" in audit(HONEST[1:], MARKET).difference


def test_an_empty_record_is_found() -> None:
    report = audit([], MARKET)
    assert report.difference == "the record is empty: it does not reach back to the deployment"
    assert not report.clean


@pytest.mark.parametrize("length", range(len(HONEST)))
def test_a_record_that_was_cut_off_is_found(length: int) -> None:
    assert not audit(HONEST[:length], MARKET).clean


def test_what_was_replayed_before_a_difference_is_still_counted() -> None:
    report = audit((*HONEST[:5], replace(HONEST[5], timestamp=0)), MARKET)
    assert (report.transactions, report.matches) == (5, 0)
    assert report.requests == Energies(posted=840, outstanding=840)


# ------------------------------------------------------------------ the state


class Tampered:
    """A ledger that gives one answer of its own."""

    def __init__(self, ledger: Ledger, question: str, answer: Any) -> None:
        self._ledger, self._question, self._answer = ledger, question, answer

    def __getattr__(self, name: str) -> Any:
        return (lambda *_: self._answer) if name == self._question else getattr(self._ledger, name)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        *(("request_counter", 3), ("release_counter", 7), ("match_counter", 4)),
        *(("meter_count", 7), ("paused", True), ("owner", OWNER), ("pending_owner", ZERO_ADDRESS)),
        *(("aggregator", AGGREGATOR), ("metering_operator", OPERATOR)),
        *(("requests_outstanding", 1), ("releases_outstanding", 0)),
        *(("next_request_energy", 1), ("next_release_energy", 34)),
        *(("meter", None), ("matches_of", []), ("request_energy", 1), ("release_energy", 36)),
    ],
)
def test_a_state_that_does_not_follow_from_the_record_is_found(question: str, answer: Any) -> None:
    tampered: Any = Tampered(MARKET, question, answer)
    report = audit(HONEST, tampered)
    assert report.difference.startswith(question)
    assert f"the chain says {answer}, the replay " in report.difference


def test_orders_that_expired_since_the_last_transaction_are_no_difference() -> None:
    clock = Clock()
    market = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH, clock)
    market.register_meters([A])
    market.as_account(A).post_request(A, 5)
    clock.now += PERIOD_LENGTH
    report = audit(market.history(), market)
    assert report.clean
    assert report.requests == Energies(posted=5, outstanding=5)


def test_a_market_whose_orders_never_expire_is_audited_too() -> None:
    market = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, 0, Clock())
    market.register_meters([A, B])
    market.as_account(A).post_request(A, 5)
    market.as_account(B).post_release(B, 7)
    market.match_pending(1)
    report = audit(market.history(), market)
    assert report.clean
    assert report.releases == Energies(posted=7, matched=5, outstanding=2)


# ------------------------------------------------------------------ the contract


def test_the_contracts_record_is_clean_and_an_altered_one_is_not() -> None:
    from energy_chain.chain.accounts import development_accounts
    from energy_chain.chain.connection import Connection
    from energy_chain.chain.contract_ledger import ContractLedger
    from energy_chain.chain.networks import EMBEDDED
    from energy_chain.chain.sender import TransactionSender

    accounts = development_accounts(5)
    owner, aggregator, operator, producer, consumer = (a.address for a in accounts)
    connection = Connection.open(EMBEDDED, [a.address for a in accounts], Clock().now)
    ledger = ContractLedger.deploy(
        TransactionSender(connection, accounts), owner, aggregator, operator, PERIOD_LENGTH
    )
    metering = ledger.as_account(operator)
    metering.register_meters([producer, consumer])
    metering.post_requests([Request(1, 50), Request(1, 20)])
    metering.post_release(consumer, 60)
    ledger.match_pending(8)
    metering.confirm_deliveries(0, [50, 5])
    metering.post_and_match([Request(1, 7)], [Release(2, 9), Release(2, 12)], 1)
    ledger.as_account(aggregator).match_energy(6)
    metering.confirm_matches(1, 3)
    history = tuple(ledger.history())

    report = audit(history, ledger)
    assert report.clean
    assert report.requests == Energies(posted=77, matched=75, outstanding=2)
    assert report.consumed == 50 + 10 + 9 + 1

    forged = (ev.Matched(0, (Fill(1, 2, 50), Fill(1, 2, 9))),)
    report = audit(with_events(history, 4, forged), ledger)
    assert not report.clean
    assert report.difference.startswith(f"block {history[4].block}, transaction 0x")


# ------------------------------------------------------------------ calls that log several events


def new_market() -> tuple[MemoryLedger, MemoryLedger]:
    """A market of meters 1 and 2 that logs into one record, and its operator's ledger."""
    market = MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, PERIOD_LENGTH, Clock())
    market.register_meters([A, B])
    return market, market.as_account(OPERATOR)


def test_posting_and_matching_in_one_call_is_audited_as_three_calls() -> None:
    market, operator = new_market()
    operator.post_and_match([Request(1, 5), Request(2, 6)], [Release(2, 7)], 1)
    operator.post_and_match([], [Release(1, 1)], 256)
    report = audit(market.history(), market)
    assert report.clean
    assert (report.matches, report.requests) == (3, Energies(11, matched=8, outstanding=3))


def test_pairs_matched_in_one_call_are_audited_one_by_one() -> None:
    market, operator = new_market()
    operator.post_and_match([Request(1, 5), Request(2, 6)], [Release(2, 7), Release(1, 9)], 0)
    market.as_account(AGGREGATOR).match_energy(10)
    report = audit(market.history(), market)
    assert report.clean
    assert (report.matches, report.requests) == (3, Energies(11, matched=10, outstanding=1))


def test_a_call_of_the_loop_may_not_cut_what_a_limited_one_may() -> None:
    market, operator = new_market()
    operator.post_and_match([Request(1, 5)], [Release(2, 7)], 0)
    market.as_account(AGGREGATOR).match_energy(3)
    *before, last = market.history()
    assert last.events == (ev.PairMatched(0, Fill(1, 2, 3)),)
    told = (ev.Matched(0, (Fill(1, 2, 3),)),)
    report = audit([*before, replace(last, events=told)], market)
    assert "the rules Matched(first=0, fills=(Fill(producer=1, consumer=2, energy=5),))" in (
        report.difference
    )


def test_what_was_left_of_matches_is_counted_once() -> None:
    market, operator = new_market()
    operator.post_and_match([Request(1, 20)] * 3, [Release(2, 20)] * 3, 3)
    operator.consume_match(1, 5)
    for first, count in ((0, 2), (1, 2), (0, 3)):
        operator.confirm_matches(first, count)
    report = audit(market.history(), market)
    assert report.clean
    assert report.consumed == 60


def test_what_was_drawn_of_a_match_before_the_rest_has_no_consequence() -> None:
    market, operator = new_market()
    operator.post_and_match([Request(1, 20)], [Release(2, 20)], 1)
    operator.consume_match(0, 5)
    operator.confirm_matches(0, 1)
    *before, _, last = market.history()
    altered = replace(last, events=(ev.DeliveryConfirmed(0, 6),))
    report = audit([*before, altered, last], market)
    assert report.clean
    assert report.consumed == 20


@pytest.mark.parametrize("count", [0, 2, 257, 2**256 - 1])
def test_confirmed_matches_that_do_not_exist_are_found(count: int) -> None:
    market, operator = new_market()
    operator.post_and_match([Request(1, 20)], [Release(2, 20)], 1)
    forged = Receipt((ev.MatchesConfirmed(0, count),), HONEST[0].timestamp + PERIOD_LENGTH)
    report = audit([*market.history(), forged], market)
    assert "the rules refuse MatchesConfirmed(" in report.difference
