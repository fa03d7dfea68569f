"""What packed calls cost, told without a chain, against what they cost on one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from energy_chain.chain.networks import EMBEDDED
from energy_chain.demo import run_demo
from energy_chain.gas import confirm_matches_gas, words_of
from energy_chain.meters import generate
from energy_chain.replay import Trade
from energy_chain.simulation import MemoryMarket

DAY = date(2026, 6, 21)


@pytest.mark.parametrize(("homes", "seed"), [(3, 1), (30, 2)])
def test_the_gas_of_every_period_is_told_within_a_hundredth(homes: int, seed: int) -> None:
    readings = generate(homes=homes, first=DAY, seed=seed, period=timedelta(hours=2))
    on_chain: list[tuple[int, int]] = []
    told: list[tuple[int, int]] = []

    def into(kept: list[tuple[int, int]]) -> Callable[[Trade], None]:
        def keep(trade: Trade) -> None:
            kept.append((trade.posting_and_matching_gas, trade.consuming_gas))

        return keep

    run_demo(readings, EMBEDDED, into(on_chain), packed=True)
    MemoryMarket(readings.period).trade(readings, into(told))
    assert len(told) == len(on_chain) == 12
    assert on_chain[-1][1] > 0
    for chain, twin in zip(on_chain, told, strict=True):
        assert twin == pytest.approx(chain, rel=0.01)


def test_a_confirmation_costs_by_the_word() -> None:
    a_word_more = confirm_matches_gas(4, 8) - confirm_matches_gas(4, 4)
    assert a_word_more == confirm_matches_gas(4, 12) - confirm_matches_gas(4, 8) > 5_000
    assert words_of(3, 2) == 2
