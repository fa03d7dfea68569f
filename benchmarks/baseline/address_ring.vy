# pragma version 0.4.3
# pragma evm-version shanghai
# pragma optimize gas
"""
@title address_ring
@license MIT
@author The energy-chain founders
@notice BASELINE FOR THE GAS BENCHMARK, NOT TO BE DEPLOYED: what a careful engineer writes first.
        An order is a word, address and energy; both queues are rings; the loop matches first
        come, first served, with partial fills, and logs one event a call.
@dev Next to the market it lacks periods, registered meters, roles and a pause, and an order takes
     a whole word where the market packs four. A match names its two orders by counter: that takes
     one word, where two addresses take two.
@custom:words
           255                                      96 95                                0
          +-------------------------------------------+-----------------------------------+
  order   |            address of the meter           |             energy, Wh            |
          +-------------------------------------------+-----------------------------------+
           255         160 159       128 127        96 95                                0
          +---------------+-------------+-------------+-----------------------------------+
  match   |       0       |   request   |   release   |      energy not consumed, Wh      |
          +---------------+-------------+-------------+-----------------------------------+
           255     208 207     160 159   128 127    96 95     64 63     32 31      0
          +-----------+-----------+---------+---------+---------+---------+---------+
  state   | filled of | filled of |  match  | release | release | request | request |
          |  release  |  request  | counter |   tail  |   head  |   tail  |   head  |
          +-----------+-----------+---------+---------+---------+---------+---------+
  The state has 48 bits for a fill, so an order has at most 2**48-1 Wh.
"""

CAPACITY: public(constant(uint256)) = 1024  # orders in each ring
MATCH_CAPACITY: public(constant(uint256)) = 2 * CAPACITY
MAX_BATCH: public(constant(uint256)) = 256  # orders or matches in one call

# Both capacities are powers of two.
MASK: constant(uint256) = CAPACITY - 1
MATCH_MASK: constant(uint256) = MATCH_CAPACITY - 1

ADDRESS_AT: constant(uint256) = 96
ENERGY: constant(uint256) = 2**96 - 1
MAX_ENERGY: constant(uint256) = 2**48 - 1

REQUEST_AT: constant(uint256) = 128
RELEASE_AT: constant(uint256) = 96

FIELD: constant(uint256) = 2**32 - 1  # of a counter, and the highest one
REQUESTS: constant(uint256) = 0  # a side is named by where its head stands
RELEASES: constant(uint256) = 64
RING_SHIFT: constant(uint256) = 4  # from a side to the first slot of its ring: 64 << 4 == CAPACITY
TAIL: constant(uint256) = 32  # above the head
MATCHES_AT: constant(uint256) = 128
REQUEST_FILLED_AT: constant(uint256) = 160
RELEASE_FILLED_AT: constant(uint256) = 208
TAILS: constant(uint256) = FIELD << (REQUESTS + TAIL) | FIELD << (RELEASES + TAIL)

# The account that posts batches and confirms.
DEPLOYER: public(immutable(address))


event RequestPosted:
    meter: indexed(address)
    counter: uint256
    energy: uint256


event ReleasePosted:
    meter: indexed(address)
    counter: uint256
    energy: uint256


event RequestsPosted:
    first: uint256
    words: DynArray[uint256, 256]


event ReleasesPosted:
    first: uint256
    words: DynArray[uint256, 256]


# The words of matches as they were written, from match `first` on.
event Matched:
    first: uint256
    words: DynArray[uint256, 256]


event DeliveryConfirmed:
    index: uint256
    energy: uint256


event DeliveriesConfirmed:
    first: uint256
    energies: DynArray[uint256, 256]


# `energy` is the Wh matched and not consumed yet.
struct Match:
    producer: address
    consumer: address
    energy: uint256


# Heads and tails of both queues, match counter, Wh filled of both head orders.
state: uint256
# Orders: the ring of requests in the lower half, the ring of releases in the upper.
pending: uint256[2 * CAPACITY]
# Matches and the Wh of them not consumed yet: a ring, overwritten by counter.
matches: uint256[MATCH_CAPACITY]


@deploy
def __init__():
    """
    @notice Deploys a market whose batches the deployer posts.
    """
    DEPLOYER = msg.sender


# ------------------------------------------------------------------ posting

@external
def incomingRequest(_address: address, _value: int256):
    """
    @notice Posts a request.
    @param _address The producer. The sender is that account or the deployer.
    @param _value Energy, 1..2**48-1 Wh.
    """
    energy: uint256 = self._energy(_value)
    counter: uint256 = self._append(REQUESTS, _address, energy)
    log RequestPosted(meter=_address, counter=counter, energy=energy)


@external
def incomingRelease(_address: address, _value: int256):
    """
    @notice Posts a release.
    @param _address The consumer. The sender is that account or the deployer.
    @param _value Energy, 1..2**48-1 Wh.
    """
    energy: uint256 = self._energy(_value)
    counter: uint256 = self._append(RELEASES, _address, energy)
    log ReleasePosted(meter=_address, counter=counter, energy=energy)


@external
def post_requests(words: DynArray[uint256, MAX_BATCH]):
    """
    @notice Posts many requests. Deployer only.
    @param words Requests, one a word. One that is not good refuses the batch.
    """
    first: uint256 = self._append_batch(REQUESTS, words)
    log RequestsPosted(first=first, words=words)


@external
def post_releases(words: DynArray[uint256, MAX_BATCH]):
    """
    @notice Posts many releases. Deployer only.
    @param words Releases, one a word. One that is not good refuses the batch.
    """
    first: uint256 = self._append_batch(RELEASES, words)
    log ReleasesPosted(first=first, words=words)


@pure
@internal
def _energy(amount: int256) -> uint256:
    # As an unsigned number a negative amount is above every limit, and so is zero less one.
    energy: uint256 = convert(convert(amount, bytes32), uint256)
    assert unsafe_sub(energy, 1) < MAX_ENERGY, "energy: value not 1..2**48-1 Wh"
    return energy


@internal
def _append(side: uint256, meter: address, energy: uint256) -> uint256:
    # Writes one slot of the ring and the state; returns the order's counter.
    if msg.sender != meter:
        self._check_deployer()
    assert meter != empty(address), "energy: address is zero"
    counter: uint256 = self._advance(side, 1)
    self.pending[counter & MASK | side << RING_SHIFT] = convert(meter, uint256) << ADDRESS_AT | energy
    return counter


@internal
def _append_batch(side: uint256, words: DynArray[uint256, MAX_BATCH]) -> uint256:
    # Returns the counter of the first order.
    self._check_deployer()
    ring: uint256 = side << RING_SHIFT
    first: uint256 = self._advance(side, len(words))
    counter: uint256 = first
    # At most 256 turns. A turn writes one slot and reads none.
    for word: uint256 in words:
        assert unsafe_sub(word & ENERGY, 1) < MAX_ENERGY, "energy: value not 1..2**48-1 Wh"
        assert word > ENERGY, "energy: address is zero"
        self.pending[counter & MASK | ring] = word
        counter = unsafe_add(counter, 1)  # at most the tail, which `_advance` compared
    return first


@internal
def _advance(side: uint256, count: uint256) -> uint256:
    # Moves the tail behind `count` new orders; returns the counter of the first.
    state: uint256 = self.state
    first: uint256 = state >> side >> TAIL & FIELD
    tail: uint256 = unsafe_add(first, count)  # count <= 256
    assert unsafe_sub(tail, state >> side & FIELD) <= CAPACITY, "energy: ring is full"  # head <= tail
    assert tail <= FIELD, "energy: counter is used up"
    self.state = unsafe_add(state, count << TAIL << side)  # compared above: no carry into the next field
    return first


# ------------------------------------------------------------------ matching

@external
def match_pending(max_matches: uint256) -> uint256:
    """
    @notice Matches the oldest requests with the oldest releases until one queue is empty. Anyone
            may call it.
    @param max_matches The most matches to write, 1..256.
    @return How many matches were written; 0 when a queue is empty.
    """
    assert unsafe_sub(max_matches, 1) < MAX_BATCH, "energy: max_matches not 1..256"  # zero less one is not
    state: uint256 = self.state
    request_head: uint256 = state >> REQUESTS & FIELD
    request_tail: uint256 = state >> (REQUESTS + TAIL) & FIELD
    release_head: uint256 = state >> RELEASES & FIELD
    release_tail: uint256 = state >> (RELEASES + TAIL) & FIELD
    if request_head == request_tail or release_head == release_tail:
        return 0

    # Wh left of the head orders. A head order is never filled whole.
    offered: uint256 = unsafe_sub(
        self.pending[request_head & MASK] & ENERGY, state >> REQUEST_FILLED_AT & MAX_ENERGY
    )
    needed: uint256 = unsafe_sub(
        self.pending[release_head & MASK | CAPACITY] & ENERGY, state >> RELEASE_FILLED_AT
    )
    first: uint256 = state >> MATCHES_AT & FIELD
    counter: uint256 = first
    words: DynArray[uint256, MAX_BATCH] = []

    # At most 256 turns. A turn reads a slot for each order that it uses up and writes one match:
    # the state stays in memory. No order is empty, so only the end of a queue leaves a zero. No
    # subtraction is of more than was just compared; counters end at tails, the matches below 2**33.
    for i: uint256 in range(max_matches, bound=MAX_BATCH):
        word: uint256 = request_head << REQUEST_AT | release_head << RELEASE_AT
        if offered == needed:
            word |= offered
            offered = 0
            needed = 0
        elif offered < needed:
            word |= offered
            needed = unsafe_sub(needed, offered)
            offered = 0
        else:
            word |= needed
            offered = unsafe_sub(offered, needed)
            needed = 0
        self.matches[counter & MATCH_MASK] = word
        words.append(word)
        counter = unsafe_add(counter, 1)
        # Both heads move before either queue ends the loop.
        if offered == 0:
            request_head = unsafe_add(request_head, 1)
            if request_head != request_tail:
                offered = self.pending[request_head & MASK] & ENERGY
        if needed == 0:
            release_head = unsafe_add(release_head, 1)
            if release_head != release_tail:
                needed = self.pending[release_head & MASK | CAPACITY] & ENERGY
        if offered == 0 or needed == 0:
            break

    assert counter <= FIELD, "energy: counter is used up"
    log Matched(first=first, words=words)

    # Reading the head orders again is cheaper than to remember their energies in every turn.
    request_filled: uint256 = 0
    if offered != 0:
        request_filled = unsafe_sub(self.pending[request_head & MASK] & ENERGY, offered)
    release_filled: uint256 = 0
    if needed != 0:
        release_filled = unsafe_sub(self.pending[release_head & MASK | CAPACITY] & ENERGY, needed)
    self.state = (
        state & TAILS
        | request_head << REQUESTS
        | release_head << RELEASES
        | counter << MATCHES_AT
        | request_filled << REQUEST_FILLED_AT
        | release_filled << RELEASE_FILLED_AT
    )
    return unsafe_sub(counter, first)  # the counter only grows


# ------------------------------------------------------------------ consuming

@external
def consume_match(index: uint256, _value: int256):
    """
    @notice Confirms energy drawn from a match. Refused once its release was overwritten: nobody
            could tell then whose it was.
    @param index The match. The sender is its consumer or the deployer.
    @param _value Energy, 1 Wh to what is matched and not consumed yet.
    """
    energy: uint256 = self._energy(_value)
    state: uint256 = self.state
    self._check_kept(state, index, 1)
    word: uint256 = self.matches[index & MATCH_MASK]
    counter: uint256 = word >> RELEASE_AT & FIELD
    assert self._is_kept(state, RELEASES, counter), "energy: match is not kept"
    if msg.sender != self._meter(self.pending[counter & MASK | CAPACITY]):
        self._check_deployer()
    assert energy <= word & ENERGY, "energy: value above what is left"
    self.matches[index & MATCH_MASK] = unsafe_sub(word, energy)  # compared above: no borrow
    log DeliveryConfirmed(index=index, energy=energy)


@external
def confirm_deliveries(first: uint256, energies: DynArray[uint256, MAX_BATCH]):
    """
    @notice Confirms energy drawn from many matches. Deployer only.
    @param first The first match.
    @param energies Wh drawn of it and of those behind it; 0 leaves a match as it is. One energy
           above what is left of its match refuses the batch.
    """
    self._check_deployer()
    self._check_kept(self.state, first, len(energies))
    index: uint256 = first
    # At most 256 turns, one slot read and written in each.
    for energy: uint256 in energies:
        word: uint256 = self.matches[index & MATCH_MASK]
        assert energy <= word & ENERGY, "energy: value above what is left"
        self.matches[index & MATCH_MASK] = unsafe_sub(word, energy)  # compared above: no borrow
        index = unsafe_add(index, 1)  # at most the match counter
    log DeliveriesConfirmed(first=first, energies=energies)


@view
@internal
def _check_deployer():
    assert msg.sender == DEPLOYER, "energy: sender is not deployer"


@pure
@internal
def _check_kept(state: uint256, first: uint256, count: uint256):
    counter: uint256 = state >> MATCHES_AT & FIELD
    # The first comparison keeps the subtractions from wrapping.
    assert (
        first < counter
        and unsafe_sub(counter, first) <= MATCH_CAPACITY
        and count <= unsafe_sub(counter, first)
    ), "energy: match is not kept"


@pure
@internal
def _is_kept(state: uint256, side: uint256, counter: uint256) -> bool:
    # Of an order that was posted.
    return unsafe_sub(state >> side >> TAIL & FIELD, counter) <= CAPACITY


@pure
@internal
def _meter(order: uint256) -> address:
    return convert(convert(order >> ADDRESS_AT, uint160), address)


# ------------------------------------------------------------------ views

@view
@external
def check_request_counter() -> uint256:
    """
    @notice Requests outstanding.
    @return How many; 0 means none.
    """
    return self._outstanding(REQUESTS)


@view
@external
def check_release_counter() -> uint256:
    """
    @notice Releases outstanding.
    @return How many; 0 means none.
    """
    return self._outstanding(RELEASES)


@view
@external
def get_request_value() -> uint256:
    """
    @notice Energy left of the request next in line.
    @return Wh; 0 when there is none.
    """
    return self._head_energy(REQUESTS, REQUEST_FILLED_AT)


@view
@external
def get_release_value() -> uint256:
    """
    @notice Energy left of the release next in line.
    @return Wh; 0 when there is none.
    """
    return self._head_energy(RELEASES, RELEASE_FILLED_AT)


@view
@external
def match_counter() -> uint256:
    """
    @notice Index of the next match.
    @return Matches ever written.
    """
    return self.state >> MATCHES_AT & FIELD


@view
@external
def match_at(index: uint256) -> Match:
    """
    @notice A match. Reverts when it is not kept.
    @param index Which, from 0 on.
    @return The match with the Wh not consumed yet; an address is zero once its order was overwritten.
    """
    state: uint256 = self.state
    self._check_kept(state, index, 1)
    word: uint256 = self.matches[index & MATCH_MASK]
    request: uint256 = word >> REQUEST_AT
    release: uint256 = word >> RELEASE_AT & FIELD
    found: Match = Match(producer=empty(address), consumer=empty(address), energy=word & ENERGY)
    if self._is_kept(state, REQUESTS, request):
        found.producer = self._meter(self.pending[request & MASK])
    if self._is_kept(state, RELEASES, release):
        found.consumer = self._meter(self.pending[release & MASK | CAPACITY])
    return found


@view
@internal
def _outstanding(side: uint256) -> uint256:
    state: uint256 = self.state
    return unsafe_sub(state >> side >> TAIL & FIELD, state >> side & FIELD)  # head <= tail


@view
@internal
def _head_energy(side: uint256, filled_at: uint256) -> uint256:
    if self._outstanding(side) == 0:
        return 0
    state: uint256 = self.state
    order: uint256 = self.pending[state >> side & MASK | side << RING_SHIFT]
    return (order & ENERGY) - (state >> filled_at & MAX_ENERGY)
