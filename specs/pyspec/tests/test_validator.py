"""What validators and the network look up: duties by signer index, leaders, fork versions."""

from __future__ import annotations

from typing import Any

import pytest

from native_dvt.cases.chain import ENTRIES, FOUR, ONE, SEVEN, SIXTEEN, SOLO, Chain, Entry
from native_dvt.spec import load

SPEC = load("minimal")
GROUPS = {SEVEN: 7, FOUR: 4, ONE: 1, SIXTEEN: 16}


@pytest.fixture(name="state")
def make_state() -> Any:
    return Chain(SPEC).state.copy()


def virtual(validator: int, key: int) -> Any:
    return SPEC.get_virtual_index(SPEC.ValidatorIndex(validator), SPEC.uint64(key))


def all_signers(state: Any) -> list[Any]:
    epoch = SPEC.get_current_epoch(state)
    return [s for i in range(len(ENTRIES)) for s in SPEC.get_signers(state, SPEC.ValidatorIndex(i), epoch)]


@pytest.mark.parametrize(("validator", "size"), GROUPS.items())
def test_one_form_of_index_is_active(state: Any, validator: int, size: int) -> None:
    assert SPEC.check_if_validator_active(state, virtual(validator, 0))
    assert SPEC.check_if_validator_active(state, virtual(validator, size - 1))
    if size < 16:
        assert not SPEC.check_if_validator_active(state, virtual(validator, size))
    assert not SPEC.check_if_validator_active(state, SPEC.SignerIndex(validator))


def test_a_solo_validator_is_active_until_it_exits(state: Any) -> None:
    assert SPEC.check_if_validator_active(state, SPEC.SignerIndex(SOLO))
    assert not SPEC.check_if_validator_active(state, virtual(SOLO, 0))
    state.validators[SOLO].exit_epoch = SPEC.get_current_epoch(state)
    assert not SPEC.check_if_validator_active(state, SPEC.SignerIndex(SOLO))


def test_each_signer_has_one_seat_in_an_epoch_and_a_group_sits_together(state: Any) -> None:
    epoch = SPEC.get_current_epoch(state)
    places: dict[int, list[Any]] = {}
    for signer in all_signers(state):
        seats, index, slot = SPEC.get_committee_assignment(state, epoch, signer)
        assert list(seats).count(signer) == 1
        validator, key = SPEC.split_signer_index(signer)
        places.setdefault(int(validator), []).append((index, slot, list(seats).index(signer) - (key or 0)))
    assert all(len(set(place)) == 1 for place in places.values())
    assert len(places) == len(ENTRIES)
    assert SPEC.get_committee_assignment(state, epoch, SPEC.SignerIndex(SEVEN)) is None
    with pytest.raises(AssertionError):
        SPEC.get_committee_assignment(state, epoch + 2, SPEC.SignerIndex(SOLO))


def test_all_keys_of_a_group_propose(state: Any) -> None:
    proposer = SPEC.get_beacon_proposer_index(state)
    proposing = [signer for signer in all_signers(state) if SPEC.is_proposer(state, signer)]
    assert proposing == SPEC.get_signers(state, proposer, SPEC.get_current_epoch(state))


def test_sync_duties_are_those_of_positions(state: Any) -> None:
    period = int(SPEC.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    epoch = int(SPEC.get_current_epoch(state))
    size = int(SPEC.SYNC_COMMITTEE_SIZE) // 4
    others = [SPEC.SignerIndex(SOLO)] * int(SPEC.SYNC_COMMITTEE_SIZE)
    state.next_sync_committee_indices = others
    current = list(state.current_sync_committee_indices)
    for signer in all_signers(state):
        assert SPEC.is_assigned_to_sync_committee(state, SPEC.Epoch(epoch), signer) == (signer in current)
        assert SPEC.is_assigned_to_sync_committee(state, SPEC.Epoch(epoch + period), signer) == (signer == SOLO)
        subnets = {position // size for position, index in enumerate(current) if index == signer}
        assert SPEC.compute_subnets_for_sync_committee(state, signer) == subnets
    with pytest.raises(AssertionError):
        SPEC.is_assigned_to_sync_committee(state, SPEC.Epoch(epoch + 2 * period), SPEC.SignerIndex(SOLO))
    # The last slot of a period signs for the next committee.
    state.slot = (epoch // period + 1) * period * int(SPEC.SLOTS_PER_EPOCH) - 1
    assert SPEC.compute_subnets_for_sync_committee(state, SPEC.SignerIndex(SOLO)) == {0, 1, 2, 3}


def test_openings_select_by_their_digest_and_the_seed(state: Any) -> None:
    slot, signature = state.slot, SPEC.BLSSignature(b"\x01" * 96)
    assert SPEC.get_selection_hash(state, slot, signature, []) == SPEC.hash(b"\x01" * 96)
    opening = bytes(range(64))
    proofs = [SPEC.SchemeProof(scheme=SPEC.XMSS_SCHEME, data=opening)]
    seed = SPEC.get_seed(state, SPEC.compute_epoch_at_slot(slot), SPEC.DOMAIN_SELECTION_PROOF)
    assert SPEC.get_selection_hash(state, slot, signature, proofs) == SPEC.hash(opening[:32] + seed)


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_an_aggregator_of_any_scheme_is_selected_and_signs(scheme: int) -> None:
    chain = Chain(SPEC, [Entry(64, 1, 1, schemes=(scheme,)), *(Entry(32) for _ in range(31))])
    slot, epoch, signer = chain.state.slot, SPEC.get_current_epoch(chain.state), virtual(0, 0)
    infinity = bytes(SPEC.G2_POINT_AT_INFINITY)
    root = SPEC.compute_signing_root(slot, SPEC.get_domain(chain.state, SPEC.DOMAIN_SELECTION_PROOF, epoch))
    message = SPEC.AggregateAndProof(aggregator_index=signer, selection_proof=infinity)
    message.aggregate.data.slot = slot
    if scheme == 0:
        message.selection_proof = chain.sign([signer], root)
    else:
        opening = chain.xmss_keys[signer].open(SPEC.get_leaf_index(epoch, SPEC.SELECTION_LEAF_USE))
        message.proofs.append(SPEC.SchemeProof(scheme=scheme, data=opening))
    assert SPEC.is_valid_selection_proof(chain.state, message)
    assert isinstance(SPEC.get_selection_hash(chain.state, slot, message.selection_proof, message.proofs), bytes)

    domain = SPEC.get_domain(chain.state, SPEC.DOMAIN_AGGREGATE_AND_PROOF, epoch)
    leaf = SPEC.get_leaf_index(epoch, SPEC.AGGREGATE_LEAF_USE)
    fields = chain.signed([signer], SPEC.compute_signing_root(message, domain), leaf)
    assert SPEC.is_valid_aggregator_signature(chain.state, SPEC.SignedAggregateAndProof(message=message, **fields))
    if scheme != 0:
        with_another_leaf = chain.signed([signer], SPEC.compute_signing_root(message, domain), leaf + 1)
        signed = SPEC.SignedAggregateAndProof(message=message, **with_another_leaf)
        assert not SPEC.is_valid_aggregator_signature(chain.state, signed)
        # What was signed cannot stand for what was opened.
        signature = chain.xmss_keys[signer].sign(SPEC.get_leaf_index(epoch, SPEC.SELECTION_LEAF_USE), bytes(root))
        message.proofs[0].data = signature
        assert not SPEC.is_valid_selection_proof(chain.state, message)
        message.proofs[0].data = chain.xmss_keys[signer].open(leaf)
        assert not SPEC.is_valid_selection_proof(chain.state, message)
        message.proofs[0].data, message.selection_proof = opening, b"\x11" * 96
        assert not SPEC.is_valid_selection_proof(chain.state, message)
        message.selection_proof, message.proofs[0].scheme = infinity, 3 - scheme
        assert not SPEC.is_valid_selection_proof(chain.state, message)
        message.proofs = []
        assert not SPEC.is_valid_selection_proof(chain.state, message)
    message.aggregate.data.slot += SPEC.SLOTS_PER_EPOCH
    assert not SPEC.is_valid_selection_proof(chain.state, message)


def test_the_more_seats_the_fewer_of_them_aggregate(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    infinity = SPEC.G2_POINT_AT_INFINITY

    def selected(seats: int) -> int:
        monkeypatch.setattr(SPEC, "get_committee_seats", lambda *_: [0] * seats)
        hashes = [SPEC.BLSSignature(bytes([i]) * 96) for i in range(256)]
        return sum(SPEC.is_aggregator(state, state.slot, SPEC.CommitteeIndex(0), value, []) for value in hashes)

    assert selected(1) == selected(31) == 256
    assert 90 < selected(32) < 166
    assert 15 < selected(128) < 50
    assert isinstance(SPEC.is_aggregator(state, state.slot, SPEC.CommitteeIndex(0), infinity, []), bool)


def test_a_header_says_who_signed() -> None:
    block = SPEC.SignedBeaconBlock(signature=b"\x05" * 96)
    block.message.slot = 9
    block.signers[3] = True
    block.proofs.append(SPEC.SchemeProof(scheme=1, data=b"\x01"))
    header = SPEC.compute_signed_block_header(block)
    assert SPEC.hash_tree_root(header.message) == SPEC.hash_tree_root(block.message)
    assert (header.signature, header.signers, header.proofs) == (block.signature, block.signers, block.proofs)


def test_a_group_counts_once_for_custody(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("BALANCE_PER_ADDITIONAL_CUSTODY_GROUP", 32 * 10**9),
        ("VALIDATOR_CUSTODY_REQUIREMENT", 8),
        ("NUMBER_OF_CUSTODY_GROUPS", 128),
    ):
        monkeypatch.setattr(SPEC.config, name, value, raising=False)
    seven = [virtual(SEVEN, key) for key in range(7)]
    assert SPEC.get_validators_custody_requirement(state, []) == 8
    assert SPEC.get_validators_custody_requirement(state, [SPEC.SignerIndex(SOLO)]) == 8
    assert SPEC.get_validators_custody_requirement(state, seven[:1]) == 2048 // 7 // 32
    whole = SPEC.get_validators_custody_requirement(state, seven)
    assert whole in (63, 64)
    assert SPEC.get_validators_custody_requirement(state, seven * 3) == 128


def test_leaders_are_a_twelfth_of_a_slot_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SPEC.config, "SLOT_DURATION_MS", SPEC.uint64(12_000))
    assert [int(SPEC.get_leader_due_ms(SPEC.uint64(rank))) for rank in range(3)] == [0, 999, 1999]


@pytest.mark.parametrize(("validator", "threshold", "ranks"), [(SEVEN, 4, 3), (SEVEN, 3, 1), (ONE, 1, 1), (FOUR, 3, 3)])
def test_ranks_exist_only_if_quorums_overlap(state: Any, validator: int, threshold: int, ranks: int) -> None:
    SPEC.get_group(state, validator).key_sets[0].threshold = threshold
    for slot in (state.slot, state.slot + 1):
        found = [
            SPEC.get_leader_rank(state, slot, SPEC.ValidatorIndex(validator), SPEC.uint64(key))
            for key in range(GROUPS[validator])
        ]
        assert sorted(rank for rank in found if rank is not None) == list(range(ranks))
        leader = SPEC.get_leader_key_index(state, slot, SPEC.ValidatorIndex(validator), SPEC.uint64(0))
        assert found[leader] == 0


def test_fork_versions_follow_the_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    forks = ("ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU", "DVT")
    for number, fork in enumerate(forks, start=1):
        monkeypatch.setattr(SPEC.config, f"{fork}_FORK_EPOCH", SPEC.uint64(10 * number), raising=False)
        monkeypatch.setattr(SPEC.config, f"{fork}_FORK_VERSION", bytes([number] * 4), raising=False)
    assert SPEC.compute_fork_version(SPEC.Epoch(9)) == SPEC.config.GENESIS_FORK_VERSION
    for number in range(1, 8):
        for epoch in (10 * number, 10 * number + 9):
            assert SPEC.compute_fork_version(SPEC.Epoch(epoch)) == bytes([number] * 4)
