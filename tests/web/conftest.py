"""The page's application in this process, over small records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from energy_chain.record.indexer import Indexer
from energy_chain.record.store import Record
from energy_chain.web.app import create_app
from energy_chain.web.live import Hub
from energy_chain.web.state import State
from tests.property.markets import METERS, OPERATOR, STRANGER, Call
from tests.record.chains import Block, FakeChain
from tests.record.test_indexer import BATCHES, MATCH, POST, TRADE, WAIT
from tests.record.test_sums import PaidChain

FOREVER = Call(STRANGER, "wait", (40 * 86_400,))
HISTORY = [
    *BATCHES,
    WAIT,
    *TRADE,
    FOREVER,
    Call(OPERATOR, "retire_meter", (METERS[4],)),
    *BATCHES[:2],
    MATCH,
    POST,
]
"""Three matches in the first period and one in the next; 40 days later three, and a request waits.

A meter has retired.
"""


@dataclass
class Page:
    """The application, and what is behind it."""

    chain: FakeChain
    record: Record
    state: State
    hub: Hub
    client: TestClient

    @property
    def market(self) -> str:
        """The path of the market."""
        return f"/api/markets/{self.record.markets()[0].address}"

    def get(self, path: str = "", **query: Any) -> Any:
        """What is answered about the market."""
        answer = self.client.get(self.market + path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def update(self, *calls: Call) -> None:
        """More blocks, and the record with them."""
        self.chain.extend([Block(call) for call in calls])
        Indexer(self.record, self.chain).update()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[FakeChain], Page]]:
    """Makes the page of a chain's record."""
    made: list[Page] = []

    def make(chain: FakeChain) -> Page:
        record = Record.open(tmp_path / f"{len(made)}.sqlite")
        hub = Hub()
        state = State(hub.publish)
        app = create_app(record, state, hub, page=tmp_path)
        page = Page(chain, record, state, hub, TestClient(app, raise_server_exceptions=False))
        made.append(page)
        if chain.settled():
            page.update()
        return page

    yield make
    for page in made:
        page.client.close()
        page.record.close()


@pytest.fixture
def page(opened: Callable[[FakeChain], Page]) -> Page:
    """The page of a small history."""
    return opened(PaidChain(HISTORY))
