"""Meter readings: where they come from, and the orders that they give.

Energies are whole microwatt-hours in readings and whole Wh in orders, times are
aware, and nothing is ever guessed: readings that are missing, doubled or
unreadable are refused with their lines.

    read_csv        measured readings from a CSV file
    generate        readings of a made-up neighbourhood in a `Place`
    compare         how like one another two neighbourhoods are
    write_readings  readings as a CSV file
    net_positions   the whole-Wh orders that readings give, period by period
"""

from __future__ import annotations

from energy_chain.meters.check import Comparison, Measure, Spread, compare
from energy_chain.meters.csv_reader import Columns, first_whole_day, read_csv
from energy_chain.meters.csv_writer import write_readings
from energy_chain.meters.generator import generate
from energy_chain.meters.orders import Netting, PeriodPositions, net_positions
from energy_chain.meters.places import Place
from energy_chain.meters.readings import (
    DayRange,
    Problem,
    Reading,
    Readings,
    ReadingsError,
)
from energy_chain.meters.sky import SolarModel

__all__ = [
    "Columns",
    "Comparison",
    "DayRange",
    "Measure",
    "Netting",
    "PeriodPositions",
    "Place",
    "Problem",
    "Reading",
    "Readings",
    "ReadingsError",
    "SolarModel",
    "Spread",
    "compare",
    "first_whole_day",
    "generate",
    "net_positions",
    "read_csv",
    "write_readings",
]
