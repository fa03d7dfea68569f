"""The nodes that these tests run against, on free ports of 127.0.0.1. Nothing is installed here."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests

from energy_chain.chain.ganache import Ganache, GanacheSettings, installed

START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
POLL_INTERVAL = 0.05


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is running.

    Attributes:
        url: where it answers.
        chain_id: of its chain.
        pid: the id of its process.
    """

    url: str
    chain_id: int
    pid: int


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, method: str, *params: Any) -> Any:
    """A node's answer to one call."""
    question: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = requests.post(url, json=question, timeout=5).json()
    assert "result" in answer, answer
    return answer["result"]


def block_time(url: str) -> int:
    """Unix time of the latest block."""
    return int(ask(url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)


def require_ganache() -> None:
    """Skips the test when Ganache is not installed, or fails it when it has to be."""
    if installed() is None:
        missing("Ganache")


@contextmanager
def running_ganache(database: Path) -> Iterator[Node]:
    require_ganache()
    settings = GanacheSettings(port=free_port(), database=database)
    with Ganache.start(settings) as ganache:
        yield Node(ganache.url, settings.chain_id, ganache.pid)


@contextmanager
def running_anvil() -> Iterator[Node]:
    program, port, chain_id = anvil_program(), free_port(), 31337
    options = f"--host 127.0.0.1 --port {port} --chain-id {chain_id} --hardfork shanghai"
    with subprocess.Popen(
        [program, *options.split(), "--accounts", "20", "--silent"], stdin=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process)
            yield Node(url, chain_id, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


def anvil_program() -> Path:
    """anvil's program. Skips the test when it is not installed, or fails it when it has to be."""
    # Its program itself: the script in front of it would outlive a kill.
    programs = Path(__file__).parent.glob("node_modules/@foundry-rs/anvil-*/bin/anvil*")
    program = next(programs, None)
    if program is None:
        missing("anvil")
    return program


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until an anvil answers."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            ask(url, "eth_chainId")
            return
        except requests.RequestException:
            assert process.poll() is None, "anvil ended at once"
            assert time.monotonic() < deadline, "anvil does not answer"
            time.sleep(POLL_INTERVAL)


def missing(what: str, remedy: str = "run make nodes") -> NoReturn:
    """Skips the test because something is not installed, or fails it when it has to be."""
    reason = f"{what} is not installed: {remedy}"
    if os.environ.get("ENERGY_CHAIN_NODES") == "required":
        pytest.fail(reason)
    pytest.skip(reason)
