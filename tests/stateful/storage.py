"""What the contract should hold in its storage, told from the twin, word by word.

All that the contract remembers stands there: who compares this has read every slot of every ring,
whatever no view shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from eth_utils import keccak, to_canonical_address
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

from energy_chain.chain import artifact
from energy_chain.market import LANES_PER_WORD, MATCH_CAPACITY, MAX_METERS
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.signing import Kind

from ..property.markets import ACCOUNTS

METERS_WATCHED = 16
"""The stages register fewer meters than that."""
LANE = 64


@cache
def layout() -> dict[str, int]:
    """The first slot of each variable of the contract, as the compiler lays them out."""
    bundle = FilesystemInputBundle([artifact.sources()])
    source = bundle.load_file(f"{artifact.CONTRACT}.vy")
    output = compile_from_file_input(source, input_bundle=bundle, output_formats=("layout",))
    variables = output["layout"]["storage_layout"]
    unknown = variables.keys() - WORDS.keys()
    assert not unknown, f"say in WORDS what the twin expects of {unknown}"
    return {name: variable["slot"] for name, variable in variables.items()}


@cache
def slots() -> list[int]:
    """The slots that a market of the stages may use, in the order of `expected`."""
    found = []
    for name, first in layout().items():
        if name == "numbers":
            found += [_slot_of(account.address, first) for account in ACCOUNTS]
        else:
            found += range(first, first + _SIZES.get(name, 1))
    return found


def expected(twin: MemoryLedger) -> list[int]:
    """What the twin expects in each of `slots`."""
    return [word for name in layout() for word in WORDS[name](twin)]


def _slot_of(key: str, slot: int) -> int:
    where = keccak(slot.to_bytes(32, "big") + to_canonical_address(key).rjust(32, b"\0"))
    return int.from_bytes(where, "big")


def _state(twin: MemoryLedger) -> Iterator[int]:
    state = twin._book.state
    requests, releases = state.requests, state.releases
    fields = (
        requests.head,
        requests.tail,
        releases.head,
        releases.tail,
        state.match_counter,
        requests.filled,
        releases.filled,
        state.period,
    )
    yield sum(field << 32 * at for at, field in enumerate(fields)) | state.paused << 255


def _registry(twin: MemoryLedger) -> Iterator[int]:
    book = twin._book
    operator = int(book.metering_operator, 16)
    yield operator | twin.meter_count() << 160 | len(book.retired) << 176


def _pending(twin: MemoryLedger) -> Iterator[int]:
    for ring in twin._book.requests, twin._book.releases:
        lanes = [meter << 32 | energy for meter, energy in ring]
        for at in range(0, len(lanes), LANES_PER_WORD):
            a, b, c, d = lanes[at : at + LANES_PER_WORD]
            yield a | b << LANE | c << 2 * LANE | d << 3 * LANE


def _matches(twin: MemoryLedger) -> Iterator[int]:
    # A word that was begun holds zeros where its matches are still to come.
    lanes = [m.producer << 48 | m.consumer << 32 | m.energy for m in twin._book.matches]
    counter = twin.match_counter()
    for index in range(counter, -(-counter // LANES_PER_WORD) * LANES_PER_WORD):
        lanes[index % MATCH_CAPACITY] = 0
    for at in range(0, len(lanes), LANES_PER_WORD):
        a, b, c, d = lanes[at : at + LANES_PER_WORD]
        yield a << 3 * LANE | b << 2 * LANE | c << LANE | d


def _numbers(twin: MemoryLedger) -> Iterator[int]:
    book = twin._book
    for account in ACCOUNTS:
        number = book.numbers.get(account.address, 0)
        yield number + 2 * (MAX_METERS + 1) * (number in book.retired)


def _addresses(twin: MemoryLedger) -> Iterator[int]:
    known = [int(address, 16) for address in twin._book.addresses]
    yield from (*known, *(0,) * (METERS_WATCHED - len(known)))


def _signed(twin: MemoryLedger) -> Iterator[int]:
    # All meters of the stages are on the first page of a kind; it begins with number 1.
    for kind in Kind:
        period, numbers = twin._book.signed.get(kind, (0, ()))
        yield period << 224 | sum(1 << number - 1 for number in numbers)
        yield from [0] * (_PAGES - 1)


def _retired(twin: MemoryLedger) -> Iterator[int]:
    yield sum(1 << number for number in twin._book.retired)


def _address(name: str) -> Callable[[MemoryLedger], Iterator[int]]:
    return lambda twin: iter([int(getattr(twin, name)(), 16)])


_PAGES = 293
"""Pages of meters of a kind."""
_SIZES = {"pending": 512, "matches": 512, "addresses": METERS_WATCHED, "signed": 2 * _PAGES}

WORDS: dict[str, Callable[[MemoryLedger], Iterator[int]]] = {
    "state": _state,
    "registry": _registry,
    "pending": _pending,
    "matches": _matches,
    "numbers": _numbers,
    "addresses": _addresses,
    "signed": _signed,
    "retired": _retired,
    "owner": _address("owner"),
    "pending_owner": _address("pending_owner"),
    "aggregator": _address("aggregator"),
}
"""Of each variable of the contract, what the twin expects in the slots of it that are watched."""
