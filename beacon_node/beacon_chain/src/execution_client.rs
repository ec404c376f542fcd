//! Keeping an execution client in step that was away, that lost its database, or that was wrong.

use crate::{BeaconChain, ChainError, ImportError};
use execution_layer::{BlockTag, EngineState, ExecutionLayer};
use fork_choice::ExecutionStatus;
use std::sync::Arc;
use types::{ExecutionPayload, Preset, Root, SignedBeaconBlock, Slot};

/// Invalid blocks that are asked about again in one round.
const MAX_SECOND_OPINIONS: usize = 8;
/// Payloads between two lines of the log.
const PAYLOADS_PER_LINE: u64 = 256;

/// A stored block of the canonical chain.
struct Stored<P: Preset> {
    slot: Slot,
    root: Root,
    block: Arc<SignedBeaconBlock<P>>,
}

impl<P: Preset> Stored<P> {
    fn payload(&self) -> &ExecutionPayload<P> {
        crate::execute::payload_of(self.block.message().body()).0
    }
}

impl<P: Preset> BeaconChain<P> {
    /// Has the head's payload judged again, when the execution client could not judge it before.
    pub async fn reverify_head(self: &Arc<Self>) -> Result<(), ChainError> {
        let head = self.head();
        let (true, Some(block)) = (head.execution_optimistic, &head.block) else {
            return Ok(());
        };
        let status = self.verify_payload(head.root, block).await;
        let _permit = self.import_permit.lock().await;
        match status {
            Ok(ExecutionStatus::Valid) => self.fork_choice.write().on_valid_execution_payload(&head.root)?,
            Err(ImportError::InvalidPayload { reason, .. }) => {
                tracing::error!(root = %head.root, reason, "Execution client calls the head invalid");
                self.fork_choice
                    .write()
                    .on_invalid_execution_payload(&head.root, None)?;
            }
            _ => return Ok(()),
        }
        self.recompute_head_with_permit().await
    }

    /// Asks again about payloads that the execution client has called invalid: a client that was repaired must not need
    /// a restart of this node. An invalid payload stays invalid, and the question is cheap.
    pub async fn reconsider_invalid_payloads(self: &Arc<Self>) -> Result<(), ChainError> {
        // Of each branch only the first one says more than that its parent is invalid.
        let suspects: Vec<Root> = {
            let fork_choice = self.fork_choice.read();
            let is_invalid = |root: &Root| {
                fork_choice
                    .block(root)
                    .is_some_and(|node| node.execution_status == ExecutionStatus::Invalid)
            };
            let mut blocks = fork_choice.blocks().iter().rev();
            blocks
                .by_ref()
                .filter(|node| is_invalid(&node.root) && !is_invalid(&node.parent_root))
                .map(|node| node.root)
                .take(MAX_SECOND_OPINIONS)
                .collect()
        };
        for root in suspects {
            let Some(block) = self.storage.get_block(&root)? else {
                continue;
            };
            if !matches!(self.verify_payload(root, &block).await, Ok(ExecutionStatus::Valid)) {
                continue;
            }
            tracing::warn!(%root, slot = %block.slot(), "Execution client takes back that a payload is invalid");
            let _permit = self.import_permit.lock().await;
            // It may be finalised away meanwhile.
            if self.contains_block(&root) {
                self.fork_choice.write().on_revoked_invalid_payload(&root)?;
                self.recompute_head_with_permit().await?;
            }
        }
        Ok(())
    }

    /// Hands the execution client the payloads that it lacks, from the first one that builds on what it has up to the
    /// head: a client without peers has nobody else to get them from. It stops where the client does not say VALID,
    /// for then it fetches blocks by itself. Gives how many payloads it took.
    pub async fn bring_up_execution_client(self: &Arc<Self>) -> Result<u64, ChainError> {
        let Some(execution_layer) = &self.execution_layer else {
            return Ok(0);
        };
        let (head, state) = (self.head(), execution_layer.state());
        let is_behind = head.execution_optimistic || state == EngineState::Syncing;
        let Some(last) = head.block.as_ref().filter(|_| is_behind && state.answers()) else {
            return Ok(0);
        };
        let last = Stored {
            slot: head.slot(),
            root: head.root,
            block: Arc::clone(last),
        };
        let Some(first) = self.first_missing(execution_layer, &last).await? else {
            return Ok(0);
        };
        let count = last
            .payload()
            .block_number
            .saturating_sub(first.payload().block_number)
            .saturating_add(1);
        if count > 1 {
            tracing::info!(
                payloads = count,
                from_slot = %first.slot,
                head_slot = %last.slot,
                "Execution client lacks blocks, it gets them from this node"
            );
        }
        let taken = self.hand_over(execution_layer, first, &last).await?;
        if taken > 0 {
            let _permit = self.import_permit.lock().await;
            self.recompute_head_with_permit().await?;
            // The head may have been verified long ago, by a client that has lost it since.
            self.notify_execution_layer().await?;
        }
        if taken > 1 {
            tracing::info!(
                payloads = taken,
                of = count,
                "Execution client has taken blocks from this node"
            );
        }
        Ok(taken)
    }

    /// Hands over all payloads from `first` to `last`.
    async fn hand_over(
        &self,
        execution_layer: &ExecutionLayer,
        first: Stored<P>,
        last: &Stored<P>,
    ) -> Result<u64, ChainError> {
        let mut taken = 0u64;
        let mut next = Some(first);
        while let Some(stored) = next {
            match self.verify_payload(stored.root, &stored.block).await {
                Ok(ExecutionStatus::Valid) => {}
                Err(ImportError::InvalidPayload { reason, .. }) => {
                    let (slot, root) = (stored.slot, stored.root);
                    tracing::error!(%slot, %root, reason, "Execution client calls a block of the chain invalid");
                    break;
                }
                // It was told what it lacks and does not take it from here.
                Ok(_) | Err(_) => break,
            }
            {
                let mut fork_choice = self.fork_choice.write();
                if fork_choice.contains(&stored.root) {
                    fork_choice.on_valid_execution_payload(&stored.root)?;
                }
            }
            taken = taken.saturating_add(1);
            if taken.is_multiple_of(PAYLOADS_PER_LINE) {
                tracing::info!(payloads = taken, slot = %stored.slot, head_slot = %last.slot, "Execution client takes blocks");
            }
            if stored.slot >= last.slot {
                break;
            }
            // Step by step, as when it follows: clients keep few states beside their head's branch.
            if let Err(error) = execution_layer.lead_to(stored.payload().block_hash).await {
                tracing::debug!(%error, "Execution client was not led to a block");
                break;
            }
            next = self.stored_from(stored.slot.saturating_add(1u64), last)?;
        }
        Ok(taken)
    }

    /// The first payload up to `last` whose parent the execution client has, and which it lacks itself.
    async fn first_missing(
        &self,
        execution_layer: &ExecutionLayer,
        last: &Stored<P>,
    ) -> Result<Option<Stored<P>>, ChainError> {
        let Ok(Some(latest)) = execution_layer.get_block(BlockTag::Latest).await else {
            return Ok(None);
        };
        // In most cases it is behind on this chain.
        if let Some(next) = self.stored_with_number(latest.number.saturating_add(1), last)?
            && next.payload().parent_hash == latest.hash
        {
            return Ok(Some(next));
        }
        // Its head is on another branch, or beyond. What it has of this chain begins at the bottom.
        let Some(lowest) = self.stored_from(self.earliest_slot()?, last)? else {
            return Ok(None);
        };
        let lowest = lowest.payload().block_number.max(1);
        let (mut low, mut high) = (lowest, last.payload().block_number.saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            let Some(stored) = self.stored_with_number(middle, last)? else {
                return Ok(None);
            };
            match execution_layer.get_block_by_hash(stored.payload().block_hash).await {
                Ok(Some(_)) => low = middle.saturating_add(1),
                Ok(None) => high = middle,
                Err(_) => return Ok(None),
            }
        }
        let Some(first) = self.stored_with_number(low, last)? else {
            return Ok(None);
        };
        match execution_layer.get_block_by_hash(first.payload().parent_hash).await {
            Ok(Some(_)) => Ok(Some(first)),
            Ok(None) => {
                tracing::warn!(
                    number = low,
                    latest = latest.number,
                    "Execution client lacks blocks that this node does not have: it has to get them from its peers"
                );
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// Slot of the first block that is stored.
    fn earliest_slot(&self) -> Result<Slot, ChainError> {
        let oldest = self.storage.oldest_block()?;
        Ok(oldest.map(|(slot, _)| slot).unwrap_or_default())
    }

    /// The first canonical block of `slot` or later, at most `last`.
    fn stored_from(&self, slot: Slot, last: &Stored<P>) -> Result<Option<Stored<P>>, ChainError> {
        let mut slot = slot;
        while slot <= last.slot {
            if let Some(stored) = self.stored_at_or_before(slot)?.filter(|stored| stored.slot >= slot) {
                return Ok(Some(stored));
            }
            slot = slot.saturating_add(1u64);
        }
        Ok(None)
    }

    fn stored_at_or_before(&self, slot: Slot) -> Result<Option<Stored<P>>, ChainError> {
        let Some(root) = self.canonical_root_at_or_before(slot)? else {
            return Ok(None);
        };
        let block = self.get_block(&root)?;
        Ok(block.map(|block| Stored {
            slot: block.slot(),
            root,
            block,
        }))
    }

    /// The canonical block up to `last` whose payload has a number: numbers grow with slots.
    fn stored_with_number(&self, number: u64, last: &Stored<P>) -> Result<Option<Stored<P>>, ChainError> {
        let (mut low, mut high) = (self.earliest_slot()?.as_u64(), last.slot.as_u64());
        while low < high {
            let middle = low.midpoint(high);
            let found = self.stored_at_or_before(Slot::new(middle))?;
            if found.is_none_or(|stored| stored.payload().block_number < number) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(self
            .stored_at_or_before(Slot::new(low))?
            .filter(|stored| stored.payload().block_number == number))
    }
}
