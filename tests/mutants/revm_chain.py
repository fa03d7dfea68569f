"""`tests.brownie.Chain` on pyrevm: for the contract's tests, a hundred times as fast.

Gas is not what a chain takes: what a call has touched stays warm for those after it.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from eth.exceptions import InvalidInstruction, OutOfGas, Revert
from eth_keys.datatypes import PrivateKey
from pyrevm import EVM, BlockEnv, CfgEnv, Env

from tests import brownie

CHAIN_ID = 131277322940537
"""That of eth-tester's chains."""
BALANCE = 10**24
_REVERTED = re.compile(r"Revert \{ gas_used: (\d+), output: 0x([0-9a-f]*) \}")


class RevmChain(brownie.Chain):
    """What tests do with a chain."""

    def __init__(self, accounts: int, genesis_time: int) -> None:
        keys = [PrivateKey(n.to_bytes(32, "big")) for n in range(1, accounts + 1)]
        self._keys = {key.public_key.to_checksum_address(): key for key in keys}
        self.accounts = list(self._keys)
        environment = Env(cfg=CfgEnv(chain_id=CHAIN_ID))
        # The gas limit is that of all calls together.
        self._evm = EVM(env=environment, spec_id="SHANGHAI", gas_limit=2**63)
        for account in self.accounts:
            self._evm.set_balance(account, BALANCE)
        self._time = genesis_time + 1
        self._stored: list[tuple[str, int, int]] = []
        code = SimpleNamespace(get_code=lambda to: self._evm.get_code(_hex(to)))
        vm = SimpleNamespace(state=code)
        chain = SimpleNamespace(chain_id=CHAIN_ID, get_vm=lambda: vm)
        self._backend = SimpleNamespace(chain=chain)

    def time(self) -> int:
        return self._time

    def sleep(self, seconds: int) -> None:
        self._time += seconds

    def snapshot(self) -> Any:
        self._time += 1
        return self._evm.snapshot(), self._time, len(self._stored)

    def revert(self, snapshot: Any) -> None:
        checkpoint, self._time, stored = snapshot
        self._evm.revert(checkpoint)
        # What was written past all calls is not undone by going back.
        while len(self._stored) > stored:
            self._evm.insert_account_storage(*self._stored.pop())

    def load(self, contract: brownie.Contract, slot: int) -> int:
        return int(self._evm.storage(contract.address, slot))

    def store(self, contract: brownie.Contract, slot: int, value: int) -> None:
        self._stored.append((contract.address, slot, self.load(contract, slot)))
        self._evm.insert_account_storage(contract.address, slot, value)

    def send(self, sender: str, to: bytes, data: bytes) -> Any:
        computation = self._executed(sender, to, data)
        self._time += 1
        return computation, computation.gas_used

    def call(self, sender: str, to: bytes, data: bytes) -> Any:
        return self._executed(sender, to, data, is_static=True)

    def _executed(self, sender: str, to: bytes, data: bytes, **options: Any) -> Any:
        block = BlockEnv(number=1, timestamp=self._time, basefee=0, gas_limit=2**63)
        self._evm.set_block_env(block)
        gas = brownie.GAS_LIMIT
        output, address = b"", to
        try:
            if to:
                output = self._evm.message_call(sender, _hex(to), calldata=data, gas=gas, **options)
            else:
                address = bytes.fromhex(self._evm.deploy(sender, data, gas=gas)[2:])
        except RuntimeError as error:
            return _failed(str(error))
        logs = [log.data for log in self._evm.result.logs]
        entries = [(to, [int.from_bytes(topic) for topic in topics], data) for topics, data in logs]
        return SimpleNamespace(
            is_success=True,
            error=None,
            output=bytes(output),
            gas_used=self._evm.result.gas_used,
            get_log_entries=lambda: entries,
            msg=SimpleNamespace(storage_address=address),
        )


def _failed(error: str) -> Any:
    reverted = _REVERTED.search(error)
    if reverted:
        output = bytes.fromhex(reverted[2])
        return SimpleNamespace(
            is_success=False, error=Revert(output), output=output, gas_used=int(reverted[1])
        )
    kind = OutOfGas if "OutOfGas" in error else InvalidInstruction
    return SimpleNamespace(
        is_success=False, error=kind(error), output=b"", gas_used=brownie.GAS_LIMIT
    )


def _hex(address: bytes) -> str:
    return "0x" + address.hex()
