"""What a soak strikes: a Ganache, and processes on machines that have ways of their own to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from energy_chain.chain.outbox import Entry, Outbox
from tests.faults.nodes import GanacheNode
from tests.integration.machines import Machine

ROOT = Path(__file__).parents[2]
COMMAND_TIMEOUT = 90.0
END_TIMEOUT = 20.0
"""Seconds that a process may take to end: the 15 that it promises, on a machine with much to do."""
CLI = "-m", "energy_chain"


class SoakNode(GanacheNode):
    """Ganache with a block each second, which can be paused and go on."""

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class Place:
    """A machine: a home folder that its processes share, and a way of its own to the node."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        """A machine that is told where the node answers."""
        self.name = name
        self.machine = Machine(folder / name, PYTHONPATH=str(ROOT))
        self.url = url
        self.tell()

    def tell(self, contract: str | None = None) -> None:
        """Tells it where the market is."""
        lines = [
            *('network = "soak"', "[networks.soak]", f'url = "{self.url}"', "chain_id = 1337"),
            *([f'contract = "{contract}"'] if contract else []),
        ]
        self.machine.write("energy-chain.toml", "\n".join(lines) + "\n")

    def run(self, *arguments: object) -> list[Any]:
        """What a command prints with --json, line by line.

        Raises:
            RuntimeError: it ends with another code than 0.
        """
        done = subprocess.run(
            [sys.executable, *CLI, *map(str, arguments), "--json"],
            cwd=self.machine.folder,
            env=self.machine.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr}")
        try:
            return [json.loads(done.stdout)]
        except json.JSONDecodeError:
            return [json.loads(line) for line in done.stdout.splitlines()]

    def outbox(self) -> list[Entry]:
        """Everything that was sent from here."""
        folder = Path(self.machine.environment["ENERGY_CHAIN_HOME"]) / "outbox"
        found: list[Entry] = []
        for file in folder.glob("*.sqlite"):
            outbox = Outbox.open(file)
            try:
                found += outbox.listed(10**9, all_states=True)
            finally:
                outbox.close()
        return found


class Worker:
    """A process that goes on until it is told to end, and can be killed, paused and started again.

    Attributes:
        name: what people call it.
        place: its machine.
    """

    def __init__(
        self,
        name: str,
        place: Place,
        arguments: Callable[[], Sequence[object]],
        heard: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """A process that is started later.

        Args:
            name: what people call it.
            place: its machine.
            arguments: for Python, of each start.
            heard: is told its name and each line of JSON that it prints.
        """
        self.name, self.place = name, place
        self._arguments, self._heard = arguments, heard
        self._errors = place.machine.folder / f"{name}.err"
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[Thread] = []

    def start(self) -> None:
        with self._errors.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *map(str, self._arguments())],
                cwd=self.place.machine.folder,
                env=self.place.machine.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        reader = Thread(target=self._read, args=(self._process,), daemon=True)
        self._readers.append(reader)
        reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                # Who is killed may leave half a line.
                if line.endswith("\n"):
                    self._heard(self.name, json.loads(line))

    def code(self) -> int | None:
        """What it has ended with; None while it runs."""
        assert self._process
        return self._process.poll()

    def last_words(self) -> str:
        """The last line of its errors."""
        lines = self._errors.read_text(encoding="utf-8").splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def tell_to_end(self) -> None:
        """Sends SIGTERM."""
        assert self._process
        self._process.terminate()

    def ended(self) -> int | None:
        """Its code, once everything that it has printed was heard; None when it does not end."""
        assert self._process
        try:
            code = self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join()
        return code
