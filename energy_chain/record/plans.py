"""What SQLite is told about the tables, so that it takes the right index from the first row on.

Left to itself it supposes that ten rows have the same market, and reads all of a
market instead of looking up a meter: minutes in place of milliseconds. Statistics
that `ANALYZE` gathers in a young record would mislead it once the record is old. So it
is told how rows are spread in a record of some size; only the proportions matter.

Source: SQLite, "ANALYZE" and "The sqlite_stat1 table" in the file format: for each
index the number of rows, then how many rows share the first column, the first two, ...
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_MANY = 1_000_000
STATISTICS = {
    ("blocks", "blocks"): (_MANY, _MANY, 1),
    ("transactions", "transactions"): (_MANY, _MANY, 2, 1),
    ("transactions", "transactions_by_hash"): (_MANY, _MANY, 1),
    ("events", "sqlite_autoindex_events_1"): (_MANY, _MANY, 4, 1),
    ("events", "events_of_pauses"): (100, 100, 1, 1),
    ("meters", "sqlite_autoindex_meters_1"): (1_000, 1_000, 100, 1),
    ("meters", "meters_by_number"): (1_000, 1_000, 1),
    ("periods", "sqlite_autoindex_periods_1"): (50_000, 50_000, 1, 1),
    ("periods", "periods_by_number"): (50_000, 50_000, 1),
    ("orders", "orders"): (_MANY, _MANY, _MANY // 2, 1),
    ("orders", "orders_by_block"): (_MANY, _MANY, 100),
    ("orders", "orders_by_period"): (_MANY, _MANY, 300),
    ("orders", "orders_by_meter"): (_MANY, _MANY, 3_000, 2),
    ("matches", "matches"): (_MANY, _MANY, 1),
    ("matches", "matches_by_block"): (_MANY, _MANY, 100),
    ("matches", "matches_by_period"): (_MANY, _MANY, 300),
    ("matches", "matches_by_producer"): (_MANY, _MANY, 3_000, 3),
    ("matches", "matches_by_consumer"): (_MANY, _MANY, 3_000, 3),
    ("matches", "matches_by_request"): (_MANY, _MANY, 2),
    ("matches", "matches_by_release"): (_MANY, _MANY, 2),
    ("consumption", "consumption"): (_MANY, _MANY, 100, 50, 1),
    ("consumption", "consumption_by_match"): (_MANY, _MANY, 1),
    ("skipped", "sqlite_autoindex_skipped_1"): (1_000, 1_000, 2, 1),
    ("sums", "sums"): (_MANY, _MANY, _MANY // 4, 500, 1),
}
"""By table and index."""


def tell_sqlite(connection: Connection) -> None:
    """Writes the statistics into a file whose tables were just made."""
    connection.execute(text("ANALYZE sqlite_schema"))  # makes the table of statistics
    connection.execute(text("DELETE FROM sqlite_stat1"))
    for (table, index), rows in STATISTICS.items():
        connection.execute(
            text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"),
            {"tbl": table, "idx": index, "stat": " ".join(map(str, rows))},
        )
    connection.execute(text("ANALYZE sqlite_schema"))  # reads it
