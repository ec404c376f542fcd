//! The typed database of a node.

use crate::key_value::{Batch, Column, KeyValueStore};
use crate::tables::{
    StoredAnchor, StoredIdentity, data_column_key, decode, decode_metadata, encode, hot_block_key, name, root_of_value,
    slot_key, slot_of_key,
};
use crate::{LevelDbStore, MemoryStore, StorageError};
use ssz::Encode as _;
use std::marker::PhantomData;
use std::path::Path;
use types::{BeaconState, ColumnIndex, DataColumnSidecar, Preset, Root, SignedBeaconBlock, Slot};

/// Version of keys and encodings.
const SCHEMA: u64 = 1;
const IDENTITY: &[u8] = b"identity";
const ANCHOR: &[u8] = b"anchor";
const POOL: &[u8] = b"pool";
/// Snapshots of finalised states that are kept beside the anchor: one for so many epochs.
const EPOCHS_PER_RESTORE_POINT: u64 = 32;

/// Which network a database belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Root of the genesis validators.
    pub genesis_validators_root: Root,
}

/// The database of a node.
#[derive(Debug)]
pub struct Storage<P: Preset> {
    store: Box<dyn KeyValueStore>,
    _preset: PhantomData<P>,
}

impl<P: Preset> Storage<P> {
    /// Opens the database below a data directory, in `beacon/chain_db`, or makes a new one.
    pub fn open(datadir: &Path, identity: Identity) -> Result<Self, StorageError> {
        Self::with_store(
            Box::new(LevelDbStore::open(&datadir.join("beacon").join("chain_db"))?),
            identity,
        )
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
            preset: P::NAME.as_str().as_bytes().to_vec(),
        };
        match store.get(Column::Metadata, IDENTITY)? {
            None => {
                let mut batch = Batch::default();
                batch.put(Column::Metadata, IDENTITY, expected.as_ssz_bytes());
                store.write(batch, true)?;
            }
            Some(value) => {
                let found: StoredIdentity = decode_metadata(IDENTITY, &value)?;
                let mismatch =
                    |field, expected: String, found: String| Err(StorageError::Mismatch { field, expected, found });
                if found.schema != SCHEMA {
                    return mismatch("schema version", SCHEMA.to_string(), found.schema.to_string());
                }
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
            }
        }
        Ok(Self {
            store,
            _preset: PhantomData,
        })
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
        Ok(self.store.get(Column::Block, root.as_slice())?.is_some())
    }

    /// Blocks later than `slot` that are not finalised, ascending by slot.
    pub fn blocks_after(&self, slot: Slot) -> Result<Vec<(Slot, Root)>, StorageError> {
        let from = slot_key(slot.saturating_add(1u64));
        self.store
            .range(Column::HotBlock, &from, usize::MAX)?
            .into_iter()
            .map(|(key, _)| {
                let slot = slot_of_key(name(Column::HotBlock), &key)?;
                let root = root_of_value(name(Column::HotBlock), &key, key.get(8..).unwrap_or_default())?;
                Ok((slot, root))
            })
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

    /// Moves the anchor to a finalised block, whose state is stored with it; notes the canonical blocks up to it, and
    /// drops blocks of other branches. One durable batch.
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
        }
        batch.put(Column::State, anchor_root.as_slice(), encode(state));
        batch.put(Column::StateSlot, &slot_key(anchor_slot), anchor_root.to_vec());
        if let Some((slot, root)) = self.anchor()?
            && root != anchor_root
            && !Self::is_restore_point(slot, anchor_slot)
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
    fn is_restore_point(slot: Slot, next: Slot) -> bool {
        let period = |slot: Slot| slot.epoch::<P>().as_u64() / EPOCHS_PER_RESTORE_POINT;
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

    /// Stores the operation pool, in the pool's own encoding.
    pub fn put_operation_pool(&self, bytes: Vec<u8>) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(Column::OperationPool, POOL, bytes);
        self.store.write(batch, true)
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
