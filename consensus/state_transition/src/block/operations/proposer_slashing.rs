//! Spec: dvt/beacon-chain.md#proposer-slashings

use crate::block::header::block_header_signature_set;
use crate::dvt::signers::{Quorum, SignersError};
use crate::error::StateError;
use crate::helpers::accessors::{get_current_epoch, get_validator};
use crate::helpers::mutators::slash_validator;
use crate::helpers::predicates::is_slashable_validator;
use crate::signatures::Verifier;
use signature_scheme::{SignatureError, SignatureSet};
use types::{BeaconState, ChainSpec, Preset, ProposerSlashingRef, Slot, ValidatorIndex};

/// Evidence against a proposer is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProposerSlashingError {
    /// Headers of different slots.
    #[error("headers are of slots {0} and {1}, expected one slot")]
    SlotsDiffer(Slot, Slot),
    /// Headers by different proposers.
    #[error("headers are by proposers {0} and {1}, expected one proposer")]
    ProposersDiffer(ValidatorIndex, ValidatorIndex),
    /// The same header twice.
    #[error("both headers are the same")]
    HeadersEqual,
    /// The proposer cannot be slashed (any more).
    #[error("proposer {0} is not slashable")]
    NotSlashable(ValidatorIndex),
    /// A header is not signed by those who must.
    #[error("header {place}: {reason}")]
    Signers {
        /// 1 or 2.
        place: u8,
        /// What is wrong.
        reason: SignersError,
    },
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Who is slashed, and the signatures that must hold.
pub fn check_proposer_slashing<P: Preset>(
    state: &BeaconState<P>,
    proposer_slashing: ProposerSlashingRef<'_>,
) -> Result<(ValidatorIndex, [SignatureSet; 2]), ProposerSlashingError> {
    let (signed_1, signed_2) = (proposer_slashing.signed_header_1(), proposer_slashing.signed_header_2());
    let (header_1, header_2) = (signed_1.message(), signed_2.message());
    if header_1.slot != header_2.slot {
        return Err(ProposerSlashingError::SlotsDiffer(header_1.slot, header_2.slot));
    }
    let proposer_index = header_1.proposer_index;
    if proposer_index != header_2.proposer_index {
        return Err(ProposerSlashingError::ProposersDiffer(
            proposer_index,
            header_2.proposer_index,
        ));
    }
    if header_1 == header_2 {
        return Err(ProposerSlashingError::HeadersEqual);
    }
    if !is_slashable_validator(get_validator(state, proposer_index)?, get_current_epoch(state)) {
        return Err(ProposerSlashingError::NotSlashable(proposer_index));
    }
    // [Dvt] Each header must reach the threshold of the key set of its own epoch.
    let set = |place, header| {
        block_header_signature_set(state, header, Quorum::Threshold)
            .map_err(|reason| ProposerSlashingError::Signers { place, reason })
    };
    Ok((proposer_index, [set(1, signed_1)?, set(2, signed_2)?]))
}

/// Spec: dvt/beacon-chain.md#process_proposer_slashing
pub fn process_proposer_slashing<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    proposer_slashing: ProposerSlashingRef<'_>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), ProposerSlashingError> {
    let (proposer_index, sets) = check_proposer_slashing(state, proposer_slashing)?;
    sets.into_iter().try_for_each(|set| verifier.push(set))?;
    Ok(apply_proposer_slashing(state, proposer_index, spec)?)
}

/// Slashes the proposer whom checked evidence is against.
pub fn apply_proposer_slashing<P: Preset>(
    state: &mut BeaconState<P>,
    proposer_index: ValidatorIndex,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    slash_validator(state, proposer_index, None, spec)
}
