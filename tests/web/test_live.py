"""What is new is told at once: of the record, of the node, of the audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from energy_chain.errors import NodeUnreachable, NotOurContract
from energy_chain.record.indexer import Indexer
from energy_chain.record.source import MemorySource
from energy_chain.record.store import Record
from energy_chain.record.tables import sums
from energy_chain.web import live
from energy_chain.web.auditing import Auditing
from energy_chain.web.following import Following
from energy_chain.web.live import MOST_WAITING, Hub, Watch
from energy_chain.web.server import page_served
from energy_chain.web.state import State
from tests.record.chains import Block, FakeChain
from tests.record.posts import posts
from tests.record.test_indexer import BATCHES, TRADE

LONGEST = 20.0
Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def record(tmp_path: Path) -> Any:
    with Record.open(tmp_path / "record.sqlite") as record:
        yield record


class Ear:
    """Listens to the events of a server."""

    def __init__(self, url: str) -> None:
        self.told: Told = []
        place = urlsplit(url)
        self._connection = HTTPConnection(place.hostname or "", place.port, timeout=LONGEST)
        self._connection.request("GET", "/api/events")
        self.answer = self._connection.getresponse()
        self.ended = Event()
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        name = ""
        with suppress(OSError, ValueError):
            for line in self.answer:
                field, _, value = line.decode().strip().partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    self.told.append((name, json.loads(value)))
        self.ended.set()

    def close(self) -> None:
        """Listens no more."""
        assert self.ended.wait(LONGEST)
        self._thread.join()
        self.answer.close()
        self._connection.close()

    def hears(self, what: Callable[[str, dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits for such an event."""
        deadline = monotonic() + LONGEST
        while monotonic() < deadline:
            for name, data in list(self.told):
                if what(name, data):
                    return data
            sleep(0.01)
        raise AssertionError(f"it was not told: {self.told}")


def test_who_listens_hears_what_is_new_in_the_record_and_of_the_node(record: Record) -> None:
    chain = FakeChain(BATCHES)
    indexer = Indexer(record, chain)
    indexer.update()
    address = indexer.market.address
    with page_served(record, record.place, "127.0.0.1", 0, audits=False) as served:
        served.state.node(address, True)
        ear = Ear(served.url)
        assert ear.answer.headers["content-type"].startswith("text/event-stream")
        first = ear.hears(lambda name, _: name == "record")
        assert (first["block"], first["new"]["matches"]) == (6, 0)
        assert ear.hears(lambda name, _: name == "node")["reachable"] is True
        chain.extend([Block(call) for call in TRADE[:3]])
        indexer.update()
        new = ear.hears(lambda name, data: name == "record" and data["block"] == 9)
        assert new["address"] == address
        assert new["new"] == {"orders": 2, "matches": 2, "transactions": 3}
        served.state.node(address, False, "The node does not answer")
        down = ear.hears(lambda name, data: name == "node" and not data["reachable"])
        assert down["said"] == "The node does not answer"
        begun = monotonic()
    ear.close()
    assert monotonic() - begun < 4  # or the server has waited for it in vain


def test_what_a_reorganisation_takes_away_is_told_below_zero(record: Record) -> None:
    chain = FakeChain(TRADE)
    indexer = Indexer(record, chain)
    indexer.update()
    told: Told = []
    hub = Hub()
    hub.publish = lambda name, data: told.append((name, data))  # type: ignore[method-assign]
    watch = Watch(record, hub)
    watch.look()
    assert told == []
    chain.reorganise(2, [Block(None, 1)] * 3)
    indexer.update()
    watch.look()
    ((_, data),) = told
    assert data["new"] == {"orders": 0, "matches": -1, "transactions": -2}


def test_a_listener_that_takes_nothing_is_let_go_and_silence_is_told_to_be_one() -> None:
    async def listen() -> tuple[list[bytes], int]:
        hub = Hub(heartbeat_seconds=0.01)
        slow = hub.join()
        assert slow is not None
        heard = hub.events(slow, [b"first"])
        begin = [await anext(heard) for _ in range(3)]
        for number in range(MOST_WAITING + 50):
            hub.publish("record", {"number": number})
        await asyncio.sleep(0)
        rest = [each async for each in heard]
        assert len(hub) == 0
        return begin, len(rest)

    begin, rest = asyncio.run(listen())
    assert begin == [b"retry: 2000\n\n", b"first", b": still here\n\n"]
    assert rest == MOST_WAITING


def test_so_many_may_listen_and_none_once_it_has_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_LISTENERS", 2)

    async def join() -> list[bool]:
        hub = Hub()
        joined = [hub.join() is not None for _ in range(3)]
        hub.close()
        return [*joined, hub.join() is not None]

    assert asyncio.run(join()) == [True, True, False, False]


# ------------------------------------------------------------------ the node


class Flaky(FakeChain):
    """A chain whose node fails so many times."""

    failures = 0
    error: type[Exception] = NodeUnreachable

    def settled(self) -> int:
        if self.failures:
            self.failures -= 1
            raise self.error("nobody answers at http://secret:8545")
        return super().settled()


def test_a_node_that_fails_is_waited_for_and_told_without_its_name(record: Record) -> None:
    chain, told, troubles = Flaky(TRADE), [], list[str]()
    state = State(lambda *event: told.append(event))
    following = Following(lambda: Indexer(record, chain), state, trouble=troubles.append)
    assert following.step()
    address = chain.contract
    assert state.of(address).node.reachable is True
    chain.failures = 2
    assert not following.step()
    since = state.of(address).node.since
    assert not following.step()
    assert state.of(address).node.model_dump() == {
        "reachable": False,
        "since": since,
        "said": "The node does not answer",
    }
    assert following.step()
    assert [data["reachable"] for _, data in told] == [True, False, True]
    assert len(troubles) == 2
    assert "http://secret" in troubles[0]  # for who runs it


def test_a_market_that_is_gone_ends_it(record: Record) -> None:
    chain = Flaky(TRADE)
    state = State()
    following = Following(lambda: Indexer(record, chain), state)
    following.step()
    chain.failures, chain.error = 1, NotOurContract
    with pytest.raises(NotOurContract):
        following.run(Event())
    assert state.of(chain.contract).node.reachable is False


def test_a_market_whose_node_was_down_at_the_begin_is_opened_later(record: Record) -> None:
    tries = [NodeUnreachable("down")]

    def opened() -> Indexer:
        if tries:
            raise tries.pop()
        return Indexer(record, FakeChain(TRADE))

    state = State()
    following = Following(opened, state, "0xab")
    assert not following.step()
    assert state.of("0xab").node.reachable is False
    assert following.step()
    assert record.markets()[0].cursor_hash


# ------------------------------------------------------------------ the audit


@pytest.fixture
def posted(record: Record) -> Record:
    Indexer(record, MemorySource(posts())).update()
    return record


def test_the_audit_is_told_and_the_difference_where_there_is_one(posted: Record) -> None:
    (market,) = posted.markets()
    told: Told = []
    state = State(lambda name, data: told.append((name, data)))
    audits = Auditing(posted, posted.place, state)
    audits.audit(market, Event())
    assert [data["state"] for _, data in told] == ["running", "clean"]
    verdict = state.of(market.address).audit
    assert verdict.as_of_block == market.cursor_block
    assert verdict.said.startswith("0 matches in ")
    with posted.writing() as connection:
        connection.execute(update(sums).values(offered_wh=1))
    audits.audit(market, Event())
    verdict = state.of(market.address).audit
    assert verdict.state == "difference"
    assert "offered_wh: the record says 1" in verdict.said
    assert len(told) == 3  # the last verdict holds while the next audit runs


def test_an_audit_that_cannot_be_is_told_to_be_none(posted: Record, tmp_path: Path) -> None:
    (market,) = posted.markets()
    state = State()
    Auditing(posted, str(tmp_path / "none.sqlite"), state).audit(market, Event())
    verdict = state.of(market.address).audit
    assert (verdict.state, verdict.as_of_block) == ("not yet", None)
    assert "there is no record in" in verdict.said


def test_a_market_is_audited_again_once_it_has_changed_and_not_when_it_is_told_to_stop(
    posted: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited: list[int] = []
    stop = Event()

    def audit(self: Auditing, market: Any, _: Event) -> None:
        audited.append(market.cursor_block)
        self._audited[market.address] = market.cursor_hash
        if len(audited) == 2:
            stop.set()
        else:
            ledger.register_meters(["0x" + "3" * 40])
            Indexer(posted, MemorySource(ledger)).update()

    ledger = posts()
    monkeypatch.setattr(Auditing, "audit", audit)
    Auditing(posted, posted.place, State()).run(stop, rest_seconds=0.01)
    assert audited == [5, 6]
    monkeypatch.undo()
    state = State()
    stopped = Auditing(posted, posted.place, state)
    stopped.audit(posted.markets()[0], stop)
    assert state.of(posted.markets()[0].address).audit.state == "running"
