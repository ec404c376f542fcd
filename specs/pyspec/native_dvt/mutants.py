"""Mutants of the specification's text: `python -m native_dvt.mutants`.

Flips one comparison, operator, number or constant of one function at a time and runs the cases that become vectors. A
mutant is caught if any case has another outcome: then an implementation of the text fails a vector of the mutant, and
the other way round. Mutants that no case catches are printed with file and line.
"""

from __future__ import annotations

import argparse
import ast
import copy
import signal
import sys
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from .cases.case import Case, all_cases
from .markdown import Document
from .spec import load, specification_documents

#: Documents whose functions vectors reach.
MUTATED = ("beacon-chain", "fork", "fork-choice", "signatures")
#: A mutant that takes longer never ends.
TIMEOUT_SECONDS = 60

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
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass
class Mutant:
    """A change of one place."""

    function: str
    place: str
    what: str
    code: CodeType | None = None
    value: Any = None


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of a node."""
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
        yield f"{node.value} -> {value}", ast.Constant(value)
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


def mutants_of(document: Document, spec: ModuleType) -> Iterator[Mutant]:
    for definition in document.definitions.values():
        if definition.is_class:
            continue
        count = len(list(ast.walk(ast.parse(definition.source))))
        for position in range(count):
            tree = ast.parse(definition.source)
            node = list(ast.walk(tree))[position]
            for number, (what, _) in enumerate(changes(node)):
                tree = ast.parse(definition.source)
                node = list(ast.walk(tree))[position]
                changed = list(changes(node))[number][1]
                line = definition.line + getattr(node, "lineno", 1) - 1
                mutated = ast.fix_missing_locations(Replace(node, changed).visit(tree))
                namespace = dict(vars(spec))
                exec(compile(mutated, f"{definition.name} (mutant)", "exec"), namespace)  # noqa: S102
                code = plain(namespace[definition.name]).__code__
                yield Mutant(definition.name, f"{document.path.name}:{line}", what, code)
    for name in document.constants:
        value = getattr(spec, name, None)
        if isinstance(value, int):
            yield Mutant(name, document.path.name, f"{name} + 1", value=type(value)(value + 1))
        elif isinstance(value, bytes):
            other = type(value)(bytes([value[0] ^ 0x80]) + value[1:])
            yield Mutant(name, document.path.name, f"{name} with another bit", value=other)


def plain(function: Any) -> FunctionType:
    """A function without its cache."""
    inner = getattr(function, "__wrapped__", function)
    assert isinstance(inner, FunctionType)
    return inner


def forget(spec: ModuleType) -> None:
    """Empties the caches of a specification's functions."""
    for value in vars(spec).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
        elif hasattr(value, "__wrapped__"):
            for cell in value.__closure__ or ():
                if isinstance(cell.cell_contents, OrderedDict):
                    cell.cell_contents.clear()


def outcome_of(case: Case) -> bytes | None:
    """What a vector shows of a case."""
    after = case.outcome()
    if after is None:
        return None
    return bytes(after.hash_tree_root()) if hasattr(after, "hash_tree_root") else b"valid"


def functions_of(case: Case, spec: ModuleType) -> tuple[set[str], bytes | None]:
    """Which functions a case runs, and its outcome."""
    used: set[str] = set()
    file = spec.__file__

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename == file:
            used.add(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        outcome = outcome_of(case)
    finally:
        sys.setprofile(None)
    return used, outcome


def is_caught(cases: list[tuple[Case, bytes | None]], spec: ModuleType) -> bool:
    for case, expected in cases:
        try:
            if outcome_of(case) != expected:
                return True
        except Exception:
            return True
    return False


def run_mutant(mutant: Mutant, cases: list[tuple[Case, bytes | None]], spec: ModuleType) -> bool:
    """Whether a case catches a mutant; the specification is as before then."""

    def give_up(*_: Any) -> None:
        raise TimeoutError

    before: Any
    if mutant.code is not None:
        function = plain(getattr(spec, mutant.function))
        before, function.__code__ = function.__code__, mutant.code
    else:
        before = getattr(spec, mutant.function)
        setattr(spec, mutant.function, mutant.value)
    forget(spec)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(TIMEOUT_SECONDS)
    try:
        return is_caught(cases, spec)
    except TimeoutError:
        return True
    finally:
        signal.alarm(0)
        if mutant.code is not None:
            plain(getattr(spec, mutant.function)).__code__ = before
        else:
            setattr(spec, mutant.function, before)
        forget(spec)


def main() -> None:
    parser = argparse.ArgumentParser(description="Changes one place of the text at a time and runs the cases.")
    parser.add_argument("--function", action="append", help="only mutants of this function or constant")
    parser.add_argument("--part", default="1/1", help="only one part of the mutants, as in 2/3")
    parser.add_argument("--share", type=float, default=0.0, help="fail if a smaller share is caught")
    arguments = parser.parse_args()
    part, parts = (int(number) for number in arguments.part.split("/"))
    spec = load("minimal")
    timed: list[tuple[float, Case, bytes | None, set[str]]] = []
    for case in all_cases(spec):
        forget(spec)
        started = time.monotonic()
        used, outcome = functions_of(case, spec)
        timed.append((time.monotonic() - started, case, outcome, used))
    # The quick ones first: most mutants need no other.
    timed.sort(key=lambda entry: entry[0])
    known = [(case, outcome) for _, case, outcome, _ in timed]
    users: dict[str, list[tuple[Case, bytes | None]]] = defaultdict(list)
    for _, case, outcome, used in timed:
        for name in used:
            users[name].append((case, outcome))
    print(f"{len(known)} cases", flush=True)
    caught = total = number = 0
    for document in specification_documents():
        if Path(document.path).stem not in MUTATED:
            continue
        for mutant in mutants_of(document, spec):
            if arguments.function and mutant.function not in arguments.function:
                continue
            number += 1
            if number % parts != part - 1:
                continue
            total += 1
            cases = users[mutant.function] if mutant.code is not None else known
            if run_mutant(mutant, cases, spec):
                caught += 1
            else:
                print(f"{mutant.place}: {mutant.function}: not caught: {mutant.what}", flush=True)
    print(f"{caught} of {total} mutants caught ({100 * caught / max(total, 1):.1f} %)")
    if caught < arguments.share * total:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
