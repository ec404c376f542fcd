//! Why a handler refused its input.

use types::{ArithError, Checkpoint, Epoch, Root, Slot};

/// A handler refused its input. The store is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkChoiceError {
    /// The parent of a block is not known (yet).
    #[error("parent block {0} is unknown")]
    UnknownParent(Root),
    /// A block that the store should know is missing.
    #[error("block {0} is unknown")]
    UnknownBlock(Root),
    /// A block from the future.
    #[error("block of slot {block} arrived in slot {current}")]
    FutureBlock {
        /// Slot of the block.
        block: Slot,
        /// Slot of the store's time.
        current: Slot,
    },
    /// A block that is not later than the finalised epoch's start.
    #[error("block of slot {block} is not later than the finalised slot {finalized}")]
    BlockBeforeFinalized {
        /// Slot of the block.
        block: Slot,
        /// First slot of the finalised epoch.
        finalized: Slot,
    },
    /// A block on a branch without the finalised checkpoint.
    #[error("block descends from {found}, not from the finalised checkpoint {expected:?}")]
    ConflictsWithFinalized {
        /// The finalised checkpoint.
        expected: Checkpoint,
        /// The block's ancestor at that place.
        found: Root,
    },
    /// A block whose payload the execution engine called invalid, or with such an ancestor.
    #[error("block {0} has an invalid execution payload on its branch")]
    InvalidPayload(Root),
    /// A vote whose target epoch is neither the current nor the previous one.
    #[error("target epoch {target} is neither the current epoch {current} nor the one before")]
    TargetEpoch {
        /// Epoch of the vote's target.
        target: Epoch,
        /// Epoch of the store's time.
        current: Epoch,
    },
    /// A vote whose slot lies outside its target epoch.
    #[error("vote of slot {slot} has target epoch {target}")]
    SlotOutsideTarget {
        /// Slot of the vote.
        slot: Slot,
        /// Epoch of the vote's target.
        target: Epoch,
    },
    /// A vote for a block that is later than the vote.
    #[error("vote of slot {vote} is for a block of slot {block}")]
    VoteForFutureBlock {
        /// Slot of the vote.
        vote: Slot,
        /// Slot of the block.
        block: Slot,
    },
    /// A vote whose target is not on the branch of its head.
    #[error("target root {target} is not the checkpoint {expected} of the voted head")]
    TargetNotOnBranch {
        /// Root of the vote's target.
        target: Root,
        /// Checkpoint root of the head's branch.
        expected: Root,
    },
    /// A vote that counts only from the next slot on.
    #[error("vote of slot {vote} counts from the next slot on, now is slot {current}")]
    VoteTooEarly {
        /// Slot of the vote.
        vote: Slot,
        /// Slot of the store's time.
        current: Slot,
    },
    /// Time went backwards.
    #[error("tick at {tick} ms is before the store's time {time} ms")]
    TimeWentBack {
        /// New time in ms since the Unix epoch.
        tick: u64,
        /// The store's time in ms since the Unix epoch.
        time: u64,
    },
    /// The justified checkpoint moved and the owner has not handed in its state yet.
    #[error("state of the justified checkpoint {0:?} was not handed in")]
    JustifiedStateMissing(Checkpoint),
    /// A justified state of another checkpoint than asked for.
    #[error("justified state of {found:?}, expected {expected:?}")]
    WrongJustifiedState {
        /// The store's justified checkpoint.
        expected: Checkpoint,
        /// The checkpoint of the state.
        found: Checkpoint,
    },
    /// No block that could be the head is left on the justified branch.
    #[error("no viable head below the justified block {0}")]
    NoViableHead(Root),
    /// `get_proposer_head` was asked while the head still has its boost.
    #[error("block {0} still has its proposer boost")]
    BoostNotWornOff(Root),
    /// Arithmetic left its range.
    #[error(transparent)]
    Arith(#[from] ArithError),
}
