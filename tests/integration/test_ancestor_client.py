"""A client written for the ancestor's contract works against this one, unchanged.

All that it knows is below: the ancestor's ABI, written by hand, and the node's own accounts, which
the node signs for, as scripts for Brownie and web3 have it. Only the market it meets is ours.
"""

from __future__ import annotations

from typing import Any

import pytest
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.sender import TransactionSender
from tests.integration.nodes import Node


def entry(name: str, inputs: dict[str, str], output: str | None = None) -> dict[str, Any]:
    """The JSON ABI of a function; one with an output is a view."""
    return {
        "type": "function",
        "name": name,
        "inputs": [{"name": each, "type": kind} for each, kind in inputs.items()],
        "outputs": [{"name": "", "type": output}] if output else [],
        "stateMutability": "view" if output else "nonpayable",
    }


ABI = [
    entry("incomingRequest", {"_address": "address", "_value": "int256"}),
    entry("incomingRelease", {"_address": "address", "_value": "int256"}),
    entry("doMatching", {"_value": "int256"}),
    entry("consume", {"_address": "address", "_value": "int256"}),
    entry("check_request_counter", {}, "uint256"),
    entry("check_release_counter", {}, "uint256"),
    entry("get_request_value", {}, "int256"),
    entry("get_release_value", {}, "int256"),
    entry("outgoingRelease", {"_address": "address"}, "address"),
    entry("get_mapping_data", {"_address": "address"}, "address"),
    entry("get_matching_value", {"_address": "address"}, "int256"),
    entry("owner", {}, "address"),
]


@pytest.fixture
def address(node: Node) -> str:
    """Where the market is: account 1 matches, accounts 3 and 4 are meters."""
    accounts = development_accounts(5)
    owner, aggregator, operator, *meters = (account.address for account in accounts)
    sender = TransactionSender(Connection.open(network_at(node.url)), accounts)
    market = ContractLedger.deploy(sender, owner, aggregator, operator, period_length=0)
    market.as_account(operator).register_meters(meters)
    return market.address


@pytest.fixture
def w3(node: Node) -> Web3:
    return Web3(HTTPProvider(node.url))


@pytest.fixture
def market(w3: Web3, address: str) -> Contract:
    contract: Contract = w3.eth.contract(address=Web3.to_checksum_address(address), abi=ABI)
    return contract


def test_a_client_of_the_ancestor_trades(w3: Web3, market: Contract) -> None:
    owner, aggregator, _, producer, consumer = w3.eth.accounts[:5]
    call = market.functions

    def send(sender: str, function: str, *arguments: Any) -> None:
        digest = market.functions[function](*arguments).transact({"from": sender})
        assert w3.eth.wait_for_transaction_receipt(digest)["status"] == 1

    def queues() -> tuple[int, int, int, int]:
        """Requests outstanding and Wh of the next one, then the same of the releases."""
        return (
            call.check_request_counter().call(),
            call.get_request_value().call(),
            call.check_release_counter().call(),
            call.get_release_value().call(),
        )

    assert call.owner().call() == owner
    assert queues() == (0, 0, 0, 0)

    send(producer, "incomingRequest", producer, 1_500)
    send(consumer, "incomingRelease", consumer, 1_200)
    assert queues() == (1, 1_500, 1, 1_200)

    send(aggregator, "doMatching", min(call.get_request_value().call(), 1_200))
    assert queues() == (1, 300, 0, 0)
    assert call.get_mapping_data(consumer).call() == producer
    assert call.outgoingRelease(consumer).call() == producer
    assert call.get_matching_value(consumer).call() == 1_200

    send(consumer, "consume", consumer, 500)
    assert call.get_matching_value(consumer).call() == 700
    send(consumer, "consume", consumer, 700)
    assert call.get_matching_value(consumer).call() == 0

    send(consumer, "incomingRelease", consumer, 400)
    send(aggregator, "doMatching", 300)
    assert queues() == (0, 0, 1, 100)
    assert call.get_matching_value(consumer).call() == 300


def test_what_the_ancestor_let_anyone_do_is_refused_with_a_reason(
    w3: Web3, market: Contract
) -> None:
    _, aggregator, _, producer, consumer = w3.eth.accounts[:5]
    for sender, function, arguments, reason in (
        (consumer, "incomingRequest", [producer, 1], "sender is not operator"),
        (producer, "incomingRequest", [producer, -1], "value not 1..2"),
        (producer, "doMatching", [1], "sender is not aggregator"),
        (aggregator, "doMatching", [1], "cannot match that much"),
        (consumer, "consume", [consumer, 1], "consumer has no match"),
    ):
        with pytest.raises(Web3Exception, match=reason):
            market.functions[function](*arguments).transact({"from": sender})
