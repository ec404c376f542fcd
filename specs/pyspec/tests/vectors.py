"""Reads official-format cases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import snappy
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[3]


def root() -> Path | None:
    """The directory of the official vectors, if it is there."""
    named = os.environ.get("CONSENSUS_SPEC_TESTS")
    candidates = [Path(named)] if named else [REPOSITORY.parent / "shared" / "consensus-spec-tests"]
    return next((path / "tests" for path in candidates if (path / "tests").is_dir()), None)


@dataclass(frozen=True)
class Case:
    """A directory with one case."""

    path: Path

    def __str__(self) -> str:
        return "/".join(self.path.parts[-5:])

    @property
    def handler(self) -> str:
        return self.path.parts[-3]

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def yaml(self, name: str) -> Any:
        return YAML(typ="safe").load(self.path / name)

    def ssz(self, name: str, kind: Any) -> Any:
        return kind.decode_bytes(snappy.decompress((self.path / f"{name}.ssz_snappy").read_bytes()))

    def pre(self, spec: ModuleType) -> Any:
        return self.ssz("pre", spec.BeaconState)

    def post(self, spec: ModuleType) -> Any | None:
        return self.ssz("post", spec.BeaconState) if self.has("post.ssz_snappy") else None


def cases(preset: str, fork: str, runner: str, handler: str = "*") -> Iterator[Case]:
    """All cases of a runner."""
    directory = root()
    if directory is not None:
        for path in sorted((directory / preset / fork / runner).glob(f"{handler}/*/*")):
            yield Case(path)
