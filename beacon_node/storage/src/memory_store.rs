//! A store in memory, for tests.

use crate::StorageError;
use crate::key_value::{Batch, Column, Entries, Entry, KeyValueStore};
use parking_lot::RwLock;
use std::collections::BTreeMap;

/// A store in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl KeyValueStore for MemoryStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.entries.read().get(&column.key(key)).cloned())
    }

    fn write(&self, batch: Batch, _durable: bool) -> Result<(), StorageError> {
        let mut entries = self.entries.write();
        for (key, value) in batch.changes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }

    fn range(&self, column: Column, from: &[u8], limit: usize) -> Result<Entries, StorageError> {
        Ok(self
            .entries
            .read()
            .range(column.key(from)..)
            .take_while(|(key, _)| key.first() == Some(&(column as u8)))
            .take(limit)
            .map(|(key, value)| (key[1..].to_vec(), value.clone()))
            .collect())
    }

    fn keys_with_prefix(&self, column: Column, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StorageError> {
        let prefix = column.key(prefix);
        Ok(self
            .entries
            .read()
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(key, _)| key[1..].to_vec())
            .collect())
    }

    fn last_at_or_before(&self, column: Column, at: &[u8]) -> Result<Option<Entry>, StorageError> {
        Ok(self
            .entries
            .read()
            .range(column.key(&[])..=column.key(at))
            .next_back()
            .map(|(key, value)| (key[1..].to_vec(), value.clone())))
    }

    fn compact(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
