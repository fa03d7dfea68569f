"""What the documents say is true: examples run, files exist."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from energy_chain.chain.networks import Network
from energy_chain.cli import exit_codes
from tests.package.command_line import COMMANDS, parse

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.is_file()
)


def test_the_library_example_of_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})


def test_the_example_on_a_chain_ends_with_a_clean_audit(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "on_a_chain.py"))
    assert "audit: clean" in capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []


def test_the_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / "README.md").read_text(), re.M))
    assert {"demo", "test", "bench"} <= commands
    for command in commands:
        assert re.search(rf"^{command}:", makefile, re.MULTILINE), command


# ------------------------------------------------------------------ the command line

COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text()
GENERATED = ROOT / "docs" / "commands.md"


def command_lines() -> Iterator[str]:
    """Every line of the documents that calls the command line."""
    for document in DOCUMENTS:
        if document == GENERATED:  # its examples are those of the help texts
            continue
        text = document.read_text()
        blocks = re.findall(r"```(?:console|sh|bash)\n(.*?)```", text, re.DOTALL)
        yield from re.findall(r"^\$? *((?:\S*/)?energy-chain .*)$", "\n".join(blocks), re.MULTILINE)
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        yield from re.findall(r"`((?:\S*/)?energy-chain [^`]+)`", prose)


def test_the_reference_of_the_commands_is_current(tmp_path: Path) -> None:
    made = tmp_path / "commands.md"
    program = [sys.executable, "-m", "typer", "energy_chain.cli", "utils", "docs"]
    subprocess.run(
        [*program, "--name", "energy-chain", "--output", str(made)],
        env={**os.environ, "COLUMNS": "40", "FORCE_COLOR": "1", "ENERGY_CHAIN_NETWORK": "pilot"},
        capture_output=True,
        check=True,
    )
    assert made.read_text() == GENERATED.read_text(), "make docs writes it anew"


def test_every_command_line_in_the_documents_parses() -> None:
    found = [" ".join(line.split()) for line in command_lines()]
    assert len(found) > 20
    named = {"energy-chain COMMAND --help", *COMMANDS}  # a command's name is no call of it
    for line in sorted(set(found) - named):
        parse(line.partition(" > ")[0])


CTRL_C = 128 + 2
"""What shells and click make of SIGINT."""


def test_every_exit_code_is_documented() -> None:
    documented = re.findall(r"^\| (\d+) \| \S", COMMAND_LINE, re.MULTILINE)
    codes = [code for name, code in vars(exit_codes).items() if name.isupper()]
    assert list(map(int, documented)) == sorted({0, *codes, CTRL_C})


def test_the_settings_that_are_documented_are_all_there_are_and_load(tmp_path: Path) -> None:
    from energy_chain.settings import FILE, load_settings

    (text,) = re.findall(r"```toml\n(.*?)```", COMMAND_LINE, re.DOTALL)
    (tmp_path / FILE).write_text(text)
    settings = load_settings()
    assert settings.network == "pilot"
    documented = tomllib.loads(text)["networks"]["pilot"]
    assert {field.name for field in fields(Network)} - {"name"} == set(documented)
    loaded = settings.networks["pilot"]
    assert loaded.keystore == tmp_path / "keys" or loaded.keystore == Path("keys")
    for name in documented.keys() - {"keystore"}:
        assert getattr(loaded, name) == documented[name]


def test_the_networks_that_are_documented_are_the_built_in_ones() -> None:
    from energy_chain.chain.networks import BUILT_IN

    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (\d+) \|", COMMAND_LINE, re.MULTILINE)
    assert [(name, int(chain_id)) for name, _, chain_id in rows] == [
        (network.name, network.chain_id) for network in BUILT_IN
    ]
    assert [node.strip("`") for _, node, _ in rows][1:] == [network.url for network in BUILT_IN[1:]]


def test_every_environment_variable_that_is_read_is_documented() -> None:
    read = set()
    for path in (ROOT / "energy_chain").rglob("*.py"):
        read |= set(re.findall(r"\bENERGY_CHAIN_[A-Z_]*[A-Z]\b", path.read_text()))
    assert {"ENERGY_CHAIN_HOME", "ENERGY_CHAIN_ACCOUNT", "ENERGY_CHAIN_NETWORK"} <= read
    # With a double underscore it is a setting, and those are looked at above.
    missing = {name for name in read if "__" not in name and f"`{name}`" not in COMMAND_LINE}
    assert not missing
