"""Every case does what it says. The same cases become vectors."""

from __future__ import annotations

import pytest

from native_dvt.cases.case import Case, sources_of
from native_dvt.spec import load

SPEC = load("minimal")
SOURCES = sources_of("minimal")


@pytest.mark.parametrize("name", SOURCES)
def test_cases(name: str, subtests: pytest.Subtests) -> None:
    for case in SOURCES[name](SPEC):
        with subtests.test(str(case)):
            check(case)


def check(case: Case) -> None:
    before = case.inputs[case.initial].copy() if case.initial in case.inputs else None
    after = case.outcome()
    assert (after is not None) == case.is_valid
    if before is not None:
        same = case.inputs[case.initial].hash_tree_root() == before.hash_tree_root()
        assert same, "a case leaves its input alone"
    if after is not None:
        assert case.check(before, after)
    # An invalid block is wrong for one reason alone: its state root is right; random blocks may have any.
    if case.runner in ("sanity", "finality", "transition"):
        blocks = [value for value in case.inputs.values() if isinstance(value, SPEC.SignedBeaconBlock)]
        assert all(block.message.state_root != SPEC.Root() for block in blocks)
