//! `rewards`: formats/rewards.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{chain_spec, wrong};
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
    let found = get_attestation_deltas(&state, &spec).map_err(wrong)?;
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
