# pragma version 0.4.3
"""
@title packed_orders
@license MIT
@author The energy-chain founders
@notice Stateless codec of the packed layout: an order or a match is a lane of
        64 bits, four lanes are a word. Python twin: `energy_chain/packing.py`.
@custom:lanes
           63           48 47           32 31                            0
          +---------------+---------------+-------------------------------+
  request |     meter     |  limit price  |          energy, Wh           |
          +---------------+---------------+-------------------------------+
  release |  limit price  |     meter     |          energy, Wh           |
          +---------------+---------------+-------------------------------+
  match   |   producer    |   consumer    |          energy, Wh           |
          +---------------+---------------+-------------------------------+
  A request keeps its meter where a match keeps the producer, a release where a
  match keeps the consumer: a match is an OR of the two and of the energy. The
  limit price is reserved and zero.
@custom:words
           255         192 191         128 127          64 63            0
          +---------------+---------------+---------------+---------------+
  orders  |    lane 3     |    lane 2     |    lane 1     |    lane 0     |
          +---------------+---------------+---------------+---------------+
  matches |    lane 0     |    lane 1     |    lane 2     |    lane 3     |
          +---------------+---------------+---------------+---------------+
  Orders are used up by shifting their word right, so lane 0 is lowest. Matches
  are added by shifting their word left, so lane 0 is highest. Lanes not in use
  are zero.
"""

import limits


EACH_LANE: constant(uint256) = 1 | 1 << 64 | 1 << 128 | 1 << 192
REQUEST_METER_AT: constant(uint256) = 48
RELEASE_METER_AT: constant(uint256) = 32
PRODUCER: constant(uint256) = limits.MAX_METERS << REQUEST_METER_AT
CONSUMER: constant(uint256) = limits.MAX_METERS << RELEASE_METER_AT

# The first producer, never zero, has reached the top of the word: four matches are in.
FULL_MATCH_WORD: constant(uint256) = 1 << 240

# For checks of four lanes at once: a field of every lane, and the bit above the field.
ENERGIES: constant(uint256) = limits.MAX_ENERGY * EACH_LANE
METERS_AT: constant(uint256) = 16
METERS: constant(uint256) = (limits.MAX_METERS << METERS_AT) * EACH_LANE
GUARDS: constant(uint256) = (1 << limits.ENERGY_BITS) * EACH_LANE


@pure
@internal
def _lanes(word: uint256) -> uint256:
    """
    @dev Lanes of `word` up to its highest one that is not zero, 0 to 4.
    """
    if word >> 192 != 0:
        return 4
    if word >> 128 != 0:
        return 3
    if word >> 64 != 0:
        return 2
    return convert(word != 0, uint256)


@pure
@internal
def _first_lanes(count: uint256) -> uint256:
    """
    @dev The guards of the lowest `count` lanes, 1 to 4.
    """
    return GUARDS >> (unsafe_sub(4, count) << 6)  # count <= 4


@pure
@internal
def _match_shift(index: uint256) -> uint256:
    """
    @dev Bits to shift a word of matches right to bring match `index` to its low end.
    """
    return unsafe_sub(192, (index & 3) << 6)  # (index & 3) << 6 <= 192
