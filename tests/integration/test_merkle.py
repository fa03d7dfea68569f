"""Merkle trees agree with OpenZeppelin's, an implementation that shares no code with ours."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from energy_chain.record.merkle import Tree, leaf
from tests.integration.nodes import missing

HERE = Path(__file__).parent
TYPES = ["uint256", "address", "bytes32"]
TIMEOUT = 120.0


def rows_of(count: int) -> list[tuple[int, str, bytes]]:
    source = random.Random(count)
    return [
        (
            source.choice([0, 2**256 - 1, source.getrandbits(64)]),
            f"0x{source.getrandbits(160):040x}",
            source.randbytes(32),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13, 100])
def test_roots_and_proofs_are_those_of_openzeppelin(count: int) -> None:
    node = shutil.which("node")
    if node is None:
        missing("Node.js")
    if not (HERE / "node_modules" / "@openzeppelin" / "merkle-tree").is_dir():
        missing("@openzeppelin/merkle-tree")
    rows = rows_of(count)
    asked = [[str(number), address, f"0x{data.hex()}"] for number, address, data in rows]
    done = subprocess.run(
        [node, str(HERE / "merkle_agreement.cjs")],
        input=json.dumps({"types": TYPES, "rows": asked}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    theirs = json.loads(done.stdout)
    leaves = [leaf(TYPES, row) for row in rows]
    tree = Tree(leaves)
    assert f"0x{tree.root.hex()}" == theirs["root"]
    proofs = [[f"0x{digest.hex()}" for digest in tree.proof(each)] for each in leaves]
    assert proofs == theirs["proofs"]
