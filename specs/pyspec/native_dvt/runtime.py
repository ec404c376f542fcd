"""What a generated specification needs of the world: configuration, an execution engine, caches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

from remerkleable.basic import uint64
from remerkleable.byte_arrays import Bytes4, Bytes32
from remerkleable.core import View

Result = TypeVar("Result")


def hash_tree_root(value: View) -> Bytes32:
    """Root of any SSZ value."""
    return Bytes32(value.hash_tree_root())


class BlobParameters(NamedTuple):
    """Limits that hold from an epoch on."""

    epoch: uint64
    max_blobs_per_block: uint64


class Configuration:
    """Values of `config.yaml`, typed by the form of the value. Tests may set them."""

    def __init__(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name.endswith("_FORK_VERSION"):
                number = int(str(value), 0)
                value = Bytes4(number.to_bytes(4, "big"))
            elif name != "BLOB_SCHEDULE":
                value = uint64(int(value))
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the configuration has no {name}")


class ExecutionEngine:
    """Finds every payload valid, unless a test says otherwise."""

    def __init__(self) -> None:
        self.is_valid = True

    def verify_and_notify_new_payload(self, *_: Any) -> bool:
        return self.is_valid


EXECUTION_ENGINE = ExecutionEngine()


def cached_by(key: Callable[..., Any], size: int = 256) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Remembers the results of a function of a state by what they depend on."""

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        known: OrderedDict[Any, Result] = OrderedDict()

        @wraps(function)
        def wrapper(*arguments: Any) -> Result:
            place = key(*arguments)
            if place not in known:
                known[place] = function(*arguments)
                if len(known) > size:
                    known.popitem(last=False)
            return known[place]

        return wrapper

    return decorate
