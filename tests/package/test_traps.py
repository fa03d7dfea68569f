"""The traps of the compiler that no source of ours steps into, and that the search finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vyper

from energy_chain.chain import artifact
from tests.package.traps import COMPILER, EVM, Source, changing, problems, sources_in

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "contracts_vy", ROOT / "benchmarks" / "baseline"]
PRAGMAS = f"# pragma version {COMPILER}\n# pragma evm-version {EVM}\n"
FRAME = (
    PRAGMAS
    + """
event E:
    a: uint256
    b: uint256

x: uint256
array: DynArray[uint256, 4]
LIMIT: immutable(uint256)

@deploy
def __init__():
    LIMIT = 5

@internal
def _write() -> uint256:
    self.x += 1
    return self.x

@internal
def _log(a: uint256, b: uint256) -> uint256:
    log E(a=a, b=b)
    return a

@internal
def _through() -> uint256:
    return self._write()

@view
@internal
def _read(a: uint256) -> uint256:
    return self.x + a

@pure
@internal
def _add(a: uint256, b: uint256) -> uint256:
    return a + b

@external
def run(local: uint256) -> uint256:
    words: DynArray[uint256, 4] = []
    fixed: uint256[4] = empty(uint256[4])
"""
)


def found(*lines: str) -> list[str]:
    """What the search says of a function with these lines."""
    body = "\n".join(f"    {line}" for line in (*lines, "return 0"))
    source = Source.parse("small.vy", FRAME + body)
    return [problem.partition(": ")[2] for problem in problems({source.name: source})]


# ------------------------------------------------------------------ our sources


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_source_of_ours_steps_into_a_trap(folder: Path) -> None:
    sources = sources_in(folder)
    assert any(source.is_deployable for source in sources.values())
    assert problems(sources) == []


def test_what_changes_state_in_the_contract_is_what_the_search_takes_for_it() -> None:
    sources = sources_in(FOLDERS[0])
    contract = sources["EnergyContract"]
    decorated = {
        name
        for name, function in contract.functions.items()
        if not {"view", "pure"} & {getattr(node, "id", "") for node in function.decorator_list}
    }
    assert changing(sources) == {("EnergyContract", name) for name in decorated}


def test_the_contract_is_compiled_for_the_rules_and_by_the_compiler_that_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    class Watched(vyper.compiler.CompilerData):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

    monkeypatch.setattr(vyper.compiler, "CompilerData", Watched)
    output = artifact._compile(artifact.sources())
    (data,) = made
    assert (data.settings.evm_version, data.settings.experimental_codegen) == (EVM, False)
    assert vyper.__version__.partition("+")[0] == COMPILER
    # What the compiler says of itself at the end of what a deployment sends: a map of CBOR.
    number = bytes(map(int, COMPILER.split(".")))
    assert b"evyper\x83" + number in bytes.fromhex(output["bytecode"].removeprefix("0x"))


@pytest.mark.parametrize("path", sorted(FOLDERS[1].glob("*.vy")), ids=lambda path: path.stem)
def test_the_baselines_are_compiled_for_the_same_rules(path: Path) -> None:
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.phases import CompilerData

    bundle = FilesystemInputBundle([path.parent])
    settings = CompilerData(bundle.load_file(path.name), bundle).settings
    assert (settings.evm_version, bool(settings.experimental_codegen)) == (EVM, False)


# ------------------------------------------------------------------ what the search finds

CHANGES = "a call that changes state "
OPERAND = CHANGES + "is an operand"
BESIDE = CHANGES + "stands beside what it may change"
ADDED = CHANGES + "is added to what it may change"
TARGET = CHANGES + "says where to assign"
PLACE = CHANGES + "is assigned to a place that it may change"
HEAD = CHANGES + "is in the head of a loop"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("y: uint256 = self.x + self._write()", OPERAND),
        ("y: uint256 = self._write() + 1", OPERAND),
        ("y: uint256 = 1 << self._through()", OPERAND),
        ("y: uint256 = self._log(1, 2) * self.x", OPERAND),
        ("y: bool = self._write() == self.x", OPERAND),
        ("y: bool = self.x in [self._write()]", OPERAND),
        ("y: bool = local == 0 or self._write() == 0", OPERAND),
        ("y: uint256 = 1 if self._write() == 0 else 2", OPERAND),
        ("assert self._write() > 0, 'x'", OPERAND),
        ("if self._write() != local: pass", OPERAND),
        ("y: uint256 = self.array.pop() + self.x", OPERAND),
        ("y: uint256 = self._add(self._write(), self.x)", BESIDE),
        ("y: uint256 = self._add(self._write(), self._read(1))", BESIDE),
        ("y: uint256 = self._add(self._write(), self._write())", BESIDE),
        ("y: uint256 = self._add(local, self._add(self._through(), self._read(1)))", BESIDE),
        ("fixed = [self._write(), self.x, 1, 2]", BESIDE),
        ("log E(a=self._write(), b=self.x)", BESIDE),
        ("self.array.append(self._write())", BESIDE),
        ("y: uint256 = self.array[self._write()]", BESIDE),
        ("y: Bytes[32] = raw_call(self, concat(b'', b''), max_outsize=32)", ""),
        ("y: uint256 = max(self.x, convert(raw_call(self, b'', max_outsize=32), uint256))", BESIDE),
        ("self.x += self._write()", ADDED),
        ("local_sum: uint256 = 0\n    local_sum -= self._log(1, 2)", ADDED),
        ("fixed[self._write()] = 1", TARGET),
        ("self.array[self.x] = self._write()", PLACE),
        ("self.array[self._read(0)] = self._through()", PLACE),
        ("for i: uint256 in range(self._write(), bound=4): pass", HEAD),
        ("for i: uint256 in range(self._through(), bound=4): pass", HEAD),
        ("log E(1, 2)", "an event's arguments without their names"),
        ("log E(local, b=2)", "an event's arguments without their names"),
    ],
)
def test_a_call_that_changes_state_has_to_stand_by_itself(line: str, problem: str) -> None:
    said = found(line)
    assert (problem in said) if problem else (said == [])


@pytest.mark.parametrize(
    "line",
    [
        "self._write()",
        "y: uint256 = self._write()",
        "self.x = self._through()",
        "self.array[local] = self._write()",
        "if self._add(1, 2) == self._read(0): pass",
        "y: uint256 = self.x + self._read(local)",
        "y: uint256 = self._add(self._write(), local)",
        "y: uint256 = self._add(local + LIMIT, self._add(self._write(), 7))",
        "y: uint256 = self._log(self._write(), local)",
        "words.append(self._write())",
        "y: uint256 = words.pop() + local",
        "return self._write()",
        "for i: uint256 in range(local, bound=4): self._write()",
        "for i: uint256 in range(self._read(0), bound=4): self.x += i",
        "log E(a=self._write(), b=local)",
        "log E(a=self.x, b=self._read(1))",
    ],
)
def test_what_has_one_order_only_is_fine(line: str) -> None:
    assert found(line) == []


def test_a_module_and_another_contract_may_change_state_as_well() -> None:
    module = Source.parse(
        "box.vy",
        f"# pragma version {COMPILER}\n"
        "x: uint256\n"
        "@internal\ndef write() -> uint256:\n    self.x += 1\n    return self.x\n",
    )
    text = PRAGMAS + (
        "import box\ninterface Other:\n    def f() -> uint256: nonpayable\n"
        "initializes: box\n"
        "@external\ndef run(other: Other) -> uint256:\n"
    )
    for line, bad in (
        ("return box.write() + box.x", True),
        ("return (extcall other.f()) + 1", True),
        ("return extcall other.f()", False),
        ("return box.write()", False),
    ):
        source = Source.parse("small.vy", f"{text}    {line}\n")
        said = problems({"small": source, "box": module})
        assert [problem.partition(": ")[2] for problem in said] == [OPERAND] * bad
    writer = Source.parse("small.vy", f"{text}    box.x = 1\n    return 0\n")
    assert ("small", "run") in changing({"small": writer, "box": module})


@pytest.mark.parametrize(
    ("pragmas", "problem"),
    [
        (f"# pragma evm-version {EVM}\n", f"no pragma version {COMPILER}"),
        (f"# pragma version {COMPILER}\n", f"no pragma evm-version {EVM}"),
        (
            f"# pragma version {COMPILER}\n# pragma evm-version cancun\n",
            f"no pragma evm-version {EVM}",
        ),
        (PRAGMAS + "# pragma experimental-codegen\n", "experimental code generation"),
    ],
)
def test_the_pragmas_have_to_be_there(pragmas: str, problem: str) -> None:
    code = "@external\ndef f():\n    pass\n"
    source = Source.parse("small.vy", pragmas + code)
    assert problem in [each.partition(": ")[2] for each in problems({"small": source})]


def test_a_module_needs_no_rules_of_its_own_but_may_have_no_others() -> None:
    code = "@internal\ndef f():\n    pass\n"
    module = f"# pragma version {COMPILER}\n"
    assert problems({"m": Source.parse("m.vy", module + code)}) == []
    other = Source.parse("m.vy", f"{module}# pragma evm-version cancun\n{code}")
    assert problems({"m": other}) == ["m:1: pragma evm-version cancun"]


def test_a_module_is_imported_by_one_path() -> None:
    module = f"# pragma version {COMPILER}\n"
    for first, second, good in (
        ("import limits", "import limits", True),
        ("import limits", "from . import limits", False),
        ("import limits", "import lib.limits as limits", False),
        ("from interfaces import I", "from interfaces import I", True),
        ("from interfaces import I", "from . import I", False),
    ):
        sources = {
            name: Source.parse(f"{name}.vy", f"{module}{line}\n")
            for name, line in (("a", first), ("b", second))
        }
        said = problems(sources)
        assert (said == []) == good
        assert good or " is imported by two paths: " in said[0]
