"""Groups with hash-based keys: seats in attestations, blocks and their reveals, exits, changes, slashings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import Chain, Entry
from .functions import element_changed
from .operations import operation
from .sanity import blocks_case

#: Positions of the groups of a chain made by `chain_of`.
MIXED, PURE, EVERY, SOLO = range(4)


def short(spec: ModuleType) -> int:
    """The scheme with the smallest keys that the preset allows."""
    return int(spec.HIGHEST_SCHEME)


def chain_of(spec: ModuleType) -> Chain:
    """A 5-of-7 of three BLS and four XMSS keys, a 3-of-4 of XMSS keys, a 2-of-3 with a key of each scheme."""
    scheme = short(spec)
    groups = (
        Entry(2048, 5, 7, schemes=(scheme,) * 4),
        Entry(1024, 3, 4, schemes=(scheme,) * 4),
        Entry(1024, 2, 3, schemes=(1, scheme)),
    )
    return Chain(spec, [*groups, *(Entry(64) for _ in range(29))])


def attesting(spec: ModuleType, validator: int) -> tuple[Chain, int]:
    """A chain behind the slot in which a validator attests."""
    chain = chain_of(spec)
    slot = chain.slot_of(validator)
    chain.advance(slot + 1 - int(chain.state.slot))
    return chain, slot


def members(validator: int, keys: Any, with_others: bool = False) -> Callable[[int, int | None], bool]:
    """Votes of some keys of a group, with those of the solo validators of its committee or without."""
    return lambda index, key: with_others if key is None else index == validator and key in keys


def swapped(data: bytes, length: int, first: int, second: int) -> bytes:
    """A proof in which two signatures change places."""
    parts = [data[start : start + length] for start in range(0, len(data), length)]
    parts[first], parts[second] = parts[second], parts[first]
    return b"".join(parts)


@source
def attestations_of_hash_based_seats(spec: ModuleType) -> Iterator[Case]:
    def counted(validator: int, is_counted: bool) -> Callable[[Any, Any], bool]:
        return lambda before, after: (after.current_epoch_participation[validator] == 7) == is_counted

    def case(chain: Chain, name: str, value: Any, is_valid: bool = True, check: Any = lambda b, a: True) -> Case:
        return operation(chain, "attestation", f"{'' if is_valid else 'invalid_'}{name}", value, is_valid, check)

    chain, slot = attesting(spec, MIXED)
    for name, keys, is_counted in (
        ("mixed_three_bls_and_one_xmss", (0, 1, 2, 3), False),
        ("mixed_three_bls_and_two_xmss", (0, 1, 2, 3, 6), True),
        ("mixed_one_bls_and_four_xmss", (2, 3, 4, 5, 6), True),
        ("mixed_four_xmss_alone", (3, 4, 5, 6), False),
        ("mixed_everybody", range(7), True),
    ):
        value = chain.attestation(slot, members(MIXED, keys, with_others="alone" not in name))
        yield case(chain, name, value, True, counted(MIXED, is_counted))
    before = chain.state.copy()
    spec.process_attestation(chain.state, chain.attestation(slot, members(MIXED, (0, 1, 2))))
    value = chain.attestation(slot, members(MIXED, (3, 5)))
    yield case(chain, "votes_of_bls_and_xmss_keys_add_up", value, True, counted(MIXED, True))
    chain.state = before

    pure, pure_slot = attesting(spec, PURE)
    for count in (2, 3, 4):
        value = pure.attestation(pure_slot, members(PURE, range(count)))
        yield case(pure, f"pure_{count}_of_4", value, True, counted(PURE, count >= 3))
    every, every_slot = attesting(spec, EVERY)
    value = every.attestation(every_slot, members(EVERY, range(3)))
    yield case(every, "a_key_of_each_scheme", value, True, counted(EVERY, True))

    good = chain.attestation(slot, members(MIXED, range(7)))
    data = bytes(good.proofs[0].data)
    signers = [signer for key in range(3, 7) for signer in [int(spec.get_virtual_index(MIXED, key))]]
    key = chain.xmss_keys[signers[0]]
    length = len(data) // 4
    root = spec.compute_signing_root(
        good.data, spec.get_domain(chain.state, spec.DOMAIN_BEACON_ATTESTER, good.data.target.epoch)
    )
    leaf = int(chain.vote_leaf(good.data))

    def with_data(changed: bytes, scheme: int | None = None) -> Any:
        value = good.copy()
        value.proofs = [spec.SchemeProof(scheme=short(spec) if scheme is None else scheme, data=changed)]
        return value

    first, rest = data[:length], data[length:]
    first_of_path = 40
    spoils = {
        "leaf_of_another_use": key.sign(leaf + 7, bytes(root)) + rest,
        "leaf_of_another_epoch": key.sign(leaf + 64, bytes(root)) + rest,
        "path": element_changed(first, first_of_path, -1) + rest,
        "chain": element_changed(first, length - 4, -1) + rest,
        "element_beyond_the_field": element_changed(first, length - 4, int(spec.KOALABEAR_PRIME)) + rest,
        "swapped_signatures": swapped(data, length, 0, 1),
        "signature_of_another_message": key.sign(leaf, b"\x01" * 32) + rest,
        "signature_of_another_member": chain.xmss_keys[signers[1]].sign(leaf, bytes(root)) + rest,
        "opening_in_place_of_a_signature": key.open(leaf) + rest,
        "signature_missing": rest,
        "signature_too_many": data + first,
        "byte_missing": data[:-1],
        "byte_too_many": data + b"\x00",
        "empty": b"",
    }
    for name, changed in spoils.items():
        yield case(chain, f"proof_with_wrong_{name}", with_data(changed), False)
    yield case(chain, "proof_of_another_scheme", with_data(data, short(spec) % 2 + 1), False)
    value = good.copy()
    value.proofs = []
    yield case(chain, "missing_proof", value, False)
    value = good.copy()
    value.proofs = [value.proofs[0], value.proofs[0]]
    yield case(chain, "proof_twice", value, False)
    value = good.copy()
    value.proofs.append(spec.SchemeProof(scheme=3, data=first))
    yield case(chain, "extra_proof", value, False)
    value = chain.attestation(slot, members(MIXED, (0, 1, 2)))
    value.proofs = [spec.SchemeProof(scheme=short(spec), data=first)]
    yield case(chain, "proof_without_signer", value, False)
    value = good.copy()
    value.signature = spec.G2_POINT_AT_INFINITY
    yield case(chain, "bls_signature_missing", value, False)
    value = pure.attestation(pure_slot, members(PURE, range(3)))
    value.signature = pure.sign([SOLO], root)
    yield case(pure, "bls_signature_without_signer", value, False)
    if short(spec) != 1:
        value = every.attestation(every_slot, members(EVERY, range(3)))
        value.proofs = list(value.proofs)[::-1]
        yield case(every, "proofs_in_descending_order", value, False)
        value = every.attestation(every_slot, members(EVERY, range(3)))
        value.proofs = list(value.proofs)[:1]
        yield case(every, "proof_of_one_scheme_missing", value, False)


@source
def exits_of_hash_based_keys(spec: ModuleType) -> Iterator[Case]:
    chain = chain_of(spec)

    def case(name: str, value: Any, is_valid: bool = True) -> Case:
        return operation(chain, "voluntary_exit", f"{'' if is_valid else 'invalid_'}{name}", value, is_valid)

    for count in (2, 3, 4):
        yield case(f"pure_{count}_of_4", chain.exit(PURE, range(count)), count >= 3)
    yield case("mixed_4_of_7", chain.exit(MIXED, (0, 1, 2, 3)), False)
    yield case("mixed_5_of_7", chain.exit(MIXED, (0, 2, 3, 4, 6)))
    yield case("xmss_of_an_earlier_epoch", chain.exit(PURE, range(3), epoch=chain.epoch - 1))
    value = chain.exit(PURE, range(3))
    value.proofs = chain.exit(PURE, (0, 1, 3)).proofs
    yield case("xmss_signer_who_did_not_sign", value, False)
    value = chain.exit(PURE, range(3))
    domain = spec.compute_domain(
        spec.DOMAIN_VOLUNTARY_EXIT, spec.config.CAPELLA_FORK_VERSION, chain.state.genesis_validators_root
    )
    root = spec.compute_signing_root(value.message, domain)
    value.proofs = chain.proofs(chain.signers_of(PURE, range(3)), root, chain.operation_leaf(chain.epoch - 1))
    yield case("xmss_leaf_of_another_epoch", value, False)


@source
def changes_of_hash_based_keys(spec: ModuleType) -> Iterator[Case]:
    scheme = short(spec)

    def case(chain: Chain, name: str, value: Any, is_valid: bool = True) -> Case:
        return operation(chain, "key_set_change", f"{'' if is_valid else 'invalid_'}{name}", value, is_valid)

    def keys_in_force(chain: Chain, validator: int) -> list[Any]:
        return list(spec.get_key_set(chain.state, spec.ValidatorIndex(validator), spec.Epoch(chain.epoch)).keys)

    chain = chain_of(spec)
    fresh = [chain.new_key(SOLO, key, scheme) for key in range(2)]
    yield case(chain, "solo_becomes_two_xmss_keys", chain.change(SOLO, 2, fresh))
    yield case(chain, "solo_becomes_one_xmss_key", chain.change(SOLO, 1, fresh[:1]))
    mixed = [chain.new_key(SOLO + 1, 0), chain.new_key(SOLO + 1, 1, 1)]
    yield case(chain, "solo_becomes_bls_and_xmss", chain.change(SOLO + 1, 2, mixed))
    old = keys_in_force(chain, PURE)
    newcomer = chain.new_key(PURE, 9, scheme)
    for count in (2, 3):
        value = chain.change(PURE, 3, [*old[:3], newcomer], range(count))
        yield case(chain, f"xmss_keys_rotate_by_{count}_of_4", value, count >= 3)
    yield case(chain, "xmss_group_becomes_solo", chain.change(PURE, 0, [], range(3)))
    seven = keys_in_force(chain, MIXED)
    bls_key = chain.new_key(MIXED, 9)
    value = chain.change(MIXED, 5, [*seven[:6], bls_key], (0, 1, 2, 5, 6))
    yield case(chain, "mixed_group_replaces_an_xmss_key", value)
    xmss_key = chain.new_key(MIXED, 10, scheme)
    value = chain.change(MIXED, 5, [xmss_key, *seven[1:]], (1, 2, 4, 5, 6))
    yield case(chain, "mixed_group_replaces_a_bls_key", value)

    earlier = [chain.key_proof(SOLO, key, slot=int(chain.state.slot) - 3) for key in fresh]
    yield case(chain, "xmss_possession_of_an_earlier_epoch", chain.change(SOLO, 2, fresh, key_proofs=earlier))
    right = [chain.key_proof(SOLO, key) for key in fresh]
    later = right[0].copy()
    later.slot += 8
    for name, key_proofs in {
        "xmss_possession_of_another_key": [right[1], right[0]],
        "xmss_possession_for_another_validator": [chain.key_proof(SOLO + 2, fresh[0]), right[1]],
        "xmss_possession_with_the_leaf_of_another_epoch": [later, right[1]],
        "xmss_possession_missing": right[:1],
        "xmss_possession_by_opening": [
            spec.KeyProof(
                slot=right[0].slot,
                proof=spec.SchemeProof(
                    scheme=scheme,
                    data=chain.xmss_keys[int(spec.get_virtual_index(SOLO, 0))].open(
                        int(chain.operation_leaf(chain.epoch))
                    ),
                ),
            ),
            right[1],
        ],
    }.items():
        yield case(chain, name, chain.change(SOLO, 2, fresh, key_proofs=key_proofs), False)
    pubkey = bytes(fresh[0].pubkey)
    for name, number, changed in (
        ("xmss_key_too_short", scheme, pubkey[:-1]),
        ("xmss_key_too_long", scheme, pubkey + b"\x00"),
        ("xmss_key_beyond_the_field", scheme, element_changed(pubkey, 0, int(spec.KOALABEAR_PRIME))),
        ("key_of_a_scheme_that_the_preset_has_not", scheme + 1, pubkey),
    ):
        key = spec.VirtualKey(scheme=number, pubkey=changed)
        proof = spec.KeyProof(slot=right[0].slot, proof=spec.SchemeProof(scheme=number, data=right[0].proof.data))
        yield case(chain, name, chain.change(SOLO, 1, [key], key_proofs=[proof]), False)
    value = chain.change(PURE, 3, old[:3], range(3))
    domain = spec.compute_domain(
        spec.DOMAIN_KEY_SET_CHANGE, spec.config.GENESIS_FORK_VERSION, chain.state.genesis_validators_root
    )
    root = spec.compute_signing_root(value.message, domain)
    value.proofs = chain.proofs(chain.signers_of(PURE, range(3)), root, chain.operation_leaf(chain.epoch + 1))
    yield case(chain, "change_with_the_leaf_of_another_epoch", value, False)


@source
def slashings_of_hash_based_keys(spec: ModuleType) -> Iterator[Case]:
    chain = chain_of(spec)
    # The fourth slot of the epoch before.
    slot = int(chain.state.slot) - int(spec.SLOTS_PER_EPOCH) + 3

    def header(body: int) -> Any:
        return spec.BeaconBlockHeader(slot=slot, proposer_index=PURE, body_root=bytes([body]) * 32)

    for name, second, is_valid in (
        ("xmss_headers", (1, 2, 3), True),
        ("invalid_xmss_header_below_threshold", (1, 2), False),
    ):
        value = spec.ProposerSlashing(
            signed_header_1=chain.signed_header(header(1), (0, 1, 2)),
            signed_header_2=chain.signed_header(header(2), second),
        )
        yield operation(chain, "proposer_slashing", name, value, is_valid)
    # The root of the second header, signed with the leaf of the slot behind it.
    domain = spec.get_domain(chain.state, spec.DOMAIN_BEACON_PROPOSER, spec.compute_epoch_at_slot(spec.Slot(slot)))
    epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
    beside = spec.get_leaf_index(epoch, spec.uint64((slot + 1) % spec.SLOTS_PER_EPOCH))
    value = spec.ProposerSlashing(
        signed_header_1=chain.signed_header(header(1), (0, 1, 2)),
        signed_header_2=chain.signed_header(header(2), (0, 1, 2)),
    )
    signers = chain.signers_of(PURE, (0, 1, 2))
    value.signed_header_2.proofs = chain.proofs(signers, spec.compute_signing_root(header(2), domain), beside)
    yield operation(chain, "proposer_slashing", "invalid_xmss_header_with_the_leaf_of_another_slot", value, False)

    def votes(head: int, validator: int, keys: Any) -> Any:
        content = spec.AttestationData(
            slot=slot,
            beacon_block_root=bytes([head]) * 32,
            source=spec.Checkpoint(epoch=60),
            target=spec.Checkpoint(epoch=epoch),
        )
        return chain.indexed(content, chain.signers_of(validator, keys))

    for name, validator, first, second_keys, is_valid in (
        ("xmss_double_vote", PURE, (0, 1, 2), (1, 2, 3), True),
        ("mixed_double_vote", MIXED, (0, 1, 2, 3, 4), (1, 2, 4, 5, 6), True),
        ("invalid_mixed_double_vote_below_threshold", MIXED, (0, 1, 2, 3, 4), (3, 4, 5, 6), False),
    ):
        value = spec.AttesterSlashing(
            attestation_1=votes(1, validator, first), attestation_2=votes(2, validator, second_keys)
        )
        yield operation(chain, "attester_slashing", name, value, is_valid)


def proposed_by(spec: ModuleType, validator: int, wants: Callable[[Chain, int], bool] = lambda c, s: True) -> Chain:
    """A chain whose next slot is that validator's, in an epoch for which the keys are made, and fits."""
    chain = chain_of(spec)
    for _ in range(2 * int(spec.SLOTS_PER_EPOCH) - 2):
        after = chain.state.copy()
        spec.process_slots(after, after.slot + 1)
        if int(spec.get_beacon_proposer_index(after)) == validator:
            before, chain.state = chain.state, after
            fits = wants(chain, int(after.slot))
            chain.state = before
            if fits:
                return chain
        chain.state = after
    raise AssertionError(f"validator {validator} does not propose")


@source
def blocks_of_hash_based_keys(spec: ModuleType) -> Iterator[Case]:
    scheme = short(spec)
    infinity = bytes(spec.G2_POINT_AT_INFINITY)

    def case(chain: Chain, name: str, block: Any, is_valid: bool = True) -> Case:
        return blocks_case(chain, f"{'' if is_valid else 'invalid_'}xmss_{name}", [block], is_valid)

    chain = proposed_by(spec, PURE)
    slot = int(chain.state.slot) + 1
    for count in (2, 3, 4):
        yield case(chain, f"block_of_{count}_of_4", chain.block(keys=range(count)), count >= 3)
    yield case(chain, "reveal_left_out", chain.block(randao_reveal=infinity, randao_proof=[]))

    after = chain.state.copy()
    spec.process_slots(after, spec.Slot(slot))
    chain.state, before = after, chain.state
    leader, second = (chain.xmss_keys[chain.leader(PURE, slot, rank)] for rank in (0, 1))
    chain.state = before
    epoch = spec.compute_epoch_at_slot(spec.Slot(slot))
    leaf = int(spec.get_leaf_index(epoch, spec.RANDAO_LEAF_USE))
    root = spec.compute_signing_root(epoch, spec.get_domain(after, spec.DOMAIN_RANDAO, epoch))
    opening = leader.open(leaf)

    def mixed_in(data: bytes) -> dict[str, Callable[[Any, Any], None]]:
        """What `process_randao` would do with bytes that it does not verify."""

        def process(state: Any, body: Any) -> None:
            mix = spec.xor(spec.get_randao_mix(state, epoch), spec.hash(data))
            state.randao_mixes[epoch % spec.EPOCHS_PER_HISTORICAL_VECTOR] = mix

        return {"process_randao": process}

    spoils = {
        "opening_of_the_second_leader": second.open(leaf),
        "opening_of_the_leaf_beside": leader.open(leaf + 1),
        "opening_of_another_epoch": leader.open(leaf - 64),
        "opening_of_the_leaf_that_votes": leader.open(leaf - 2),
        "opening_with_another_digest": element_changed(opening, 0, -1),
        "opening_with_another_path": element_changed(opening, 32, -1),
        "opening_beyond_the_field": element_changed(opening, 0, int(spec.KOALABEAR_PRIME)),
        "opening_too_short": opening[:-32],
        "opening_too_long": opening + bytes(32),
        "signature_in_place_of_an_opening": leader.sign(leaf, bytes(root)),
    }
    for name, data in spoils.items():
        block = chain.block(randao_proof=[spec.SchemeProof(scheme=scheme, data=data)], as_if=mixed_in(data[:32]))
        yield case(chain, name, block, False)
    block = chain.block(
        randao_proof=[spec.SchemeProof(scheme=scheme % 2 + 1, data=opening)], as_if=mixed_in(opening[:32])
    )
    yield case(chain, "opening_of_another_scheme", block, False)
    for name, reveal in {
        "opening_with_a_bls_reveal": chain.sign([SOLO], root),
        "opening_without_infinity": bytes(96),
    }.items():
        yield case(chain, name, chain.block(randao_reveal=reveal, as_if=mixed_in(opening[:32])), False)
    block = chain.block(
        randao_reveal=chain.sign([SOLO], root), randao_proof=[], as_if=mixed_in(chain.sign([SOLO], root))
    )
    yield case(chain, "bls_reveal_of_an_xmss_leader", block, False)

    # The block is right but for one of its signatures.
    good = chain.block()
    length = len(good.proofs[0].data) // 3
    block = good.copy()
    block.proofs[0].data = swapped(bytes(good.proofs[0].data), length, 0, 2)
    yield case(chain, "block_with_swapped_signatures", block, False)
    block = good.copy()
    block.proofs = []
    yield case(chain, "block_with_missing_proof", block, False)
    block = good.copy()
    beside = spec.get_leaf_index(epoch, spec.uint64((slot + 1) % spec.SLOTS_PER_EPOCH))
    block_root = spec.compute_signing_root(good.message, spec.get_domain(after, spec.DOMAIN_BEACON_PROPOSER, epoch))
    block.proofs = chain.proofs(chain.signers_of(PURE, range(3)), block_root, beside)
    yield case(chain, "block_with_the_leaf_of_another_slot", block, False)

    def leader_is(hash_based: bool) -> Callable[[Chain, int], bool]:
        return lambda chain, slot: (chain.leader(MIXED, slot) in chain.xmss_keys) == hash_based

    for name, hash_based in (("bls", False), ("xmss", True)):
        chain = proposed_by(spec, MIXED, leader_is(hash_based))
        yield case(chain, f"mixed_block_of_a_leader_with_a_{name}_key", chain.block(keys=(0, 2, 3, 5, 6)))
    yield case(chain, "mixed_block_below_threshold", chain.block(keys=(0, 3, 5, 6)), False)

    # Votes of a slot by all seats, in the block of an ordinary validator.
    chain, slot = attesting(spec, MIXED)
    vote = chain.attestation(slot)
    chain = chain_of(spec)
    chain.advance(slot - int(chain.state.slot))
    yield case(chain, "votes_in_a_block", chain.block(attestations=[vote]))
