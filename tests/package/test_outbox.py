"""What was signed is mined once or withdrawn, whatever the node does with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from eth_account.typed_transactions import TypedTransaction
from eth_utils import keccak
from hexbytes import HexBytes

from energy_chain.chain import sender
from energy_chain.chain.connection import Connection
from energy_chain.chain.contract_ledger import ContractLedger
from energy_chain.chain.networks import network_at
from energy_chain.chain.outbox import Outbox, State, outbox_file
from energy_chain.chain.sender import TransactionSender
from energy_chain.chain.tender import Tender
from energy_chain.errors import (
    InvalidInput,
    NotTheOwner,
    ReceiptTimeout,
    TransactionFailed,
    WrongChain,
)
from tests.package.chains import (
    ACCOUNTS,
    OWNER,
    PERIOD_LENGTH,
    PRODUCER,
    STRANGER,
    market_on,
)

PATIENCE = 30.0
"""Seconds after which the networks of these tests offer more."""


class Pool:
    """Between a client and the chain of a node: keeps what is sent from being mined."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.held: dict[str, str] = {}
        """Raw transactions by their hashes, oldest first."""
        self.forgets = False
        """Whether it does not know what it holds."""
        node.replaced["eth_sendRawTransaction"] = self._send
        node.replaced["eth_getTransactionByHash"] = self._get

    def _send(self, params: list[Any]) -> Any:
        digest = HexBytes(keccak(HexBytes(params[0]))).to_0x_hex()
        self.held[digest] = params[0]
        return {"result": digest}

    def _get(self, params: list[Any]) -> Any:
        if params[0] in self.held and not self.forgets:
            return {"result": {"hash": params[0]}}
        return self._node.on_chain("eth_getTransactionByHash", params)

    def mine(self, number: int = -1) -> None:
        """Mines one of those that it holds, the latest unless another is meant."""
        raw = list(self.held.values())[number]
        assert "result" in self._node.on_chain("eth_sendRawTransaction", [raw])

    def fields(self, number: int = -1) -> dict[str, Any]:
        return TypedTransaction.from_bytes(HexBytes(list(self.held.values())[number])).as_dict()

    def let_go(self) -> None:
        """Whatever is sent from now on is mined."""
        del self._node.replaced["eth_sendRawTransaction"]
        del self._node.replaced["eth_getTransactionByHash"]


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """One process: a sender with its outbox and a market acted on by the producer."""

    def __init__(self, node: Any, market: ContractLedger, path: Path, **settings: Any) -> None:
        settings = {"receipt_timeout": 0.05, "replace_after": PATIENCE} | settings
        self.connection = Connection.open(replace(network_at(node.url), **settings))
        self.outbox = Outbox.open(path)
        self.clock = Clock()
        self.sender = TransactionSender(self.connection, ACCOUNTS, self.outbox, self.clock)
        self.ledger = ContractLedger(self.sender, market.address, PRODUCER)
        self.told: list[str] = []

    def post(self, key: str, energy: int = 5) -> Any:
        return self.ledger.keyed(key).post_request(PRODUCER, energy)

    def tend(self) -> int:
        # As if it had been a while since something was sent.
        self.sender._sent_at.clear()
        return self.sender.tend(self.told.append)

    def states(self) -> list[State]:
        return [entry.state for entry in self.outbox.listed(100, all_states=True)]


@pytest.fixture
def market(http: Connection) -> ContractLedger:
    """A market in which the producer has sent something before."""
    market = market_on(http)
    market.as_account(PRODUCER).match_pending(1)
    return market


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def start(node: Any, market: ContractLedger, path: Path) -> Iterator[Callable[..., Desk]]:
    """Starts a process: another connection to the file, and nothing else in common."""
    started = []

    def start(**settings: Any) -> Desk:
        started.append(Desk(node, market, path, **settings))
        return started[-1]

    yield start
    for desk in started:
        desk.outbox.close()


Start = Callable[..., Desk]


# ------------------------------------------------------------------ once for a key


def test_a_call_takes_effect_once_for_its_key(start: Start, market: ContractLedger) -> None:
    desk = start()
    first = desk.post("order 1")
    assert desk.post("order 1") == first
    assert start().post("order 1") == first  # after a restart too
    desk.post("order 2")
    assert market.requests_outstanding() == 2


def test_keys_of_other_accounts_and_markets_are_others(
    start: Start, market: ContractLedger, http: Connection
) -> None:
    desk, other = start(), market_on(http)
    desk.post("a key")
    operator = desk.ledger.as_account(str(ACCOUNTS[2].address))
    operator.keyed("a key").post_request(PRODUCER, 7)
    there = ContractLedger(desk.sender, other.address, PRODUCER)
    there.keyed("a key").post_request(PRODUCER, 9)
    assert market.requests_outstanding() == 2
    assert other.requests_outstanding() == 1


def test_what_is_sent_was_on_the_disk_before(start: Start, node: Any, path: Path) -> None:
    found = []

    def look(params: list[Any]) -> Any:
        with sqlite3.connect(path) as reader:
            rows = reader.execute("SELECT raw FROM attempts").fetchall()
        found.append(HexBytes(params[0]) in [HexBytes(raw) for (raw,) in rows])
        return node.on_chain("eth_sendRawTransaction", params)

    node.replaced["eth_sendRawTransaction"] = look
    start().post("order 1")
    assert found == [True]


def test_a_process_finishes_what_another_one_has_begun(
    start: Start, node: Any, market: ContractLedger
) -> None:
    pool = Pool(node)
    with pytest.raises(ReceiptTimeout, match="it is in the outbox as transaction 0x"):
        start().post("order 1")
    pool.let_go()
    # It knows of nothing but the file.
    again = start(receipt_timeout=30)
    again.post("order 1")
    assert len(pool.held) == 1
    assert market.requests_outstanding() == 1
    assert again.states() == [State.MINED]


def test_a_transaction_that_failed_may_be_made_again_under_its_key(
    start: Start, market: ContractLedger
) -> None:
    desk = start(simulate=False)
    with pytest.raises(NotTheOwner):
        desk.ledger.keyed("stop").pause()
    assert desk.states() == [State.FAILED]
    desk.ledger.as_account(OWNER).keyed("stop").pause()
    assert market.paused()


def test_what_a_key_came_to_can_be_asked_for(start: Start, node: Any) -> None:
    desk, pool = start(), Pool(node)
    assert desk.ledger.outcome("order 1") is None  # it was never made
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    with pytest.raises(ReceiptTimeout, match="is under way"):
        desk.ledger.outcome("order 1")
    pool.mine()
    found = desk.ledger.outcome("order 1")
    assert found == desk.post("order 1")


# ------------------------------------------------------------------ nonces


def test_processes_that_share_an_outbox_share_no_nonce(
    start: Start, market: ContractLedger
) -> None:
    desks = [start(receipt_timeout=30) for _ in range(3)]
    threads = [
        Thread(target=lambda desk=desk, n=n: [desk.post(f"{n} {i}") for i in range(4)])
        for n, desk in enumerate(desks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert market.requests_outstanding() == 12
    with sqlite3.connect(outbox_path(desks[0])) as reader:
        nonces = [nonce for (nonce,) in reader.execute("SELECT nonce FROM entries")]
    assert sorted(nonces) == list(range(1, 13))


def outbox_path(desk: Desk) -> str:
    (row,) = desk.outbox._connection.execute("PRAGMA database_list").fetchall()
    return str(row["file"])


def test_another_machine_with_the_same_account_is_made_way_for(
    start: Start, node: Any, market: ContractLedger
) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    pool.let_go()
    market.as_account(PRODUCER).post_request(PRODUCER, 7)  # by way of another outbox
    desk.tend()
    assert market.requests_outstanding() == 1  # the node may only be slow to tell
    desk.sender._passed_since = dict.fromkeys(desk.sender._passed_since, -1_000.0)
    desk.tend()
    assert desk.tend() == 0
    assert market.requests_outstanding() == 2
    assert desk.told == [
        f"another transaction has the nonce of incomingRequest({PRODUCER}, 5): it is sent with the "
        "next one"
    ]


def test_an_outbox_from_a_backup_knows_its_own_transactions_again(
    start: Start, node: Any, path: Path, market: ContractLedger
) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    backup = path.with_name("backup.sqlite")
    with sqlite3.connect(path) as live, sqlite3.connect(backup) as copy:
        live.backup(copy)
    desk.clock.now += PATIENCE + 1
    desk.tend()
    pool.mine()  # the one with the higher fee, of which the copy has not known
    restored = Desk(node, market, backup)
    restored.tend()
    restored.sender._passed_since = dict.fromkeys(restored.sender._passed_since, -1_000.0)
    restored.tend()
    assert restored.tend() == 0
    assert restored.post("order 1").transaction == list(pool.held)[-1]
    assert market.requests_outstanding() == 1
    restored.outbox.close()


def test_a_nonce_that_nobody_has_is_used_up(
    start: Start, node: Any, market: ContractLedger
) -> None:
    desk, pool = start(), Pool(node)
    for number in range(2):
        with pytest.raises(ReceiptTimeout):
            desk.post(f"order {number}")
    pool.let_go()
    with sqlite3.connect(outbox_path(desk)) as somebody:
        somebody.execute("DELETE FROM attempts WHERE entry = 1")
        somebody.execute("DELETE FROM entries WHERE id = 1")
    node.replaced["eth_sendRawTransaction"] = later_ones_wait(node)
    desk.tend()
    assert desk.told == [f"nobody has nonce 1 of {PRODUCER}: it is used up"]
    desk.tend()
    assert desk.tend() == 0
    assert market.requests_outstanding() == 1


def later_ones_wait(node: Any) -> Callable[[list[Any]], Any]:
    """The embedded chain refuses what other nodes keep until its turn comes."""

    def send(params: list[Any]) -> Any:
        reply = node.on_chain("eth_sendRawTransaction", params)
        digest = HexBytes(keccak(HexBytes(params[0]))).to_0x_hex()
        return {"result": digest} if "error" in reply else reply

    return send


# ------------------------------------------------------------------ stuck, dropped, late


def test_a_stuck_transaction_is_replaced_with_a_fifth_more(start: Start, node: Any) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    desk.clock.now += PATIENCE
    desk.tend()
    assert len(pool.held) == 1
    desk.clock.now += 1
    desk.tend()
    assert len(pool.held) == 2
    first, second = pool.fields(0), pool.fields(1)
    for fee in ("maxFeePerGas", "maxPriorityFeePerGas"):
        assert second[fee] >= first[fee] * 6 // 5
    same = ("nonce", "to", "data", "gas", "value", "chainId")
    assert [first[field] for field in same] == [second[field] for field in same]
    assert desk.told == [
        f"incomingRequest({PRODUCER}, 5) was not mined in time: it is sent with a higher fee"
    ]
    # Whichever of them is mined.
    pool.mine(0)
    assert desk.tend() == 0
    assert desk.post("order 1").transaction == next(iter(pool.held))


def test_no_more_than_the_ceiling_is_offered_for_a_stuck_one(start: Start, node: Any) -> None:
    desk, pool = start(fee_ceiling_gwei=Decimal(4)), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    for _ in range(5):
        desk.clock.now += PATIENCE + 1
        desk.tend()
    offered = [pool.fields(number)["maxFeePerGas"] for number in range(len(pool.held))]
    assert len(offered) == 3
    assert max(offered) <= 4 * 10**9 < max(offered) * 6 // 5
    assert desk.tend() == 1  # it waits


def test_a_dropped_transaction_is_sent_again(start: Start, node: Any) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    pool.forgets = True
    sent = len(node.sent())
    desk.tend()
    assert len(node.sent()) == sent + 1
    assert len(pool.held) == 1  # the same one
    desk.sender.tend()
    assert len(node.sent()) == sent + 1  # not all the time


def test_an_order_whose_period_is_over_is_withdrawn(
    start: Start, node: Any, http: Connection, market: ContractLedger
) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    http.advance_time(PERIOD_LENGTH)
    desk.tend()
    assert desk.told == [f"the period of incomingRequest({PRODUCER}, 5) is over: it is withdrawn"]
    nothing = pool.fields()
    assert HexBytes(nothing["to"]).to_0x_hex() == PRODUCER.lower()
    assert (nothing["value"], HexBytes(nothing["data"]), nothing["nonce"]) == (0, b"", 1)
    pool.mine()
    with pytest.raises(TransactionFailed, match="was not mined before its delivery period"):
        desk.sender._wait(desk.outbox.listed(1)[0], lambda _: None)
    assert desk.states() == [State.VOID]
    # In the period that is now, the same key is free again.
    pool.let_go()
    assert desk.ledger.outcome("order 1") is None
    desk.post("order 1")
    assert market.requests_outstanding() == 1


def test_an_order_that_is_mined_while_it_is_withdrawn_counts(
    start: Start, node: Any, http: Connection, market: ContractLedger
) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    http.advance_time(PERIOD_LENGTH)
    desk.tend()
    pool.mine(0)
    assert desk.tend() == 0
    assert desk.states() == [State.MINED]
    assert desk.post("order 1").transaction == next(iter(pool.held))
    assert market.requests_outstanding() == 1


def test_matching_is_never_too_late(start: Start, node: Any, http: Connection) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.ledger.match_pending(1)
    http.advance_time(3 * PERIOD_LENGTH)
    assert desk.tend() == 1
    assert (len(pool.held), desk.told) == (1, [])


def test_a_refusal_of_the_node_leaves_nothing_under_way(
    start: Start, node: Any, market: ContractLedger
) -> None:
    desk = start()
    node.replaced["eth_sendRawTransaction"] = lambda _: {
        "error": {"code": -32000, "message": "not today"}
    }
    with pytest.raises(TransactionFailed, match=r"the node refused incomingRequest.*not today"):
        desk.post("order 1")
    node.replaced.clear()
    assert desk.tend() == 0
    desk.post("order 1")
    assert market.requests_outstanding() == 1


def test_the_first_transaction_of_an_account_is_not_replaced_on_ganache(
    start: Start, node: Any, http: Connection
) -> None:
    """Ganache 7.9.2 mines both of two transactions whose nonce is 0."""
    desk, pool = start(), Pool(node)
    node.replaced["web3_clientVersion"] = lambda _: {"result": "Ganache/v7.9.2"}
    by_stranger = ContractLedger(desk.sender, desk.ledger.address, STRANGER)
    with pytest.raises(ReceiptTimeout):
        by_stranger.match_pending(1)
    desk.clock.now += PATIENCE + 1
    http.advance_time(PERIOD_LENGTH)
    desk.tend()
    assert [pool.fields(number)["nonce"] for number in range(len(pool.held))] == [0]


# ------------------------------------------------------------------ reorganisations


def test_what_a_reorganisation_has_lost_is_sent_again(
    start: Start, node: Any, market: ContractLedger
) -> None:
    desk = start()
    with node.undone():
        desk.post("order 1")
        desk.post("order 2")
    assert market.requests_outstanding() == 0
    while desk.tend():
        pass
    assert market.requests_outstanding() == 2
    assert (
        desk.told
        == [f"a reorganisation has lost incomingRequest({PRODUCER}, 5): it is sent again"] * 2
    )
    desk.post("order 2")
    assert market.requests_outstanding() == 2


def test_what_a_reorganisation_has_lost_too_late_is_reported(
    start: Start, node: Any, http: Connection, market: ContractLedger
) -> None:
    desk = start()
    with node.undone():
        desk.post("order 1")
    http.advance_time(PERIOD_LENGTH)
    while desk.tend():
        pass
    assert desk.told[-1] == f"the period of incomingRequest({PRODUCER}, 5) is over: it is withdrawn"
    assert desk.states() == [State.VOID]
    assert market.requests_outstanding() == 0


def test_what_is_deep_enough_is_kept_without_its_bytes(
    start: Start, http: Connection, market: ContractLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = 4
    monkeypatch.setattr(sender, "DEPTH", depth)
    desk = start()
    for number in range(3):
        desk.post(f"order {number}")
    for _ in range(2 * depth):
        http.advance_time(0)
    last = desk.post("order 3")
    desk.tend()
    assert desk.states() == [State.SETTLED] * 3 + [State.MINED]
    entry = desk.outbox.listed(4, all_states=True)[0]
    assert (entry.form.data, entry.attempts) == ("", ())
    assert desk.post("order 0").block < (last.block or 0)
    assert market.requests_outstanding() == 4


# ------------------------------------------------------------------ strangers


def test_nothing_is_sent_to_another_chain_at_the_same_place(
    start: Start, node: Any, start_node: Callable[..., Any]
) -> None:
    desk = start()
    desk.post("order 1")
    stranger = start_node([account.address for account in ACCOUNTS], 0)
    node.answer = stranger.answer  # what was asked is asked there
    serve_from(node, stranger)
    with pytest.raises(WrongChain, match="is another chain than before: its first block was 0x"):
        desk.post("order 2")
    with pytest.raises(WrongChain):
        desk.sender.tend()
    assert stranger.sent() == []


def serve_from(node: Any, stranger: Any) -> None:
    for method in ("eth_getBlockByNumber", "eth_call", "eth_getCode", "eth_getTransactionCount"):
        node.replaced[method] = lambda params, method=method: stranger.on_chain(method, params)
    node.replaced["eth_sendRawTransaction"] = lambda params: stranger.answer(
        "eth_sendRawTransaction", params
    )


def test_nothing_is_sent_to_a_contract_with_other_code(start: Start, node: Any) -> None:
    desk = start()
    sent = len(node.sent())
    node.replaced["eth_getCode"] = lambda _: {"result": "0x"}
    with pytest.raises(WrongChain, match="has other code at 0x"):
        desk.post("order 1")
    assert len(node.sent()) == sent


# ------------------------------------------------------------------ the file and the thread


def test_the_file_is_only_its_owners(start: Start, path: Path) -> None:
    start().post("order 1")
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_outbox_is_refused(path: Path) -> None:
    path.write_text("no database " * 1_000)
    with pytest.raises(InvalidInput, match="cannot be used as an outbox"):
        Outbox.open(path)


def test_each_chain_has_an_outbox_of_its_own(own_home: Path) -> None:
    first, second = "0x" + "12" * 32, "0x" + "34" * 32
    files = {outbox_file(1337, first), outbox_file(1337, second), outbox_file(1, first)}
    assert len(files) == 3
    assert {file.parent for file in files} == {own_home / "outbox"}


def test_a_tender_brings_home_what_nobody_waits_for(
    start: Start, node: Any, market: ContractLedger
) -> None:
    desk, pool = start(), Pool(node)
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    pool.let_go()
    desk.sender._sent_at.clear()
    with Tender(desk.sender, seconds=0.01):
        assert start(receipt_timeout=30).post("order 1").block
    assert market.requests_outstanding() == 1


def test_whoever_is_stopped_waits_no_longer(start: Start, node: Any) -> None:
    desk = start(receipt_timeout=3_600)
    Pool(node)
    desk.sender.stop.set()
    with pytest.raises(ReceiptTimeout):
        desk.post("order 1")
    assert desk.outbox.waiting()[0] == 1
