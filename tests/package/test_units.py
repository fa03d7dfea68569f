"""Energies and durations as people write and read them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain.errors import InvalidInput
from energy_chain.units import duration, kwh, parse_duration, parse_energy

energies = st.integers(0, 10**30)


@pytest.mark.parametrize(
    ("text", "energy"),
    [
        ("1.5kWh", 1_500),
        ("1500Wh", 1_500),
        ("  2 kWh ", 2_000),
        ("0.001kWh", 1),
        ("1.500000kWh", 1_500),
        ("7.0 Wh", 7),
        ("007Wh", 7),
        ("3KWH", 3_000),
        ("3 wh", 3),
        ("0Wh", 0),
        ("4294967.295kWh", 2**32 - 1),
    ],
)
def test_an_energy_has_its_unit_and_is_whole_wh(text: str, energy: int) -> None:
    assert parse_energy(text) == energy


def test_a_negative_energy_is_a_number_that_the_market_will_refuse() -> None:
    assert parse_energy("-1.5kWh") == -1_500


@settings(max_examples=100)
@given(energy=energies, kilo=st.booleans(), space=st.sampled_from(["", " ", "  "]))
def test_an_energy_that_was_written_is_read_again(energy: int, kilo: bool, space: str) -> None:
    number = f"{energy // 1000}.{energy % 1000:03}" if kilo else f"{energy}"
    assert parse_energy(f"{number}{space}{'kWh' if kilo else 'Wh'}") == energy


@settings(max_examples=100)
@given(energies)
def test_an_energy_is_shown_exactly(energy: int) -> None:
    shown = kwh(energy)
    assert parse_energy(shown.replace(",", "")) == energy
    assert kwh(-energy) == (f"-{shown}" if energy else shown)


@pytest.mark.parametrize(
    ("energy", "shown"),
    [
        (0, "0.000 kWh"),
        (1, "0.001 kWh"),
        (-1, "-0.001 kWh"),
        (-1_500, "-1.500 kWh"),
        (1_234_500, "1,234.500 kWh"),
        (10**40 + 1, f"{10**37:,}.001 kWh"),
    ],
)
def test_an_energy_is_shown_in_kwh(energy: int, shown: str) -> None:
    assert kwh(energy) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "kWh", "5 kW", "5 MWh", "5 k Wh", "kWh 5", "5 kWh 3"),
        *("nan kWh", "inf Wh", "1e3Wh", "1_000Wh", "1,5kWh", "1,000 Wh", "0x10Wh", "+5Wh"),
        *(".5kWh", "5.kWh", "--5Wh", "- 5Wh", "1.5.0kWh", "5Wh\x00"),
        *(
            "٣Wh",
            "1.\N{ARABIC-INDIC DIGIT FIVE}kWh",
            "5\N{KELVIN SIGN}Wh",
            "\N{FULLWIDTH DIGIT FIVE}Wh",
            "²Wh",
        ),
        "1" * 38 + "kWh",
    ],
)
def test_what_is_no_energy_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an energy: give a number and its unit") as error:
        parse_energy(text)
    assert len(str(error.value)) < 150


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5Wh", "'0.5Wh' is 0.5 Wh"),
        ("0.0005kWh", "'0.0005kWh' is 0.5 Wh"),
        ("-1.50 Wh", "'-1.50 Wh' is -1.5 Wh"),
        ("1.0000001kWh", "'1.0000001kWh' is 1000.0001 Wh"),
        # More digits than decimals usually keep.
        ("1234567890123456789012345678.0005kWh", f"is {1234567890123456789012345678000}.5 Wh"),
    ],
)
def test_a_part_of_a_wh_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"{said}: give whole watt-hours"):
        parse_energy(text)


def test_the_longest_energy_is_exact() -> None:
    text = "9" * 33 + ".999kWh"
    assert parse_energy(text) == int(Decimal("9" * 36))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15min", 900),
        ("900s", 900),
        ("1h", 3_600),
        (" 2 h ", 7_200),
        ("never", 0),
        (" never ", 0),
        ("99999999h", 99_999_999 * 3_600),
    ],
)
def test_a_duration_has_its_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(900, "15 min"), (3_600, "60 min"), (90, "90 s"), (60.5, "60.5 s"), (86_400, "1440 min")],
)
def test_a_duration_is_shown_with_the_unit_that_leaves_nothing_out(
    seconds: float, text: str
) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_no_time_at_all_is_no_duration() -> None:
    assert parse_duration("never") == 0
    with pytest.raises(InvalidInput, match="is no time: give more, or 'never'"):
        parse_duration("0min")


@pytest.mark.parametrize(
    "text",
    [
        *("", "15", "min", "15m", "15 minutes", "1.5h", "-15min", "+15min", "1h30min", "15MIN"),
        *("٣s", "nan s", "1e3s", "Never", "999999999s", "1" * 500 + "s"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a duration: give a number and its") as error:
        parse_duration(text)
    assert len(str(error.value)) < 150
