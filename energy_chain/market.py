"""The words of the market as data: orders, matches, meters, limits.

Energies are whole watt-hours (Wh). The limits are those of
`contracts_vy/limits.vy`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import TypeAlias

from energy_chain.errors import InvalidEnergy, InvalidInput

Address: TypeAlias = str
"""An account's address, 0x and 40 hexadecimal digits with the checksum of ERC-55."""

ZERO_ADDRESS: Address = "0x" + "0" * 40

LANES_PER_WORD = 4
CAPACITY = 1024
"""Orders in each ring of pending orders."""
MATCH_CAPACITY = 2 * CAPACITY
"""Matches that are kept for consumption."""
MAX_BATCH = 256
"""Orders, matches or confirmations in one call."""
MAX_ENERGY = 2**32 - 1
"""Wh in one order."""
MAX_METERS = 2**16 - 1
MAX_COUNTER = 2**32 - 1
MIN_PERIOD_LENGTH = 60
"""Seconds."""
MAX_PERIOD_LENGTH = 366 * 86400
"""Seconds."""
DEFAULT_PERIOD_LENGTH = 900
"""Seconds of the period that orders are signed for where orders never expire."""
MAX_SIGNED = 100
"""Signed orders in one call."""


@dataclass(frozen=True, slots=True)
class Request:
    """A producer's surplus on offer: meter number and Wh."""

    meter: int
    energy: int


@dataclass(frozen=True, slots=True)
class Release:
    """A consumer's need: meter number and Wh."""

    meter: int
    energy: int


@dataclass(frozen=True, slots=True)
class Fill:
    """What one match moves: the meter numbers of producer and consumer, and Wh."""

    producer: int
    consumer: int
    energy: int


@dataclass(frozen=True, slots=True)
class Match:
    """A match as the market keeps it. `energy` is the Wh not consumed yet."""

    index: int
    producer: Address
    consumer: Address
    energy: int


@dataclass(frozen=True, slots=True)
class Meter:
    """A smart meter that was registered. A retired one posts no more."""

    number: int
    address: Address
    retired: bool = False


def check_energy_type(value: int, call: str) -> int:
    """Returns `value` if the contract's ABI can carry it as an energy: an int of 256 bits.

    Raises:
        InvalidInput: it is not an `int`; a `bool` is none.
        InvalidEnergy: it does not fit.
    """
    if type(value) is not int:
        raise InvalidInput(f"energy {value!r} in {call} is not an int: give whole watt-hours")
    if not -(2**255) <= value < 2**255:
        raise InvalidEnergy(call)
    return value


def check_energy(value: int, call: str) -> int:
    """Returns `value` if it is an energy that an order can hold.

    Raises:
        InvalidInput: it is not an `int`; a `bool` is none.
        InvalidEnergy: it is outside 1..4,294,967,295 Wh.
    """
    if not 1 <= check_energy_type(value, call) <= MAX_ENERGY:
        raise InvalidEnergy(call)
    return value


def check_count(value: int, what: str) -> int:
    """Returns `value` if it is an unsigned int of 256 bits.

    Raises:
        InvalidInput: it is not.
    """
    if type(value) is not int or not 0 <= value < 2**256:
        raise InvalidInput(f"{what} {value!r} is not a count: give an int from 0 on")
    return value


def check_batch(batch: Sized) -> None:
    """Refuses a batch that is larger than one call takes.

    Raises:
        InvalidInput: it has more than 256 items.
    """
    if len(batch) > MAX_BATCH:
        raise InvalidInput(f"a batch of {len(batch)} is too large: give at most {MAX_BATCH}")
