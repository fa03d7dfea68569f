"""The report on mutants: how many were noticed by what, and why each other one was not."""

from __future__ import annotations

import platform
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
REPORT = FOLDER / "report.md"
EXPLAINED = FOLDER / "survivors.toml"

STAGES = {
    "pyrevm": "`tests/contract` on pyrevm",
    "gas": "those of them that look at gas, on py-evm",
    "twin": "`tests/property` with the contract beside its twin, on py-evm",
}


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test failed for.

    Attributes:
        file: that it is in.
        function: that it is in; empty outside all functions.
        was: the line or lines, without what stands before and behind them.
        becomes: what the mutant has in their place.
    """

    file: str
    function: str
    was: str
    becomes: str

    def told(self, why: str) -> Iterator[str]:
        """As a list item with a diff."""
        place = f"`{self.file}`, " + (f"`{self.function}`" if self.function else "constants")
        yield from (f"- {place}: {why}", "", "  ```diff")
        yield from (f"  - {line.strip()}" for line in self.was.splitlines())
        yield from (f"  + {line.strip()}" for line in self.becomes.splitlines())
        yield from ("  ```", "")


@dataclass(frozen=True)
class Tally:
    """What was found of mutants in one language.

    Attributes:
        notes: how it was found, a sentence each.
        by: how many were killed by what.
        survivors: those that were not.
        rules: killed and surviving of each rule, or file.
    """

    notes: list[str]
    by: dict[str, int]
    survivors: list[Survivor]
    rules: dict[str, tuple[int, int]]


def of_contract(result: dict[str, Any]) -> Tally:
    """From what `python -m tests.mutants` has kept of its run."""
    mutants, killed = result["mutants"], {int(n): by for n, by in result["killed"].items()}
    rules: dict[str, tuple[int, int]] = {}
    for n, mutant in enumerate(mutants):
        dead, alive = rules.get(mutant["rule"], (0, 0))
        rules[mutant["rule"]] = (dead + (n in killed), alive + (n not in killed))
    stages = Counter(stage for stage, _ in killed.values())
    tests = Counter(test.split("::")[0] for _, test in killed.values())
    return Tally(
        notes=[
            f"{result['generated']:,} mutants, in an order drawn with seed {result['seed']}, were "
            f"tried until {len(mutants):,} were found to run: {result['tried']:,}, of which the "
            f"compiler refused {result['refused']:,}, {result['same']:,} compile to the contract's "
            f"own code and {result['twice']:,} to that of one before.",
            f"It took {result['seconds'] // 60} minutes with {result['jobs']} at once.",
            "First to fail, of the test files: "
            + ", ".join(f"{Path(file).stem} {count}" for file, count in tests.most_common())
            + ".",
        ],
        by={STAGES[stage]: stages[stage] for stage in STAGES},
        survivors=[
            Survivor(m["file"], m["function"], m["was"].strip(), m["becomes"].strip())
            for n, m in enumerate(mutants)
            if n not in killed
        ],
        rules=rules,
    )


def explanations() -> dict[Survivor, str]:
    """Why known survivors survive."""
    known = tomllib.loads(EXPLAINED.read_text())["survivor"]
    return {
        Survivor(
            one["file"], one["function"], one["was"].strip(), one["becomes"].strip()
        ): " ".join(one["why"].split())
        for one in known
    }


def write(contract: Tally | None, twin: Tally | None) -> None:
    """Writes the report."""
    names = ("vyper", "pyrevm", "universalmutator", "mutmut")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines = [
        "# Mutants",
        "",
        "A mutant is the code with one small fault. Tests that are worth something fail for it.",
        f"Written by `make mutants` with {versions}, Python {platform.python_version()}.",
        "",
    ]
    for title, tally in (("The contract", contract), ("The twin and the codecs", twin)):
        if tally is not None:
            lines += _section(title, tally)
    REPORT.write_text("\n".join(lines).rstrip() + "\n")


def _section(title: str, tally: Tally) -> Iterator[str]:
    killed, alive = sum(tally.by.values()), len(tally.survivors)
    why = explanations()
    yield from (f"## {title}", "")
    yield from tally.notes
    yield from ("", "| killed by | mutants |", "|---|---:|")
    yield from (f"| {by} | {count:,} |" for by, count in tally.by.items())
    yield f"| nothing | {alive:,} |"
    yield f"| **killed** | **{killed:,} of {killed + alive:,}: {killed / (killed + alive):.1%}** |"
    unexplained = [one for one in tally.survivors if one not in why]
    same = sum(why[one].startswith("Equivalent") for one in tally.survivors if one in why)
    yield ""
    if same:
        share = f"{killed / (killed + alive - same):.1%}"
        yield f"Without the {same} that no test can tell from the original: {share}."
        yield ""
    if tally.rules:
        yield from ("| rule or file | killed | survived |", "|---|---:|---:|")
        for rule, (dead, left) in sorted(tally.rules.items(), key=lambda item: -sum(item[1])):
            escaped = rule.strip().replace("|", "\\|")
            yield f"| `` {escaped} `` | {dead} | {left} |"
        yield ""
    if tally.survivors:
        yield from ("### Survivors", "")
        for one in tally.survivors:
            yield from one.told(why.get(one, "**not explained yet**"))
    if unexplained:
        print(f"{title}: {len(unexplained)} survivors are not explained", file=sys.stderr)


def shown(survivors: Iterable[Survivor]) -> str:
    """Survivors as they would stand in the file of explanations, without the reasons."""
    return "\n".join(
        f"[[survivor]]\nfile = {one.file!r}\nfunction = {one.function!r}\n"
        f"was = '''{one.was}'''\nbecomes = '''{one.becomes}'''\nwhy = ''\n"
        for one in survivors
    )
