"""A small market in memory, whose days are known, and a cable to it that can be cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock

from energy_chain.chain.mined import MinedBlock
from energy_chain.errors import NodeUnreachable
from energy_chain.market import Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.record.source import Header, MemorySource
from energy_chain.record.store import Identity
from energy_chain.signing import OrderDomain

PERIOD = 900
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ROLES = [f"0x{n:040x}" for n in (1, 2, 3)]
METERS = [f"0x{n:040x}" for n in (0xA1, 0xA2, 0xA3, 0xA4)]
GAS, GAS_PRICE = 100_000, 10**9
"""Of each transaction: in memory none would be used."""


@dataclass(frozen=True)
class Trade:
    """What homes offered and needed in a period, Wh by meter number; none is on both sides."""

    time: str
    offers: Mapping[int, int]
    needs: Mapping[int, int]

    @property
    def matched(self) -> int:
        """Wh: all that can be matched is."""
        return min(sum(self.offers.values()), sum(self.needs.values()))


TRADES = (
    Trade("2026-10-30T12:00", {1: 900}, {3: 700}),
    Trade("2026-11-18T11:00", {1: 2_000, 2: 500}, {3: 1_000, 4: 800}),
    Trade("2026-11-18T23:30", {2: 50}, {3: 300, 4: 250}),
    Trade("2026-11-21T12:15", {1: 1_200}, {4: 2_000}),
    Trade("2026-11-22T11:30", {1: 1_500, 2: 400}, {3: 600, 4: 700}),
    Trade("2026-11-22T11:45", {1: 1_000, 2: 250}, {3: 500, 4: 400}),
)
NEXT = Trade("2026-11-22T12:00", {2: 333}, {3: 222})
"""Not traded yet: what comes while somebody looks."""


class Town:
    """A market of four homes. Implements `MarketSource`."""

    def __init__(self, trades: tuple[Trade, ...] = TRADES) -> None:
        self._lock = Lock()
        self._is_cut = False
        self._time = _seconds("2026-10-30T11:59")
        owner, aggregator, operator = ROLES
        market = MemoryLedger.deploy(
            owner, aggregator, operator, PERIOD, lambda: self._time, OrderDomain(1337, CONTRACT)
        )
        self._operator = market.as_account(operator)
        self._operator.register_meters(METERS)
        self._source = MemorySource(self._operator, "testnet")
        for trade in trades:
            self.trade(trade)

    def trade(self, trade: Trade) -> None:
        """Posts, matches and confirms a period's orders, in two blocks."""
        with self._lock:
            self._time = _seconds(trade.time) + 60
            first = self._operator.match_counter()
            requests = [Request(*each) for each in trade.offers.items()]
            releases = [Release(*each) for each in trade.needs.items()]
            self._operator.post_and_match(requests, releases, 256)
            self._operator.confirm_matches(first, self._operator.match_counter() - first)

    def cut(self) -> None:
        """The node answers no more."""
        self._is_cut = True

    def mend(self) -> None:
        """The node answers again."""
        self._is_cut = False

    def identity(self) -> Identity:
        """As `MarketSource.identity`."""
        return self._source.identity()

    def settled(self) -> int:
        """As `MarketSource.settled`."""
        with self._reached():
            return self._source.settled()

    def header(self, number: int) -> Header | None:
        """As `MarketSource.header`."""
        with self._reached():
            return self._source.header(number)

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        """As `MarketSource.blocks`."""
        with self._reached():
            found = list(self._source.blocks(first, last))
        for block in found:
            costs = (
                replace(transaction, gas_used=GAS, gas_price=GAS_PRICE)
                for transaction in block.transactions
            )
            yield replace(block, transactions=tuple(costs))

    def _reached(self) -> Lock:
        if self._is_cut:
            raise NodeUnreachable("nothing listens at 127.0.0.1:8545: start the node")
        return self._lock


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp())


def kwh(trades: tuple[Trade, ...]) -> dict[str, float]:
    """kWh of some trades: produced, needed and matched."""
    return {
        "Produced": sum(sum(trade.offers.values()) for trade in trades) / 1000,
        "Needed": sum(sum(trade.needs.values()) for trade in trades) / 1000,
        "Matched": sum(trade.matched for trade in trades) / 1000,
    }
