"""Which words a batch may be made of, whoever packed them: the contract against a plain rule."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web3.contract import Contract
from web3.exceptions import Web3Exception

from energy_chain.chain.artifact import load_artifact

from .histories import DETERMINISTIC
from .markets import METERS, OPERATOR, REGISTER, Call, Stage

RETIRED = 3

fields = st.tuples(
    st.sampled_from([0, 1, 2, 4, 5, 5, RETIRED, 6, 2**16 - 1]),
    st.sampled_from([0, 1, 1, 2**31, 2**32 - 1]),
    st.sampled_from([0] * 20 + [1, 2**16 - 1]),
)
good = st.tuples(st.sampled_from([1, 2, 4, 5]), st.sampled_from([1, 7, 2**32 - 1]), st.just(0))
empty = st.just((0, 0, 0))
lane = st.one_of(good, good, good, good, empty, fields)
words = st.lists(st.tuples(lane, lane, lane, lane), max_size=3)
mostly_good = st.builds(
    lambda full, last, rest: [*full, (*last, *((0, 0, 0),) * (4 - len(last))), *rest],
    st.lists(st.tuples(good, good, good, good), max_size=2),
    st.lists(good, max_size=4),
    st.lists(st.tuples(empty, empty, empty, empty), max_size=1),
)


@cache
def contract() -> Contract:
    setup = [REGISTER, Call("owner", "retire_meter", (METERS[RETIRED - 1],))]
    ledger = Stage(setup).pair()
    return ledger.connection.w3.eth.contract(
        address=ledger.contract.address, abi=load_artifact().abi
    )


def packed(batch: list[tuple[Any, ...]]) -> list[int]:
    return [
        sum(
            (price << 48 | meter << 32 | energy) << 64 * i
            for i, (meter, energy, price) in enumerate(word)
        )
        for word in batch
    ]


def taken(method: str, *arguments: Any) -> bool:
    try:
        contract().functions[method](*arguments).call({"from": OPERATOR, "gas": 1_000_000})
    except Web3Exception:
        return False
    return True


def may_be_posted(batch: list[tuple[Any, ...]]) -> bool:
    """Full words, then one that is filled from lane 0 on; every order good."""
    lanes = [lane for word in batch for lane in word]
    while lanes and lanes[-1] == (0, 0, 0):
        lanes.pop()
    return len(lanes) > 4 * (len(batch) - 1) and all(
        1 <= meter <= 5 and meter != RETIRED and energy and not price
        for meter, energy, price in lanes
    )


@pytest.mark.parametrize("method", ["post_requests", "post_releases"])
@given(batch=st.one_of(words, mostly_good))
@settings(DETERMINISTIC, max_examples=60)
def test_a_batch_is_taken_if_and_only_if_every_order_in_it_is_good(method, batch):
    assert taken(method, packed(batch)) == (bool(batch) and may_be_posted(batch))


@given(requests=mostly_good, releases=mostly_good, most=st.integers(0, 9))
@settings(DETERMINISTIC, max_examples=60)
def test_both_sides_are_taken_if_and_only_if_every_order_of_both_is_good(requests, releases, most):
    sides = [batch for batch in (requests, releases) if batch]
    expected = bool(sides) and all(map(may_be_posted, sides))
    assert taken("post_and_match", packed(requests), packed(releases), most) == expected
