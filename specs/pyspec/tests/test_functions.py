"""Functions that no operation reaches with these inputs."""

from __future__ import annotations

import pytest

from native_dvt.cases.chain import FOUR, SEVEN, Chain
from native_dvt.spec import load

SPEC = load("minimal")


@pytest.mark.parametrize("validator", [0, 1, 2**40 - 1])
@pytest.mark.parametrize("key", [0, 1, 15])
def test_virtual_indices_split_into_what_they_are_made_of(validator: int, key: int) -> None:
    index = SPEC.get_virtual_index(SPEC.ValidatorIndex(validator), SPEC.uint64(key))
    assert SPEC.split_signer_index(index) == (validator, key)
    assert SPEC.split_signer_index(SPEC.SignerIndex(validator)) == (validator, None)
    assert 2**48 <= index < 2**53


@pytest.mark.parametrize("size", range(1, 17))
def test_each_key_leads_exactly_one_rank(size: int) -> None:
    chain = Chain(SPEC)
    key_set = SPEC.get_group(chain.state, SEVEN).key_sets[0]
    key_set.keys = [chain.new_key(SEVEN, key) for key in range(size)]
    for slot in (560, 561):
        led = [
            int(SPEC.get_leader_key_index(chain.state, SPEC.Slot(slot), SPEC.ValidatorIndex(SEVEN), SPEC.uint64(rank)))
            for rank in range(size)
        ]
        assert sorted(led) == list(range(size))


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_a_key_proves_possession_for_one_validator_and_slot(scheme: int) -> None:
    chain = Chain(SPEC)
    key = chain.new_key(SEVEN, 7, scheme)
    proof = chain.key_proof(SEVEN, key)
    assert SPEC.is_valid_key_possession(chain.state, SPEC.ValidatorIndex(SEVEN), key, proof)
    assert not SPEC.is_valid_key_possession(chain.state, SPEC.ValidatorIndex(FOUR), key, proof)
    for changed in (
        SPEC.KeyProof(slot=proof.slot + 1, proof=proof.proof),
        SPEC.KeyProof(slot=proof.slot, proof=SPEC.SchemeProof(scheme=scheme, data=b"\x01")),
        SPEC.KeyProof(slot=proof.slot, proof=SPEC.SchemeProof(scheme=scheme + 1, data=proof.proof.data)),
    ):
        assert not SPEC.is_valid_key_possession(chain.state, SPEC.ValidatorIndex(SEVEN), key, changed)


@pytest.mark.parametrize(("preset", "highest"), [("minimal", 2), ("mainnet", 1)])
def test_a_preset_says_which_schemes_keys_may_have(preset: str, highest: int) -> None:
    spec = load(preset)
    for scheme in range(1, 5):
        key = spec.VirtualKey(scheme=scheme, pubkey=b"\x01" * 52)
        assert spec.is_valid_virtual_key(key) == (scheme <= highest)
        assert not spec.is_valid_virtual_key(spec.VirtualKey(scheme=scheme, pubkey=b"\x01" * 51))
        assert not spec.is_valid_virtual_key(spec.VirtualKey(scheme=scheme, pubkey=b"\xff" * 52))


def test_before_the_first_stored_key_set_nothing_verifies() -> None:
    chain = Chain(SPEC)
    SPEC.get_group(chain.state, SEVEN).key_sets[0].activation_epoch = 5
    SPEC.get_key_set(chain.state, SPEC.ValidatorIndex(SEVEN), SPEC.Epoch(5))
    with pytest.raises(AssertionError):
        SPEC.get_key_set(chain.state, SPEC.ValidatorIndex(SEVEN), SPEC.Epoch(4))


def test_the_sampling_epoch_is_the_first_of_the_period_before() -> None:
    period = int(SPEC.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    expected = {0: 0, period - 1: 0, period: 0, 2 * period - 1: 0, 2 * period: period, 5 * period + 3: 4 * period}
    for epoch, sampled in expected.items():
        assert SPEC.get_sync_committee_sampling_epoch(SPEC.Epoch(epoch)) == sampled


def test_shares_of_proposers_add_up_to_the_reward_of_a_solo_vote() -> None:
    reward = 123_457
    for threshold in range(1, 17):
        shares = [reward * min(after, threshold) // threshold for after in range(17)]
        assert shares[16] - shares[0] == reward


@pytest.mark.parametrize("epoch", [0, 70, 2**58 - 1, 2**58, 2**64 - 1])
def test_a_leaf_beyond_all_numbers_is_the_greatest_one(epoch: int) -> None:
    leaf = SPEC.get_leaf_index(SPEC.Epoch(epoch), SPEC.OPERATION_LEAF_USE)
    assert leaf == min(epoch * 64 + 39, 2**64 - 1)


def test_a_chain_can_start_with_groups() -> None:
    like = Chain(SPEC, epoch=0).state
    fulu = SPEC.fulu.BeaconState()
    for name in SPEC.fulu.BeaconState.fields():
        setattr(fulu, name, getattr(like, name))
    # A committee of Fulu knows registry keys only.
    committee = SPEC.SyncCommittee(pubkeys=[like.validators[0].pubkey] * int(SPEC.SYNC_COMMITTEE_SIZE))
    fulu.current_sync_committee = fulu.next_sync_committee = committee
    groups = [(group.validator_index, group.key_sets[0]) for group in like.groups]
    state = SPEC.get_dvt_genesis_state(fulu, groups)
    assert state.groups == like.groups
    assert len(state.previous_group_participation) == len(state.current_group_participation) == len(groups)
    assert state.fork == SPEC.Fork(
        previous_version=SPEC.config.DVT_FORK_VERSION, current_version=SPEC.config.DVT_FORK_VERSION, epoch=0
    )
    for field in ("current_sync_committee", "next_sync_committee"):
        assert getattr(state, field) == getattr(like, field)
        assert getattr(state, f"{field}_indices") == getattr(like, f"{field}_indices")
    SPEC.process_slots(state, SPEC.Slot(1))
