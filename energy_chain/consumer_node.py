"""A consumer's meter: asks for what its home needs, and draws what was matched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event

from energy_chain.events import Receipt
from energy_chain.ledger import Ledger
from energy_chain.market import Address
from energy_chain.schedule import PeriodEnergy, PostingReport, post_on_time
from energy_chain.trouble import Troubles


class ConsumerNode:
    """Posts releases and consumes through a ledger of the meter or of the metering operator."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._seen: dict[Address, int] = {}

    def put_energy_release(self, address: Address, value: int) -> Receipt:
        """Asks for `value` Wh for the meter at `address` in the current period.

        Raises:
            MarketRefusal: the market refuses it; nothing changed.
        """
        return self._ledger.post_release(address, value)

    def fetch_target_address(self, address: Address) -> Address | None:
        """The producer of the latest match of the consumer at `address`; None without a match.

        Reads only: no transaction is sent.
        """
        latest = self._ledger.latest_match(address)
        return latest[0] if latest else None

    def draw(self, address: Address) -> list[Receipt]:
        """Draws and confirms all that is matched for `address` and not consumed yet.

        Matches that were consumed whole are not looked at again.

        Raises:
            MarketRefusal: the market refuses a confirmation; what was confirmed before stays so.
        """
        receipts = []
        for match in reversed(self._ledger.matches_of(address, self._seen.get(address, 0))):
            if match.energy:
                # What is left of a match only becomes less: no two draws of one are the same.
                keyed = self._ledger.keyed(f"draw {match.index} {match.energy}")
                receipts.append(keyed.consume_match(match.index, match.energy))
            self._seen[address] = match.index + 1
        return receipts

    def run(
        self,
        address: Address,
        needs: Iterable[PeriodEnergy],
        stop: Event,
        poll_seconds: float = 1.0,
        report: Callable[[Receipt], None] = lambda _: None,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> PostingReport:
        """Asks for each period's need once the period has come, until `stop` or the end.

        Draws what was matched while it waits and at the end, which comes when the period of the
        last need is over. What comes too late for its period is not posted into another one; the
        result counts it. `report` is given each receipt, `trouble` what it waits for, once until
        that is over or another trouble comes.

        Raises:
            WrongChain, NotOurContract: the market is gone.
            MarketRefusal: the market refuses an order or a confirmation for good.
        """
        troubles = Troubles(trouble)

        def post(due: PeriodEnergy) -> None:
            keyed = ConsumerNode(self._ledger.keyed(f"release {address} {due.period}"))
            report(keyed.put_energy_release(address, due.energy))

        def draw() -> None:
            for receipt in self.draw(address):
                report(receipt)

        result = post_on_time(self._ledger, needs, post, stop, poll_seconds, troubles, draw)
        # Whoever is told to end while the chain is away does not wait for it.
        while not (stop.is_set() and troubles):
            with troubles:
                draw()
                break
            stop.wait(poll_seconds)
        return result
