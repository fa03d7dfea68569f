"""Nodes that can be killed, paused and made to forget, and come back on the same port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from energy_chain.chain.ganache import Ganache, GanacheSettings
from tests.integration import nodes
from tests.integration.nodes import ask, free_port, require_ganache

ACCOUNTS = 64
"""Accounts with ether on each node."""


class FaultyNode(ABC):
    """A node of our own on a port of its own. Leaving it as a context manager kills it.

    Attributes:
        url: where it answers, in each of its lives.
        chain_id: of its chain.
    """

    name: str
    chain_id: int

    def __init__(self, folder: Path, block_time: float = 0) -> None:
        """Starts it.

        Args:
            folder: where its chain is kept.
            block_time: seconds between blocks; 0 mines a block for each transaction.
        """
        self._folder, self._block_time = folder, block_time
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @staticmethod
    @abstractmethod
    def require() -> None:
        """Skips the test where it is not installed, or fails it where it has to be."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The id of its process."""

    @abstractmethod
    def start(self) -> None:
        """Starts it where it was, with the chain that it has kept, and waits until it answers."""

    @abstractmethod
    def kill(self) -> None:
        """Kills it: nothing is written any more."""

    @abstractmethod
    def stop(self) -> None:
        """Stops it in order: it keeps its chain."""

    @abstractmethod
    def mine_by_itself(self, does: bool) -> None:
        """Whether it makes a block for each transaction, or none until it is told to."""

    def use_first_nonces(self, accounts: list[str]) -> None:  # noqa: B027 (few have to)
        """Sees to it that no transaction of accounts that is replaced has the nonce 0."""

    def forget(self) -> None:
        """Takes the chain that it has kept away."""
        shutil.rmtree(self._folder)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still meanwhile: connections are made, and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    @contextmanager
    def not_mining(self) -> Iterator[None]:
        """It takes transactions meanwhile and makes no block."""
        self.mine_by_itself(False)
        try:
            yield
        finally:
            self.mine_by_itself(True)

    def ask(self, method: str, *params: Any) -> Any:
        """Its answer to one call."""
        return ask(self.url, method, *params)

    def height(self) -> int:
        """Number of its latest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def mine(self, blocks: int = 1) -> None:
        """Makes blocks, with what is waiting."""
        for _ in range(blocks):
            self.ask("evm_mine")

    def skip_time(self, seconds: int) -> None:
        """Moves its clock forward."""
        self.ask("evm_increaseTime", seconds)
        self.mine()

    def transactions_of(self, accounts: list[str]) -> int:
        """Transactions that accounts have sent on its chain."""
        return sum(
            int(self.ask("eth_getTransactionCount", account, "latest"), 16) for account in accounts
        )


class GanacheNode(FaultyNode):
    """Ganache. Its chain survives a kill."""

    name, chain_id = "ganache", 1337
    require = staticmethod(require_ganache)

    @property
    def pid(self) -> int:
        return self._ganache.pid

    def start(self) -> None:
        self.require()
        settings = GanacheSettings(
            self._port,
            accounts=ACCOUNTS,
            database=self._folder / "ganache",
            block_time=self._block_time,
        )
        self._ganache = Ganache.start(settings)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._ganache.wait()
        self._ganache.stop()  # which only closes its pipes now

    def stop(self) -> None:
        self._ganache.stop()

    def mine_by_itself(self, does: bool) -> None:
        if does:
            # miner_start alone makes two blocks of one number where a transaction was replaced.
            self.mine()
        self.ask("miner_start" if does else "miner_stop")

    def use_first_nonces(self, accounts: list[str]) -> None:
        # Ganache mines both a transaction with the nonce 0 and what was to replace it.
        for account in accounts:
            if self.ask("eth_getTransactionCount", account, "latest") == "0x0":
                self.ask("evm_setAccountNonce", account, "0x1")


class AnvilNode(FaultyNode):
    """anvil. Writes its chain down each second: a kill loses what came after that."""

    name, chain_id = "anvil", 31337

    @staticmethod
    def require() -> None:
        nodes.anvil_program()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = f"--host 127.0.0.1 --port {self._port} --chain-id {self.chain_id} --silent"
        options += f" --hardfork shanghai --accounts {ACCOUNTS} --state-interval 1"
        if self._block_time:
            options += f" --block-time {self._block_time:g}"
        state = self._folder / "anvil.json"
        self._process = subprocess.Popen(
            [nodes.anvil_program(), *options.split(), "--state", state],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        nodes.wait_for(self.url, self._process)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(nodes.STOP_TIMEOUT)

    def mine_by_itself(self, does: bool) -> None:
        self.ask("evm_setAutomine", does)
        if does:
            self.mine()

    def reorganise(self, depth: int) -> None:
        """Puts as many empty blocks in the place of its latest ones."""
        self.ask("anvil_reorg", depth, [])

    def drop(self, transaction: str) -> None:
        """Forgets a transaction that is waiting."""
        self.ask("anvil_dropTransaction", transaction)

    def set_base_fee(self, wei: int) -> None:
        """What a unit of gas costs in the next block."""
        self.ask("anvil_setNextBlockBaseFeePerGas", hex(wei))


NODES: list[type[FaultyNode]] = [GanacheNode, AnvilNode]
