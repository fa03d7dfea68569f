"""Meter readings: where they come from, and the orders that they give.

Energies are whole microwatt-hours in readings and whole Wh in orders, times are
aware, and nothing is ever guessed: readings that are missing, doubled or
unreadable are refused with their lines.

    measure         what stands in files of any format that is read
    complete        one reading for each meter and period of it, or a refusal
    read_readings   both at once
    inspect         what is in files, and what they lack
    write_csv, write_parquet   measurements as a file
    generate        readings of a made-up neighbourhood in a `Place`
    compare         how like one another two neighbourhoods are
    net_positions   the whole-Wh orders that readings give, period by period
"""

from __future__ import annotations

from energy_chain.meters.check import Comparison, Measure, Spread, compare
from energy_chain.meters.completing import complete, first_day
from energy_chain.meters.files.csv_reader import first_whole_day, read_csv
from energy_chain.meters.files.file_options import (
    Columns,
    DecimalMark,
    FileOptions,
    Format,
    Label,
    Unit,
)
from energy_chain.meters.files.sources import measure, read_readings
from energy_chain.meters.files.writers import write_csv, write_parquet, writer_for
from energy_chain.meters.inspection import Inspection, MeterSummary, inspect
from energy_chain.meters.made_up.generator import generate
from energy_chain.meters.made_up.places import Place
from energy_chain.meters.made_up.sky import SolarModel
from energy_chain.meters.measurements import Fault, FaultKind, Measurements
from energy_chain.meters.orders import Netting, PeriodPositions, net_positions
from energy_chain.meters.readings import (
    DayRange,
    Problem,
    Reading,
    Readings,
    ReadingsError,
)

__all__ = [
    "Columns",
    "Comparison",
    "DayRange",
    "DecimalMark",
    "Fault",
    "FaultKind",
    "FileOptions",
    "Format",
    "Inspection",
    "Label",
    "Measure",
    "Measurements",
    "MeterSummary",
    "Netting",
    "PeriodPositions",
    "Place",
    "Problem",
    "Reading",
    "Readings",
    "ReadingsError",
    "SolarModel",
    "Spread",
    "Unit",
    "compare",
    "complete",
    "first_day",
    "first_whole_day",
    "generate",
    "inspect",
    "measure",
    "net_positions",
    "read_csv",
    "read_readings",
    "write_csv",
    "write_parquet",
    "writer_for",
]
