//! `shuffling`: formats/shuffling.

use crate::case_dir::{CaseDir, CaseError};
use group::shuffling::{compute_shuffled_index, shuffle_list};
use serde::Deserialize;
use types::{Preset, Root};

#[derive(Deserialize)]
struct Mapping {
    seed: Root,
    count: u64,
    mapping: Vec<u64>,
}

pub(crate) fn run<P: Preset>(directory: &CaseDir) -> Result<(), CaseError> {
    let Mapping { seed, count, mapping } = directory.yaml("mapping.yaml")?;
    let rounds = P::SHUFFLE_ROUND_COUNT as u8;
    let singly: Vec<u64> = (0..count)
        .filter_map(|index| compute_shuffled_index(index, count, &seed.0, rounds))
        .collect();
    if singly != mapping {
        return Err(CaseError::wrong("compute_shuffled_index gives another mapping"));
    }
    let at_once = shuffle_list((0..count as u32).collect(), &seed.0, rounds);
    if !at_once.iter().map(|index| u64::from(*index)).eq(mapping) {
        return Err(CaseError::wrong("shuffle_list gives another mapping"));
    }
    Ok(())
}
