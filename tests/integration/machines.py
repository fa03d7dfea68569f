"""Machines of people: each has files and an environment of its own, and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, NamedTuple, Self
from unittest import mock

import pytest

from energy_chain import cli

LINE_TIMEOUT = 60.0
"""Seconds until a line has to be there: a start of Python on a machine with much to do."""
END_TIMEOUT = 20.0


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Command:
    """The command line in a process of its own. Leaving it as a context manager kills it."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "energy_chain", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._lines: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _told(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def line(self, timeout: float = LINE_TIMEOUT) -> str:
        """The next line of its output."""
        try:
            line = self._lines.get(timeout=timeout)
        except Empty:
            pytest.fail(f"no line within {timeout:g} s; it says {self._told()!r}")
        if line is None:
            pytest.fail(f"it has ended with {self._process.wait()} and {self._told()!r}")
        return line

    def json(self) -> Any:
        """The next line of its output, which is JSON."""
        return json.loads(self.line())

    def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The next event of that name in the receipts that it prints; it has these fields."""
        while True:
            for event in self.json()["events"]:
                if event["event"] == name:
                    assert fields.items() <= event.items()
                    return dict(event)

    def until(self, is_it: Callable[[Any], bool]) -> Any:
        """The next line of JSON of which something is true."""
        while not is_it(line := self.json()):
            pass
        return line

    def end(self, how: signal.Signals = signal.SIGTERM) -> list[str]:
        """Tells it to end, which it does promptly and without a fault. Returns its last lines."""
        self._process.send_signal(how)
        assert self.ended() == (0, "")
        return [line for line in iter(self._lines.get, None) if line is not None]

    def kill(self) -> None:
        """Ends it as a crash does: nothing of its own is done any more."""
        self._process.kill()
        self._process.wait()

    def ended(self) -> tuple[int, str]:
        """Waits until it has ended. Returns its exit code and what it printed as an error."""
        return self._process.wait(END_TIMEOUT), self._told()


class Machine:
    """A machine: a folder to work in, with a home folder in it, and an environment."""

    def __init__(self, folder: Path, **environment: object) -> None:
        """A machine, made in a folder that does not exist.

        Args:
            folder: that it works in.
            environment: besides what every machine has.
        """
        folder.mkdir()
        self.folder = folder
        kept = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith("ENERGY_CHAIN_") or name == "ENERGY_CHAIN_CACHE"
        }
        self.environment = kept | {
            "ENERGY_CHAIN_HOME": str(folder / "home"),
            "NO_PROXY": "127.0.0.1",
            **{name: str(text) for name, text in environment.items()},
        }

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Writes a file into its folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def start(self, *arguments: object) -> Command:
        """Starts the command line in a process of its own."""
        return Command([str(argument) for argument in arguments], self.folder, self.environment)

    def run(self, *arguments: object, **environment: object) -> Outcome:
        """Runs the command line to its end, in this process because that is faster."""
        there = self.environment | {name: str(text) for name, text in environment.items()}
        with (
            chdir(self.folder),
            mock.patch.dict(os.environ, there, clear=True),
            mock.patch.object(sys, "argv", ["energy-chain", *map(str, arguments)]),
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
            pytest.raises(SystemExit) as ended,
        ):
            cli.main()
        return Outcome(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def told(self, *arguments: object) -> str:
        """What a command prints that succeeds."""
        code, out, err = self.run(*arguments)
        assert (code, err) == (0, "")
        return out

    def json(self, *arguments: object) -> Any:
        """What a command prints with --json that succeeds; a list where it prints lines."""
        out = self.told(*arguments, "--json")
        try:
            return json.loads(out)
        except json.JSONDecodeError:
            return [json.loads(line) for line in out.splitlines()]

    def fails(self, code: int, *arguments: object, **environment: object) -> str:
        """The one line that a command prints which fails like that."""
        outcome = self.run(*arguments, **environment)
        assert outcome.code == code
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("\n") == 1
        assert not outcome.out
        return outcome.err


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
