//! What is on disk: blocks, states, data columns, and where a node continues after a stop.
//!
//! ```text
//! Storage<P>            typed: blocks by root, canonical roots by slot, snapshots of states, columns, metadata
//!   tables              key, value and encoding of each table
//!     KeyValueStore     bytes: LevelDB, or memory for tests
//! ```
//!
//! Every change that must not be half done is one batch. Nothing here knows the rules of the chain.

mod columns;
mod error;
mod key_value;
mod leveldb_store;
mod memory_store;
mod purge;
mod storage;
mod tables;

pub use columns::{ColumnsKept, CustodyStep};
pub use error::StorageError;
pub use key_value::{Batch, Column, Entries, Entry, KeyValueStore};
pub use leveldb_store::LevelDbStore;
pub use memory_store::MemoryStore;
pub use purge::purge_database;
pub use storage::{Identity, Storage, database_dir};
