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
from energy_chain.trouble import ANSWERS_AGAIN, Troubles, passes


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


def test_a_trouble_is_told_once_until_a_while_is_over() -> None:
    told: list[tuple[float, str]] = []
    now = 0.0
    troubles = Troubles(lambda said: told.append((now, said)), clock=lambda: now)
    steps: list[tuple[float, Exception | None]] = [
        *((0, OutOfFunds("1 of 2")), (1, None), (2, OutOfFunds("1 of 3"))),
        *((3, MarketPaused()), (4, OutOfFunds("1 of 2")), (5, MarketPaused())),
        *((599, OutOfFunds("1 of 2")), (600, OutOfFunds("1 of 4")), (604, MarketPaused())),
    ]
    for at, error in steps:
        now = at
        with troubles:
            if error:
                raise error
        assert bool(troubles) == bool(error)
    assert told == [(0, "1 of 2"), (3, str(MarketPaused())), (600, "1 of 4"), (604, told[1][1])]


def test_a_node_that_answers_again_is_told_and_missed_anew() -> None:
    told: list[str] = []
    troubles = Troubles(told.append)
    for call in ("eth_call", "eth_blockNumber", None, None, "eth_chainId", "eth_chainId"):
        with troubles:
            if call:
                raise NodeUnreachable(f"no answer to {call}")
    assert told == ["no answer to eth_call", ANSWERS_AGAIN, "no answer to eth_chainId"]


def test_a_node_is_missed_anew_also_where_another_trouble_was_the_last_one() -> None:
    told: list[str] = []
    troubles = Troubles(told.append)
    for error in (NodeUnreachable("gone"), OutOfFunds("poor"), None, NodeUnreachable("away")):
        with troubles:
            if error:
                raise error
    assert told == ["gone", "poor", ANSWERS_AGAIN, "away"]


def test_what_is_told_is_one_line() -> None:
    told: list[str] = []
    Troubles(told.append).met("two\n  lines")
    assert told == ["two lines"]
