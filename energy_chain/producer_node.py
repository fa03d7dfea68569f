"""A producer's meter: offers the surplus of its home."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event

from energy_chain.events import Receipt
from energy_chain.ledger import Ledger
from energy_chain.market import Address
from energy_chain.schedule import PeriodEnergy, PostingReport, post_on_time
from energy_chain.trouble import Troubles


class ProducerNode:
    """Posts requests through a ledger that acts for the meter or for the metering operator."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put_energy_request(self, address: Address, value: int) -> Receipt:
        """Offers `value` Wh of the meter at `address` in the current period.

        Raises:
            MarketRefusal: the market refuses it; nothing changed.
        """
        return self._ledger.post_request(address, value)

    def run(
        self,
        address: Address,
        surpluses: Iterable[PeriodEnergy],
        stop: Event,
        poll_seconds: float = 1.0,
        report: Callable[[Receipt], None] = lambda _: None,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> PostingReport:
        """Offers each period's surplus once the period has come, until `stop` or the end.

        Ends when the period of the last surplus is over. What comes too late for its period is not
        posted into another one; the result counts it. `report` is given each receipt, `trouble`
        what it waits for, once until that is over or another trouble comes.

        Raises:
            WrongChain, NotOurContract: the market is gone.
            MarketRefusal: the market refuses an order for good.
        """

        def post(due: PeriodEnergy) -> None:
            keyed = ProducerNode(self._ledger.keyed(f"request {address} {due.period}"))
            report(keyed.put_energy_request(address, due.energy))

        return post_on_time(self._ledger, surpluses, post, stop, poll_seconds, Troubles(trouble))
