"""Gas that the main calls may use, from receipts, their events included.

Steady means that every slot was written before. Meter numbers are below 256 and energies of two
bytes, as in a neighbourhood: zero bytes of calldata are cheaper.
"""

from __future__ import annotations

import pytest

from energy_chain.packing import pack_energies
from tests.contract.orders import release_words, request_words

BATCH = 100

BUDGETS = {
    "match, first lap": 7_500,
    "match, steady": 3_190,
    "post a request, steady": 1_810,
    "post a release, steady": 1_810,
    "confirm, steady": 1_740,
    "life of a pair, steady": 8_400,
    "incomingRequest, steady": 36_500,
    "consume_match": 32_900,
}
"""Gas of one order, match or call; those of batches are of one in a batch of 100.

Single calls are a meter's own.
"""


@pytest.fixture(scope="module")
def neighbourhood(deploy, operator):
    """A market with 200 meters: producers 1..100, consumers 101..200."""
    market = deploy(0)
    others = [f"0x{n:040d}" for n in range(1, 193)]
    market.register_meters(others, {"from": operator})
    return market


@pytest.fixture(scope="module")
def measured(neighbourhood, operator, producer, consumer):
    """Gas of each call, in the first lap and after 24 laps of 100 pairs."""
    market, by_operator = neighbourhood, {"from": operator}
    energies = [1000 + i for i in range(BATCH)]
    requests = request_words([(1 + i, energy) for i, energy in enumerate(energies)])
    releases = release_words([(101 + i, energy) for i, energy in enumerate(energies)])
    deliveries = pack_energies(energies)
    used = {}
    for lap in range(25):
        calls = {
            "post a request": market.post_requests(requests, by_operator),
            "post a release": market.post_releases(releases, by_operator),
            "match": market.match_pending(BATCH, by_operator),
            "confirm": market.confirm_deliveries(lap * BATCH, deliveries, by_operator),
        }
        assert calls["match"].return_value == BATCH
        name = "first lap" if lap == 0 else "steady"
        used |= {f"{call}, {name}": tx.gas_used / BATCH for call, tx in calls.items()}
        used[f"life of a pair, {name}"] = sum(tx.gas_used for tx in calls.values()) / BATCH
    single = [market.incomingRequest(producer, 1000, {"from": producer}) for _ in range(4)]
    used["incomingRequest, steady"] = max(tx.gas_used for tx in single)
    market.post_releases(release_words([(2, 4000)]), by_operator)
    market.match_pending(BATCH, by_operator)
    consumed = [
        market.consume_match(25 * BATCH + i, 1000 - i, {"from": consumer}) for i in range(4)
    ]
    used["consume_match"] = max(tx.gas_used for tx in consumed)
    return used


def test_gas_stays_within_its_budget(measured):
    # One test, so that one worker alone measures.
    assert measured.keys() >= BUDGETS.keys()
    assert {what: gas for what, gas in measured.items() if gas > BUDGETS.get(what, gas)} == {}


def test_the_largest_calls_fit_a_block(neighbourhood, operator):
    # First lap, each slot written for the first time: 30 million gas is a block.
    orders = [(1 + i % 200, 2**32 - 1) for i in range(256)]
    txs = [
        neighbourhood.post_requests(request_words(orders), {"from": operator}),
        neighbourhood.post_releases(release_words(orders), {"from": operator}),
        neighbourhood.match_pending(256, {"from": operator}),
        neighbourhood.register_meters(
            [f"0x{n:040d}" for n in range(1000, 1256)], {"from": operator}
        ),
    ]
    assert txs[2].return_value == 256
    assert max(tx.gas_used for tx in txs) < 30_000_000 * 2 / 3
