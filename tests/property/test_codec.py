"""What Python packs, Python and the contract unpack."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain.events import DeliveriesConfirmed, ReleasesPosted, RequestsPosted
from energy_chain.market import MAX_ENERGY, MAX_METERS, Fill, Release, Request
from energy_chain.packing import (
    order_lanes,
    pack_energies,
    pack_orders,
    unpack_energies,
    unpack_fills,
    unpack_orders,
    unpack_pair,
)

from .histories import DETERMINISTIC
from .markets import OPERATOR, REGISTERED, stage

numbers = st.integers(0, MAX_METERS)
wh = st.one_of(st.integers(0, 9), st.integers(MAX_ENERGY - 9, MAX_ENERGY))
orders = st.lists(st.tuples(numbers, wh).filter(any), max_size=256)
posted = st.lists(st.tuples(st.integers(1, 5), wh.filter(bool)), min_size=1, max_size=21)
many = settings(DETERMINISTIC, max_examples=100)


@pytest.mark.parametrize("side", [Request, Release])
@given(batch=orders)
@many
def test_orders_survive_packing(side, batch):
    posted = tuple(side(*order) for order in batch)
    words = pack_orders(posted)
    assert unpack_orders(side, words) == posted
    assert order_lanes(side, words) == [*posted, *(side(0, 0),) * (-len(posted) % 4)]


def test_an_order_is_laid_out_as_drawn():
    for side in Request, Release:
        assert pack_orders([side(0x1234, 0x56789ABC), side(1, 2)]) == [
            0x0000_1234_56789ABC | 0x0000_0001_00000002 << 64
        ]
        assert order_lanes(side, [0xFFFF_0001_00000002])[0] == side(1, 2)  # without its price


@given(st.lists(wh, max_size=256))
@many
def test_energies_survive_packing_padded_to_words(energies):
    padding = -len(energies) % 4
    assert unpack_energies(pack_energies(energies)) == (*energies, *(0,) * padding)


@given(orders)
@many
def test_words_are_as_many_as_the_orders_need(batch):
    words = pack_orders([Request(*order) for order in batch])
    assert len(words) == (len(batch) + 3) // 4
    assert all(0 < word < 2**256 for word in words)


@given(
    st.lists(st.tuples(st.integers(1, MAX_METERS), st.integers(1, MAX_METERS), wh), max_size=40),
    st.integers(0, 7),
)
@many
def test_fills_are_unpacked_from_where_a_call_began(triples, first):
    fills = [Fill(*triple) for triple in triples]
    earlier = [Fill(9, 9, 9)] * (first % 4)
    lanes = [f.producer << 48 | f.consumer << 32 | f.energy for f in [*earlier, *fills]]
    lanes += [0] * (-len(lanes) % 4)
    words = [
        a << 192 | b << 128 | c << 64 | d for a, b, c, d in zip(*[iter(lanes)] * 4, strict=True)
    ]
    assert unpack_fills(first, words) == tuple(fills)


@given(st.integers(0, 2**32 - 1), st.integers(1, MAX_METERS), st.integers(1, MAX_METERS), wh)
@many
def test_a_pair_is_unpacked_with_its_index(index, producer, consumer, energy):
    lane = producer << 48 | consumer << 32 | energy
    assert unpack_pair(index << 64 | lane) == (index, Fill(producer, consumer, energy))


@given(posted)
@settings(DETERMINISTIC, max_examples=12)
def test_the_contract_stores_and_logs_the_requests_that_python_packs(batch):
    operator = stage("empty").pair().contract.as_account(OPERATOR)
    requests = tuple(Request(*order) for order in batch)
    assert operator.post_requests(requests).events[-1] == RequestsPosted(0, requests)
    for slot, request in enumerate(requests):
        assert operator.request_slot(slot) == (REGISTERED[request.meter - 1], request.energy)


@given(posted)
@settings(DETERMINISTIC, max_examples=12)
def test_the_contract_stores_and_logs_the_releases_that_python_packs(batch):
    operator = stage("empty").pair().contract.as_account(OPERATOR)
    releases = tuple(Release(*order) for order in batch)
    assert operator.post_releases(releases).events[-1] == ReleasesPosted(0, releases)
    for slot, release in enumerate(releases):
        assert operator.release_slot(slot) == (REGISTERED[release.meter - 1], release.energy)


@given(st.lists(wh.filter(bool), min_size=1, max_size=13))
@settings(DETERMINISTIC, max_examples=12)
def test_the_contract_confirms_the_energies_that_python_packs(energies):
    operator = stage("empty").pair().contract.as_account(OPERATOR)
    operator.post_requests([Request(1, energy) for energy in energies])
    operator.post_releases([Release(2, energy) for energy in energies])
    fills = operator.match_pending(256).fills
    assert fills == tuple(Fill(1, 2, energy) for energy in energies)
    padded = (*energies, *(0,) * (-len(energies) % 4))
    assert operator.confirm_deliveries(0, energies).events == (DeliveriesConfirmed(0, padded),)
    assert [match.energy for match in operator.matches_of(REGISTERED[1])] == [0] * len(energies)
