"""Nodes of their own for a module, because what these tests do to them nobody else would survive.

Where they are not installed the tests are skipped, or fail when
ENERGY_CHAIN_NODES=required says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nodes import AnvilNode, FaultyNode, GanacheNode


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's is read or written, except the cache where Ganache is installed."""
    monkeypatch.setenv("ENERGY_CHAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def ganache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GanacheNode]:
    with GanacheNode(tmp_path_factory.mktemp("ganache")) as node:
        yield node


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilNode]:
    with AnvilNode(tmp_path_factory.mktemp("anvil")) as node:
        yield node


@pytest.fixture(params=["ganache", "anvil"])
def node(request: pytest.FixtureRequest) -> FaultyNode:
    """Each of the nodes in turn."""
    node: FaultyNode = request.getfixturevalue(request.param)
    return node
