"""The embedded chain behind JSON-RPC over HTTP: what only a node of one's own can show.

A test can replace the answers to a method, and look at what was asked.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.package.command_line import COMMANDS, ROOF_KEY, Outcome, Run

if TYPE_CHECKING:
    from energy_chain.chain.connection import Connection
    from energy_chain.chain.contract_ledger import ContractLedger

Reply: TypeAlias = dict[str, Any] | bytes | HTTPStatus
"""The result or error of a JSON-RPC answer, a body that is none, or a status."""

POLL_SECONDS = 0.01
LONGEST_RUN = 30.0
"""Seconds after which a command that goes on is stopped, whatever it waits for."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait for its answer is what some tests are about."""


@pytest.fixture(autouse=True)
def _own_home(own_home: Path) -> None:
    """No test of the package sees what the user has set."""


@contextmanager
def serving() -> Iterator[Callable[..., str]]:
    """Serves HTTP on 127.0.0.1 for as long as the context lasts; gives the URL."""
    servers = []

    def serve(answer: Callable[[str, list[Any]], Reply]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = answer(request["method"], request.get("params", []))
                status = reply if isinstance(reply, HTTPStatus) else HTTPStatus.OK
                body = reply if isinstance(reply, bytes) else b""
                if isinstance(reply, dict):
                    body = json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = _Server(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("NO_PROXY", "127.0.0.1")
            yield serve
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serves HTTP on 127.0.0.1 until the test is over; gives the URL."""
    with serving() as serve:
        yield serve


class Node:
    """The embedded chain as a node serves it: quantities and data in hexadecimal."""

    def __init__(self, accounts: Sequence[str], genesis_time: int) -> None:
        from web3 import Web3

        from energy_chain.chain.embedded import EmbeddedProvider

        self.url = ""
        self.asked: list[tuple[str, list[Any]]] = []
        self.replaced: dict[str, Callable[[list[Any]], Reply]] = {}
        self._provider = EmbeddedProvider(accounts, genesis_time)
        w3 = Web3(self._provider)
        # Through web3's own middleware, which translates from and to eth-tester's dialect.
        self._request = self._provider.request_func(w3, w3.middleware_onion)
        self._lock = Lock()

    def methods(self) -> list[str]:
        """The methods that were asked for, in order."""
        return [method for method, _ in self.asked]

    def sent(self) -> list[str]:
        """The raw transactions that were sent."""
        return [params[0] for method, params in self.asked if method == "eth_sendRawTransaction"]

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is done on the chain meanwhile is undone at the end."""
        snapshot = self._provider.tester.take_snapshot()
        yield
        with self._lock:
            self._provider.tester.revert_to_snapshot(snapshot)

    def answer(self, method: str, params: list[Any]) -> Reply:
        self.asked.append((method, params))
        if method in self.replaced:
            return self.replaced[method](params)
        return self.on_chain(method, params)

    def on_chain(self, method: str, params: list[Any]) -> Reply:
        """What the chain answers, replaced or not."""
        from energy_chain.chain.addresses import VIEWER

        if method == "eth_call":
            params[0].setdefault("from", VIEWER)
        request = self._provider.make_request if method.startswith("evm_") else self._request
        with self._lock:
            try:
                response: Any = request(method, params)  # type: ignore[operator]
            except Exception as error:
                return {"error": {"code": -32000, "message": str(error)}}
        if "error" in response:
            return {"error": _as_a_node_reverts(response["error"])}
        return {"result": _encoded(response["result"])}


@pytest.fixture
def start_node(serve: Callable[..., str]) -> Callable[..., Node]:
    """Starts a node of a chain on which the given accounts own ether."""

    def start(accounts: Sequence[str], genesis_time: int) -> Node:
        node = Node(accounts, genesis_time)
        node.url = serve(node.answer)
        return node

    return start


@pytest.fixture
def node(start_node: Callable[..., Node]) -> Node:
    """A node of a chain on which the accounts of `chains` own ether."""
    from .chains import ACCOUNTS, GENESIS_TIME

    return start_node([a.address for a in ACCOUNTS], GENESIS_TIME)


@pytest.fixture
def http(node: Node) -> Connection:
    """A connection to the node."""
    from energy_chain.chain.connection import Connection
    from energy_chain.chain.networks import network_at

    return Connection.open(network_at(node.url))


@pytest.fixture
def embedded() -> Connection:
    """A connection to a chain as the node has it, in this process."""
    from energy_chain.chain.connection import Connection
    from energy_chain.chain.networks import EMBEDDED

    from .chains import ACCOUNTS, GENESIS_TIME

    return Connection.open(EMBEDDED, [a.address for a in ACCOUNTS], GENESIS_TIME)


@pytest.fixture(params=["embedded", "http"])
def connection(request: pytest.FixtureRequest) -> Connection:
    """Both of them."""
    found: Connection = request.getfixturevalue(request.param)
    return found


# ------------------------------------------------------------------ the command line


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""
    import typer

    from energy_chain import cli

    # Typer builds all commands anew for each run, which takes longer than most of them.
    monkeypatch.setattr(typer.main, "get_command", lambda _: COMMANDS["energy-chain"])
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["energy-chain", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def stopped_when(run: Run) -> Callable[..., Outcome]:
    """Runs a command that goes on, and sends it SIGINT, as Ctrl-C does, once something is so."""

    def stopped_when(is_so: Callable[[], object], *arguments: object) -> Outcome:
        ended = Event()
        failures: list[BaseException] = []

        def watch() -> None:
            deadline = monotonic() + LONGEST_RUN
            try:
                while not is_so():
                    assert monotonic() < deadline
                    if ended.wait(POLL_SECONDS):
                        return
            except BaseException as error:
                failures.append(error)
            os.kill(os.getpid(), signal.SIGINT)

        # Whatever comes too late, after a command that has failed, ends no test run.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        watcher = Thread(target=watch)
        watcher.start()
        try:
            outcome = run(*arguments)
        finally:
            ended.set()
            watcher.join()
            signal.signal(signal.SIGINT, before)
        if failures:
            raise failures[0]
        return outcome

    return stopped_when


class Neighbourhood:
    """A market that the command line finds on network ganache, a node of this process.

    dev0 to dev9 and the account of `ROOF_KEY` own ether; dev3, dev4 and that are meters 1 to 3.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        from eth_account import Account

        from energy_chain.chain.accounts import development_accounts
        from energy_chain.chain.connection import Connection
        from energy_chain.chain.contract_ledger import ContractLedger
        from energy_chain.chain.deployments import remember
        from energy_chain.chain.networks import GANACHE, Network
        from energy_chain.chain.sender import TransactionSender

        self.node = node
        self._accounts = development_accounts(10)
        self._connection = Connection.open(Network(name=GANACHE.name, url=node.url))
        self.dev = [str(account.address) for account in self._accounts]
        self.roof = str(Account.from_key(ROOF_KEY).address)
        sender = TransactionSender(self._connection, self._accounts)
        ledger = ContractLedger.deploy(sender, *self.dev[:3], period_length=900)
        ledger.register_meters([self.dev[3], self.dev[4], self.roof])
        self.address = ledger.address
        remember(self._connection, ledger)
        self.deployments = (folder / "deployments.json").read_text()

    def by(self, number: int, address: str | None = None) -> ContractLedger:
        """The market, or another one, acted on by a development account."""
        from energy_chain.chain.contract_ledger import ContractLedger
        from energy_chain.chain.sender import TransactionSender

        sender = TransactionSender(self._connection, self._accounts)  # counts from what is so now
        return ContractLedger(sender, address or self.address, self.dev[number])

    def begin_next_period(self) -> None:
        """Moves the chain's clock."""
        self._connection.advance_time(900 - self._connection.block_time() % 900)

    def match(self, offered: int, needed: int) -> None:
        """Lets dev3 offer and dev4 ask for so many Wh, and matches them."""
        self.by(3).post_request(self.dev[3], offered)
        self.by(4).post_release(self.dev[4], needed)
        self.by(1).match_pending(1)


@pytest.fixture(scope="module")
def _neighbourhood(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    from eth_account import Account

    from energy_chain.chain.accounts import development_accounts

    from .chains import GENESIS_TIME

    folder = tmp_path_factory.mktemp("deployed")
    rich = [*development_accounts(10), Account.from_key(ROOF_KEY)]
    with serving() as serve, pytest.MonkeyPatch.context() as patched:
        patched.setenv("ENERGY_CHAIN_HOME", str(folder))
        node = Node([account.address for account in rich], GENESIS_TIME)
        node.url = serve(node.answer)
        yield Neighbourhood(node, folder)


@pytest.fixture
def neighbourhood(
    _neighbourhood: Neighbourhood, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Neighbourhood]:
    """A market as every test finds it; what a test does there is undone after it."""
    from energy_chain.chain.networks import EMBEDDED_CHAIN_ID

    node = _neighbourhood.node
    own_home.mkdir()
    (own_home / "deployments.json").write_text(_neighbourhood.deployments)
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__URL", node.url)
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__GANACHE__CHAIN_ID", str(EMBEDDED_CHAIN_ID))
    node.asked.clear()
    with node.undone():
        yield _neighbourhood
    node.replaced.clear()


@pytest.fixture
def pilot(neighbourhood: Neighbourhood, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same market on a network that is not for development, and is the one by default."""
    for name, text in (
        ("NETWORK", "pilot"),
        ("NETWORKS__PILOT__URL", neighbourhood.node.url),
        ("NETWORKS__PILOT__DEVELOPMENT", "false"),
    ):
        monkeypatch.setenv(f"ENERGY_CHAIN_{name}", text)


@pytest.fixture
def fast_keystore(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast way from passphrase to encryption key stands in for the strong one."""
    from energy_chain.chain.keystore import Keystore

    defaults = Keystore.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "kdf", "pbkdf2")
    monkeypatch.setitem(defaults, "iterations", 1)


def _encoded(value: Any) -> Any:
    match value:
        case bool() | None:
            return value
        case int():
            return hex(value)
        case bytes():
            return f"0x{value.hex()}"
        case "":
            return None
        case str():
            return value
        case Mapping():
            return {key: _encoded(item) for key, item in value.items()}
    return [_encoded(item) for item in value]


def _as_a_node_reverts(error: dict[str, Any]) -> dict[str, Any]:
    """The reason not in the message but in the data, as an Error(string)."""
    from eth_abi import encode

    reverted, colon, reason = error["message"].partition(": ")
    if not colon or "reverted" not in reverted:
        return error
    data = "0x08c379a0" + encode(["string"], [reason]).hex()
    return {"code": 3, "message": reverted, "data": data}
