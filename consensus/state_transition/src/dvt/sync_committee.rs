//! Sync committees with groups.

use super::accessors::{get_key_set, virtual_indices};
use crate::error::StateError;
use crate::helpers::accessors::{get_active_validator_indices, get_current_epoch, get_seed, get_validator};
use crate::helpers::misc::sample_by_effective_balance;
use crate::sync_committee::{max_effective_balance, sync_committee_of_pubkeys};
use group::SyncRun;
use ssz_types::FixedVector;
use types::constants::DOMAIN_SYNC_COMMITTEE;
use types::{
    BeaconState, ChainSpec, Epoch, KeySet, Preset, PublicKeyBytes, SignerIndex, SyncCommittee, ValidatorIndex,
};

/// Signer of each position.
pub type SyncCommitteeIndices<P> = FixedVector<SignerIndex, <P as Preset>::SyncCommitteeSize>;

/// The keys of a group that can fill positions: all BLS keys, or none at all.
fn bls_keys(key_set: &KeySet) -> Option<Vec<PublicKeyBytes>> {
    key_set.keys.iter().map(types::VirtualKey::as_bls).collect()
}

/// Draws the next committee: a selected group fills as many consecutive positions as it has keys, and is drawn as
/// much more rarely. Groups with a key that is not a BLS key are no candidates; if nobody is one, all active entries
/// are, under their registry indices, which for a group are neither paid nor penalised.
///
/// Spec: dvt/beacon-chain.md#get_next_sync_committee
pub fn get_next_sync_committee<P: Preset>(
    state: &BeaconState<P>,
    _spec: &ChainSpec,
) -> Result<(SyncCommittee<P>, SyncCommitteeIndices<P>), StateError> {
    let epoch = get_current_epoch(state).safe_add(1u64)?;
    let active = get_active_validator_indices(state, epoch)?;
    if active.is_empty() {
        return Err(StateError::NoActiveValidators { epoch });
    }
    let validator_index = |index: u32| ValidatorIndex::new(u64::from(index));
    let mut candidates = Vec::with_capacity(active.len());
    for index in active.iter() {
        let is_candidate =
            get_key_set(state, validator_index(*index), epoch)?.is_none_or(|key_set| bls_keys(key_set).is_some());
        if is_candidate {
            candidates.push(*index);
        }
    }
    let nobody_is_candidate = candidates.is_empty();
    if nobody_is_candidate {
        candidates = active.to_vec();
    }

    let seed = get_seed(state, epoch, DOMAIN_SYNC_COMMITTEE)?;
    let size = P::SYNC_COMMITTEE_SIZE as usize;
    let mut drawn: Vec<ValidatorIndex> = Vec::new();
    let mut positions = 0usize;
    let key_count = |index: u32| -> Result<u64, StateError> {
        let key_set = if nobody_is_candidate {
            None
        } else {
            get_key_set(state, validator_index(index), epoch)?
        };
        Ok(key_set.map_or(1, |key_set| key_set.keys.len() as u64))
    };
    sample_by_effective_balance::<P>(
        &candidates,
        seed,
        max_effective_balance(state)?,
        |index| {
            Ok((
                get_validator(state, validator_index(index))?.effective_balance,
                key_count(index)?,
            ))
        },
        |index| {
            drawn.push(validator_index(index));
            positions = positions.saturating_add(key_count(index).unwrap_or(1) as usize);
            positions >= size
        },
    )?;

    let mut indices = Vec::with_capacity(size);
    let mut pubkeys = Vec::with_capacity(size);
    for index in drawn {
        let key_set = if nobody_is_candidate {
            None
        } else {
            get_key_set(state, index, epoch)?
        };
        match key_set {
            None => {
                indices.push(SignerIndex::from(index));
                pubkeys.push(get_validator(state, index)?.pubkey);
            }
            Some(key_set) => {
                indices.extend(virtual_indices(index, key_set)?);
                pubkeys.extend(bls_keys(key_set).unwrap_or_default());
            }
        }
    }
    indices.truncate(size);
    pubkeys.truncate(size);
    Ok((sync_committee_of_pubkeys(pubkeys)?, FixedVector::new(indices)?))
}

/// Epoch whose key sets the current committee was drawn with: it was drawn when the period before its own began.
pub fn get_sync_committee_sampling_epoch<P: Preset>(epoch: Epoch) -> Epoch {
    let period_start = epoch.saturating_sub(
        epoch
            .as_u64()
            .checked_rem(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
            .unwrap_or_default(),
    );
    period_start.saturating_sub(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
}

/// How a run of the current committee is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTerms {
    /// The positions.
    pub run: SyncRun,
    /// Keys of the group when the committee was drawn.
    pub keys: u8,
    /// Threshold of the group when the committee was drawn.
    pub threshold: u8,
    /// Whether the run is paid and penalised at all.
    pub is_accountable: bool,
}

/// The runs of the current committee with their terms.
///
/// Spec: dvt/beacon-chain.md#get_sync_committee_runs
pub fn get_sync_committee_runs<P: Preset>(state: &BeaconState<P>) -> Result<Vec<RunTerms>, StateError> {
    let BeaconState::Dvt(inner) = state else {
        return Ok(Vec::new());
    };
    let epoch = get_sync_committee_sampling_epoch::<P>(get_current_epoch(state));
    group::get_sync_committee_runs(&inner.current_sync_committee_indices)
        .into_iter()
        .map(|run| {
            let key_set = get_key_set(state, run.validator, epoch)?;
            Ok(match key_set {
                Some(key_set) => RunTerms {
                    run,
                    keys: key_set.keys.len() as u8,
                    threshold: key_set.threshold,
                    // A group under its registry index stands in for missing candidates.
                    is_accountable: run.is_group,
                },
                None => RunTerms {
                    run,
                    keys: 1,
                    threshold: 1,
                    is_accountable: true,
                },
            })
        })
        .collect()
}
