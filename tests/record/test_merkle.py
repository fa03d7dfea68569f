"""Merkle trees as OpenZeppelin builds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_chain.record.merkle import NOTHING, Tree, leaf, root_of

numbers = st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=40, unique=True)


def hashed(*values: int) -> list[bytes]:
    return [leaf(["uint256"], [value]) for value in values]


def test_the_root_is_the_one_that_openzeppelin_documents() -> None:
    rows = [("0x" + "1" * 40, 5 * 10**18), ("0x" + "2" * 40, 25 * 10**17)]
    tree = Tree(leaf(["address", "uint256"], row) for row in rows)
    assert tree.root.hex() == "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"


@given(numbers)
def test_every_leaf_leads_to_the_root(values: list[int]) -> None:
    leaves = hashed(*values)
    tree = Tree(leaves)
    assert all(root_of(each, tree.proof(each)) == tree.root for each in leaves)


@given(numbers, st.integers(0, 2**256 - 1))
def test_another_leaf_leads_elsewhere(values: list[int], other: int) -> None:
    tree = Tree(hashed(*values))
    if other not in values:
        [stranger] = hashed(other)
        assert all(root_of(stranger, tree.proof(each)) != tree.root for each in hashed(*values))
        with pytest.raises(KeyError):
            tree.proof(stranger)


@given(numbers)
def test_the_order_of_the_leaves_does_not_matter(values: list[int]) -> None:
    assert Tree(hashed(*values)).root == Tree(hashed(*reversed(values))).root


@given(numbers)
def test_a_node_does_not_pass_for_a_leaf(values: list[int]) -> None:
    tree = Tree(hashed(*values))
    if len(values) > 1:
        with pytest.raises(KeyError):
            tree.proof(tree.root)


def test_nothing_has_a_root_of_zeros_and_one_leaf_is_its_own() -> None:
    assert Tree([]).root == NOTHING
    [only] = hashed(7)
    assert (Tree([only]).root, Tree([only]).proof(only)) == (only, [])
