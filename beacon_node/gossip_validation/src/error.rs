//! What can be wrong with a message of any topic.

use crate::Verdict;
use beacon_chain::ChainError;
use runtime::PoolError;
use signature_scheme::SignatureError;
use state_transition::StateError;
use types::{Epoch, ForkName, Root, Slot};

/// A reason that messages of several topics share.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// A block that is not imported (yet). The message may be tried again when it is.
    #[error("block {0} is unknown")]
    UnknownBlock(Root),
    /// A block that is invalid, or descends from one.
    #[error("block {0} is invalid")]
    InvalidBlock(Root),
    /// A block whose payload this node's execution client calls invalid. Others may not know yet, or know better.
    #[error("payload of block {0} is invalid")]
    InvalidPayload(Root),
    /// Too early.
    #[error("message is of slot {slot}, now is slot {current}")]
    FutureSlot {
        /// Slot of the message.
        slot: Slot,
        /// Current slot.
        current: Slot,
    },
    /// Too late.
    #[error("message is of slot {slot}, slots before {earliest} are over")]
    PastSlot {
        /// Slot of the message.
        slot: Slot,
        /// Earliest slot of which messages are passed on.
        earliest: Slot,
    },
    /// Of an epoch that is over or has not come.
    #[error("message is of epoch {epoch}, now is epoch {current}")]
    EpochOutOfRange {
        /// Epoch of the message.
        epoch: Epoch,
        /// Current epoch.
        current: Epoch,
    },
    /// A layout of another fork than the message's slot has.
    #[error("message has the layout of {found}, its slot is of {expected}")]
    WrongFork {
        /// Fork of the slot.
        expected: ForkName,
        /// Fork of the layout.
        found: ForkName,
    },
    /// A layout of another fork than the present one, of a message that says no slot: it may have been sent before the fork.
    #[error("message has the layout of {found}, the chain is in {expected}")]
    NotOfPresentFork {
        /// Fork of the head.
        expected: ForkName,
        /// Fork of the layout.
        found: ForkName,
    },
    /// A block that does not descend from what is final.
    #[error("block {block} does not descend from the finalised block {finalized}")]
    NotFinalizedDescendant {
        /// The block.
        block: Root,
        /// Block of the finalised checkpoint.
        finalized: Root,
    },
    /// A signer that does not exist, or that the state does not know under this index.
    #[error("signer: {0}")]
    Signer(StateError),
    /// A signature does not verify.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// The state could not answer; not the sender's fault.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// Something inside failed; not the sender's fault.
    #[error(transparent)]
    Internal(#[from] ChainError),
}

impl SharedError {
    /// What to do with the message.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::InvalidBlock(_) | Self::WrongFork { .. } | Self::Signer(_) | Self::Signature(_) => Verdict::Reject,
            Self::UnknownBlock(_)
            | Self::InvalidPayload(_)
            | Self::FutureSlot { .. }
            | Self::PastSlot { .. }
            | Self::EpochOutOfRange { .. }
            | Self::NotOfPresentFork { .. }
            | Self::NotFinalizedDescendant { .. }
            | Self::State(_)
            | Self::Internal(_) => Verdict::Ignore,
        }
    }
}

impl From<PoolError> for SharedError {
    fn from(error: PoolError) -> Self {
        Self::Internal(error.into())
    }
}

/// Gives an error enum with a variant `Shared` the conversions and the question for an unknown block.
macro_rules! impl_shared {
    ($($name:ty),*) => {$(
        impl From<runtime::PoolError> for $name {
            fn from(error: runtime::PoolError) -> Self {
                Self::Shared(error.into())
            }
        }
        impl From<beacon_chain::ChainError> for $name {
            fn from(error: beacon_chain::ChainError) -> Self {
                Self::Shared(error.into())
            }
        }
        impl From<state_transition::StateError> for $name {
            fn from(error: state_transition::StateError) -> Self {
                Self::Shared(error.into())
            }
        }
        impl From<signature_scheme::SignatureError> for $name {
            fn from(error: signature_scheme::SignatureError) -> Self {
                Self::Shared(error.into())
            }
        }
        impl $crate::validator::HasVerdict for $name {
            fn verdict_of(&self) -> $crate::Verdict {
                self.verdict()
            }
        }
        impl $name {
            /// The block that has to be imported before the message can be judged, if that is all that is missing.
            pub fn unknown_block(&self) -> Option<types::Root> {
                match self {
                    Self::Shared($crate::SharedError::UnknownBlock(root)) => Some(*root),
                    _ => None,
                }
            }
        }
    )*};
}
pub(crate) use impl_shared;
