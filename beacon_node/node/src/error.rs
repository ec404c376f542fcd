//! Why a node does not start.

use std::path::PathBuf;

/// A node did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A flag that makes no sense, alone or with others.
    #[error("--{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file cannot be read or is not what it should be.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The database.
    #[error("database below {datadir}: {source}", datadir = datadir.display())]
    Storage {
        /// The data directory.
        datadir: PathBuf,
        /// What happened.
        source: storage::StorageError,
    },
    /// The database is of another network, or of another version of this program.
    #[error(
        "database below {datadir}: {source}; give another --datadir, or --purge-db to delete it and begin anew",
        datadir = datadir.display()
    )]
    OtherDatabase {
        /// The data directory.
        datadir: PathBuf,
        /// What differs.
        source: storage::StorageError,
    },
    /// The chain could not be started.
    #[error("chain: {0}")]
    Chain(#[from] beacon_chain::ChainError),
    /// The state of the checkpoint could not be had.
    #[error("checkpoint sync from {url}: {reason}")]
    Checkpoint {
        /// Where from.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The execution client's settings.
    #[error("execution client: {0}")]
    Execution(#[from] execution_layer::EngineError),
    /// The network did not start.
    #[error("network: {0}")]
    Network(#[from] network::StartError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] http_server::ListenError),
    /// The columns of this node could not be computed.
    #[error("custody: {0}")]
    Custody(#[from] data_columns::DataColumnError),
    /// Threads.
    #[error("the system gives no threads: {0}")]
    Threads(std::io::Error),
}

impl NodeError {
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
