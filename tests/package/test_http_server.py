"""Serving an application beside what else a command does."""

from __future__ import annotations

import socket
from asyncio import base_events
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from energy_chain.errors import InvalidInput
from energy_chain.http_server import serving

app = FastAPI(openapi_url=None)


@app.get("/")
def index() -> str:
    return "here"


def ask(url: str) -> bytes:
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_application_is_served_until_the_context_ends(host: str) -> None:
    with serving(app, host, 0) as url:
        assert ask(url) == b'"here"'
    with pytest.raises(ConnectionRefusedError):
        ask(url)


def test_a_place_where_nobody_can_listen_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(InvalidInput, match=f"127.0.0.1, port {port}"),
            serving(app, "127.0.0.1", port),
        ):
            pass


def test_no_answer_waits_for_the_one_before_to_be_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted = []
    set_nodelay = base_events._set_nodelay  # type: ignore[attr-defined]

    def noted(sock: socket.socket) -> None:
        set_nodelay(sock)
        accepted.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(base_events, "_set_nodelay", noted)
    with serving(app, "127.0.0.1", 0) as url:
        ask(url)
    assert accepted
    assert all(accepted)
