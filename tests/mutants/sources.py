"""Mutants of the contract's sources, by the rules of universalmutator."""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from energy_chain.chain import artifact
from energy_chain.folders import write_whole

FOLDER = artifact.sources()
RULES = ["universal.rules", "vyper.rules", "python.rules", "solidity.rules"]
"""What `mutate EnergyContract.vy` goes by."""
COMPILE_SECONDS = 120
"""Of a mutant that takes longer, a constant has become too large to be worked out."""


@dataclass(frozen=True)
class Mutant:
    """One line of one file written otherwise.

    Attributes:
        file: name of the file.
        number: of the line, from 1 on.
        function: that the line is in; empty outside all functions.
        was: the line.
        becomes: what stands in its place, with its line end; may be several lines.
        rule: of universalmutator, as its rule files have it.
    """

    file: str
    number: int
    function: str
    was: str
    becomes: str
    rule: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells the mutant from others, wherever its function stands."""
        return self.file, self.function, self.was.strip(), self.becomes.strip()

    @property
    def place(self) -> str:
        """Where it is."""
        return self.function or PurePath(self.file).stem

    def text(self, lines: list[str]) -> str:
        """The mutated file."""
        return "".join([*lines[: self.number - 1], self.becomes, *lines[self.number :]])


def lines_of(file: str) -> list[str]:
    """The lines of a source, with their ends."""
    return (FOLDER / file).read_text().splitlines(keepends=True)


def mutants() -> list[Mutant]:
    """All mutants of all sources, but those of comments and notices, which are no code."""
    from universalmutator.mutator import mutants_regexp

    found = []
    for path in sorted(FOLDER.glob("*.vy")):
        lines = lines_of(path.name)
        code = [_code(line) for line in _without_notices(lines)]
        within = functions(lines)
        with contextlib.redirect_stdout(io.StringIO()):
            every = mutants_regexp(lines, RULES, ignorePatterns=[])
        for number, becomes, (rule, _), _ in every:
            if [*map(_code, becomes.splitlines())] != [code[number - 1]] and code[number - 1]:
                function = within[number - 1]
                was = lines[number - 1]
                found.append(Mutant(path.name, number, function, was, becomes, rule))
    return found


def _code(line: str) -> str:
    """A line without its comment and the spaces at its end. No string of the sources has a #."""
    return line.split("#")[0].rstrip()


def _without_notices(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        quotes = line.count('"""')
        yield "\n" if inside or quotes else line
        inside ^= quotes % 2 == 1


def functions(lines: list[str]) -> list[str]:
    """The name of the function that each line is in; empty outside all functions."""
    found, name = [], ""
    lines = [*_without_notices(lines)]
    for i, line in enumerate(lines):
        if line.startswith("@"):
            named = next(line for line in lines[i:] if line.startswith("def "))
            name = re.split(r"\W", named)[1]
        elif line[:1] not in " )\n" and not line.startswith("def "):
            name = ""
        found.append(name)
    return found


class TooLongError(Exception):
    """The compiler does not come to an end."""


def _alarm(*_: Any) -> None:
    raise TooLongError


def compiled(file: str, text: str) -> dict[str, Any] | None:
    """What the compiler makes of the contract with one file replaced; None when it refuses."""
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle

    class Bundle(FilesystemInputBundle):
        def _load_from_path(self, resolved_path: Any, original_path: Any) -> Any:
            found = super()._load_from_path(resolved_path, original_path)
            if Path(found.resolved_path).name != file:
                return found
            return FileInput(found.source_id, found.path, found.resolved_path, text)

    bundle = Bundle([FOLDER])
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(COMPILE_SECONDS)
    try:
        return compile_from_file_input(
            bundle.load_file(f"{artifact.CONTRACT}.vy"),
            input_bundle=bundle,
            output_formats=artifact._FORMATS,
            no_bytecode_metadata=True,
        )
    except Exception:  # the compiler also fails in ways of its own, as KeyError
        return None
    finally:
        signal.alarm(0)


def code_hash(output: dict[str, Any]) -> str:
    """Of the constructor and all it returns, which no comment or name changes."""
    return sha256(output["bytecode"].encode()).hexdigest()


class Compiled:
    """What the compiler makes of mutants, in a folder, so that a run can be taken up again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, mutant: Mutant) -> Path:
        """Where the output of a mutant is; empty where the compiler refuses it."""
        digest = sha256(f"{mutant.file}{mutant.text(lines_of(mutant.file))}".encode())
        for path in sorted(FOLDER.rglob("*.vy*")):
            digest.update(path.read_bytes())
        return self._folder / f"{digest.hexdigest()[:24]}.json"

    def code(self, mutant: Mutant) -> str:
        """The hash of the code that deploys a mutant; empty where the compiler refuses it."""
        path = self.path(mutant)
        if not path.exists():
            output = compiled(mutant.file, mutant.text(lines_of(mutant.file)))
            write_whole(path, "" if output is None else json.dumps(output))
        output = read(path)
        return code_hash(output) if output else ""


def read(path: Path) -> dict[str, Any] | None:
    """The compiler's output, None where it refused."""
    text = path.read_text()
    return json.loads(text) if text else None
