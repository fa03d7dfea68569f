"""Serves an application on a socket of its own, in a thread beside what else is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from fastapi import FastAPI

from energy_chain.errors import InvalidInput

STOP_SECONDS = 5
BACKLOG = 128


@contextmanager
def serving(app: FastAPI, host: str, port: int) -> Iterator[str]:
    """Serves until the context ends; requests under way get a few seconds. Yields the URL.

    Raises:
        InvalidInput: nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: each answer would wait 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            raise InvalidInput(
                f"nobody can listen on {host}, port {port} ({error}): give another --port or --host"
            ) from error
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # or a client could say who it is, and no rate would hold
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="http")
        thread.start()
        try:
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
