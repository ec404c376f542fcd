"""Other code for functions of a specification, for as long as a block lasts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any


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


@contextmanager
def replaced(spec: ModuleType, codes: dict[str, CodeType]) -> Iterator[None]:
    """Functions with other code, for everybody who calls them."""
    functions = {name: plain(getattr(spec, name)) for name in codes}
    before = {name: function.__code__ for name, function in functions.items()}
    try:
        for name, code in codes.items():
            functions[name].__code__ = code
        yield
    finally:
        for name, code in before.items():
            functions[name].__code__ = code


@cache
def codes_without_assertions(spec: ModuleType) -> dict[str, CodeType]:
    """Code of the functions of a specification, with nothing asserted."""
    assert spec.__file__ is not None
    module = compile(Path(spec.__file__).read_text(), spec.__file__, "exec", dont_inherit=True, optimize=1)
    codes = [constant for constant in module.co_consts if isinstance(constant, CodeType)]
    # Classes have code as well, and so have lambdas.
    return {code.co_name: code for code in codes if not isinstance(getattr(spec, code.co_name, type), type)}


@contextmanager
def without_assertions(spec: ModuleType) -> Iterator[None]:
    """What an implementation does that forgot its checks."""
    with replaced(spec, codes_without_assertions(spec)):
        yield


@contextmanager
def doing_nothing(spec: ModuleType, name: str) -> Iterator[None]:
    """A function that has no effect for a while."""
    before = vars(spec)[name]
    vars(spec)[name] = lambda *_: None
    try:
        yield
    finally:
        vars(spec)[name] = before
