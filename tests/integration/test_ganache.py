"""Ganache as this package runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
import requests

from energy_chain.chain import ganache as ganache_module
from energy_chain.chain.accounts import development_accounts
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.ganache import BLOCK_GAS_LIMIT, Ganache, GanacheSettings
from energy_chain.chain.networks import network_at
from energy_chain.chain.sender import TransactionSender
from energy_chain.errors import ChainError, InvalidInput
from tests.integration.nodes import Node, ask, block_time, free_port

DAY = 86_400
ACCOUNTS = development_accounts(20)
OWNER, AGGREGATOR, OPERATOR, METER = (account.address for account in ACCOUNTS[:4])
PUSH0_AND_RETURN_A_WORD = "0x5f5f5260205ff3"


@pytest.fixture
def settings(tmp_path: Path, ganache_installed: None) -> GanacheSettings:  # noqa: ARG001
    return GanacheSettings(port=free_port(), database=tmp_path / "chain")


@pytest.fixture
def start() -> Iterator[Callable[..., Ganache]]:
    """Starts Ganaches, which are stopped after the test."""
    running = []

    def start(settings: GanacheSettings, **options: Any) -> Ganache:
        running.append(Ganache.start(settings, **options))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def sender_on(ganache: Ganache) -> TransactionSender:
    return TransactionSender(Connection.open(network_at(ganache.url)), ACCOUNTS[:4])


# ------------------------------------------------------------------ what it serves


def test_it_serves_its_chain_id(ganache: Node) -> None:
    assert int(ask(ganache.url, "eth_chainId"), 16) == ganache.chain_id == 1337
    assert ask(ganache.url, "net_version") == "1337"


def test_its_accounts_are_the_development_accounts(ganache: Node) -> None:
    addresses = [account.address.lower() for account in ACCOUNTS]
    assert ask(ganache.url, "eth_accounts") == addresses
    assert int(ask(ganache.url, "eth_getBalance", addresses[19], "earliest"), 16) == 10**24


def test_its_blocks_hold_as_much_as_those_of_the_embedded_chain(ganache: Node) -> None:
    block = ask(ganache.url, "eth_getBlockByNumber", "latest", False)
    assert int(block["gasLimit"], 16) == BLOCK_GAS_LIMIT


def test_its_rules_are_those_of_shanghai(ganache: Node) -> None:
    call = {"from": OWNER, "data": PUSH0_AND_RETURN_A_WORD}
    assert ask(ganache.url, "eth_call", call, "latest") == "0x" + 64 * "0"


def test_another_chain_id_and_fewer_accounts_can_be_had(
    start: Callable[..., Ganache], tmp_path: Path, settings: GanacheSettings
) -> None:
    other = GanacheSettings(settings.port, chain_id=5777, accounts=2, database=tmp_path)
    url = start(other).url
    assert int(ask(url, "eth_chainId"), 16) == 5777
    assert len(ask(url, "eth_accounts")) == 2


def test_blocks_can_be_mined_at_intervals(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    ganache = start(GanacheSettings(port=settings.port, database=settings.database, block_time=0.1))
    deadline = time.monotonic() + 10
    while int(ask(ganache.url, "eth_blockNumber"), 16) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_its_log_goes_to_standard_error_when_asked_for(
    settings: GanacheSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    with Ganache.start(settings, verbose=True):
        pass
    output, errors = capfd.readouterr()
    assert "eth_chainId" in errors
    assert not output


# ------------------------------------------------------------------ stopping and starting again


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_state_survives(
    start: Callable[..., Ganache], settings: GanacheSettings, end: signal.Signals
) -> None:
    before = start(settings)
    market = ContractLedger.deploy(sender_on(before), OWNER, AGGREGATOR, OPERATOR, 0)
    market.as_account(OPERATOR).register_meters([METER])
    market.as_account(METER).post_request(METER, 1_500)
    history = list(market.history())
    os.kill(before.pid, end)
    assert before.wait() == (-end if end is signal.SIGKILL else 0)

    after = start(settings)
    market = ContractLedger(sender_on(after), market.address, METER, market.first_block)
    assert list(market.history()) == history
    assert market.next_request_energy() == 1_500
    market.post_request(METER, 500)
    assert market.requests_outstanding() == 2


def test_time_does_not_go_back(start: Callable[..., Ganache], settings: GanacheSettings) -> None:
    ganache = start(settings)
    ask(ganache.url, "evm_increaseTime", 30 * DAY)
    ask(ganache.url, "evm_mine")
    latest = block_time(ganache.url)
    assert latest > time.time() + 29 * DAY
    ganache.stop()

    ganache = start(settings)
    assert block_time(ganache.url) == latest
    ask(ganache.url, "evm_mine")
    assert latest <= block_time(ganache.url) < latest + 60


def test_its_clock_is_the_one_on_the_wall_where_nobody_moved_it(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    start(settings).stop()
    ganache = start(settings)
    ask(ganache.url, "evm_mine")
    assert abs(block_time(ganache.url) - time.time()) < 10


def test_stopping_leaves_no_process(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    ganache = start(settings)
    os.killpg(ganache.pid, 0)
    ganache.stop()
    with pytest.raises(ProcessLookupError):
        os.killpg(ganache.pid, 0)
    with pytest.raises(requests.ConnectionError):
        ask(ganache.url, "eth_chainId")


def test_stopping_twice_does_nothing_more(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    ganache = start(settings)
    ganache.stop()
    ganache.stop()
    assert ganache.wait() == 0


def test_one_that_does_not_stop_is_killed_and_that_is_said(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    said: list[str] = []
    ganache = start(settings, report=said.append)
    os.kill(ganache.pid, signal.SIGSTOP)
    ganache.stop(timeout=0.2)
    assert ganache.wait() == -signal.SIGKILL
    assert said == ["Ganache did not stop within 0.2 s and was killed"]


def test_control_c_in_the_terminal_does_not_reach_it(ganache: Node) -> None:
    assert os.getsid(ganache.pid) == ganache.pid != os.getsid(0)


STARTER = """
import sys, time
from pathlib import Path
from energy_chain.chain.ganache import Ganache, GanacheSettings
ganache = Ganache.start(GanacheSettings(port=int(sys.argv[1]), database=Path(sys.argv[2])))
print("started", flush=True)
time.sleep(60)
"""


def test_it_stops_when_the_process_that_started_it_is_killed(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    command = [sys.executable, "-c", STARTER, str(settings.port), str(settings.database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"started\n"
        starter.kill()
    deadline = time.monotonic() + 10
    while True:
        try:
            ask(f"http://127.0.0.1:{settings.port}", "eth_chainId")
        except requests.ConnectionError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    start(settings)


# ------------------------------------------------------------------ what goes wrong


def test_a_port_that_is_taken_is_named(ganache: Node, tmp_path: Path) -> None:
    port = int(ganache.url.rpartition(":")[2])
    with pytest.raises(ChainError, match=rf"^port {port} is taken: .* or give another --port$"):
        Ganache.start(GanacheSettings(port=port, database=tmp_path))
    assert not list(tmp_path.iterdir())


def test_one_chain_is_not_opened_twice(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    start(settings)
    with pytest.raises(ChainError, match=f"^another Ganache .*{settings.database}: stop that one"):
        start(GanacheSettings(port=free_port(), database=settings.database))


def test_the_chain_of_other_accounts_is_refused(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ganache_module, "DEVELOPMENT_MNEMONIC", 11 * "abandon " + "about")
        with pytest.raises(ChainError):
            start(settings)
    with pytest.raises(ChainError, match="was made with other accounts: give another folder"):
        start(settings)


def test_one_that_ends_at_once_says_why(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    with pytest.raises(ChainError, match=r"^Ganache ended at once: .*chain\.hardfork, Given"):
        start(GanacheSettings(settings.port, hardfork="tokyo", database=settings.database))


def test_serving_goes_on_until_it_is_enough(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    ganache = start(settings)
    stop = Event()
    Timer(0.2, stop.set).start()
    ganache.serve(stop)
    assert int(ask(ganache.url, "eth_chainId"), 16) == settings.chain_id


def test_serving_ends_when_ganache_does(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    ganache = start(settings)
    Timer(0.2, os.kill, [ganache.pid, signal.SIGKILL]).start()
    with pytest.raises(ChainError, match=r"^Ganache was killed by signal 9$"):
        ganache.serve(Event())

    ganache = start(settings)
    Timer(0.2, os.kill, [ganache.pid, signal.SIGTERM]).start()
    with pytest.raises(ChainError, match=r"^Ganache ended: Server has been shut down$"):
        ganache.serve(Event())


def test_a_folder_that_cannot_keep_the_chain_is_named(
    start: Callable[..., Ganache], settings: GanacheSettings, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidInput, match=f"^the chain cannot be kept in {file}: "):
        start(GanacheSettings(settings.port, database=file))


def test_one_that_does_not_answer_in_time_is_stopped(
    start: Callable[..., Ganache], settings: GanacheSettings
) -> None:
    with pytest.raises(ChainError, match=r"did not answer within 0\.1 s"):
        start(settings, start_timeout=0.1)
    start(settings)
