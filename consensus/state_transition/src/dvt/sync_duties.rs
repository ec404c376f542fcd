//! Who signs for which positions of a sync committee: positions belong to public keys.

use super::accessors::get_signer_key;
use crate::error::StateError;
use crate::helpers::accessors::{get_current_epoch, get_validator};
use std::collections::HashMap;
use types::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use types::{BeaconState, Epoch, Preset, PublicKeyBytes, SignerIndex, Slot};

/// A position of the sync committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncPosition {
    /// The subcommittee, which is the subnet.
    pub subcommittee_index: u64,
    /// Place within the subcommittee, which is the place of the bit.
    pub position: usize,
}

/// Positions of a subcommittee.
pub fn subcommittee_size<P: Preset>() -> usize {
    P::SYNC_COMMITTEE_SIZE
        .checked_div(SYNC_COMMITTEE_SUBNET_COUNT)
        .unwrap_or(1)
        .max(1) as usize
}

fn period_of<P: Preset>(epoch: Epoch) -> u64 {
    epoch
        .as_u64()
        .checked_div(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
        .unwrap_or_default()
}

/// Public keys at the positions of the committee that signs in `slot`. The committee of a slot signs for the slot
/// before.
///
/// Spec: altair/p2p-interface.md#get_sync_subcommittee_pubkeys
pub fn sync_committee_pubkeys<P: Preset>(state: &BeaconState<P>, slot: Slot) -> &[PublicKeyBytes] {
    let next_slot_epoch = slot.saturating_add(1u64).epoch::<P>();
    let committee = if period_of::<P>(next_slot_epoch) <= period_of::<P>(get_current_epoch(state)) {
        state.current_sync_committee()
    } else {
        state.next_sync_committee()
    };
    &committee.pubkeys
}

/// The public key with which a signer signs for sync committees in `epoch`; `None`: its key is of another scheme. A
/// registry index stands for the registry key, whatever the registry entry is now: positions belong to keys.
///
/// Spec: dvt/validator.md#new-get_sync_committee_pubkey
pub fn get_sync_committee_pubkey<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    signer: SignerIndex,
) -> Result<Option<PublicKeyBytes>, StateError> {
    if signer.is_virtual() {
        Ok(get_signer_key(state, signer, epoch)?.as_bls())
    } else {
        Ok(Some(get_validator(state, signer.validator())?.pubkey))
    }
}

/// The positions of a key in the committee that signs in `slot`, ascending.
///
/// Spec: dvt/validator.md#modified-compute_subnets_for_sync_committee
pub fn positions_of<P: Preset>(state: &BeaconState<P>, slot: Slot, key: &PublicKeyBytes) -> Vec<SyncPosition> {
    let size = subcommittee_size::<P>();
    (0usize..)
        .zip(sync_committee_pubkeys(state, slot))
        .filter(|(_, pubkey)| *pubkey == key)
        .map(|(place, _)| SyncPosition {
            subcommittee_index: place.checked_div(size).unwrap_or_default() as u64,
            position: place.checked_rem(size).unwrap_or_default(),
        })
        .collect()
}

/// The positions of all keys in the committee of `epoch`, ascending: a signer is assigned to it if its key has one.
/// An error if `epoch` is neither in the state's sync committee period nor in the next.
///
/// Spec: dvt/validator.md#modified-is_assigned_to_sync_committee
pub fn get_sync_committee_positions<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
) -> Result<HashMap<PublicKeyBytes, Vec<u64>>, StateError> {
    let current_epoch = get_current_epoch(state);
    let current_period = period_of::<P>(current_epoch);
    let pubkeys = match period_of::<P>(epoch).checked_sub(current_period) {
        Some(0) => &state.current_sync_committee().pubkeys,
        Some(1) => &state.next_sync_committee().pubkeys,
        _ => return Err(StateError::SyncCommitteeUnknown { epoch, current_epoch }),
    };
    let mut positions: HashMap<PublicKeyBytes, Vec<u64>> = HashMap::new();
    for (place, pubkey) in (0u64..).zip(pubkeys) {
        positions.entry(*pubkey).or_default().push(place);
    }
    Ok(positions)
}
