//! Columns that are made here: of blocks that attached validators sign, of blobs that the execution client has, and
//! recovered from half of all.

use crate::{Accepted, Intake, Outgoing, metrics};
use beacon_chain::ChainError;
use data_columns::{
    DataColumnError, get_data_column_sidecars_from_block, get_data_column_sidecars_from_column_sidecar,
    recover_data_column_sidecars, verify_data_column_sidecars_kzg_proofs, with_cells,
};
use execution_layer::{BlobAndProofs, kzg_commitment_to_versioned_hash};
use gossip_validation::VerifiedDataColumn;
use runtime::{PoolError, Priority};
use std::sync::Arc;
use std::time::Instant;
use types::{Blob, ColumnIndex, DataColumnSidecar, KzgCommitments, KzgProof, Preset, Root, SignedBeaconBlock, Slot};

/// How long columns that are on their way are given before the rest is recovered, in milliseconds: recovering takes a
/// core for a good part of a second.
const RECOVERY_DELAY_MS: u64 = 200;

/// Columns were not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeColumnsError {
    /// The blobs are not those of the block, or their proofs are wrong.
    #[error("blobs of block {root}: {reason}")]
    Blobs {
        /// Root of the block.
        root: Root,
        /// What is wrong.
        reason: DataColumnError,
    },
    /// Something inside failed.
    #[error(transparent)]
    Internal(#[from] ChainError),
}

impl From<PoolError> for MakeColumnsError {
    fn from(error: PoolError) -> Self {
        Self::Internal(error.into())
    }
}

/// All columns of a block, verified against its commitments.
fn make_columns<P: Preset>(
    block: &SignedBeaconBlock<P>,
    blobs: &[Blob<P>],
    cell_proofs: &[KzgProof],
) -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> {
    let columns = get_data_column_sidecars_from_block(block, blobs, cell_proofs)?;
    if !columns.is_empty() {
        verify_data_column_sidecars_kzg_proofs(&columns)?;
    }
    Ok(columns)
}

impl<P: Preset> Intake<P> {
    /// The columns of a block of a validator attached to this node, out of what its client handed in: blob after blob
    /// `CELLS_PER_EXT_BLOB` proofs. They have the block's header, whoever signed that.
    pub async fn make_columns(
        &self,
        block: Arc<SignedBeaconBlock<P>>,
        blobs: Vec<Blob<P>>,
        cell_proofs: Vec<KzgProof>,
    ) -> Result<Vec<DataColumnSidecar<P>>, MakeColumnsError> {
        let has_commitments = !block.message().body().blob_kzg_commitments().is_empty();
        if !has_commitments && blobs.is_empty() && cell_proofs.is_empty() {
            return Ok(Vec::new());
        }
        let work = move || {
            make_columns(&block, &blobs, &cell_proofs).map_err(|reason| MakeColumnsError::Blobs {
                root: block.block_root(),
                reason,
            })
        };
        self.chain().workers().run(Priority::GroupProposal, work).await?
    }

    pub(crate) fn tell_of_column(&self, root: Root, column: &DataColumnSidecar<P>) {
        self.tell(|| Accepted::DataColumn {
            slot: column.block_header().slot,
            block_root: root,
            index: column.index(),
            kzg_commitments: column.kzg_commitments().to_vec(),
        });
    }

    /// Keeps a verified column of a block, if this node is to have it.
    pub fn store_column(&self, root: Root, column: &DataColumnSidecar<P>) {
        if self.custody().columns.contains(&column.index())
            && !self.gossip.is_invalid_block(&root)
            && let Err(error) = self.chain().storage().put_data_column(&root, column)
        {
            tracing::error!(%root, %error, "Data column is not stored");
        }
    }

    /// Removes columns that were fetched for a block that turned out to be none. Those that came by gossip meanwhile stay:
    /// they do not come again.
    pub fn forget_columns(&self, slot: Slot, root: &Root, indices: &[ColumnIndex]) -> Result<(), ChainError> {
        let storage = self.chain().storage();
        let mut fetched = Vec::new();
        for index in indices {
            fetched.extend(storage.get_data_column(root, *index)?);
        }
        storage.remove_data_columns(slot, root, indices)?;
        // Only now, so that none is missed which comes in between. Its own header is better than that of the fetched one.
        let here = storage.data_column_indices(root)?;
        for column in fetched {
            let index = column.index();
            if self.gossip.has_seen_data_column(slot, root, index) && !here.contains(&index) {
                storage.put_data_column(root, &column)?;
            }
        }
        Ok(())
    }

    /// Removes all columns of a block that is invalid: nobody is to get them from here.
    pub(crate) fn drop_columns(&self, slot: Slot, root: &Root) {
        let storage = self.chain().storage();
        let dropped = storage
            .data_column_indices(root)
            .and_then(|indices| storage.remove_data_columns(slot, root, &indices));
        if let Err(error) = dropped {
            tracing::error!(%root, %error, "Columns of an invalid block are not removed");
        }
    }

    /// Keeps columns that did not come from the network, and publishes what is new of them. One that was seen may still be on
    /// its way to the disk, so all are kept. `leader_key` is the key that alone signed their header, if it is not signed at
    /// threshold.
    pub async fn keep_and_share(
        &self,
        root: Root,
        columns: impl IntoIterator<Item = DataColumnSidecar<P>>,
        leader_key: Option<u8>,
    ) {
        let mut new = Vec::new();
        for column in columns {
            self.store_column(root, &column);
            if self.gossip.note_data_column(&column, leader_key) {
                self.tell_of_column(root, &column);
                new.push(Arc::new(column));
            }
        }
        for column in new {
            self.publish(Outgoing::DataColumn(column)).await;
        }
    }

    /// As [`Self::keep_and_share`], of columns that any node can make: each publishes those of its custody.
    async fn keep_and_share_custody(&self, root: Root, columns: Vec<DataColumnSidecar<P>>, leader_key: Option<u8>) {
        let custody = self.custody().columns;
        let own = columns.into_iter().filter(|column| custody.contains(&column.index()));
        self.keep_and_share(root, own, leader_key).await;
    }

    /// Makes the missing columns of a complete block, if that can be: out of the blobs that the execution client has in
    /// its pool, or from half of the columns. What goes wrong is logged: the columns may still come.
    pub(crate) async fn make_missing_columns(&self, block: &Arc<SignedBeaconBlock<P>>, root: Root) {
        if !self.make_from_pool(block, root).await {
            self.recover(block, root).await;
        }
    }

    /// Whether the execution client has all blobs of a block.
    ///
    /// Spec: fulu/p2p-interface.md#distributed-blob-publishing-using-blobs-retrieved-from-local-execution-layer-client
    async fn make_from_pool(&self, block: &Arc<SignedBeaconBlock<P>>, root: Root) -> bool {
        let turn = self.availability.turn(root);
        let _turn = turn.lock().await;
        if self.check_available(block, &root).is_ok() {
            // One of its columns was here before it.
            return true;
        }
        let found = self
            .blobs_from_pool(root, block.message().body().blob_kzg_commitments())
            .await;
        metrics::note_blobs_from_pool(found.is_some());
        let Some((blobs, cell_proofs)) = found else {
            return false;
        };
        let of_block = Arc::clone(block);
        // Not verified: the execution client has done that.
        let work = move || get_data_column_sidecars_from_block(&of_block, &blobs, &cell_proofs);
        self.share_made(root, None, work).await
    }

    /// Makes the columns of a block that is not here yet, if the execution client has its blobs: of a column that has come, the
    /// header is signed and the commitments belong to it.
    ///
    /// Spec: fulu/p2p-interface.md#distributed-blob-publishing-using-blobs-retrieved-from-local-execution-layer-client
    pub async fn make_columns_ahead(&self, verified: &VerifiedDataColumn<P>) {
        let root = verified.block_root;
        let header = verified.sidecar.block_header();
        let signer = (header.slot, header.proposer_index, verified.leader_key);
        let Some(_place) = self.availability.ask_ahead(&root, signer) else {
            return;
        };
        let turn = self.availability.turn(root);
        let _turn = turn.lock().await;
        // Its import makes them.
        if self.chain().contains_block(&root) || self.is_being_imported(&root) {
            return;
        }
        let sidecar = Arc::clone(&verified.sidecar);
        let Some((blobs, cell_proofs)) = self.blobs_from_pool(root, sidecar.kzg_commitments()).await else {
            return;
        };
        metrics::note_blobs_from_pool(true);
        let work = move || {
            let cells_and_kzg_proofs = with_cells::<P>(&blobs, &cell_proofs)?;
            get_data_column_sidecars_from_column_sidecar(&sidecar, &cells_and_kzg_proofs)
        };
        self.share_made(root, verified.leader_key, work).await;
    }

    /// Whether columns could be made.
    async fn share_made(
        &self,
        root: Root,
        leader_key: Option<u8>,
        make: impl FnOnce() -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> + Send + 'static,
    ) -> bool {
        match self.chain().workers().run(Priority::BlockImport, make).await {
            Ok(Ok(columns)) => {
                tracing::debug!(%root, "Columns made of blobs that the execution client has");
                self.keep_and_share_custody(root, columns, leader_key).await;
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%root, %error, "Blobs of the execution client are of no use");
                false
            }
            Err(error) => {
                tracing::debug!(%root, %error, "Columns are not made");
                false
            }
        }
    }

    /// Blobs with their cell proofs. `None` if the execution client lacks one of them.
    async fn blobs_from_pool(
        &self,
        root: Root,
        commitments: &KzgCommitments<P>,
    ) -> Option<(Vec<Blob<P>>, Vec<KzgProof>)> {
        let execution_layer = self.chain().execution_layer()?;
        let hashes: Vec<_> = commitments.iter().map(kzg_commitment_to_versioned_hash).collect();
        let found: Vec<BlobAndProofs<P>> = match execution_layer.get_blobs(&hashes).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::debug!(%root, %error, "Execution client is not asked for blobs");
                return None;
            }
        };
        let (mut blobs, mut proofs) = (Vec::new(), Vec::new());
        for item in found {
            blobs.push(item.blob);
            proofs.extend(item.proofs);
        }
        Some((blobs, proofs))
    }

    /// Whether half of all columns are here.
    fn has_half(&self, root: &Root) -> bool {
        let here = self.chain().storage().data_column_indices(root);
        here.is_ok_and(|here| here.len() as u64 >= P::NUMBER_OF_COLUMNS.div_ceil(2))
    }

    /// Whether half of all columns are here, but not all that a block needs here.
    fn can_recover(&self, block: &SignedBeaconBlock<P>, root: &Root) -> bool {
        self.has_half(root)
            && self
                .missing_columns(block, root)
                .is_ok_and(|missing| !missing.is_empty())
    }

    /// Recovers the missing columns from half of all, once those that are on their way had time to come.
    ///
    /// Spec: fulu/das-core.md#reconstruction-and-cross-seeding
    pub(crate) async fn recover(&self, block: &Arc<SignedBeaconBlock<P>>, root: Root) {
        if !self.can_recover(block, &root) {
            return;
        }
        let Some(_recovery) = self.availability.begin_recovery(root) else {
            return;
        };
        let clock = self.chain().clock();
        clock
            .sleep_until_ms(clock.now_ms().saturating_add(RECOVERY_DELAY_MS))
            .await;
        if !self.can_recover(block, &root) {
            return;
        }
        let started = Instant::now();
        match self.recovered_columns(block, root, Priority::BlockImport).await {
            Ok(columns) => {
                metrics::note_recovered();
                let milliseconds = started.elapsed().as_millis();
                tracing::info!(slot = %block.slot(), %root, milliseconds, "Columns recovered from half of them");
                let last_of_use = block.slot().epoch::<P>().saturating_add(1u64);
                if self.chain().current_epoch() <= last_of_use {
                    self.keep_and_share_custody(root, columns, None).await;
                } else {
                    // This node follows from behind: others have them, or ask for them.
                    columns.iter().for_each(|column| self.store_column(root, column));
                }
            }
            Err(error) => tracing::error!(slot = %block.slot(), %root, %error, "Columns are not recovered"),
        }
    }

    /// Recovers the columns of an old block that this node is to keep since its custody has grown, if half of all are here.
    /// Whoever wants them asks for them.
    pub async fn recover_old(&self, block: &Arc<SignedBeaconBlock<P>>, root: Root) {
        let is_complete = self
            .missing_custody(block, &root)
            .is_ok_and(|missing| missing.is_empty());
        if is_complete || !self.has_half(&root) {
            return;
        }
        match self.recovered_columns(block, root, Priority::Background).await {
            Ok(columns) => columns.iter().for_each(|column| self.store_column(root, column)),
            Err(error) => tracing::error!(slot = %block.slot(), %root, %error, "Columns are not recovered"),
        }
    }

    async fn recovered_columns(
        &self,
        block: &Arc<SignedBeaconBlock<P>>,
        root: Root,
        priority: Priority,
    ) -> Result<Vec<DataColumnSidecar<P>>, MakeColumnsError> {
        let (chain, block) = (Arc::clone(self.chain()), Arc::clone(block));
        let work = move || {
            let storage = chain.storage();
            let mut here = Vec::new();
            for index in storage.data_column_indices(&root).map_err(ChainError::from)? {
                here.extend(storage.get_data_column(&root, index).map_err(ChainError::from)?);
            }
            recover_data_column_sidecars(&block.signed_block_header(), &here)
                .map_err(|reason| MakeColumnsError::Blobs { root, reason })
        };
        self.chain().workers().run(priority, work).await?
    }
}
