# pragma version 0.4.3
"""
@title roles_proofs
@license MIT
@author The energy-chain founders
@notice Who may change what.
"""

import halmos
import layout
import limits
import market


@external
def prove_a_stranger_changes_nothing():
    """
    @notice Without a role and never a meter, an account changes no slot by any call but the two that
            anyone may make.
    @custom:bounds any call but match_pending and post_signed; arrays of 1; consume with 2 matches or fewer
    """
    market._any_market()
    sender: address = halmos._any_account("sender")
    account: uint256 = convert(sender, uint256)
    for role: uint256 in [layout.OWNER, layout.PENDING_OWNER, layout.AGGREGATOR]:
        halmos._assume(account != market._stored(role))
    halmos._assume(account != market._operator())
    halmos._assume(market._number(sender) == 0)

    data: Bytes[2048] = market._any_call()
    selector: bytes4 = market._selector(data)
    halmos._assume(selector != method_id("match_pending(uint256)", output_type=bytes4))
    halmos._assume(
        selector != method_id("post_signed(uint256,(uint256,uint256,uint256)[],bool)", output_type=bytes4)
    )
    if selector == method_id("consume(address,int256)", output_type=bytes4):
        halmos._assume(market._field(128) <= 2)
    if selector == method_id("consume(address,int256)", output_type=bytes4) or selector == method_id("consume_match(uint256,int256)", output_type=bytes4):
        # `addresses` holds meters only, so it does not hold the sender.
        named: uint256 = convert(slice(data, 4, 32), uint256)
        for number: uint256 in [
            market._number(convert(named & (2**160 - 1), address)),
            market._match(named) >> 32
        ]:
            halmos._assume(market._stored(layout.ADDRESSES + (number & limits.MAX_METERS)) != account)

    slot: uint256 = halmos._any_word("slot")
    meter: address = halmos._any_account("meter")
    word: uint256 = market._stored(slot)
    number: uint256 = market._number(meter)
    market._call(sender, data)
    halmos._prove(market._stored(slot) == word)
    halmos._prove(market._number(meter) == number)


@external
def prove_roles_pass_on_by_consent_only():
    """
    @notice The owner changes only by the pending owner's acceptance, to that account; the other roles
            only by the owner's call.
    @custom:bounds any call but the six that post batches or match; arrays of 1
    """
    market._any_market()
    sender: address = halmos._any_account("sender")
    account: uint256 = convert(sender, uint256)
    data: Bytes[2048] = market._any_call_but_of_loops()
    owner: uint256 = market._stored(layout.OWNER)
    pending_owner: uint256 = market._stored(layout.PENDING_OWNER)
    aggregator: uint256 = market._stored(layout.AGGREGATOR)
    operator: uint256 = market._operator()

    market._call(sender, data)
    if market._selector(data) == method_id("accept_ownership()", output_type=bytes4):
        if account == pending_owner:
            halmos._prove(market._stored(layout.OWNER) == account)
            halmos._prove(market._stored(layout.PENDING_OWNER) == 0)
            return
    halmos._prove(market._stored(layout.OWNER) == owner)
    halmos._assume(account != owner)
    halmos._prove(market._stored(layout.PENDING_OWNER) == pending_owner)
    halmos._prove(market._stored(layout.AGGREGATOR) == aggregator)
    halmos._prove(market._operator() == operator)


@external
def prove_counters_never_fall():
    """
    @notice Tails and the match counter never fall, heads neither, and no head passes its tail.
    @custom:bounds any call but the six that post batches or match; arrays of 1
    """
    market._any_market()
    before: uint256 = market._stored(layout.STATE)
    market._call(halmos._any_account("sender"), market._any_call_but_of_loops())
    after: uint256 = market._stored(layout.STATE)
    for at: uint256 in [0, 32, 64, 96, 128]:
        halmos._prove(after >> at & market.FIELD >= before >> at & market.FIELD)
    for side: uint256 in [0, 64]:
        halmos._prove(after >> side & market.FIELD <= after >> side >> 32 & market.FIELD)
