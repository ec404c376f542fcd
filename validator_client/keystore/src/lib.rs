//! A validator's keys on disk.
//!
//! - [`Keystore`]: one encrypted key (EIP-2335, version 4);
//! - [`XmssKeystore`]: the same for an XMSS key, and [`XmssKey`], which is in use;
//! - [`Password`]: the normalised password of a keystore;
//! - [`ValidatorDefinitions`]: `validator_definitions.yml`, the list of what to run, in Lighthouse's format;
//! - [`ValidatorsDir`]: Lighthouse's directory layout, discovery and unlocking of keys;
//! - [`LockFile`]: two clients never run on the same keys;
//! - [`account`]: making keys from a seed.
//!
//! Errors name the file, the field in it, and what was expected.

pub mod account;
mod definition_yaml;
mod definitions;
mod fields;
mod file;
mod kdf;
mod keystore;
mod lock;
mod password;
mod progress;
mod removal;
mod scrypt;
mod sealed;
mod tree_file;
mod validators_dir;
mod xmss_key;
mod xmss_keystore;

pub use definitions::{
    DEFINITIONS_FILE, DefinitionsError, LocalKeystore, SigningDefinition, ValidatorDefinition, ValidatorDefinitions,
};
pub use fields::FieldError;
pub use file::{FileError, create_private_dir, read_limited, write_atomically};
pub use kdf::{Kdf, KdfError};
pub use keystore::{Keystore, KeystoreError};
pub use lock::{LockError, LockFile};
pub use password::{Password, PasswordError};
pub use progress::ProgressLog;
pub use tree_file::TreeFileError;
pub use validators_dir::{
    Discovered, KEYSTORE_FILE, LOCK_FILE, LoadError, LoadedKey, RemoteKey, UnlockedKey, ValidatorsDir,
    XMSS_KEYSTORE_FILE,
};
pub use xmss::{Progress, Seed};
pub use xmss_key::{XmssKey, XmssKeyError};
pub use xmss_keystore::{OpenedXmssKey, XmssKeystore, XmssSeed};
