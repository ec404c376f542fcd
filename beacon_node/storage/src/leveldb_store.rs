//! A store on disk: LevelDB.

use crate::StorageError;
use crate::key_value::{Batch, Column, Entries, Entry, KeyValueStore};
use leveldb::compaction::Compaction as _;
use leveldb::database::Database;
use leveldb::database::batch::{Batch as _, Writebatch};
use leveldb::database::cache::Cache;
use leveldb::iterator::{Iterable as _, LevelDBIterator as _};
use leveldb::kv::KV as _;
use leveldb::options::{Options, ReadOptions, WriteOptions};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that LevelDB may collect before it writes a table.
const WRITE_BUFFER_BYTES: usize = 4 << 20;
/// Bytes of table blocks that LevelDB keeps in memory.
const CACHE_BYTES: usize = 8 << 20;
/// Table files that LevelDB keeps open.
const MAX_OPEN_FILES: i32 = 256;
/// The file that every LevelDB database has.
const CURRENT: &str = "CURRENT";
/// What LevelDB says of a database that another process has open, and of one that this process has.
const LOCKED: [&str; 2] = ["Resource temporarily unavailable", "already held by process"];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key(Vec<u8>);

impl db_key::Key for Key {
    fn from_u8(key: &[u8]) -> Self {
        Self(key.to_vec())
    }

    fn as_slice<T, F: Fn(&[u8]) -> T>(&self, f: F) -> T {
        f(&self.0)
    }
}

/// A store on disk.
pub struct LevelDbStore {
    database: Database<Key>,
    path: PathBuf,
}

impl std::fmt::Debug for LevelDbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LevelDbStore({})", self.path.display())
    }
}

impl LevelDbStore {
    /// Opens the database in a directory, or makes a new one in an empty or missing directory.
    ///
    /// A directory with other content, a damaged database and one that another process has open are errors; nothing
    /// is changed then.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let directory_error = |source| StorageError::Directory {
            path: path.to_owned(),
            source,
        };
        let corrupt = |reason: String| StorageError::Corrupt {
            path: path.to_owned(),
            reason,
        };
        let mut has_files = false;
        match fs::read_dir(path) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(directory_error)?.file_name();
                    has_files |= !is_of_unfinished_creation(&name.to_string_lossy());
                }
                has_files |= path.join(CURRENT).exists();
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(directory_error)?;
            }
            Err(error) => return Err(directory_error(error)),
        }
        if has_files && !path.join(CURRENT).exists() {
            return Err(corrupt(format!("the directory has files, but none named {CURRENT}")));
        }
        let mut options = Options::new();
        options.create_if_missing = !has_files;
        options.paranoid_checks = true;
        options.write_buffer_size = Some(WRITE_BUFFER_BYTES);
        options.max_open_files = Some(MAX_OPEN_FILES);
        options.cache = Some(Cache::new(CACHE_BYTES));
        let database = Database::open(path, options).map_err(|error| {
            let reason = error.to_string();
            if LOCKED.iter().any(|words| reason.contains(words)) {
                StorageError::Locked { path: path.to_owned() }
            } else {
                corrupt(reason)
            }
        })?;
        Ok(Self {
            database,
            path: path.to_owned(),
        })
    }
}

/// Files that LevelDB makes before `CURRENT`, when nothing was written yet: whoever was killed then begins again.
fn is_of_unfinished_creation(name: &str) -> bool {
    ["LOCK", "LOG", "LOG.old", "MANIFEST-000001"].contains(&name) || name.ends_with(".dbtmp")
}

fn backend(error: leveldb::error::Error) -> StorageError {
    StorageError::Backend(error.to_string())
}

/// Reads verify checksums: damage is an error, not a wrong value.
fn read_options<'a>() -> ReadOptions<'a, Key> {
    ReadOptions {
        verify_checksums: true,
        ..ReadOptions::new()
    }
}

impl KeyValueStore for LevelDbStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.database.get(read_options(), Key(column.key(key))).map_err(backend)
    }

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StorageError> {
        let mut writes = Writebatch::new();
        for (key, value) in batch.changes {
            match value {
                Some(value) => writes.put(Key(key), &value),
                None => writes.delete(Key(key)),
            }
        }
        let mut options = WriteOptions::new();
        options.sync = durable;
        self.database.write(options, &writes).map_err(backend)
    }

    fn range(&self, column: Column, from: &[u8], limit: usize) -> Result<Entries, StorageError> {
        let from = Key(column.key(from));
        let mut entries = Vec::new();
        let mut iterator = self.database.iter(read_options());
        iterator.seek(&from);
        while entries.len() < limit && iterator.valid() {
            let Key(key) = iterator.key();
            match key.split_first() {
                Some((first, rest)) if *first == column as u8 => entries.push((rest.to_vec(), iterator.value())),
                _ => break,
            }
            next(&mut iterator);
        }
        Ok(entries)
    }

    fn keys_with_prefix(&self, column: Column, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StorageError> {
        let prefix = Key(column.key(prefix));
        let mut keys = Vec::new();
        let mut iterator = self.database.iter(read_options());
        iterator.seek(&prefix);
        while iterator.valid() {
            let Key(key) = iterator.key();
            if !key.starts_with(&prefix.0) {
                break;
            }
            keys.push(key.get(1..).unwrap_or_default().to_vec());
            next(&mut iterator);
        }
        Ok(keys)
    }

    fn last_at_or_before(&self, column: Column, at: &[u8]) -> Result<Option<Entry>, StorageError> {
        // LevelDB's iterators of this binding go forward only; the tables that are searched so are small.
        let mut last = None;
        let mut from = Vec::new();
        loop {
            let entries = self.range(column, &from, 1024)?;
            let is_end = entries.len() < 1024;
            for (key, value) in entries {
                if key.as_slice() > at {
                    return Ok(last);
                }
                from = key.clone();
                last = Some((key, value));
            }
            if is_end {
                return Ok(last);
            }
            from.push(0);
        }
    }

    fn compact(&self) -> Result<(), StorageError> {
        self.database.compact(&Key(vec![0]), &Key(vec![u8::MAX]));
        Ok(())
    }
}

/// One step forward. The binding's iterator counts its first `advance` as "go to the start", which `seek` has done.
fn next(iterator: &mut leveldb::iterator::Iterator<'_, Key>) {
    if iterator.start() {
        iterator.started();
    }
    iterator.advance();
}
