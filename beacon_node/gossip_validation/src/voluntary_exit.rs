//! Topic `voluntary_exit`, and a member's part of a group's exit, which only a node's own pool takes.
//!
//! Spec: dvt/p2p-interface.md#voluntary_exit

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use state_transition::block::operations::voluntary_exit::{VoluntaryExitError, check_voluntary_exit};
use state_transition::dvt::accessors::get_key_set_activation_epoch;
use state_transition::dvt::signers::{Quorum, SignersError};
use std::sync::Arc;
use types::{BeaconState, Epoch, Preset, SignedVoluntaryExit, ValidatorIndex};

/// An exit is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum ExitGossipError {
    /// An exit by the validator's keys in force was seen before.
    #[error("an exit of validator {0} was seen before")]
    NotFirst(ValidatorIndex),
    /// Not signed by the keys in force, which have only just come: those before them may have signed it.
    #[error("keys of validator {index} are in force since epoch {since}: {reason}")]
    KeysJustChanged {
        /// The validator.
        index: ValidatorIndex,
        /// First epoch of its keys.
        since: Epoch,
        /// What is wrong.
        reason: VoluntaryExitError,
    },
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
            Self::NotFirst(_) | Self::KeysJustChanged { .. } => Verdict::Ignore,
            // Other heads may know the validator.
            Self::Invalid(VoluntaryExitError::State(_) | VoluntaryExitError::Signers(SignersError::State(_))) => {
                Verdict::Ignore
            }
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
            let state = validator.operations_state()?;
            validator.check_present_fork(&state, &exit)?;
            let epoch = state.current_epoch();
            // A change of the keys voids what those before signed, and the new ones may sign again.
            let since = get_key_set_activation_epoch(&state, index, epoch)?;
            if validator.exits.contains(&(index, since)) {
                return Err(ExitGossipError::NotFirst(index));
            }
            let spec = validator.chain.spec();
            let verified = check_voluntary_exit(&state, exit.to_ref(), quorum, spec)
                .and_then(|set| Ok(signature_scheme::verify(&set)?));
            verified.map_err(|error| match error {
                reason @ (VoluntaryExitError::Signers(_) | VoluntaryExitError::Signature(_))
                    if epoch <= since.saturating_add(1u64) =>
                {
                    ExitGossipError::KeysJustChanged { index, since, reason }
                }
                other => ExitGossipError::Invalid(other),
            })?;
            let is_complete = quorum == Quorum::Threshold
                || check_voluntary_exit(&state, exit.to_ref(), Quorum::Threshold, spec).is_ok();
            if is_complete && !validator.exits.insert((index, since)) {
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
