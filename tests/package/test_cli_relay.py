"""`energy-chain relay`: the service and its clients, on a node of this process."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energy_chain.signing import Kind, OrderTerms, sign
from tests.package.command_line import (
    Outcome,
    Run,
    cannot_use_the_chain,
    in_json,
    json_lines,
    printed,
    refused,
)

PERIOD = 900
DEV3 = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"
"""The key of dev3, which everybody knows."""


def order_file(folder: Path, market: Any, energy: int = 1_500) -> Path:
    """A request of dev3 for the period that is now."""
    domain, period = market.order_domain(), market.signing_period()
    terms = OrderTerms(Kind.REQUEST, energy, period, (period + 1) * PERIOD)
    path = folder / "order.json"
    order = {
        "kind": "request",
        "energy_wh": energy,
        "limit_price": 0,
        "period": period,
        "deadline": terms.deadline,
        "signature": sign(terms, domain, DEV3).signature,
        "chain_id": domain.chain_id,
        "contract": domain.contract,
    }
    path.write_text(json.dumps(order))
    return path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.mark.parametrize("as_json", [False, True])
def test_an_order_is_relayed_to_the_chain(
    stopped_when: Callable[..., Outcome],
    neighbourhood: Any,
    tmp_path: Path,
    own_home: Path,
    port: int,
    as_json: bool,
) -> None:
    market = neighbourhood.by(0)
    body = order_file(tmp_path, market).read_bytes()
    url = f"http://127.0.0.1:{port}"
    told: dict[str, Any] = {}

    def is_on_chain() -> bool:
        try:
            if not told:
                told.update(ask(f"{url}/orders", body))
            told.update(ask(f"{url}/orders/{told['id']}"))
        except OSError:  # it has not started yet
            return False
        return told["state"] == "on chain"

    options = ["--port", port, "--batch-seconds", 0.1, *["--json"] * as_json]
    outcome = stopped_when(is_on_chain, "relay", "serve", *options)
    assert told["counter"] == 0
    assert told["meter"] == neighbourhood.dev[3]
    store = own_home / "relay" / f"{told_chain(market)}-{market.address}.sqlite"
    assert store.is_file()
    if as_json:
        serving, batch = json_lines(outcome)
        assert serving["serving"] == {
            "url": url,
            "chain_id": told_chain(market),
            "contract": market.address,
            "store": str(store),
        }
        assert (batch["posted"], batch["skipped"], batch["refused"]) == (1, 0, 0)
        assert (batch["transaction"], batch["block"]) == (told["transaction"], told["block"])
        assert batch["gas"] > 21_000
    else:
        first, line = printed(outcome).splitlines()
        assert url in first
        assert "1 order posted" in line
        assert told["transaction"] in line
    assert market.request_energy(neighbourhood.dev[3]) == 1_500


def told_chain(market: Any) -> int:
    return int(market.order_domain().chain_id)


def test_a_port_that_is_taken_is_refused(run: Run, neighbourhood: Any) -> None:
    assert neighbourhood
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(run("relay", "serve", "--port", port), f"port {port}", "--port")


def test_a_rate_that_is_none_is_refused_before_the_chain_is_asked(run: Run) -> None:
    refused(run("relay", "serve", "--client-rate", "often"), "'often' is no rate")


# ------------------------------------------------------------------ clients


RECEIPT = {"id": "5f" * 32, "state": "refused", "kind": "request", "meter": "0xA", "reason": "no"}


class Relay:
    """A relay that answers what it is told to."""

    def __init__(self, status: int, body: bytes) -> None:
        from http.server import BaseHTTPRequestHandler, HTTPServer
        from threading import Thread

        asked = self.asked = []  # type: list[tuple[str, bytes]]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                asked.append((self.path, self.rfile.read(length)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "order.json"
    path.write_text('{"kind": "request"}')
    return path


def test_an_order_is_given_to_a_relay(run: Run, file: Path) -> None:
    with Relay(202, json.dumps(RECEIPT).encode()) as relay:
        assert printed(run("relay", "post", file, "--url", relay.url)) == f"{RECEIPT['id']}\n"
        assert in_json(run("relay", "post", file, "--url", relay.url, "--json")) == RECEIPT
    assert relay.asked == [("/orders", b'{"kind": "request"}')] * 2


def test_what_became_of_an_order_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {**RECEIPT, "energy_wh": 1_500, "matched_wh": 250}
    with Relay(200, json.dumps(told).encode()) as relay:
        monkeypatch.setenv("ENERGY_CHAIN_RELAY", relay.url)
        line = printed(run("relay", "status", "5f/../x"))
        assert line == "request of 0xA: refused (no), 0.250 kWh of 1.500 kWh matched\n"
        assert in_json(run("relay", "status", "5f", "--json")) == told
    assert [path for path, _ in relay.asked] == ["/orders/5f%2F..%2Fx", "/orders/5f"]


def test_a_relay_s_refusal_is_told_with_its_remedy(run: Run, file: Path) -> None:
    problem = {"error": "energy: meter is retired", "remedy": "register\nit again"}
    with Relay(422, json.dumps(problem).encode()) as relay:
        refused(
            run("relay", "post", file, "--url", relay.url),
            "the relay refused (422): energy: meter is retired: register it again",
        )
    with Relay(503, json.dumps(problem).encode()) as relay:
        cannot_use_the_chain(run("relay", "post", file, "--url", relay.url), "(503)")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5"])
def test_what_is_no_relay_is_refused(run: Run, file: Path, body: bytes) -> None:
    with Relay(200, body) as relay:
        cannot_use_the_chain(run("relay", "post", file, "--url", relay.url), "relay", "--url")
    with Relay(500, body) as relay:
        cannot_use_the_chain(run("relay", "status", "1", "--url", relay.url), "500", "--url")


def test_where_nobody_answers_is_said(run: Run, file: Path, port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    cannot_use_the_chain(run("relay", "post", file, "--url", url), "no usable answer of a relay")
    for wrong in ("relay", "file:///etc/passwd", "http://[", "http://a b"):
        code, out, err = run("relay", "status", "1", "--url", wrong)
        assert (code in (2, 3), out, err.count("\n")) == (True, "", 1)


def test_a_file_that_cannot_be_read_is_refused(run: Run, tmp_path: Path) -> None:
    refused(run("relay", "post", tmp_path / "none.json"), "cannot be read")
