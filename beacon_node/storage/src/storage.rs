//! The typed database of a node.

use crate::key_value::{Batch, Column, KeyValueStore};
use crate::purge::remove_purged;
use crate::tables::{
    StoredAnchor, StoredIdentity, decode, decode_metadata, encode, hot_block_key, name, root_of_value, slot_and_root,
    slot_key, slot_of_key, stored_schema,
};
use crate::{LevelDbStore, MemoryStore, StorageError};
use ssz::Encode as _;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::{BeaconState, Preset, Root, SignedBeaconBlock, Slot};

/// Version of keys and encodings.
const SCHEMA: u64 = 3;
const IDENTITY: &[u8] = b"identity";
const ANCHOR: &[u8] = b"anchor";
const GENESIS: &[u8] = b"genesis";
const POOL: &[u8] = b"pool";
/// Snapshots of finalised states that are kept beside the anchor: one for so many epochs.
const EPOCHS_PER_RESTORE_POINT: u64 = 32;

/// Which network a database belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Root of the genesis validators.
    pub genesis_validators_root: Root,
    /// Genesis in seconds since the Unix epoch. Two devnets with the same validators differ in nothing else.
    pub genesis_time: u64,
}

/// The database of a node.
#[derive(Debug)]
pub struct Storage<P: Preset> {
    pub(crate) store: Box<dyn KeyValueStore>,
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

    /// Slot and root of the latest canonical finalised block at or before a slot.
    pub fn canonical_at_or_before(&self, slot: Slot) -> Result<Option<(Slot, Root)>, StorageError> {
        self.last_at_or_before(Column::Canonical, slot)
    }

    /// The last entry at or before a slot of a table with a root for each slot.
    fn last_at_or_before(&self, column: Column, slot: Slot) -> Result<Option<(Slot, Root)>, StorageError> {
        let table = name(column);
        self.store
            .last_at_or_before(column, &slot_key(slot))?
            .map(|(key, value)| Ok((slot_of_key(table, &key)?, root_of_value(table, &key, &value)?)))
            .transpose()
    }

    /// Slot and root of the oldest block from which on all canonical finalised blocks are here; none in a new database.
    pub fn oldest_block(&self) -> Result<Option<(Slot, Root)>, StorageError> {
        Ok(self.canonical_blocks(Slot::new(0), 1)?.first().copied())
    }

    /// Stores canonical blocks from before the oldest one, which they lead to without a gap. One durable batch: a crash
    /// leaves no gap either.
    pub fn put_backfilled(&self, blocks: &[(Root, Arc<SignedBeaconBlock<P>>)]) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        for (root, block) in blocks {
            batch.put(Column::Block, root.as_slice(), encode(block.as_ref()));
            batch.put(Column::Canonical, &slot_key(block.slot()), root.to_vec());
        }
        self.store.write(batch, true)
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
        self.last_at_or_before(Column::StateSlot, slot)
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
    /// blocks of other branches, the columns of whatever is not canonical, and snapshots that are not needed any more. One
    /// durable batch.
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
        self.delete_stray_columns(&mut batch, canonical, anchor_slot)?;
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
