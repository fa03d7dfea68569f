"""The contract's ABI for those in a hurry: eth_abi and web3 take longer than the calls themselves.

Of the types of the ABI it knows words, tuples of them, and dynamic arrays of either; and strings,
which the contract only returns and logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from eth_utils import to_checksum_address
from eth_utils.abi import collapse_if_tuple

from energy_chain.chain.artifact import load_artifact

WORD = 32
_SIGNED = 1 << 255

Convert = Callable[[int], Any]


@lru_cache(4096)
def _address(word: int) -> str:
    return str(to_checksum_address(word.to_bytes(20, "big")))


@lru_cache(4096)
def _number_of(address: str) -> int:
    return int(address, 16)


def _converters(kind: str) -> list[Convert]:
    """How to read each word of a type of fixed size."""
    if kind.startswith("("):
        return [convert for part in kind[1:-1].split(",") for convert in _converters(part)]
    if kind == "address":
        return [_address]
    if kind == "bool":
        return [bool]
    if kind.startswith("bytes"):
        return [lambda word: word.to_bytes(WORD, "big")[: int(kind.removeprefix("bytes"))]]
    if kind.startswith("int"):
        return [lambda word: word - 2 * _SIGNED if word >= _SIGNED else word]
    assert kind.startswith("uint") or kind == "string", f"{kind} is none of the types known here"
    return [int]


class _Codec:
    """Encodes and decodes values of some types, one after the other."""

    def __init__(self, types: Sequence[str]) -> None:
        self._types = [
            (kind, kind.endswith("[]"), _converters(kind.removesuffix("[]"))) for kind in types
        ]

    def encode(self, values: Sequence[Any]) -> bytes:
        """The words of values, behind each other and then those of the arrays."""
        head, tail = [], []
        size = WORD * sum(1 if array else len(parts) for _, array, parts in self._types)
        for value, (_, is_array, _) in zip(values, self._types, strict=True):
            if is_array:
                head.append((size + WORD * len(tail)).to_bytes(WORD, "big"))
                tail.append(len(value).to_bytes(WORD, "big"))
                tail += [_word(part) for item in value for part in _parts(item)]
            else:
                head += map(_word, _parts(value))
        return b"".join(head + tail)

    def decode(self, data: bytes) -> Iterator[Any]:
        """The values in what `encode` or the contract made of them."""
        words = [int.from_bytes(data[at : at + WORD], "big") for at in range(0, len(data), WORD)]
        at = 0
        for kind, is_array, converters in self._types:
            if kind == "string":
                start = words[at] + WORD
                length = int.from_bytes(data[start - WORD : start], "big")
                yield data[start : start + length].decode()
                at += 1
            elif is_array:
                start, size = words[at] // WORD + 1, len(converters)
                stop = start + size * words[start - 1]
                assert stop <= len(words)
                starts = range(start, stop, size)
                yield tuple(_value(kind, converters, words[i : i + size]) for i in starts)
                at += 1
            else:
                size = len(converters)
                yield _value(kind, converters, words[at : at + size])
                at += size


def _parts(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _word(value: int | str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    number = _number_of(value) if isinstance(value, str) else value
    return number.to_bytes(WORD, "big", signed=number < 0)


def _value(kind: str, converters: Sequence[Convert], words: Sequence[int]) -> Any:
    if kind.startswith("("):
        return tuple(convert(word) for convert, word in zip(converters, words, strict=True))
    return converters[0](words[0])


class Function:
    """A function of the contract.

    Attributes:
        name: without its arguments.
        signature: with their types.
        types: of the arguments.
        is_view: whether it changes nothing.
        selector: what its calldata begins with.
    """

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name: str = entry["name"]
        self.types = [collapse_if_tuple(argument) for argument in entry["inputs"]]
        self.signature = f"{self.name}({','.join(self.types)})"
        self.is_view: bool = entry["stateMutability"] in ("view", "pure")
        selector = int(load_artifact().method_identifiers[self.signature], 16)
        self.selector = selector.to_bytes(4, "big")
        self._arguments = _Codec(self.types)
        self._returned = _Codec([collapse_if_tuple(output) for output in entry["outputs"]])

    def calldata(self, *arguments: Any) -> bytes:
        """What a call sends."""
        return self.selector + self._arguments.encode(arguments)

    def returned(self, data: bytes) -> Any:
        """What a call returned: one value as it is, several as a tuple."""
        values = tuple(self._returned.decode(data))
        return values[0] if len(values) == 1 else values


@cache
def functions() -> dict[str, Function]:
    """The functions of the contract, by their signatures."""
    found = (Function(entry) for entry in load_artifact().abi if entry["type"] == "function")
    return {function.signature: function for function in found}


@cache
def function(name: str) -> Function:
    """A function by its signature, or by its name where that is enough."""
    by_name = {function.name: function for function in functions().values()}
    return functions().get(name) or by_name[name]
