//! Why there is no block to sign, or why a signed one was not taken.

use beacon_chain::{ChainError, ImportError};
use block_production::ProductionError;
use gossip_validation::{BlockGossipError, GroupBlockGossipError};
use intake::MakeColumnsError;
use runtime::PoolError;
use state_transition::{SlotError, StateError};
use types::{Root, Slot, ValidatorIndex};

/// There is no block to sign.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The reveal is of no key of the group that proposes.
    #[error("the reveal verifies under no key of group {proposer}, which proposes in slot {slot}")]
    NotAMember {
        /// The group.
        proposer: ValidatorIndex,
        /// The slot.
        slot: Slot,
    },
    /// No proposal that a member may sign came in time.
    #[error("no leader of group {proposer} has made a proposal for slot {slot} that this node may sign")]
    NoProposal {
        /// The group.
        proposer: ValidatorIndex,
        /// The slot.
        slot: Slot,
    },
    /// This node could not make a block.
    #[error(transparent)]
    Production(#[from] ProductionError),
}

macro_rules! internal {
    ($($error:ty),*) => {
        $(impl From<$error> for ProduceError {
            fn from(error: $error) -> Self {
                Self::Production(error.into())
            }
        })*
    };
}
internal!(ChainError, StateError, SlotError, PoolError);

/// A signed block was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PublishBlockError {
    /// A blinded block that nobody here has the payload of.
    #[error("blinded block {0} is not known to this node, so its payload cannot be filled in")]
    UnknownPayload(Root),
    /// The signature is of no key of the group.
    #[error("the signature verifies under no key of group {0}")]
    NotAMember(ValidatorIndex),
    /// The block's parent is not known.
    #[error("parent {0} is unknown")]
    UnknownParent(Root),
    /// The block's layout has no room for what a member signs.
    #[error("groups propose only after the fork dvt")]
    BeforeFork,
    /// It does not meet the conditions of gossip.
    #[error(transparent)]
    Gossip(#[from] BlockGossipError),
    /// A member's part does not meet the conditions of gossip.
    #[error(transparent)]
    GroupGossip(#[from] GroupBlockGossipError),
    /// Its blobs are not those that it commits to.
    #[error(transparent)]
    Columns(MakeColumnsError),
    /// It was to be imported first, and was not.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Something inside failed.
    #[error(transparent)]
    Internal(#[from] ChainError),
}

impl From<MakeColumnsError> for PublishBlockError {
    fn from(error: MakeColumnsError) -> Self {
        match error {
            MakeColumnsError::Internal(error) => Self::Internal(error),
            wrong => Self::Columns(wrong),
        }
    }
}

impl From<StateError> for PublishBlockError {
    fn from(error: StateError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<PoolError> for PublishBlockError {
    fn from(error: PoolError) -> Self {
        Self::Internal(error.into())
    }
}
