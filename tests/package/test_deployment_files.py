"""The files of deploy/ and docs/operations.md: commands parse, names exist, paths agree."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from energy_chain.chain import ganache
from energy_chain.chain.networks import Network
from energy_chain.cli.daemon import GRACE_SECONDS
from energy_chain.cli.exit_codes import BAD_INPUT
from tests.package.command_line import parse

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
PROGRAMS = {
    name: service for name, service in SERVICES.items() if service["image"] == "energy-chain"
}
SECONDS = re.compile(r"([0-9]+)s?")

every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
every_program = pytest.mark.parametrize("name", PROGRAMS)


def settings_of(unit: Path) -> dict[str, list[str]]:
    """What a unit sets, by name; a name may be set more than once."""
    told: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        told.setdefault(name, []).append(value)
    return told


def environment_of(unit: Path) -> dict[str, str]:
    return dict(each.split("=", 1) for each in settings_of(unit)["Environment"])


def of_instance_one(text: str) -> str:
    return text.replace("%i", "one").replace("@.", "@one.")


def test_there_is_a_unit_of_each_process_that_goes_on() -> None:
    commands = [settings_of(unit)["ExecStart"][0].split()[1:3] for unit in UNITS]
    assert sorted(commands) == sorted(
        [
            *(["aggregator", "run"], ["operator", "feed"], ["record", "update"]),
            *(["relay", "serve"], ["serve"]),
        ]
    )


# ------------------------------------------------------------------ commands


@every_unit
def test_the_command_line_of_a_unit_parses(unit: Path) -> None:
    (command,) = settings_of(unit)["ExecStart"]
    parse(of_instance_one(command).replace("${FEED_URL}", "mqtt://127.0.0.1/meters"))


@every_program
def test_the_command_line_of_a_service_parses(name: str) -> None:
    assert 'ENTRYPOINT ["energy-chain"]' in DOCKERFILE
    parse(shlex.join(["energy-chain", *PROGRAMS[name]["command"]]))


def test_the_command_lines_that_compose_is_given_parse() -> None:
    lines = re.findall(r"^docker compose -f (\S+) run --rm (\w+) (.*)$", OPERATIONS, re.MULTILINE)
    assert len(lines) > 2
    for file, service, arguments in lines:
        assert (ROOT / file).is_file()
        assert service in PROGRAMS
        parse(f"energy-chain {arguments}")


# ------------------------------------------------------------------ names


def test_every_variable_that_is_set_is_one_that_is_read() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "energy_chain").rglob("*.py"))
    read = set(re.findall(r"\bENERGY_CHAIN_[A-Z]+(?:_[A-Z]+)*\b", sources))
    texts = [OPERATIONS, DOCKERFILE, *(path.read_text() for path in UNITS)]
    texts.append((DEPLOY / "compose.yaml").read_text())
    named = set(re.findall(r"\bENERGY_CHAIN_[A-Z_]*[A-Z]\b", "\n".join(texts)))
    networks = {name for name in named if "__" in name}
    settings = {field.name.upper() for field in fields(Network)}
    assert {name.rpartition("__")[2] for name in networks} <= settings
    assert named - networks <= read
    assert {"ENERGY_CHAIN_HOME", "ENERGY_CHAIN_PASSPHRASE_FILE"} <= named


@every_unit
def test_a_unit_has_a_user_and_folders_of_its_own_that_the_document_names(unit: Path) -> None:
    told, environment = settings_of(unit), environment_of(unit)
    (user,), (state,) = told["User"], told["StateDirectory"]
    assert re.search(rf"^u {user} ", (DEPLOY / "systemd" / "sysusers.conf").read_text(), re.M)
    assert told["CacheDirectory"] == [state]
    assert environment["ENERGY_CHAIN_HOME"] == f"%S/{state}"
    assert environment["ENERGY_CHAIN_CACHE"] == f"%C/{state}"
    cells = [
        of_instance_one(unit.name),
        of_instance_one(state).removeprefix("energy-chain/"),
        *(of_instance_one(each.split(":")[1]) for each in told.get("LoadCredential", [])),
        *(of_instance_one(each.removeprefix("-")) for each in told["EnvironmentFile"]),
    ]
    (row,) = re.findall(rf"^\| `{re.escape(cells[0])}` \|.*$", OPERATIONS, re.MULTILINE)
    assert [cell for cell in cells if f"`{cell}`" not in row] == []
    account = re.search(r"--account (\S+)", told["ExecStart"][0])
    if account:
        assert f"`{of_instance_one(account[1])}`" in row
        assert environment["ENERGY_CHAIN_PASSPHRASE_FILE"] == "%d/passphrase"


@every_program
def test_a_service_keeps_what_it_has_in_a_volume_of_its_own(name: str) -> None:
    (home,) = re.findall(r"ENERGY_CHAIN_HOME=(\S+)", DOCKERFILE)
    assert PROGRAMS[name]["volumes"] == [f"{name}:{home}"]


def test_the_paths_that_the_image_is_built_from_are_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    assert "requirements.lock" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE))
    assert {each["build"]["target"] for each in SERVICES.values() if "build" in each} <= targets


def test_the_driver_of_postgresql_is_the_one_that_is_tested() -> None:
    packages = re.split(r"^(?=[a-z])", (ROOT / "requirements-dev.lock").read_text(), flags=re.M)
    wanted = "".join(each for each in packages if each.startswith("psycopg"))
    assert (DEPLOY / "postgres.lock").read_text() == wanted != "", "make lock writes it anew"


# ------------------------------------------------------------------ behaviour


@every_unit
def test_a_unit_starts_again_unless_the_next_start_must_end_as_well(unit: Path) -> None:
    told = settings_of(unit)
    assert told["Restart"] == ["on-failure"]
    assert told["RestartPreventExitStatus"] == [str(BAD_INPUT)]
    assert told["KillSignal"] == ["SIGTERM"]
    assert int(told["TimeoutStopSec"][0]) > GRACE_SECONDS + 3


@every_program
def test_a_service_has_the_time_that_it_takes_to_end(name: str) -> None:
    told = SECONDS.fullmatch(PROGRAMS[name]["stop_grace_period"])
    assert told
    assert int(told[1]) > GRACE_SECONDS + 3


def test_ganache_is_what_the_command_line_starts() -> None:
    wanted = ganache._options(ganache.GanacheSettings(block_time=1), verbose=False)
    differ = ("--server.host=", "--database.dbPath=")
    ours = SERVICES["chain"]["command"]
    assert [each for each in ours if not each.startswith(differ)] == [
        each for each in wanted if not each.startswith(differ)
    ]


@every_unit
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    # The program need not be in /opt on this machine.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.M)
    copy = tmp_path / of_instance_one(unit.name)
    copy.write_text(text)
    program = ["systemd-analyze", "verify", "--man=no", str(copy)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    # It looks at the machine's other units as well.
    ours = [line for line in done.stderr.splitlines() if copy.stem in line]
    assert (done.returncode, ours) == (0, [])


# ------------------------------------------------------------------ alarms


def constants(path: Path) -> Iterator[str]:
    """Every string of a source, and every part of one between values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


ALARMS = OPERATIONS.partition("## Alarms")[2].partition("## Moving")[0]


def parts(message: str) -> list[str]:
    """What is left of a message without what stands for something else."""
    return [part.strip() for part in re.split(r"…|\b[A-Z]{5,}\b|30 s|ring of \w+", message)]


def test_every_alarm_of_the_document_is_one_that_the_program_tells() -> None:
    told = "\n".join(
        text for path in (ROOT / "energy_chain").rglob("*.py") for text in constants(path)
    )
    lines = ALARMS.partition("**The relay**")[0]
    rows = re.findall(r"^\| (?:3 \| )?(`[^|]*`) \|", lines, re.MULTILINE)
    messages = [each for row in rows for each in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 18
    missing = [
        (message, part)
        for message in messages
        for part in parts(message.removeprefix("waiting: "))
        if part.strip(" ()") and part not in told
    ]
    assert missing == []


def test_every_report_of_what_is_under_way_is_an_alarm_of_the_document() -> None:
    source = ast.parse((ROOT / "energy_chain" / "chain" / "sender.py").read_text())
    reports = [
        part.value.strip()
        for call in ast.walk(source)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "report"
        for part in ast.walk(call)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    assert len(reports) > 5
    assert [report for report in reports if report not in ALARMS] == []
