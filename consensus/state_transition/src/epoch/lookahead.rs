//! Spec: fulu/beacon-chain.md#new-process_proposer_lookahead

use super::summary::EpochSummary;
use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{get_beacon_proposer_indices, get_current_epoch, get_seed};
use crate::helpers::misc::compute_proposer_indices_bounded;
use milhouse::Vector;
use types::constants::DOMAIN_BEACON_PROPOSER;
use types::{BeaconState, ChainSpec, Preset, ValidatorIndex};

/// Shifts out the proposers of the epoch that ends, appends those of the last epoch that is known now.
///
/// Spec: fulu/beacon-chain.md#new-process_proposer_lookahead
pub fn process_proposer_lookahead<P: Preset>(state: &mut BeaconState<P>, _spec: &ChainSpec) -> Result<(), EpochError> {
    let summary = EpochSummary::new(state)?;
    process_with(state, &summary)
}

pub(super) fn process_with<P: Preset>(state: &mut BeaconState<P>, summary: &EpochSummary) -> Result<(), EpochError> {
    let epoch = get_current_epoch(state)
        .safe_add(P::MIN_SEED_LOOKAHEAD)?
        .safe_add(1u64)?;
    let proposers = compute_proposer_indices_bounded::<P>(
        epoch,
        get_seed(state, epoch, DOMAIN_BEACON_PROPOSER)?,
        &summary.active_in_lookahead(),
        summary.max_effective_balance,
        |index| summary.effective_balance(index),
    )?;
    let shifted = state
        .proposer_lookahead()
        .iter()
        .skip(P::slots_per_epoch() as usize)
        .copied()
        .chain(proposers)
        .collect();
    *state.proposer_lookahead_mut() = Vector::new(shifted).map_err(StateError::from)?;
    Ok(())
}

/// The lookahead of a state that has none yet: the proposers of the current and the following epochs.
///
/// Spec: fulu/fork.md#new-initialize_proposer_lookahead
pub fn initialize_proposer_lookahead<P: Preset>(state: &BeaconState<P>) -> Result<Vec<ValidatorIndex>, StateError> {
    let current_epoch = get_current_epoch(state);
    let mut lookahead = Vec::new();
    for i in 0..=P::MIN_SEED_LOOKAHEAD {
        lookahead.extend(get_beacon_proposer_indices(state, current_epoch.safe_add(i)?)?);
    }
    Ok(lookahead)
}
