"""Transactions on the disk before they are sent: what is here is not forgotten.

One file for each chain, known by its chain id and its first block, which all
processes of a machine share. A transaction has one nonce of its account and one
or more attempts: the signed bytes, each with a higher fee than the one before.
At most one of the attempts can ever be mined, because they share the nonce.

    open ──▶ mined ──▶ settled        mined deep enough to stay
      ▲        │
      └────────┘ reorganisation
    open ──▶ failed                   mined without effect
    open ──▶ void                     withdrawn: a transfer of nothing has its nonce

Written with `sqlite3`, because it stands before each transaction, those of the
embedded chain too, for which it is kept in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from threading import RLock
from typing import Any

from energy_chain.errors import InvalidInput
from energy_chain.folders import home_folder
from energy_chain.market import Address
from energy_chain.sqlite_files import BUSY_SECONDS, make_private


class State(StrEnum):
    """How far a transaction is."""

    OPEN = "open"
    MINED = "mined"
    SETTLED = "settled"
    FAILED = "failed"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Form:
    """What is signed of a transaction, besides what its gas may cost.

    Attributes:
        nonce: of its account.
        to: the contract; None deploys.
        data: the call, in hexadecimal; empty once the transaction is settled.
        gas: the most it may use.
        value: wei to move.
    """

    nonce: int
    to: Address | None
    data: str
    gas: int
    value: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed form of a transaction.

    Attributes:
        hash: 0x and 64 hexadecimal digits.
        raw: what is sent.
        price: the most wei a unit of gas that it offers.
        tip: of those, the most for whoever builds the block; equal to `price` where the chain has
            no base fee.
        cancels: whether it moves nothing and only uses up the nonce.
        signed_at: Unix seconds.
    """

    hash: str
    raw: bytes
    price: int
    tip: int
    cancels: bool
    signed_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction.

    Attributes:
        id: counts up.
        key: what its caller calls it; None where it has no name, or is over without effect.
        account: who signs.
        form: what is signed.
        call: what people call it.
        expires: chain time, in Unix seconds, from which on it must not be mined; None for never.
        created_at: Unix seconds.
        state: how far it is.
        transaction: hash of the attempt that was mined.
        block: number of its block.
        block_hash: hash of its block.
        attempts: the latest first.
    """

    id: int
    key: str | None
    account: Address
    form: Form
    call: str
    expires: int | None
    created_at: float
    state: State
    transaction: str | None
    block: int | None
    block_hash: str | None
    attempts: tuple[Attempt, ...]

    @property
    def is_withdrawn(self) -> bool:
        """Whether an attempt to withdraw it is under way, or was mined."""
        return any(attempt.cancels for attempt in self.attempts)


_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    "key" TEXT,
    account TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    "to" TEXT,
    data TEXT NOT NULL,
    gas INTEGER NOT NULL,
    value TEXT NOT NULL,
    call TEXT NOT NULL,
    expires INTEGER,
    created_at REAL NOT NULL,
    state TEXT NOT NULL,
    "transaction" TEXT,
    block INTEGER,
    block_hash TEXT,
    UNIQUE (account, "key")
);
CREATE INDEX IF NOT EXISTS by_state ON entries (account, state, nonce);
CREATE TABLE IF NOT EXISTS attempts (
    hash TEXT PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    raw BLOB NOT NULL,
    price TEXT NOT NULL,
    tip TEXT NOT NULL,
    cancels INTEGER NOT NULL,
    signed_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS of_entry ON attempts (entry);
"""
_COLUMNS = (
    'id, "key", account, nonce, "to", data, gas, value, call, expires, created_at, state, '
    '"transaction", block, block_hash'
)


def outbox_file(chain_id: int, genesis: str) -> Path:
    """Where the outbox of a chain is, known by its chain id and the hash of its block 0."""
    return home_folder() / "outbox" / f"{chain_id}-{genesis[2:18]}.sqlite"


def outbox_files(chain_id: int) -> list[Path]:
    """The outboxes that are kept here of chains with a chain id, also of those that are lost."""
    return sorted((home_folder() / "outbox").glob(f"{chain_id}-*.sqlite"))


class Outbox:
    """The transactions of one chain that were sent from this machine. Threads may share it."""

    # What is put together into SQL here is written in this class; every value is bound.

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = RLock()
        connection.row_factory = sqlite3.Row
        connection.executescript(_SCHEMA)

    @classmethod
    def in_memory(cls) -> Outbox:
        """For a chain that ends with this process."""
        return cls(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))

    @classmethod
    def open(cls, path: Path) -> Outbox:
        """The outbox in a file, made where there is none.

        What a call has written is on the disk when the call returns.

        Raises:
            InvalidInput: the file cannot be used.
        """
        make_private(path, "ENERGY_CHAIN_HOME")
        try:
            connection = sqlite3.connect(
                path, BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            return cls(connection)
        except sqlite3.DatabaseError as error:
            raise InvalidInput(
                f"{path} cannot be used as an outbox ({error}): move it away if nothing in it is "
                "waited for, or restore it"
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that writes: all of it or nothing, one at a time among all processes."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    # reading

    def get(self, id: int) -> Entry | None:
        """A transaction by its id; None once it was taken out."""
        return next(self._entries("id = ?", id), None)

    def of_key(self, account: Address, key: str) -> Entry | None:
        """A transaction of an account by its key: under way, or with effect."""
        return next(self._entries('account = ? AND "key" = ?', account, key), None)

    def unsettled(self, account: Address, state: State) -> list[Entry]:
        """The open or mined transactions of an account, by nonce."""
        return list(self._entries("account = ? AND state = ? ORDER BY nonce", account, state))

    def listed(self, limit: int, all_states: bool = False) -> list[Entry]:
        """The latest transactions of all accounts, the oldest first; those under way, or all."""
        wanted = "1" if all_states else f"state = '{State.OPEN}'"
        return list(self._entries(f"{wanted} ORDER BY id DESC LIMIT ?", limit))[::-1]

    def waiting(self, accounts: Iterable[Address] | None = None) -> tuple[int, float | None]:
        """How many transactions are under way, and since when, in Unix seconds, the oldest is."""
        query, values = f"state = '{State.OPEN}'", list(accounts or ())
        if values:
            query += f" AND account IN ({', '.join('?' * len(values))})"
        with self._lock:
            row = self._connection.execute(
                f"SELECT count(*), min(created_at) FROM entries WHERE {query}",  # nosec B608
                values,
            ).fetchone()
        return int(row[0]), row[1]

    def next_nonce(self, account: Address, on_chain: int) -> int:
        """The nonce that follows all of an account that are used or under way.

        Args:
            account: whose.
            on_chain: how many transactions of it the chain has, waiting ones too.
        """
        with self._lock:
            row = self._connection.execute(
                "SELECT max(nonce) FROM entries WHERE account = ? AND state IN (?, ?)",
                (account, State.OPEN, State.MINED),
            ).fetchone()
        return on_chain if row[0] is None else max(on_chain, int(row[0]) + 1)

    def newest_mined(self, account: Address) -> tuple[Entry, int] | None:
        """The mined transaction of an account with the highest nonce, and the oldest's block."""
        newest = "account = ? AND state = ? ORDER BY nonce DESC LIMIT 1"
        found = next(self._entries(newest, account, State.MINED), None)
        if found is None:
            return None
        with self._lock:
            (oldest,) = self._connection.execute(
                "SELECT min(block) FROM entries WHERE account = ? AND state = ?",
                (account, State.MINED),
            ).fetchone()
        return found, int(oldest)

    def _entries(self, condition: str, *values: Any) -> Iterator[Entry]:
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE {condition}",  # nosec B608
                values,
            ).fetchall()
            return iter([self._entry(row) for row in rows])

    def _entry(self, row: sqlite3.Row) -> Entry:
        attempts = self._connection.execute(
            "SELECT hash, raw, price, tip, cancels, signed_at FROM attempts WHERE entry = ? "
            "ORDER BY rowid DESC",
            (row["id"],),
        )
        return Entry(
            id=row["id"],
            key=row["key"],
            account=row["account"],
            form=Form(row["nonce"], row["to"], row["data"], row["gas"], int(row["value"])),
            call=row["call"],
            expires=row["expires"],
            created_at=row["created_at"],
            state=State(row["state"]),
            transaction=row["transaction"],
            block=row["block"],
            block_hash=row["block_hash"],
            attempts=tuple(
                Attempt(
                    each["hash"],
                    each["raw"],
                    int(each["price"]),
                    int(each["tip"]),
                    bool(each["cancels"]),
                    each["signed_at"],
                )
                for each in attempts
            ),
        )

    # writing

    def add(
        self,
        account: Address,
        form: Form,
        call: str,
        first: Attempt,
        key: str | None = None,
        expires: int | None = None,
    ) -> Entry:
        """Remembers a transaction and its first attempt.

        Call it in `writing` together with `next_nonce`, so that nobody else takes the nonce.
        """
        values = {
            "key": key,
            "account": account,
            **asdict(form),
            "value": str(form.value),  # wei may be more than SQLite's integers hold
            "call": call,
            "expires": expires,
            "created_at": first.signed_at,
            "state": State.OPEN,
        }
        with self.writing():
            id = self._insert("INSERT INTO entries", values)
            self.attempt(id, first)
        entry = self.get(id)
        assert entry is not None  # just written
        return entry

    def attempt(self, id: int, attempt: Attempt) -> None:
        """Remembers another attempt at a transaction; one that is known already is left alone."""
        values = asdict(attempt) | {"entry": id}
        values |= {"price": str(attempt.price), "tip": str(attempt.tip)}
        with self.writing():
            self._insert("INSERT OR IGNORE INTO attempts", values)

    def _insert(self, into: str, values: dict[str, Any]) -> int:
        columns = ", ".join(f'"{name}"' for name in values)
        slots = ", ".join(f":{name}" for name in values)
        done = self._connection.execute(
            f"{into} ({columns}) VALUES ({slots})",
            values,
        )
        return int(done.lastrowid or 0)

    def mined(
        self, id: int, transaction: str, block: int, block_hash: str, succeeded: bool
    ) -> None:
        """One of a transaction's attempts is in a block."""
        with self.writing():
            row = self._connection.execute(
                "SELECT cancels FROM attempts WHERE hash = ?", (transaction,)
            ).fetchone()
            state = State.MINED if succeeded else State.FAILED
            if row is not None and row["cancels"]:
                state = State.VOID
            self._connection.execute(
                'UPDATE entries SET state = ?, "transaction" = ?, block = ?, block_hash = ? '
                "WHERE id = ?",
                (state, transaction, block, block_hash, id),
            )

    def refuse(self, id: int) -> None:
        """A node has refused a transaction with a key: it is looked for before the next one."""
        with self.writing():
            self._connection.execute("UPDATE entries SET state = ? WHERE id = ?", (State.VOID, id))

    def release(self, id: int) -> None:
        """A transaction is over without effect: its key may be used again."""
        with self.writing():
            self._connection.execute('UPDATE entries SET "key" = NULL WHERE id = ?', (id,))

    def reopen(self, id: int) -> None:
        """The block of a mined transaction is no longer in the chain."""
        with self.writing():
            self._connection.execute(
                'UPDATE entries SET state = ?, "transaction" = NULL, block = NULL, '
                "block_hash = NULL WHERE id = ? AND state IN (?, ?, ?)",
                (State.OPEN, id, State.MINED, State.FAILED, State.VOID),
            )

    def renumber(self, id: int, nonce: int, attempt: Attempt) -> None:
        """Another transaction has used a nonce; the attempts with it are still looked for."""
        with self.writing():
            self._connection.execute("UPDATE entries SET nonce = ? WHERE id = ?", (nonce, id))
            self.attempt(id, attempt)

    def settle(self, account: Address, block: int) -> None:
        """What is mined up to a block stays: its hash and key are kept, its bytes are not."""
        mined = "account = ? AND state = ? AND block <= ?"
        values = (account, State.MINED, block)
        with self.writing():
            self._connection.execute(
                f"DELETE FROM attempts WHERE entry IN (SELECT id FROM entries WHERE {mined})",  # nosec B608
                values,
            )
            self._connection.execute(
                f"UPDATE entries SET state = ?, data = '' WHERE {mined}",  # nosec B608
                (State.SETTLED, *values),
            )

    def withdraw(self, id: int) -> None:
        """A transaction that was never sent, or can never be mined, is over without effect."""
        with self.writing():
            # Signed anew, the same call has the same hash.
            self._connection.execute("DELETE FROM attempts WHERE entry = ?", (id,))
            self._connection.execute(
                'UPDATE entries SET state = ?, "key" = NULL WHERE id = ?', (State.VOID, id)
            )
