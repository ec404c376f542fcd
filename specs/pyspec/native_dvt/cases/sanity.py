"""Slots and blocks of a chain with groups, and the fork that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import ETH, FOUR, SEVEN, Chain, Entry, default_epoch


@source
def slots(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)
    count = int(spec.SLOTS_PER_EPOCH) + 1

    def run(state: Any) -> Any:
        spec.process_slots(state, state.slot + count)
        return state

    yield Case("sanity", "slots", "over_an_epoch_with_groups", {"pre": chain.state.copy()}, run, data={"slots": count})


def blocks_case(chain: Chain, name: str, blocks: list[Any], is_valid: bool = True) -> Case:
    spec = chain.spec

    def run(state: Any) -> Any:
        for block in blocks:
            spec.state_transition(state, block)
        return state

    inputs = {"pre": chain.state.copy(), **{f"blocks_{number}": block for number, block in enumerate(blocks)}}
    return Case("sanity", "blocks", name, inputs, run, is_valid, data={"meta": {"blocks_count": len(blocks)}})


def proposed_by(spec: ModuleType, validator: int) -> Chain:
    """A chain whose next slot is that validator's."""
    chain = Chain(spec, [Entry(2048, 5, 7), Entry(1024, 3, 4), *(Entry(64) for _ in range(30))])
    for _ in range(4 * int(spec.SLOTS_PER_EPOCH)):
        after = chain.state.copy()
        spec.process_slots(after, after.slot + 1)
        if int(spec.get_beacon_proposer_index(after)) == validator:
            return chain
        chain.state = after
    raise AssertionError(f"validator {validator} does not propose")


@source
def blocks(spec: ModuleType) -> Iterator[Case]:
    chain = proposed_by(spec, SEVEN)
    for count in (4, 5, 7):
        name = f"group_block_of_{count}_of_7"
        is_valid = count >= 5
        block = chain.block(keys=range(count))
        yield blocks_case(chain, name if is_valid else f"invalid_{name}", [block], is_valid)
    yield blocks_case(chain, "group_block_of_the_last_keys", [chain.block(keys=range(2, 7))])
    block = chain.block(keys=range(5))
    block.signers[5] = True
    yield blocks_case(chain, "invalid_signer_who_did_not_sign", [block], False)
    block = chain.block(keys=range(5))
    block.signers[7] = True
    yield blocks_case(chain, "invalid_signer_that_does_not_exist", [block], False)
    infinity = bytes(spec.G2_POINT_AT_INFINITY)
    yield blocks_case(chain, "reveal_left_out", [chain.block(randao_reveal=infinity)])
    other = chain.reveal(FOUR, int(chain.state.slot) + 1)
    yield blocks_case(chain, "invalid_reveal_of_somebody_else", [chain.block(randao_reveal=other)], False)
    slot = int(chain.state.slot) + 1
    after = chain.state.copy()
    spec.process_slots(after, spec.Slot(slot))
    leader = int(spec.get_leader_key_index(after, spec.Slot(slot), spec.ValidatorIndex(SEVEN), spec.uint64(0)))
    second = int(spec.get_leader_key_index(after, spec.Slot(slot), spec.ValidatorIndex(SEVEN), spec.uint64(1)))
    assert leader != second
    epoch = spec.get_current_epoch(after)
    root = spec.compute_signing_root(epoch, spec.get_domain(after, spec.DOMAIN_RANDAO))
    of_second = chain.sign([int(spec.get_virtual_index(SEVEN, second))], root)
    yield blocks_case(chain, "invalid_reveal_of_the_second_leader", [chain.block(randao_reveal=of_second)], False)
    proof = spec.SchemeProof(scheme=1, data=b"\x01")

    def mix_in(state: Any, body: Any) -> None:
        epoch = spec.get_current_epoch(state)
        mix = spec.xor(spec.get_randao_mix(state, epoch), spec.hash(bytes(body.randao_reveal)))
        state.randao_mixes[epoch % spec.EPOCHS_PER_HISTORICAL_VECTOR] = mix

    block = chain.block(randao_proof=[proof], as_if={"process_randao": mix_in})
    yield blocks_case(chain, "invalid_randao_proof_without_such_a_key", [block], False)

    solo = next(index for index in range(2, 32) if _proposes_soon(spec, index))
    chain = proposed_by(spec, solo)
    yield blocks_case(chain, "solo_block", [chain.block()])
    yield blocks_case(chain, "invalid_solo_without_reveal", [chain.block(randao_reveal=infinity)], False)
    block = chain.block()
    block.signers[0] = True
    yield blocks_case(chain, "invalid_solo_block_with_signers", [block], False)

    # Only a group that can do without a member may leave the reveal out.
    for threshold, size in ((4, 4), (2, 4), (1, 1)):
        chain = Chain(spec, [Entry(2048, threshold, size), *(Entry(32) for _ in range(31))])
        while (
            int(chain.state.proposer_lookahead[(int(chain.state.slot) + 1) % int(spec.SLOTS_PER_EPOCH)]) != 0
            or (int(chain.state.slot) + 1) % int(spec.SLOTS_PER_EPOCH) == 0
        ):
            chain.advance(1)
        name = f"invalid_{threshold}_of_{size}_may_not_leave_the_reveal_out"

        def pay(state: Any, body: Any) -> None:
            spec.decrease_balance(state, spec.ValidatorIndex(0), spec.get_randao_omission_fee(state))

        yield blocks_case(chain, name, [chain.block(randao_reveal=infinity, as_if={"process_randao": pay})], False)

    # A change, and votes of the new key set once it is in force.
    chain = Chain(spec, [Entry(2048, 5, 7), Entry(1024, 3, 4), *(Entry(64) for _ in range(30))])
    start = chain.state.copy()
    keys = [chain.new_key(2, key) for key in range(2)]
    first = chain.block(key_set_changes=[chain.change(2, 2, keys)])
    spec.state_transition(chain.state, first)
    made = [first]
    for _ in range(3):
        attestation_slot = int(chain.state.slot)
        chain_after = chain.state.copy()
        spec.process_slots(chain_after, chain_after.slot + 1)
        before, chain.state = chain.state, chain_after
        attestation = chain.attestation(attestation_slot)
        chain.state = before
        block = chain.block(attestations=[attestation])
        spec.state_transition(chain.state, block)
        made.append(block)
    chain.state = start
    yield blocks_case(chain, "key_set_change_and_attestations", made)
    two = Chain(spec, [Entry(2048, 5, 7), Entry(1024, 3, 4), *(Entry(64) for _ in range(30))])
    exits = [two.exit(SEVEN, range(5)), two.exit(FOUR, range(3))]
    yield blocks_case(two, "two_groups_exit", [two.block(voluntary_exits=exits)])


@source
def deposits(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec, [Entry(2048, 5, 7), Entry(1024, 3, 4), *(Entry(64) for _ in range(30))])
    chain.state.eth1_data.deposit_count = 33
    chain.state.eth1_deposit_index = 32
    # The block has no operations but for the deposit that is not there.
    block = chain.block(as_if={"process_operations": lambda state, body: None})
    yield blocks_case(chain, "invalid_deposit_of_the_old_bridge_is_missing", [block], False)


def _proposes_soon(spec: ModuleType, validator: int) -> bool:
    chain = Chain(spec, [Entry(2048, 5, 7), Entry(1024, 3, 4), *(Entry(64) for _ in range(30))])
    return validator in [int(index) for index in chain.state.proposer_lookahead][1:8]


@source
def fork(spec: ModuleType) -> Iterator[Case]:
    fulu = spec.fulu
    chain = Chain(spec, [Entry(256) for _ in range(32)])
    fields = {name: getattr(chain.state, name) for name in fulu.BeaconState.fields() if hasattr(chain.state, name)}
    fields = {
        name: fulu.BeaconState.fields()[name].decode_bytes(value.encode_bytes()) for name, value in fields.items()
    }
    pre = fulu.BeaconState(**fields)
    version = spec.config.FULU_FORK_VERSION
    pre.fork = fulu.Fork(previous_version=version, current_version=version, epoch=0)
    pubkeys = [pre.validators[index % 32].pubkey for index in range(int(spec.SYNC_COMMITTEE_SIZE))]
    pre.current_sync_committee.pubkeys = pubkeys
    pre.next_sync_committee.pubkeys = pubkeys[::-1]

    def check(before: Any, after: Any) -> bool:
        current = [index % 32 for index in range(int(spec.SYNC_COMMITTEE_SIZE))]
        return bool(
            list(after.current_sync_committee_indices) == current
            and list(after.next_sync_committee_indices) == current[::-1]
            and after.fork.previous_version == version
            and len(after.groups) == 0
            and int(after.balances[0]) == 256 * ETH
        )

    yield Case(
        "fork",
        "fork",
        "nobody_is_a_group",
        {"pre": pre},
        spec.upgrade_to_dvt,
        data={"meta": {"fork": "dvt"}},
        check=check,
    )


@source
def transition(spec: ModuleType) -> Iterator[Case]:
    fulu = spec.fulu
    fork_epoch = default_epoch(spec) + 1
    for name, skipped in (("first_block_at_the_fork", 0), ("first_block_after_the_fork", 3)):
        # Made in the new fork, without groups, and taken back to the one before.
        chain = Chain(spec, [Entry(256) for _ in range(32)])
        kinds = fulu.BeaconState.fields()
        pre = fulu.BeaconState(
            **{field: kind.decode_bytes(getattr(chain.state, field).encode_bytes()) for field, kind in kinds.items()}
        )
        version = spec.config.FULU_FORK_VERSION
        pre.fork = fulu.Fork(previous_version=version, current_version=version, epoch=0)

        def upgraded(state: Any) -> Any:
            fulu.process_slots(state, fulu.Slot(fork_epoch * int(spec.SLOTS_PER_EPOCH)))
            return spec.upgrade_to_dvt(state)

        chain.state = upgraded(pre.copy())
        blocks = []
        first = int(chain.state.slot) + skipped
        if skipped == 0:
            # A block in the slot of the fork itself is applied without another slot.
            blocks.append(chain.block(first))
            spec.process_block(chain.state, blocks[0].message)
        for slot in range(max(first, int(chain.state.slot) + 1), first + 3):
            keys = [chain.new_key(3, key) for key in range(2)]
            changes = [chain.change(3, 2, keys)] if slot == first + 1 else []
            block = chain.block(slot, key_set_changes=changes)
            spec.state_transition(chain.state, block)
            blocks.append(block)

        def run(state: Any, blocks: list[Any] = blocks) -> Any:
            state = upgraded(state)
            for block in blocks:
                if block.message.slot == state.slot:
                    assert spec.verify_block_signature(state, block)
                    spec.process_block(state, block.message)
                    assert block.message.state_root == spec.hash_tree_root(state)
                else:
                    spec.state_transition(state, block)
            return state

        inputs = {"pre": pre, **{f"blocks_{number}": block for number, block in enumerate(blocks)}}
        meta = {"post_fork": "dvt", "fork_epoch": fork_epoch, "blocks_count": len(blocks)}
        yield Case(
            "transition",
            "core",
            name,
            inputs,
            run,
            data={"meta": meta},
            check=lambda before, after: len(after.groups) == 1 and after.fork.epoch == fork_epoch,
        )
