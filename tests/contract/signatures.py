"""Signed orders as the contract tests write them: the packed terms, r, and s with its parity.

The digest is put together here from the text of EIP-712, not by `energy_chain.signing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from tests.brownie import Contract

Signed: TypeAlias = tuple[int, int, int]

PERIOD = 900
REQUEST, RELEASE = 0, 1
EARLY_AT, KIND_AT = 64, 96
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
ORDER_TYPE = "Order(uint8 kind,uint32 energy,uint16 limitPrice,uint32 period,uint64 deadline)"
ORDER_FIELDS = ["bytes32", "uint256", "uint256", "uint256", "uint256", "uint256"]
MAX_SIGNED = 100


@dataclass(frozen=True)
class Signer:
    """Signs orders for a market, by meters whose keys are small numbers.

    Attributes:
        market: whose orders these are.
        chain_id: of the domain; the market's own unless a test says otherwise.
        contract: of the domain, likewise.
    """

    market: Contract
    chain_id: int
    contract: str

    @classmethod
    def of(cls, market: Contract) -> Signer:
        return cls(market, market.chain._backend.chain.chain_id, market.address)

    def elsewhere(self, **other: object) -> Signer:
        """Signs for another chain or contract."""
        return replace(self, **other)

    def period(self) -> int:
        return self.market.chain.time() // PERIOD

    def order(
        self,
        meter: str,
        kind: int,
        energy: int,
        *,
        early: int = 0,
        price: int = 0,
        period: int | None = None,
        junk: int = 0,
    ) -> Signed:
        """An order of the current period; `junk` are bits of its terms that are not signed."""
        period = self.period() if period is None else period
        terms = energy | price << 48 | early << EARLY_AT | kind << KIND_AT | junk
        digest = self.digest(kind, energy, price, period, (period + 1) * PERIOD - early)
        return terms, *self.sign(meter, digest)

    def digest(self, kind: int, energy: int, price: int, period: int, deadline: int) -> bytes:
        fields = [keccak(text=ORDER_TYPE), kind, energy, price, period, deadline % 2**256]
        order = keccak(encode(ORDER_FIELDS, fields))
        return keccak(b"\x19\x01" + self.separator() + order)

    def separator(self) -> bytes:
        names = keccak(text="EnergyChain"), keccak(text="1")
        domain = [keccak(text=DOMAIN_TYPE), *names, self.chain_id, self.contract]
        return keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], domain))

    def sign(self, meter: str, digest: bytes) -> tuple[int, int]:
        signature = keys()[meter].sign_msg_hash(digest)
        return signature.r, signature.s | signature.v << 255


@cache
def keys() -> dict[str, PrivateKey]:
    """The keys of the test chain's accounts, and of some that own no ether."""
    private = [PrivateKey(n.to_bytes(32, "big")) for n in range(1, 141)]
    return {key.public_key.to_checksum_address(): key for key in private}


def penniless(count: int) -> list[str]:
    """Addresses with a key and no ether."""
    return list(keys())[20 : 20 + count]
