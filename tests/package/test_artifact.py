"""The compiled contract and its cache."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain import artifact
from energy_chain.chain.artifact import load_artifact
from energy_chain.errors import ChainError

OUTPUT: dict[str, Any] = {
    "abi": [{"type": "function", "name": "owner"}],
    "bytecode": "0x60",
    "bytecode_runtime": "0x61",
    "layout": {"storage_layout": {"pending": {"slot": 3}}},
    "method_identifiers": {"owner()": "0x8da5cb5b"},
    "userdoc": {"methods": {}},
}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test loads as a new process does, from a cache of its own."""
    monkeypatch.setenv("ENERGY_CHAIN_CACHE", str(tmp_path / "cache"))
    load_artifact.cache_clear()
    yield
    load_artifact.cache_clear()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were compiled, by a compiler that takes no time."""
    folders: list[Path] = []

    def compile_at_once(folder: Path) -> dict[str, Any]:
        folders.append(folder)
        return OUTPUT

    monkeypatch.setattr(artifact, "_compile", compile_at_once)
    return folders


@pytest.fixture
def own_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "contracts_vy"
    shutil.copytree(artifact.sources(), folder)
    monkeypatch.setattr(artifact, "sources", lambda: folder)
    return folder


def load_anew() -> artifact.Artifact:
    load_artifact.cache_clear()
    return load_artifact()


def cached_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").iterdir())


def test_the_contract_compiles_to_what_a_deployment_needs() -> None:
    loaded = load_artifact()
    assert loaded.bytecode.startswith("0x")
    assert loaded.runtime[2:] in loaded.bytecode
    assert "incomingRequest(address,int256)" in loaded.method_identifiers
    assert {entry["type"] for entry in loaded.abi} == {"constructor", "event", "function"}
    assert loaded == load_anew()  # from the cache


def test_the_fields_are_the_compilers(compiled: list[Path]) -> None:
    assert load_artifact() == artifact.Artifact(
        abi=OUTPUT["abi"],
        bytecode="0x60",
        runtime="0x61",
        pending_slot=3,
        method_identifiers=OUTPUT["method_identifiers"],
        userdoc=OUTPUT["userdoc"],
    )
    assert compiled == [artifact.sources()]


def test_the_hashes_stand_for_the_code_and_the_abi() -> None:
    first = artifact._artifact(OUTPUT)
    # SHA-256 of the byte 61, and of the ABI written without spaces.
    assert first.code_hash == hashlib.sha256(b"\x61").hexdigest()
    abi = b'[{"name":"owner","type":"function"}]'
    assert first.abi_hash == hashlib.sha256(abi).hexdigest()
    # What neither of them stands for does not matter, nor does the order of keys.
    others = {"bytecode": "0x70", "userdoc": {}, "abi": [{"name": "owner", "type": "function"}]}
    again = artifact._artifact({**OUTPUT, **others})
    assert (again.code_hash, again.abi_hash) == (first.code_hash, first.abi_hash)
    assert artifact._artifact({**OUTPUT, "bytecode_runtime": "61"}).code_hash == first.code_hash


def test_other_code_or_another_abi_has_another_hash() -> None:
    first = artifact._artifact(OUTPUT)
    code = artifact._artifact({**OUTPUT, "bytecode_runtime": "0x62"})
    assert code.code_hash != first.code_hash
    assert code.abi_hash == first.abi_hash
    for abi in ([], [{"type": "function", "name": "Owner"}], OUTPUT["abi"] * 2):
        other = artifact._artifact({**OUTPUT, "abi": abi})
        assert other.abi_hash != first.abi_hash
        assert other.code_hash == first.code_hash


def test_a_process_loads_once(compiled: list[Path]) -> None:
    assert load_artifact() is load_artifact()
    assert len(compiled) == 1


def test_the_second_process_does_not_compile(
    compiled: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_artifact()
    monkeypatch.setattr(artifact, "_compile", None)
    assert load_anew() == first
    assert len(compiled) == 1


def test_one_file_is_cached_and_nothing_left_beside_it(
    compiled: list[Path], tmp_path: Path
) -> None:
    load_artifact()
    (cached,) = cached_files(tmp_path)
    assert json.loads(cached.read_text()) == OUTPUT
    assert len(compiled) == 1


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"{}", b'{"abi": []}'], ids=repr
)
def test_a_cache_that_cannot_be_read_is_compiled_anew(
    compiled: list[Path], tmp_path: Path, text: bytes
) -> None:
    first = load_artifact()
    (cached,) = cached_files(tmp_path)
    cached.write_bytes(text)
    assert load_anew() == first
    assert json.loads(cached.read_text()) == OUTPUT
    assert len(compiled) == 2


def test_a_cache_that_cannot_be_written_costs_a_compilation_and_nothing_else(
    compiled: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ENERGY_CHAIN_CACHE", str(tmp_path / "file" / "cache"))
    assert load_artifact() == load_anew()
    assert len(compiled) == 2


@pytest.mark.parametrize("source", ["EnergyContract.vy", "interfaces/IEnergyContract.vyi"])
def test_a_source_that_says_something_else_is_compiled(
    compiled: list[Path], own_sources: Path, tmp_path: Path, source: str
) -> None:
    load_artifact()
    with (own_sources / source).open("a") as file:
        file.write("# more\n")
    load_anew()
    assert len(compiled) == 2
    assert len(cached_files(tmp_path)) == 2


def test_a_new_source_is_compiled(compiled: list[Path], own_sources: Path) -> None:
    load_artifact()
    (own_sources / "more.vy").touch()
    load_anew()
    assert len(compiled) == 2


def test_another_version_of_the_compiler_compiles(
    compiled: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_artifact()
    monkeypatch.setattr(artifact, "version", lambda _: "0.0.0")
    load_anew()
    assert len(compiled) == 2


def test_where_the_sources_stand_does_not_matter(
    compiled: list[Path], own_sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_artifact()
    elsewhere = own_sources.rename(own_sources.with_name("elsewhere"))
    monkeypatch.setattr(artifact, "sources", lambda: elsewhere)
    load_anew()
    assert len(compiled) == 1


def test_the_sources_of_an_installed_package_come_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in ("contracts_vy", "energy_chain/contracts_vy"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "EnergyContract.vy").touch()
    monkeypatch.setattr(artifact, "__file__", str(tmp_path / "energy_chain/chain/artifact.py"))
    assert artifact.sources() == tmp_path / "energy_chain/contracts_vy"


def test_an_installation_without_sources_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(artifact, "__file__", str(tmp_path / "energy_chain/chain/artifact.py"))
    with pytest.raises(ChainError, match=r"is missing from .*: install the package again"):
        artifact.sources()
