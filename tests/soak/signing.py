"""Homes that sign their orders and give them to the relay, again and again until it takes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle
from threading import Event, Thread
from typing import Any

import requests

from energy_chain.chain.accounts import development_accounts
from energy_chain.errors import AlreadyPosted, DeadlinePassed, OtherPeriod
from energy_chain.signing import Kind, OrderDocument, OrderDomain, OrderTerms, sign
from tests.soak.journal import Journal, Order, Way

NAME = "signing homes"
FIRST_WH = 100_000
BETWEEN = 1.5
"""Seconds between two orders."""
ANSWER_TIMEOUT = 3.0
LATE = {error.reason for error in (AlreadyPosted, DeadlinePassed, OtherPeriod)}
"""Refusals that tell who was too slow. Nobody was told that the order is accepted."""


class SigningHomes:
    """They give orders while their context lasts.

    Attributes:
        receipts: the receipt id of each order that the relay has taken.
    """

    def __init__(
        self, url: str, domain: OrderDomain, period: int, first: int, count: int, journal: Journal
    ) -> None:
        """Homes with development keys.

        Args:
            url: of the relay.
            domain: the market.
            period: its length in seconds.
            first: number of the first development account that is theirs.
            count: how many homes.
            journal: where is noted what they give, and what the relay says.
        """
        self._url, self._domain, self._period, self._journal = url, domain, period, journal
        self._keys = development_accounts(first + count)[first:]
        self._waiting: list[tuple[Order, int, dict[str, Any]]] = []
        self._energy = FIRST_WH
        self.receipts: dict[Order, str] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._broken: list[Exception] = []

    @property
    def meters(self) -> Sequence[str]:
        """Their addresses."""
        return [str(key.address) for key in self._keys]

    def __enter__(self) -> SigningHomes:
        """Begins."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives nothing more."""
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what the relay said that it must not."""
        if self._broken:
            raise self._broken[0]

    def outcomes(self) -> dict[Order, dict[str, Any]]:
        """What the relay says of each order that it has taken."""
        return {
            order: requests.get(f"{self._url}/orders/{id}", timeout=ANSWER_TIMEOUT).json()
            for order, id in self.receipts.items()
        }

    def health(self) -> dict[str, Any]:
        """What the relay says of itself."""
        told: dict[str, Any] = requests.get(f"{self._url}/health", timeout=ANSWER_TIMEOUT).json()
        return told

    def _run(self) -> None:
        given: set[tuple[int, int, Kind]] = set()
        try:
            for index, kind in cycle((i, kind) for i in range(len(self._keys)) for kind in Kind):
                if self._stop.wait(BETWEEN):
                    return
                period = int(time.time()) // self._period
                if (period, index, kind) not in given:
                    given.add((period, index, kind))
                    self._sign(index, kind, period)
                self._waiting = [each for each in self._waiting if each[1] == period]
                self._give()
        except Exception as error:
            self._broken.append(error)

    def _sign(self, index: int, kind: Kind, period: int) -> None:
        self._energy += 1
        key = self._keys[index]
        terms = OrderTerms(kind, self._energy, period, (period + 1) * self._period - 1)
        signed = sign(terms, self._domain, bytes(key.key))
        order = Order(Way.SIGNED, kind.name.lower(), str(key.address), self._energy)
        self._journal.order("intended", order, NAME)
        body = OrderDocument(signed, self._domain, order.meter).to_json()
        self._waiting.append((order, period, body))

    def _give(self) -> None:
        for each in list(self._waiting):
            order, _, body = each
            try:
                answer = requests.post(f"{self._url}/orders", json=body, timeout=ANSWER_TIMEOUT)
            except requests.RequestException:
                return  # it is given again: the relay knows an order that it has
            if answer.status_code in (200, 202):
                self.receipts[order] = answer.json()["id"]
                self._journal.order("accepted", order, NAME, id=self.receipts[order])
            elif answer.status_code in (429, 503):
                return
            elif answer.json().get("reason") not in LATE:
                said = f"the relay refuses {order}: {answer.status_code} {answer.text}"
                self._journal.note("fault found", by=NAME, why=said)
            self._waiting.remove(each)
