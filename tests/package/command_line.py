"""The command line as tests see it: its commands, how they end, and what that has to look like."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import typer

from energy_chain import cli
from energy_chain.cli.exit_codes import BAD_INPUT, CHAIN_FAILED

# Neither stands anywhere but in tests: finding one of them in a text is finding a leak.
ROOF_KEY = "c0ffee5ec2e7" * 5 + "c0de"
PASSPHRASE = "canary-passphrase-4711"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, with the words that call it."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield name, command
        for inner, child in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {inner}", child)

    yield from walk("energy-chain", typer.main.get_command(cli.app))


COMMANDS = dict(commands())
LEAVES = [name for name, command in COMMANDS.items() if not getattr(command, "commands", None)]


def parse(line: str) -> None:
    """Parses a command line without running it, as far as its words go."""
    words = shlex.split(line, comments=True)
    words[0] = Path(words[0]).name
    name = words.pop(0)
    while words and f"{name} {words[0]}" in COMMANDS:
        name += f" {words.pop(0)}"
    command = COMMANDS[name]
    if name in LEAVES:
        with suppress(typer.Exit):  # of --help
            command.make_context(name, words)
        return
    # Options of a group act while they are parsed: one of them installs things.
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert words, line
    assert set(words) <= known, f"No such command or option: {line}"


def printed(outcome: Outcome) -> str:
    """What a command that was done has printed for people."""
    code, out, err = outcome
    assert (code, err) == (0, "")
    return out


def in_json(outcome: Outcome) -> Any:
    """The JSON document of a command that was done."""
    return json.loads(printed(outcome))


def json_lines(outcome: Outcome) -> list[Any]:
    """The lines of JSON of a command that was done."""
    return [json.loads(line) for line in printed(outcome).splitlines()]


def refused(outcome: Outcome, *fragments: str) -> None:
    """Input or market said no: one line on standard error that says all of it, and code 2."""
    _ended_with(outcome, BAD_INPUT, fragments)


def cannot_use_the_chain(outcome: Outcome, *fragments: str) -> None:
    """The chain said no: one line on standard error that says all of it, and code 3."""
    _ended_with(outcome, CHAIN_FAILED, fragments)


def _ended_with(outcome: Outcome, expected: int, fragments: tuple[str, ...]) -> None:
    code, out, err = outcome
    assert (code, out) == (expected, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [fragment for fragment in fragments if fragment not in err] == []
