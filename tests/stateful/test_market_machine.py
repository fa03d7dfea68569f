"""Markets driven step by step, with what must always hold checked after every step."""

from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from energy_chain import memory_ledger
from energy_chain.market import Release, Request

from ..property.auditor import Auditor
from ..property.histories import DETERMINISTIC, accounts, small_energies
from ..property.markets import METERS, PERIOD, Call, stage
from ..property.twin_and_model import TwinAndModel

sides = st.sampled_from(["requests", "releases"])
numbers = st.integers(1, 5)
batches = st.lists(st.tuples(numbers, small_energies), min_size=1, max_size=6)


class Trading(RuleBasedStateMachine):
    """The calls that move energy, by who may make them."""

    def do(self, call: Call) -> None:
        raise NotImplementedError

    @rule(side=sides, batch=batches)
    def post(self, side, batch):
        order = {"requests": Request, "releases": Release}[side]
        orders = [order(*fields) for fields in batch]
        self.do(Call("metering_operator", f"post_{side}", (orders,)))

    @rule(side=sides, number=numbers, energy=small_energies)
    def post_one(self, side, number, energy):
        order = {"requests": Request, "releases": Release}[side]
        self.do(Call("metering_operator", f"post_{side}", ([order(number, energy)],)))

    @rule(requests=batches, releases=batches, most=st.sampled_from([0, 1, 3, 256]))
    def post_and_match(self, requests, releases, most):
        sides = [Request(*fields) for fields in requests], [Release(*fields) for fields in releases]
        self.do(Call("metering_operator", "post_and_match", (*sides, most)))

    @rule(sender=accounts, most=st.sampled_from([1, 2, 3, 256]))
    def match(self, sender, most):
        self.do(Call(sender, "match_pending", (most,)))

    @rule(energy=small_energies)
    def match_energy(self, energy):
        self.do(Call("aggregator", "match_energy", (energy,)))

    @rule(index=st.integers(0, 12), energy=small_energies)
    def consume_match(self, index, energy):
        self.do(Call("metering_operator", "consume_match", (index, energy)))

    @rule(word=st.integers(0, 3), energies=st.lists(st.integers(0, 2), min_size=1, max_size=5))
    def confirm(self, word, energies):
        self.do(Call("metering_operator", "confirm_deliveries", (4 * word, energies)))

    @rule(first=st.integers(0, 12), count=st.integers(1, 6))
    def confirm_all(self, first, count):
        self.do(Call("metering_operator", "confirm_matches", (first, count)))

    @rule(periods=st.sampled_from([1, 1, 7]))
    def wait(self, periods):
        self.do(Call("owner", "wait", (periods * PERIOD,)))


class ContractAndTwin(Trading):
    """Both answer the same, both read the same, and the books balance."""

    @initialize(name=st.sampled_from(["empty", "about to wrap"]))
    def begin(self, name):
        self.pair = stage(name).pair()
        self.auditor = Auditor()
        for receipt in self.pair.twin.history():
            self.auditor.hear(receipt.events)

    def do(self, call):
        outcome = self.pair.do(call)
        if isinstance(outcome, tuple):
            self.auditor.hear(outcome)

    @rule(number=numbers)
    def meter_posts_for_itself(self, number):
        self.do(Call(METERS[number - 1], "post_request", (METERS[number - 1], number)))

    @rule(number=numbers)
    def retire(self, number):
        self.do(Call("owner", "retire_meter", (METERS[number - 1],)))

    @rule(number=numbers)
    def register(self, number):
        self.do(Call("metering_operator", "register_meters", ([METERS[number - 1]],)))

    @rule(change=st.sampled_from(["pause", "unpause", "unpause"]))
    def pause_or_unpause(self, change):
        self.do(Call("owner", change))

    @invariant()
    def both_count_the_same(self):
        contract, twin = self.pair.contract, self.pair.twin
        self.pair.set_clock()
        assert contract.requests_outstanding() == twin.requests_outstanding()
        assert contract.releases_outstanding() == twin.releases_outstanding()
        assert contract.next_request_energy() == twin.next_request_energy()
        assert contract.next_release_energy() == twin.next_release_energy()
        assert contract.match_counter() == twin.match_counter() == len(self.auditor.matched)

    @invariant()
    def no_energy_is_lost(self):
        self.auditor.assert_balanced()

    def teardown(self):
        if hasattr(self, "pair"):
            self.pair.assert_same()


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


TestContractAndTwin = ContractAndTwin.TestCase
TestContractAndTwin.settings = settings(DETERMINISTIC, max_examples=10, stateful_step_count=20)
TestTwinAndLists = TwinAndLists.TestCase
TestTwinAndLists.settings = settings(DETERMINISTIC, max_examples=100, stateful_step_count=50)
