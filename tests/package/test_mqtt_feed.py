"""Readings over MQTT, from a mosquitto that the test starts, and the command that follows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from energy_chain.meters.live.mqtt_feed import (
    Connected,
    Event,
    Lost,
    MqttAddress,
    MqttFeed,
    Received,
    Refused,
)
from tests.package.brokers import Broker
from tests.package.command_line import Outcome, Run, in_json, json_lines, printed, refused

QUARTER = timedelta(minutes=15)
NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)


def payload(consumption: float, production: float = 0, start: datetime = NOON, **more: Any) -> str:
    return json.dumps(
        {
            "period_start": start.isoformat(),
            "consumption_wh": consumption,
            "production_wh": production,
            **more,
        }
    )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


async def until(
    feed: MqttFeed, count: int, when: Callable[[Event], None] = lambda _: None
) -> list[Event]:
    """The first events of a feed; `when` is told of each, and works outside the loop."""
    found: list[Event] = []

    async def collect() -> None:
        async with aclosing(feed.events()) as events:
            async for event in events:  # type: ignore[attr-defined]
                found.append(event)
                await asyncio.to_thread(when, event)
                if len(found) == count:
                    return

    await asyncio.wait_for(collect(), timeout=20)
    return found


def feed_of(broker: Broker, **how: Any) -> MqttFeed:
    address = MqttAddress.of_url(broker.url)
    return MqttFeed(
        address, ["sun", "oven"], QUARTER, "test", lambda: NOON, **{"first_wait": 0.05, **how}
    )


def test_readings_are_read_and_what_is_none_is_counted(broker: Broker) -> None:
    messages = [("sun", payload(0, 5)), ("oven", "x"), ("moon", payload(1)), ("oven", payload(7))]

    def publish(event: Event) -> None:
        if isinstance(event, Connected):
            broker.publish(messages)

    connected, sun, bad, stranger, oven = asyncio.run(until(feed_of(broker), 5, publish))
    assert isinstance(connected, Connected)
    assert isinstance(sun, Received)
    assert (sun.number, sun.message.reading.production, sun.received_at) == (1, 5_000_000, NOON)
    assert bad == Refused(2, "meters/oven", "not a JSON object: JSONDecodeError")
    assert stranger == Refused(3, "meters/moon", "no meter of this feed")
    assert isinstance(oven, Received)


def test_what_is_published_while_nobody_listens_comes_later(broker: Broker) -> None:
    asyncio.run(until(feed_of(broker), 1))
    broker.publish([("sun", payload(0, 5))])
    _, late = asyncio.run(until(feed_of(broker), 2))
    assert isinstance(late, Received)


def test_a_broker_that_is_lost_is_tried_again_less_and_less_often(broker: Broker) -> None:
    waits = []

    def restart(event: Event) -> None:
        if isinstance(event, Connected) and not waits:
            broker.stop()
        elif isinstance(event, Lost):
            waits.append(event.seconds)
            if len(waits) == 3:
                broker.start()

    events = asyncio.run(until(feed_of(broker, longest_wait=0.1), 5, restart))
    assert [type(event) for event in events] == [Connected, Lost, Lost, Lost, Connected]
    assert waits == [0.05, 0.1, 0.1]


def test_trouble_with_the_chain_is_told_once_and_tried_again_later(tmp_path: Path) -> None:
    from threading import Event as Stop

    from energy_chain.errors import NodeUnreachable
    from energy_chain.feeding import RETRY, Taken, Trouble, follow
    from energy_chain.meters import Reading
    from energy_chain.meters.live.desk import DeskRule, Missing
    from energy_chain.meters.live.desk_store import Desk
    from energy_chain.meters.live.messages import MeterMessage

    class OneReading:
        async def events(self) -> AsyncIterator[Event]:
            yield Received(1, MeterMessage(Reading("sun", NOON, 0, 10**9)), NOON + QUARTER)
            await asyncio.sleep(60)

    class NoChain:
        tried: ClassVar[list[datetime]] = []

        def post(self, now: datetime) -> Iterator[object]:
            self.tried.append(now)
            if len(self.tried) == 3:
                stop.set()
            raise NodeUnreachable("nobody answers")

    stop, time, told = Stop(), [NOON + QUARTER + timedelta(minutes=6)], []

    def clock() -> datetime:
        time[0] += RETRY / 4
        return time[0]

    desk = Desk.open(tmp_path / "desk.sqlite", "market", DeskRule(QUARTER), NOON)
    parts: Any = OneReading(), desk, NoChain(), ["sun"]
    asyncio.run(asyncio.wait_for(follow(*parts, stop, told.append, clock, 0.001), 20))
    desk.close()
    assert [type(each) for each in told] == [Missing, Taken, Trouble]
    first, second, third = NoChain.tried
    assert second - first == third - second == RETRY


def test_a_batch_that_is_under_way_is_looked_for_also_while_no_orders_wait(tmp_path: Path) -> None:
    from threading import Event as Stop

    from energy_chain.feeding import RETRY, follow
    from energy_chain.meters import Reading
    from energy_chain.meters.live.desk import DeskRule
    from energy_chain.meters.live.desk_store import Desk

    class NoReading:
        async def events(self) -> AsyncIterator[Event]:
            await asyncio.sleep(60)
            yield Connected()

    class Slow:
        looks: ClassVar[list[datetime]] = []

        def resolve(self, now: datetime) -> None:
            self.looks.append(now)
            if len(self.looks) == 3:
                desk.posted(batch, "0x01", 7, None)
            elif len(self.looks) > 3:
                raise AssertionError("nothing is open")

    stop, time = Stop(), [NOON + QUARTER + timedelta(minutes=6)]

    def clock() -> datetime:
        time[0] += RETRY / 4
        if time[0] > NOON + QUARTER + timedelta(minutes=9):
            stop.set()
        return time[0]

    desk = Desk.open(tmp_path / "desk.sqlite", "market", DeskRule(QUARTER), NOON)
    desk.take(Reading("sun", NOON, 0, 10**9), NOON + QUARTER)
    (order,), _ = desk.due(1)
    batch = desk.begin_batch([order.id], 1, NOON + QUARTER, "0x01")
    parts: Any = NoReading(), desk, Slow(), []
    asyncio.run(asyncio.wait_for(follow(*parts, stop, lambda _: None, clock, 0.001), 20))
    desk.close()
    first, second, third = Slow.looks
    assert second - first == third - second == RETRY


# ------------------------------------------------------------------ the command


@pytest.fixture
def owners(tmp_path: Path) -> Path:
    (tmp_path / "map.csv").write_text("meter,account\nsun,dev3\noven,dev4\n")
    return tmp_path / "map.csv"


def test_readings_become_orders_late_and_corrected_ones_adjustments(
    run: Run,
    neighbourhood: Any,
    stopped_when: Callable[..., Outcome],
    broker: Broker,
    owners: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two quarters of an hour, through a desk whose clock the test moves."""
    from energy_chain.cli import feed
    from energy_chain.events import ReleasesPosted, RequestsPosted

    now = [NOON]
    monkeypatch.setattr(feed, "_now", lambda: now[0])
    heard: list[dict[str, Any]] = []
    as_json = feed._as_json

    def hear(event: Any) -> dict[str, Any]:
        heard.append(as_json(event))
        return heard[-1]

    monkeypatch.setattr(feed, "_as_json", hear)
    market = neighbourhood.by(0)

    def orders() -> list[tuple[int, int]]:
        """Meter number and Wh of all that was posted."""
        found = []
        for receipt in market.history():
            for event in receipt.events:
                if isinstance(event, RequestsPosted | ReleasesPosted):
                    sign = 1 if isinstance(event, RequestsPosted) else -1
                    found += [(order.meter, sign * order.energy) for order in event.orders]
        return found

    end = NOON + QUARTER

    def seen(what: str, times: int = 1) -> Callable[[], bool]:
        return lambda: sum(what in line for line in heard) == times

    # Once that is so, the clock is set and this is published.
    steps: list[tuple[Callable[[], bool], datetime, list[tuple[str, str]]]] = [
        (
            seen("connected"),
            end + timedelta(minutes=1),
            [("sun", payload(100, 900)), ("oven", payload(500))],
        ),
        (
            seen("posted"),
            end + timedelta(minutes=2),
            [("sun", payload(100, 950)), ("oven", payload(500))],
        ),
        (seen("posted", 2), end + QUARTER + timedelta(minutes=6), []),
        (
            seen("missing", 2),
            end + QUARTER + timedelta(minutes=7),
            [("oven", payload(40, start=end))],
        ),
    ]

    def step() -> bool:
        if steps and steps[0][0]():
            _, now[0], messages = steps.pop(0)
            if messages:
                broker.publish(messages)
        return seen("posted", 3)()

    told = json_lines(stopped_when(step, "operator", "feed", broker.url, "--map", owners, "--json"))
    assert orders() == [(1, 800), (2, -500), (1, 50), (2, -40)]
    readings = [(line["reading"], line["meter"]) for line in told if "reading" in line]
    assert readings == [
        ("in time", "sun"),
        ("in time", "oven"),
        ("correction", "sun"),
        ("repeated", "oven"),
        ("late", "oven"),
    ]
    assert {line["missing"]["meter"] for line in told if "missing" in line} == {"sun", "oven"}
    matched = [line["posted"]["matched_wh"] for line in told if "posted" in line]
    assert sum(matched) == 540
    assert told[0]["feeding"]["meters"] == ["sun", "oven"]
    listed = in_json(run("operator", "adjustments", "--json"))
    assert [
        (each["meter"], each["reason"], each["was_kwh"], each["is_kwh"], each["order_wh"])
        for each in listed["adjustments"]
    ] == [("sun", "correction", 0.8, 0.85, 50), ("oven", "late", None, -0.04, -40)]
    assert [each["order_period"] for each in listed["adjustments"]] == [market.current_period()] * 2
    assert listed["missing"] == [{"meter": "sun", "period_start": end.isoformat()}]
    shown = printed(run("operator", "adjustments"))
    assert "2 adjustments, 1 reading missing." in shown
    assert "missing: sun, period of 2026-06-21 12:15 UTC" in shown


def test_a_feed_says_what_it_waits_for(
    neighbourhood: Any,  # noqa: ARG001
    stopped_when: Callable[..., Outcome],
    broker: Broker,
    owners: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from energy_chain.cli import feed

    broker.stop()
    said = []
    in_words = feed._in_words

    def hear(event: Any) -> str:
        said.append(in_words(event))
        return said[-1]

    monkeypatch.setattr(feed, "_in_words", hear)
    code, out, err = stopped_when(lambda: said, "operator", "feed", broker.url, "--map", owners)
    assert code == 0
    assert out.startswith("Readings of 2 meters from ")
    assert err.startswith("waiting: no broker (")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://host/x",), "is no feed"),
        (("mqtt://host/x", "--deadline", "20min"), "give less than a period"),
        (("mqtt://host/x", "--map", "none.csv"), "none.csv cannot be read"),
    ],
)
def test_a_feed_that_cannot_be_followed_is_refused(
    run: Run,
    neighbourhood: Any,  # noqa: ARG001
    owners: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    refused(run("operator", "feed", "--map", owners, *arguments), said)
