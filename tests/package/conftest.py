"""The embedded chain behind JSON-RPC over HTTP: what only a node of one's own can show.

A test can replace the answers to a method, and look at what was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeAlias

import pytest

Reply: TypeAlias = dict[str, Any] | bytes | HTTPStatus
"""The result or error of a JSON-RPC answer, a body that is none, or a status."""

POLL_SECONDS = 0.01


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait for its answer is what some tests are about."""


@pytest.fixture(autouse=True)
def _own_home(own_home: Path) -> None:
    """No test of the package sees what the user has set."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Serves HTTP on 127.0.0.1 until the test is over; gives the URL."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
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

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


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

    def answer(self, method: str, params: list[Any]) -> Reply:
        self.asked.append((method, params))
        if method in self.replaced:
            return self.replaced[method](params)
        return self.on_chain(method, params)

    def on_chain(self, method: str, params: list[Any]) -> Reply:
        """What the chain answers, replaced or not."""
        from energy_chain.chain.embedded import VIEWER

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
