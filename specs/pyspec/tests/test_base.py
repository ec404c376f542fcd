"""The base against the official vectors of Fulu: what native DVT builds on is Ethereum."""

import os
from typing import Any

import pytest
from vectors import Case, cases, root

from native_dvt import bls
from native_dvt.cases.steps import play
from native_dvt.spec import load

PRESET = "minimal"
SPEC = load(PRESET, "fulu")

#: Handler of the operations runner -> file name, type, function.
OPERATIONS: dict[str, tuple[str, Any, Any]] = {
    "attestation": ("attestation", SPEC.Attestation, SPEC.process_attestation),
    "attester_slashing": ("attester_slashing", SPEC.AttesterSlashing, SPEC.process_attester_slashing),
    "block_header": ("block", SPEC.BeaconBlock, SPEC.process_block_header),
    "bls_to_execution_change": (
        "address_change",
        SPEC.SignedBLSToExecutionChange,
        SPEC.process_bls_to_execution_change,
    ),
    "consolidation_request": ("consolidation_request", SPEC.ConsolidationRequest, SPEC.process_consolidation_request),
    "deposit": ("deposit", SPEC.Deposit, SPEC.process_deposit),
    "deposit_request": ("deposit_request", SPEC.DepositRequest, SPEC.process_deposit_request),
    "proposer_slashing": ("proposer_slashing", SPEC.ProposerSlashing, SPEC.process_proposer_slashing),
    "sync_aggregate": ("sync_aggregate", SPEC.SyncAggregate, SPEC.process_sync_aggregate),
    "voluntary_exit": ("voluntary_exit", SPEC.SignedVoluntaryExit, SPEC.process_voluntary_exit),
    "withdrawal_request": ("withdrawal_request", SPEC.WithdrawalRequest, SPEC.process_withdrawal_request),
    "withdrawals": ("execution_payload", SPEC.ExecutionPayload, SPEC.process_withdrawals),
}


def run(state: Any, change: Any) -> Any | None:
    """The state after `change`, or `None` if it is invalid."""
    try:
        change(state)
    except (AssertionError, IndexError, ValueError):
        return None
    return state


def expect(case: Case, after: Any | None) -> None:
    expected = case.post(SPEC)
    assert (after is None) == (expected is None), f"{case}: valid here: {after is not None}"
    if expected is not None and after is not None:
        assert after.hash_tree_root() == expected.hash_tree_root()


def test_vectors_are_there_where_they_must_be() -> None:
    assert root() is not None or not os.environ.get("CI"), "no official vectors: set CONSENSUS_SPEC_TESTS"


@pytest.mark.parametrize("case", list(cases(PRESET, "fulu", "operations")), ids=str)
def test_operations(case: Case) -> None:
    is_on = not case.has("meta.yaml") or case.yaml("meta.yaml").get("bls_setting", 0) != 2
    state = case.pre(SPEC)
    if case.handler == "execution_payload":
        body = case.ssz("body", SPEC.BeaconBlockBody)
        engine = SPEC.ExecutionEngine()
        engine.is_valid = case.yaml("execution.yaml")["execution_valid"]
        expect(case, run(state, lambda state: SPEC.process_execution_payload(state, body, engine)))
        return
    name, kind, process = OPERATIONS[case.handler]
    operation = case.ssz(name, kind)
    with bls.switched(is_on):
        expect(case, run(state, lambda state: process(state, operation)))


@pytest.mark.parametrize("case", list(cases(PRESET, "fulu", "epoch_processing")), ids=str)
def test_epoch_processing(case: Case) -> None:
    process = getattr(SPEC, f"process_{case.handler}")
    expect(case, run(case.pre(SPEC), process))


@pytest.mark.parametrize("case", list(cases(PRESET, "fulu", "sanity")), ids=str)
def test_sanity(case: Case) -> None:
    state = case.pre(SPEC)
    if case.handler == "slots":
        slots = case.yaml("slots.yaml")
        expect(case, run(state, lambda state: SPEC.process_slots(state, state.slot + slots)))
        return
    count = case.yaml("meta.yaml")["blocks_count"]
    is_on = case.yaml("meta.yaml").get("bls_setting", 0) != 2
    blocks = [case.ssz(f"blocks_{number}", SPEC.SignedBeaconBlock) for number in range(count)]

    def apply(state: Any) -> None:
        for block in blocks:
            SPEC.state_transition(state, block)

    with bls.switched(is_on):
        expect(case, run(state, apply))


@pytest.mark.parametrize("case", list(cases(PRESET, "fulu", "rewards")), ids=str)
def test_rewards(case: Case) -> None:
    state = case.pre(SPEC)
    deltas = SPEC.List[SPEC.Gwei, SPEC.VALIDATOR_REGISTRY_LIMIT]

    class Deltas(SPEC.Container):  # type: ignore[name-defined, misc]
        rewards: deltas  # type: ignore[valid-type]
        penalties: deltas  # type: ignore[valid-type]

    computed = {
        "source_deltas": SPEC.get_flag_index_deltas(state, SPEC.TIMELY_SOURCE_FLAG_INDEX),
        "target_deltas": SPEC.get_flag_index_deltas(state, SPEC.TIMELY_TARGET_FLAG_INDEX),
        "head_deltas": SPEC.get_flag_index_deltas(state, SPEC.TIMELY_HEAD_FLAG_INDEX),
        "inactivity_penalty_deltas": SPEC.get_inactivity_penalty_deltas(state),
    }
    for name, (rewards, penalties) in computed.items():
        expected = case.ssz(name, Deltas)
        assert (list(expected.rewards), list(expected.penalties)) == (list(rewards), list(penalties)), name


@pytest.mark.parametrize(
    "case",
    [case for case in cases(PRESET, "fulu", "fork_choice") if case.handler in ("get_head", "ex_ante")],
    ids=str,
)
def test_fork_choice(case: Case) -> None:
    steps = case.yaml("steps.yaml")
    is_on = not case.has("meta.yaml") or case.yaml("meta.yaml").get("bls_setting", 0) != 2
    if any("columns" in step or "pow_block" in step for step in steps):
        pytest.skip("about the availability of data, which is not part of the base")
    anchor = case.ssz("anchor_state", SPEC.BeaconState)
    store = SPEC.get_forkchoice_store(anchor, case.ssz("anchor_block", SPEC.BeaconBlock))
    with bls.switched(is_on):
        play(SPEC, store, steps, lambda name, kind: case.ssz(name, kind))
