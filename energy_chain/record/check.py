"""The audit of a record: against the chain, against the rules, and against itself.

Stretch by stretch, and in this order: what the record holds as evidence is what the
chain says; the evidence follows from the rules, as the reference market recomputes it
(`audit`); what was derived is what follows from the evidence, row by row; the sums are
what those rows come to. At the end the chain's state as of the record's last block is
the one that the replay arrived at. The first difference ends it, and is named by block,
transaction, table and row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Table, func, select

from energy_chain.chain.event_codec import WORD, decode
from energy_chain.chain.mined import MinedBlock, MinedLog, MinedTransaction
from energy_chain.errors import ContradictoryChain
from energy_chain.events import Event, Receipt
from energy_chain.ledger import Ledger
from energy_chain.record import sums, tables
from energy_chain.record.audit import AuditReport, Difference, Replay
from energy_chain.record.derive import Derivation, Row
from energy_chain.record.identity import MarketRow
from energy_chain.record.source import MarketSource
from energy_chain.record.store import Record, market_rows

STRETCH = 500
"""Blocks with events that are looked at at a time."""
_NAMED_BY: dict[Table, str] = {
    tables.orders: "counter",
    tables.matches: "match_index",
    tables.consumption: "match_index",
}
"""What tells apart the rows that one log leaves in a table."""


def audit_record(
    record: Record,
    market: MarketRow,
    chain: tuple[MarketSource, Ledger] | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> AuditReport:
    """Audits what a record holds of a market.

    Args:
        record: the record. It is not changed.
        market: the market in it.
        chain: the market on its chain, to read blocks of, and a ledger of it as of the record's
            last block; without them the record is audited by itself.
        progress: told after each stretch the block that was reached, and the last.

    Raises:
        ChainError: the chain cannot be read.
    """
    with record.reading() as connection:
        return _audit(record, connection, market, chain, progress)


def audit_as_it_is(
    record: Record, market: MarketRow, progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[MarketRow, AuditReport]:
    """Audits what a record holds of a market by itself, as of the moment in which it begins.

    Others may write into the record meanwhile. Returns the market as it was then, and the verdict.
    """
    with record.reading() as connection:
        now = next(row for row in market_rows(connection) if row.id == market.id)
        return now, _audit(record, connection, now, None, progress)


def _audit(
    record: Record,
    connection: Connection,
    market: MarketRow,
    chain: tuple[MarketSource, Ledger] | None,
    progress: Callable[[int, int], None],
) -> AuditReport:
    source, ledger = chain or (None, None)
    replay, derivation = Replay(market.period_length), Derivation(market.id)
    rows, difference = 0, ""
    try:
        if misfit := record.misfit(market, (*tables.APPENDED, tables.sums)):
            raise Difference(misfit)
        if source is not None:
            _compare_cursor(market, source)
        _check_range(connection, market)
        for first, last in _stretches(connection, market):
            blocks = list(_stored(connection, market, first, last))
            if source is not None:
                _compare_blocks(blocks, list(source.blocks(first, last)))
            for block in blocks:
                for receipt in _receipts(block):
                    replay.replay(receipt)
            rows += _compare_derived(connection, market, derivation, blocks, first, last)
            progress(last, market.cursor_block)
        if wrong := sums.difference(connection, market):
            raise Difference(wrong)
        replay.market()
        if ledger is not None:
            replay.compare_state(ledger)
    except Difference as found:
        difference = str(found)
    return replace(replay.report(difference), against_chain=chain is not None, rows=rows)


# ------------------------------------------------------------------ what is in the record


def _check_range(connection: Connection, market: MarketRow) -> None:
    """Whether all rows are of blocks that were read."""
    for table in tables.APPENDED:
        block = tables.block_column(table)
        for number in connection.execute(
            select(func.min(block), func.max(block)).where(table.c.market == market.id)
        ).one():
            if number is not None and not market.first_block <= number <= market.cursor_block:
                raise Difference(
                    f"table {table.name}: a row is of block {number}, which was not read: the "
                    f"record is of blocks {market.first_block} to {market.cursor_block}"
                )


def _stretches(connection: Connection, market: MarketRow) -> Iterator[tuple[int, int]]:
    """Ranges that cover all blocks that were read, with so many stored blocks in each."""
    number = tables.blocks.c.number
    first = market.first_block
    while first <= market.cursor_block:
        end = connection.scalar(
            select(number)
            .where((tables.blocks.c.market == market.id) & (number >= first))
            .order_by(number)
            .offset(STRETCH - 1)
            .limit(1)
        )
        last = market.cursor_block if end is None else end
        yield first, last
        first = last + 1


def _select(connection: Connection, table: Table, market: int, first: int, last: int) -> list[Any]:
    """The rows of a range of blocks, in the order in which they came about."""
    block = tables.block_column(table)
    order = [block]
    order += [table.c[name] for name in ("position", "log_index") if name in table.c]
    order += [table.c[_NAMED_BY[table]]] if table in _NAMED_BY else []
    return list(
        connection.execute(
            select(table)
            .where((table.c.market == market) & block.between(first, last))
            .order_by(*order)
        )
    )


def _stored(
    connection: Connection, market: MarketRow, first: int, last: int
) -> Iterator[MinedBlock]:
    """The blocks of a range as the evidence in the record has them."""
    blocks, transactions, events = (
        _select(connection, table, market.id, first, last) for table in tables.EVIDENCE
    )
    logs: dict[tuple[int, int], list[MinedLog]] = {}
    for row in events:
        topics = tuple(row.topics[at : at + WORD] for at in range(0, len(row.topics), WORD))
        logs.setdefault((row.block, row.position), []).append(
            MinedLog(row.log_index, topics, row.data)
        )
        if row.name != type(_decoded(row.block, logs[row.block, row.position][-1])).__name__:
            raise Difference(
                f"table events, block {row.block}, log {row.log_index}: it is no {row.name}"
            )
    mined: dict[int, list[MinedTransaction]] = {}
    for row in transactions:
        of = logs.pop((row.block, row.position), [])
        mined.setdefault(row.block, []).append(
            MinedTransaction(
                *(row.position, row.hash, row.sender, row.gas_used, row.gas_price), tuple(of)
            )
        )
        if not of:
            raise Difference(f"block {row.block}, transaction {row.hash}: table events has no log")
    for block, position in logs:
        raise Difference(
            f"block {block}: table events has logs of transaction {position}, which is not in "
            "table transactions"
        )
    for row in blocks:
        yield MinedBlock(row.number, row.hash, row.timestamp, tuple(mined.pop(row.number, ())))
    for block in mined:
        raise Difference(f"block {block}: it is missing in table blocks")


def _receipts(block: MinedBlock) -> Iterator[Receipt]:
    for transaction in block.transactions:
        yield Receipt(
            events=tuple(_decoded(block.number, log) for log in transaction.logs),
            timestamp=block.timestamp,
            gas_used=transaction.gas_used,
            transaction=transaction.hash,
            block=block.number,
        )


def _decoded(block: int, log: MinedLog) -> Event:
    try:
        return decode(log.topics, log.data)
    except ContradictoryChain:
        raise Difference(
            f"block {block}, log {log.index}: the contract cannot have made it"
        ) from None


# ------------------------------------------------------------------ the chain


def _compare_cursor(market: MarketRow, source: MarketSource) -> None:
    identity = source.identity()
    for name in ("chain_id", "genesis", "address", "period_length"):
        _compare(f"{name} of the market", getattr(market, name), getattr(identity, name))
    if not market.cursor_hash:
        return
    header = source.header(market.cursor_block)
    where = f"block {market.cursor_block}, the last that was read"
    if header is None:
        raise Difference(f"{where}: the chain has no such block")
    _compare(f"{where}: hash", market.cursor_hash, header.hash)
    _compare(f"{where}: time", market.cursor_time, header.timestamp)


def _compare_blocks(stored: list[MinedBlock], on_chain: list[MinedBlock]) -> None:
    for ours, theirs in zip_longest(stored, on_chain):
        if ours is None or (theirs is not None and theirs.number < ours.number):
            raise Difference(f"block {theirs.number}: it is missing in the record")
        if theirs is None or ours.number < theirs.number:
            raise Difference(f"block {ours.number}: on the chain the market logged nothing there")
        where = f"block {ours.number}"
        _compare(f"{where}: hash", ours.hash, theirs.hash)
        _compare(f"{where}: time", ours.timestamp, theirs.timestamp)
        for mine, other in zip_longest(ours.transactions, theirs.transactions):
            _compare_transactions(where, mine, other)


def _compare_transactions(
    where: str, ours: MinedTransaction | None, theirs: MinedTransaction | None
) -> None:
    if ours is None or theirs is None:
        found = ours or theirs
        assert found is not None  # one of them is longer
        missing = "the record" if ours is None else "the chain"
        raise Difference(f"{where}, transaction {found.hash}: it is missing in {missing}")
    where = f"{where}, transaction {theirs.hash}"
    for name in ("position", "hash", "sender", "gas_used", "gas_price"):
        _compare(f"{where}: {name}", getattr(ours, name), getattr(theirs, name))
    for mine, other in zip_longest(ours.logs, theirs.logs):
        if mine is None or other is None:
            missing = "the record" if mine is None else "the chain"
            raise Difference(f"{where}, log {(mine or other).index}: it is missing in {missing}")
        if mine != other:
            told, said = (decode(log.topics, log.data) for log in (mine, other))
            raise Difference(
                f"{where}, log {other.index}: the record says {told}, the chain {said}"
            )


def _compare(what: str, recorded: object, on_chain: object) -> None:
    if recorded != on_chain:
        raise Difference(f"{what}: the record says {recorded}, the chain {on_chain}")


# ------------------------------------------------------------------ what was derived


def _compare_derived(
    connection: Connection,
    market: MarketRow,
    derivation: Derivation,
    blocks: list[MinedBlock],
    first: int,
    last: int,
) -> int:
    """Compares the derived rows of a range with what its events say; how many there are."""
    try:
        expected = derivation.rows_of(blocks)
    except ContradictoryChain as error:
        raise Difference(str(error)) from None
    count = 0
    for table in tables.DERIVED:
        found = [tuple(row) for row in _select(connection, table, market.id, first, last)]
        for row, right in zip_longest(found, expected[table]):
            if row != right:
                raise Difference(_described(table, row, right))
        count += len(found)
    return count


def _described(table: Table, row: Row | None, right: Row | None) -> str:
    """Where a row is, or is not, and in what it differs from the right one."""
    names = [column.name for column in table.columns]
    of = ["block", "log_index", *([_NAMED_BY[table]] if table in _NAMED_BY else [])]
    places = [
        tuple(each[names.index(name)] for name in of) if each else None for each in (row, right)
    ]
    if places[0] == places[1] and row is not None and right is not None:
        name, said, told = next(
            each for each in zip(names, row, right, strict=True) if each[1] != each[2]
        )
        return f"{_place(table, names, right)}: {name}: the record says {said}, the events {told}"
    if places[0] is None or (places[1] is not None and places[1] < places[0]):
        assert right is not None  # one of them is
        return f"{_place(table, names, right)}: the row is missing"
    assert row is not None
    return f"{_place(table, names, row)}: the row follows from no event"


def _place(table: Table, names: list[str], row: Row) -> str:
    of = dict(zip(names, row, strict=True))
    item = f", {_NAMED_BY[table]} {of[_NAMED_BY[table]]}" if table in _NAMED_BY else ""
    return f"table {table.name}, block {of['block']}, log {of['log_index']}{item}"
