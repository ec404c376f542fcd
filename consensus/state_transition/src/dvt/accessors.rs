//! Key sets and signers of registry entries.
//!
//! Spec: dvt/beacon-chain.md#beacon-state-accessors

use crate::caches::committees::BeaconCommittee;
use crate::error::StateError;
use crate::helpers::accessors::{get_beacon_committee, get_current_epoch, get_validator};
use types::{
    BeaconState, ChainSpec, CommitteeIndex, Epoch, Group, Gwei, KeySet, Preset, SafeArith, SignerIndex, SignerKey,
    Slot, ValidatorIndex,
};

/// Place of a registry entry in the list of groups, and the entry; `None` if it never was a group.
///
/// Spec: dvt/beacon-chain.md#get_group
pub fn get_group<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex) -> Option<(usize, &Group)> {
    let groups = state.groups().filter(|groups| !groups.is_empty())?;
    let positions = state.caches().group_positions(|| {
        groups
            .iter()
            .enumerate()
            .map(|(position, group)| (group.validator_index, position))
            .collect()
    });
    let position = *positions.get(&index)?;
    groups.get(position).map(|group| (position, group))
}

/// Since when the key set in force in `epoch` is, that of a solo validator included.
pub fn get_key_set_activation_epoch<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
) -> Result<Epoch, StateError> {
    let Some((_, group)) = get_group(state, index) else {
        return Ok(Epoch::new(0));
    };
    let key_set = group::get_key_set(&group.key_sets, epoch).ok_or(StateError::NoKeySet { index, epoch })?;
    Ok(key_set.activation_epoch)
}

/// The key set in force in `epoch`; `Ok(None)` for a solo validator. An error if none is: nothing verifies then.
///
/// Spec: dvt/beacon-chain.md#get_key_set
pub fn get_key_set<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
) -> Result<Option<&KeySet>, StateError> {
    let Some((_, group)) = get_group(state, index) else {
        return Ok(None);
    };
    let key_set = group::get_key_set(&group.key_sets, epoch).ok_or(StateError::NoKeySet { index, epoch })?;
    Ok((!key_set.is_solo()).then_some(key_set))
}

/// Spec: dvt/beacon-chain.md#is_solo_at
pub fn is_solo_at<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex, epoch: Epoch) -> Result<bool, StateError> {
    Ok(get_key_set(state, index, epoch)?.is_none())
}

/// The indices under which a registry entry signs in `epoch`.
///
/// Spec: dvt/beacon-chain.md#get_signers
pub fn get_signers<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
) -> Result<Vec<SignerIndex>, StateError> {
    match get_key_set(state, index, epoch)? {
        None => Ok(vec![SignerIndex::from(index)]),
        Some(key_set) => virtual_indices(index, key_set),
    }
}

pub(crate) fn virtual_indices(index: ValidatorIndex, key_set: &KeySet) -> Result<Vec<SignerIndex>, StateError> {
    (0u8..)
        .zip(key_set.keys.iter())
        .map(|(key, _)| SignerIndex::virtual_index(index, key).map_err(StateError::from))
        .collect()
}

/// The key of a signer in `epoch`. An index of the form that its registry entry does not have then is an error.
///
/// Spec: dvt/beacon-chain.md#get_signer_key
pub fn get_signer_key<P: Preset>(
    state: &BeaconState<P>,
    signer: SignerIndex,
    epoch: Epoch,
) -> Result<SignerKey, StateError> {
    let (index, key) = signer.split();
    match (get_key_set(state, index, epoch)?, key) {
        (None, None) => Ok(SignerKey::from(get_validator(state, index)?.pubkey)),
        (Some(key_set), Some(key)) => {
            let keys = key_set.keys.len();
            let virtual_key = key_set.keys.get(usize::from(key));
            virtual_key.map(SignerKey::from).ok_or(StateError::UnknownKey {
                index,
                key,
                epoch,
                keys,
            })
        }
        _ => Err(StateError::WrongSignerForm { signer, index, epoch }),
    }
}

/// How many keys must sign for a registry entry in `epoch`: 1 for a solo validator.
///
/// Spec: dvt/beacon-chain.md#get_threshold
pub fn get_threshold<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex, epoch: Epoch) -> Result<u8, StateError> {
    Ok(get_key_set(state, index, epoch)?.map_or(1, |key_set| key_set.threshold))
}

/// How many keys a registry entry has in `epoch`: 1 for a solo validator.
pub fn get_key_count<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
) -> Result<u64, StateError> {
    Ok(get_key_set(state, index, epoch)?.map_or(1, |key_set| key_set.keys.len() as u64))
}

/// Who sits in each seat of a committee: bit `i` of an attestation by it belongs to the `i`-th of these.
///
/// Spec: dvt/beacon-chain.md#get_committee_seats
pub fn get_committee_seats<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
    index: CommitteeIndex,
) -> Result<Vec<SignerIndex>, StateError> {
    let committee = get_beacon_committee(state, slot, index)?;
    committee_seats(state, &committee, slot.epoch::<P>())
}

pub(crate) fn committee_seats<P: Preset>(
    state: &BeaconState<P>,
    committee: &BeaconCommittee,
    epoch: Epoch,
) -> Result<Vec<SignerIndex>, StateError> {
    let without_groups = state.groups().is_none_or(|groups| groups.is_empty());
    if without_groups {
        return Ok(committee.iter().map(SignerIndex::from).collect());
    }
    let mut seats = Vec::with_capacity(committee.seat_count());
    for index in committee.iter() {
        match get_key_set(state, index, epoch)? {
            None => seats.push(SignerIndex::from(index)),
            Some(key_set) => seats.extend(virtual_indices(index, key_set)?),
        }
    }
    Ok(seats)
}

/// Largest number of keys that a registry entry has now or will have by a change that is already accepted.
fn keys_to_cover<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex) -> u64 {
    let current_epoch = get_current_epoch(state);
    let Some((_, group)) = get_group(state, index) else {
        return 1;
    };
    let in_force = group::get_key_set(&group.key_sets, current_epoch).into_iter();
    let pending = group
        .key_sets
        .iter()
        .filter(|key_set| key_set.activation_epoch > current_epoch);
    in_force
        .chain(pending)
        .map(|key_set| key_set.keys.len() as u64)
        .max()
        .unwrap_or(1)
        .max(1)
}

/// What partial withdrawals leave in a balance: 32 ETH for each key, over the key sets in force and pending. In Gwei.
///
/// Spec: dvt/beacon-chain.md#get_min_active_balance
pub fn get_min_active_balance<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex) -> Result<Gwei, StateError> {
    Ok(P::MIN_ACTIVATION_BALANCE.safe_mul(keys_to_cover(state, index))?)
}

/// The effective balance at which a registry entry is ejected: 16 ETH for each key in force. In Gwei.
///
/// Spec: dvt/beacon-chain.md#get_ejection_balance
pub fn get_ejection_balance<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    spec: &ChainSpec,
) -> Result<Gwei, StateError> {
    let keys = get_key_count(state, index, get_current_epoch(state)).unwrap_or(1);
    Ok(spec.ejection_balance.safe_mul(keys)?)
}
