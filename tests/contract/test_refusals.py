"""The reasons that the contract refuses with."""

from __future__ import annotations

import re

import pytest

from energy_chain.chain.artifact import sources
from energy_chain.errors import REFUSALS


def code() -> str:
    """The contract's text without its comments."""
    source = (sources() / "EnergyContract.vy").read_text()
    return re.sub(r'"""[\s\S]*?"""|#.*', "", source)


def reasons() -> set[str]:
    return set(re.findall(r'"(energy: [^"]*)"', code()))


def test_there_is_an_error_for_each_reason_and_a_reason_for_each_error():
    assert reasons() == set(REFUSALS)
    assert {error.reason for error in REFUSALS.values()} == set(REFUSALS)


def test_every_refusal_goes_through_one_place():
    assert re.findall(r"\braise\b.*", code()) == ["raise reason"]
    assert not re.findall(r"^\s*assert\b", code(), re.MULTILINE)
    told = re.findall(r"self\._refuse\(\s*([^)]*)\)", code())
    assert [reason for reason in told if not reason.startswith('"energy: ')] == [
        "reason"
    ]  # skipped


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_a_reason_fits_a_word_and_names_the_market(reason):
    assert len(reason.encode("ascii")) <= 32
    assert reason.startswith("energy: ")
    assert reason[8:9].islower()
