"""Chains that start with groups."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .case import Case, source
from .chain import ETH, Chain, Entry, xmss_key_of

#: Two groups behind a solo validator and before others.
ENTRIES = (Entry(32), Entry(256, 3, 4), Entry(64, 1, 2), *(Entry(32) for _ in range(13)))


@source
def genesis_with_groups(spec: ModuleType) -> Iterator[Case]:
    fulu = spec.fulu
    like = Chain(spec, ENTRIES, epoch=0).state
    pre = fulu.BeaconState()
    for name in fulu.BeaconState.fields():
        setattr(pre, name, getattr(like, name))
    # A committee of Fulu knows registry keys only.
    committee = spec.SyncCommittee(pubkeys=[like.validators[0].pubkey] * int(spec.SYNC_COMMITTEE_SIZE))
    pre.current_sync_committee = pre.next_sync_committee = committee
    pre.fork = fulu.Fork(
        previous_version=spec.config.FULU_FORK_VERSION, current_version=spec.config.FULU_FORK_VERSION, epoch=0
    )
    first, second = [(group.validator_index, group.key_sets[0]) for group in like.groups]
    keys = list(first[1].keys)

    def case(name: str, state: Any, *groups: tuple[Any, Any], is_valid: bool = True) -> Case:
        def run(before: Any) -> Any:
            return spec.get_dvt_genesis_state(before, groups)

        def check(before: Any, after: Any) -> bool:
            version = spec.config.DVT_FORK_VERSION
            # A group with as little as the second may not be drawn, and one with a hash-based key never is.
            drawn = {
                spec.get_virtual_index(index, 0)
                for index, key_set in groups[:1]
                if all(key.scheme == spec.BLS_SCHEME for key in key_set.keys)
            }
            return bool(
                [group.validator_index for group in after.groups] == [index for index, _ in groups]
                and after.fork == spec.Fork(previous_version=version, current_version=version, epoch=0)
                and drawn <= set(after.current_sync_committee_indices)
                and len(after.previous_group_participation) == len(groups)
            )

        inputs = {"pre": state, **{f"key_set_{place}": key_set for place, (_, key_set) in enumerate(groups)}}
        data = {"groups": {"validators": [int(index) for index, _ in groups]}}
        return Case(
            "genesis",
            "groups",
            f"{'' if is_valid else 'invalid_'}{name}",
            inputs,
            run,
            is_valid,
            data=data,
            check=check,
        )

    def changed(**values: Any) -> tuple[Any, Any]:
        key_set = first[1].copy()
        for name, value in values.items():
            setattr(key_set, name, value)
        return first[0], key_set

    yield case("two_groups", pre, first, second)
    yield case("nobody_is_a_group", pre)
    yield case("greatest_threshold", pre, changed(threshold=4), second)
    yield case("one_key", pre, changed(keys=keys[:1], threshold=1))
    own = spec.VirtualKey(scheme=0, pubkey=bytes(pre.validators[first[0]].pubkey))
    yield case("own_registry_key_as_member", pre, changed(keys=[*keys[:3], own]))
    foreign = spec.VirtualKey(scheme=0, pubkey=bytes(pre.validators[0].pubkey))
    for name, groups in {
        "groups_in_another_order": (second, first),
        "validator_twice": (first, changed(keys=list(second[1].keys), threshold=1)),
        "key_set_that_is_not_in_force": (changed(activation_epoch=1), second),
        "threshold_0": (changed(threshold=0),),
        "threshold_above_the_number_of_keys": (changed(threshold=5),),
        "no_keys": (changed(keys=[], threshold=0),),
        "key_twice": (changed(keys=[*keys[:3], keys[0]]),),
        "key_that_is_none": (changed(keys=[*keys[:3], spec.VirtualKey(scheme=0, pubkey=b"\x01" * 48)]),),
        "key_of_another_group": (changed(keys=[*keys[:3], second[1].keys[0]]), second),
        "registry_key_of_another_validator": (changed(keys=[*keys[:3], foreign]),),
    }.items():
        yield case(name, pre, *groups, is_valid=False)
    # Nobody has to prove possession at genesis, so that the form of hash-based keys is all that is asked.
    scheme = int(spec.XMSS_SCHEME)
    pubkey = xmss_key_of(spec, scheme, 7, 0).pubkey
    prime = int(spec.KOALABEAR_PRIME).to_bytes(4, "little")
    for name, key_bytes, is_valid in (
        ("hash_based_key", pubkey, True),
        ("hash_based_key_too_short", pubkey[:-4], False),
        ("hash_based_key_too_long", pubkey + bytes(4), False),
        ("hash_based_key_beyond_the_field", prime + pubkey[4:], False),
        (
            "hash_based_key_at_the_end_of_the_field",
            (int.from_bytes(prime, "little") - 1).to_bytes(4, "little") + pubkey[4:],
            True,
        ),
        ("hash_based_key_of_another_length_and_beyond_the_field", prime + pubkey, False),
    ):
        member = spec.VirtualKey(scheme=scheme, pubkey=key_bytes)
        yield case(name, pre, changed(keys=[*keys[:3], member]), is_valid=is_valid)
    # Balance and credentials, from two keys on.
    for name, size, balance, prefix, is_valid in (
        ("as_much_as_four_keys_need", 4, 128, b"\x02", True),
        ("not_as_much_as_four_keys_need", 4, 127, b"\x02", False),
        ("as_much_as_two_keys_need", 2, 64, b"\x02", True),
        ("not_as_much_as_two_keys_need", 2, 63, b"\x02", False),
        ("two_keys_without_compounding_credentials", 2, 128, b"\x01", False),
        ("one_key_with_little_and_no_compounding_credentials", 1, 31, b"\x01", True),
    ):
        state = pre.copy()
        validator = state.validators[first[0]]
        validator.effective_balance = balance * ETH
        validator.withdrawal_credentials = prefix + bytes(validator.withdrawal_credentials)[1:]
        yield case(name, state, changed(keys=keys[:size], threshold=1), is_valid=is_valid)
