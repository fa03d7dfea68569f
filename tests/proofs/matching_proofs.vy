# pragma version 0.4.3
"""
@title matching_proofs
@license MIT
@author The energy-chain founders
@notice What the matching loops write, against first come, first served as one would say it.
"""

import halmos
import layout
import limits
import market
import packed_orders


# Two orders a side from certain lanes on, and the match counter at a certain lane.
struct Scene:
    requests: market.Queue
    releases: market.Queue
    first: uint256


@external
def prove_one_match():
    """
    @notice `match_pending` of one pairs the head orders over the smaller of what is left of them,
            dequeues what is used up, and changes no slot but the state and the word of its match.
    @custom:bounds two orders a side, of any energies and meters; request in any of the lanes, release
            and match in another
    """
    lane: uint256 = self._any_lane()
    self._prove_matching(self._scene(lane, lane ^ 1, lane ^ 2), 1)


@external
def prove_two_matches():
    """
    @notice `match_pending` of two writes what pairing one by one by hand writes: every match takes its
            energy from both heads, no order gives more than it is, and no head passes its tail.
    @custom:bounds two orders a side, of any energies and meters; all within a word, and all across two
    """
    if halmos._any_bool("within a word"):
        self._prove_matching(self._scene(1, 0, 2), 2)
    else:
        self._prove_matching(self._scene(3, 3, 3), 2)


@internal
def _prove_matching(scene: Scene, count: uint256):
    slot: uint256 = self._any_other_slot(scene.first)
    word: uint256 = market._stored(slot)
    data: Bytes[36] = abi_encode(count, method_id=method_id("match_pending(uint256)"))
    halmos._prove(market._call(halmos._any_account("sender"), data))
    self._prove_as_by_hand(scene, count, slot, word)


@internal
def _any_other_slot(first: uint256) -> uint256:
    # Than those that matching writes.
    slot: uint256 = halmos._any_word("other slot")
    halmos._assume(slot != layout.STATE)
    halmos._assume(slot != market._slot_of_match(first))
    halmos._assume(slot != market._slot_of_match(unsafe_add(first, 2)))
    return slot


@internal
def _any_lane() -> uint256:
    # One path for each: shifts by what is not known are what provers are slowest at.
    lane: uint256 = halmos._any_uint(2, "lane")
    for known: uint256 in range(3):
        if lane == known:
            return known
    return 3


@internal
def _scene(request_lane: uint256, release_lane: uint256, match_lane: uint256) -> Scene:
    market._any_open_market()
    scene: Scene = Scene(
        requests=market._any_queue(0, request_lane),
        releases=market._any_queue(limits.WORDS, release_lane),
        first=limits.MATCH_CAPACITY - 4 + match_lane,
    )
    market._store(layout.STATE, self._state(scene.requests, scene.releases, scene.first))
    if match_lane != 0:
        # The first match of a word has a producer, and lanes not in use are zero.
        matched: uint256 = market._stored(market._slot_of_match(scene.first))
        halmos._assume(matched >> 240 != 0)
        halmos._assume(matched << (match_lane << 6) == 0)
    return scene


@view
@internal
def _state(requests: market.Queue, releases: market.Queue, matches: uint256) -> uint256:
    return (
        requests.head
        | requests.tail << 32
        | releases.head << 64
        | releases.tail << 96
        | matches << 128
        | requests.filled << 160
        | releases.filled << 192
        | market._period() << 224
    )


@internal
def _prove_as_by_hand(
    scene: Scene, count: uint256, slot: uint256, word: uint256
):
    requests: market.Queue = scene.requests
    releases: market.Queue = scene.releases
    index: uint256 = scene.first
    i: uint256 = 0
    j: uint256 = 0
    for turn: uint256 in range(count, bound=3):
        if requests.head == requests.tail or releases.head == releases.tail:
            break
        offered: uint256 = unsafe_sub(requests.energies[i], requests.filled)
        needed: uint256 = unsafe_sub(releases.energies[j], releases.filled)
        energy: uint256 = offered
        if needed < energy:
            energy = needed
        pair: uint256 = requests.meters[i] << 48 | releases.meters[j] << 32
        halmos._prove(market._match(index) == pair | energy)
        index = unsafe_add(index, 1)
        if energy == offered:
            i += 1
            requests.head = unsafe_add(requests.head, 1)
            requests.filled = 0
        else:
            requests.filled = unsafe_add(requests.filled, energy)
        if energy == needed:
            j += 1
            releases.head = unsafe_add(releases.head, 1)
            releases.filled = 0
        else:
            releases.filled = unsafe_add(releases.filled, energy)

    halmos._prove(market._stored(layout.STATE) == self._state(requests, releases, index))
    halmos._prove(market._stored(slot) == word)
