"""Registers that count on and on: their differences, and what they leave open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_chain.errors import InvalidInput
from energy_chain.meters import (
    DayRange,
    FileOptions,
    Label,
    Readings,
    ReadingsError,
    Unit,
    measure,
    read_readings,
)

HEADER = "meter,period_start,consumption_kwh,production_kwh"
QUARTER = timedelta(minutes=15)

Reader = Callable[..., Readings]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Reads lines of time and registers of meter a."""

    def read(*lines: str, days: DayRange | None = None, **said: Any) -> Readings:
        path = tmp_path / "counters.csv"
        path.write_text("\n".join([HEADER, *(f"a,{line}" for line in lines)]) + "\n")
        return read_readings([path], FileOptions(registers=True, **said), days)

    return read


def of_hours(registers: Sequence[object]) -> list[str]:
    return [f"2020-01-01T{hour:02}:00Z,{register},0" for hour, register in enumerate(registers)]


def consumed(readings: Readings) -> list[int]:
    """In Wh."""
    return [energy // 10**6 for energy in readings.consumption[:, 0].tolist()]


def test_differences_of_registers_are_the_energies_of_the_periods_between(read: Reader) -> None:
    result = read(
        "2020-01-01T00:00Z,100.5,7", "2020-01-01T01:00Z,101.25,7", "2020-01-01T02:00Z,102,7.125"
    )
    assert consumed(result) == [750, 750]
    assert result.production[:, 0].tolist() == [0, 125_000_000]
    assert [start.hour for start in result.starts] == [0, 1]


def test_a_register_that_is_missing_leaves_two_periods_open(read: Reader) -> None:
    lines = of_hours(range(6))
    with pytest.raises(
        ReadingsError, match=r"no reading from .*T01:00.* to .*T03:00.*\(2 periods\)"
    ):
        read(*lines[:2], *lines[3:])


def test_a_register_that_runs_backwards_is_a_fault_at_its_line(read: Reader) -> None:
    with pytest.raises(ReadingsError) as error:
        read(*of_hours([100, 101, 3, 4]))
    [problem] = error.value.problems
    assert str(problem) == (
        "line 4: meter a: the register of consumption runs backwards, from 101.000 to 3.000 kWh: "
        "it was replaced, or give --digits N if it has N digits and begins again at zero"
    )


def test_a_register_of_known_digits_begins_again_at_zero(read: Reader) -> None:
    assert consumed(read(*of_hours(["998.5", "999.5", "0.25", "1"]), digits=3)) == [1000, 750, 750]


def test_a_register_far_below_its_last_value_was_replaced_whatever_its_digits(read: Reader) -> None:
    with pytest.raises(ReadingsError, match=r"line 3: .*it was replaced; correct"):
        read(*of_hours([600, 150, 151]), digits=3)


def test_a_day_without_the_fault_can_be_traded(read: Reader) -> None:
    hours = [f"2020-01-0{1 + hour // 24}T{hour % 24:02}:00Z" for hour in range(49)]
    registers = [hour if hour < 40 else hour - 39 for hour in range(49)]
    lines = [f"{hour},{register},0" for hour, register in zip(hours, registers, strict=True)]
    assert consumed(read(*lines, days=DayRange(date(2020, 1, 1)))) == [1000] * 24
    with pytest.raises(ReadingsError, match=r"line 42: .*runs backwards"):
        read(*lines, days=DayRange(date(2020, 1, 2)))


def test_a_register_that_cannot_be_read_spoils_the_periods_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "counters.csv"
    path.write_text("\n".join([HEADER, *(f"a,{line}" for line in of_hours([1, 2, "?", 4, 5]))]))
    found = measure([path], FileOptions(registers=True))
    assert found.consumption.tolist() == [10**9, -1, -1, 10**9]
    assert [fault.problem.line for fault in found.faults] == [4]


def test_a_register_may_be_read_ten_seconds_late_and_no_more(read: Reader) -> None:
    times = ("00:00:03", "00:15:10", "00:30:00")
    lines = [f"2020-01-01T{time}Z,{place},0" for place, time in enumerate(times)]
    assert consumed(read(*lines, period=QUARTER)) == [1000, 1000]
    late = [line.replace("00:15:10", "00:15:11") for line in lines]
    with pytest.raises(ReadingsError, match="no meter's registers were read at the start and"):
        read(*late, period=QUARTER)


def test_what_is_read_between_the_borders_is_not_needed(read: Reader) -> None:
    lines = [
        f"2020-01-01T00:{minute:02}:{second:02}Z,{minute},0"
        for minute in range(46)
        for second in (5, 35)
    ]
    assert consumed(read(*lines, period=QUARTER)) == [15_000] * 3


def test_registers_that_are_read_often_need_a_period(read: Reader) -> None:
    lines = [f"2020-01-01T00:00:{second:02}Z,{second},0" for second in range(0, 60, 10)]
    with pytest.raises(InvalidInput, match=r"a reading every 10 s: say .*--period 15min"):
        read(*lines)


def test_a_register_is_read_at_an_instant() -> None:
    with pytest.raises(InvalidInput, match="leave out --label end"):
        FileOptions(registers=True, label=Label.END)


def test_a_register_is_no_power() -> None:
    with pytest.raises(InvalidInput, match="a register counts energy, not kW"):
        FileOptions(registers=True, unit=Unit.KW)


@pytest.mark.parametrize("digits", [0, 10])
def test_digits_that_no_register_has_are_refused(digits: int) -> None:
    with pytest.raises(InvalidInput, match="give the 1 to 9 digits"):
        FileOptions(digits=digits)


def test_a_period_that_no_market_has_is_refused() -> None:
    with pytest.raises(InvalidInput, match="period is 0:07:00; it must divide a day"):
        FileOptions(period=timedelta(minutes=7))


@given(st.lists(st.integers(0, 4000), min_size=2, max_size=30), st.integers(0, 9999))
def test_energies_are_those_that_made_the_register_run(
    tmp_path_factory: pytest.TempPathFactory, energies: list[int], first: int
) -> None:
    path = tmp_path_factory.mktemp("registers") / "counters.csv"
    register, lines = first, [HEADER]
    for place, energy in enumerate([0, *energies]):
        register = (register + energy) % 10_000
        start = f"2020-01-01T{place // 4:02}:{place % 4 * 15:02}Z"
        lines.append(f"a,{start},{register / 1000:.3f},0")
    path.write_text("\n".join(lines))
    result = read_readings([path], FileOptions(registers=True, digits=1, period=QUARTER))
    assert consumed(result) == energies
