//! `shuffling`: formats/shuffling; and who leads a group.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::wrong;
use group::shuffling::{compute_shuffled_index, shuffle_list};
use serde::Deserialize;
use state_transition::dvt::leaders::get_leader_rank;
use std::collections::BTreeMap;
use types::constants::MAX_GROUP_SIZE;
use types::{BeaconState, ForkName, Preset, Root, Slot, ValidatorIndex};

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

#[derive(Deserialize)]
struct Leaders {
    slot: Slot,
    proposer_index: ValidatorIndex,
    /// Keys by rank.
    keys: Vec<u8>,
}

pub(crate) fn run_leader_ranks<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let state: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    let leaders: Vec<Leaders> = directory.yaml("leaders.yaml")?;
    for Leaders {
        slot,
        proposer_index,
        keys,
    } in leaders
    {
        let mut by_rank = BTreeMap::new();
        for key in 0..MAX_GROUP_SIZE as u8 {
            if let Some(rank) = get_leader_rank(&state, proposer_index, slot, key).map_err(wrong)? {
                by_rank.insert(rank, key);
            }
        }
        let found: Vec<u8> = by_rank.into_values().collect();
        if found != keys {
            return Err(CaseError::wrong(format!(
                "leaders of {proposer_index} in slot {slot} are {found:?}, expected {keys:?}"
            )));
        }
    }
    Ok(())
}
