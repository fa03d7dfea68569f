"""Netting of readings into whole-Wh orders."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_chain.errors import InvalidInput
from energy_chain.meters import Netting, Reading, Readings, generate, net_positions

START = datetime(2016, 8, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

ENERGIES = st.decimals(min_value=0, max_value=4_294_967_295, allow_nan=False, places=None)


def reading(consumption: str, production: str, hour: int = 0, meter: str = "a") -> Reading:
    return Reading(meter, START + hour * HOUR, Decimal(consumption), Decimal(production))


def test_a_surplus_is_positive() -> None:
    assert Netting().position(reading("10", "35")) == 25


def test_a_need_is_negative() -> None:
    assert Netting().position(reading("35", "10")) == -25


@pytest.mark.parametrize(("consumption", "production"), [("0", "1.9"), ("1.9", "0")])
def test_an_order_is_truncated_toward_zero(consumption: str, production: str) -> None:
    assert abs(Netting().position(reading(consumption, production))) == 1


def test_the_rest_is_carried_over_to_the_next_period() -> None:
    netting = Netting()
    orders = [netting.position(reading("0.6", "0", hour)) for hour in range(5)]
    assert orders == [0, -1, 0, -1, -1]
    assert netting.rests == {"a": 0}


def test_meters_do_not_share_a_rest() -> None:
    netting = Netting()
    netting.position(reading("0", "0.6", meter="a"))
    assert netting.position(reading("0", "0.6", meter="b")) == 0


@given(st.lists(st.tuples(ENERGIES, ENERGIES), max_size=20))
def test_orders_and_the_final_rest_add_up_to_the_exact_sum(
    energies: list[tuple[Decimal, Decimal]],
) -> None:
    netting = Netting()
    total = 0
    for hour, (consumption, production) in enumerate(energies):
        total += netting.position(Reading("a", START + hour * HOUR, consumption, production))
        assert -1 < netting.rests["a"] < 1
    exact = sum(
        Fraction(production) - Fraction(consumption) for consumption, production in energies
    )
    assert total + Fraction(netting.rests.get("a", Decimal(0))) == exact


@pytest.mark.parametrize("energy", ["NaN", "Infinity", "1e-300"])
def test_an_energy_that_cannot_be_netted_exactly_is_refused(energy: str) -> None:
    netting = Netting()
    with pytest.raises(InvalidInput, match="cannot be netted exactly"):
        netting.position(reading("1", energy))
    assert not netting.rests


def test_positions_come_period_by_period_for_all_meters() -> None:
    readings = Readings(
        HOUR,
        ("b", "a"),
        tuple(
            reading("0", made, hour, meter)
            for hour in (0, 1)
            for meter, made in [("b", "3"), ("a", "4")]
        ),
    )
    positions = [(p.start, dict(p.energies)) for p in net_positions(readings)]
    assert positions == [(START, {"b": 3, "a": 4}), (START + HOUR, {"b": 3, "a": 4})]


def test_a_given_netting_holds_the_final_rests() -> None:
    netting = Netting()
    list(net_positions(Readings(HOUR, ("a",), (reading("0", "2.25"),)), netting))
    assert netting.rests == {"a": Decimal("0.25")}


def test_the_two_hours_of_the_same_name_are_two_periods() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    readings = generate(homes=1, first=date(2016, 11, 6), period=HOUR, timezone=zone)
    assert len(list(net_positions(readings))) == 25


def test_the_two_hours_are_two_periods_even_when_starts_share_a_zone() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    starts = [datetime(2016, 11, 6, 1, fold=fold, tzinfo=zone) for fold in (0, 1)]
    readings = tuple(Reading("a", start, Decimal(0), Decimal(1)) for start in starts)
    assert len(list(net_positions(Readings(HOUR, ("a",), readings)))) == 2
