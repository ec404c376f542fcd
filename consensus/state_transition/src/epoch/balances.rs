//! Spec: electra/beacon-chain.md#modified-process_effective_balance_updates

use super::summary::EpochSummary;
use crate::error::EpochError;
use crate::helpers::accessors::get_validator_mut;
use types::{BeaconState, ChainSpec, Gwei, Preset, SafeArith, ValidatorIndex};

/// Effective balances follow balances, with hysteresis.
///
/// Spec: electra/beacon-chain.md#modified-process_effective_balance_updates
pub fn process_effective_balance_updates<P: Preset>(
    state: &mut BeaconState<P>,
    _spec: &ChainSpec,
) -> Result<(), EpochError> {
    let mut summary = EpochSummary::new(state)?;
    summary.read_balances(state)?;
    process_with(state, &mut summary)
}

/// Needs all balances in the summary. Leaves the total active balance of the next epoch in the cache: after this stage
/// nothing of this epoch asks for it.
pub(super) fn process_with<P: Preset>(
    state: &mut BeaconState<P>,
    summary: &mut EpochSummary,
) -> Result<(), EpochError> {
    let increment = P::EFFECTIVE_BALANCE_INCREMENT;
    let hysteresis_increment = increment.safe_div(P::HYSTERESIS_QUOTIENT)?;
    let downward_threshold = hysteresis_increment.safe_mul(P::HYSTERESIS_DOWNWARD_MULTIPLIER)?;
    let upward_threshold = hysteresis_increment.safe_mul(P::HYSTERESIS_UPWARD_MULTIPLIER)?;

    let mut next_total_active_balance: Gwei = 0;
    let rows = summary
        .effective_balances
        .iter_mut()
        .zip(&summary.balances)
        .zip(&summary.statuses);
    for (index, ((effective_balance, balance), status)) in (0u64..).zip(rows) {
        if balance.saturating_add(downward_threshold) < *effective_balance
            || effective_balance.saturating_add(upward_threshold) < *balance
        {
            let max_effective_balance = if status.is_compounding() {
                P::MAX_EFFECTIVE_BALANCE_ELECTRA
            } else {
                P::MIN_ACTIVATION_BALANCE
            };
            let new = balance
                .safe_sub(balance.safe_rem(increment)?)?
                .min(max_effective_balance);
            if new != *effective_balance {
                *effective_balance = new;
                get_validator_mut(state, ValidatorIndex::new(index))?.effective_balance = new;
                summary.max_effective_balance = summary.max_effective_balance.max(new);
            }
        }
        if status.is_active_next() {
            next_total_active_balance.safe_add_assign(*effective_balance)?;
        }
    }
    let next_epoch = summary.current_epoch.safe_add(1u64)?;
    state
        .caches_mut()
        .replace_total_active_balance(Some((next_epoch, next_total_active_balance.max(increment))));
    Ok(())
}
