//! What is wrong with the files that a genesis is made of.

use std::path::{Path, PathBuf};

/// A genesis could not be made. Nothing was written, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file says something that cannot be.
    #[error("{path}: {reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where, what was found, what was expected.
        reason: String,
    },
    /// Each file is right by itself, but no state comes of them.
    #[error("no genesis state comes of these files: {0}")]
    State(String),
    /// The blob parameters of the consensus chain are none that an execution chain can have.
    #[error("no genesis file of execution clients can follow BLOB_SCHEDULE: {0}")]
    BlobSchedule(String),
}

impl GenesisError {
    pub(crate) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Reads a file that may have `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, GenesisError> {
    let failed = |source| GenesisError::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > limit {
        return Err(GenesisError::content(
            path,
            format!("the file has {length} bytes, expected at most {limit}"),
        ));
    }
    std::fs::read(path).map_err(failed)
}
