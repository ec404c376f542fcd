"""Puts a specification together and makes it a module: `load("minimal")`, `load("minimal", fork="fulu")`.

The base, the functions of Fulu that native DVT calls, stands in `base/`. The markdown of `specs/native-dvt` is laid
over it: what has the name of something in the base takes its place. The result is one Python file for each fork and
preset, in a build directory, so that debuggers, type checkers and coverage see ordinary code.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML

from .markdown import Definition, Document, MarkdownError, read_document
from .runtime import cached_by

PACKAGE = Path(__file__).resolve().parent
SPECIFICATION = PACKAGE.parent.parent / "native-dvt"
BUILD = PACKAGE.parent / "build"
BASE_FILES = ("containers", "helpers", "epoch", "block", "fork_choice")
#: Markdown files that are executed, in the order in which their definitions may replace each other.
DOCUMENTS = ("beacon-chain", "fork", "fork-choice", "signatures", "p2p-interface", "validator")
PRESETS = ("minimal", "mainnet")

#: Slow functions of nothing but their arguments, whose results are remembered.
REMEMBERED = ("verify_xmss_signature", "verify_xmss_opening")

#: Constants of Fulu that do not depend on the preset.
BASE_CONSTANTS = {
    "GENESIS_SLOT": "Slot(0)",
    "GENESIS_EPOCH": "Epoch(0)",
    "FAR_FUTURE_EPOCH": "Epoch(2**64 - 1)",
    "JUSTIFICATION_BITS_LENGTH": "4",
    "DEPOSIT_CONTRACT_TREE_DEPTH": "32",
    "UNSET_DEPOSIT_REQUESTS_START_INDEX": "uint64(2**64 - 1)",
    "FULL_EXIT_REQUEST_AMOUNT": "uint64(0)",
    "BLS_WITHDRAWAL_PREFIX": 'b"\\x00"',
    "ETH1_ADDRESS_WITHDRAWAL_PREFIX": 'b"\\x01"',
    "COMPOUNDING_WITHDRAWAL_PREFIX": 'b"\\x02"',
    "VERSIONED_HASH_VERSION_KZG": 'b"\\x01"',
    "BASIS_POINTS": "uint64(10000)",
    "G2_POINT_AT_INFINITY": 'BLSSignature(b"\\xc0" + b"\\x00" * 95)',
    "TIMELY_SOURCE_FLAG_INDEX": "0",
    "TIMELY_TARGET_FLAG_INDEX": "1",
    "TIMELY_HEAD_FLAG_INDEX": "2",
    "TIMELY_SOURCE_WEIGHT": "14",
    "TIMELY_TARGET_WEIGHT": "26",
    "TIMELY_HEAD_WEIGHT": "14",
    "SYNC_REWARD_WEIGHT": "2",
    "PROPOSER_WEIGHT": "8",
    "WEIGHT_DENOMINATOR": "64",
    "PARTICIPATION_FLAG_WEIGHTS": "[TIMELY_SOURCE_WEIGHT, TIMELY_TARGET_WEIGHT, TIMELY_HEAD_WEIGHT]",
    "TARGET_AGGREGATORS_PER_COMMITTEE": "16",
    "TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE": "16",
    "SYNC_COMMITTEE_SUBNET_COUNT": "4",
    "DOMAIN_BEACON_PROPOSER": "DomainType('0x00000000')",
    "DOMAIN_BEACON_ATTESTER": "DomainType('0x01000000')",
    "DOMAIN_RANDAO": "DomainType('0x02000000')",
    "DOMAIN_DEPOSIT": "DomainType('0x03000000')",
    "DOMAIN_VOLUNTARY_EXIT": "DomainType('0x04000000')",
    "DOMAIN_SELECTION_PROOF": "DomainType('0x05000000')",
    "DOMAIN_AGGREGATE_AND_PROOF": "DomainType('0x06000000')",
    "DOMAIN_SYNC_COMMITTEE": "DomainType('0x07000000')",
    "DOMAIN_BLS_TO_EXECUTION_CHANGE": "DomainType('0x0a000000')",
}

PRELUDE = '''"""Generated from the specification of {fork} with the {preset} preset. Not edited by hand."""

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from math import isqrt
from typing import Any, Dict, Iterable, NamedTuple, Optional, Sequence, Set, Tuple

from remerkleable.basic import boolean, uint, uint8, uint64, uint256
from remerkleable.bitfields import Bitlist, Bitvector
from remerkleable.byte_arrays import ByteList, ByteVector
from remerkleable.byte_arrays import Bytes4, Bytes32, Bytes48, Bytes96
from remerkleable.complex import Container, List, Vector

from native_dvt import bls
from native_dvt.runtime import EXECUTION_ENGINE, BlobParameters, Configuration, ExecutionEngine
from native_dvt.runtime import cached_by, hash_tree_root

class Bytes20(ByteVector[20]):
    pass
'''

#: For a type checker the module of Fulu is imported by its name in the build directory.
FULU = """from typing import TYPE_CHECKING

from native_dvt.spec import load as _load

if TYPE_CHECKING:
    import fulu_{preset} as fulu
else:
    fulu = _load("{preset}", "fulu")
"""


class SpecificationError(Exception):
    """The parts of a specification do not fit together."""


def base_documents() -> list[Document]:
    """The base in the form of documents: one definition after the other."""
    documents = []
    for name in BASE_FILES:
        path = PACKAGE / "base" / f"{name}.py"
        source = path.read_text()
        lines = source.splitlines(keepends=True)
        document = Document(path)
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign):
                target = node.targets[0]
                assert isinstance(target, ast.Name)
                document.types[target.id] = ast.unparse(node.value)
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
                text = "".join(lines[first - 1 : node.end_lineno])
                is_class = isinstance(node, ast.ClassDef)
                document.definitions[node.name] = Definition(node.name, text, path, first, is_class)
        documents.append(document)
    return documents


def specification_documents() -> list[Document]:
    """The markdown files that are there."""
    paths = [SPECIFICATION / f"{name}.md" for name in DOCUMENTS]
    documents = [read_document(path) for path in paths if path.exists()]
    names = "|".join(preset_values("mainnet", "dvt")[1])
    for document in documents:
        for definition in document.definitions.values():
            # The text names values of the configuration as it names constants.
            definition.source = re.sub(rf"\b({names})\b", r"config.\1", definition.source)
    return documents


def preset_values(preset: str, fork: str) -> tuple[dict[str, int], dict[str, Any]]:
    """Values of a preset, and its configuration."""
    yaml = YAML(typ="safe")
    data = yaml.load(PACKAGE / "presets" / f"{preset}.yaml")
    values: dict[str, int] = data["preset"]
    configuration: dict[str, Any] = data["config"]
    if fork == "dvt":
        values.update(yaml.load(SPECIFICATION / "presets" / preset / "dvt.yaml"))
        configuration.update(yaml.load(SPECIFICATION / "configs" / f"{preset}.yaml"))
    return values, configuration


def names_in(source: str) -> set[str]:
    """Global names that a definition refers to."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def in_order(definitions: dict[str, Definition]) -> list[Definition]:
    """Classes after those they are made of, then functions."""
    classes = {name: definition for name, definition in definitions.items() if definition.is_class}
    ordered: dict[str, Definition] = {}
    visiting: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        definition = classes[name]
        if name in visiting:
            raise SpecificationError(f"{definition.path}:{definition.line}: {name} contains itself: {visiting}")
        visiting.append(name)
        for other in sorted(names_in(definition.source) & classes.keys() - {name}):
            visit(other)
        visiting.pop()
        ordered[name] = definition

    for name in classes:
        visit(name)
    return list(ordered.values()) + [d for d in definitions.values() if not d.is_class]


def constant_line(name: str, value: str) -> str:
    return f"{name} = {value}\n"


def compose(preset: str, fork: str) -> str:
    """The source of a specification."""
    documents = base_documents()
    if fork == "dvt":
        documents += specification_documents()
    values, configuration = preset_values(preset, fork)

    constants = dict(BASE_CONSTANTS)
    types: dict[str, str] = {}
    definitions: dict[str, Definition] = {}
    for document in documents:
        types.update(document.types)
        for name, value in document.constants.items():
            mainnet = {**preset_values("mainnet", fork)[0], **preset_values("mainnet", fork)[1]}
            if name not in mainnet:
                constants[name] = value
                continue
            # The text shows mainnet's value; the files of presets hold all.
            shown = eval(value, {"uint64": int, "uint8": int, "Epoch": int, "Version": lambda text: int(text, 16)})
            if shown != mainnet[name]:
                raise SpecificationError(f"{document.path}: {name} is {value}, the mainnet preset has {mainnet[name]}")
        definitions.update(document.definitions)

    parts = [PRELUDE.format(fork=fork, preset=preset)]
    if fork == "dvt":
        parts.append(FULU.format(preset=preset))
    simple = {name: value for name, value in types.items() if "[" not in value}
    parts.extend(f"\n\nclass {name}({value}):\n    pass\n" for name, value in simple.items())
    parts.append("\n# Preset\n\n")
    for name, number in values.items():
        parts.append(constant_line(name, f"uint64({number})"))
    parts.append("\n# Constants\n\n")
    parts.extend(constant_line(name, value) for name, value in constants.items())
    parts.extend(constant_line(name, value) for name, value in types.items() if name not in simple)
    parts.append(f"\nconfig = Configuration({configuration!r})\n")
    for definition in in_order(definitions):
        place = definition.path.name
        parts.append(f"\n\n# {place}, {definition.name}\n{definition.source}")
    source = "".join(parts)
    check_names(source, definitions)
    return source


def check_names(source: str, definitions: dict[str, Definition]) -> None:
    """Refuses names that nobody defines, and says where they stand."""
    known = set(dir(builtins))
    body = ast.parse(source).body
    for node in body + [child for branch in body if isinstance(branch, ast.If) for child in branch.body]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            known |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            known |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            known.add(node.name)
    for definition in definitions.values():
        tree = ast.parse(definition.source)
        local = set()
        for child in ast.walk(tree):
            if isinstance(child, ast.arg):
                local.add(child.arg)
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                local.add(child.id)
            elif isinstance(child, ast.FunctionDef):
                local.add(child.name)
        for child in ast.walk(tree):
            if isinstance(child, ast.Name) and child.id not in known | local:
                line = definition.line + child.lineno - 1
                raise MarkdownError(definition.path, line, definition.name, f"{child.id} is not defined")


@cache
def load(preset: str, fork: str = "dvt") -> ModuleType:
    """The specification as a module."""
    if preset not in PRESETS:
        raise SpecificationError(f"preset {preset!r} is unknown, expected one of {PRESETS}")
    source = compose(preset, fork)
    name = f"{fork}_{preset}"
    path = BUILD / f"{name}.py"
    BUILD.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != source:
        aside = path.with_suffix(".tmp")
        aside.write_text(source)
        aside.replace(path)
    module_spec = importlib.util.spec_from_file_location(f"native_dvt_{name}", path)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    module_spec.loader.exec_module(module)
    for function in REMEMBERED:
        if hasattr(module, function):
            by_arguments = cached_by(lambda parameters, *others: (*vars(parameters).values(), *others), 1024)
            setattr(module, function, by_arguments(getattr(module, function)))
    return module
