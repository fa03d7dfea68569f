"""Records in every database, empty ones; one PostgreSQL server for a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from energy_chain.record.store import Record
from energy_chain.record.tables import METADATA
from tests.record.postgres import running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a database of PostgreSQL."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a record can be kept and none is yet, in each database in turn."""
    if request.param == "sqlite":
        yield str(tmp_path / "record.sqlite")
        return
    url: str = request.getfixturevalue("postgres")
    yield url
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    METADATA.drop_all(engine)
    engine.dispose()


@pytest.fixture
def record(place: str) -> Iterator[Record]:
    """An empty record in each database in turn."""
    with Record.open(place) as record:
        yield record
