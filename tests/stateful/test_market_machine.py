"""The machine of `machine.py` on the embedded chain, and the twin beside lists."""

from unittest.mock import patch

from hypothesis import Phase, settings
from hypothesis.stateful import invariant

from energy_chain import memory_ledger

from ..property.histories import DETERMINISTIC
from ..property.twin_and_model import TwinAndModel
from .machine import MarketMachine, Trading


class TwinAndLists(Trading):
    """In small rings, the twin does what a list-based model does."""

    def __init__(self):
        super().__init__()
        self.small_rings = patch.multiple(memory_ledger, CAPACITY=8, MATCH_CAPACITY=16)
        self.small_rings.start()
        self.both = TwinAndModel(8, 16)

    def do(self, call):
        self.both.do(call)

    @invariant()
    def both_read_the_same(self):
        self.both.assert_same()

    def teardown(self):
        self.small_rings.stop()


TestMarketMachine = MarketMachine.TestCase
# To shrink takes minutes on this chain: `make fuzz` does it in seconds.
TestMarketMachine.settings = settings(
    DETERMINISTIC, max_examples=2, stateful_step_count=12, phases=[Phase.generate]
)
TestTwinAndLists = TwinAndLists.TestCase
TestTwinAndLists.settings = settings(DETERMINISTIC, max_examples=40, stateful_step_count=50)
