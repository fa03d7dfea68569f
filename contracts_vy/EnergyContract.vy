# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title EnergyContract
@license MIT
@author The energy-chain founders
@notice The peer-to-peer energy market of one neighbourhood. Meters post requests
        and releases; the matching loop pairs them first come, first served;
        consumers look up their producer, draw the energy and confirm it.
@custom:glossary
  request       a producer's surplus on offer
  release       a consumer's need
  order         a request or a release
  meter         a registered smart meter: an address and a meter number, 1..65535
  aggregator    runs the matching
  metering operator  registers meters; posts and confirms for them
  period        a delivery period; orders belong to one and expire with it
  match         (producer, consumer, energy), written by the matching loop
  counter       index of the next order of a side to be written (tail) or to be
                processed (head); slot = counter % capacity
  energy        whole watt-hours (Wh)
@custom:invariants
  1. The rings are overwritten by counter, never deleted. A slot is overwritten
     only once its order was matched or has expired.
  2. Every lane from head to tail holds an order. Lanes of the tail's word from
     the tail on are zero.
  3. The energy matched of an order never exceeds the order, nor the energy
     consumed of a match the match.
"""

import limits
import packed_orders
import signed_orders
from interfaces import IEnergyContract


implements: IEnergyContract


# ------------------------------------------------------------------ constants

CAPACITY: public(constant(uint256)) = limits.CAPACITY
MATCH_CAPACITY: public(constant(uint256)) = limits.MATCH_CAPACITY
MAX_BATCH: public(constant(uint256)) = limits.MAX_BATCH

# Both capacities are powers of two: a counter's word in its ring is word & mask.
RING_MASK: constant(uint256) = limits.WORDS - 1
MATCH_RING_MASK: constant(uint256) = limits.MATCH_WORDS - 1

METER: constant(uint256) = packed_orders.METER  # of the lowest lane

# state
#   255    254     224 223     192 191     160 159   128 127    96 95     64 63     32 31      0
#  +------+-----------+-----------+-----------+---------+---------+---------+---------+---------+
#  |paused|  period   | filled of | filled of |  match  | release | release | request | request |
#  |      |           |  release  |  request  | counter |  tail   |  head   |  tail   |  head   |
#  +------+-----------+-----------+-----------+---------+---------+---------+---------+---------+
FIELD: constant(uint256) = 2**32 - 1
REQUESTS: constant(uint256) = 0  # a side is named by where its head stands
RELEASES: constant(uint256) = 64
TAIL: constant(uint256) = 32  # above the head
MATCHES_AT: constant(uint256) = 128
REQUEST_FILLED_AT: constant(uint256) = 160
RELEASE_FILLED_AT: constant(uint256) = 192
PERIOD_AT: constant(uint256) = 224
PAUSED: constant(uint256) = 1 << 255
TAILS: constant(uint256) = FIELD << (REQUESTS + TAIL) | FIELD << (RELEASES + TAIL)
KEPT_BY_MATCHING: constant(uint256) = PAUSED | (2**31 - 1) << PERIOD_AT | TAILS
KEPT_BY_PERIOD: constant(uint256) = PAUSED | FIELD << MATCHES_AT | TAILS

# registry
#   255            192 191          176 175          160 159                                   0
#  +------------------+----------------+----------------+---------------------------------------+
#  |        0         | meters retired |  meters ever   |       metering operator's address     |
#  +------------------+----------------+----------------+---------------------------------------+
ADDRESS: constant(uint256) = 2**160 - 1
METERS_AT: constant(uint256) = 160
RETIRED_AT: constant(uint256) = 176

# Added to the number of a meter that is retired: twice what a number can be, so that it is on no
# page of meters either.
RETIRED: constant(uint256) = 2 << limits.METER_BITS

# signed
#   255       224 223                                                                        0
#  +-------------+----------------------------------------------------------------------------+
#  |   period    |           one bit a meter: has posted a signed order of this kind          |
#  +-------------+----------------------------------------------------------------------------+
PAGE: constant(uint256) = 2**limits.PAGE_METERS - 1
NO_PAGE: constant(uint256) = 1 << 255  # the number of no meter is near it

# Seconds of a delivery period; 0 means that orders never expire.
PERIOD_LENGTH: immutable(uint256)
# Seconds of the period that an order is signed for: a delivery period, 900 where orders never expire.
SIGNING_LENGTH: immutable(uint256)
# What makes a signature one for this contract on this chain (EIP-712), as of the deployment.
DOMAIN: immutable(bytes32)
CHAIN_ID: immutable(uint256)


# ------------------------------------------------------------------ storage

# Heads and tails of both queues, match counter, Wh filled of both head orders, period, pause.
state: uint256
# The metering operator's address, how many meters were ever registered, how many are retired.
registry: uint256
# Orders (Wh): the ring of requests in the lower half, the ring of releases in the upper.
pending: uint256[2 * limits.WORDS]
# Matches and the Wh of them not consumed yet: a ring.
matches: uint256[limits.MATCH_WORDS]
# Number of a meter, plus RETIRED once it is retired; 0 when it was never registered.
numbers: HashMap[address, uint256]
# Address of a meter number; kept for retired meters, so that their matches stay readable.
addresses: address[limits.MAX_METERS + 1]
# Pages of 224 neighbouring meters: who has posted a signed order, one bit a meter, in the period
# whose number stands above. The lower half is of requests, the upper of releases.
signed: uint256[limits.SIGNED_PAGES]
# One bit a meter number: retired.
retired: uint256[(limits.MAX_METERS + 1) // 256]
# The account that appoints the other roles, pauses, and hands over in two steps.
owner: public(address)
# The account that may accept the ownership; zero when no hand-over is under way.
pending_owner: public(address)
# The account that may match a given amount of energy.
aggregator: public(address)


# ------------------------------------------------------------------ deployment

@deploy
def __init__(aggregator: address, metering_operator: address, period_length: uint256):
    """
    @notice Deploys a market owned by the deployer.
    @param aggregator The account that may call `doMatching`.
    @param metering_operator The account that registers meters and may post and confirm for them.
    @param period_length Seconds of a delivery period, 60..31622400; 0 means that orders never expire.
    """
    if period_length != 0:
        if period_length < limits.MIN_PERIOD_LENGTH or period_length > limits.MAX_PERIOD_LENGTH:
            self._refuse("energy: period length is invalid")
    PERIOD_LENGTH = period_length
    SIGNING_LENGTH = period_length if period_length != 0 else limits.DEFAULT_PERIOD_LENGTH
    DOMAIN = signed_orders._domain()
    CHAIN_ID = chain.id
    self._set_owner(msg.sender)
    self._set_aggregator(aggregator)
    self._set_metering_operator(metering_operator)


# ------------------------------------------------------------------ posting

@external
def incomingRequest(_address: address, _value: int256):
    """
    @notice Posts a request: surplus on offer in this period.
    @param _address The meter. The sender is that meter or the metering operator.
    @param _value Energy, 1..4294967295 Wh.
    """
    energy: uint256 = self._energy(_value)
    counter: uint256 = self._append(REQUESTS, _address, energy)
    log IEnergyContract.RequestPosted(meter=_address, counter=counter, energy=energy)


@external
def incomingRelease(_address: address, _value: int256):
    """
    @notice Posts a release: energy needed in this period.
    @param _address The meter. The sender is that meter or the metering operator.
    @param _value Energy, 1..4294967295 Wh.
    """
    energy: uint256 = self._energy(_value)
    counter: uint256 = self._append(RELEASES, _address, energy)
    log IEnergyContract.ReleasePosted(meter=_address, counter=counter, energy=energy)


@external
def post_requests(words: DynArray[uint256, limits.BATCH_WORDS]):
    """
    @notice Posts packed requests, four to a word. Metering operator only.
    @param words Requests in the layout of `packed_orders`. Every word is full but the last, which
           is filled from lane 0 on. One order that is not good refuses the batch.
    """
    registry: uint256 = self._operator_registry()
    self.state = self._append_batch(self._open_state(), registry, REQUESTS, words)


@external
def post_releases(words: DynArray[uint256, limits.BATCH_WORDS]):
    """
    @notice Posts packed releases, four to a word. Metering operator only.
    @param words Releases in the layout of `packed_orders`. Every word is full but the last, which
           is filled from lane 0 on. One order that is not good refuses the batch.
    """
    registry: uint256 = self._operator_registry()
    self.state = self._append_batch(self._open_state(), registry, RELEASES, words)


@external
def post_and_match(
    requests: DynArray[uint256, limits.BATCH_WORDS],
    releases: DynArray[uint256, limits.BATCH_WORDS],
    max_matches: uint256,
) -> uint256:
    """
    @notice Posts packed requests and releases and matches, as `post_requests`, `post_releases` and
            `match_pending` one after the other: the loop finds the words that it reads already
            loaded, and one state is written instead of three. Metering operator only.
    @param requests As in `post_requests`; none is fine when there are releases.
    @param releases As in `post_releases`; none is fine when there are requests.
    @param max_matches The most matches to write, 0..256; 0 only posts.
    @return How many matches were written.
    """
    registry: uint256 = self._operator_registry()
    if max_matches > limits.MAX_BATCH:
        self._refuse("energy: max_matches not 1..256")
    if len(requests) == 0 and len(releases) == 0:
        self._refuse("energy: batch is empty")
    state: uint256 = self._open_state()
    if len(requests) != 0:
        state = self._append_batch(state, registry, REQUESTS, requests)
    if len(releases) != 0:
        state = self._append_batch(state, registry, RELEASES, releases)
    before: uint256 = state >> MATCHES_AT & FIELD
    if max_matches != 0:
        state = self._match(state, max_matches)
    self.state = state
    return unsafe_sub(state >> MATCHES_AT & FIELD, before)  # the counter only grows


@pure
@internal
def _energy(amount: int256) -> uint256:
    # As an unsigned number a negative amount is above every limit, and so is zero less one.
    energy: uint256 = convert(convert(amount, bytes32), uint256)
    if unsafe_sub(energy, 1) >= limits.MAX_ENERGY:
        self._refuse("energy: value not 1..2**32-1 Wh")
    return energy


@internal
def _append(side: uint256, meter: address, energy: uint256) -> uint256:
    # Writes one slot of the ring and the state; returns the order's counter.
    if msg.sender != meter:
        self._check_operator(self.registry)
    order: uint256 = self._registered_number(meter) << packed_orders.METER_AT | energy
    state: uint256 = self._open_state()
    tail: uint256 = state >> side >> TAIL & FIELD
    self._check_room(state, side, unsafe_add(tail, 1))  # tail < 2**32
    word: uint256 = tail >> 2 & RING_MASK | side << 2
    lane: uint256 = tail & 3
    if lane == 0:
        self.pending[word] = order
    else:
        self.pending[word] |= order << (lane << 6)
    self.state = unsafe_add(state, (1 << TAIL) << side)  # there is room: no carry into the next field
    return tail


@internal
def _append_batch(
    state: uint256, registry: uint256, side: uint256, words: DynArray[uint256, limits.BATCH_WORDS]
) -> uint256:
    # Writes the words behind the tail, shifted to where the tail stands in its own word, so that
    # batches of any size leave no gap. Returns the state after it.
    if len(words) == 0:
        self._refuse("energy: batch is empty")
    first: uint256 = state >> side >> TAIL & FIELD
    full: uint256 = unsafe_sub(len(words), 1)  # len(words) >= 1
    rest: uint256 = packed_orders._lanes(words[full])
    if rest == 0:  # an empty word at the end would be written over the head of a full ring
        self._refuse("energy: order lacks meter or Wh")
    count: uint256 = unsafe_add(full << 2, rest)  # <= 256
    self._check_room(state, side, unsafe_add(first, count))
    if registry >> RETIRED_AT != 0:
        self._check_retired(words)

    ring: uint256 = side << 2
    i: uint256 = first >> 2
    left: uint256 = (first & 3) << 6
    right: uint256 = unsafe_sub(256, left)  # left <= 192; a shift by 256 leaves nothing to carry
    carry: uint256 = 0
    if left != 0:
        carry = self.pending[i & RING_MASK | ring]

    # Four lanes are checked at once. An energy and the largest one add up to a carry unless the
    # energy is zero; so do meters; and a meter above the highest one borrows the guard above it.
    # Limit prices would spoil that: they are refused first. `good` counts the good orders of each
    # lane, at most 64.
    highest: uint256 = packed_orders._highest_order(registry >> METERS_AT & limits.MAX_METERS)
    good: uint256 = 0
    seen: uint256 = 0
    # At most 64 turns. A turn writes one slot and reads none; `i` stays below 2**30.
    for word: uint256 in words:
        self.pending[i & RING_MASK | ring] = carry | word << left
        carry = word >> right
        i = unsafe_add(i, 1)
        seen |= word
        good = unsafe_add(
            good,
            unsafe_add(word & packed_orders.ENERGIES, packed_orders.ENERGIES) << limits.METER_BITS
            & unsafe_add(word, packed_orders.METERS)
            & unsafe_sub(highest, word)
            & packed_orders.GUARDS,
        )
    if carry != 0:
        self.pending[i & RING_MASK | ring] = carry
    if seen & packed_orders.PRICES != 0:
        self._refuse("energy: limit price is not zero")
    if good != unsafe_add(unsafe_mul(packed_orders.GUARDS, full), packed_orders._first_guards(rest)):
        self._refuse("energy: order lacks meter or Wh")

    if side == REQUESTS:
        log IEnergyContract.RequestsPosted(first=first, words=words)
    else:
        log IEnergyContract.ReleasesPosted(first=first, words=words)
    return unsafe_add(state, count << TAIL << side)  # there is room: no carry into the next field


@view
@internal
def _check_retired(words: DynArray[uint256, limits.BATCH_WORDS]):
    # At most 256 turns, one slot read for each 256 neighbouring meter numbers.
    for word: uint256 in words:
        for lane: uint256 in range(4):
            number: uint256 = word >> (lane << 6) >> packed_orders.METER_AT & limits.MAX_METERS
            if self.retired[number >> 8] >> (number & 255) & 1 != 0:
                self._refuse("energy: meter is retired")


@pure
@internal
def _check_room(state: uint256, side: uint256, tail: uint256):
    # A word is written whole, so the ring is free up to the first lane of the head's word.
    if unsafe_sub(tail, state >> side & (FIELD - 3)) > limits.CAPACITY:  # head <= tail
        if side == REQUESTS:
            self._refuse("energy: ring of requests is full")
        self._refuse("energy: ring of releases is full")
    if tail > limits.MAX_COUNTER:
        self._refuse("energy: counter is used up")


@internal
def _open_state() -> uint256:
    # The state that a call which posts or matches starts from. The caller stores what becomes of it.
    state: uint256 = self.state
    period: uint256 = unsafe_div(block.timestamp, PERIOD_LENGTH)  # `_period`, without the 41 gas of a call
    if state >> PERIOD_AT == period:  # the pause stands above it: one comparison for what is rare
        return state
    if state >= PAUSED:
        self._refuse("energy: market is paused")
    log IEnergyContract.PeriodOpened(
        period=period,
        expired_requests=self._outstanding(state, REQUESTS),
        expired_releases=self._outstanding(state, RELEASES),
    )
    return self._expired(state) | period << PERIOD_AT


@view
@internal
def _period() -> uint256:
    # Division by zero gives zero in the EVM: without a period length there is one period, 0. With
    # one, at least 60 s, the number stays below 2**31 for 4,000 years.
    return unsafe_div(block.timestamp, PERIOD_LENGTH)


@pure
@internal
def _expired(state: uint256) -> uint256:
    # Each head jumps to its tail: what was pending expires at once, nothing is deleted.
    return state & KEPT_BY_PERIOD | (state & TAILS) >> TAIL


@pure
@internal
def _outstanding(state: uint256, side: uint256) -> uint256:
    return unsafe_sub(state >> side >> TAIL & FIELD, state >> side & FIELD)  # head <= tail


# ------------------------------------------------------------------ posting signed orders

@external
def post_signed(
    period: uint256, orders: DynArray[IEnergyContract.SignedOrder, limits.MAX_SIGNED], all_or_nothing: bool
) -> uint256:
    """
    @notice Posts orders that their meters have signed (EIP-712). Anyone may call it. A meter has one
            order of each kind in a period. An order that is not good is skipped and logged.
    @param period The period that the orders are signed for: `signing_period`, or the call is refused.
    @param orders Orders in the layout of `signed_orders`, at most 100. Cheapest when orders of one
           kind and deadline follow each other, by meter number.
    @param all_or_nothing Whether an order that is not good refuses the call instead.
    @return How many orders were posted.
    """
    if len(orders) == 0:
        self._refuse("energy: batch is empty")
    before: uint256 = self._open_state()
    if period != unsafe_div(block.timestamp, SIGNING_LENGTH):  # `_signing_period`, without its call
        self._refuse("energy: orders of another period")
    domain: bytes32 = DOMAIN
    if chain.id != CHAIN_ID:  # the chain has split in two, and this is the side with another id
        domain = signed_orders._domain()
    ends: uint256 = unsafe_mul(unsafe_add(period, 1), SIGNING_LENGTH)  # period = time // length
    state: uint256 = before

    # A run: orders of one kind and deadline. The first is of requests, good until the period ends.
    run: uint256 = 1  # what the terms of its orders have in common, with 1 Wh
    kind: uint256 = signed_orders.REQUEST
    deadline: uint256 = ends
    side: uint256 = REQUESTS
    ring: uint256 = REQUESTS << 2
    first: uint256 = state >> (REQUESTS + TAIL) & FIELD
    tail: uint256 = first
    end: uint256 = self._end_of_room(state, REQUESTS)
    word: uint256 = self._begun_word(REQUESTS, tail)
    words: DynArray[uint256, limits.SIGNED_BATCH_WORDS] = []

    # A page: which of 224 neighbouring meters may still post an order of the run's kind.
    page: uint256 = NO_PAGE  # the number of its first meter
    page_at: uint256 = limits.SIGNED_PAGES
    free: uint256 = 0

    # At most 100 turns. A turn reads one slot; every fourth writes one. What is rare stands inside
    # the two conditions: the first fails unless the order is of the run, has 1 Wh or more and a low
    # s; the second unless the signer's number is on the page and free, as a shift by 256 or more
    # leaves no bit, and the number 0 of a stranger is below every page. Hashing in a function of the codec would cost 120 gas an order.
    for order: IEnergyContract.SignedOrder in orders:
        if (
            convert(unsafe_sub(order.terms, run) >= limits.MAX_ENERGY, uint256)
            | convert(order.vs & signed_orders.S > signed_orders.HIGHEST_S, uint256)
            != 0
        ):
            if order.vs & signed_orders.S > signed_orders.HIGHEST_S:
                self._skip(order, all_or_nothing, "energy: signature has a high s")
                continue
            if order.terms & limits.MAX_ENERGY == 0:
                self._skip(order, all_or_nothing, "energy: value not 1..2**32-1 Wh")
                continue
            if order.terms & signed_orders.UNUSED != 0:
                self._skip(order, all_or_nothing, "energy: signed order malformed")
                continue
            if order.terms & signed_orders.PRICE != 0:
                self._skip(order, all_or_nothing, "energy: limit price is not zero")
                continue
            early: uint256 = order.terms >> signed_orders.EARLY_AT & FIELD
            if early > unsafe_sub(ends, block.timestamp):  # the period has not ended
                self._skip(order, all_or_nothing, "energy: deadline has passed")
                continue
            run = order.terms & ~limits.MAX_ENERGY | 1
            kind = order.terms >> signed_orders.KIND_AT
            deadline = unsafe_sub(ends, early)  # compared above
            page = NO_PAGE
            if side != kind << 6:
                if tail & 3 != 0:
                    words.append(word >> unsafe_sub(256, (tail & 3) << 6))
                state = self._end_run(state, side, first, tail, words)
                side = kind << 6
                ring = side << 2
                first = state >> side >> TAIL & FIELD
                tail = first
                end = self._end_of_room(state, side)
                word = self._begun_word(side, tail)
                words = []
        number: uint256 = self.numbers[
            ecrecover(
                keccak256(
                    concat(
                        signed_orders.PREFIX,
                        domain,
                        keccak256(
                            abi_encode(
                                signed_orders.ORDER_TYPE,
                                kind,
                                order.terms & limits.MAX_ENERGY,
                                empty(uint256),
                                period,
                                deadline,
                            )
                        ),
                    )
                ),
                unsafe_add(27, order.vs >> 255),
                order.r,
                order.vs & signed_orders.S,
            )
        ]
        bit: uint256 = 1 << unsafe_sub(number, page)
        if free & bit == 0:
            if number == 0:
                self._skip(order, all_or_nothing, "energy: signer is not registered")
                continue
            if number >= RETIRED:
                self._skip(order, all_or_nothing, "energy: meter is retired")
                continue
            if tail >= end:
                self._skip(order, all_or_nothing, self._lack_of_room(side, tail))
                continue
            index: uint256 = unsafe_div(unsafe_sub(number, 1), limits.PAGE_METERS)  # not zero
            page = unsafe_add(unsafe_mul(index, limits.PAGE_METERS), 1)
            index = unsafe_add(index, unsafe_mul(kind, limits.SIGNED_PAGES // 2))
            if page_at != index:
                if page_at != limits.SIGNED_PAGES:
                    self.signed[page_at] = period << limits.PAGE_METERS | free ^ PAGE
                page_at = index
                free = self._free(index, period)
            bit = 1 << unsafe_sub(number, page)
            if free & bit == 0:
                self._skip(order, all_or_nothing, "energy: meter has posted already")
                continue
        free ^= bit
        word = word >> 64 | (number << packed_orders.METER_AT | order.terms & limits.MAX_ENERGY) << 192
        tail = unsafe_add(tail, 1)  # it was below `end`
        if tail & 3 == 0:
            self.pending[unsafe_sub(tail, 1) >> 2 & RING_MASK | ring] = word
            words.append(word)
            if tail == end:
                page = NO_PAGE
    if page_at != limits.SIGNED_PAGES:
        self.signed[page_at] = period << limits.PAGE_METERS | free ^ PAGE
    if tail & 3 != 0:
        words.append(word >> unsafe_sub(256, (tail & 3) << 6))
    state = self._end_run(state, side, first, tail, words)
    self.state = state
    grown: uint256 = unsafe_sub(state, before)  # by the tails alone
    return unsafe_add(grown >> (REQUESTS + TAIL) & FIELD, grown >> (RELEASES + TAIL))


@internal
def _skip(order: IEnergyContract.SignedOrder, all_or_nothing: bool, reason: String[32]):
    if all_or_nothing:
        self._refuse(reason)
    log IEnergyContract.SignedOrderSkipped(r=order.r, terms=order.terms, reason=reason)


@view
@internal
def _begun_word(side: uint256, tail: uint256) -> uint256:
    # Orders are shifted in from the top: the one posted last stands highest.
    if tail & 3 == 0:
        return 0
    return self.pending[tail >> 2 & RING_MASK | side << 2] << unsafe_sub(256, (tail & 3) << 6)


@internal
def _end_run(
    state: uint256, side: uint256, first: uint256, tail: uint256, words: DynArray[uint256, limits.SIGNED_BATCH_WORDS]
) -> uint256:
    # Writes the word that is begun, tells of the orders from counter `first` on, and returns the
    # state after them.
    if tail == first:
        return state
    if tail & 3 != 0:
        self.pending[tail >> 2 & RING_MASK | side << 2] = words[unsafe_sub(len(words), 1)]  # it is the last
    if side == REQUESTS:
        log IEnergyContract.SignedRequestsPosted(first=first, words=words)
    else:
        log IEnergyContract.SignedReleasesPosted(first=first, words=words)
    return unsafe_add(state, unsafe_sub(tail, first) << TAIL << side)  # there is room: no carry


@pure
@internal
def _end_of_room(state: uint256, side: uint256) -> uint256:
    # The counter up to which a side takes orders; a multiple of four, so that only full words meet it.
    return min(unsafe_add(state >> side & (FIELD - 3), limits.CAPACITY), limits.MAX_COUNTER & ~3)


@pure
@internal
def _lack_of_room(side: uint256, tail: uint256) -> String[32]:
    if tail >= limits.MAX_COUNTER & ~3:
        return "energy: counter is used up"
    if side == REQUESTS:
        return "energy: ring of requests is full"
    return "energy: ring of releases is full"


@view
@internal
def _free(index: uint256, period: uint256) -> uint256:
    # What an earlier period has left there counts no more.
    signed: uint256 = self.signed[index]
    if signed >> limits.PAGE_METERS != period:
        return PAGE
    return signed & PAGE ^ PAGE


@view
@internal
def _signing_period() -> uint256:
    return unsafe_div(block.timestamp, SIGNING_LENGTH)  # not zero


# ------------------------------------------------------------------ matching

@external
def match_pending(max_matches: uint256) -> uint256:
    """
    @notice Matches the oldest requests with the oldest releases until one queue is empty. Anyone
            may call it: first come, first served leaves the caller no choice, and every match uses
            up an order, so that calling early, late or often gives the same pairs.
    @param max_matches The most matches to write, 1..256.
    @return How many matches were written; 0 when a queue is empty.
    """
    if max_matches == 0 or max_matches > limits.MAX_BATCH:
        self._refuse("energy: max_matches not 1..256")
    before: uint256 = self._open_state()
    state: uint256 = self._match(before, max_matches)
    self.state = state
    return unsafe_sub(state >> MATCHES_AT & FIELD, before >> MATCHES_AT & FIELD)  # the counter only grows


@external
def doMatching(_value: int256):
    """
    @notice Matches from the heads of both queues until `_value` Wh are matched, which may leave
            both head orders partly filled. Aggregator only.
    @dev Meant for a match a call: it logs each by itself. `match_pending` is for many.
    @param _value Energy, 1..4294967295 Wh. Refused unless all of it can be matched in 256 matches.
    """
    if msg.sender != self.aggregator:
        self._refuse("energy: sender is not aggregator")
    wanted: uint256 = self._energy(_value)
    state: uint256 = self._open_state()
    # At most 256 turns, each of one match. No subtraction is of more than the smallest of three.
    for i: uint256 in range(limits.MAX_BATCH):
        request_head: uint256 = state >> REQUESTS & FIELD
        release_head: uint256 = state >> RELEASES & FIELD
        if request_head == state >> (REQUESTS + TAIL) & FIELD or release_head == state >> (RELEASES + TAIL) & FIELD:
            self._refuse("energy: cannot match that much")
        request: uint256 = self.pending[request_head >> 2 & RING_MASK] >> ((request_head & 3) << 6)
        release: uint256 = self.pending[release_head >> 2 & RING_MASK | limits.WORDS] >> ((release_head & 3) << 6)
        offered: uint256 = unsafe_sub(request & limits.MAX_ENERGY, state >> REQUEST_FILLED_AT & FIELD)
        needed: uint256 = unsafe_sub(release & limits.MAX_ENERGY, state >> RELEASE_FILLED_AT & FIELD)
        energy: uint256 = min(wanted, min(offered, needed))
        index: uint256 = state >> MATCHES_AT & FIELD
        if index == limits.MAX_COUNTER:
            self._refuse("energy: counter is used up")

        fill: uint256 = (request & METER) << limits.METER_BITS | release & METER | energy
        if index & 3 == 0:
            self.matches[index >> 2 & MATCH_RING_MASK] = fill << 192
        else:
            self.matches[index >> 2 & MATCH_RING_MASK] |= fill << unsafe_sub(192, (index & 3) << 6)  # <= 192
        log IEnergyContract.PairMatched(fill=index << 64 | fill)

        # No carry: the index is below the last counter, a head below its tail, a fill below its order.
        state = unsafe_add(state, 1 << MATCHES_AT)
        if energy == offered:
            state = unsafe_add(state & ~(FIELD << REQUEST_FILLED_AT), 1 << REQUESTS)
        else:
            state = unsafe_add(state, energy << REQUEST_FILLED_AT)
        if energy == needed:
            state = unsafe_add(state & ~(FIELD << RELEASE_FILLED_AT), 1 << RELEASES)
        else:
            state = unsafe_add(state, energy << RELEASE_FILLED_AT)
        wanted = unsafe_sub(wanted, energy)
        if wanted == 0:
            break
    if wanted != 0:
        self._refuse("energy: cannot match that much")
    self.state = state


@internal
def _match(state: uint256, max_matches: uint256) -> uint256:
    # The matching loop. Writes the matches and their event; returns the state after them.
    request_tail: uint256 = state >> (REQUESTS + TAIL) & FIELD
    release_tail: uint256 = state >> (RELEASES + TAIL) & FIELD
    request_head: uint256 = state >> REQUESTS & FIELD
    release_head: uint256 = state >> RELEASES & FIELD
    if request_head == request_tail or release_head == release_tail:
        return state

    # Requests and releases of the words at the heads, shifted so that the head orders are lowest;
    # a lane is dequeued by shifting it out. Neither queue is empty, so no tail is zero.
    request_word: uint256 = request_head >> 2
    release_word: uint256 = release_head >> 2
    last_request_word: uint256 = unsafe_sub(request_tail, 1) >> 2
    last_release_word: uint256 = unsafe_sub(release_tail, 1) >> 2
    requests: uint256 = self.pending[request_word & RING_MASK] >> ((request_head & 3) << 6)
    releases: uint256 = self.pending[release_word & RING_MASK | limits.WORDS] >> ((release_head & 3) << 6)
    # Wh left of the head orders. A head order is never filled whole.
    offered: uint256 = unsafe_sub(requests & limits.MAX_ENERGY, state >> REQUEST_FILLED_AT & FIELD)
    needed: uint256 = unsafe_sub(releases & limits.MAX_ENERGY, state >> RELEASE_FILLED_AT & FIELD)
    # The word of matches being filled: what an earlier call left of it first.
    first: uint256 = state >> MATCHES_AT & FIELD
    match_word: uint256 = first >> 2
    filling: uint256 = 0
    if first & 3 != 0:
        filling = self.matches[match_word & MATCH_RING_MASK] >> unsafe_sub(256, (first & 3) << 6)  # <= 192
    words: DynArray[uint256, limits.BATCH_WORDS + 1] = []

    # At most 256 turns. Four turns read two words of orders and write one of matches, nothing else:
    # all counters stay in memory. No subtraction is of more than was just compared.
    for i: uint256 in range(max_matches, bound=limits.MAX_BATCH):
        if filling >= packed_orders.FULL_MATCH_WORD:
            self.matches[match_word & MATCH_RING_MASK] = filling
            words.append(filling)
            match_word = unsafe_add(match_word, 1)
            filling = 0
        if offered == needed:
            filling = filling << 64 | (requests & METER) << limits.METER_BITS | releases & METER | offered
            requests = requests >> 64
            releases = releases >> 64
            offered = requests & limits.MAX_ENERGY
            needed = releases & limits.MAX_ENERGY
        elif offered < needed:
            filling = filling << 64 | (requests & METER) << limits.METER_BITS | releases & METER | offered
            needed = unsafe_sub(needed, offered)
            requests = requests >> 64
            offered = requests & limits.MAX_ENERGY
        else:
            filling = filling << 64 | (requests & METER) << limits.METER_BITS | releases & METER | needed
            offered = unsafe_sub(offered, needed)
            releases = releases >> 64
            needed = releases & limits.MAX_ENERGY
        if offered == 0:
            if request_word == last_request_word:
                break
            request_word = unsafe_add(request_word, 1)
            requests = self.pending[request_word & RING_MASK]
            offered = requests & limits.MAX_ENERGY
        if needed == 0:
            if release_word == last_release_word:
                break
            release_word = unsafe_add(release_word, 1)
            releases = self.pending[release_word & RING_MASK | limits.WORDS]
            needed = releases & limits.MAX_ENERGY

    lanes: uint256 = packed_orders._lanes(filling)
    filling = filling << (unsafe_sub(4, lanes) << 6)  # lanes <= 4
    self.matches[match_word & MATCH_RING_MASK] = filling
    words.append(filling)
    log IEnergyContract.Matched(first=first, words=words)

    next: uint256 = unsafe_add(match_word << 2, lanes)
    if next > limits.MAX_COUNTER:
        self._refuse("energy: counter is used up")
    # What is left of a word of orders tells where its head stands.
    request_head = unsafe_sub(
        min(unsafe_add(request_word, 1) << 2, request_tail), packed_orders._lanes(requests)
    )
    release_head = unsafe_sub(
        min(unsafe_add(release_word, 1) << 2, release_tail), packed_orders._lanes(releases)
    )
    return (
        state & KEPT_BY_MATCHING
        | request_head
        | release_head << RELEASES
        | next << MATCHES_AT
        | unsafe_sub(requests & limits.MAX_ENERGY, offered) << REQUEST_FILLED_AT
        | unsafe_sub(releases & limits.MAX_ENERGY, needed) << RELEASE_FILLED_AT
    )


# ------------------------------------------------------------------ consuming

@external
def consume(_address: address, _value: int256):
    """
    @notice Confirms energy drawn from the consumer's latest match. Never paused.
    @dev Looks the match up; `consume_match` is cheaper for who knows its index.
    @param _address The consumer. The sender is that consumer or the metering operator.
    @param _value Energy, 1 Wh to what is matched and not consumed yet.
    """
    found: uint256 = self._latest_match(self._number(_address), self._match_counter(), 0)
    if found == 0:
        self._refuse("energy: consumer has no match")
    self._consume(unsafe_sub(found, 1), self._energy(_value))


@external
def consume_match(index: uint256, _value: int256):
    """
    @notice Confirms energy drawn from a match. Never paused.
    @param index The match. The sender is its consumer or the metering operator.
    @param _value Energy, 1 Wh to what is matched and not consumed yet.
    """
    self._check_kept(index, 1)
    self._consume(index, self._energy(_value))


@external
def confirm_deliveries(first: uint256, words: DynArray[uint256, limits.BATCH_WORDS]):
    """
    @notice Confirms energy drawn from many matches. Metering operator only, never paused.
    @param first The first match, a multiple of four.
    @param words Energies in the layout of match words: lane 0, the highest, is of match `first`.
           0 leaves a match as it is. One energy above what is left of its match refuses the batch.
    """
    self._check_operator(self.registry)
    if len(words) == 0:
        self._refuse("energy: batch is empty")
    if first & 3 != 0:
        self._refuse("energy: match not at word start")
    self._check_kept(first, unsafe_sub(len(words) << 2, 3))  # len(words) >= 1
    # Four energies are subtracted at once: one that is too large changes the consumer above it.
    seen: uint256 = 0
    changed: uint256 = 0
    i: uint256 = first >> 2
    # At most 64 turns, one slot read and written in each.
    for word: uint256 in words:
        matched: uint256 = self.matches[i & MATCH_RING_MASK]
        left: uint256 = unsafe_sub(matched, word)
        self.matches[i & MATCH_RING_MASK] = left
        i = unsafe_add(i, 1)
        seen |= word
        changed |= matched ^ left
    if seen & ~packed_orders.ENERGIES != 0:
        self._refuse("energy: delivery is not energy")
    if changed & ~packed_orders.ENERGIES != 0:
        self._refuse("energy: value above what is left")
    log IEnergyContract.DeliveriesConfirmed(first=first, words=words)


@external
def confirm_matches(first: uint256, count: uint256):
    """
    @notice Confirms that all energy of many matches was drawn: what is left of them becomes zero.
            Metering operator only, never paused.
    @param first The first match.
    @param count How many from there on, 1..256.
    """
    self._check_operator(self.registry)
    if unsafe_sub(count, 1) >= limits.MAX_BATCH:
        self._refuse("energy: count not 1..256")
    self._check_kept(first, count)
    last: uint256 = unsafe_add(first, unsafe_sub(count, 1))  # kept: below 2**32
    i: uint256 = first >> 2
    drawn: uint256 = packed_orders.ENERGIES >> ((first & 3) << 6)
    # At most 64 turns, one slot read and written in each.
    for _: uint256 in range(unsafe_sub(last >> 2, i), bound=limits.BATCH_WORDS):
        self.matches[i & MATCH_RING_MASK] &= ~drawn
        i = unsafe_add(i, 1)
        drawn = packed_orders.ENERGIES
    self.matches[i & MATCH_RING_MASK] &= ~(drawn & packed_orders.ENERGIES << packed_orders._match_shift(last))
    log IEnergyContract.MatchesConfirmed(first=first, count=count)


@internal
def _consume(index: uint256, energy: uint256):
    word: uint256 = self.matches[index >> 2 & MATCH_RING_MASK]
    at: uint256 = packed_orders._match_shift(index)
    if msg.sender != self.addresses[word >> at >> packed_orders.METER_AT & limits.MAX_METERS]:
        self._check_operator(self.registry)
    if energy > word >> at & limits.MAX_ENERGY:
        self._refuse("energy: value above what is left")
    self.matches[index >> 2 & MATCH_RING_MASK] = unsafe_sub(word, energy << at)  # compared above: no borrow
    log IEnergyContract.DeliveryConfirmed(index=index, energy=energy)


@view
@internal
def _check_kept(first: uint256, count: uint256):
    counter: uint256 = self._match_counter()
    if first >= counter or count > unsafe_sub(counter, first) or first < self._oldest_match(counter):
        self._refuse("energy: match is not kept")


@view
@internal
def _match_counter() -> uint256:
    return self.state >> MATCHES_AT & FIELD


@pure
@internal
def _oldest_match(counter: uint256) -> uint256:
    # A word is overwritten whole: the ring keeps the words up to the one begun last.
    begun: uint256 = unsafe_add(counter, 3) >> 2  # counter < 2**32
    if begun <= limits.MATCH_WORDS:
        return 0
    return unsafe_sub(begun, limits.MATCH_WORDS) << 2


@view
@internal
def _latest_match(consumer: uint256, before: uint256, since: uint256) -> uint256:
    # Index plus one of the latest match of a consumer below `before`, 0 when none is kept.
    if consumer == 0:
        return 0
    index: uint256 = before
    oldest: uint256 = max(since, self._oldest_match(self._match_counter()))
    word: uint256 = 0
    # At most 2,048 turns, one slot read for each four.
    for i: uint256 in range(limits.MATCH_CAPACITY):
        if index <= oldest:
            break
        index = unsafe_sub(index, 1)  # index > oldest >= 0
        if i == 0 or index & 3 == 3:
            word = self.matches[index >> 2 & MATCH_RING_MASK] >> packed_orders._match_shift(index)
        else:
            word = word >> 64
        if word >> packed_orders.METER_AT & limits.MAX_METERS == consumer:
            return unsafe_add(index, 1)
    return 0


# ------------------------------------------------------------------ meters

@external
def register_meters(meters: DynArray[address, limits.MAX_BATCH]):
    """
    @notice Registers meters, each under the next free number; a retired one gets its number back.
            Owner or metering operator.
    @param meters Their addresses, at most 256.
    """
    self._check_registrar()
    registry: uint256 = self.registry
    count: uint256 = registry >> METERS_AT & limits.MAX_METERS
    back: uint256 = registry >> RETIRED_AT
    # At most 256 turns of two slots written.
    for meter: address in meters:
        self._check_address(meter)
        number: uint256 = self.numbers[meter]
        if number == 0:
            if count == limits.MAX_METERS:
                self._refuse("energy: meter numbers used up")
            count = unsafe_add(count, 1)  # compared above
            number = count
            self.addresses[number] = meter
        else:
            if number < RETIRED:
                self._refuse("energy: meter is registered")
            number = unsafe_sub(number, RETIRED)
            self._flip_retired(number)
            back = unsafe_sub(back, 1)  # it was counted when it retired
        self.numbers[meter] = number
        log IEnergyContract.MeterRegistered(meter=meter, number=number)
    self.registry = registry & ADDRESS | count << METERS_AT | back << RETIRED_AT


@external
def retire_meter(meter: address):
    """
    @notice Retires a meter: it posts no more. Its pending orders stay until matched or expired, its
            matches can be consumed. Owner or metering operator.
    @param meter The address of a registered meter.
    """
    self._check_registrar()
    number: uint256 = self._registered_number(meter)
    self.numbers[meter] = unsafe_add(number, RETIRED)
    self._flip_retired(number)
    self.registry = unsafe_add(self.registry, 1 << RETIRED_AT)  # at most 65,535 meters retire
    log IEnergyContract.MeterRetired(meter=meter, number=number)


@view
@internal
def _check_registrar():
    if msg.sender != self.owner and msg.sender != self._metering_operator():
        self._refuse("energy: sender may not register")


@view
@internal
def _registered_number(meter: address) -> uint256:
    number: uint256 = self.numbers[meter]
    if unsafe_sub(number, 1) >= limits.MAX_METERS:  # one comparison for what is rare
        if number == 0:
            self._refuse("energy: meter is not registered")
        self._refuse("energy: meter is retired")
    return number


@internal
def _flip_retired(number: uint256):
    self.retired[number >> 8] ^= 1 << (number & 255)


@view
@internal
def _number(meter: address) -> uint256:
    return self.numbers[meter] & limits.MAX_METERS


@view
@internal
def _metering_operator() -> address:
    return self._operator_in(self.registry)


@pure
@internal
def _operator_in(registry: uint256) -> address:
    return convert(convert(registry & ADDRESS, uint160), address)


# ------------------------------------------------------------------ roles and pause

@external
def transfer_ownership(new_owner: address):
    """
    @notice Offers the ownership; it passes once the new owner accepts. Owner only.
    @param new_owner The account to own the market; zero withdraws an offer.
    """
    self._check_owner()
    self.pending_owner = new_owner
    log IEnergyContract.OwnershipTransferStarted(previous_owner=self.owner, new_owner=new_owner)


@external
def accept_ownership():
    """
    @notice Takes the ownership that was offered to the sender.
    """
    if msg.sender != self.pending_owner:
        self._refuse("energy: sender not pending owner")
    self.pending_owner = empty(address)
    self._set_owner(msg.sender)


@internal
def _set_owner(new_owner: address):
    log IEnergyContract.OwnershipTransferred(previous_owner=self.owner, new_owner=new_owner)
    self.owner = new_owner


@external
def set_aggregator(new_aggregator: address):
    """
    @notice Appoints the aggregator. Owner only.
    @param new_aggregator The account that may call `doMatching` from now on.
    """
    self._check_owner()
    self._set_aggregator(new_aggregator)


@internal
def _set_aggregator(new_aggregator: address):
    self._check_address(new_aggregator)
    log IEnergyContract.AggregatorChanged(previous_aggregator=self.aggregator, new_aggregator=new_aggregator)
    self.aggregator = new_aggregator


@external
def set_metering_operator(new_operator: address):
    """
    @notice Appoints the metering operator. Owner only.
    @param new_operator The account that may register meters, and post and confirm for them, from now on.
    """
    self._check_owner()
    self._set_metering_operator(new_operator)


@internal
def _set_metering_operator(new_operator: address):
    self._check_address(new_operator)
    previous: address = self._metering_operator()
    log IEnergyContract.MeteringOperatorChanged(previous_operator=previous, new_operator=new_operator)
    self.registry = self.registry ^ convert(previous, uint256) ^ convert(new_operator, uint256)


@external
def pause():
    """
    @notice Stops posting and matching, never reading or consuming. Owner only.
    """
    self._check_owner()
    if self.state >= PAUSED:
        self._refuse("energy: market is paused")
    self.state |= PAUSED
    log IEnergyContract.Paused(account=msg.sender)


@external
def unpause():
    """
    @notice Lets posting and matching go on. Owner only.
    """
    self._check_owner()
    if self.state < PAUSED:
        self._refuse("energy: market is not paused")
    self.state ^= PAUSED
    log IEnergyContract.Unpaused(account=msg.sender)


@view
@internal
def _check_owner():
    if msg.sender != self.owner:
        self._refuse("energy: sender is not the owner")


@view
@internal
def _operator_registry() -> uint256:
    registry: uint256 = self.registry
    self._check_operator(registry)
    return registry


@view
@internal
def _check_operator(registry: uint256):
    if msg.sender != self._operator_in(registry):
        self._refuse("energy: sender is not operator")


@pure
@internal
def _check_address(account: address):
    if account == empty(address):
        self._refuse("energy: address is zero")


@pure
@internal
def _refuse(reason: String[32]):
    # One place for all reasons: half the code of an `assert` with a reason of its own.
    raise reason


# ------------------------------------------------------------------ views of orders

@view
@external
def check_request_counter() -> uint256:
    """
    @notice Requests outstanding.
    @return How many; 0 means none.
    """
    return self._outstanding(self._current_state(), REQUESTS)


@view
@external
def check_release_counter() -> uint256:
    """
    @notice Releases outstanding.
    @return How many; 0 means none.
    """
    return self._outstanding(self._current_state(), RELEASES)


@view
@external
def get_request_value() -> int256:
    """
    @notice Energy left of the request next in line.
    @return Wh; 0 when there is none.
    """
    return self._head_energy(REQUESTS, REQUEST_FILLED_AT)


@view
@external
def get_release_value() -> int256:
    """
    @notice Energy left of the release next in line.
    @return Wh; 0 when there is none.
    """
    return self._head_energy(RELEASES, RELEASE_FILLED_AT)


@view
@external
def request(_address: address) -> uint256:
    """
    @notice Energy a meter offers and that is not matched yet.
    @param _address The meter.
    @return Wh over all its requests outstanding.
    """
    return self._energy_outstanding(REQUESTS, REQUEST_FILLED_AT, _address)


@view
@external
def release(_address: address) -> uint256:
    """
    @notice Energy a meter needs and that is not matched yet.
    @param _address The meter.
    @return Wh over all its releases outstanding.
    """
    return self._energy_outstanding(RELEASES, RELEASE_FILLED_AT, _address)


@view
@external
def pending_requests(index: uint256) -> IEnergyContract.PendingOrder:
    """
    @notice What a slot of the ring of requests holds, pending or not: slots are never deleted.
    @param index The slot: counter % 1024.
    @return Meter and Wh as posted; zeros when the slot was never written.
    """
    return self._slot(REQUESTS, index)


@view
@external
def pending_release(index: uint256) -> IEnergyContract.PendingOrder:
    """
    @notice What a slot of the ring of releases holds, pending or not: slots are never deleted.
    @param index The slot: counter % 1024.
    @return Meter and Wh as posted; zeros when the slot was never written.
    """
    return self._slot(RELEASES, index)


@view
@external
def request_counter() -> uint256:
    """
    @notice Counter of the next request to be posted.
    @return Requests ever posted.
    """
    return self.state >> (REQUESTS + TAIL) & FIELD


@view
@external
def release_counter() -> uint256:
    """
    @notice Counter of the next release to be posted.
    @return Releases ever posted.
    """
    return self.state >> (RELEASES + TAIL) & FIELD


@view
@internal
def _current_state() -> uint256:
    # As `_open_state`, for views: what is pending of an earlier period no longer counts.
    state: uint256 = self.state
    if state >> PERIOD_AT & (2**31 - 1) == self._period():
        return state
    return self._expired(state)


@view
@internal
def _order_at(side: uint256, counter: uint256) -> uint256:
    return self.pending[counter >> 2 & RING_MASK | side << 2] >> ((counter & 3) << 6) & (2**limits.LANE_BITS - 1)


@view
@internal
def _head_energy(side: uint256, filled_at: uint256) -> int256:
    state: uint256 = self._current_state()
    if self._outstanding(state, side) == 0:
        return 0
    energy: uint256 = self._order_at(side, state >> side & FIELD) & limits.MAX_ENERGY
    return convert(energy - (state >> filled_at & FIELD), int256)


@view
@internal
def _energy_outstanding(side: uint256, filled_at: uint256, meter: address) -> uint256:
    state: uint256 = self._current_state()
    number: uint256 = self._number(meter)
    counter: uint256 = state >> side & FIELD
    filled: uint256 = state >> filled_at & FIELD
    total: uint256 = 0
    for i: uint256 in range(self._outstanding(state, side), bound=limits.CAPACITY):
        order: uint256 = self._order_at(side, counter + i)
        if order >> packed_orders.METER_AT & limits.MAX_METERS == number:
            total += (order & limits.MAX_ENERGY) - filled
        filled = 0
    return total


@view
@internal
def _slot(side: uint256, index: uint256) -> IEnergyContract.PendingOrder:
    if index >= limits.CAPACITY:
        return empty(IEnergyContract.PendingOrder)
    order: uint256 = self._order_at(side, index)
    return IEnergyContract.PendingOrder(
        meter=self.addresses[order >> packed_orders.METER_AT & limits.MAX_METERS],
        energy=order & limits.MAX_ENERGY,
    )


# ------------------------------------------------------------------ views of matches

@view
@external
def outgoingRelease(_address: address) -> address:
    """
    @notice Where a consumer's energy comes from.
    @param _address The consumer.
    @return The producer of its latest match; zero when none is kept.
    """
    return self._latest_match_of(_address).producer


@view
@external
def get_mapping_data(_address: address) -> address:
    """
    @notice Where a consumer's energy comes from: the same as `outgoingRelease`.
    @param _address The consumer.
    @return The producer of its latest match; zero when none is kept.
    """
    return self._latest_match_of(_address).producer


@view
@external
def get_matching_value(_address: address) -> int256:
    """
    @notice Energy of a consumer's latest match that is not consumed yet.
    @param _address The consumer.
    @return Wh; 0 when no match is kept.
    """
    return convert(self._latest_match_of(_address).energy, int256)


@view
@external
def matching(_address: address) -> IEnergyContract.matched_entry:
    """
    @notice A consumer's latest match.
    @param _address The consumer.
    @return Its producer and the Wh not consumed yet; zeros when none is kept.
    """
    latest: IEnergyContract.Match = self._latest_match_of(_address)
    return IEnergyContract.matched_entry(_address=latest.producer, _value=latest.energy)


@view
@external
def match_counter() -> uint256:
    """
    @notice Index of the next match.
    @return Matches ever written.
    """
    return self._match_counter()


@view
@external
def match_at(index: uint256) -> IEnergyContract.Match:
    """
    @notice A match.
    @param index Which, from 0 on.
    @return The match with the Wh not consumed yet; zeros when it is not kept.
    """
    counter: uint256 = self._match_counter()
    if index >= counter or index < self._oldest_match(counter):
        return empty(IEnergyContract.Match)
    return self._match_of(index)


@view
@external
def matches_of(consumer: address, since: uint256 = 0) -> DynArray[IEnergyContract.Match, limits.MATCH_CAPACITY]:
    """
    @notice The matches of a consumer that are kept.
    @param consumer The consumer.
    @param since The oldest match to look at.
    @return The matches with the Wh not consumed yet, latest first.
    """
    number: uint256 = self._number(consumer)
    found: DynArray[IEnergyContract.Match, limits.MATCH_CAPACITY] = []
    before: uint256 = self._match_counter()
    for i: uint256 in range(limits.MATCH_CAPACITY):
        before = self._latest_match(number, before, since)
        if before == 0:
            break
        before = unsafe_sub(before, 1)  # not zero
        found.append(self._match_of(before))
    return found


@view
@internal
def _match_of(index: uint256) -> IEnergyContract.Match:
    lane: uint256 = self.matches[index >> 2 & MATCH_RING_MASK] >> packed_orders._match_shift(index)
    return IEnergyContract.Match(
        index=index,
        producer=self.addresses[lane >> packed_orders.PRODUCER_AT & limits.MAX_METERS],
        consumer=self.addresses[lane >> packed_orders.METER_AT & limits.MAX_METERS],
        energy=lane & limits.MAX_ENERGY,
    )


@view
@internal
def _latest_match_of(consumer: address) -> IEnergyContract.Match:
    found: uint256 = self._latest_match(self._number(consumer), self._match_counter(), 0)
    if found == 0:
        return empty(IEnergyContract.Match)
    return self._match_of(unsafe_sub(found, 1))  # not zero


# ------------------------------------------------------------------ views of meters, period and roles

@view
@external
def meter_number(meter: address) -> uint256:
    """
    @notice Number of a meter, registered or retired.
    @param meter Its address.
    @return 1..65535; 0 when it was never registered.
    """
    return self._number(meter)


@view
@external
def meter_address(number: uint256) -> address:
    """
    @notice Address of a meter, registered or retired.
    @param number Its number.
    @return The address; zero when the number is not taken.
    """
    if number > limits.MAX_METERS:
        return empty(address)
    return self.addresses[number]


@view
@external
def is_registered(meter: address) -> bool:
    """
    @notice Whether a meter may trade.
    @param meter Its address.
    @return True when it is registered and not retired.
    """
    number: uint256 = self.numbers[meter]
    return number != 0 and number < RETIRED


@view
@external
def meter_count() -> uint256:
    """
    @notice Meters ever registered, retired ones included.
    @return The highest meter number.
    """
    return self.registry >> METERS_AT & limits.MAX_METERS


@view
@external
def period_length() -> uint256:
    """
    @notice Length of a delivery period.
    @return Seconds; 0 when orders never expire.
    """
    return PERIOD_LENGTH


@view
@external
def current_period() -> uint256:
    """
    @notice The delivery period of this block.
    @return Unix time // period length; 0 when orders never expire.
    """
    return self._period()


@view
@external
def signing_period() -> uint256:
    """
    @notice The period that an order has to be signed for to be good in this block.
    @return As `current_period`; Unix time // 900 where orders never expire.
    """
    return self._signing_period()


@view
@external
def has_signed(meter: address, kind: uint256) -> bool:
    """
    @notice Whether a signed order of a meter was posted in this period, so that it may not post
            another.
    @param meter Its address.
    @param kind 0 for a request, 1 for a release.
    @return True when one was.
    """
    number: uint256 = self._number(meter)
    if number == 0 or kind > signed_orders.RELEASE:
        return False
    index: uint256 = (number - 1) // limits.PAGE_METERS + kind * (limits.SIGNED_PAGES // 2)
    return self._free(index, self._signing_period()) >> ((number - 1) % limits.PAGE_METERS) & 1 == 0


@view
@external
def eip712Domain() -> (bytes1, String[11], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice What signatures of orders are good for (ERC-5267).
    @return The fields in use, name, version, chain id, this contract, no salt, no extensions.
    """
    return (
        0x0f,
        signed_orders.DOMAIN_NAME,
        signed_orders.DOMAIN_VERSION,
        chain.id,
        self,
        empty(bytes32),
        [],
    )


@view
@external
def paused() -> bool:
    """
    @notice Whether posting and matching are stopped.
    @return True when they are.
    """
    return self.state >= PAUSED


@view
@external
def metering_operator() -> address:
    """
    @notice The account that registers meters, and may post and confirm for them.
    @return Its address.
    """
    return self._metering_operator()
