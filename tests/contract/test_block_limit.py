"""The largest calls fit a block, even when every slot is written for the first time."""

from __future__ import annotations

from tests.brownie import GAS_LIMIT, Contract
from tests.contract.orders import order_words

LARGEST = 256


def test_the_largest_calls_fit_a_block(market: Contract, operator: str) -> None:
    by_operator = {"from": operator}
    others = [f"0x{n:040d}" for n in range(1, 193)]
    new = [f"0x{n:040d}" for n in range(1000, 1000 + LARGEST)]
    market.register_meters(others, by_operator)
    orders = order_words([(1 + i % 200, 2**32 - 1) for i in range(LARGEST)])
    txs = [
        market.post_requests(orders, by_operator),
        market.post_releases(orders, by_operator),
        market.match_pending(LARGEST, by_operator),
        market.post_and_match(orders, orders, LARGEST, by_operator),
        market.register_meters(new, by_operator),
    ]
    assert [txs[2].return_value, txs[3].return_value] == [LARGEST, LARGEST]
    assert max(tx.gas_used for tx in txs) < GAS_LIMIT * 2 / 3
