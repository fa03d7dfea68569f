# pragma version 0.4.3
"""
@title orders_proofs
@license MIT
@author The energy-chain founders
@notice What posting writes, and when nothing may be posted.
"""

import halmos
import layout
import limits
import market
import packed_orders
from interfaces import IEnergyContract


RELEASES_RING: constant(uint256) = limits.WORDS


@external
def prove_posted_order_is_read_back():
    """
    @notice An order posted by its meter or the operator is read back with its meter and energy; no
            order pending on its side changes, nor any slot but its word and the state.
    @custom:bounds any market of this period with room; any tail; both sides
    """
    market._any_open_market()
    is_release: bool = halmos._any_bool("release")
    side: uint256 = 0
    ring: uint256 = 0
    method: Bytes[4] = method_id("incomingRequest(address,int256)")
    if is_release:
        side = 64
        ring = RELEASES_RING
        method = method_id("incomingRelease(address,int256)")
    sender: address = halmos._any_account("sender")
    meter: address = halmos._any_account("meter")
    energy: uint256 = halmos._any_uint(32, "energy")
    number: uint256 = market._number(meter)
    halmos._assume(sender == meter or convert(sender, uint256) == market._operator())
    halmos._assume(energy != 0)
    halmos._assume(unsafe_sub(number, 1) < limits.MAX_METERS)
    halmos._assume(market._stored(layout.ADDRESSES + number) == convert(meter, uint256))
    state: uint256 = market._stored(layout.STATE)
    head: uint256 = market._field(side)
    tail: uint256 = market._field(side + 32)
    halmos._assume(self._has_room(head, tail, 1) == 1)
    self._assume_clean(ring, tail)
    counter: uint256 = halmos._any_uint(32, "pending")
    halmos._assume(head <= counter)
    halmos._assume(counter < tail)
    pending: uint256 = market._order(ring, counter)
    slot: uint256 = halmos._any_word("other slot")
    halmos._assume(slot != layout.STATE)
    halmos._assume(slot != market._slot_of_order(ring, tail))
    word: uint256 = market._stored(slot)

    halmos._prove(market._call(sender, concat(method, abi_encode(meter, energy))))
    order: IEnergyContract.PendingOrder = empty(IEnergyContract.PendingOrder)
    if is_release:
        order = staticcall market.CONTRACT.pending_release(tail % limits.CAPACITY)
    else:
        order = staticcall market.CONTRACT.pending_requests(tail % limits.CAPACITY)
    halmos._prove(order.meter == meter)
    halmos._prove(order.energy == energy)
    halmos._prove(market._order(ring, tail) == number << packed_orders.METER_AT | energy)
    halmos._prove(market._order(ring, counter) == pending)
    halmos._prove(market._stored(layout.STATE) == unsafe_add(state, 1 << 32 << side))
    halmos._prove(market._stored(slot) == word)


@external
def prove_posted_word():
    """
    @notice A packed word is accepted if and only if the operator sends it, there is room and every
            lane up to its last is a good order: of a registered meter, with energy and without price.
            Then its lanes are the next orders, no order pending on its side changes, and no slot but
            of that ring and the state.
    @custom:bounds one word of any four lanes; any market of this period, none retired; any tail; both sides
    """
    market._any_open_market()
    side: uint256 = 0
    ring: uint256 = 0
    method: Bytes[4] = method_id("post_requests(uint256[])")
    if halmos._any_bool("release"):
        side = 64
        ring = RELEASES_RING
        method = method_id("post_releases(uint256[])")
    halmos._assume(market._stored(layout.REGISTRY) >> 176 == 0)
    sender: address = halmos._any_account("sender")
    packed: uint256 = halmos._any_word("packed")
    state: uint256 = market._stored(layout.STATE)
    head: uint256 = market._field(side)
    tail: uint256 = market._field(side + 32)
    self._assume_clean(ring, tail)
    counter: uint256 = halmos._any_uint(32, "pending")
    halmos._assume(head <= counter)
    halmos._assume(counter < tail)
    pending: uint256 = market._order(ring, counter)
    slot: uint256 = halmos._any_word("other slot")
    halmos._assume(slot != layout.STATE)
    halmos._assume(unsafe_sub(slot, layout.PENDING + ring) >= limits.WORDS)
    word: uint256 = market._stored(slot)

    lanes: uint256 = 0
    for lane: uint256 in range(4):
        lanes += convert(packed >> (lane << 6) != 0, uint256)
    good: uint256 = convert(lanes != 0, uint256)
    good &= convert(convert(sender, uint256) == market._operator(), uint256)
    good &= self._has_room(head, tail, lanes)
    for lane: uint256 in range(4):
        good &= self._is_good(packed >> (lane << 6) & (2**64 - 1)) | convert(lane >= lanes, uint256)

    words: DynArray[uint256, limits.BATCH_WORDS] = [packed]
    is_done: bool = market._call(sender, concat(method, abi_encode(words)))
    halmos._prove(is_done == (good == 1))
    if is_done:
        for lane: uint256 in range(4):
            order: uint256 = packed >> (lane << 6) & (2**64 - 1)
            halmos._prove(order == 0 or market._order(ring, unsafe_add(tail, lane)) == order)
        halmos._prove(market._stored(layout.STATE) == unsafe_add(state, lanes << 32 << side))
        halmos._prove(market._order(ring, counter) == pending)
        halmos._prove(market._stored(slot) == word)


@external
def prove_no_retired_meter_posts_packed():
    """
    @notice A packed word with an order of a retired meter is refused.
    @custom:bounds one word of any four lanes; any market in which a meter is retired
    """
    market._any_market()
    method: Bytes[4] = method_id("post_requests(uint256[])")
    if halmos._any_bool("release"):
        method = method_id("post_releases(uint256[])")
    packed: uint256 = halmos._any_word("packed")
    lane: uint256 = halmos._any_uint(2, "lane")
    meter: uint256 = packed >> (lane << 6) >> packed_orders.METER_AT & limits.MAX_METERS
    halmos._assume(market._stored(layout.REGISTRY) >> 176 != 0)
    halmos._assume(market._stored(layout.RETIRED + (meter >> 8)) >> (meter & 255) & 1 == 1)
    words: DynArray[uint256, limits.BATCH_WORDS] = [packed]
    halmos._prove(not market._call(halmos._any_account("sender"), concat(method, abi_encode(words))))


@external
def prove_full_ring_is_refused():
    """
    @notice Nobody posts to a ring in which as many orders are pending as it holds.
    @custom:bounds any full market of this period; one order, or one packed word
    """
    market._any_open_market()
    data: Bytes[2048] = market._any_call()
    selector: bytes4 = market._selector(data)
    side: uint256 = 0
    if selector in [
        method_id("incomingRelease(address,int256)", output_type=bytes4),
        method_id("post_releases(uint256[])", output_type=bytes4),
    ]:
        side = 64
    else:
        halmos._assume(selector in [
            method_id("incomingRequest(address,int256)", output_type=bytes4),
            method_id("post_requests(uint256[])", output_type=bytes4),
        ])
    halmos._assume(unsafe_sub(market._field(side + 32), market._field(side)) == limits.CAPACITY)
    halmos._prove(not market._call(halmos._any_account("sender"), data))


@external
def prove_only_registered_meters_post():
    """
    @notice An order is of a meter that is registered and not retired, and comes from that meter or the
            operator.
    @custom:bounds any state; both sides
    """
    market._any_market()
    method: Bytes[4] = method_id("incomingRequest(address,int256)")
    if halmos._any_bool("release"):
        method = method_id("incomingRelease(address,int256)")
    sender: address = halmos._any_account("sender")
    meter: address = halmos._any_account("meter")
    if market._call(sender, concat(method, abi_encode(meter, halmos._any_word("energy")))):
        halmos._prove(unsafe_sub(market._number(meter), 1) < limits.MAX_METERS)
        halmos._prove(sender == meter or convert(sender, uint256) == market._operator())


@external
def prove_new_period():
    """
    @notice The first call of a new period makes each head jump to its tail and forgets what was filled;
            tails and match counter stay, and so does every other slot.
    @custom:bounds match_pending by anyone; any unpaused market of another period
    """
    market._any_market()
    state: uint256 = market._stored(layout.STATE)
    halmos._assume(state < market.PAUSED)
    halmos._assume(state >> 224 != market._period())
    count: uint256 = halmos._any_uint(9, "max_matches")
    halmos._assume(unsafe_sub(count, 1) < limits.MAX_BATCH)
    slot: uint256 = halmos._any_word("other slot")
    halmos._assume(slot != layout.STATE)
    word: uint256 = market._stored(slot)

    data: Bytes[36] = abi_encode(count, method_id=method_id("match_pending(uint256)"))
    halmos._prove(market._call(halmos._any_account("sender"), data))
    requests: uint256 = state >> 32 & market.FIELD
    releases: uint256 = state >> 96 & market.FIELD
    halmos._prove(
        market._stored(layout.STATE)
        == requests
        | requests << 32
        | releases << 64
        | releases << 96
        | (state >> 128 & market.FIELD) << 128
        | market._period() << 224
    )
    halmos._prove(market._stored(slot) == word)


@external
def prove_pause_stops_posting_and_matching():
    """
    @notice While the market is paused no call succeeds but those that consume, register, retire, hand
            over roles and end the pause.
    @custom:bounds any sender; any call; arrays of 1; any paused state
    """
    market._any_market()
    halmos._assume(market._stored(layout.STATE) >= market.PAUSED)
    data: Bytes[2048] = market._any_call()
    halmos._assume(market._selector(data) not in [
        method_id("consume(address,int256)", output_type=bytes4),
        method_id("consume_match(uint256,int256)", output_type=bytes4),
        method_id("confirm_deliveries(uint256,uint256[])", output_type=bytes4),
        method_id("confirm_matches(uint256,uint256)", output_type=bytes4),
        method_id("register_meters(address[])", output_type=bytes4),
        method_id("retire_meter(address)", output_type=bytes4),
        method_id("transfer_ownership(address)", output_type=bytes4),
        method_id("accept_ownership()", output_type=bytes4),
        method_id("set_aggregator(address)", output_type=bytes4),
        method_id("set_metering_operator(address)", output_type=bytes4),
        method_id("unpause()", output_type=bytes4),
    ])
    halmos._prove(not market._call(halmos._any_account("sender"), data))


@pure
@internal
def _has_room(head: uint256, tail: uint256, count: uint256) -> uint256:
    # A word is written whole, so the ring is free up to the first lane of the head's word.
    end: uint256 = unsafe_add(tail, count)
    room: uint256 = convert(unsafe_sub(end, head & (market.FIELD - 3)) <= limits.CAPACITY, uint256)
    return room & convert(end <= limits.MAX_COUNTER, uint256)


@internal
def _assume_clean(ring: uint256, tail: uint256):
    # The second invariant: lanes of the tail's word from the tail on are zero.
    lanes: uint256 = market._stored(market._slot_of_order(ring, tail)) >> ((tail & 3) << 6)
    halmos._assume(lanes == 0 or tail & 3 == 0)


@view
@internal
def _is_good(order: uint256) -> uint256:
    meter: uint256 = order >> packed_orders.METER_AT
    good: uint256 = convert(order & limits.MAX_ENERGY != 0, uint256)
    good &= convert(meter != 0, uint256)
    return good & convert(meter <= market._stored(layout.REGISTRY) >> 160 & limits.MAX_METERS, uint256)
