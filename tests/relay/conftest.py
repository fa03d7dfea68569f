"""A relay in this process, over a market in memory whose clock stands still until it is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from energy_chain.events import Receipt
from energy_chain.memory_ledger import MemoryLedger, _Book
from energy_chain.relay.service import Relay
from energy_chain.relay.settings import RelaySettings
from energy_chain.signing import (
    Kind,
    OrderDomain,
    OrderTerms,
    SignedOrder,
    sign,
    signing_length,
)

from ..keyed_calls import KeyedCalls
from ..property.markets import ACCOUNTS, AGGREGATOR, GENESIS, METERS, OPERATOR, OWNER, PERIOD, Clock

FIRST = GENESIS // PERIOD
"""The period in which the tests begin."""
DOMAIN = OrderDomain(1337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
KEYS = {str(account.address): bytes(account.key) for account in ACCOUNTS}


FIRST_BLOCKS = 2
"""With the deployment and the meters; they are never reorganised."""
_numbers = count(1)
"""Of all blocks there ever were: no two have the same hash."""


@dataclass(frozen=True)
class Block:
    """A block of one call, and the market after it."""

    hash: str
    book: _Book


class Blocks(list[Receipt]):
    """A chain around a market in memory: each call that changes something is a block.

    It takes the place of the market's history.
    """

    def __init__(self, book: _Book) -> None:
        super().__init__(book.history or ())
        self.book = book
        self.mined = [self._block() for _ in range(len(self) + 1)]
        self.hashes: dict[int, str] = {}
        """Of the transactions that the relay has sent, by block."""
        self.calls = KeyedCalls(
            lambda: int(book.clock() // signing_length(book.period_length)),
            lambda block: block + self.confirmations <= len(self),
        )
        self.sending: Callable[[], None] = lambda: None
        """Is called when a transaction is about to be sent."""
        self.before: Callable[[], None] = lambda: None
        """Is called when a transaction is about to be mined."""
        self.after: Callable[[], None] = lambda: None
        """Is called when whoever has sent it learns that it was."""
        self.confirmations = 0
        self.trouble: str | None = None

    def append(self, receipt: Receipt) -> None:
        super().append(receipt)
        self.mined.append(self._block())

    def reorganise(self, depth: int) -> None:
        """Takes back the uppermost blocks. What the relay had in them is under way again."""
        kept = max(FIRST_BLOCKS, len(self) - depth)
        del self[kept:], self.mined[kept + 1 :]
        self.hashes = {block: hash for block, hash in self.hashes.items() if block <= kept}
        for name, value in _kept(self.mined[kept].book).items():
            setattr(self.book, name, value)
        self.calls.dropped(kept)

    def receipt(self, block: int) -> Receipt:
        hash = self.hashes.get(block, self.mined[block].hash)
        return replace(self[block - 1], block=block, transaction=hash, gas_used=0)

    def _block(self) -> Block:
        book = replace(self.book, history=None, **_kept(self.book))
        return Block(f"0x{next(_numbers):064x}", book)


def _kept(book: _Book) -> dict[str, Any]:
    """What a block changes of a market, copied."""
    names = {field.name for field in fields(book)} - {"clock", "domain", "history"}
    return {name: copy(getattr(book, name)) for name in names}


class ChainInMemory(MemoryLedger):
    """The twin, with blocks and transactions. Implements `RelayMarket`."""

    blocks: Blocks
    announce: Callable[[str], None] = staticmethod(lambda _: None)
    key: str = ""

    @property
    def trouble(self) -> str | None:
        return self.blocks.trouble

    def under_way(self) -> tuple[int, float | None]:
        number = self.blocks.calls.under_way()
        return number, self._book.clock() - 7.0 if number else None

    def latest(self) -> tuple[int, int]:
        return len(self.blocks), self._book.clock()

    def settled(self) -> tuple[int, int]:
        block, time = self.latest()
        if not self.blocks.confirmations:
            return block, time
        block = max(0, block - self.blocks.confirmations)
        return block, self.blocks[block - 1].timestamp

    def header(self, number: int) -> tuple[str, int] | None:
        if not 0 <= number <= len(self.blocks):
            return None
        return self.blocks.mined[number].hash, self.blocks[max(number - 1, 0)].timestamp

    def at_block(self, number: int) -> MemoryLedger:
        header = self.header(number)
        assert header is not None
        book = replace(self.blocks.mined[number].book, clock=lambda: header[1])
        return MemoryLedger(book, self._account)

    def receipts(self, first_block: int, last_block: int) -> Iterator[Receipt]:
        for block in range(first_block, last_block + 1):
            yield self.blocks.receipt(block)

    def _other(self) -> ChainInMemory:
        other = type(self)(self._book, self._account)
        other.blocks, other.announce, other.key = self.blocks, self.announce, self.key
        return other

    def announcing(self, announce: Callable[[str], None]) -> ChainInMemory:
        other = self._other()
        other.announce = announce
        return other

    def keyed(self, key: str) -> ChainInMemory:
        other = self._other()
        other.key = f"{self._account} {key}"
        return other

    def outcome(self, key: str) -> Receipt | None:
        return self.blocks.calls.outcome(f"{self._account} {key}")

    def post_signed(self, orders: Sequence[SignedOrder], all_or_nothing: bool = False) -> Receipt:
        if not self.key:  # somebody else's
            return super().post_signed(orders, all_or_nothing)
        blocks = self.blocks

        def make(hash: str) -> Receipt:
            blocks.before()
            receipt = MemoryLedger.post_signed(self, orders, all_or_nothing)
            blocks.hashes[len(blocks)] = hash
            return replace(receipt, transaction=hash, block=len(blocks), gas_used=21_000)

        blocks.sending()
        receipt: Receipt = blocks.calls.send(self.key, make, self.announce)
        blocks.after()
        return receipt

    def max_signed(self) -> int:
        return 100

    def genesis(self) -> str:
        return "0x" + "ab" * 32


def new_market(clock: Clock, period_length: int = PERIOD) -> ChainInMemory:
    """A market in memory whose first five meters are registered; the aggregator acts on it."""
    market = ChainInMemory.deploy(OWNER, AGGREGATOR, OPERATOR, period_length, clock, DOMAIN)
    market.as_account(OWNER).register_meters(METERS[:5])
    here = ChainInMemory(market._book, AGGREGATOR)
    here._book.history = here.blocks = Blocks(market._book)
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
