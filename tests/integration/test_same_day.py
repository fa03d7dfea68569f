"""The same day gives the same matches and the same gas on every chain."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from energy_chain import demo
from energy_chain.chain.networks import EMBEDDED, Network, network_at
from energy_chain.demo import DemoResult, run_demo
from energy_chain.events import PeriodOpened, Receipt
from energy_chain.ledger import Ledger
from energy_chain.meters import Readings, generate
from energy_chain.record.audit import AuditReport, audit
from tests.integration.nodes import Node


class Day(NamedTuple):
    """What the demo says of a day, and what the chain logged, but for the numbers of periods."""

    result: DemoResult
    events: list[object]


def traded(readings: Readings, network: Network) -> Day:
    events: list[object] = []

    def watched(history: Iterable[Receipt], ledger: Ledger) -> AuditReport:
        receipts = list(history)
        for receipt in receipts:
            for event in receipt.events:
                opened = isinstance(event, PeriodOpened)
                events.append((event.expired_requests, event.expired_releases) if opened else event)
        return audit(receipts, ledger)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "audit", watched)
        return Day(run_demo(readings, network), events)


@pytest.fixture(scope="module")
def readings() -> Readings:
    return generate(homes=4, first=date(2026, 6, 21), period=timedelta(hours=1), seed=0)


@pytest.fixture(scope="module")
def embedded(readings: Readings) -> Day:
    return traded(readings, EMBEDDED)


def test_a_day_is_the_same_on_every_chain(node: Node, readings: Readings, embedded: Day) -> None:
    day = traded(readings, network_at(node.url))
    assert day.result.chain_id == node.chain_id
    assert day.result.trade == embedded.result.trade
    assert day.events == embedded.events
    assert day.result.trade.matches > 0
    assert day.result.audit.clean
    assert embedded.result.audit.clean
