//! What the chain tells the rest of the node.

use execution_layer::PayloadAttributes;
use types::{Checkpoint, Epoch, Hash32, Root, Slot, ValidatorIndex};

/// Something happened to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// A block was imported.
    Block {
        /// Slot of the block.
        slot: Slot,
        /// The block.
        root: Root,
        /// Whether its payload is not verified.
        execution_optimistic: bool,
    },
    /// There is a new head.
    Head {
        /// Slot of the head.
        slot: Slot,
        /// The head.
        root: Root,
        /// Root of its state.
        state_root: Root,
        /// Whether the head is the first of its epoch on its branch.
        epoch_transition: bool,
        /// What fixes the attester duties of the head's epoch.
        previous_duty_dependent_root: Root,
        /// What fixes the proposer duties of the head's epoch.
        current_duty_dependent_root: Root,
        /// Whether its payload is not verified.
        execution_optimistic: bool,
    },
    /// The new head does not descend from the old one.
    Reorg {
        /// Slot of the new head.
        slot: Slot,
        /// Slots from the common ancestor to the old head.
        depth: u64,
        /// The old head.
        old_head: Root,
        /// Root of its state.
        old_state: Root,
        /// The new head.
        new_head: Root,
        /// Root of its state.
        new_state: Root,
        /// Epoch of the new head.
        epoch: Epoch,
    },
    /// There is a new finalised checkpoint.
    Finalized {
        /// The checkpoint.
        checkpoint: Checkpoint,
        /// State root of its block.
        state_root: Root,
    },
    /// The execution client has been told to begin a payload.
    PayloadBegun(Box<PayloadBegun>),
}

/// A payload that the execution client has been told to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadBegun {
    /// Slot of its block.
    pub proposal_slot: Slot,
    /// Who proposes then.
    pub proposer_index: ValidatorIndex,
    /// Number of the payload that it builds on.
    pub parent_block_number: u64,
    /// Hash of the payload that it builds on.
    pub parent_block_hash: Hash32,
    /// What it must have, with the block that it builds on.
    pub attributes: PayloadAttributes,
}
