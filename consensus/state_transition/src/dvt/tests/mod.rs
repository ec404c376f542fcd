//! The rules for groups, each at its boundaries: one below the threshold, at it, with all keys, and beyond them.

mod attestations;
mod blocks;
mod key_set_changes;
mod signers;
mod slashings;
mod stake;
mod sync_committees;

use types::{BeaconState, KeySet, Minimal, ValidatorIndex};

/// Sizes and thresholds whose boundaries are tested: the smallest, usual ones, a minority threshold and the largest.
const SHAPES: [(usize, u8); 7] = [(1, 1), (2, 1), (4, 3), (7, 5), (7, 3), (16, 11), (16, 16)];

const GROUP: ValidatorIndex = ValidatorIndex::new(0);

/// Edits the stored key sets of the first group.
fn edit_key_sets(state: &mut BeaconState<Minimal>, edit: impl FnOnce(&mut Vec<KeySet>)) {
    let BeaconState::Dvt(inner) = state else {
        panic!("groups are of the dvt fork")
    };
    let group = inner.groups.get_mut(0).unwrap();
    let mut key_sets = group.key_sets.to_vec();
    edit(&mut key_sets);
    group.key_sets = key_sets.try_into().unwrap();
    state.caches_mut().clear();
}
