"""What our Vyper never does, because the compiler takes it and the result is not what it says.

The order in which Vyper 0.4.3 evaluates operands, arguments and the two sides of an assignment is
not the order in which they are written. Where one of them changes state, that shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from vyper.ast import nodes as vy
from vyper.ast import parse_to_ast

COMPILER, EVM = "0.4.3", "shanghai"
CHANGING_BUILTINS = {
    "raw_call",
    "raw_create",
    "raw_log",
    "raw_revert",
    "send",
    "selfdestruct",
    "create_minimal_proxy_to",
    "create_copy_of",
    "create_from_blueprint",
}
CHANGING_METHODS = {"append", "pop"}
"""Of dynamic arrays."""
OPERATORS = (vy.BinOp, vy.BoolOp, vy.Compare, vy.UnaryOp, vy.IfExp)
STORED = ("self", "transient")

Node: TypeAlias = Any
"""Of the compiler's syntax tree, which has no types."""


@dataclass
class Source:
    """A Vyper file, parsed.

    Attributes:
        name: its path in the folder of the sources, without the suffix.
        tree: its syntax tree.
        functions: by name.
        modules: what each name that it imports stands for.
    """

    name: str
    tree: Node
    functions: dict[str, Node] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, text: str) -> Source:
        source = cls(name.rpartition(".")[0], parse_to_ast(text, is_interface=name.endswith("vyi")))
        for node in source.tree.body:
            if isinstance(node, vy.FunctionDef):
                source.functions[node.name] = node
        for path, alias in imports(source.tree):
            source.modules[alias] = path.replace(".", "/").rpartition("/")[2]
        return source

    @property
    def is_deployable(self) -> bool:
        """Whether a contract is made of it, and not only code for others."""
        return (
            any(
                getattr(decorator, "id", "") in ("external", "deploy")
                for function in self.functions.values()
                for decorator in function.decorator_list
            )
            and not self.tree.is_interface
        )


def sources_in(*folders: Path) -> dict[str, Source]:
    """Every Vyper file in the folders."""
    found = [
        Source.parse(str(path.relative_to(folder)), path.read_text())
        for folder in folders
        for path in sorted(folder.rglob("*.vy*"))
    ]
    return {source.name: source for source in found}


def imports(tree: Node) -> Iterator[tuple[str, str]]:
    """The path by which each import leads to a module, and the name that it gives it."""
    for node in tree.body:
        if isinstance(node, vy.Import):
            yield node.name, node.alias or node.name
        elif isinstance(node, vy.ImportFrom):
            path = "." * node.level + (f"{node.module}." if node.module else "")
            yield path + node.name, node.alias or node.name


# ------------------------------------------------------------------ what changes state


def root_of(node: Node) -> Node:
    """The name at the bottom of `a.b[c].d`."""
    while isinstance(node, vy.Attribute | vy.Subscript):
        node = node.value
    return node


def is_stored(node: Node, source: Source) -> bool:
    """Whether it is a variable of the contract or of a module, or a part of one."""
    root = root_of(node)
    if node is root or not isinstance(root, vy.Name):
        return False
    return root.id in STORED or root.id in source.modules


def changing(sources: Mapping[str, Source]) -> set[tuple[str, str]]:
    """Source and name of every function that writes, logs or calls what does."""
    found: set[tuple[str, str]] = set()
    while True:
        more = {
            (source.name, name)
            for source in sources.values()
            for name, function in source.functions.items()
            if (source.name, name) not in found
            and any(changes(node, source, found) for node in function.get_descendants())
        }
        if not more:
            return found
        found |= more


def changes(node: Node, source: Source, known: Iterable[tuple[str, str]]) -> bool:
    """Whether a node by itself changes state, given the functions known to."""
    if isinstance(node, vy.Log | vy.ExtCall):
        return True
    if isinstance(node, vy.Assign | vy.AugAssign):
        targets = node.target.elements if isinstance(node.target, vy.Tuple) else [node.target]
        return any(is_stored(target, source) for target in targets)
    return isinstance(node, vy.Call) and changes_when_called(node, source, known)


def changes_when_called(call: Node, source: Source, known: Iterable[tuple[str, str]]) -> bool:
    """Whether a call changes state."""
    function = call.func
    if isinstance(function, vy.Name):
        return function.id in CHANGING_BUILTINS
    if not isinstance(function, vy.Attribute):
        return False
    if function.attr in CHANGING_METHODS and is_stored(function.value, source):
        return True
    if not isinstance(function.value, vy.Name):
        return False
    module = function.value.id
    where = source.name if module == "self" else source.modules.get(module, "")
    return (where, function.attr) in known


# ------------------------------------------------------------------ the rules


def problems(sources: Mapping[str, Source]) -> list[str]:
    """What is wrong with the sources: `file:line: what`."""
    known = changing(sources)
    return [
        f"{source.name}:{getattr(node, 'lineno', 1)}: {what}"
        for source in sources.values()
        for node, what in (*_of_source(source), *_of_calls(source, known))
    ] + list(_of_imports(sources))


def _of_source(source: Source) -> Iterator[tuple[Node, str]]:
    settings = source.tree.settings
    if settings.compiler_version != COMPILER and not source.tree.is_interface:
        yield source.tree, f"no pragma version {COMPILER}"
    if source.is_deployable and settings.evm_version != EVM:
        yield source.tree, f"no pragma evm-version {EVM}"
    if settings.evm_version not in (None, EVM):
        yield source.tree, f"pragma evm-version {settings.evm_version}"
    if settings.experimental_codegen:
        yield source.tree, "experimental code generation"
    for log in source.tree.get_descendants(vy.Log):
        if log.value.args:
            yield log, "an event's arguments without their names"


def _of_calls(source: Source, known: Iterable[tuple[str, str]]) -> Iterator[tuple[Node, str]]:
    for call in source.tree.get_descendants((vy.Call, vy.ExtCall)):
        if isinstance(call, vy.ExtCall) or (
            not isinstance(call.get_ancestor(), vy.ExtCall | vy.Log)
            and changes_when_called(call, source, known)
        ):
            for what in _of_place(call, source):
                yield call, f"a call that changes state {what}"


def _of_place(call: Node, source: Source) -> Iterator[str]:
    """What is wrong with the place of a call that changes state."""
    inner, outer = call, call.get_ancestor()
    while not isinstance(outer, vy.FunctionDef | vy.Module):
        if isinstance(outer, OPERATORS):
            yield "is an operand"
        elif isinstance(outer, vy.AugAssign):
            yield "is added to what it may change"
        elif isinstance(outer, vy.For):
            if inner is outer.iter:
                yield "is in the head of a loop"
            return
        elif isinstance(outer, vy.Assign):
            if inner is outer.target:
                yield "says where to assign"
            elif not _is_steady_target(outer.target, source):
                yield "is assigned to a place that it may change"
        elif isinstance(outer, vy.Call | vy.List | vy.Tuple | vy.Dict | vy.Subscript):
            others = [child for child in outer.get_children() if child is not inner]
            if not all(_is_steady(other, source) for other in others):
                yield "stands beside what it may change"
        if isinstance(outer, vy.Stmt):
            return
        inner, outer = outer, outer.get_ancestor()


def _is_steady(node: Node, source: Source) -> bool:
    """Whether no call can change what an expression is: it reads no state and calls nothing."""
    above = node.get_ancestor()
    if isinstance(node, vy.Attribute) and isinstance(above, vy.Call) and node is above.func:
        # The function that is called, unless it is an array's method.
        return node.attr not in CHANGING_METHODS or not is_stored(node.value, source)
    parts = [node, *node.get_descendants()]
    called = any(isinstance(part, vy.Call | vy.ExtCall | vy.StaticCall) for part in parts)
    return not called and not any(getattr(part, "id", "") in STORED for part in parts)


def _is_steady_target(target: Node, source: Source) -> bool:
    """Whether no call can change which place is assigned to."""
    parts = [target, *target.get_descendants()]
    return all(_is_steady(part.slice, source) for part in parts if isinstance(part, vy.Subscript))


def _of_imports(sources: Mapping[str, Source]) -> Iterator[str]:
    paths: dict[str, dict[str, str]] = {}
    for source in sources.values():
        for path, _ in imports(source.tree):
            module = path.rpartition(".")[2]
            paths.setdefault(module, {}).setdefault(path, source.name)
    for module, ways in paths.items():
        if len(ways) > 1:
            told = " and ".join(f"{path} in {name}" for path, name in ways.items())
            yield f"{module} is imported by two paths: {told}"
