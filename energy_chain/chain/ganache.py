"""Ganache: a development node that this package installs and runs itself.

The program comes from npm, as `npm/package-lock.json` pins it, and is kept in
the cache folder. Its chain is kept in the home folder and goes on where it
ended when Ganache is started again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import IO, Any, Self

import requests

from energy_chain.chain.accounts import DEVELOPMENT_MNEMONIC, development_accounts
from energy_chain.errors import ChainError, InvalidInput, NodeJsMissing
from energy_chain.folders import cache_folder, home_folder

VERSION = "7.9.2"
"""Ganache's version; the last one there is."""

HOST = "127.0.0.1"
BALANCE = 1_000_000
"""Ether of each account at the start."""
BLOCK_GAS_LIMIT = 30_000_000
OLDEST_NODE_JS = 18
CALL_TIMEOUT = 5.0
POLL_INTERVAL = 0.05

_FILES = Path(__file__).with_name("npm")
_REMEDY = f"install Node.js {OLDEST_NODE_JS} or later with npm, or use --network embedded"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


@dataclass(frozen=True, slots=True)
class GanacheSettings:
    """How to run Ganache. The accounts are the development accounts, a million ether each.

    Attributes:
        port: where it listens, on 127.0.0.1 only.
        chain_id: of its chain, and its network id.
        hardfork: the rules of its chain; the contract needs Shanghai.
        accounts: how many accounts own ether and are unlocked.
        database: the folder of its chain; None is one for each chain id in the home folder.
        block_time: seconds between blocks; 0 mines a block for each transaction.
    """

    port: int = 7545
    chain_id: int = 1337
    hardfork: str = "shanghai"
    accounts: int = 20
    database: Path | None = None
    block_time: float = 0

    def __post_init__(self) -> None:
        """Checks the settings.

        Raises:
            InvalidInput: one is out of range.
        """
        if not 1 <= self.port <= 65_535:
            raise InvalidInput(f"port {self.port} is no port: give 1 to 65535")
        if self.chain_id < 1 or self.accounts < 1:
            raise InvalidInput("chain id and number of accounts begin at 1")
        if self.block_time < 0:
            raise InvalidInput(f"block time {self.block_time:g} is negative: give seconds, or 0")

    @property
    def database_folder(self) -> Path:
        """The folder of its chain."""
        return (self.database or home_folder() / "ganache" / str(self.chain_id)).absolute()


# ------------------------------------------------------------------ the program


def installed() -> Path | None:
    """Ganache's program, a script for Node.js; None when it is not installed."""
    program = _program_folder() / "node_modules" / "ganache" / "dist" / "node" / "cli.js"
    return program if program.is_file() else None


def install(report: Callable[[str], None] = _say) -> Path:
    """Installs Ganache into the cache folder, unless it is there; returns its program.

    Args:
        report: is told what takes long.

    Raises:
        NodeJsMissing: there is no node, it is too old, or there is no npm.
        ChainError: npm fails, or the cache folder cannot be written.
    """
    program = installed()
    if program is not None:
        return program
    _node_js()
    npm = shutil.which("npm")
    if npm is None:
        raise NodeJsMissing(f"npm is missing, which installs Ganache: {_REMEDY}")
    folder = _program_folder()
    report(f"installing Ganache {VERSION} in {folder}, which takes up to a minute")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place, so that nobody ever sees half an installation.
        with tempfile.TemporaryDirectory(
            prefix=f"{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True
        ) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(_FILES / name, new / name)
            _run_npm_ci(npm, new)
            with contextlib.suppress(OSError):  # another process was faster
                new.rename(folder)
    except OSError as error:
        raise ChainError(f"Ganache cannot be installed in {folder}: {error}") from error
    program = installed()
    if program is None:
        raise ChainError(f"npm left no Ganache in {folder}: remove that folder and try again")
    return program


def _program_folder() -> Path:
    return cache_folder().absolute() / f"ganache-{VERSION}"


def _node_js() -> str:
    node = shutil.which("node")
    if node is None:
        raise NodeJsMissing(f"Node.js is missing, which Ganache runs on: {_REMEDY}")
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise NodeJsMissing(f"{node} does not run ({error}): {_REMEDY}") from error
    version = re.match(r"v(\d+)\.", answer)
    if version is None or int(version[1]) < OLDEST_NODE_JS:
        raise NodeJsMissing(f"Node.js {answer} is too old for Ganache: {_REMEDY}")
    return node


def _run_npm_ci(npm: str, folder: Path) -> None:
    # Ganache brings what it needs compiled: no script of a package has to run.
    command = [npm, "ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts", "--json"]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ChainError(
            f"npm could not install Ganache: {_npm_fault(done.stdout, done.stderr)}; "
            "check the network and npm's configuration, and try again"
        )


def _npm_fault(output: str, errors: str) -> str:
    try:
        lines = json.loads(output)["error"]["summary"].splitlines()
    except (ValueError, LookupError, TypeError, AttributeError):
        lines = []
    return next(iter(lines), None) or _last_line(errors) or "it does not say why"


# ------------------------------------------------------------------ a running Ganache


class Ganache:
    """A running Ganache. Leaving it as a context manager stops it.

    It is in a session of its own, so that Ctrl-C in a terminal reaches only the
    process that started it, and it stops when that process is gone.

    Attributes:
        settings: how it was started.
        url: where it answers.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        settings: GanacheSettings,
        output: IO[bytes] | None,
        report: Callable[[str], None],
    ) -> None:
        """For `start`, which is how to get one.

        Args:
            process: Ganache's, with a pipe to its standard input.
            settings: how it was started.
            output: what it prints; None when that goes to standard error.
            report: is told when it has to be killed.
        """
        self.settings = settings
        self.url = f"http://{HOST}:{settings.port}"
        self._process = process
        self._output = output
        self._report = report

    @classmethod
    def start(
        cls,
        settings: GanacheSettings,
        verbose: bool = False,
        start_timeout: float = 30.0,
        report: Callable[[str], None] = _say,
    ) -> Self:
        """Starts Ganache, installing it first where that is necessary, and waits until it answers.

        When its latest block is ahead of the clock on the wall, because its clock was
        moved before it was stopped, its clock is moved forward again.

        Args:
            settings: how to run it.
            verbose: whether its log goes to standard error.
            start_timeout: seconds to wait until it answers.
            report: is told what takes long, and when Ganache has to be killed.

        Raises:
            NodeJsMissing: there is nothing to run it on.
            InvalidInput: the port or the folder of the chain cannot be used.
            ChainError: it cannot be installed, ends at once, does not answer, is in use, or its
                chain was made with other accounts.
        """
        program, node = install(report), _node_js()
        _check_port(settings.port)
        try:
            settings.database_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(
                f"the chain cannot be kept in {settings.database_folder}: {error.strerror}"
            ) from error
        output = None if verbose else tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        # Not npm's shim, which would not pass signals on.
        command = [node, "--require", str(_FILES / "stop_with_parent.cjs"), str(program)]
        process = subprocess.Popen(
            command + _options(settings, verbose),
            stdin=subprocess.PIPE,
            stdout=output or 2,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        ganache = cls(process, settings, output, report)
        try:
            ganache._wait_until_ready(start_timeout)
            ganache._check_accounts()
            ganache._catch_up()
        except BaseException:
            ganache.stop()
            raise
        return ganache

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def wait(self) -> int:
        """Waits until it ends; returns its exit code, negative when a signal ended it."""
        return self._process.wait()

    def serve(self, stop: Event) -> None:
        """Waits until `stop` is set, which a signal handler may do. Stops nothing itself.

        Args:
            stop: set when it is enough.

        Raises:
            ChainError: Ganache ended meanwhile.
        """
        # Not stop.wait: a handler that sets the event in there could wait for itself.
        while not stop.is_set():
            if self._process.poll() is not None:
                raise self._ended("")
            time.sleep(POLL_INTERVAL)

    def stop(self, timeout: float = 10.0) -> None:
        """Stops it, and waits until it has closed its chain. It may have been stopped before.

        Args:
            timeout: seconds until it is killed, which is reported.
        """
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._report(f"Ganache did not stop within {timeout:g} s and was killed")
        finally:
            for stream in (self._process.stdin, self._output):
                if stream is not None:
                    stream.close()

    def __enter__(self) -> Self:
        """Nothing more: it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops it."""
        self.stop()

    def _wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise self._ended(" at once")
            try:
                self._ask("eth_chainId")
                return
            except ChainError:
                time.sleep(POLL_INTERVAL)
        raise ChainError(f"Ganache did not answer within {timeout:g} s: try again")

    def _ended(self, when: str) -> ChainError:
        code = self._process.returncode
        if code < 0:
            return ChainError(f"Ganache was killed by signal {-code}")
        if self._output is None:
            return ChainError(f"Ganache ended{when}, see above")
        self._output.seek(0)
        line = _last_line(self._output.read().decode(errors="replace"))
        folder = self.settings.database_folder
        if "EADDRINUSE" in line:
            return _port_taken(self.settings.port)
        if "LOCK" in line and "unavailable" in line:
            return ChainError(
                f"another Ganache has opened the chain in {folder}: stop that one, "
                "or give another folder"
            )
        return ChainError(f"Ganache ended{when}: {line or 'it does not say why'}")

    def _check_accounts(self) -> None:
        # Ganache opens the chain of another mnemonic, and then nobody owns any ether.
        account = development_accounts(1)[0].address
        if int(self._ask("eth_getBalance", account, "earliest"), 16) == 0:
            raise ChainError(
                f"the chain in {self.settings.database_folder} was made with other accounts: "
                "give another folder, or remove that one"
            )

    def _catch_up(self) -> None:
        # Ganache forgets at its end how far its clock was moved, and would go back in time.
        latest = int(self._ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        behind = latest - int(time.time())
        if behind > 0:
            self._ask("evm_increaseTime", behind)

    def _ask(self, method: str, *params: Any) -> Any:
        question: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            with requests.Session() as session:
                session.trust_env = False  # no proxy stands between us and this machine
                answer = session.post(self.url, json=question, timeout=CALL_TIMEOUT).json()
            return answer["result"]
        except (requests.RequestException, ValueError, LookupError, TypeError) as error:
            raise ChainError(f"{self.url} gives no usable answer to {method}") from error


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        # As servers do: a connection that is winding down does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _port_taken(port) from error
            raise InvalidInput(f"port {port} cannot be used: {error.strerror}") from error


def _port_taken(port: int) -> ChainError:
    return ChainError(
        f"port {port} is taken: is a Ganache running there already? Use that one, stop it, "
        "or give another --port"
    )


def _options(settings: GanacheSettings, verbose: bool) -> list[str]:
    options = {
        "server.host": HOST,
        "server.port": settings.port,
        "chain.chainId": settings.chain_id,
        "chain.networkId": settings.chain_id,
        "chain.hardfork": settings.hardfork,
        "wallet.mnemonic": DEVELOPMENT_MNEMONIC,
        "wallet.totalAccounts": settings.accounts,
        "wallet.defaultBalance": BALANCE,
        "miner.blockGasLimit": BLOCK_GAS_LIMIT,
        "miner.blockTime": f"{settings.block_time:g}",
        "database.dbPath": settings.database_folder,
        "logging.quiet": str(not verbose).lower(),
    }
    return [f"--{name}={option}" for name, option in options.items()]


def _last_line(output: str) -> str:
    """The last line that tells something: not of a stack, nor of what hangs on an error."""
    tail = re.compile(r"\s+at |\s+code: |[{}\s]*$|npm error A complete log")
    lines = [line for line in output.splitlines() if not tail.match(line)]
    return lines[-1].strip() if lines else ""
