//! Topic `bls_to_execution_change`.
//!
//! Spec: capella/p2p-interface.md#bls_to_execution_change

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use state_transition::block::operations::address_change::{AddressChangeError, check_bls_to_execution_change};
use std::sync::Arc;
use types::{Preset, SignedBLSToExecutionChange, ValidatorIndex};

/// A change of withdrawal credentials is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum AddressChangeGossipError {
    /// A change of the validator was seen before.
    #[error("a change of the withdrawal credentials of validator {0} was seen before")]
    NotFirst(ValidatorIndex),
    /// Invalid.
    #[error(transparent)]
    Invalid(#[from] AddressChangeError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(AddressChangeGossipError);

impl AddressChangeGossipError {
    /// What to do with the change.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotFirst(_) => Verdict::Ignore,
            Self::Invalid(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a change of withdrawal credentials.
    pub async fn verify_bls_to_execution_change(
        self: &Arc<Self>,
        change: SignedBLSToExecutionChange,
    ) -> Result<SignedBLSToExecutionChange, AddressChangeGossipError> {
        self.on_worker("bls_to_execution_change", Priority::Background, move |validator| {
            let index = change.message.validator_index;
            if validator.address_changes.contains(&index) {
                return Err(AddressChangeGossipError::NotFirst(index));
            }
            let state = validator.operations_state()?;
            let set = check_bls_to_execution_change(&state, &change, validator.chain.spec())?;
            signature_scheme::verify(&set)?;
            if !validator.address_changes.insert(index) {
                return Err(AddressChangeGossipError::NotFirst(index));
            }
            Ok(change)
        })
        .await
    }
}
