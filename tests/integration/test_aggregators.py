"""Several aggregators of one market, each a process with an account of its own; one is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.ganache import Ganache, GanacheSettings
from energy_chain.chain.networks import Network
from energy_chain.chain.sender import TransactionSender
from energy_chain.market import Release, Request
from tests.integration.machines import Machine
from tests.integration.nodes import ask, block_time, free_port, require_ganache

DEV = development_accounts(8)
AGGREGATORS = {DEV[number].address.lower(): f"dev{number}" for number in (1, 6, 7)}
POSTS = 110
"""How often somebody offers and needs as much; nearly every time a call matches it."""
KILLED_AT = 50
BETWEEN = 0.3
TAKEN_OVER = 15


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    require_ganache()
    settings = GanacheSettings(port=free_port(), database=tmp_path / "chain")
    with Ganache.start(settings) as ganache:
        yield ganache.url


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Machine:
    known = {"ENERGY_CHAIN_NETWORKS__GANACHE__URL": url, "ENERGY_CHAIN_NETWORK": "ganache"}
    return Machine(tmp_path / "machine", **known)


def test_of_three_aggregators_one_matches_and_another_takes_over_when_it_is_killed(
    machine: Machine, url: str
) -> None:
    address = machine.json("deploy", "--period", "24h")["address"]
    machine.json("register", "dev3", "dev4")
    sender = TransactionSender(Connection.open(Network(name="ganache", url=url)), DEV)
    market = ContractLedger(sender, address, DEV[2].address)

    def post() -> None:
        market.post_and_match([Request(1, 7)], [Release(2, 7)], 0)
        time.sleep(BETWEEN)

    def all_matched() -> None:
        while market.requests_outstanding():
            time.sleep(BETWEEN)

    def matched_by() -> list[tuple[str, int, int]]:
        """Who has called, with the time of the block, and how much of it came to a match."""
        matches = {receipt.transaction: len(receipt.fills) for receipt in market.history()}
        calls = []
        for number in range(int(ask(url, "eth_blockNumber"), 16) + 1):
            block = ask(url, "eth_getBlockByNumber", hex(number), True)
            for sent in block["transactions"]:
                who = AGGREGATORS.get(sent["from"])
                if who:
                    at = int(block["timestamp"], 16)
                    calls.append((who, at, matches.get(sent["hash"], 0)))
        return calls

    with ExitStack() as running:
        processes = {
            name: running.enter_context(
                machine.start(*("aggregator", "run", "--every", "0.2", "--account", name, "--json"))
            )
            for name in AGGREGATORS.values()
        }
        post()
        all_matched()  # they have started
        for _ in range(KILLED_AT):
            post()
        all_matched()
        victim = matched_by()[-1][0]
        processes[victim].kill()
        killed_at = block_time(url)
        matched = market.match_counter()
        while market.match_counter() == matched:
            post()
            assert block_time(url) - killed_at <= 2 * TAKEN_OVER
        for _ in range(POSTS - KILLED_AT):
            post()
        all_matched()
        for name, process in processes.items():
            if name != victim:
                process.end()
    calls = matched_by()
    useful = sum(matches > 0 for _, _, matches in calls) / len(calls)
    taken_over = next(at for who, at, _ in calls if who != victim and at >= killed_at) - killed_at
    print(f"{len(calls)} calls, {useful:.2%} useful, taken over after {taken_over} s")
    assert len(calls) >= 100
    assert useful >= 0.99
    assert taken_over <= TAKEN_OVER
    verdict = machine.json("audit")
    assert verdict["clean"]
    assert verdict["requests_wh"]["matched"] == verdict["requests_wh"]["posted"] > POSTS * 7
