"""A producer posts while its node is killed, stands still, forgets and changes its mind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.errors import WrongChain
from tests.faults.market import METERS, OWNER, WATCHDOG, Producer, deploy, orders_of, sender_at
from tests.faults.nodes import NODES, AnvilNode, FaultyNode

METER = METERS[0]
BEFORE, AFTER = 3, 3
"""Orders before a fault begins, and after it is over."""
FAULT_SECONDS = 1.5
STATE_WRITTEN = 1.5
"""Seconds by which anvil has written down what it had before."""
GWEI = 10**9
HOUR = 3_600


@pytest.fixture(params=NODES, ids=lambda node: node.name)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaultyNode]:
    """A node for each test, which is not one afterwards."""
    with request.param(tmp_path / "node") as node:
        yield node


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[AnvilNode]:
    with AnvilNode(tmp_path / "node") as node:
        yield node


def producer_on(node: FaultyNode, market: ContractLedger, **network: float) -> Producer:
    return Producer(sender_at(node.url, METER, **network), market, METER)


def sent_by(node: FaultyNode, account: str) -> str:
    """How many transactions of an account the chain has, waiting ones included, in hexadecimal."""
    return str(node.ask("eth_getTransactionCount", account, "pending"))


def check(producer: Producer, node: FaultyNode) -> None:
    """After some more orders, each is on the chain once; no call has taken too long."""
    story = producer.story
    producer.wait_for(story.posted + AFTER)
    producer.end_and_settle()
    found = ContractLedger(
        sender_at(node.url), producer.ledger.address, OWNER, producer.ledger.first_block
    )
    assert sorted(orders_of(found, METER)) == list(range(1, story.posted + 1))
    assert story.longest <= WATCHDOG
    assert story.errors.keys() <= {"NodeUnreachable", "ReceiptTimeout"}, story.said


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_nothing_is_lost_or_doubled_when_a_node_comes_back(node: FaultyNode, how: str) -> None:
    """Also where the kill has cost the node its latest blocks, whose orders had receipts."""
    market = deploy(node)
    time.sleep(STATE_WRITTEN)
    with producer_on(node, market) as producer:
        producer.wait_for(BEFORE)
        getattr(node, how)()
        time.sleep(FAULT_SECONDS)
        node.start()
        check(producer, node)


def test_what_was_waiting_in_a_killed_node_is_sent_again(node: FaultyNode) -> None:
    market = deploy(node)
    time.sleep(STATE_WRITTEN)
    with producer_on(node, market) as producer:
        producer.wait_for(BEFORE)
        node.mine_by_itself(False)
        time.sleep(FAULT_SECONDS)
        node.kill()
        node.start()
        check(producer, node)


def test_a_chain_that_has_begun_anew_gets_nothing_of_ours(node: FaultyNode) -> None:
    """Even where a stranger has put the very market at the very address."""
    market = deploy(node)
    with producer_on(node, market) as producer:
        producer.wait_for(BEFORE)
        node.kill()
        node.forget()
        node.start()
        assert deploy(node).address == market.address
        before = sent_by(node, METER)
        story = producer.story
        while not story.errors["WrongChain"]:
            assert story.fault is None
            time.sleep(0.01)
        time.sleep(FAULT_SECONDS)
        assert sent_by(node, METER) == before
        with pytest.raises(WrongChain, match="is another chain than before"):
            producer.ledger.settled()
        producer.gives_up = True
    assert story.longest <= WATCHDOG
    assert story.errors.keys() <= {"WrongChain", "NodeUnreachable", "ReceiptTimeout"}, story.said


def test_a_node_that_stands_still_is_waited_for(node: FaultyNode) -> None:
    with producer_on(node, deploy(node)) as producer:
        producer.wait_for(BEFORE)
        with node.paused():
            time.sleep(FAULT_SECONDS)
        check(producer, node)


def test_a_chain_that_stands_still_is_waited_for(node: FaultyNode) -> None:
    """And what is offered more for meanwhile is one order all the same."""
    with producer_on(node, deploy(node), replace_after=0.5) as producer:
        producer.wait_for(BEFORE)
        with node.not_mining():
            time.sleep(FAULT_SECONDS)
        check(producer, node)


def test_a_clock_that_jumps_changes_nothing(node: FaultyNode) -> None:
    with producer_on(node, deploy(node)) as producer:
        for _ in range(3):
            producer.wait_for(producer.story.posted + 1)
            node.skip_time(HOUR)
        check(producer, node)


@pytest.mark.parametrize("kind", NODES, ids=lambda node: node.name)
def test_blocks_may_come_at_intervals(kind: type[FaultyNode], tmp_path: Path) -> None:
    with (
        kind(tmp_path / "node", block_time=1) as node,
        producer_on(node, deploy(node), replace_after=0.5) as producer,
    ):
        producer.wait_for(1)
        check(producer, node)


# ------------------------------------------------------------------ what only anvil can be told


def test_a_transaction_that_is_dropped_is_sent_again(anvil: AnvilNode) -> None:
    sent: list[str] = []
    with producer_on(anvil, deploy(anvil)) as producer:
        producer.ledger = producer.ledger.announcing(sent.append)
        producer.wait_for(BEFORE)
        with anvil.not_mining():
            time.sleep(FAULT_SECONDS / 2)
            assert anvil.ask("eth_getTransactionByHash", sent[-1])["blockNumber"] is None
            anvil.drop(sent[-1])
            assert anvil.ask("eth_getTransactionByHash", sent[-1]) is None
        check(producer, anvil)


def test_more_is_offered_where_gas_becomes_dearer(anvil: AnvilNode) -> None:
    sent: list[str] = []
    with producer_on(anvil, deploy(anvil), replace_after=0.5) as producer:
        producer.ledger = producer.ledger.announcing(sent.append)
        producer.wait_for(BEFORE)
        with anvil.not_mining():
            time.sleep(FAULT_SECONDS / 2)
            stuck = sent[-1]
            anvil.set_base_fee(50 * GWEI)
        check(producer, anvil)
    assert anvil.ask("eth_getTransactionReceipt", stuck) is None


def test_orders_that_a_reorganisation_has_lost_are_sent_again(anvil: AnvilNode) -> None:
    market = deploy(anvil)
    anvil.mine(5)
    with producer_on(anvil, market) as producer:
        producer.wait_for(BEFORE)
        anvil.reorganise(5)
        check(producer, anvil)


def test_orders_that_are_lost_come_back_without_a_daemon(anvil: AnvilNode) -> None:
    """The call that is made next takes up again what it has to wait for."""
    market = deploy(anvil)
    anvil.mine(5)
    sender = sender_at(anvil.url, METER)
    with Producer(sender, market, METER, tended=False) as producer:
        producer.wait_for(BEFORE)
        anvil.reorganise(5)
        check(producer, anvil)
