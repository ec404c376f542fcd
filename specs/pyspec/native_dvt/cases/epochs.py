"""Stages of epoch processing that groups change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import ETH, ONE, SEVEN, SIXTEEN, SOLO, Chain


def stage(chain: Chain, handler: str, name: str, check: Callable[[Any, Any], bool]) -> Case:
    def run(state: Any) -> Any:
        getattr(chain.spec, f"process_{handler}")(state)
        return state

    return Case("epoch_processing", handler, name, {"pre": chain.state.copy()}, run, check=check)


@source
def registry_updates(spec: ModuleType) -> Iterator[Case]:
    for validator, keys, label in (
        (SEVEN, 7, "7_keys"),
        (SIXTEEN, 16, "16_keys"),
        (ONE, 1, "1_key"),
        (SOLO, 1, "solo"),
    ):
        for extra, is_ejected in ((0, True), (1, False)):
            chain = Chain(spec)
            chain.state.validators[validator].effective_balance = (16 * keys + extra) * ETH

            def check(before: Any, after: Any, validator: int = validator, is_ejected: bool = is_ejected) -> bool:
                return bool((after.validators[validator].exit_epoch != spec.FAR_FUTURE_EPOCH) == is_ejected)

            yield stage(
                chain, "registry_updates", f"{label}_{'at' if extra == 0 else 'above'}_the_ejection_balance", check
            )


@source
def activations(spec: ModuleType) -> Iterator[Case]:
    far = spec.FAR_FUTURE_EPOCH
    chain = Chain(spec)
    chain.state.validators[SOLO].activation_epoch = chain.state.validators[SOLO].activation_eligibility_epoch = far
    chain.state.validators[SOLO + 1].activation_epoch = far
    yield stage(
        chain,
        "registry_updates",
        "queue_and_activation",
        lambda before, after: (
            after.validators[SOLO].activation_eligibility_epoch == chain.epoch + 1
            and after.validators[SOLO + 1].activation_epoch
            == spec.compute_activation_exit_epoch(spec.get_current_epoch(before))
        ),
    )


@source
def participation_flag_updates(spec: ModuleType) -> Iterator[Case]:
    chain = Chain(spec)
    chain.state.current_group_participation = [0x1F_001F_003F, 3, 0, 0xFFFF_FFFF_FFFF]
    chain.state.previous_group_participation = [1, 2, 3, 4]
    chain.state.current_epoch_participation[SEVEN] = 7
    yield stage(
        chain,
        "participation_flag_updates",
        "votes_of_groups_move_on",
        lambda before, after: (
            list(after.previous_group_participation) == list(before.current_group_participation)
            and sum(after.current_group_participation) == 0
        ),
    )


@source
def sync_committee_updates(spec: ModuleType) -> Iterator[Case]:
    period = int(spec.EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
    for name, epoch in (("end_of_a_period", 10 * period - 1), ("middle_of_a_period", 10 * period)):
        chain = Chain(spec, epoch=epoch)
        chain.state.current_sync_committee_indices = [SOLO] * int(spec.SYNC_COMMITTEE_SIZE)

        def check(before: Any, after: Any, is_end: bool = name == "end_of_a_period") -> bool:
            has_moved = after.current_sync_committee_indices == before.next_sync_committee_indices
            return bool(has_moved == is_end)

        yield stage(chain, "sync_committee_updates", name, check)

    # Groups with a key of another scheme are no candidates.
    mixed = Chain(spec, epoch=10 * period - 1)
    for group in mixed.state.groups:
        group.key_sets[0].keys[0] = spec.VirtualKey(scheme=spec.XMSS_SCHEME, pubkey=b"\x05" * 52)
    yield stage(
        mixed,
        "sync_committee_updates",
        "groups_with_another_scheme_are_no_candidates",
        lambda before, after: (
            all(signer < spec.VIRTUAL_INDEX_OFFSET for signer in after.next_sync_committee_indices)
            and not set(range(SOLO)) & set(int(signer) for signer in after.next_sync_committee_indices)
        ),
    )
    # Nobody is a candidate: everybody stands in under the registry index.
    nobody = Chain(spec, epoch=10 * period - 1)
    for index in range(SOLO, len(nobody.entries)):
        key_set = spec.KeySet(threshold=1, keys=[spec.VirtualKey(scheme=1, pubkey=bytes([index]) * 52)])
        nobody.state.groups.append(spec.Group(validator_index=index, key_sets=[key_set]))
        nobody.state.previous_group_participation.append(0)
        nobody.state.current_group_participation.append(0)
    for group in nobody.state.groups:
        group.key_sets[0].keys[0] = spec.VirtualKey(
            scheme=spec.XMSS_SCHEME, pubkey=bytes([int(group.validator_index)]) * 52
        )
    yield stage(
        nobody,
        "sync_committee_updates",
        "nobody_is_a_candidate",
        lambda before, after: all(signer < len(nobody.entries) for signer in after.next_sync_committee_indices),
    )
