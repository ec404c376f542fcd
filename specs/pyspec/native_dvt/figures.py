"""The numbers of `eip-draft.md`, out of the specification: `python -m native_dvt.figures [NAME]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import isqrt

from .spec import load

SPEC = load("mainnet")
BLS_KEY = SPEC.VirtualKey(scheme=SPEC.BLS_SCHEME, pubkey=b"\x01" * 48)
XMSS_KEY = SPEC.VirtualKey(scheme=SPEC.XMSS_SCHEME, pubkey=b"\x01" * 52)
#: Bytes of the greatest message, in the configuration of phase0's networking.
MAX_PAYLOAD_SIZE = 10 * 2**20


def header_bytes() -> int:
    """Bytes of a member's block signature by a BLS key."""
    return int(len(SPEC.SignedBeaconBlockHeader().encode_bytes()))


def solo_block_overhead() -> int:
    """Bytes by which an empty block without groups grows."""
    fulu = SPEC.fulu.SignedBeaconBlock().encode_bytes()
    return int(len(SPEC.SignedBeaconBlock().encode_bytes()) - len(fulu))


def attestation_overhead() -> int:
    """Bytes by which an aggregate grows, besides the bits of its seats."""
    return int(len(SPEC.Attestation().encode_bytes()) - len(SPEC.fulu.Attestation().encode_bytes()))


def state_bytes_of_a_group() -> int:
    """Bytes that a 5-of-7 group of BLS keys adds to the state, with the solo key set before it."""
    key_sets = [SPEC.KeySet(), SPEC.KeySet(threshold=5, keys=[BLS_KEY] * 7)]
    group = SPEC.Group(validator_index=0, sequence=1, key_sets=key_sets)
    state = SPEC.BeaconState()
    before = len(state.encode_bytes())
    state.groups.append(group)
    state.previous_group_participation.append(0)
    state.current_group_participation.append(0)
    return int(len(state.encode_bytes()) - before)


def body_fields() -> int:
    """Fields of a block body; 16 is where generalized indices would change."""
    return int(len(SPEC.BeaconBlockBody.fields()))


def state_fields() -> int:
    """Fields of the state; 64 is where generalized indices would change."""
    return int(len(SPEC.BeaconState.fields()))


def xmss_signature_bytes() -> int:
    """Bytes of a hash-based signature."""
    return int(SPEC.get_xmss_signature_length(SPEC.XMSSParameters()))


def xmss_opening_bytes() -> int:
    """Bytes of an opening."""
    return 32 * (1 + int(SPEC.XMSSParameters().log_lifetime))


def seats_per_proof() -> int:
    """Hash-based signatures that fit into one proof."""
    return int(SPEC.MAX_SCHEME_PROOF_BYTES) // xmss_signature_bytes()


def hash_based_votes_per_block() -> int:
    """Hash-based signatures that fit into a block without anything else."""
    return MAX_PAYLOAD_SIZE // xmss_signature_bytes()


def hash_based_votes_per_epoch() -> int:
    """The same in all blocks of an epoch."""
    return hash_based_votes_per_block() * int(SPEC.SLOTS_PER_EPOCH)


def randao_fee_gwei() -> int:
    """Gwei that a block of a group without its leader's reveal costs, at 36 million ETH."""
    total = 36 * 10**15
    per_increment = int(SPEC.EFFECTIVE_BALANCE_INCREMENT) * int(SPEC.BASE_REWARD_FACTOR) // isqrt(total)
    rewards = per_increment * (total // int(SPEC.EFFECTIVE_BALANCE_INCREMENT))
    slot = rewards * SPEC.PROPOSER_WEIGHT // SPEC.WEIGHT_DENOMINATOR // int(SPEC.SLOTS_PER_EPOCH)
    return int(SPEC.RANDAO_OMISSION_FEE_FACTOR) * int(slot)


def epochs_to_rotate_a_third() -> int:
    """Epochs in which a third of 36 million ETH, in the largest validators, can replace its keys."""
    in_a_block = int(SPEC.MAX_KEY_SET_CHANGES) * int(SPEC.MAX_EFFECTIVE_BALANCE_ELECTRA)
    third = 12 * 10**15
    return -(-third // (in_a_block * int(SPEC.SLOTS_PER_EPOCH)))


def weak_subjectivity_epochs() -> int:
    """Epochs of the weak subjectivity period of Electra at 36 million ETH, for a safety decay of 10 %."""
    total = 36 * 10**15
    churn = max(int(SPEC.config.MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA), total // int(SPEC.config.CHURN_LIMIT_QUOTIENT))
    churn -= churn % int(SPEC.EFFECTIVE_BALANCE_INCREMENT)
    return int(SPEC.config.MIN_VALIDATOR_WITHDRAWABILITY_DELAY) + 10 * total // (2 * churn * 100)


def split_loss_per_component() -> str:
    """Share of an attestation's reward that a 3-4 split over heads costs a 5-of-7 group: each component counts."""
    return f"{SPEC.TIMELY_HEAD_WEIGHT}/{sum(SPEC.PARTICIPATION_FLAG_WEIGHTS)}"


def split_loss_all_or_nothing() -> str:
    """The same if a vote counted as a whole: none of the two votes reaches the threshold."""
    weights = sum(SPEC.PARTICIPATION_FLAG_WEIGHTS)
    return f"{weights}/{weights}"


def equivocators_to_slash_5_of_7() -> int:
    """Equivocating members without which a 5-of-7 group cannot be slashed."""
    return 2 * 5 - 7


def equivocators_to_slash_4_of_7() -> int:
    """Equivocating members without which a 4-of-7 group cannot be slashed."""
    return 2 * 4 - 7


FIGURES: list[Callable[[], int | str]] = [
    header_bytes,
    solo_block_overhead,
    attestation_overhead,
    state_bytes_of_a_group,
    body_fields,
    state_fields,
    xmss_signature_bytes,
    xmss_opening_bytes,
    seats_per_proof,
    hash_based_votes_per_block,
    hash_based_votes_per_epoch,
    randao_fee_gwei,
    epochs_to_rotate_a_third,
    weak_subjectivity_epochs,
    split_loss_per_component,
    split_loss_all_or_nothing,
    equivocators_to_slash_5_of_7,
    equivocators_to_slash_4_of_7,
]


def main() -> None:
    names = sys.argv[1:]
    unknown = set(names) - {figure.__name__ for figure in FIGURES}
    if unknown:
        raise SystemExit(f"no figure is called {sorted(unknown)}")
    for figure in FIGURES:
        if not names or figure.__name__ in names:
            print(f"{figure.__name__}: {figure()}")


if __name__ == "__main__":
    main()
