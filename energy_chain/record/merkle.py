"""Merkle trees that a contract can check, too: those of OpenZeppelin's StandardMerkleTree.

    leaf  = keccak256(keccak256(abi.encode(values)))
    node  = keccak256(the lower of both children, the higher of both)

Leaves are hashed twice so that none can pass for a node (second preimages), children
are sorted so that a proof is a list of hashes without directions, and the leaves
themselves stand in ascending order in a complete binary tree. Sources: R. C. Merkle, "A digital
signature based on a conventional encryption function", CRYPTO '87; the README of
@openzeppelin/merkle-tree 1.0; MerkleProof.sol of OpenZeppelin Contracts 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_utils.crypto import keccak

NOTHING = bytes(32)
"""The root of no leaves."""


def leaf(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """The hash of a row of values of Solidity's types, 32 bytes.

    Raises:
        ValueError: a value is none of its type.
    """
    try:
        return keccak(keccak(encode(types, values)))
    except EncodingError as error:
        raise ValueError(str(error)) from error


class Tree:
    """A tree of leaves, 32 bytes each."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """In whatever order: the tree of the same leaves is the same."""
        ordered = sorted(leaves)
        # A heap: the children of node i are nodes 2i + 1 and 2i + 2, the leaves the last ones.
        self._nodes = [b""] * (len(ordered) - 1) + ordered[::-1]
        for at in range(len(ordered) - 2, -1, -1):
            self._nodes[at] = _parent(self._nodes[2 * at + 1], self._nodes[2 * at + 2])
        last = len(self._nodes) - 1
        self._at = {each: last - at for at, each in enumerate(ordered)}

    @property
    def root(self) -> bytes:
        """The hash of all of it; 32 zero bytes where there are no leaves."""
        return self._nodes[0] if self._nodes else NOTHING

    def proof(self, of: bytes) -> list[bytes]:
        """The hashes that lead from a leaf to the root. Raises KeyError where there is no such."""
        at, path = self._at[of], []
        while at:
            path.append(self._nodes[at + 1 if at % 2 else at - 1])
            at = (at - 1) // 2
        return path


def root_of(of: bytes, proof: Iterable[bytes]) -> bytes:
    """The root that a leaf and its proof lead to."""
    return reduce(_parent, proof, of)


def _parent(one: bytes, other: bytes) -> bytes:
    return keccak(min(one, other) + max(one, other))
