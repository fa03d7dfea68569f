"""Brings a record up to date with its market, and keeps it there.

Blocks are read a stretch at a time, and a stretch is one transaction of the
database, cursor included: whenever the indexer is killed, the record is that of
some block. Where the chain was reorganised, what is above the newest block that is
still the chain's is deleted and read anew. Several indexers may run at once: each
stretch is written by one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from energy_chain.errors import ContradictoryChain
from energy_chain.record import sums
from energy_chain.record.bulk import insert_rows
from energy_chain.record.derive import Derivation, Rows
from energy_chain.record.identity import Identity, MarketRow
from energy_chain.record.source import Header, MarketSource
from energy_chain.record.store import Record
from energy_chain.record.tables import APPENDED, block_column, blocks, events, markets
from energy_chain.trouble import Troubles

STRETCH = 500
"""Blocks that are read first; less where much happens in them, more where little does."""
LONGEST_STRETCH = 2_000
FEW_EVENTS, MANY_EVENTS = 1_000, 10_000
ATTEMPTS = 10
"""How often a stretch is read that was reorganised meanwhile."""
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did.

    Attributes:
        block: the last block that is in the record now; below the first where none is.
        blocks: blocks that were read.
        events: logs that were added.
        rolled_back: blocks at whose end the record had to go back; 0 without a reorganisation.
    """

    block: int
    blocks: int
    events: int
    rolled_back: int


class _Reorganised(Exception):
    """The chain changed while a stretch was read: it has to be read again."""


class _Stretch(NamedTuple):
    """Where the record stands after a stretch, and what was added."""

    cursor: MarketRow
    blocks: int
    events: int


class Indexer:
    """Keeps the record of one market."""

    def __init__(self, record: Record, source: MarketSource) -> None:
        """Puts the market into the record, under the name that its chain has now."""
        self._record = record
        self._source = source
        self._derivation: Derivation | None = None
        self._derived_to: tuple[int, str] | None = None
        self._stretch = STRETCH
        self.market = _enter(record, source.identity())

    def update(
        self, progress: Callable[[int, int], None] = lambda *_: None, until: int | None = None
    ) -> Update:
        """Reads up to the latest block that is settled.

        Args:
            progress: told after each stretch the block that was reached, and the one to reach.
            until: the last block to read; all that is settled when None.

        Raises:
            ChainError: the chain cannot be read, or what it tells does not fit together. What was
                read before is in the record.
        """
        cursor = self._standing()
        read = added = rolled_back = attempts = 0
        settled = self._settled(until)
        while True:
            if not self._is_of_the_chain(cursor):
                back_to = self._roll_back(cursor)
                rolled_back += max(0, cursor.cursor_block - back_to.cursor_block)
                cursor = back_to
            if cursor.cursor_block >= settled:
                return Update(cursor.cursor_block, read, added, rolled_back)
            last = min(cursor.cursor_block + self._stretch, settled)
            try:
                done = self._read(cursor, last)
            except _Reorganised as error:
                attempts += 1
                if attempts == ATTEMPTS:
                    raise ContradictoryChain(str(error)) from error
                settled, cursor = self._settled(until), self._standing()
                continue
            attempts = 0
            cursor = done.cursor
            read += done.blocks
            added += done.events
            progress(cursor.cursor_block, settled)

    def follow(
        self,
        stop: Event,
        told: Callable[[Update], None] = lambda _: None,
        trouble: Callable[[str], None] = lambda _: None,
        seconds: float = POLL_SECONDS,
    ) -> None:
        """Updates until it is told to stop, and goes on when the chain fails.

        Args:
            stop: ends it.
            told: hears of each update that changed something.
            trouble: hears of what failed, once until it is over or another trouble comes; it is
                tried again.
            seconds: between two updates.

        Raises:
            WrongChain, NotOurContract: the market is gone.
        """
        follow([self], stop, lambda _, done: told(done), trouble, seconds)

    def _settled(self, until: int | None) -> int:
        settled = self._source.settled()
        return settled if until is None else min(settled, until)

    def _standing(self) -> MarketRow:
        with self._record.reading() as connection:
            return _market_row(connection, self.market.id)

    def _is_of_the_chain(self, cursor: MarketRow) -> bool:
        if not cursor.cursor_hash:
            return True
        header = self._source.header(cursor.cursor_block)
        return header is not None and header.hash == cursor.cursor_hash

    def _read(self, cursor: MarketRow, last: int) -> _Stretch:
        """Reads a stretch.

        Raises:
            _Reorganised: the chain was, meanwhile.
            ContradictoryChain: what was read has no place in the record.
        """
        end = self._source.header(last)
        try:
            found = list(self._source.blocks(cursor.cursor_block + 1, last))
        except ContradictoryChain as error:
            raise _Reorganised(str(error)) from error
        # A block's hash stands for all before it: these two are of one chain, and so is the rest.
        if end is None or self._source.header(last) != end or not self._is_of_the_chain(cursor):
            raise _Reorganised(
                f"the chain is reorganised again and again around block {last}: set confirmations "
                "for this network, or try again later"
            )
        with self._record.writing() as connection:
            now = _market_row(connection, cursor.id, lock=True)
            if now != cursor:
                return _Stretch(now, 0, 0)  # another indexer was faster
            try:
                rows = self._derivation_at(connection, now).rows_of(found)
                moved = _write(connection, now, rows, last, end)
            except BaseException:
                self._derivation = None
                raise
        self._derived_to = (moved.cursor_block, moved.cursor_hash)
        self._adapt(len(rows[events]))
        return _Stretch(moved, last - cursor.cursor_block, len(rows[events]))

    def _derivation_at(self, connection: Connection, cursor: MarketRow) -> Derivation:
        if self._derivation is None or self._derived_to != (
            cursor.cursor_block,
            cursor.cursor_hash,
        ):
            self._derivation = Derivation.resume(connection, cursor.id)
        self._derived_to = None  # until what follows is written
        return self._derivation

    def _roll_back(self, cursor: MarketRow) -> MarketRow:
        with self._record.writing() as connection:
            now = _market_row(connection, cursor.id, lock=True)
            if now != cursor:
                return now
            block, header = self._newest_of_the_chain(connection, now)
            since = sums.touched(connection, now, block)
            for table in APPENDED:
                connection.execute(
                    delete(table).where((table.c.market == now.id) & (block_column(table) > block))
                )
            if since is not None:
                sums.remake(connection, now, since)
            return _move(connection, now, block, header)

    def _newest_of_the_chain(
        self, connection: Connection, market: MarketRow
    ) -> tuple[int, Header | None]:
        stored = connection.execute(
            select(blocks.c.number, blocks.c.hash)
            .where(blocks.c.market == market.id)
            .order_by(blocks.c.number.desc())
        )
        for number, hash in stored:
            header = self._source.header(number)
            if header is not None and header.hash == hash:
                stored.close()
                return number, header
        return market.first_block - 1, None

    def _adapt(self, count: int) -> None:
        if count < FEW_EVENTS:
            self._stretch = min(2 * self._stretch, LONGEST_STRETCH)
        elif count > MANY_EVENTS:
            self._stretch = max(self._stretch // 2, 1)


def follow(
    indexers: Sequence[Indexer],
    stop: Event,
    told: Callable[[Indexer, Update], None],
    trouble: Callable[[str], None],
    seconds: float = POLL_SECONDS,
) -> None:
    """Updates several markets in turn until it is told to stop; as `Indexer.follow`."""
    troubles = {indexer: Troubles(trouble) for indexer in indexers}
    while not stop.is_set():
        for indexer in indexers:
            if stop.is_set():
                break
            with troubles[indexer]:
                done = indexer.update()
                if done.blocks or done.rolled_back:
                    told(indexer, done)
        stop.wait(seconds)


def _enter(record: Record, identity: Identity) -> MarketRow:
    same = (
        (markets.c.chain_id == identity.chain_id)
        & (markets.c.genesis == identity.genesis)
        & (markets.c.address == identity.address)
    )
    with record.writing(alone=True) as connection:
        found = connection.execute(select(markets).where(same)).first()
        if found is not None:
            renamed = update(markets).where(same).values(network=identity.network)
            connection.execute(renamed)
            return _market_row(connection, found.id)
        made = connection.execute(
            insert(markets).values(
                chain_id=identity.chain_id,
                genesis=identity.genesis,
                address=identity.address,
                first_block=identity.first_block,
                period_length=identity.period_length,
                network=identity.network,
                cursor_block=identity.first_block - 1,
                cursor_hash="",
                cursor_time=0,
            )
        )
        (id,) = made.inserted_primary_key or (0,)
        return _market_row(connection, id)


def _market_row(connection: Connection, id: int, lock: bool = False) -> MarketRow:
    wanted = select(markets).where(markets.c.id == id)
    # SQLite has no such lock: there a transaction that writes is alone anyway.
    row = connection.execute(wanted.with_for_update() if lock else wanted).one()
    return MarketRow(**row._mapping)


def _write(
    connection: Connection, market: MarketRow, rows: Rows, last: int, end: Header
) -> MarketRow:
    for table, some in rows.items():
        insert_rows(connection, table, some)
    sums.add(connection, market, rows)
    return _move(connection, market, last, end)


def _move(
    connection: Connection, market: MarketRow, block: int, header: Header | None
) -> MarketRow:
    connection.execute(
        update(markets)
        .where(markets.c.id == market.id)
        .values(
            cursor_block=block,
            cursor_hash=header.hash if header else "",
            cursor_time=header.timestamp if header else 0,
        )
    )
    return _market_row(connection, market.id)
