//! The store and its handlers.

use crate::ForkChoiceError;
use crate::block_tree::{BlockNode, BlockTree, ExecutionStatus, LeafConditions};
use crate::justified::JustifiedState;
use crate::votes::{LatestMessage, Votes};
use std::collections::VecDeque;
use std::sync::Arc;
use types::constants::{BASIS_POINTS, GENESIS_EPOCH};
use types::{
    AttestationData, BeaconBlockRef, BeaconState, ChainSpec, Checkpoint, Epoch, Gwei, Hash32, Preset, Root, SafeArith,
    SignerIndex, Slot, ValidatorIndex,
};

/// What fork choice needs of a block and its post-state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSummary {
    /// Root of the block.
    pub root: Root,
    /// Slot of the block.
    pub slot: Slot,
    /// Registry index of the proposer.
    pub proposer_index: ValidatorIndex,
    /// Root of the parent.
    pub parent_root: Root,
    /// Root of the post-state.
    pub state_root: Root,
    /// Hash of the execution payload.
    pub execution_block_hash: Hash32,
    /// Justified checkpoint of the post-state.
    pub justified_checkpoint: Checkpoint,
    /// Finalised checkpoint of the post-state.
    pub finalized_checkpoint: Checkpoint,
    /// Justified checkpoint after `process_justification_and_finalization` on the post-state.
    pub unrealized_justified_checkpoint: Checkpoint,
    /// Finalised checkpoint after `process_justification_and_finalization` on the post-state.
    pub unrealized_finalized_checkpoint: Checkpoint,
}

impl BlockSummary {
    /// Summary of `block` whose post-state is `state`; `unrealized` are the checkpoints
    /// `(justified, finalized)` after the state is pulled up.
    pub fn new<P: Preset>(
        root: Root,
        block: BeaconBlockRef<'_, P>,
        state: &BeaconState<P>,
        unrealized: (Checkpoint, Checkpoint),
    ) -> Self {
        let execution_block_hash = match block {
            BeaconBlockRef::Fulu(block) => block.body.execution_payload.block_hash,
            BeaconBlockRef::Dvt(block) => block.body.execution_payload.block_hash,
        };
        Self {
            root,
            slot: block.slot(),
            proposer_index: block.proposer_index(),
            parent_root: block.parent_root(),
            state_root: block.state_root(),
            execution_block_hash,
            justified_checkpoint: state.current_justified_checkpoint(),
            finalized_checkpoint: state.finalized_checkpoint(),
            unrealized_justified_checkpoint: unrealized.0,
            unrealized_finalized_checkpoint: unrealized.1,
        }
    }
}

/// A vote that waits for its slot to pass.
#[derive(Debug, Clone)]
struct QueuedVote {
    attesting_indices: Vec<SignerIndex>,
    data: AttestationData,
}

/// Longest queue of votes that wait for their slot to pass.
const MAX_QUEUED_VOTES: usize = 16_384;

/// Spec: phase0/fork-choice.md#store
#[derive(Debug, Clone)]
pub struct Store {
    /// Milliseconds since the Unix epoch.
    pub(crate) time_ms: u64,
    /// Seconds since the Unix epoch.
    pub(crate) genesis_time: u64,
    pub(crate) justified_checkpoint: Checkpoint,
    pub(crate) finalized_checkpoint: Checkpoint,
    pub(crate) unrealized_justified_checkpoint: Checkpoint,
    pub(crate) unrealized_finalized_checkpoint: Checkpoint,
    pub(crate) proposer_boost_root: Root,
    pub(crate) tree: BlockTree,
    pub(crate) votes: Votes,
    pub(crate) justified_state: Option<Arc<JustifiedState>>,
    queued_votes: VecDeque<QueuedVote>,
}

impl Store {
    /// A store that trusts `anchor`, a block and its post-state, and never goes back behind it.
    ///
    /// Spec: phase0/fork-choice.md#get_forkchoice_store
    pub fn get_forkchoice_store<P: Preset>(
        anchor_state: &BeaconState<P>,
        anchor: BlockSummary,
        spec: &ChainSpec,
    ) -> Result<Self, ForkChoiceError> {
        let checkpoint = Checkpoint {
            epoch: anchor_state.current_epoch(),
            root: anchor.root,
        };
        let since_genesis = anchor_state.slot().as_u64().safe_mul(spec.slot_duration_ms)?;
        let mut tree = BlockTree::default();
        tree.insert(BlockNode {
            root: anchor.root,
            slot: anchor.slot,
            proposer_index: anchor.proposer_index,
            state_root: anchor.state_root,
            parent_root: anchor.parent_root,
            parent: None,
            execution_block_hash: anchor.execution_block_hash,
            execution_status: ExecutionStatus::Valid,
            justified_checkpoint: anchor.justified_checkpoint,
            finalized_checkpoint: anchor.finalized_checkpoint,
            unrealized_justified_checkpoint: checkpoint,
            unrealized_finalized_checkpoint: checkpoint,
            is_timely: true,
        });
        Ok(Self {
            time_ms: anchor_state.genesis_time().safe_mul(1000)?.safe_add(since_genesis)?,
            genesis_time: anchor_state.genesis_time(),
            justified_checkpoint: checkpoint,
            finalized_checkpoint: checkpoint,
            unrealized_justified_checkpoint: checkpoint,
            unrealized_finalized_checkpoint: checkpoint,
            proposer_boost_root: Root::ZERO,
            tree,
            votes: Votes::default(),
            justified_state: Some(Arc::new(JustifiedState::new(checkpoint, anchor_state)?)),
            queued_votes: VecDeque::new(),
        })
    }

    /// Milliseconds since the Unix epoch.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Seconds since the Unix epoch.
    pub fn genesis_time(&self) -> u64 {
        self.genesis_time
    }

    /// The justified checkpoint: where the head is searched from.
    pub fn justified_checkpoint(&self) -> Checkpoint {
        self.justified_checkpoint
    }

    /// The finalised checkpoint.
    pub fn finalized_checkpoint(&self) -> Checkpoint {
        self.finalized_checkpoint
    }

    /// The justified checkpoint as it will be at the next epoch.
    pub fn unrealized_justified_checkpoint(&self) -> Checkpoint {
        self.unrealized_justified_checkpoint
    }

    /// The finalised checkpoint as it will be at the next epoch.
    pub fn unrealized_finalized_checkpoint(&self) -> Checkpoint {
        self.unrealized_finalized_checkpoint
    }

    /// The block that has the proposer boost; zero if none has.
    pub fn proposer_boost_root(&self) -> Root {
        self.proposer_boost_root
    }

    /// All blocks, parents before children.
    pub fn blocks(&self) -> &[BlockNode] {
        self.tree.nodes()
    }

    /// A block.
    pub fn block(&self, root: &Root) -> Option<&BlockNode> {
        self.tree.node(root).ok()
    }

    /// Whether a block is known.
    pub fn contains(&self, root: &Root) -> bool {
        self.tree.place(root).is_some()
    }

    /// The latest vote of a signer and the block it is for, if that block is still known.
    pub fn latest_message(&self, signer: SignerIndex) -> Option<(LatestMessage, Option<Root>)> {
        let message = self.votes.get(signer)?;
        let root = message
            .place
            .and_then(|place| self.tree.at(place as usize))
            .map(|node| node.root);
        Some((message, root))
    }

    /// Whether evidence has discounted a registry entry.
    pub fn is_equivocating(&self, index: ValidatorIndex) -> bool {
        self.votes.equivocating_indices.contains(&index)
    }

    fn since_genesis_ms(&self) -> u64 {
        self.time_ms.saturating_sub(self.genesis_time.saturating_mul(1000))
    }

    /// Spec: phase0/fork-choice.md#get_current_slot
    pub fn get_current_slot(&self, spec: &ChainSpec) -> Slot {
        Slot::new(
            self.since_genesis_ms()
                .checked_div(spec.slot_duration_ms)
                .unwrap_or_default(),
        )
    }

    /// Spec: phase0/fork-choice.md#get_current_store_epoch
    pub fn get_current_store_epoch<P: Preset>(&self, spec: &ChainSpec) -> Epoch {
        self.get_current_slot(spec).epoch::<P>()
    }

    /// Milliseconds since the current slot's start.
    pub(crate) fn time_into_slot_ms(&self, spec: &ChainSpec) -> u64 {
        self.since_genesis_ms()
            .checked_rem(spec.slot_duration_ms)
            .unwrap_or_default()
    }

    /// Spec: phase0/fork-choice.md#get_ancestor
    pub fn get_ancestor(&self, root: &Root, slot: Slot) -> Result<Root, ForkChoiceError> {
        self.tree.get_ancestor(root, slot)
    }

    /// Spec: phase0/fork-choice.md#get_checkpoint_block
    pub fn get_checkpoint_block<P: Preset>(&self, root: &Root, epoch: Epoch) -> Result<Root, ForkChoiceError> {
        self.tree.get_checkpoint_block::<P>(root, epoch)
    }

    /// Whether `descendant` is `ancestor` or descends from it. False if one of them is unknown.
    pub fn is_descendant(&self, ancestor: &Root, descendant: &Root) -> bool {
        self.tree
            .node(ancestor)
            .and_then(|node| self.tree.get_ancestor(descendant, node.slot))
            .is_ok_and(|root| root == *ancestor)
    }

    /// Hands in the state of the justified checkpoint.
    pub fn set_justified_state(&mut self, state: JustifiedState) -> Result<(), ForkChoiceError> {
        if state.checkpoint != self.justified_checkpoint {
            return Err(ForkChoiceError::WrongJustifiedState {
                expected: self.justified_checkpoint,
                found: state.checkpoint,
            });
        }
        self.justified_state = Some(Arc::new(state));
        Ok(())
    }

    /// The state of the justified checkpoint, if it was handed in.
    pub fn justified_state(&self) -> Result<&JustifiedState, ForkChoiceError> {
        self.justified_state
            .as_deref()
            .filter(|state| state.checkpoint == self.justified_checkpoint)
            .ok_or(ForkChoiceError::JustifiedStateMissing(self.justified_checkpoint))
    }

    /// Spec: phase0/fork-choice.md#get_voting_source
    fn get_voting_source<P: Preset>(&self, node: &BlockNode, current_epoch: Epoch) -> Checkpoint {
        if current_epoch > node.slot.epoch::<P>() {
            node.unrealized_justified_checkpoint
        } else {
            node.justified_checkpoint
        }
    }

    /// Whether a block may be on the way to the head: a leaf below it agrees with what is justified and finalised.
    ///
    /// Spec: phase0/fork-choice.md#get_filtered_block_tree
    pub fn is_viable<P: Preset>(&self, root: &Root, spec: &ChainSpec) -> bool {
        self.tree
            .place(root)
            .and_then(|place| self.viable::<P>(spec).get(place).copied())
            .unwrap_or(false)
    }

    /// For each block whether it may be on the way to the head.
    fn viable<P: Preset>(&self, spec: &ChainSpec) -> Vec<bool> {
        let current_epoch = self.get_current_store_epoch::<P>(spec);
        let justified_epoch = self.justified_checkpoint.epoch;
        self.tree.viable(&LeafConditions {
            correct_justified: |node: &BlockNode| {
                let voting_source = self.get_voting_source::<P>(node, current_epoch);
                justified_epoch == GENESIS_EPOCH
                    || voting_source.epoch == justified_epoch
                    || voting_source.epoch.saturating_add(2u64) >= current_epoch
            },
            finalized_checkpoint: self.finalized_checkpoint,
            finalized_slot: self.finalized_checkpoint.epoch.start_slot::<P>(),
        })
    }

    /// Weight of each block in Gwei, proposer boost included, in the order of [`Store::blocks`].
    pub fn weights<P: Preset>(&self, spec: &ChainSpec) -> Result<Vec<Gwei>, ForkChoiceError> {
        let justified = self.justified_state()?;
        let current_epoch = self.get_current_store_epoch::<P>(spec);
        let mut weights = self.votes.direct_weights(&self.tree, justified, current_epoch)?;
        if let Some(boosted) = self
            .tree
            .place(&self.proposer_boost_root)
            .and_then(|place| weights.get_mut(place))
        {
            boosted.safe_add_assign(justified.calculate_committee_fraction::<P>(spec.proposer_score_boost)?)?;
        }
        self.tree.accumulate(&mut weights)?;
        Ok(weights)
    }

    /// Weight of one block in Gwei, proposer boost included.
    ///
    /// Spec: dvt/fork-choice.md#get_weight
    pub fn get_weight<P: Preset>(&self, root: &Root, spec: &ChainSpec) -> Result<Gwei, ForkChoiceError> {
        let place = self.tree.place(root).ok_or(ForkChoiceError::UnknownBlock(*root))?;
        Ok(self.weights::<P>(spec)?.get(place).copied().unwrap_or_default())
    }

    /// Root of the head.
    ///
    /// Spec: phase0/fork-choice.md#get_head
    pub fn get_head<P: Preset>(&self, spec: &ChainSpec) -> Result<Root, ForkChoiceError> {
        let root = self.justified_checkpoint.root;
        let start = self.tree.place(&root).ok_or(ForkChoiceError::UnknownBlock(root))?;
        if self.tree.node(&root)?.execution_status == ExecutionStatus::Invalid {
            return Err(ForkChoiceError::NoViableHead(root));
        }
        let weights = self.weights::<P>(spec)?;
        let head = self.tree.heaviest_leaf(start, &self.viable::<P>(spec), &weights);
        self.tree
            .at(head)
            .map(|node| node.root)
            .ok_or(ForkChoiceError::NoViableHead(root))
    }

    /// The leaves that could be the head, with their weights.
    ///
    /// Spec: phase0/fork-choice.md#get_filtered_block_tree
    pub fn viable_heads<P: Preset>(&self, spec: &ChainSpec) -> Result<Vec<(Root, Gwei)>, ForkChoiceError> {
        let viable = self.viable::<P>(spec);
        let weights = self.weights::<P>(spec)?;
        let mut has_viable_child = vec![false; viable.len()];
        for (node, _) in self.tree.nodes().iter().zip(&viable).filter(|(_, viable)| **viable) {
            if let Some(flag) = node.parent.and_then(|parent| has_viable_child.get_mut(parent)) {
                *flag = true;
            }
        }
        Ok(self
            .tree
            .nodes()
            .iter()
            .zip(viable.iter().zip(&has_viable_child))
            .zip(weights)
            .filter(|((node, (viable, inner)), _)| {
                **viable && !**inner && self.is_descendant(&self.justified_checkpoint.root, &node.root)
            })
            .map(|((node, _), weight)| (node.root, weight))
            .collect())
    }

    /// Spec: phase0/fork-choice.md#update_checkpoints
    fn update_checkpoints(&mut self, justified_checkpoint: Checkpoint, finalized_checkpoint: Checkpoint) {
        if justified_checkpoint.epoch > self.justified_checkpoint.epoch {
            self.justified_checkpoint = justified_checkpoint;
        }
        if finalized_checkpoint.epoch > self.finalized_checkpoint.epoch {
            self.finalized_checkpoint = finalized_checkpoint;
        }
    }

    /// Moves the store's time on, slot by slot. `time_ms` is in milliseconds since the Unix epoch.
    ///
    /// Spec: phase0/fork-choice.md#on_tick
    pub fn on_tick<P: Preset>(&mut self, time_ms: u64, spec: &ChainSpec) -> Result<(), ForkChoiceError> {
        if time_ms < self.time_ms {
            return Err(ForkChoiceError::TimeWentBack {
                tick: time_ms,
                time: self.time_ms,
            });
        }
        let genesis_ms = self.genesis_time.safe_mul(1000)?;
        let tick_slot = time_ms.saturating_sub(genesis_ms).safe_div(spec.slot_duration_ms)?;
        // Only the first slot of an epoch does more than a later one, so whole epochs without one are skipped.
        let mut slot = self.get_current_slot(spec);
        while slot.as_u64() < tick_slot {
            let next_epoch = slot.epoch::<P>().safe_add(1u64)?.start_slot::<P>();
            slot = next_epoch.min(Slot::new(tick_slot));
            let slot_ms = genesis_ms.safe_add(slot.as_u64().safe_mul(spec.slot_duration_ms)?)?;
            self.on_tick_per_slot::<P>(slot_ms, spec);
        }
        self.on_tick_per_slot::<P>(time_ms, spec);
        self.apply_queued_votes::<P>(spec);
        Ok(())
    }

    /// Spec: phase0/fork-choice.md#on_tick_per_slot
    fn on_tick_per_slot<P: Preset>(&mut self, time_ms: u64, spec: &ChainSpec) {
        let previous_slot = self.get_current_slot(spec);
        self.time_ms = time_ms;
        let current_slot = self.get_current_slot(spec);
        if current_slot > previous_slot {
            self.proposer_boost_root = Root::ZERO;
            if current_slot.is_epoch_start::<P>() {
                self.update_checkpoints(
                    self.unrealized_justified_checkpoint,
                    self.unrealized_finalized_checkpoint,
                );
            }
        }
    }

    /// Checks that need no state: run them before the state transition, and before the block's data is fetched.
    ///
    /// Spec: fulu/fork-choice.md#on_block, the part before `is_data_available`
    pub fn validate_on_block<P: Preset>(
        &self,
        slot: Slot,
        parent_root: &Root,
        spec: &ChainSpec,
    ) -> Result<(), ForkChoiceError> {
        let parent = self
            .tree
            .node(parent_root)
            .map_err(|_| ForkChoiceError::UnknownParent(*parent_root))?;
        if parent.execution_status == ExecutionStatus::Invalid {
            return Err(ForkChoiceError::InvalidPayload(*parent_root));
        }
        let current = self.get_current_slot(spec);
        if slot > current {
            return Err(ForkChoiceError::FutureBlock { block: slot, current });
        }
        let finalized = self.finalized_checkpoint.epoch.start_slot::<P>();
        if slot <= finalized {
            return Err(ForkChoiceError::BlockBeforeFinalized { block: slot, finalized });
        }
        let found = self
            .tree
            .get_checkpoint_block::<P>(parent_root, self.finalized_checkpoint.epoch)?;
        if found != self.finalized_checkpoint.root {
            return Err(ForkChoiceError::ConflictsWithFinalized {
                expected: self.finalized_checkpoint,
                found,
            });
        }
        Ok(())
    }

    /// Takes in a block that passed the state transition and whose data is available.
    ///
    /// Spec: fulu/fork-choice.md#on_block
    pub fn on_block<P: Preset>(
        &mut self,
        block: BlockSummary,
        execution_status: ExecutionStatus,
        spec: &ChainSpec,
    ) -> Result<(), ForkChoiceError> {
        self.validate_on_block::<P>(block.slot, &block.parent_root, spec)?;
        if execution_status == ExecutionStatus::Invalid {
            return Err(ForkChoiceError::InvalidPayload(block.root));
        }
        if self.contains(&block.root) {
            return Ok(());
        }
        let attestation_due_ms = spec
            .slot_duration_ms
            .safe_mul(spec.attestation_due_bps)?
            .safe_div(BASIS_POINTS)?;
        let is_timely = self.get_current_slot(spec) == block.slot && self.time_into_slot_ms(spec) < attestation_due_ms;
        let parent = self.tree.place(&block.parent_root);
        self.tree.insert(BlockNode {
            root: block.root,
            slot: block.slot,
            proposer_index: block.proposer_index,
            state_root: block.state_root,
            parent_root: block.parent_root,
            parent,
            execution_block_hash: block.execution_block_hash,
            execution_status,
            justified_checkpoint: block.justified_checkpoint,
            finalized_checkpoint: block.finalized_checkpoint,
            unrealized_justified_checkpoint: block.unrealized_justified_checkpoint,
            unrealized_finalized_checkpoint: block.unrealized_finalized_checkpoint,
            is_timely,
        });
        if is_timely && self.proposer_boost_root.is_zero() {
            self.proposer_boost_root = block.root;
        }
        self.update_checkpoints(block.justified_checkpoint, block.finalized_checkpoint);

        // > compute_pulled_up_tip
        if block.unrealized_justified_checkpoint.epoch > self.unrealized_justified_checkpoint.epoch {
            self.unrealized_justified_checkpoint = block.unrealized_justified_checkpoint;
        }
        if block.unrealized_finalized_checkpoint.epoch > self.unrealized_finalized_checkpoint.epoch {
            self.unrealized_finalized_checkpoint = block.unrealized_finalized_checkpoint;
        }
        if block.slot.epoch::<P>() < self.get_current_store_epoch::<P>(spec) {
            self.update_checkpoints(
                block.unrealized_justified_checkpoint,
                block.unrealized_finalized_checkpoint,
            );
        }
        if execution_status == ExecutionStatus::Valid {
            self.on_valid_execution_payload(&block.root)?;
        }
        Ok(())
    }

    /// Spec: phase0/fork-choice.md#validate_on_attestation
    pub fn validate_on_attestation<P: Preset>(
        &self,
        data: &AttestationData,
        is_from_block: bool,
        spec: &ChainSpec,
    ) -> Result<(), ForkChoiceError> {
        let target = data.target;
        if !is_from_block {
            // > validate_target_epoch_against_current_time
            let current = self.get_current_store_epoch::<P>(spec);
            if target.epoch != current && target.epoch != current.saturating_sub(1u64) {
                return Err(ForkChoiceError::TargetEpoch {
                    target: target.epoch,
                    current,
                });
            }
        }
        if target.epoch != data.slot.epoch::<P>() {
            return Err(ForkChoiceError::SlotOutsideTarget {
                slot: data.slot,
                target: target.epoch,
            });
        }
        if !self.contains(&target.root) {
            return Err(ForkChoiceError::UnknownBlock(target.root));
        }
        let head = self.tree.node(&data.beacon_block_root)?;
        if head.slot > data.slot {
            return Err(ForkChoiceError::VoteForFutureBlock {
                vote: data.slot,
                block: head.slot,
            });
        }
        let expected = self
            .tree
            .get_checkpoint_block::<P>(&data.beacon_block_root, target.epoch)?;
        if expected != target.root {
            return Err(ForkChoiceError::TargetNotOnBranch {
                target: target.root,
                expected,
            });
        }
        let current = self.get_current_slot(spec);
        if current <= data.slot {
            return Err(ForkChoiceError::VoteTooEarly {
                vote: data.slot,
                current,
            });
        }
        Ok(())
    }

    /// Takes in a vote whose signature was checked against the target's state.
    ///
    /// Spec: phase0/fork-choice.md#on_attestation
    pub fn on_attestation<P: Preset>(
        &mut self,
        attesting_indices: &[SignerIndex],
        data: &AttestationData,
        is_from_block: bool,
        spec: &ChainSpec,
    ) -> Result<(), ForkChoiceError> {
        self.validate_on_attestation::<P>(data, is_from_block, spec)?;
        let place = self
            .tree
            .place(&data.beacon_block_root)
            .ok_or(ForkChoiceError::UnknownBlock(data.beacon_block_root))?;
        let registry_len = attesting_indices
            .iter()
            .filter(|signer| !signer.is_virtual())
            .map(|signer| (signer.as_u64() as usize).saturating_add(1))
            .max()
            .unwrap_or_default();
        for signer in attesting_indices {
            self.votes.update(
                *signer,
                data.target.epoch,
                place,
                registry_len.max(self.votes.solo.len()),
            );
        }
        Ok(())
    }

    /// Like [`Store::on_attestation`] for votes from the wire, which arrive in their own slot and count from the
    /// next: such a vote is kept until then.
    pub fn on_attestation_or_queue<P: Preset>(
        &mut self,
        attesting_indices: &[SignerIndex],
        data: &AttestationData,
        spec: &ChainSpec,
    ) -> Result<(), ForkChoiceError> {
        match self.on_attestation::<P>(attesting_indices, data, false, spec) {
            Err(ForkChoiceError::VoteTooEarly { .. }) => {
                if self.queued_votes.len() >= MAX_QUEUED_VOTES {
                    self.queued_votes.pop_front();
                }
                self.queued_votes.push_back(QueuedVote {
                    attesting_indices: attesting_indices.to_vec(),
                    data: *data,
                });
                Ok(())
            }
            other => other,
        }
    }

    fn apply_queued_votes<P: Preset>(&mut self, spec: &ChainSpec) {
        let current = self.get_current_slot(spec);
        for vote in std::mem::take(&mut self.queued_votes) {
            if vote.data.slot < current {
                // What made the vote acceptable may be pruned by now; then it has no weight anyway.
                let _ = self.on_attestation::<P>(&vote.attesting_indices, &vote.data, false, spec);
            } else {
                self.queued_votes.push_back(vote);
            }
        }
    }

    /// Takes in who a verified attester slashing makes slashable: registry entries, discounted whole.
    ///
    /// Spec: dvt/fork-choice.md#on_attester_slashing
    pub fn on_attester_slashing(&mut self, slashable_indices: impl IntoIterator<Item = ValidatorIndex>) {
        self.votes.equivocating_indices.extend(slashable_indices);
    }

    /// Drops all blocks that do not descend from the finalised block.
    pub fn prune(&mut self) {
        if self.contains(&self.finalized_checkpoint.root) {
            let moved = self.tree.prune(&self.finalized_checkpoint.root);
            self.votes.move_places(&moved);
        }
    }
}
