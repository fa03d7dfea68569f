"""Readings from CSV files: a line for each meter and period, or for each period."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Iterator
from datetime import date, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TextIO

from energy_chain.errors import InvalidInput
from energy_chain.market import MAX_ENERGY
from energy_chain.meters.completing import complete, first_day
from energy_chain.meters.files.csv_header import (
    Layout,
    Series,
    find_decimal,
    find_layout,
    find_separator,
    named_separator,
)
from energy_chain.meters.files.energies import to_energies
from energy_chain.meters.files.file_options import (
    Columns,
    DecimalMark,
    FileOptions,
    Format,
    unit_of,
)
from energy_chain.meters.files.local_times import (
    GIVE_ZONE,
    NO_OFFSET,
    Moment,
    read_time,
    runs,
    tell_apart,
)
from energy_chain.meters.measurements import (
    DAY_MICROSECONDS,
    UNUSABLE,
    Fault,
    FaultKind,
    Measurements,
    Quantity,
)
from energy_chain.meters.readings import UWH, DayRange, Problem, Readings, shown

_LIMIT = Decimal(MAX_ENERGY * UWH)
# Digits enough for what a meter can measure; the default context would round to 28 as well.
_PRECISE = Context(prec=200)

# Decimal alone would take "1_000" and digits of every script. Two digits of
# exponent and 60 characters are enough for any float that a meter's software
# writes out, and cost no time.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d\d?)?", re.ASCII)
_NUMBER_LENGTH = 60
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_LOOKED_AT = 8192
_UTF_8 = "utf-8-sig"
# That of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x19]")
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\{|\[\s*[\[{])")
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def read_csv(
    path: str | os.PathLike[str],
    *,
    columns: Columns | None = None,
    unit: str | None = None,
    timezone: tzinfo | None = None,
    days: DayRange | None = None,
) -> Readings:
    """Read a CSV file with a header: see `measure_csv` and `complete`.

    Energies of the result are in whole microwatt-hours: digits beyond, the ninth
    after the point of a kWh, are rounded.

    Raises:
        ReadingsError: with every line that is to blame.
        InvalidInput: the file cannot be read or is empty, or does not have the selected days.
    """
    options = _options(columns, unit, timezone)
    return complete(to_energies(measure_csv(path, options), options), days)


def first_whole_day(
    path: str | os.PathLike[str],
    *,
    columns: Columns | None = None,
    unit: str | None = None,
    timezone: tzinfo | None = None,
) -> date:
    """The first local day of a file that some readings begin and others end.

    The arguments and what is raised are those of `read_csv`, for columns and
    times. Raises InvalidInput when the file has no such day.
    """
    options = _options(columns, unit, timezone)
    return first_day(to_energies(measure_csv(path, options), options))


def _options(columns: Columns | None, unit: str | None, timezone: tzinfo | None) -> FileOptions:
    return FileOptions(
        columns=columns or Columns(), unit=unit_of(unit) if unit else None, timezone=timezone
    )


def measure_csv(path: str | os.PathLike[str], options: FileOptions) -> Measurements:
    """What stands in a CSV file, which has a header.

    The columns are separated by commas, semicolons, tabs or |. Decimals follow a
    point or, in files that are not separated by commas, a comma where the numbers
    leave no doubt; `options` says it otherwise. Other columns than those that are
    asked for are ignored in a long file, and have to be told apart by `options`
    where each meter has columns of its own.

    Times are in ISO 8601. A time without a UTC offset is local time in the time
    zone that is given, and a fault when there is none. When the clocks are set
    forward some local times do not exist: they are faults. When they are set back
    an hour of them comes twice: each is told by its neighbours if the meter's rows
    have all of them twice and in order, and is a fault otherwise.

    Raises:
        InvalidInput: the file cannot be read or is empty, or something has to be said with options.
        ReadingsError: its header lacks columns.
    """
    source = str(path)
    try:
        with Path(path).open("rb") as raw:
            start = raw.read(_LOOKED_AT)
        _refuse_what_is_no_csv(start, source, options)
        with Path(path).open(encoding=_encoding(options), newline="") as file:
            return _File(file, source, options).measured()
    except UnicodeError:
        named = "UTF-8" if _encoding(options) == _UTF_8 else options.encoding
        raise InvalidInput(
            f"{path} is not {named} text; give a CSV file in {named}, or say its encoding, such as "
            "--encoding latin-1"
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror or error}; give a readable CSV file"
        ) from None


def _encoding(options: FileOptions) -> str:
    """The encoding; of UTF-8 the one that leaves out a byte order mark."""
    return _UTF_8 if options.encoding.lower() in ("utf-8", "utf8") else options.encoding


def _refuse_what_is_no_csv(start: bytes, source: str, options: FileOptions) -> None:
    """Raises InvalidInput, with what to do, by the first bytes of a file."""
    if _encoding(options) == _UTF_8:  # whoever names another knows that it is text
        found = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
        if found:
            raise InvalidInput(f"{source} is {found.upper()} text: give --encoding {found}")
        if _NO_TEXT.search(start):
            raise InvalidInput(
                f"{source} is no text in UTF-8: give a CSV file (a spreadsheet has to be saved as "
                "one), or say its encoding, such as --encoding utf-16-le"
            )
    if _JSON.match(start):
        raise InvalidInput(f"{source} is JSON, which is not read from files: give a CSV file")


class _Lines(Protocol):
    """What csv.reader gives."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class _File:
    """One pass over a file, and what it has found."""

    def __init__(self, file: TextIO, source: str, options: FileOptions) -> None:
        self.file = file
        self.source = source
        self.options = options
        self.zone = options.timezone
        self.faults: list[Fault] = []
        # The meters share their times, so each is parsed once; a str says what is wrong.
        self.times: dict[str, Moment | str] = {}
        self.values: dict[str, int | str] = {}
        self.without_offset: list[int] = []
        self.meters: dict[str, int] = {}
        self.rows: list[tuple[int, int, int, int, int, int]] = []
        # Rows whose local time comes twice.
        self.twice: dict[int, Moment] = {}

    def measured(self) -> Measurements:
        first = next((line for line in self.file if line.strip()), None)
        if first is None:
            raise InvalidInput(f"{self.source} is empty; give a CSV file with a header")
        named = named_separator(first)
        self.lines_before_header = 1 if named else 0
        separator = named or find_separator(first, self.options.columns, self.source)
        self.separator = separator
        layout, mark = self._header(separator)
        self.mark = mark.character
        self.uwh = layout.unit.micro
        try:
            if layout.meter is None:
                self._read_series(layout)
            else:
                self._read_long(layout, layout.meter)
        except csv.Error as error:
            self._fault(FaultKind.LINE, f"not CSV: {error}")
        self._tell_of_missing_offsets()
        dropped = self._tell_apart()
        if not self.times and not self.faults:
            raise InvalidInput(f"{self.source} has no readings below its header; give some")
        rows = [row for number, row in enumerate(self.rows) if number not in dropped]
        quantity = Quantity.POWER if layout.unit.is_power else Quantity.ENERGY
        if self.options.registers:
            quantity = Quantity.REGISTER
        return Measurements.of_rows(
            self.source,
            list(self.meters),
            rows,
            quantity=quantity,
            faults=tuple(self.faults),
            timezone=self.zone,
            facts=MappingProxyType(
                {
                    "format": f"CSV, {layout.format}",
                    "separator": {"\t": "tab"}.get(separator, separator),
                    "decimals": mark.value,
                    "encoding": self.options.encoding,
                    "columns": ", ".join(layout.names),
                    "values": f"{quantity}, {layout.unit}",
                }
            ),
        )

    def _header(self, separator: str) -> tuple[Layout, DecimalMark]:
        reader = self._restart(separator)
        try:
            header = self._next_header(reader)
        except StopIteration:
            raise InvalidInput(f"{self.source} has no header; give a CSV file with one") from None
        except csv.Error as error:
            raise InvalidInput(f"{self.source}: its header is not CSV: {error}") from None
        alone = self.options.meter or Path(self.source).stem
        layout = find_layout(header, self.options, self.source, reader.line_num, alone)
        mark = self.options.decimal
        if mark is None and separator == ",":
            mark = DecimalMark.POINT
        if mark is None:
            mark = find_decimal(self._cells(reader, layout), self.source)
        self.reader = self._restart(separator)
        self._next_header(self.reader)
        return layout, mark

    def _next_header(self, reader: _Lines) -> list[str]:
        rows = (row for row in reader if row)
        return next(islice(rows, self.lines_before_header, None))

    def _restart(self, separator: str) -> _Lines:
        self.file.seek(0)
        # Strict, because a stray quote would otherwise swallow lines in silence.
        return csv.reader(self.file, delimiter=separator, strict=True)

    @staticmethod
    def _cells(reader: _Lines, layout: Layout) -> Iterator[str]:
        positions = [
            position
            for series in layout.series
            for position in (series.consumption, series.production)
            if position is not None
        ]
        try:
            for row in reader:
                if len(row) == layout.width:
                    yield from (row[position] for position in positions)
        except csv.Error:
            return  # the same line is a fault when it is read for good

    def _fault(self, kind: FaultKind, message: str, moment: Moment | None = None) -> None:
        day = None
        if moment is not None:
            local = (moment.instant + moment.offset) // DAY_MICROSECONDS
            day = date.fromordinal(local + _EPOCH_DAY)
        placed = kind is FaultKind.VALUE
        self.faults.append(Fault(kind, Problem(self.reader.line_num, message), day, placed))

    def _rows(self, layout: Layout) -> Iterator[tuple[list[str], Moment]]:
        """The rows that are as wide as the header and have a usable time."""
        times, at_time, width, reader = self.times, layout.time, layout.width, self.reader
        for row in reader:
            if len(row) != width:
                if row:
                    message = f"{len(row)} columns where the header has {width}"
                    if self._may_have_decimal_commas(row, width):
                        message += (
                            ": decimals after a comma cannot be told from columns between commas; "
                            "write them with a point, or put quotes around them and give "
                            "--decimal comma"
                        )
                    self._fault(FaultKind.LINE, message)
                continue
            text = row[at_time]
            time = times.get(text)
            if time is None:
                time = times[text] = read_time(text.strip(), self.zone)
            if isinstance(time, Moment):
                yield row, time
            elif time is NO_OFFSET:
                self.without_offset.append(reader.line_num)
            else:
                self._fault(FaultKind.TIME, time)

    def _may_have_decimal_commas(self, row: list[str], width: int) -> bool:
        """Whether each cell too many may be the decimals of a number before it."""
        digits = sum(cell.strip().isdecimal() for cell in row)
        return self.separator == "," and 0 < 2 * (len(row) - width) <= digits

    def _read_long(self, layout: Layout, at_meter: int) -> None:
        [series] = layout.series
        for row, time in self._rows(layout):
            meter = row[at_meter].strip()
            if meter:
                self._add(meter, row, series, time)
            else:
                self._fault(FaultKind.LINE, "no meter name", time)

    def _read_series(self, layout: Layout) -> None:
        wide = layout.format is Format.WIDE
        for series in layout.series:
            self.meters[series.meter] = len(self.meters)
        for row, time in self._rows(layout):
            for series in layout.series:
                cells = [
                    row[position]
                    for position in (series.consumption, series.production)
                    if position is not None
                ]
                # A cell that is left out is a reading that is missing, where others have one.
                if not wide or any(cell.strip() for cell in cells):
                    self._add(series.meter, row, series, time, wide)

    def _add(
        self, meter: str, row: list[str], series: Series, time: Moment, wide: bool = False
    ) -> None:
        number = self.meters.setdefault(meter, len(self.meters))
        whose = f" of {meter}" if wide else ""
        consumption = self._value(row, series.consumption, "consumption", whose, time)
        production = self._value(row, series.production, "production", whose, time)
        if time.again is not None:
            self.twice[len(self.rows)] = time
        line = self.reader.line_num
        self.rows.append((number, line, time.instant, time.offset, consumption, production))

    def _value(
        self, row: list[str], position: int | None, role: str, whose: str, time: Moment
    ) -> int:
        """The value of a column; UNUSABLE, and a fault, when it is none."""
        if position is None:
            return 0
        text = row[position]
        value = self.values.get(text)
        if value is None:
            value = self.values[text] = self._energy(text.strip())
        if isinstance(value, int):
            return value
        self._fault(FaultKind.VALUE, value.format(role + whose), time)
        return UNUSABLE

    def _energy(self, text: str) -> int | str:
        """The value in millionths of a Wh or W, or what is wrong with it, for a role in {}."""
        quoted = shown(text).replace("{", "{{").replace("}", "}}")
        number = text
        if self.mark == ",":
            number = text.replace(",", ".") if "." not in text else ""
        if len(text) > _NUMBER_LENGTH or not _NUMBER.fullmatch(number):
            fault = f"{{}} {quoted} is not a number" if text else "no {}"
            if self.mark == "." and _DECIMAL_COMMA.fullmatch(text):
                fault += ": write it with a decimal point, or give --decimal comma"
            return fault
        energy = _PRECISE.multiply(Decimal(number), self.uwh)
        if 0 <= energy <= _LIMIT:
            return int(energy.to_integral_value(ROUND_HALF_EVEN))
        reason = "is negative" if energy < 0 else f"is more than {MAX_ENERGY} Wh"
        return f"{{}} {quoted} {reason}"

    def _tell_of_missing_offsets(self) -> None:
        lines = self.without_offset
        if not lines:
            return
        told = [(line, "") for line in lines]
        if not any(isinstance(time, Moment) for time in self.times.values()):
            more = f", here and in {len(lines) - 1} more lines" if len(lines) > 1 else ""
            told = [(lines[0], more)]
        self.faults += [
            Fault(
                FaultKind.TIME,
                Problem(line, f"{NO_OFFSET}{more}; {GIVE_ZONE}"),
                placed=False,
            )
            for line, more in told
        ]

    def _tell_apart(self) -> set[int]:
        """Settles the rows whose local time comes twice; returns those that are beyond help."""
        dropped: set[int] = set()
        if not self.twice:
            return dropped
        of_meter: dict[int, list[int]] = {}
        for number, row in enumerate(self.rows):
            of_meter.setdefault(row[0], []).append(number)
        for rows in of_meter.values():
            places = [place for place, row in enumerate(rows) if row in self.twice]
            for run in runs(places):
                numbers = [rows[place] for place in run]
                told = tell_apart([(number, self.twice[number]) for number in numbers])
                for number in numbers:
                    meter, line, _, _, consumption, production = self.rows[number]
                    if told is None:
                        dropped.add(number)
                        self._not_told(line, self.twice[number])
                        continue
                    time = told[number]
                    self.rows[number] = (
                        *(meter, line, time.instant, time.offset),
                        *(consumption, production),
                    )
        return dropped

    def _not_told(self, line: int, time: Moment) -> None:
        message = (
            f"time {shown(time.text)} comes twice in {self.zone}, and the meter's lines do not have"
            " both in order; write the file's times with UTC offsets"
        )
        self.faults.append(Fault(FaultKind.TIME, Problem(line, message), placed=False))
