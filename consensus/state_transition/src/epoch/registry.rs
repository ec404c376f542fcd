//! Spec: electra/beacon-chain.md#modified-process_registry_updates

use super::summary::EpochSummary;
use crate::dvt::accessors::get_ejection_balance;
use crate::error::EpochError;
use crate::helpers::accessors::{get_validator, get_validator_mut};
use crate::helpers::misc::compute_activation_exit_epoch;
use crate::helpers::mutators::initiate_validator_exit;
use crate::helpers::predicates::{is_active_validator, is_eligible_for_activation, is_eligible_for_activation_queue};
use types::{BeaconState, ChainSpec, Preset, ValidatorIndex};

/// Spec: dvt/beacon-chain.md#modified-process_registry_updates
pub fn process_registry_updates<P: Preset>(state: &mut BeaconState<P>, spec: &ChainSpec) -> Result<(), EpochError> {
    let summary = EpochSummary::new(state)?;
    process_with(state, &summary, spec)
}

pub(super) fn process_with<P: Preset>(
    state: &mut BeaconState<P>,
    summary: &EpochSummary,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    let current_epoch = summary.current_epoch;
    let activation_epoch = compute_activation_exit_epoch::<P>(current_epoch)?;

    for index in candidates(state, summary, spec) {
        let validator = get_validator(state, index)?;
        if is_eligible_for_activation_queue::<P>(validator) {
            get_validator_mut(state, index)?.activation_eligibility_epoch = current_epoch.safe_add(1u64)?;
        } else if is_active_validator(validator, current_epoch)
            && validator.effective_balance <= get_ejection_balance(state, index, spec)?
        {
            initiate_validator_exit(state, index, spec)?;
        } else if is_eligible_for_activation(state, validator) {
            get_validator_mut(state, index)?.activation_epoch = activation_epoch;
        }
    }
    Ok(())
}

/// Those whom one of the three rules may concern, ascending: exits take the churn in this order.
fn candidates<P: Preset>(state: &BeaconState<P>, summary: &EpochSummary, spec: &ChainSpec) -> Vec<ValidatorIndex> {
    let mut candidates = summary.pending_activation.clone();
    candidates.extend(
        summary
            .low_balance
            .iter()
            .filter(|(_, effective_balance)| *effective_balance <= spec.ejection_balance)
            .map(|(index, _)| *index),
    );
    // [Dvt] A group's ejection balance grows with its keys.
    if let Some(groups) = state.groups() {
        candidates.extend(groups.iter().map(|group| group.validator_index));
    }
    // A hand-made configuration may eject at the activation balance or above it.
    if spec.ejection_balance >= P::MIN_ACTIVATION_BALANCE {
        candidates.extend((0..state.validators().len() as u64).map(ValidatorIndex::new));
    }
    candidates.sort_unstable();
    candidates.dedup();
    candidates
}
