"""The same market twice, in the contract and in memory, and what can be read of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import eth  # noqa: F401  # sets Python's recursion limit, which Hypothesis wants left alone

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import EMBEDDED
from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import EnergyChainError
from energy_chain.events import Event
from energy_chain.ledger import Ledger
from energy_chain.market import CAPACITY, ZERO_ADDRESS, Release, Request
from energy_chain.memory_ledger import NO_DOMAIN, MemoryLedger
from energy_chain.signing import Kind, OrderDomain

PERIOD = 900
GENESIS = 1_777_778 * PERIOD
"""The chains begin with a period, so that no view of a short test falls on a boundary."""

ACCOUNTS = development_accounts(10)
OWNER, AGGREGATOR, OPERATOR, STRANGER, *METERS = (account.address for account in ACCOUNTS)
REGISTERED = METERS[:5]
"""The meters with the numbers 1 to 5. The sixth is not registered."""

STATE_SLOT = 1
"""Where the contract stores its state word; Vyper keeps slot 0."""

Outcome: TypeAlias = tuple[Event, ...] | type[EnergyChainError]


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a market. `sender` is an address, or a role as the ledger names it.

    The method `wait` is none of a ledger: it lets so many seconds pass.
    """

    sender: str
    method: str
    arguments: tuple[Any, ...] = ()


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, time: int = GENESIS) -> None:
        self.time = time

    def __call__(self) -> int:
        return self.time


def outcome(ledger: Ledger, call: Call) -> Outcome:
    """The events of a call, or the class of its refusal."""
    try:
        method = getattr(ledger.as_account(sender_of(ledger, call)), call.method)
        events: tuple[Event, ...] = method(*call.arguments).events
    except EnergyChainError as error:
        return type(error)
    return events


def sender_of(ledger: Ledger, call: Call) -> str:
    """The account that sends a call: who has the role now, a stranger if nobody has it."""
    if call.sender.startswith("0x"):
        return call.sender
    holder: str = getattr(ledger, call.sender)()
    return STRANGER if holder == ZERO_ADDRESS else holder


def new_twin(
    clock: Clock, period_length: int = PERIOD, domain: OrderDomain = NO_DOMAIN
) -> MemoryLedger:
    """A market in memory, as a stage deploys it in the contract."""
    return MemoryLedger.deploy(OWNER, AGGREGATOR, OPERATOR, period_length, clock, domain)


def reading(ledger: Ledger) -> dict[str, object]:
    """What can be read of a market: all but the oldest matches and slots."""
    requests, releases = ledger.request_counter(), ledger.release_counter()
    since = max(0, ledger.match_counter() - 60)
    return {
        "counters": (requests, releases, ledger.match_counter(), ledger.meter_count()),
        "outstanding": (ledger.requests_outstanding(), ledger.releases_outstanding()),
        "next": (ledger.next_request_energy(), ledger.next_release_energy()),
        "meters": [ledger.meter(meter) for meter in METERS],
        "offered": [ledger.request_energy(meter) for meter in METERS],
        "needed": [ledger.release_energy(meter) for meter in METERS],
        "matches": [ledger.matches_of(meter, since) for meter in METERS],
        "requests": [ledger.request_slot(slot) for slot in _around(requests)],
        "releases": [ledger.release_slot(slot) for slot in _around(releases)],
        "signed": [[ledger.has_signed(meter, kind) for kind in Kind] for meter in METERS],
        "time": (ledger.period_length(), ledger.current_period(), ledger.paused()),
        "roles": (
            ledger.owner(),
            ledger.pending_owner(),
            ledger.aggregator(),
            ledger.metering_operator(),
        ),
    }


def _around(counter: int) -> list[int]:
    return sorted({at % CAPACITY for at in range(max(0, counter - 5), counter + 3)})


class Pair:
    """A market in the contract and the same in memory. Whatever is done is done to both."""

    def __init__(self, connection: Connection, contract: ContractLedger, twin: MemoryLedger):
        self.connection = connection
        self.contract = contract
        self.twin = twin
        self.clock: Clock = twin._book.clock  # type: ignore[assignment]
        self.set_clock()

    def set_clock(self) -> None:
        """Sets the twin's clock to the time of the block that comes next."""
        self.clock.time = self.connection.block_time() + 1

    def do(self, call: Call) -> Outcome:
        """Makes a call to both and fails unless both answer the same."""
        if call.method == "wait":
            self.connection.advance_time(*call.arguments)
            return ()
        self.set_clock()
        call = Call(sender_of(self.twin, call), call.method, call.arguments)
        expected = outcome(self.twin, call)
        assert outcome(self.contract, call) == expected, call
        return expected

    def assert_same(self) -> None:
        """Fails unless both read the same."""
        self.set_clock()
        assert reading(self.contract) == reading(self.twin)


class Stage:
    """A chain with a market, to be taken up again and again where its set-up ended."""

    def __init__(
        self,
        setup: Sequence[Call],
        period_length: int = PERIOD,
        counters: tuple[int, int, int] | None = None,
    ) -> None:
        """Deploys and sets up.

        Args:
            setup: the calls to make.
            period_length: of the market.
            counters: of requests, releases and matches, if they are not to be what `setup` made
                them, that of matches a multiple of four. Nothing is outstanding then.
        """
        self._setup = setup
        self._counters = counters
        self._period_length = period_length
        self._connection = Connection.open(
            EMBEDDED, [account.address for account in ACCOUNTS], genesis_time=GENESIS
        )
        self._contract = ContractLedger.deploy(
            self._sender(), OWNER, AGGREGATOR, OPERATOR, period_length
        )
        pair = Pair(self._connection, self._contract, new_twin(Clock(), period_length))
        for call in setup:
            assert isinstance(pair.do(call), tuple), call
        self._tester = self._connection.w3.provider.tester  # type: ignore[attr-defined]
        if counters is not None:
            self._set_counters()
            self._tester.mine_block()
            assert self._contract.request_counter() == counters[0], "STATE_SLOT is wrong"
        self._tester.mine_block()  # to go back runs the last block again: let it be empty
        self._snapshot = self._tester.take_snapshot()

    def _set_counters(self) -> None:
        # Heads, tails and the match counter as the contract's state word holds them.
        requests, releases, matches = self._counters or (0, 0, 0)
        word = (1 | 1 << 32) * requests | (1 | 1 << 32) * releases << 64 | matches << 128
        chain = self._connection.w3.provider.backend.chain  # type: ignore[attr-defined]
        state = chain.get_vm().state
        state.set_storage(bytes.fromhex(self._contract.address[2:]), STATE_SLOT, word)
        state.lock_changes()
        state.persist()
        chain.header = chain.header.copy(state_root=state.state_root)

    def _sender(self) -> TransactionSender:
        return TransactionSender(self._connection, ACCOUNTS)

    def pair(self) -> Pair:
        """Goes back to where the set-up ended."""
        self._tester.revert_to_snapshot(self._snapshot)
        address, first_block = self._contract.address, self._contract.first_block
        contract = ContractLedger(self._sender(), address, OWNER, first_block)
        twin = new_twin(Clock(GENESIS + 1), self._period_length, contract.order_domain())
        for call in self._setup:
            outcome(twin, call)
        if self._counters:
            requests, releases, matches = self._counters
            book = twin._book
            book.state = replace(
                book.state,
                requests=replace(book.state.requests, head=requests, tail=requests),
                releases=replace(book.state.releases, head=releases, tail=releases),
                match_counter=matches,
            )
        return Pair(self._connection, contract, twin)


REGISTER = Call("owner", "register_meters", (REGISTERED,))


def _before_the_wrap() -> list[Call]:
    calls = [REGISTER]
    for count in (256,) * 7 + (253,):
        for side, order in ("requests", Request(1, 5)), ("releases", Release(2, 5)):
            calls.append(Call("metering_operator", f"post_{side}", ([order] * count,)))
        calls.append(Call(STRANGER, "match_pending", (256,)))
    return [*calls, Call(OPERATOR, "post_release", (METERS[2], 7))]


STAGES = ("empty", "about to wrap", "without periods", "almost used up")


TRADED = [
    REGISTER,
    Call(OPERATOR, "post_request", (METERS[0], 5)),
    Call(OPERATOR, "post_request", (METERS[0], 3)),
    Call(OPERATOR, "post_request", (METERS[0], 4)),
    Call(OPERATOR, "post_release", (METERS[1], 5)),
    Call(OPERATOR, "post_release", (METERS[2], 2)),
    Call(OPERATOR, "match_pending", (256,)),
    Call(OPERATOR, "retire_meter", (METERS[4],)),
]
"""Leaves match 0, 5 Wh of meter 1 to meter 2, and match 1, 2 Wh of meter 1 to meter 3; outstanding
are 1 of 3 Wh and 4 Wh of meter 1; meter 5 is retired."""


@cache
def stage(name: str) -> Stage:
    """The stage of a name, set up once in a process.

    Where the rings are about to wrap, 2,045 requests and matches and 2,046 releases were written,
    and the last release is outstanding. Where the market is almost used up, a few more orders and
    matches bring the counters to their last number.
    """
    if name == "almost used up":
        return Stage([REGISTER], counters=(2**32 - 14, 2**32 - 15, 2**32 - 12))
    if name == "traded":
        return Stage(TRADED)
    if name == "about to wrap":
        return Stage(_before_the_wrap())
    return Stage([REGISTER], period_length=0 if name == "without periods" else PERIOD)
