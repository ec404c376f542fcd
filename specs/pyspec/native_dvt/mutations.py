"""Changes of one place of the text: a comparison, an operator, a number, a call of `min` or `any`, or a constant."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

from .markdown import Definition, Document
from .patching import plain, replaced

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """A change of one place."""

    document: str
    #: The function or constant that is another one.
    name: str
    line: int
    what: str
    code: CodeType | None = None
    value: Any = None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.name}: {self.what}"

    @property
    def key(self) -> str:
        """Names the change wherever it stands in its document."""
        return f"{self.name}: {self.what}"

    @contextmanager
    def in_force(self, spec: ModuleType) -> Iterator[None]:
        """The specification with this change."""
        if self.code is not None:
            with replaced(spec, {self.name: self.code}):
                yield
            return
        holder = spec if hasattr(spec, self.name) else spec.config
        before = getattr(holder, self.name)
        setattr(holder, self.name, self.value)
        try:
            yield
        finally:
            setattr(holder, self.name, before)


def changes(node: ast.AST, line: str) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of a node, and how to call the change; `line` is where the node stands."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            other = copy.deepcopy(node)
            other.ops[index] = COMPARISONS[type(operator)]()
            yield f"{ast.unparse(node)} -> {ast.unparse(other)}", other
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        changed = copy.deepcopy(node)
        changed.op = OPERATORS[type(node.op)]()
        yield f"{ast.unparse(node)} -> {ast.unparse(changed)}", changed
    elif isinstance(node, ast.BoolOp):
        either = copy.deepcopy(node)
        either.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{ast.unparse(node)} -> {ast.unparse(either)}", either
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"{ast.unparse(node)} -> {ast.unparse(node.operand)}", node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} -> {value} in {line}", ast.Constant(value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        call = copy.deepcopy(node)
        call.func = ast.Name(CALLS[node.func.id], ast.Load())
        yield f"{ast.unparse(node)} -> {ast.unparse(call)}", call


class Replace(ast.NodeTransformer):
    """Puts a node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return ast.copy_location(self.new, node) if node is self.old else self.generic_visit(node)


def nodes_of(tree: ast.Module) -> list[ast.AST]:
    """What stands in the body of the one function of a module."""
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    return [node for statement in function.body for node in ast.walk(statement)]


def mutants_of_function(document: Document, definition: Definition, spec: ModuleType) -> Iterator[Mutant]:
    lines = definition.source.splitlines()
    seen: Counter[str] = Counter()
    for position in range(len(nodes_of(ast.parse(definition.source)))):

        def options(position: int = position) -> tuple[ast.Module, ast.AST, list[tuple[str, ast.AST]]]:
            tree = ast.parse(definition.source)
            node = nodes_of(tree)[position]
            line = lines[getattr(node, "lineno", 1) - 1].strip()
            return tree, node, list(changes(node, line))

        for number in range(len(options()[2])):
            tree, node, found = options()
            what, changed = found[number]
            seen[what] += 1
            if seen[what] > 1:
                what += f" (occurrence {seen[what]})"
            mutated = ast.fix_missing_locations(Replace(node, changed).visit(tree))
            namespace = dict(vars(spec))
            exec(compile(mutated, f"{definition.name} (mutant)", "exec", dont_inherit=True), namespace)  # noqa: S102
            code = plain(namespace[definition.name]).__code__
            line_number = definition.line + getattr(node, "lineno", 1) - 1
            yield Mutant(document.path.name, definition.name, line_number, what, code)


def mutants_of_constants(document: Document, spec: ModuleType) -> Iterator[Mutant]:
    lines = document.path.read_text().splitlines()
    for name in document.constants:
        line = next(number for number, text in enumerate(lines, start=1) if text.startswith(f"| `{name}`"))
        value = getattr(spec, name, getattr(spec.config, name, None))
        if isinstance(value, int):
            other: Any = type(value)(value - 1 if value == 2**64 - 1 else value + 1)
            yield Mutant(document.path.name, name, line, f"{value} -> {other}", value=other)
        elif isinstance(value, list):
            yield Mutant(document.path.name, name, line, "another first", value=[value[0] + 1, *value[1:]])
        elif isinstance(value, bytes):
            other = type(value)(bytes([value[0] ^ 0x80]) + value[1:])
            yield Mutant(document.path.name, name, line, "another bit", value=other)


def all_mutants(documents: list[Document], spec: ModuleType) -> Iterator[Mutant]:
    """All mutants of functions and constants, of those definitions that hold in the end."""
    holding = {name: document for document in documents for name in document.definitions}
    for document in documents:
        for name, definition in document.definitions.items():
            if not definition.is_class and holding[name] is document:
                yield from mutants_of_function(document, definition, spec)
        yield from mutants_of_constants(document, spec)
