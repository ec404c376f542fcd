//! What can be wrong with a database.

use std::path::PathBuf;

/// Something is wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process has it open.
    #[error("another node is running with {path}: stop it, or use another --datadir")]
    Locked {
        /// Directory.
        path: PathBuf,
    },
    /// It is damaged. It is left as it is.
    #[error(
        "database {path} is corrupt and was left as it is: {reason}. Move it away to start again from genesis or a checkpoint"
    )]
    Corrupt {
        /// Directory.
        path: PathBuf,
        /// What is damaged.
        reason: String,
    },
    /// The directory cannot be used.
    #[error("database {path}: {source}")]
    Directory {
        /// Directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// LevelDB reports an error.
    #[error("database: {0}")]
    Backend(String),
    /// A value does not decode.
    #[error("{table} entry {key} is damaged: {reason}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which entry, in hex.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The database belongs to another network, or to another version of this program.
    #[error("database has {field} {found}, expected {expected}")]
    Mismatch {
        /// What differs.
        field: &'static str,
        /// What this node has.
        expected: String,
        /// What the database has.
        found: String,
    },
}
