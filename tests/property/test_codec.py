"""What Python packs, Python and the contract unpack."""

from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain.events import DeliveriesConfirmed, ReleasesPosted, RequestsPosted
from energy_chain.market import MAX_ENERGY, MAX_METERS, Fill, Release, Request
from energy_chain.packing import (
    pack_energies,
    pack_releases,
    pack_requests,
    unpack_energies,
    unpack_fills,
    unpack_releases,
    unpack_requests,
)

from .histories import DETERMINISTIC
from .markets import OPERATOR, REGISTERED, stage

numbers = st.integers(0, MAX_METERS)
wh = st.one_of(st.integers(0, 9), st.integers(MAX_ENERGY - 9, MAX_ENERGY))
orders = st.lists(st.tuples(numbers, wh).filter(any), max_size=256)
posted = st.lists(st.tuples(st.integers(1, 5), wh.filter(bool)), min_size=1, max_size=21)
many = settings(DETERMINISTIC, max_examples=100)


@given(orders)
@many
def test_requests_survive_packing(batch):
    requests = tuple(Request(*order) for order in batch)
    assert unpack_requests(pack_requests(requests)) == requests


@given(orders)
@many
def test_releases_survive_packing(batch):
    releases = tuple(Release(*order) for order in batch)
    assert unpack_releases(pack_releases(releases)) == releases


@given(st.lists(wh, max_size=256))
@many
def test_energies_survive_packing_padded_to_words(energies):
    padding = -len(energies) % 4
    assert unpack_energies(pack_energies(energies)) == (*energies, *(0,) * padding)


@given(orders)
@many
def test_words_are_as_many_as_the_orders_need(batch):
    words = pack_requests([Request(*order) for order in batch])
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
