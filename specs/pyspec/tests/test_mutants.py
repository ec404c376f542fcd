"""What finds changes of the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from native_dvt.cases.chain import Chain
from native_dvt.cases.encodings import encodings
from native_dvt.cases.fork_choice import votes_of_groups
from native_dvt.cases.unchanged import exits_by_age
from native_dvt.mutants import (
    CAUGHT,
    NO_VECTOR,
    SURVIVED,
    Explanations,
    Results,
    Rust,
    Suite,
    Trial,
    finding_of,
    steps_found,
    with_constant,
)
from native_dvt.mutations import Mutant, all_mutants
from native_dvt.patching import forget
from native_dvt.spec import load, specification_documents

SPEC = load("minimal")
MUTANTS = list(all_mutants(specification_documents(), SPEC))
NAME = "process_voluntary_exit"


def mutant(name: str, what: str) -> Mutant:
    found = [mutant for mutant in MUTANTS if mutant.name == name and what in mutant.what]
    assert len(found) == 1, found
    return found[0]


MOVED = mutant(NAME, "-> get_current_epoch(state) > validator.activation_epoch")


def program(tmp_path: Path, condition: str) -> Rust:
    """A runner that passes where a condition of the shell holds."""
    script = tmp_path / "runner"
    script.write_text(f"#!/bin/sh\ncd $1/tests/minimal/dvt/operations/voluntary_exit/native_dvt\n{condition}\n")
    script.chmod(0o755)
    return Rust(script, tmp_path / "vectors")


def test_names_are_unique() -> None:
    assert len({mutant.key for mutant in MUTANTS}) == len(MUTANTS)


def test_a_vector_of_the_changed_text_reaches_the_runner(tmp_path: Path) -> None:
    # The changed text refuses what is exactly old enough.
    rust = program(tmp_path, "[ ! -e group_exactly_old_enough ] || [ -e group_exactly_old_enough/post.ssz_snappy ]")
    suite = Suite(SPEC, rust, [exits_by_age])
    outcome, case = Trial(suite, rust).outcome(MOVED)
    assert outcome == CAUGHT and case.endswith("group_exactly_old_enough")
    assert finding_of(suite.known[0].case, SPEC) == suite.known[0].finding, "the text is as before"


def test_what_the_runner_does_not_notice_survives(tmp_path: Path) -> None:
    rust = program(tmp_path, "true")
    suite = Suite(SPEC, rust, [exits_by_age])
    assert Trial(suite, rust).outcome(MOVED) == (SURVIVED, "")


def test_text_without_an_end_gives_no_vector(tmp_path: Path) -> None:
    def endless(state: object, signed_voluntary_exit: object) -> None:
        while True:
            pass

    rust = program(tmp_path, "true")
    suite = Suite(SPEC, rust, [exits_by_age])
    for known in suite.known:
        known.seconds = -0.1
    outcome, _ = Trial(suite, rust).outcome(Mutant("", NAME, 0, "never ends", endless.__code__))
    assert outcome == NO_VECTOR


def test_what_functions_remember_is_forgotten_between_mutants() -> None:
    chain = Chain(SPEC)
    SPEC.process_epoch(chain.state)
    cached = [function for function in vars(SPEC).values() if hasattr(function, "cache_info")]
    assert SPEC.compute_shuffled_index in cached and any(function.cache_info().currsize for function in cached)
    forget(SPEC)
    assert not any(function.cache_info().currsize for function in cached)


def test_a_runner_that_fails_anyway_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        Suite(SPEC, program(tmp_path, "false"), [exits_by_age])


def test_a_limit_changes_roots() -> None:
    changed = with_constant(SPEC, mutant("MAX_SCHEMES", "->"))
    before = {str(case): case.data["roots"] for case in encodings(SPEC)}
    differing = {str(case).split("/")[1] for case in encodings(changed) if case.data["roots"] != before[str(case)]}
    assert "Attestation" in differing and "KeySet" not in differing


def test_the_text_takes_the_steps_of_its_cases() -> None:
    case = next(votes_of_groups(SPEC))
    assert steps_found(case, SPEC) == case.data["steps"]
    turned = mutant("get_effective_vote", "count >= max(1, key_set.threshold) -> count > max(1, key_set.threshold)")
    found = []
    for case in votes_of_groups(SPEC):
        with turned.in_force(SPEC):
            found.append(steps_found(case, SPEC) != case.data["steps"])
    assert any(found) and not all(found)


def test_explanations_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "explained.yaml"
    path.write_text(f"survivors:\n- name: {NAME}\n  reason: none\n  changes:\n  - '{MOVED.what}'\n  - nothing\n")
    mistakes = Explanations(path).mistakes(MUTANTS, {MOVED.key: (CAUGHT, "some case")})
    assert sorted(mistake.split(":")[0] for mistake in mistakes) == [
        "explained, but caught (some case)",
        "explained, but there is no such mutant",
    ]
    mistakes = Explanations(path).mistakes(MUTANTS, {MOVED.key: (SURVIVED, "")})
    assert not any(MOVED.key in mistake for mistake in mistakes)


def test_results_go_on_for_the_same_text_and_are_hints_for_another(tmp_path: Path) -> None:
    path = tmp_path / "results"
    first = Results(path, "one")
    first.add("a", CAUGHT, "case")
    first.add("b", SURVIVED, "")
    assert Results(path, "one").found == {"a": (CAUGHT, "case"), "b": (SURVIVED, "")}
    other = Results(path, "another")
    assert (other.found, other.hints) == ({}, {"a": "case"})
    other.add("b", CAUGHT, "other case")
    again = Results(path, "another")
    assert (again.found, again.hints) == ({"b": (CAUGHT, "other case")}, {"a": "case", "b": "other case"})
