"""Orders that meters sign off chain: EIP-712 typed data, and its form in a call.

Python twin of `contracts_vy/signed_orders.vy`, where the layout is drawn. Signing
takes a meter's key and nothing of a chain but its id and the contract's address:

    domain = OrderDomain(chain_id=1337, contract="0x…")
    terms = OrderTerms(Kind.REQUEST, energy=1500, period=1_977_777, deadline=1_780_000_200)
    signed = sign(terms, domain, key)
    signer_of(signed, domain)  # the meter's address

Between a meter and whoever posts for it, an order travels as JSON: `OrderDocument`.

Energies are whole Wh, times Unix seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from energy_chain.errors import InvalidInput
from energy_chain.market import DEFAULT_PERIOD_LENGTH, MAX_ENERGY, MAX_SIGNED, Address

EARLY_AT = 64
"""Where the packed terms keep the seconds from the deadline to the end of the period."""
KIND_AT = 96
PRICE_AT = 48
MAX_EARLY = 2**32 - 1
MAX_PRICE = 2**16 - 1
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1 (SEC 2, section 2.4.1)."""
HIGHEST_S = CURVE_ORDER // 2
"""The largest s of a signature that is good (EIP-2)."""

MAX_DOCUMENT = 10_000
"""Bytes of an order as JSON; one that is whole has about 500."""

_PARITY = 1 << 255
_FIELDS = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Order": [
        {"name": "kind", "type": "uint8"},
        {"name": "energy", "type": "uint32"},
        {"name": "limitPrice", "type": "uint16"},
        {"name": "period", "type": "uint32"},
        {"name": "deadline", "type": "uint64"},
    ],
}


class Kind(IntEnum):
    """Which side of the market an order is of."""

    REQUEST = 0
    RELEASE = 1


@dataclass(frozen=True, slots=True)
class OrderDomain:
    """What a signature is good for: one contract on one chain."""

    chain_id: int
    contract: Address

    def __post_init__(self) -> None:
        """Refuses what is no chain or no address.

        Raises:
            InvalidInput: one of them is not.
        """
        if type(self.chain_id) is not int or not 0 <= self.chain_id < 2**256:
            raise InvalidInput(f"chain id {self.chain_id!r} is no number of a chain: give an int")
        if not re.fullmatch("0x[0-9a-fA-F]{40}", self.contract):
            raise InvalidInput(
                f"{self.contract!r} is no contract's address: give 0x and 40 hexadecimal digits"
            )


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What a meter signs.

    Attributes:
        kind: request or release.
        energy: Wh, 1..4,294,967,295.
        period: the delivery period; Unix time // 900 in a market whose orders never expire.
        deadline: Unix time of the last block in which the order may be posted.
        limit_price: reserved, zero.
    """

    kind: Kind
    energy: int
    period: int
    deadline: int
    limit_price: int = 0

    def __post_init__(self) -> None:
        """Refuses what the fields of the typed data cannot hold.

        Raises:
            InvalidInput: a field is out of range.
        """
        for name, largest in (
            ("energy", MAX_ENERGY),
            ("period", 2**32 - 1),
            ("deadline", 2**64 - 1),
            ("limit_price", MAX_PRICE),
        ):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= largest:
                raise InvalidInput(
                    f"{name.replace('_', ' ')} {value!r} of an order to sign is out of range: "
                    f"give an int in 0..{largest}"
                )


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order and its compact signature (ERC-2098).

    Attributes:
        terms: what was signed.
        r: of the signature.
        vs: s, with the parity of the signature's point in bit 255.
    """

    terms: OrderTerms
    r: int
    vs: int

    @property
    def s(self) -> int:
        """The signature's s alone."""
        return self.vs % _PARITY

    @property
    def signature(self) -> str:
        """The signature as 0x and 128 hexadecimal digits."""
        return f"0x{self.r:064x}{self.vs:064x}"

    @classmethod
    def from_signature(cls, terms: OrderTerms, signature: str) -> SignedOrder:
        """An order with a signature of 64 bytes (ERC-2098), or of 65 with v at its end.

        Raises:
            InvalidInput: it is neither.
        """
        digits = signature.removeprefix("0x")
        try:
            raw = bytes.fromhex(digits)
        except ValueError:
            raw = b""
        if len(digits) != 2 * len(raw) or len(raw) not in (64, 65):
            raise InvalidInput(
                "the signature is not 64 or 65 bytes: give 0x and 128 or 130 hexadecimal digits"
            )
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        if len(raw) == 64:
            return cls(terms, r, s)
        if raw[64] not in (27, 28) or s >= _PARITY:
            raise InvalidInput(
                f"the signature's last byte is {raw[64]} and its s {s:#x}: "
                "v is 27 or 28 and s below 2**255"
            )
        return cls(terms, r, s | (raw[64] - 27) * _PARITY)


def signing_length(period_length: int) -> int:
    """Seconds of the period that an order is signed for in a market of that period length."""
    return period_length or DEFAULT_PERIOD_LENGTH


def typed_data(terms: OrderTerms, domain: OrderDomain) -> dict[str, Any]:
    """The EIP-712 message of an order, as `eth_signTypedData_v4` and wallets take it."""
    return {
        "types": {name: list(fields) for name, fields in _FIELDS.items()},
        "primaryType": "Order",
        "domain": {
            "name": "EnergyChain",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.contract,
        },
        "message": {
            "kind": int(terms.kind),
            "energy": terms.energy,
            "limitPrice": terms.limit_price,
            "period": terms.period,
            "deadline": terms.deadline,
        },
    }


def digest(terms: OrderTerms, domain: OrderDomain) -> bytes:
    """The 32 bytes that a meter's key signs (EIP-712)."""
    from eth_account.messages import encode_typed_data
    from eth_utils.crypto import keccak

    message = encode_typed_data(full_message=typed_data(terms, domain))
    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


def sign(terms: OrderTerms, domain: OrderDomain, key: str | bytes) -> SignedOrder:
    """Signs an order with a meter's private key.

    Args:
        terms: what the meter offers or needs.
        domain: the market it is for.
        key: 32 bytes, or as 0x and 64 hexadecimal digits.

    Raises:
        InvalidInput: that is no private key.
    """
    from eth_account import Account
    from eth_utils.exceptions import ValidationError

    signing_hash = digest(terms, domain)
    try:
        signed = Account.unsafe_sign_hash(signing_hash, key)
    except (ValueError, ValidationError) as error:
        # Not `from error`: its text may repeat the key.
        raise InvalidInput(
            f"that is no private key ({type(error).__name__}): give 32 bytes in hexadecimal"
        ) from None
    return SignedOrder(terms, signed.r, signed.s | (signed.v - 27) * _PARITY)


def signer_of(signed: SignedOrder, domain: OrderDomain) -> Address | None:
    """Who signed an order for a market; None when the signature is of nobody, or its s is high.

    Whoever alters an order gets another address, which is hardly ever a meter's.
    """
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    if signed.s > HIGHEST_S:
        return None
    try:
        signature = Signature(vrs=(signed.vs // _PARITY, signed.r, signed.s))
        key = signature.recover_public_key_from_msg_hash(digest(signed.terms, domain))
    except (BadSignature, ValidationError):
        return None
    return str(key.to_checksum_address())


def pack_signed(signed: SignedOrder, period_ends: int) -> tuple[int, int, int]:
    """Terms, r and vs of an order as the contract takes them.

    Args:
        signed: the order.
        period_ends: Unix time of the end of its period.

    Raises:
        InvalidInput: the deadline is after that, or 136 years before it.
    """
    terms = signed.terms
    early = period_ends - terms.deadline
    if not 0 <= early <= MAX_EARLY:
        raise InvalidInput(
            f"deadline {terms.deadline} of an order for period {terms.period} is not in the "
            f"period: give at most {period_ends}, when it ends"
        )
    packed = terms.kind << KIND_AT | early << EARLY_AT | terms.limit_price << PRICE_AT
    return packed | terms.energy, signed.r, signed.vs


def period_of(orders: Sequence[SignedOrder]) -> int:
    """The period that all of the orders are signed for; 0 when there are none.

    Raises:
        InvalidInput: they are of several, or more than 100.
    """
    if len(orders) > MAX_SIGNED:
        raise InvalidInput(
            f"a batch of {len(orders)} signed orders is too large: give at most {MAX_SIGNED}"
        )
    periods = sorted({order.terms.period for order in orders})
    if len(periods) > 1:
        raise InvalidInput(
            f"the orders are of periods {periods[0]} to {periods[-1]}: post each period by itself"
        )
    return periods[0] if periods else 0


_INTEGERS = {
    "energy_wh": (0, MAX_ENERGY),
    "limit_price": (0, MAX_PRICE),
    "period": (0, 2**32 - 1),
    "deadline": (0, 2**64 - 1),
    "chain_id": (1, 2**256 - 1),
}
"""The smallest and the largest of each integer of an order as JSON."""
_REQUIRED = ("kind", *_INTEGERS, "contract", "signature")


@dataclass(frozen=True, slots=True)
class OrderDocument:
    """A signed order with all that it takes to check and to post it: what travels as JSON.

    Attributes:
        signed: the order and its signature.
        domain: the market it was signed for.
        meter: who is said to have signed; `signer` is who did. None when nobody says it.
    """

    signed: SignedOrder
    domain: OrderDomain
    meter: Address | None = None

    @property
    def signer(self) -> Address | None:
        """Who signed, as `signer_of`."""
        return signer_of(self.signed, self.domain)

    def to_json(self) -> dict[str, Any]:
        """The fields of the JSON object; `meter` is left out when it is not known."""
        terms = self.signed.terms
        fields: dict[str, Any] = {
            "kind": terms.kind.name.lower(),
            "energy_wh": terms.energy,
            "limit_price": terms.limit_price,
            "period": terms.period,
            "deadline": terms.deadline,
            "chain_id": self.domain.chain_id,
            "contract": self.domain.contract,
        }
        if self.meter is not None:
            fields["meter"] = self.meter
        return {**fields, "signature": self.signed.signature}

    @classmethod
    def from_json(cls, value: Any) -> OrderDocument:
        """The order of a JSON value, strictly: each field once, of its type, and no other field.

        The signature is not checked: see `signer`.

        Raises:
            InvalidInput: it is no such object; the message names the field and the remedy.
        """
        from energy_chain.chain.addresses import parse_address, shown

        if not isinstance(value, dict):
            raise InvalidInput(
                f"a signed order is a JSON object, not {shown(value)}: give one with the fields "
                f"{', '.join(_REQUIRED)}"
            )
        for field in _REQUIRED:
            if field not in value:
                raise InvalidInput(f"the signed order has no {field}: give it as it was signed")
        for field in value:
            if field not in (*_REQUIRED, "meter"):
                raise InvalidInput(
                    f"a signed order has no field {shown(field)}: leave it out; "
                    f"the fields are {', '.join(_REQUIRED)} and meter"
                )
        for field, (least, largest) in _INTEGERS.items():
            number = value[field]
            if type(number) is not int or not least <= number <= largest:
                raise InvalidInput(
                    f"{field} {shown(number)} of a signed order is out of range: "
                    f"give an integer in {least}..{largest}"
                )
        kinds = {kind.name.lower(): kind for kind in Kind}
        kind, signature = value["kind"], value["signature"]
        if not isinstance(kind, str) or kind not in kinds:
            raise InvalidInput(f"kind {shown(kind)} of a signed order: give {' or '.join(kinds)}")
        if not isinstance(signature, str) or not signature.startswith("0x"):
            raise InvalidInput(
                "the signature of a signed order is not hexadecimal: give 0x and 128 digits"
            )
        addresses: dict[str, Address] = {}
        for field in ("contract", "meter"):
            if field in value:
                try:
                    addresses[field] = parse_address(value[field])
                except InvalidInput as error:
                    raise InvalidInput(f"{field} of a signed order: {error}") from error
        terms = OrderTerms(
            kinds[kind],
            energy=value["energy_wh"],
            period=value["period"],
            deadline=value["deadline"],
            limit_price=value["limit_price"],
        )
        return cls(
            SignedOrder.from_signature(terms, signature),
            OrderDomain(value["chain_id"], addresses["contract"]),
            addresses.get("meter"),
        )

    @classmethod
    def parse(cls, content: bytes) -> OrderDocument:
        """The order of a JSON text in UTF-8, as `from_json`.

        Raises:
            InvalidInput: it is more than 10,000 bytes, no JSON, or no signed order.
        """
        if len(content) > MAX_DOCUMENT:
            raise InvalidInput(
                f"{len(content):,} bytes are too many for a signed order: "
                f"give one order, of at most {MAX_DOCUMENT:,}"
            )
        try:
            value = json.loads(content.decode(), object_pairs_hook=_once_each)
        except InvalidInput:
            raise
        except (ValueError, RecursionError) as error:
            # Not `from error`: it has the whole text, which may be a key file's.
            raise InvalidInput(
                f"that is no JSON ({type(error).__name__}): give a signed order as "
                "energy-chain meters sign --json prints it"
            ) from None
        return cls.from_json(value)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    from energy_chain.chain.addresses import shown

    fields: dict[str, Any] = {}
    for field, value in pairs:
        # Two readers might take two values: nobody could say which of them was meant.
        if field in fields:
            raise InvalidInput(f"field {shown(field)} stands there twice: give it once")
        fields[field] = value
    return fields
