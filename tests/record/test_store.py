"""Where a record is kept: which places can be used, and what an error says of one that cannot."""

from __future__ import annotations

import builtins
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from energy_chain.errors import InvalidInput
from energy_chain.record.indexer import Indexer
from energy_chain.record.store import Counts, Record
from energy_chain.record.tables import APPENDED, about, orders, sums
from tests.record.chains import CONTRACT, FakeChain
from tests.record.test_indexer import TRADE

CANARY = "canary-4711"


def test_a_record_is_found_again_as_it_was_left(place: str) -> None:
    with Record.open(place) as record:
        Indexer(record, FakeChain(TRADE)).update()
        before = record.markets()
    with Record.open(place, must_exist=True) as record:
        assert record.markets() == before
        assert record.counts(before[0]) == Counts(events=13, orders=2, matches=1)


def test_a_record_that_is_not_there_is_not_made_where_it_must_exist(
    place: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"there is no record in .*record update makes one"):
        Record.open(place, must_exist=True)
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_another_format_is_refused(place: str) -> None:
    with Record.open(place) as record, record.writing() as connection:
        connection.execute(update(about).values(value="0"))
    with pytest.raises(InvalidInput, match="has format 0, not 2"):
        Record.open(place)


def test_a_record_is_read_while_it_is_written(place: str) -> None:
    with Record.open(place) as writer, Record.open(place) as reader:
        Indexer(writer, FakeChain(TRADE)).update()
        with writer.writing() as connection:
            connection.execute(update(orders).values(energy_wh=1))
            with reader.reading() as other:
                assert 1 not in other.scalars(select(orders.c.energy_wh)).all()


def test_what_one_reads_is_as_of_one_moment(place: str) -> None:
    with Record.open(place) as writer, Record.open(place) as reader:
        Indexer(writer, FakeChain(TRADE)).update()
        with reader.reading() as other:
            first = other.scalars(select(orders.c.energy_wh)).all()
            with writer.writing() as connection:
                connection.execute(update(orders).values(energy_wh=1))
            assert other.scalars(select(orders.c.energy_wh)).all() == first


def test_a_transaction_that_fails_leaves_nothing(record: Record) -> None:
    Indexer(record, FakeChain(TRADE)).update()

    def fail() -> None:
        with record.writing() as connection:
            connection.execute(update(orders).values(energy_wh=1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with record.reading() as connection:
        assert 1 not in connection.scalars(select(orders.c.energy_wh)).all()


def test_only_the_owner_of_a_file_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.sqlite"
    Record.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_of_a_record_has_a_write_ahead_log(tmp_path: Path) -> None:
    Record.open(tmp_path / "record.sqlite").close()
    with sqlite3.connect(tmp_path / "record.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_temporary_record_is_gone_once_it_is_closed() -> None:
    with Record.temporary() as record:
        path = Path(record.place)
        assert path.is_file()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("nonsense://host/energy", "no database that is known here"),
        ("mysql://host/energy", "no database that is known here"),
        ("://", "cannot be read"),
        ("postgresql://host:port/x", "cannot be read"),
    ],
)
def test_a_place_that_is_none_is_refused(place: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Record.open(place)


def test_a_file_that_is_no_record_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear neighbours, " * 100)
    with pytest.raises(InvalidInput, match="cannot be used as a record"):
        Record.open(path)
    assert path.read_text() == "Dear neighbours, " * 100


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be opened \(Is a directory\)"):
        Record.open(tmp_path)


def test_no_error_and_no_name_shows_a_password(postgres: str) -> None:
    url = postgres.replace("postgres@", f"postgres:{CANARY}@", 1)
    with Record.open(url) as record:
        assert CANARY not in record.place
        assert "?" not in record.place
    for wrong in (
        f"postgresql://me:{CANARY}@127.0.0.1:1/energy",
        f"postgresql://127.0.0.1:1/energy?password={CANARY}",
        f"nonsense://me:{CANARY}@host/energy",
        f"postgresql://me:{CANARY}@host:port/energy",
    ):
        with pytest.raises(InvalidInput) as refused:
            Record.open(wrong)
        error: BaseException | None = refused.value
        while error is not None:
            assert CANARY not in str(error)
            error = error.__cause__


def test_without_its_driver_a_database_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported = builtins.__import__

    def without_driver(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError(name="psycopg")
        return imported(name, *arguments, **more)

    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_driver)
    with pytest.raises(InvalidInput, match=r"psycopg: pip install 'energy-chain\[postgres\]'"):
        Record.open("postgresql://host/energy")


def test_sqlite_is_told_about_every_index(tmp_path: Path) -> None:
    Record.open(tmp_path / "record.sqlite").close()
    with sqlite3.connect(tmp_path / "record.sqlite") as connection:
        listed = connection.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'")
        indexes = {each for each in listed if each[0] not in ("about", "markets")}
        keys = {(table.name, table.name) for table in (*APPENDED, sums)}
        told = connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall()
        assert indexes <= {row[:2] for row in told} <= indexes | keys
        for table, index, stat in told:
            columns = connection.execute(f"PRAGMA index_info({index})").fetchall()
            assert len(stat.split()) == 1 + len(columns) or (table, index) in keys
            rows = [int(number) for number in stat.split()]
            assert rows == sorted(rows, reverse=True)


# ------------------------------------------------------------------ its markets


def test_the_only_market_need_not_be_named(record: Record) -> None:
    Indexer(record, FakeChain(TRADE))
    assert record.market().address == CONTRACT
    assert record.market(CONTRACT) == record.market()


def test_one_market_of_several_has_to_be_named(record: Record) -> None:
    other = "0x" + "1" * 40
    for contract in (CONTRACT, other):
        Indexer(record, FakeChain(contract=contract))
    with pytest.raises(InvalidInput, match="holds 2 markets: say which with --contract"):
        record.market()
    assert record.market(other).address == other


def test_a_market_that_is_not_in_a_record_is_refused(record: Record) -> None:
    with pytest.raises(InvalidInput, match="holds no market: "):
        record.market()
    with pytest.raises(InvalidInput, match=f"holds no market at {CONTRACT}"):
        record.market(CONTRACT)
    with pytest.raises(InvalidInput, match=f"does not hold the market at {CONTRACT} on fake"):
        record.market_of(FakeChain().identity())


def test_of_chains_that_began_anew_the_latest_is_meant(record: Record) -> None:
    from dataclasses import replace

    first, second = FakeChain(), FakeChain()
    later = replace(second.identity(), genesis="0x9")
    second.identity = lambda: later  # type: ignore[method-assign]
    for chain in (first, second):
        Indexer(record, chain)
    assert record.market().genesis == "0x9"
    assert record.market_of(first.identity()).genesis == first.identity().genesis


def test_every_table_has_the_market_first_and_a_block() -> None:
    for table in APPENDED:
        names = [column.name for column in table.columns]
        assert names[0] == "market"
        assert "block" in names or table.name == "blocks"
        assert "market" in table.primary_key.columns
