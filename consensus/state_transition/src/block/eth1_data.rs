//! Spec: phase0/beacon-chain.md#eth1-data

use crate::error::StateError;
use types::{BeaconState, Eth1Data, Preset, SafeArith};

/// Spec: phase0/beacon-chain.md#process_eth1_data
pub fn process_eth1_data<P: Preset>(state: &mut BeaconState<P>, eth1_data: &Eth1Data) -> Result<(), StateError> {
    state.eth1_data_votes_mut().push(eth1_data.clone())?;
    let votes = state.eth1_data_votes().iter().filter(|vote| *vote == eth1_data).count() as u64;
    let period = P::EPOCHS_PER_ETH1_VOTING_PERIOD.safe_mul(P::slots_per_epoch())?;
    if votes.safe_mul(2)? > period {
        *state.eth1_data_mut() = eth1_data.clone();
    }
    Ok(())
}
