"""Looking a network over: can a market live there, and does ours?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import Web3Exception

from energy_chain.chain.addresses import VIEWER
from energy_chain.chain.artifact import load_artifact
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import DEPLOY_GAS, IMMUTABLES, ContractLedger
from energy_chain.chain.deployments import recall
from energy_chain.chain.networks import BYTECODE_EVM_VERSION, EMBEDDED, Network
from energy_chain.chain.sender import TransactionSender, node_message
from energy_chain.errors import ChainError, InvalidInput
from energy_chain.market import MIN_PERIOD_LENGTH, ZERO_ADDRESS, Address

UNKNOWN_OPCODE = re.compile("opcode|NotActivated", re.IGNORECASE)
"""What nodes say of code that is too new for their rules; the second is anvil's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is as it should be, and what the chain said.

    `good` is None for what is not there yet.
    """

    what: str
    good: bool | None
    said: str


def check_network(network: Network, contract: Address | None = None) -> Iterator[Finding]:
    """Looks a network over, and stops where nothing further can be looked at.

    Args:
        network: which.
        contract: the market's address; the one that is remembered when None.
    """
    try:
        connection = Connection.open(network)
    except ChainError as error:
        yield Finding("node", False, str(error))
        return
    try:
        yield Finding("node", True, connection.w3.client_version)
        yield Finding("chain id", True, str(connection.chain_id))
        block = connection.block()
        time = datetime.fromtimestamp(block["timestamp"], UTC)
        yield Finding("latest block", True, f"{block['number']:,} of {time:%Y-%m-%d %H:%M:%S} UTC")
        yield _evm(connection)
        if network.name != EMBEDDED.name:
            yield _contract(connection, contract or network.contract)
    except (ChainError, Web3Exception) as error:
        yield Finding("answers", False, str(error))


def require_evm(connection: Connection) -> None:
    """Refuses a chain whose EVM does not run our code: it would take a deployment all the same.

    Raises:
        ChainError: it does not.
    """
    finding = _evm(connection)
    if not finding.good:
        raise ChainError(f"{connection.network.name}: {finding.said}")


def _evm(connection: Connection) -> Finding:
    """Tries a deployment as a call: the code that it returns must be ours."""
    network = connection.network
    if not network.runs_our_bytecode:
        said = f"the settings say {network.evm_version}, and the contract needs"
        remedy = f"correct evm_version of network {network.name}, or use another one"
        return Finding("EVM", False, f"{said} {BYTECODE_EVM_VERSION} or later: {remedy}")
    artifact = load_artifact()
    deployment = connection.w3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
    data = deployment.constructor(VIEWER, VIEWER, MIN_PERIOD_LENGTH).data_in_transaction
    sender = Web3.to_checksum_address(VIEWER)
    use = f"use a node with the rules of {BYTECODE_EVM_VERSION}"
    try:
        code = connection.w3.eth.call({"from": sender, "data": data, "gas": DEPLOY_GAS})
    except (Web3Exception, ValueError) as error:
        told = node_message(error)
        if UNKNOWN_OPCODE.search(told):
            said = f"cannot run code for {BYTECODE_EVM_VERSION} ({told}): {use}"
        else:
            said = f"the node does not try a deployment ({told}): ask who runs it, or use another"
        return Finding("EVM", False, said)
    if code[:-IMMUTABLES] != HexBytes(artifact.runtime):
        return Finding("EVM", False, f"returns other code than ours: {use}")
    return Finding("EVM", True, f"runs code for {BYTECODE_EVM_VERSION}")


def _contract(connection: Connection, given: Address | None) -> Finding:
    try:
        known = None if given else recall(connection)
        address = given or (known and known.address)
        if not address:
            deploy = f"deploy one with energy-chain deploy --network {connection.network.name}"
            return Finding("contract", None, f"none is known: {deploy}")
        ledger = ContractLedger(TransactionSender(connection, ()), address, ZERO_ADDRESS)
    except (ChainError, InvalidInput) as error:
        return Finding("contract", False, str(error))
    code_hash = load_artifact().code_hash
    return Finding("contract", True, f"{ledger.address}, code {code_hash[:16]}… as compiled here")
