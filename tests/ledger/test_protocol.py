"""Each ledger has the methods of the protocol, with its parameters."""

import inspect

import pytest

from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.ledger import Ledger
from energy_chain.memory_ledger import MemoryLedger

METHODS = [
    name
    for name, member in vars(Ledger).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


def account_of(ledger: Ledger) -> str:
    """Typed: a checker of types refuses a ledger that lacks something."""
    return ledger.account


def memory_ledger_is_a_ledger(ledger: MemoryLedger) -> str:
    return account_of(ledger)


def contract_ledger_is_a_ledger(ledger: ContractLedger) -> str:
    return account_of(ledger)


def test_the_protocol_has_methods():
    assert len(METHODS) > 35


@pytest.mark.parametrize("kind_of_ledger", [MemoryLedger, ContractLedger])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_what_the_protocol_says(kind_of_ledger, name):
    expected = inspect.signature(getattr(Ledger, name)).parameters
    assert inspect.signature(getattr(kind_of_ledger, name)).parameters == expected


def test_a_ledger_knows_its_account(market):
    assert account_of(market.ledger) == market.owner


def test_another_account_acts_on_the_same_market(market):
    other = market.as_("producer")
    other.post_request(market.producer, 1)
    assert other.account == market.producer
    assert market.ledger.requests_outstanding() == 1
    assert market.ledger.account == market.owner
