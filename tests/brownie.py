"""Brownie's way of talking to a contract, over the embedded chain in this process.

    market = Container(chain).deploy(aggregator, operator, 0, {"from": owner})
    tx = market.incomingRequest(meter, 5, {"from": meter})
    tx.events == [("RequestPosted", {"meter": meter, "counter": 0, "energy": 5})]
    with reverts("energy: sender is not operator"):
        market.incomingRequest(meter, 5, {"from": stranger})

Calls go to py-evm past eth-tester's JSON-RPC: only there is the revert data whole,
and each costs half. Gas and fees are explicit: nothing is estimated.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

GAS_LIMIT = 30_000_000
FEES = {"max_fee_per_gas": 10**10, "max_priority_fee_per_gas": 1}
ERROR = bytes.fromhex("08c379a0")
"""The selector of Error(string)."""

gas: defaultdict[str, list[int]] = defaultdict(list)
"""Gas used by the transactions of this process that succeeded: of each function, in order."""
refused: set[tuple[str, str]] = set()
"""Functions of `EnergyContract` and the reasons that they were seen to refuse, or to skip, with."""


class VirtualMachineError(Exception):
    """A call was reverted. `revert_msg` is empty when it gave no reason."""

    def __init__(self, revert_msg: str, gas_used: int) -> None:
        super().__init__(revert_msg)
        self.revert_msg = revert_msg
        self.gas_used = gas_used


class reverts:
    """What is called inside reverts with this reason, word for word; without one, bare.

    Attributes:
        gas_used: gas that the call used, once it has reverted.
    """

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self.gas_used = 0

    def __enter__(self) -> reverts:
        return self

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> bool:
        if error is None:
            raise AssertionError(f"did not revert: {self.reason!r}")
        if not isinstance(error, VirtualMachineError):
            return False
        assert error.revert_msg == self.reason
        self.gas_used = error.gas_used
        return True


class Events(list[tuple[str, dict[str, Any]]]):
    """Pairs of name and fields, in the order logged. By name: the fields of each such event."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return [fields for name, fields in self if name == key]
        return super().__getitem__(key)


@dataclass(frozen=True)
class Tx:
    """A transaction that succeeded."""

    events: Events
    gas_used: int
    return_value: Any = None
    contract_address: bytes = b""


class Chain:
    """A chain of its own, with accounts that own ether and a clock of one second a block."""

    def __init__(self, accounts: int, genesis_time: int) -> None:
        from eth_keys.datatypes import PrivateKey

        from energy_chain.chain.embedded import EmbeddedProvider

        keys = [PrivateKey(n.to_bytes(32, "big")) for n in range(1, accounts + 1)]
        self._keys = {key.public_key.to_checksum_address(): key for key in keys}
        self.accounts = list(self._keys)
        self._backend = EmbeddedProvider(self.accounts, genesis_time).backend

    def time(self) -> int:
        """Unix time of the next block, at which views are answered too."""
        return int(self._backend.chain.header.timestamp)

    def sleep(self, seconds: int) -> None:
        """Lets the next block come so much later."""
        self._backend.chain.set_header_timestamp(self.time() + seconds)

    def snapshot(self) -> Any:
        """Remembers the chain as it is."""
        self._backend.mine_blocks()  # going back executes the latest block again: an empty one
        return self._backend.take_snapshot()

    def revert(self, snapshot: Any) -> None:
        """Goes back to a snapshot."""
        self._backend.revert_to_snapshot(snapshot)

    def load(self, contract: Contract, slot: int) -> int:
        """A storage slot."""
        return int(self._backend.chain.get_vm().state.get_storage(contract.canonical, slot))

    def store(self, contract: Contract, slot: int, value: int) -> None:
        """Overwrites a storage slot: for states that would take billions of calls to reach."""
        evm = self._backend.chain
        state = evm.get_vm().state
        state.set_storage(contract.canonical, slot, value)
        state.persist()
        evm.header = evm.header.copy(state_root=state.state_root)

    def send(self, sender: str, to: bytes, data: bytes) -> Any:
        """Mines a transaction; returns the computation and the gas used."""
        transaction = self._unsigned(sender, to, data).as_signed_transaction(self._keys[sender])
        _, receipt, computation = self._backend.chain.apply_transaction(transaction)
        self._backend.mine_blocks()
        return computation, receipt.gas_used

    def call(self, sender: str, to: bytes, data: bytes) -> Any:
        """Executes without a transaction; returns the computation."""
        from eth.vm.spoof import SpoofTransaction

        account = self._keys[sender].public_key.to_canonical_address()
        spoofed = SpoofTransaction(self._unsigned(sender, to, data), from_=account)
        return self._backend.chain.get_vm().state.apply_transaction(spoofed)

    def _unsigned(self, sender: str, to: bytes, data: bytes) -> Any:
        evm, account = self._backend.chain, self._keys[sender].public_key.to_canonical_address()
        return evm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=evm.chain_id,
            nonce=evm.get_vm().state.get_nonce(account),
            gas=GAS_LIMIT,
            **FEES,
            to=to,
            value=0,
            data=data,
            access_list=(),
        )


class Contract:
    """A contract at an address. Its functions are attributes: views give a value, others a `Tx`.

    Attributes:
        tx: its deployment.
    """

    tx: Tx

    def __init__(self, chain: Chain, canonical: bytes, abi: list[dict[str, Any]]) -> None:
        self.chain, self.canonical, self.abi = chain, canonical, abi
        self.address = _checksum(canonical)

    def __getattr__(self, name: str) -> Any:
        overloads = {
            len(entry["inputs"]): entry
            for entry in self.abi
            if entry["type"] == "function" and entry["name"] == name
        }
        if not overloads:
            raise AttributeError(f"the contract has no function {name}")
        return partial(self._invoke, overloads)

    def runtime(self) -> bytes:
        """The code at the address."""
        state = self.chain._backend.chain.get_vm().state
        return bytes(state.get_code(self.canonical))

    def _invoke(self, overloads: dict[int, dict[str, Any]], *args: Any) -> Any:
        from eth_utils.abi import function_abi_to_4byte_selector

        options = args[-1] if args and isinstance(args[-1], dict) else {}
        values = args[:-1] if options else args
        entry = overloads[len(values)]
        data = function_abi_to_4byte_selector(entry) + _encode(entry["inputs"], values)
        if entry["stateMutability"] in ("view", "pure"):
            sender = options.get("from", self.chain.accounts[0])
            computation = self.chain.call(sender, self.canonical, data)
            _check(computation, 0)
            return _single(_decode(entry["outputs"], computation.output))
        try:
            tx = _transact(self.chain, options["from"], self.canonical, data, self.abi, entry)
        except VirtualMachineError as error:
            refused.add((entry["name"], error.revert_msg))
            raise
        gas[entry["name"]].append(tx.gas_used)
        skipped = tx.events["SignedOrderSkipped"]
        refused.update((entry["name"], order["reason"]) for order in skipped)
        return tx


class Container:
    """The compiled contract, to be deployed."""

    def __init__(self, chain: Chain) -> None:
        from energy_chain.chain.artifact import load_artifact

        self._chain, self.artifact = chain, load_artifact()

    def deploy(self, *args: Any) -> Contract:
        """Deploys with the constructor's arguments and `{"from": account}`."""
        abi = self.artifact.abi
        entry = next(entry for entry in abi if entry["type"] == "constructor")
        data = bytes.fromhex(self.artifact.bytecode[2:]) + _encode(entry["inputs"], args[:-1])
        tx = _transact(self._chain, args[-1]["from"], b"", data, abi, entry)
        gas["(deployment)"].append(tx.gas_used)
        contract = Contract(self._chain, tx.contract_address, abi)
        contract.tx = tx
        return contract


def _transact(
    chain: Chain,
    sender: str,
    to: bytes,
    data: bytes,
    abi: list[dict[str, Any]],
    entry: dict[str, Any],
) -> Tx:
    computation, gas_used = chain.send(sender, to, data)
    _check(computation, gas_used)
    return Tx(
        events=Events(_decode_log(abi, log) for log in computation.get_log_entries()),
        gas_used=gas_used,
        return_value=_single(_decode(entry.get("outputs", []), computation.output)),
        contract_address=computation.msg.storage_address,
    )


def _check(computation: Any, gas_used: int) -> None:
    from eth.exceptions import Revert
    from eth_abi import decode

    if computation.is_success:
        return
    if not isinstance(computation.error, Revert):  # an invalid opcode, out of gas
        raise VirtualMachineError(type(computation.error).__name__, gas_used)
    data = computation.output
    reason = decode(["string"], data[4:])[0] if data[:4] == ERROR else data.hex()
    raise VirtualMachineError(reason, gas_used)


def _encode(inputs: list[dict[str, Any]], values: Any) -> bytes:
    from eth_abi import encode

    return encode(_types(inputs), values)


def _decode(outputs: list[dict[str, Any]], data: bytes) -> tuple[Any, ...]:
    from eth_abi import decode

    types = _types(outputs)
    values = decode(types, data) if types else ()
    return tuple(_tidied(kind, value) for kind, value in zip(types, values, strict=True))


def _decode_log(abi: list[dict[str, Any]], log: Any) -> tuple[str, dict[str, Any]]:
    from eth_utils.abi import event_abi_to_log_topic

    _, topics, data = log
    for event in abi:
        if event["type"] == "event" and int.from_bytes(event_abi_to_log_topic(event)) == topics[0]:
            break
    else:
        raise AssertionError("an event that the ABI does not know")
    indexed = [field for field in event["inputs"] if field["indexed"]]
    others = [field for field in event["inputs"] if not field["indexed"]]
    values = _decode(indexed, b"".join(topic.to_bytes(32) for topic in topics[1:]))
    fields = zip([*indexed, *others], [*values, *_decode(others, data)], strict=True)
    return event["name"], {field["name"]: value for field, value in fields}


def _types(entries: list[dict[str, Any]]) -> list[str]:
    from eth_utils.abi import collapse_if_tuple

    return [collapse_if_tuple(entry) for entry in entries]


def _tidied(kind: str, value: Any) -> Any:
    # Arrays as lists, structs as tuples, addresses with their checksum.
    if isinstance(value, str):
        return _checksum(value) if "address" in kind else value
    if isinstance(value, tuple):
        inner = kind.rpartition("[")[0] if kind.endswith("]") else kind
        return (list if inner != kind else tuple)(_tidied(inner, item) for item in value)
    return value


def _single(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values or None


@cache
def _checksum(address: str | bytes) -> str:
    from eth_utils import to_checksum_address

    return str(to_checksum_address(address))
