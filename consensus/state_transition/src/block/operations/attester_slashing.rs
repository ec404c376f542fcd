//! Spec: dvt/beacon-chain.md#attester-slashings

use super::attestation::{IndexedAttestationError, check_indexed_attestation, key_epoch};
use crate::dvt::accessors::get_threshold;
use crate::error::StateError;
use crate::helpers::accessors::{get_current_epoch, get_validator};
use crate::helpers::mutators::slash_validator;
use crate::helpers::predicates::{is_slashable_attestation_data, is_slashable_validator};
use crate::signatures::Verifier;
use signature_scheme::{SignatureError, SignatureSet};
use std::collections::{BTreeMap, BTreeSet};
use types::{AttesterSlashingRef, BeaconState, ChainSpec, Epoch, Preset, SignerIndex, SlashingSide, ValidatorIndex};

/// Evidence against attesters is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AttesterSlashingError {
    /// Votes of one side with different target epochs.
    #[error("votes of side {side} have target epochs {first} and {other}, expected one")]
    TargetEpochsDiffer {
        /// 1 or 2.
        side: u8,
        /// Of the side's first vote.
        first: Epoch,
        /// Of another vote of the side.
        other: Epoch,
    },
    /// Two votes that do not contradict each other.
    #[error("vote {0} of side 1 and vote {1} of side 2 are neither a double nor a surround vote")]
    NotSlashable(usize, usize),
    /// A vote is invalid.
    #[error("vote {place} of side {side}: {reason}")]
    IndexedAttestation {
        /// 1 or 2.
        side: u8,
        /// Place within the side.
        place: usize,
        /// What is wrong.
        reason: IndexedAttestationError,
    },
    /// The thresholds of those who signed are not known.
    #[error(transparent)]
    Thresholds(#[from] IndexedAttestationError),
    /// Nobody can be slashed by it.
    #[error("nobody who signed both sides is slashable")]
    NobodySlashable,
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The registry entries whose signers reach the threshold on both sides, ascending: of one side all votes count
/// together, because that is how a group's votes are counted.
///
/// Spec: dvt/beacon-chain.md#get_slashable_indices
pub fn get_slashable_indices<P: Preset>(
    state: &BeaconState<P>,
    attester_slashing: AttesterSlashingRef<'_, P>,
) -> Result<Vec<ValidatorIndex>, IndexedAttestationError> {
    let [side_1, side_2] = attester_slashing.sides();
    let reached_1 = reaching_threshold(state, &side_1)?;
    let reached_2 = reaching_threshold(state, &side_2)?;
    Ok(reached_1.intersection(&reached_2).copied().collect())
}

fn reaching_threshold<P: Preset>(
    state: &BeaconState<P>,
    side: &SlashingSide<'_, P>,
) -> Result<BTreeSet<ValidatorIndex>, IndexedAttestationError> {
    let Some(first) = side.votes.first() else {
        return Ok(BTreeSet::new());
    };
    let key_epoch = key_epoch(*first, side.key_set_age)?;
    let mut signers: BTreeMap<ValidatorIndex, BTreeSet<SignerIndex>> = BTreeMap::new();
    for signer in side.votes.iter().flat_map(|vote| vote.attesting_indices().iter()) {
        signers.entry(signer.validator()).or_default().insert(*signer);
    }
    let mut reached = BTreeSet::new();
    for (index, signers) in signers {
        if signers.len() >= usize::from(get_threshold(state, index, key_epoch)?) {
            reached.insert(index);
        }
    }
    Ok(reached)
}

/// Who can be slashed by the evidence (at least one), and the signatures that must hold.
pub fn check_attester_slashing<P: Preset>(
    state: &BeaconState<P>,
    attester_slashing: AttesterSlashingRef<'_, P>,
) -> Result<(Vec<ValidatorIndex>, Vec<SignatureSet>), AttesterSlashingError> {
    let (indices, sets) = check_attester_slashing_evidence(state, attester_slashing)?;
    let epoch = get_current_epoch(state);
    let mut slashable = Vec::new();
    for index in indices {
        if is_slashable_validator(get_validator(state, index)?, epoch) {
            slashable.push(index);
        }
    }
    if slashable.is_empty() {
        return Err(AttesterSlashingError::NobodySlashable);
    }
    Ok((slashable, sets))
}

/// Whom the evidence is against (perhaps nobody), slashed already or not, and the signatures that must hold: what fork
/// choice asks.
///
/// Spec: dvt/beacon-chain.md#validate_attester_slashing
pub fn check_attester_slashing_evidence<P: Preset>(
    state: &BeaconState<P>,
    attester_slashing: AttesterSlashingRef<'_, P>,
) -> Result<(Vec<ValidatorIndex>, Vec<SignatureSet>), AttesterSlashingError> {
    check_attester_slashing_data(attester_slashing)?;
    let [side_1, side_2] = attester_slashing.sides();
    let mut sets = Vec::with_capacity(side_1.votes.len().saturating_add(side_2.votes.len()));
    for (side, SlashingSide { votes, key_set_age }) in [(1, &side_1), (2, &side_2)] {
        for (place, vote) in votes.iter().enumerate() {
            let set = check_indexed_attestation(state, *vote, *key_set_age)
                .map_err(|reason| AttesterSlashingError::IndexedAttestation { side, place, reason })?;
            sets.push(set);
        }
    }
    Ok((get_slashable_indices(state, attester_slashing)?, sets))
}

/// What holds of the votes whoever cast them: each side has one target epoch, and each vote contradicts all of the other
/// side.
///
/// Spec: dvt/beacon-chain.md#validate_attester_slashing
pub fn check_attester_slashing_data<P: Preset>(
    attester_slashing: AttesterSlashingRef<'_, P>,
) -> Result<(), AttesterSlashingError> {
    let [side_1, side_2] = attester_slashing.sides();
    for (side, SlashingSide { votes, .. }) in [(1, &side_1), (2, &side_2)] {
        let target_epochs = || votes.iter().map(|vote| vote.data().target.epoch);
        if let (Some(first), Some(other)) = (
            target_epochs().next(),
            target_epochs().find(|epoch| Some(*epoch) != target_epochs().next()),
        ) {
            return Err(AttesterSlashingError::TargetEpochsDiffer { side, first, other });
        }
    }
    for (place_1, vote_1) in side_1.votes.iter().enumerate() {
        for (place_2, vote_2) in side_2.votes.iter().enumerate() {
            if !is_slashable_attestation_data(vote_1.data(), vote_2.data()) {
                return Err(AttesterSlashingError::NotSlashable(place_1, place_2));
            }
        }
    }
    Ok(())
}

/// Spec: dvt/beacon-chain.md#process_attester_slashing
pub fn process_attester_slashing<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    attester_slashing: AttesterSlashingRef<'_, P>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), AttesterSlashingError> {
    let (slashable, sets) = check_attester_slashing(state, attester_slashing)?;
    sets.into_iter().try_for_each(|set| verifier.push(set))?;
    Ok(apply_attester_slashing(state, slashable, spec)?)
}

/// Slashes those whom checked evidence is against.
pub fn apply_attester_slashing<P: Preset>(
    state: &mut BeaconState<P>,
    slashable: Vec<ValidatorIndex>,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    slashable
        .into_iter()
        .try_for_each(|index| slash_validator(state, index, None, spec))
}
