"""How Ganache gets onto the machine, with programs that only pretend to be node and npm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energy_chain.chain.ganache import VERSION, Ganache, GanacheSettings, install, installed
from energy_chain.errors import ChainError, InvalidInput, NodeJsMissing

ROOT = Path(__file__).parents[2]
NPM_FOLDERS = (ROOT / "energy_chain/chain/npm", ROOT / "tests/integration")
GOOD_NODE = "echo v20.1.0"
GOOD_NPM = """
echo "$@" >> "$ENERGY_CHAIN_CACHE/calls"
cat package.json package-lock.json > /dev/null || exit 1
mkdir -p node_modules/ganache/dist/node
touch node_modules/ganache/dist/node/cli.js
"""
NPM_SAYS_WHY = """
cat << 'END'
{"error": {"code": "E404", "summary": "404 Not Found: ganache\\n\\nmore", "detail": ""}}
END
echo npm error something else >&2
exit 1
"""
OLD_NPM_SAYS_WHY = """
echo npm error code ENOSPC >&2
echo npm error no space left on device >&2
echo npm error A complete log of this run can be found in: /tmp/log >&2
exit 1
"""

Programs = Callable[..., None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("ENERGY_CHAIN_CACHE", str(folder))
    return folder


@pytest.fixture
def programs(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:  # noqa: ARG001
    """Puts scripts onto a PATH that has nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
            path.chmod(0o755)

    return put


def quiet(_: str) -> None:
    pass


def check_one_line(error: pytest.ExceptionInfo[BaseException]) -> None:
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------ Node.js


@pytest.mark.parametrize("use", [install, lambda: Ganache.start(GanacheSettings())])
def test_without_node_it_is_said_what_to_do(programs: Programs, use: Any) -> None:
    programs(npm=GOOD_NPM)
    with pytest.raises(NodeJsMissing, match=r"^Node\.js is missing.*18.*--network embedded$") as e:
        use()
    check_one_line(e)


def test_without_npm_it_is_said_what_to_do(programs: Programs) -> None:
    programs(node=GOOD_NODE)
    with pytest.raises(NodeJsMissing, match=r"^npm is missing.*18.*--network embedded$") as e:
        install(quiet)
    check_one_line(e)


@pytest.mark.parametrize("version", ["v16.20.2", "v8.0.0", "v17.9.1"])
def test_a_node_that_is_too_old_is_named(programs: Programs, version: str) -> None:
    programs(node=f"echo {version}", npm=GOOD_NPM)
    with pytest.raises(NodeJsMissing, match=rf"^Node\.js {version} is too old.*18 or later") as e:
        install(quiet)
    check_one_line(e)


@pytest.mark.parametrize("version", ["v18.0.0", "v20.20.2", "v100.1.0"])
def test_a_node_that_is_new_enough_will_do(programs: Programs, version: str) -> None:
    programs(node=f"echo {version}", npm=GOOD_NPM)
    assert install(quiet).is_file()


def test_a_node_that_does_not_run_is_named(programs: Programs, tmp_path: Path) -> None:
    programs(node="exit 1", npm=GOOD_NPM)
    with pytest.raises(NodeJsMissing, match=f"^{tmp_path}/bin/node does not run") as e:
        install(quiet)
    check_one_line(e)


def test_node_is_looked_for_at_every_start(programs: Programs, tmp_path: Path) -> None:
    programs(node=GOOD_NODE, npm=GOOD_NPM)
    install(quiet)
    (tmp_path / "bin" / "node").unlink()
    with pytest.raises(NodeJsMissing, match=r"^Node\.js is missing"):
        Ganache.start(GanacheSettings())


# ------------------------------------------------------------------ installing


def test_it_is_installed_once_in_the_cache_folder(programs: Programs, cache: Path) -> None:
    programs(node=GOOD_NODE, npm=GOOD_NPM)
    said: list[str] = []
    assert installed() is None
    program = install(said.append)
    assert program == install(said.append) == installed()
    assert program.is_relative_to(cache / f"ganache-{VERSION}")
    (line,) = said
    assert line.startswith(f"installing Ganache {VERSION} in {cache}")
    calls = (cache / "calls").read_text().splitlines()
    assert calls == ["ci --omit=dev --no-audit --no-fund --ignore-scripts --json"]
    assert {path.name for path in cache.iterdir()} == {"calls", f"ganache-{VERSION}"}


@pytest.mark.parametrize(
    ("npm", "why"),
    [
        (NPM_SAYS_WHY, "404 Not Found: ganache"),
        (OLD_NPM_SAYS_WHY, "npm error no space left on device"),
        ("echo '{}'; exit 1", "it does not say why"),
        ("echo '[]'; exit 1", "it does not say why"),
    ],
)
def test_what_npm_complains_of_is_said_and_nothing_is_left(
    programs: Programs, cache: Path, npm: str, why: str
) -> None:
    programs(node=GOOD_NODE, npm=npm)
    with pytest.raises(ChainError, match=f"^npm could not install Ganache: {why}; check") as e:
        install(quiet)
    check_one_line(e)
    assert not list(cache.iterdir())


def test_one_that_another_process_installs_meanwhile_is_used(
    programs: Programs, cache: Path
) -> None:
    folder = cache / f"ganache-{VERSION}"
    programs(node=GOOD_NODE, npm=f"{GOOD_NPM}\ncp -r . {folder}\ntouch {folder}/first")
    assert install(quiet) == installed()
    assert (folder / "first").exists()


def test_a_folder_in_the_way_is_named(programs: Programs, cache: Path) -> None:
    folder = cache / f"ganache-{VERSION}"
    (folder / "something").mkdir(parents=True)
    programs(node=GOOD_NODE, npm=GOOD_NPM)
    with pytest.raises(ChainError, match=f"no Ganache in {folder}: remove that folder"):
        install(quiet)


def test_a_cache_that_cannot_be_written_is_named(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("ENERGY_CHAIN_CACHE", str(file))
    programs(node=GOOD_NODE, npm=GOOD_NPM)
    with pytest.raises(ChainError, match=f"^Ganache cannot be installed in {file}"):
        install(quiet)


# ------------------------------------------------------------------ what is pinned


@pytest.mark.parametrize("folder", NPM_FOLDERS, ids=lambda folder: folder.name)
def test_npm_installs_what_is_pinned_from_the_registry_that_is_configured(folder: Path) -> None:
    package = json.loads((folder / "package.json").read_text())
    lock = json.loads((folder / "package-lock.json").read_text())
    assert package["private"] is True
    assert lock["lockfileVersion"] == 3
    root, *locked = lock["packages"].values()
    for kind in ("dependencies", "optionalDependencies"):
        assert root.get(kind) == package.get(kind)
    assert all(each["integrity"] for each in locked)
    assert not any("resolved" in each for each in locked)


def test_the_version_is_the_one_that_is_pinned() -> None:
    package = json.loads((NPM_FOLDERS[0] / "package.json").read_text())
    assert package["dependencies"] == {"ganache": VERSION}


# ------------------------------------------------------------------ settings


def test_each_chain_id_has_a_chain_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENERGY_CHAIN_HOME", str(tmp_path))
    assert GanacheSettings().database_folder == tmp_path / "ganache" / "1337"
    assert GanacheSettings(chain_id=5777).database_folder == tmp_path / "ganache" / "5777"
    assert GanacheSettings(database=tmp_path / "own").database_folder == tmp_path / "own"


@pytest.mark.parametrize(
    "settings",
    [{"port": 0}, {"port": 65_536}, {"chain_id": 0}, {"accounts": 0}, {"block_time": -1}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        GanacheSettings(**settings)
