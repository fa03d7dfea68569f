"""The baselines that the benchmark measures against do what the figures are said to be of."""

from __future__ import annotations

from collections import defaultdict, deque
from random import Random
from typing import Any

import pytest

from benchmarks.laboratory import compile_baseline
from tests import brownie
from tests.brownie import Chain, Contract, reverts

CAPACITY = 1024
MAX_BATCH = 256
NOT_KEPT = "energy: match is not kept"
NOT_THE_DEPLOYER = "energy: sender is not deployer"
NOT_AN_ENERGY = "energy: value not 1..2**48-1 Wh"
TOO_MUCH = "energy: value above what is left"


@pytest.fixture(autouse=True)
def own_gas(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the baselines use is kept out of the market's figures."""
    monkeypatch.setattr(brownie, "gas", defaultdict(list))


def deploy(chain: Chain, name: str, sender: str) -> Contract:
    output = compile_baseline(name)
    computation, _ = chain.send(sender, b"", bytes.fromhex(output["bytecode"][2:]))
    assert computation.is_success
    return Contract(chain, computation.msg.storage_address, output["abi"])


@pytest.fixture
def ancestor(chain: Chain, owner: str) -> Contract:
    return deploy(chain, "ancestor_way", owner)


@pytest.fixture
def ring(chain: Chain, owner: str) -> Contract:
    return deploy(chain, "address_ring", owner)


def skip(ring: Contract, orders: int) -> None:
    """As though so many orders a side had been posted and matched, two matches an order."""
    head_and_tail = orders << 32 | orders
    slot = compile_baseline("address_ring")["layout"]["storage_layout"]["state"]["slot"]
    ring.chain.store(ring, slot, 2 * orders << 128 | head_and_tail << 64 | head_and_tail)


def word(meter: str, energy: int) -> int:
    """An order as `address_ring` packs it."""
    return int(meter, 16) << 96 | energy


# ------------------------------------------------------------------ ancestor_way


def test_the_ancestor_matches_the_newest_one_a_call(
    ancestor: Contract, meters: list[str], stranger: str
) -> None:
    sender = {"from": stranger}
    producers, consumers = meters[:3], meters[3:6]
    for n, (producer, consumer) in enumerate(zip(producers, consumers, strict=True)):
        ancestor.incomingRequest(producer, 10 + n, sender)
        ancestor.incomingRelease(consumer, 20 + n, sender)
    for left in (2, 1, 0):
        assert ancestor.get_request_value() == 10 + left
        assert ancestor.get_release_value() == 20 + left
        assert ancestor.doMatching(7, sender).events == []
        assert ancestor.check_request_counter() == ancestor.check_release_counter() == left
        assert ancestor.outgoingRelease(consumers[left]) == producers[left]
        assert ancestor.get_matching_value(consumers[left]) == 7
    assert ancestor.pending_requests(0) == producers[0]
    with reverts():
        ancestor.doMatching(7, sender)


def test_what_the_ancestor_keeps_of_a_pair(
    ancestor: Contract, producer: str, consumer: str, stranger: str
) -> None:
    sender = {"from": stranger}
    for wh in (60, 40):
        ancestor.incomingRequest(producer, wh, sender)
        ancestor.incomingRelease(consumer, wh, sender)
    assert (ancestor.request(producer), ancestor.release(consumer)) == (100, 40)
    ancestor.doMatching(30, sender)
    assert (ancestor.request(producer), ancestor.release(consumer)) == (70, 70)
    assert ancestor.matching(consumer) == (producer, 30)
    assert ancestor.get_mapping_data(consumer, sender).return_value == producer
    assert ancestor.release(consumer) == 30
    ancestor.consume(consumer, 12, sender)
    assert ancestor.get_matching_value(consumer) == 18


def test_the_ancestor_takes_a_hundred_orders_of_a_side(ancestor: Contract, producer: str) -> None:
    for _ in range(100):
        ancestor.incomingRequest(producer, 1, {"from": producer})
    with reverts():
        ancestor.incomingRequest(producer, 1, {"from": producer})


# ------------------------------------------------------------------ address_ring


class Fifo:
    """First come, first served: two queues of [meter, energy left]."""

    def __init__(self) -> None:
        self.requests: deque[list[Any]] = deque()
        self.releases: deque[list[Any]] = deque()

    def match(self, most: int) -> list[tuple[str, str, int]]:
        pairs: list[tuple[str, str, int]] = []
        while self.requests and self.releases and len(pairs) < most:
            request, release = self.requests[0], self.releases[0]
            pairs.append((request[0], release[0], min(request[1], release[1])))
            for queue in (self.requests, self.releases):
                queue[0][1] -= pairs[-1][2]
                if queue[0][1] == 0:
                    queue.popleft()
        return pairs


@pytest.mark.parametrize("energies", [(5,), (1, 2, 3), (2, 4, 2**48 - 1)])
@pytest.mark.parametrize("seed", range(2))
def test_the_ring_matches_first_come_first_served(
    ring: Contract, owner: str, meters: list[str], seed: int, energies: tuple[int, ...]
) -> None:
    random, model, start = Random(seed), Fifo(), CAPACITY - 10  # the rings begin anew on the way
    posted, matched = [start, start], 2 * start
    skip(ring, start)
    for _ in range(25):
        for side, (queue, single, batch) in enumerate(
            (
                (model.requests, ring.incomingRequest, ring.post_requests),
                (model.releases, ring.incomingRelease, ring.post_releases),
            )
        ):
            orders = [
                [random.choice(meters), random.choice(energies)]
                for _ in range(random.choice((0, 1, 1, 2, 5)))
            ]
            if len(orders) == 1:
                meter, wh = orders[0]
                fields = single(meter, wh, {"from": meter}).events[0][1]
                assert fields == {"meter": meter, "counter": posted[side], "energy": wh}
            else:
                words = [word(meter, wh) for meter, wh in orders]
                fields = batch(words, {"from": owner}).events[0][1]
                assert fields == {"first": posted[side], "words": words}
            posted[side] += len(orders)
            queue.extend(orders)
        most = random.choice((1, 2, 3, MAX_BATCH))
        pairs = model.match(most)
        tx = ring.match_pending(most, {"from": meters[0]})
        assert tx.return_value == len(pairs)
        assert [ring.match_at(matched + i) for i in range(len(pairs))] == pairs
        for fields in tx.events["Matched"]:
            assert fields["first"] == matched
            assert [logged & 2**96 - 1 for logged in fields["words"]] == [e for _, _, e in pairs]
        assert len(tx.events) == bool(pairs)
        matched += len(pairs)
        for queue, count, value in (
            (model.requests, ring.check_request_counter, ring.get_request_value),
            (model.releases, ring.check_release_counter, ring.get_release_value),
        ):
            assert count() == len(queue)
            assert value() == (queue[0][1] if queue else 0)
    assert ring.match_counter() == matched > 2 * CAPACITY
    assert min(posted) > CAPACITY


def test_the_ring_loses_no_energy(ring: Contract, owner: str, meters: list[str]) -> None:
    random, totals = Random(7), [0, 0]
    for side, batch in enumerate((ring.post_requests, ring.post_releases)):
        energies = [random.choice((10, 20, 30)) for _ in range(60)]
        totals[side] = sum(energies)
        batch([word(random.choice(meters), wh) for wh in energies], {"from": owner})
    while ring.match_pending(7, {"from": owner}).return_value:
        pass
    matched = sum(ring.match_at(i)[2] for i in range(ring.match_counter()))
    assert matched == min(totals)


def test_the_ring_overwrites_only_what_was_matched(
    ring: Contract, owner: str, meters: list[str]
) -> None:
    sender, consumer = {"from": owner}, meters[1]
    requests, releases = [word(meters[0], 9)] * MAX_BATCH, [word(consumer, 9)] * MAX_BATCH
    for _ in range(CAPACITY // MAX_BATCH):
        ring.post_requests(requests, sender)
        ring.post_releases(releases, sender)
    with reverts("energy: ring is full"):
        ring.incomingRequest(meters[2], 9, {"from": meters[2]})
    with reverts("energy: ring is full"):
        ring.post_releases(releases[:1], sender)
    while ring.match_pending(MAX_BATCH, sender).return_value:
        pass
    assert ring.match_counter() == CAPACITY
    ring.incomingRelease(meters[3], 9, {"from": meters[3]})
    for account in (consumer, meters[3], owner):
        with reverts(NOT_KEPT):  # its release is overwritten: never another's
            ring.consume_match(0, 1, {"from": account})
    assert ring.match_at(0)[1] == "0x" + "0" * 40
    ring.consume_match(1, 1, {"from": consumer})
    ring.confirm_deliveries(0, [9, 8], sender)  # needs no address


def test_matches_of_the_ring_are_overwritten_by_counter(
    ring: Contract, owner: str, producer: str, consumer: str
) -> None:
    sender, orders = {"from": owner}, [1, 2, 3]
    skip(ring, CAPACITY - 1)
    ring.post_requests([word(producer, energy) for energy in orders], sender)
    ring.post_releases([word(consumer, energy) for energy in orders], sender)
    ring.match_pending(MAX_BATCH, sender)
    assert ring.match_counter() == 2 * CAPACITY + 1
    assert ring.match_at(2 * CAPACITY) == (producer, consumer, 3)
    with reverts(NOT_KEPT):
        ring.confirm_deliveries(0, [0], sender)
    ring.confirm_deliveries(1, [0], sender)


def test_the_ring_confirms_no_more_than_is_left(
    ring: Contract, owner: str, producer: str, consumer: str, stranger: str
) -> None:
    for energy in (10, 20):
        ring.incomingRequest(producer, energy, {"from": producer})
        ring.incomingRelease(consumer, energy, {"from": consumer})
    ring.match_pending(2, {"from": stranger})
    tx = ring.consume_match(0, 4, {"from": consumer})
    assert tx.events == [("DeliveryConfirmed", {"index": 0, "energy": 4})]
    assert ring.match_at(0) == (producer, consumer, 6)
    with reverts(TOO_MUCH):
        ring.consume_match(0, 7, {"from": consumer})
    with reverts(NOT_AN_ENERGY):
        ring.consume_match(0, -1, {"from": consumer})
    with reverts(NOT_THE_DEPLOYER):
        ring.consume_match(0, 1, {"from": producer})
    with reverts(NOT_KEPT):
        ring.consume_match(2, 1, {"from": consumer})

    with reverts(TOO_MUCH):
        ring.confirm_deliveries(0, [6, 21], {"from": owner})
    with reverts(NOT_KEPT):
        ring.confirm_deliveries(1, [1, 1], {"from": owner})
    with reverts(NOT_THE_DEPLOYER):
        ring.confirm_deliveries(0, [1], {"from": consumer})
    tx = ring.confirm_deliveries(0, [6, 5], {"from": owner})
    assert tx.events == [("DeliveriesConfirmed", {"first": 0, "energies": [6, 5]})]
    assert [ring.match_at(i)[2] for i in (0, 1)] == [0, 15]


def test_what_the_ring_refuses(
    ring: Contract, owner: str, producer: str, consumer: str, stranger: str
) -> None:
    sender = {"from": owner}
    for post in (ring.incomingRequest, ring.incomingRelease):
        for energy in (0, -1, 2**48, 2**255 - 1):
            with reverts(NOT_AN_ENERGY):
                post(producer, energy, sender)
        with reverts(NOT_THE_DEPLOYER):
            post(producer, 1, {"from": stranger})
        with reverts("energy: address is zero"):
            post("0x" + "0" * 40, 1, sender)
    for batch in (ring.post_requests, ring.post_releases):
        for energy in (0, 2**48):
            with reverts(NOT_AN_ENERGY):
                batch([word(producer, 1), word(consumer, energy)], sender)
        with reverts("energy: address is zero"):
            batch([1], sender)
        with reverts(NOT_THE_DEPLOYER):
            batch([word(producer, 1)], {"from": producer})
    for most in (0, 257):
        with reverts("energy: max_matches not 1..256"):
            ring.match_pending(most, sender)
    assert ring.check_request_counter() == ring.check_release_counter() == 0
