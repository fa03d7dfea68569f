"""The fuzzer itself: it counts, it finds, it replays, and its ABI is everybody's."""

from __future__ import annotations

import pytest
from eth_abi import decode, encode
from rich.console import Console

from energy_chain.memory_ledger import MemoryLedger

from ..property.markets import METERS
from . import fuzz
from .calldata import function
from .machine import VIOLATED


@pytest.fixture
def short_rounds(monkeypatch):
    """Two sequences of forty calls to a round."""
    monkeypatch.setattr(fuzz, "EXAMPLES", 2)
    monkeypatch.setattr(fuzz, "STEPS", 40)


@pytest.mark.usefixtures("short_rounds")
def test_a_round_counts_its_calls_and_finds_nothing():
    done = fuzz.run_round(3)
    assert not done.violation
    assert done.tally.calls > 40
    table = fuzz.table_of(done.tally)
    assert table.row_count == len(done.tally.outcomes)
    Console(quiet=True).print(table)


@pytest.mark.usefixtures("short_rounds")
def test_a_round_that_found_something_finds_it_again(monkeypatch):
    # To break the twin instead of the contract takes no compiler.
    monkeypatch.setattr(MemoryLedger, "_check_operator", lambda *_: None)
    first, again = fuzz.run_round(3, shrink=False), fuzz.run_round(3, shrink=False)
    assert "Failing test case" in first.violation
    assert first.tally.outcomes == again.tally.outcomes
    assert sum(outcomes[VIOLATED] for outcomes in first.tally.outcomes.values()) == 1


def test_the_first_round_has_the_seed_that_was_given():
    rounds = fuzz.seeds(5)
    assert next(rounds) == 5
    assert next(rounds) != 5


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pause", ()),
        ("consume", (METERS[0], -1)),
        ("register_meters", (METERS[:3],)),
        ("post_and_match", ([1, 2**256 - 1], [], 7)),
        ("confirm_deliveries", (2**256 - 4, [0])),
    ],
)
def test_calldata_is_that_of_eth_abi(name, arguments):
    called = function(name)
    assert called.calldata(*arguments) == called.selector + encode(called.types, arguments)


def test_what_is_returned_is_read_as_eth_abi_reads_it():
    types, matches = ["(uint256,address,address,uint256)[]"], [(7, METERS[0], METERS[1], 2**32)]
    data = encode(types, [matches])
    assert [list(function("matches_of").returned(data))] == [matches]
    assert [tuple(map(str.lower, match[1:3])) for match in matches] == [
        match[1:3] for match in decode(types, data)[0]
    ]
    assert function("get_request_value").returned(encode(["int256"], [-5])) == -5
