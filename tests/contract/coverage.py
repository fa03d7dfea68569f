"""What the tests of the contract have to cover, read from its source.

Every function that changes something has to succeed, and to refuse for every reason
that its text can reach, through whatever internal functions it calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from energy_chain.chain.artifact import load_artifact, sources

Refusal = tuple[str, str]
"""A function and the reason for which it refuses."""

UNREACHABLE: set[Refusal] = {
    # They go through one function for both sides, and never meet the other side's ring.
    ("incomingRelease", "energy: ring of requests is full"),
    ("incomingRequest", "energy: ring of releases is full"),
    ("post_releases", "energy: ring of requests is full"),
    ("post_requests", "energy: ring of releases is full"),
}
"""What the text reaches and no call can."""


def functions() -> set[str]:
    """The external functions that change something."""
    abi = load_artifact().abi
    return {
        entry["name"]
        for entry in abi
        if entry["type"] == "function" and entry["stateMutability"] == "nonpayable"
    }


@cache
def reachable() -> set[Refusal]:
    """Each function, with each reason that its text and what it calls have."""
    from vyper.ast import parse_to_ast

    tree = parse_to_ast((sources() / "EnergyContract.vy").read_text())
    texts = {node.name: node for node in tree.body if type(node).__name__ == "FunctionDef"}

    def reasons(name: str, seen: frozenset[str]) -> Iterator[str]:
        for node in texts[name].get_descendants():
            kind = type(node).__name__
            if kind == "Str" and node.value.startswith("energy: "):
                yield node.value
            elif kind == "Call" and _callee(node) in texts.keys() - seen:
                yield from reasons(_callee(node), seen | {_callee(node)})

    return {(name, reason) for name in functions() for reason in reasons(name, frozenset({name}))}


def _callee(call: Any) -> str:
    """The internal function of this contract that is called; empty when it is none."""
    function = call.func
    ours = type(function).__name__ == "Attribute" and getattr(function.value, "id", "") == "self"
    return str(function.attr) if ours else ""


def missing(succeeded: Collection[str], refused: Collection[Refusal]) -> list[str]:
    """What was not covered, in words."""
    never = [f"{name} never succeeded" for name in sorted(functions() - set(succeeded))]
    unseen = reachable() - set(refused) - UNREACHABLE
    strange = UNREACHABLE & set(refused) | UNREACHABLE - reachable()
    return [
        *never,
        *(f"{name} was never refused with {reason!r}" for name, reason in sorted(unseen)),
        *(
            f"{name} was said never to be refused with {reason!r}"
            for name, reason in sorted(strange)
        ),
    ]
