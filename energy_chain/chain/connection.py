"""One connection to one chain, and the check that it is the chain that was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from web3 import Web3
from web3.exceptions import BlockNotFound, Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers import BaseProvider
from web3.types import BlockData, LogReceipt, RPCEndpoint, TxParams

from energy_chain.chain.addresses import VIEWER
from energy_chain.chain.networks import EMBEDDED, Network
from energy_chain.chain.node import NodeProvider
from energy_chain.errors import ChainError, ContradictoryChain, NodeUnreachable, WrongChain
from energy_chain.market import Address

SEVERAL = 4
"""Transactions of one block from which on all receipts of the block are asked for."""
LOG_CHUNK = 2_000
"""Blocks asked for at a time: nodes refuse to answer for many more."""


class Connection:
    """A chain that answers and has the chain id that it should have.

    Attributes:
        network: what was asked for.
        w3: web3 on that chain.
        chain_id: its chain id.
        viewer: what a call that nobody signs has to say of its sender.
    """

    def __init__(self, network: Network, provider: BaseProvider) -> None:
        """Connects.

        Raises:
            NodeUnreachable: nobody answers.
            WrongChain: another chain answers.
        """
        self.network = network
        self.w3 = Web3(provider)
        # It asks for the chain id before each call; ours is checked here and signed with.
        self.w3.middleware_onion.remove("validation")
        # Consortium chains put the signatures of their blocks where web3 expects 32 bytes.
        self.w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self.viewer: TxParams = {}
        self._tells_blocks = True
        self._worth_a_block = SEVERAL
        self._genesis: str | None = None
        self._code: dict[Address, bytes] = {}
        try:
            self.chain_id = int(self.w3.eth.chain_id)
        except (Web3Exception, TypeError, ValueError) as error:
            raise NodeUnreachable(
                f"{network.name} does not tell its chain id: check that it is a node of a chain"
            ) from error
        if network.chain_id is not None and network.chain_id != self.chain_id:
            raise WrongChain(
                f"{network.name} serves chain {self.chain_id}, not {network.chain_id}: "
                f"check url and chain_id of network {network.name}"
            )

    @classmethod
    def open(
        cls, network: Network, accounts: Sequence[Address] = (), genesis_time: int | None = None
    ) -> Connection:
        """Connects to a network; starts the embedded one.

        Args:
            network: which.
            accounts: who owns ether on the embedded chain.
            genesis_time: Unix time at which the embedded chain begins; now when None.

        Raises:
            NodeUnreachable, WrongChain: see `__init__`.
        """
        if network.name == EMBEDDED.name:
            from energy_chain.chain.embedded import EmbeddedProvider

            connection = cls(network, EmbeddedProvider(accounts, genesis_time))
            connection._worth_a_block = 1
            connection.viewer = {"from": Web3.to_checksum_address(VIEWER)}
            return connection
        provider = NodeProvider(network)
        connection = cls(network, provider)
        provider.patient = True
        return connection

    @property
    def trouble(self) -> str | None:
        """What the node is waited for; None while it answers."""
        return getattr(self.w3.provider, "trouble", None)

    def pin(self, contract: Address, code: bytes) -> None:
        """Takes the chain as it is, with a contract and its code, for the one that is meant."""
        if self._genesis is None:
            self._genesis = self.genesis()
        self._code[contract] = code

    def verify(self, contract: Address | None = None) -> None:
        """Checks that the chain is still the one on which a contract was pinned.

        Raises:
            WrongChain: another chain answers at the same place, such as one that has begun anew.
        """
        name = self.network.name
        if (chain_id := int(self.w3.eth.chain_id)) != self.chain_id:
            raise WrongChain(f"{name} was chain {self.chain_id} and is {chain_id}: check its url")
        if self._genesis is not None and (found := self.genesis()) != self._genesis:
            raise WrongChain(
                f"{name} is another chain than before: its first block was {self._genesis} and is "
                f"{found}; nothing is posted there. Bring the chain back, or deploy on the new one "
                "and start again"
            )
        if contract in self._code and self.code_at(contract) != self._code[contract]:
            raise WrongChain(
                f"{name} has other code at {contract} than before; nothing is posted there. "
                "Bring the chain back, or deploy on the new one and start again"
            )

    def code_at(self, contract: Address) -> bytes:
        """The code of a contract; empty where there is none."""
        return bytes(self.w3.eth.get_code(Web3.to_checksum_address(contract)))

    @property
    def is_in_process(self) -> bool:
        """Whether it is the embedded chain, which ends with this process."""
        return self.network.name == EMBEDDED.name

    @cached_property
    def is_ganache(self) -> bool:
        """Whether the node is a Ganache, of whose faults some have to be known."""
        return "ganache" in str(self.w3.client_version).lower()

    @property
    def is_development(self) -> bool:
        """Whether keys that everybody knows may be used: as the network says, or its chain id."""
        return bool(replace(self.network, chain_id=self.chain_id).is_development)

    def block(self, number: int | None = None) -> BlockData:
        """A block, the latest when None.

        Raises:
            ContradictoryChain: the chain has none of that number.
        """
        try:
            return self.w3.eth.get_block("latest" if number is None else number)
        except BlockNotFound:
            raise ContradictoryChain(
                f"{self.network.name} has no block {'at all' if number is None else number}: the "
                "chain was reorganised meanwhile, or the node has lost it; try again"
            ) from None

    def block_time(self, number: int | None = None) -> int:
        """Unix time of a block, of the latest when None."""
        return int(self.block(number)["timestamp"])

    def block_gas_limit(self) -> int:
        """Gas that a block holds."""
        return int(self.block()["gasLimit"])

    def genesis(self) -> str:
        """Hash of block 0, which tells chains apart that share a chain id."""
        header = self.header(0)
        if header is None:
            raise ContradictoryChain(f"{self.network.name} has no block 0: ask another node")
        return header[0]

    def header(self, number: int) -> tuple[str, int] | None:
        """Hash and Unix time of a block as the chain is now; None where it has none."""
        try:
            block = self.block(number)
        except ContradictoryChain:
            return None
        return block["hash"].to_0x_hex(), int(block["timestamp"])

    def receipts(self, block: int, transactions: Sequence[str]) -> list[dict[str, Any]]:
        """The receipts of transactions of one block, in JSON as the node answers.

        Args:
            block: its number.
            transactions: their hashes. Where they are several and the node can tell all receipts of
                a block, others of the block may be among them.

        Raises:
            ContradictoryChain: the node has no receipt of one of them.
        """
        # Not through web3, which makes objects of each field: that takes longer than all the rest.
        if self._tells_blocks and len(transactions) >= self._worth_a_block:
            response = self.w3.provider.make_request(
                RPCEndpoint("eth_getBlockReceipts"), [hex(block)]
            )
            if isinstance(response.get("result"), list):
                found: list[dict[str, Any]] = response["result"]
                return found
            self._tells_blocks = False
        receipts = []
        for transaction in transactions:
            response = self.w3.provider.make_request(
                RPCEndpoint("eth_getTransactionReceipt"), [transaction]
            )
            if not isinstance(response.get("result"), dict):
                raise ContradictoryChain(
                    f"{self.network.name} has no receipt of {transaction} in block {block}: the "
                    "chain was reorganised meanwhile; try again"
                )
            receipts.append(response["result"])
        return receipts

    def balance(self, account: Address) -> int:
        """Wei that an account owns."""
        return int(self.w3.eth.get_balance(Web3.to_checksum_address(account)))

    def suggested_tip(self) -> int | None:
        """Wei a unit of gas that the node advises to offer block builders; None without advice."""
        response = self.w3.provider.make_request(RPCEndpoint("eth_maxPriorityFeePerGas"), [])
        try:
            return int(response["result"], 16)
        except (KeyError, TypeError, ValueError):
            return None

    def advance_time(self, seconds: int) -> None:
        """Moves the clock of a development chain forward and mines a block.

        Raises:
            ChainError: the node cannot move its clock.
        """
        for method, params in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
            response = self.w3.provider.make_request(RPCEndpoint(method), params)
            if "error" in response:
                raise ChainError(
                    f"{self.network.name} cannot move its clock ({method}): "
                    "use a development node such as Ganache or anvil"
                )

    def logs(
        self, address: Address, first_block: int, last_block: int | None = None
    ) -> Iterator[LogReceipt]:
        """The logs of a contract from a block up to another, or to the latest, oldest first."""
        latest = self.w3.eth.block_number if last_block is None else last_block
        for start in range(first_block, latest + 1, LOG_CHUNK):
            yield from self.w3.eth.get_logs(
                {
                    "address": Web3.to_checksum_address(address),
                    "fromBlock": start,
                    "toBlock": min(start + LOG_CHUNK - 1, latest),
                }
            )
