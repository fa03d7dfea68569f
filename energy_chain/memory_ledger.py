"""The reference market: the behaviour of `EnergyContract.vy` in plain Python.

It is the oracle of the property tests and of the audit, and replays years of
readings in seconds. Calls are checked in the order in which the contract checks
them, so that both refuse the same call for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from energy_chain.errors import (
    AboveMatched,
    AlreadyPosted,
    BatchEmpty,
    CannotMatch,
    ConfirmationMisaligned,
    CounterUsedUp,
    DeadlinePassed,
    InvalidEnergy,
    InvalidInput,
    InvalidMatchCount,
    InvalidMaxMatches,
    InvalidPeriodLength,
    LimitPriceNotZero,
    MalformedOrder,
    MarketNotPaused,
    MarketPaused,
    MarketRefusal,
    MatchNotKept,
    MeterAlreadyRegistered,
    MeterIsRetired,
    MeterNotRegistered,
    MeterNumbersUsedUp,
    NoMatch,
    NotARegistrar,
    NotTheAggregator,
    NotTheOperator,
    NotTheOwner,
    NotThePendingOwner,
    OtherPeriod,
    ReleaseRingFull,
    RequestRingFull,
    SignatureHigh,
    SignerNotRegistered,
    ZeroAddress,
)
from energy_chain.events import (
    AggregatorChanged,
    DeliveriesConfirmed,
    DeliveryConfirmed,
    Event,
    Matched,
    MatchesConfirmed,
    MeteringOperatorChanged,
    MeterRegistered,
    MeterRetired,
    OwnershipTransferred,
    OwnershipTransferStarted,
    PairMatched,
    Paused,
    PeriodOpened,
    Receipt,
    ReleasePosted,
    ReleasesPosted,
    RequestPosted,
    RequestsPosted,
    SignedOrderSkipped,
    SignedReleasesPosted,
    SignedRequestsPosted,
    Unpaused,
)
from energy_chain.market import (
    CAPACITY,
    LANES_PER_WORD,
    MATCH_CAPACITY,
    MAX_BATCH,
    MAX_COUNTER,
    MAX_METERS,
    MAX_PERIOD_LENGTH,
    MIN_PERIOD_LENGTH,
    ZERO_ADDRESS,
    Address,
    Fill,
    Match,
    Meter,
    Release,
    Request,
    check_batch,
    check_count,
    check_energy,
    check_energy_type,
)
from energy_chain.packing import pack_energies, pack_orders
from energy_chain.signing import (
    HIGHEST_S,
    Kind,
    OrderDomain,
    SignedOrder,
    pack_signed,
    period_of,
    signer_of,
    signing_length,
)

Slot = tuple[int, int]
"""Meter number and Wh."""

NO_DOMAIN = OrderDomain(0, ZERO_ADDRESS)
"""What orders are signed for in a market that is on no chain."""


@dataclass(frozen=True, slots=True)
class _Queue:
    """Head, tail and Wh filled of the head order of one side."""

    head: int = 0
    tail: int = 0
    filled: int = 0

    @property
    def outstanding(self) -> int:
        return self.tail - self.head

    def expired(self) -> _Queue:
        return _Queue(self.tail, self.tail)


@dataclass(frozen=True, slots=True)
class _State:
    """What the contract keeps in its state word."""

    requests: _Queue = _Queue()
    releases: _Queue = _Queue()
    match_counter: int = 0
    period: int = 0
    paused: bool = False


@dataclass(slots=True)
class _Book:
    """All that one market remembers; shared by the ledgers of its accounts."""

    period_length: int
    clock: Callable[[], int]
    domain: OrderDomain
    owner: Address = ZERO_ADDRESS
    pending_owner: Address = ZERO_ADDRESS
    aggregator: Address = ZERO_ADDRESS
    metering_operator: Address = ZERO_ADDRESS
    state: _State = _State()
    requests: list[Slot] = field(default_factory=lambda: [(0, 0)] * CAPACITY)
    releases: list[Slot] = field(default_factory=lambda: [(0, 0)] * CAPACITY)
    matches: list[Fill] = field(default_factory=lambda: [Fill(0, 0, 0)] * MATCH_CAPACITY)
    numbers: dict[Address, int] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=lambda: [ZERO_ADDRESS])
    retired: set[int] = field(default_factory=set)
    signed: dict[Kind, tuple[int, frozenset[int]]] = field(default_factory=dict)
    """The last period with signed orders of a kind, and the numbers of the meters that posted."""
    calls: int = 0
    history: list[Receipt] | None = field(default_factory=list)


class _SignedPosting:
    """A call that posts signed orders: what it has come to, and will log. It writes nothing."""

    def __init__(self, state: _State, signed: set[tuple[Kind, int]]) -> None:
        self.state = state
        self.signed = signed
        self.events: list[Event] = []
        self._kind = Kind.REQUEST
        self._run: list[Slot] = []

    def turn_to(self, kind: Kind) -> None:
        """Begins a run of orders of a kind, unless it is begun."""
        if kind is not self._kind:
            self.end_run()
            self._kind = kind

    def append(self, number: int, energy: int, call: str) -> None:
        """Takes an order into the run."""
        queue = self.state.requests if self._kind is Kind.REQUEST else self.state.releases
        if queue.tail >= MAX_COUNTER // LANES_PER_WORD * LANES_PER_WORD:
            raise CounterUsedUp(call)
        if queue.tail >= queue.head // LANES_PER_WORD * LANES_PER_WORD + CAPACITY:
            raise (RequestRingFull if self._kind is Kind.REQUEST else ReleaseRingFull)(call)
        if (self._kind, number) in self.signed:
            raise AlreadyPosted(call)
        self.signed.add((self._kind, number))
        self._run.append((number, energy))
        longer = replace(queue, tail=queue.tail + 1)
        if self._kind is Kind.REQUEST:
            self.state = replace(self.state, requests=longer)
        else:
            self.state = replace(self.state, releases=longer)

    def end_run(self) -> None:
        """Tells of the run."""
        if not self._run:
            return
        if self._kind is Kind.REQUEST:
            first = self.state.requests.tail - len(self._run)
            requests = tuple(Request(*slot) for slot in self._run)
            self.events.append(SignedRequestsPosted(first, requests))
        else:
            first = self.state.releases.tail - len(self._run)
            releases = tuple(Release(*slot) for slot in self._run)
            self.events.append(SignedReleasesPosted(first, releases))
        self._run = []


class MemoryLedger:
    """A market in memory, acted on by one account. Implements `Ledger`."""

    def __init__(self, book: _Book, account: Address) -> None:
        self._book = book
        self._account = account

    @classmethod
    def deploy(
        cls,
        owner: Address,
        aggregator: Address,
        metering_operator: Address,
        period_length: int,
        clock: Callable[[], int],
        domain: OrderDomain = NO_DOMAIN,
        keep_history: bool = True,
    ) -> MemoryLedger:
        """A new market, as deploying the contract makes one.

        Args:
            owner: the deployer.
            aggregator: may call `match_energy`.
            metering_operator: registers meters, and may post and confirm for them.
            period_length: seconds, 60..31,622,400; 0 means that orders never expire.
            clock: the Unix time of the block that a call would be in.
            domain: what orders must be signed for; a contract's, to be its twin.
            keep_history: whether receipts are kept; those of a year of a town take gigabytes.

        Raises:
            InvalidInput: the period length is not a number of seconds.
            InvalidPeriodLength, ZeroAddress: as the contract's constructor reverts.
        """
        check_count(period_length, "period length")
        if period_length and not MIN_PERIOD_LENGTH <= period_length <= MAX_PERIOD_LENGTH:
            raise InvalidPeriodLength(str(period_length))
        if ZERO_ADDRESS in (aggregator, metering_operator):
            raise ZeroAddress("deploy")
        book = _Book(period_length, clock, domain, history=[] if keep_history else None)
        ledger = cls(book, owner)
        ledger._receipt(
            OwnershipTransferred(book.owner, owner),
            AggregatorChanged(book.aggregator, aggregator),
            MeteringOperatorChanged(book.metering_operator, metering_operator),
        )
        book.owner, book.aggregator, book.metering_operator = owner, aggregator, metering_operator
        return ledger

    @property
    def account(self) -> Address:
        """The account that this ledger acts for."""
        return self._account

    def as_account(self, account: Address) -> MemoryLedger:
        """The same market, acted on by another account."""
        return MemoryLedger(self._book, account)

    def keyed(self, key: str) -> MemoryLedger:  # noqa: ARG002
        """As `Ledger.keyed`: of a call in memory it is always known what became of it."""
        return self

    def history(self) -> Iterator[Receipt]:
        """All receipts since the deployment, oldest first.

        Raises:
            InvalidInput: they are not kept.
        """
        if self._book.history is None:
            raise InvalidInput("this market keeps no history: deploy it with keep_history")
        return iter(self._book.history)

    def pending_energy(self) -> tuple[int, int]:
        """Wh left of all requests and releases in the queues.

        Those of a period that is over count until a call opens the next one.
        """
        state, book = self._book.state, self._book
        return (
            sum(energy for _, energy in self._left(state.requests, book.requests)),
            sum(energy for _, energy in self._left(state.releases, book.releases)),
        )

    # posting

    def post_request(self, meter: Address, energy: int) -> Receipt:
        """As `Ledger.post_request`."""
        state, opened, number = self._may_post(meter, energy, f"post_request({meter}, {energy!r})")
        queue = self._appended(state.requests, 1, RequestRingFull)
        self._write(self._book.requests, state.requests.tail, [(number, energy)])
        self._book.state = replace(state, requests=queue)
        return self._receipt(*opened, RequestPosted(meter, state.requests.tail, energy))

    def post_release(self, meter: Address, energy: int) -> Receipt:
        """As `Ledger.post_release`."""
        state, opened, number = self._may_post(meter, energy, f"post_release({meter}, {energy!r})")
        queue = self._appended(state.releases, 1, ReleaseRingFull)
        self._write(self._book.releases, state.releases.tail, [(number, energy)])
        self._book.state = replace(state, releases=queue)
        return self._receipt(*opened, ReleasePosted(meter, state.releases.tail, energy))

    def post_requests(self, requests: Sequence[Request]) -> Receipt:
        """As `Ledger.post_requests`."""
        pack_orders(requests)
        self._check_operator("post_requests")
        state, opened = self._open_state()
        self._book.state, posted = self._append_requests(state, requests)
        return self._receipt(*opened, posted)

    def post_releases(self, releases: Sequence[Release]) -> Receipt:
        """As `Ledger.post_releases`."""
        pack_orders(releases)
        self._check_operator("post_releases")
        state, opened = self._open_state()
        self._book.state, posted = self._append_releases(state, releases)
        return self._receipt(*opened, posted)

    def _may_post(
        self, meter: Address, energy: int, call: str
    ) -> tuple[_State, tuple[Event, ...], int]:
        check_energy(energy, call)
        if self._account != meter:
            self._check_operator(call)
        number = self._registered_number(meter, call)
        return *self._open_state(), number

    def _append_requests(
        self, state: _State, requests: Sequence[Request]
    ) -> tuple[_State, RequestsPosted]:
        """Writes a batch behind the tail; the state that comes of it, and the event."""
        queue = self._appended(state.requests, len(requests), RequestRingFull)
        slots = self._checked([(r.meter, r.energy) for r in requests])
        self._write(self._book.requests, state.requests.tail, slots)
        posted = RequestsPosted(state.requests.tail, tuple(requests))
        return replace(state, requests=queue), posted

    def _append_releases(
        self, state: _State, releases: Sequence[Release]
    ) -> tuple[_State, ReleasesPosted]:
        """Writes a batch behind the tail; the state that comes of it, and the event."""
        queue = self._appended(state.releases, len(releases), ReleaseRingFull)
        slots = self._checked([(r.meter, r.energy) for r in releases])
        self._write(self._book.releases, state.releases.tail, slots)
        posted = ReleasesPosted(state.releases.tail, tuple(releases))
        return replace(state, releases=queue), posted

    def _open_state(self) -> tuple[_State, tuple[Event, ...]]:
        """The state that a call starts from, and the event if it is the first of a period."""
        state, period = self._book.state, self.current_period()
        if state.paused:
            raise MarketPaused
        if state.period == period:
            return state, ()
        opened = PeriodOpened(period, state.requests.outstanding, state.releases.outstanding)
        return self._current_state(), (opened,)

    def _current_state(self) -> _State:
        """The state in which what was pending of earlier periods has expired."""
        state, period = self._book.state, self.current_period()
        if state.period == period:
            return state
        return replace(
            state,
            requests=state.requests.expired(),
            releases=state.releases.expired(),
            period=period,
        )

    @staticmethod
    def _appended(
        queue: _Queue, count: int, full: type[RequestRingFull | ReleaseRingFull]
    ) -> _Queue:
        if count == 0:
            raise BatchEmpty
        tail = queue.tail + count
        if tail - queue.head // LANES_PER_WORD * LANES_PER_WORD > CAPACITY:
            raise full(f"{count} more")
        if tail > MAX_COUNTER:
            raise CounterUsedUp
        return replace(queue, tail=tail)

    def _checked(self, slots: list[Slot]) -> list[Slot]:
        for number, _ in slots:
            if number in self._book.retired:
                raise MeterIsRetired(f"meter number {number}")
        for number, energy in slots:
            if energy == 0 or not 1 <= number <= self.meter_count():
                raise MalformedOrder(f"meter number {number}, {energy} Wh")
        return slots

    @staticmethod
    def _write(ring: list[Slot], tail: int, slots: list[Slot]) -> None:
        # A word is written whole, so the first lane of a word clears the other three.
        for counter, slot in enumerate(slots, tail):
            at = counter % CAPACITY
            if at % LANES_PER_WORD == 0:
                ring[at : at + LANES_PER_WORD] = [(0, 0)] * LANES_PER_WORD
            ring[at] = slot

    def post_signed(self, orders: Sequence[SignedOrder], all_or_nothing: bool = False) -> Receipt:
        """As `Ledger.post_signed`."""
        call = f"post_signed({len(orders)} orders)"
        period = period_of(orders)
        ends = (period + 1) * signing_length(self._book.period_length)
        packed = [pack_signed(order, ends) for order in orders]
        if not orders:
            raise BatchEmpty(call)
        state, opened = self._open_state()
        if period != self.signing_period():
            raise OtherPeriod(call)
        posting = _SignedPosting(state, self._signed_now())
        for order, (terms, r, _) in zip(orders, packed, strict=True):
            try:
                self._check_terms(order, call)
                posting.turn_to(order.terms.kind)
                number = self._signer_number(order, call)
                posting.append(number, order.terms.energy, call)
            except MarketRefusal as refusal:
                if all_or_nothing:
                    raise
                posting.events.append(SignedOrderSkipped(r, terms, refusal.reason))
        return self._receipt(*opened, *self._write_signed(posting))

    def repeat_signed(self, posted: SignedRequestsPosted | SignedReleasesPosted) -> Receipt:
        """Posts what an event tells was posted as signed: the signatures were checked on chain.

        Raises:
            MarketRefusal: the market would have skipped one of the orders.
        """
        call = f"repeat_signed({len(posted.orders)} orders)"
        state, opened = self._open_state()
        posting = _SignedPosting(state, self._signed_now())
        posting.turn_to(Kind.REQUEST if isinstance(posted, SignedRequestsPosted) else Kind.RELEASE)
        for order in posted.orders:
            meter = self.meter_address(order.meter)
            number = self._registered_number(meter or ZERO_ADDRESS, call)
            posting.append(number, order.energy, call)
        return self._receipt(*opened, *self._write_signed(posting))

    def _check_terms(self, order: SignedOrder, call: str) -> None:
        if order.s > HIGHEST_S:
            raise SignatureHigh(call)
        if order.terms.energy == 0:
            raise InvalidEnergy(call)
        if order.terms.limit_price:
            raise LimitPriceNotZero(call)
        if order.terms.deadline < self._book.clock():
            raise DeadlinePassed(call)

    def _signer_number(self, order: SignedOrder, call: str) -> int:
        number = self._book.numbers.get(signer_of(order, self._book.domain) or ZERO_ADDRESS)
        if number is None:
            raise SignerNotRegistered(call)
        if number in self._book.retired:
            raise MeterIsRetired(call)
        return number

    def _signed_now(self) -> set[tuple[Kind, int]]:
        """Kind and meter number of the signed orders that were posted in this period."""
        now = self.signing_period()
        return {
            (kind, number)
            for kind, (period, numbers) in self._book.signed.items()
            for number in numbers
            if period == now
        }

    def _write_signed(self, posting: _SignedPosting) -> list[Event]:
        posting.end_run()
        for event in posting.events:
            match event:
                case SignedRequestsPosted(first=first, orders=requests):
                    self._write(self._book.requests, first, [(r.meter, r.energy) for r in requests])
                case SignedReleasesPosted(first=first, orders=releases):
                    self._write(self._book.releases, first, [(r.meter, r.energy) for r in releases])
        self._book.state = posting.state
        for kind in Kind:
            numbers = frozenset(number for k, number in posting.signed if k is kind)
            if numbers:
                self._book.signed[kind] = self.signing_period(), numbers
        return posting.events

    # matching

    def match_pending(self, max_matches: int) -> Receipt:
        """As `Ledger.match_pending`."""
        if not 1 <= check_count(max_matches, "max_matches") <= MAX_BATCH:
            raise InvalidMaxMatches(str(max_matches))
        state, opened = self._open_state()
        state, fills = self._match(state, max_matches, None)
        return self._receipt(*opened, *self._write_matches(state, fills))

    def post_and_match(
        self, requests: Sequence[Request], releases: Sequence[Release], max_matches: int
    ) -> Receipt:
        """As `Ledger.post_and_match`."""
        call = f"post_and_match({len(requests)} requests, {len(releases)} releases, {max_matches})"
        pack_orders(requests)
        pack_orders(releases)
        check_count(max_matches, "max_matches")
        self._check_operator(call)
        if max_matches > MAX_BATCH:
            raise InvalidMaxMatches(call)
        if not requests and not releases:
            raise BatchEmpty(call)
        state, opened = self._open_state()
        posted: list[Event] = []
        rings = self._book.requests, self._book.releases
        self._book.requests, self._book.releases = map(list, rings)
        try:
            if requests:
                state, requests_posted = self._append_requests(state, requests)
                posted.append(requests_posted)
            if releases:
                state, releases_posted = self._append_releases(state, releases)
                posted.append(releases_posted)
            state, fills = self._match(state, max_matches, None)
        except MarketRefusal:
            self._book.requests, self._book.releases = rings
            raise
        return self._receipt(*opened, *posted, *self._write_matches(state, fills))

    def match_energy(self, energy: int) -> Receipt:
        """As `Ledger.match_energy`."""
        call = f"match_energy({energy!r})"
        check_energy_type(energy, call)
        if self._account != self._book.aggregator:
            raise NotTheAggregator(call)
        check_energy(energy, call)
        state, opened = self._open_state()
        state, fills = self._match(state, MAX_BATCH, energy)
        if sum(fill.energy for fill in fills) != energy:
            raise CannotMatch(call)
        (matched,) = self._write_matches(state, fills)
        pairs = (PairMatched(index, fill) for index, fill in enumerate(fills, matched.first))
        return self._receipt(*opened, *pairs)

    def max_matches(self) -> int:
        """The most matches that one call can write here: 256."""
        return MAX_BATCH

    def _match(
        self, state: _State, max_matches: int, limit: int | None
    ) -> tuple[_State, list[Fill]]:
        book, requests, releases = self._book, state.requests, state.releases
        fills: list[Fill] = []
        while (
            len(fills) < max_matches
            and requests.outstanding
            and releases.outstanding
            and limit != 0
        ):
            producer, offered = book.requests[requests.head % CAPACITY]
            consumer, needed = book.releases[releases.head % CAPACITY]
            energy = min(offered - requests.filled, needed - releases.filled)
            if limit is not None:
                energy = min(energy, limit)
                limit -= energy
            fills.append(Fill(producer, consumer, energy))
            requests = self._filled(requests, offered, energy)
            releases = self._filled(releases, needed, energy)
        counter = state.match_counter + len(fills)
        if counter > MAX_COUNTER:
            raise CounterUsedUp
        return replace(state, requests=requests, releases=releases, match_counter=counter), fills

    @staticmethod
    def _filled(queue: _Queue, order: int, energy: int) -> _Queue:
        filled = queue.filled + energy
        if filled == order:
            return _Queue(queue.head + 1, queue.tail)
        return replace(queue, filled=filled)

    def _write_matches(self, state: _State, fills: list[Fill]) -> tuple[Matched, ...]:
        first = state.match_counter - len(fills)
        for index, fill in enumerate(fills, first):
            self._book.matches[index % MATCH_CAPACITY] = fill
        self._book.state = state
        return (Matched(first, tuple(fills)),) if fills else ()

    # consuming

    def consume(self, consumer: Address, energy: int) -> Receipt:
        """As `Ledger.consume`."""
        call = f"consume({consumer}, {energy!r})"
        check_energy_type(energy, call)
        latest = self._latest_index(consumer)
        if latest is None:
            raise NoMatch(call)
        return self._consume(latest, energy, call)

    def consume_match(self, index: int, energy: int) -> Receipt:
        """As `Ledger.consume_match`."""
        call = f"consume_match({index!r}, {energy!r})"
        check_energy_type(energy, call)
        self._check_kept(check_count(index, "match"), 1, call)
        return self._consume(index, energy, call)

    def confirm_deliveries(self, first: int, energies: Sequence[int]) -> Receipt:
        """As `Ledger.confirm_deliveries`."""
        call = f"confirm_deliveries({first!r}, {len(energies)} energies)"
        words = len(pack_energies(energies))
        check_count(first, "first match")
        self._check_operator(call)
        if words == 0:
            raise BatchEmpty(call)
        if first % LANES_PER_WORD:
            raise ConfirmationMisaligned(call)
        self._check_kept(first, words * LANES_PER_WORD - LANES_PER_WORD + 1, call)
        for index, energy in enumerate(energies, first):
            kept = self._book.matches[index % MATCH_CAPACITY].energy
            if energy > (kept if index < self.match_counter() else 0):
                raise AboveMatched(f"match {index}, {energy} Wh")
        for index, energy in enumerate(energies, first):
            if energy:
                self._take(index, energy)
        padding = (0,) * (words * LANES_PER_WORD - len(energies))
        return self._receipt(DeliveriesConfirmed(first, (*energies, *padding)))

    def confirm_matches(self, first: int, count: int) -> Receipt:
        """As `Ledger.confirm_matches`."""
        call = f"confirm_matches({first!r}, {count!r})"
        check_count(first, "first match")
        check_count(count, "count")
        self._check_operator(call)
        if not 1 <= count <= MAX_BATCH:
            raise InvalidMatchCount(call)
        self._check_kept(first, count, call)
        for index in range(first, first + count):
            self._take(index, self._book.matches[index % MATCH_CAPACITY].energy)
        return self._receipt(MatchesConfirmed(first, count))

    def _check_kept(self, first: int, count: int, call: str) -> None:
        counter = self.match_counter()
        if not self._oldest_match() <= first < counter or first + count > counter:
            raise MatchNotKept(call)

    def _consume(self, index: int, energy: int, call: str) -> Receipt:
        check_energy(energy, call)
        fill = self._book.matches[index % MATCH_CAPACITY]
        if self._account != self._book.addresses[fill.consumer]:
            self._check_operator(call)
        if energy > fill.energy:
            raise AboveMatched(call)
        self._take(index, energy)
        return self._receipt(DeliveryConfirmed(index, energy))

    def _take(self, index: int, energy: int) -> None:
        fill = self._book.matches[index % MATCH_CAPACITY]
        self._book.matches[index % MATCH_CAPACITY] = replace(fill, energy=fill.energy - energy)

    # meters and roles

    def register_meters(self, meters: Sequence[Address]) -> Receipt:
        """As `Ledger.register_meters`."""
        check_batch(meters)
        self._check_registrar("register_meters")
        book = self._book
        numbers, addresses, retired = dict(book.numbers), list(book.addresses), set(book.retired)
        events = []
        for meter in meters:
            if meter == ZERO_ADDRESS:
                raise ZeroAddress("register_meters")
            if meter not in numbers:
                if len(addresses) > MAX_METERS:
                    raise MeterNumbersUsedUp(meter)
                numbers[meter] = len(addresses)
                addresses.append(meter)
            elif numbers[meter] in retired:
                retired.remove(numbers[meter])
            else:
                raise MeterAlreadyRegistered(meter)
            events.append(MeterRegistered(meter, numbers[meter]))
        book.numbers, book.addresses, book.retired = numbers, addresses, retired
        return self._receipt(*events)

    def retire_meter(self, meter: Address) -> Receipt:
        """As `Ledger.retire_meter`."""
        call = f"retire_meter({meter})"
        self._check_registrar(call)
        number = self._registered_number(meter, call)
        self._book.retired.add(number)
        return self._receipt(MeterRetired(meter, number))

    def transfer_ownership(self, new_owner: Address) -> Receipt:
        """As `Ledger.transfer_ownership`."""
        self._check_owner("transfer_ownership")
        self._book.pending_owner = new_owner
        return self._receipt(OwnershipTransferStarted(self._book.owner, new_owner))

    def accept_ownership(self) -> Receipt:
        """As `Ledger.accept_ownership`."""
        book = self._book
        if self._account != book.pending_owner:
            raise NotThePendingOwner("accept_ownership")
        previous, book.owner, book.pending_owner = book.owner, self._account, ZERO_ADDRESS
        return self._receipt(OwnershipTransferred(previous, self._account))

    def set_aggregator(self, new_aggregator: Address) -> Receipt:
        """As `Ledger.set_aggregator`."""
        self._check_owner("set_aggregator")
        if new_aggregator == ZERO_ADDRESS:
            raise ZeroAddress("set_aggregator")
        previous, self._book.aggregator = self._book.aggregator, new_aggregator
        return self._receipt(AggregatorChanged(previous, new_aggregator))

    def set_metering_operator(self, new_operator: Address) -> Receipt:
        """As `Ledger.set_metering_operator`."""
        self._check_owner("set_metering_operator")
        if new_operator == ZERO_ADDRESS:
            raise ZeroAddress("set_metering_operator")
        previous, self._book.metering_operator = self._book.metering_operator, new_operator
        return self._receipt(MeteringOperatorChanged(previous, new_operator))

    def pause(self) -> Receipt:
        """As `Ledger.pause`."""
        self._check_owner("pause")
        if self._book.state.paused:
            raise MarketPaused("pause")
        self._book.state = replace(self._book.state, paused=True)
        return self._receipt(Paused(self._account))

    def unpause(self) -> Receipt:
        """As `Ledger.unpause`."""
        self._check_owner("unpause")
        if not self._book.state.paused:
            raise MarketNotPaused("unpause")
        self._book.state = replace(self._book.state, paused=False)
        return self._receipt(Unpaused(self._account))

    def _check_owner(self, call: str) -> None:
        if self._account != self._book.owner:
            raise NotTheOwner(call)

    def _check_operator(self, call: str) -> None:
        if self._account != self._book.metering_operator:
            raise NotTheOperator(call)

    def _check_registrar(self, call: str) -> None:
        if self._account not in (self._book.owner, self._book.metering_operator):
            raise NotARegistrar(call)

    def _registered_number(self, meter: Address, call: str) -> int:
        number = self._book.numbers.get(meter)
        if number is None:
            raise MeterNotRegistered(call)
        if number in self._book.retired:
            raise MeterIsRetired(call)
        return number

    # reading orders

    def requests_outstanding(self) -> int:
        """As `Ledger.requests_outstanding`."""
        return self._current_state().requests.outstanding

    def releases_outstanding(self) -> int:
        """As `Ledger.releases_outstanding`."""
        return self._current_state().releases.outstanding

    def next_request_energy(self) -> int:
        """As `Ledger.next_request_energy`."""
        return next(self._left(self._current_state().requests, self._book.requests), (0, 0))[1]

    def next_release_energy(self) -> int:
        """As `Ledger.next_release_energy`."""
        return next(self._left(self._current_state().releases, self._book.releases), (0, 0))[1]

    def request_energy(self, meter: Address) -> int:
        """As `Ledger.request_energy`."""
        left = self._left(self._current_state().requests, self._book.requests)
        return sum(energy for number, energy in left if number == self._book.numbers.get(meter))

    def release_energy(self, meter: Address) -> int:
        """As `Ledger.release_energy`."""
        left = self._left(self._current_state().releases, self._book.releases)
        return sum(energy for number, energy in left if number == self._book.numbers.get(meter))

    def request_slot(self, slot: int) -> tuple[Address, int]:
        """As `Ledger.request_slot`."""
        return self._slot(self._book.requests, slot)

    def release_slot(self, slot: int) -> tuple[Address, int]:
        """As `Ledger.release_slot`."""
        return self._slot(self._book.releases, slot)

    def request_ring(self) -> list[Request]:
        """As `Ledger.request_ring`."""
        return [Request(*slot) for slot in self._book.requests]

    def release_ring(self) -> list[Release]:
        """As `Ledger.release_ring`."""
        return [Release(*slot) for slot in self._book.releases]

    def request_counter(self) -> int:
        """As `Ledger.request_counter`."""
        return self._book.state.requests.tail

    def release_counter(self) -> int:
        """As `Ledger.release_counter`."""
        return self._book.state.releases.tail

    @staticmethod
    def _left(queue: _Queue, ring: list[Slot]) -> Iterator[Slot]:
        filled = queue.filled
        for counter in range(queue.head, queue.tail):
            number, energy = ring[counter % CAPACITY]
            yield number, energy - filled
            filled = 0

    def _slot(self, ring: list[Slot], slot: int) -> tuple[Address, int]:
        number, energy = ring[slot] if check_count(slot, "slot") < CAPACITY else (0, 0)
        return self._book.addresses[number], energy

    # reading matches

    def match_counter(self) -> int:
        """As `Ledger.match_counter`."""
        return self._book.state.match_counter

    def match_at(self, index: int) -> Match | None:
        """As `Ledger.match_at`."""
        if not self._oldest_match() <= check_count(index, "match") < self.match_counter():
            return None
        fill = self._book.matches[index % MATCH_CAPACITY]
        addresses = self._book.addresses
        return Match(index, addresses[fill.producer], addresses[fill.consumer], fill.energy)

    def matches_of(self, consumer: Address, since: int = 0) -> list[Match]:
        """As `Ledger.matches_of`."""
        oldest = max(check_count(since, "match"), self._oldest_match())
        newest_first = range(self.match_counter() - 1, oldest - 1, -1)
        kept = (self.match_at(index) for index in newest_first)
        return [match for match in kept if match and match.consumer == consumer]

    def latest_match(self, consumer: Address) -> tuple[Address, int] | None:
        """As `Ledger.latest_match`."""
        latest = self._latest_index(consumer)
        match = None if latest is None else self.match_at(latest)
        return None if match is None else (match.producer, match.energy)

    def _oldest_match(self) -> int:
        # A word is overwritten whole: the ring keeps the words up to the one begun last.
        words_begun = -(-self.match_counter() // LANES_PER_WORD)
        return max(0, words_begun * LANES_PER_WORD - MATCH_CAPACITY)

    def _latest_index(self, consumer: Address) -> int | None:
        number = self._book.numbers.get(consumer)
        for index in range(self.match_counter() - 1, self._oldest_match() - 1, -1):
            if self._book.matches[index % MATCH_CAPACITY].consumer == number:
                return index
        return None

    # reading meters, period and roles

    def meter(self, address: Address) -> Meter | None:
        """As `Ledger.meter`."""
        number = self._book.numbers.get(address)
        return None if number is None else Meter(number, address, number in self._book.retired)

    def meter_address(self, number: int) -> Address | None:
        """As `Ledger.meter_address`."""
        known = 1 <= check_count(number, "meter number") <= self.meter_count()
        return self._book.addresses[number] if known else None

    def meter_count(self) -> int:
        """As `Ledger.meter_count`."""
        return len(self._book.addresses) - 1

    def period_length(self) -> int:
        """As `Ledger.period_length`."""
        return self._book.period_length

    def current_period(self) -> int:
        """As `Ledger.current_period`."""
        return self._book.clock() // self._book.period_length if self._book.period_length else 0

    def signing_period(self) -> int:
        """As `Ledger.signing_period`."""
        return self._book.clock() // signing_length(self._book.period_length)

    def has_signed(self, meter: Address, kind: Kind) -> bool:
        """As `Ledger.has_signed`."""
        number = self._book.numbers.get(meter)
        return number is not None and (kind, number) in self._signed_now()

    def order_domain(self) -> OrderDomain:
        """As `Ledger.order_domain`."""
        return self._book.domain

    def paused(self) -> bool:
        """As `Ledger.paused`."""
        return self._book.state.paused

    def owner(self) -> Address:
        """As `Ledger.owner`."""
        return self._book.owner

    def pending_owner(self) -> Address:
        """As `Ledger.pending_owner`."""
        return self._book.pending_owner

    def aggregator(self) -> Address:
        """As `Ledger.aggregator`."""
        return self._book.aggregator

    def metering_operator(self) -> Address:
        """As `Ledger.metering_operator`."""
        return self._book.metering_operator

    def _receipt(self, *events: Event) -> Receipt:
        receipt = Receipt(events, self._book.clock(), block=self._book.calls)
        self._book.calls += 1
        if self._book.history is not None:
            self._book.history.append(receipt)
        return receipt
