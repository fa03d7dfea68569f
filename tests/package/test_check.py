"""Looking a network over: what is found good, what is not, and where the look ends."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from energy_chain.chain.artifact import load_artifact
from energy_chain.chain.check import Finding, check_network
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.deployments import deployments_file, remember
from energy_chain.chain.networks import EMBEDDED, EMBEDDED_CHAIN_ID, Network
from tests.package.chains import STRANGER, market_on, unused_url

WHATS = ["node", "chain id", "latest block", "EVM", "contract"]


@pytest.fixture
def network(node: Any) -> Network:
    return Network(name="pilot", url=node.url, total_timeout=2.0)


@pytest.fixture
def market(network: Network) -> ContractLedger:
    """A market that is remembered."""
    connection = Connection.open(network)
    ledger = market_on(connection)
    remember(connection, ledger)
    return ledger


def found(network: Network, contract: str | None = None) -> dict[str, Finding]:
    return {finding.what: finding for finding in check_network(network, contract)}


def test_all_is_well_where_our_market_stands(network: Network, market: ContractLedger) -> None:
    findings = found(network)
    assert list(findings) == WHATS
    assert all(finding.good is True for finding in findings.values())
    assert findings["chain id"].said == str(EMBEDDED_CHAIN_ID)
    assert findings["latest block"].said == "2 of 2023-11-14 22:15:02 UTC"
    assert findings["EVM"].said == "runs code for shanghai"
    code = load_artifact().code_hash[:16]
    assert findings["contract"].said == f"{market.address}, code {code}… as compiled here"


def test_looking_sends_nothing(node: Any, network: Network, market: ContractLedger) -> None:
    sent = len(node.sent())
    assert len(found(network)) == len(WHATS)
    assert len(node.sent()) == sent
    assert market.paused() is False


def test_where_no_market_is_known_that_is_no_fault(network: Network) -> None:
    findings = found(network)
    assert list(findings) == WHATS
    assert findings.pop("contract") == Finding(
        "contract", None, "none is known: deploy one with energy-chain deploy --network pilot"
    )
    assert all(finding.good is True for finding in findings.values())


def test_the_embedded_chain_has_no_market_to_look_for() -> None:
    findings = found(EMBEDDED)
    assert list(findings) == WHATS[:-1]
    assert all(finding.good is True for finding in findings.values())


def test_a_market_can_be_given_or_stand_in_the_settings(
    network: Network, market: ContractLedger
) -> None:
    deployments_file().unlink()
    for findings in (
        found(network, market.address),
        found(replace(network, contract=market.address)),
    ):
        assert findings["contract"].good is True
        assert market.address in findings["contract"].said


def test_a_node_that_does_not_run_ends_the_look() -> None:
    (finding,) = check_network(Network(name="pilot", url=unused_url()))
    assert (finding.what, finding.good) == ("node", False)
    assert "no usable answer to eth_chainId from pilot" in finding.said


def test_another_chain_ends_the_look(network: Network) -> None:
    (finding,) = check_network(replace(network, chain_id=12345))
    assert (finding.what, finding.good) == ("node", False)
    assert f"pilot serves chain {EMBEDDED_CHAIN_ID}, not 12345" in finding.said


@pytest.mark.parametrize(
    ("method", "reply", "before"),
    [
        ("web3_clientVersion", {"error": {"code": -32601, "message": "unknown"}}, []),
        ("eth_getBlockByNumber", HTTPStatus.SERVICE_UNAVAILABLE, WHATS[:2]),
        ("eth_call", b"<html>", WHATS[:3]),
        ("eth_getCode", HTTPStatus.BAD_GATEWAY, WHATS[:4]),
    ],
)
def test_a_node_that_stops_answering_ends_the_look(
    node: Any,
    network: Network,
    market: ContractLedger,
    method: str,
    reply: Any,
    before: list[str],
) -> None:
    node.replaced[method] = lambda _: reply
    findings = found(network, market.address)
    last = {"eth_getCode": "contract"}.get(method, "answers")
    assert list(findings) == [*before, last]
    assert findings[last].good is False
    assert method in findings[last].said
    assert all(findings[what].good is True for what in before)


def test_a_node_without_the_rules_of_our_code_is_found_out(
    node: Any, network: Network, market: ContractLedger
) -> None:
    node.replaced["eth_call"] = lambda _: {
        "error": {"code": -32000, "message": "invalid opcode: PUSH0"}
    }
    findings = found(network)
    assert list(findings) == WHATS  # the look goes on
    evm = findings["EVM"]
    assert evm.good is False
    assert evm.said.startswith("cannot run code for shanghai (")
    assert "invalid opcode: PUSH0" in evm.said
    assert evm.said.endswith("use a node with the rules of shanghai")
    assert market.address in findings["contract"].said


@pytest.mark.parametrize("code", ["0x", "0x" + "00" * 100])
def test_a_node_that_makes_other_code_of_ours_is_found_out(
    node: Any, network: Network, code: str
) -> None:
    node.replaced["eth_call"] = lambda _: {"result": code}
    evm = found(network)["EVM"]
    assert evm == Finding(
        "EVM", False, "returns other code than ours: use a node with the rules of shanghai"
    )


@pytest.mark.parametrize(
    ("version", "good"), [("london", False), ("paris", False), ("osaka", True)]
)
def test_rules_in_the_settings_that_are_too_old_are_found_out(
    network: Network, version: str, good: bool
) -> None:
    evm = found(replace(network, evm_version=version))["EVM"]
    assert evm.good is good
    assert (f"the settings say {version}" in evm.said) is not good
    assert ("correct evm_version of network pilot" in evm.said) is not good


def test_another_contract_at_the_address_is_found_out(
    node: Any, network: Network, market: ContractLedger
) -> None:
    assert found(network, STRANGER)["contract"] == Finding(
        "contract",
        False,
        f"there is no contract at {STRANGER} on pilot: check the address and the network, or "
        "deploy",
    )
    node.replaced["eth_getCode"] = lambda _: {"result": "0x6000"}
    finding = found(network)["contract"]
    assert finding.good is False
    assert f"there is another contract at {market.address}" in finding.said


@pytest.mark.parametrize("address", ["0x1234", "market", ""])
def test_what_is_no_address_is_found_out(
    network: Network, market: ContractLedger, address: str
) -> None:
    finding = found(network, address)["contract"]
    if address:
        assert finding.good is False
        assert "is not an address" in finding.said
    else:
        assert market.address in finding.said


def test_a_market_that_is_remembered_of_another_chain_is_found_out(
    network: Network, market: ContractLedger
) -> None:
    known = deployments_file().read_text()
    genesis = Connection.open(network).genesis()
    deployments_file().write_text(known.replace(genesis, "0x" + "ab" * 32))
    finding = found(network)["contract"]
    assert finding.good is False
    assert f"{market.address}, deployed on pilot, is on another chain" in finding.said
    deployments_file().write_text("{")
    finding = found(network)["contract"]
    assert finding.good is False
    assert "is no file of deployments" in finding.said
