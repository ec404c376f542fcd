//! The tree of blocks: ancestors, viability, weights.

use crate::ForkChoiceError;
use std::collections::HashMap;
use types::{Checkpoint, Gwei, Hash32, Preset, Root, SafeArith, Slot, ValidatorIndex};

/// What the execution engine said of a block's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// VALID.
    Valid,
    /// Not answered yet: SYNCING or ACCEPTED.
    Optimistic,
    /// INVALID.
    Invalid,
}

/// A block as fork choice sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockNode {
    /// Root of the block.
    pub root: Root,
    /// Slot of the block.
    pub slot: Slot,
    /// Registry index of the proposer.
    pub proposer_index: ValidatorIndex,
    /// Root of the state after the block.
    pub state_root: Root,
    /// Root of the parent; of the anchor's parent for the anchor.
    pub parent_root: Root,
    /// Place of the parent, none for the anchor.
    pub(crate) parent: Option<usize>,
    /// Hash of the execution payload.
    pub execution_block_hash: Hash32,
    /// What the execution engine said.
    pub execution_status: ExecutionStatus,
    /// Justified checkpoint of the post-state.
    pub justified_checkpoint: Checkpoint,
    /// Finalised checkpoint of the post-state.
    pub finalized_checkpoint: Checkpoint,
    /// Justified checkpoint after the post-state is pulled up to the next epoch.
    pub unrealized_justified_checkpoint: Checkpoint,
    /// Finalised checkpoint after the post-state is pulled up to the next epoch.
    pub unrealized_finalized_checkpoint: Checkpoint,
    /// Whether it arrived in its slot before attestations are due.
    pub is_timely: bool,
}

/// Blocks in order of arrival: a parent always stands before its children.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockTree {
    nodes: Vec<BlockNode>,
    places: HashMap<Root, usize>,
}

/// Conditions that a leaf must meet, as `filter_block_tree` states them.
pub(crate) struct LeafConditions<F> {
    /// Whether the leaf's voting source is close enough to the store's justified checkpoint.
    pub(crate) correct_justified: F,
    /// The store's finalised checkpoint.
    pub(crate) finalized_checkpoint: Checkpoint,
    /// Its first slot.
    pub(crate) finalized_slot: Slot,
}

impl BlockTree {
    pub(crate) fn nodes(&self) -> &[BlockNode] {
        &self.nodes
    }

    pub(crate) fn nodes_mut(&mut self) -> &mut [BlockNode] {
        &mut self.nodes
    }

    pub(crate) fn place(&self, root: &Root) -> Option<usize> {
        self.places.get(root).copied()
    }

    pub(crate) fn node(&self, root: &Root) -> Result<&BlockNode, ForkChoiceError> {
        self.place(root)
            .and_then(|place| self.nodes.get(place))
            .ok_or(ForkChoiceError::UnknownBlock(*root))
    }

    pub(crate) fn at(&self, place: usize) -> Option<&BlockNode> {
        self.nodes.get(place)
    }

    pub(crate) fn insert(&mut self, node: BlockNode) {
        self.places.insert(node.root, self.nodes.len());
        self.nodes.push(node);
    }

    /// Spec: phase0/fork-choice.md#get_ancestor
    pub(crate) fn get_ancestor(&self, root: &Root, slot: Slot) -> Result<Root, ForkChoiceError> {
        let mut node = self.node(root)?;
        while node.slot > slot {
            match node.parent.and_then(|parent| self.at(parent)) {
                Some(parent) => node = parent,
                // The anchor stands for everything before it.
                None => break,
            }
        }
        Ok(node.root)
    }

    /// Spec: phase0/fork-choice.md#get_checkpoint_block
    pub(crate) fn get_checkpoint_block<P: Preset>(
        &self,
        root: &Root,
        epoch: types::Epoch,
    ) -> Result<Root, ForkChoiceError> {
        self.get_ancestor(root, epoch.start_slot::<P>())
    }

    /// For each block whether it may be part of the way to the head.
    ///
    /// Spec: phase0/fork-choice.md#filter_block_tree
    pub(crate) fn viable<F: Fn(&BlockNode) -> bool>(&self, conditions: &LeafConditions<F>) -> Vec<bool> {
        let genesis = conditions.finalized_checkpoint.epoch == types::constants::GENESIS_EPOCH;
        let mut correct_finalized = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let is_finalized = node.root == conditions.finalized_checkpoint.root;
            let after_finalized = node.slot > conditions.finalized_slot
                && node
                    .parent
                    .and_then(|parent| correct_finalized.get(parent).copied())
                    .unwrap_or(false);
            correct_finalized.push(genesis || is_finalized || after_finalized);
        }

        let mut has_child = vec![false; self.nodes.len()];
        let mut has_viable_child = vec![false; self.nodes.len()];
        let mut viable = vec![false; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate().rev() {
            if node.execution_status == ExecutionStatus::Invalid {
                continue;
            }
            let child = |flags: &[bool]| flags.get(place).copied().unwrap_or(false);
            let is_viable = if child(&has_child) {
                child(&has_viable_child)
            } else {
                child(&correct_finalized) && (conditions.correct_justified)(node)
            };
            if let Some(flag) = viable.get_mut(place) {
                *flag = is_viable;
            }
            if let Some(parent) = node.parent {
                if let Some(flag) = has_child.get_mut(parent) {
                    *flag = true;
                }
                if let Some(flag) = has_viable_child.get_mut(parent) {
                    *flag |= is_viable;
                }
            }
        }
        viable
    }

    /// Adds each block's weight to all its ancestors.
    pub(crate) fn accumulate(&self, weights: &mut [Gwei]) -> Result<(), ForkChoiceError> {
        for (place, node) in self.nodes.iter().enumerate().rev() {
            let Some(parent) = node.parent else { continue };
            let weight = weights.get(place).copied().unwrap_or_default();
            if let Some(total) = weights.get_mut(parent) {
                total.safe_add_assign(weight)?;
            }
        }
        Ok(())
    }

    /// Goes from `start` to the heaviest viable child until there is none. Ties go to the higher root.
    pub(crate) fn heaviest_leaf(&self, start: usize, viable: &[bool], weights: &[Gwei]) -> usize {
        let mut best_child: Vec<Option<(Gwei, Root, usize)>> = vec![None; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            let (Some(parent), Some(true)) = (node.parent, viable.get(place)) else {
                continue;
            };
            let candidate = (weights.get(place).copied().unwrap_or_default(), node.root, place);
            if let Some(best) = best_child.get_mut(parent)
                && best.is_none_or(|best| candidate > best)
            {
                *best = Some(candidate);
            }
        }
        let mut head = start;
        while let Some(Some((_, _, child))) = best_child.get(head) {
            head = *child;
        }
        head
    }

    /// Drops everything that does not descend from `root`. Returns the new place of each old one.
    pub(crate) fn prune(&mut self, root: &Root) -> Vec<Option<usize>> {
        let mut moved: Vec<Option<usize>> = Vec::with_capacity(self.nodes.len());
        let mut kept = Self::default();
        for node in std::mem::take(&mut self.nodes) {
            let parent = node.parent.and_then(|parent| moved.get(parent).copied().flatten());
            let keep = node.root == *root || parent.is_some();
            moved.push(keep.then_some(kept.nodes.len()));
            if keep {
                kept.insert(BlockNode {
                    parent: (node.root != *root).then_some(parent).flatten(),
                    ..node
                });
            }
        }
        *self = kept;
        moved
    }
}
