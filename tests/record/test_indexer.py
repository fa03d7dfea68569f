"""The indexer: what it writes, and that nothing that happens to it meanwhile shows."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_chain.chain.mined import MinedBlock
from energy_chain.errors import ContradictoryChain, NodeUnreachable
from energy_chain.market import Release, Request
from energy_chain.memory_ledger import MemoryLedger
from energy_chain.record import indexer as module
from energy_chain.record import tables
from energy_chain.record.check import audit_record
from energy_chain.record.indexer import ATTEMPTS, Indexer, Update, follow
from energy_chain.record.source import MemorySource
from energy_chain.record.store import Record
from energy_chain.trouble import ANSWERS_AGAIN
from tests.property.histories import DETERMINISTIC, histories
from tests.property.markets import METERS, OPERATOR, STRANGER, Call
from tests.record.chains import Block, FakeChain, fresh, rows_of
from tests.record.posts import posts

A, B, C, D = METERS[:4]
POST = Call(A, "post_request", (A, 5))
NEED = Call(B, "post_release", (B, 3))
MATCH = Call(STRANGER, "match_pending", (9,))
DRAW = Call(B, "consume", (B, 2))
TRADE = [POST, NEED, MATCH, DRAW]
WAIT = Call(STRANGER, "wait", (900,))
BATCHES = [
    Call(OPERATOR, "post_requests", ([Request(1, 5), Request(3, 4)],)),
    Call(OPERATOR, "post_releases", ([Release(2, 6), Release(4, 1)],)),
    MATCH,
    Call(OPERATOR, "confirm_deliveries", (0, [5, 0, 1])),
    Call(OPERATOR, "confirm_matches", (0, 3)),
]


def table(record: Record, name: str) -> list[tuple[Any, ...]]:
    """The rows of a table without the market."""
    return [row[1:] for row in rows_of(record)[name]]


# ------------------------------------------------------------------ what it writes


def test_orders_matches_and_consumption_are_written_with_what_they_belong_to(
    record: Record,
) -> None:
    chain = FakeChain([*BATCHES, WAIT, POST])
    assert Indexer(record, chain).update() == Update(
        block=8, blocks=9, events=3 + 5 + 2 + 1 + 1 + 1 + 1 + 2, rolled_back=0
    )
    period = chain.ledger.current_period()
    assert table(record, "periods") == [
        (2, 0, period - 1, 0, 0, 0, 0),
        (8, 0, period, 1, 0, 2, 2),
    ]
    assert table(record, "orders") == [
        (0, 0, 1, 5, period - 1, False, 2, 1),
        (0, 1, 3, 4, period - 1, False, 2, 1),
        (0, 2, 1, 5, period, False, 8, 1),
        (1, 0, 2, 6, period - 1, False, 3, 0),
        (1, 1, 4, 1, period - 1, False, 3, 0),
    ]
    assert table(record, "matches") == [
        (0, 1, 2, 5, 0, 0, period - 1, 4, 0),
        (1, 3, 2, 1, 1, 0, period - 1, 4, 0),
        (2, 3, 4, 1, 1, 1, period - 1, 4, 0),
    ]
    # What was left of each match when all of it was confirmed: nothing of two, 1 Wh of one.
    assert table(record, "consumption") == [(5, 0, 0, 5), (5, 0, 2, 1), (6, 0, 1, 1)]
    assert [row[2:] for row in table(record, "meters")] == [
        (number, meter, True) for number, meter in enumerate(METERS[:5], 1)
    ]


def test_blocks_transactions_and_events_are_written_as_the_chain_tells_them(
    record: Record,
) -> None:
    chain = FakeChain([POST])
    Indexer(record, chain).update()
    mined = list(chain.blocks(0, 2))
    assert table(record, "blocks") == [(b.number, b.hash, b.timestamp) for b in mined]
    assert table(record, "transactions") == [
        (b.number, t.position, t.hash, t.sender, t.gas_used, t.gas_price)
        for b in mined
        for t in b.transactions
    ]
    assert [(row[0], row[1], bytes(row[4]), bytes(row[5])) for row in table(record, "events")] == [
        (b.number, log.index, b"".join(log.topics), log.data)
        for b in mined
        for t in b.transactions
        for log in t.logs
    ]


def test_blocks_without_events_leave_no_row_but_move_the_cursor(record: Record) -> None:
    chain = FakeChain()
    chain.extend([Block(None)] * 3)
    Indexer(record, chain).update()
    assert [row[0] for row in table(record, "blocks")] == [0, 1]
    market = record.market()
    assert (market.cursor_block, market.cursor_hash) == (4, chain.header(4).hash)
    assert market.cursor_time == chain.header(4).timestamp


def test_signed_orders_and_those_that_were_skipped_are_told_apart(record: Record) -> None:
    from energy_chain.signing import Kind
    from tests.property.markets import Unsigned

    batch = (Unsigned(A, Kind.REQUEST, 7), Unsigned(METERS[5], Kind.REQUEST, 8))
    Indexer(record, FakeChain([Call(STRANGER, "post_signed", (batch,))])).update()
    assert [row[:4] + row[5:6] for row in table(record, "orders")] == [(0, 0, 1, 7, True)]
    ((_, _, r, terms, reason),) = table(record, "skipped")
    assert reason == "energy: signer is not registered"
    assert int(terms, 16) % 2**32 == 8
    assert int(r, 16) > 2**200


def test_the_market_of_a_memory_ledger_is_indexed_like_that_of_a_chain() -> None:
    chain = FakeChain(BATCHES)  # each call of it is good: a refused one is no receipt
    with Record.temporary() as record:
        Indexer(record, MemorySource(chain.ledger)).update()
        found = rows_of(record)
    expected = fresh(chain)
    for name in ("orders", "matches", "consumption", "periods", "meters"):
        assert found[name] == expected[name]


def test_a_memory_ledger_that_goes_on_is_followed() -> None:
    chain = FakeChain(TRADE)
    ledger: MemoryLedger = chain.ledger
    with Record.temporary() as record:
        indexer = Indexer(record, MemorySource(ledger))
        indexer.update()
        ledger.as_account(A).post_request(A, 77)
        assert indexer.update() == Update(block=6, blocks=1, events=1, rolled_back=0)


# ------------------------------------------------------------------ which orders a match fills


@given(history=histories(20, 60))
@settings(DETERMINISTIC, max_examples=20)
def test_the_orders_of_a_match_are_those_at_its_place_in_the_energy_of_its_period(
    history: list[Call],
) -> None:
    """First come, first served, said without queues: both sides are laid end to end."""
    chain = FakeChain(history)
    with Record.temporary() as record:
        Indexer(record, chain).update()
        rows = rows_of(record)
        for kind, column in ((0, 5), (1, 6)):
            for period, first in {(row[3], row[6 + kind]) for row in rows["periods"]}:
                orders = [row for row in rows["orders"] if row[1] == kind and row[5] == period]
                orders = [row for row in orders if row[2] >= first]
                ends = list(accumulate(row[4] for row in orders))
                matched = [row for row in rows["matches"] if row[7] == period]
                for match, end in zip(matched, accumulate(row[4] for row in matched), strict=True):
                    at = next(i for i, reached in enumerate(ends) if end <= reached)
                    assert match[column] == orders[at][2]
                    assert end - match[4] >= (ends[at - 1] if at else 0)


@given(history=histories(20, 60))
@settings(DETERMINISTIC, max_examples=10)
def test_what_is_left_of_each_match_is_what_the_market_says(history: list[Call]) -> None:
    chain = FakeChain(history)
    with Record.temporary() as record:
        Indexer(record, chain).update()
        rows = rows_of(record)
    drawn: dict[int, int] = {}
    for row in rows["consumption"]:
        drawn[row[3]] = drawn.get(row[3], 0) + row[4]
    left = {row[1]: row[4] - drawn.get(row[1], 0) for row in rows["matches"]}
    assert left == {
        index: chain.ledger.match_at(index).energy for index in range(chain.ledger.match_counter())
    }


# ------------------------------------------------------------------ going on


def test_a_record_that_is_up_to_date_stays_as_it_is(record: Record) -> None:
    chain = FakeChain(TRADE)
    Indexer(record, chain).update()
    before = rows_of(record)
    assert Indexer(record, chain).update() == Update(block=5, blocks=0, events=0, rolled_back=0)
    assert rows_of(record) == before


@pytest.mark.parametrize("stop", range(2, 14))
def test_wherever_it_was_stopped_it_goes_on_as_if_it_had_not_been(stop: int) -> None:
    calls = [*BATCHES, POST, NEED, Call(OPERATOR, "confirm_matches", (0, 3)), WAIT, *TRADE]
    chain = FakeChain(calls)
    whole, begun = list(chain.chain), FakeChain(calls[: stop - 1])
    with Record.temporary() as record:
        Indexer(record, begun).update()
        begun.extend(whole[stop:])
        Indexer(record, begun).update()
        assert rows_of(record) == fresh(chain)


def test_only_blocks_with_the_networks_confirmations_are_read(record: Record) -> None:
    chain = FakeChain(TRADE, confirmations=2)
    assert Indexer(record, chain).update().block == 3
    assert [row[0] for row in table(record, "blocks")] == [0, 1, 2, 3]


def test_blocks_are_read_a_stretch_at_a_time_and_progress_is_told(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRETCH", 2)
    monkeypatch.setattr(module, "LONGEST_STRETCH", 3)
    chain = FakeChain(TRADE)
    told: list[tuple[int, int]] = []
    Indexer(record, chain).update(lambda *progress: told.append(progress))
    assert told == [(1, 5), (4, 5), (5, 5)]
    assert chain.read == [(0, 1), (2, 4), (5, 5)]
    assert rows_of(record) == fresh(chain)


def test_stretches_get_shorter_where_much_happens(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRETCH", 4)
    monkeypatch.setattr(module, "FEW_EVENTS", 1)
    monkeypatch.setattr(module, "MANY_EVENTS", 3)
    chain = FakeChain(TRADE * 2)
    Indexer(record, chain).update()
    assert chain.read == [(0, 3), (4, 5), (6, 7), (8, 9)]


# ------------------------------------------------------------------ reorganisations


def test_what_the_chain_has_taken_back_is_undone(record: Record) -> None:
    chain = FakeChain([*BATCHES, POST])
    indexer = Indexer(record, chain)
    indexer.update()
    chain.reorganise(4, [Block(NEED, 1), Block(MATCH, 1)])
    # The newest block that is still the chain's is block 3; blocks 4 to 7 are gone.
    assert indexer.update() == Update(block=5, blocks=2, events=2, rolled_back=4)
    assert rows_of(record) == fresh(chain)


def test_a_chain_that_is_shorter_than_the_record_is_followed_back(record: Record) -> None:
    chain = FakeChain(TRADE)
    indexer = Indexer(record, chain)
    indexer.update()
    chain.reorganise(3, [])
    assert indexer.update().rolled_back == 3
    assert rows_of(record) == fresh(chain)


def test_a_reorganisation_of_empty_blocks_leaves_the_events_where_they_are(
    record: Record,
) -> None:
    chain = FakeChain([POST])
    chain.extend([Block(None)] * 2)
    indexer = Indexer(record, chain)
    indexer.update()
    chain.reorganise(2, [Block(None, 1)] * 4)
    assert indexer.update() == Update(block=6, blocks=4, events=0, rolled_back=2)
    assert rows_of(record) == fresh(chain)


def test_a_reorganisation_that_leaves_no_block_begins_anew(record: Record) -> None:
    chain = FakeChain(TRADE)
    Indexer(record, chain).update()
    chain._hashes = [f"0x{number:064x}" for number in range(len(chain._hashes))]
    assert Indexer(record, chain).update() == Update(block=5, blocks=6, events=13, rolled_back=6)
    assert [row[1] for row in table(record, "blocks")] == chain._hashes


class Restless(FakeChain):
    """A chain that is reorganised so many times, each time just after its blocks were read."""

    times = 3

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        yield from list(super().blocks(first, last))
        if self.times:
            self.times -= 1
            self.reorganise(2, [Block(NEED, self.times), Block(POST, self.times)])


def test_a_stretch_that_is_reorganised_while_it_is_read_is_read_again(record: Record) -> None:
    chain = Restless(TRADE)
    Indexer(record, chain).update()
    assert chain.times == 0
    assert rows_of(record) == fresh(chain)


def test_a_chain_that_never_rests_is_given_up_with_advice(record: Record) -> None:
    chain = Restless(TRADE)
    chain.times = ATTEMPTS
    with pytest.raises(ContradictoryChain, match="set confirmations"):
        Indexer(record, chain).update()


class Torn(FakeChain):
    """A chain whose node tells of two chains in one answer, so many times."""

    times = 2

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        if self.times:
            self.times -= 1
            raise ContradictoryChain("logs and receipts are not of one chain")
        yield from super().blocks(first, last)


def test_an_answer_of_two_chains_is_asked_for_again(record: Record) -> None:
    chain = Torn(TRADE)
    Indexer(record, chain).update()
    assert rows_of(record) == fresh(chain)


def test_a_node_that_never_tells_of_one_chain_is_given_up(record: Record) -> None:
    chain = Torn(TRADE)
    chain.times = ATTEMPTS
    with pytest.raises(ContradictoryChain, match="not of one chain"):
        Indexer(record, chain).update()


class _Killed(Exception):
    """The process ends here."""


steps = st.one_of(
    st.tuples(st.just("extend"), histories(1, 8)),
    st.tuples(st.just("reorganise"), histories(0, 6), st.integers(1, 12), st.integers(1, 99)),
    st.tuples(st.just("update")),
    st.tuples(st.just("kill"), st.integers(0, 12)),
    st.tuples(st.just("restart")),
)


@given(steps=st.lists(steps, min_size=2, max_size=10), stretch=st.integers(1, 9))
@settings(DETERMINISTIC, max_examples=30)
def test_after_whatever_happened_the_record_is_that_of_the_chain(
    steps: list[tuple[Any, ...]], stretch: int
) -> None:
    chain = FakeChain()
    with Record.temporary() as record, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "STRETCH", stretch)
        patched.setattr(module, "LONGEST_STRETCH", stretch)
        indexer = Indexer(record, chain)
        for step, *details in steps:
            match step:
                case "extend":
                    chain.extend([Block(call) for call in details[0]])
                case "reorganise":
                    calls, depth, salt = details
                    chain.reorganise(depth, [Block(call, salt) for call in calls])
                case "update":
                    indexer.update()
                case "kill":
                    _update_and_die(indexer, details[0])
                    indexer = Indexer(record, chain)
                case "restart":
                    indexer = Indexer(record, chain)
        indexer.update()
        assert rows_of(record) == fresh(chain)


def _update_and_die(indexer: Indexer, after: int) -> None:
    """Updates, and dies before so many tables are written."""
    write, left = module.insert_rows, [after]

    def dying(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise _Killed
        write(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "insert_rows", dying)
        with suppress(_Killed):
            indexer.update()


def test_an_indexer_that_failed_while_writing_goes_on_itself(record: Record) -> None:
    chain = FakeChain(TRADE)
    indexer = Indexer(record, chain)
    _update_and_die(indexer, 5)
    assert table(record, "blocks") == []
    indexer.update()
    assert rows_of(record) == fresh(chain)


DYING = """
import os, signal, sys
from energy_chain.record import indexer
from energy_chain.record.source import MemorySource
from energy_chain.record.store import Record
from tests.record.posts import posts
written, write = [], indexer.insert_rows
def dying(connection, table, rows):
    write(connection, table, rows)
    written.append(table.name)
    if written.count("orders") == 2:
        os.kill(os.getpid(), signal.SIGKILL)
indexer.insert_rows = dying
indexer.STRETCH = indexer.LONGEST_STRETCH = 3
with Record.open(sys.argv[1]) as record:
    indexer.Indexer(record, MemorySource(posts())).update()
"""


def test_a_process_that_is_killed_within_a_stretch_leaves_the_one_before(tmp_path: Path) -> None:
    place = str(tmp_path / "record.sqlite")
    root = Path(__file__).resolve().parents[2]
    died = subprocess.run([sys.executable, "-c", DYING, place], cwd=root, check=False)
    assert died.returncode == -signal.SIGKILL
    with Record.open(place) as record:
        assert record.market().cursor_block == 2
        assert [row[-2] for row in table(record, "orders")] == [2]
        Indexer(record, MemorySource(posts())).update()
        assert [row[-2] for row in table(record, "orders")] == [2, 3, 4, 5]
        assert audit_record(record, record.market()).clean


# ------------------------------------------------------------------ several at once


def test_two_indexers_in_turn_write_everything_once(record: Record) -> None:
    chain = FakeChain(TRADE)
    first, second = Indexer(record, chain), Indexer(record, chain)
    first.update()
    chain.extend([Block(call) for call in BATCHES[:2]])
    second.update()
    chain.extend([Block(MATCH)])
    first.update()
    assert rows_of(record) == fresh(chain)


def test_two_indexers_at_once_write_everything_once(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRETCH", 2)
    monkeypatch.setattr(module, "LONGEST_STRETCH", 2)
    chain = FakeChain([*BATCHES, *[POST, NEED, MATCH] * 12])
    failures: list[BaseException] = []

    def index() -> None:
        try:
            with Record.open(place) as record:
                Indexer(record, chain).update()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=index) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Record.open(place) as record:
        assert rows_of(record) == fresh(chain)


def test_many_markets_are_kept_apart(record: Record) -> None:
    chains = [
        FakeChain(TRADE, contract=f"0x{number:040x}", period_length=length)
        for number, length in ((1, 900), (2, 0), (3, 3600))
    ]
    indexers = [Indexer(record, chain) for chain in chains]
    for indexer in indexers:
        indexer.update()
    chains[1].reorganise(3, [Block(NEED, 1)])
    indexers[1].update()
    found = rows_of(record)
    assert [market.period_length for market in record.markets()] == [900, 0, 3600]
    for indexer, chain in zip(indexers, chains, strict=True):
        expected = fresh(chain)
        for table in tables.APPENDED:
            of_market = [row[1:] for row in found[table.name] if row[0] == indexer.market.id]
            assert of_market == [row[1:] for row in expected[table.name]]


def test_a_chain_that_began_anew_is_another_market(record: Record) -> None:
    from dataclasses import replace

    chain, anew = FakeChain(TRADE), FakeChain([NEED])
    identity = replace(anew.identity(), genesis="0x" + "9" * 64)
    anew.identity = lambda: identity  # type: ignore[method-assign]
    Indexer(record, chain).update()
    Indexer(record, anew).update()
    assert [market.cursor_block for market in record.markets()] == [5, 2]


# ------------------------------------------------------------------ what cannot be


class Forgetful(FakeChain):
    """A chain whose node leaves out the block with a number."""

    left_out = 0

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        for block in super().blocks(first, last):
            if block.number != self.left_out:
                yield block


@pytest.mark.parametrize(
    ("left_out", "what"),
    [(2, "request 1 comes where request 0"), (3, "release 1 comes where release 0")],
)
def test_an_order_that_is_left_out_is_noticed_with_the_next(
    record: Record, left_out: int, what: str
) -> None:
    chain = Forgetful([POST, NEED, MATCH, POST, NEED])
    chain.left_out = left_out
    with pytest.raises(ContradictoryChain, match=what):
        Indexer(record, chain).update()
    assert table(record, "orders") == []


def test_matches_that_are_left_out_are_noticed_with_the_next(record: Record) -> None:
    chain = Forgetful([*TRADE, *TRADE[:3]])
    chain.left_out = 4
    with pytest.raises(ContradictoryChain, match=r"block 8, log 0: match 1 comes where match 0"):
        Indexer(record, chain).update()


# ------------------------------------------------------------------ following


def test_a_market_is_followed_until_it_is_told_to_stop(record: Record) -> None:
    chain, stop, told = FakeChain([POST]), Event(), []

    def hear(done: Update) -> None:
        told.append((done.block, done.events))
        if len(told) == 1:
            chain.extend([Block(NEED), Block(MATCH)])
        else:
            stop.set()

    Indexer(record, chain).follow(stop, hear, seconds=0.001)
    assert told == [(2, 10), (4, 2)]


class Unreachable(FakeChain):
    """A chain whose node is away at first."""

    away = 2

    def settled(self) -> int:
        if self.away:
            self.away -= 1
            raise NodeUnreachable("nobody answers")
        return super().settled()


def test_a_chain_that_fails_is_told_of_once_and_tried_again(record: Record) -> None:
    chains = [Unreachable([POST]), FakeChain([POST], contract="0x" + "1" * 40)]
    stop, told, troubles = Event(), [], []

    def hear(indexer: Indexer, _: Update) -> None:
        told.append(indexer.market.address)
        if len(told) == 2:
            stop.set()

    follow([Indexer(record, chain) for chain in chains], stop, hear, troubles.append, 0.001)
    assert troubles == ["nobody answers", ANSWERS_AGAIN]
    assert told == [chains[1].contract, chains[0].contract]


def test_the_header_of_a_call_in_memory_has_its_time() -> None:
    chain = FakeChain([POST])
    source = MemorySource(chain.ledger)
    assert source.header(-1) is None
    assert source.header(3) is None
    header = source.header(2)
    assert header is not None
    assert header.timestamp == chain.header(2).timestamp
