//! Data columns, and of how many custody groups they are here.

use crate::key_value::{Batch, Column};
use crate::tables::{
    column_of_key, data_column_key, decode, decode_metadata, encode, hot_block_key, name, slot_and_root, slot_key,
};
use crate::{Storage, StorageError};
use ssz::Encode as _;
use std::collections::HashSet;
use types::{ColumnIndex, DataColumnSidecar, Preset, Root, Slot};

const CUSTODY: &[u8] = b"custody";
const COLUMNS_KEPT: &[u8] = b"columns_kept";
/// Blocks whose columns are removed in one batch.
const BLOCKS_PER_PRUNING: usize = 64;

/// More custody groups from a slot on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ssz_derive::Encode, ssz_derive::Decode)]
pub struct CustodyStep {
    /// The first slot whose blocks are not imported without the columns of all these groups.
    pub from: Slot,
    /// How many.
    pub group_count: u64,
}

/// Of which blocks all columns of this node's custody are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ssz_derive::Encode, ssz_derive::Decode)]
pub struct ColumnsKept {
    /// Custody groups.
    pub group_count: u64,
    /// The first slot from which on the columns of all these groups are here, as far as they are not pruned.
    pub from: Slot,
}

impl<P: Preset> Storage<P> {
    /// Stores a data column of a block.
    pub fn put_data_column(&self, root: &Root, sidecar: &DataColumnSidecar<P>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(
            Column::DataColumn,
            &data_column_key(root, sidecar.index()),
            encode(sidecar),
        );
        let slot = sidecar.block_header().slot;
        batch.put(Column::ColumnBlock, &hot_block_key(slot, root), Vec::new());
        self.store.write(batch, false)
    }

    /// A data column of a block.
    pub fn get_data_column(
        &self,
        root: &Root,
        index: ColumnIndex,
    ) -> Result<Option<DataColumnSidecar<P>>, StorageError> {
        let key = data_column_key(root, index);
        self.store
            .get(Column::DataColumn, &key)?
            .map(|value| decode(name(Column::DataColumn), &key, &value))
            .transpose()
    }

    /// Indices of the data columns of a block that are stored, ascending.
    pub fn data_column_indices(&self, root: &Root) -> Result<Vec<ColumnIndex>, StorageError> {
        self.store
            .keys_with_prefix(Column::DataColumn, root.as_slice())?
            .iter()
            .map(|key| column_of_key(name(Column::DataColumn), key))
            .collect()
    }

    /// Removes data columns of a block, which turned out to be none.
    pub fn remove_data_columns(&self, slot: Slot, root: &Root, indices: &[ColumnIndex]) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        for index in indices {
            batch.delete(Column::DataColumn, &data_column_key(root, *index));
        }
        let stored = self.data_column_indices(root)?;
        if stored.iter().all(|index| indices.contains(index)) {
            batch.delete(Column::ColumnBlock, &hot_block_key(slot, root));
        }
        self.store.write(batch, false)
    }

    /// Removes the data columns of all blocks before a slot: nobody may ask for them any more. Gives the number of blocks.
    pub fn prune_data_columns_before(&self, slot: Slot) -> Result<usize, StorageError> {
        let mut pruned = 0usize;
        loop {
            let entries = self.store.range(Column::ColumnBlock, &[], BLOCKS_PER_PRUNING)?;
            let mut batch = Batch::default();
            let mut removed = 0usize;
            for (key, _) in &entries {
                let (block_slot, root) = slot_and_root(Column::ColumnBlock, key)?;
                if block_slot >= slot {
                    break;
                }
                self.delete_data_columns(&mut batch, &root)?;
                batch.delete(Column::ColumnBlock, key);
                removed = removed.saturating_add(1);
            }
            if removed == 0 {
                return Ok(pruned);
            }
            self.store.write(batch, false)?;
            pruned = pruned.saturating_add(removed);
        }
    }

    /// Whether data columns of any block are stored.
    pub fn has_data_columns(&self) -> Result<bool, StorageError> {
        Ok(!self.store.range(Column::DataColumn, &[], 1)?.is_empty())
    }

    /// Stores how the custody of this node has grown, ascending.
    pub fn put_custody_steps(&self, steps: &[CustodyStep]) -> Result<(), StorageError> {
        let value = steps.to_vec().as_ssz_bytes();
        self.store.put(Column::Metadata, CUSTODY, value, true)
    }

    /// How the custody of this node has grown; empty if it has not.
    pub fn custody_steps(&self) -> Result<Vec<CustodyStep>, StorageError> {
        self.store
            .get(Column::Metadata, CUSTODY)?
            .map_or(Ok(Vec::new()), |value| decode_metadata(CUSTODY, &value))
    }

    /// Stores of which blocks all columns are here.
    pub fn put_columns_kept(&self, kept: ColumnsKept) -> Result<(), StorageError> {
        self.store
            .put(Column::Metadata, COLUMNS_KEPT, kept.as_ssz_bytes(), true)
    }

    /// Of which blocks all columns are here; none in a new database.
    pub fn columns_kept(&self) -> Result<Option<ColumnsKept>, StorageError> {
        self.store
            .get(Column::Metadata, COLUMNS_KEPT)?
            .map(|value| decode_metadata(COLUMNS_KEPT, &value))
            .transpose()
    }

    /// Adds the removal of all columns of a block.
    pub(crate) fn delete_data_columns(&self, batch: &mut Batch, root: &Root) -> Result<(), StorageError> {
        for key in self.store.keys_with_prefix(Column::DataColumn, root.as_slice())? {
            batch.delete(Column::DataColumn, &key);
        }
        Ok(())
    }

    /// Adds the removal of the columns up to a slot that belong to none of the canonical blocks: to blocks of other
    /// branches, or to such as never came.
    pub(crate) fn delete_stray_columns(
        &self,
        batch: &mut Batch,
        canonical: &[(Slot, Root)],
        up_to: Slot,
    ) -> Result<(), StorageError> {
        let from = self
            .anchor()?
            .map_or(Slot::new(0), |(slot, _)| slot.saturating_add(1u64));
        let canonical_roots: HashSet<&Root> = canonical.iter().map(|(_, root)| root).collect();
        for (key, _) in self.store.range(Column::ColumnBlock, &slot_key(from), usize::MAX)? {
            let (slot, root) = slot_and_root(Column::ColumnBlock, &key)?;
            if slot > up_to {
                break;
            }
            if !canonical_roots.contains(&root) {
                self.delete_data_columns(batch, &root)?;
                batch.delete(Column::ColumnBlock, &key);
            }
        }
        Ok(())
    }
}
