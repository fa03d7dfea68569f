"""The embedded chain: eth-tester on py-evm with Shanghai rules, in this process.

The one place that knows which backend it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eth_utils import to_canonical_address, to_hex
from web3.providers.eth_tester import EthereumTesterProvider
from web3.types import RPCEndpoint, RPCResponse

from energy_chain.chain.addresses import VIEWER
from energy_chain.market import Address

BLOCK_GAS_LIMIT = 30_000_000
BALANCE = 10**24
"""Wei of each account at the start."""


class EmbeddedProvider(EthereumTesterProvider):
    """A web3 provider of a chain of its own, whose clock moves one second a block.

    Not thread-safe, as eth-tester is not.
    """

    def __init__(self, accounts: Sequence[Address], genesis_time: int | None = None) -> None:
        """Starts a chain on which each of `accounts` owns a million ether.

        Args:
            accounts: who owns ether.
            genesis_time: Unix time of block 0; now when None.
        """
        from eth_tester import EthereumTester, PyEVMBackend

        parameters: dict[str, Any] = {"gas_limit": BLOCK_GAS_LIMIT}
        if genesis_time is not None:
            parameters["timestamp"] = genesis_time
        owned = {"balance": BALANCE, "nonce": 0, "code": b"", "storage": {}}
        self.backend = PyEVMBackend(
            genesis_parameters=PyEVMBackend.generate_genesis_params(parameters),
            genesis_state={to_canonical_address(account): owned for account in (*accounts, VIEWER)},
            vm_configuration=((0, _own_clock_vm()),),
        )
        self.tester: Any = EthereumTester(self.backend)
        super().__init__(self.tester)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answers as a node does."""
        from eth_tester.exceptions import TransactionFailed

        answer: RPCResponse = {"jsonrpc": "2.0", "id": 1}
        if method == "eth_getLogs":
            return {**answer, "result": self._logs(params[0])}
        if method == "eth_getBlockReceipts":
            return {**answer, "result": self._receipts(int(params[0], 16))}
        if method == "evm_increaseTime":
            self.tester.time_travel(self.backend.chain.get_block().header.timestamp + params[0])
            return {**answer, "result": hex(params[0])}
        if method == "eth_getStorageAt":
            # The one call whose block web3 leaves in hexadecimal.
            address, slot, block = params
            params = [address, slot, int(block, 16) if block.startswith("0x") else block]
        try:
            return super().make_request(method, params)
        except TransactionFailed as error:
            return {**answer, "error": {"code": 3, "message": str(error)}}

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        # Query and logs are in eth-tester's form: web3 has translated the one and will the other.
        # eth-tester scans the whole chain for each block's receipts: 20 s for 400 blocks.
        addresses = {to_canonical_address(address) for address in query["address"]}
        logs = []
        for number in range(query["from_block"], query["to_block"] + 1):
            block = self.backend.chain.get_canonical_block_by_number(number)
            for index, (transaction, _, mined) in enumerate(self._mined(block)):
                for log_index, log in mined:
                    if log.address in addresses:
                        logs.append(
                            {
                                "type": "mined",
                                "address": to_hex(log.address),
                                "topics": [_hex_word(topic) for topic in log.topics],
                                "data": to_hex(log.data),
                                "block_number": number,
                                "block_hash": to_hex(block.hash),
                                "transaction_hash": to_hex(transaction.hash),
                                "transaction_index": index,
                                "log_index": log_index,
                            }
                        )
        return logs

    def _receipts(self, number: int) -> list[dict[str, Any]]:
        # In JSON, which nothing translates: eth-tester has no such method.
        block = self.backend.chain.get_canonical_block_by_number(number)
        base_fee = block.header.base_fee_per_gas
        return [
            {
                "blockNumber": hex(number),
                "blockHash": to_hex(block.hash),
                "transactionHash": to_hex(transaction.hash),
                "transactionIndex": hex(index),
                "from": to_hex(transaction.sender),
                "gasUsed": hex(gas_used),
                "effectiveGasPrice": hex(
                    min(
                        transaction.max_fee_per_gas, base_fee + transaction.max_priority_fee_per_gas
                    )
                ),
                "logs": [
                    {
                        "address": to_hex(log.address),
                        "topics": [_hex_word(topic) for topic in log.topics],
                        "data": to_hex(log.data),
                        "logIndex": hex(log_index),
                    }
                    for log_index, log in logs
                ],
            }
            for index, (transaction, gas_used, logs) in enumerate(self._mined(block))
        ]

    def _mined(self, block: Any) -> Iterator[tuple[Any, int, list[tuple[int, Any]]]]:
        """Each transaction of a block, the gas it used, and its logs with their places in it."""
        gas_before = logs_before = 0
        receipts = block.get_receipts(self.backend.chain.chaindb)
        for transaction, receipt in zip(block.transactions, receipts, strict=True):
            logs = list(enumerate(receipt.logs, logs_before))
            yield transaction, receipt.gas_used - gas_before, logs
            gas_before, logs_before = receipt.gas_used, logs_before + len(logs)


def _hex_word(value: int) -> str:
    """A 32-byte word as JSON-RPC writes it."""
    return to_hex(value.to_bytes(32, "big"))


def _own_clock_vm() -> type[Any]:
    from eth.vm.forks.shanghai import ShanghaiVM
    from eth.vm.forks.shanghai.headers import create_shanghai_header_from_parent

    class OwnClockVM(ShanghaiVM):
        """Shanghai rules without a look at the clock on the wall."""

        @staticmethod
        def create_header_from_parent(parent: Any, **fields: Any) -> Any:  # type: ignore[override]
            if parent is not None:
                fields.setdefault("timestamp", parent.timestamp + 1)
            return create_shanghai_header_from_parent(parent, **fields)

    return OwnClockVM
