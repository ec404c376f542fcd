//! One file for each runner.

mod bls_vectors;
mod config;
mod epoch_processing;
mod fork_choice_steps;
mod kzg;
mod merkle_proof;
mod networking;
mod operations;
mod questions;
mod rewards;
mod sanity;
mod shuffling;
mod signatures;
mod ssz_static;
mod transition;
mod validator;

use crate::case_dir::{CaseDir, CaseError};
use crate::discover::{CaseId, PRESETS};
use state_transition::caches::committees::get_committees;
use state_transition::caches::registry::registry_rows;
use state_transition::dvt::accessors::get_group;
use state_transition::helpers::accessors::{get_total_active_balance, get_validator_index};
use types::constants::GENESIS_EPOCH;
use types::{BeaconState, ChainSpec, ForkName, Mainnet, Minimal, Preset, ValidatorIndex};

/// Why a case is listed and not run, if it is not: only what needs a fork or a preset that this project does not have.
/// Shuffling and general BLS are filed under old forks and are the same on all.
pub(crate) fn not_applicable(case: &CaseId) -> Option<&'static str> {
    if !PRESETS.contains(&case.preset.as_str()) {
        return Some("this project has no such preset");
    }
    match (case.preset.as_str(), case.fork.as_str(), case.runner.as_str()) {
        (_, "phase0", "shuffling") | ("general", "altair", "bls") => None,
        (_, "fulu", "fork" | "transition") => Some("starts in the fork before Fulu, which this project does not have"),
        (_, "fulu" | "dvt", _) => None,
        (_, _, _) => Some("this project has no such fork"),
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
    match (case.runner.as_str(), case.handler.as_str()) {
        ("bls", handler) => bls_vectors::run(handler, directory),
        ("kzg", handler) => kzg::run(handler, directory),
        ("shuffling", "core") => shuffling::run::<P>(directory),
        ("shuffling", "leader_ranks") => shuffling::run_leader_ranks::<P>(fork, directory),
        ("signatures", handler) => signatures::run(handler, directory),
        ("ssz_static", type_name) => ssz_static::run::<P>(type_name, fork, directory),
        ("operations", handler) => operations::run::<P>(handler, fork, directory),
        ("epoch_processing", handler) => epoch_processing::run::<P>(handler, fork, directory),
        ("rewards", "basic" | "inactivity_scores" | "leak" | "random") => rewards::run::<P>(fork, directory),
        ("sanity", "slots") => sanity::run_slots::<P>(fork, directory),
        ("sanity", "blocks") | ("random", "random") | ("finality", "finality") => {
            sanity::run_blocks::<P>(fork, directory)
        }
        ("fork", "fork") => transition::run_fork::<P>(fork, directory),
        ("genesis", "groups") => transition::run_genesis::<P>(fork, directory),
        ("transition", "core") => transition::run_transition::<P>(fork, directory),
        // The handlers only say what the steps are about.
        ("fork_choice", _) | ("sync", "optimistic") => fork_choice_steps::run::<P>(fork, directory),
        ("light_client" | "merkle_proof", "single_merkle_proof") => {
            merkle_proof::run::<P>(&case.suite, fork, directory)
        }
        ("networking", handler) => networking::run::<P>(handler, fork, directory),
        ("validator", handler) => validator::run::<P>(handler, fork, directory),
        ("config", "constants") => config::run_constants::<P>(directory),
        (runner, handler) => Err(CaseError::Unknown(format!("{runner}/{handler}"))),
    }
}

/// The configuration that vectors of a preset and fork are made with: all forks up to this one at genesis.
pub(crate) fn chain_spec<P: Preset>(fork: ForkName) -> ChainSpec {
    let mut spec = ChainSpec::fulu_genesis(P::NAME);
    if fork == ForkName::Dvt {
        spec.dvt_fork_epoch = GENESIS_EPOCH;
    }
    spec
}

/// Applies a change to a state with all caches filled, again with caches that it shares with the first result as
/// branches of a chain do, and with empty ones, and compares the results with `post`; without `post`, all must fail.
pub(crate) fn check_change<P: Preset, E: std::fmt::Display>(
    pre: &BeaconState<P>,
    post: Option<BeaconState<P>>,
    mut change: impl FnMut(&mut BeaconState<P>) -> Result<(), E>,
) -> Result<(), CaseError> {
    let expected = post.map(|mut post| post.canonical_root()).transpose().map_err(wrong)?;
    let warm = with_caches(pre, Caches::Warm).map_err(wrong)?;
    let empty = with_caches(pre, Caches::Empty).map_err(wrong)?;
    for (mut state, caches) in [(warm.clone(), "warm"), (warm, "shared"), (empty, "empty")] {
        let outcome = change(&mut state);
        match (outcome, expected) {
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

/// What a state has cached.
#[derive(Clone, Copy)]
pub(crate) enum Caches {
    /// Everything.
    Warm,
    /// Nothing.
    Empty,
}

/// A clone of a state with all caches filled, or all empty.
pub(crate) fn with_caches<P: Preset>(
    state: &BeaconState<P>,
    caches: Caches,
) -> Result<BeaconState<P>, milhouse::Error> {
    let mut state = state.clone();
    state.caches_mut().clear();
    if matches!(caches, Caches::Warm) {
        // Fills the roots of all tree nodes.
        state.canonical_root()?;
        fill_caches(&state);
    }
    Ok(state)
}

/// Asks for everything that is cached. A state that cannot answer says so again when it is used.
fn fill_caches<P: Preset>(state: &BeaconState<P>) {
    let epoch = state.current_epoch();
    for epoch in [epoch.saturating_sub(1u64), epoch, epoch.saturating_add(1u64)] {
        let _ = get_committees(state, epoch);
    }
    let _ = get_total_active_balance(state, &ChainSpec::of_preset(P::NAME));
    let _ = registry_rows(state);
    let _ = get_group(state, ValidatorIndex::new(0));
    if let Some(validator) = state.validators().get(0) {
        let _ = get_validator_index(state, &validator.pubkey);
    }
}

pub(crate) fn wrong(error: impl std::fmt::Debug) -> CaseError {
    CaseError::wrong(format!("{error:?}"))
}
