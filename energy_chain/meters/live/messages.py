"""Messages that meters send one by one: a reading in JSON, or a P1 telegram.

A reading has `period_start` with its UTC offset, consumption and production, each
in Wh or kWh, and may have `meter` and a `revision`, which a correction counts up:

    {"period_start": "2026-06-21T12:00:00+02:00", "consumption_wh": 120.5, "production_wh": 0}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NoReturn

from energy_chain.market import MAX_ENERGY
from energy_chain.meters.files.energies import TOLERANCE
from energy_chain.meters.files.p1 import LONGEST_TELEGRAM, BadTelegram, parse_telegram
from energy_chain.meters.measurements import EPOCH
from energy_chain.meters.readings import UWH, Reading, shown

LONGEST_JSON = 2048
"""Bytes of a reading in JSON."""
HIGHEST_REVISION = 2**31 - 1

_PRECISE = Context(prec=80)
_LONGEST_NUMBER = 40
_SCALES = {"wh": UWH, "kwh": 1000 * UWH}


class BadMessage(ValueError):
    """A message that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class MeterMessage:
    """A reading, and its revision: 0 where the meter does not count corrections."""

    reading: Reading
    revision: int = 0


class MessageReader:
    """Reads messages; of telegrams it remembers what the registers were at the last border."""

    def __init__(self, period: timedelta) -> None:
        """A reader for periods of this length."""
        self._period = period
        self._borders: dict[str, tuple[int, int, int]] = {}

    def read(self, meter: str, payload: bytes, received_at: datetime) -> MeterMessage | None:
        """The reading that a message gives; None of a telegram between the borders of periods.

        Raises:
            BadMessage: it cannot be used.
        """
        if payload.startswith(b"/"):
            return self._telegram(meter, payload, received_at)
        return read_json(meter, payload)

    def _telegram(self, meter: str, payload: bytes, received_at: datetime) -> MeterMessage | None:
        if len(payload) > LONGEST_TELEGRAM:
            raise BadMessage(f"a telegram of {len(payload):,} bytes")
        try:
            telegram = parse_telegram(payload)
        except BadTelegram as error:
            raise BadMessage(error.reason) from error
        number, past = divmod((telegram.time or received_at) - EPOCH, self._period)
        before = self._borders.get(meter)
        if past > TOLERANCE or (before is not None and before[0] >= number):
            return None
        self._borders[meter] = number, telegram.consumption, telegram.production
        if before is None or before[0] != number - 1:
            return None
        consumption = telegram.consumption - before[1]
        production = telegram.production - before[2]
        if consumption < 0 or production < 0:
            raise BadMessage("a register runs backwards: the meter was replaced")
        start = EPOCH + before[0] * self._period
        return MeterMessage(Reading(meter, start, consumption, production))


def read_json(meter: str, payload: bytes) -> MeterMessage:
    """The reading of a message in JSON.

    Raises:
        BadMessage: it cannot be used.
    """
    if len(payload) > LONGEST_JSON:
        raise BadMessage(f"a message of {len(payload):,} bytes: at most {LONGEST_JSON:,} are read")
    try:
        # Numbers stay text until they are known to be short.
        told = json.loads(
            payload.decode("utf-8"),
            parse_float=str,
            parse_int=str,
            parse_constant=_no_number,
            object_pairs_hook=_once,
        )
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, BadMessage) else type(error).__name__
        raise BadMessage(f"not a JSON object: {reason}") from None
    if not isinstance(told, dict):
        raise BadMessage("not a JSON object")
    fields = dict(told)
    if str(fields.pop("meter", meter)) != meter:
        raise BadMessage("its meter is not the one that the topic names")
    reading = Reading(
        meter,
        _start(fields.pop("period_start", None)),
        _energy(fields, "consumption"),
        _energy(fields, "production"),
    )
    revision = _revision(fields.pop("revision", "0"))
    if fields:
        raise BadMessage(f"{shown(next(iter(fields)))} is no field of a reading")
    return MeterMessage(reading, revision)


def _no_number(text: str) -> NoReturn:
    raise BadMessage(f"{text} is no number")


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadMessage("a field comes twice")
    return found


def _start(text: Any) -> datetime:
    if not isinstance(text, str):
        raise BadMessage("no period_start")
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise BadMessage(f"period_start {shown(text)} is not ISO 8601") from None
    if start.tzinfo is None:
        raise BadMessage(f"period_start {shown(text)} has no UTC offset")
    # Where an offset, or a conversion, could leave the calendar.
    if not 1970 < start.year < 9999:
        raise BadMessage(f"period_start {shown(text)} is not of this time")
    return start


def _energy(fields: dict[str, Any], direction: str) -> int:
    """An energy in microwatt-hours; digits beyond are rounded."""
    given = [unit for unit in _SCALES if f"{direction}_{unit}" in fields]
    if len(given) != 1:
        count = "both" if given else "neither"
        raise BadMessage(f"{direction}_wh or {direction}_kwh is wanted, and it has {count}")
    [unit] = given
    text = fields.pop(f"{direction}_{unit}")
    if not isinstance(text, str) or len(text) > _LONGEST_NUMBER:
        raise BadMessage(f"{direction} is no number")
    try:
        energy = _PRECISE.multiply(Decimal(text), _SCALES[unit])
    except ArithmeticError:
        raise BadMessage(f"{direction} {shown(text)} is no number") from None
    if not energy.is_finite() or not 0 <= energy <= MAX_ENERGY * UWH:
        raise BadMessage(f"{direction} {shown(text)} is not 0 to {MAX_ENERGY} Wh")
    return int(energy.to_integral_value(ROUND_HALF_EVEN))


def _revision(text: Any) -> int:
    plain = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 11
    if not plain or int(text) > HIGHEST_REVISION:
        raise BadMessage(f"revision is not 0 to {HIGHEST_REVISION}")
    return int(text)
