"""Small files of readings, in the formats that meters and their operators write."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from dsmr_parser.parsers import TelegramParser


def telegram(
    time: str | None = "170102192000W",
    used: tuple[str, ...] = ("000004.426", "000002.399"),
    delivered: tuple[str, ...] = ("000002.444", "000000.000"),
    meter: str = "4B38",
    crc: str | None = None,
) -> bytes:
    """A P1 telegram of DSMR 5, or of an earlier one without a time and a CRC."""
    lines = ["/ISk5\\2MT382-1000", ""]
    if time is not None:
        lines += ["1-3:0.2.8(50)", f"0-0:1.0.0({time})"]
    lines += [f"0-0:96.1.1({meter})"]
    lines += [f"1-0:1.8.{n}({value}*kWh)" for n, value in enumerate(used, 1)]
    lines += [f"1-0:2.8.{n}({value}*kWh)" for n, value in enumerate(delivered, 1)]
    lines += ["0-0:96.14.0(0002)", "1-0:1.7.0(00.244*kW)", "0-1:96.1.0(3232)"]
    body = "\r\n".join(lines) + "\r\n!"
    if crc is None:
        crc = f"{TelegramParser.crc16(body):04X}" if time is not None else ""
    return (body + crc + "\r\n").encode("ascii")


def telegrams_of(first: datetime, step: timedelta, registers: Iterable[str]) -> bytes:
    """Telegrams from `first`, in winter time, with registers of consumption in kWh."""
    return b"".join(
        telegram(f"{first + number * step:%y%m%d%H%M%S}W", (register,), ("000000.000",))
        for number, register in enumerate(registers)
    )


ENTRY = "https://example.org/espi/1_1/resource"


def green_button(
    values: Iterable[object],
    produced: Iterable[object] | None = None,
    start: int = 1_388_534_400,
    length: int = 3600,
    unit: int = 72,
    multiplier: int = 0,
    quality: str = "",
    before: str = "",
    behaviour: int = 4,
) -> str:
    """A Green Button file with one usage point, and a line for each reading."""
    series = [(1, 1, values)] if produced is None else [(1, 1, values), (2, 19, produced)]
    point = f"{ENTRY}/RetailCustomer/9/UsagePoint/7"
    entries = [_entry(point, f"{ENTRY}/RetailCustomer/9/UsagePoint", "<UsagePoint/>")]
    entries.append(
        _entry(
            f"{ENTRY}/LocalTimeParameters/1",
            "",
            "<LocalTimeParameters><tzOffset>-18000</tzOffset></LocalTimeParameters>",
        )
    )
    for number, direction, readings in series:
        reading, kind = f"{point}/MeterReading/{number}", f"{ENTRY}/ReadingType/{number}"
        entries.append(
            _entry(
                reading,
                f"{point}/MeterReading",
                "<MeterReading/>",
                f"{reading}/IntervalBlock",
                kind,
            )
        )
        entries.append(
            _entry(
                kind,
                "",
                f"<ReadingType><accumulationBehaviour>{behaviour}</accumulationBehaviour>"
                f"<flowDirection>{direction}</flowDirection><intervalLength>{length}"
                f"</intervalLength><powerOfTenMultiplier>{multiplier}</powerOfTenMultiplier>"
                f"<uom>{unit}</uom></ReadingType>",
            )
        )
        block = "\n".join(
            f"<IntervalReading>{quality}<timePeriod><duration>{length}</duration>"
            f"<start>{start + place * length}</start></timePeriod><value>{value}</value>"
            "</IntervalReading>"
            for place, value in enumerate(readings)
        )
        entries.append(
            _entry(
                f"{reading}/IntervalBlock/1",
                f"{reading}/IntervalBlock",
                f"<IntervalBlock>\n{block}\n</IntervalBlock>",
            )
        )
    return (
        f'<?xml version="1.0"?>\n{before}<feed xmlns="http://www.w3.org/2005/Atom">\n'
        + "\n".join(entries)
        + "\n</feed>\n"
    )


def _entry(link: str, up: str, content: str, *related: str) -> str:
    links = f'<link rel="self" href="{link}"/><link rel="up" href="{up}"/>'
    links += "".join(f'<link rel="related" href="{target}"/>' for target in related)
    name, rest = content[1:].split(">", 1) if not content.endswith("/>") else (content[1:-2], None)
    namespace = ' xmlns="http://naesb.org/espi"'
    inner = f"<{name}{namespace}/>" if rest is None else f"<{name}{namespace}>{rest}"
    return f"<entry>{links}<content>{inner}</content></entry>"
