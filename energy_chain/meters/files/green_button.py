"""Green Button files: ESPI of NAESB (REQ.21), an Atom feed of interval readings.

Parsed with expat, which tells lines, and with no document type: it is what entities
that grow without end, or are fetched from elsewhere, are declared in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

# A document type is refused, and with it every entity.
from xml.parsers import expat  # nosec B407

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY
from energy_chain.meters.files.energies import local_offsets
from energy_chain.meters.files.file_options import FileOptions
from energy_chain.meters.measurements import Fault, FaultKind, Measurements
from energy_chain.meters.readings import UWH, Problem, shown

LARGEST_FILE = 256 * 2**20
"""Bytes; a year of quarter hours has about 12 million."""

_ATOM, _ESPI = "http://www.w3.org/2005/Atom ", "http://naesb.org/espi "
_WATT_HOURS = 72
_DELTA = 4
_DIRECTIONS = {1: "consumption", 19: "production"}
_GOOD_QUALITY = {0, 14, 17, 18, 19}
_QUALITIES = {
    **{0: "valid", 7: "manually edited", 8: "estimated by a reference day"},
    **{9: "estimated by interpolation", 10: "questionable", 11: "derived", 12: "projected"},
    **{13: "mixed", 14: "raw", 15: "normalised for weather", 16: "other", 17: "validated"},
    **{18: "verified", 19: "revenue quality"},
}
_LONGEST_NUMBER = 30


@dataclass(slots=True)
class _Interval:
    line: int
    start: int | None = None
    duration: int | None = None
    value: str | None = None
    qualities: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Entry:
    """An entry of the feed: what it is, where, and what leads from it."""

    line: int
    kind: str = ""
    self_link: str = ""
    up: str = ""
    related: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    intervals: list[_Interval] = field(default_factory=list)


def measure_green_button(path: Path, options: FileOptions) -> Measurements:
    """What stands in a Green Button file.

    A usage point is a meter, named by the end of its link. Energy delivered
    (flow direction 1) is consumption, energy received (19) is production; of a
    usage point without the one or the other it is zero. Other series, such as gas
    or costs, are left out, and the facts say so. Readings of doubtful quality are
    told in `notes`.

    Raises:
        InvalidInput: it cannot be read, or has no usable series, or several for one purpose.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{path} has more than {LARGEST_FILE:,} bytes: give smaller files")
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror or error}; give a readable file"
        ) from None
    return _Feed(str(path), _Parser(str(path)).parse(data), options).measured()


class _Parser:
    """Collects the entries of a feed."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._expat = expat.ParserCreate(namespace_separator=" ")
        self._expat.buffer_text = True
        self._expat.StartDoctypeDeclHandler = self._no_doctype
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._path: list[str] = []
        self._text: list[str] = []
        self._entry: _Entry | None = None
        self._entries: list[_Entry] = []

    def parse(self, data: bytes) -> list[_Entry]:
        try:
            self._expat.Parse(data, True)
        except expat.ExpatError as error:
            raise InvalidInput(
                f"{self._source}, line {error.lineno}: not XML: {expat.ErrorString(error.code)}"
            ) from None
        return self._entries

    def _no_doctype(self, *_: object) -> NoReturn:
        raise InvalidInput(
            f"{self._source}, line {self._expat.CurrentLineNumber}: it declares a document type, "
            "which no Green Button file needs: give one without"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._text = []
        line = self._expat.CurrentLineNumber
        if name == f"{_ATOM}entry":
            self._entry = _Entry(line)
        if self._entry is None:
            return
        if name == f"{_ATOM}link":
            self._link(attributes)
        elif self._path[-2:-1] == [f"{_ATOM}content"]:
            self._entry.kind = name.removeprefix(_ESPI)
        if name == f"{_ESPI}IntervalReading":
            self._entry.intervals.append(_Interval(line))

    def _link(self, attributes: dict[str, str]) -> None:
        assert self._entry is not None
        target = attributes.get("href", "")
        match attributes.get("rel"):
            case "self":
                self._entry.self_link = target
            case "up":
                self._entry.up = target
            case "related":
                self._entry.related.append(target)

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        self._path.pop()
        text = "".join(self._text).strip()
        self._text = []
        entry = self._entry
        if entry is None:
            return
        if name == f"{_ATOM}entry":
            self._entries.append(entry)
            self._entry = None
        elif f"{_ESPI}IntervalReading" in self._path:
            self._of_interval(entry.intervals[-1], name.removeprefix(_ESPI), text)
        elif name.startswith(_ESPI) and text:
            entry.fields[name.removeprefix(_ESPI)] = text

    @staticmethod
    def _of_interval(interval: _Interval, name: str, text: str) -> None:
        match name:
            case "start":
                interval.start = _integer(text)
            case "duration":
                interval.duration = _integer(text)
            case "value":
                interval.value = text
            case "quality":
                interval.qualities.append(-1 if (code := _integer(text)) is None else code)


@dataclass(frozen=True, slots=True)
class _Series:
    """The readings of one purpose of one usage point."""

    meter: str
    direction: str
    multiplier: int
    length: int | None
    intervals: list[_Interval]


class _Feed:
    """Joins the entries of a feed into rows."""

    def __init__(self, source: str, entries: list[_Entry], options: FileOptions) -> None:
        self._source = source
        self._options = options
        self._of_kind: dict[str, list[_Entry]] = {}
        for entry in entries:
            self._of_kind.setdefault(entry.kind, []).append(entry)
        self._faults: list[Fault] = []
        self._notes: list[Problem] = []
        self._left_out: Counter[str] = Counter()
        self._qualities: Counter[str] = Counter()

    def measured(self) -> Measurements:
        series = list(self._series())
        if not series:
            why = f" ({', '.join(self._left_out)})" if self._left_out else ""
            raise InvalidInput(
                f"{self._source} has no series of electric energy{why}: give a Green Button file "
                "with interval readings in Wh"
            )
        purposes = Counter((each.meter, each.direction) for each in series)
        for (meter, direction), count in purposes.items():
            if count > 1:
                raise InvalidInput(
                    f"{self._source}: usage point {meter} has {count} series of {direction}: give "
                    "a file with one of each"
                )
        lengths = {each.length for each in series if each.length is not None}
        if len(lengths) > 1:
            raise InvalidInput(
                f"{self._source} has intervals of {' and '.join(map(str, sorted(lengths)))} s: "
                "give a file with one length"
            )
        length = lengths.pop() if lengths else None
        names = dict.fromkeys(each.meter for each in series)
        meters = {meter: number for number, meter in enumerate(names)}
        found = Measurements.of_rows(
            self._source,
            [self._name(meter, meters) for meter in meters],
            list(self._rows(series, meters, length)),
            faults=tuple(self._faults),
            timezone=self._options.timezone,
            period=timedelta(seconds=length) if length else None,
            notes=tuple(self._notes),
            facts=MappingProxyType(self._facts()),
        )
        return found.with_offsets(local_offsets(found))

    def _name(self, meter: str, meters: dict[str, int]) -> str:
        if self._options.meter is None:
            return meter
        if len(meters) > 1:
            raise InvalidInput(
                f"{self._source} has {len(meters)} usage points: leave out --meter-name"
            )
        return self._options.meter

    def _facts(self) -> dict[str, str]:
        facts = {"format": "Green Button (ESPI)", "values": "energy of each period, Wh"}
        if self._qualities:
            each = (f"{number:,} {name}" for name, number in self._qualities.items())
            facts["quality"] = ", ".join(each)
        if self._left_out:
            facts["left out"] = ", ".join(
                f"{number} series of {name}" for name, number in self._left_out.items()
            )
        return facts

    def _series(self) -> Iterator[_Series]:
        types = {entry.self_link: entry for entry in self._of_kind.get("ReadingType", [])}
        points = [entry.self_link for entry in self._of_kind.get("UsagePoint", [])]
        for reading in self._of_kind.get("MeterReading", []):
            kind = next((types[link] for link in reading.related if link in types), None)
            if kind is None:
                self._left_out["no reading type"] += 1
                continue
            direction = _DIRECTIONS.get(_number(kind, "flowDirection", 1))
            unit = _number(kind, "uom", -1)
            if unit != _WATT_HOURS or direction is None:
                self._left_out[f"unit {unit} and flow {kind.fields.get('flowDirection')}"] += 1
                continue
            if (behaviour := _number(kind, "accumulationBehaviour", _DELTA)) != _DELTA:
                self._left_out[f"accumulation behaviour {behaviour}"] += 1
                continue
            point = next((p for p in points if reading.self_link.startswith(f"{p}/")), None)
            yield _Series(
                (point or reading.self_link).rstrip("/").rpartition("/")[2],
                direction,
                _number(kind, "powerOfTenMultiplier", 0),
                _integer(kind.fields.get("intervalLength", "")),
                [
                    interval
                    for block in self._of_kind.get("IntervalBlock", [])
                    if block.up in reading.related or block.up.startswith(f"{reading.self_link}/")
                    for interval in block.intervals
                ],
            )

    def _rows(
        self, series: list[_Series], meters: dict[str, int], length: int | None
    ) -> Iterator[tuple[int, int, int, int, int, int]]:
        offset = self._offset()
        for meter, number in meters.items():
            of_meter = {each.direction: each for each in series if each.meter == meter}
            found = {
                direction: list(self._energies(each, length))
                for direction, each in of_meter.items()
            }
            if len(found) == 1:
                [(direction, energies)] = found.items()
                for line, start, energy in energies:
                    both = (energy, 0) if direction == "consumption" else (0, energy)
                    yield number, line, start, offset, *both
                continue
            produced: dict[int, list[tuple[int, int]]] = {}
            for line, start, energy in found["production"]:
                produced.setdefault(start, []).append((line, energy))
            for line, start, energy in found["consumption"]:
                others = produced.get(start)
                if not others:
                    self._fault(line, f"meter {meter}: no production at the same time")
                    continue
                yield number, line, start, offset, energy, others.pop(0)[1]
            for left in produced.values():
                for line, _ in left:
                    self._fault(line, f"meter {meter}: no consumption at the same time")

    def _energies(self, series: _Series, length: int | None) -> Iterator[tuple[int, int, int]]:
        """Line, start in microseconds and energy in microwatt-hours of each reading."""
        for interval in series.intervals:
            energy = _energy(interval.value, series.multiplier)
            start = interval.start
            # A time is a count of seconds since 1970, and in this or the last century.
            if start is None or not 0 <= start < 2**32:
                self._fault(interval.line, "a reading without a start")
            elif length is not None and interval.duration not in (None, length):
                message = f"a reading of {interval.duration} s among those of {length} s"
                self._fault(interval.line, message)
            elif energy is None:
                value = shown(interval.value or "")
                self._fault(interval.line, f"{series.direction} {value} is no energy")
            else:
                self._quality(interval, series.meter)
                yield interval.line, start * 1_000_000, energy

    def _quality(self, interval: _Interval, meter: str) -> None:
        for code in interval.qualities:
            name = _QUALITIES.get(code, f"quality {code}")
            self._qualities[name] += 1
            if code not in _GOOD_QUALITY:
                message = f"meter {meter}: the quality of a reading is {name!r}"
                self._notes.append(Problem(interval.line, message))

    def _offset(self) -> int:
        """Of standard time, in microseconds; 0 where the file does not say it."""
        for entry in self._of_kind.get("LocalTimeParameters", []):
            seconds = _integer(entry.fields.get("tzOffset", ""))
            if seconds is not None and abs(seconds) < 86_400:
                return seconds * 1_000_000
        return 0

    def _fault(self, line: int, message: str) -> None:
        self._faults.append(Fault(FaultKind.LINE, Problem(line, message), placed=False))


def _number(entry: _Entry, name: str, default: int) -> int:
    found = _integer(entry.fields.get(name, ""))
    return default if found is None else found


def _integer(text: str) -> int | None:
    short = len(text) <= _LONGEST_NUMBER and text.isascii()
    return int(text) if short and text.removeprefix("-").isdigit() else None


def _energy(text: str | None, multiplier: int) -> int | None:
    """Microwatt-hours of a value in Wh times a power of ten; None when it is none."""
    if text is None or len(text) > _LONGEST_NUMBER or abs(multiplier) > _LONGEST_NUMBER:
        return None
    try:
        energy = Decimal(text).scaleb(multiplier) * UWH
    except InvalidOperation:
        return None
    if not energy.is_finite() or not 0 <= energy <= MAX_ENERGY * UWH:
        return None
    return round(energy)
