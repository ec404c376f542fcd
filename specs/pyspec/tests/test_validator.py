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


def test_the_form_of_index_that_is_not_valid_does_not_propose(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SPEC, "get_beacon_proposer_index", lambda _: SPEC.ValidatorIndex(FOUR))
    assert SPEC.is_proposer(state, virtual(FOUR, 3))
    assert not SPEC.is_proposer(state, virtual(FOUR, 4))
    assert not SPEC.is_proposer(state, SPEC.SignerIndex(FOUR))
    monkeypatch.setattr(SPEC, "get_beacon_proposer_index", lambda _: SPEC.ValidatorIndex(SOLO))
    assert SPEC.is_proposer(state, SPEC.SignerIndex(SOLO))
    assert not SPEC.is_proposer(state, virtual(SOLO, 0))


def rotated(state: Any, validator: int, threshold: int, keys: list[Any], epoch: int | None = None) -> None:
    """Another key set of a validator, in force from an epoch, or from now on."""
    now = SPEC.get_current_epoch(state) if epoch is None else SPEC.Epoch(epoch)
    key_set = SPEC.KeySet(activation_epoch=now, threshold=threshold, keys=keys)
    group = SPEC.get_group(state, SPEC.ValidatorIndex(validator))
    if group is None:
        state.groups.append(SPEC.Group(validator_index=validator, sequence=1, key_sets=[SPEC.KeySet(), key_set]))
    else:
        group.key_sets.append(key_set)


def registry_key(state: Any, validator: int) -> Any:
    return SPEC.VirtualKey(scheme=0, pubkey=bytes(state.validators[validator].pubkey))


def test_sync_duties_are_those_of_the_public_key(state: Any) -> None:
    period = int(SPEC.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    epoch = int(SPEC.get_current_epoch(state))
    size = int(SPEC.SYNC_COMMITTEE_SIZE) // 4
    solo = state.validators[SOLO].pubkey
    state.next_sync_committee.pubkeys = [solo] * int(SPEC.SYNC_COMMITTEE_SIZE)
    current = list(state.current_sync_committee.pubkeys)
    assert any(signer >= SPEC.VIRTUAL_INDEX_OFFSET for signer in state.current_sync_committee_indices)
    for signer in all_signers(state):
        pubkey = SPEC.get_sync_committee_pubkey(state, SPEC.Epoch(epoch), signer)
        assert bytes(pubkey) == bytes(SPEC.get_signer_key(state, signer, SPEC.Epoch(epoch)).pubkey)
        assert SPEC.is_assigned_to_sync_committee(state, SPEC.Epoch(epoch), signer) == (pubkey in current)
        assert SPEC.is_assigned_to_sync_committee(state, SPEC.Epoch(epoch + period), signer) == (signer == SOLO)
        subnets = {position // size for position, other in enumerate(current) if other == pubkey}
        assert SPEC.compute_subnets_for_sync_committee(state, signer) == subnets
    # As long as no key has moved, these are the positions of the index.
    for position, signer in enumerate(state.current_sync_committee_indices):
        assert position // size in SPEC.compute_subnets_for_sync_committee(state, signer)
    with pytest.raises(AssertionError):
        SPEC.is_assigned_to_sync_committee(state, SPEC.Epoch(epoch + 2 * period), SPEC.SignerIndex(SOLO))
    # The last slot of a period signs for the next committee.
    state.slot = (epoch // period + 1) * period * int(SPEC.SLOTS_PER_EPOCH) - 1
    assert SPEC.compute_subnets_for_sync_committee(state, SPEC.SignerIndex(SOLO)) == {0, 1, 2, 3}


def test_a_key_keeps_its_positions_in_a_sync_committee(state: Any) -> None:
    def subnets(signer: Any) -> set[int]:
        return set(SPEC.compute_subnets_for_sync_committee(state, signer))

    # A registry key becomes a virtual one: it signs under both indices, whichever its client finds.
    state.current_sync_committee.pubkeys[0] = state.validators[SOLO].pubkey
    before = subnets(SPEC.SignerIndex(SOLO))
    other, key = registry_key(state, SEVEN), registry_key(state, SOLO)
    rotated(state, SOLO, 1, [other, key])
    assert 0 in before
    assert subnets(virtual(SOLO, 1)) == subnets(SPEC.SignerIndex(SOLO)) == before
    assert subnets(virtual(SOLO, 0)) == set(), "it has the position of no key"
    # A virtual key moves to another position, and another one goes.
    first = next(signer for signer in state.current_sync_committee_indices if signer >= SPEC.VIRTUAL_INDEX_OFFSET)
    validator = SPEC.split_signer_index(first)[0]
    keys = list(SPEC.get_key_set(state, validator, SPEC.get_current_epoch(state)).keys)
    pubkeys = [bytes(pubkey) for pubkey in state.current_sync_committee.pubkeys]
    places = [pubkeys.count(bytes(key.pubkey)) for key in keys]
    assert places[1] > 0
    moved = subnets(virtual(validator, 1))
    rotated(state, int(validator), 1, [keys[1]])
    assert subnets(virtual(validator, 0)) == moved
    with pytest.raises(AssertionError):
        subnets(virtual(validator, 1))


def test_a_key_of_another_scheme_has_no_part_in_sync_committees(state: Any) -> None:
    epoch = SPEC.get_current_epoch(state)
    hash_based = SPEC.VirtualKey(scheme=1, pubkey=b"\x01" * 52)
    rotated(state, SOLO, 1, [hash_based, registry_key(state, SOLO)])
    assert SPEC.get_sync_committee_pubkey(state, epoch, virtual(SOLO, 0)) is None
    assert SPEC.get_sync_committee_pubkey(state, epoch, virtual(SOLO, 1)) == state.validators[SOLO].pubkey
    assert not SPEC.is_assigned_to_sync_committee(state, epoch, virtual(SOLO, 0))
    with pytest.raises(IndexError):
        SPEC.get_sync_committee_pubkey(state, epoch, SPEC.SignerIndex(len(ENTRIES)))


def test_a_key_that_joins_waits_until_that_is_final(state: Any) -> None:
    epoch = SPEC.Epoch(SPEC.get_current_epoch(state) + 5)
    final = state.copy()

    def waiting(*signers: Any) -> list[bool]:
        return [not SPEC.is_final_key(state, final, signer, epoch) for signer in signers]

    # A registry key that becomes a virtual key does not join, the other one does.
    other = registry_key(state, SEVEN)
    rotated(state, SOLO, 2, [other, registry_key(state, SOLO)], int(epoch))
    assert waiting(virtual(SOLO, 0), virtual(SOLO, 1)) == [True, False]
    # Keys that move do not wait; the one that is new does.
    keys = list(SPEC.get_key_set(state, SPEC.ValidatorIndex(FOUR), epoch).keys)
    rotated(state, FOUR, 3, [keys[3], other, keys[0]], int(epoch))
    assert waiting(*(virtual(FOUR, key) for key in range(3))) == [False, True, False]
    # The registry key of a group that is dissolved joins, unless it was one of the virtual keys.
    rotated(state, SEVEN, 0, [], int(epoch))
    assert waiting(SPEC.SignerIndex(SEVEN)) == [True]
    rotated(final, SEVEN, 1, [registry_key(state, SEVEN)], int(SPEC.get_current_epoch(state)))
    assert waiting(SPEC.SignerIndex(SEVEN)) == [False]
    # A scheme is part of a key.
    rotated(state, ONE, 1, [SPEC.VirtualKey(scheme=1, pubkey=bytes(other.pubkey)), other], int(epoch))
    rotated(final, ONE, 1, [other], int(epoch))
    assert waiting(virtual(ONE, 0), virtual(ONE, 1)) == [True, False]
    # Nobody waits once it is final, or if nothing changed.
    final = state.copy()
    assert waiting(virtual(SOLO, 0), virtual(FOUR, 1), SPEC.SignerIndex(SEVEN), virtual(SIXTEEN, 15)) == [False] * 4


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


def test_aggregates_of_several_committees_become_one_attestation(monkeypatch: pytest.MonkeyPatch) -> None:
    # The second committee's members stand between those of the first one, and the third has no BLS key.
    xmss = [Entry(64, 1, 1, schemes=(2,)) for _ in range(4)]
    chain = Chain(SPEC, [*xmss, *(Entry(32) for _ in range(28))])
    committees = {0: [9, 1, 3], 1: [0, 8], 2: [2]}
    monkeypatch.setattr(SPEC, "get_beacon_committee", lambda state, slot, index: committees[int(index)])
    slot = int(chain.state.slot)
    chain.advance(1)
    state, data = chain.state, chain.attestation_data(slot)
    root = SPEC.compute_signing_root(data, SPEC.get_domain(state, SPEC.DOMAIN_BEACON_ATTESTER, data.target.epoch))

    def aggregate(index: int, *members: int) -> Any:
        seats = SPEC.get_committee_seats(state, SPEC.Slot(slot), SPEC.CommitteeIndex(index))
        voters = [seat for seat in seats if SPEC.split_signer_index(seat)[0] in members]
        return SPEC.Attestation(
            aggregation_bits=[seat in voters for seat in seats],
            data=data,
            committee_bits=[place == index for place in range(int(SPEC.MAX_COMMITTEES_PER_SLOT))],
            **chain.signed([int(voter) for voter in voters], root, chain.vote_leaf(data)),
        )

    parts = [aggregate(2, 2), aggregate(0, 9, 1, 3), aggregate(1, 0, 8)]
    assert [bytes(part.signature) == SPEC.G2_POINT_AT_INFINITY for part in parts] == [True, False, False]
    whole = SPEC.compute_on_chain_aggregate(state, parts)
    assert len(whole.proofs) == 1 and len(whole.aggregation_bits) == 6
    indexed = SPEC.get_indexed_attestation(state, whole)
    assert [int(SPEC.split_signer_index(index)[0]) for index in indexed.attesting_indices] == [8, 9, 0, 1, 2, 3]
    assert SPEC.is_valid_indexed_attestation(state, indexed)
    without = SPEC.compute_on_chain_aggregate(state, [aggregate(0, 9), aggregate(1, 8)])
    assert len(without.proofs) == 0
    assert SPEC.is_valid_indexed_attestation(state, SPEC.get_indexed_attestation(state, without))
    # One committee's votes, which came one by one, merge in the same way; the same vote twice does not.
    votes = [aggregate(0, 3), aggregate(0, 1)]
    both = aggregate(0, 1, 3)
    assert SPEC.get_merged_proofs(state, votes) == list(both.proofs)
    with pytest.raises(AssertionError):
        SPEC.get_merged_proofs(state, [votes[0], both])


def test_an_aggregate_carries_the_selection_proof() -> None:
    aggregate = SPEC.Attestation(signature=b"\x05" * 96)
    proof = SPEC.SchemeProof(scheme=1, data=b"\x01")
    message = SPEC.get_aggregate_and_proof(virtual(SEVEN, 2), aggregate, SPEC.G2_POINT_AT_INFINITY, [proof])
    assert message.aggregator_index == virtual(SEVEN, 2)
    assert (message.aggregate, list(message.proofs)) == (aggregate, [proof])
    assert message.selection_proof == SPEC.G2_POINT_AT_INFINITY


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
    epoch = SPEC.get_current_epoch(state)

    def requirement(signers: list[Any], epoch: Any = epoch) -> int:
        return int(SPEC.get_validators_custody_requirement(state, epoch, signers))

    assert requirement([]) == 8
    assert requirement([SPEC.SignerIndex(SOLO)]) == 8
    assert requirement(seven[:1]) == 2048 // 7 // 32
    assert requirement(seven) in (63, 64)
    assert requirement(seven * 3) == 128
    assert requirement([SPEC.SignerIndex(SEVEN)]) == 8, "the registry key of a group has no share"
    assert requirement([SPEC.SignerIndex(len(ENTRIES))]) == 8, "a validator that is not final yet"
    key_sets = SPEC.get_group(state, SEVEN).key_sets
    key_sets.append(SPEC.KeySet(activation_epoch=epoch + 5, threshold=2, keys=list(key_sets[0].keys)[:2]))
    assert requirement(seven[:1], epoch + 4) == 2048 // 7 // 32
    assert requirement(seven[:1], epoch + 5) == 2048 // 2 // 32
    assert requirement(seven[2:], epoch + 5) == 8, "keys that are not in force then"


def test_a_member_signs_a_header_alone() -> None:
    chain = Chain(SPEC)
    lookahead = chain.state.proposer_lookahead
    slots = range(int(chain.state.slot) + 1, int(chain.state.slot) + len(lookahead))
    start = int(chain.state.slot) - int(chain.state.slot) % int(SPEC.SLOTS_PER_EPOCH)
    # A group with room for one more key, so that there is a bit for a key which is not there.
    slot = next(slot for slot in slots if 0 < chain.key_count(lookahead[slot - start]) < 16)
    chain.advance(slot - 1 - int(chain.state.slot))
    block = chain.block()
    state = chain.state.copy()
    if state.slot < block.message.slot:
        SPEC.process_slots(state, block.message.slot)
    proposer = int(block.message.proposer_index)
    size = chain.key_count(proposer)

    def header(*keys: int, signed_by: tuple[int, ...] | None = None) -> Any:
        value = SPEC.compute_signed_block_header(block)
        domain = SPEC.get_domain(state, SPEC.DOMAIN_BEACON_PROPOSER)
        root = SPEC.compute_signing_root(value.message, domain)
        signers = chain.signers_of(proposer, keys if signed_by is None else signed_by)
        value.signature, value.signers = chain.sign(signers, root), chain.bits(keys)
        return value

    assert SPEC.verify_single_signer(state, header(0))
    assert SPEC.verify_single_signer(state, header(size - 1))
    assert not SPEC.verify_single_signer(state, header(0, signed_by=(1,)))
    assert not SPEC.verify_single_signer(state, header(0, 1))
    assert not SPEC.verify_single_signer(state, header())
    assert not SPEC.verify_single_signer(state, header(size, signed_by=(0,)))


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
