//! Topic `key_set_change`: complete changes. A member's part is taken by a node's own pool only.
//!
//! Spec: dvt/p2p-interface.md#key_set_change

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use state_transition::dvt::key_set_change::{KeySetChangeError, check_key_set_change};
use state_transition::dvt::signers::Quorum;
use std::sync::Arc;
use types::{BeaconState, ForkName, Preset, SignedKeySetChange, ValidatorIndex};

/// A key-set change is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum KeySetChangeGossipError {
    /// A change of the same number was seen before.
    #[error("change {sequence} of validator {index} was seen before")]
    NotFirst {
        /// The validator.
        index: ValidatorIndex,
        /// Number of the change.
        sequence: u64,
    },
    /// The fork has no key-set changes.
    #[error("there are no key-set changes before the fork dvt")]
    BeforeFork,
    /// Invalid, or not valid now.
    #[error(transparent)]
    Invalid(#[from] KeySetChangeError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(KeySetChangeGossipError);

impl KeySetChangeGossipError {
    /// What to do with the change.
    pub fn verdict(&self) -> Verdict {
        match self {
            // The sender's head may be another one.
            Self::NotFirst { .. }
            | Self::BeforeFork
            | Self::Invalid(
                KeySetChangeError::Sequence { .. }
                | KeySetChangeError::Window { .. }
                | KeySetChangeError::Pending(_)
                | KeySetChangeError::NotActive(_)
                | KeySetChangeError::Exiting(_)
                | KeySetChangeError::Slashed(_)
                | KeySetChangeError::NotCompounding(_)
                | KeySetChangeError::Balance { .. }
                | KeySetChangeError::KeyTaken { .. }
                | KeySetChangeError::NoRoom
                | KeySetChangeError::State(_),
            ) => Verdict::Ignore,
            Self::Invalid(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A key-set change that a block may contain, or a member's part of one.
#[derive(Debug, Clone)]
pub struct VerifiedKeySetChange<P: Preset> {
    /// The change.
    pub change: SignedKeySetChange,
    /// Whether enough keys signed.
    pub is_complete: bool,
    /// The state in which it was checked.
    pub state: Arc<BeaconState<P>>,
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a key-set change. With [`Quorum::Member`], one with fewer signers than needed is good as well, and may
    /// come again with others.
    pub async fn verify_key_set_change(
        self: &Arc<Self>,
        change: SignedKeySetChange,
        quorum: Quorum,
    ) -> Result<VerifiedKeySetChange<P>, KeySetChangeGossipError> {
        self.on_worker("key_set_change", Priority::Background, move |validator| {
            let (index, sequence) = (change.message.validator_index, change.message.sequence);
            let not_first = KeySetChangeGossipError::NotFirst { index, sequence };
            if validator.key_set_changes.contains(&(index, sequence)) {
                return Err(not_first);
            }
            let state = validator.operations_state()?;
            if types::ForkVersioned::fork_name(&*state) != ForkName::Dvt {
                return Err(KeySetChangeGossipError::BeforeFork);
            }
            let spec = validator.chain.spec();
            let sets = check_key_set_change(&state, &change, quorum, spec)?;
            signature_scheme::verify_batch(&sets)?;
            let is_complete =
                quorum == Quorum::Threshold || check_key_set_change(&state, &change, Quorum::Threshold, spec).is_ok();
            if is_complete && !validator.key_set_changes.insert((index, sequence)) {
                return Err(not_first);
            }
            Ok(VerifiedKeySetChange {
                change,
                is_complete,
                state,
            })
        })
        .await
    }
}
