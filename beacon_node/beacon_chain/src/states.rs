//! States of recent blocks, and states advanced to the start of an epoch. Whatever is not at hand is replayed.

use crate::{BeaconChain, ChainError};
use parking_lot::Mutex;
use state_transition::block::{BlockSignatures, state_transition};
use state_transition::process_slots;
use std::collections::VecDeque;
use std::sync::Arc;
use types::{BeaconState, ChainSpec, Checkpoint, Preset, Root, SignedBeaconBlock, Slot};

/// Post-states that are kept. They share what did not change: a state more costs little.
const MAX_BLOCK_STATES: usize = 32;
/// Blocks that are replayed at most for a state from before the anchor: such blocks may have been fetched without any
/// state of theirs. It is more than lies between two states that the database keeps.
const MAX_REPLAYED_HISTORY: usize = 4096;
/// Checkpoint states that are kept.
const MAX_CHECKPOINT_STATES: usize = 8;

#[derive(Debug)]
struct Recent<K, V> {
    /// Least recently used first.
    entries: Mutex<VecDeque<(K, V)>>,
    limit: usize,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    fn new(limit: usize) -> Self {
        Self {
            entries: Mutex::default(),
            limit,
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        let mut entries = self.entries.lock();
        let place = entries.iter().position(|(other, _)| other == key)?;
        let entry = entries.remove(place)?;
        let value = entry.1.clone();
        entries.push_back(entry);
        Some(value)
    }

    fn insert(&self, key: K, value: V) {
        let mut entries = self.entries.lock();
        entries.retain(|(other, _)| *other != key);
        if entries.len() >= self.limit {
            entries.pop_front();
        }
        entries.push_back((key, value));
    }
}

/// States by block root, and by checkpoint.
#[derive(Debug)]
pub(crate) struct StateCache<P: Preset> {
    by_block: Recent<Root, Arc<BeaconState<P>>>,
    by_checkpoint: Recent<Checkpoint, Arc<BeaconState<P>>>,
    /// The anchor: replay never has to go back behind it.
    anchor: Mutex<Option<(Root, Arc<BeaconState<P>>)>>,
}

impl<P: Preset> StateCache<P> {
    pub(crate) fn new() -> Self {
        Self {
            by_block: Recent::new(MAX_BLOCK_STATES),
            by_checkpoint: Recent::new(MAX_CHECKPOINT_STATES),
            anchor: Mutex::default(),
        }
    }

    pub(crate) fn insert(&self, block_root: Root, state: Arc<BeaconState<P>>) {
        self.by_block.insert(block_root, state);
    }

    pub(crate) fn set_anchor(&self, block_root: Root, state: Arc<BeaconState<P>>) {
        *self.anchor.lock() = Some((block_root, state));
    }

    fn get(&self, block_root: &Root) -> Option<Arc<BeaconState<P>>> {
        if let Some((root, state)) = &*self.anchor.lock()
            && root == block_root
        {
            return Some(Arc::clone(state));
        }
        self.by_block.get(block_root)
    }
}

/// Advances a copy of `state` to `slot`, if it is not there yet.
pub(crate) fn advanced<P: Preset>(
    state: &Arc<BeaconState<P>>,
    slot: Slot,
    spec: &ChainSpec,
) -> Result<Arc<BeaconState<P>>, ChainError> {
    if state.slot() >= slot {
        return Ok(Arc::clone(state));
    }
    let mut advanced = BeaconState::clone(state);
    process_slots(&mut advanced, slot, spec)?;
    advanced
        .apply_pending_mutations()
        .map_err(state_transition::StateError::from)?;
    Ok(Arc::new(advanced))
}

impl<P: Preset> BeaconChain<P> {
    /// The state after a block, before any later slot. Blocks: work that may take long; call it from a worker.
    ///
    /// `Ok(None)` if the block is not known, or if it is from before the chain's beginning here and its state cannot be had.
    pub fn state_after_block(&self, block_root: &Root) -> Result<Option<Arc<BeaconState<P>>>, ChainError> {
        if let Some(state) = self.states.get(block_root) {
            return Ok(Some(state));
        }
        let anchor_slot = {
            let fork_choice = self.fork_choice.read();
            fork_choice.blocks().first().map(|node| node.slot).unwrap_or_default()
        };
        // Back to the nearest state, then forward again.
        let mut blocks: Vec<SignedBeaconBlock<P>> = Vec::new();
        let mut root = *block_root;
        let base = loop {
            if let Some(state) = self.states.get(&root) {
                break state;
            }
            if let Some(state) = self.storage.get_state(&root)? {
                break Arc::new(state);
            }
            let is_history = blocks.last().is_none_or(|child| child.slot() <= anchor_slot);
            let Some(block) = self.storage.get_block(&root)? else {
                return if is_history {
                    Ok(None)
                } else {
                    Err(ChainError::MissingBlock(root))
                };
            };
            if is_history && blocks.len() >= MAX_REPLAYED_HISTORY {
                return Ok(None);
            }
            root = block.parent_root();
            blocks.push(block);
        };
        let mut state = BeaconState::clone(&base);
        for block in blocks.into_iter().rev() {
            state_transition(&mut state, &block, BlockSignatures::None, &self.spec).map_err(|reason| {
                ChainError::Replay {
                    root: block.block_root(),
                    reason: Box::new(reason),
                }
            })?;
        }
        let state = Arc::new(state);
        self.states.insert(*block_root, Arc::clone(&state));
        Ok(Some(state))
    }

    /// The state of a block's branch at `slot`, with the empty slots in between processed. Call it from a worker.
    pub fn state_at_slot(&self, block_root: &Root, slot: Slot) -> Result<Option<Arc<BeaconState<P>>>, ChainError> {
        let Some(state) = self.state_after_block(block_root)? else {
            return Ok(None);
        };
        if state.slot() >= slot {
            return Ok(Some(state));
        }
        // Most questions are about one epoch on one branch.
        let epoch_start = slot.epoch::<P>().start_slot::<P>();
        let base = if state.slot() < epoch_start {
            self.checkpoint_state_from(
                &state,
                Checkpoint {
                    epoch: slot.epoch::<P>(),
                    root: *block_root,
                },
            )?
        } else {
            state
        };
        advanced(&base, slot, &self.spec).map(Some)
    }

    /// The state of a checkpoint: its block's branch at the epoch's first slot. Call it from a worker.
    ///
    /// Spec: phase0/fork-choice.md#store_target_checkpoint_state
    pub fn checkpoint_state(&self, checkpoint: Checkpoint) -> Result<Option<Arc<BeaconState<P>>>, ChainError> {
        if let Some(state) = self.states.by_checkpoint.get(&checkpoint) {
            return Ok(Some(state));
        }
        let Some(state) = self.state_after_block(&checkpoint.root)? else {
            return Ok(None);
        };
        self.checkpoint_state_from(&state, checkpoint).map(Some)
    }

    fn checkpoint_state_from(
        &self,
        state: &Arc<BeaconState<P>>,
        checkpoint: Checkpoint,
    ) -> Result<Arc<BeaconState<P>>, ChainError> {
        if let Some(state) = self.states.by_checkpoint.get(&checkpoint) {
            return Ok(state);
        }
        let state = advanced(state, checkpoint.epoch.start_slot::<P>(), &self.spec)?;
        self.states.by_checkpoint.insert(checkpoint, Arc::clone(&state));
        Ok(state)
    }
}
