"""A relay in this process, over a market in memory whose clock stands still until it is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from energy_chain.events import Receipt
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.relay.service import Relay
from energy_chain.relay.settings import RelaySettings
from energy_chain.signing import Kind, OrderDomain, OrderTerms, SignedOrder, sign

from ..property.markets import ACCOUNTS, AGGREGATOR, GENESIS, METERS, OPERATOR, OWNER, PERIOD, Clock

FIRST = GENESIS // PERIOD
"""The period in which the tests begin."""
DOMAIN = OrderDomain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
KEYS = {str(account.address): bytes(account.key) for account in ACCOUNTS}


@dataclass
class Blocks:
    """A chain around a market in memory: each call that changes something is a block."""

    hashes: dict[int, str] = field(default_factory=dict)
    """Of the transactions that the relay has sent, by block."""
    sent: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    """Is called when a transaction is about to be mined."""
    after: Callable[[], None] = lambda: None
    """Is called when it was."""
    confirmations: int = 0


class ChainInMemory(MemoryLedger):
    """The twin, with blocks and transactions. Implements `RelayMarket`."""

    blocks: Blocks
    announce: Callable[[str], None] | None = None

    def latest(self) -> tuple[int, int]:
        return len(self._book.history), self._book.clock()

    def settled(self) -> tuple[int, int]:
        block, time = self.latest()
        if not self.blocks.confirmations:
            return block, time
        block = max(0, block - self.blocks.confirmations)
        return block, self._book.history[block - 1].timestamp

    def at_block(self, _: int) -> MemoryLedger:
        return self

    def receipts(self, first_block: int, last_block: int) -> Iterator[Receipt]:
        for block in range(first_block, last_block + 1):
            transaction = self.blocks.hashes.get(block, f"0x{block:064x}")
            yield replace(
                self._book.history[block - 1], block=block, transaction=transaction, gas_used=0
            )

    def look_up(self, transaction: str) -> tuple[bool, int | None]:
        for block, hash in self.blocks.hashes.items():
            if hash == transaction:
                return True, block
        return False, None

    def announcing(self, announce: Callable[[str], None]) -> ChainInMemory:
        other = type(self)(self._book, self._account)
        other.blocks, other.announce = self.blocks, announce
        return other

    def post_signed(self, orders: Sequence[SignedOrder], all_or_nothing: bool = False) -> Receipt:
        hash = f"0x{len(self.blocks.sent) + 0xFFFF:064x}"
        self.blocks.sent.append(hash)
        if self.announce:
            self.announce(hash)
        self.blocks.before()
        receipt = super().post_signed(orders, all_or_nothing)
        block = len(self._book.history)
        self.blocks.hashes[block] = hash
        self.blocks.after()
        return replace(receipt, transaction=hash, block=block, gas_used=21_000)

    def max_signed(self) -> int:
        return 100

    def genesis(self) -> str:
        return "0x" + "ab" * 32


def new_market(clock: Clock, period_length: int = PERIOD) -> ChainInMemory:
    """A market in memory whose first five meters are registered; the aggregator acts on it."""
    market = ChainInMemory.deploy(OWNER, AGGREGATOR, OPERATOR, period_length, clock, DOMAIN)
    market.as_account(OWNER).register_meters(METERS[:5])
    here = ChainInMemory(market._book, AGGREGATOR)
    here.blocks = Blocks()
    return here


@cache
def signed(
    meter: str, kind: Kind, energy: int, period: int, deadline: int, price: int, domain: OrderDomain
) -> SignedOrder:
    """Signing takes a millisecond; tests sign the same again and again."""
    return sign(OrderTerms(kind, energy, period, deadline, price), domain, KEYS[meter])


def body(
    meter: int = 0,
    kind: str = "request",
    energy: int = 1_500,
    period: int = FIRST,
    deadline: int | None = None,
    price: int = 0,
    domain: OrderDomain = DOMAIN,
    **changed: Any,
) -> dict[str, Any]:
    """A signed order as the relay takes it; what is changed is changed after signing."""
    deadline = (period + 1) * PERIOD - 60 if deadline is None else deadline
    order = signed(METERS[meter], Kind[kind.upper()], energy, period, deadline, price, domain)
    return {
        "kind": kind,
        "energy_wh": energy,
        "limit_price": price,
        "period": period,
        "deadline": deadline,
        "signature": order.signature,
        "chain_id": domain.chain_id,
        "contract": domain.contract,
        **changed,
    }


@cache
def _client() -> Any:
    """Building an application takes longer than most tests: one is given relay after relay."""
    from fastapi.testclient import TestClient

    from energy_chain.relay.app import create_app

    app = create_app(None)  # type: ignore[arg-type]
    return TestClient(app, raise_server_exceptions=False)


class Service:
    """A relay with its market, clock and HTTP client, that can be stopped and started again."""

    def __init__(self, folder: Path, clock: Clock, market: Any, **settings: Any) -> None:
        self.clock = clock
        self.market = market
        self.path = folder / "relay.sqlite"
        self._settings: dict[str, Any] = {"client_rate": "100000/second", **settings}
        self._start()

    def _start(self) -> None:
        settings = RelaySettings(**self._settings)
        self.relay = Relay(self.market, self.path, settings, clock=self.clock)
        self.client = _client()
        self.client.app.state.relay = self.relay

    def close(self) -> None:
        self.relay.close()

    def restart(self) -> None:
        """Ends at once, whatever is under way, and begins anew with the same file."""
        self.close()
        self._start()

    def step(self) -> list[Any]:
        """One look at the chain."""
        return self.relay.batcher.step()

    def wait(self, seconds: float) -> list[Any]:
        """Lets time go by, and looks at the chain."""
        self.clock.time += seconds  # type: ignore[assignment]
        return self.step()

    def post(self, **order: Any) -> Any:
        return self.client.post("/orders", json=body(**order))

    def accept(self, **order: Any) -> str:
        """Posts an order that is new and good. Returns its receipt id."""
        answer = self.post(**order)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def of(self, id: str) -> Any:
        """What became of an order."""
        answer = self.client.get(f"/orders/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def states(self, *ids: str) -> list[str]:
        return [self.of(id)["state"] for id in ids]

    def health(self) -> Any:
        return self.client.get("/health").json()


@pytest.fixture
def clock() -> Clock:
    return Clock(GENESIS + 10)


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Service]]:
    """Starts relays with settings of their own."""
    started: list[Service] = []

    def start(market: Any = None, **settings: Any) -> Service:
        service = Service(tmp_path, clock, market or new_market(clock), **settings)
        started.append(service)
        return service

    yield start
    for service in started:
        service.close()


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    """A relay as it is by default."""
    return start()
