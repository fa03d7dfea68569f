"""Proves what the contract promises with halmos, for every input within the bounds of each proof.

The proofs are Vyper too, so that one compiler is all it takes. What is proved is the code as it is
deployed, optimised and with its jump tables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

from .sabotages import SABOTAGES

HERE = Path(__file__).resolve().parent
CONTRACTS = HERE.parents[1] / "contracts_vy"
CONTRACT = "EnergyContract"
FORMATS = [
    "abi", "bytecode", "bytecode_runtime", "devdoc", "layout", "method_identifiers", "userdoc"
]  # fmt: skip
OPTIONS = [
    "--storage-layout=generic",
    "--solver-timeout-branching=1s",
    "--solver-timeout-assertion=120s",
    "--default-array-lengths=1",
    "--loop=8",
    "--no-status",
]

PROOF = re.compile(
    r"@external\ndef prove_(\w+)\(\):\n"
    r'    """\n    @notice [^@]+@custom:bounds ([^@]+?)\n    """\n'
)
LONGEST = 900  # s

# A proof that reverts would prove nothing and halmos would pass it over: each is called from
# outside, and has to return.
CHECK = """

@external
def check_{name}():
    halmos._prove(raw_call(self, method_id("prove_{name}()"), revert_on_failure=False))
"""


@dataclass(frozen=True)
class Proof:
    """One property: its function, and within which bounds that proves it."""

    file: Path
    name: str
    bounds: str


@dataclass(frozen=True)
class Result:
    """What became of one proof."""

    proof: Proof
    verdict: str
    seconds: float
    paths: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=__doc__)
    parser.add_argument("names", nargs="*", help="prove these only")
    parser.add_argument(
        "--sabotage",
        action="store_true",
        help="break the contract for each proof, which must then fail",
    )
    arguments = parser.parse_args()
    proofs = list(all_proofs())
    check_sabotages(proofs)
    if unknown := set(arguments.names) - {proof.name for proof in proofs}:
        parser.error(f"no such proof: {', '.join(sorted(unknown))}")
    chosen = [proof for proof in proofs if not arguments.names or proof.name in arguments.names]
    return sabotage(chosen) if arguments.sabotage else prove(chosen)


def all_proofs() -> Iterator[Proof]:
    for file in sorted(HERE.glob("*_proofs.vy")):
        text = file.read_text()
        found = PROOF.findall(text)
        if len(found) != text.count("@external"):
            raise SystemExit(f"error: {file.name} has a function that is no proof with its bounds")
        for name, bounds in found:
            yield Proof(file, name, " ".join(bounds.split()))


def check_sabotages(proofs: Sequence[Proof]) -> None:
    contract = (CONTRACTS / f"{CONTRACT}.vy").read_text()
    if {name for name, _, _ in SABOTAGES} != {proof.name for proof in proofs}:
        raise SystemExit("error: not every proof has a sabotage, or a sabotage no proof")
    for name, was, _ in SABOTAGES:
        if contract.count(was) != 1:
            raise SystemExit(f"error: the contract does not have once what breaks {name}: {was}")


# ------------------------------------------------------------------ proving


def prove(proofs: Sequence[Proof]) -> int:
    begun = time.monotonic()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_contract(root, CONTRACTS)
        for file in {proof.file for proof in proofs}:
            write_proofs(root, file)
        for result in run(root, proofs):
            failed += result.verdict != "proved"
            proof = result.proof
            print(
                f"{result.verdict:14} {proof.name:32} {result.seconds:6.1f} s"
                f" {result.paths:4} paths  {proof.bounds}",
                flush=True,
            )
    print(f"{len(proofs) - failed} of {len(proofs)} proved, {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


def sabotage(proofs: Sequence[Proof]) -> int:
    """A proof that holds of a broken contract as well proves nothing."""
    useless = 0
    for proof in proofs:
        for was, becomes in [change for name, *change in SABOTAGES if name == proof.name]:
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder)
                sources = shutil.copytree(CONTRACTS, root / "contracts_vy")
                contract = sources / f"{CONTRACT}.vy"
                contract.write_text(contract.read_text().replace(was, becomes))
                write_contract(root, sources)
                write_proofs(root, proof.file, sources)
                (result,) = run(root, [proof], "--early-exit")
            useless += result.verdict != "counterexample"
            print(
                f"{result.verdict:14} {proof.name:32} {result.seconds:6.1f} s  "
                f"{' '.join(was.split())} -> {' '.join(becomes.split())}",
                flush=True,
            )
    print(f"{useless} of the sabotages went unnoticed" if useless else "every sabotage was noticed")
    return 1 if useless else 0


def run(root: Path, proofs: Sequence[Proof], *options: str) -> Iterator[Result]:
    # One process a proof: each is on its own, and as many run at once as there are processors.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda proof: run_one(root, proof, options), proofs)


def run_one(root: Path, proof: Proof, options: Sequence[str]) -> Result:
    report = root / f"{proof.name}.json"
    begun = time.monotonic()
    process = subprocess.run(
        [
            Path(sys.executable).with_name("halmos"),
            f"--root={root}",
            f"--contract={proof.file.stem}",
            f"--match-test=^check_{proof.name}\\(",
            f"--json-output={report}",
            *OPTIONS,
            *options,
        ],
        cwd=root,
        env={**os.environ, "PATH": f"{forge(root)}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    seconds = time.monotonic() - begun
    try:
        ((test,),) = json.loads(report.read_text())["test_results"].values()
    except (OSError, ValueError):
        sys.stderr.write(process.stdout + process.stderr)
        return Result(proof, "no result", seconds, 0)
    return Result(proof, verdict(test), seconds, (test["num_paths"] or [0])[0])


def verdict(test: dict[str, Any]) -> str:
    if test["num_models"]:
        return "counterexample"
    if test["exitcode"] != 0:
        return f"exit code {test['exitcode']}"
    _, returned, stuck = test["num_paths"]
    if test["num_bounded_loops"]:
        return "loop cut off"
    return "proved" if returned and not stuck else "no paths"


# ------------------------------------------------------------------ artefacts


def forge(root: Path) -> Path:
    """A folder with a `forge` that does nothing: halmos calls it to build what is built already."""
    folder = root / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "forge"
    with suppress(FileExistsError):  # another proof was faster
        program.symlink_to(shutil.which("true") or "/bin/true")
    return folder


def write_contract(root: Path, sources: Path) -> None:
    output = compile_vyper(sources / f"{CONTRACT}.vy", [sources])
    write_artefact(root, CONTRACT, CONTRACT, output)
    views = [item for item in output["abi"] if item.get("stateMutability") in ("view", "pure")]
    write_artefact(root, CONTRACT, f"{CONTRACT}Views", {**output, "abi": views})
    size = len(bytes.fromhex(output["bytecode_runtime"][2:]))
    size += sum(item["length"] for item in output["layout"].get("code_layout", {}).values())
    slots = {
        name.upper(): item["slot"] for name, item in output["layout"]["storage_layout"].items()
    }
    (root / "layout.vy").write_text(
        "".join(
            f"{name}: constant(uint256) = {value}\n"
            for name, value in {"CODE_SIZE": size, **slots}.items()
        )
    )


def write_proofs(root: Path, file: Path, sources: Path = CONTRACTS) -> None:
    text = file.read_text()
    names = re.findall(r"^def prove_(\w+)\(\):", text, re.MULTILINE)
    copy = root / file.name
    copy.write_text(text + "".join(CHECK.format(name=name) for name in names))
    write_artefact(root, file.stem, file.stem, compile_vyper(copy, [sources, HERE, root]))


def compile_vyper(file: Path, search: list[Path]) -> dict[str, Any]:
    bundle = FilesystemInputBundle(search)
    output: dict[str, Any] = compile_from_file_input(
        bundle.load_file(file), input_bundle=bundle, output_formats=FORMATS
    )
    return output


def write_artefact(root: Path, file: str, name: str, output: dict[str, Any]) -> None:
    """Writes what halmos reads of a contract, where and as forge would have written it."""
    functions = {item["name"] for item in output["abi"] if item["type"] == "function"}
    artefact = {
        "abi": output["abi"],
        "bytecode": {"object": output["bytecode"], "linkReferences": {}},
        "deployedBytecode": {"object": output["bytecode_runtime"], "linkReferences": {}},
        "methodIdentifiers": {
            signature: f"{int(selector, 16):08x}"
            for signature, selector in output["method_identifiers"].items()
            if signature.split("(")[0] in functions
        },
        "metadata": {"compiler": {"version": "vyper"}, "output": {"devdoc": output["devdoc"]}},
        "ast": {
            "absolutePath": f"{file}.vy",
            "nodes": [{"nodeType": "ContractDefinition", "name": name, "contractKind": "contract"}],
        },
    }
    folder = root / "out" / f"{file}.sol"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(artefact))


if __name__ == "__main__":
    sys.exit(main())
