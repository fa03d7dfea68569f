# pragma version 0.4.3
"""
@title views_proofs
@license MIT
@author The energy-chain founders
@notice What reading promises.
"""

import halmos
import layout
import limits
import market


@external
def prove_views_never_revert():
    """
    @notice No view reverts, whatever it is asked: there is an answer for what is not kept, never
            written or out of range.
    @custom:bounds any view and well-formed arguments; any state, those that search in it with two
            orders a side and two matches or fewer
    """
    market._any_market()
    for side: uint256 in [0, 64]:
        # The third invariant: what is filled of the head order never exceeds it.
        head: uint256 = market._field(side)
        order: uint256 = market._order(side << 2, head)
        halmos._assume(market._field(160 + side // 2) <= order & limits.MAX_ENERGY)
    data: Bytes[2048] = market._any_view()
    selector: bytes4 = market._selector(data)
    if selector in [
        method_id("request(address)", output_type=bytes4),
        method_id("release(address)", output_type=bytes4),
    ]:
        for side: uint256 in [0, 64]:
            halmos._assume(unsafe_sub(market._field(side + 32), market._field(side)) <= 2)
    if selector in [
        method_id("outgoingRelease(address)", output_type=bytes4),
        method_id("get_mapping_data(address)", output_type=bytes4),
        method_id("get_matching_value(address)", output_type=bytes4),
        method_id("matching(address)", output_type=bytes4),
        method_id("matches_of(address)", output_type=bytes4),
        method_id("matches_of(address,uint256)", output_type=bytes4),
    ]:
        halmos._assume(market._field(128) <= 2)
    if len(data) != 4:
        # Addresses of 160 bits: more is not well-formed, and Vyper refuses it.
        argument: uint256 = convert(slice(data, 4, 32), uint256)
        if selector not in [
            method_id("pending_requests(uint256)", output_type=bytes4),
            method_id("pending_release(uint256)", output_type=bytes4),
            method_id("match_at(uint256)", output_type=bytes4),
            method_id("meter_address(uint256)", output_type=bytes4),
        ]:
            halmos._assume(argument < 2**160)
    halmos._prove(market._call(halmos._any_account("sender"), data))
