"""The tables of the record: what the chain said, a row for each thing that happened.

Rows are added and never changed, but for the cursor of a market and its sums. Every row knows
its block, so that a reorganisation is undone by deleting what is above a block.
What follows from the rows, such as what is left of an order, is a query
(`queries`), not a column.

Energies are whole Wh, times Unix seconds, hashes 0x and hexadecimal, addresses
with their checksum. Counters of orders and indexes of matches count from 0, meter
numbers from 1. `period` is 0 where orders never expire.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    literal_column,
)

METADATA = MetaData()

# SQLite counts up by itself only in a column of its own type of integer.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _market() -> Column[int]:
    # No foreign key: to look it up for each row takes longer than to write the row.
    return Column("market", BigInteger, primary_key=True, autoincrement=False)


def _number(name: str, key: bool = False, nullable: bool = False) -> Column[int]:
    # No part of a key is counted up by the database.
    return Column(name, BigInteger, primary_key=key, nullable=nullable, autoincrement=False)


about = Table(
    "about",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""What the record is: its format."""

markets = Table(
    "markets",
    METADATA,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _number("chain_id"),
    Column("genesis", String, nullable=False),
    Column("address", String, nullable=False),
    _number("first_block"),
    _number("period_length"),
    Column("network", String, nullable=False),
    _number("cursor_block"),
    Column("cursor_hash", String, nullable=False),
    _number("cursor_time"),
    UniqueConstraint("chain_id", "genesis", "address"),
)
"""A contract on a chain, and the last block that was read of it.

`genesis` is the hash of the chain's block 0, `network` what the chain was called last. Before the
first block was read `cursor_block` is the one below `first_block` and `cursor_hash` is empty.
"""

blocks = Table(
    "blocks",
    METADATA,
    _market(),
    _number("number", key=True),
    Column("hash", String, nullable=False),
    _number("timestamp"),
    sqlite_with_rowid=False,
)
"""A block in which the market logged something."""

transactions = Table(
    "transactions",
    METADATA,
    _market(),
    _number("block", key=True),
    _number("position", key=True),
    Column("hash", String, nullable=False),
    Column("sender", String, nullable=False),
    _number("gas_used"),
    _number("gas_price"),
    Index("transactions_by_hash", "market", "hash"),
    sqlite_with_rowid=False,
)
"""A transaction that made the market log something; `gas_price` is the wei paid for a unit."""

PAUSES = ("Paused", "Unpaused")
"""Events that stop posting and matching, and let them go on."""


def is_pause(name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an event's name is one of `PAUSES`; as text, or SQLite would not take the index."""
    return name.in_([literal_column(f"'{pause}'") for pause in PAUSES])


events = Table(
    "events",
    METADATA,
    _market(),
    _number("block", key=True),
    _number("log_index", key=True),
    _number("position"),
    Column("name", String, nullable=False),
    Column("topics", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""A log as the chain has it: topics of 32 bytes each, and data. What the audit replays."""

# Of the few rows that tell of a pause: no other row takes longer to write.
Index(
    "events_of_pauses",
    *(events.c.market, events.c.block, events.c.log_index),
    sqlite_where=is_pause(events.c.name),
    postgresql_where=is_pause(events.c.name),
)

meters = Table(
    "meters",
    METADATA,
    _market(),
    _number("block", key=True),
    _number("log_index", key=True),
    _number("number"),
    Column("address", String, nullable=False),
    Column("registered", Boolean, nullable=False),
    Index("meters_by_number", "market", "number"),
)
"""A meter was registered, or retired."""

periods = Table(
    "periods",
    METADATA,
    _market(),
    _number("block", key=True),
    _number("log_index", key=True),
    _number("period"),
    _number("expired_requests"),
    _number("expired_releases"),
    _number("first_request"),
    _number("first_release"),
    Index("periods_by_number", "market", "period"),
)
"""The first call of a period came: how many orders expired, and the first counters from then on."""

orders = Table(
    "orders",
    METADATA,
    _market(),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    _number("counter", key=True),
    _number("meter", nullable=True),
    _number("energy_wh"),
    _number("period"),
    Column("signed", Boolean, nullable=False),
    _number("block"),
    _number("log_index"),
    Index("orders_by_block", "market", "block"),
    Index("orders_by_period", "market", "period"),
    Index("orders_by_meter", "market", "meter", "period"),
    sqlite_with_rowid=False,
)
"""A request (kind 0) or release (kind 1). `meter` is empty where no such meter was registered."""

matches = Table(
    "matches",
    METADATA,
    _market(),
    _number("match_index", key=True),
    _number("producer"),
    _number("consumer"),
    _number("energy_wh"),
    _number("request_counter", nullable=True),
    _number("release_counter", nullable=True),
    _number("period"),
    _number("block"),
    _number("log_index"),
    Index("matches_by_block", "market", "block"),
    Index("matches_by_period", "market", "period"),
    Index("matches_by_producer", "market", "producer", "period"),
    Index("matches_by_consumer", "market", "consumer", "period"),
    Index("matches_by_request", "market", "request_counter"),
    Index("matches_by_release", "market", "release_counter"),
    sqlite_with_rowid=False,
)
"""A match, and the orders that it fills: empty where it does not follow from the orders."""

consumption = Table(
    "consumption",
    METADATA,
    _market(),
    _number("block", key=True),
    _number("log_index", key=True),
    _number("match_index", key=True),
    _number("energy_wh"),
    Index("consumption_by_match", "market", "match_index"),
    sqlite_with_rowid=False,
)
"""Energy of a match that was confirmed as drawn."""

skipped = Table(
    "skipped",
    METADATA,
    _market(),
    _number("block", key=True),
    _number("log_index", key=True),
    Column("r", String, nullable=False),
    Column("terms", String, nullable=False),
    Column("reason", String, nullable=False),
)
"""A signed order that was not good: r of its signature and its terms in hexadecimal, and why."""

sums = Table(
    "sums",
    METADATA,
    _market(),
    _number("level", key=True),
    _number("meter", key=True),
    _number("bucket", key=True),
    _number("requests"),
    _number("releases"),
    _number("offered_wh"),
    _number("needed_wh"),
    _number("sold_wh"),
    _number("bought_wh"),
    _number("own_wh"),
    _number("drawn_wh"),
    _number("matches"),
    _number("transactions"),
    _number("gas"),
    _number("cost_gwei"),
    _number("cost_wei"),
    sqlite_with_rowid=False,
)
"""What the rows of a stretch of time come to (`energy_chain.record.sums`): the one table whose rows
change, as it repeats what others say.

`level` is the seconds of the stretch and `bucket` the Unix time at which it begins; level 0 has a
row for each delivery period. `meter` 0 is all of them. What was paid is `cost_gwei` gwei and
`cost_wei` wei.
"""

EVIDENCE = (blocks, transactions, events)
"""What the chain says as it says it."""
DERIVED = (meters, periods, orders, matches, consumption, skipped)
"""What follows from the events alone."""
APPENDED = (*EVIDENCE, *DERIVED)
"""All that a market's blocks leave behind."""


def block_column(table: Table) -> Column[int]:
    """The column with the number of the block that a row is of."""
    column: Column[int] = table.c.number if table is blocks else table.c.block
    return column
