"""The soak's check sees what it is there for: journals and chains that were doctored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from energy_chain import events as ev
from energy_chain.market import Release, Request
from energy_chain.record.audit import AuditReport, Energies
from tests.soak.checking import Posted, Verdict, check, posted_orders
from tests.soak.journal import Journal, Order, Way

ROOF, SHOP, BARN = (f"0x{digit * 40}" for digit in "abc")
SINGLE = Order(Way.SINGLE, "request", ROOF, 1_001)
PACKED = Order(Way.PACKED, "release", SHOP, 2_001)
SIGNED = Order(Way.SIGNED, "request", BARN, 3_001)
ORDERS = [SINGLE, PACKED, SIGNED]
LATE = Order(Way.SIGNED, "release", BARN, 3_002)


def on_chain(order: Order, period: int = 7, transaction: str | None = None) -> Posted:
    return Posted(order, period, transaction or f"0x{order.energy}")


CHAIN = [on_chain(order) for order in ORDERS]


def audited(*posted: Posted, **changes: Any) -> AuditReport:
    """A clean audit of what is on a chain."""

    def energies(kind: str) -> Energies:
        wh = sum(each.order.energy for each in posted if each.order.kind == kind)
        return Energies(posted=wh, matched=500, expired=wh - 500)

    requests, releases = energies("request"), energies("release")
    return replace(AuditReport("", 9, 9, 1, requests, releases, consumed=500), **changes)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """One in which all three orders were accepted, and a fourth was too late."""
    journal = Journal(tmp_path / "journal")
    for order in (*ORDERS, LATE):
        journal.order("intended", order, "somebody")
        journal.order("accepted", order, "somebody")
    journal.order("late", LATE, "relay")
    journal.note("sent", by="machine", transactions=[each.transaction for each in CHAIN])
    return journal


def verdict_of(journal: Journal, *posted: Posted, **audit: Any) -> Verdict:
    return check(journal, posted, audited(*posted, **audit))


def test_a_run_in_which_all_went_well_has_no_violation(journal: Journal) -> None:
    verdict = verdict_of(journal, *CHAIN)
    assert not verdict.violations
    signed = verdict.tallies[Way.SIGNED]
    assert (signed.intended, signed.accepted, signed.on_chain, signed.late) == (2, 2, 1, 1)


def test_who_was_killed_may_be_told_twice(journal: Journal) -> None:
    journal.order("accepted", SINGLE, "somebody")
    verdict = verdict_of(journal, *CHAIN)
    assert not verdict.violations
    assert verdict.tallies[Way.SINGLE].accepted == 1


def test_an_order_is_of_the_period_that_it_was_sent_for(journal: Journal) -> None:
    """Also where the first block of the next period has it, in which another one is posted."""
    following = Order(Way.SINGLE, "request", ROOF, 1_002)
    journal.order("intended", following, "somebody")
    posted = *CHAIN, on_chain(following)
    hashes = [on_chain(SINGLE).transaction, on_chain(following).transaction]
    journal.note(
        "sent", by="machine", transactions=hashes, periods=dict(zip(hashes, (6, 7), strict=True))
    )
    assert not verdict_of(journal, *posted).violations
    journal.note("sent", by="machine", transactions=[], periods={hashes[0]: 7})
    [found] = verdict_of(journal, *posted).violations
    assert found.startswith("doubled: two orders for one period, 7")


@pytest.mark.parametrize("lost", CHAIN)
def test_an_accepted_order_that_is_not_on_chain_is_lost(journal: Journal, lost: Posted) -> None:
    [found] = verdict_of(journal, *(each for each in CHAIN if each != lost)).violations
    assert found.startswith("lost: somebody")
    assert str(lost.order) in found


def test_an_order_that_was_never_accepted_may_be_missing(journal: Journal) -> None:
    journal.order("intended", SINGLE._replace(energy=1_002), "somebody")
    assert not verdict_of(journal, *CHAIN).violations


@pytest.mark.parametrize("twice", CHAIN)
def test_an_order_that_is_on_chain_twice_is_found(journal: Journal, twice: Posted) -> None:
    again = replace(twice, period=8)
    assert verdict_of(journal, *CHAIN, again).violations == [
        f"doubled: on chain 2 times: {twice.order}"
    ]


def test_an_order_that_nobody_was_told_of_may_not_be_there_twice_either(journal: Journal) -> None:
    order = PACKED._replace(energy=2_002)
    journal.order("intended", order, "operator")
    again = [on_chain(order, transaction=each.transaction) for each in CHAIN[:2]]
    assert verdict_of(journal, *CHAIN, *again).violations == [f"doubled: on chain 2 times: {order}"]


@pytest.mark.parametrize("order", [SINGLE, SIGNED])
def test_a_restarted_meter_that_posts_another_order_for_the_same_period_is_found(
    journal: Journal, order: Order
) -> None:
    another = on_chain(order._replace(energy=9_999), transaction=CHAIN[0].transaction)
    journal.order("intended", another.order, "somebody")
    [found] = verdict_of(journal, *CHAIN, another).violations
    assert found.startswith("doubled: two orders for one period")
    assert not verdict_of(journal, *CHAIN, replace(another, period=8)).violations


def test_the_operator_may_post_several_orders_of_a_meter_in_a_period(journal: Journal) -> None:
    another = on_chain(PACKED._replace(energy=2_002), transaction=CHAIN[0].transaction)
    journal.order("intended", another.order, "operator")
    assert not verdict_of(journal, *CHAIN, another).violations


def test_an_order_that_nobody_gave_is_a_stranger(journal: Journal) -> None:
    stranger = on_chain(PACKED._replace(energy=5), transaction=CHAIN[1].transaction)
    [found] = verdict_of(journal, *CHAIN, stranger).violations
    assert found == f"stranger: on chain, and nobody has given it: {stranger.order}"


def test_an_order_of_another_energy_than_was_given_is_lost_and_a_stranger(
    journal: Journal,
) -> None:
    altered = replace(CHAIN[0], order=SINGLE._replace(energy=1_000))
    lost, stranger = verdict_of(journal, altered, *CHAIN[1:]).violations
    assert lost.startswith("lost")
    assert stranger.startswith("stranger")


def test_a_transaction_that_no_outbox_knows_is_a_stranger(journal: Journal) -> None:
    foreign = replace(CHAIN[2], transaction="0xforeign")
    [found] = verdict_of(journal, *CHAIN[:2], foreign).violations
    assert found == f"stranger: no outbox knows transaction 0xforeign of {SIGNED}"


def test_an_order_that_is_reported_late_must_not_be_on_chain(journal: Journal) -> None:
    after_all = on_chain(LATE, transaction=CHAIN[2].transaction)
    [found] = verdict_of(journal, *CHAIN, after_all).violations
    assert found == f"untrue: relay says that it came too late, and it is on chain: {LATE}"


def test_what_the_audit_finds_is_a_violation(journal: Journal) -> None:
    assert verdict_of(journal, *CHAIN, difference="slot 3").violations == ["audit: slot 3"]


def test_energy_that_is_lost_is_a_violation(journal: Journal) -> None:
    wh = PACKED.energy
    [found] = verdict_of(journal, *CHAIN, releases=Energies(wh, 500, wh - 501)).violations
    assert found == "audit: Wh lost of requests and releases: (0, 1)"
    [found] = verdict_of(journal, *CHAIN, releases=Energies(wh + 1, 500, wh - 499)).violations
    assert found.startswith("energy: releases of 2,001 Wh are on chain")
    [found] = verdict_of(journal, *CHAIN, consumed=501).violations
    assert found == "energy: 501 Wh consumed of 500 matched"


def test_what_the_soak_itself_has_found_is_a_violation(journal: Journal) -> None:
    journal.note("fault found", by="relay", why="it ended by itself with 1")
    assert verdict_of(journal, *CHAIN).violations == ["relay: it ended by itself with 1"]


def test_orders_are_read_from_all_events_that_post_some() -> None:
    roof = Order(Way.SINGLE, "request", ROOF, 11)
    history = [
        ev.Receipt((ev.MeterRegistered(ROOF, 1), ev.MeterRegistered(SHOP, 2)), 60, 0, "0x0"),
        ev.Receipt((ev.RequestPosted(ROOF, 0, 11), ev.ReleasePosted(SHOP, 0, 12)), 60, 0, "0x1"),
        ev.Receipt((ev.RequestsPosted(1, (Request(1, 13), Request(2, 14))),), 119, 0, "0x2"),
        ev.Receipt((ev.PeriodOpened(2, 3, 1), ev.ReleasesPosted(1, (Release(2, 15),))), 120),
        ev.Receipt((ev.SignedRequestsPosted(3, (Request(2, 16),)),), 121),
        ev.Receipt((ev.SignedReleasesPosted(2, (Release(1, 17),)),), 181),
    ]
    posted = list(posted_orders(history, 60))
    assert [each.order for each in posted] == [
        roof,
        Order(Way.SINGLE, "release", SHOP, 12),
        Order(Way.PACKED, "request", ROOF, 13),
        Order(Way.PACKED, "request", SHOP, 14),
        Order(Way.PACKED, "release", SHOP, 15),
        Order(Way.SIGNED, "request", SHOP, 16),
        Order(Way.SIGNED, "release", ROOF, 17),
    ]
    assert [each.period for each in posted] == [1, 1, 1, 1, 2, 2, 3]
    assert posted[0].transaction == "0x1"
