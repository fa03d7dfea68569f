"""The record as files."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from energy_chain.errors import InvalidInput
from energy_chain.record import export as module
from energy_chain.record.export import Format, export
from energy_chain.record.indexer import Indexer
from energy_chain.record.store import Record
from tests.record.test_bills import Town


@pytest.fixture
def traded(record: Record) -> Record:
    """An offer of 500 Wh and a need of 300, matched and drawn, in each database in turn."""
    town = Town()
    town.trades("2026-08-01T00:00", {1: 500}, {2: 300}, draw=True)
    Indexer(record, town.source).update()
    return record


def test_parquet_has_what_became_of_each_order(traded: Record, tmp_path: Path) -> None:
    written = export(traded, traded.market(), tmp_path / "out", Format.PARQUET)
    assert {path.name: rows for path, rows in written.items()} == {
        "meters.parquet": 3,
        "orders.parquet": 2,
        "matches.parquet": 1,
        "transactions.parquet": 4,
    }
    orders = parquet.read_table(tmp_path / "out" / "orders.parquet")
    assert orders.schema.field("time").type == pa.timestamp("ms", tz="UTC")
    request, release = orders.to_pylist()
    assert (request["kind"], request["energy_wh"], request["matched_wh"]) == ("request", 500, 300)
    assert (request["state"], release["state"]) == ("pending", "matched")
    assert request["time"] == datetime(2026, 8, 1, tzinfo=UTC)
    (match,) = parquet.read_table(tmp_path / "out" / "matches.parquet").to_pylist()
    assert (match["producer_address"], match["consumer_address"]) == tuple(
        f"0x{0xA1 + n:040X}" for n in range(2)
    )
    assert (match["energy_wh"], match["consumed_wh"], match["request"]) == (300, 300, 0)


def test_csv_has_the_same(traded: Record, tmp_path: Path) -> None:
    export(traded, traded.market(), tmp_path, Format.CSV)
    with (tmp_path / "orders.csv").open(newline="") as file:
        request, release = csv.DictReader(file)
    assert (request["energy_wh"], release["matched_wh"]) == ("500", "300")
    assert request["time"].startswith("2026-08-01 00:00:00")


def test_tables_are_written_in_pieces(
    traded: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(traded, traded.market(), tmp_path / "whole", Format.PARQUET)
    monkeypatch.setattr(module, "ROWS", 1)
    export(traded, traded.market(), tmp_path / "pieces", Format.PARQUET)
    whole, pieces = (
        parquet.read_table(tmp_path / folder / "orders.parquet") for folder in ("whole", "pieces")
    )
    assert whole == pieces


def test_a_folder_that_cannot_be_made_is_named(traded: Record, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"meters\.csv cannot be written"):
        export(traded, traded.market(), tmp_path / "file", Format.CSV)
