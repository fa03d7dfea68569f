"""Every command that goes on ends well when it is told to, also when its node hangs or is away.

All of them are started as people start them, beside each other, on one node behind a socket that
can be made to accept and never answer, or to refuse.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest

IN_TIME = 15.0
LONGEST_START = 60.0
HEADER = "meter,period_start,consumption_kwh,production_kwh"
# Each with what it prints once it has begun.
DAEMONS = {
    "aggregator": (("aggregator", "run", "--every", "0.2"), "Waiting for"),
    "producer": (
        ("producer", "run", "--data", "homes.csv", "--home", "sun", "--account", "dev3"),
        "Request 0:",
    ),
    "consumer": (
        ("consumer", "run", "--data", "homes.csv", "--home", "oven", "--account", "dev4"),
        "Release 0:",
    ),
    "relay": (("relay", "serve", "--port", "0", "--account", "dev5"), "Relaying for"),
    "feed": (
        ("operator", "feed", "mqtt://127.0.0.1:9/meters", "--map", "map.csv"),
        "Readings of 2 meters",
    ),
    "follower": (("record", "update", "--follow", "--every", "0.2"), "read up to block"),
}


class Door:
    """Stands before a node: lets through, or holds everything, or refuses."""

    def __init__(self, port: int) -> None:
        self._node = port
        self._holds = Event()
        self._closed = Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        self._holds.set()

    def close(self) -> None:
        self._holds.set()
        self._closed.set()
        # Whoever is in accept() is woken, so that nobody listens any more.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._node)) as node:
            other = {client: node, node: client}
            while not self._closed.is_set():
                ready, _, _ = select.select([client, node], [], [], 0.1)
                for side in ready:
                    if self._holds.is_set():
                        self._closed.wait()  # and never answers
                        return
                    data = side.recv(65536)
                    if not data:
                        return
                    other[side].sendall(data)


class End(NamedTuple):
    code: int | None
    seconds: float
    out: str
    err: str


def _environment(neighbourhood: Any, port: int, home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ENERGY_CHAIN_HOME": str(home),
        "ENERGY_CHAIN_NETWORK": "ganache",
        "ENERGY_CHAIN_NETWORKS__GANACHE__URL": f"http://127.0.0.1:{port}",
        "ENERGY_CHAIN_NETWORKS__GANACHE__CHAIN_ID": os.environ[
            "ENERGY_CHAIN_NETWORKS__GANACHE__CHAIN_ID"
        ],
        "ENERGY_CHAIN_CONTRACT": neighbourhood.address,
        "NO_PROXY": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def door(neighbourhood: Any) -> Iterator[Door]:
    opened = Door(int(neighbourhood.node.url.rpartition(":")[2]))
    yield opened
    if not opened._closed.is_set():
        opened.close()


def _ends(
    folder: Path,
    neighbourhood: Any,
    door: Door,
    daemons: Sequence[str],
    how: signal.Signals,
    trouble: str,
) -> dict[str, End]:
    (folder / "homes.csv").write_text(
        "\n".join(
            [
                HEADER,
                *(
                    f"{home},2016-08-15T{hour:02}:00:00Z,{used},{made}"
                    for hour in (0, 6, 12, 18)
                    for home, used, made in (("oven", 0.4, 0), ("sun", 0, 0.7))
                ),
            ]
        )
        + "\n"
    )
    (folder / "map.csv").write_text("meter,account\nsun,dev3\noven,dev4\n")
    environment = _environment(neighbourhood, door.port, folder / "home")
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in daemons:
            arguments, _ = DAEMONS[name]
            out, err = (folder / f"{name}.{what}" for what in ("out", "err"))
            with out.open("w") as to, err.open("w") as errors:
                running[name] = subprocess.Popen(
                    [sys.executable, "-m", "energy_chain", *arguments],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=to,
                    stderr=errors,
                    text=True,
                )
        deadline = time.monotonic() + LONGEST_START
        for name in daemons:
            _, begun = DAEMONS[name]
            while begun not in (folder / f"{name}.out").read_text():
                assert running[name].poll() is None, (folder / f"{name}.err").read_text()
                assert time.monotonic() < deadline, name
                time.sleep(0.05)
        getattr(door, trouble)()
        time.sleep(1.0)  # so that they are in the middle of asking
        told = time.monotonic()
        for process in running.values():
            process.send_signal(how)
        ends = {}
        for name, process in running.items():
            try:
                code: int | None = process.wait(max(0.1, told + IN_TIME + 5 - time.monotonic()))
            except subprocess.TimeoutExpired:
                code = None
            texts = ((folder / f"{name}.{what}").read_text() for what in ("out", "err"))
            ends[name] = End(code, time.monotonic() - told, *texts)
        return ends
    finally:
        for process in running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("daemons", "how", "trouble"),
    [(list(DAEMONS), signal.SIGTERM, "hang"), (["consumer", "feed"], signal.SIGINT, "close")],
    ids=["hangs", "away"],
)
def test_whatever_goes_on_ends_in_time_without_its_node(
    tmp_path: Path,
    neighbourhood: Any,
    door: Door,
    daemons: list[str],
    how: signal.Signals,
    trouble: str,
) -> None:
    ends = _ends(tmp_path, neighbourhood, door, daemons, how, trouble)
    assert {name: end.code for name, end in ends.items()} == dict.fromkeys(daemons, 0), ends
    print({name: round(end.seconds, 1) for name, end in ends.items()})
    assert max(end.seconds for end in ends.values()) <= IN_TIME
    for end in ends.values():
        assert "Traceback" not in end.err
        assert "error: " not in end.err
    for name in ends.keys() & {"producer", "consumer"}:
        assert "1 re" in ends[name].out.splitlines()[-1]


def test_whatever_is_told_to_end_while_it_looks_for_its_node_ends_well(
    tmp_path: Path, neighbourhood: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-m", "energy_chain", "aggregator", "run"],
            cwd=tmp_path,
            env=_environment(neighbourhood, port, tmp_path / "home"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            hanging.settimeout(LONGEST_START)
            accepted, _ = hanging.accept()
            with accepted:
                process.terminate()
                out, err = process.communicate(timeout=IN_TIME)
    assert (process.returncode, out, err) == (0, "", "")
