"""Reads a specification out of its markdown files.

Three things are read: `python` code blocks, each with exactly one class or function; tables of constants
(`| Name | Value | ...`); tables of custom types (`| Name | SSZ equivalent | ...`). Everything else is prose.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path


class MarkdownError(Exception):
    """What is wrong with a specification, and where."""

    def __init__(self, path: Path, line: int, heading: str, reason: str) -> None:
        super().__init__(f"{path}:{line}: under '{heading}': {reason}")


@dataclass
class Definition:
    """A class or function of a specification."""

    name: str
    source: str
    path: Path
    line: int
    is_class: bool


@dataclass
class Document:
    """What one markdown file defines, in its order."""

    path: Path
    definitions: dict[str, Definition] = field(default_factory=dict)
    #: Constants and presets: name -> expression.
    constants: dict[str, str] = field(default_factory=dict)
    #: Custom types: name -> SSZ type.
    types: dict[str, str] = field(default_factory=dict)


HEADING = re.compile(r"^#{1,6} +(.*?)\s*$")
FENCE = re.compile(r"^```(\w*)\s*$")
CELL = re.compile(r"^`([^`]+)`")


def definition_of(source: str, path: Path, line: int, heading: str) -> Definition:
    """The one class or function in `source`, which begins at `line`."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        where = line + (error.lineno or 1) - 1
        raise MarkdownError(path, where, heading, f"code block does not parse: {error.msg}") from error
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    if len(tree.body) != 1 or len(nodes) != 1:
        found = [type(node).__name__ for node in tree.body]
        raise MarkdownError(path, line, heading, f"a code block holds one class or function, found {found}")
    node = nodes[0]
    return Definition(node.name, source, path, line, isinstance(node, ast.ClassDef))


def cells_of(row: str) -> list[str]:
    """The cells of a table's row."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def read_document(path: Path) -> Document:
    """Reads one markdown file."""
    document = Document(path)
    heading = "(before the first heading)"
    block: list[str] | None = None
    block_line = 0
    language = ""
    columns: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fence = FENCE.match(line)
        if block is not None:
            if fence is None:
                block.append(line)
                continue
            if language == "python":
                definition = definition_of("\n".join(block) + "\n", path, block_line, heading)
                if definition.name in document.definitions:
                    first = document.definitions[definition.name].line
                    reason = f"{definition.name} is defined twice, first in line {first}"
                    raise MarkdownError(path, block_line, heading, reason)
                document.definitions[definition.name] = definition
            block = None
            continue
        if fence is not None:
            block, block_line, language = [], number + 1, fence.group(1)
            continue
        title = HEADING.match(line)
        if title is not None:
            heading = title.group(1)
        if not line.startswith("|"):
            columns = []
            continue
        cells = cells_of(line)
        if not columns:
            columns = [cell.lower() for cell in cells]
            continue
        if all(set(cell) <= set("-: ") for cell in cells):
            continue
        if columns[:2] not in (["name", "value"], ["name", "ssz equivalent"]):
            continue
        name, value = (CELL.match(cell) for cell in (cells + ["", ""])[:2])
        if name is None or value is None:
            raise MarkdownError(path, number, heading, "name and value of a table stand in backticks")
        table = document.constants if columns[1] == "value" else document.types
        if name.group(1) in table:
            raise MarkdownError(path, number, heading, f"{name.group(1)} has a value already")
        table[name.group(1)] = value.group(1)
    if block is not None:
        raise MarkdownError(path, block_line - 1, heading, "code block is not closed")
    return document
