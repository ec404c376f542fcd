//! One file for each runner.

mod bls_vectors;
mod epoch_processing;
mod fork_choice_steps;
mod merkle_proof;
mod networking;
mod operations;
mod rewards;
mod sanity;
mod shuffling;
mod ssz_static;
mod transition;

use crate::case_dir::{CaseDir, CaseError};
use crate::discover::CaseId;
use types::{BeaconState, ChainSpec, Epoch, ForkName, Mainnet, Minimal, Preset};

/// Cases of other forks than ours are listed and not run; shuffling and general BLS are the same on all forks.
pub(crate) fn is_applicable(case: &CaseId) -> bool {
    match (case.preset.as_str(), case.fork.as_str(), case.runner.as_str()) {
        (_, "fulu" | "dvt", _) | (_, "phase0", "shuffling") | ("general", "altair", "bls") => true,
        (_, _, _) => false,
    }
}

pub(crate) fn run(case: &CaseId, directory: &CaseDir) -> Result<(), CaseError> {
    match case.preset.as_str() {
        "minimal" => run_with::<Minimal>(case, directory),
        // What is general does not depend on the preset.
        "mainnet" | "general" => run_with::<Mainnet>(case, directory),
        other => Err(CaseError::Unknown(format!("preset {other}"))),
    }
}

fn run_with<P: Preset>(case: &CaseId, directory: &CaseDir) -> Result<(), CaseError> {
    let fork = case.fork.parse::<ForkName>().unwrap_or(ForkName::Fulu);
    match case.runner.as_str() {
        "bls" => bls_vectors::run(&case.handler, directory),
        "shuffling" => shuffling::run::<P>(directory),
        "ssz_static" => ssz_static::run::<P>(&case.handler, fork, directory),
        "operations" => operations::run::<P>(&case.handler, fork, directory),
        "epoch_processing" => epoch_processing::run::<P>(&case.handler, fork, directory),
        "rewards" => rewards::run::<P>(fork, directory),
        "sanity" if case.handler == "slots" => sanity::run_slots::<P>(fork, directory),
        "sanity" | "random" | "finality" => sanity::run_blocks::<P>(fork, directory),
        "fork" => transition::run_fork::<P>(fork, directory),
        "transition" => transition::run_transition::<P>(fork, directory),
        "fork_choice" | "sync" => fork_choice_steps::run::<P>(fork, directory),
        "light_client" | "merkle_proof" if case.handler == "single_merkle_proof" => {
            merkle_proof::run::<P>(&case.suite, fork, directory)
        }
        "networking" => networking::run::<P>(&case.handler, directory),
        runner => Err(CaseError::Unknown(format!("{runner}/{}", case.handler))),
    }
}

/// The configuration that vectors of a preset and fork are made with: all forks up to this one at genesis.
pub(crate) fn chain_spec<P: Preset>(fork: ForkName) -> ChainSpec {
    let mut spec = ChainSpec::of_preset(P::NAME);
    spec.electra_fork_epoch = Epoch::new(0);
    spec.fulu_fork_epoch = Epoch::new(0);
    spec.blob_schedule.clear();
    if fork == ForkName::Dvt {
        spec.dvt_fork_epoch = Epoch::new(0);
    }
    spec
}

/// Applies a change to a state twice, once with all caches filled and once with empty ones, and compares the result
/// with `post`; without `post`, both must fail.
pub(crate) fn check_change<P: Preset, E: std::fmt::Display>(
    pre: &BeaconState<P>,
    post: Option<BeaconState<P>>,
    mut change: impl FnMut(&mut BeaconState<P>) -> Result<(), E>,
) -> Result<(), CaseError> {
    let expected = post.map(|mut post| post.canonical_root()).transpose().map_err(wrong)?;
    let mut warm = pre.clone();
    fill_caches(&warm);
    let mut cold = pre.clone();
    cold.caches_mut().clear();
    for (state, caches) in [(&mut warm, "warm"), (&mut cold, "empty")] {
        match (change(state), expected) {
            (Ok(()), Some(expected)) => {
                let found = state.canonical_root().map_err(wrong)?;
                if found != expected {
                    return Err(CaseError::wrong(format!(
                        "with {caches} caches: post-state is {found}, expected {expected}"
                    )));
                }
            }
            (Err(_), None) => {}
            (Ok(()), None) => {
                return Err(CaseError::wrong(format!(
                    "with {caches} caches: accepted, expected rejection"
                )));
            }
            (Err(error), Some(_)) => return Err(CaseError::wrong(format!("with {caches} caches: {error}"))),
        }
    }
    Ok(())
}

/// Asks for everything that is cached.
fn fill_caches<P: Preset>(state: &BeaconState<P>) {
    use state_transition::helpers::accessors::{
        get_committee_count_per_slot, get_total_active_balance, get_validator_index,
    };
    let epoch = state.current_epoch();
    // A state that cannot answer says so again when it is used.
    for epoch in [epoch.saturating_sub(1u64), epoch, epoch.saturating_add(1u64)] {
        let _ = get_committee_count_per_slot(state, epoch);
    }
    let _ = get_total_active_balance(state, &ChainSpec::of_preset(P::NAME));
    if let Some(validator) = state.validators().get(0) {
        let _ = get_validator_index(state, &validator.pubkey);
    }
}

pub(crate) fn wrong(error: impl std::fmt::Debug) -> CaseError {
    CaseError::wrong(format!("{error:?}"))
}
