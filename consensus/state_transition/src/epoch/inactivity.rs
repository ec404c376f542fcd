//! Spec: altair/beacon-chain.md#inactivity-scores

use super::summary::{EpochSummary, rewrite};
use crate::error::EpochError;
use crate::helpers::accessors::{is_genesis_epoch, is_in_inactivity_leak};
use types::constants::TIMELY_TARGET_FLAG_INDEX;
use types::{BeaconState, ChainSpec, Preset, SafeArith};

/// Spec: altair/beacon-chain.md#new-process_inactivity_updates
pub fn process_inactivity_updates<P: Preset>(state: &mut BeaconState<P>, spec: &ChainSpec) -> Result<(), EpochError> {
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
    summary.read_inactivity_scores(state)?;
    let is_leaking = is_in_inactivity_leak(state)?;
    let mut before: Option<Vec<u64>> = None;
    for index in 0..summary.statuses.len() {
        let (Some(score), Some(status)) = (
            summary.inactivity_scores.get(index).copied(),
            summary.statuses.get(index),
        ) else {
            break;
        };
        if !status.is_eligible() {
            continue;
        }
        let mut new = if status.participated(TIMELY_TARGET_FLAG_INDEX) {
            score.saturating_sub(1)
        } else {
            score.safe_add(spec.inactivity_score_bias)?
        };
        if !is_leaking {
            new = new.saturating_sub(spec.inactivity_score_recovery_rate);
        }
        if new != score {
            // In most epochs nobody's score changes.
            before.get_or_insert_with(|| summary.inactivity_scores.clone());
            if let Some(score) = summary.inactivity_scores.get_mut(index) {
                *score = new;
            }
        }
    }
    if let Some(before) = before {
        rewrite(state.inactivity_scores_mut(), &before, &summary.inactivity_scores)?;
    }
    Ok(())
}
