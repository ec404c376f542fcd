//! `rewards`: formats/rewards.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{Caches, chain_spec, with_caches, wrong};
use ssz_derive::Decode;
use state_transition::epoch::get_attestation_deltas;
use types::{BeaconState, ForkName, Gwei, Preset};

#[derive(Decode)]
struct Deltas {
    rewards: Vec<Gwei>,
    penalties: Vec<Gwei>,
}

pub(crate) fn run<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let _ = directory.meta()?;
    let state: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    let found = get_attestation_deltas(&with_caches(&state, Caches::Warm).map_err(wrong)?, &spec).map_err(wrong)?;
    let found_again =
        get_attestation_deltas(&with_caches(&state, Caches::Empty).map_err(wrong)?, &spec).map_err(wrong)?;
    if found != found_again {
        return Err(CaseError::wrong("other deltas with empty caches than with warm ones"));
    }
    for (name, found) in [
        ("source_deltas", found.source),
        ("target_deltas", found.target),
        ("head_deltas", found.head),
        ("inactivity_penalty_deltas", found.inactivity),
    ] {
        let expected: Deltas = directory.ssz(name)?;
        if !found.iter().map(|delta| delta.reward).eq(expected.rewards) {
            return Err(CaseError::wrong(format!("{name}: other rewards")));
        }
        if !found.iter().map(|delta| delta.penalty).eq(expected.penalties) {
            return Err(CaseError::wrong(format!("{name}: other penalties")));
        }
    }
    Ok(())
}
