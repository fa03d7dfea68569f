"""From what a file's values are to the energy of each period.

    mean power   energy = power x period
    registers    energy = register at the end of a period - register at its start

A register counts at the border of a period when it was read there, or at most
TOLERANCE after: what it shows later says nothing of the border, and energies in
between are never made up. A register that runs backwards was replaced, or has
begun again at zero: only the number of its digits tells which.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from energy_chain.errors import InvalidInput
from energy_chain.meters.files.file_options import FileOptions, Label
from energy_chain.meters.measurements import (
    MICROSECOND,
    UNUSABLE,
    Fault,
    FaultKind,
    Integers,
    Measurements,
    Quantity,
)
from energy_chain.meters.readings import UWH, Problem, period_fault
from energy_chain.units import duration

TOLERANCE = timedelta(seconds=10)
"""How long after the border of a period a register may be read."""

_SECONDS_PER_HOUR = 3600


def to_energies(found: Measurements, options: FileOptions) -> Measurements:
    """Measurements of energies, each at the start of its period.

    Raises InvalidInput when it takes the length of a period, and the file leaves that open.
    """
    if not len(found):
        return replace(found, period=options.period, quantity=Quantity.ENERGY)
    if found.quantity is Quantity.REGISTER:
        return _from_registers(found, _period(found, options, "registers"), options.digits)
    if options.label is Label.END:
        step = _period(found, options, "periods by their ends")
        found = replace(found, instant=found.instant - step // MICROSECOND)
        found = found.with_offsets(local_offsets(found))
    if found.quantity is Quantity.POWER:
        found = _from_power(found, _period(found, options, "mean power"))
    return replace(found, period=options.period or found.period)


def _period(found: Measurements, options: FileOptions, what: str) -> timedelta:
    period = options.period or found.period or found.usual_step()
    if period is None or period_fault(period):
        steps = (
            "one reading of each meter" if period is None else f"a reading every {duration(period)}"
        )
        raise InvalidInput(
            f"{found.source} has {what}, and {steps}: say how long a period is, such as "
            "--period 15min"
        )
    return period


def local_offsets(found: Measurements) -> Integers:
    """The offset from UTC of each row: that of its time zone, or else the one it has."""
    if found.timezone is None:
        return found.offset
    instants, rows = np.unique(found.instant, return_inverse=True)
    offsets = [found.local(instant).utcoffset() for instant in instants.tolist()]
    microseconds = [(offset or timedelta(0)) // MICROSECOND for offset in offsets]
    result: Integers = np.array(microseconds, np.int64)[rows]
    return result


def _from_power(found: Measurements, period: timedelta) -> Measurements:
    seconds = int(period.total_seconds())

    def energy(power: int) -> int:
        if power == UNUSABLE:
            return UNUSABLE
        whole, rest = divmod(power * seconds, _SECONDS_PER_HOUR)
        half = 2 * rest - _SECONDS_PER_HOUR
        return whole + (half > 0 or (half == 0 and whole % 2 == 1))

    consumption, production = (
        np.array([energy(power) for power in column.tolist()], np.int64)
        for column in (found.consumption, found.production)
    )
    return replace(found, consumption=consumption, production=production, quantity=Quantity.ENERGY)


def _from_registers(found: Measurements, period: timedelta, digits: int | None) -> Measurements:
    rows = found.by_time()
    faults: list[Fault] = []
    counted: list[Integers] = []
    known_rows = (rows.consumption != UNUSABLE) & (rows.production != UNUSABLE)
    usable = known_rows.copy()
    same = np.concatenate(([False], np.diff(rows.meter) == 0))
    for name in ("consumption", "production"):
        register = getattr(rows, name)
        known = register != UNUSABLE
        steps = np.concatenate(([0], np.diff(register)))
        steps[~same | ~known | ~np.roll(known, 1)] = 0
        backwards = steps < 0
        if digits is not None:
            turn = 10**digits * 1000 * UWH
            rolled = backwards & (steps + turn < turn // 2) & (steps + turn >= 0)
            steps[rolled] += turn
            backwards &= ~rolled
        faults += [
            _backwards(rows, row, name, digits) for row in np.flatnonzero(backwards).tolist()
        ]
        usable &= ~backwards
        steps[backwards] = 0
        counted.append(np.cumsum(steps))
    # A sum of what cannot be used tells, by growing, which periods it falls into.
    broken = np.cumsum(~usable)
    at_border = _at_borders(rows, period)
    ends = np.flatnonzero(_follows(rows, at_border, period))
    begin, end = at_border[ends], at_border[ends + 1]
    spoilt = (broken[begin] != broken[end]) | ~known_rows[begin]
    if not len(end):
        message = (
            f"no meter's registers were read at the start and the end of a period of "
            f"{duration(period)}, {TOLERANCE.seconds} s late at most"
        )
        faults.append(Fault(FaultKind.PERIOD, Problem(None, message)))
    result = rows.where(end)
    step = period // MICROSECOND
    starts = rows.instant[begin] // step * step
    consumption, production = (
        np.where(spoilt, UNUSABLE, total[end] - total[begin]) for total in counted
    )
    return replace(
        result,
        instant=starts,
        offset=rows.offset[begin],
        consumption=consumption,
        production=production,
        faults=(*found.faults, *faults),
        period=period,
        quantity=Quantity.ENERGY,
    )


def _backwards(rows: Measurements, row: int, name: str, digits: int | None) -> Fault:
    register = getattr(rows, name)
    kwh = 1000 * UWH
    day = date.fromordinal(int(rows.days()[row]))
    remedy = (
        "it was replaced"
        if digits is not None
        else "it was replaced, or give --digits N if it has N digits and begins again at zero"
    )
    message = (
        f"meter {rows.meters[rows.meter[row]]}: the register of {name} runs backwards, from "
        f"{register[row - 1] / kwh:.3f} to {register[row] / kwh:.3f} kWh: {remedy}"
    )
    return Fault(FaultKind.VALUE, rows.problem(row, message), day)


def _at_borders(rows: Measurements, period: timedelta) -> Integers:
    """The rows at which a register is read at the border of a period: the first of each."""
    step = period // MICROSECOND
    near = np.flatnonzero(rows.instant % step <= TOLERANCE // MICROSECOND)
    border = rows.instant[near] // step
    meter = rows.meter[near]
    first = np.concatenate(([True], (np.diff(border) != 0) | (np.diff(meter) != 0)))
    result: Integers = near[first[: len(near)]]
    return result


def _follows(rows: Measurements, at_border: Integers, period: timedelta) -> NDArray[np.bool_]:
    """Whether the next of these rows is of the same meter, and one period later."""
    step = period // MICROSECOND
    border = rows.instant[at_border] // step
    follows: NDArray[np.bool_] = (np.diff(border) == 1) & (np.diff(rows.meter[at_border]) == 0)
    return follows
