"""The audit of a record: an honest one is clean, and whatever is altered in it is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, delete, func, insert, select, update

from energy_chain import events as ev
from energy_chain.chain.event_codec import encode
from energy_chain.chain.mined import MinedBlock, MinedLog
from energy_chain.ledger import Ledger
from energy_chain.market import Fill
from energy_chain.record import check, tables
from energy_chain.record.audit import AuditReport
from energy_chain.record.check import audit_record
from energy_chain.record.indexer import Indexer
from energy_chain.record.store import Record
from energy_chain.signing import Kind
from tests.property.markets import METERS, OPERATOR, STRANGER, Call, Unsigned
from tests.record.chains import Block, FakeChain
from tests.record.test_indexer import BATCHES, MATCH, NEED, POST, TRADE, WAIT, A, B

SIGNED = (Unsigned(A, Kind.REQUEST, 7), Unsigned(METERS[5], Kind.REQUEST, 8))
HISTORY = [
    *BATCHES,
    Call(STRANGER, "post_signed", (SIGNED,)),
    WAIT,
    *TRADE,
    Call(OPERATOR, "retire_meter", (METERS[4],)),
]
"""Blocks 2 to 6 the batches, 7 signed orders, 8 nothing, 9 to 12 a trade, 13 a meter retires."""
PERIOD = "1777779"


@pytest.fixture(scope="module")
def fake() -> FakeChain:
    return FakeChain(HISTORY)


@pytest.fixture(scope="module")
def whole(fake: FakeChain, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a record of that chain."""
    path = tmp_path_factory.mktemp("whole") / "record.sqlite"
    with Record.open(path) as record:
        Indexer(record, fake).update()
    return path.read_bytes()


@pytest.fixture
def record(whole: bytes, tmp_path: Path) -> Iterator[Record]:
    """A copy of it, to be tampered with."""
    path = tmp_path / "record.sqlite"
    path.write_bytes(whole)
    with Record.open(path) as record:
        yield record


def audited(record: Record, fake: FakeChain | None) -> AuditReport:
    """The audit, against the chain if there is one."""
    pair = None if fake is None else (fake, fake.ledger)
    return audit_record(record, record.market(), pair)


def tamper(record: Record, table: Table, key: dict[str, int], **values: Any) -> None:
    """Alters one row, or deletes it if no values are given."""
    wanted = [table.c[name] == value for name, value in key.items()]
    with record.writing() as connection:
        statement = update(table).values(values) if values else delete(table)
        assert connection.execute(statement.where(*wanted)).rowcount == 1


def test_an_honest_record_is_clean(record: Record, fake: FakeChain) -> None:
    report = audited(record, fake)
    assert report.difference == ""
    assert report.clean
    assert (report.against_chain, report.transactions, report.matches) == (True, 13, 4)
    with record.reading() as connection:
        counts = [
            connection.scalar(select(func.count()).select_from(table)) for table in tables.DERIVED
        ]
    assert report.rows == sum(counts)


def test_a_record_is_audited_without_a_chain_and_the_report_says_so(record: Record) -> None:
    report = audited(record, None)
    assert report.clean
    assert not report.against_chain


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (tables.transactions, {"gas_price": 1}),
        (tables.transactions, {"sender": "0x" + "1" * 40}),
        (tables.transactions, {"hash": "0x" + "1" * 64}),
        (tables.blocks, {"hash": "0x" + "1" * 64}),
    ],
)
def test_what_no_log_tells_is_found_with_the_chain_alone(
    record: Record, fake: FakeChain, table: Table, values: dict[str, Any]
) -> None:
    tamper(record, table, {tables.block_column(table).name: 2}, **values)
    assert audited(record, None).clean
    assert not audited(record, fake).clean


def test_gas_that_no_log_tells_is_found_in_the_sums_as_well(record: Record) -> None:
    tamper(record, tables.transactions, {"block": 2}, gas_used=1)
    assert re.search("table sums, .* gas: the record says 0", audited(record, None).difference)


def test_stretches_of_a_record_join_up(
    record: Record, fake: FakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "STRETCH", 3)
    reached: list[tuple[int, int]] = []
    report = audit_record(
        record, record.market(), (fake, fake.ledger), lambda *at: reached.append(at)
    )
    assert report == audited(record, fake)
    assert reached == [(2, 13), (5, 13), (9, 13), (12, 13), (13, 13)]


def test_an_audit_changes_nothing(record: Record, fake: FakeChain) -> None:
    path = Path(record.place)
    before = path.read_bytes()
    audited(record, fake)
    assert path.read_bytes() == before


# ------------------------------------------------------------------ what was derived


DERIVED: list[tuple[Table, dict[str, int], dict[str, Any], str]] = [
    (tables.meters, {"block": 1, "log_index": 2}, {"number": 9},
     "table meters, block 1, log 2: number: the record says 9, the events 3"),
    (tables.meters, {"block": 1, "log_index": 2}, {"address": B},
     f"table meters, block 1, log 2: address: the record says {B}, the events {METERS[2]}"),
    (tables.meters, {"block": 13}, {"registered": True},
     "table meters, block 13, log 0: registered: the record says True, the events False"),
    (tables.periods, {"block": 9}, {"expired_requests": 0},
     "table periods, block 9, log 0: expired_requests: the record says 0, the events 2"),
    (tables.periods, {"block": 9}, {"first_release": 3},
     "table periods, block 9, log 0: first_release: the record says 3, the events 2"),
    (tables.orders, {"kind": 0, "counter": 1}, {"energy_wh": 40},
     "table orders, block 2, log 1, counter 1: energy_wh: the record says 40, the events 4"),
    (tables.orders, {"kind": 1, "counter": 1}, {"meter": 3},
     "table orders, block 3, log 0, counter 1: meter: the record says 3, the events 4"),
    (tables.orders, {"kind": 0, "counter": 2}, {"signed": False},
     "table orders, block 7, log 1, counter 2: signed: the record says False, the events True"),
    (tables.orders, {"kind": 0, "counter": 3}, {"period": 1},
     f"table orders, block 9, log 1, counter 3: period: the record says 1, the events {PERIOD}"),
    (tables.matches, {"match_index": 1}, {"energy_wh": 2},
     "table matches, block 4, log 0, match_index 1: energy_wh: the record says 2, the events 1"),
    (tables.matches, {"match_index": 1}, {"producer": 1},
     "table matches, block 4, log 0, match_index 1: producer: the record says 1, the events 3"),
    (tables.matches, {"match_index": 3}, {"request_counter": 2},
     "table matches, block 11, log 0, match_index 3: request_counter: the record says 2, "
     "the events 3"),
    (tables.matches, {"match_index": 3}, {"release_counter": None},
     "table matches, block 11, log 0, match_index 3: release_counter: the record says None, "
     "the events 2"),
    (tables.consumption, {"block": 6}, {"energy_wh": 9},
     "table consumption, block 6, log 0, match_index 1: energy_wh: the record says 9, "
     "the events 1"),
    (tables.skipped, {"block": 7}, {"reason": "energy: paused"},
     "table skipped, block 7, log 0: reason: the record says energy: paused, the events "
     "energy: signer is not registered"),
]  # fmt: skip


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize(("table", "key", "values", "difference"), DERIVED)
def test_a_derived_row_that_was_altered_is_named(
    record: Record,
    fake: FakeChain,
    table: Table,
    key: dict[str, int],
    values: dict[str, Any],
    difference: str,
    offline: bool,
) -> None:
    tamper(record, table, key, **values)
    assert audited(record, None if offline else fake).difference == difference


@pytest.mark.parametrize(
    ("table", "key", "difference"),
    [
        (tables.meters, {"block": 1, "log_index": 4}, "table meters, block 1, log 4"),
        (tables.periods, {"block": 9}, "table periods, block 9, log 0"),
        (tables.orders, {"kind": 1, "counter": 0}, "table orders, block 3, log 0, counter 0"),
        (tables.matches, {"match_index": 2}, "table matches, block 4, log 0, match_index 2"),
        (tables.consumption, {"block": 12}, "table consumption, block 12, log 0, match_index 3"),
        (tables.skipped, {"block": 7}, "table skipped, block 7, log 0"),
    ],
)
def test_a_derived_row_that_is_missing_is_named(
    record: Record, fake: FakeChain, table: Table, key: dict[str, int], difference: str
) -> None:
    tamper(record, table, key)
    assert audited(record, fake).difference == f"{difference}: the row is missing"


@pytest.mark.parametrize(
    ("table", "values", "difference"),
    [
        (tables.consumption, {"block": 12, "log_index": 1, "match_index": 3, "energy_wh": 1},
         "table consumption, block 12, log 1, match_index 3"),
        (tables.consumption, {"block": 8, "log_index": 0, "match_index": 3, "energy_wh": 1},
         "table consumption, block 8, log 0, match_index 3"),
        (tables.matches,
         {"match_index": 4, "producer": 1, "consumer": 2, "energy_wh": 1, "request_counter": 3,
          "release_counter": 2, "period": 1, "block": 11, "log_index": 0},
         "table matches, block 11, log 0, match_index 4"),
        (tables.meters,
         {"block": 13, "log_index": 7, "number": 1, "address": A, "registered": True},
         "table meters, block 13, log 7"),
    ],
)  # fmt: skip
def test_a_derived_row_that_was_added_is_named(
    record: Record, fake: FakeChain, table: Table, values: dict[str, Any], difference: str
) -> None:
    with record.writing() as connection:
        connection.execute(insert(table).values(market=1, **values))
    assert audited(record, fake).difference == f"{difference}: the row follows from no event"


def test_a_row_of_a_block_that_was_not_read_is_named(record: Record) -> None:
    tamper(record, tables.consumption, {"block": 12}, block=14)
    assert audited(record, None).difference == (
        "table consumption: a row is of block 14, which was not read: the record is of blocks 0 "
        "to 13"
    )


# ------------------------------------------------------------------ the evidence


def forged(event: ev.Event) -> dict[str, Any]:
    """The columns of a row of events."""
    topics, data = encode(event)
    return {"name": type(event).__name__, "topics": b"".join(topics), "data": data}


EVIDENCE: list[tuple[Table, dict[str, int], dict[str, Any], str]] = [
    (tables.blocks, {"number": 4}, {"hash": "0x" + "5" * 64},
     r"block 4: hash: the record says 0x5+, the chain 0x\w+"),
    (tables.blocks, {"number": 4}, {"timestamp": 1},
     r"block 4: time: the record says 1, the chain 16\d+"),
    (tables.transactions, {"block": 4}, {"gas_used": 1},
     r"block 4, transaction 0x\w+: gas_used: the record says 1, the chain 0"),
    (tables.transactions, {"block": 4}, {"sender": A},
     rf"block 4, transaction 0x\w+: sender: the record says {A}, the chain 0x0+"),
    (tables.transactions, {"block": 4}, {"hash": "0x1"},
     r"block 4, transaction 0x\w+: hash: the record says 0x1, the chain 0x\w+"),
    (tables.events, {"block": 10}, forged(ev.ReleasePosted(B, 2, 30)),
     r"block 10, transaction 0x\w+, log 0: the record says ReleasePosted\(.*energy=30\), "
     r"the chain ReleasePosted\(.*energy=3\)"),
    (tables.events, {"block": 4}, forged(ev.Matched(0, (Fill(1, 4, 5),))),
     r"block 4, transaction 0x\w+, log 0: the record says Matched\(.*the chain Matched\(.*"),
    (tables.events, {"block": 12}, forged(ev.DeliveryConfirmed(3, 3)),
     r"block 12, transaction 0x\w+, log 0: the record says .*energy=3\), the chain .*energy=2\)"),
    (tables.events, {"block": 12}, {"log_index": 5},
     r"block 12, transaction 0x\w+, log 0: the record says .*"),
    (tables.events, {"block": 12}, {"name": "Matched"},
     "table events, block 12, log 0: it is no Matched"),
    (tables.events, {"block": 12}, {"data": b"1"},
     "block 12, log 0: the contract cannot have made it"),
    (tables.events, {"block": 12}, {},
     r"block 12, transaction 0x\w+: table events has no log"),
    (tables.events, {"block": 1, "log_index": 4}, {},
     r"block 1, transaction 0x\w+, log 4: it is missing in the record"),
    (tables.events, {"block": 12}, {"position": 3},
     r"block 12, transaction 0x\w+: table events has no log"),
    (tables.transactions, {"block": 12}, {},
     "block 12: table events has logs of transaction 0, which is not in table transactions"),
    (tables.blocks, {"number": 12}, {}, "block 12: it is missing in table blocks"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "key", "values", "difference"), EVIDENCE)
def test_evidence_that_was_altered_is_named(
    record: Record,
    fake: FakeChain,
    table: Table,
    key: dict[str, int],
    values: dict[str, Any],
    difference: str,
) -> None:
    tamper(record, table, key, **values)
    assert re.fullmatch(difference, audited(record, fake).difference, re.DOTALL)


def leave_out(record: Record, block: int) -> None:
    """Deletes a block from every table."""
    with record.writing() as connection:
        for table in tables.APPENDED:
            connection.execute(delete(table).where(tables.block_column(table) == block))


@pytest.mark.parametrize("block", [0, 1, 2, 4, 6, 7, 9, 11, 12, 13])
def test_a_block_that_is_missing_everywhere_is_named(
    record: Record, fake: FakeChain, block: int
) -> None:
    leave_out(record, block)
    assert audited(record, fake).difference == f"block {block}: it is missing in the record"


@pytest.mark.parametrize("block", [0, 1, 2, 4, 9, 11])
def test_a_missing_block_on_which_others_build_is_found_without_the_chain(
    record: Record, block: int
) -> None:
    leave_out(record, block)
    assert not audited(record, None).clean


def test_a_block_that_the_chain_does_not_have_is_named(record: Record, fake: FakeChain) -> None:
    with record.writing() as connection:
        connection.execute(insert(tables.blocks).values(market=1, number=8, hash="0x", timestamp=1))
    assert audited(record, fake).difference == (
        "block 8: on the chain the market logged nothing there"
    )


def test_a_transaction_that_the_chain_does_not_have_is_named(
    record: Record, fake: FakeChain
) -> None:
    with record.writing() as connection:
        connection.execute(
            insert(tables.transactions).values(
                **{"market": 1, "block": 4, "position": 1, "hash": "0x7"},
                **{"sender": A, "gas_used": 0, "gas_price": 0},
            )
        )
        connection.execute(
            insert(tables.events).values(
                **{"market": 1, "block": 4, "position": 1, "log_index": 1},
                **forged(ev.DeliveryConfirmed(0, 1)),
            )
        )
    assert audited(record, fake).difference == (
        "block 4, transaction 0x7: it is missing in the chain"
    )


def test_a_cursor_that_is_not_of_the_chain_is_named(record: Record, fake: FakeChain) -> None:
    tamper(record, tables.markets, {"id": 1}, cursor_hash="0x8")
    assert audited(record, fake).difference == (
        "block 13, the last that was read: hash: the record says 0x8, the chain "
        + fake.header(13).hash
    )


def test_a_record_beyond_the_chain_is_named(record: Record) -> None:
    assert audited(record, FakeChain(HISTORY[:-1])).difference == (
        "block 13, the last that was read: the chain has no such block"
    )


def test_a_record_of_another_market_is_named(record: Record, fake: FakeChain) -> None:
    tamper(record, tables.markets, {"id": 1}, period_length=60)
    assert audited(record, fake).difference == (
        "period_length of the market: the record says 60, the chain 900"
    )


def test_a_record_that_was_never_filled_is_no_clean_one(fake: FakeChain) -> None:
    with Record.temporary() as record:
        Indexer(record, fake)
        for where in (fake, None):
            report = audited(record, where)
            assert report.difference == (
                "the record is empty: it does not reach back to the deployment"
            )


# ------------------------------------------------------------------ a chain that lies


class Lying(FakeChain):
    """A chain on which the contract logs something else than the rules say."""

    lies: dict[int, tuple[ev.Event, ...]]

    def blocks(self, first: int, last: int) -> Iterator[MinedBlock]:
        for block in super().blocks(first, last):
            if block.number in self.lies:
                logs = tuple(
                    MinedLog(i, *encode(event)) for i, event in enumerate(self.lies[block.number])
                )
                transaction = replace(block.transactions[0], logs=logs)
                block = replace(block, transactions=(transaction,))
            yield block


@pytest.mark.parametrize(
    ("lie", "difference"),
    [
        (
            {11: (ev.Matched(3, (Fill(1, 2, 2),)),)},
            r"block 11, transaction 0x\w+: the record says Matched\(.*energy=2\),\)\), "
            r"the rules Matched\(.*energy=3\),\)\)",
        ),
        (
            {11: (ev.Matched(3, (Fill(4, 2, 3),)),)},
            r"block 11, transaction 0x\w+: the record says Matched\(.*producer=4.*, the rules .*",
        ),
        (
            {12: (ev.Matched(4, (Fill(1, 2, 1),)),)},
            r"block 12, transaction 0x\w+: the rules log nothing where the record says .*",
        ),
        (
            {12: (ev.DeliveryConfirmed(3, 4),)},
            r"block 12, transaction 0x\w+: the rules refuse DeliveryConfirmed\(.*: .*above.*",
        ),
        (
            {12: (ev.MatchesConfirmed(3, 2),)},
            r"block 12, transaction 0x\w+: the rules refuse MatchesConfirmed\(.*",
        ),
    ],
)
def test_a_forged_match_or_consumption_on_the_chain_itself_is_named(
    lie: dict[int, tuple[ev.Event, ...]], difference: str
) -> None:
    fake = Lying(HISTORY)
    fake.lies = lie
    with Record.temporary() as record:
        Indexer(record, fake).update()
        for where in (fake, None):
            assert re.fullmatch(difference, audited(record, where).difference, re.DOTALL)


def test_the_row_of_a_match_that_follows_from_no_order_says_so() -> None:
    fake = Lying(HISTORY)
    fake.lies = {11: (ev.Matched(3, (Fill(4, 2, 3),)),)}
    with Record.temporary() as record:
        Indexer(record, fake).update()
        with record.reading() as connection:
            row = connection.execute(
                select(tables.matches).where(tables.matches.c.match_index == 3)
            ).one()
    assert (row.request_counter, row.release_counter) == (None, 2)


def test_an_order_of_a_meter_that_is_not_registered_is_named() -> None:
    fake = Lying(HISTORY)
    fake.lies = {13: (ev.RequestPosted(STRANGER, 4, 9),)}
    with Record.temporary() as record:
        Indexer(record, fake).update()
        assert "the rules refuse RequestPosted" in audited(record, None).difference
        with record.reading() as connection:
            row = connection.execute(
                select(tables.orders).where(tables.orders.c.counter == 4)
            ).one()
    assert row.meter is None


@pytest.mark.parametrize(
    "alter",
    [
        lambda ledger: ledger.as_account(A).post_request(A, 1),
        lambda ledger: ledger.as_account(OPERATOR).confirm_matches(3, 1),
        lambda ledger: ledger.as_account(OPERATOR).register_meters([METERS[5]]),
    ],
)
def test_a_state_that_is_not_the_replayed_one_is_named(
    record: Record, fake: FakeChain, alter: Callable[[Any], object]
) -> None:
    other = FakeChain(HISTORY)
    alter(other.ledger)
    ledger: Ledger = other.ledger
    report = audit_record(record, record.market(), (fake, ledger))
    assert "the chain says" in report.difference
    assert "the replay" in report.difference


def test_a_reorganised_record_is_clean_again(record: Record) -> None:
    fake = FakeChain(HISTORY)
    fake.reorganise(4, [Block(NEED, 1), Block(POST, 1), Block(MATCH, 1)])
    assert not audited(record, fake).clean
    Indexer(record, fake).update()
    assert audited(record, fake).clean
