"""When the relay posts what it has, what becomes of it, and what a restart changes: nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from energy_chain.errors import (
    ChainError,
    InvalidInput,
    MarketPaused,
    NodeUnreachable,
    OutOfFunds,
    ReceiptTimeout,
)
from energy_chain.events import Receipt
from energy_chain.market import Release, Request
from energy_chain.relay.service import Relay
from energy_chain.relay.settings import RelaySettings
from energy_chain.signing import Kind, OrderDomain

from ..property.markets import AGGREGATOR, METERS, OPERATOR, PERIOD, Clock
from .conftest import DOMAIN, FIRST, Service, new_market, signed

# ------------------------------------------------------------------ when


def test_a_batch_that_is_full_is_posted_at_once(start: Callable[..., Service]) -> None:
    service = start(batch_size=3)
    ids = [service.accept(meter=meter) for meter in (0, 1)]
    assert service.step() == []
    ids.append(service.accept(meter=2))
    (done,) = service.step()
    assert (done.posted, done.skipped, done.refused) == (3, 0, 0)
    assert service.states(*ids) == ["on chain"] * 3


def test_a_batch_that_is_not_full_is_posted_in_time(service: Service) -> None:
    id = service.accept()
    assert service.wait(4.9) == []
    service.accept(meter=1)
    (done,) = service.wait(0.2)
    assert done.posted == 2
    assert service.states(id) == ["on chain"]


def test_an_order_whose_deadline_is_near_waits_for_no_others(
    start: Callable[..., Service], clock: Clock
) -> None:
    service = start(batch_seconds=600)
    id = service.accept(deadline=clock.time + 20)
    assert service.step() == []
    assert len(service.wait(6)) == 1
    assert service.states(id) == ["on chain"]


def test_more_than_a_batch_goes_in_several(start: Callable[..., Service]) -> None:
    service = start(batch_size=2)
    for meter in range(5):
        service.accept(meter=meter)
    assert [done.posted for done in service.step()] == [2, 2]
    assert [done.posted for done in service.wait(5)] == [1]


def test_a_node_whose_blocks_are_small_gets_small_batches(
    start: Callable[..., Service], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = new_market(clock)
    monkeypatch.setattr(market, "max_signed", lambda: 2)
    service = start(market)
    service.accept()
    service.accept(meter=1)
    assert [done.posted for done in service.step()] == [2]


def test_a_batch_is_sorted_as_the_contract_likes_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int, int]] = []
    true = type(service.market).post_signed

    def post(self: Any, orders: Any, all_or_nothing: bool = False) -> Receipt:
        sent.extend(
            (order.terms.kind, order.terms.deadline, order.terms.energy) for order in orders
        )
        return true(self, orders, all_or_nothing)

    monkeypatch.setattr(type(service.market), "post_signed", post)
    early, late = (FIRST + 1) * PERIOD - 90, (FIRST + 1) * PERIOD - 60
    service.accept(meter=4, kind="release", energy=4)
    service.accept(meter=3, energy=3, deadline=late)
    service.accept(meter=2, energy=2, deadline=early)
    service.accept(meter=0, energy=1, deadline=late)
    service.wait(5)
    assert sent == [(0, early, 2), (0, late, 1), (0, late, 3), (1, late, 4)]


# ------------------------------------------------------------------ what becomes of it


def test_each_order_gets_its_counter_and_transaction(service: Service) -> None:
    market = service.market
    market.as_account(OPERATOR).post_requests([Request(1, 7), Request(2, 8)])
    ids = [service.accept(meter=m, kind=k) for k in ("release", "request") for m in (2, 0, 1)]
    (done,) = service.wait(5)
    told = [service.of(id) for id in ids]
    assert [order["counter"] for order in told] == [2, 0, 1, 4, 2, 3]
    assert {order["transaction"] for order in told} == {done.transaction}
    assert {order["block"] for order in told} == {done.block}
    for order in told:
        slot = market.request_slot if order["kind"] == "request" else market.release_slot
        assert slot(order["counter"]) == (order["meter"], order["energy_wh"])


def test_matches_are_told_as_they_come(service: Service) -> None:
    offer = service.accept(energy=1_000)
    need = service.accept(meter=1, kind="release", energy=1_400)
    service.wait(5)
    service.market.match_energy(300)
    service.step()
    told = service.of(offer)
    assert (told["state"], told["matched_wh"]) == ("on chain", 300)
    assert told["matches"] == [{"index": 0, "energy_wh": 300, "partner": METERS[1]}]
    service.market.match_pending(10)
    service.step()
    told = service.of(offer)
    assert (told["state"], told["matched_wh"]) == ("matched", 1_000)
    assert told["matches"][1] == {"index": 1, "energy_wh": 700, "partner": METERS[1]}
    told = service.of(need)
    assert (told["state"], told["matched_wh"]) == ("on chain", 1_000)
    assert {match["partner"] for match in told["matches"]} == {METERS[0]}
    service.wait(PERIOD)
    told = service.of(need)
    assert (told["state"], told["matched_wh"]) == ("expired", 1_000)
    assert service.states(offer) == ["matched"]


def test_an_order_that_waits_too_long_expires(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.market, "paused", lambda: True)
    soon = service.accept(deadline=int(service.clock.time) + 5)
    id = service.accept(meter=1)
    service.wait(6)
    assert service.states(soon, id) == ["expired", "accepted"]
    service.wait(PERIOD)
    assert service.states(soon, id) == ["expired", "expired"]


def test_where_orders_never_expire_they_stay_on_chain(
    start: Callable[..., Service], clock: Clock
) -> None:
    service = start(new_market(clock, period_length=0))
    id = service.accept()
    service.wait(5)
    service.wait(PERIOD)
    assert service.states(id) == ["on chain"]
    service.accept(period=FIRST + 1)


def test_a_meter_that_is_retired_meanwhile_costs_nothing(service: Service) -> None:
    bad, good = service.accept(), service.accept(meter=1)
    service.market.as_account(OPERATOR).retire_meter(METERS[0])
    (done,) = service.wait(5)
    assert (done.posted, done.skipped, done.refused) == (1, 0, 1)
    told = service.of(bad)
    assert (told["state"], told["reason"]) == ("refused", "energy: meter is retired")
    assert "register it again" in told["remedy"]
    assert service.states(good) == ["on chain"]
    # What was refused is in the way of nothing.
    service.market.as_account(OPERATOR).register_meters([METERS[0]])
    assert service.post().json()["state"] == "refused"
    service.accept(energy=1_501)


def test_what_the_contract_skips_is_refused_for_its_reason(service: Service) -> None:
    bad, good = service.accept(), service.accept(meter=1)
    market = service.market
    market.blocks.before = lambda: market.as_account(OPERATOR).retire_meter(METERS[0])
    (done,) = service.wait(5)
    assert (done.posted, done.skipped, done.refused) == (1, 1, 0)
    told = service.of(bad)
    assert (told["state"], told["reason"]) == ("refused", "energy: meter is retired")
    assert (told["transaction"], told["block"]) == (done.transaction, done.block)
    assert service.of(good)["counter"] == 0


def post_elsewhere(service: Service, energy: int) -> None:
    """Another relay posts an order of the first meter."""
    order = signed(METERS[0], Kind.REQUEST, energy, FIRST, (FIRST + 1) * PERIOD - 60, 0, DOMAIN)
    type(service.market)(service.market._book, METERS[4]).as_account(METERS[4]).post_signed([order])


def test_the_same_order_by_another_relay_is_on_chain(service: Service) -> None:
    id = service.accept()
    post_elsewhere(service, 1_500)
    assert service.wait(5) == []
    told = service.of(id)
    assert (told["state"], told["counter"]) == ("on chain", 0)
    assert service.market.request_counter() == 1


def test_another_order_by_another_relay_is_in_the_way(service: Service) -> None:
    id = service.accept()
    post_elsewhere(service, 900)
    assert service.wait(5) == []
    told = service.of(id)
    assert (told["state"], told["reason"]) == ("refused", "energy: meter has posted already")


def test_another_relay_in_the_same_block_is_no_trouble(service: Service) -> None:
    id = service.accept()
    service.market.blocks.before = lambda: post_elsewhere(service, 1_500)
    (done,) = service.wait(5)
    assert (done.posted, done.skipped) == (0, 1)
    told = service.of(id)
    assert (told["state"], told["counter"]) == ("on chain", 0)
    assert told["transaction"] != done.transaction


def test_the_relay_knows_what_the_chain_knows(service: Service, clock: Clock) -> None:
    """Orders of the relay and of others, whatever is matched, for several periods."""
    dice = random.Random(7)
    market, operator = service.market, service.market.as_account(OPERATOR)
    ids: list[str] = []
    for period in range(FIRST, FIRST + 3):
        for turn in range(10):
            meter = dice.randrange(5)
            energy = dice.randint(1, 900)
            match dice.randrange(6):
                case 0:
                    operator.post_requests([Request(meter + 1, energy), Request(1, 3)])
                case 1:
                    operator.post_releases([Release(meter + 1, energy)])
                case 2:
                    operator.post_release(METERS[meter], energy)
                case 3:
                    market.match_pending(dice.randint(1, 3))
                case 4:
                    possible = min(market.next_request_energy(), market.next_release_energy())
                    if possible:
                        market.match_energy(dice.randint(1, possible))
                case 5:
                    operator.post_and_match([Request(2, energy)], [Release(3, energy)], 2)
            kind = dice.choice(("request", "release"))
            answer = service.post(meter=dice.randrange(5), kind=kind, energy=energy, period=period)
            if answer.status_code == 202:
                ids.append(answer.json()["id"])
            service.wait(dice.choice((0, 3, 6)))
            if turn == 5:
                service.restart()
        clock.time = (period + 1) * PERIOD
        market.match_pending(1)
        service.step()
    assert len(ids) > 15
    whole = [market.match_at(index) for index in range(market.match_counter())]
    told = [service.of(id) for id in ids]
    assert {order["state"] for order in told} >= {"matched", "expired"}
    for order in told:
        assert order["matched_wh"] == sum(match["energy_wh"] for match in order["matches"])
        assert (order["matched_wh"] == order["energy_wh"]) == (order["state"] == "matched")
        mine, theirs = ("producer", "consumer")[:: 1 if order["kind"] == "request" else -1]
        for each in order["matches"]:
            match = whole[each["index"]]
            assert match is not None
            assert getattr(match, mine) == order["meter"]
            assert getattr(match, theirs) == each["partner"]
            assert match.energy == each["energy_wh"]
    # No match of these meters' signed orders is missing: the twin tells who was first in line.
    from_log: dict[tuple[str, int], int] = {}
    lines: dict[str, list[list[int]]] = {"request": [], "release": []}
    for receipt in market.history():
        for event in receipt.events:
            name = type(event).__name__
            if name == "PeriodOpened":
                lines = {"request": [], "release": []}
            elif "Posted" in name:
                kind = "request" if "Request" in name else "release"
                posted = getattr(event, "orders", None) or [event]
                first = getattr(event, "first", getattr(event, "counter", 0))
                lines[kind] += [[first + i, order.energy] for i, order in enumerate(posted)]
        for fill in receipt.fills:
            for kind, line in lines.items():
                head = next(each for each in line if each[1])
                head[1] -= fill.energy
                key = kind, head[0]
                from_log[key] = from_log.get(key, 0) + fill.energy
    for order in told:
        if order["counter"] is not None:
            assert order["matched_wh"] == from_log.get((order["kind"], order["counter"]), 0)


def test_a_new_store_begins_with_the_queues_as_they_stand(
    start: Callable[..., Service], clock: Clock
) -> None:
    market = new_market(clock)
    operator = market.as_account(OPERATOR)
    operator.post_requests([Request(1, 100), Request(2, 50)])
    operator.post_releases([Release(3, 30)])
    market.match_pending(1)
    service = start(market)
    id = service.accept(meter=3, kind="release", energy=200)
    offer = service.accept(meter=4, energy=1_000)
    service.wait(5)
    market.match_pending(10)
    service.step()
    told = service.of(id)
    assert [match["energy_wh"] for match in told["matches"]] == [70, 50, 80]
    assert service.of(offer)["matched_wh"] == 80


def test_a_log_that_does_not_add_up_is_no_reason_to_guess(service: Service) -> None:
    market = service.market
    operator = market.as_account(OPERATOR)
    operator.post_and_match([Request(1, 5)], [Release(2, 5)], 1)
    (receipt,) = market._book.history[-1:]
    market._book.history[-1] = replace(receipt, events=receipt.events[2:])
    with pytest.raises(ChainError, match="not first in line"):
        service.step()
    assert service.health()["trouble"] == "ChainError"


# ------------------------------------------------------------------ restarts and faults


def test_after_a_restart_what_was_accepted_is_posted(service: Service) -> None:
    id = service.accept()
    service.restart()
    assert service.states(id) == ["accepted"]
    assert [done.posted for done in service.wait(5)] == [1]
    assert service.states(id) == ["on chain"]


class Crash(BaseException):
    """The process ends, whatever it is doing."""


def crash() -> None:
    raise Crash


def test_after_a_crash_before_sending_the_order_is_posted_once(service: Service) -> None:
    id = service.accept()
    service.market.blocks.sending = crash
    with pytest.raises(Crash):
        service.wait(5)
    service.market.blocks.sending = lambda: None
    service.restart()
    assert service.states(id) == ["sent"]
    assert [done.posted for done in service.step()] == [1]
    assert service.states(id) == ["on chain"]
    assert service.market.request_counter() == 1


def test_after_a_crash_while_sending_the_order_is_posted_once(service: Service) -> None:
    id = service.accept()
    service.market.blocks.before = crash
    with pytest.raises(Crash):
        service.wait(5)
    service.market.blocks.before = lambda: None
    service.restart()
    # The outbox has it: it is helped on, and seen mined at the next look.
    assert service.wait(20) == []
    assert service.states(id) == ["sent"]
    assert service.step() == []
    assert service.states(id) == ["on chain"]
    assert service.market.request_counter() == 1


def test_after_a_crash_behind_sending_nothing_is_posted_twice(service: Service) -> None:
    ids = service.accept(), service.accept(meter=1)
    service.market.blocks.after = crash
    with pytest.raises(Crash):
        service.wait(5)
    service.market.blocks.after = lambda: None
    service.restart()
    assert service.step() == []
    assert service.states(*ids) == ["on chain"] * 2
    assert [service.of(id)["counter"] for id in ids] == [0, 1]
    assert service.wait(60) == []
    assert service.market.request_counter() == 2
    assert service.health()["last_batch"]["gas"] == 21_000


def stuck(service: Service) -> None:
    """The node takes what is sent, and mines nothing."""
    service.market.blocks.calls.mines = False
    with pytest.raises(ReceiptTimeout):
        service.wait(5)
    service.market.blocks.calls.mines = True


def test_a_transaction_that_is_not_seen_mined_is_asked_for(service: Service) -> None:
    id = service.accept()
    stuck(service)
    assert service.states(id) == ["sent"]
    assert service.health()["trouble"] == "ReceiptTimeout"
    told = service.health()
    assert (told["under_way"], told["oldest_under_way_seconds"]) == (1, 7)
    assert service.step() == service.step() == []
    assert service.states(id) == ["on chain"]
    told = service.health()
    assert (told["status"], told["under_way"]) == ("ok", 0)
    assert told["oldest_under_way_seconds"] is None


def test_what_was_sent_is_not_sent_again_while_it_is_under_way(service: Service) -> None:
    id = service.accept()
    stuck(service)
    service.market.blocks.calls.mines = False
    assert service.wait(60) == service.wait(60) == []
    assert service.states(id) == ["sent"]
    assert len(service.market.blocks.calls.calls) == 1


def test_an_order_whose_transaction_was_replaced_has_the_hash_of_the_one_that_was_mined(
    service: Service,
) -> None:
    ids = service.accept(), service.accept(meter=1)
    market = service.market
    stuck(service)
    first = service.of(ids[0])["transaction"]
    market.as_account(OPERATOR).retire_meter(METERS[1])
    market.blocks.calls.resign()
    service.step()
    service.step()
    good, bad = map(service.of, ids)
    assert good["transaction"] == bad["transaction"] == market.blocks.hashes[len(market.blocks)]
    assert good["transaction"] != first
    assert (good["state"], bad["state"], bad["reason"]) == (
        *("on chain", "refused"),
        "energy: meter is retired",
    )


def test_orders_of_a_transaction_that_was_withdrawn_wait_again_or_expire(
    service: Service,
) -> None:
    late = service.accept()
    service.market.blocks.calls.mines = False
    with pytest.raises(ReceiptTimeout):
        service.wait(5)
    soon = service.accept(meter=1, period=FIRST + 1)
    service.market.blocks.calls.mines = True
    service.clock.time = (FIRST + 1) * PERIOD + 1
    (done,) = service.step()
    assert done.posted == 1
    assert service.states(late, soon) == ["expired", "on chain"]
    assert service.market.request_counter() == 1


def test_a_new_store_is_none_that_was_there_before(start: Callable[..., Service]) -> None:
    service = start()
    service.accept()
    assert [done.posted for done in service.wait(5)] == [1]
    service.close()
    service.path.unlink()
    again = start(service.market)
    id = again.accept(meter=1)
    assert [done.posted for done in again.wait(5)] == [1]
    assert again.states(id) == ["on chain"]


@pytest.mark.parametrize("fault", [OutOfFunds, NodeUnreachable, MarketPaused])
def test_after_a_fault_before_sending_the_order_waits(
    service: Service, fault: type[Exception]
) -> None:
    id = service.accept()

    def refuse() -> None:
        raise fault("not now")

    service.market.blocks.sending = refuse
    with pytest.raises(fault):
        service.wait(5)
    assert service.states(id) == ["accepted"]
    health = service.health()
    assert (health["status"], health["trouble"]) == ("degraded", fault.__name__)
    service.market.blocks.sending = lambda: None
    assert service.wait(1) == []  # not at once: each try may cost gas
    assert [done.posted for done in service.wait(5)] == [1]
    assert service.market.request_counter() == 1


def test_what_is_not_confirmed_yet_is_not_told(start: Callable[..., Service], clock: Clock) -> None:
    market = new_market(clock)
    market.blocks.confirmations = 2
    service = start(market)
    id = service.accept()
    service.wait(5)
    assert service.states(id) == ["sent"]
    for _ in range(2):
        market.as_account(OPERATOR).post_request(METERS[3], 5)
        assert service.wait(5) == []
    assert service.states(id) == ["on chain"]


def test_run_goes_on_after_a_fault_and_tells_it_once(service: Service) -> None:
    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == 1
            service.clock.time += 6
            return self.is_set()

    stop, told, done = Stop(), [], []
    service.accept()
    faults = [OutOfFunds("no ether")] * 3

    def refuse() -> None:
        if faults:
            raise faults.pop()

    def report(batch: object) -> None:
        done.append(batch)
        stop.set()

    service.market.blocks.sending = refuse
    service.relay.batcher.run(stop, report, told.append, poll_seconds=1)
    assert told == ["no ether"]
    assert len(done) == 1


# ------------------------------------------------------------------ the store


def test_the_store_is_its_owner_s(service: Service) -> None:
    assert service.path.stat().st_mode & 0o077 == 0


def test_a_store_of_another_market_is_refused(service: Service, clock: Clock) -> None:
    service.relay.close()
    other = new_market(clock)
    other._book.domain = OrderDomain(5, DOMAIN.contract)
    with pytest.raises(InvalidInput, match="of another market"):
        Relay(other, service.path)
    other = new_market(clock)
    other.genesis = lambda: "0x" + "cd" * 32  # type: ignore[method-assign]
    with pytest.raises(InvalidInput, match="begun anew"):
        Relay(other, service.path)


@pytest.mark.parametrize("content", [b"no database" * 100, None])
def test_a_file_that_is_no_store_is_refused(
    tmp_path: Path, clock: Clock, content: bytes | None
) -> None:
    path = tmp_path / "store"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match="give --store"):
        Relay(new_market(clock), path)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 0},
        {"batch_size": 101},
        {"batch_seconds": 0},
        {"batch_seconds": float("nan")},
        {"most_waiting": 0},
        {"client_rate": "often"},
        {"meter_rate": ""},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        RelaySettings(**settings)


def test_the_account_that_pays_has_no_other_power(service: Service) -> None:
    assert service.market.account == AGGREGATOR
    service.accept()
    service.wait(5)
    assert [type(event).__name__ for event in service.market._book.history[-1].events] == [
        "PeriodOpened",
        "SignedRequestsPosted",
    ]
