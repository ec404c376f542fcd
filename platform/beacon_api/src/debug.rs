//! Fork choice, for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{Checkpoint, Epoch, Hash32, Root, Slot};

/// `/eth/v1/debug/fork_choice`. Stands alone, without `data` around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForkChoice {
    /// Justified.
    pub justified_checkpoint: Checkpoint,
    /// Finalised.
    pub finalized_checkpoint: Checkpoint,
    /// Blocks, parents before children.
    pub fork_choice_nodes: Vec<ForkChoiceNode>,
    /// What an implementation adds.
    #[serde(default)]
    pub extra_data: Value,
}

/// A block of the fork choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForkChoiceNode {
    /// Slot of the block.
    pub slot: Slot,
    /// Its root.
    pub block_root: Root,
    /// Its parent, which is not in the list for the first.
    pub parent_root: Root,
    /// Justified by its state.
    pub justified_epoch: Epoch,
    /// Finalised by its state.
    pub finalized_epoch: Epoch,
    /// Gwei that stand behind it.
    #[serde(with = "serde_utils::quoted_u64")]
    pub weight: u64,
    /// What the execution client says.
    pub validity: PayloadValidity,
    /// Hash of its payload.
    pub execution_block_hash: Hash32,
    /// What an implementation adds.
    #[serde(default)]
    pub extra_data: Value,
}

/// What the execution client says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadValidity {
    /// It is valid.
    Valid,
    /// It is invalid.
    Invalid,
    /// Nothing yet.
    Optimistic,
}

/// An entry of `/eth/v2/debug/beacon/heads`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadEntry {
    /// Root of a block without children.
    pub root: Root,
    /// Its slot.
    pub slot: Slot,
    /// Whether the execution client has still to verify it.
    pub execution_optimistic: bool,
}
