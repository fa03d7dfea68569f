"""Who lives in a soak, and where: all trade on one market, and are looked after."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.outbox import Entry, State
from energy_chain.chain.sender import TransactionSender
from energy_chain.cli.exit_codes import CHAIN_FAILED
from energy_chain.market import ZERO_ADDRESS
from energy_chain.signing import OrderDomain
from tests.faults.proxy import Proxy
from tests.integration.nodes import free_port
from tests.soak import posting
from tests.soak.chaos import NODE, Chaos, plan
from tests.soak.checking import posted_orders
from tests.soak.journal import Journal, Order, Way
from tests.soak.processes import CLI, Place, SoakNode, Worker
from tests.soak.signing import SigningHomes

PERIOD = 60
"""Seconds: the shortest that a market can have."""
HOMES_AT = "homes"
"""The machine of all homes."""
HOMES = {"producer": ("dev3", "dev4"), "consumer": ("dev5", "dev6")}
AGGREGATORS = {"aggregator": 1, "second aggregator": 18}
"""Numbers of their development accounts."""
RELAYER = "dev19"
PACKED_METERS, FIRST_PACKED = 4, 20
SIGNING_METERS, FIRST_SIGNING = 16, 40
START_SECONDS = 180.0
FIRST_READING, QUARTER = datetime(2026, 6, 21, tzinfo=UTC), timedelta(minutes=15)
READINGS_A_DAY = 96
"""One is posted in each minute."""
SPARE_MINUTES = 10
"""For start and end."""
LIFE_WH = 100_000
"""A home that was started again posts other energies: so many Wh more."""
KIND_OF = {"RequestPosted": "request", "ReleasePosted": "release"}


class Town:
    """Everybody of a soak. Leaving it as a context manager ends all of them, however it went."""

    def __init__(self, folder: Path, seed: int, minutes: float) -> None:
        """Starts the node, deploys a market, and starts everybody."""
        # Whole days, so that no home comes to its end.
        self._readings = READINGS_A_DAY * (1 + int(minutes + SPARE_MINUTES) // READINGS_A_DAY)
        self.journal = Journal(folder / "journal.jsonl")
        self.enough = folder / "enough"
        self.restarts = 0
        self._lives: dict[str, int] = {}
        self.workers: dict[str, Worker] = {}
        with ExitStack() as stack:
            self.node = stack.enter_context(SoakNode(folder / NODE, block_time=1))
            self.ways = {
                name: stack.enter_context(Proxy(self.node.url))
                for name in (HOMES_AT, "town hall", "next town")
            }
            self.places = {name: Place(name, folder, way.url) for name, way in self.ways.items()}
            owner = Place("owner", folder, self.node.url)
            market = owner.run("deploy", "--period", f"{PERIOD}s")[0]["address"]
            keys = [str(key.address) for key in development_accounts(FIRST_PACKED + PACKED_METERS)]
            port = free_port()
            self.signing = SigningHomes(
                f"http://127.0.0.1:{port}",
                OrderDomain(self.node.chain_id, market),
                PERIOD,
                FIRST_SIGNING,
                SIGNING_METERS,
                self.journal,
            )
            packed = keys[FIRST_PACKED:]
            homes = [home for names in HOMES.values() for home in names]
            owner.run("register", *homes, *packed, *self.signing.meters)
            for place in self.places.values():
                place.tell(market)
            self.market = market
            self.addresses = {f"dev{number}": address for number, address in enumerate(keys)}
            self._hire(port, packed)
            for worker in self.workers.values():
                worker.start()
                stack.callback(worker.kill)
            self.chaos = Chaos(
                plan(seed, list(self.workers), list(self.ways)),
                {**self.workers, NODE: self.node},
                self.ways,
                self.journal,
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Town:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def _hire(self, port: int, packed: list[str]) -> None:
        homes, hall, next_town = self.places.values()
        for role, names in HOMES.items():
            for name in names:
                self._add(
                    f"{role} {name}", homes, lambda role=role, name=name: self._home(role, name)
                )
        for (name, number), place in zip(AGGREGATORS.items(), (hall, next_town), strict=True):
            told = *CLI, "aggregator", "run", "--account", f"dev{number}", "--json"
            self._add(name, place, lambda told=told: told)
        relay = *CLI, "relay", "serve", "--account", RELAYER, "--port", port
        self._add("relay", hall, lambda: (*relay, "--batch-seconds", 1, "--json"))
        operator = "-m", "tests.soak.posting", self.journal.path, self.enough, *packed
        self._add(posting.NAME, next_town, lambda: operator)

    def _add(self, name: str, place: Place, arguments: Any) -> None:
        self.workers[name] = Worker(name, place, arguments, self._heard)

    def _home(self, role: str, name: str) -> list[object]:
        """How a home is started: with readings of this life of it, of which no two are the same."""
        life = self._lives[name] = self._lives.get(name, 0) + 1
        kind = "request" if role == "producer" else "release"
        rows = ["meter,period_start,consumption_kwh,production_kwh"]
        for number in range(self._readings):
            wh = LIFE_WH * life + number
            order = Order(Way.SINGLE, kind, self.addresses[name], wh)
            self.journal.order("intended", order, f"{role} {name}")
            kwh = (0, wh / 1000) if role == "producer" else (wh / 1000, 0)
            start = FIRST_READING + number * QUARTER
            rows.append(f"{name},{start.isoformat()},{kwh[0]},{kwh[1]}")
        file = self.places[HOMES_AT].machine.write(f"{name}-{life}.csv", "\n".join(rows) + "\n")
        return [*CLI, role, "run", "--data", file, "--account", name, "--json"]

    def _heard(self, name: str, told: dict[str, Any]) -> None:
        if not name.startswith(tuple(HOMES)):
            return
        for event in told.get("events", ()):
            if kind := KIND_OF.get(event["event"]):
                order = Order(Way.SINGLE, kind, event["meter"], event["energy_wh"])
                self.journal.order("accepted", order, name, id=told["transaction"])

    def look_after(self) -> None:
        """Starts those again who have ended by themselves, and notes what must not have been."""
        self.chaos.check()
        self.signing.check()
        for name, worker in self.workers.items():
            with self.chaos.spared(name) as free:
                code = worker.code() if free else None
                if code is None:
                    continue
                way = worker.place.name
                if code == CHAIN_FAILED and self.chaos.disturbs(NODE, way, name):
                    self.restarts += 1
                else:
                    why = f"it ended by itself with {code}: {worker.last_words()}"
                    self.journal.note("fault found", by=name, why=why)
                worker.start()

    def wait_until_it_trades(self) -> None:
        """Waits until there are orders of every way, and matches, on the chain.

        Raises:
            RuntimeError: somebody does not start.
        """
        ledger = self.reader()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ways = {each.order.way for each in posted_orders(ledger.history(), PERIOD)}
            ended = [name for name, worker in self.workers.items() if worker.code() is not None]
            if ended:
                words = self.workers[ended[0]].last_words()
                raise RuntimeError(f"{ended[0]} does not start: {words}")
            if ways == set(Way) and ledger.match_counter():
                return
            time.sleep(1.0)
        raise RuntimeError(f"after {START_SECONDS:g} s there are only orders of {sorted(ways)}")

    def under_way(self) -> str:
        """What is not over yet; empty when everything is."""
        for name, place in self.places.items():
            if any(entry.state is State.OPEN for entry in place.outbox()):
                return f"transactions of {name}"
        try:
            orders = self.signing.health()["orders"]
        except OSError:
            return "the relay's answer"
        if waiting := orders.get("accepted", 0) + orders.get("sent", 0):
            return f"{waiting} orders of the relay"
        ledger = self.reader()
        if ledger.requests_outstanding() and ledger.releases_outstanding():
            return "matching"
        return ""

    def reader(self) -> ContractLedger:
        """The market through a connection of its own that nothing fails on."""
        connection = Connection.open(network_at(self.node.url))
        return ContractLedger(TransactionSender(connection, ()), self.market, ZERO_ADDRESS)

    def end(self) -> None:
        """Tells everybody to end, and what they have under way to be finished."""
        for worker in self.workers.values():
            worker.tell_to_end()
        for name, worker in self.workers.items():
            code = worker.ended()
            if code:
                why = f"on SIGTERM it ended with {code}: {worker.last_words()}"
                self.journal.note("fault found", by=name, why=why)
            elif code is None:
                self.journal.note("fault found", by=name, why="it does not end on SIGTERM")
        for place in self.places.values():
            place.run("outbox", "finish")

    def note_outcomes(self) -> None:
        """Notes what the relay says of its orders."""
        try:
            outcomes = self.signing.outcomes()
        except OSError as error:
            self.journal.note("fault found", by="relay", why=f"it does not answer: {error}")
            return
        for order, told in outcomes.items():
            if told["counter"] is not None:
                continue
            if told["state"] == "expired":
                self.journal.order("late", order, "relay")
            else:
                self.journal.note("fault found", by="relay", why=f"{order} is {told}")

    def note_outboxes(self) -> None:
        """Notes what was sent from all machines, and which orders were mined or withdrawn."""
        for name, place in self.places.items():
            entries = place.outbox()
            sent = {attempt.hash for entry in entries for attempt in entry.attempts}
            sent |= {entry.transaction for entry in entries if entry.transaction}
            periods = {
                each: entry.expires // PERIOD - 1
                for entry in entries
                if entry.expires and _single(entry)
                for each in (entry.transaction, *(attempt.hash for attempt in entry.attempts))
                if each
            }
            self.journal.note("sent", by=name, transactions=sorted(sent), periods=periods)
            mined = (entry for entry in entries if entry.state in (State.MINED, State.SETTLED))
            effective = {order for entry in mined if (order := _single(entry))}
            if name == HOMES_AT and not effective:
                raise RuntimeError(
                    f"the outbox of {name} has no orders: are they called otherwise?"
                )
            for entry in entries:
                order = _single(entry)
                if order in effective:
                    self.journal.order("accepted", order, f"outbox of {name}")
                elif order and entry.state is State.VOID:
                    self.journal.order("late", order, f"outbox of {name}")


def _single(entry: Entry) -> Order | None:
    """The order of a meter that a transaction posts; None where it does something else."""
    found = re.fullmatch(r"incoming(Request|Release)\((0x[0-9a-fA-F]{40}), (\d+)\)", entry.call)
    return Order(Way.SINGLE, found[1].lower(), found[2], int(found[3])) if found else None
