"""What can be said about a file of readings that the file does not say itself."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from energy_chain.errors import InvalidInput
from energy_chain.meters.readings import UWH, period_fault

NO_COLUMN = "-"
"""In the place of a column's name: the file has none, and the energies are zero."""

DIRECTIONS = ("consumption", "production")


class Format(StrEnum):
    """The formats that are read. Each is found out by itself where that is beyond doubt."""

    LONG = "long"
    """CSV, a line for each meter and period."""
    WIDE = "wide"
    """CSV, a line for each period and columns for each meter."""
    SINGLE = "single"
    """CSV of one meter, a line for each period."""
    GREEN_BUTTON = "green-button"
    P1 = "p1"
    PARQUET = "parquet"


class Unit(StrEnum):
    """The unit of the values in a file: energies, or the mean power of each period."""

    KWH = "kWh"
    WH = "Wh"
    KW = "kW"
    W = "W"

    @property
    def is_power(self) -> bool:
        """Whether values are mean power."""
        return self in (Unit.KW, Unit.W)

    @property
    def micro(self) -> Decimal:
        """Microwatt-hours, or microwatts, in the unit."""
        return Decimal(1000 * UWH if self in (Unit.KWH, Unit.KW) else UWH)


class Label(StrEnum):
    """Which end of a period a time names."""

    START = "start"
    END = "end"


class DecimalMark(StrEnum):
    """What stands before the decimals of a number."""

    POINT = "point"
    COMMA = "comma"

    @property
    def character(self) -> str:
        """The character."""
        return "." if self is DecimalMark.POINT else ","


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of a file's columns.

    None stands for the name that goes with the unit: consumption_kwh and
    production_kwh, or consumption_wh and production_wh. `-` says that there is no
    such column, and zero is meant. `of_meters` has, for a file with columns for
    each meter, the name of each column by direction and meter.
    """

    meter: str = "meter"
    period_start: str = "period_start"
    consumption: str | None = None
    production: str | None = None
    of_meters: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How files of readings are to be read. None means: as the file says itself.

    Attributes:
        format: one of `Format`.
        columns: the names of a CSV file's columns.
        unit: of its values; kWh where neither this nor its columns' names say another.
        registers: whether values are what a meter has counted so far.
        digits: of a register before its decimals, in kWh, where it may begin again at zero.
        label: whether times are of the starts or of the ends of periods.
        period: how long a period is, where it is not the most common time between readings.
        decimal: what stands before the decimals of numbers.
        encoding: of a CSV file, as Python names it.
        timezone: of times without an offset, and whose days are meant.
        meter: the name of the meter of a file that does not name it; the file's name by default.

    Raises:
        InvalidInput: a value is out of range, or is good for registers only.
    """

    format: Format | None = None
    columns: Columns = Columns()
    unit: Unit | None = None
    registers: bool = False
    digits: int | None = None
    label: Label = Label.START
    period: timedelta | None = None
    decimal: DecimalMark | None = None
    encoding: str = "utf-8"
    timezone: tzinfo | None = None
    meter: str | None = None

    def __post_init__(self) -> None:
        """Refuses what contradicts itself."""
        if self.digits is not None and not 1 <= self.digits <= 9:
            raise InvalidInput(f"digits is {self.digits}; give the 1 to 9 digits of a register")
        if self.registers and self.unit is not None and self.unit.is_power:
            raise InvalidInput(f"a register counts energy, not {self.unit}: give kWh or Wh")
        if self.registers and self.label is Label.END:
            raise InvalidInput("a register is read at an instant: leave out --label end")
        if self.period is not None and (fault := period_fault(self.period)):
            raise InvalidInput(f"period is {self.period}; {fault}")
        try:
            codecs.lookup(self.encoding)
        except (LookupError, ValueError):
            raise InvalidInput(
                f"encoding {self.encoding[:40]!r} is unknown: give one such as utf-8 or latin-1"
            ) from None

    def for_csv_only(self) -> list[str]:
        """The options that are given and that only CSV files have a use for."""
        given = {
            "--column": self.columns != Columns(),
            "--unit": self.unit is not None,
            "--registers": self.registers,
            "--label": self.label is not Label.START,
            "--decimal": self.decimal is not None,
            "--encoding": self.encoding != "utf-8",
        }
        return [option for option, is_given in given.items() if is_given]


def unit_of(text: str) -> Unit:
    """The unit of a name. Raises InvalidInput."""
    try:
        return Unit(text)
    except ValueError:
        raise InvalidInput(f"unit is {text!r}; give kWh or Wh, or kW or W for mean power") from None
