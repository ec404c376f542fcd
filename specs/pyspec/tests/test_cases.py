"""Every case does what it says. The same cases become vectors."""

from __future__ import annotations

import pytest

from native_dvt.cases.case import Case, all_cases
from native_dvt.spec import load

SPEC = load("minimal")
CASES = list(all_cases(SPEC))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    before = case.inputs[case.initial].copy()
    root = before.hash_tree_root()
    after = case.outcome()
    assert (after is not None) == case.is_valid
    assert case.inputs[case.initial].hash_tree_root() == root, "a case leaves its input alone"
    if after is not None:
        assert case.check(before, after)
