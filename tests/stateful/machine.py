"""Markets driven step by step, with what must always hold checked after every step.

`MarketMachine` is one machine for two chains: on the embedded one it takes a few steps in
`make test`, on pyrevm many in `make fuzz`. A call that is to be driven becomes a rule that returns
`self.do(Call(...))`; `OPEN` and `VIEWS` say what the outsider may call and what views return.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from eth_utils import to_checksum_address
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from energy_chain.errors import (
    InvalidInput,
    LimitPriceNotZero,
    MalformedDelivery,
    MalformedOrder,
    MarketPaused,
    MarketRefusal,
    MatchNotKept,
    MeterIsRetired,
    ReleaseRingFull,
    RequestRingFull,
    TransactionFailed,
)
from energy_chain.market import (
    CAPACITY,
    LANES_PER_WORD,
    MAX_BATCH,
    ZERO_ADDRESS,
    Release,
    Request,
)
from energy_chain.signing import Kind

from ..property.auditor import Auditor
from ..property.histories import (
    CALLS,
    accounts,
    any_call,
    any_energies,
    new_roles,
    sent_by,
    small_energies,
)
from ..property.markets import (
    METERS,
    OPERATOR,
    OUTSIDER,
    OWNER,
    PERIOD,
    STAGES,
    Call,
    Outcome,
    Pair,
    Stage,
    Unsigned,
    sender_of,
    stage,
)
from .calldata import Function, function, functions
from .storage import expected, slots
from .views import VIEWS

SIDES = {"requests": Request, "releases": Release}
OPEN = {"match_pending", "post_signed"}
"""What changes the market and anyone may call."""
NOBODY = to_checksum_address("0x" + "ff" * 20)
STEPS_A_LOOK = 8
"""How often the whole storage is compared with what the twin expects of it."""

sides = st.sampled_from(["requests", "releases"])
numbers = st.integers(1, 5)
batches = st.lists(st.tuples(numbers, small_energies), min_size=1, max_size=6)
sizes = st.one_of(st.integers(1, 9), st.integers(1, 256), st.sampled_from([255, 256]))
offsets = st.integers(-2, 2)
salts = st.integers(0, 99)

Heard = Outcome | None
"""What came of a rule: of a call its outcome, None where nothing but views were called."""


ACCEPTED, VIOLATED = "", "violation"


class Tally:
    """How often each rule was called, and what came of it."""

    def __init__(self) -> None:
        self.outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.is_closed = False
        """Whether a violation was found: to shrink it is not counted."""

    def add(self, rule: str, outcome: str) -> None:
        """Counts one call of a rule: `ACCEPTED`, `VIOLATED`, or the name of a refusal."""
        if not self.is_closed:
            self.outcomes[rule][outcome] += 1
            self.is_closed = outcome == VIOLATED

    def merge(self, other: Tally) -> None:
        """Adds what another counted."""
        for name, outcomes in other.outcomes.items():
            self.outcomes[name] += outcomes

    @property
    def calls(self) -> int:
        """How many rules were called."""
        return sum(outcomes.total() for outcomes in self.outcomes.values())


def step(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., Heard]], Any]:
    """A rule that returns what came of it, which the machine is told."""

    def decorate(taken: Callable[..., Heard]) -> Any:
        @wraps(taken)
        def counted(self: Trading, **drawn: Any) -> None:
            try:
                self.heard(taken.__name__, taken(self, **drawn))
            except Exception:
                self.tally.add(taken.__name__, VIOLATED)
                raise

        return rule(**strategies)(counted)

    return decorate


class Trading(RuleBasedStateMachine):
    """The calls that move energy, by who may make them."""

    tally = Tally()

    def do(self, call: Call) -> Heard:
        raise NotImplementedError

    def heard(self, rule: str, heard: Heard) -> None:
        """Is told what came of each rule."""

    @step(side=sides, batch=batches)
    def post(self, side, batch):
        orders = [SIDES[side](*fields) for fields in batch]
        return self.do(Call("metering_operator", f"post_{side}", (orders,)))

    @step(side=sides, number=numbers, energy=small_energies)
    def post_one(self, side, number, energy):
        order = SIDES[side](number, energy)
        return self.do(Call("metering_operator", f"post_{side}", ([order],)))

    @step(requests=batches, releases=batches, most=st.sampled_from([0, 1, 3, 256]))
    def post_and_match(self, requests, releases, most):
        sides = [Request(*fields) for fields in requests], [Release(*fields) for fields in releases]
        return self.do(Call("metering_operator", "post_and_match", (*sides, most)))

    @step(sender=accounts, most=st.sampled_from([1, 2, 3, 256]))
    def match(self, sender, most):
        return self.do(Call(sender, "match_pending", (most,)))

    @step(energy=small_energies)
    def match_energy(self, energy):
        return self.do(Call("aggregator", "match_energy", (energy,)))

    @step(index=st.integers(0, 12), energy=small_energies)
    def consume_match(self, index, energy):
        return self.do(Call("metering_operator", "consume_match", (index, energy)))

    @step(word=st.integers(0, 3), energies=st.lists(st.integers(0, 2), min_size=1, max_size=5))
    def confirm(self, word, energies):
        return self.do(Call("metering_operator", "confirm_deliveries", (4 * word, energies)))

    @step(first=st.integers(0, 12), count=st.integers(1, 6))
    def confirm_all(self, first, count):
        return self.do(Call("metering_operator", "confirm_matches", (first, count)))

    @step(periods=st.sampled_from([1, 1, 7]))
    def wait(self, periods):
        return self.do(Call("owner", "wait", (periods * PERIOD,)))


def orders_of(side: str, count: int, number: int, energy: int) -> list[Any]:
    """So many orders of different meters and energies, which takes three numbers to draw."""
    return [
        SIDES[side](1 + (number + i) % 5, 1 + (energy * (i + 1) + i // 3) % 9) for i in range(count)
    ]


def lanes_of(words: Sequence[int]) -> list[tuple[int, int, int]]:
    """Limit price, meter number and Wh of every lane of packed orders."""
    lanes = (word >> 64 * i & 2**64 - 1 for word in words for i in range(LANES_PER_WORD))
    return [(lane >> 48, lane >> 32 & 0xFFFF, lane & 0xFFFFFFFF) for lane in lanes]


lane = st.one_of(
    st.builds(lambda meter, energy: meter << 32 | energy, numbers, small_energies),
    st.builds(lambda meter, energy: meter << 32 | energy, numbers, small_energies),
    st.sampled_from([0, 1 << 48 | 1 << 32 | 1, 1 << 63, 1, 1 << 32, 0xFFFF << 32 | 1, 2**64 - 1]),
)
word = st.builds(lambda a, b, c, d: a | b << 64 | c << 128 | d << 192, lane, lane, lane, lane)
broken_words = st.lists(word, min_size=1, max_size=4)
"""Words that hardly ever are a batch: with gaps, limit prices and bad orders."""

junk = st.one_of(
    st.just(b""), st.binary(max_size=70), st.builds(lambda n: b"\xff" * n, st.integers(0, 140))
)
# Deferred, so that the contract is not read before its fuzzer has said which one it is.
views = st.deferred(lambda: _signatures(are_views=True))
changing = st.deferred(lambda: _signatures(are_views=False))
someone = st.sampled_from([*METERS, OWNER, OPERATOR, OUTSIDER, ZERO_ADDRESS, NOBODY])
somewhere = st.tuples(
    st.sampled_from(
        ["zero", "zero", "capacity", "newest", "oldest", "meters", "counters", "words"]
    ),
    st.integers(-3, 8),
)
"""A number near one that matters."""
near_matches = st.tuples(
    st.sampled_from(["newest", "newest", "newest", "oldest", "oldest", "zero", "words"]),
    st.sampled_from([0, 0, -1, -2, -3, -5, -9, 1, 2]),
)


def _signatures(are_views: bool) -> st.SearchStrategy[str]:
    every = functions().items()
    return st.sampled_from(sorted(name for name, found in every if found.is_view is are_views))


def example_of(kind: str) -> Any:
    """An argument of a type of the ABI that the contract might take."""
    if kind.startswith("("):
        return [(1, 1, 1)]
    if kind.endswith("[]"):
        return [METERS[5] if kind == "address[]" else 1 << 32 | 1]
    return METERS[0] if kind == "address" else 1


class MarketMachine(Trading):
    """Contract and twin answer the same and hold the same, and the books balance."""

    stages: type[Stage] = Stage
    """The kind of chain."""

    @initialize(name=st.sampled_from([*STAGES[:3], *STAGES]), salt=st.tuples(*[salts] * 4))
    def begin(self, name, salt):
        # Hypothesis likes to try what is simplest, here hundreds of times the same call, until that
        # turns out invalid.
        assume(all(salt))
        self.stage = stage(name, self.stages)
        self.pair: Pair = self.stage.pair()
        self.auditor = Auditor(self.stage.counters)
        for receipt in self.pair.twin.history():
            self.auditor.hear(receipt.events)
        self.steps = 0
        self.before: list[int] | None = None

    def heard(self, rule, heard):
        if heard is not InvalidInput:  # which no call was made of
            self.tally.add(rule, heard.__name__ if isinstance(heard, type) else ACCEPTED)
        self.auditor.assert_balanced()
        assert self.pair.twin.match_counter() == self.auditor.match_counter
        self.steps += 1
        if self.steps % STEPS_A_LOOK == 0:
            self.compare_storage()
        self.pair.set_clock()  # for the rules that ask the twin what to call

    # calls, and what is checked of each

    def do(self, call):
        if call.method == "wait":
            self.pair.do(call)
            return self.look_around(METERS[1], ("newest", -3))
        before = self._storage()
        heard = self.pair.do(call)
        if isinstance(heard, tuple):
            self.auditor.hear(heard, self.pair.twin.signing_period())
            self.before = None
        else:
            assert self._storage(anew=True) == before, f"refused, but changed: {call}"
        return heard

    def _storage(self, anew=False):
        if self.before is None or anew:
            self.before = self.stage.storage(slots())
        return self.before

    def must_refuse(self, sender: str, data: bytes, value: int = 0) -> type[Exception]:
        """Sends calldata that the contract has to refuse; the class of the refusal."""
        before = self._storage()
        refusal = self.pair.send(sender, data, value)
        assert refusal is not None, f"taken from {sender}: {data.hex()}"
        assert self._storage(anew=True) == before, f"refused, but changed: {data.hex()}"
        return refusal

    def look(self, view: Function, address: str, number: int) -> None:
        """Calls a view: it must not revert, and has to tell what the twin knows."""
        self.pair.set_clock_to_read()
        arguments = [address if kind == "address" else number for kind in view.types]
        told = VIEWS.get(view.signature)
        returned = self.pair.contract._call(view.signature, *arguments)
        if told:
            assert _plain(returned) == told(self.pair.twin, *arguments), (view.name, arguments)

    def look_around(self, address: str, place: tuple[str, int]) -> None:
        """Calls every view, but does not ask for 2,048 matches: they outweigh all the others."""
        for view in functions().values():
            if view.signature == "matches_of(address,uint256)":
                self.look(view, address, self.number(("newest", -9)))
            elif view.is_view and view.name != "matches_of":
                self.look(view, address, self.number(place))

    def number(self, place: tuple[str, int]) -> int:
        """A number near one that matters."""
        twin, (name, offset) = self.pair.twin, place
        base = {
            "zero": 0,
            "capacity": CAPACITY,
            "newest": twin.match_counter() - 1,
            "oldest": twin._oldest_match(),
            "meters": twin.meter_count(),
            "counters": 2**32 - 1,
            "words": 2**256 - 9,
        }[name]
        return min(max(0, base + offset), 2**256 - 1)

    # posting

    @step(call=CALLS["single post"][1])
    def post_single(self, call):
        return self.do(call)

    @step(number=numbers, side=sides, energy=any_energies)
    def meter_posts_for_itself(self, number, side, energy):
        meter = METERS[number - 1]
        return self.do(Call(meter, f"post_{side[:-1]}", (meter, energy)))

    @step(call=CALLS["batch"][1])
    def post_any_batch(self, call):
        return self.do(call)

    @step(call=CALLS["batches of both sides"][1])
    def post_and_match_any(self, call):
        return self.do(call)

    @step(call=CALLS["signed orders"][1])
    def post_signed(self, call):
        return self.do(call)

    @step(
        sender=accounts,
        kinds=st.lists(st.sampled_from(Kind), min_size=1, max_size=10),
        number=numbers,
    )
    def post_good_signed(self, sender, kinds, number):
        meters = [METERS[(number + i) % 5] for i in range(len(kinds))]
        orders = zip(meters, kinds, strict=True)
        signed = tuple(Unsigned(meter, kind, 1 + i % 3) for i, (meter, kind) in enumerate(orders))
        return self.do(Call(sender, "post_signed", (signed, False)))

    @step(side=sides, count=sizes, number=numbers, energy=small_energies)
    def post_many(self, side, count, number, energy):
        orders = orders_of(side, count, number, energy)
        return self.do(Call("metering_operator", f"post_{side}", (orders,)))

    @step(side=sides, offset=offsets, number=numbers)
    def fill_ring(self, side, offset, number):
        queue = getattr(self.pair.twin._current_state(), side)
        room = CAPACITY - (queue.tail - queue.head // LANES_PER_WORD * LANES_PER_WORD)
        count = max(0, min(MAX_BATCH, room + offset))
        orders = orders_of(side, count, number, 3)
        return self.do(Call("metering_operator", f"post_{side}", (orders,)))

    @step(counts=st.tuples(sizes, sizes), number=numbers, most=st.sampled_from([0, 7, 255, 256]))
    def post_and_match_many(self, counts, number, most):
        both = [
            orders_of(side, count, number + i, 2 + i)
            for i, (side, count) in enumerate(zip(SIDES, counts, strict=True))
        ]
        return self.do(Call("metering_operator", "post_and_match", (*both, most)))

    @step(side=sides, words=broken_words)
    def post_broken_words(self, side, words):
        refusal = self._refusal_of(side, words)
        if refusal is None:
            orders = [SIDES[side](meter, energy) for _, meter, energy in lanes_of(words)]
            while orders[-1] == SIDES[side](0, 0):
                del orders[-1]
            return self.do(Call("metering_operator", f"post_{side}", (orders,)))
        data = function(f"post_{side}").calldata(words)
        got = self.must_refuse(self._holder("metering_operator"), data)
        assert got is refusal, (got, refusal)
        return got

    def _refusal_of(self, side: str, words: list[int]) -> type[MarketRefusal] | None:
        # The order in which the contract checks, written down once more.
        twin = self.pair.twin
        lanes = lanes_of(words)
        count = max((i + 1 for i, lane in enumerate(lanes) if any(lane)), default=0)
        queue = getattr(twin._current_state(), side)
        if twin.paused():
            return MarketPaused
        if count <= len(lanes) - LANES_PER_WORD:
            return MalformedOrder
        full = {"requests": RequestRingFull, "releases": ReleaseRingFull}[side]
        try:
            twin._appended(queue, count, full)
        except MarketRefusal as error:
            return type(error)
        if any(meter in twin._book.retired for _, meter, _ in lanes):
            return MeterIsRetired
        if any(price for price, _, _ in lanes):
            return LimitPriceNotZero
        known = range(1, twin.meter_count() + 1)
        if not all(meter in known and energy for _, meter, energy in lanes[:count]):
            return MalformedOrder
        return None

    def _holder(self, role: str) -> str:
        return sender_of(self.pair.twin, Call(role, ""))

    # matching

    @step(offset=offsets)
    def match_what_there_is(self, offset):
        twin = self.pair.twin
        state, book = twin._current_state(), twin._book
        offered = sum(energy for _, energy in twin._left(state.requests, book.requests))
        needed = sum(energy for _, energy in twin._left(state.releases, book.releases))
        return self.do(Call("aggregator", "match_energy", (min(offered, needed) + offset,)))

    @step(call=CALLS["match energy"][1])
    def match_any_energy(self, call):
        return self.do(call)

    @step(sender=accounts, most=st.sampled_from([0, 255, 256, 257, 2**256 - 1]))
    def match_many(self, sender, most):
        return self.do(Call(sender, "match_pending", (most,)))

    # consuming

    @step(call=CALLS["consume"][1])
    def consume(self, call):
        return self.do(call)

    @step(sender=sent_by("metering_operator", "consumer"), place=near_matches, offset=offsets)
    def consume_what_is_left(self, sender, place, offset):
        index = self.number(place)
        if sender == "consumer":
            match = self.pair.twin.match_at(index)
            sender = match.consumer if match else METERS[1]
        return self.do(Call(sender, "consume_match", (index, self._left_of(index) + offset)))

    def _left_of(self, index: int) -> int:
        match = self.pair.twin.match_at(index) if index < 2**256 else None
        return match.energy if match else 0

    @step(
        sender=sent_by("metering_operator"),
        place=near_matches,
        offsets=st.lists(st.sampled_from([-9, -1, 0, 0, 0, 0, 0, 1]), min_size=1, max_size=9),
    )
    def confirm_what_is_left(self, sender, place, offsets):
        first = self.number(place) // LANES_PER_WORD * LANES_PER_WORD
        energies = [max(0, self._left_of(first + i) + offset) for i, offset in enumerate(offsets)]
        return self.do(Call(sender, "confirm_deliveries", (first, energies)))

    @step(call=CALLS["confirm"][1])
    def confirm_any(self, call):
        return self.do(call)

    @step(sender=sent_by("metering_operator"), place=near_matches, count=sizes)
    def confirm_many(self, sender, place, count):
        return self.do(Call(sender, "confirm_matches", (self.number(place), count)))

    @step(place=near_matches, dirt=st.sampled_from([1 << 32, 1 << 63, 1 << 255, 1 << 96]))
    def confirm_broken_words(self, place, dirt):
        twin = self.pair.twin
        first = self.number(place) // LANES_PER_WORD * LANES_PER_WORD
        data = function("confirm_deliveries").calldata(first, [dirt])
        got = self.must_refuse(self._holder("metering_operator"), data)
        kept = twin._oldest_match() <= first < twin.match_counter()
        assert got is (MalformedDelivery if kept else MatchNotKept), got
        return got

    # meters, roles, pause

    @step(sender=sent_by("metering_operator", "owner"), meter=st.sampled_from(METERS))
    def retire(self, sender, meter):
        return self.do(Call(sender, "retire_meter", (meter,)))

    @step(sender=sent_by("metering_operator", "owner"), more=st.sampled_from([[], [], METERS[4:]]))
    def register_the_retired(self, sender, more):
        twin = self.pair.twin
        retired = [twin._book.addresses[number] for number in sorted(twin._book.retired)]
        return self.do(Call(sender, "register_meters", ([*retired, *more],)))

    @step(
        sender=sent_by("metering_operator", "owner"),
        meters=st.lists(st.sampled_from([*METERS, ZERO_ADDRESS]), max_size=4),
    )
    def register_many(self, sender, meters):
        return self.do(Call(sender, "register_meters", (meters,)))

    @step(sender=sent_by("owner"), change=st.sampled_from(["unpause", "unpause", "pause"]))
    def pause_or_unpause(self, sender, change):
        heard = self.do(Call(sender, change))
        if self.pair.twin.paused():
            self.look_around(METERS[0], ("newest", 0))
        return heard

    @step(sender=sent_by("owner"), account=new_roles)
    def appoint_aggregator(self, sender, account):
        return self.do(Call(sender, "set_aggregator", (account,)))

    @step(sender=sent_by("owner"), account=new_roles)
    def appoint_operator(self, sender, account):
        return self.do(Call(sender, "set_metering_operator", (account,)))

    @step(sender=sent_by("owner"), account=new_roles)
    def offer_ownership(self, sender, account):
        return self.do(Call(sender, "transfer_ownership", (account,)))

    @step(sender=sent_by("pending_owner"))
    def take_ownership(self, sender):
        return self.do(Call(sender, "accept_ownership"))

    # time

    @step(seconds=st.integers(-3, 1), address=someone)
    def wait_for_the_boundary(self, seconds, address):
        now = self.pair.connection.block_time()
        boundary = (now // PERIOD + 1) * PERIOD
        # Waiting takes a second itself.
        self.do(Call("owner", "wait", (max(1, boundary - now - 1 + seconds),)))
        return self.look_around(address, ("newest", 0))

    @step(seconds=st.integers(1, 2 * PERIOD))
    def wait_a_while(self, seconds):
        return self.do(Call("owner", "wait", (seconds,)))

    # who has no business here, and what is no call

    @step(call=any_call)
    def outsider_calls(self, call):
        if call.method == "wait":
            return self.do(call)
        heard = self.do(Call(OUTSIDER, call.method, call.arguments))
        assert isinstance(heard, type) or call.method in OPEN, call
        return heard

    @step(
        name=changing,
        cut=st.integers(0, 140),
        junk=junk,
    )
    def outsider_sends_broken_calldata(self, name, cut, junk):
        called = function(name)
        whole = called.calldata(*map(example_of, called.types))
        data = whole[:cut] + junk
        if called.name in OPEN:
            data = data[: min(cut, 4 + 32 * len(called.types) - 1)]
        return self.must_refuse(OUTSIDER, data)

    @step(data=st.binary(max_size=100))
    def outsider_sends_junk(self, data):
        if data[:4] in {f.selector for f in functions().values()}:
            return None
        heard = self.must_refuse(OUTSIDER, data)
        assert heard is TransactionFailed
        return heard

    @step(
        name=st.one_of(changing, views),
        sender=st.sampled_from(["owner", "metering_operator", "aggregator", OUTSIDER]),
        value=st.integers(1, 2**64),
    )
    def send_ether(self, name, sender, value):
        called = function(name)
        if not sender.startswith("0x"):
            sender = self._holder(sender)
        data = called.calldata(*map(example_of, called.types))
        return self.must_refuse(sender, data, value)

    # views

    @step(
        name=views,
        address=someone,
        place=somewhere,
    )
    def call_view(self, name, address, place):
        self.look(function(name), address, self.number(place))

    @step(address=someone, place=somewhere)
    def call_every_view(self, address, place):
        return self.look_around(address, place)

    # what both hold

    def compare_storage(self) -> None:
        """Fails unless every word of the contract's storage is what the twin expects."""
        holds = self._storage()
        if holds != (meant := expected(self.pair.twin)):
            found = zip(slots(), holds, meant, strict=True)
            raise AssertionError(
                [f"slot {at}: {a:x}, not {b:x}" for at, a, b in found if a != b][:5]
            )

    def teardown(self):
        # After a failure, what it left is no news.
        if hasattr(self, "steps") and sys.exception() is None:
            self.before = None
            self.compare_storage()
            self.pair.assert_same()


def _plain(value: Any) -> Any:
    """A value without the names that web3 gives its parts."""
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
