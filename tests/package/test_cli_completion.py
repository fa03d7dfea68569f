"""What the shell is told when somebody presses Tab, as Typer's script for bash asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from energy_chain.settings import FILE
from tests.package.command_line import Run, printed

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(run: Run, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What a line can go on with, up to where it ends."""

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_ENERGY_CHAIN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return printed(run()).split()

    return complete


@pytest.fixture
def keystore(own_home: Path) -> Path:
    """Two accounts; what is in their files is nothing that can be used."""
    folder = own_home / "keystore"
    folder.mkdir(parents=True)
    for name in "roof", "rotor":
        (folder / f"{name}.json").write_text("no keystore file")
    return folder


def test_commands_and_options_are_completed(complete: Complete) -> None:
    assert complete("energy-chain de") == ["demo", "deploy"]
    assert complete("energy-chain producer ") == ["put", "run"]
    assert complete("energy-chain status --net") == ["--network"]


def test_networks_are_completed(complete: Complete, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__URL", "http://127.0.0.1:1")
    assert sorted(complete("energy-chain status --network ")) == [
        "anvil",
        "embedded",
        "ganache",
        "pilot",
    ]
    assert complete("energy-chain networks check pi") == ["pilot"]


@pytest.mark.usefixtures("keystore")
def test_accounts_are_completed(complete: Complete) -> None:
    assert complete("energy-chain producer put 1kWh --account ro") == ["roof", "rotor"]
    assert complete("energy-chain producer put 1kWh --meter dev1") == [
        "dev1",
        *(f"dev{number}" for number in range(10, 20)),
    ]
    assert complete("energy-chain register roof rot") == ["rotor"]
    assert complete("energy-chain retire roo") == ["roof"]


@pytest.mark.usefixtures("keystore")
def test_accounts_are_those_of_the_network(
    complete: Complete, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__CHAIN_ID", "5")
    assert complete("energy-chain pause --network pilot --account ") == ["roof", "rotor"]
    assert len(complete("energy-chain pause --network anvil --account ")) == 22
    monkeypatch.setenv("ENERGY_CHAIN_NETWORKS__PILOT__KEYSTORE", str(tmp_path / "none"))
    assert complete("energy-chain pause --network pilot --account ") == []


@pytest.mark.usefixtures("keystore")
def test_no_node_is_asked(complete: Complete, serve: Callable[..., str]) -> None:
    asked: list[str] = []
    url = serve(lambda method, _: asked.append(method) or {"result": "0x1"})
    assert "roof" in complete(f"energy-chain pause --network {url} --account ")
    assert asked == []


@pytest.mark.parametrize("content", ["network =", "[networks.pilot]\nurl = 5\n", "colour = 1"])
def test_settings_that_cannot_be_used_complete_to_nothing(
    complete: Complete, tmp_path: Path, content: str
) -> None:
    (tmp_path / FILE).write_text(content)
    assert complete("energy-chain status --network ") == []
    assert complete("energy-chain pause --account ") == []
    assert complete("energy-chain stat") == ["status"]


def test_an_unknown_network_completes_to_no_account(complete: Complete) -> None:
    assert complete("energy-chain pause --network mainnet --account ") == []


def test_without_a_keystore_there_are_the_development_accounts(complete: Complete) -> None:
    assert complete("energy-chain pause --account ") == [f"dev{number}" for number in range(20)]
