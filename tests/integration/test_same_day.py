"""The same day gives the same matches and the same gas on every chain."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from energy_chain.chain.networks import EMBEDDED, network_at
from energy_chain.demo import DemoResult, run_demo
from energy_chain.meters import Readings, generate
from tests.integration.nodes import Node


@pytest.fixture(scope="module")
def readings() -> Readings:
    return generate(homes=3, first=date(2026, 6, 21), period=timedelta(minutes=30), seed=0)


@pytest.fixture(scope="module")
def embedded(readings: Readings) -> DemoResult:
    return run_demo(readings, EMBEDDED)


def test_a_day_is_the_same_on_every_chain(
    node: Node, readings: Readings, embedded: DemoResult
) -> None:
    result = run_demo(readings, network_at(node.url))
    assert result.chain_id == node.chain_id
    assert result.trade == embedded.trade
    assert result.trade.matches > 0
    assert result.audit.clean
    assert embedded.audit.clean
