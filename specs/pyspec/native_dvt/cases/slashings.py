"""Slashings: who signed on both sides of the evidence, with which keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import FOUR, SEVEN, SOLO, Chain, registry_secret
from .operations import Check, operation


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
