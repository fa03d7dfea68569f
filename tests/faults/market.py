"""A market to which orders are posted while things fail, and what the chain says of them after."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from web3.exceptions import Web3Exception

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.outbox import Outbox, outbox_file
from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import ChainError, NodeUnreachable
from energy_chain.events import RequestPosted
from tests.faults.nodes import ACCOUNTS, FaultyNode

KEY_OF = {str(account.address): account for account in development_accounts(ACCOUNTS)}
OWNER, AGGREGATOR, OPERATOR, *METERS = KEY_OF
TEND_SECONDS = 0.5
"""Seconds between two looks after what is under way."""
PAUSE = 0.1
"""Seconds after which a call is made again under its key."""
WATCHDOG = 15.0
"""Seconds that no call may take."""
END_TIMEOUT = 20.0


def sender_at(url: str, *accounts: str, **network: Any) -> TransactionSender:
    """A sender with keys on the chain at a URL, with the outbox of that chain."""
    connection = Connection.open(replace(network_at(url), **network))
    outbox = Outbox.open(outbox_file(connection.chain_id, connection.genesis()))
    return TransactionSender(connection, [KEY_OF[account] for account in accounts], outbox)


def deploy(node: FaultyNode, period_length: int = 0) -> ContractLedger:
    """A market on a node, with all meters."""
    node.use_first_nonces(METERS)
    sender = sender_at(node.url, OWNER, OPERATOR)
    market = ContractLedger.deploy(sender, OWNER, AGGREGATOR, OPERATOR, period_length)
    market.as_account(OPERATOR).register_meters(METERS)
    return market


def orders_of(market: ContractLedger, meter: str) -> list[int]:
    """The energies that a meter has offered, in the order of the chain."""
    return [
        event.energy
        for receipt in market.history()
        for event in receipt.events
        if isinstance(event, RequestPosted) and event.meter == meter
    ]


@dataclass
class Story:
    """What a producer met.

    Attributes:
        posted: orders whose receipt came, numbered from 1.
        at: when each of them came, in seconds of the monotonic clock.
        longest: seconds of the longest call.
        errors: how often each kind of error came.
        said: what the latest one of each kind said.
        fault: what ended it that must not be.
    """

    posted: int = 0
    at: list[float] = field(default_factory=list)
    longest: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)
    fault: BaseException | None = None


class Producer:
    """Posts orders of 1, 2, 3 ... Wh in a thread, each until it has its receipt.

    As a daemon does: an order whose fate is not known is posted again under its key, and
    another thread tends what is under way. Leaving it as a context manager ends it after
    the order that it is at.

    Attributes:
        story: what it has met.
        sender: sends its orders.
        ledger: the market as it acts on it.
        gives_up: whether it ends without the order that it is at.
    """

    def __init__(
        self,
        sender: TransactionSender,
        market: ContractLedger,
        meter: str,
        tended: bool = True,
    ) -> None:
        """A meter's producer on a market, with a sender that has its key."""
        self.story = Story()
        self.sender = sender
        self.ledger = ContractLedger(sender, market.address, meter, market.first_block)
        self._stop = Event()
        self.gives_up = False
        runs = [self._run, self._tend] if tended else [self._run]
        self._threads = [Thread(target=run, daemon=True) for run in runs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.gives_up = self.gives_up or error is not None
        self.end()

    def end(self) -> None:
        """Ends it, and says what it met that must not be."""
        self._stop.set()
        for thread in self._threads:
            thread.join(END_TIMEOUT)
            assert not thread.is_alive(), "it hangs"
        if self.story.fault is not None:
            raise self.story.fault

    def end_and_settle(self) -> None:
        """Ends it, and waits until nothing that it has sent is under way."""
        self.end()
        until(self._has_settled, WATCHDOG)

    def _has_settled(self) -> bool:
        try:
            return self.sender.tend() == 0
        except NodeUnreachable:
            return False

    def wait_for(self, posted: int) -> None:
        """Waits until so many orders have their receipts, or it met what must not be."""
        until(self.has_posted(posted))

    def has_posted(self, posted: int) -> Callable[[], bool]:
        """Whether so many orders have their receipts, or it met what must not be."""
        return lambda: self.story.posted >= posted or self.story.fault is not None

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._post(self.story.posted + 1)
                if self.gives_up:
                    return
                self.story.posted += 1
                self.story.at.append(time.monotonic())
        except BaseException as error:
            self.story.fault = error

    def _tend(self) -> None:
        while not self._stop.wait(TEND_SECONDS):
            try:
                self.sender.tend()
            except (ChainError, Web3Exception):
                continue  # whoever posts meets it as well
            except BaseException as error:
                self.story.fault = error
                return

    def _post(self, number: int) -> None:
        ledger = self.ledger.keyed(f"order {number}")
        while not self.gives_up:
            begun = time.monotonic()
            try:
                ledger.post_request(ledger.account, number)
                return
            except ChainError as error:
                self.story.errors[type(error).__name__] += 1
                self.story.said[type(error).__name__] = str(error)
            finally:
                self.story.longest = max(self.story.longest, time.monotonic() - begun)
            time.sleep(PAUSE)


def until(is_so: Callable[[], bool], timeout: float = END_TIMEOUT) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.01)
