"""What a case is, how it is run, and how it becomes a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

#: What a specification raises on invalid input.
INVALID = (AssertionError, IndexError, ValueError, KeyError)


@dataclass
class Case:
    """An input, and what has to come of it."""

    runner: str
    handler: str
    name: str
    #: Parts of the input that are written: file name without ending -> SSZ value.
    inputs: dict[str, Any]
    #: Brings about the change, on a copy of `inputs["pre"]`, `None` if there is no state; gives the state after it.
    run: Callable[[Any], Any]
    is_valid: bool = True
    suite: str = "native_dvt"
    #: YAML files: name without ending -> content.
    data: dict[str, Any] = field(default_factory=dict)
    #: Where the input begins: the name of the state in `inputs` that `run` gets.
    initial: str = "pre"
    #: Whether the state after a valid change is part of the vector.
    has_post: bool = True
    #: For a case of a function: calls it; the vector has the result as `output`.
    call: Callable[[], Any] | None = None
    #: What must hold after a valid change: state before, state after.
    check: Callable[[Any, Any], bool] = lambda before, after: True

    def __str__(self) -> str:
        return f"{self.runner}/{self.handler}/{self.suite}/{self.name}"

    def outcome(self) -> Any | None:
        """The state after the change, `None` if the input is invalid."""
        try:
            return self.run(self.inputs[self.initial].copy() if self.initial in self.inputs else None)
        except INVALID:
            return None


Source = Callable[[ModuleType], Iterator[Case]]
SOURCES: list[Source] = []


def source(function: Source) -> Source:
    """Registers a function that makes cases."""
    SOURCES.append(function)
    return function


#: Sources of cases that do not need a small preset.
OF_EVERY_PRESET = (
    "active_signers",
    "aggregates_and_proofs",
    "aggregators",
    "attestations",
    "attester_slashings",
    "blocks",
    "changes_at_boundaries",
    "committee_assignments",
    "constants",
    "custody_requirements",
    "encodings",
    "exits_by_age",
    "exits_of_hash_based_keys",
    "final_keys",
    "finality",
    "fork",
    "genesis_with_groups",
    "headers_of_single_signers",
    "key_set_changes",
    "leader_ranks",
    "merged_votes",
    "participation_flag_updates",
    "proposer_slashings",
    "proposing_signers",
    "random_blocks",
    "registry_updates",
    "rewards",
    "schemes",
    "selection_hashes",
    "signed_headers",
    "slashings_of_hash_based_keys",
    "slashings_of_replaced_keys",
    "slots",
    "sync_aggregates",
    "sync_committee_signers",
    "times_and_versions",
    "transition",
    "voluntary_exits",
    "votes_of_groups",
    "withdrawal_requests",
    "withdrawal_requests_at_boundaries",
    "withdrawal_requests_that_do_nothing",
    "withdrawals",
    "withdrawals_at_boundaries",
)


def sources_of(preset: str) -> dict[str, Source]:
    """All sources, or only those that are made for every preset."""
    from . import (  # noqa: F401  they register themselves
        aggregation,
        assignments,
        boundaries,
        corners,
        encodings,
        epochs,
        finality,
        fork_choice,
        functions,
        genesis,
        hash_based,
        networking,
        operations,
        sanity,
        slashings,
        unchanged,
    )

    sources = {make.__name__: make for make in SOURCES}
    assert len(sources) == len(SOURCES) and sources.keys() >= set(OF_EVERY_PRESET)
    return sources if preset == "minimal" else {name: sources[name] for name in OF_EVERY_PRESET}
