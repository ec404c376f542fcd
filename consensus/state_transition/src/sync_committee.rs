//! The choice of the sync committee.
//!
//! Spec: electra/beacon-chain.md#modified-get_next_sync_committee_indices

use crate::caches::registry::registry_rows;
use crate::dvt;
use crate::error::StateError;
use crate::helpers::accessors::{get_active_validator_indices, get_current_epoch, get_seed, get_validator};
use crate::helpers::misc::sample_by_effective_balance;
use ssz_types::FixedVector;
use std::sync::Arc;
use types::constants::DOMAIN_SYNC_COMMITTEE;
use types::{BeaconState, ChainSpec, Gwei, Preset, PublicKeyBytes, SyncCommittee, ValidatorIndex};

/// The registry index of each position of the next committee, with duplicates. For a chain without groups.
///
/// Spec: electra/beacon-chain.md#modified-get_next_sync_committee_indices
pub fn get_next_sync_committee_indices<P: Preset>(state: &BeaconState<P>) -> Result<Vec<ValidatorIndex>, StateError> {
    let epoch = get_current_epoch(state).safe_add(1u64)?;
    let indices = get_active_validator_indices(state, epoch)?;
    if indices.is_empty() {
        return Err(StateError::NoActiveValidators { epoch });
    }
    let seed = get_seed(state, epoch, DOMAIN_SYNC_COMMITTEE)?;
    let effective_balance = |index: u32| {
        get_validator(state, ValidatorIndex::new(u64::from(index))).map(|validator| (validator.effective_balance, 1))
    };
    let size = P::SYNC_COMMITTEE_SIZE as usize;
    let mut sync_committee_indices = Vec::with_capacity(size);
    sample_by_effective_balance::<P>(
        &indices,
        seed,
        max_effective_balance(state)?,
        effective_balance,
        |index| {
            sync_committee_indices.push(ValidatorIndex::new(u64::from(index)));
            sync_committee_indices.len() == size
        },
    )?;
    Ok(sync_committee_indices)
}

/// The largest effective balance in the registry: the bound that makes sampling cheap.
pub(crate) fn max_effective_balance<P: Preset>(state: &BeaconState<P>) -> Result<Gwei, StateError> {
    Ok(registry_rows(state)?
        .iter()
        .flat_map(|chunk| chunk.rows.iter())
        .map(|row| row.effective_balance)
        .max()
        .unwrap_or_default())
}

/// The next committee of a chain without groups, with possible duplicates.
///
/// Spec: altair/beacon-chain.md#get_next_sync_committee
pub fn get_next_sync_committee<P: Preset>(state: &BeaconState<P>) -> Result<SyncCommittee<P>, StateError> {
    let pubkeys = get_next_sync_committee_indices(state)?
        .into_iter()
        .map(|index| get_validator(state, index).map(|validator| validator.pubkey))
        .collect::<Result<Vec<_>, _>>()?;
    sync_committee_of_pubkeys(pubkeys)
}

/// The committee with those keys in its positions.
pub fn sync_committee_of_pubkeys<P: Preset>(pubkeys: Vec<PublicKeyBytes>) -> Result<SyncCommittee<P>, StateError> {
    let aggregate_pubkey = pubkeys
        .iter()
        .map(bls::cached_public_key)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|keys| bls::eth_aggregate_pubkeys(&keys))
        .map_err(|_| StateError::AggregatePublicKey)?;
    Ok(SyncCommittee {
        pubkeys: FixedVector::new(pubkeys)?,
        aggregate_pubkey,
    })
}

/// The next committee becomes the current one, and a new next one is drawn.
pub(crate) fn rotate<P: Preset>(state: &mut BeaconState<P>, spec: &ChainSpec) -> Result<(), StateError> {
    if matches!(state, BeaconState::Dvt(_)) {
        let (committee, indices) = dvt::sync_committee::get_next_sync_committee(state, spec)?;
        if let BeaconState::Dvt(state) = state {
            state.current_sync_committee = std::mem::replace(&mut state.next_sync_committee, Arc::new(committee));
            state.current_sync_committee_indices =
                std::mem::replace(&mut state.next_sync_committee_indices, Arc::new(indices));
        }
        return Ok(());
    }
    let next = Arc::new(get_next_sync_committee(state)?);
    let current = std::mem::replace(state.next_sync_committee_mut(), next);
    *state.current_sync_committee_mut() = current;
    Ok(())
}
