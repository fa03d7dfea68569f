"""The package as a whole: what it exports, and who may import whom."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import energy_chain

PACKAGE = Path(energy_chain.__file__).parent
MODULES = sorted(
    ["energy_chain", *(m.name for m in pkgutil.walk_packages([str(PACKAGE)], "energy_chain."))]
)

# From the bottom to the top. A module imports only from below, or within its own subpackage.
LAYERS = [
    ["errors", "folders"],
    ["sqlite_files", "http_server"],
    ["market", "units", "turns", "trouble", "chain.networks"],
    ["chain.addresses"],
    ["packing", "signing", "events", "meters", "settings"],
    ["ledger", "gas", "telling"],
    ["memory_ledger", "schedule", "status"],
    ["producer_node", "consumer_node", "aggregator_node"],
    [""],
    ["chain"],
    ["record"],
    ["replay"],
    ["relay", "feeding", "web"],
    ["demo", "simulation"],
    ["plots"],
    ["cli"],
    ["__main__"],
]
HASHING = ("energy_chain.signing", "energy_chain.record.merkle")
SIGNING = {"eth_abi", "eth_account", "eth_keys", "eth_utils"}
ONLY_IN_CHAIN = {"web3", "eth", "vyper", "hexbytes", "requests", "rlp", "tenacity", "urllib3"}


def source_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(module: str) -> Iterator[str]:
    """Every module that a module imports, wherever in its text."""
    for node in ast.walk(ast.parse(source_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def layer(module: str) -> int:
    name = module.removeprefix("energy_chain").removeprefix(".")
    exact = [number for number, names in enumerate(LAYERS) if name in names]
    if exact:
        return exact[0]
    return next(n for n, names in enumerate(LAYERS) if name.split(".")[0] in names)


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name in MODULES} - {module}


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__main__")])
def test_every_module_can_be_imported_and_says_what_it_is(module: str) -> None:
    assert importlib.import_module(module).__doc__


def test_what_is_exported_is_sorted_and_there() -> None:
    assert energy_chain.__all__ == sorted(energy_chain.__all__)
    assert all(hasattr(energy_chain, name) for name in energy_chain.__all__)


def test_all_public_names_of_the_package_are_exported() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    found = {a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert found == set(energy_chain.__all__)


def test_the_names_of_the_meters_are_sorted_and_there() -> None:
    meters = importlib.import_module("energy_chain.meters")
    assert meters.__all__ == sorted(meters.__all__)
    assert all(hasattr(meters, name) for name in meters.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below_it(module: str) -> None:
    subpackage = ".".join(module.split(".")[:2])
    above = {
        name
        for name in ours(module)
        if layer(name) >= layer(module) and not name.startswith(subpackage)
    }
    assert not above


def test_no_module_imports_itself_in_a_circle() -> None:
    assert list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if not m.startswith(("energy_chain.chain.", *HASHING))],
)
def test_only_the_chain_knows_web3_and_the_compiler(module: str) -> None:
    roots = {name.split(".")[0] for name in imports(module)}
    assert not {root for root in roots if root in ONLY_IN_CHAIN or root.startswith("eth_")}


@pytest.mark.parametrize("module", HASHING)
def test_hashing_needs_no_chain(module: str) -> None:
    roots = {name.split(".")[0] for name in imports(module)}
    assert {root for root in roots if root.startswith("eth_")} <= SIGNING
    assert not roots & ONLY_IN_CHAIN


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_version_is_the_one_that_is_installed() -> None:
    assert energy_chain.__version__ == importlib.metadata.version("energy-chain")
