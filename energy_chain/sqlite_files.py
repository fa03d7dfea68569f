"""SQLite files of ours: only their owner reads them, and transactions begin where we say.

Whatever a transaction has written is on the disk when it ends, unless `durable` is
false. A reader never waits for a writer (write-ahead log); writers wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import DatabaseError
from sqlalchemy.schema import CreateColumn

from energy_chain.errors import InvalidInput

BUSY_SECONDS = 30
"""To wait for another writer."""


def make_private(path: Path, option: str) -> None:
    """Makes a file that only its owner can read, and its folder, where there is none.

    Args:
        path: of the file.
        option: of the command line, that gives another one.

    Raises:
        InvalidInput: it cannot be opened.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be opened ({error.strerror}): give {option} a file that can"
        ) from error


def sqlite_engine(path: Path, durable: bool = True, pragmas: Sequence[str] = ()) -> Engine:
    """An engine for a file.

    Args:
        path: of the file.
        durable: whether a power cut may not cost a transaction; nothing is ever torn.
        pragmas: for each connection, besides those.
    """
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
    )
    synchronous = f"synchronous = {'FULL' if durable else 'NORMAL'}"

    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where `_begin` says so
        for pragma in ("journal_mode = WAL", synchronous, *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads."""
    with engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: all of it or nothing, and one at a time."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def about_table(metadata: MetaData) -> Table:
    """The table that tells what a store is about, for `claim` and `read_about`."""
    return Table(
        "about",
        metadata,
        Column("name", String, primary_key=True),
        Column("value", String, nullable=False),
    )


def claim(
    engine: Engine, path: Path, metadata: MetaData, about: Table, fresh: Mapping[str, str]
) -> dict[str, str]:
    """Makes the tables of a store where there are none, and returns what it is about.

    With what `fresh` says every store has an `id`, made at random with it: another store that is
    made later at the same place has another one.

    Args:
        engine: of the file.
        path: of the file.
        metadata: its tables.
        about: the one of them that `about_table` has made.
        fresh: what a new store is about.

    Raises:
        InvalidInput: the file cannot be used.
    """
    try:
        with writing(engine) as connection:
            metadata.create_all(connection)
            _add_columns(connection, metadata)
            found = _about(connection, about)
            new = {} if found else dict(fresh)
            if "id" not in found:
                new["id"] = uuid4().hex
            if new:
                rows = [{"name": name, "value": value} for name, value in new.items()]
                connection.execute(insert(about), rows)
    except DatabaseError as error:
        raise _unusable(path, error) from error
    return found | new


def read_about(engine: Engine, path: Path, about: Table) -> dict[str, str]:
    """What a store that is there is about.

    Raises:
        InvalidInput: the file cannot be used.
    """
    try:
        with reading(engine) as connection:
            return _about(connection, about)
    except DatabaseError as error:
        raise _unusable(path, error) from error


def _add_columns(connection: Connection, metadata: MetaData) -> None:
    """Adds what the tables of a store that was made earlier lack."""
    there = inspect(connection)
    for table in metadata.sorted_tables:
        known = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                told = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {told}")


def _about(connection: Connection, about: Table) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(about))}


def _unusable(path: Path, error: DatabaseError) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be used as a store ({type(error.orig).__name__}): give --store another file"
    )


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
