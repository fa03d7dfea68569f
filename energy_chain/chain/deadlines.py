"""HTTP sessions whose requests are over in time, however slowly an answer comes.

The time limit of `requests` is one between two bytes: a peer that sends a byte
now and then keeps a client for ever, in the headers as well as in the body.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Adapter(HTTPAdapter):
    """Knows the connections that it has made."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        made: WeakSet[HTTPConnection] = WeakSet()

        class Plain(HTTPConnection):
            def connect(self) -> None:
                made.add(self)
                super().connect()

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                made.add(self)
                super().connect()

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.made = made
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


class TimedSession(requests.Session):
    """A session for one thread, whose requests can be cut off."""

    def __init__(self) -> None:
        super().__init__()
        self._adapter = _Adapter()
        for scheme in ("http://", "https://"):
            self.mount(scheme, self._adapter)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Whatever is asked for meanwhile fails once the time is over.

        Raises:
            requests.Timeout: it is.
        """
        timer = Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if timer.finished.is_set():
                raise requests.Timeout from error
            raise
        finally:
            timer.cancel()
            timer.join()

    def _cut(self) -> None:
        for connection in list(self._adapter.made):
            with suppress(OSError, AttributeError):  # it may not be connected
                connection.sock.shutdown(socket.SHUT_RDWR)
