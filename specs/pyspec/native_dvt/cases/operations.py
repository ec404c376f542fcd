"""Operations: ordinary cases, each failing assertion, and the boundaries m - 1, m, n and 16."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import (
    ETH,
    FOUR,
    ONE,
    SEVEN,
    SIXTEEN,
    SOLO,
    WEALTHY,
    Chain,
    Entry,
    default_epoch,
    pubkey_of,
    registry_secret,
)

Check = Callable[[Any, Any], bool]


def operation(
    chain: Chain, handler: str, name: str, value: Any, is_valid: bool = True, check: Check = lambda before, after: True
) -> Case:
    def run(state: Any) -> Any:
        # Looked up when it runs: those who watch or change a function put another one in its place.
        getattr(chain.spec, f"process_{handler}")(state, value)
        return state

    file = "block" if handler == "block_header" else handler
    return Case("operations", handler, name, {"pre": chain.state.copy(), file: value}, run, is_valid, check=check)


def flags_of(spec: ModuleType, state: Any, validator: int) -> list[bool]:
    return [spec.has_flag(state.current_epoch_participation[validator], flag) for flag in range(3)]


@source
def attestations(spec: ModuleType) -> Iterator[Case]:
    for validator, m, n in ((SEVEN, 5, 7), (FOUR, 3, 4), (ONE, 1, 1), (SIXTEEN, 16, 16)):
        chain = Chain(spec)
        slot = chain.slot_of(validator)
        chain.advance(slot + 1 - int(chain.state.slot))
        for count in sorted({0, 1, m - 1, m, n}):
            if count > n:
                continue

            def votes(index: int, key: int | None, count: int = count, validator: int = validator) -> bool:
                return index != validator if key is None else index == validator and key < count

            value = chain.attestation(slot, votes)

            def counted(before: Any, after: Any, is_counted: bool = count >= m, validator: int = validator) -> bool:
                return flags_of(spec, after, validator) == [is_counted] * 3

            yield operation(chain, "attestation", f"{m}_of_{n}_with_{count}_votes", value, True, counted)

    chain = Chain(spec)
    slot = chain.slot_of(SEVEN)
    chain.advance(slot + 1 - int(chain.state.slot))

    def members(*keys: int) -> Callable[[int, int | None], bool]:
        return lambda index, key: index == SEVEN and key in keys

    first = chain.attestation(slot, members(0, 1, 2))
    second = chain.attestation(slot, members(2, 5, 6))
    spec.process_attestation(chain.state, first)
    yield operation(
        chain,
        "attestation",
        "votes_of_two_aggregates_add_up",
        second,
        check=lambda before, after: flags_of(spec, after, SEVEN) == [True] * 3,
    )
    yield operation(
        chain,
        "attestation",
        "the_same_votes_again_change_nothing",
        first,
        check=lambda before, after: before.hash_tree_root() == after.hash_tree_root(),
    )
    spec.process_attestation(chain.state, second)
    yield operation(chain, "attestation", "votes_beyond_the_threshold", chain.attestation(slot, members(3, 4)))

    chain = Chain(spec)
    slot = chain.slot_of(SEVEN)
    chain.advance(slot + 1 - int(chain.state.slot))
    spec.process_attestation(chain.state, chain.attestation(slot, members(0, 1, 2), head=b"\x77" * 32))
    yield operation(
        chain,
        "attestation",
        "split_heads_keep_source_and_target",
        chain.attestation(slot, members(3, 4, 5, 6)),
        check=lambda before, after: flags_of(spec, after, SEVEN) == [True, True, False],
    )

    chain = Chain(spec)
    slot = chain.slot_of(SEVEN)
    chain.advance(int(spec.SLOTS_PER_EPOCH))
    late = chain.attestation(slot, members(0, 1, 2, 3, 4))
    yield operation(chain, "attestation", "votes_of_the_previous_epoch", late)

    chain = Chain(spec)
    slot = chain.slot_of(SEVEN)
    chain.advance(slot + 1 - int(chain.state.slot))
    good = chain.attestation(slot)
    spoils: dict[str, Callable[[Any], Any]] = {
        "wrong_signature": lambda a: setattr(a, "signature", chain.sign([SOLO], b"\x01" * 32)),
        "one_bit_more_than_seats": lambda a: a.aggregation_bits.append(True),
        "one_bit_less_than_seats": lambda a: setattr(a, "aggregation_bits", list(a.aggregation_bits)[:-1]),
        "bit_of_a_member_who_did_not_sign": lambda a: setattr(
            a, "signature", chain.attestation(slot, lambda index, key: (index, key) != (SEVEN, 6)).signature
        ),
        "nobody_voted": lambda a: setattr(a, "aggregation_bits", [False] * len(a.aggregation_bits)),
        "committee_that_does_not_exist": lambda a: setattr(
            a, "committee_bits", [index < 2 for index in range(int(spec.MAX_COMMITTEES_PER_SLOT))]
        ),
        "data_index": lambda a: setattr(a.data, "index", 1),
        "target_epoch_of_another_slot": lambda a: setattr(a.data, "slot", a.data.slot - spec.SLOTS_PER_EPOCH),
        "target_epoch_too_old": lambda a: setattr(a.data.target, "epoch", a.data.target.epoch - 2),
        "source_not_justified": lambda a: setattr(a.data.source, "root", b"\x01" * 32),
        "proof_of_a_scheme_without_signers": lambda a: a.proofs.append(spec.SchemeProof(scheme=1, data=b"\x00")),
    }
    for name, spoil in spoils.items():
        value = good.copy()
        spoil(value)
        yield operation(chain, "attestation", f"invalid_{name}", value, False)
    chain = Chain(spec)
    slot = int(chain.state.slot) + 1
    chain.advance(1)
    early_data = spec.AttestationData(
        slot=slot,
        source=chain.state.current_justified_checkpoint,
        target=spec.Checkpoint(epoch=chain.epoch, root=spec.get_block_root(chain.state, spec.Epoch(chain.epoch))),
    )
    yield operation(chain, "attestation", "invalid_too_early", chain.attestation(slot, data=early_data), False)


@source
def voluntary_exits(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)

    def case(name: str, value: Any, is_valid: bool = True) -> Case:
        index = int(value.message.validator_index)
        check: Check = lambda before, after: after.validators[index].exit_epoch != spec.FAR_FUTURE_EPOCH  # noqa: E731
        return operation(chain, "voluntary_exit", name, value, is_valid, check)

    yield case("solo", chain.exit(SOLO))
    for validator, m, n in ((SEVEN, 5, 7), (ONE, 1, 1), (SIXTEEN, 16, 16)):
        for count in sorted({m - 1, m, n}):
            name = f"{count}_of_{n}"
            is_valid = count >= m
            yield case(name if is_valid else f"invalid_{name}", chain.exit(validator, range(count)), is_valid)
    yield case("by_the_last_keys", chain.exit(SEVEN, range(2, 7)))
    value = chain.exit(SEVEN, range(5))
    value.signers[5] = True
    yield case("invalid_signer_who_did_not_sign", value, False)
    value = chain.exit(SEVEN, range(6))
    value.signers[5] = False
    yield case("invalid_signer_who_is_not_named", value, False)
    value = chain.exit(SEVEN, range(5))
    value.signature = chain.sign([SEVEN], b"\x01" * 32)
    yield case("invalid_registry_key_of_a_group", value, False)
    value = chain.exit(SOLO)
    value.signers[0] = True
    yield case("invalid_solo_with_signers", value, False)
    # Keys of a scheme of which nobody can verify a proof yet.
    mixed = Chain(spec)
    for key in (5, 6):
        virtual_key = spec.VirtualKey(scheme=spec.XMSS_SCHEME, pubkey=bytes([key]) * 52)
        spec.get_group(mixed.state, SEVEN).key_sets[0].keys[key] = virtual_key
    yield operation(mixed, "voluntary_exit", "bls_keys_of_a_mixed_group", mixed.exit(SEVEN, range(5)))
    proof = spec.SchemeProof(scheme=spec.XMSS_SCHEME, data=b"\x01" * 8)
    for name, keys, signature, proofs in (
        ("proof_that_does_not_verify", (0, 1, 2, 3, 5), mixed.exit(SEVEN, (0, 1, 2, 3)).signature, [proof]),
        ("missing_proof", (0, 1, 2, 3, 5), mixed.exit(SEVEN, (0, 1, 2, 3)).signature, []),
        ("proof_without_such_a_signer", range(5), mixed.exit(SEVEN, range(5)).signature, [proof]),
    ):
        value = mixed.exit(SEVEN, ())
        value.signers, value.signature, value.proofs = mixed.bits(keys), signature, proofs
        yield operation(mixed, "voluntary_exit", f"invalid_{name}", value, False)
    two = Chain(spec)
    key_set = spec.get_group(two.state, FOUR).key_sets[0]
    key_set.threshold = 1
    key_set.keys[0] = spec.VirtualKey(scheme=spec.XMSS_SCHEME, pubkey=b"\x07" * 52)
    for name, signature in {
        "bls_signature_without_a_bls_signer": two.exit(FOUR, (1,)).signature,
        "only_a_proof_that_does_not_verify": spec.G2_POINT_AT_INFINITY,
    }.items():
        value = two.exit(FOUR, ())
        value.signers, value.signature, value.proofs = two.bits((0,)), signature, [proof]
        yield operation(two, "voluntary_exit", f"invalid_{name}", value, False)
    yield case("invalid_future_epoch", chain.exit(SEVEN, range(5), epoch=chain.epoch + 1), False)
    young = Chain(spec)
    young.state.validators[SEVEN].activation_epoch = young.epoch
    yield operation(young, "voluntary_exit", "invalid_too_young", young.exit(SEVEN, range(5)), False)
    gone = Chain(spec)
    gone.state.validators[SEVEN].exit_epoch = gone.epoch + 30
    yield operation(gone, "voluntary_exit", "invalid_exiting_already", gone.exit(SEVEN, range(5)), False)
    waiting = Chain(spec)
    waiting.state.validators[SEVEN].activation_epoch = waiting.epoch + 1
    yield operation(waiting, "voluntary_exit", "invalid_not_active", waiting.exit(SEVEN, range(5)), False)
    owed = Chain(spec)
    owed.state.pending_partial_withdrawals.append(spec.PendingPartialWithdrawal(validator_index=SEVEN, amount=1))
    yield operation(owed, "voluntary_exit", "invalid_pending_withdrawal", owed.exit(SEVEN, range(5)), False)


@source
def key_set_changes(spec: ModuleType) -> Iterator[Case]:
    def case(chain: Chain, name: str, value: Any, is_valid: bool = True) -> Case:
        index = int(value.message.validator_index)

        def stored(before: Any, after: Any) -> bool:
            group = spec.get_group(after, index)
            return bool(
                group.key_sets[len(group.key_sets) - 1].keys == value.message.keys
                and group.sequence == value.message.sequence + 1
            )

        return operation(chain, "key_set_change", name, value, is_valid, stored)

    chain = Chain(spec)
    fresh = [chain.new_key(WEALTHY, key) for key in range(16)]
    old = list(spec.get_key_set(chain.state, SEVEN, spec.Epoch(chain.epoch)).keys)
    newcomer = chain.new_key(SEVEN, 12)
    yield case(chain, "solo_becomes_1_of_1", chain.change(WEALTHY, 1, fresh[:1]))
    yield case(chain, "solo_becomes_5_of_7", chain.change(WEALTHY, 5, fresh[:7]))
    yield case(chain, "solo_becomes_2_of_8_at_the_smallest_balance", chain.change(WEALTHY, 2, fresh[:8]))
    yield case(chain, "invalid_balance_below_32_for_each_key", chain.change(WEALTHY, 5, fresh[:9]), False)
    rich = Chain(spec, [Entry(512), *(Entry(64) for _ in range(31))])
    sixteen = [rich.new_key(0, key) for key in range(16)]
    yield case(rich, "solo_becomes_11_of_16", rich.change(0, 11, sixteen))
    yield case(
        chain,
        "registry_key_stays_as_a_member",
        chain.change(WEALTHY, 2, [spec.VirtualKey(scheme=0, pubkey=pubkey_of(registry_secret(WEALTHY)))] + fresh[:2]),
    )
    yield case(chain, "group_replaces_a_key", chain.change(SEVEN, 5, old[:6] + [newcomer], range(5)))
    yield case(chain, "group_gains_a_key", chain.change(SEVEN, 5, old + [newcomer], range(5)))
    yield case(chain, "group_loses_a_key", chain.change(SEVEN, 4, old[:6], (2, 3, 4, 5, 6)))
    yield case(chain, "group_changes_only_its_threshold", chain.change(SEVEN, 7, old, range(5)))
    yield case(chain, "group_reorders_its_keys", chain.change(SEVEN, 5, old[::-1], range(5)))
    yield case(chain, "group_is_dissolved", chain.change(SEVEN, 0, [], range(7)))
    yield case(chain, "invalid_authorised_by_m_minus_1", chain.change(SEVEN, 5, old[:6], range(4)), False)
    yield case(chain, "invalid_solo_has_nothing_to_dissolve", chain.change(WEALTHY, 0, []), False)
    yield case(chain, "invalid_threshold_without_keys", chain.change(SEVEN, 1, [], range(5)), False)
    yield case(chain, "invalid_threshold_zero", chain.change(SEVEN, 0, old, range(5)), False)
    yield case(chain, "invalid_threshold_above_n", chain.change(SEVEN, 8, old, range(5)), False)
    yield case(chain, "invalid_key_twice", chain.change(SEVEN, 5, old[:6] + old[:1], range(5)), False)
    foreign = list(spec.get_key_set(chain.state, FOUR, spec.Epoch(chain.epoch)).keys)
    yield case(chain, "invalid_key_of_another_group", chain.change(SEVEN, 5, old[:6] + foreign[:1], range(5)), False)
    taken = spec.VirtualKey(scheme=0, pubkey=pubkey_of(registry_secret(SOLO)))
    yield case(
        chain, "invalid_registry_key_of_another_validator", chain.change(SEVEN, 5, old[:6] + [taken], range(5)), False
    )
    yield case(chain, "invalid_sequence_ahead", chain.change(SEVEN, 5, old[:6], range(5), sequence=1), False)
    window = int(spec.KEY_SET_CHANGE_WINDOW)
    yield case(
        chain, "invalid_future_slot", chain.change(SEVEN, 5, old[:6], range(5), slot=int(chain.state.slot) + 1), False
    )
    late = Chain(spec, epoch=chain.epoch + window // int(spec.SLOTS_PER_EPOCH))
    late_old = list(spec.get_key_set(late.state, SEVEN, spec.Epoch(late.epoch)).keys)
    slot = int(late.state.slot) - window
    yield case(late, "at_the_end_of_the_window", late.change(SEVEN, 5, late_old[:6], range(5), slot=slot))
    yield case(late, "invalid_after_the_window", late.change(SEVEN, 5, late_old[:6], range(5), slot=slot - 1), False)
    unknown = chain.change(SEVEN, 5, old[:6], range(5))
    unknown.message.validator_index = len(chain.entries)
    yield case(chain, "invalid_unknown_validator", unknown, False)

    proofs = [chain.key_proof(SEVEN, newcomer)]
    yield case(chain, "invalid_no_proof", chain.change(SEVEN, 5, old[:6] + [newcomer], range(5), key_proofs=[]), False)
    yield case(chain, "invalid_proof_too_many", chain.change(SEVEN, 5, old[:6], range(5), key_proofs=proofs), False)
    by_another = [chain.key_proof(SEVEN, newcomer, secret=registry_secret(SOLO))]
    yield case(
        chain,
        "invalid_proof_by_another_key",
        chain.change(SEVEN, 5, old[:6] + [newcomer], range(5), key_proofs=by_another),
        False,
    )
    for_another = [chain.key_proof(FOUR, newcomer)]
    yield case(
        chain,
        "invalid_proof_for_another_validator",
        chain.change(SEVEN, 5, old[:6] + [newcomer], range(5), key_proofs=for_another),
        False,
    )
    for name, proof in {
        "proof_of_another_scheme": spec.SchemeProof(scheme=1, data=proofs[0].proof.data),
        "proof_too_short": spec.SchemeProof(scheme=0, data=bytes(proofs[0].proof.data)[:95]),
    }.items():
        value = chain.change(
            SEVEN, 5, old[:6] + [newcomer], range(5), key_proofs=[spec.KeyProof(slot=proofs[0].slot, proof=proof)]
        )
        yield case(chain, f"invalid_{name}", value, False)
    for name, key in {
        "key_of_unknown_scheme": spec.VirtualKey(scheme=9, pubkey=newcomer.pubkey),
        "key_too_short": spec.VirtualKey(scheme=0, pubkey=bytes(newcomer.pubkey)[:47]),
        "key_that_is_no_point": spec.VirtualKey(scheme=0, pubkey=b"\x01" * 48),
        "key_at_infinity": spec.VirtualKey(scheme=0, pubkey=b"\xc0" + b"\x00" * 47),
    }.items():
        proof = spec.KeyProof(
            slot=chain.state.slot, proof=spec.SchemeProof(scheme=key.scheme, data=proofs[0].proof.data)
        )
        value = chain.change(SEVEN, 5, old[:6] + [key], range(5), key_proofs=[proof])
        yield case(chain, f"invalid_{name}", value, False)
    # The leaf of a hash-based key, which these keys do not have, would be beyond all numbers.
    distant = [chain.key_proof(SEVEN, newcomer, slot=2**64 - 1)]
    yield case(
        chain,
        "possession_proven_for_the_last_slot_of_all",
        chain.change(SEVEN, 5, old[:6] + [newcomer], range(5), key_proofs=distant),
    )
    stale = chain.change(WEALTHY, 5, fresh[:7])
    stale.signature = chain.sign([SOLO], b"\x01" * 32)
    yield case(chain, "invalid_solo_signature", stale, False)

    eth1 = Chain(spec, [Entry(64, compounding=False), *(Entry(64) for _ in range(31))])
    two = [eth1.new_key(0, key) for key in range(2)]
    yield case(eth1, "one_key_needs_no_compounding_credentials", eth1.change(0, 1, two[:1]))
    yield case(eth1, "invalid_two_keys_without_compounding_credentials", eth1.change(0, 2, two), False)
    poor = Chain(spec)
    poor.state.validators[SEVEN].effective_balance = 223 * ETH
    poor_old = list(spec.get_key_set(poor.state, SEVEN, spec.Epoch(poor.epoch)).keys)
    replacement = poor.new_key(SEVEN, 13)
    yield case(poor, "rotation_below_32_for_each_key", poor.change(SEVEN, 5, poor_old[:6] + [replacement], range(5)))
    yield case(
        poor, "invalid_growth_below_32_for_each_key", poor.change(SEVEN, 5, poor_old + [replacement], range(5)), False
    )
    now = chain.epoch
    edits: dict[str, Callable[[Any], Any]] = {
        "exiting": lambda v: setattr(v, "exit_epoch", now + 20),
        "slashed": lambda v: setattr(v, "slashed", True),
        "not_active_yet": lambda v: setattr(v, "activation_epoch", now + 1),
    }
    for name, edit in edits.items():
        other = Chain(spec)
        edit(other.state.validators[SEVEN])
        keys = list(spec.get_key_set(other.state, SEVEN, spec.Epoch(other.epoch)).keys)
        yield case(other, f"invalid_{name}", other.change(SEVEN, 5, keys[:6], range(5)), False)

    # One change after the other.
    again = Chain(spec)
    keys = list(spec.get_key_set(again.state, SEVEN, spec.Epoch(again.epoch)).keys)
    group = spec.get_group(again.state, SEVEN)
    group.key_sets.append(spec.KeySet(activation_epoch=again.epoch + 1, threshold=4, keys=keys[:6]))
    yield case(again, "invalid_pending_change", again.change(SEVEN, 4, keys[:5], range(5)), False)
    group.key_sets[1].activation_epoch = again.epoch
    yield case(again, "second_change_when_the_first_is_in_force", again.change(SEVEN, 4, keys[:5], range(4)))
    retention = int(spec.KEY_SET_RETENTION_EPOCHS)
    for name, is_valid, activations in (
        ("oldest_key_set_is_dropped_in_time", True, (0, now, now - 1 + retention, now + retention)),
        ("invalid_four_key_sets_none_old_enough", False, (0, now + 1, now - 1 + retention, now + retention)),
        ("three_key_sets_are_dropped", True, (0, now - 2, now - 1, now)),
    ):
        full = Chain(spec, epoch=now + retention)
        keys = list(spec.get_key_set(full.state, SEVEN, spec.Epoch(now)).keys)
        group = spec.get_group(full.state, SEVEN)
        group.key_sets = [spec.KeySet(activation_epoch=epoch, threshold=5, keys=keys) for epoch in activations]
        yield case(full, name, full.change(SEVEN, 4, keys[:5], range(5)), is_valid)


@source
def sync_aggregates(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)
    chain.advance(1)
    holders = [int(signer) for signer in chain.state.current_sync_committee_indices]
    runs = [
        [int(position) for position in run]
        for run in spec.get_sync_committee_runs(chain.state.current_sync_committee_indices)
    ]
    virtual = [run for run in runs if holders[run[0]] >= int(spec.VIRTUAL_INDEX_OFFSET)]

    def case(name: str, value: Any, is_valid: bool = True) -> Case:
        return operation(chain, "sync_aggregate", name, value, is_valid)

    yield case("everybody", chain.sync_aggregate())
    yield case("nobody", chain.sync_aggregate(lambda position: False))
    yield case("solo_validators_only", chain.sync_aggregate(lambda p: holders[p] < int(spec.VIRTUAL_INDEX_OFFSET)))
    for run in virtual[:1] + virtual[-1:]:
        for count in range(len(run) + 1):
            signing = set(range(len(holders))) - set(run[count:])
            value = chain.sync_aggregate(signing.__contains__)
            yield case(f"run_at_{run[0]}_of_{len(run)}_with_{count}_signatures", value)
        if run == virtual[-1] and len(virtual) == 1:
            break
    wrong = chain.sync_aggregate(lambda position: position > 0)
    wrong.sync_committee_bits[0] = True
    yield case("invalid_position_that_did_not_sign", wrong, False)
    # No candidates: groups under their registry indices are neither paid nor penalised.
    other = Chain(spec)
    other.advance(1)
    size = int(spec.SYNC_COMMITTEE_SIZE)
    other.state.current_sync_committee_indices = [index % 6 for index in range(size)]
    pubkeys = [other.state.validators[index % 6].pubkey for index in range(size)]
    other.state.current_sync_committee = spec.SyncCommittee(
        pubkeys=pubkeys, aggregate_pubkey=spec.eth_aggregate_pubkeys(pubkeys)
    )
    proposer = int(spec.get_beacon_proposer_index(other.state))
    for name, votes in {"signed": lambda position: True, "silent": lambda position: False}.items():
        value = other.sync_aggregate(votes)

        def untouched(before: Any, after: Any) -> bool:
            groups = [index for index in (SEVEN, FOUR, ONE, SIXTEEN) if index != proposer]
            return all(before.balances[index] == after.balances[index] for index in groups)

        yield operation(other, "sync_aggregate", f"groups_under_registry_indices_{name}", value, True, untouched)
    # As long a run as there can be, for as many keys: positions times threshold is a large number.
    whole = Chain(spec)
    whole.advance(1)
    # Whoever proposes is paid for the others.
    while spec.get_beacon_proposer_index(whole.state) == SIXTEEN:
        whole.advance(1)
    members = whole.signers_of(SIXTEEN, range(16))
    keys = [pubkey_of(whole.secrets[member]) for member in members]
    whole.state.current_sync_committee_indices = [members[position % 16] for position in range(size)]
    pubkeys = [keys[position % 16] for position in range(size)]
    whole.state.current_sync_committee = spec.SyncCommittee(
        pubkeys=pubkeys, aggregate_pubkey=spec.eth_aggregate_pubkeys(pubkeys)
    )

    # Every run is paid alike; a key that did not sign turns the pay of its run into a penalty.
    total = spec.get_total_active_balance(whole.state) // spec.EFFECTIVE_BALANCE_INCREMENT
    total *= spec.get_base_reward_per_increment(whole.state)
    reward = int(total * spec.SYNC_REWARD_WEIGHT // spec.WEIGHT_DENOMINATOR // spec.SLOTS_PER_EPOCH // size)
    for name, votes, paid_runs in (
        ("whole_committee_of_one_group", lambda position: True, size // 16),
        ("whole_committee_but_one_signature", lambda position: position > 0, size // 16 - 2),
    ):

        def is_paid(before: Any, after: Any, paid_runs: int = paid_runs) -> bool:
            return int(after.balances[SIXTEEN]) - int(before.balances[SIXTEEN]) == reward * 16 * paid_runs

        yield operation(whole, "sync_aggregate", name, whole.sync_aggregate(votes), True, is_paid)


@source
def withdrawal_requests(spec: ModuleType) -> Iterator[Case]:
    def case(chain: Chain, name: str, validator: int, amount: int, withdrawn: int | None) -> Case:
        request = spec.WithdrawalRequest(
            source_address=chain.address(validator),
            validator_pubkey=pubkey_of(registry_secret(validator)),
            amount=amount,
        )

        def check(before: Any, after: Any) -> bool:
            pending = [int(entry.amount) for entry in after.pending_partial_withdrawals][
                len(before.pending_partial_withdrawals) :
            ]
            return pending == ([] if withdrawn is None else [withdrawn])

        return operation(chain, "withdrawal_request", name, request, True, check)

    chain = Chain(spec)
    yield case(chain, "group_keeps_32_for_each_key", SEVEN, 2000 * ETH, (2048 - 224) * ETH)
    yield case(chain, "solo_keeps_32", WEALTHY, 2000 * ETH, (256 - 32) * ETH)
    yield case(chain, "small_amount", SEVEN, ETH, ETH)
    yield case(chain, "exit_of_a_group", SEVEN, 0, None)
    growing = Chain(spec)
    keys = [growing.new_key(SEVEN, key) for key in range(12)]
    spec.get_group(growing.state, SEVEN).key_sets.append(
        spec.KeySet(activation_epoch=growing.epoch + 5, threshold=8, keys=keys)
    )
    yield case(growing, "pending_key_set_counts", SEVEN, 2000 * ETH, (2048 - 12 * 32) * ETH)
    shrinking = Chain(spec)
    spec.get_group(shrinking.state, SEVEN).key_sets.append(
        spec.KeySet(activation_epoch=shrinking.epoch + 5, threshold=2, keys=keys[:3])
    )
    yield case(shrinking, "key_set_in_force_counts_until_its_end", SEVEN, 2000 * ETH, (2048 - 224) * ETH)
    exact = Chain(spec)
    exact.state.balances[SEVEN] = 224 * ETH
    exact.state.validators[SEVEN].effective_balance = 224 * ETH
    yield case(exact, "nothing_above_32_for_each_key", SEVEN, ETH, None)
    exact = Chain(spec)
    exact.state.balances[SEVEN] = 224 * ETH + 1
    exact.state.validators[SEVEN].effective_balance = 224 * ETH
    yield case(exact, "one_gwei_above_32_for_each_key", SEVEN, ETH, 1)


@source
def withdrawal_requests_that_do_nothing(spec: ModuleType) -> Iterator[Case]:
    now = default_epoch(spec)

    def case(name: str, edit: Callable[[Any, Any], Any], amount: int = ETH) -> Case:
        chain = Chain(spec)
        request = spec.WithdrawalRequest(
            source_address=chain.address(SEVEN), validator_pubkey=pubkey_of(registry_secret(SEVEN)), amount=amount
        )
        edit(chain.state, request)

        def check(before: Any, after: Any) -> bool:
            return bool(before.hash_tree_root() == after.hash_tree_root())

        return operation(chain, "withdrawal_request", name, request, True, check)

    pending = spec.PendingPartialWithdrawal(validator_index=FOUR, amount=1, withdrawable_epoch=now + 130)
    limit = int(spec.PENDING_PARTIAL_WITHDRAWALS_LIMIT)
    if limit <= 64:
        yield case("queue_is_full", lambda s, r: setattr(s, "pending_partial_withdrawals", [pending] * limit))
    yield case("unknown_pubkey", lambda s, r: setattr(r, "validator_pubkey", b"\x01" * 48))
    yield case(
        "virtual_key", lambda s, r: setattr(r, "validator_pubkey", bytes(s.groups[0].key_sets[0].keys[0].pubkey))
    )
    yield case("another_address", lambda s, r: setattr(r, "source_address", b"\x01" * 20))
    yield case("not_active", lambda s, r: setattr(s.validators[SEVEN], "activation_epoch", now + 1))
    yield case("exiting", lambda s, r: setattr(s.validators[SEVEN], "exit_epoch", now + 30))
    yield case("too_young", lambda s, r: setattr(s.validators[SEVEN], "activation_epoch", now - 10))
    own = spec.PendingPartialWithdrawal(validator_index=SEVEN, amount=1, withdrawable_epoch=now + 130)
    yield case("exit_with_pending_withdrawal", lambda s, r: s.pending_partial_withdrawals.append(own), amount=0)


@source
def withdrawals(spec: ModuleType) -> Iterator[Case]:
    def case(name: str, chain: Chain, paid: int) -> Case:
        expected, _ = spec.get_expected_withdrawals(chain.state)
        payload = spec.ExecutionPayload(withdrawals=expected)

        def run(state: Any) -> Any:
            spec.process_withdrawals(state, payload)
            return state

        def check(before: Any, after: Any) -> bool:
            return int(before.balances[SEVEN]) - int(after.balances[SEVEN]) == paid

        inputs = {"pre": chain.state.copy(), "execution_payload": payload}
        return Case("operations", "withdrawals", name, inputs, run, check=check)

    def pending(chain: Chain, amount: int, balance: int) -> Chain:
        chain.state.pending_partial_withdrawals.append(
            spec.PendingPartialWithdrawal(validator_index=SEVEN, amount=amount, withdrawable_epoch=chain.epoch)
        )
        chain.state.balances[SEVEN] = balance
        chain.state.next_withdrawal_validator_index = SOLO
        return chain

    yield case("group_partial", pending(Chain(spec), 5 * ETH, 2048 * ETH), 5 * ETH)
    yield case("group_partial_down_to_32_for_each_key", pending(Chain(spec), 2000 * ETH, 300 * ETH), 76 * ETH)
    low = pending(Chain(spec), 5 * ETH, 300 * ETH)
    low.state.validators[SEVEN].effective_balance = 223 * ETH
    yield case("group_partial_with_low_effective_balance", low, 0)
    yield case("group_partial_without_excess", pending(Chain(spec), 5 * ETH, 224 * ETH), 0)
    waiting = pending(Chain(spec), 5 * ETH, 2048 * ETH)
    waiting.state.pending_partial_withdrawals[0].withdrawable_epoch = waiting.epoch + 1
    yield case("group_partial_that_is_not_due", waiting, 0)
    twice = pending(pending(Chain(spec), 2000 * ETH, 300 * ETH), 2000 * ETH, 300 * ETH)
    yield case("group_partials_share_what_is_above_32_for_each_key", twice, 76 * ETH)
    sweep = Chain(spec)
    sweep.state.next_withdrawal_validator_index = SEVEN
    sweep.state.balances[SEVEN] = 2049 * ETH
    yield case("sweep_takes_what_is_above_the_maximum", sweep, ETH)
    gone = Chain(spec)
    gone.state.next_withdrawal_validator_index = SEVEN
    gone.state.validators[SEVEN].exit_epoch = gone.state.validators[SEVEN].withdrawable_epoch = gone.epoch - 10
    yield case("sweep_of_a_group_that_left", gone, 2048 * ETH)
    full = Chain(spec)
    full.state.next_withdrawal_validator_index = SEVEN
    for index in range(len(full.entries)):
        full.state.balances[index] = 2049 * ETH
    yield case("payload_is_full", full, ETH)
