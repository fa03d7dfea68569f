"""Posts the orders that wait, in batches by size and by time.

Every order is marked as sent before it is, and its batch is posted under a key by
which the relay asks what became of it: after a crash nothing is lost. Sending an
order twice would cost gas and change nothing, as the contract takes one of a kind
in a period.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from sqlalchemy.exc import SQLAlchemyError

from energy_chain.errors import (
    EnergyChainError,
    MeterIsRetired,
    MeterNotRegistered,
    NodeUnreachable,
    ReceiptTimeout,
    WrongChain,
)
from energy_chain.events import (
    Receipt,
    SignedOrderSkipped,
    SignedReleasesPosted,
    SignedRequestsPosted,
)
from energy_chain.relay.follower import Follower
from energy_chain.relay.market import RelayMarket
from energy_chain.relay.settings import RelaySettings
from energy_chain.relay.store import Store, StoredOrder
from energy_chain.signing import Kind, signing_length
from energy_chain.trouble import FINAL, Troubles

POLL_SECONDS = 1.0
MARGIN_SECONDS = 15
"""An order whose deadline is nearer than this by the chain's clock waits for no others."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one batch came to.

    Attributes:
        posted: orders that are on chain now.
        skipped: orders that the contract did not take.
        refused: orders that were no longer good before they were sent.
        gas: used by the transaction.
        block: number of its block.
        transaction: its hash.
    """

    posted: int
    skipped: int
    refused: int
    gas: int
    block: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Look:
    """The chain at a look at it: latest block, its Unix time, its period, and the pause."""

    block: int
    time: int
    period: int
    paused: bool


class Batcher:
    """Posts what waits in a store. One thread uses it."""

    def __init__(
        self,
        market: RelayMarket,
        store: Store,
        follower: Follower,
        settings: RelaySettings,
        clock: Callable[[], float],
    ) -> None:
        """A batcher that measures waiting by `clock`, in Unix seconds."""
        self._market = market
        self._store = store
        self._follower = follower
        self._settings = settings
        self._clock = clock
        self._length = signing_length(market.period_length())
        self._not_before = 0.0
        self.size = min(settings.batch_size, market.max_signed())
        self.look: Look | None = None
        """The latest look at the chain; None before the first, and while it cannot be reached."""
        self.trouble: str | None = None
        """The kind of error that the latest step ended in."""

    def step(self) -> list[BatchReport]:
        """Reads what is new on the chain, and posts what is due.

        Raises:
            MarketRefusal, ChainError: a batch was refused, or the chain cannot be used; the orders
                wait, or are looked for at the next step.
        """
        try:
            reports = self._step()
        except (EnergyChainError, SQLAlchemyError) as error:
            self.trouble = type(error).__name__
            if isinstance(error, NodeUnreachable):
                self.look = None
            self._not_before = self._clock() + self._settings.batch_seconds
            raise
        self.trouble = None
        return reports

    def run(
        self,
        stop: Event,
        report: Callable[[BatchReport], None] = lambda _: None,
        trouble: Callable[[str], None] = lambda _: None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Steps every `poll_seconds` until `stop`; what is under way is ended.

        Args:
            stop: ends it.
            report: is told of each batch.
            trouble: is told of an error of the chain or the store, once until it is over or
                another one comes.
            poll_seconds: between two looks at the chain.

        Raises:
            WrongChain, NotOurContract: the market is gone.
        """
        troubles = Troubles(trouble)
        while not stop.is_set():
            try:
                for done in self.step():
                    report(done)
                troubles.over()
            except FINAL:
                raise
            except (EnergyChainError, SQLAlchemyError) as error:
                troubles.met(error)
            stop.wait(poll_seconds)

    def _step(self) -> list[BatchReport]:
        self._follow()
        reports = []
        while self._is_due():
            done = self._post()
            if done is None:
                break
            reports.append(done)
            self._follow()
        return reports

    def _follow(self) -> None:
        self._follower.follow()
        self._resolve()
        block, time = self._market.latest()
        self.look = Look(block, time, time // self._length, self._market.paused())

    def _resolve(self) -> None:
        """Closes the batches of which everything is known."""
        followed = self._store.followed() or 0
        for batch in self._store.open_batches():
            try:
                receipt = self._market.outcome(self._key(batch.id))
            except ReceiptTimeout:
                continue
            if receipt is None:
                self._store.close_batch(batch.id)
                continue
            if (batch.transaction, batch.block) != (receipt.transaction, receipt.block):
                self._mined(batch.id, receipt)
            if receipt.block <= followed:
                skipped = {event.r: event.reason for event in _skipped(receipt)}
                self._store.close_batch(batch.id, receipt.block, skipped)

    def _mined(self, batch: int, receipt: Receipt) -> None:
        self._store.mined(batch, receipt.transaction, receipt.block, receipt.gas_used)

    def _key(self, batch: int) -> str:
        return f"relay {self._store.id} {batch}"

    def _is_due(self) -> bool:
        assert self.look is not None  # `_follow` has just looked
        now = self._clock()
        if self.look.paused or now < self._not_before:
            return False
        waiting = self._store.waiting(self.look.period)
        if waiting.since is None or waiting.deadline is None:
            return False
        return (
            waiting.count >= self.size
            or now - waiting.since >= self._settings.batch_seconds
            or waiting.deadline - self.look.time <= MARGIN_SECONDS
        )

    def _post(self) -> BatchReport | None:
        """Posts the oldest orders; None when none of those that wait can be sent now."""
        assert self.look is not None
        good, refused = self._good(self.look.period)
        if not good:
            return None
        # In this order the contract reads and writes the least.
        good.sort(key=lambda order: (order.kind, order.deadline, order.number))
        batch = self._store.begin_batch([order.seq for order in good], self._clock())
        market = self._market.announcing(lambda hash: self._store.announce(batch, hash))
        try:
            receipt = market.keyed(self._key(batch)).post_signed([order.signed for order in good])
        except (ReceiptTimeout, WrongChain):
            raise  # it may be mined later: `_resolve` asks for it
        except EnergyChainError:
            self._store.close_batch(batch)
            raise
        self._mined(batch, receipt)
        posted = sum(
            len(event.orders)
            for event in receipt.events
            if isinstance(event, SignedRequestsPosted | SignedReleasesPosted)
        )
        return BatchReport(
            posted,
            len(_skipped(receipt)),
            refused,
            receipt.gas_used,
            receipt.block,
            receipt.transaction,
        )

    def _good(self, period: int) -> tuple[list[StoredOrder], int]:
        """The oldest orders that are still good, up to a batch, and how many were refused."""
        good: list[StoredOrder] = []
        refused = after = 0
        while len(good) < self.size:
            found = self._store.oldest(period, after, self.size - len(good))
            if not found:
                break
            after = found[-1].seq
            for order in found:
                meter = self._market.meter(order.meter)
                if meter is None or meter.retired:
                    why = MeterNotRegistered if meter is None else MeterIsRetired
                    self._store.refuse(order.seq, why.reason)
                    refused += 1
                elif not self._market.has_signed(order.meter, Kind(order.kind)):
                    good.append(order)
                # Otherwise somebody else has posted it: the log will say what.
        return good, refused


def _skipped(receipt: Receipt) -> list[SignedOrderSkipped]:
    return [event for event in receipt.events if isinstance(event, SignedOrderSkipped)]
