"""The twin and the naive model, side by side."""

from __future__ import annotations

from energy_chain.errors import EnergyChainError
from energy_chain.events import Receipt

from .markets import GENESIS, METERS, REGISTER, Call, Clock, new_twin, outcome, sender_of
from .model import NaiveMarket

MATCHING = {"match_pending", "match_energy", "post_and_match"}


class TwinAndModel:
    """Whatever is done is done to both. Meters are named by their numbers."""

    def __init__(self, capacity: int, match_capacity: int) -> None:
        self.clock = Clock(GENESIS)
        self.twin = new_twin(self.clock)
        outcome(self.twin, REGISTER)
        self.model = NaiveMarket(capacity, match_capacity)

    def do(self, call: Call) -> None:
        """Makes a call to both and fails unless both answer the same."""
        if call.method == "wait":
            self.clock.time += call.arguments[0]
            self.model.expire()
            return
        try:
            expected = getattr(self.model, call.method)(*call.arguments)
        except EnergyChainError as error:
            expected = type(error)
        assert self._ask_twin(call) == expected, call

    def _ask_twin(self, call: Call) -> object:
        arguments = call.arguments
        if call.method == "consume":
            arguments = METERS[arguments[0] - 1], *arguments[1:]
        ledger = self.twin.as_account(sender_of(self.twin, call))
        try:
            receipt: Receipt = getattr(ledger, call.method)(*arguments)
        except EnergyChainError as error:
            return type(error)
        return list(receipt.fills) if call.method in MATCHING else None

    def assert_same(self) -> None:
        """Fails unless both read the same."""
        twin, model = self.twin, self.model
        for outstanding, following, counter, energy_of, side in (
            (
                twin.requests_outstanding,
                twin.next_request_energy,
                twin.request_counter,
                twin.request_energy,
                model.requests,
            ),
            (
                twin.releases_outstanding,
                twin.next_release_energy,
                twin.release_counter,
                twin.release_energy,
                model.releases,
            ),
        ):
            orders = side.outstanding
            assert outstanding() == len(orders)
            assert following() == (orders[0].left if orders else 0)
            assert counter() == len(side.orders)
            for number, meter in enumerate(METERS, 1):
                assert energy_of(meter) == sum(o.left for o in orders if o.meter == number)
        assert twin.match_counter() == len(model.fills)
        for number, meter in enumerate(METERS, 1):
            kept = [(match.index, match.energy) for match in twin.matches_of(meter)]
            assert kept == [(index, model.unconsumed[index]) for index in model.matches_of(number)]
