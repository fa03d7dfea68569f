"""Netting of readings into whole-Wh orders."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_chain.meters import Netting, Reading, Readings, generate, net_positions
from energy_chain.meters.readings import UWH

START = datetime(2016, 8, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

ENERGIES = st.integers(0, 4_294_967_295 * UWH)


def reading(consumption: str, production: str, hour: int = 0, meter: str = "a") -> Reading:
    energies = (int(Decimal(energy) * UWH) for energy in (consumption, production))
    return Reading(meter, START + hour * HOUR, *energies)


def table(starts: list[datetime], **produced: list[int]) -> Readings:
    """What each meter has produced, in Wh, and nothing consumed."""
    production = np.array(list(produced.values()), np.int64).T * UWH
    zeros = np.zeros_like(production)
    return Readings(HOUR, tuple(produced), tuple(starts), zeros, production)


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
    energies: list[tuple[int, int]],
) -> None:
    netting = Netting()
    total = 0
    for hour, (consumption, production) in enumerate(energies):
        total += netting.position(Reading("a", START + hour * HOUR, consumption, production))
        assert -UWH < netting.rests["a"] < UWH
    exact = sum(production - consumption for consumption, production in energies)
    assert total * UWH + netting.rests.get("a", 0) == exact


@given(st.lists(st.lists(ENERGIES, min_size=6, max_size=6), min_size=1, max_size=8))
def test_a_table_gives_what_its_readings_give_one_by_one(periods: list[list[int]]) -> None:
    energies = np.array(periods, np.int64)
    starts = tuple(START + n * HOUR for n in range(len(periods)))
    readings = Readings(HOUR, ("a", "b", "c"), starts, energies[:, :3], energies[:, 3:])
    whole, single = Netting(), Netting()
    one_by_one = [single.position(reading) for reading in readings.rows()]
    assert whole.positions(readings).ravel().tolist() == one_by_one
    assert whole.rests == single.rests


def test_positions_come_period_by_period_for_all_meters() -> None:
    readings = table([START, START + HOUR], b=[3, 3], a=[4, 4])
    positions = [(p.start, dict(p.energies)) for p in net_positions(readings)]
    assert positions == [(START, {"b": 3, "a": 4}), (START + HOUR, {"b": 3, "a": 4})]


def test_a_given_netting_holds_the_final_rests() -> None:
    netting = Netting()
    netting.position(reading("0", "0.75"))
    list(net_positions(table([START], a=[2]), netting))
    assert netting.rests == {"a": 750_000}


def test_the_two_hours_of_the_same_name_are_two_periods() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    readings = generate(homes=1, first=date(2016, 11, 6), period=HOUR, timezone=zone)
    assert len(list(net_positions(readings))) == 25


def test_the_two_hours_are_two_periods_even_when_starts_share_a_zone() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    starts = [datetime(2016, 11, 6, 1, fold=fold, tzinfo=zone) for fold in (0, 1)]
    assert len(list(net_positions(table(starts, a=[1, 1])))) == 2
