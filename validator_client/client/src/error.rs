//! Why a client does not start.

use std::path::PathBuf;

/// A client did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A flag that makes no sense, alone or with others.
    #[error("--{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file cannot be read or is not what it should be.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The directory of the keys is in use, or cannot be.
    #[error(transparent)]
    Lock(#[from] keystore::LockError),
    /// The list of keys.
    #[error(transparent)]
    Definitions(#[from] keystore::DefinitionsError),
    /// The directory of the keys cannot be read.
    #[error(transparent)]
    KeyFile(#[from] keystore::FileError),
    /// The record of what was signed.
    #[error("slashing protection: {0}")]
    Protection(#[from] slashing_protection::DatabaseError),
    /// There is no record of what was signed.
    #[error(
        "{path}: no slashing protection database; if these keys have never signed, pass --init-slashing-protection",
        path = .0.display()
    )]
    NoProtection(PathBuf),
    /// The signer did not start.
    #[error("signer: {0}")]
    Signer(#[from] signing::SigningError),
    /// A node's configuration is not that of this client.
    #[error("{0}")]
    Configuration(String),
    /// A change of keys cannot be made.
    #[error("{0}")]
    Manager(String),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] http_server::ListenError),
    /// The secret of the keymanager API.
    #[error(transparent)]
    Token(#[from] keymanager::TokenError),
    /// Work on another thread failed.
    #[error("a thread has failed: {0}")]
    Thread(#[from] tokio::task::JoinError),
}
