//! Topic `voluntary_exit`, and a member's part of a group's exit, which only a node's own pool takes.
//!
//! Spec: dvt/p2p-interface.md#voluntary_exit

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use state_transition::block::operations::voluntary_exit::{VoluntaryExitError, check_voluntary_exit};
use state_transition::dvt::signers::{Quorum, SignersError};
use std::sync::Arc;
use types::{BeaconState, Preset, SignedVoluntaryExit, ValidatorIndex};

/// An exit is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum ExitGossipError {
    /// An exit of the validator was seen before.
    #[error("an exit of validator {0} was seen before")]
    NotFirst(ValidatorIndex),
    /// Invalid.
    #[error(transparent)]
    Invalid(#[from] VoluntaryExitError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(ExitGossipError);

impl ExitGossipError {
    /// What to do with the exit.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotFirst(_) | Self::Invalid(VoluntaryExitError::Signers(SignersError::State(_))) => Verdict::Ignore,
            Self::Invalid(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// An exit that a block may contain, or a member's part of one.
#[derive(Debug, Clone)]
pub struct VerifiedExit<P: Preset> {
    /// The exit.
    pub exit: SignedVoluntaryExit,
    /// Whether enough keys signed.
    pub is_complete: bool,
    /// The state in which it was checked.
    pub state: Arc<BeaconState<P>>,
}

impl<P: Preset> GossipValidator<P> {
    /// Checks an exit. With [`Quorum::Member`], one with fewer signers than needed is good as well, and may come
    /// again with others.
    pub async fn verify_voluntary_exit(
        self: &Arc<Self>,
        exit: SignedVoluntaryExit,
        quorum: Quorum,
    ) -> Result<VerifiedExit<P>, ExitGossipError> {
        self.on_worker("voluntary_exit", Priority::Background, move |validator| {
            let index = exit.message().validator_index;
            if validator.exits.contains(&index) {
                return Err(ExitGossipError::NotFirst(index));
            }
            let state = validator.operations_state()?;
            validator.check_fork(state.slot(), &exit)?;
            let spec = validator.chain.spec();
            let set = check_voluntary_exit(&state, exit.to_ref(), quorum, spec)?;
            signature_scheme::verify(&set)?;
            let is_complete = quorum == Quorum::Threshold
                || check_voluntary_exit(&state, exit.to_ref(), Quorum::Threshold, spec).is_ok();
            if is_complete && !validator.exits.insert(index) {
                return Err(ExitGossipError::NotFirst(index));
            }
            Ok(VerifiedExit {
                exit,
                is_complete,
                state,
            })
        })
        .await
    }
}
