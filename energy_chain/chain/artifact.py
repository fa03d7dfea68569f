"""The compiled contract: compiled once, then read from a cache.

The sources stand in `contracts_vy/` of a checkout and inside an installed
wheel. The cache is keyed by what they say and by the compiler's version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from energy_chain.errors import ChainError
from energy_chain.folders import cache_folder, write_whole

CONTRACT = "EnergyContract"
_FORMATS = ("abi", "bytecode", "bytecode_runtime", "layout", "method_identifiers", "userdoc")


@dataclass(frozen=True, slots=True)
class Artifact:
    """What the compiler makes of the contract.

    Attributes:
        abi: the JSON ABI.
        bytecode: what a deployment sends, without the constructor's arguments.
        runtime: the code at the address of a deployed contract, without its immutables.
        pending_slot: the storage slot of the first word of pending orders.
        method_identifiers: selector of each signature.
        userdoc: the NatSpec notices.
    """

    abi: list[dict[str, Any]]
    bytecode: str
    runtime: str
    pending_slot: int
    method_identifiers: dict[str, str]
    userdoc: dict[str, Any]

    @property
    def code_hash(self) -> str:
        """SHA-256 of `runtime`, in hexadecimal."""
        return hashlib.sha256(bytes.fromhex(self.runtime.removeprefix("0x"))).hexdigest()

    @property
    def abi_hash(self) -> str:
        """SHA-256 of the ABI as compact JSON with sorted keys, in hexadecimal."""
        canonical = json.dumps(self.abi, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def sources() -> Path:
    """The folder of the contract's sources.

    Raises:
        ChainError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "contracts_vy", package.parent / "contracts_vy"):
        if (folder / f"{CONTRACT}.vy").is_file():
            return folder
    raise ChainError(f"{CONTRACT}.vy is missing from {package}: install the package again")


@cache
def load_artifact() -> Artifact:
    """The compiled contract, from the cache folder where possible."""
    folder = sources()
    digest = hashlib.sha256(version("vyper").encode())
    for path in sorted((*folder.glob("*.vy"), *folder.glob("interfaces/*.vyi"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    cached = cache_folder() / f"{CONTRACT}-{digest.hexdigest()[:16]}.json"
    try:
        return _artifact(json.loads(cached.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        output = _compile(folder)
        # A cache that cannot be written costs two seconds a run and nothing else.
        with contextlib.suppress(OSError):
            write_whole(cached, json.dumps(output))
        return _artifact(output)


def _artifact(output: dict[str, Any]) -> Artifact:
    return Artifact(
        abi=output["abi"],
        bytecode=output["bytecode"],
        runtime=output["bytecode_runtime"],
        pending_slot=output["layout"]["storage_layout"]["pending"]["slot"],
        method_identifiers=output["method_identifiers"],
        userdoc=output["userdoc"],
    )


def _compile(folder: Path) -> dict[str, Any]:
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle

    bundle = FilesystemInputBundle([folder])
    source = bundle.load_file(f"{CONTRACT}.vy")
    output: dict[str, Any] = compile_from_file_input(
        source, input_bundle=bundle, output_formats=_FORMATS
    )
    return output
