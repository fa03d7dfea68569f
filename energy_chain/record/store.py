"""Where the record is kept: a SQLite file, or a database that a URL names.

A reader never waits for the indexer: SQLite keeps a write-ahead log, PostgreSQL
its versions. Who needs how much energy is nobody's business: only the owner of a
file can read it, and the password in a URL is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    String,
    Table,
    and_,
    create_engine,
    func,
    insert,
    inspect,
    make_url,
    not_,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from energy_chain.errors import InvalidInput
from energy_chain.folders import home_folder
from energy_chain.market import Address
from energy_chain.record import sums
from energy_chain.record.identity import Identity, MarketRow
from energy_chain.record.plans import tell_sqlite
from energy_chain.record.tables import (
    APPENDED,
    METADATA,
    about,
    blocks,
    events,
    markets,
    matches,
    orders,
    transactions,
)
from energy_chain.sqlite_files import make_private, sqlite_engine

FORMAT = "2"
"""Of the tables; another one is not read, but for the one before."""
WITHOUT_SUMS = "1"
"""The format before there were sums: they are added when such a record is opened."""
ANEW = "move it away, and energy-chain record update makes a new one"
"""What to do about a record that is damaged."""
ALONE = 0x656E6572
"""Number of the lock under which a PostgreSQL server lets one process make tables or markets."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a record holds of a market."""

    events: int
    orders: int
    matches: int


def default_place() -> str:
    """The file of the record where nobody names another."""
    return str(home_folder() / "record.sqlite")


class Record:
    """A record that is open."""

    def __init__(self, engine: Engine, place: str) -> None:
        """What `open` has prepared; `place` is what to call it, without a password."""
        self._engine = engine
        self._folder: TemporaryDirectory[str] | None = None
        self.place = place

    @classmethod
    def open(cls, place: str | Path, must_exist: bool = False) -> Record:
        """Opens a record, and makes it where there is none.

        Args:
            place: a file's path, or a URL such as postgresql://host/database.
            must_exist: refuse a record that nobody has made yet.

        Raises:
            InvalidInput: it cannot be opened, is no record, or is of another format.
        """
        url = _url_of(place)
        shown = url.database or "" if _is_file(url) else _shown(url)
        try:
            if _is_file(url):
                _prepare_file(Path(url.database or ""), must_exist)
            record = cls(_engine(url), shown)
        except ModuleNotFoundError as error:
            raise InvalidInput(
                f"{shown} needs the Python package {error.name}: "
                "pip install 'energy-chain[postgres]'"
            ) from error
        try:
            record._prepare(must_exist)
        except BaseException:
            record.close()
            raise
        return record

    @classmethod
    def temporary(cls) -> Record:
        """A record in a file that is gone once it is closed."""
        folder = TemporaryDirectory(prefix="energy-chain-")
        record = cls.open(Path(folder.name) / "record.sqlite")
        record._folder = folder
        return record

    def _prepare(self, must_exist: bool) -> None:
        with self.writing(alone=True) as connection:
            made = inspect(connection).has_table(about.name)
            if must_exist and not made:
                raise InvalidInput(
                    f"there is no record in {self.place}: energy-chain record update makes one"
                )
            if not made:
                METADATA.create_all(connection)
                if connection.dialect.name == "sqlite":
                    tell_sqlite(connection)
                connection.execute(insert(about), {"name": "format", "value": FORMAT})
            found = connection.scalar(select(about.c.value).where(about.c.name == "format"))
            if found == WITHOUT_SUMS:
                _add_sums(connection)
                found = FORMAT
            misfit = _misfit(connection, markets) if found == FORMAT else ""
        if misfit:
            raise InvalidInput(f"the record in {self.place} is damaged: {misfit}; {ANEW}")
        if found != FORMAT:
            raise InvalidInput(
                f"the record in {self.place} has format {found}, not {FORMAT}: use the version of "
                "energy-chain that made it, or let energy-chain record update make a new one"
            )

    def close(self) -> None:
        """Closes it."""
        self._engine.dispose()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads: all of it as of one moment.

        Raises:
            InvalidInput: the database does not answer, or not as a record does.
        """
        options = {} if self._engine.dialect.name == "sqlite" else _AS_OF_ONE_MOMENT
        with self._usable(), self._engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def writing(self, alone: bool = False) -> Iterator[Connection]:
        """A transaction that writes: all of it or nothing.

        Args:
            alone: wait until no other such transaction is under way. In SQLite that is always so.

        Raises:
            InvalidInput: the database does not answer, or not as a record does.
        """
        with (
            self._usable(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            if alone and connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(ALONE)))
            yield connection

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            # What a server says may hold what a URL has of secrets.
            local = self._engine.dialect.name == "sqlite"
            reason = str(error.orig) if local else type(error.orig).__name__
            raise InvalidInput(
                f"{self.place} cannot be used as a record ({reason}): check that it is one and "
                "that its database answers, or give --record another place; a damaged one: "
                f"{ANEW}"
            ) from None

    def markets(self) -> list[MarketRow]:
        """The markets in the record, in the order in which they came into it."""
        with self.reading() as connection:
            return market_rows(connection)

    def market(self, address: Address | None = None) -> MarketRow:
        """The market at an address, or the only one.

        Of chains that began anew with the same contract it is the one that was added last.

        Raises:
            InvalidInput: there is none, or more than one and no address is given.
        """
        found = self.markets()
        addresses = {row.address for row in found}
        if address is None and len(addresses) > 1:
            raise InvalidInput(
                f"{self.place} holds {len(addresses)} markets: say which with --contract, one of "
                f"{', '.join(sorted(addresses))}"
            )
        for row in reversed(found):
            if address in (None, row.address):
                return row
        raise InvalidInput(
            f"{self.place} holds no market{f' at {address}' if address else ''}: "
            "energy-chain record update puts one into it"
        )

    def market_of(self, identity: Identity) -> MarketRow:
        """The market of a chain.

        Raises:
            InvalidInput: it is not in the record.
        """
        told = (identity.chain_id, identity.genesis, identity.address)
        for row in self.markets():
            if (row.chain_id, row.genesis, row.address) == told:
                return row
        raise InvalidInput(
            f"{self.place} does not hold the market at {identity.address} on {identity.network}: "
            "energy-chain record update puts it into it"
        )

    def began(self, market: MarketRow) -> int | None:
        """Unix time of the first block in which a market logged something; None before one is."""
        first = (
            select(blocks.c.timestamp)
            .where(blocks.c.market == market.id)
            .order_by(blocks.c.number)
            .limit(1)
        )
        with self.reading() as connection:
            return connection.scalar(first)

    def misfit(self, market: MarketRow, within: Sequence[Table] = APPENDED) -> str:
        """The first value of a market that is not of its column's type; empty without any.

        A SQLite file that somebody else writes into takes a text for a number.
        """
        with self.reading() as connection:
            found = (_misfit(connection, table, table.c.market == market.id) for table in within)
            return next(filter(None, found), "")

    def counts(self, market: MarketRow) -> Counts:
        """How much it holds of a market."""
        with self.reading() as connection:
            return Counts(
                *(
                    connection.scalar(
                        select(func.count()).select_from(table).where(table.c.market == market.id)
                    )
                    or 0
                    for table in (events, orders, matches)
                )
            )


def market_rows(connection: Connection) -> list[MarketRow]:
    """The markets in the record, in the order in which they came into it."""
    found = connection.execute(select(markets).order_by(markets.c.id))
    return [MarketRow(**row._mapping) for row in found]


def _add_sums(connection: Connection) -> None:
    """Brings a record of format 1 to format 2."""
    METADATA.create_all(connection)
    for table in (events, transactions):
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    if connection.dialect.name == "sqlite":
        tell_sqlite(connection)
    for market in market_rows(connection):
        sums.remake(connection, market)
    connection.execute(update(about).values(value=FORMAT).where(about.c.name == "format"))


def _misfit(connection: Connection, table: Table, *only: ColumnElement[bool]) -> str:
    if connection.dialect.name != "sqlite":
        return ""  # the database sees to it
    fits = {
        column.name: func.typeof(column).in_(
            [_type_of(column), *(["null"] if column.nullable else [])]
        )
        for column in table.columns
    }
    quoted = [func.quote(column).label(column.name) for column in table.columns]
    row = connection.execute(
        select(*quoted, *fits.values()).where(*only, not_(and_(*fits.values()))).limit(1)
    ).first()
    if row is None:
        return ""
    values = dict(zip(fits, row, strict=False))
    name = next(name for name, fit in zip(fits, row[len(fits) :], strict=True) if not fit)
    key = ", ".join(f"{each.name} {values[each.name][:40]}" for each in table.primary_key)
    return f"table {table.name}, {key}: {name} is {values[name][:80]}, no {_type_of(table.c[name])}"


def _type_of(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return "blob"
    return "text" if isinstance(column.type, String) else "integer"


_AS_OF_ONE_MOMENT = {"isolation_level": "REPEATABLE READ"}


def _url_of(place: str | Path) -> URL:
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(place)
    except (ArgumentError, ValueError):
        raise InvalidInput(
            "the URL of the record cannot be read: give one such as postgresql://host/database"
        ) from None
    if _is_file(url) and url.database in (None, "", ":memory:"):
        raise InvalidInput("a record in memory is gone at once: give --record a file")
    if _is_file(url):
        return url
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise InvalidInput(
            f"{_shown(url)} is no database that is known here: give a file, or a URL such as "
            "postgresql://host/database"
        )
    # What SQLAlchemy takes for the bare name is an older driver.
    return url.set(drivername="postgresql+psycopg")


def _is_file(url: URL) -> bool:
    return url.drivername.partition("+")[0] == "sqlite"


def _shown(url: URL) -> str:
    return url.set(password=None, query={}).render_as_string()


def _prepare_file(path: Path, must_exist: bool) -> None:
    if must_exist and not path.is_file():
        raise InvalidInput(f"there is no record in {path}: energy-chain record update makes one")
    make_private(path, "--record")


def _engine(url: URL) -> Engine:
    if not _is_file(url):
        return create_engine(url, hide_parameters=True)
    # A power cut may cost the last transactions, which are read again.
    return sqlite_engine(Path(url.database or ""), durable=False, pragmas=_PRAGMAS)


_PRAGMAS = (
    # 64 MiB of pages, 32 MiB of log before it is moved into the file: a fifth faster.
    "cache_size = -65536",
    "wal_autocheckpoint = 8000",
)
