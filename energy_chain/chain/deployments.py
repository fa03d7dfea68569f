"""Which markets stand where: remembered for each chain id in one small file.

`deployments.json` in the home folder, written by `deploy` and read by whoever
acts on that chain later from this machine. A chain that began anew with the
same chain id, as a development chain does, is told apart by its genesis block.

Importing it imports no web3: meters sign for a market without a chain.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from energy_chain.chain.artifact import load_artifact
from energy_chain.errors import InvalidInput, NotOurContract
from energy_chain.folders import home_folder, write_whole
from energy_chain.market import Address

if TYPE_CHECKING:
    from energy_chain.chain.connection import Connection
    from energy_chain.chain.contract_ledger import ContractLedger


@dataclass(frozen=True, slots=True)
class Deployment:
    """A market that was deployed from this machine.

    Attributes:
        network: what the chain was called then.
        address: of the contract.
        block: number of the block of the deployment.
        code_hash: `Artifact.code_hash` of what was deployed.
        abi_hash: `Artifact.abi_hash` of what was deployed.
        genesis: hash of the chain's block 0.
    """

    network: str
    address: Address
    block: int
    code_hash: str
    abi_hash: str
    genesis: str


def deployments_file() -> Path:
    """The file of the deployments. It may not exist yet."""
    return home_folder() / "deployments.json"


def remember(connection: Connection, ledger: ContractLedger) -> Deployment:
    """Writes down where a market was deployed, beside those that were before.

    Raises:
        InvalidInput: the file holds something else, or cannot be written.
    """
    artifact = load_artifact()
    deployment = Deployment(
        network=connection.network.name,
        address=ledger.address,
        block=ledger.first_block,
        code_hash=artifact.code_hash,
        abi_hash=artifact.abi_hash,
        genesis=connection.genesis(),
    )
    path = deployments_file()
    remedy = (
        f"the market is deployed at {ledger.address}; give --contract {ledger.address} to use it"
    )
    try:
        known = _read(path)
    except InvalidInput as error:
        raise InvalidInput(f"{error}; {remedy}") from error
    known.setdefault(str(connection.chain_id), []).append(deployment)
    listed = {chain_id: [asdict(each) for each in these] for chain_id, these in known.items()}
    try:
        write_whole(path, json.dumps(listed, indent=2))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written ({error.strerror}): {remedy}") from error
    return deployment


def recall(connection: Connection) -> Deployment | None:
    """The market that was deployed on a chain; None when none was from this machine.

    The latest one that was deployed under the network's name, or else the latest of all.

    Raises:
        InvalidInput: the file holds something else.
        NotOurContract: it is another version of the contract, or the chain has begun anew since.
    """
    network = connection.network.name
    known = _read(deployments_file()).get(str(connection.chain_id), [])
    if not known:
        return None
    remedy = f"deploy one with energy-chain deploy --network {network}"
    genesis = connection.genesis()
    here = [deployment for deployment in known if deployment.genesis == genesis]
    if not here:
        last = known[-1]
        raise NotOurContract(
            f"{last.address}, deployed on {last.network}, is on another chain "
            f"{connection.chain_id} than {network}, or {network} has begun anew since: {remedy}"
        )
    deployment = next((each for each in reversed(here) if each.network == network), here[-1])
    artifact = load_artifact()
    if (deployment.code_hash, deployment.abi_hash) != (artifact.code_hash, artifact.abi_hash):
        raise NotOurContract(
            f"{deployment.address} on {network} is another version of the contract: use the "
            f"version of energy-chain that deployed it, or {remedy}"
        )
    return deployment


def remembered(chain_id: int, network: str, genesis: str | None = None) -> Deployment | None:
    """The market that was deployed last on a chain id from this machine; None when none was.

    Under the network's name, or else under any. Asks no chain, and so cannot tell whether the chain
    has begun anew since, unless the hash of its block 0 is given: whoever posts on it meets that.

    Raises:
        InvalidInput: the file holds something else.
    """
    known = _read(deployments_file()).get(str(chain_id), [])
    known = [each for each in known if genesis in (None, each.genesis)]
    named = [deployment for deployment in known if deployment.network == network]
    return next(reversed(named or known), None)


def _read(path: Path) -> dict[str, list[Deployment]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}): correct that") from error
    try:
        known = json.loads(content)
        if not all(isinstance(these, list) for these in known.values()):
            raise TypeError
        return {
            chain_id: [Deployment(**each) for each in these] for chain_id, these in known.items()
        }
    except (ValueError, TypeError, AttributeError):
        raise InvalidInput(
            f"{path} is no file of deployments: correct it, or move it away and give --contract "
            "ADDRESS"
        ) from None
