"""Operations: ordinary cases, each failing assertion, and the boundaries m - 1, m, n and 16."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
def attester_slashings(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)

    def data(target: int, head: int, source_epoch: int = 60) -> Any:
        return spec.AttestationData(
            slot=target * int(spec.SLOTS_PER_EPOCH),
            beacon_block_root=bytes([head]) * 32,
            source=spec.Checkpoint(epoch=source_epoch),
            target=spec.Checkpoint(epoch=target),
        )

    def votes(content: Any, keys: Any, validator: int = SEVEN) -> Any:
        return chain.indexed(content, chain.signers_of(validator, keys))

    def slashing(side_1: list[Any], side_2: list[Any]) -> Any:
        return spec.AttesterSlashing(
            attestation_1=side_1[0], attestation_2=side_2[0], more_1=side_1[1:], more_2=side_2[1:]
        )

    def slashed(*validators: int) -> Check:
        expected = sorted(validators)
        return lambda before, after: [i for i, v in enumerate(after.validators) if v.slashed] == expected

    one, two = data(69, 1), data(69, 2)

    def case(name: str, value: Any, is_valid: bool = True, check: Check = lambda b, a: True) -> Case:
        return operation(chain, "attester_slashing", name, value, is_valid, check)

    yield case("solo_double_vote", slashing([votes(one, (), SOLO)], [votes(two, (), SOLO)]), True, slashed(SOLO))
    last, other = data(69, 1), data(69, 2)
    last.target.epoch = other.target.epoch = 2**64 - 1
    yield case(
        "solo_double_vote_in_the_last_epoch_of_all",
        slashing([votes(last, (), SOLO)], [votes(other, (), SOLO)]),
        True,
        slashed(SOLO),
    )
    for count, is_valid in ((4, False), (5, True), (7, True)):
        value = slashing([votes(one, range(count))], [votes(two, range(count))])
        name = f"double_vote_of_{count}_of_7"
        yield case(name if is_valid else f"invalid_{name}", value, is_valid, slashed(SEVEN) if is_valid else slashed())
    yield case(
        "three_keys_on_both_sides",
        slashing([votes(one, (0, 1, 2, 3, 4))], [votes(two, (2, 3, 4, 5, 6))]),
        True,
        slashed(SEVEN),
    )
    yield case(
        "invalid_below_threshold_on_one_side", slashing([votes(one, range(7))], [votes(two, (0, 1, 2, 3))]), False
    )
    surrounding, surrounded = data(69, 1, 50), data(68, 1, 55)
    yield case(
        "surround_vote", slashing([votes(surrounding, range(5))], [votes(surrounded, range(5))]), True, slashed(SEVEN)
    )
    other_head = data(69, 3)
    yield case(
        "a_side_of_several_votes",
        slashing([votes(one, (0, 1, 2)), votes(other_head, (3, 4))], [votes(two, range(5))]),
        True,
        slashed(SEVEN),
    )
    yield case(
        "several_votes_on_both_sides",
        slashing(
            [votes(one, (0, 1, 2)), votes(other_head, (3, 4))], [votes(two, (0, 1)), votes(data(69, 4), (4, 5, 6))]
        ),
        True,
        slashed(SEVEN),
    )
    yield case(
        "invalid_the_same_keys_twice_on_a_side",
        slashing([votes(one, (0, 1, 2, 3)), votes(other_head, (0, 1, 2, 3))], [votes(two, range(5))]),
        False,
    )
    yield case(
        "invalid_side_with_two_target_epochs",
        slashing([votes(surrounding, (0, 1, 2)), votes(data(70, 1, 50), (3, 4))], [votes(surrounded, range(5))]),
        False,
    )
    yield case(
        "invalid_pair_that_does_not_contradict",
        slashing([votes(one, (0, 1, 2)), votes(two, (3, 4))], [votes(two, range(5))]),
        False,
    )
    yield case("invalid_same_data", slashing([votes(one, range(7))], [votes(one, range(7))]), False)
    bad = votes(two, range(5))
    bad.signature = votes(one, range(5)).signature
    yield case("invalid_signature", slashing([votes(one, range(5))], [bad]), False)
    bad = votes(two, range(5))
    bad.attesting_indices = list(reversed(list(bad.attesting_indices)))
    yield case("invalid_order", slashing([votes(one, range(5))], [bad]), False)
    bad = votes(two, range(5))
    bad.attesting_indices = []
    yield case("invalid_nobody", slashing([votes(one, range(5))], [bad]), False)
    for name, signer in {
        "plain_index_of_a_group": SEVEN,
        "virtual_index_of_a_solo_validator": int(spec.get_virtual_index(SOLO, 0)),
        "key_that_does_not_exist": int(spec.get_virtual_index(SEVEN, 7)),
        "validator_that_does_not_exist": len(chain.entries),
    }.items():
        chain.secrets.setdefault(signer, registry_secret(SEVEN))
        yield case(f"invalid_{name}", slashing([chain.indexed(one, [signer])], [chain.indexed(two, [signer])]), False)
    both = chain.indexed(one, chain.signers_of(SEVEN, range(5)) + chain.signers_of(FOUR, range(3)) + [SOLO, SOLO + 1])
    contrary = chain.indexed(two, chain.signers_of(SEVEN, range(5)) + chain.signers_of(FOUR, range(2)) + [SOLO + 1])
    yield case("groups_and_solo_validators", slashing([both], [contrary]), True, slashed(SEVEN, SOLO + 1))
    chain.state.validators[SEVEN].slashed = True
    value = slashing([votes(one, range(5))], [votes(two, range(5))])
    yield case("invalid_slashed_already", value, False)


@source
def slashings_of_replaced_keys(spec: ModuleType) -> Iterator[Case]:
    """Keys that were replaced sign for a later epoch, as they would on a branch without the change."""
    chain = Chain(spec)
    now = chain.epoch
    target, activation = now - 1, now - 3
    old = chain.signers_of(SEVEN, range(7))
    group = spec.get_group(chain.state, SEVEN)
    before = {signer: chain.secrets[signer] for signer in old}
    keys = [chain.new_key(SEVEN, key) for key in range(7, 11)]
    after = {old[place]: chain.secrets[chain.signers_of(SEVEN, [7 + place])[0]] for place in range(4)}
    group.key_sets.append(spec.KeySet(activation_epoch=activation, threshold=3, keys=keys))
    # What was a solo validator is a group of two now.
    pair = [chain.new_key(SOLO, key) for key in range(2)]
    solo_set = spec.KeySet(activation_epoch=0, threshold=0)
    pair_set = spec.KeySet(activation_epoch=activation, threshold=2, keys=pair)
    chain.state.groups.append(spec.Group(validator_index=SOLO, sequence=1, key_sets=[solo_set, pair_set]))
    chain.state.previous_group_participation.append(0)
    chain.state.current_group_participation.append(0)

    def vote(head: int, signers: Iterable[int], secrets: dict[int, int], **fields: int) -> Any:
        chain.secrets.update(secrets)
        data = spec.AttestationData(
            slot=target * int(spec.SLOTS_PER_EPOCH),
            beacon_block_root=bytes([head]) * 32,
            source=spec.Checkpoint(epoch=fields.get("source", now - 10)),
            target=spec.Checkpoint(epoch=fields.get("target", target)),
        )
        return chain.indexed(data, list(signers))

    def case(name: str, first: Any, second: Any, ages: tuple[int, int], slashed: int | None) -> Case:
        value = spec.AttesterSlashing(
            attestation_1=first, attestation_2=second, key_set_age_1=ages[0], key_set_age_2=ages[1]
        )
        is_valid = slashed is not None

        def check(before: Any, after: Any) -> bool:
            return [index for index, validator in enumerate(after.validators) if validator.slashed] == [slashed]

        return operation(chain, "attester_slashing", f"{'' if is_valid else 'invalid_'}{name}", value, is_valid, check)

    first_age = target - activation + 1
    for count in (4, 5):
        yield case(
            f"{count}_replaced_keys_against_new_ones",
            vote(1, old[:count], before),
            vote(2, old[:3], after),
            (first_age, 0),
            SEVEN if count == 5 else None,
        )
    yield case(
        "new_keys_against_replaced_ones", vote(1, old[:3], after), vote(2, old[:5], before), (0, first_age), SEVEN
    )
    yield case(
        "two_new_keys_against_replaced_ones", vote(1, old[:2], after), vote(2, old[:5], before), (0, first_age), None
    )
    yield case(
        "replaced_keys_on_both_sides",
        vote(1, old[:5], before),
        vote(2, old[2:], before),
        (first_age, first_age + 20),
        SEVEN,
    )
    yield case(
        "replaced_keys_surround_new_ones",
        vote(1, old[:5], before, source=now - 12),
        vote(2, old[:3], after, source=now - 11, target=target - 1),
        (first_age, 0),
        SEVEN,
    )
    both = (vote(1, old[:5], before), vote(2, old[:5], before))
    yield case("replaced_keys_as_if_in_force", *both, (0, 0), None)
    yield case("replaced_keys_an_epoch_too_late", *both, (first_age - 1, first_age), None)
    yield case("replaced_keys_of_the_first_epoch", *both, (target, first_age), SEVEN)
    yield case("age_of_more_epochs_than_there_were", *both, (target + 1, first_age), None)
    yield case("age_that_wraps_around", *both, (2**64 - 1, first_age), None)
    new_ones = (vote(1, old[:3], after), vote(2, old[:3], after))
    yield case("new_keys_for_the_epoch_before_them", *new_ones, (first_age, first_age), None)
    yield case("new_keys_of_their_first_epoch", *new_ones, (first_age - 1, 0), SEVEN)
    chain.secrets[SOLO] = registry_secret(SOLO)
    members = chain.signers_of(SOLO, range(2))
    yield case("registry_key_against_the_group", vote(1, [SOLO], {}), vote(2, members, {}), (first_age, 0), SOLO)
    yield case("registry_key_of_a_group", vote(1, [SOLO], {}), vote(2, members, {}), (0, 0), None)
    group.key_sets = list(group.key_sets)[1:]
    yield case("replaced_keys_whose_set_was_dropped", *both, (first_age, first_age), None)


@source
def proposer_slashings(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)

    def header(validator: int, body: int, slot: int = 555) -> Any:
        return spec.BeaconBlockHeader(slot=slot, proposer_index=validator, body_root=bytes([body]) * 32)

    def slashing(validator: int, keys_1: Any, keys_2: Any, **other: int) -> Any:
        return spec.ProposerSlashing(
            signed_header_1=chain.signed_header(header(validator, 1), list(keys_1)),
            signed_header_2=chain.signed_header(
                header(validator, other.get("body", 2), other.get("slot", 555)), list(keys_2)
            ),
        )

    def case(name: str, value: Any, is_valid: bool = True) -> Case:
        proposer = int(value.signed_header_1.message.proposer_index)
        check: Check = lambda before, after: bool(after.validators[proposer].slashed)  # noqa: E731
        return operation(chain, "proposer_slashing", name, value, is_valid, check)

    yield case("solo", slashing(SOLO, (), ()))
    for count, is_valid in ((4, False), (5, True), (7, True)):
        name = f"{count}_of_7_signed_both"
        yield case(name if is_valid else f"invalid_{name}", slashing(SEVEN, range(count), range(count)), is_valid)
    yield case("three_keys_signed_both", slashing(SEVEN, (0, 1, 2, 3, 4), (2, 3, 4, 5, 6)))
    yield case("invalid_one_header_below_threshold", slashing(SEVEN, range(7), range(4)), False)
    yield case("invalid_same_header", slashing(SEVEN, range(5), range(5), body=1), False)
    yield case("invalid_other_slot", slashing(SEVEN, range(5), range(5), slot=556), False)
    value = slashing(SEVEN, range(5), range(5))
    value.signed_header_2 = chain.signed_header(header(FOUR, 2), [0, 1, 2])
    yield case("invalid_other_proposer", value, False)
    value = slashing(SEVEN, range(5), range(5))
    value.signed_header_2.signers[6] = True
    yield case("invalid_signer_who_did_not_sign", value, False)
    value = slashing(SEVEN, range(5), range(5))
    value.signed_header_1.signers[7] = True
    yield case("invalid_signer_that_does_not_exist", value, False)
    value = slashing(SOLO, (), ())
    value.signed_header_1.signers[0] = True
    yield case("invalid_solo_with_signers", value, False)
    chain.state.validators[SEVEN].slashed = True
    yield case("invalid_slashed_already", slashing(SEVEN, range(5), range(5)), False)


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
