# pragma version 0.4.3
"""
@title market
@license MIT
@author The energy-chain founders
@notice The market that is proved about: the contract as it is deployed, in any state that its
        invariants allow. What a proof needs of them beyond the counters it assumes by itself.
"""

import halmos
import limits
import packed_orders
import layout
from interfaces import IEnergyContract


PERIOD_LENGTH: constant(uint256) = 900
NOW: constant(uint256) = 1_800_000_000

FIELD: constant(uint256) = 2**32 - 1
PAUSED: constant(uint256) = 1 << 255

# Any account that nothing else stands at.
AT: constant(address) = 0x1000000000000000000000000000000000000001
CONTRACT: constant(IEnergyContract) = IEnergyContract(AT)


# Two orders from a lane of a ring's last word on, with any energies and meters, and the Wh filled
# of the first.
struct Queue:
    head: uint256
    tail: uint256
    energies: uint256[2]
    meters: uint256[2]
    filled: uint256


# ------------------------------------------------------------------ storage

@view
@internal
def _stored(slot: uint256) -> uint256:
    return staticcall halmos.vm.load(AT, convert(slot, bytes32))


@internal
def _store(slot: uint256, word: uint256):
    extcall halmos.vm.store(AT, convert(slot, bytes32), convert(word, bytes32))


@pure
@internal
def _slot_of_number(meter: address) -> uint256:
    return convert(keccak256(abi_encode(layout.NUMBERS, meter)), uint256)


@view
@internal
def _number(meter: address) -> uint256:
    return self._stored(self._slot_of_number(meter))


@view
@internal
def _operator() -> uint256:
    return self._stored(layout.REGISTRY) & (2**160 - 1)


@view
@internal
def _field(at: uint256) -> uint256:
    return self._stored(layout.STATE) >> at & FIELD


@pure
@internal
def _slot_of_order(ring: uint256, counter: uint256) -> uint256:
    return layout.PENDING + ring + (counter >> 2 & (limits.WORDS - 1))


@view
@internal
def _order(ring: uint256, counter: uint256) -> uint256:
    return self._stored(self._slot_of_order(ring, counter)) >> ((counter & 3) << 6) & (2**64 - 1)


@pure
@internal
def _slot_of_match(index: uint256) -> uint256:
    return layout.MATCHES + (index >> 2 & (limits.MATCH_WORDS - 1))


@view
@internal
def _match(index: uint256) -> uint256:
    return self._stored(self._slot_of_match(index)) >> packed_orders._match_shift(index) & (2**64 - 1)


# ------------------------------------------------------------------ states

@internal
def _any_market():
    self._deploy()
    extcall halmos.vm.warp(halmos._any_uint(64, "timestamp"))
    halmos._assume(self._period() < 2**31)
    self._assume_words()


@internal
def _any_open_market():
    # Of the period that it is. When that is makes no difference, and a division fewer.
    self._deploy()
    extcall halmos.vm.warp(NOW)
    self._store(layout.STATE, halmos._any_uint(224, "state") | self._period() << 224)
    self._assume_words()


@internal
def _deploy():
    # As it is after its constructor, but for the storage: any word in any slot.
    code: Bytes[24576] = staticcall halmos.vm.getCode("EnergyContract.sol:EnergyContract")
    deployed: address = raw_create(code, self, self, PERIOD_LENGTH)
    extcall halmos.vm.etch(AT, slice(deployed.code, 0, layout.CODE_SIZE))
    extcall halmos.svm.enableSymbolicStorage(AT)


@internal
def _assume_words():
    for slot: uint256 in [layout.OWNER, layout.PENDING_OWNER, layout.AGGREGATOR]:
        halmos._assume(self._stored(slot) < 2**160)
    registry: uint256 = self._stored(layout.REGISTRY)
    halmos._assume(registry < 2**192)
    halmos._assume(registry >> 176 <= registry >> 160 & limits.MAX_METERS)
    for side: uint256 in [0, 64]:
        head: uint256 = self._field(side)
        tail: uint256 = self._field(side + 32)
        halmos._assume(head <= tail)
        halmos._assume(unsafe_sub(tail, head & (FIELD - 3)) <= limits.CAPACITY)


@view
@internal
def _period() -> uint256:
    return staticcall CONTRACT.current_period()


@internal
def _any_queue(ring: uint256, lane: uint256) -> Queue:
    queue: Queue = empty(Queue)
    queue.head = limits.CAPACITY - 4 + lane
    queue.tail = queue.head + 2
    first: uint256 = halmos._any_word("dequeued") & ((1 << (lane << 6)) - 1)
    second: uint256 = 0
    for i: uint256 in range(2):
        queue.energies[i] = halmos._any_uint(32, "energy")
        queue.meters[i] = halmos._any_uint(16, "meter")
        halmos._assume(queue.energies[i] != 0)
        halmos._assume(queue.meters[i] != 0)
        order: uint256 = queue.meters[i] << packed_orders.METER_AT | queue.energies[i]
        if lane + i < 4:
            first |= order << ((lane + i) << 6)
        else:
            second |= order
    queue.filled = halmos._any_uint(32, "filled")
    halmos._assume(queue.filled < queue.energies[0])
    self._store(self._slot_of_order(ring, queue.head), first)
    if second != 0:
        self._store(self._slot_of_order(ring, queue.head + 1), second)
    return queue


# ------------------------------------------------------------------ calls

@internal
def _any_call() -> Bytes[2048]:
    data: Bytes[2048] = extcall halmos.svm.createCalldata("EnergyContract", False)
    self._assume_function(data)
    return data


@internal
def _any_call_but_of_loops() -> Bytes[2048]:
    # Those that post batches or match, whose loops have proofs of their own.
    data: Bytes[2048] = self._any_call()
    for loop: bytes4 in [
        method_id("post_requests(uint256[])", output_type=bytes4),
        method_id("post_releases(uint256[])", output_type=bytes4),
        method_id("post_and_match(uint256[],uint256[],uint256)", output_type=bytes4),
        method_id("match_pending(uint256)", output_type=bytes4),
        method_id("doMatching(int256)", output_type=bytes4),
        method_id("post_signed(uint256,(uint256,uint256,uint256)[],bool)", output_type=bytes4),
    ]:
        halmos._assume(self._selector(data) != loop)
    if self._selector(data) == method_id("consume(address,int256)", output_type=bytes4):
        halmos._assume(self._field(128) <= 2)
    if self._selector(data) == method_id("confirm_matches(uint256,uint256)", output_type=bytes4):
        halmos._assume(convert(slice(data, 36, 32), uint256) <= 4)
    return data


@internal
def _any_view() -> Bytes[2048]:
    data: Bytes[2048] = extcall halmos.svm.createCalldata("EnergyContractViews", True)
    self._assume_function(data)
    return data


@internal
def _assume_function(data: Bytes[2048]):
    # The jump table that finds a function by its selector cannot be run with any selector at once.
    halmos._assume(len(data) != 0)
    halmos._assume(len(data) != 4 + 1024)


@pure
@internal
def _selector(data: Bytes[2048]) -> bytes4:
    return convert(slice(data, 0, 4), bytes4)


@internal
def _call(sender: address, data: Bytes[12672]) -> bool:
    extcall halmos.vm.prank(sender)
    return raw_call(AT, data, revert_on_failure=False)
