"""`energy-chain serve`, `demo --serve` and `plot`, on a node of this process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energy_chain.cli.exit_codes import CHAIN_FAILED
from tests.package.command_line import Outcome, Run, in_json, json_lines, printed, refused
from tests.package.conftest import Neighbourhood
from tests.web.test_live import LONGEST

NODE = "ENERGY_CHAIN_NETWORKS__GANACHE__URL"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LONGEST) as answer:
        return json.loads(answer.read())


def asked(port: int, path: str, into: dict[str, Any]) -> bool:
    """Puts what is answered into a dictionary, once somebody does."""
    try:
        into.update(ask(port, path))
    except OSError:
        return False
    return True


def test_a_market_is_followed_and_shown_until_somebody_ends_it(
    stopped_when: Callable[..., Outcome], neighbourhood: Neighbourhood, own_home: Path, port: int
) -> None:
    neighbourhood.match(500, 300)
    told: dict[str, Any] = {}

    def shown() -> bool:
        path = f"/api/markets/{neighbourhood.address}"
        return asked(port, path, told) and told["totals"]["matches"] == 2

    def traded() -> bool:
        if asked(port, "/healthz", {}) and not told:
            neighbourhood.match(400, 200)
        return shown()

    outcome = stopped_when(traded, "serve", "--port", port, "--no-audit", "--json")
    (serving,) = json_lines(outcome)
    assert serving["serving"] == {
        "url": f"http://127.0.0.1:{port}",
        "record": str(own_home / "record.sqlite"),
        "contracts": [neighbourhood.address],
    }
    assert told["totals"]["matched_wh"] == 500
    assert told["node"]["reachable"] is True


def test_where_the_node_is_down_the_record_is_shown_and_it_is_said(
    stopped_when: Callable[..., Outcome],
    neighbourhood: Neighbourhood,
    run: Run,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    neighbourhood.match(500, 300)
    run("record", "update")
    monkeypatch.setenv(NODE, "http://127.0.0.1:9")
    told: dict[str, Any] = {}

    def shown() -> bool:
        path = f"/api/markets/{neighbourhood.address}"
        return asked(port, path, told) and told["node"]["reachable"] is False

    outcome = stopped_when(shown, "serve", "--port", port, "--no-audit")
    assert outcome.code == 0
    assert f"http://127.0.0.1:{port}" in outcome.out
    assert outcome.err.startswith("waiting: ")
    assert told["node"]["said"] == "The node does not answer"
    assert told["totals"]["matches"] == 1


def test_without_a_node_and_a_record_there_is_nothing_to_show(
    neighbourhood: Neighbourhood, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert neighbourhood
    monkeypatch.setenv(NODE, "http://127.0.0.1:9")
    refused(run("serve", "--port", 0, "--offline"), "there is no record in")
    assert run("serve", "--port", 0).code == CHAIN_FAILED


def test_a_record_is_shown_without_its_chain(
    stopped_when: Callable[..., Outcome],
    neighbourhood: Neighbourhood,
    run: Run,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    neighbourhood.match(500, 300)
    run("record", "update")
    monkeypatch.setenv(NODE, "http://127.0.0.1:9")
    told: dict[str, Any] = {}

    def audited() -> bool:
        path = f"/api/markets/{neighbourhood.address}"
        return asked(port, path, told) and told["audit"]["state"] == "clean"

    outcome = stopped_when(audited, "serve", "--offline", "--port", port)
    assert printed(outcome).startswith("Showing ")
    assert told["node"]["reachable"] is None
    assert told["audit"]["as_of_block"] == told["as_of"]["block"]


def test_a_port_that_is_taken_is_refused(run: Run, neighbourhood: Neighbourhood) -> None:
    assert neighbourhood
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(run("serve", "--port", port), f"port {port}", "--port")


def test_sigterm_ends_it_well_while_somebody_listens(
    neighbourhood: Neighbourhood, run: Run, own_home: Path
) -> None:
    neighbourhood.match(500, 300)
    run("record", "update")
    command = [sys.executable, "-m", "energy_chain", "serve", "--offline", "--no-audit"]
    command += ["--port", "0", "--record", str(own_home / "record.sqlite"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["serving"]["url"]
        with urllib.request.urlopen(f"{url}/api/events", timeout=LONGEST) as listening:
            assert listening.readline() == b"retry: 2000\n"
            process.send_signal(signal.SIGTERM)
            listening.read()
        out, err = process.communicate(timeout=LONGEST)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_the_demo_is_shown_while_it_runs_and_afterwards(
    stopped_when: Callable[..., Outcome], port: int, own_home: Path, tmp_path: Path
) -> None:
    assert own_home
    lines = ["meter,period_start,consumption,production"]
    for hour in range(24):
        lines += [
            f"{home},2026-06-21T{hour:02}:00:00Z,0.3,{0.9 if home == 'a' and 8 < hour < 16 else 0}"
            for home in "abc"
        ]
    (tmp_path / "day.csv").write_text("\n".join(lines) + "\n")
    blocks: set[int] = set()
    told: dict[str, Any] = {}

    def over() -> bool:
        if not asked(port, "/api/markets", told) or not told["markets"]:
            return False
        (market,) = told["markets"]
        blocks.add(market["as_of"]["block"] or 0)
        asked(port, f"/api/markets/{market['address']}", told)
        return (told["current_period"] or {}).get("start") == "2026-06-21T23:00:00Z"

    options = ["--data", tmp_path / "day.csv", "--packed", "--port", port, "--json"]
    serving, result = json_lines(stopped_when(over, "demo", "--serve", *options))
    assert serving["serving"]["url"] == f"http://127.0.0.1:{port}"
    assert result["audit"]["clean"]
    assert len(blocks) > 2
    assert told["totals"]["matches"] > 0
    assert (told["network"], told["node"]["reachable"]) == ("embedded", True)


def test_a_demo_that_is_shown_can_be_ended_before_it_is_over(
    stopped_when: Callable[..., Outcome], port: int, own_home: Path
) -> None:
    assert own_home

    def begun() -> bool:
        return asked(port, "/healthz", told := {}) and told["markets"] == 1

    options = ["--homes", 3, "--port", port]
    out = printed(stopped_when(begun, "demo", "--serve", *options))
    assert out == f"The demo is shown at http://127.0.0.1:{port}/?zone=UTC while it runs.\n"


@pytest.mark.parametrize("format", ["both", "svg"])
def test_the_pictures_of_a_record_are_drawn(
    neighbourhood: Neighbourhood, run: Run, tmp_path: Path, format: str
) -> None:
    neighbourhood.match(500, 300)
    run("record", "update")
    told = in_json(run("plot", "--to", tmp_path / "pictures", "--format", format, "--json"))
    names = {"usage.svg", "shares.svg", "homes.svg"}
    if format == "both":
        names |= {name.replace("svg", "png") for name in names}
    assert {Path(file).name for file in told["files"]} == names
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == names
    drawn = (tmp_path / "pictures" / "homes.svg").read_text()
    assert "home 1" in drawn
    assert neighbourhood.address in drawn


def test_days_on_which_nothing_was_traded_are_no_picture(
    neighbourhood: Neighbourhood, run: Run, tmp_path: Path
) -> None:
    neighbourhood.match(500, 300)
    run("record", "update")
    outcome = run("plot", "--to", tmp_path, "--from", "2001-01-01", "--until", "2001-01-02")
    refused(outcome, "nothing of", "record show")
