//! The total active balance of the current epoch.

use super::registry::{clamp, is_active, registry_rows};
use crate::error::StateError;
use crate::helpers::accessors::get_current_epoch;
use types::{BeaconState, Gwei, Preset, SafeArith};

/// Sum of the effective balances of the active validators, at least one increment.
///
/// Constant within an epoch: only `process_effective_balance_updates` changes effective balances, and it leaves the
/// value of the next epoch here.
pub(crate) fn total_active_balance<P: Preset>(state: &BeaconState<P>) -> Result<Gwei, StateError> {
    let epoch = get_current_epoch(state);
    if let Some(total) = state.caches().total_active_balance(epoch) {
        return Ok(total);
    }
    let mut total: Gwei = 0;
    let active_in = clamp(epoch);
    for row in registry_rows(state)?.iter().flat_map(|chunk| chunk.rows.iter()) {
        if is_active(row, active_in) {
            total.safe_add_assign(row.effective_balance)?;
        }
    }
    let total = total.max(P::EFFECTIVE_BALANCE_INCREMENT);
    state.caches().remember_total_active_balance(epoch, total);
    Ok(total)
}
