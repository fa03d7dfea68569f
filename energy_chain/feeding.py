"""Posting what the desk has: each order once, whatever happens in between.

A batch is noted before it is sent, and posted under a key of its own, by which a
poster that was stopped in the middle, or has lost the node, asks what became of it.
Until it knows, the batch's orders wait: packed orders, unlike signed ones, would
count twice when they are posted twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Protocol

from energy_chain.aggregator_node import AggregatorNode, MatchingReport
from energy_chain.errors import (
    EnergyChainError,
    InvalidInput,
    MarketRefusal,
    ReceiptTimeout,
    TransactionFailed,
)
from energy_chain.events import PeriodOpened, Receipt
from energy_chain.ledger import Ledger
from energy_chain.market import MAX_BATCH, Address, Release, Request
from energy_chain.meters import Reading
from energy_chain.meters.live.desk import Missing, Verdict
from energy_chain.meters.live.desk_store import Desk, DeskBatch, DueOrder
from energy_chain.meters.live.mqtt_feed import Connected, Lost, MqttFeed, Received, Refused
from energy_chain.replay import post_batches
from energy_chain.trouble import FINAL, Troubles

WATCHED = timedelta(hours=1)
"""How long a batch that was posted is looked at again: a reorganisation may have undone it."""
RETRY = timedelta(seconds=10)
"""How long to wait after an error of the chain, and between two looks for a batch."""


class FeedMarket(Ledger, Protocol):
    """A market that knows what became of keyed calls. `chain.ContractLedger` is one."""

    def as_account(self, account: Address) -> FeedMarket:
        """The same market, acted on by another account."""

    def outcome(self, key: str) -> Receipt | None:
        """What this account's call under a key came to; None where it has no effect.

        Raises:
            ReceiptTimeout: it is under way.
        """

    def receipts(self, first_block: int, last_block: int) -> Iterator[Receipt]:
        """What each transaction of these blocks made the market log, oldest first."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A batch that was posted: its orders, their energies in Wh, and the receipt."""

    requests: int
    releases: int
    offered: int
    needed: int
    receipt: Receipt


class Poster:
    """Posts the orders of a desk, in packed batches that match as well."""

    def __init__(self, desk: Desk, market: FeedMarket, numbers: Mapping[str, int]) -> None:
        """A poster for the metering operator.

        Args:
            desk: whose orders.
            market: acted on by the metering operator.
            numbers: the meter number of each meter.
        """
        self._desk = desk
        self._market = market
        self._numbers = numbers

    def resolve(self, now: datetime) -> None:
        """Finds out what became of batches that were under way, such as before a restart.

        A batch that was withdrawn, because its period was over before it was mined, is dropped: its
        orders wait again, as late ones do. So does one that a reorganisation has undone.

        Raises:
            ChainError: the chain cannot be asked; what is not known yet is asked again.
        """
        for batch in self._desk.unsettled_batches(now - WATCHED):
            market = self._market.as_account(batch.account or self._market.account)
            try:
                receipt = market.outcome(self._key(batch.id, batch.begun_at))
            except ReceiptTimeout:
                if batch.transaction:
                    self._desk.reopen_batch(batch.id)
                continue
            if receipt is not None:
                if receipt.transaction != batch.transaction or receipt.block != batch.block:
                    self._posted(batch.id, receipt)
            elif not self._is_on_chain(batch):
                self._desk.drop_batch(batch.id)

    def _is_on_chain(self, batch: DeskBatch) -> bool:
        """Whether a batch is posted that the outbox knows nothing of, such as that of a new home.

        Posting it again would count its orders twice.
        """
        if batch.transaction is None or batch.block is None:
            return False
        logged = self._market.receipts(batch.block, batch.block)
        return batch.transaction in {each.transaction for each in logged}

    def post(self, now: datetime) -> Iterator[Posted | MatchingReport]:
        """Posts all orders that wait, in the delivery period of now, and matches.

        Yields each batch, which matches as well, and what was left to be matched after the last.

        Raises:
            MarketRefusal, ChainError: a batch was refused, and its orders wait; or it is not known
                what became of it, and `resolve` will find out. What was posted before stays so.
        """
        self.resolve(now)
        while True:
            surpluses, needs = self._desk.due(MAX_BATCH)
            if not surpluses and not needs:
                break
            yield self._post(surpluses, needs, now)
        left = AggregatorNode(self._market).check_incoming_energy()
        if left.matches:
            yield left

    def _post(self, surpluses: list[DueOrder], needs: list[DueOrder], now: datetime) -> Posted:
        strangers = {order.meter for order in (*surpluses, *needs)} - self._numbers.keys()
        if strangers:
            raise InvalidInput(
                f"orders of {', '.join(sorted(strangers))} wait, and no account of theirs is "
                "known: give it with --map FILE"
            )
        requests = [Request(self._numbers[order.meter], order.energy) for order in surpluses]
        releases = [Release(self._numbers[order.meter], -order.energy) for order in needs]
        ids = [order.id for order in (*surpluses, *needs)]
        period, account = self._market.current_period(), self._market.account
        batch = self._desk.begin_batch(ids, period, now, account)
        market = self._market.keyed(self._key(batch, now))
        try:
            [receipt] = post_batches(market, requests, releases, matching=True)
        except (MarketRefusal, TransactionFailed, InvalidInput):
            self._desk.drop_batch(batch)
            raise
        # After any other error it may have been sent, and be mined later: `resolve` looks for it.
        self._posted(batch, receipt)
        return Posted(
            len(requests),
            len(releases),
            sum(order.energy for order in requests),
            sum(order.energy for order in releases),
            receipt,
        )

    def _posted(self, batch: int, receipt: Receipt) -> None:
        # The call itself says when it was the first of another period than the one of before.
        opened = [event.period for event in receipt.events if isinstance(event, PeriodOpened)]
        period = opened[0] if opened else None
        self._desk.posted(batch, receipt.transaction, receipt.block, period)

    def _key(self, batch: int, begun_at: datetime) -> str:
        # With the time: a desk that was restored from a backup counts its batches anew.
        return f"feed {self._desk.id} {batch} {begun_at.astimezone(UTC).isoformat()}"


@dataclass(frozen=True, slots=True)
class Taken:
    """A reading that came, and what became of it."""

    reading: Reading
    received_at: datetime
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error of the chain, told once until it is over or another one comes."""

    reason: str


Told = Taken | Refused | Connected | Lost | Missing | Posted | MatchingReport | Trouble


def _look(
    poster: Poster, is_ready: bool, now: datetime, done: list[Posted | MatchingReport]
) -> None:
    if is_ready:
        done.extend(poster.post(now))
    else:
        poster.resolve(now)


async def follow(
    feed: MqttFeed,
    desk: Desk,
    poster: Poster,
    meters: Sequence[str],
    stop: Event,
    report: Callable[[Told], None],
    clock: Callable[[], datetime],
    poll_seconds: float = 0.5,
) -> None:
    """Takes what a feed brings, and posts what is due, until `stop`.

    Args:
        feed: brings readings.
        desk: takes them.
        poster: posts its orders.
        meters: those that are expected to send readings.
        stop: ends it, after what is under way.
        report: is told of everything.
        clock: the time.
        poll_seconds: between two looks at what is due.

    Raises:
        WrongChain, NotOurContract: the market is gone.
    """

    async def take() -> None:
        async for event in feed.events():
            if isinstance(event, Received):
                reading = event.message.reading
                verdict = desk.take(reading, event.received_at, event.message.revision)
                report(Taken(reading, event.received_at, verdict))
            else:
                report(event)

    troubles, not_before = Troubles(lambda said: report(Trouble(said))), clock()
    taking = asyncio.create_task(take())
    try:
        while not stop.is_set() and not taking.done():
            now = clock()
            for gap in desk.overdue(meters, now):
                report(gap)
            is_ready = now >= not_before and desk.ready(meters, now)
            if is_ready or (now >= not_before and desk.has_open_batches()):
                done: list[Posted | MatchingReport] = []
                try:
                    # What the chain takes its time for does not keep the feed waiting.
                    await asyncio.to_thread(_look, poster, is_ready, now, done)
                    troubles.over()
                    if desk.has_open_batches():
                        not_before = now + RETRY
                except FINAL:
                    raise
                except EnergyChainError as error:
                    not_before = now + RETRY
                    troubles.met(error)
                for each in done:
                    report(each)
            await asyncio.sleep(poll_seconds)
    finally:
        taking.cancel()
        with suppress(asyncio.CancelledError):
            await taking
