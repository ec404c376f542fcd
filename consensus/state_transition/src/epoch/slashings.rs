//! Spec: electra/beacon-chain.md#modified-process_slashings

use super::summary::EpochSummary;
use crate::error::EpochError;
use types::{BeaconState, ChainSpec, Gwei, Preset, SafeArith};

/// The correlation penalty of those who are halfway to withdrawability.
///
/// Spec: electra/beacon-chain.md#modified-process_slashings
pub fn process_slashings<P: Preset>(state: &mut BeaconState<P>, _spec: &ChainSpec) -> Result<(), EpochError> {
    let mut summary = EpochSummary::new(state)?;
    process_with(state, &mut summary)?;
    Ok(summary.write_balances(state)?)
}

pub(super) fn process_with<P: Preset>(state: &BeaconState<P>, summary: &mut EpochSummary) -> Result<(), EpochError> {
    if summary.correlation_penalty.is_empty() {
        return Ok(());
    }
    let total_balance = summary.total_active_balance;
    let mut total_slashings: Gwei = 0;
    for slashed in state.slashings() {
        total_slashings.safe_add_assign(*slashed)?;
    }
    let adjusted_total_slashing_balance = total_slashings
        .safe_mul(P::PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX)?
        .min(total_balance);
    let increment = P::EFFECTIVE_BALANCE_INCREMENT;
    let penalty_per_effective_balance_increment =
        adjusted_total_slashing_balance.safe_div(total_balance.safe_div(increment)?)?;

    summary.read_balances(state)?;
    for index in &summary.correlation_penalty {
        let (Some(balance), Some(effective_balance)) = (
            summary.balances.get_mut(index.as_usize()),
            summary.effective_balances.get(index.as_usize()),
        ) else {
            continue;
        };
        let penalty = effective_balance
            .safe_div(increment)?
            .safe_mul(penalty_per_effective_balance_increment)?;
        *balance = balance.saturating_sub(penalty);
    }
    summary.count_changed_balances(summary.correlation_penalty.len());
    Ok(())
}
