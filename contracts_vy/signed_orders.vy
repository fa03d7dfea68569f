# pragma version 0.4.3
"""
@title signed_orders
@license MIT
@author The energy-chain founders
@notice Stateless codec of orders that meters sign off chain: EIP-712 typed data with a compact
        signature (ERC-2098). Python twin: `energy_chain/signing.py`.
@custom:terms
   255       97 96   95      64 63         48 47    32 31          0
  +-----------+----+----------+-------------+--------+-------------+
  |     0     |kind|  early   | limit price |   0    | energy, Wh  |
  +-----------+----+----------+-------------+--------+-------------+
  Kind is 0 for a request, 1 for a release. Early is how many seconds before the
  end of its period an order's deadline is: the last block time at which it may be
  posted. The limit price is reserved and zero. The meter is known by the signature.
@custom:signature
  r, then s with the parity of the signature's point in its highest bit. There is
  thus no v to be wrong; an s above half the curve's order is refused (EIP-2).
"""

import limits


REQUEST: constant(uint256) = 0
RELEASE: constant(uint256) = 1

EARLY_AT: constant(uint256) = limits.LANE_BITS
KIND_AT: constant(uint256) = EARLY_AT + 32
PRICE: constant(uint256) = (2**16 - 1) << (limits.ENERGY_BITS + limits.METER_BITS)
UNUSED: constant(uint256) = ~(2 ** (KIND_AT + 1) - 1) | limits.MAX_METERS << limits.ENERGY_BITS

S: constant(uint256) = 2**255 - 1
CURVE_ORDER: constant(uint256) = 115792089237316195423570985008687907852837564279074904382605163141518161494337
HIGHEST_S: constant(uint256) = CURVE_ORDER // 2

DOMAIN_NAME: constant(String[11]) = "EnergyChain"
DOMAIN_VERSION: constant(String[1]) = "1"
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
ORDER_TYPE: constant(bytes32) = keccak256(
    "Order(uint8 kind,uint32 energy,uint16 limitPrice,uint32 period,uint64 deadline)"
)
PREFIX: constant(bytes2) = 0x1901


@view
@internal
def _domain() -> bytes32:
    """
    @dev The domain separator of this contract on this chain.
    """
    return keccak256(
        abi_encode(DOMAIN_TYPE, keccak256(DOMAIN_NAME), keccak256(DOMAIN_VERSION), chain.id, self)
    )
