"""The contracts that are measured, each brought to where a scenario begins.

All meters have numbers below 256 and all energies are of two bytes, as the
surplus of a quarter of an hour is: zero bytes of calldata are cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from eth_keys.datatypes import PrivateKey

from benchmarks.bounds import Touched, first_written, overwritten
from benchmarks.laboratory import GENESIS_TIME, Cost, Laboratory, Subject, compile_baseline
from energy_chain.chain.artifact import load_artifact
from energy_chain.gas import WORD, words_of
from energy_chain.market import (
    CAPACITY,
    DEFAULT_PERIOD_LENGTH,
    LANES_PER_WORD,
    MATCH_CAPACITY,
    MAX_BATCH,
    Release,
    Request,
)
from energy_chain.packing import pack_orders
from energy_chain.signing import Kind, OrderDomain, OrderTerms, pack_signed, sign, signing_length

METERS = 200
FIRST_ENERGY = 1_000
"""Wh."""
FIRST_KEY = 1_000_000
"""Meters that own no ether have the private keys from here on: they are worth nothing."""
FIRST_LAP, STEADY = "first lap", "steady"
"""Whether the slots of the rings are written for the first time."""


def energies(count: int) -> list[int]:
    """So many energies, no two neighbours the same."""
    return [FIRST_ENERGY + i for i in range(count)]


class Market:
    """`EnergyContract` with 200 meters.

    Both queues are empty and stand at the start of a word, as the matches do.

    Attributes:
        lap: first lap or steady.
        homes: accounts that are meters 1, 2, ...; a producer and a consumer first.
        new_home: an account that is no meter.
    """

    name = "market"

    def __init__(
        self,
        lap: str,
        period_length: int = 0,
        homes: int = 2,
        genesis_time: int = GENESIS_TIME,
    ) -> None:
        """A new market, whose rings have been written all the way round when `lap` is steady."""
        artifact = load_artifact()
        self.lab = Laboratory(4 + homes, genesis_time)
        self.lap = lap
        self.owner, self.aggregator, self.operator, self.new_home, *self.homes = self.lab.accounts
        self.producer, self.consumer = self.homes[:2]
        self.contract: Subject = self.lab.deploy(
            {"abi": artifact.abi, "bytecode": artifact.bytecode},
            *(self.aggregator, self.operator, period_length),
        )
        others = [meter(n) for n in range(homes + 1, METERS + 1)]
        self.prepare("register_meters", [*self.homes, *others])
        for _ in range(MATCH_CAPACITY // MAX_BATCH if lap == STEADY else 0):
            self.round_of(energies(MAX_BATCH), energies(MAX_BATCH))
        if lap == STEADY and period_length == 0:
            for (
                kind
            ) in Kind:  # both pages of the meters, which the next quarter of an hour overwrites
                self.prepare("post_signed", *self.signed(kind, energies(LANES_PER_WORD)))
            self.prepare("match_pending", MAX_BATCH)
            self.lab.chain.sleep(DEFAULT_PERIOD_LENGTH)
        # The first lap begins with its first word: the state is written for the first time once.
        self.round_of(energies(LANES_PER_WORD), energies(LANES_PER_WORD))

    def send(self, function: str, *arguments: object, sender: str = "") -> Cost:
        """Measures a transaction, of the operator unless somebody else sends it."""
        return self.contract.send(sender or self.operator, function, *arguments)

    def prepare(self, function: str, *arguments: object, sender: str = "") -> None:
        """Makes a transaction that is not measured."""
        self.contract.prepare(sender or self.operator, function, *arguments)

    def round_of(self, requests: Sequence[int], releases: Sequence[int]) -> None:
        """Lets the operator post and match orders of these energies."""
        self.prepare("post_and_match", request_words(requests), release_words(releases), MAX_BATCH)

    def signed(self, kind: Kind, amounts: Sequence[int]) -> tuple[int, list[Any], bool]:
        """What `post_signed` takes: orders of these energies, of meters one after another.

        They are good until their period ends.
        """
        length = signing_length(self.contract.view("period_length"))
        period = self.contract.view("signing_period")
        ends = (period + 1) * length
        chain_id = self.contract.words("eip712Domain")[3]
        domain = OrderDomain(chain_id, "0x" + self.contract.canonical.hex())
        orders = []
        for number, energy in enumerate(amounts, len(self.homes) + 1):
            terms = OrderTerms(kind, energy, period, ends)
            orders.append(pack_signed(sign(terms, domain, key_of(number).to_bytes()), ends))
        return period, orders, False

    def skip_meters(self, count: int) -> None:
        """As though so many meters had been registered.

        No call that is measured reads the slots of a meter that takes no part, so only the number
        of meters is written.
        """
        slot = load_artifact().pending_slot - 1
        registry = self.lab.chain.load(self.contract, slot)  # type: ignore[arg-type]
        assert registry == METERS << 160 | int(self.operator, 16), "the registry is elsewhere"
        skipped = count << 160 | int(self.operator, 16)
        self.lab.chain.store(self.contract, slot, skipped)  # type: ignore[arg-type]
        assert self.contract.view("meter_count") == count

    def counters(self) -> tuple[int, int, int]:
        """How many requests and releases were posted, and how many matches written."""
        return (
            self.contract.view("request_counter"),
            self.contract.view("release_counter"),
            self.contract.view("match_counter"),
        )

    def written(self, first: int, count: int, capacity: int = CAPACITY) -> Touched:
        """The words that the `count` lanes from counter `first` on are written to."""
        words = words_of(first, count)
        begun = int(first % LANES_PER_WORD != 0)
        if self.lap == FIRST_LAP and first + count <= capacity:
            return overwritten(begun) + first_written(words - begun)
        return overwritten(words)


class AddressRing:
    """The baseline of a word an order, in the same state as `Market` would be."""

    name = "address ring"

    def __init__(self, lap: str) -> None:
        """A new ring, written all the way round when `lap` is steady."""
        self.lab = Laboratory(3)
        self.operator, self.producer, self.consumer = self.lab.accounts
        self.contract: Subject = self.lab.deploy(compile_baseline("address_ring"))
        for orders in [MAX_BATCH] * (MATCH_CAPACITY // MAX_BATCH if lap == STEADY else 0) + [1]:
            calls = self._round_of(orders)
            calls.pop("confirm")  # it writes no slot that matching has not written
            for function, *arguments in calls.values():
                self.contract.prepare(self.operator, function, *arguments)

    def round_of(self, orders: int) -> dict[str, Cost]:
        """Posts, matches and confirms orders, one to one; what each call costs."""
        return {
            what: self.contract.send(self.operator, function, *arguments)
            for what, (function, *arguments) in self._round_of(orders).items()
        }

    def _round_of(self, orders: int) -> dict[str, tuple[Any, ...]]:
        amounts = energies(orders)
        producers = [int(self.producer, 16) << 96 | energy for energy in amounts]
        consumers = [int(self.consumer, 16) << 96 | energy for energy in amounts]
        first = self.contract.view("match_counter")
        return {
            "post requests": ("post_requests", producers),
            "post releases": ("post_releases", consumers),
            "match": ("match_pending", MAX_BATCH),
            "confirm": ("confirm_deliveries", first, amounts),
        }

    def singles(self) -> dict[str, Cost]:
        """A pair's life, one transaction each."""
        send = self.contract.send
        return {
            "post request": send(self.producer, "incomingRequest", self.producer, FIRST_ENERGY),
            "post release": send(self.consumer, "incomingRelease", self.consumer, FIRST_ENERGY),
            "match": send(self.operator, "match_pending", 1),
            "consume": send(
                self.consumer,
                "consume_match",
                self.contract.view("match_counter") - 1,
                FIRST_ENERGY,
            ),
        }


class AncestorsWay:
    """The baseline that stores and matches as the original market did: a match a transaction."""

    name = "ancestor's way"

    def __init__(self) -> None:
        """A new market with one pair of orders that nobody matches, so that no counter is zero."""
        self.lab = Laboratory(3)
        self.operator, self.producer, self.consumer = self.lab.accounts
        self.contract: Subject = self.lab.deploy(compile_baseline("ancestor_way"))
        for function in ("incomingRequest", "incomingRelease"):
            self.contract.prepare(self.operator, function, self.operator, FIRST_ENERGY)

    def singles(self) -> dict[str, Cost]:
        """A pair's life, one transaction each; its look-up writes, so it is one."""
        send = self.contract.send
        return {
            "post request": send(self.producer, "incomingRequest", self.producer, FIRST_ENERGY),
            "post release": send(self.consumer, "incomingRelease", self.consumer, FIRST_ENERGY),
            "match": send(self.operator, "doMatching", FIRST_ENERGY),
            "look up": send(self.consumer, "get_mapping_data", self.consumer),
            # Not all of it: that would be refunded, and the next match would pay for it.
            "consume": send(self.consumer, "consume", self.consumer, FIRST_ENERGY - 1),
        }


def meter(number: int) -> str:
    """The address of a meter that owns no ether."""
    return key_of(number).public_key.to_checksum_address()


@cache
def key_of(number: int) -> PrivateKey:
    """A key for a meter of no account."""
    return PrivateKey((FIRST_KEY + number).to_bytes(WORD, "big"))


def request_words(amounts: Sequence[int], first_meter: int = 1) -> list[int]:
    """Requests of these energies, packed, of one meter after another."""
    return pack_orders(
        [Request(first_meter + i % METERS, energy) for i, energy in enumerate(amounts)]
    )


def release_words(amounts: Sequence[int], first_meter: int = 1) -> list[int]:
    """Releases of these energies, packed, of one meter after another, the last one first."""
    return pack_orders(
        [Release(first_meter + METERS - 1 - i % METERS, energy) for i, energy in enumerate(amounts)]
    )
