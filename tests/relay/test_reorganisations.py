"""What the relay makes of blocks that are no longer in the chain: as if they had never been."""

from __future__ import annotations

from contextlib import suppress
from threading import Event
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from energy_chain.errors import (
    ChainError,
    ContradictoryChain,
    MarketRefusal,
    ReceiptTimeout,
    WrongChain,
)
from energy_chain.events import Receipt
from energy_chain.market import Release, Request
from energy_chain.relay.follower import ATTEMPTS, Follower
from energy_chain.relay.store import (
    REMEMBERED,
    NewOrder,
    Store,
    followed_blocks,
    matches,
    orders,
    queue,
)
from energy_chain.signing import Kind

from ..property.markets import GENESIS, METERS, OPERATOR, PERIOD, Clock
from .conftest import DOMAIN, FIRST, ChainInMemory, Service, new_market, signed


def mine(market: ChainInMemory, number: int = 1) -> None:
    """Blocks in which the market has nothing."""
    for _ in range(number):
        market.blocks.append(Receipt((), market._book.clock()))


def elsewhere(
    market: ChainInMemory, meter: int, kind: Kind, energy: int, period: int = FIRST
) -> None:
    """Another relay posts an order."""
    order = signed(METERS[meter], kind, energy, period, (period + 1) * PERIOD - 60, 0, DOMAIN)
    ChainInMemory(market._book, METERS[4]).post_signed([order])


def states(service: Service, *ids: str) -> list[str]:
    service.step()
    return service.states(*ids)


# ------------------------------------------------------------------ orders


def test_an_order_whose_block_is_lost_is_sent_and_then_on_chain_again(service: Service) -> None:
    id = service.accept()
    service.wait(5)
    before = service.of(id)
    service.market.blocks.reorganise(1)
    service.market.as_account(OPERATOR).post_request(METERS[3], 5)
    assert states(service, id) == ["sent"]
    told = service.of(id)
    assert (told["block"], told["counter"], told["matched_wh"]) == (None, None, 0)
    assert states(service, id) == ["on chain"]
    told = service.of(id)
    assert (told["block"], told["counter"]) == (before["block"] + 1, before["counter"] + 1)
    assert service.market.request_counter() == 2


def test_an_order_whose_transaction_is_withdrawn_waits_again_while_its_period_lasts(
    service: Service,
) -> None:
    id = service.accept()
    service.wait(5)
    service.market.blocks.reorganise(1)
    service.market.blocks.calls.calls.clear()
    before = service.of(id)["transaction"]
    (done,) = service.step()
    assert done.posted == 1
    told = service.of(id)
    assert (told["state"], told["transaction"]) == ("on chain", done.transaction)
    assert done.transaction != before


def test_an_order_whose_block_is_lost_when_its_period_is_over_has_expired(service: Service) -> None:
    id = service.accept()
    service.wait(5)
    service.wait(PERIOD)
    assert service.states(id) == ["expired"]
    assert service.of(id)["counter"] == 0
    service.market.blocks.reorganise(1)
    mine(service.market)
    assert states(service, id) == ["expired"]
    told = service.of(id)
    assert (told["block"], told["counter"]) == (None, None)
    assert states(service, id) == ["expired"]
    assert service.market.request_counter() == 0


def test_matches_of_lost_blocks_are_taken_out(service: Service) -> None:
    market = service.market
    offer, need = service.accept(energy=100), service.accept(meter=1, kind="release", energy=60)
    service.wait(5)
    market.match_energy(20)
    service.step()
    market.match_pending(10)
    service.step()
    assert service.states(offer, need) == ["on chain", "matched"]
    market.blocks.reorganise(1)
    assert states(service, offer, need) == ["on chain", "on chain"]
    for id in (offer, need):
        told = service.of(id)
        assert (told["matched_wh"], len(told["matches"])) == (20, 1)
    market.as_account(OPERATOR).post_release(METERS[2], 30)
    market.match_pending(10)
    assert states(service, offer, need) == ["on chain", "matched"]
    told = service.of(offer)
    assert [each["energy_wh"] for each in told["matches"]] == [20, 40, 30]
    assert [each["partner"] for each in told["matches"]] == [METERS[1], METERS[1], METERS[2]]


def test_an_order_that_others_had_posted_waits_again(service: Service) -> None:
    id = service.accept()
    elsewhere(service.market, 0, Kind.REQUEST, 1_500)
    service.step()
    assert service.states(id) == ["on chain"]
    service.market.blocks.reorganise(1)
    mine(service.market)
    assert states(service, id) == ["accepted"]
    assert [done.posted for done in service.wait(5)] == [1]


def test_an_order_that_was_refused_in_a_lost_block_waits_again(service: Service) -> None:
    id = service.accept()
    elsewhere(service.market, 0, Kind.REQUEST, 900)
    service.step()
    assert service.states(id) == ["refused"]
    service.market.blocks.reorganise(1)
    mine(service.market)
    assert states(service, id) == ["accepted"]
    assert service.of(id)["reason"] is None


def test_an_order_that_the_contract_skipped_in_a_lost_block_is_asked_for_again(
    service: Service,
) -> None:
    market = service.market
    id = service.accept()
    market.blocks.before = lambda: market.as_account(OPERATOR).retire_meter(METERS[0])
    service.wait(5)
    market.blocks.before = lambda: None
    assert service.states(id) == ["refused"]
    market.blocks.reorganise(2)
    assert states(service, id) == ["sent"]
    assert states(service, id) == ["on chain"]


def test_what_has_expired_in_a_lost_block_has_not(service: Service, clock: Clock) -> None:
    market = service.market
    posted = service.accept()
    service.wait(5)
    market.blocks.calls.mines = False
    late = service.accept(meter=1)
    with pytest.raises(ReceiptTimeout):
        service.wait(5)
    before = clock.time
    clock.time = (FIRST + 1) * PERIOD
    mine(market)
    assert states(service, posted, late) == ["expired", "expired"]
    market.blocks.reorganise(1)
    clock.time = before
    mine(market)
    assert states(service, posted, late) == ["on chain", "sent"]
    market.blocks.calls.mines = True
    service.step()
    assert states(service, posted, late) == ["on chain", "on chain"]


def test_an_order_that_has_followed_one_that_was_refused_is_not_pushed_aside(
    service: Service,
) -> None:
    market = service.market
    first = service.accept()
    market.blocks.before = lambda: market.as_account(OPERATOR).retire_meter(METERS[0])
    service.wait(5)
    market.blocks.before = lambda: None
    market.as_account(OPERATOR).register_meters([METERS[0]])
    second = service.accept(energy=1_501)
    market.blocks.calls.calls.clear()
    market.blocks.reorganise(3)
    mine(market)
    assert states(service, first, second) == ["refused", "accepted"]
    assert service.of(first)["block"] is None
    service.wait(5)
    assert service.states(first, second) == ["refused", "on chain"]


def test_of_two_orders_that_have_expired_the_later_one_is_taken_up_again(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = service.market
    monkeypatch.setattr(market, "paused", lambda: True)
    first = service.accept(deadline=clock.time + 5)
    service.wait(6)
    second, before = service.accept(energy=1_501), clock.time
    clock.time = (FIRST + 1) * PERIOD
    mine(market)
    assert states(service, first, second) == ["expired", "expired"]
    market.blocks.reorganise(1)
    clock.time = before
    mine(market)
    assert states(service, first, second) == ["expired", "accepted"]


def test_a_batch_that_is_under_way_again_is_in_no_block(service: Service) -> None:
    service.accept()
    service.market.blocks.before = lambda: elsewhere(service.market, 0, Kind.REQUEST, 1_500)
    service.wait(5)
    service.market.blocks.before = lambda: None
    assert service.health()["last_batch"]["block"] == 4
    service.market.blocks.calls.mines = False
    service.market.blocks.reorganise(1)
    service.step()
    assert service.states(*[each["id"] for each in rows(service.relay.store)["orders"]]) == [
        "on chain"
    ]
    assert service.health()["last_batch"]["block"] is None


# ------------------------------------------------------------------ blocks


def test_a_chain_that_has_become_shorter_is_followed(service: Service) -> None:
    id = service.accept()
    service.wait(5)
    mine(service.market, 3)
    service.step()
    service.market.blocks.calls.mines = False
    service.market.blocks.reorganise(5)
    assert states(service, id) == ["sent"]
    assert service.relay.store.followed() == 2


def test_blocks_that_were_read_at_once_are_not_all_taken_back(service: Service) -> None:
    mine(service.market, 500)
    service.step()
    service.market.blocks.reorganise(3)
    mine(service.market)
    service.relay.store.followed_hashes()
    asked: list[int] = []
    true = service.market.receipts

    def receipts(first: int, last: int) -> Any:
        asked.extend((first, last))
        return true(first, last)

    service.market.receipts = receipts
    service.step()
    assert asked == [499, 500]


def test_only_so_many_blocks_are_remembered(service: Service) -> None:
    for _ in range(REMEMBERED + 10):
        mine(service.market)
        service.relay.batcher._follower.follow()
    known = service.relay.store.followed_hashes()
    assert len(known) == REMEMBERED
    assert known[0][0] == len(service.market.blocks)
    with service.relay.store.reading() as connection:
        assert len(connection.execute(select(followed_blocks)).all()) == REMEMBERED
    service.market.blocks.reorganise(REMEMBERED + 5)
    with pytest.raises(ChainError, match="deeper than this store remembers"):
        service.step()


def test_what_is_reorganised_while_it_is_read_is_read_again(service: Service) -> None:
    market = service.market
    id = service.accept()
    service.wait(5)
    mine(market)
    true, times = market.receipts, [2]

    def receipts(first: int, last: int) -> Any:
        found = list(true(first, last))
        if times[0]:
            times[0] -= 1
            market.blocks.reorganise(2)
            mine(market, 2)
        return found

    market.receipts = receipts
    service.step()
    assert states(service, id) == ["on chain"]
    market.blocks.reorganise(1)
    mine(market, 2)
    times[0] = ATTEMPTS
    with pytest.raises(ContradictoryChain, match="again and again"):
        service.step()
    assert service.health()["trouble"] == "ContradictoryChain"


def test_a_store_is_not_rewound_to_a_block_that_goes_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = service.market
    id = service.accept()
    service.wait(5)
    mine(market, 2)
    service.step()
    market.blocks.reorganise(2)
    mine(market)
    true, times = ChainInMemory.at_block, [1]

    def at_block(self: ChainInMemory, number: int) -> Any:
        found = true(self, number)
        if times[0]:
            times[0] -= 1
            market.blocks.reorganise(2)
        return found

    monkeypatch.setattr(ChainInMemory, "at_block", at_block)
    assert states(service, id) == ["sent"]
    assert states(service, id) == ["on chain"]


def test_a_store_of_an_earlier_version_remembers_blocks_from_now_on(service: Service) -> None:
    id = service.accept()
    service.wait(5)
    with service.relay.store.writing() as connection:
        connection.execute(followed_blocks.delete())
    service.restart()
    assert states(service, id) == ["on chain"]
    mine(service.market)
    service.step()
    mine(service.market)
    service.step()
    service.market.blocks.reorganise(1)
    assert states(service, id) == ["on chain"]
    assert len(service.relay.store.followed_hashes()) == 1


def test_going_back_twice_is_going_back_once(service: Service) -> None:
    from energy_chain.relay.lines import standing_at
    from energy_chain.relay.rewind import rewind

    service.accept(energy=100)
    service.accept(meter=1, kind="release", energy=60)
    service.wait(5)
    service.market.match_energy(20)
    service.step()
    told = []
    for _ in range(2):
        with service.relay.store.writing() as connection:
            rewind(connection, standing_at(service.market, 2), PERIOD, never=False)
        told.append(rows(service.relay.store))
    assert told[0] == told[1]
    service.step()
    assert [each["state"] for each in rows(service.relay.store)["orders"]] == ["on chain"] * 2


# ------------------------------------------------------------------ any history


def rows(store: Store) -> dict[str, Any]:
    """All that a store has from the chain, and what of it is the same for whoever reads it."""
    with store.reading() as connection:
        ids = {row.seq: row.id for row in connection.execute(select(orders))}
        told: dict[str, Any] = {"orders": [], "matches": [], "queue": []}
        for row in connection.execute(select(orders).order_by(orders.c.id)):
            is_posted = row.counter is not None
            told["orders"].append(
                {
                    "id": row.id,
                    "state": "accepted" if row.state == "sent" else row.state,
                    "reason": row.reason,
                    "transaction": row.transaction if is_posted else None,
                    "block": row.block,
                    "counter": row.counter,
                    "matched": row.matched,
                }
            )
        for row in connection.execute(select(matches).order_by(matches.c.match, matches.c.seq)):
            told["matches"].append((ids[row.seq], row.match, row.energy, row.number, row.partner))
        told["matches"].sort(key=lambda row: (row[1], row[0]))
        for row in connection.execute(select(queue).order_by(queue.c.kind, queue.c.counter)):
            told["queue"].append((row.kind, row.counter, row.left, ids.get(row.seq)))
    return told


METER = st.integers(0, 3)
ENERGY = st.sampled_from([100, 250])
KIND = st.sampled_from(list(Kind))
ACCEPT = st.tuples(st.just("accept"), METER, KIND, ENERGY, st.sampled_from([0, 0, 0, 1]))
MATCH = st.tuples(st.just("match"), ENERGY, ENERGY, st.integers(1, 3))
STEP = st.tuples(st.just("step"))
REORGANISE = st.tuples(st.just("reorganise"), st.integers(1, 6), st.booleans())
EVENT = st.one_of(
    *(ACCEPT, ACCEPT, ACCEPT, MATCH, MATCH, STEP, STEP, STEP, REORGANISE, REORGANISE),
    st.tuples(st.just("elsewhere"), METER, KIND, ENERGY),
    st.tuples(st.just("operator"), METER, KIND, ENERGY),
    st.tuples(st.just("wait"), st.sampled_from([1, 1, 30, PERIOD])),
    st.tuples(st.just("mines"), st.sampled_from([True, True, False])),
    st.tuples(st.just("resign")),
    st.tuples(st.just("restart")),
)


def happen(service: Service, name: str, arguments: tuple[Any, ...]) -> None:
    market, clock = service.market, service.clock
    period = clock.time // PERIOD
    match name, arguments:
        case "accept", (meter, kind, energy, later):
            period += later
            order = signed(
                METERS[meter], kind, energy, period, (period + 1) * PERIOD - 60, 0, DOMAIN
            )
            id = f"{meter}{kind}{period}{energy}"
            is_posted = not later and market.has_signed(METERS[meter], kind)
            if (meter, kind, period) not in service.given and not is_posted:
                new = NewOrder(id, METERS[meter], meter + 1, order)
                service.relay.store.add(new, clock.time)
                service.given[meter, kind, period] = new
        case "elsewhere", (meter, kind, energy):
            elsewhere(market, meter, kind, energy, period)
        case "operator", (meter, kind, energy):
            if kind is Kind.REQUEST:
                market.as_account(OPERATOR).post_requests([Request(meter + 1, energy)])
            else:
                market.as_account(OPERATOR).post_releases([Release(meter + 1, energy)])
        case "match", (offered, needed, count):
            sides = [Request(1, offered)], [Release(2, needed)]
            market.as_account(OPERATOR).post_and_match(*sides, count)
        case "wait", (seconds,):
            clock.time += seconds
            mine(market)
        case "step", ():
            with suppress(ReceiptTimeout):
                service.step()
        case "mines", (does,):
            market.blocks.calls.mines = does
        case "resign", ():
            market.blocks.calls.resign()
        case "restart", ():
            service.restart()
        case "reorganise", (depth, is_back_in_time):
            market.blocks.reorganise(depth)
            if is_back_in_time:
                clock.time = market.blocks[-1].timestamp
            mine(market)


@settings(max_examples=20, deadline=None)
@given(st.lists(EVENT, min_size=15, max_size=40), st.sampled_from([0, 0, 2]))
def test_the_store_is_that_of_a_relay_that_has_read_only_the_chain_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[Any, ...]],
    confirmations: int,
) -> None:
    folder, clock = tmp_path_factory.mktemp("relay"), Clock(GENESIS + 10)
    market = new_market(clock)
    market.blocks.confirmations = confirmations
    mine(market, 2)
    service = Service(folder, clock, market, batch_seconds=0.001)
    service.given = {}  # type: ignore[attr-defined]
    other = Store.open(folder / "other.sqlite", "the same market")
    Follower(market, other)
    try:
        for name, *arguments in history:
            with suppress(MarketRefusal):
                happen(service, name, tuple(arguments))
        market.blocks.calls.mines = True
        clock.time += 1
        market.as_account(OPERATOR).post_and_match([Request(1, 1)], [Release(2, 1)], 0)
        for _ in range(6):
            mine(market)
            with suppress(ReceiptTimeout):
                service.step()
        mine(market, confirmations)
        with suppress(ReceiptTimeout):
            service.step()
        for new in service.given.values():  # type: ignore[attr-defined]
            other.add(new, 0)
        Follower(market, other).follow()
        service.relay.batcher._follower.follow()
        told = rows(service.relay.store)
        assert told == rows(other)
        for state in {each["state"] for each in told["orders"]}:
            event(state)
    finally:
        service.close()
        other.close()


def test_a_chain_that_has_begun_anew_ends_the_relay_and_takes_nothing_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = service.accept()
    service.wait(5)

    def settled() -> tuple[int, int]:
        raise WrongChain("its first block is another one")

    monkeypatch.setattr(service.market, "settled", settled)
    service.market.blocks.reorganise(REMEMBERED)
    with pytest.raises(WrongChain):
        service.relay.batcher.run(Event())
    assert service.states(id) == ["on chain"]
