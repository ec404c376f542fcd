"""Every case does what it says. The same cases become vectors."""

from __future__ import annotations

import pytest

from native_dvt.cases.case import Case, all_cases
from native_dvt.spec import load

SPEC = load("minimal")
CASES = list(all_cases(SPEC))


def test_an_invalid_block_is_wrong_for_one_reason_alone() -> None:
    """Its state root is right, whatever else is not; random blocks may have any root."""
    for case in CASES:
        for value in case.inputs.values():
            if isinstance(value, SPEC.SignedBeaconBlock) and case.runner in ("sanity", "finality", "transition"):
                assert value.message.state_root != SPEC.Root(), case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    before = case.inputs[case.initial].copy() if case.initial in case.inputs else None
    after = case.outcome()
    assert (after is not None) == case.is_valid
    if before is not None:
        same = case.inputs[case.initial].hash_tree_root() == before.hash_tree_root()
        assert same, "a case leaves its input alone"
    if after is not None:
        assert case.check(before, after)
