"""The same market twice, in the contract and in memory, and what can be read of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from energy_chain.signing import (
    Kind,
    OrderDomain,
    OrderTerms,
    SignedOrder,
    sign,
    signing_length,
)

PERIOD = 900
GENESIS = 1_777_778 * PERIOD
"""The chains begin with a period, so that no view of a short test falls on a boundary."""

ACCOUNTS = development_accounts(11)
OWNER, AGGREGATOR, OPERATOR, STRANGER, *METERS, OUTSIDER = (a.address for a in ACCOUNTS)
KEYS = {account.address: account.key for account in ACCOUNTS}
REGISTERED = METERS[:5]
"""The meters with the numbers 1 to 5. The sixth is not registered.

`OUTSIDER` is never given a role or a meter number; `STRANGER` may be given a role.
"""

STATE_SLOT = 1
"""Where the contract stores its state word; Vyper keeps slot 0."""

RAW_GAS = 5_000_000

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


@dataclass(frozen=True, slots=True)
class Unsigned:
    """An order that a meter signs when it is posted, for the period that is then.

    Attributes:
        signer: address of an account with a known key.
        kind: request or release.
        energy: Wh.
        early: seconds from the deadline to the end of the period.
        price: limit price.
        periods: how many periods later than now it is signed for.
        chains: how many more than the chain's id its domain has.
        forged: bits of r and s that are altered after it was signed.
    """

    signer: str
    kind: Kind
    energy: int
    early: int = 0
    price: int = 0
    periods: int = 0
    chains: int = 0
    forged: int = 0

    def signed(self, period: int, length: int, domain: OrderDomain) -> SignedOrder:
        """The order, signed; altered afterwards when it is forged."""
        deadline = (period + 1) * length - self.early
        terms = OrderTerms(self.kind, self.energy, period + self.periods, deadline, self.price)
        elsewhere = replace(domain, chain_id=domain.chain_id + self.chains)
        order = sign(terms, elsewhere, KEYS[self.signer])
        order = replace(order, r=order.r ^ self.forged >> 256, vs=order.vs ^ self.forged % 2**256)
        # Those of another period are altered as well: a call takes orders of one period.
        now = replace(terms, period=period)
        return replace(order, terms=now)


@cache
def signed(order: Unsigned, period: int, length: int, domain: OrderDomain) -> SignedOrder:
    """An order, signed once in a process."""
    return order.signed(period, length, domain)


def resolved(ledger: Ledger, argument: Any) -> Any:
    """An argument of a call, with orders signed that are to be."""
    if not isinstance(argument, tuple):  # all other batches are lists
        return argument
    length, domain = signing_length(ledger.period_length()), ledger.order_domain()
    return [signed(order, ledger.signing_period(), length, domain) for order in argument]


def outcome(ledger: Ledger, call: Call, arguments: Sequence[Any] | None = None) -> Outcome:
    """The events of a call, or the class of its refusal.

    Args:
        ledger: whose market is called.
        call: what is called.
        arguments: the call's own, resolved, where that was done already.
    """
    try:
        method = getattr(ledger.as_account(sender_of(ledger, call)), call.method)
        if arguments is None:
            arguments = [resolved(ledger, argument) for argument in call.arguments]
        events: tuple[Event, ...] = method(*arguments).events
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

    def send(self, sender: str, data: bytes, value: int = 0) -> type[EnergyChainError] | None:
        """Sends calldata to the contract alone; the class of its refusal, None if it took it."""
        address, calldata = self.contract.address, "0x" + data.hex()
        try:
            self.contract._sender.send(sender, address, calldata, RAW_GAS, "calldata", value)
        except EnergyChainError as error:
            return type(error)
        return None

    def set_clock(self) -> None:
        """Sets the twin's clock to the time of the block that comes next."""
        self.clock.time = self.connection.block_time() + 1

    def set_clock_to_read(self) -> None:
        """Sets the twin's clock to the time of the latest block, as of which views are called."""
        self.clock.time = self.connection.block_time()

    def do(self, call: Call) -> Outcome:
        """Makes a call to both and fails unless both answer the same."""
        if call.method == "wait":
            self.connection.advance_time(*call.arguments)
            return ()
        self.set_clock()
        arguments = [resolved(self.twin, argument) for argument in call.arguments]
        call = Call(sender_of(self.twin, call), call.method, call.arguments)
        expected = outcome(self.twin, call, arguments)
        assert outcome(self.contract, call, arguments) == expected, call
        return expected

    def assert_same(self) -> None:
        """Fails unless both read the same."""
        self.set_clock_to_read()
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
        self.counters = counters or (0, 0, 0)
        """Orders and matches that were numbered before the first one of the set-up."""
        self._period_length = period_length
        self._contract = self._deploy()
        twin = new_twin(Clock(), period_length, self._contract.order_domain())
        pair = Pair(self._connection, self._contract, twin)
        for call in setup:
            assert isinstance(pair.do(call), tuple), call
        if counters is not None:
            # Heads, tails and the match counter as the contract's state word holds them.
            requests, releases, matches = counters
            word = (1 | 1 << 32) * requests | (1 | 1 << 32) * releases << 64 | matches << 128
            self._write(STATE_SLOT, word)
            assert self._contract.request_counter() == requests, "STATE_SLOT is wrong"
        self._keep()

    def _deploy(self) -> ContractLedger:
        self._connection = Connection.open(
            EMBEDDED, [account.address for account in ACCOUNTS], genesis_time=GENESIS
        )
        self._tester = self._connection.w3.provider.tester  # type: ignore[attr-defined]
        return ContractLedger.deploy(
            self._sender(), OWNER, AGGREGATOR, OPERATOR, self._period_length
        )

    def _sender(self) -> TransactionSender:
        return TransactionSender(self._connection, ACCOUNTS)

    def _state(self) -> Any:
        return self._connection.w3.provider.backend.chain.get_vm().state  # type: ignore[attr-defined]

    def _write(self, slot: int, word: int) -> None:
        chain = self._connection.w3.provider.backend.chain  # type: ignore[attr-defined]
        state = self._state()
        state.set_storage(bytes.fromhex(self._contract.address[2:]), slot, word)
        state.lock_changes()
        state.persist()
        chain.header = chain.header.copy(state_root=state.state_root)
        self._tester.mine_block()

    def _keep(self) -> None:
        self._tester.mine_block()  # to go back runs the last block again: let it be empty
        self._snapshot = self._tester.take_snapshot()

    def _go_back(self) -> ContractLedger:
        self._tester.revert_to_snapshot(self._snapshot)
        address, first_block = self._contract.address, self._contract.first_block
        return ContractLedger(self._sender(), address, OWNER, first_block)

    def storage(self, slots: Iterable[int]) -> list[int]:
        """What slots of the contract hold."""
        state, address = self._state(), bytes.fromhex(self._contract.address[2:])
        return [state.get_storage(address, slot) for slot in slots]

    def pair(self) -> Pair:
        """Goes back to where the set-up ended."""
        contract = self._go_back()
        twin = new_twin(Clock(GENESIS + 1), self._period_length, contract.order_domain())
        for call in self._setup:
            outcome(twin, call)
        if any(self.counters):
            requests, releases, matches = self.counters
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
def stage(name: str, kind: type[Stage] = Stage) -> Stage:
    """The stage of a name, set up once in a process.

    Where the rings are about to wrap, 2,045 requests and matches and 2,046 releases were written,
    and the last release is outstanding. Where the market is almost used up, a few more orders and
    matches bring the counters to their last number.
    """
    if name == "almost used up":
        return kind([REGISTER], counters=(2**32 - 14, 2**32 - 15, 2**32 - 12))
    if name == "traded":
        return kind(TRADED)
    if name == "about to wrap":
        return kind(_before_the_wrap())
    return kind([REGISTER], period_length=0 if name == "without periods" else PERIOD)
