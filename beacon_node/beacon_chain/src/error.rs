//! Why a block was not imported, and what can go wrong inside.

use execution_layer::EngineError;
use fork_choice::ForkChoiceError;
use runtime::PoolError;
use state_transition::block::BlockError;
use state_transition::{SlotError, StateError};
use storage::StorageError;
use types::{Root, Slot};

/// Something inside failed: not a peer's fault.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The database.
    #[error("database: {0}")]
    Storage(#[from] StorageError),
    /// Fork choice.
    #[error("fork choice: {0}")]
    ForkChoice(Box<ForkChoiceError>),
    /// A state could not be advanced.
    #[error("state: {0}")]
    Slot(Box<SlotError>),
    /// A state could not answer.
    #[error("state: {0}")]
    State(Box<StateError>),
    /// A stored block does not apply to the state of its parent.
    #[error("stored block {root} does not apply: {reason}")]
    Replay {
        /// The block.
        root: Root,
        /// Why not.
        reason: Box<BlockError>,
    },
    /// A block that the database should hold is missing.
    #[error("block {0} is missing in the database")]
    MissingBlock(Root),
    /// A state that the database should hold is missing.
    #[error("state after block {0} is missing in the database")]
    MissingState(Root),
    /// Workers are overloaded or stopped.
    #[error("workers: {0}")]
    Workers(#[from] PoolError),
    /// The genesis state or the database contradict the configuration.
    #[error("{0}")]
    Configuration(String),
}

impl From<ForkChoiceError> for ChainError {
    fn from(error: ForkChoiceError) -> Self {
        Self::ForkChoice(Box::new(error))
    }
}

impl From<SlotError> for ChainError {
    fn from(error: SlotError) -> Self {
        Self::Slot(Box::new(error))
    }
}

impl From<StateError> for ChainError {
    fn from(error: StateError) -> Self {
        Self::State(Box::new(error))
    }
}

/// A block was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The parent is not known (yet).
    #[error("parent {0} is unknown")]
    UnknownParent(Root),
    /// Imported before.
    #[error("block {0} is known already")]
    AlreadyKnown(Root),
    /// Too early: the slot has not come.
    #[error("block is of slot {block}, now is slot {current}")]
    FutureSlot {
        /// Slot of the block.
        block: Slot,
        /// Current slot.
        current: Slot,
    },
    /// The block conflicts with finality, or descends from something invalid.
    #[error("{0}")]
    ForkChoice(Box<ForkChoiceError>),
    /// The block is invalid.
    #[error("invalid block: {0}")]
    Invalid(Box<BlockError>),
    /// The execution client calls the payload invalid.
    #[error("execution client: payload of block {root} is invalid: {reason}")]
    InvalidPayload {
        /// The block.
        root: Root,
        /// What the execution client says.
        reason: String,
    },
    /// The block's data columns are not here (yet).
    #[error("data columns of block {0} are not available")]
    DataUnavailable(Root),
    /// The execution client could not be asked, where its verdict is needed at once.
    #[error("execution client: {0}")]
    Engine(Box<EngineError>),
    /// Something inside failed.
    #[error(transparent)]
    Internal(#[from] ChainError),
}

impl ImportError {
    /// Whether the block itself is wrong, so that whoever sent it is to blame.
    pub fn is_invalid_block(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::InvalidPayload { .. } => true,
            Self::ForkChoice(error) => matches!(
                **error,
                ForkChoiceError::ConflictsWithFinalized { .. } | ForkChoiceError::InvalidPayload(_)
            ),
            Self::UnknownParent(_)
            | Self::AlreadyKnown(_)
            | Self::FutureSlot { .. }
            | Self::DataUnavailable(_)
            | Self::Engine(_)
            | Self::Internal(_) => false,
        }
    }

    /// Whether an execution client says so, of this block or of one before it: not everybody may know yet.
    pub fn is_invalid_payload(&self) -> bool {
        match self {
            Self::InvalidPayload { .. } => true,
            Self::ForkChoice(error) => matches!(**error, ForkChoiceError::InvalidPayload(_)),
            _ => false,
        }
    }
}

impl From<BlockError> for ImportError {
    fn from(error: BlockError) -> Self {
        Self::Invalid(Box::new(error))
    }
}

impl From<ForkChoiceError> for ImportError {
    fn from(error: ForkChoiceError) -> Self {
        match error {
            ForkChoiceError::UnknownParent(root) => Self::UnknownParent(root),
            ForkChoiceError::FutureBlock { block, current } => Self::FutureSlot { block, current },
            other => Self::ForkChoice(Box::new(other)),
        }
    }
}

impl From<EngineError> for ImportError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<StorageError> for ImportError {
    fn from(error: StorageError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<PoolError> for ImportError {
    fn from(error: PoolError) -> Self {
        Self::Internal(error.into())
    }
}
