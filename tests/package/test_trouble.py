"""Troubles: which of them pass, and that each is told once."""

from __future__ import annotations

import pytest

from energy_chain.errors import (
    FeeAboveCeiling,
    InvalidInput,
    MarketPaused,
    MeterNotRegistered,
    NodeUnreachable,
    NotOurContract,
    OutOfFunds,
    ReceiptTimeout,
    RequestRingFull,
    WrongChain,
)
from energy_chain.trouble import Troubles, passes


@pytest.mark.parametrize(
    "error",
    [
        *(NodeUnreachable("x"), ReceiptTimeout("x"), OutOfFunds("x"), FeeAboveCeiling("x")),
        *(MarketPaused(), RequestRingFull()),
    ],
)
def test_what_may_be_over_later_passes(error: Exception) -> None:
    assert passes(error)
    with Troubles():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        WrongChain("x"),
        NotOurContract("x"),
        InvalidInput("x"),
        MeterNotRegistered(),
        ValueError("x"),
    ],
)
def test_what_stays_is_raised_and_not_told(error: Exception) -> None:
    told: list[str] = []
    assert not passes(error)
    with pytest.raises(type(error)), Troubles(told.append):
        raise error
    assert told == []


def test_a_trouble_is_told_once_until_it_is_over_or_another_one_comes() -> None:
    told: list[str] = []
    troubles = Troubles(told.append)
    for said in ("a", "a\n", "b", "b", "a", None, "a", "a"):
        with troubles:
            if said:
                raise NodeUnreachable(said)
        assert bool(troubles) == bool(said)
    assert told == ["a", "b", "a", "a"]


def test_what_is_told_is_one_line() -> None:
    told: list[str] = []
    Troubles(told.append).met("two\n  lines")
    assert told == ["two lines"]
