"""A relay put together: door, store, follower and batcher of one market."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from energy_chain.errors import REFUSALS
from energy_chain.folders import home_folder
from energy_chain.relay.batcher import Batcher
from energy_chain.relay.door import Door
from energy_chain.relay.follower import Follower
from energy_chain.relay.market import RelayMarket
from energy_chain.relay.schemas import (
    HealthOut,
    LastBatchOut,
    MatchOut,
    PageOut,
    ReceiptOut,
)
from energy_chain.relay.settings import RelaySettings
from energy_chain.relay.store import Batch, Store, StoredMatch, StoredOrder
from energy_chain.signing import OrderDomain

NAMES = ("request", "release")
"""Of the kinds of orders."""


def store_file(domain: OrderDomain) -> Path:
    """Where the relay of a market keeps its store, unless somebody says otherwise."""
    return home_folder() / "relay" / f"{domain.chain_id}-{domain.contract}.sqlite"


class Relay:
    """The relay of one market."""

    def __init__(
        self,
        market: RelayMarket,
        path: Path,
        settings: RelaySettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Opens the store, and reads the queues as they stand if it is new.

        Args:
            market: acted on by the account that pays.
            path: of the store.
            settings: how it is set up.
            clock: Unix seconds, for how long orders have waited.

        Raises:
            InvalidInput: the store cannot be used, or is of another market.
            ChainError: the chain cannot be read.
        """
        settings = settings or RelaySettings()
        domain = market.order_domain()
        self._market = market
        self._clock = clock
        identity = f"{domain.chain_id} {domain.contract} {market.genesis()}"
        self.store = Store.open(path, identity)
        try:
            self.batcher = Batcher(
                market, self.store, Follower(market, self.store), settings, clock
            )
            self.door = Door(market, self.store, settings, clock)
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def receipt(self, id: str) -> ReceiptOut | None:
        """What became of an order."""
        order = self.store.get(id)
        return self.told(order) if order else None

    def told(self, order: StoredOrder) -> ReceiptOut:
        """An order as it goes out."""
        return _told(order, self.store.matches_of([order.seq])[order.seq])

    def page(self, meter: str, after: int, limit: int) -> PageOut:
        """A page of a meter's orders."""
        found = self.store.page(meter, after, limit + 1)
        matches = self.store.matches_of([order.seq for order in found])
        shown = found[:limit]
        return PageOut(
            orders=[_told(order, matches[order.seq]) for order in shown],
            next=shown[-1].seq if len(found) > limit else None,
        )

    def health(self) -> HealthOut:
        """How the relay is. Asks the chain nothing."""
        batcher, look, domain = self.batcher, self.batcher.look, self.door.domain
        counts = self.store.counts()
        oldest = self.store.waiting(look.period).since if look else None
        last = self.store.last_batch()
        waited_for = self._market.trouble
        under_way, since = self._market.under_way()
        return HealthOut(
            status="ok" if look and not batcher.trouble and not waited_for else "degraded",
            trouble=batcher.trouble,
            waited_for=waited_for,
            chain_reachable=look is not None and not waited_for,
            chain_id=domain.chain_id,
            contract=domain.contract,
            relayer=self._market.account,
            block=look.block if look else None,
            block_time=look.time if look else None,
            period=look.period if look else None,
            paused=look.paused if look else None,
            waiting=self.store.accepted(),
            oldest_waiting_seconds=self._age(oldest),
            under_way=under_way,
            oldest_under_way_seconds=self._age(since),
            last_batch=_told_batch(last) if last else None,
            orders={state.value: number for state, number in counts.items()},
        )

    def _age(self, since: float | None) -> float | None:
        return None if since is None else max(0.0, self._clock() - since)


def _told_batch(batch: Batch) -> LastBatchOut:
    return LastBatchOut(
        transaction=batch.transaction or "",
        orders=batch.orders,
        sent_at=batch.sent_at,
        block=batch.block,
        gas=batch.gas,
    )


def _told(order: StoredOrder, matches: list[StoredMatch]) -> ReceiptOut:
    remedy = REFUSALS[order.reason].remedy if order.reason in REFUSALS else None
    return ReceiptOut.model_validate(
        {
            "id": order.id,
            "state": order.state,
            "meter": order.meter,
            "kind": NAMES[order.kind],
            "energy_wh": order.energy,
            "limit_price": order.limit_price,
            "period": order.period,
            "deadline": order.deadline,
            "accepted_at": order.accepted_at,
            "reason": order.reason,
            "remedy": remedy,
            "transaction": order.transaction,
            "block": order.block,
            "counter": order.counter,
            "matched_wh": order.matched,
            "matches": [
                MatchOut(index=each.match, energy_wh=each.energy, partner=each.partner)
                for each in matches
            ],
        }
    )
