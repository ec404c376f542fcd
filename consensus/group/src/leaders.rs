//! Who may build a group's block.

use crate::shuffling::compute_shuffled_index;
use ethereum_hashing::hash;
use types::constants::MAX_LEADER_RANKS;
use types::{Root, Slot, ValidatorIndex};

/// How many ranks of leaders a key set has: with `threshold <= keys / 2` two blocks could both reach the threshold,
/// so only rank 0 leads.
///
/// Spec: dvt/p2p-interface.md#leader-ranks
pub fn leader_rank_count(keys: u8, threshold: u8) -> u8 {
    if u16::from(threshold).saturating_mul(2) <= u16::from(keys) {
        keys.min(1)
    } else {
        keys.min(MAX_LEADER_RANKS as u8)
    }
}

/// Place of the key that leads with `rank`: `compute_shuffled_index(rank, n, hash(seed + slot + proposer_index))`,
/// where `seed` is `get_seed(state, epoch, DOMAIN_BEACON_PROPOSER)`. `None` if the key set has no such rank.
///
/// Spec: dvt/beacon-chain.md#get_leader_key_index
pub fn get_leader_key_index(
    seed: Root,
    slot: Slot,
    proposer_index: ValidatorIndex,
    keys: u8,
    rank: u8,
    shuffle_round_count: u8,
) -> Option<u8> {
    let mut input = seed.to_vec();
    input.extend_from_slice(&slot.as_u64().to_le_bytes());
    input.extend_from_slice(&proposer_index.as_u64().to_le_bytes());
    let seed: [u8; 32] = hash(&input).try_into().ok()?;
    compute_shuffled_index(u64::from(rank), u64::from(keys), &seed, shuffle_round_count)
        .and_then(|index| u8::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_key_leads_exactly_one_rank(seed: [u8; 32], slot: u64, proposer: u64, keys in 1u8..=16) {
            let mut led: Vec<u8> = (0..keys)
                .map(|rank| {
                    let (slot, proposer) = (Slot::new(slot), ValidatorIndex::new(proposer));
                    get_leader_key_index(Root::new(seed), slot, proposer, keys, rank, 10).unwrap()
                })
                .collect();
            led.sort();
            prop_assert_eq!(led, (0..keys).collect::<Vec<_>>());
            prop_assert_eq!(
                get_leader_key_index(Root::new(seed), Slot::new(slot), ValidatorIndex::new(proposer), keys, keys, 10),
                None
            );
        }
    }

    #[test]
    fn small_thresholds_have_only_one_leader() {
        assert_eq!([leader_rank_count(4, 2), leader_rank_count(4, 3)], [1, 3]);
        assert_eq!(
            [
                leader_rank_count(2, 2),
                leader_rank_count(1, 1),
                leader_rank_count(7, 3)
            ],
            [2, 1, 1]
        );
    }
}
