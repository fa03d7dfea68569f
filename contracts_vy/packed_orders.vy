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
  order   |  limit price  |     meter     |          energy, Wh           |
          +---------------+---------------+-------------------------------+
  match   |   producer    |   consumer    |          energy, Wh           |
          +---------------+---------------+-------------------------------+
  A release keeps its meter where a match keeps the consumer, and a request its
  meter one shift below the producer. The limit price is reserved and zero.
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
METER_AT: constant(uint256) = limits.ENERGY_BITS
PRODUCER_AT: constant(uint256) = METER_AT + limits.METER_BITS
METER: constant(uint256) = limits.MAX_METERS << METER_AT

# The first producer, never zero, has reached the top of the word: four matches are in.
FULL_MATCH_WORD: constant(uint256) = 1 << 240

# For checks of four lanes at once: a field of every lane, and the bit above every meter.
ENERGIES: constant(uint256) = limits.MAX_ENERGY * EACH_LANE
METERS: constant(uint256) = METER * EACH_LANE
PRICES: constant(uint256) = METERS << limits.METER_BITS
GUARDS: constant(uint256) = (1 << PRODUCER_AT) * EACH_LANE


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
def _first_guards(count: uint256) -> uint256:
    """
    @dev The guards of the lowest `count` lanes, 1 to 4.
    """
    return GUARDS >> (unsafe_sub(4, count) << 6)  # count <= 4


@pure
@internal
def _highest_order(meter: uint256) -> uint256:
    """
    @dev In every lane the largest order of the highest meter, and the guard above it.
    """
    return unsafe_mul(meter, EACH_LANE << METER_AT) | ENERGIES | GUARDS  # meter < 2**16


@pure
@internal
def _match_shift(index: uint256) -> uint256:
    """
    @dev Bits to shift a word of matches right to bring match `index` to its low end.
    """
    return unsafe_sub(192, (index & 3) << 6)  # (index & 3) << 6 <= 192
