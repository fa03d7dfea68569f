# pragma version 0.4.3
"""
@title deliveries_proofs
@license MIT
@author The energy-chain founders
@notice What confirming deliveries takes from matches.
"""

import halmos
import layout
import limits
import market
import packed_orders


ENERGY: constant(uint256) = limits.MAX_ENERGY


@external
def prove_consumed_match():
    """
    @notice `consume_match` succeeds if and only if the match is kept, the sender is its consumer or the
            operator, and 1 Wh to what is left is named; it takes exactly that, from that match alone,
            and changes no other slot.
    @custom:bounds any state, paused ones included
    """
    market._any_market()
    sender: address = halmos._any_account("sender")
    index: uint256 = halmos._any_word("index")
    energy: uint256 = halmos._any_word("energy")
    slot: uint256 = market._slot_of_match(index)
    lane: uint256 = market._match(index)
    account: uint256 = convert(sender, uint256)
    consumer: uint256 = market._stored(layout.ADDRESSES + (lane >> 32 & limits.MAX_METERS))
    other: uint256 = halmos._any_word("other slot")
    halmos._assume(other != slot)
    before: uint256 = market._stored(slot)
    before_other: uint256 = market._stored(other)
    is_good: bool = self._is_kept(index)
    is_good = is_good and (account == consumer or account == market._operator())
    is_good = is_good and 1 <= energy and energy <= lane & ENERGY

    data: Bytes[68] = abi_encode(index, energy, method_id=method_id("consume_match(uint256,int256)"))
    halmos._prove(market._call(sender, data) == is_good)
    if not is_good:
        energy = 0
    left: uint256 = unsafe_sub(lane, energy)
    halmos._prove(market._match(index) == left)
    halmos._prove(left >> 32 == lane >> 32)
    at: uint256 = packed_orders._match_shift(index)
    halmos._prove((market._stored(slot) ^ before) & ~((2**64 - 1) << at) == 0)
    halmos._prove(market._stored(other) == before_other)


@external
def prove_pause_never_stops_consuming():
    """
    @notice While the market is paused a consumer confirms what is left of its match.
    @custom:bounds any paused state
    """
    market._any_market()
    index: uint256 = halmos._any_word("index")
    lane: uint256 = market._match(index)
    energy: uint256 = halmos._any_uint(32, "energy")
    consumer: uint256 = market._stored(layout.ADDRESSES + (lane >> 32 & limits.MAX_METERS))
    halmos._assume(consumer < 2**160)
    halmos._assume(market._stored(layout.STATE) >= market.PAUSED)
    halmos._assume(self._is_kept(index))
    halmos._assume(1 <= energy)
    halmos._assume(energy <= lane & ENERGY)

    data: Bytes[68] = abi_encode(index, energy, method_id=method_id("consume_match(uint256,int256)"))
    halmos._prove(market._call(convert(consumer, address), data))
    halmos._prove(market._match(index) == unsafe_sub(lane, energy))


@external
def prove_consumed_latest_match():
    """
    @notice `consume` takes what is named from the consumer's latest match, and never more than is left.
    @custom:bounds the consumer's latest match is the last one or the one before
    """
    market._any_market()
    consumer: address = halmos._any_account("consumer")
    energy: uint256 = halmos._any_word("energy")
    number: uint256 = market._number(consumer)
    counter: uint256 = market._field(128)
    halmos._assume(unsafe_sub(number, 1) < limits.MAX_METERS)
    halmos._assume(market._stored(layout.ADDRESSES + number) == convert(consumer, uint256))
    halmos._assume(counter >= 2)
    last: uint256 = market._match(unsafe_sub(counter, 1))
    former: uint256 = market._match(unsafe_sub(counter, 2))
    is_last: bool = last >> 32 & limits.MAX_METERS == number
    if not is_last:
        halmos._assume(former >> 32 & limits.MAX_METERS == number)

    data: Bytes[68] = abi_encode(consumer, energy, method_id=method_id("consume(address,int256)"))
    is_done: bool = market._call(consumer, data)
    if is_last:
        halmos._prove(is_done == (unsafe_sub(energy, 1) < last & ENERGY))
        halmos._prove(market._match(unsafe_sub(counter, 2)) == former)
        if is_done:
            halmos._prove(market._match(unsafe_sub(counter, 1)) == unsafe_sub(last, energy))
    else:
        halmos._prove(is_done == (unsafe_sub(energy, 1) < former & ENERGY))
        halmos._prove(market._match(unsafe_sub(counter, 1)) == last)
        if is_done:
            halmos._prove(market._match(unsafe_sub(counter, 2)) == unsafe_sub(former, energy))


@external
def prove_confirmed_word():
    """
    @notice `confirm_deliveries` of one word succeeds if and only if the operator sends it, its matches
            are kept and no lane is above what is left of its match; then each lane takes what it
            names, without borrowing from the next, and no other slot changes.
    @custom:bounds one word of any four lanes; any state
    """
    market._any_market()
    sender: address = halmos._any_account("sender")
    first: uint256 = halmos._any_word("first")
    word: uint256 = halmos._any_word("word")
    slot: uint256 = market._slot_of_match(first)
    before: uint256 = market._stored(slot)
    other: uint256 = halmos._any_word("other slot")
    halmos._assume(other != slot)
    before_other: uint256 = market._stored(other)
    is_good: bool = convert(sender, uint256) == market._operator() and first % 4 == 0 and self._is_kept(first)
    left: uint256 = before
    fits: uint256 = convert(word & ~packed_orders.ENERGIES == 0, uint256)
    for lane: uint256 in range(4):
        at: uint256 = lane << 6
        drawn: uint256 = word >> at & ENERGY
        fits &= convert(drawn <= before >> at & ENERGY, uint256)
        left = left & ~(ENERGY << at) | (unsafe_sub(before >> at & ENERGY, drawn) & ENERGY) << at

    words: DynArray[uint256, limits.BATCH_WORDS] = [word]
    data: Bytes[12672] = abi_encode(
        first, words, method_id=method_id("confirm_deliveries(uint256,uint256[])")
    )
    is_done: bool = market._call(sender, data)
    halmos._prove(is_done == (is_good and fits == 1))
    if is_done:
        halmos._prove(market._stored(slot) == left)
    else:
        halmos._prove(market._stored(slot) == before)
    halmos._prove(market._stored(other) == before_other)


@external
def prove_confirmed_matches():
    """
    @notice `confirm_matches` draws all that is left of the matches it names, keeps who they are of, and
            changes no other match.
    @custom:bounds 1 to 5 matches from any one on, so two words or fewer; any other match
    """
    market._any_market()
    first: uint256 = halmos._any_uint(32, "first")
    count: uint256 = halmos._any_uint(3, "count")
    index: uint256 = halmos._any_uint(32, "index")
    halmos._assume(count <= 5)
    lane: uint256 = market._match(index)
    halmos._assume(self._is_kept(index))

    data: Bytes[68] = abi_encode(first, count, method_id=method_id("confirm_matches(uint256,uint256)"))
    is_done: bool = market._call(convert(market._operator(), address), data)
    if is_done and unsafe_sub(index, first) < count:
        halmos._prove(market._match(index) == lane & ~ENERGY)
    else:
        halmos._prove(market._match(index) == lane)


@view
@internal
def _is_kept(index: uint256) -> bool:
    # The ring keeps 512 words up to the one begun last.
    counter: uint256 = market._field(128)
    return index < counter and unsafe_add(index >> 2, limits.MATCH_WORDS) >= unsafe_add(counter, 3) >> 2
