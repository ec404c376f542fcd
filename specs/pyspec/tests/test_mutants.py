"""What finds changes of the text."""

from __future__ import annotations

from native_dvt.cases.unchanged import exits_by_age
from native_dvt.mutants import Mutant, mutants_of, outcome_of, plain, run_mutant
from native_dvt.spec import load, specification_documents

SPEC = load("minimal")
CASES = [(case, outcome_of(case)) for case in exits_by_age(SPEC)]
NAME = "process_voluntary_exit"


def test_a_moved_boundary_is_caught_and_taken_back() -> None:
    document = next(document for document in specification_documents() if document.path.stem == "beacon-chain")
    moved = [
        mutant
        for mutant in mutants_of(document, SPEC)
        if mutant.function == NAME and "-> get_current_epoch(state) > validator.activation_epoch" in mutant.what
    ]
    assert len(moved) == 1
    assert run_mutant(moved[0], CASES, SPEC)
    assert [outcome_of(case) for case, _ in CASES] == [outcome for _, outcome in CASES]


def test_the_text_itself_is_not_caught() -> None:
    code = plain(getattr(SPEC, NAME)).__code__
    assert not run_mutant(Mutant(NAME, "", "nothing", code), CASES, SPEC)


def test_a_changed_constant_is_caught_and_taken_back() -> None:
    before = SPEC.BLS_SCHEME
    assert run_mutant(Mutant("BLS_SCHEME", "", "another number", value=SPEC.uint8(7)), CASES, SPEC)
    assert before == SPEC.BLS_SCHEME
