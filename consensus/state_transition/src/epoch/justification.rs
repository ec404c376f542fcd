//! Spec: altair/beacon-chain.md#justification-and-finalization

use super::summary::EpochSummary;
use crate::caches::registry::{clamp, is_active, read_integers, registry_rows};
use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{get_block_root, get_current_epoch, get_previous_epoch};
use types::constants::{GENESIS_EPOCH, TIMELY_TARGET_FLAG_INDEX};
use types::{BeaconState, ChainSpec, Checkpoint, Gwei, Preset, SafeArith};

/// The outcome of weighing an epoch's target votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Justification {
    /// Newest epoch first.
    bits: [bool; 4],
    previous_justified: Checkpoint,
    current_justified: Checkpoint,
    finalized: Checkpoint,
}

impl Justification {
    fn of<P: Preset>(state: &BeaconState<P>) -> Self {
        let held = state.justification_bits();
        Self {
            bits: [0, 1, 2, 3].map(|bit| held.get(bit).unwrap_or(false)),
            previous_justified: state.previous_justified_checkpoint(),
            current_justified: state.current_justified_checkpoint(),
            finalized: state.finalized_checkpoint(),
        }
    }

    fn store<P: Preset>(self, state: &mut BeaconState<P>) -> Result<(), StateError> {
        for (bit, value) in self.bits.into_iter().enumerate() {
            // The field has four bits.
            state
                .justification_bits_mut()
                .set(bit, value)
                .map_err(|_| StateError::MissingEntry {
                    field: "justification_bits",
                    index: bit,
                })?;
        }
        *state.previous_justified_checkpoint_mut() = self.previous_justified;
        *state.current_justified_checkpoint_mut() = self.current_justified;
        *state.finalized_checkpoint_mut() = self.finalized;
        Ok(())
    }
}

/// Spec: altair/beacon-chain.md#modified-process_justification_and_finalization
pub fn process_justification_and_finalization<P: Preset>(
    state: &mut BeaconState<P>,
    _spec: &ChainSpec,
) -> Result<(), EpochError> {
    let summary = EpochSummary::new(state)?;
    process_with(state, &summary)
}

pub(super) fn process_with<P: Preset>(state: &mut BeaconState<P>, summary: &EpochSummary) -> Result<(), EpochError> {
    let justified = weigh_justification_and_finalization(
        state,
        summary.total_active_balance,
        summary.previous_flag_balance::<P>(TIMELY_TARGET_FLAG_INDEX),
        summary.current_target_balance::<P>(),
    )?;
    Ok(justified.store(state)?)
}

/// Spec: phase0/beacon-chain.md#weigh_justification_and_finalization
fn weigh_justification_and_finalization<P: Preset>(
    state: &BeaconState<P>,
    total_active_balance: Gwei,
    previous_epoch_target_balance: Gwei,
    current_epoch_target_balance: Gwei,
) -> Result<Justification, StateError> {
    let old = Justification::of(state);
    let previous_epoch = get_previous_epoch(state);
    let current_epoch = get_current_epoch(state);
    // The first two epochs have no votes that could be weighed.
    if current_epoch <= GENESIS_EPOCH.saturating_add(1u64) {
        return Ok(old);
    }

    let [bit_0, bit_1, bit_2, _] = old.bits;
    let mut new = Justification {
        bits: [false, bit_0, bit_1, bit_2],
        previous_justified: old.current_justified,
        ..old
    };
    let two_thirds = total_active_balance.safe_mul(2)?;
    if previous_epoch_target_balance.safe_mul(3)? >= two_thirds {
        new.current_justified = Checkpoint {
            epoch: previous_epoch,
            root: get_block_root(state, previous_epoch)?,
        };
        let [_, bit, ..] = &mut new.bits;
        *bit = true;
    }
    if current_epoch_target_balance.safe_mul(3)? >= two_thirds {
        new.current_justified = Checkpoint {
            epoch: current_epoch,
            root: get_block_root(state, current_epoch)?,
        };
        let [bit, ..] = &mut new.bits;
        *bit = true;
    }

    let old_previous = old.previous_justified;
    let old_current = old.current_justified;
    let is_epochs_ago = |checkpoint: Checkpoint, epochs: u64| checkpoint.epoch.saturating_add(epochs) == current_epoch;
    let [bit_0, bit_1, bit_2, bit_3] = new.bits;
    // The 2nd/3rd/4th most recent epochs are justified, the 2nd using the 4th as source.
    if bit_1 && bit_2 && bit_3 && is_epochs_ago(old_previous, 3) {
        new.finalized = old_previous;
    }
    // The 2nd/3rd most recent epochs are justified, the 2nd using the 3rd as source.
    if bit_1 && bit_2 && is_epochs_ago(old_previous, 2) {
        new.finalized = old_previous;
    }
    // The 1st/2nd/3rd most recent epochs are justified, the 1st using the 3rd as source.
    if bit_0 && bit_1 && bit_2 && is_epochs_ago(old_current, 2) {
        new.finalized = old_current;
    }
    // The 1st/2nd most recent epochs are justified, the 1st using the 2nd as source.
    if bit_0 && bit_1 && is_epochs_ago(old_current, 1) {
        new.finalized = old_current;
    }
    Ok(new)
}

/// What would be justified and finalised if the epoch ended with this state: `(justified, finalized)`.
///
/// One sweep over the registry and the flags, nothing is written.
///
/// Spec: phase0/fork-choice.md#compute_pulled_up_tip
pub fn compute_unrealized_checkpoints<P: Preset>(
    state: &BeaconState<P>,
) -> Result<(Checkpoint, Checkpoint), StateError> {
    let previous_epoch = get_previous_epoch(state);
    let current_epoch = get_current_epoch(state);
    if current_epoch <= GENESIS_EPOCH.saturating_add(1u64) {
        return Ok((state.current_justified_checkpoint(), state.finalized_checkpoint()));
    }
    let mut total_active_balance: Gwei = 0;
    let mut previous_target_balance: Gwei = 0;
    let mut current_target_balance: Gwei = 0;
    let [previous, current] = [previous_epoch, current_epoch].map(clamp);
    let previous_participation = read_integers(state.previous_epoch_participation())?;
    let current_participation = read_integers(state.current_epoch_participation())?;
    let chunks = registry_rows(state)?;
    let rows = chunks.iter().flat_map(|chunk| chunk.rows.iter());
    for (row, (previous_flags, current_flags)) in rows.zip(previous_participation.iter().zip(&current_participation)) {
        let effective_balance = row.effective_balance;
        if is_active(row, current) {
            total_active_balance.safe_add_assign(effective_balance)?;
            if !row.slashed && current_flags >> TIMELY_TARGET_FLAG_INDEX & 1 == 1 {
                current_target_balance.safe_add_assign(effective_balance)?;
            }
        }
        if !row.slashed && previous_flags >> TIMELY_TARGET_FLAG_INDEX & 1 == 1 && is_active(row, previous) {
            previous_target_balance.safe_add_assign(effective_balance)?;
        }
    }
    let minimum = P::EFFECTIVE_BALANCE_INCREMENT;
    let unrealized = weigh_justification_and_finalization(
        state,
        total_active_balance.max(minimum),
        previous_target_balance.max(minimum),
        current_target_balance.max(minimum),
    )?;
    Ok((unrealized.current_justified, unrealized.finalized))
}
