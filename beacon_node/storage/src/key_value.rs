//! A store of bytes.

use crate::StorageError;

/// Tables, as the first byte of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Column {
    /// What the database is.
    Metadata = b'm',
    /// Blocks by root.
    Block = b'b',
    /// Roots of blocks that are not finalised, by slot.
    HotBlock = b'h',
    /// Roots of canonical finalised blocks, by slot.
    Canonical = b'c',
    /// Snapshots of states by block root.
    State = b's',
    /// Roots of blocks with a snapshot, by slot.
    StateSlot = b't',
    /// Which blocks that are not finalised have a snapshot, by slot.
    HotState = b'u',
    /// Data columns by block root and index.
    DataColumn = b'd',
    /// Which blocks have data columns, by slot. The blocks themselves may be missing.
    ColumnBlock = b'e',
    /// Operations that wait for inclusion.
    OperationPool = b'o',
}

impl Column {
    /// The whole key.
    pub(crate) fn key(self, key: &[u8]) -> Vec<u8> {
        let mut whole = Vec::with_capacity(key.len() + 1);
        whole.push(self as u8);
        whole.extend_from_slice(key);
        whole
    }
}

/// Changes that are made together or not at all, in order.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Adds or replaces an entry.
    pub fn put(&mut self, column: Column, key: &[u8], value: Vec<u8>) {
        self.changes.push((column.key(key), Some(value)));
    }

    /// Removes an entry.
    pub fn delete(&mut self, column: Column, key: &[u8]) {
        self.changes.push((column.key(key), None));
    }
}

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);
/// Keys with their values.
pub type Entries = Vec<Entry>;

/// A store of bytes with atomic batches.
pub trait KeyValueStore: Send + Sync + std::fmt::Debug {
    /// The value of a key.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// Makes all changes of a batch, or none. `durable`: they survive a loss of power once this returns; otherwise a
    /// crash of the process.
    fn write(&self, batch: Batch, durable: bool) -> Result<(), StorageError>;

    /// Whether there is a value.
    fn exists(&self, column: Column, key: &[u8]) -> Result<bool, StorageError> {
        Ok(self.get(column, key)?.is_some())
    }

    /// Adds or replaces one entry.
    fn put(&self, column: Column, key: &[u8], value: Vec<u8>, durable: bool) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.put(column, key, value);
        self.write(batch, durable)
    }

    /// Removes one entry.
    fn delete(&self, column: Column, key: &[u8], durable: bool) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.delete(column, key);
        self.write(batch, durable)
    }

    /// All entries of a column whose keys are at least `from`, ascending, at most `limit`.
    fn range(&self, column: Column, from: &[u8], limit: usize) -> Result<Entries, StorageError>;

    /// All keys of a column that start with `prefix`, ascending, without their values.
    fn keys_with_prefix(&self, column: Column, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StorageError>;

    /// The entry of a column with the greatest key that is at most `at`.
    fn last_at_or_before(&self, column: Column, at: &[u8]) -> Result<Option<Entry>, StorageError>;

    /// Gives space of removed entries back.
    fn compact(&self) -> Result<(), StorageError>;
}
