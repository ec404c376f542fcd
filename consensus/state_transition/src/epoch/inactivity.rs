//! Spec: altair/beacon-chain.md#inactivity-scores

use super::summary::{EpochSummary, rewrite};
use crate::error::EpochError;
use crate::helpers::accessors::{is_genesis_epoch, is_in_inactivity_leak};
use types::constants::TIMELY_TARGET_FLAG_INDEX;
use types::{BeaconState, ChainSpec, Preset, SafeArith};

/// Spec: altair/beacon-chain.md#new-process_inactivity_updates
pub fn process_inactivity_updates<P: Preset>(
    state: &mut BeaconState<P>,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    let mut summary = EpochSummary::new(state)?;
    process_with(state, &mut summary, spec)
}

pub(super) fn process_with<P: Preset>(
    state: &mut BeaconState<P>,
    summary: &mut EpochSummary,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    // Participation of the previous epoch decides, and the genesis epoch has none.
    if is_genesis_epoch(summary.current_epoch) {
        return Ok(());
    }
    summary.read_inactivity_scores(state);
    let is_leaking = is_in_inactivity_leak(state)?;
    let mut any_changed = false;
    for (score, status) in summary.inactivity_scores.iter_mut().zip(&summary.statuses) {
        if !status.is_eligible() {
            continue;
        }
        let old = *score;
        let mut new = if status.participated(TIMELY_TARGET_FLAG_INDEX) {
            old.saturating_sub(1)
        } else {
            old.safe_add(spec.inactivity_score_bias)?
        };
        if !is_leaking {
            new = new.saturating_sub(spec.inactivity_score_recovery_rate);
        }
        if new != old {
            *score = new;
            any_changed = true;
        }
    }
    if any_changed {
        rewrite(state.inactivity_scores_mut(), &summary.inactivity_scores)?;
    }
    Ok(())
}
