"""Addresses of accounts and contracts, as people write them."""

from __future__ import annotations

from functools import lru_cache

from eth_utils import is_address, to_checksum_address

from energy_chain.errors import InvalidInput
from energy_chain.market import Address

VIEWER: Address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
"""Who makes a call that nobody signs. It can afford gas on the embedded chain, as that wants."""

_LONGEST_SHOWN = len(repr("0x" + 40 * "0"))


def parse_address(text: str) -> Address:
    """An address with its checksum (ERC-55).

    Raises:
        InvalidInput: it is none, or its checksum is wrong.
    """
    if not isinstance(text, str) or not is_address(text) or not text.startswith("0x"):
        raise InvalidInput(f"{shown(text)} is not an address: give 0x and 40 hexadecimal digits")
    address = str(to_checksum_address(text))
    if text[2:] not in (address[2:], text[2:].lower(), text[2:].upper()):
        raise InvalidInput(
            f"the checksum of {text!r} is wrong: copy the address again, or give it in lower case"
        )
    return address


@lru_cache(maxsize=2**16)
def checksummed(address: bytes | str) -> Address:
    """An address that a chain tells, of 20 bytes or in hexadecimal, with its checksum.

    Remembered: a checksum takes longer than all the rest of a log.
    """
    return str(to_checksum_address(address))


def shown(given: object) -> str:
    """What was given in place of an address or a name, for an error message.

    Nothing longer than an address is repeated: it may be a private key or its words, pasted into
    the wrong place, and messages end in logs.
    """
    text = repr(given)
    return text if len(text) <= _LONGEST_SHOWN else "what was given"
