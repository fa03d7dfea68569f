"""Ganache and anvil, one of each for a worker. `make nodes` installs them, and ethers.

Where they are not installed the tests are skipped, or fail when
ENERGY_CHAIN_NODES=required says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.nodes import Node, require_ganache, running_anvil, running_ganache


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the user's is read or written, except the cache where Ganache is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENERGY_CHAIN_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture
def ganache_installed() -> None:
    require_ganache()


@pytest.fixture(scope="session")
def ganache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running_ganache(tmp_path_factory.mktemp("ganache")) as node:
        yield node


@pytest.fixture(scope="session")
def anvil() -> Iterator[Node]:
    with running_anvil() as node:
        yield node


@pytest.fixture(params=["ganache", "anvil"])
def node(request: pytest.FixtureRequest) -> Node:
    """Each of the nodes in turn."""
    node: Node = request.getfixturevalue(request.param)
    return node
