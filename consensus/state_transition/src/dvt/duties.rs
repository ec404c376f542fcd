//! Who does what when, by signer index.
//!
//! Spec: dvt/validator.md#validator-assignments

use super::accessors::{get_signer_key, get_signers};
use crate::error::StateError;
use crate::helpers::accessors::{
    get_beacon_committee, get_beacon_proposer_index_at_slot, get_committee_count_per_slot, get_validator,
};
use std::collections::HashMap;
use types::{BeaconState, ChainSpec, CommitteeIndex, Epoch, Preset, SignerIndex, SignerKey, Slot, ValidatorIndex};

/// The keys under which a registry entry signs in `epoch`, with their indices.
pub fn get_signer_keys<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
) -> Result<Vec<(SignerIndex, SignerKey)>, StateError> {
    get_signers(state, index, epoch)?
        .into_iter()
        .map(|signer| Ok((signer, get_signer_key(state, signer, epoch)?)))
        .collect()
}

/// Whether somebody signs under an index in `epoch`, for a registry entry that is active then.
///
/// Spec: dvt/validator.md#modified-check_if_validator_active, for any epoch
pub fn check_if_validator_active<P: Preset>(
    state: &BeaconState<P>,
    signer: SignerIndex,
    epoch: Epoch,
) -> Result<bool, StateError> {
    let is_signer = get_signers(state, signer.validator(), epoch)?.contains(&signer);
    Ok(is_signer && get_validator(state, signer.validator())?.is_active_at(epoch))
}

/// The seat of a signer in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitteeAssignment {
    /// The signer.
    pub signer: SignerIndex,
    /// The slot in which it attests.
    pub slot: Slot,
    /// Its committee.
    pub committee_index: CommitteeIndex,
    /// Seats of the committee.
    pub seat_count: usize,
    /// Its seat: the place of its bit.
    pub seat: usize,
}

/// The seats of signers in `epoch`, slot by slot. Whoever does not sign then has none.
///
/// Spec: dvt/validator.md#modified-get_committee_assignment, for many at once
pub fn get_committee_assignments<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    signers: &[SignerIndex],
) -> Result<Vec<CommitteeAssignment>, StateError> {
    let mut wanted: HashMap<ValidatorIndex, Vec<SignerIndex>> = HashMap::new();
    for signer in signers {
        wanted.entry(signer.validator()).or_default().push(*signer);
    }
    let mut assignments = Vec::with_capacity(signers.len());
    let committee_count = get_committee_count_per_slot(state, epoch)?;
    for offset in 0..P::slots_per_epoch() {
        let slot = epoch.start_slot::<P>().safe_add(offset)?;
        for committee_index in 0..committee_count {
            let committee = get_beacon_committee(state, slot, committee_index)?;
            for (validator, seats) in committee.seat_ranges() {
                let Some(wanted) = wanted.get(&validator) else {
                    continue;
                };
                let sitting = get_signers(state, validator, epoch)?;
                assignments.extend(wanted.iter().filter_map(|signer| {
                    let place = sitting.iter().position(|other| other == signer)?;
                    Some(CommitteeAssignment {
                        signer: *signer,
                        slot,
                        committee_index,
                        seat_count: committee.seat_count(),
                        seat: seats.start.checked_add(place)?,
                    })
                }));
            }
        }
    }
    Ok(assignments)
}

/// The signers that propose in a slot of the current or the next epoch, with their keys: all keys of a group have its
/// duty.
///
/// Spec: dvt/validator.md#modified-is_proposer, which holds for these
pub fn get_proposing_signers<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
) -> Result<Vec<(SignerIndex, SignerKey)>, StateError> {
    let proposer = get_beacon_proposer_index_at_slot(state, slot)?;
    get_signer_keys(state, proposer, slot.epoch::<P>())
}

/// Whether the key of a signer in `epoch` is a key of the same validator in this epoch by what is final. It must not
/// attest before: quorums of the key sets before and after a change need not overlap, so that both could finalise, each
/// on its branch. An error if `finalized` has no such validator.
///
/// Spec: dvt/validator.md#new-is_final_key
pub fn is_final_key<P: Preset>(
    state: &BeaconState<P>,
    finalized: &BeaconState<P>,
    signer: SignerIndex,
    epoch: Epoch,
) -> Result<bool, StateError> {
    let key = get_signer_key(state, signer, epoch)?;
    let known = get_signer_keys(finalized, signer.validator(), epoch)?;
    Ok(known.iter().any(|(_, other)| *other == key))
}

/// The custody groups that a node needs with some validators. A group's balance is shared out to its keys. An index that
/// `state`, the latest finalised one, does not know in `epoch` does not count.
///
/// Spec: dvt/validator.md#get_validators_custody_requirement
pub fn get_validators_custody_requirement<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    signer_indices: impl IntoIterator<Item = SignerIndex>,
    spec: &ChainSpec,
) -> u64 {
    let balance_of = |signer: SignerIndex| {
        let validator = get_validator(state, signer.validator()).ok()?;
        let signers = get_signers(state, signer.validator(), epoch).ok()?;
        if !signers.contains(&signer) {
            return None;
        }
        validator.effective_balance.checked_div(signers.len() as u64)
    };
    let total_node_balance = signer_indices
        .into_iter()
        .filter_map(balance_of)
        .fold(0, u64::saturating_add);
    let count = total_node_balance
        .checked_div(spec.balance_per_additional_custody_group)
        .unwrap_or_default();
    count
        .max(spec.validator_custody_requirement)
        .min(spec.number_of_custody_groups)
}
