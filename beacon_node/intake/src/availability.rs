//! Data columns of this node's custody, and blocks that wait for theirs.

use crate::{Accepted, Intake};
use beacon_chain::ImportError;
use data_columns::{DataColumnError, compute_columns_for_custody_group, get_custody_groups};
use gossip_validation::{DataColumnGossipError, VerifiedBlock};
use hashlink::LruCache;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{ChainSpec, ColumnIndex, DataColumnSidecar, Preset, Root, SignedBeaconBlock, Slot};

/// Blocks that may wait for columns at a time.
const MAX_WAITING_BLOCKS: usize = 32;

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
}

impl<P: Preset> Availability<P> {
    pub(crate) fn new(custody: Custody) -> Self {
        Self {
            custody: RwLock::new(vec![(Slot::new(0), custody)]),
            waiting: Mutex::new(LruCache::new(MAX_WAITING_BLOCKS)),
        }
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

    /// Columns of a block that are needed here and have not come.
    pub fn missing_columns(&self, block: &SignedBeaconBlock<P>, root: &Root) -> Result<Vec<ColumnIndex>, ImportError> {
        if block.message().body().blob_kzg_commitments().is_empty() {
            return Ok(Vec::new());
        }
        let here = self.chain().storage().data_column_indices(root)?;
        let needed = self.custody_at(block.slot()).columns;
        Ok(needed.into_iter().filter(|index| !here.contains(index)).collect())
    }

    /// Spec: fulu/fork-choice.md#is_data_available
    pub(crate) fn check_available(&self, block: &SignedBeaconBlock<P>, root: &Root) -> Result<(), ImportError> {
        if self.missing_columns(block, root)?.is_empty() {
            return Ok(());
        }
        Err(ImportError::DataUnavailable(*root))
    }

    /// As [`Self::check_available`]. A block that is not complete is imported when its last column comes: without its
    /// proposer's signature being looked at again.
    pub(crate) fn wait_until_available(
        &self,
        block: &Arc<SignedBeaconBlock<P>>,
        root: Root,
    ) -> Result<(), ImportError> {
        // Registered before the columns are counted: one that comes in between finds the block.
        if !block.message().body().blob_kzg_commitments().is_empty() {
            self.availability.waiting.lock().insert(root, Arc::clone(block));
        }
        self.check_available(block, &root)?;
        self.availability.waiting.lock().remove(&root);
        Ok(())
    }

    /// A column from the network, with the subnet that it came from. Imports its block if that waited for it.
    pub async fn receive_data_column(
        &self,
        sidecar: Arc<DataColumnSidecar<P>>,
        subnet: Option<u64>,
    ) -> Result<Option<VerifiedBlock<P>>, DataColumnGossipError> {
        let verified = self.gossip.verify_data_column(sidecar, subnet).await?;
        let root = verified.block_root;
        self.tell(|| Accepted::DataColumn {
            slot: verified.sidecar.block_header().slot,
            block_root: root,
            index: verified.sidecar.index(),
        });
        if self.custody().columns.contains(&verified.sidecar.index())
            && let Err(error) = self.chain().storage().put_data_column(&root, &verified.sidecar)
        {
            tracing::error!(%root, %error, "Data column is not stored");
        }
        let waiting = self.availability.waiting.lock().peek(&root).map(Arc::clone);
        Ok(waiting
            .filter(|block| {
                self.missing_columns(block, &root)
                    .is_ok_and(|missing| missing.is_empty())
            })
            .map(|block| VerifiedBlock { block, root }))
    }
}
