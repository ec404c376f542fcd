//! The validator of gossip: the chain, and what was seen.

use crate::SharedError;
use crate::column_proofs::ColumnProofs;
use crate::key_set_change::SeenChanges;
use crate::seen::{RecentlySeen, SeenBits, SeenBySlot};
use crate::{Verdict, metrics};
use beacon_chain::{BeaconChain, ExecutionStatus};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{
    BeaconState, Checkpoint, ColumnIndex, CommitteeIndex, Epoch, ForkName, ForkVersioned, Preset, Root, SignerIndex,
    Slot, ValidatorIndex,
};

/// Operations of one kind that are remembered.
const MAX_RECENT_OPERATIONS: usize = 65_536;
/// Blocks that are remembered as invalid.
const MAX_INVALID_BLOCKS: usize = 1024;
/// Messages of one kind that are taken as new in one slot.
const MAX_PER_SLOT: usize = 1 << 17;
/// Votes that are taken as new in one epoch.
const MAX_PER_EPOCH: usize = 1 << 22;
/// Different aggregates of one vote of one committee that are remembered.
const MAX_AGGREGATES_PER_SUBJECT: usize = 64;
/// Epochs between wall clock and head beyond which no state is advanced for the sake of an operation.
const MAX_EPOCHS_BEHIND: u64 = 4;

/// Which of a group's leaders were heard of in a slot, and when.
#[derive(Debug, Default, Clone)]
pub(crate) struct LeadersSeen {
    /// By rank: milliseconds since the Unix epoch.
    pub(crate) ranks: BTreeMap<u8, u64>,
    /// Ranks whose proposals this node has found right.
    pub(crate) right: BTreeSet<u8>,
}

/// Checks messages before they are used and passed on. Shared by network and API, so that each message is new once.
#[derive(Debug)]
pub struct GossipValidator<P: Preset> {
    pub(crate) chain: Arc<BeaconChain<P>>,
    pub(crate) blocks: SeenBySlot<ValidatorIndex>,
    pub(crate) invalid_blocks: RecentlySeen<Root>,
    /// Those of them that are invalid by what an execution client says.
    pub(crate) invalid_payloads: RecentlySeen<Root>,
    /// Roots of signed headers whose signatures hold.
    pub(crate) verified_headers: RecentlySeen<Root>,
    pub(crate) attesters: SeenBySlot<SignerIndex>,
    pub(crate) aggregators: SeenBySlot<SignerIndex>,
    pub(crate) aggregates: SeenBits<(Root, CommitteeIndex)>,
    /// With the first epoch of the keys that signed.
    pub(crate) exits: RecentlySeen<(ValidatorIndex, Epoch)>,
    pub(crate) proposer_slashings: RecentlySeen<ValidatorIndex>,
    pub(crate) attester_slashings: RecentlySeen<ValidatorIndex>,
    pub(crate) address_changes: RecentlySeen<ValidatorIndex>,
    pub(crate) key_set_changes: SeenChanges,
    pub(crate) sync_messages: SeenBySlot<(SignerIndex, u64)>,
    pub(crate) sync_aggregators: SeenBySlot<(SignerIndex, u64)>,
    pub(crate) contributions: SeenBits<(Root, u64)>,
    /// With the root of the block.
    pub(crate) data_columns: SeenBySlot<(ValidatorIndex, ColumnIndex, Option<u8>), Root>,
    pub(crate) column_proofs: ColumnProofs<P>,
    pub(crate) proposals: SeenBySlot<SignerIndex>,
    pub(crate) member_signatures: SeenBySlot<SignerIndex>,
    pub(crate) leaders: Mutex<BTreeMap<(Slot, ValidatorIndex), LeadersSeen>>,
}

impl<P: Preset> GossipValidator<P> {
    /// A validator that has seen nothing.
    pub fn new(chain: Arc<BeaconChain<P>>) -> Self {
        Self {
            chain,
            blocks: SeenBySlot::new(MAX_PER_SLOT),
            invalid_blocks: RecentlySeen::new(MAX_INVALID_BLOCKS),
            invalid_payloads: RecentlySeen::new(MAX_INVALID_BLOCKS),
            verified_headers: RecentlySeen::new(MAX_INVALID_BLOCKS),
            attesters: SeenBySlot::new(MAX_PER_EPOCH),
            aggregators: SeenBySlot::new(MAX_PER_EPOCH),
            aggregates: SeenBits::new(MAX_AGGREGATES_PER_SUBJECT, MAX_PER_SLOT),
            exits: RecentlySeen::new(MAX_RECENT_OPERATIONS),
            proposer_slashings: RecentlySeen::new(MAX_RECENT_OPERATIONS),
            attester_slashings: RecentlySeen::new(MAX_RECENT_OPERATIONS),
            address_changes: RecentlySeen::new(MAX_RECENT_OPERATIONS),
            key_set_changes: SeenChanges::new(MAX_RECENT_OPERATIONS),
            sync_messages: SeenBySlot::new(MAX_PER_SLOT),
            sync_aggregators: SeenBySlot::new(MAX_PER_SLOT),
            contributions: SeenBits::new(MAX_AGGREGATES_PER_SUBJECT, MAX_PER_SLOT),
            data_columns: SeenBySlot::new(MAX_PER_SLOT),
            column_proofs: ColumnProofs::default(),
            proposals: SeenBySlot::new(MAX_PER_SLOT),
            member_signatures: SeenBySlot::new(MAX_PER_SLOT),
            leaders: Mutex::default(),
        }
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<BeaconChain<P>> {
        &self.chain
    }

    /// Forgets what no message can refer to any more. To be called once per slot.
    pub fn prune(&self) {
        let current = self.chain.current_slot();
        let previous_epoch = current.epoch::<P>().saturating_sub(1u64).start_slot::<P>();
        let finalized = self.finalized_checkpoint().epoch.start_slot::<P>();
        self.attesters.prune(previous_epoch);
        self.aggregators.prune(previous_epoch);
        self.aggregates.prune(previous_epoch);
        self.blocks.prune(finalized);
        self.data_columns.prune(finalized);
        self.key_set_changes.prune(current);
        let recent = current.saturating_sub(2u64);
        self.sync_messages.prune(recent);
        self.sync_aggregators.prune(recent);
        self.contributions.prune(recent);
        self.proposals.prune(recent);
        self.member_signatures.prune(recent);
        let mut leaders = self.leaders.lock();
        *leaders = leaders.split_off(&(recent, ValidatorIndex::new(0)));
    }

    /// Whether a vote of the signer for an epoch has come, of the current or the previous epoch.
    pub fn has_seen_vote(&self, epoch: Epoch, signer: SignerIndex) -> bool {
        self.attesters.contains(epoch.start_slot::<P>(), &signer)
    }

    /// Notes that a block turned out to be invalid; what builds on it is rejected.
    pub fn note_invalid_block(&self, root: Root) {
        self.invalid_blocks.insert(root);
    }

    /// Whether a block turned out to be invalid, of those that did so lately.
    pub fn is_invalid_block(&self, root: &Root) -> bool {
        self.invalid_blocks.contains(root)
    }

    /// Notes that a block turned out to be invalid by what an execution client says about its payload, or about that of
    /// a block before it.
    pub fn note_invalid_payload(&self, root: Root) {
        self.invalid_payloads.insert(root);
    }

    /// Notes that a block was imported, whatever an execution client said of its payload before.
    pub fn note_imported_block(&self, root: &Root) {
        self.invalid_payloads.remove(root);
    }

    /// Runs work on a worker, with a handle to this validator, and counts the verdict.
    pub(crate) async fn on_worker<T, E, F>(
        self: &Arc<Self>,
        topic: &'static str,
        priority: runtime::Priority,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<runtime::PoolError> + HasVerdict + Send + 'static,
        F: FnOnce(&Self) -> Result<T, E> + Send + 'static,
    {
        let validator = Arc::clone(self);
        let result = match self.chain.workers().run(priority, move || work(&validator)).await {
            Ok(result) => result,
            Err(error) => Err(error.into()),
        };
        metrics::count(
            topic,
            result.as_ref().map_or_else(HasVerdict::verdict_of, |_| Verdict::Accept),
        );
        result
    }

    pub(crate) fn finalized_checkpoint(&self) -> Checkpoint {
        self.chain.fork_choice().finalized_checkpoint()
    }

    fn disparity_ms(&self) -> u64 {
        self.chain.spec().maximum_gossip_clock_disparity
    }

    /// The latest slot that another node's clock may have reached.
    pub(crate) fn latest_slot(&self) -> Slot {
        let clock = self.chain.clock();
        clock
            .slot_at_ms(clock.now_ms().saturating_add(self.disparity_ms()))
            .unwrap_or_default()
    }

    /// The earliest slot that another node's clock may still be in.
    pub(crate) fn earliest_slot(&self) -> Slot {
        let clock = self.chain.clock();
        clock
            .slot_at_ms(clock.now_ms().saturating_sub(self.disparity_ms()))
            .unwrap_or_default()
    }

    /// No node's clock has reached a later slot, give or take the disparity of clocks.
    pub fn check_not_future(&self, slot: Slot) -> Result<(), SharedError> {
        if slot > self.latest_slot() {
            return Err(SharedError::FutureSlot {
                slot,
                current: self.chain.current_slot(),
            });
        }
        Ok(())
    }

    /// Only the current slot, give or take the disparity of clocks.
    pub(crate) fn check_current_slot(&self, slot: Slot) -> Result<(), SharedError> {
        self.check_not_future(slot)?;
        let earliest = self.earliest_slot();
        if slot < earliest {
            return Err(SharedError::PastSlot { slot, earliest });
        }
        Ok(())
    }

    /// Only the current and the previous epoch.
    ///
    /// Spec: deneb/p2p-interface.md#beacon_attestation_subnet_id
    pub(crate) fn check_vote_slot(&self, slot: Slot) -> Result<(), SharedError> {
        self.check_not_future(slot)?;
        let epoch = slot.epoch::<P>();
        let earliest = self.earliest_slot().epoch::<P>().saturating_sub(1u64);
        if epoch < earliest {
            return Err(SharedError::EpochOutOfRange {
                epoch,
                current: self.chain.current_epoch(),
            });
        }
        Ok(())
    }

    pub(crate) fn check_fork(&self, slot: Slot, message: &impl ForkVersioned) -> Result<(), SharedError> {
        let (expected, found) = (self.chain.fork_name_at_slot(slot), message.fork_name());
        if expected != found {
            return Err(SharedError::WrongFork { expected, found });
        }
        Ok(())
    }

    /// As [`Self::check_fork`], for messages that belong to no slot.
    pub(crate) fn check_present_fork(
        &self,
        state: &BeaconState<P>,
        message: &impl ForkVersioned,
    ) -> Result<(), SharedError> {
        let (expected, found) = (self.chain.fork_name_at_slot(state.slot()), message.fork_name());
        if expected != found {
            return Err(SharedError::NotOfPresentFork { expected, found });
        }
        Ok(())
    }

    /// Slot of an imported block.
    pub(crate) fn block_slot(&self, root: Root) -> Result<Slot, SharedError> {
        if self.invalid_blocks.contains(&root) {
            return Err(SharedError::InvalidBlock(root));
        }
        if self.invalid_payloads.contains(&root) {
            return Err(SharedError::InvalidPayload(root));
        }
        let fork_choice = self.chain.fork_choice();
        fork_choice
            .block(&root)
            .map(|node| node.slot)
            .ok_or(SharedError::UnknownBlock(root))
    }

    /// Slot of the parent of a block, of a proposal to a group, or of the block of a column. Nodes whose execution client
    /// has called its payload invalid ignore what builds on it: others that follow optimistically pass it on.
    ///
    /// Spec: bellatrix/p2p-interface.md#beacon_block
    pub(crate) fn parent_slot(&self, root: Root) -> Result<Slot, SharedError> {
        let fork_choice = self.chain.fork_choice();
        let status = fork_choice.block(&root).map(|node| node.execution_status);
        drop(fork_choice);
        if status == Some(ExecutionStatus::Invalid) {
            return Err(SharedError::InvalidPayload(root));
        }
        self.block_slot(root)
    }

    /// Whether an imported block descends from what is final.
    pub(crate) fn check_finalized_descendant(&self, block: Root) -> Result<(), SharedError> {
        let fork_choice = self.chain.fork_choice();
        let finalized = fork_choice.finalized_checkpoint();
        match fork_choice.get_checkpoint_block::<P>(&block, finalized.epoch) {
            Ok(root) if root == finalized.root => Ok(()),
            // What the chain started from may be later than the epoch's first slot.
            _ if fork_choice.is_descendant(&finalized.root, &block) => Ok(()),
            _ => Err(SharedError::NotFinalizedDescendant {
                block,
                finalized: finalized.root,
            }),
        }
    }

    /// A state of the branch of `root` that knows committees, proposers, key sets and domains of `epoch`.
    ///
    /// Those of the next epoch are known already, so that most messages need no epoch to be processed.
    pub(crate) fn state_for_epoch(&self, root: Root, epoch: Epoch) -> Result<Arc<BeaconState<P>>, SharedError> {
        let state = self
            .chain
            .state_after_block(&root)?
            .ok_or(SharedError::UnknownBlock(root))?;
        let fork: ForkName = self.chain.spec().fork_name_at_epoch(epoch);
        let is_near = epoch <= state.current_epoch().saturating_add(1u64) && fork == ForkVersioned::fork_name(&*state);
        if is_near || epoch <= state.current_epoch() {
            return Ok(state);
        }
        self.chain
            .checkpoint_state(Checkpoint { epoch, root })?
            .ok_or(SharedError::UnknownBlock(root))
    }

    /// The head's state, in the current epoch unless the head is far behind.
    pub(crate) fn operations_state(&self) -> Result<Arc<BeaconState<P>>, SharedError> {
        let head = self.chain.head();
        let epoch = self.chain.current_epoch();
        let head_epoch = head.state.current_epoch();
        if epoch <= head_epoch || epoch > head_epoch.saturating_add(MAX_EPOCHS_BEHIND) {
            return Ok(Arc::clone(&head.state));
        }
        self.chain
            .checkpoint_state(Checkpoint { epoch, root: head.root })?
            .ok_or(SharedError::UnknownBlock(head.root))
    }
}

/// Error enums of topics.
pub(crate) trait HasVerdict {
    fn verdict_of(&self) -> Verdict;
}
