//! Spec: altair/beacon-chain.md#inactivity-scores

use super::rewards::MIN_VALIDATORS;
use super::summary::{EpochSummary, rewrite};
use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{is_genesis_epoch, is_in_inactivity_leak};
use rayon::prelude::*;
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
    let changed = summary
        .inactivity_scores
        .par_iter_mut()
        .zip(&summary.statuses)
        .with_min_len(MIN_VALIDATORS)
        .map(|(score, status)| {
            if !status.is_eligible() {
                return Ok(0);
            }
            let mut new = if status.participated(TIMELY_TARGET_FLAG_INDEX) {
                score.saturating_sub(1)
            } else {
                score.safe_add(spec.inactivity_score_bias)?
            };
            if !is_leaking {
                new = new.saturating_sub(spec.inactivity_score_recovery_rate);
            }
            Ok::<_, StateError>(usize::from(std::mem::replace(score, new) != new))
        })
        .try_reduce(|| 0, |left, right| Ok(left.saturating_add(right)))?;
    // In most epochs nobody's score changes.
    if changed > 0 {
        rewrite(state.inactivity_scores_mut(), &summary.inactivity_scores, changed)?;
    }
    Ok(())
}
