//! Spec: fulu/beacon-chain.md#epoch-processing
//!
//! The registry is read once into flat arrays ([`summary::EpochSummary`]); the stages run over those and write back only what
//! they change. Each stage keeps its name and stands on its own: `process_x(state, spec)` reads the registry itself and
//! runs the same code that [`process_epoch`] runs in a row.
//!
//! What groups change: when a group is ejected (`registry`), the sync committee (`crate::dvt`), and one more pair of
//! participation lists (`resets`). All else reads the ordinary flags.

pub mod balances;
pub mod consolidations;
pub mod deposits;
pub mod inactivity;
pub mod justification;
pub mod lookahead;
pub mod registry;
pub mod resets;
pub mod rewards;
pub mod slashings;
pub mod summary;

#[cfg(test)]
mod tests;

pub use balances::process_effective_balance_updates;
pub use consolidations::process_pending_consolidations;
pub use deposits::process_pending_deposits;
pub use inactivity::process_inactivity_updates;
pub use justification::{compute_unrealized_checkpoints, process_justification_and_finalization};
pub use lookahead::process_proposer_lookahead;
pub use registry::process_registry_updates;
pub use resets::{
    process_eth1_data_reset, process_historical_summaries_update, process_participation_flag_updates,
    process_randao_mixes_reset, process_slashings_reset, process_sync_committee_updates,
};
pub use rewards::{
    AttestationDeltas, Delta, IdealRewards, get_attestation_deltas, get_ideal_rewards, process_rewards_and_penalties,
};
pub use slashings::process_slashings;

use crate::error::EpochError;
use summary::EpochSummary;
use types::{BeaconState, ChainSpec, Preset};

/// Everything that happens between the last slot of an epoch and the first of the next.
///
/// Spec: fulu/beacon-chain.md#modified-process_epoch
pub fn process_epoch<P: Preset>(state: &mut BeaconState<P>, spec: &ChainSpec) -> Result<(), EpochError> {
    let mut summary = EpochSummary::new(state)?;

    justification::process_with(state, &summary)?;
    inactivity::process_with(state, &mut summary, spec)?;
    rewards::process_with(state, &mut summary, spec)?;
    registry::process_with(state, &summary, spec)?;
    slashings::process_with(state, &mut summary)?;
    // Rewards, penalties and slashings are one rewrite of the list.
    summary.write_balances(state)?;
    process_eth1_data_reset(state, spec)?;
    deposits::process_with(state, &mut summary.touched, spec)?;
    consolidations::process_with(state, &mut summary.touched)?;
    summary.reread_touched(state)?;
    balances::process_with(state, &mut summary)?;
    process_slashings_reset(state, spec)?;
    process_randao_mixes_reset(state, spec)?;
    process_historical_summaries_update(state, spec)?;
    process_participation_flag_updates(state, spec)?;
    process_sync_committee_updates(state, spec)?;
    lookahead::process_with(state, &summary)?;

    Ok(state.apply_pending_mutations()?)
}
