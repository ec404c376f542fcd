//! The swap-or-not shuffle.

use ethereum_hashing::hash;

/// Where `index` of `count` goes. `None` if `index` is out of range.
///
/// Spec: phase0/beacon-chain.md#compute_shuffled_index
pub fn compute_shuffled_index(index: u64, count: u64, seed: &[u8; 32], shuffle_round_count: u8) -> Option<u64> {
    if index >= count {
        return None;
    }
    let mut index = index;
    for round in 0..shuffle_round_count {
        let pivot = pivot(seed, round).checked_rem(count)?;
        let flip = pivot.checked_add(count)?.checked_sub(index)?.checked_rem(count)?;
        let position = index.max(flip);
        let source = source(seed, round, position >> 8);
        let byte = source.get(((position & 0xff) >> 3) as usize)?;
        if (byte >> (position & 7)) & 1 == 1 {
            index = flip;
        }
    }
    Some(index)
}

fn pivot(seed: &[u8; 32], round: u8) -> u64 {
    let mut input = [0u8; 33];
    for (to, from) in input.iter_mut().zip(seed.iter().chain([&round])) {
        *to = *from;
    }
    let digest = hash(&input);
    u64::from_le_bytes(
        digest
            .get(..8)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default(),
    )
}

fn source(seed: &[u8; 32], round: u8, block: u64) -> Vec<u8> {
    let mut input = [0u8; 37];
    let block = (block as u32).to_le_bytes();
    for (to, from) in input.iter_mut().zip(seed.iter().chain([&round]).chain(&block)) {
        *to = *from;
    }
    hash(&input)
}

/// Shuffles a whole list: `output[i] = list[compute_shuffled_index(i)]`, as committees are cut.
///
/// Instead of following one index through all rounds, each round swaps all pairs at once, so that a hash serves 256
/// positions. Reading `output[i] = list[shuffled(i)]` needs the rounds in descending order.
///
/// Spec: phase0/beacon-chain.md#compute_committee
pub fn shuffle_list(mut list: Vec<u32>, seed: &[u8; 32], shuffle_round_count: u8) -> Vec<u32> {
    let count = list.len();
    if count <= 1 {
        return list;
    }
    for round in (0..shuffle_round_count).rev() {
        let pivot = pivot(seed, round).checked_rem(count as u64).unwrap_or_default() as usize;
        // Pairs (i, flip) mirror around pivot / 2 in the first part, and around (pivot + count) / 2 in the second.
        swap_mirrored(&mut list, seed, round, 0, pivot);
        swap_mirrored(&mut list, seed, round, pivot.saturating_add(1), count.saturating_sub(1));
    }
    list
}

/// Swaps the pairs that mirror each other in `first..=last` where the round's bit of the higher position says so.
fn swap_mirrored(list: &mut [u32], seed: &[u8; 32], round: u8, first: usize, last: usize) {
    let mut low = first;
    let mut high = last;
    let mut block = usize::MAX;
    let mut digest = Vec::new();
    while low < high {
        if high >> 8 != block {
            block = high >> 8;
            digest = source(seed, round, block as u64);
        }
        let byte = digest.get((high & 0xff) >> 3).copied().unwrap_or_default();
        if (byte >> (high & 7)) & 1 == 1 {
            list.swap(low, high);
        }
        low = low.saturating_add(1);
        high = high.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn list_and_single_shuffle_agree(seed: [u8; 32], count in 0u32..700, rounds in prop::sample::select(vec![10u8, 90])) {
            let shuffled = shuffle_list((0..count).collect(), &seed, rounds);
            let singly: Vec<u32> = (0..u64::from(count))
                .map(|index| compute_shuffled_index(index, u64::from(count), &seed, rounds).unwrap() as u32)
                .collect();
            prop_assert_eq!(shuffled, singly);
        }
    }

    #[test]
    fn an_index_out_of_range_has_no_place() {
        assert_eq!(compute_shuffled_index(3, 3, &[0; 32], 90), None);
        assert_eq!(compute_shuffled_index(0, 0, &[0; 32], 90), None);
    }
}
