//! The stages that turn rings and periods over.
//!
//! Spec: phase0/beacon-chain.md#epoch-processing, altair/beacon-chain.md#epoch-processing

use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{get_current_epoch, get_randao_mix};
use crate::sync_committee;
use milhouse::List;
use tree_hash::TreeHash;
use types::{BeaconState, ChainSpec, Epoch, HistoricalSummary, Preset, SafeArith};

fn next_epoch<P: Preset>(state: &BeaconState<P>) -> Result<Epoch, StateError> {
    Ok(get_current_epoch(state).safe_add(1u64)?)
}

/// Spec: phase0/beacon-chain.md#process_eth1_data_reset
pub fn process_eth1_data_reset<P: Preset>(state: &mut BeaconState<P>, _spec: &ChainSpec) -> Result<(), EpochError> {
    if next_epoch(state)?.safe_rem(P::EPOCHS_PER_ETH1_VOTING_PERIOD)?.as_u64() == 0 {
        *state.eth1_data_votes_mut() = List::empty();
    }
    Ok(())
}

/// Spec: phase0/beacon-chain.md#process_slashings_reset
pub fn process_slashings_reset<P: Preset>(state: &mut BeaconState<P>, _spec: &ChainSpec) -> Result<(), EpochError> {
    let index = next_epoch(state)?.safe_rem(P::EPOCHS_PER_SLASHINGS_VECTOR)?.as_usize();
    let missing = StateError::MissingEntry {
        field: "slashings",
        index,
    };
    // Most epochs have no slashings to forget: their subtree stays as it is.
    if *state.slashings().get(index).ok_or_else(|| missing.clone())? != 0 {
        *state.slashings_mut().get_mut(index).ok_or(missing)? = 0;
    }
    Ok(())
}

/// Spec: phase0/beacon-chain.md#process_randao_mixes_reset
pub fn process_randao_mixes_reset<P: Preset>(state: &mut BeaconState<P>, _spec: &ChainSpec) -> Result<(), EpochError> {
    let mix = get_randao_mix(state, get_current_epoch(state))?;
    let index = next_epoch(state)?.safe_rem(P::EPOCHS_PER_HISTORICAL_VECTOR)?.as_usize();
    *state
        .randao_mixes_mut()
        .get_mut(index)
        .ok_or(StateError::MissingEntry {
            field: "randao_mixes",
            index,
        })? = mix;
    Ok(())
}

/// Spec: capella/beacon-chain.md#new-process_historical_summaries_update
pub fn process_historical_summaries_update<P: Preset>(
    state: &mut BeaconState<P>,
    _spec: &ChainSpec,
) -> Result<(), EpochError> {
    let epochs_per_period = P::SLOTS_PER_HISTORICAL_ROOT.safe_div(P::slots_per_epoch())?;
    if next_epoch(state)?.safe_rem(epochs_per_period)?.as_u64() == 0 {
        state.block_roots_mut().apply_updates()?;
        state.state_roots_mut().apply_updates()?;
        let summary = HistoricalSummary {
            block_summary_root: state.block_roots().tree_hash_root(),
            state_summary_root: state.state_roots().tree_hash_root(),
        };
        state.historical_summaries_mut().push(summary)?;
    }
    Ok(())
}

/// Spec: dvt/beacon-chain.md#modified-process_participation_flag_updates
pub fn process_participation_flag_updates<P: Preset>(
    state: &mut BeaconState<P>,
    _spec: &ChainSpec,
) -> Result<(), EpochError> {
    let unset = zeros(state.validators().len())?;
    let current = std::mem::replace(state.current_epoch_participation_mut(), unset);
    *state.previous_epoch_participation_mut() = current;
    // [Dvt]
    if let BeaconState::Dvt(state) = state {
        let unset = zeros(state.groups.len())?;
        state.previous_group_participation = std::mem::replace(&mut state.current_group_participation, unset);
    }
    Ok(())
}

/// A list of `len` zeros, in logarithmic time: all its leaves are the same.
fn zeros<T, N, U>(len: usize) -> Result<List<T, N, U>, StateError>
where
    T: milhouse::Value + Default,
    N: typenum::Unsigned,
    U: milhouse::UpdateMap<T>,
{
    Ok(if len == 0 {
        List::empty()
    } else {
        List::repeat(T::default(), len)?
    })
}

/// Spec: dvt/beacon-chain.md#modified-process_sync_committee_updates
pub fn process_sync_committee_updates<P: Preset>(
    state: &mut BeaconState<P>,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    if next_epoch(state)?
        .safe_rem(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD)?
        .as_u64()
        == 0
    {
        sync_committee::rotate(state, spec)?;
    }
    Ok(())
}
