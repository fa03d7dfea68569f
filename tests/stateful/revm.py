"""A market on pyrevm, driven directly: a thousand times as fast as on a chain.

For behaviour only: its slots stay warm, so that the gas it tells is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import repeat
from typing import Any

from eth_abi import encode
from eth_utils import to_checksum_address
from pyrevm import EVM, BlockEnv, CfgEnv, Env

from energy_chain.chain.artifact import load_artifact
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.event_codec import decode
from energy_chain.chain.networks import EMBEDDED_CHAIN_ID
from energy_chain.chain.sender import ERROR_STRING
from energy_chain.errors import REFUSALS, MarketRefusal, TransactionFailed
from energy_chain.events import Event, Receipt
from energy_chain.signing import OrderDomain

from ..property.markets import ACCOUNTS, AGGREGATOR, GENESIS, OPERATOR, OWNER, Stage
from .calldata import function

GAS = 30_000_000
"""What a block of the embedded chain holds."""
BALANCE = 10**24
"""Wei of each account at the start."""


class Revm:
    """An EVM and its clock: what a `Pair` wants of a connection, a ledger of its sender."""

    chain_id = EMBEDDED_CHAIN_ID

    def __init__(self) -> None:
        # The gas limit is that of all calls together.
        environment = Env(cfg=CfgEnv(chain_id=self.chain_id))
        self.evm = EVM(env=environment, spec_id="SHANGHAI", gas_limit=2**63)
        self._time, self._number = GENESIS, 0
        for account in ACCOUNTS:
            self.evm.set_balance(account.address, BALANCE)

    def _set_block(self, number: int, time: int) -> None:
        block = BlockEnv(number=number, timestamp=time, basefee=0, gas_limit=2**63)
        self.evm.set_block_env(block)

    def _mined(self, seconds: int = 1) -> None:
        self._time += seconds
        self._number += 1

    def block_time(self) -> int:
        """Unix time of the latest block."""
        return self._time

    def advance_time(self, seconds: int) -> None:
        """Moves the clock as the embedded chain does, whose waiting takes a second itself."""
        self._mined(seconds + 1)

    def deploy(self, code: bytes) -> str:
        """Deploys a contract of the owner; its address."""
        self._set_block(self._number + 1, self._time + 1)
        address = self.evm.deploy(OWNER, code)
        self._mined()
        return to_checksum_address(address)

    def view(self, address: str, calldata: bytes, call: str) -> bytes:
        """What a view returns as of the latest block."""
        self._set_block(self._number, self._time)
        try:
            return self.evm.message_call(OWNER, address, calldata=calldata, gas=GAS, is_static=True)
        except RuntimeError as error:
            raise _refusal(error, call) from None

    def send(
        self, sender: str, to: str, data: str | bytes, _gas: int, call: str, value: int = 0
    ) -> tuple[Event, ...]:
        """Executes a transaction in a block of its own; what it logged.

        Raises:
            MarketRefusal: the contract refused it.
            TransactionFailed: it had no effect, for no reason of the market's.
        """
        calldata = bytes.fromhex(data[2:]) if isinstance(data, str) else data
        self._set_block(self._number + 1, self._time + 1)
        try:
            self.evm.message_call(sender, to, calldata=calldata, value=value, gas=GAS)
        except RuntimeError as error:
            raise _refusal(error, call) from None
        finally:
            self._mined()
        return tuple(
            decode(topics, log) for topics, log in (log.data for log in self.evm.result.logs)
        )


_OUTPUT = re.compile(r"^Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}$")


def _refusal(error: RuntimeError, call: str) -> MarketRefusal | TransactionFailed:
    reverted = _OUTPUT.match(str(error))
    output = bytes.fromhex(reverted[1]) if reverted else b""
    if output.startswith(ERROR_STRING):
        length = int.from_bytes(output[36:68], "big")
        reason = output[68 : 68 + length].decode()
        if reason in REFUSALS:
            return REFUSALS[reason](call)
    return TransactionFailed(f"{call}: {error}")


class RevmLedger(ContractLedger):
    """The ledger of a contract on pyrevm: it packs and unpacks as every `ContractLedger`."""

    def __init__(self, revm: Revm, address: str, account: str) -> None:
        self._sender = revm  # type: ignore[assignment]
        self.address = address
        self._account = account

    def order_domain(self) -> OrderDomain:
        """As `Ledger.order_domain`."""
        return OrderDomain(Revm.chain_id, self.address)

    def as_account(self, account: str) -> RevmLedger:
        """The same market, acted on by another account."""
        return RevmLedger(self._sender, self.address, account)  # type: ignore[arg-type]

    def _call(self, name: str, *arguments: Any) -> Any:
        called = function(name)
        return called.returned(
            self._sender.view(self.address, called.calldata(*arguments), name)  # type: ignore[attr-defined]
        )

    # Each call is mined at once, in the period that is now.
    def _send(
        self,
        name: str,
        *arguments: Any,
        gas: int = GAS,
        in_period: bool = False,  # noqa: ARG002
    ) -> Receipt:
        calldata = function(name).calldata(*arguments)
        events: Any = self._sender.send(self._account, self.address, calldata, gas, name)  # type: ignore[arg-type]
        return Receipt(events)


class RevmStage(Stage):
    """A market on pyrevm, to be taken up again and again where its set-up ended."""

    def _deploy(self) -> ContractLedger:
        self._connection = Revm()  # type: ignore[assignment]
        code = bytes.fromhex(load_artifact().bytecode[2:]) + encode(
            ["address", "address", "uint256"], [AGGREGATOR, OPERATOR, self._period_length]
        )
        self._address = self._connection.deploy(code)
        return self._ledger()

    def _ledger(self) -> RevmLedger:
        return RevmLedger(self._connection, self._address, OWNER)

    def _write(self, slot: int, word: int) -> None:
        self._connection.evm.insert_account_storage(self._address, slot, word)

    def _keep(self) -> None:
        revm = self._connection
        self._snapshot = revm.evm.snapshot(), revm._time, revm._number

    def _go_back(self) -> ContractLedger:
        revm = self._connection
        revm.evm.revert(self._snapshot[0])
        _, revm._time, revm._number = self._snapshot
        self._keep()
        return self._ledger()

    def storage(self, slots: Iterable[int]) -> list[int]:
        """What slots of the contract hold."""
        return list(map(self._connection.evm.storage, repeat(self._address), slots))
