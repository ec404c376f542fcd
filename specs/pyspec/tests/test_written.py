"""How cases become files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from native_dvt.cases.case import Case
from native_dvt.cases.chain import Chain
from native_dvt.cases.encodings import TYPES, random_value
from native_dvt.spec import PRESETS, SPECIFICATION, load
from native_dvt.vectors import encoded, write_case

SPEC = load("minimal")


@pytest.mark.parametrize("name", TYPES)
def test_known_parts_of_a_value_give_the_bytes_that_it_has(name: str) -> None:
    for extreme in ("random", "nil", "max", "lengthy"):
        value = random_value(getattr(SPEC, name), random.Random(f"{name} {extreme}"), extreme)
        assert encoded(value) == value.encode_bytes() == encoded(value)


def test_a_part_that_changed_is_not_a_known_one() -> None:
    chain = Chain(SPEC)
    for _ in range(3):
        assert encoded(chain.state) == chain.state.encode_bytes()
        chain.advance(1)
        chain.state.randao_mixes[7] = SPEC.hash(bytes(chain.state.randao_mixes[7]))


def test_a_case_that_is_not_what_it_says_leaves_nothing(tmp_path: Path) -> None:
    case = Case("operations", "none", "says_that_it_is_invalid", {"pre": Chain(SPEC).state}, lambda state: state, False)
    with pytest.raises(SystemExit):
        write_case(tmp_path / "case", case)
    assert not (tmp_path / "case").exists()


def test_both_presets_have_every_runner() -> None:
    runners: dict[str, set[str]] = {}
    for line in (SPECIFICATION.parent / "vectors" / "manifest.sha256").read_text().splitlines():
        _, preset, _, runner, *_ = line.split("  ")[1].split("/")
        runners.setdefault(preset, set()).add(runner)
    assert runners.keys() == set(PRESETS) and runners["minimal"] == runners["mainnet"]
