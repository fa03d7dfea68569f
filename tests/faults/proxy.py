"""A way to a node that fails as ways to nodes do: a proxy for JSON-RPC on 127.0.0.1.

Clients and node are real; what is between them can be made to fail, for all methods
or for some, and made whole again, while clients are connected.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp

ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER that closes with a reset."""


class Exchange:
    """A question that a client has asked, and its connection."""

    def __init__(
        self,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ask: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        self.body = body
        self.question: Any = json.loads(body)
        self._reader, self._writer, self._ask = reader, writer, ask

    @property
    def methods(self) -> set[str]:
        """The methods that are called: several where questions come as one."""
        several = self.question if isinstance(self.question, list) else [self.question]
        return {each["method"] for each in several}

    async def forward(self, **changes: Any) -> Any:
        """What the node answers, to the question or to a changed one."""
        body = json.dumps({**self.question, **changes}).encode() if changes else self.body
        return json.loads(await self._ask(body))

    def tell(self, answer: Any) -> None:
        """Answers in JSON."""
        self.say(json.dumps(answer).encode())

    def result(self, result: Any, **others: Any) -> None:
        """Answers with a result."""
        self.tell({"jsonrpc": "2.0", "id": self.question["id"], "result": result} | others)

    def error(self, code: int, message: str) -> None:
        """Answers with an error."""
        error = {"code": code, "message": message}
        self.tell({"jsonrpc": "2.0", "id": self.question["id"], "error": error})

    def say(
        self, body: bytes, status: str = "200 OK", *headers: str, length: int | None = None
    ) -> None:
        """Answers in HTTP; `length` is what is said of the body."""
        length = len(body) if length is None else length
        head = f"HTTP/1.1 {status}", f"Content-Length: {length}", *headers, "", ""
        self.put("\r\n".join(head).encode() + body)

    def put(self, raw: bytes) -> None:
        """Sends bytes."""
        self._writer.write(raw)

    async def drain(self) -> None:
        """Waits until the client has taken what was sent."""
        await self._writer.drain()

    def close(self) -> None:
        """Ends the connection in order."""
        self._writer.close()

    def reset(self) -> None:
        """Ends the connection with a reset."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self._writer.transport.abort()

    async def until_it_leaves(self) -> None:
        """Waits until the client ends the connection."""
        await self._reader.read()


Act: TypeAlias = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: what happens.
        act: does it; None closes the port.
        methods: whom it happens to; None is all.
    """

    name: str
    act: Act | None
    methods: frozenset[str] | None = None


REFUSED = Kind("refused", None)


class Proxy:
    """A proxy in a thread of its own. Leaving it as a context manager stops it.

    Attributes:
        url: where clients find it.
        met: exchanges that a fault has happened to.
        seen: methods that were asked for, in order, with or without a fault.
    """

    def __init__(self, upstream: str) -> None:
        """A proxy in front of the node at a URL; the node may come and go."""
        self._upstream = upstream
        self._kind: Kind | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._broken: list[Exception] = []
        self.met = 0
        self.seen: list[str] = []
        # Bound as well, never listening: the port stays ours while it is closed.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self._port = self._holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Begins to listen."""
        self._thread.start()
        self._do(self._begin())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()
        assert not self._broken, self._broken

    @contextmanager
    def failing(self, kind: Kind) -> Iterator[None]:
        """Lets a fault happen to every exchange meanwhile; connections that hang stay so."""
        self._do(self._switch(kind))
        try:
            yield
        finally:
            self._do(self._switch(None))

    def _do(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _begin(self) -> None:
        self._session = aiohttp.ClientSession()
        await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, reuse_port=True
        )

    async def _end(self) -> None:
        await self._switch(REFUSED)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._session.close()

    async def _switch(self, kind: Kind | None) -> None:
        self._kind = kind
        if kind is not None and kind.act is None:
            if self._server is not None:
                self._server.close()
                self._server = None
            for writer in list(self._connections):
                writer.transport.abort()
            self.met += 1
        elif self._server is None:
            await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            # Whoever has ended the connection is not told anything more.
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                    await self._answer(
                        Exchange(await reader.readexactly(length), reader, writer, self._ask)
                    )
                    await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()
        except Exception as error:
            self._broken.append(error)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        self.seen += sorted(exchange.methods)
        kind = self._kind
        if kind is None or not (kind.methods is None or exchange.methods <= kind.methods):
            exchange.say(await self._ask(exchange.body))
        else:
            assert kind.act is not None, "the port is closed"
            self.met += 1
            await kind.act(exchange)

    async def _ask(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(self._upstream, data=body, headers=headers) as answer:
                return await answer.read()
        except aiohttp.ClientError as error:
            raise ConnectionError from error
