//! Spec: electra/beacon-chain.md#new-process_pending_consolidations

use crate::error::EpochError;
use crate::helpers::accessors::{get_balance, get_current_epoch, get_validator};
use crate::helpers::mutators::{decrease_balance, increase_balance};
use types::{BeaconState, ChainSpec, Preset, SafeArith, ValidatorIndex};

/// Spec: electra/beacon-chain.md#new-process_pending_consolidations
pub fn process_pending_consolidations<P: Preset>(
    state: &mut BeaconState<P>,
    _spec: &ChainSpec,
) -> Result<(), EpochError> {
    process_with(state, &mut Vec::new())
}

/// Notes in `touched` whose balances it changes.
pub(super) fn process_with<P: Preset>(
    state: &mut BeaconState<P>,
    touched: &mut Vec<ValidatorIndex>,
) -> Result<(), EpochError> {
    let next_epoch = get_current_epoch(state).safe_add(1u64)?;
    let mut next_pending_consolidation = 0usize;
    while let Some(consolidation) = state.pending_consolidations().get(next_pending_consolidation).copied() {
        let source_validator = get_validator(state, consolidation.source_index)?;
        if source_validator.slashed {
            next_pending_consolidation.safe_add_assign(1)?;
            continue;
        }
        if source_validator.withdrawable_epoch > next_epoch {
            break;
        }

        let source_effective_balance =
            get_balance(state, consolidation.source_index)?.min(source_validator.effective_balance);
        // The active balance moves to the target; what is above it can be withdrawn.
        decrease_balance(state, consolidation.source_index, source_effective_balance)?;
        increase_balance(state, consolidation.target_index, source_effective_balance)?;
        touched.extend([consolidation.source_index, consolidation.target_index]);
        next_pending_consolidation.safe_add_assign(1)?;
    }
    if next_pending_consolidation > 0 {
        state
            .pending_consolidations_mut()
            .pop_front(next_pending_consolidation)?;
    }
    Ok(())
}
