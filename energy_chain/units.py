"""Energies as people write and read them: kWh and Wh with the unit named, whole Wh inside."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Context, Decimal

from energy_chain.errors import InvalidInput

_ENERGY = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*(kwh|wh)", re.ASCII | re.IGNORECASE)
_LONGEST = 40
"""Characters of an energy; longer is no energy, and not worth the arithmetic."""
_EXACT = Context(prec=_LONGEST + 3)


def parse_energy(text: str) -> int:
    """Whole Wh of an energy with its unit, such as '1.5 kWh' or '1500Wh'.

    Raises:
        InvalidInput: it is no energy, its unit is missing, or it is no whole number of Wh.
    """
    found = _ENERGY.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if found is None:
        raise InvalidInput(
            f"{text[:_LONGEST]!r} is not an energy: give a number and its unit, such as 1.5kWh or "
            "1500Wh"
        )
    number, unit = Decimal(found[1]), found[2].lower()
    energy = _EXACT.multiply(number, Decimal(1000)) if unit == "kwh" else number
    if energy != int(energy):
        raise InvalidInput(f"{text!r} is {energy.normalize(_EXACT):f} Wh: give whole watt-hours")
    return int(energy)


_DURATION = re.compile(r"([0-9]{1,8})\s*(s|min|h)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600}


def parse_duration(text: str) -> int:
    """Seconds of a duration with its unit, such as '15min', '900s' or '1h'; 0 for 'never'.

    Raises:
        InvalidInput: it is no duration, or its unit is missing.
    """
    if text.strip() == "never":
        return 0
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            f"{text[:_LONGEST]!r} is not a duration: give a number and its unit, such as 15min, "
            "900s or 1h, or 'never'"
        )
    if not int(found[1]):
        raise InvalidInput(f"{text!r} is no time: give more, or 'never'")
    return int(found[1]) * _SECONDS[found[2]]


def duration(length: timedelta) -> str:
    """A duration for people, such as '15 min', or '90 s' where it is no whole number of minutes."""
    minutes, rest = divmod(length, timedelta(minutes=1))
    return f"{length.total_seconds():g} s" if rest else f"{minutes} min"


def kwh(energy: int) -> str:
    """An energy in Wh for people, such as '1,234.500 kWh': exact, because a Wh has three digits."""
    whole, rest = divmod(abs(energy), 1000)
    return f"{'-' * (energy < 0)}{whole:,}.{rest:03} kWh"


def count(number: int, of_what: str) -> str:
    """A number and its noun, in the plural unless it is one."""
    if number == 1:
        return f"1 {of_what}"
    if of_what.endswith("y"):
        return f"{number:,} {of_what[:-1]}ies"
    return f"{number:,} {of_what}{'es' if of_what.endswith('ch') else 's'}"
