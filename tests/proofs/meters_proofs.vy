# pragma version 0.4.3
"""
@title meters_proofs
@license MIT
@author The energy-chain founders
@notice What the registry promises: a number is of one meter, forever.
"""

import halmos
import layout
import limits
import market


RETIRED: constant(uint256) = 2**17
NUMBERS: constant(uint256) = RETIRED | limits.MAX_METERS


@external
def prove_registered_numbers():
    """
    @notice Meters that are registered get the next numbers one after the other; no other meter's
            number changes, nor the address of any other number.
    @custom:bounds two meters that were never registered; any registry with room for both
    """
    market._any_market()
    meters: DynArray[address, limits.MAX_BATCH] = [halmos._any_account("meter"), halmos._any_account("meter")]
    count: uint256 = market._stored(layout.REGISTRY) >> 160 & limits.MAX_METERS
    halmos._assume(count <= limits.MAX_METERS - 2)
    for meter: address in meters:
        halmos._assume(meter != empty(address))
        halmos._assume(market._number(meter) == 0)
    halmos._assume(meters[0] != meters[1])
    other: address = halmos._any_account("other meter")
    other_number: uint256 = market._number(other)
    number: uint256 = halmos._any_uint(16, "other number")
    account: uint256 = market._stored(layout.ADDRESSES + number)

    data: Bytes[12672] = abi_encode(meters, method_id=method_id("register_meters(address[])"))
    is_done: bool = market._call(convert(market._stored(layout.OWNER), address), data)
    halmos._prove(is_done)
    for i: uint256 in range(2):
        halmos._prove(market._number(meters[i]) == count + 1 + i)
        halmos._prove(market._stored(layout.ADDRESSES + count + 1 + i) == convert(meters[i], uint256))
        halmos._assume(other != meters[i])
        halmos._assume(number != count + 1 + i)
    halmos._prove(market._stored(layout.REGISTRY) >> 160 & limits.MAX_METERS == count + 2)
    halmos._prove(market._number(other) == other_number)
    halmos._prove(market._stored(layout.ADDRESSES + number) == account)


@external
def prove_numbers_are_kept():
    """
    @notice Once a meter has a number it keeps it, retired, registered again or not, and a number that
            was given keeps its address.
    @custom:bounds any sender; any call but the six that post batches or match; arrays of 1
    """
    market._any_market()
    meter: address = halmos._any_account("meter")
    number: uint256 = market._number(meter)
    halmos._assume(number & limits.MAX_METERS != 0)
    halmos._assume(number | NUMBERS == NUMBERS)
    taken: uint256 = halmos._any_uint(16, "taken number")
    halmos._assume(taken <= market._stored(layout.REGISTRY) >> 160 & limits.MAX_METERS)
    account: uint256 = market._stored(layout.ADDRESSES + taken)

    market._call(halmos._any_account("sender"), market._any_call_but_of_loops())
    halmos._prove(market._number(meter) & limits.MAX_METERS == number & limits.MAX_METERS)
    halmos._prove(market._number(meter) | NUMBERS == NUMBERS)
    halmos._prove(market._stored(layout.ADDRESSES + taken) == account)
