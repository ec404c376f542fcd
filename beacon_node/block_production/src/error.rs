//! Why there is nothing to sign.

use beacon_chain::ChainError;
use data_columns::DataColumnError;
use execution_layer::EngineError;
use fork_choice::ForkChoiceError;
use runtime::PoolError;
use state_transition::block::BlockError;
use state_transition::{SlotError, StateError};
use types::{Root, Slot, ValidatorIndex};

/// No block or attestation data could be made.
#[derive(Debug, thiserror::Error)]
pub enum ProductionError {
    /// The slot is too far from now, or not after the parent.
    #[error("slot {slot} cannot be produced for: the head is of slot {head}, now is slot {current}")]
    Slot {
        /// The slot asked for.
        slot: Slot,
        /// Slot of the head, or of the parent asked for.
        head: Slot,
        /// Current slot.
        current: Slot,
    },
    /// The head's payload is not verified: nothing is signed on top.
    #[error("payload of head {0} is not verified by the execution client yet")]
    Optimistic(Root),
    /// The block to build on is not known.
    #[error("block {0} is unknown")]
    UnknownParent(Root),
    /// There is no execution client to build a payload.
    #[error("no execution client is configured")]
    NoExecutionClient,
    /// Another proposer than the slot's.
    #[error("proposer of slot {slot} is {expected}, block was asked for by {found}")]
    Proposer {
        /// The slot.
        slot: Slot,
        /// The slot's proposer.
        expected: ValidatorIndex,
        /// Who asked.
        found: ValidatorIndex,
    },
    /// The reveal does not verify.
    #[error("reveal: {0}")]
    Randao(#[from] state_transition::block::randao::RandaoError),
    /// More proofs of the reveal than a block has room for.
    #[error("reveal has {0} proofs, a block has room for 1")]
    RandaoProofs(usize),
    /// A committee that does not exist.
    #[error("committee {index} does not exist: slot {slot} has {count}")]
    UnknownCommittee {
        /// The committee.
        index: u64,
        /// The slot.
        slot: Slot,
        /// Committees of the slot.
        count: u64,
    },
    /// The execution client built no payload.
    #[error("execution client: {0}")]
    Engine(#[from] EngineError),
    /// The blobs have no cells.
    #[error("blobs of the execution client: {0}")]
    Blobs(#[from] DataColumnError),
    /// The block that was made is not valid.
    #[error("block of slot {slot} does not apply: {reason}")]
    Invalid {
        /// The slot.
        slot: Slot,
        /// Why not.
        reason: BlockError,
    },
    /// Signatures in the pool are malformed.
    #[error("sync committee signatures: {0}")]
    Signature(#[from] bls::BlsError),
    /// The state could not answer.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// The state could not be advanced.
    #[error("state: {0}")]
    SlotProcessing(#[from] SlotError),
    /// Something inside failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl From<PoolError> for ProductionError {
    fn from(error: PoolError) -> Self {
        Self::Chain(error.into())
    }
}

impl From<ForkChoiceError> for ProductionError {
    fn from(error: ForkChoiceError) -> Self {
        Self::Chain(error.into())
    }
}
