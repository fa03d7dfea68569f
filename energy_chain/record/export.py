"""The record as files: Parquet for analysis, CSV for everything else.

One file for each table, of one market: meters, orders, matches and transactions, each with what
became of it. Energies are whole Wh and are named so, times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from energy_chain.errors import InvalidInput
from energy_chain.record.identity import MarketRow
from energy_chain.record.queries import (
    ALL,
    Wanted,
    matches_of,
    meter_lines_of,
    orders_of,
    transactions_of,
)
from energy_chain.record.store import Record

ROWS = 50_000
"""Rows that are in memory at a time."""
_TIME = pa.timestamp("s", tz="UTC")


class Format(StrEnum):
    """What files are written."""

    PARQUET = "parquet"
    CSV = "csv"


def _orders(record: Record, market: MarketRow, wanted: Wanted) -> Iterator[dict[str, Any]]:
    for order in orders_of(record, market, wanted):
        yield {
            "kind": order.kind.name.lower(),
            "counter": order.counter,
            "meter": order.meter,
            "address": order.address,
            "energy_wh": order.energy,
            "matched_wh": order.matched,
            "state": str(order.state),
            "period": order.period,
            "signed": order.signed,
            "block": order.block,
            "time": _utc(order.time),
        }


def _matches(record: Record, market: MarketRow, wanted: Wanted) -> Iterator[dict[str, Any]]:
    for match in matches_of(record, market, wanted):
        yield {
            "match": match.index,
            "producer": match.producer,
            "consumer": match.consumer,
            "producer_address": match.producer_address,
            "consumer_address": match.consumer_address,
            "energy_wh": match.energy,
            "consumed_wh": match.consumed,
            "request": match.request_counter,
            "release": match.release_counter,
            "period": match.period,
            "block": match.block,
            "time": _utc(match.time),
        }


def _meters(record: Record, market: MarketRow, _: Wanted) -> Iterator[dict[str, Any]]:
    for meter in meter_lines_of(record, market):
        yield {
            "meter": meter.number,
            "address": meter.address,
            "registered": meter.registered,
            "block": meter.block,
            "time": _utc(meter.time),
        }


def _transactions(record: Record, market: MarketRow, _: Wanted) -> Iterator[dict[str, Any]]:
    for transaction in transactions_of(record, market):
        yield {
            "block": transaction.block,
            "time": _utc(transaction.time),
            "transaction": transaction.hash,
            "sender": transaction.sender,
            "gas_used": transaction.gas_used,
            "gas_price_wei": transaction.gas_price,
        }


_Rows = Callable[[Record, MarketRow, Wanted], Iterator[dict[str, Any]]]
TABLES: dict[str, tuple[_Rows, pa.Schema]] = {
    "meters": (
        _meters,
        pa.schema(
            {
                "meter": pa.int32(),
                "address": pa.string(),
                "registered": pa.bool_(),
                "block": pa.int64(),
                "time": _TIME,
            }
        ),
    ),
    "orders": (
        _orders,
        pa.schema(
            {
                "kind": pa.string(),
                "counter": pa.int64(),
                "meter": pa.int32(),
                "address": pa.string(),
                "energy_wh": pa.int64(),
                "matched_wh": pa.int64(),
                "state": pa.string(),
                "period": pa.int64(),
                "signed": pa.bool_(),
                "block": pa.int64(),
                "time": _TIME,
            }
        ),
    ),
    "matches": (
        _matches,
        pa.schema(
            {
                "match": pa.int64(),
                "producer": pa.int32(),
                "consumer": pa.int32(),
                "producer_address": pa.string(),
                "consumer_address": pa.string(),
                "energy_wh": pa.int64(),
                "consumed_wh": pa.int64(),
                "request": pa.int64(),
                "release": pa.int64(),
                "period": pa.int64(),
                "block": pa.int64(),
                "time": _TIME,
            }
        ),
    ),
    "transactions": (
        _transactions,
        pa.schema(
            {
                "block": pa.int64(),
                "time": _TIME,
                "transaction": pa.string(),
                "sender": pa.string(),
                "gas_used": pa.int64(),
                "gas_price_wei": pa.int64(),
            }
        ),
    ),
}
"""The rows of each table, and the types of its columns."""


def export(
    record: Record,
    market: MarketRow,
    folder: Path,
    format: Format,
    wanted: Wanted = ALL,
) -> dict[Path, int]:
    """Writes a market's tables into a folder, which is made where needed.

    Args:
        record: the record.
        market: the market in it.
        folder: where to.
        format: of the files.
        wanted: the part of orders and matches; meters and transactions are always whole.

    Returns:
        The files that were written, and the rows in each.

    Raises:
        InvalidInput: a file cannot be written.
    """
    written = {}
    for name, (rows, schema) in TABLES.items():
        path = folder / f"{name}.{format}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written[path] = _write(path, schema, rows(record, market, wanted), format)
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be written ({error.strerror or error}): give another folder"
            ) from error
    return written


def _write(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]], format: Format) -> int:
    make = parquet.ParquetWriter if format is Format.PARQUET else csv.CSVWriter
    count, rows = 0, iter(rows)
    with make(path, schema) as writer:
        while some := list(islice(rows, ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
            count += len(some)
    return count


def _utc(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)
