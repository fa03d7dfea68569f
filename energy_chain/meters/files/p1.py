"""DSMR P1 telegrams, as Dutch, Belgian and Luxembourg meters send them: a file or a stream.

dsmr-parser reads the objects of a telegram and checks its CRC; encrypted
telegrams are not read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from dsmr_parser import obis_references as obis
from dsmr_parser.exceptions import InvalidChecksumError, ParseError
from dsmr_parser.parsers import CosemParser, TelegramParser, ValueParser

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY
from energy_chain.meters.files.energies import local_offsets
from energy_chain.meters.files.file_options import DIRECTIONS, FileOptions
from energy_chain.meters.files.local_times import moment
from energy_chain.meters.measurements import Fault, FaultKind, Measurements, Quantity
from energy_chain.meters.readings import UWH, Problem, shown

# What it has to say of a telegram is said by `BadTelegram`.
logging.getLogger("dsmr_parser").addHandler(logging.NullHandler())

DEFAULT_PERIOD = timedelta(minutes=15)
"""Of the energies that registers in telegrams give, unless another one is asked for."""
LONGEST_TELEGRAM = 65_536
"""Bytes. A telegram of DSMR 5 with all of its objects has less than 4,000."""

_KWH = Decimal(1000 * UWH)
_OFFSETS = {"W": timezone(timedelta(hours=1)), "S": timezone(timedelta(hours=2))}
_TIME = re.compile(r"\d{12}[WS]", re.ASCII)
_END = re.compile(rb"!([0-9A-Fa-f]{4})?\0?\r?\n?", re.ASCII)
_TARIFFS = range(1, 5)
# The register of all tariffs, where there is one, and that of each.
_REGISTERS = {
    **{f"consumption_{n}": getattr(obis, f"ELECTRICITY_USED_TARIFF_{n}") for n in _TARIFFS},
    **{f"production_{n}": getattr(obis, f"ELECTRICITY_DELIVERED_TARIFF_{n}") for n in _TARIFFS},
    "consumption_0": obis.ELECTRICITY_IMPORTED_TOTAL,
    "production_0": obis.ELECTRICITY_EXPORTED_TOTAL,
}


def _specification(checked: bool) -> dict[str, object]:
    text, number = CosemParser(ValueParser(str)), CosemParser(ValueParser(Decimal))
    wanted = {
        "time": (obis.P1_MESSAGE_TIMESTAMP, text),
        "meter": (obis.BELGIUM_EQUIPMENT_IDENTIFIER, text),
        "device": (obis.LUXEMBOURG_EQUIPMENT_IDENTIFIER, text),
        **{name: (line, number) for name, line in _REGISTERS.items()},
    }
    return {
        "checksum_support": checked,
        "objects": [
            {"obis_reference": line, "value_parser": parser, "value_name": name}
            for name, (line, parser) in wanted.items()
        ],
    }


_PARSERS = {checked: TelegramParser(_specification(checked)) for checked in (True, False)}


@dataclass(frozen=True, slots=True)
class Telegram:
    """What a telegram says of electricity.

    Attributes:
        line: on which it begins, counted from 1.
        meter: the equipment's identifier.
        time: of the telegram, with its offset; None before DSMR 4, which has none.
        consumption, production: registers in microwatt-hours, all tariffs together.
    """

    line: int
    meter: str
    time: datetime | None
    consumption: int
    production: int


class BadTelegram(ValueError):
    """A telegram that cannot be used. `line` is where it begins, counted from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


def telegrams(stream: Iterable[bytes]) -> Iterator[Telegram | BadTelegram]:
    """The telegrams of a stream of bytes, in pieces of any size, as they become complete.

    A serial device, a socket's file and a binary file are such streams. What
    cannot be used is told in its place, and reading goes on with the next one. A
    telegram that is under way when the stream begins is left out.
    """
    held, begun = bytearray(), 0
    for line, raw in enumerate(_lines(stream), 1):
        if raw.startswith(b"/"):
            if held:
                yield BadTelegram(begun, "the telegram ends without its last line, !CRC")
            held, begun = bytearray(raw), line
        elif held:
            held += raw
            if raw.startswith(b"!"):
                yield _read(bytes(held), begun)
                held = bytearray()
            elif len(held) > LONGEST_TELEGRAM:
                yield BadTelegram(begun, f"the telegram has more than {LONGEST_TELEGRAM} bytes")
                held = bytearray()
    if held:
        yield BadTelegram(begun, "the telegram ends without its last line, !CRC")


def parse_telegram(data: bytes) -> Telegram:
    """The one telegram in `data`. Raises BadTelegram."""
    found = list(telegrams([data if data.endswith(b"\n") else data + b"\r\n"]))
    if len(found) != 1:
        raise BadTelegram(1, f"{len(found)} telegrams where one is expected")
    [telegram] = found
    if isinstance(telegram, BadTelegram):
        raise telegram
    return telegram


def measure_p1(path: Path, options: FileOptions) -> Measurements:
    """The registers in a file of telegrams.

    Raises:
        InvalidInput: it cannot be read.
    """
    rows, faults = [], []
    meters: dict[str, int] = {}
    count = 0

    def fault(kind: FaultKind, line: int, message: str) -> None:
        faults.append(Fault(kind, Problem(line, message), placed=False))

    try:
        with path.open("rb") as file:
            for found in telegrams(iter(lambda: file.read(LONGEST_TELEGRAM), b"")):
                count += 1
                if isinstance(found, BadTelegram):
                    fault(FaultKind.LINE, found.line, found.reason)
                elif found.time is None:
                    message = "the telegram has no time, as those before DSMR 4: it fits live only"
                    fault(FaultKind.TIME, found.line, message)
                else:
                    number = meters.setdefault(options.meter or found.meter, len(meters))
                    at = moment(found.time)
                    energies = found.consumption, found.production
                    rows.append((number, found.line, at.instant, at.offset, *energies))
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror or error}; give a readable file"
        ) from None
    if not count:
        raise InvalidInput(f"{path} has no P1 telegram: each begins with / and ends with !")
    found_rows = Measurements.of_rows(
        str(path),
        list(meters),
        rows,
        quantity=Quantity.REGISTER,
        faults=tuple(faults),
        timezone=options.timezone,
        period=DEFAULT_PERIOD,
        facts=MappingProxyType(
            {
                "format": "P1 telegrams (DSMR)",
                "telegrams": f"{count:,}",
                "values": f"{Quantity.REGISTER}, kWh",
            }
        ),
    )
    return found_rows.with_offsets(local_offsets(found_rows))


def _lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their ends; one that is far too long comes in pieces."""
    held = b""
    for piece in stream:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(held) > LONGEST_TELEGRAM:
            yield held
            held = b""
    if held:
        yield held


def _read(raw: bytes, line: int) -> Telegram | BadTelegram:
    # The CRC is of the meter's line ends, which files often have lost.
    data = raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")
    end = _END.fullmatch(data[data.rindex(b"!") :])
    if end is None:
        return BadTelegram(line, f"its last line is {shown(_text(data[data.rindex(b'!') :]))}")
    checked = end[1] is not None
    try:
        text = data.decode("ascii")
        if checked:
            text = text[: -len(end[0])] + text[-len(end[0]) :].upper()
        found = _PARSERS[checked].parse(text, throw_ex=True)
        time = _time(found)
        if time is not None and not checked:
            return BadTelegram(line, "the telegram has no CRC, which there is since DSMR 4")
        return Telegram(line, _meter(found), time, *_registers(found))
    except InvalidChecksumError:
        return BadTelegram(line, "the telegram's CRC is wrong: it was damaged on its way")
    except UnicodeDecodeError:
        return BadTelegram(line, "the telegram has characters that are not ASCII")
    except _Unusable as error:
        return BadTelegram(line, f"the telegram cannot be used: {error}")
    except (ParseError, ArithmeticError, ValueError) as error:
        return BadTelegram(line, f"the telegram cannot be read: {type(error).__name__}")


class _Unusable(ValueError):
    """What a telegram lacks."""


def _meter(telegram: object) -> str:
    for name in ("meter", "device"):
        value = getattr(getattr(telegram, name, None), "value", None)
        if value:
            return str(value)
    raise _Unusable("it has no equipment identifier")


def _time(telegram: object) -> datetime | None:
    found = getattr(telegram, "time", None)
    if found is None:
        return None
    text = str(found.value)
    if not _TIME.fullmatch(text):
        raise _Unusable(f"its time is {shown(text)}")
    try:
        time = datetime.strptime(text[:12], "%y%m%d%H%M%S")
    except ValueError:
        raise _Unusable(f"its time is {shown(text)}") from None
    return time.replace(tzinfo=_OFFSETS[text[12]])


def _registers(telegram: object) -> tuple[int, int]:
    consumption, production = (_register(telegram, name) for name in DIRECTIONS)
    if consumption is None:
        raise _Unusable("it has no register of consumption, 1.8.x")
    # A meter that counts no production has no such register.
    return consumption, production or 0


def _register(telegram: object, name: str) -> int | None:
    """A register in microwatt-hours: the total, or else the sum of the tariffs."""
    objects = [getattr(telegram, f"{name}_{tariff}", None) for tariff in (0, *_TARIFFS)]
    counted = objects[:1] if objects[0] is not None else objects[1:]
    if not any(counted):
        return None
    total = 0
    for found in filter(None, counted):
        value, unit = found.value, found.unit
        if not isinstance(value, Decimal) or not value.is_finite() or unit != "kWh" or value < 0:
            raise _Unusable(f"its register of {name} is {value} {unit}")
        total += int(value * _KWH)
    if total > MAX_ENERGY * UWH:
        raise _Unusable(f"its register of {name} is more than {MAX_ENERGY} Wh")
    return total


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace").strip()
