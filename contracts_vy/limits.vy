# pragma version 0.4.3
"""
@title limits
@license MIT
@author The energy-chain founders
@notice Widths, masks and capacities of the market. Every other number of the
        packed layout is derived from the ones written here.
"""

# One lane is one order or one match. Four lanes are one storage word.
LANE_BITS: constant(uint256) = 64
LANES_PER_WORD: constant(uint256) = 4
ENERGY_BITS: constant(uint256) = 32
METER_BITS: constant(uint256) = 16

MAX_ENERGY: constant(uint256) = 2**ENERGY_BITS - 1  # Wh in one order
MAX_METERS: constant(uint256) = 2**METER_BITS - 1  # meter numbers 1..65,535
MAX_COUNTER: constant(uint256) = 2**32 - 1  # orders a side, and matches, in the contract's life

CAPACITY: constant(uint256) = 1024  # orders in each ring of pending orders
WORDS: constant(uint256) = CAPACITY // LANES_PER_WORD
MATCH_CAPACITY: constant(uint256) = 2 * CAPACITY  # matches kept for consumption
MATCH_WORDS: constant(uint256) = MATCH_CAPACITY // LANES_PER_WORD

# Past about 128 lanes a call the fixed cost is spread thin, and a full batch
# still fits a 30 M gas block even when every slot is written for the first time.
MAX_BATCH: constant(uint256) = 256  # lanes in one call
BATCH_WORDS: constant(uint256) = MAX_BATCH // LANES_PER_WORD

MIN_PERIOD_LENGTH: constant(uint256) = 60  # s; keeps the period number within 31 bits
MAX_PERIOD_LENGTH: constant(uint256) = 366 * 86400  # s
DEFAULT_PERIOD_LENGTH: constant(uint256) = 900  # s

MAX_SIGNED: constant(uint256) = 100  # signed orders in one call
SIGNED_BATCH_WORDS: constant(uint256) = MAX_SIGNED // LANES_PER_WORD + 1  # they may begin inside a word
PAGE_METERS: constant(uint256) = 224  # one bit a meter, below the 32 bits of the period
SIGNED_PAGES: constant(uint256) = 2 * (MAX_METERS // PAGE_METERS + 1)  # of either kind
