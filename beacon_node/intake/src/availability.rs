//! Data columns of this node's custody, and blocks that wait for theirs.

use crate::Intake;
use beacon_chain::ImportError;
use data_columns::{DataColumnError, compute_columns_for_custody_group, get_custody_groups};
use gossip_validation::{DataColumnGossipError, VerifiedBlock, VerifiedDataColumn};
use hashlink::LruCache;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};
use types::{ChainSpec, ColumnIndex, DataColumnSidecar, Preset, Root, SignedBeaconBlock, Slot, ValidatorIndex};

/// Blocks that may wait for columns at a time.
const MAX_WAITING_BLOCKS: usize = 32;
/// Blocks of which it is known that the execution client was asked for their blobs.
const MAX_TURNS: usize = 64;
/// Blocks that are not here yet for whose blobs the execution client is asked at a time.
const MAX_ASKED_AHEAD: usize = 2;

/// Who has signed the header of a column: the proposer of a slot, and the key of the leader who did so alone.
pub(crate) type HeaderSigner = (Slot, ValidatorIndex, Option<u8>);

/// Which columns this node keeps, and needs of every block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custody {
    /// Ascending.
    pub columns: BTreeSet<ColumnIndex>,
}

impl Custody {
    /// The columns of `group_count` custody groups of a node, but at least those that are sampled.
    ///
    /// Spec: fulu/das-core.md#custody-sampling
    pub fn of_node<P: Preset>(node_id: [u8; 32], group_count: u64, spec: &ChainSpec) -> Result<Self, DataColumnError> {
        let node_id = types::Uint256::from_be_bytes(node_id);
        let mut columns = BTreeSet::new();
        for group in get_custody_groups(node_id, group_count.max(spec.samples_per_slot), spec)? {
            columns.extend(compute_columns_for_custody_group::<P>(group, spec)?);
        }
        Ok(Self { columns })
    }
}

#[derive(Debug)]
pub(crate) struct Availability<P: Preset> {
    /// With the first slot in which each holds, from genesis on, ascending. It only grows.
    custody: RwLock<Vec<(Slot, Custody)>>,
    waiting: Mutex<LruCache<Root, Arc<SignedBeaconBlock<P>>>>,
    /// Blocks whose columns are being recovered.
    recovering: Mutex<HashSet<Root>>,
    /// Held by whoever makes columns of a block of what the execution client has, so that nobody does it twice.
    turns: Mutex<LruCache<Root, Arc<tokio::sync::Mutex<()>>>>,
    /// For whose blocks the execution client was asked ahead. A leader may sign many headers for one slot, and nobody can
    /// hold that against it.
    asked_ahead: Mutex<LruCache<HeaderSigner, ()>>,
    places_ahead: Semaphore,
}

/// The columns of one block are being recovered, until this is dropped.
#[must_use]
pub(crate) struct Recovery<'a> {
    recovering: &'a Mutex<HashSet<Root>>,
    root: Root,
}

impl Drop for Recovery<'_> {
    fn drop(&mut self) {
        self.recovering.lock().remove(&self.root);
    }
}

impl<P: Preset> Availability<P> {
    pub(crate) fn new(custody: Custody) -> Self {
        Self {
            custody: RwLock::new(vec![(Slot::new(0), custody)]),
            waiting: Mutex::new(LruCache::new(MAX_WAITING_BLOCKS)),
            recovering: Mutex::default(),
            turns: Mutex::new(LruCache::new(MAX_TURNS)),
            asked_ahead: Mutex::new(LruCache::new(MAX_TURNS)),
            places_ahead: Semaphore::new(MAX_ASKED_AHEAD),
        }
    }

    pub(crate) fn turn(&self, root: Root) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        Arc::clone(turns.entry(root).or_insert_with(Arc::default))
    }

    /// A place to ask for the blobs of a block that is not here, until it is dropped: if nobody has had a turn with the
    /// block, nor a place for another block of the signer. `None` if all are taken: the block's import asks again.
    pub(crate) fn ask_ahead(&self, root: &Root, signer: HeaderSigner) -> Option<SemaphorePermit<'_>> {
        let had_turn = self.turns.lock().peek(root).is_some();
        if had_turn || self.asked_ahead.lock().insert(signer, ()).is_some() {
            return None;
        }
        self.places_ahead.try_acquire().ok()
    }

    /// `None` if somebody else is at it.
    pub(crate) fn begin_recovery(&self, root: Root) -> Option<Recovery<'_>> {
        let is_first = self.recovering.lock().insert(root);
        // Made for the first only: dropping it lets the next one begin.
        is_first.then(|| Recovery {
            recovering: &self.recovering,
            root,
        })
    }
}

impl<P: Preset> Intake<P> {
    /// The columns that this node keeps, of blocks from now on.
    pub fn custody(&self) -> Custody {
        self.custody_at(Slot::new(u64::MAX))
    }

    fn custody_at(&self, slot: Slot) -> Custody {
        let steps = self.availability.custody.read();
        let in_force = steps.iter().rev().find(|(from, _)| *from <= slot);
        in_force.map(|(_, custody)| custody.clone()).unwrap_or_default()
    }

    /// Keeps more columns: at once those that come, and from a slot on no block without them is imported.
    pub fn raise_custody(&self, from: Slot, custody: Custody) {
        self.availability.custody.write().push((from, custody));
    }

    /// Columns of a block that are needed here to import it, and have not come.
    pub fn missing_columns(&self, block: &SignedBeaconBlock<P>, root: &Root) -> Result<Vec<ColumnIndex>, ImportError> {
        self.missing_of(self.custody_at(block.slot()), block, root)
    }

    /// Columns of a block that this node is to keep, and has not got.
    pub fn missing_custody(&self, block: &SignedBeaconBlock<P>, root: &Root) -> Result<Vec<ColumnIndex>, ImportError> {
        self.missing_of(self.custody(), block, root)
    }

    /// Of blocks that are so old that nobody has to keep their columns, none is missing.
    fn missing_of(
        &self,
        custody: Custody,
        block: &SignedBeaconBlock<P>,
        root: &Root,
    ) -> Result<Vec<ColumnIndex>, ImportError> {
        let has_blobs = !block.message().body().blob_kzg_commitments().is_empty();
        if !has_blobs || block.slot() < self.chain().columns_served_from() {
            return Ok(Vec::new());
        }
        let here = self.chain().storage().data_column_indices(root)?;
        Ok(custody
            .columns
            .into_iter()
            .filter(|index| !here.contains(index))
            .collect())
    }

    /// Spec: fulu/fork-choice.md#is_data_available
    pub(crate) fn check_available(&self, block: &SignedBeaconBlock<P>, root: &Root) -> Result<(), ImportError> {
        if self.missing_columns(block, root)?.is_empty() {
            return Ok(());
        }
        Err(ImportError::DataUnavailable(*root))
    }

    /// As [`Self::check_available`], once the missing columns were made here, if that can be. A block that is not complete
    /// is imported when its last column comes: without its proposer's signature being looked at again.
    pub(crate) async fn wait_until_available(
        &self,
        block: &Arc<SignedBeaconBlock<P>>,
        root: Root,
    ) -> Result<(), ImportError> {
        if self.check_available(block, &root).is_ok() {
            self.availability.waiting.lock().remove(&root);
            return Ok(());
        }
        // Registered before the columns are counted again: one that comes in between finds the block.
        self.availability.waiting.lock().insert(root, Arc::clone(block));
        if self.take_complete(&root).is_some() {
            return Ok(());
        }
        self.make_missing_columns(block, root).await;
        if self.take_complete(&root).is_some() {
            return Ok(());
        }
        self.check_available(block, &root)?;
        // The last column came otherwise meanwhile, and whoever brought it imports the block.
        Err(ImportError::AlreadyKnown(root))
    }

    /// A column from the network, with the subnet that it came from.
    pub async fn receive_data_column(
        &self,
        sidecar: Arc<DataColumnSidecar<P>>,
        subnet: Option<u64>,
    ) -> Result<VerifiedDataColumn<P>, DataColumnGossipError> {
        let verified = self.gossip.verify_data_column(sidecar, subnet).await?;
        self.tell_of_column(verified.block_root, &verified.sidecar);
        self.store_column(verified.block_root, &verified.sidecar);
        Ok(verified)
    }

    /// The block that waits for its columns, if that was the last of them, or as soon as the rest is recovered from half
    /// of all. To be asked after each column; only one asker is given the block.
    pub async fn complete(&self, root: &Root) -> Option<VerifiedBlock<P>> {
        let waiting = self.waiting_block(root)?;
        if let Some(block) = self.take_complete(root) {
            return Some(block);
        }
        self.recover(&waiting, *root).await;
        self.take_complete(root)
    }

    /// Blocks that wait for columns and are to be imported when they come, with their roots.
    pub fn waiting_blocks(&self) -> Vec<(Root, Arc<SignedBeaconBlock<P>>)> {
        let waiting = self.availability.waiting.lock();
        waiting.iter().map(|(root, block)| (*root, Arc::clone(block))).collect()
    }

    /// A block that waits for columns.
    pub fn waiting_block(&self, root: &Root) -> Option<Arc<SignedBeaconBlock<P>>> {
        self.availability.waiting.lock().peek(root).map(Arc::clone)
    }

    /// Whether a block waits for columns.
    pub fn is_waiting(&self, root: &Root) -> bool {
        self.availability.waiting.lock().peek(root).is_some()
    }

    /// Nobody waits any more for the columns of blocks that finality has passed over.
    pub fn prune_waiting(&self) {
        let finalized = self.chain().head().finalized_checkpoint.epoch.start_slot::<P>();
        let mut waiting = self.availability.waiting.lock();
        waiting.retain(|_, block| block.slot() > finalized);
    }

    /// No column of an invalid block is of use.
    pub(crate) fn stop_waiting(&self, root: &Root) {
        self.availability.waiting.lock().remove(root);
    }

    /// Whether the columns of a block are being recovered.
    pub fn is_recovering(&self, root: &Root) -> bool {
        self.availability.recovering.lock().contains(root)
    }

    fn take_complete(&self, root: &Root) -> Option<VerifiedBlock<P>> {
        let block = self.waiting_block(root)?;
        if !self
            .missing_columns(&block, root)
            .is_ok_and(|missing| missing.is_empty())
        {
            return None;
        }
        let block = self.availability.waiting.lock().remove(root)?;
        Some(VerifiedBlock { block, root: *root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    #[test]
    fn columns_of_a_block_are_recovered_by_one_at_a_time_however_many_ask() {
        let availability = Availability::<Minimal>::new(Custody::default());
        let (root, other) = (Root::ZERO, Root::repeat_byte(1));
        let first = availability.begin_recovery(root);
        assert!(first.is_some());
        for _ in 0..3 {
            assert!(availability.begin_recovery(root).is_none());
        }
        assert!(availability.begin_recovery(other).is_some());
        drop(first);
        assert!(availability.begin_recovery(root).is_some());
    }

    #[test]
    fn however_many_headers_a_leader_signs_the_execution_client_is_asked_for_blobs_once() {
        let availability = Availability::<Minimal>::new(Custody::default());
        let signer = |leader: u8| (Slot::new(3), ValidatorIndex::new(7), Some(leader));
        let root = Root::repeat_byte;
        let first = availability.ask_ahead(&root(1), signer(0));
        assert!(first.is_some());
        for byte in 2..130 {
            assert!(availability.ask_ahead(&root(byte), signer(0)).is_none());
        }
        let second = availability.ask_ahead(&root(130), signer(1));
        assert!(second.is_some(), "another leader may be the one whose block is signed");
        assert!(
            availability.ask_ahead(&root(131), signer(2)).is_none(),
            "all places are taken"
        );
        drop((first, second));
        assert!(availability.ask_ahead(&root(132), signer(3)).is_some());
        // Whoever imports a block asks for its blobs.
        availability.turn(root(133));
        assert!(availability.ask_ahead(&root(133), signer(4)).is_none());
    }
}
