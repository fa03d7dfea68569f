"""What the contract tests share: a side of the market, and posting in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.brownie import Contract
from tests.contract.orders import Order, Side, releases_of, requests_of


@pytest.fixture(params=[requests_of, releases_of], ids=["requests", "releases"])
def side(request: pytest.FixtureRequest, market: Contract) -> Side:
    """Requests, then releases: what is true of one must be true of the other."""
    return request.param(market)


@pytest.fixture
def post(market: Contract, operator: str) -> Callable[..., None]:
    """Posts requests and releases in batches."""

    def post(requests: Sequence[Order] = (), releases: Sequence[Order] = ()) -> None:
        requests_of(market).post_all(requests, operator)
        releases_of(market).post_all(releases, operator)

    return post


@pytest.fixture
def match(market: Contract, stranger: str) -> Callable[..., Any]:
    """Calls the matching loop, as anyone may."""

    def match(max_matches: int = 256) -> Any:
        return market.match_pending(max_matches, {"from": stranger})

    return match
