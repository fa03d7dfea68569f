"""Readings as they come over MQTT: one topic for each meter, `<base>/<meter>`.

Messages are those of `messages`. They are asked for with quality of service 1 in
a session that the broker keeps, so what was published while nobody listened comes
later. (Brokers are told of a message's arrival before the desk has written it: of
a process that is killed in between, the reading is missing until it is sent again.)
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

import aiomqtt

from energy_chain.errors import InvalidInput
from energy_chain.meters.live.messages import BadMessage, MessageReader, MeterMessage

MOST_WAITING = 100_000
"""Messages that are held while they cannot be looked at."""
TIMEOUT = 10.0
"""Seconds to wait for the broker."""

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_BASE = re.compile(r"[^#+\0/]+(/[^#+\0/]+)*")


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """A broker, and the topic whose next level names meters. The password is never shown."""

    host: str
    port: int
    base: str
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of_url(cls, url: str, password: str | None = None) -> MqttAddress:
        """The address of mqtt://[USER@]HOST[:PORT]/BASE, or of mqtts:// with TLS.

        Raises:
            InvalidInput: it is none, or has a password in it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise InvalidInput("the URL of the broker cannot be read: check its port") from None
        if parts.password is not None:
            raise InvalidInput(
                "a password does not belong into a URL: give it as ENERGY_CHAIN_MQTT_PASSWORD"
            )
        base = unquote(parts.path).strip("/")
        more = parts.query or "#" in url
        if more or parts.scheme not in _PORTS or not parts.hostname or not _BASE.fullmatch(base):
            raise InvalidInput(
                f"{url[:100]!r} is no feed: give mqtt://HOST:PORT/TOPIC, where meters publish "
                "under TOPIC/METER, or mqtts:// with TLS"
            )
        return cls(
            parts.hostname,
            port or _PORTS[parts.scheme],
            base,
            parts.scheme == "mqtts",
            unquote(parts.username) if parts.username else None,
            password,
        )

    def __str__(self) -> str:
        """For people."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}/{self.base}"


@dataclass(frozen=True, slots=True)
class Received:
    """A reading, and when it came. `number` counts the messages."""

    number: int
    message: MeterMessage
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that cannot be used, by number and topic, and why."""

    number: int
    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker is there, and sends."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The broker is not there; it is tried again after so many seconds."""

    reason: str
    seconds: float


# What it says of a lost broker is said by `Lost`.
_SILENT = logging.getLogger("energy_chain.mqtt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

Event = Received | Refused | Connected | Lost


class MqttFeed:
    """Readings of some meters from a broker, for as long as somebody listens."""

    def __init__(
        self,
        address: MqttAddress,
        meters: Collection[str],
        period: timedelta,
        session: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        first_wait: float = 1.0,
        longest_wait: float = 60.0,
    ) -> None:
        """A feed.

        Args:
            address: the broker and the topic.
            meters: whose messages are read; those of others are refused.
            period: how long periods are.
            session: names this listener for the broker, the same after a restart.
            clock: when a message has come.
            first_wait, longest_wait: seconds before the broker is tried again; twice as many
                each time.
        """
        self._address = address
        self._meters = frozenset(meters)
        self._reader = MessageReader(period)
        self._session = session
        self._clock = clock
        self._waits = first_wait, longest_wait
        self._number = 0

    async def events(self) -> AsyncIterator[Event]:
        """What comes, without an end; a broker that is lost is tried again."""
        wait = self._waits[0]
        while True:
            try:
                async with self._client() as client:
                    await client.subscribe(f"{self._address.base}/+", qos=1)
                    yield Connected()
                    wait = self._waits[0]
                    async for message in client.messages:
                        if (event := self._read(message)) is not None:
                            yield event
            except (aiomqtt.MqttError, OSError) as error:
                yield Lost(" ".join(str(error).split()) or type(error).__name__, wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._waits[1])

    def _client(self) -> aiomqtt.Client:
        address = self._address
        return aiomqtt.Client(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=self._session,
            logger=_SILENT,
            clean_session=False,
            timeout=TIMEOUT,
            max_queued_incoming_messages=MOST_WAITING,
            tls_context=ssl.create_default_context() if address.tls else None,
        )

    def _read(self, message: aiomqtt.Message) -> Received | Refused | None:
        self._number += 1
        topic = message.topic.value
        meter = topic.removeprefix(f"{self._address.base}/")
        if meter not in self._meters:
            return Refused(self._number, topic, "no meter of this feed")
        received_at = self._clock()
        try:
            found = self._reader.read(meter, bytes(message.payload), received_at)
        except BadMessage as error:
            return Refused(self._number, topic, str(error))
        return None if found is None else Received(self._number, found, received_at)
