//! The typed database of a node.

use crate::key_value::{Batch, Column, KeyValueStore};
use crate::purge::remove_purged;
use crate::tables::{
    StoredAnchor, StoredIdentity, column_of_key, data_column_key, decode, decode_metadata, encode, hot_block_key, name,
    root_of_value, slot_key, slot_of_key, stored_schema,
};
use crate::{LevelDbStore, MemoryStore, StorageError};
use ssz::Encode as _;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use types::{BeaconState, ColumnIndex, DataColumnSidecar, Preset, Root, SignedBeaconBlock, Slot};

/// Version of keys and encodings.
const SCHEMA: u64 = 2;
const IDENTITY: &[u8] = b"identity";
const ANCHOR: &[u8] = b"anchor";
const GENESIS: &[u8] = b"genesis";
const POOL: &[u8] = b"pool";
const CUSTODY: &[u8] = b"custody";
/// The slot up to which data columns are pruned already.
const COLUMNS_PRUNED: &[u8] = b"columns_pruned";
/// Snapshots of finalised states that are kept beside the anchor: one for so many epochs.
const EPOCHS_PER_RESTORE_POINT: u64 = 32;
/// Blocks whose columns are removed in one batch.
const BLOCKS_PER_PRUNING: usize = 64;

/// Which network a database belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Root of the genesis validators.
    pub genesis_validators_root: Root,
    /// Genesis in seconds since the Unix epoch. Two devnets with the same validators differ in nothing else.
    pub genesis_time: u64,
}

/// More custody groups from a slot on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ssz_derive::Encode, ssz_derive::Decode)]
pub struct CustodyStep {
    /// The first slot whose blocks are not imported without the columns of all these groups.
    pub from: Slot,
    /// How many.
    pub group_count: u64,
    /// The first slot of whose blocks all these columns are here.
    pub complete_from: Slot,
}

/// The database of a node.
#[derive(Debug)]
pub struct Storage<P: Preset> {
    store: Box<dyn KeyValueStore>,
    epochs_per_restore_point: u64,
    _preset: PhantomData<P>,
}

impl Identity {
    /// Of the network that a state belongs to, the genesis or any later one.
    pub fn of<P: Preset>(state: &BeaconState<P>) -> Self {
        Self {
            genesis_validators_root: state.genesis_validators_root(),
            genesis_time: state.genesis_time(),
        }
    }
}

/// Where the database is, below a data directory.
pub fn database_dir(datadir: &Path) -> PathBuf {
    datadir.join("beacon").join("chain_db")
}

impl<P: Preset> Storage<P> {
    /// Opens the database below a data directory, or makes a new one.
    pub fn open(datadir: &Path, identity: Identity) -> Result<Self, StorageError> {
        remove_purged(datadir)?;
        Self::with_store(Box::new(LevelDbStore::open(&database_dir(datadir))?), identity)
    }

    /// A new database in memory, for tests.
    pub fn in_memory(identity: Identity) -> Result<Self, StorageError> {
        Self::with_store(Box::<MemoryStore>::default(), identity)
    }

    /// Uses a store. One that belongs to another network is refused and left as it is.
    pub fn with_store(store: Box<dyn KeyValueStore>, identity: Identity) -> Result<Self, StorageError> {
        let expected = StoredIdentity {
            schema: SCHEMA,
            genesis_validators_root: identity.genesis_validators_root,
            genesis_time: identity.genesis_time,
            preset: P::NAME.as_str().as_bytes().to_vec(),
        };
        match store.get(Column::Metadata, IDENTITY)? {
            None => {
                let mut batch = Batch::default();
                batch.put(Column::Metadata, IDENTITY, expected.as_ssz_bytes());
                store.write(batch, true)?;
            }
            Some(value) => {
                let mismatch =
                    |field, expected: String, found: String| Err(StorageError::Mismatch { field, expected, found });
                let schema = stored_schema(IDENTITY, &value)?;
                if schema != SCHEMA {
                    return mismatch("schema version", SCHEMA.to_string(), schema.to_string());
                }
                let found: StoredIdentity = decode_metadata(IDENTITY, &value)?;
                if found.preset != expected.preset {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    return mismatch("preset", text(&expected.preset), text(&found.preset));
                }
                if found.genesis_validators_root != identity.genesis_validators_root {
                    return mismatch(
                        "genesis validators root",
                        identity.genesis_validators_root.to_string(),
                        found.genesis_validators_root.to_string(),
                    );
                }
                if found.genesis_time != identity.genesis_time {
                    return mismatch(
                        "genesis time",
                        identity.genesis_time.to_string(),
                        found.genesis_time.to_string(),
                    );
                }
            }
        }
        Ok(Self {
            store,
            epochs_per_restore_point: EPOCHS_PER_RESTORE_POINT,
            _preset: PhantomData,
        })
    }

    /// Keeps the snapshot of one finalised state in so many epochs (at least one); the others go when the next one
    /// comes. All blocks are kept.
    pub fn with_epochs_per_restore_point(mut self, epochs: u64) -> Self {
        self.epochs_per_restore_point = epochs.max(1);
        self
    }

    /// Stores a block that is not finalised.
    pub fn put_block(&self, root: Root, block: &SignedBeaconBlock<P>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(Column::Block, root.as_slice(), encode(block));
        batch.put(Column::HotBlock, &hot_block_key(block.slot(), &root), Vec::new());
        self.store.write(batch, false)
    }

    /// A block.
    pub fn get_block(&self, root: &Root) -> Result<Option<SignedBeaconBlock<P>>, StorageError> {
        self.store
            .get(Column::Block, root.as_slice())?
            .map(|value| decode(name(Column::Block), root.as_slice(), &value))
            .transpose()
    }

    /// Whether a block is stored.
    pub fn block_exists(&self, root: &Root) -> Result<bool, StorageError> {
        self.store.exists(Column::Block, root.as_slice())
    }

    /// Blocks later than `slot` that are not finalised, ascending by slot.
    pub fn blocks_after(&self, slot: Slot) -> Result<Vec<(Slot, Root)>, StorageError> {
        let from = slot_key(slot.saturating_add(1u64));
        self.store
            .range(Column::HotBlock, &from, usize::MAX)?
            .into_iter()
            .map(|(key, _)| slot_and_root(Column::HotBlock, &key))
            .collect()
    }

    /// Root of the canonical finalised block of a slot.
    pub fn canonical_root(&self, slot: Slot) -> Result<Option<Root>, StorageError> {
        let key = slot_key(slot);
        self.store
            .get(Column::Canonical, &key)?
            .map(|value| root_of_value(name(Column::Canonical), &key, &value))
            .transpose()
    }

    /// Stores the genesis for those who ask for it, in a database whose chain begins later.
    pub fn put_genesis(
        &self,
        root: Root,
        block: &SignedBeaconBlock<P>,
        state: &BeaconState<P>,
    ) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(Column::Block, root.as_slice(), encode(block));
        batch.put(Column::State, root.as_slice(), encode(state));
        batch.put(Column::Metadata, GENESIS, root.as_ssz_bytes());
        self.store.write(batch, true)
    }

    /// Root of the genesis block, if it is stored.
    pub fn genesis_root(&self) -> Result<Option<Root>, StorageError> {
        if let Some(root) = self.canonical_root(Slot::new(0))? {
            return Ok(Some(root));
        }
        self.store
            .get(Column::Metadata, GENESIS)?
            .map(|value| decode_metadata(GENESIS, &value))
            .transpose()
    }

    /// Slots and roots of canonical finalised blocks from a slot on, ascending, at most `limit`.
    pub fn canonical_blocks(&self, from: Slot, limit: usize) -> Result<Vec<(Slot, Root)>, StorageError> {
        let table = name(Column::Canonical);
        self.store
            .range(Column::Canonical, &slot_key(from), limit)?
            .into_iter()
            .map(|(key, value)| Ok((slot_of_key(table, &key)?, root_of_value(table, &key, &value)?)))
            .collect()
    }

    /// Stores a snapshot of the state after a block that is not finalised, so that a replay can start there while
    /// finality is far. It goes when the chain finalises past it.
    pub fn put_state(&self, slot: Slot, block_root: &Root, state: &BeaconState<P>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(Column::State, block_root.as_slice(), encode(state));
        batch.put(Column::HotState, &hot_block_key(slot, block_root), Vec::new());
        self.store.write(batch, false)
    }

    /// A snapshot of the state after a block, if there is one.
    pub fn get_state(&self, block_root: &Root) -> Result<Option<BeaconState<P>>, StorageError> {
        self.store
            .get(Column::State, block_root.as_slice())?
            .map(|value| decode(name(Column::State), block_root.as_slice(), &value))
            .transpose()
    }

    /// Slot and block of the latest snapshot at or before a slot.
    pub fn latest_state_at_or_before(&self, slot: Slot) -> Result<Option<(Slot, Root)>, StorageError> {
        self.store
            .last_at_or_before(Column::StateSlot, &slot_key(slot))?
            .map(|(key, value)| {
                let table = name(Column::StateSlot);
                Ok((slot_of_key(table, &key)?, root_of_value(table, &key, &value)?))
            })
            .transpose()
    }

    /// Slot and root of the block that a node continues from; none in a new database.
    pub fn anchor(&self) -> Result<Option<(Slot, Root)>, StorageError> {
        let Some(value) = self.store.get(Column::Metadata, ANCHOR)? else {
            return Ok(None);
        };
        let anchor: StoredAnchor = decode_metadata(ANCHOR, &value)?;
        Ok(Some((anchor.slot, anchor.root)))
    }

    /// Moves the anchor to a finalised block, whose state is stored with it; notes the canonical blocks up to it, drops
    /// blocks of other branches with their columns, and snapshots that are not needed any more. One durable batch.
    pub fn finalize(
        &self,
        canonical: &[(Slot, Root)],
        dropped: &[Root],
        anchor: (Slot, Root),
        state: &BeaconState<P>,
    ) -> Result<(), StorageError> {
        let (anchor_slot, anchor_root) = anchor;
        let mut batch = Batch::default();
        for (slot, root) in canonical {
            batch.put(Column::Canonical, &slot_key(*slot), root.to_vec());
            batch.delete(Column::HotBlock, &hot_block_key(*slot, root));
        }
        for root in dropped {
            if let Some(block) = self.get_block(root)? {
                batch.delete(Column::HotBlock, &hot_block_key(block.slot(), root));
            }
            batch.delete(Column::Block, root.as_slice());
            self.delete_data_columns(&mut batch, root)?;
        }
        for key in self.store.keys_with_prefix(Column::HotState, &[])? {
            let (slot, root) = slot_and_root(Column::HotState, &key)?;
            if slot <= anchor_slot || dropped.contains(&root) {
                batch.delete(Column::HotState, &key);
                batch.delete(Column::State, root.as_slice());
            }
        }
        batch.put(Column::State, anchor_root.as_slice(), encode(state));
        batch.put(Column::StateSlot, &slot_key(anchor_slot), anchor_root.to_vec());
        if let Some((slot, root)) = self.anchor()?
            && root != anchor_root
            && !self.is_restore_point(slot, anchor_slot)
        {
            batch.delete(Column::State, root.as_slice());
            batch.delete(Column::StateSlot, &slot_key(slot));
        }
        batch.put(
            Column::Metadata,
            ANCHOR,
            StoredAnchor {
                slot: anchor_slot,
                root: anchor_root,
            }
            .as_ssz_bytes(),
        );
        self.store.write(batch, true)
    }

    /// Whether a snapshot at `slot` is kept when the anchor moves on to `next`: the first of each period.
    fn is_restore_point(&self, slot: Slot, next: Slot) -> bool {
        let period = |slot: Slot| slot.epoch::<P>().as_u64() / self.epochs_per_restore_point;
        slot == Slot::new(0) || period(slot) != period(next)
    }

    /// Stores a data column of a block.
    pub fn put_data_column(&self, root: &Root, sidecar: &DataColumnSidecar<P>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(
            Column::DataColumn,
            &data_column_key(root, sidecar.index()),
            encode(sidecar),
        );
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

    /// Removes the data columns of finalised blocks before a slot: nobody may ask for them any more.
    pub fn prune_data_columns_before(&self, slot: Slot) -> Result<(), StorageError> {
        let mut from = match self.store.get(Column::Metadata, COLUMNS_PRUNED)? {
            Some(value) => decode_metadata(COLUMNS_PRUNED, &value)?,
            None => Slot::new(0),
        };
        while from < slot {
            let mut blocks = self.canonical_blocks(from, BLOCKS_PER_PRUNING)?;
            blocks.retain(|(block_slot, _)| *block_slot < slot);
            let Some((last, _)) = blocks.last() else {
                break;
            };
            from = last.saturating_add(1u64);
            let mut batch = Batch::default();
            for (_, root) in &blocks {
                self.delete_data_columns(&mut batch, root)?;
            }
            batch.put(Column::Metadata, COLUMNS_PRUNED, from.as_ssz_bytes());
            self.store.write(batch, false)?;
        }
        Ok(())
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

    fn delete_data_columns(&self, batch: &mut Batch, root: &Root) -> Result<(), StorageError> {
        for key in self.store.keys_with_prefix(Column::DataColumn, root.as_slice())? {
            batch.delete(Column::DataColumn, &key);
        }
        Ok(())
    }

    /// Stores the operation pool, in the pool's own encoding.
    pub fn put_operation_pool(&self, bytes: Vec<u8>) -> Result<(), StorageError> {
        self.store.put(Column::OperationPool, POOL, bytes, true)
    }

    /// The operation pool, in the pool's own encoding.
    pub fn get_operation_pool(&self) -> Result<Option<Vec<u8>>, StorageError> {
        self.store.get(Column::OperationPool, POOL)
    }

    /// Gives space of removed entries back.
    pub fn compact(&self) -> Result<(), StorageError> {
        self.store.compact()
    }
}

/// Slot and root from a key that consists of both.
fn slot_and_root(column: Column, key: &[u8]) -> Result<(Slot, Root), StorageError> {
    let slot = slot_of_key(name(column), key)?;
    Ok((
        slot,
        root_of_value(name(column), key, key.get(8..).unwrap_or_default())?,
    ))
}
