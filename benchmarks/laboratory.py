"""A chain to measure on: transactions on py-evm, with what each unit of gas was spent on.

An opcode trace tells storage, logs and computation apart; what a transaction
pays before its first opcode follows from its data. The parts add up to the gas
of the receipt, which is checked for every transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.bounds import MAX_REFUND_SHARE
from energy_chain.gas import INTRINSIC, calldata_gas
from tests.brownie import Chain

GENESIS_TIME = 1_600_000_000
BASELINES = Path(__file__).parent / "baseline"


@dataclass(frozen=True, slots=True)
class Cost:
    """What transactions used, in units of gas, and how long their data is.

    Attributes:
        intrinsic: for being transactions.
        calldata: for their data.
        storage: SLOAD and SSTORE, less refunds.
        log: LOG0 to LOG4.
        computation: all other opcodes, and memory.
        data_bytes: length of their data.
    """

    intrinsic: int = 0
    calldata: int = 0
    storage: int = 0
    log: int = 0
    computation: int = 0
    data_bytes: int = 0

    @property
    def total(self) -> int:
        """What the receipts say."""
        return self.intrinsic + self.calldata + self.storage + self.log + self.computation

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Laboratory:
    """A chain of its own, with accounts that own ether."""

    def __init__(self, accounts: int, genesis_time: int = GENESIS_TIME) -> None:
        """Starts a chain with so many accounts at a Unix time."""
        self.chain = Chain(accounts, genesis_time)
        self.accounts = self.chain.accounts

    def deploy(self, output: dict[str, Any], *arguments: Any) -> Subject:
        """Deploys what the compiler made of a contract; the sender is the first account."""
        from eth_abi import encode

        abi = output["abi"]
        entry: dict[str, Any] = next((e for e in abi if e["type"] == "constructor"), {"inputs": []})
        data = bytes.fromhex(output["bytecode"].removeprefix("0x"))
        data += encode([field["type"] for field in entry["inputs"]], arguments)
        computation, gas_used = self.chain.send(self.accounts[0], b"", data)
        assert computation.is_success, "the deployment failed"
        return Subject(self, computation.msg.storage_address, abi, gas_used)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What happens inside leaves no trace on the chain."""
        snapshot = self.chain.snapshot()
        yield
        self.chain.revert(snapshot)


@dataclass
class Subject:
    """A deployed contract.

    Attributes:
        deployment_gas: what deploying it used.
    """

    lab: Laboratory
    canonical: bytes
    abi: list[dict[str, Any]]
    deployment_gas: int

    @cached_property
    def _functions(self) -> dict[tuple[str, int], dict[str, Any]]:
        return {(e["name"], len(e["inputs"])): e for e in self.abi if e["type"] == "function"}

    def data(self, function: str, *arguments: Any) -> bytes:
        """What a transaction that calls a function carries."""
        from eth_abi import encode
        from eth_utils.abi import collapse_if_tuple, function_abi_to_4byte_selector

        entry = self._functions[function, len(arguments)]
        types = [collapse_if_tuple(field) for field in entry["inputs"]]
        return bytes(function_abi_to_4byte_selector(entry)) + encode(types, arguments)  # type: ignore[arg-type]

    def send(self, sender: str, function: str, *arguments: Any) -> Cost:
        """Makes a transaction and traces it."""
        data = self.data(function, *arguments)
        with _traced() as spent:
            computation, gas_used = self.lab.chain.send(sender, self.canonical, data)
        assert computation.is_success, f"{function} failed: {computation.error}"
        calldata = calldata_gas(data)
        before_refund = INTRINSIC + calldata + spent.total()
        refund = min(int(computation.get_gas_refund()), before_refund // MAX_REFUND_SHARE)
        cost = Cost(
            intrinsic=INTRINSIC,
            calldata=calldata,
            storage=spent["storage"] - refund,
            log=spent["log"],
            computation=spent["computation"],
            data_bytes=len(data),
        )
        assert cost.total == gas_used, f"{function}: {cost} is not the {gas_used} of the receipt"
        return cost

    def prepare(self, sender: str, function: str, *arguments: Any) -> None:
        """Makes a transaction that nobody measures."""
        data = self.data(function, *arguments)
        computation, _ = self.lab.chain.send(sender, self.canonical, data)
        assert computation.is_success, f"{function} failed: {computation.error}"

    def words(self, function: str, *arguments: Any) -> list[int]:
        """What a view answers, as numbers of 32 bytes."""
        data = self.data(function, *arguments)
        computation = self.lab.chain.call(self.lab.accounts[0], self.canonical, data)
        assert computation.is_success, f"{function} failed: {computation.error}"
        output = computation.output
        return [int.from_bytes(output[at : at + 32], "big") for at in range(0, len(output), 32)]

    def view(self, function: str, *arguments: Any) -> int:
        """What a view of one number answers."""
        return self.words(function, *arguments)[0]


@cache
def compile_baseline(name: str) -> dict[str, Any]:
    """What the compiler makes of a contract of `baseline/`: ABI, bytecode and layout."""
    from vyper.compiler import compile_code

    source = (BASELINES / f"{name}.vy").read_text()
    return dict(compile_code(source, output_formats=("abi", "bytecode", "layout")))


_STORAGE = {"SLOAD", "SSTORE"}
_LOGS = {f"LOG{topics}" for topics in range(5)}


@contextmanager
def _traced() -> Iterator[Counter[str]]:
    """Gas of the opcodes that transactions inside execute: storage, log and computation."""
    from eth.vm.forks.shanghai.state import ShanghaiState

    tracing = _tracing_computation()
    spent: Counter[str] = Counter()
    with (
        patch.object(tracing, "spent", spent),
        patch.object(ShanghaiState, "computation_class", tracing),
    ):
        yield spent


@cache
def _tracing_computation() -> type[Any]:
    from eth.vm.forks.shanghai.computation import ShanghaiComputation

    class Traced:
        def __init__(self, opcode: Any) -> None:
            self.opcode = opcode
            mnemonic = getattr(opcode, "mnemonic", None) or opcode.__wrapped__.mnemonic
            self.kind = (
                "storage" if mnemonic in _STORAGE else "log" if mnemonic in _LOGS else "computation"
            )

        def __call__(self, computation: Any) -> None:
            left = computation.get_gas_remaining()
            try:
                self.opcode(computation=computation)
            finally:
                # A precompile that it calls has no opcodes: its gas counts as the call's.
                if computation.msg.depth == 0:
                    computation.spent[self.kind] += left - computation.get_gas_remaining()

    traced = {code: Traced(opcode) for code, opcode in ShanghaiComputation.opcodes.items()}
    return type("TracingComputation", (ShanghaiComputation,), {"opcodes": traced, "spent": None})
