"""Every `Ledger`, prepared alike: one suite runs over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from energy_chain.ledger import Ledger

from ..property.markets import (
    AGGREGATOR,
    GENESIS,
    METERS,
    OPERATOR,
    OWNER,
    PERIOD,
    REGISTER,
    STRANGER,
    TRADED,
    Call,
    Clock,
    Pair,
    new_twin,
    outcome,
    stage,
)


@dataclass(frozen=True)
class Market:
    """A market whose five meters are registered, and who plays which part in it."""

    ledger: Ledger
    advance: Callable[[int], None]
    now: Callable[[], int]
    owner: str = OWNER
    aggregator: str = AGGREGATOR
    operator: str = OPERATOR
    stranger: str = STRANGER
    producer: str = METERS[0]
    """Meter number 1."""
    consumer: str = METERS[1]
    """Meter number 2."""
    other: str = METERS[2]
    """Meter number 3."""
    unregistered: str = METERS[5]
    period: int = PERIOD

    def as_(self, part: str) -> Ledger:
        """The ledger of who plays a part."""
        return self.ledger.as_account(getattr(self, part))


def _market_in_memory(calls: Sequence[Call]) -> Market:
    clock = Clock(GENESIS + 10)
    twin = new_twin(clock)
    for call in calls:
        outcome(twin, call)

    def advance(seconds: int) -> None:
        clock.time += seconds

    return Market(twin, advance, clock)


KINDS = ("memory", "contract")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the ledgers."""
    return str(request.param)


@pytest.fixture
def market(kind: str) -> Market:
    """A market in which nothing was posted yet."""
    return _market_in_memory([REGISTER]) if kind == "memory" else contract()


@pytest.fixture
def traded(kind: str) -> Market:
    """A market in which `TRADED` was called."""
    return _market_in_memory(TRADED) if kind == "memory" else contract("traded")


@pytest.fixture
def contract_market() -> Market:
    """A market in the contract, in which nothing was posted yet."""
    return contract()


def contract(name: str = "empty") -> Market:
    """A market in the contract."""
    pair: Pair = stage(name).pair()
    connection = pair.connection
    return Market(pair.contract, connection.advance_time, lambda: connection.block_time() + 1)
