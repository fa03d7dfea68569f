"""Events of the contract as a chain logs them, decoded and encoded.

The one place that knows how a log lies in its topics and its data: the layout of
each event is taken from the contract's ABI. Made for many logs: web3's own
decoder takes some twenty times as long.

Source: Solidity, Contract ABI Specification, "Events" and "Formal Specification
of the Encoding".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from energy_chain import events
from energy_chain.chain.addresses import checksummed
from energy_chain.chain.artifact import load_artifact
from energy_chain.errors import ContradictoryChain
from energy_chain.events import Event
from energy_chain.market import LANES_PER_WORD, Fill, Release, Request
from energy_chain.packing import (
    LANE_BITS,
    METER_AT,
    PRODUCER_AT,
    pack_energies,
    pack_orders,
    unpack_energies,
    unpack_fills,
    unpack_orders,
    unpack_pair,
    unpack_signed,
)

Topics: TypeAlias = Sequence[bytes]
"""Words of 32 bytes, the first of which tells the event."""

WORD = 32
"""Bytes."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields of an event are.

    Attributes:
        topic: the first topic.
        topics: how many there are.
        head: bytes of data that each field has a word of; what has no fixed length is behind them.
        places: of each field its type, whether it is indexed, and which topic it is or at which
            byte of the data its word begins.
        make: makes the event of the fields.
    """

    topic: bytes
    topics: int
    head: int
    places: tuple[tuple[str, bool, int], ...]
    make: Callable[..., Event]


def decode(topics: Topics, data: bytes) -> Event:
    """The event of a log, with packed words unpacked.

    Raises:
        ContradictoryChain: the contract logs nothing like it.
    """
    try:
        layout = _layouts()[topics[0]]
        if len(topics) != layout.topics:
            raise ValueError
        values: list[Any] = []
        for kind, indexed, at in layout.places:
            word = topics[at] if indexed else data[at : at + WORD]
            if len(word) != WORD:
                raise ValueError
            if kind == "uint256":
                values.append(int.from_bytes(word, "big"))
            elif kind == "address":
                values.append(checksummed(word[12:]))
            elif kind == "string":
                values.append(_text(data, int.from_bytes(word, "big")))
            else:
                values.append(_words(data, int.from_bytes(word, "big")))
        return layout.make(*values)
    except (IndexError, KeyError, ValueError):
        told = topics[0].hex() if topics else "without a topic"
        raise ContradictoryChain(
            f"there is a log {told} that the contract cannot have made: ask another node"
        ) from None


def encode(event: Event) -> tuple[tuple[bytes, ...], bytes]:
    """Topics and data of the log that tells an event.

    Lanes in front of the first that counts, which repeat what came before, are empty.
    """
    layout = _layouts()[type(event).__name__]
    topics, head, tail = [layout.topic], b"", b""
    for value, (kind, indexed, _) in zip(_packed(event), layout.places, strict=True):
        if indexed:
            topics.append(_word(kind, value))
        elif kind in ("uint256", "address"):
            head += _word(kind, value)
        else:
            head += _number(layout.head + len(tail))
            tail += _dynamic(value)
    return tuple(topics), head + tail


@cache
def _layouts() -> dict[bytes | str, _Layout]:
    """The layouts of all events, by first topic and by name."""
    from eth_utils.crypto import keccak

    found: dict[bytes | str, _Layout] = {}
    for entry in load_artifact().abi:
        if entry["type"] != "event":
            continue
        name, inputs = entry["name"], entry["inputs"]
        topic = keccak(text=f"{name}({','.join(field['type'] for field in inputs)})")
        places, topics, head = [], 1, 0
        for field in inputs:
            places.append((field["type"], field["indexed"], topics if field["indexed"] else head))
            topics, head = (topics + 1, head) if field["indexed"] else (topics, head + WORD)
        make = _MADE_BY.get(name, getattr(events, name))
        found[topic] = found[name] = _Layout(topic, topics, head, tuple(places), make)
    return found


_MADE_BY: dict[str, Callable[..., Event]] = {
    "RequestsPosted": lambda first, words: events.RequestsPosted(
        first, unpack_orders(Request, words)
    ),
    "ReleasesPosted": lambda first, words: events.ReleasesPosted(
        first, unpack_orders(Release, words)
    ),
    "SignedRequestsPosted": lambda first, words: events.SignedRequestsPosted(
        first, unpack_signed(Request, first, words)
    ),
    "SignedReleasesPosted": lambda first, words: events.SignedReleasesPosted(
        first, unpack_signed(Release, first, words)
    ),
    "Matched": lambda first, words: events.Matched(first, unpack_fills(first, words)),
    "PairMatched": lambda fill: events.PairMatched(*unpack_pair(fill)),
    "DeliveriesConfirmed": lambda first, words: events.DeliveriesConfirmed(
        first, unpack_energies(words)
    ),
}
"""What makes the events whose words are unpacked."""


def _packed(event: Event) -> tuple[Any, ...]:
    """The fields of an event as the contract logs them."""
    match event:
        case events.RequestsPosted(first, requests):
            return first, pack_orders(requests)
        case events.ReleasesPosted(first, releases):
            return first, pack_orders(releases)
        case events.SignedRequestsPosted(first, orders):
            lanes = [order.meter << METER_AT | order.energy for order in orders]
            return first, _ring_words(first, lanes, lowest_first=True)
        case events.SignedReleasesPosted(first, orders):
            lanes = [order.meter << METER_AT | order.energy for order in orders]
            return first, _ring_words(first, lanes, lowest_first=True)
        case events.Matched(first, fills):
            lanes = [_lane(fill) for fill in fills]
            return first, _ring_words(first, lanes, lowest_first=False)
        case events.PairMatched(index, fill):
            return (index << LANE_BITS | _lane(fill),)
        case events.DeliveriesConfirmed(first, energies):
            return first, pack_energies(energies)
    return tuple(getattr(event, name) for name in event.__slots__)


def _lane(fill: Fill) -> int:
    return fill.producer << PRODUCER_AT | fill.consumer << METER_AT | fill.energy


def _ring_words(first: int, lanes: list[int], lowest_first: bool) -> list[int]:
    lanes = [*[0] * (first % LANES_PER_WORD), *lanes]
    lanes += [0] * (-len(lanes) % LANES_PER_WORD)
    words = []
    for at in range(0, len(lanes), LANES_PER_WORD):
        word = lanes[at : at + LANES_PER_WORD]
        ordered = word if lowest_first else word[::-1]
        words.append(sum(lane << LANE_BITS * i for i, lane in enumerate(ordered)))
    return words


def _words(data: bytes, at: int) -> list[int]:
    count = int.from_bytes(_bytes(data, at, WORD), "big")
    words = _bytes(data, at + WORD, WORD * count)
    return [int.from_bytes(words[i : i + WORD], "big") for i in range(0, len(words), WORD)]


def _text(data: bytes, at: int) -> str:
    length = int.from_bytes(_bytes(data, at, WORD), "big")
    return _bytes(data, at + WORD, length).decode()


def _bytes(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise ValueError
    return data[at : at + length]


def _word(kind: str, value: Any) -> bytes:
    return bytes.fromhex(value[2:]).rjust(WORD, b"\0") if kind == "address" else _number(value)


def _number(value: int) -> bytes:
    return value.to_bytes(WORD, "big")


def _dynamic(value: Any) -> bytes:
    if isinstance(value, str):
        text = value.encode()
        return _number(len(text)) + text + bytes(-len(text) % WORD)
    return _number(len(value)) + b"".join(_number(word) for word in value)
