"""What clients rely on: selectors, mutability, notices, limits, size."""

from __future__ import annotations

import ast
import operator as operators

import pytest

from energy_chain import market as twin
from energy_chain.chain.artifact import load_artifact, sources

ANCESTOR = {
    "incomingRequest(address,int256)": "0x862eb3fe",
    "incomingRelease(address,int256)": "0x4991cdcb",
    "check_request_counter()": "0xc592e96a",
    "check_release_counter()": "0x1de76ad0",
    "get_request_value()": "0x095d15a4",
    "get_release_value()": "0xd983924a",
    "doMatching(int256)": "0xb78ec088",
    "outgoingRelease(address)": "0xa52e9ce7",
    "get_mapping_data(address)": "0xec5405cd",
    "get_matching_value(address)": "0x616b5299",
    "consume(address,int256)": "0x6337fea2",
    "owner()": "0x8da5cb5b",
}
"""Selectors of the ancestor's functions: the first four bytes of the signature's Keccak-256."""

ANCESTOR_RETURNS = {
    "check_request_counter": ["uint256"],
    "check_release_counter": ["uint256"],
    "get_request_value": ["int256"],
    "get_release_value": ["int256"],
    "outgoingRelease": ["address"],
    "get_mapping_data": ["address"],
    "get_matching_value": ["int256"],
    "owner": ["address"],
}

CHANGES_STATE = {
    "incomingRequest",
    "incomingRelease",
    "post_requests",
    "post_releases",
    "post_and_match",
    "post_signed",
    "match_pending",
    "doMatching",
    "consume",
    "consume_match",
    "confirm_deliveries",
    "confirm_matches",
    "register_meters",
    "retire_meter",
    "transfer_ownership",
    "accept_ownership",
    "set_aggregator",
    "set_metering_operator",
    "pause",
    "unpause",
}

WITHOUT_NOTICE = {
    # Getters of variables, for which the compiler has none, and the short form of `matches_of`'s
    # two signatures or the long one.
    "CAPACITY()",
    "MATCH_CAPACITY()",
    "MAX_BATCH()",
    "owner()",
    "pending_owner()",
    "aggregator()",
    "matches_of(address,uint256)",
}


@pytest.fixture(scope="module")
def artifact():
    return load_artifact()


def functions(artifact):
    return [entry for entry in artifact.abi if entry["type"] == "function"]


@pytest.mark.parametrize(("signature", "selector"), ANCESTOR.items())
def test_clients_of_the_ancestor_find_its_functions(artifact, signature, selector):
    assert int(artifact.method_identifiers[signature], 16) == int(selector, 16)


@pytest.mark.parametrize(("name", "types"), ANCESTOR_RETURNS.items())
def test_clients_of_the_ancestor_find_its_return_types(artifact, name, types):
    (entry,) = (entry for entry in functions(artifact) if entry["name"] == name)
    assert [output["type"] for output in entry["outputs"]] == types


def test_a_getter_changes_nothing_and_nothing_else_is_a_getter(artifact):
    mutability = {entry["name"]: entry["stateMutability"] for entry in functions(artifact)}
    assert {name for name, kind in mutability.items() if kind == "nonpayable"} == CHANGES_STATE
    assert {kind for name, kind in mutability.items() if name not in CHANGES_STATE} == {"view"}


def test_nothing_takes_ether(artifact):
    assert all(entry.get("stateMutability") != "payable" for entry in artifact.abi)
    assert not [entry for entry in artifact.abi if entry["type"] in ("fallback", "receive")]


def test_every_function_has_a_notice(artifact):
    notices = artifact.userdoc["methods"]
    without = {s for s in artifact.method_identifiers if not notices.get(s, {}).get("notice")}
    assert without == WITHOUT_NOTICE
    assert artifact.userdoc["notice"]


def test_the_code_leaves_room_for_what_is_planned(artifact, market):
    assert len(bytes.fromhex(artifact.runtime[2:])) <= 20_500
    assert len(market.runtime()) <= 20_500


def test_the_contract_tells_its_limits(market):
    assert market.CAPACITY() == twin.CAPACITY == 1024
    assert market.MATCH_CAPACITY() == twin.MATCH_CAPACITY == 2048
    assert market.MAX_BATCH() == twin.MAX_BATCH == 256


@pytest.mark.parametrize(
    "name",
    [
        "LANES_PER_WORD",
        "CAPACITY",
        "MATCH_CAPACITY",
        "MAX_BATCH",
        "MAX_ENERGY",
        "MAX_METERS",
        "MAX_COUNTER",
        "MIN_PERIOD_LENGTH",
        "MAX_PERIOD_LENGTH",
        "DEFAULT_PERIOD_LENGTH",
        "MAX_SIGNED",
    ],
)
def test_the_python_twin_has_the_limits_of_the_contract(name):
    assert getattr(twin, name) == constants((sources() / "limits.vy").read_text())[name]


def constants(source: str) -> dict[str, int]:
    """The constants that a Vyper module of nothing but constants defines."""
    values: dict[str, int] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            assert node.value is not None
            values[node.target.id] = evaluate(node.value, values)
    return values


def evaluate(node: ast.expr, names: dict[str, int]) -> int:
    """The value of integer arithmetic over names."""
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int)
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    assert isinstance(node, ast.BinOp)
    operation = {
        ast.Add: operators.add,
        ast.Sub: operators.sub,
        ast.Mult: operators.mul,
        ast.Pow: operators.pow,
        ast.FloorDiv: operators.floordiv,
    }[type(node.op)]
    return int(operation(evaluate(node.left, names), evaluate(node.right, names)))
