"""Readings over MQTT to a node: a feed that is killed, and goes on without counting twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from energy_chain.meters.live.desk import DeskRule
from energy_chain.meters.live.desk_store import Desk
from tests.integration.machines import Command, Machine
from tests.integration.nodes import Node, ask
from tests.package.brokers import Broker

HOUR = timedelta(hours=1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def test_a_feed_that_was_killed_posts_every_reading_once(
    ganache: Node, broker: Broker, tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "machine")
    machine.write(
        "energy-chain.toml", f'network = "here"\n[networks.here]\nurl = "{ganache.url}"\n'
    )
    machine.write("map.csv", "meter,account\nsun,dev3\noven,dev4\n")
    market = machine.json("deploy", "--period", "1h")
    # A desk that was begun three hours ago, so that no test waits for an hour to be over.
    now = datetime.now(UTC)
    start = now.replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    genesis = ask(ganache.url, "eth_getBlockByNumber", "0x0", False)["hash"]
    identity = f"{ganache.chain_id} {market['address']} {genesis}"
    Desk.open(machine.folder / "desk.sqlite", identity, DeskRule(HOUR), start).close()

    def begin() -> Command:
        return machine.start(
            *("operator", "feed", broker.url, "--map", "map.csv", "--deadline", "1s"),
            *("--store", "desk.sqlite", "--json"),
        )

    def message(consumption: int, production: int) -> str:
        return json.dumps(
            {
                "period_start": start.isoformat(),
                "consumption_wh": consumption,
                "production_wh": production,
            }
        )

    def posted(command: Command) -> dict[str, Any]:
        told: dict[str, Any] = command.until(lambda line: "posted" in line)["posted"]
        return told

    with begin() as first:
        first.until(lambda line: "connected" in line)
        broker.publish([("oven", message(900, 0))])
        assert posted(first)["needed_wh"] == 900
    # Killed. Meanwhile one reading is repeated, one corrected, and one comes for the first time.
    broker.publish([("oven", message(900, 0)), ("oven", message(950, 0)), ("sun", message(0, 300))])
    with begin() as second:
        readings, needed, offered, orders = [], 0, 0, 0
        while len(readings) < 3 or orders < 2:
            line = second.json()
            if "reading" in line:
                readings.append(line["reading"])
            elif "posted" in line:
                done = line["posted"]
                orders += done["requests"] + done["releases"]
                needed, offered = needed + done["needed_wh"], offered + done["offered_wh"]
        assert readings == ["repeated", "correction", "late"]
        assert (needed, offered) == (50, 300)
        second.end()
    audit = machine.json("audit")
    assert audit["clean"]
    assert (audit["requests_wh"]["posted"], audit["releases_wh"]["posted"]) == (300, 950)
