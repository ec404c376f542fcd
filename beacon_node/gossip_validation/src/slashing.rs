//! Topics `proposer_slashing` and `attester_slashing`.
//!
//! Spec: dvt/p2p-interface.md#proposer_slashing

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use state_transition::block::operations::attestation::IndexedAttestationError;
use state_transition::block::operations::attester_slashing::{
    AttesterSlashingError, check_attester_slashing, check_attester_slashing_data, check_attester_slashing_evidence,
    get_slashable_indices,
};
use state_transition::block::operations::proposer_slashing::{ProposerSlashingError, check_proposer_slashing};
use state_transition::dvt::signers::SignersError;
use std::sync::Arc;
use types::{AttesterSlashing, Preset, ProposerSlashing, ValidatorIndex};

/// Evidence against a proposer is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum ProposerSlashingGossipError {
    /// Evidence against the proposer was seen before.
    #[error("evidence against proposer {0} was seen before")]
    NotFirst(ValidatorIndex),
    /// Invalid.
    #[error(transparent)]
    Invalid(#[from] ProposerSlashingError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(ProposerSlashingGossipError);

impl ProposerSlashingGossipError {
    /// What to do with the evidence.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotFirst(_) => Verdict::Ignore,
            // Other heads may know the key set, or the signer.
            Self::Invalid(
                ProposerSlashingError::State(_)
                | ProposerSlashingError::Signers {
                    // No signer is the form of a solo validator, which another head may know.
                    reason:
                        SignersError::State(_)
                        | SignersError::UnknownKey { .. }
                        | SignersError::SoloWithSigners { .. }
                        | SignersError::BelowThreshold { signers: 0, .. },
                    ..
                },
            ) => Verdict::Ignore,
            Self::Invalid(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// Evidence against attesters is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum AttesterSlashingGossipError {
    /// Evidence against everybody that this slashes was seen before.
    #[error("evidence against all of these attesters was seen before")]
    NothingNew,
    /// Invalid.
    #[error(transparent)]
    Invalid(#[from] AttesterSlashingError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(AttesterSlashingGossipError);

impl AttesterSlashingGossipError {
    /// What to do with the evidence.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NothingNew => Verdict::Ignore,
            // Other heads may know the key set, or the signer.
            Self::Invalid(
                AttesterSlashingError::State(_)
                | AttesterSlashingError::Thresholds(IndexedAttestationError::State(_))
                | AttesterSlashingError::IndexedAttestation {
                    reason: IndexedAttestationError::State(_),
                    ..
                },
            ) => Verdict::Ignore,
            Self::Invalid(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// Evidence against attesters that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAttesterSlashing<P: Preset> {
    /// The evidence.
    pub slashing: AttesterSlashing<P>,
    /// Whom it is against by the justified state, ascending; to be told to the fork choice. Perhaps nobody: then it
    /// counts from the first block on that includes it.
    pub equivocating: Vec<ValidatorIndex>,
}

impl<P: Preset> GossipValidator<P> {
    /// Checks evidence against a proposer.
    pub async fn verify_proposer_slashing(
        self: &Arc<Self>,
        slashing: ProposerSlashing,
    ) -> Result<ProposerSlashing, ProposerSlashingGossipError> {
        self.on_worker("proposer_slashing", Priority::Background, move |validator| {
            let proposer = slashing.signed_header_1().message().proposer_index;
            if validator.proposer_slashings.contains(&proposer) {
                return Err(ProposerSlashingGossipError::NotFirst(proposer));
            }
            let state = validator.operations_state()?;
            validator.check_present_fork(&state, &slashing)?;
            let (_, sets) = check_proposer_slashing(&state, slashing.to_ref())?;
            signature_scheme::verify_batch(&sets)?;
            if !validator.proposer_slashings.insert(proposer) {
                return Err(ProposerSlashingGossipError::NotFirst(proposer));
            }
            Ok(slashing)
        })
        .await
    }

    /// Checks evidence against attesters.
    pub async fn verify_attester_slashing(
        self: &Arc<Self>,
        slashing: AttesterSlashing<P>,
    ) -> Result<VerifiedAttesterSlashing<P>, AttesterSlashingGossipError> {
        self.on_worker("attester_slashing", Priority::Background, move |validator| {
            let state = validator.operations_state()?;
            validator.check_present_fork(&state, &slashing)?;
            check_attester_slashing_data(slashing.to_ref())?;
            let seen = |index: &ValidatorIndex| validator.attester_slashings.contains(index);
            let accused =
                get_slashable_indices(&state, slashing.to_ref()).map_err(AttesterSlashingError::Thresholds)?;
            if !accused.is_empty() && accused.iter().all(seen) {
                return Err(AttesterSlashingGossipError::NothingNew);
            }
            let (_, sets) = check_attester_slashing(&state, slashing.to_ref())?;
            signature_scheme::verify_batch(&sets)?;
            let equivocating = validator.equivocating_when_justified(&slashing)?;
            let mut is_new = false;
            for index in accused {
                is_new |= validator.attester_slashings.insert(index);
            }
            if !is_new {
                return Err(AttesterSlashingGossipError::NothingNew);
            }
            Ok(VerifiedAttesterSlashing { slashing, equivocating })
        })
        .await
    }

    /// Whom evidence from the wire is against by the justified state: nodes with the same one agree. Nobody if it cannot
    /// be verified there, since a key set of then is not known.
    ///
    /// Spec: dvt/fork-choice.md#modified-on_attester_slashing
    fn equivocating_when_justified(&self, slashing: &AttesterSlashing<P>) -> Result<Vec<ValidatorIndex>, SharedError> {
        let justified = self.chain.fork_choice().justified_checkpoint();
        let Some(state) = self.chain.state_after_block(&justified.root)? else {
            return Ok(Vec::new());
        };
        let verified = check_attester_slashing_evidence(&state, slashing.to_ref())
            .ok()
            .filter(|(_, sets)| signature_scheme::verify_batch(sets).is_ok());
        Ok(verified.map(|(equivocating, _)| equivocating).unwrap_or_default())
    }
}
