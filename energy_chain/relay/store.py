"""What the relay remembers: one SQLite file for each market.

Whatever a method has written is on the disk when it returns. Energies are
whole Wh, times Unix seconds. Signatures are no secrets, but who needs how much
energy is nobody's business: only the file's owner can read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as insert_or_not

from energy_chain.errors import InvalidInput
from energy_chain.market import Address
from energy_chain.signing import Kind, OrderTerms, SignedOrder
from energy_chain.sqlite_files import (
    about_table,
    claim,
    make_private,
    reading,
    sqlite_engine,
    writing,
)

FORMAT = "1"
"""Of the file; another one is not read."""
REMEMBERED = 128
"""Blocks whose hashes are remembered: so many steps back are there in a reorganisation."""


class State(StrEnum):
    """Where an order is on its way."""

    ACCEPTED = "accepted"
    SENT = "sent"
    ON_CHAIN = "on chain"
    MATCHED = "matched"
    REFUSED = "refused"
    EXPIRED = "expired"


OVER = (State.REFUSED, State.EXPIRED)
"""An order in one of these states is in no other order's way."""

_METADATA = MetaData()
about = about_table(_METADATA)
orders = Table(
    "orders",
    _METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("kind", Integer, nullable=False),
    Column("meter", String(collation="NOCASE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("energy", Integer, nullable=False),
    Column("limit_price", Integer, nullable=False),
    Column("period", Integer, nullable=False),
    Column("deadline", Integer, nullable=False),
    Column("r", String, nullable=False),
    Column("vs", String, nullable=False),
    Column("accepted_at", Float, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("batch", Integer, index=True),
    Column("reason", String),
    Column("transaction", String),
    Column("block", Integer),
    Column("counter", Integer),
    Column("matched", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,
)
_LIVE = orders.c.state.not_in(OVER)
# What the contract allows once, the relay takes once, however many ask at the same time.
Index(
    "one_of_each",
    orders.c.number,
    orders.c.kind,
    orders.c.period,
    unique=True,
    sqlite_where=orders.c.state.not_in([str(state) for state in OVER]),
)
Index("orders_of_meter", orders.c.meter, orders.c.seq)
batches = Table(
    "batches",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("orders", Integer, nullable=False),
    Column("sent_at", Float, nullable=False),
    Column("transaction", String),
    Column("block", Integer),
    Column("gas", Integer),
    Column("closed", Integer, nullable=False, default=0, index=True),
)
matches = Table(
    "matches",
    _METADATA,
    Column("seq", Integer, primary_key=True),
    Column("match", Integer, primary_key=True),
    Column("energy", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("partner", String),
)
followed_blocks = Table(
    "followed_blocks",
    _METADATA,
    Column("number", Integer, primary_key=True),
    Column("hash", String, nullable=False),
)
queue = Table(
    "queue",
    _METADATA,
    Column("kind", Integer, primary_key=True),
    Column("counter", Integer, primary_key=True),
    Column("left", Integer, nullable=False),
    Column("seq", Integer),
)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that passed the door.

    Attributes:
        id: the receipt id.
        meter: who signed it.
        number: the meter's number.
        signed: the order.
    """

    id: str
    meter: Address
    number: int
    signed: SignedOrder


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """A line of the table of orders."""

    seq: int
    id: str
    kind: int
    meter: Address
    number: int
    energy: int
    limit_price: int
    period: int
    deadline: int
    r: str
    vs: str
    accepted_at: float
    state: str
    batch: int | None
    reason: str | None
    transaction: str | None
    block: int | None
    counter: int | None
    matched: int

    @property
    def signed(self) -> SignedOrder:
        """The order as it was signed."""
        terms = OrderTerms(
            Kind(self.kind), self.energy, self.period, self.deadline, self.limit_price
        )
        return SignedOrder(terms, int(self.r, 16), int(self.vs, 16))


@dataclass(frozen=True, slots=True)
class StoredMatch:
    """A match of an order; `partner` is None until the chain was asked who it is."""

    match: int
    energy: int
    partner: Address | None


@dataclass(frozen=True, slots=True)
class Batch:
    """A transaction that posts orders; its hash is the latest that is known, None before any."""

    id: int
    orders: int
    sent_at: float
    transaction: str | None
    block: int | None
    gas: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Accepted orders of a period: how many, since when, and until when at the most."""

    count: int
    since: float | None
    deadline: int | None


class SlotTaken(Exception):
    """Another order of the same meter, kind and period is in the way."""

    def __init__(self, order: StoredOrder) -> None:
        super().__init__(order.id)
        self.order = order


class Store:
    """The relay's memory of one market.

    Attributes:
        id: of its file; no other store has it, also not one that is made anew at the same place.
    """

    def __init__(self, engine: Engine, id: str = "") -> None:
        """What `open` has prepared."""
        self._engine = engine
        self.id = id

    @classmethod
    def open(cls, path: Path, market: str) -> Store:
        """Opens a file, and makes it where there is none.

        Args:
            path: of the file; its folder is made where needed.
            market: what tells the market from every other.

        Raises:
            InvalidInput: the file cannot be used, or is of another market.
        """
        make_private(path, "--store")
        engine = sqlite_engine(path)
        store = cls(engine)
        wanted = {"format": FORMAT, "market": market}
        try:
            found = claim(engine, path, _METADATA, about, wanted)
            if not wanted.items() <= found.items():
                raise InvalidInput(
                    f"{path} is of another market, or of a chain that has begun anew since: "
                    "move it away, or give --store another file"
                )
        except InvalidInput:
            store.close()
            raise
        store.id = found["id"]
        return store

    def close(self) -> None:
        """Closes the file."""
        self._engine.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that reads."""
        return reading(self._engine)

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that writes: all of it or nothing, and one at a time."""
        return writing(self._engine)

    # orders

    def add(self, order: NewOrder, accepted_at: float) -> tuple[StoredOrder, bool]:
        """Remembers an order. Returns it as it stands, and whether it is new.

        Raises:
            SlotTaken: another order of its meter, kind and period is in the way.
        """
        terms = order.signed.terms
        fresh = {
            "id": order.id,
            "kind": int(terms.kind),
            "meter": order.meter,
            "number": order.number,
            "energy": terms.energy,
            "limit_price": terms.limit_price,
            "period": terms.period,
            "deadline": terms.deadline,
            "r": f"{order.signed.r:x}",
            "vs": f"{order.signed.vs:x}",
            "accepted_at": accepted_at,
            "state": State.ACCEPTED,
        }
        with self.writing() as connection:
            done = connection.execute(insert_or_not(orders).values(fresh).on_conflict_do_nothing())
            found = _one(connection, orders.c.id == order.id)
            if found is not None:
                return found, done.rowcount == 1
            other = _one(connection, _slot(order.number, terms.kind, terms.period))
            assert other is not None  # nothing else is in an order's way
            raise SlotTaken(other)

    def get(self, id: str) -> StoredOrder | None:
        """The order of a receipt id."""
        with self.reading() as connection:
            return _one(connection, orders.c.id == id)

    def in_the_way(self, number: int, kind: Kind, period: int) -> StoredOrder | None:
        """The order of that meter number, kind and period that no other may follow."""
        with self.reading() as connection:
            return _one(connection, _slot(number, kind, period))

    def page(self, meter: Address, after: int, limit: int) -> list[StoredOrder]:
        """Orders of a meter behind order `after`, the oldest first."""
        wanted = (orders.c.meter == meter) & (orders.c.seq > after)
        with self.reading() as connection:
            return _many(connection, wanted, limit)

    def matches_of(self, seqs: Sequence[int]) -> dict[int, list[StoredMatch]]:
        """The matches of each of these orders."""
        found: dict[int, list[StoredMatch]] = {seq: [] for seq in seqs}
        with self.reading() as connection:
            wanted = select(matches).where(matches.c.seq.in_(seqs)).order_by(matches.c.match)
            for row in connection.execute(wanted):
                found[row.seq].append(StoredMatch(row.match, row.energy, row.partner))
        return found

    def counts(self) -> dict[State, int]:
        """How many orders are in each state."""
        counted = select(orders.c.state, func.count()).group_by(orders.c.state)
        with self.reading() as connection:
            found = {State(state): number for state, number in connection.execute(counted)}
        return {state: found.get(state, 0) for state in State}

    def accepted(self) -> int:
        """How many orders wait, of whichever period."""
        counted = select(func.count()).where(orders.c.state == State.ACCEPTED)
        with self.reading() as connection:
            return int(connection.scalar(counted) or 0)

    def waiting(self, period: int) -> Waiting:
        """The orders that wait to be posted in a period."""
        told = select(func.count(), func.min(orders.c.accepted_at), func.min(orders.c.deadline))
        with self.reading() as connection:
            return Waiting(*connection.execute(told.where(_accepted(period))).one())

    def oldest(self, period: int, after: int, limit: int) -> list[StoredOrder]:
        """The orders behind order `after` that wait to be posted in a period, the oldest first."""
        with self.reading() as connection:
            return _many(connection, _accepted(period) & (orders.c.seq > after), limit)

    def refuse(self, seq: int, reason: str) -> None:
        """An order that waits will not be posted."""
        wanted = (orders.c.seq == seq) & (orders.c.state == State.ACCEPTED)
        with self.writing() as connection:
            connection.execute(
                update(orders).where(wanted).values(state=State.REFUSED, reason=reason)
            )

    def expire(self, time: int, period: int, never: bool) -> None:
        """Ends what the market has left behind.

        Args:
            time: Unix time of a block up to which everything is known.
            period: of that block, as orders are signed for it.
            never: whether orders on chain never expire.
        """
        ends = _ends(time, period, never)
        with self.reading() as connection:
            some = any(connection.scalar(select(orders.c.seq).where(end).limit(1)) for end in ends)
        if some:
            with self.writing() as connection:
                expire(connection, time, period, never)

    # batches

    def begin_batch(self, seqs: Sequence[int], now: float) -> int:
        """Marks orders as sent, before they are. Returns the batch's id."""
        with self.writing() as connection:
            made = connection.execute(insert(batches).values(orders=len(seqs), sent_at=now))
            (batch,) = made.inserted_primary_key or (0,)
            connection.execute(
                update(orders)
                .where(orders.c.seq.in_(seqs) & (orders.c.state == State.ACCEPTED))
                .values(state=State.SENT, batch=batch)
            )
        return int(batch)

    def announce(self, batch: int, transaction: str) -> None:
        """Remembers the hash of a batch's transaction, the latest where it was signed anew."""
        with self.writing() as connection:
            connection.execute(
                update(batches).where(batches.c.id == batch).values(transaction=transaction)
            )
            connection.execute(
                update(orders)
                .where((orders.c.batch == batch) & (orders.c.state == State.SENT))
                .values(transaction=transaction)
            )

    def mined(self, batch: int, transaction: str, block: int, gas: int) -> None:
        """A batch's transaction is in a block; it may be another one than was announced last."""
        self.announce(batch, transaction)
        with self.writing() as connection:
            connection.execute(
                update(batches).where(batches.c.id == batch).values(block=block, gas=gas)
            )

    def close_batch(
        self,
        batch: int,
        block: int | None = None,
        skipped: Mapping[int, str] = MappingProxyType({}),
    ) -> int:
        """Ends a batch. Orders of it that are neither posted nor refused wait again.

        Args:
            batch: its id.
            block: of its transaction.
            skipped: why the contract did not take an order of it, by the r of its signature.

        Returns how many wait again.
        """
        sent = (orders.c.batch == batch) & (orders.c.state == State.SENT)
        with self.writing() as connection:
            connection.execute(update(batches).where(batches.c.id == batch).values(closed=1))
            for r, reason in skipped.items():
                connection.execute(
                    update(orders)
                    .where(sent & (orders.c.r == f"{r:x}"))
                    .values(state=State.REFUSED, reason=reason, block=block)
                )
            back = connection.execute(
                update(orders)
                .where(sent)
                .values(state=State.ACCEPTED, batch=None, transaction=None)
            )
            return back.rowcount

    def open_batches(self) -> list[Batch]:
        """Batches of which not everything is known yet."""
        with self.reading() as connection:
            rows = connection.execute(select(batches).where(batches.c.closed == 0))
            return [_batch(row) for row in rows]

    def last_batch(self) -> Batch | None:
        """The latest batch that was sent."""
        wanted = select(batches).where(batches.c.transaction.is_not(None))
        with self.reading() as connection:
            row = connection.execute(wanted.order_by(batches.c.id.desc()).limit(1)).first()
        return None if row is None else _batch(row)

    # the block up to which the market was followed

    def followed(self) -> int | None:
        """The block up to which everything is known; None in a new store."""
        with self.reading() as connection:
            value = connection.scalar(select(about.c.value).where(about.c.name == "followed"))
        return None if value is None else int(value)

    def followed_hashes(self, limit: int = REMEMBERED) -> list[tuple[int, str]]:
        """Numbers and hashes of blocks that were followed, the latest first.

        The first is the one up to which everything is known; a store that was followed by an
        earlier version, and not since, has none.
        """
        wanted = select(followed_blocks).order_by(followed_blocks.c.number.desc()).limit(limit)
        with self.reading() as connection:
            return [(row.number, row.hash) for row in connection.execute(wanted)]


def set_followed(connection: Connection, block: int, hashes: Mapping[int, str]) -> None:
    """Remembers the block up to which everything is known.

    Args:
        connection: in a transaction that writes.
        block: its number.
        hashes: of blocks that were followed, by their numbers.
    """
    fresh = insert_or_not(about).values(name="followed", value=str(block))
    connection.execute(fresh.on_conflict_do_update(["name"], set_={"value": str(block)}))
    connection.execute(delete(followed_blocks).where(followed_blocks.c.number > block))
    if hashes:
        rows = [{"number": number, "hash": hash} for number, hash in hashes.items()]
        connection.execute(insert(followed_blocks), rows)
        newest = select(followed_blocks.c.number).order_by(followed_blocks.c.number.desc())
        oldest = newest.offset(REMEMBERED - 1).limit(1).scalar_subquery()
        connection.execute(delete(followed_blocks).where(followed_blocks.c.number < oldest))


def _ends(time: int, period: int, never: bool) -> list[Any]:
    unposted = orders.c.state.in_((State.ACCEPTED, State.SENT)) & (orders.c.period < period)
    late = (orders.c.state == State.ACCEPTED) & (orders.c.deadline < time)
    unmatched = (orders.c.state == State.ON_CHAIN) & (orders.c.period < period)
    return [unposted, late] if never else [unposted, late, unmatched]


def expire(connection: Connection, time: int, period: int, never: bool) -> None:
    """As `Store.expire`, in a transaction."""
    for end in _ends(time, period, never):
        connection.execute(update(orders).where(end).values(state=State.EXPIRED))


def find_live(connection: Connection, number: int, kind: Kind, period: int) -> StoredOrder | None:
    """As `Store.in_the_way`, in a transaction."""
    return _one(connection, _slot(number, kind, period))


def _slot(number: int, kind: Kind, period: int) -> Any:
    of_meter = (orders.c.number == number) & (orders.c.kind == int(kind))
    return of_meter & (orders.c.period == period) & _LIVE


def _accepted(period: int) -> Any:
    return (orders.c.state == State.ACCEPTED) & (orders.c.period == period)


def _one(connection: Connection, wanted: Any) -> StoredOrder | None:
    found = _many(connection, wanted, 1)
    return found[0] if found else None


_NAMES = [field.name for field in fields(StoredOrder)]


def _many(connection: Connection, wanted: Any, limit: int) -> list[StoredOrder]:
    rows = connection.execute(select(orders).where(wanted).order_by(orders.c.seq).limit(limit))
    return [StoredOrder(**{name: row._mapping[name] for name in _NAMES}) for row in rows]


def _batch(row: Any) -> Batch:
    return Batch(row.id, row.orders, row.sent_at, row.transaction, row.block, row.gas)
