//! Verdicts of the execution engine on blocks that were imported optimistically.
//!
//! Spec: sync/optimistic.md

use crate::block_tree::ExecutionStatus;
use crate::{ForkChoiceError, Store};
use types::{Hash32, Root};

impl Store {
    /// A payload is valid, and with it those of all ancestors.
    pub fn on_valid_execution_payload(&mut self, root: &Root) -> Result<(), ForkChoiceError> {
        let mut next = Some(self.tree.place(root).ok_or(ForkChoiceError::UnknownBlock(*root))?);
        while let Some(node) = next.and_then(|place| self.tree.nodes_mut().get_mut(place)) {
            if node.execution_status == ExecutionStatus::Invalid {
                return Err(ForkChoiceError::InvalidPayload(node.root));
            }
            node.execution_status = ExecutionStatus::Valid;
            next = node.parent;
            // Ancestors of a valid block are valid already.
            if next.is_some_and(|place| self.is_valid(place)) {
                break;
            }
        }
        Ok(())
    }

    /// A payload is invalid. All blocks from the child of the latest valid ancestor on are, and what descends from
    /// them. If the engine names no known ancestor, only the block itself and its descendants are. What was once called
    /// valid stays so, whatever the engine says later: it contradicts itself.
    pub fn on_invalid_execution_payload(
        &mut self,
        root: &Root,
        latest_valid_hash: Option<Hash32>,
    ) -> Result<(), ForkChoiceError> {
        let block = self.tree.place(root).ok_or(ForkChoiceError::UnknownBlock(*root))?;
        if self.is_valid(block) {
            return Ok(());
        }
        let mut first_invalid = block;
        if let Some(hash) = latest_valid_hash {
            let mut place = block;
            let mut below_valid = None;
            while let Some(parent) = self.tree.at(place).and_then(|node| node.parent) {
                let Some(node) = self.tree.at(parent) else { break };
                if self.is_valid(parent) {
                    below_valid.get_or_insert(place);
                }
                if node.execution_block_hash == hash {
                    first_invalid = below_valid.unwrap_or(place);
                    break;
                }
                place = parent;
            }
        }
        let mut invalid = vec![false; self.tree.nodes().len()];
        for place in first_invalid..self.tree.nodes().len() {
            let Some(node) = self.tree.nodes_mut().get_mut(place) else {
                continue;
            };
            let descends = node
                .parent
                .and_then(|parent| invalid.get(parent).copied())
                .unwrap_or(false);
            if place == first_invalid || descends {
                node.execution_status = ExecutionStatus::Invalid;
                if let Some(flag) = invalid.get_mut(place) {
                    *flag = true;
                }
            }
        }
        if let Some(node) = self.tree.node(&self.proposer_boost_root).ok()
            && node.execution_status == ExecutionStatus::Invalid
        {
            self.proposer_boost_root = Root::ZERO;
        }
        Ok(())
    }

    fn is_valid(&self, place: usize) -> bool {
        self.tree
            .at(place)
            .is_some_and(|node| node.execution_status == ExecutionStatus::Valid)
    }

    /// The engine takes back that a payload is invalid: it was asked again, and calls it valid. What builds on the block
    /// was refused for its sake, so it is unverified again.
    pub fn on_revoked_invalid_payload(&mut self, root: &Root) -> Result<(), ForkChoiceError> {
        let block = self.tree.place(root).ok_or(ForkChoiceError::UnknownBlock(*root))?;
        let mut revoked = vec![false; self.tree.nodes().len()];
        for place in block..self.tree.nodes().len() {
            let Some(node) = self.tree.nodes_mut().get_mut(place) else {
                continue;
            };
            let descends = node
                .parent
                .and_then(|parent| revoked.get(parent).copied())
                .unwrap_or(false);
            if place == block || descends {
                if node.execution_status == ExecutionStatus::Invalid {
                    node.execution_status = ExecutionStatus::Optimistic;
                }
                if let Some(flag) = revoked.get_mut(place) {
                    *flag = true;
                }
            }
        }
        self.on_valid_execution_payload(root)
    }

    /// Whether a block's payload, or one before it, has not been verified.
    pub fn is_optimistic(&self, root: &Root) -> Option<bool> {
        self.block(root)
            .map(|node| node.execution_status == ExecutionStatus::Optimistic)
    }
}
