"""What the header of a CSV file says: separators, and which column is what."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from energy_chain.errors import InvalidInput
from energy_chain.meters.files.file_options import (
    DIRECTIONS,
    NO_COLUMN,
    Columns,
    DecimalMark,
    FileOptions,
    Format,
    Unit,
)
from energy_chain.meters.readings import Problem, ReadingsError, shown

_SEPARATORS = ",;\t|"
_SHOWN_COLUMNS = 20
_WORDS = {"consumption": ("consumption", "import"), "production": ("production", "export")}
_UNITS = {unit.lower(): unit for unit in Unit}
_PREFIXES = ("", "k", "m", "g", "t", "kilo", "mega", "giga", "tera")
# Left out are V, A and J, which may as well be the names of meters.
_OTHER_UNITS = {
    *(prefix + unit for prefix in _PREFIXES for unit in ("wh", "w", "va", "vah", "var", "varh")),
    *(
        prefix + unit + ending
        for prefix in _PREFIXES
        for unit in ("watt", "watthour", "joule")
        for ending in ("", "s")
    ),
    *("kj", "mj", "gj", "tj", "ws", "kws", "cal", "kcal", "mcal", "btu", "kbtu", "mbtu", "mmbtu"),
    *("therm", "therms"),
} - _UNITS.keys()
_OF_METER = re.compile(
    r"(?P<meter>.+?)[ _.:/-](?P<word>consumption|production|import|export)"
    r"(?:[ _]\(?(?P<unit>kwh|wh|kw|w)\)?)?",
    re.IGNORECASE,
)
# What could be grouped thousands as well as decimals: three digits follow, and no zero leads.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:[.,]\d{3})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Series:
    """The columns of one meter; None where there is no such column, and zero is meant."""

    meter: str
    consumption: int | None
    production: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column of a CSV file is what, by position.

    Attributes:
        format: long, wide or single.
        width: how many columns there are.
        time: the column of the times.
        meter: of the meters' names; None where `series` names them.
        series: the columns of energies; of one meter without a name in a long file.
        unit: of the values.
        names: of the columns that are read, for people.
    """

    format: Format
    width: int
    time: int
    meter: int | None
    series: tuple[Series, ...]
    unit: Unit
    names: tuple[str, ...]


_Item = TypeVar("_Item", bound=Hashable)


class _NoSuchColumns(Exception):
    """Faults of a header, the roles of columns that are to be named, and what else may be done."""

    def __init__(self, faults: Sequence[str], roles: Iterable[str], unit: str | None) -> None:
        super().__init__()
        self.faults, self.roles, self.unit = faults, list(roles), unit


def find_separator(line: str, columns: Columns, source: str) -> str:
    """The character between the columns. Raises InvalidInput when it could be one of several."""
    named = {columns.meter, columns.period_start, columns.consumption, columns.production}
    named |= {name for _, _, name in columns.of_meters}
    found = {}
    for separator in _SEPARATORS:
        fields = next(csv.reader([line], delimiter=separator), [])
        if len(fields) > 1:
            found[separator] = len(named & {field.strip() for field in fields})
    if len(found) <= 1:
        return next(iter(found), ",")
    most = max(found.values())
    best = [separator for separator in found if found[separator] == most]
    if most and len(best) == 1:
        return best[0]
    shown_ones = " or ".join(repr(separator) for separator in best)
    raise InvalidInput(
        f"{source}: its columns may be separated by {shown_ones}: give a header with one of "
        f"these only, or with a column named {columns.period_start!r}"
    )


def named_separator(line: str) -> str | None:
    """The separator that the first line names in the manner of Excel, `sep=;`; None in others."""
    found = re.fullmatch(rf'"?sep=([{_SEPARATORS}])"?', line.strip("\r\n "), re.IGNORECASE)
    return found[1] if found else None


def find_decimal(cells: Iterable[str], source: str) -> DecimalMark:
    """What stands before decimals, by the first number that leaves no doubt.

    Raises InvalidInput when numbers have decimals or grouped thousands and nothing tells which.
    """
    doubtful = None
    for cell in cells:
        comma, point = "," in cell, "." in cell
        if comma == point:  # neither, or what is no number
            continue
        if not _GROUPED.fullmatch(cell.strip()):
            return DecimalMark.COMMA if comma else DecimalMark.POINT
        doubtful = doubtful or cell.strip()
    if doubtful is None:
        return DecimalMark.POINT
    raise InvalidInput(
        f"{source}: {shown(doubtful)} may have decimals or grouped thousands: "
        "give --decimal comma or --decimal point"
    )


def find_layout(
    header: list[str], options: FileOptions, source: str, line: int, meter: str
) -> Layout:
    """Which column is what.

    Args:
        header: the names of the columns.
        options: what the user says.
        source: the file.
        line: of the header.
        meter: the name of the meter of a file that does not name it.

    Raises:
        ReadingsError: columns are missing or in doubt; it says what to name them by.
    """
    names = [name.strip() for name in header]
    try:
        return _layout(names, options, meter)
    except _NoSuchColumns as found:
        listed = ", ".join(shown(name) for name in names[:_SHOWN_COLUMNS])
        more = ", ..." if len(names) > _SHOWN_COLUMNS else ""
        message = f"{'; '.join(found.faults)}; the columns found are {listed}{more}"
        remedies = [found.unit] if found.unit else []
        if found.roles:
            roles = " ".join(f"--column {role}=NAME" for role in found.roles)
            remedies.append(f"name the file's columns with {roles}")
        remedy = "; ".join(remedies)
        if "production" in found.roles:
            remedy += f", or --column production={NO_COLUMN} where there is none"
        if options.format is None and "meter" in found.roles:
            remedy += (
                ", or give --format single for a file of one meter, --format wide for one with "
                "columns for each meter"
            )
        raise ReadingsError([Problem(line, message)], source, remedy) from None


_ONE_UNIT = (
    "write all values in one unit, kWh, Wh, kW or W, or say with --unit which they have if a name "
    "is wrong about it"
)


def _layout(names: list[str], options: FileOptions, meter: str) -> Layout:
    columns = options.columns
    if columns.of_meters:
        return _mapped(names, options)
    others = [name for name in names if name != columns.period_start]
    of_meters = [found for name in others if (found := _OF_METER.fullmatch(name))]
    plain = {name for direction in DIRECTIONS for name in _plain(columns, direction)}
    chosen = options.format
    if chosen is None and columns.meter not in names and len(others) < len(names):
        if others and all(name in plain for name in others):
            chosen = Format.SINGLE
        elif others and len(of_meters) == len(others):
            chosen = Format.WIDE
    if chosen is Format.WIDE:
        return _wide(names, others, options)
    return _long(names, options, None if chosen is Format.SINGLE else columns.meter, meter)


def _plain(columns: Columns, direction: str) -> list[str]:
    """The names that a column of energies may have."""
    given = getattr(columns, direction)
    if given is not None:
        return [given]
    return [
        name
        for word in _WORDS[direction]
        for name in (*(f"{word}_{unit}" for unit in _UNITS), word)
    ]


def _long(names: list[str], options: FileOptions, meter: str | None, alone: str) -> Layout:
    columns = options.columns
    roles = {"meter": meter, "period_start": columns.period_start}
    if meter is None:
        del roles["meter"]
    faults = []
    for direction in DIRECTIONS:
        wanted = _plain(columns, direction)
        if options.unit is not None and getattr(columns, direction) is None:
            unit = options.unit.lower()
            wanted = [name for name in wanted if name.endswith(f"_{unit}") or "_" not in name]
        there = [name for name in wanted if name in names]
        if len(there) > 1:
            faults.append(f"columns {' and '.join(map(repr, there))} may both be {direction}")
        named = getattr(columns, direction)
        expected = f"{direction}_{(options.unit or Unit.KWH).lower()}"
        roles[direction] = named or (there[0] if there else expected)
    for name in roles.values():
        count = names.count(name or "")
        if count == 0 and name != NO_COLUMN:
            faults.append(f"no column {name!r}")
        elif count > 1:
            faults.append(f"{count} columns are named {name!r}")
    for name, count in Counter(roles.values()).items():
        if count > 1:
            same = " and ".join(role for role in roles if roles[role] == name)
            faults.append(f"column {name!r} cannot be {same} at once")
    used = [str(roles[direction]) for direction in DIRECTIONS]
    unit, doubt = _unit(options, used)
    if faults or doubt:
        missing = [role for role, name in roles.items() if name not in (*names, NO_COLUMN)]
        raise _NoSuchColumns(
            [*faults, *doubt],
            missing or (DIRECTIONS if faults else ()),
            _ONE_UNIT if doubt else None,
        )
    at = {
        role: None if name == NO_COLUMN else names.index(name or "") for role, name in roles.items()
    }
    time = at["period_start"]
    assert time is not None
    return Layout(
        Format.LONG if meter is not None else Format.SINGLE,
        len(names),
        time,
        at.get("meter"),
        (Series(alone, at["consumption"], at["production"]),),
        unit,
        tuple(str(name) for name in roles.values()),
    )


def _wide(names: list[str], others: list[str], options: FileOptions) -> Layout:
    """Columns by their names: a meter's own name stands for its consumption."""
    found = []
    for name in others:
        parts = _OF_METER.fullmatch(name)
        if parts is None:
            found.append(("consumption", name, name))
        else:
            word = parts["word"].lower()
            direction = "consumption" if word in _WORDS["consumption"] else "production"
            found.append((direction, parts["meter"], name))
    return _columns_of_meters(names, found, options)


def _mapped(names: list[str], options: FileOptions) -> Layout:
    return _columns_of_meters(names, list(options.columns.of_meters), options)


def _columns_of_meters(
    names: list[str], found: list[tuple[str, str, str]], options: FileOptions
) -> Layout:
    time = options.columns.period_start
    faults = [
        f"no column {name!r}" for name in (time, *(n for _, _, n in found)) if name not in names
    ]
    faults += [f"{names.count(name)} columns are named {name!r}" for name in _repeated(names)]
    for direction, meter in _repeated([(direction, meter) for direction, meter, _ in found]):
        faults.append(f"meter {meter!r} has two columns of {direction}")
    if not found:
        faults.append("no column of a meter")
    unit, doubt = _unit(options, [name for _, _, name in found])
    if faults or doubt:
        roles = ["period_start", "consumption:METER", "production:METER"]
        raise _NoSuchColumns(
            [*faults, *doubt], roles if faults else (), _ONE_UNIT if doubt else None
        )
    at: dict[str, dict[str, int]] = {}
    for direction, meter, name in found:
        at.setdefault(meter, {})[direction] = names.index(name)
    series = tuple(
        Series(meter, columns.get("consumption"), columns.get("production"))
        for meter, columns in at.items()
    )
    read = time, *(name for _, _, name in found)
    return Layout(Format.WIDE, len(names), names.index(time), None, series, unit, read)


def _repeated(items: Sequence[_Item]) -> Iterator[_Item]:
    return (item for item, count in Counter(items).items() if count > 1)


def _unit(options: FileOptions, names: Iterable[str]) -> tuple[Unit, list[str]]:
    """The unit of values, and what is in doubt about it."""
    if options.unit is not None:
        return options.unit, []
    told, doubt = set(), []
    for name in names:
        ending = re.split(r"[\W_]+", name.rstrip(")] "))[-1]
        if name == "W":  # as it may be the name of a meter
            continue
        if ending.lower() in _UNITS:
            told.add(_UNITS[ending.lower()])
        elif ending.lower() in _OTHER_UNITS:
            doubt.append(f"column {name!r} is in {ending} by its name, a unit that is not read")
    if len(told) > 1:
        doubt.append(f"the columns' names have several units: {', '.join(sorted(told))}")
    if doubt:
        return Unit.KWH, doubt
    return (told.pop() if told else Unit.KWH), []
