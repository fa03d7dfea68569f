"""The clock of a chain, and the blocks that keep a development chain's time going."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Event
from time import monotonic
from typing import Any

import pytest

from energy_chain.chain import clock as clock_module
from energy_chain.chain.clock import ChainClock, Heartbeat
from energy_chain.chain.connection import Connection
from energy_chain.chain.networks import EMBEDDED, Network, network_at
from energy_chain.errors import ChainError, NodeUnreachable, WrongChain
from tests.package.chains import GENESIS_TIME, OWNER, PERIOD, PERIOD_LENGTH, unused_url

SOON = 0.01
LONG = 30.0
"""Seconds after which a thread has failed to do what it should do soon."""
NOW = GENESIS_TIME // PERIOD_LENGTH
"""The period in which the chains begin."""


def at(period: int) -> datetime:
    return datetime.fromtimestamp(period * PERIOD_LENGTH, tz=UTC)


def test_the_first_readings_trade_in_the_chains_next_period(connection: Connection) -> None:
    clock = ChainClock(connection, PERIOD_LENGTH, PERIOD)
    assert clock.advance_to(at(1000)) == NOW + 1
    assert connection.block_time() // PERIOD_LENGTH == NOW + 1


def test_later_readings_trade_as_much_later(connection: Connection) -> None:
    clock = ChainClock(connection, PERIOD_LENGTH, PERIOD)
    first = clock.advance_to(at(1000))
    assert clock.advance_to(at(1003)) == first + 3
    assert connection.block_time() // PERIOD_LENGTH == first + 3


def test_a_period_that_has_begun_already_is_not_waited_for(embedded: Connection) -> None:
    clock = ChainClock(embedded, PERIOD_LENGTH, PERIOD)
    clock.advance_to(at(1000))
    before = embedded.block_time()
    clock.advance_to(at(1000))
    assert embedded.block_time() == before


def test_an_embedded_chain_that_begins_a_period_early_has_the_time_of_the_readings() -> None:
    start = datetime(2016, 8, 15, 12, tzinfo=UTC)
    begin = start - PERIOD
    connection = Connection.open(EMBEDDED, [OWNER], int(begin.timestamp()))
    clock = ChainClock(connection, PERIOD_LENGTH, PERIOD)
    assert clock.advance_to(start) == int(start.timestamp()) // PERIOD_LENGTH
    assert connection.block_time() // PERIOD_LENGTH == int(start.timestamp()) // PERIOD_LENGTH


def test_readings_of_other_periods_trade_one_reading_in_each_period(
    connection: Connection,
) -> None:
    hour = timedelta(hours=1)
    clock = ChainClock(connection, PERIOD_LENGTH, hour)
    start = datetime(2016, 8, 15, tzinfo=UTC)
    assert [clock.advance_to(start + n * hour) for n in (0, 1, 3)] == [NOW + 1, NOW + 2, NOW + 4]
    assert connection.block_time() // PERIOD_LENGTH == NOW + 4


def test_readings_of_a_time_with_another_offset_are_of_their_instant(embedded: Connection) -> None:
    clock = ChainClock(embedded, PERIOD_LENGTH, PERIOD)
    start = datetime(2016, 8, 15, 12, tzinfo=UTC)
    first = clock.advance_to(start)
    assert clock.advance_to(datetime.fromisoformat("2016-08-15T14:15+02:00")) == first + 1


def test_where_orders_never_expire_there_is_one_period_and_nothing_is_waited_for(
    node: Any, http: Connection
) -> None:
    clock = ChainClock(http, 0, PERIOD)
    assert [clock.advance_to(at(n)) for n in (5, 6)] == [0, 0]
    assert node.methods() == ["eth_chainId"]


def test_a_chain_that_is_none_for_development_is_waited_for_and_never_moved(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "POLL_SECONDS", SOON)
    connection = Connection.open(replace(network_at(node.url), development=False))
    time = GENESIS_TIME

    def a_later_block(params: list[Any]) -> Any:
        nonlocal time
        time += 400
        block = node.on_chain("eth_getBlockByNumber", params)["result"]
        return {"result": {**block, "timestamp": hex(time)}}

    node.replaced["eth_getBlockByNumber"] = a_later_block
    clock = ChainClock(connection, PERIOD_LENGTH, PERIOD)
    assert clock.advance_to(at(1000)) == NOW + 1
    assert time // PERIOD_LENGTH == NOW + 1
    assert clock.advance_to(at(1002)) == NOW + 3
    assert time // PERIOD_LENGTH == NOW + 3
    assert {"evm_increaseTime", "evm_mine"}.isdisjoint(node.methods())


def test_a_development_chain_that_cannot_be_moved_says_so(node: Any, http: Connection) -> None:
    node.replaced["evm_increaseTime"] = lambda _: {"error": {"code": -32601, "message": "unknown"}}
    with pytest.raises(ChainError, match="cannot move its clock"):
        ChainClock(http, PERIOD_LENGTH, PERIOD).advance_to(at(1000))


# ------------------------------------------------------------------ the heartbeat


class Mined:
    """What a node mined when asked to; anything it is asked can be waited for."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.once = Event()
        node.replaced["evm_mine"] = self._mine

    def _mine(self, params: list[Any]) -> Any:
        reply = self._node.on_chain("evm_mine", params)
        self.once.set()
        return reply


@pytest.fixture
def mined(node: Any) -> Mined:
    return Mined(node)


def test_a_development_chain_on_which_nothing_happens_gets_blocks(node: Any, mined: Mined) -> None:
    with Heartbeat(network_at(node.url), SOON):
        assert mined.once.wait(LONG)
    assert Connection.open(network_at(node.url)).block_time() > GENESIS_TIME
    # And none any more.
    asked = len(node.asked)
    assert not Event().wait(5 * SOON)
    assert len(node.asked) == asked


def test_a_chain_on_which_blocks_come_gets_no_others(node: Any, mined: Mined) -> None:
    asked_often = Event()
    number = 0

    def another(_: list[Any]) -> Any:
        nonlocal number
        number += 1
        if number == 6:
            asked_often.set()
        return {"result": hex(number)}

    node.replaced["eth_blockNumber"] = another
    with Heartbeat(network_at(node.url), SOON):
        assert asked_often.wait(LONG)
    assert not mined.once.is_set()


def test_another_chain_gets_no_blocks_and_its_standstill_is_told_once(node: Any) -> None:
    pilot = replace(network_at(node.url), name="pilot", development=False)
    told: list[str] = []
    asked_often = Event()

    def number(params: list[Any]) -> Any:
        if node.methods().count("eth_blockNumber") == 6:
            asked_often.set()
        return node.on_chain("eth_blockNumber", params)

    node.replaced["eth_blockNumber"] = number
    with Heartbeat(pilot, standstill_seconds=SOON, report=told.append):
        assert asked_often.wait(LONG)
    assert set(node.methods()) == {"eth_chainId", "eth_blockNumber"}
    (said,) = told
    assert said.startswith(f"pilot has made no block for {SOON:g} s, and periods follow blocks")
    assert "energy-chain ganache --block-time 1" in said


def test_a_chain_that_makes_blocks_does_not_stand_still(node: Any) -> None:
    pilot = replace(network_at(node.url), development=False)
    told: list[str] = []
    asked_often = Event()

    def another(_: list[Any]) -> Any:
        asked = node.methods().count("eth_blockNumber")
        if asked == 6:
            asked_often.set()
        return {"result": hex(asked)}

    node.replaced["eth_blockNumber"] = another
    with Heartbeat(pilot, standstill_seconds=SOON, report=told.append):
        assert asked_often.wait(LONG)
    assert told == []


def test_a_heartbeat_ends_at_once(node: Any) -> None:
    begun = monotonic()
    with Heartbeat(network_at(node.url), idle_seconds=10 * LONG):
        pass
    assert monotonic() - begun < LONG
    assert node.methods() == ["eth_chainId"]


@pytest.mark.parametrize(
    "reply",
    [HTTPStatus.SERVICE_UNAVAILABLE, {"error": {"code": -32000, "message": "busy"}}],
    ids=["status", "error"],
)
@pytest.mark.parametrize("method", ["eth_blockNumber", "evm_increaseTime"])
def test_a_heartbeat_goes_on_after_a_node_was_away(
    node: Any, mined: Mined, method: str, reply: Any
) -> None:
    away = Event()

    def be_away(params: list[Any]) -> Any:
        if node.methods().count(method) < 3:
            return reply
        away.set()
        return node.on_chain(method, params)

    node.replaced[method] = be_away
    with Heartbeat(network_at(node.url), SOON):
        assert away.wait(LONG)
        assert mined.once.wait(LONG)


def test_what_goes_wrong_meanwhile_is_raised_and_ends_the_heartbeat(node: Any) -> None:
    def wrong() -> None:
        with Heartbeat(network_at(node.url), SOON):
            raise ValueError("meanwhile")

    with pytest.raises(ValueError, match="meanwhile"):
        wrong()
    asked = len(node.asked)
    assert not Event().wait(5 * SOON)
    assert len(node.asked) == asked


def test_a_heartbeat_needs_the_node_that_was_meant(node: Any) -> None:
    with pytest.raises(NodeUnreachable):
        Heartbeat(network_at(unused_url()))
    with pytest.raises(WrongChain):
        Heartbeat(Network(name="pilot", url=node.url, chain_id=1))
