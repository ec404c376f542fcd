//! The directories of a validator client, in Lighthouse's layout.
//!
//! ```text
//! <validators-dir>/validator_definitions.yml
//! <validators-dir>/0x<pubkey>/voting-keystore.json
//! <secrets-dir>/0x<pubkey>                            the password
//! ```

use crate::definitions::{DefinitionsError, SigningDefinition, ValidatorDefinition, ValidatorDefinitions};
use crate::file::{FileError, create_private_dir, write_atomically};
use crate::keystore::{Keystore, KeystoreError};
use crate::lock::{LockError, LockFile};
use crate::password::{Password, PasswordError};
use bls::SecretKey;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use types::PublicKeyBytes;

/// Name of a validator's keystore in its own directory.
pub const KEYSTORE_FILE: &str = "voting-keystore.json";
/// Held by the client that uses the directory.
pub const LOCK_FILE: &str = "validators.lock";
/// Deeper nesting is not searched for keystores.
const MAX_DEPTH: usize = 8;

/// A validator's key could not be found or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The keystore.
    #[error("keystore {path}: {source}")]
    Keystore {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KeystoreError>,
    },
    /// Its password.
    #[error("validator {pubkey}: {source}")]
    Password {
        /// The validator.
        pubkey: PublicKeyBytes,
        /// What is wrong.
        source: PasswordError,
    },
    /// No password is known.
    #[error(
        "validator {pubkey}: no password: expected one of the fields `voting_keystore_password_path` and \
         `voting_keystore_password` in its definition, or the file {expected}"
    )]
    NoPassword {
        /// The validator.
        pubkey: PublicKeyBytes,
        /// Where the password would be found by itself.
        expected: PathBuf,
    },
    /// Definition and keystore disagree.
    #[error("keystore {path}: field `pubkey`: expected {defined}, as its definition says, found {found}")]
    OtherKey {
        /// The keystore.
        path: PathBuf,
        /// Key of the definition.
        defined: PublicKeyBytes,
        /// Key of the keystore.
        found: PublicKeyBytes,
    },
    /// Remote signing.
    #[error(
        "validator {pubkey}: field `type`: expected local_keystore, found web3signer, which this version cannot use"
    )]
    Remote {
        /// The validator.
        pubkey: PublicKeyBytes,
    },
    /// A directory.
    #[error(transparent)]
    File(#[from] FileError),
}

impl LoadError {
    fn keystore(path: &Path, source: KeystoreError) -> Self {
        Self::Keystore {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }
}

/// What a search for keystores found.
#[derive(Debug, Default)]
pub struct Discovered {
    /// Keys that were not in the definitions before.
    pub added: Vec<PublicKeyBytes>,
    /// Keystores that could not be read; the search went on.
    pub problems: Vec<LoadError>,
}

/// An unlocked key.
pub struct LoadedKey {
    /// Its entry in the definitions.
    pub definition: ValidatorDefinition,
    /// The key.
    pub secret_key: SecretKey,
}

/// The directories, locked for this process.
#[derive(Debug)]
pub struct ValidatorsDir {
    validators_dir: PathBuf,
    secrets_dir: PathBuf,
    _lock: LockFile,
}

impl ValidatorsDir {
    /// Opens the directories, creating those that are missing, and locks them.
    pub fn open(validators_dir: &Path, secrets_dir: &Path) -> Result<Self, LockError> {
        create_private_dir(validators_dir)?;
        Ok(Self {
            validators_dir: validators_dir.to_path_buf(),
            secrets_dir: secrets_dir.to_path_buf(),
            _lock: LockFile::acquire(&validators_dir.join(LOCK_FILE))?,
        })
    }

    /// The validators directory.
    pub fn path(&self) -> &Path {
        &self.validators_dir
    }

    /// Where the password of a key is by default.
    pub fn password_path(&self, pubkey: &PublicKeyBytes) -> PathBuf {
        self.secrets_dir.join(pubkey.to_string())
    }

    /// Where the keystore of a key is by default.
    pub fn keystore_path(&self, pubkey: &PublicKeyBytes) -> PathBuf {
        self.validators_dir.join(pubkey.to_string()).join(KEYSTORE_FILE)
    }

    /// Reads the definitions.
    pub fn definitions(&self) -> Result<ValidatorDefinitions, DefinitionsError> {
        ValidatorDefinitions::open(&self.validators_dir)
    }

    /// Writes the definitions.
    pub fn save(&self, definitions: &ValidatorDefinitions) -> Result<(), DefinitionsError> {
        definitions.save(&self.validators_dir)
    }

    /// Searches the validators directory for keystores and adds those whose path and key are both new to the
    /// definitions. A bad keystore is reported and does not hide the others.
    pub fn discover(&self, definitions: &mut ValidatorDefinitions) -> Result<Discovered, FileError> {
        let mut paths = Vec::new();
        find_keystores(&self.validators_dir, MAX_DEPTH, &mut paths)?;
        paths.sort();
        let known: HashSet<PathBuf> = definitions
            .as_slice()
            .iter()
            .filter_map(|definition| match &definition.signing_definition {
                SigningDefinition::LocalKeystore {
                    voting_keystore_path, ..
                } => Some(voting_keystore_path.clone()),
                SigningDefinition::Web3Signer { .. } => None,
            })
            .collect();
        let mut discovered = Discovered::default();
        for path in paths {
            if known.contains(&path) {
                continue;
            }
            match Keystore::from_file(&path) {
                Ok(keystore) => {
                    let pubkey = keystore.pubkey();
                    let password = Some(self.password_path(&pubkey)).filter(|path| path.exists());
                    let mut definition = ValidatorDefinition::local_keystore(pubkey, path, password);
                    definition.description = keystore.description().unwrap_or_default().to_owned();
                    if definitions.insert(definition) {
                        discovered.added.push(pubkey);
                    }
                }
                Err(source) => discovered.problems.push(LoadError::keystore(&path, source)),
            }
        }
        Ok(discovered)
    }

    /// Unlocks the key of a definition. Takes up to seconds and 256 MiB; meant for a blocking thread.
    pub fn unlock(&self, definition: &ValidatorDefinition) -> Result<LoadedKey, LoadError> {
        let pubkey = definition.voting_public_key;
        let SigningDefinition::LocalKeystore {
            voting_keystore_path: path,
            voting_keystore_password_path,
            voting_keystore_password,
        } = &definition.signing_definition
        else {
            return Err(LoadError::Remote { pubkey });
        };
        let fail = |source| LoadError::keystore(path, source);
        let keystore = Keystore::from_file(path).map_err(fail)?;
        if keystore.pubkey() != pubkey {
            return Err(LoadError::OtherKey {
                path: path.clone(),
                defined: pubkey,
                found: keystore.pubkey(),
            });
        }
        let by_default = self.password_path(&pubkey);
        let password = match (voting_keystore_password, voting_keystore_password_path) {
            (Some(password), _) => Password::new(password),
            (None, Some(path)) => Password::from_file(path).map_err(|source| LoadError::Password { pubkey, source })?,
            (None, None) if by_default.exists() => {
                Password::from_file(&by_default).map_err(|source| LoadError::Password { pubkey, source })?
            }
            (None, None) => {
                return Err(LoadError::NoPassword {
                    pubkey,
                    expected: by_default,
                });
            }
        };
        Ok(LoadedKey {
            definition: definition.clone(),
            secret_key: keystore.decrypt(&password).map_err(fail)?,
        })
    }

    /// Unlocks all enabled keys, one after the other: one wrong keystore does not stop the others.
    pub fn unlock_enabled(
        &self,
        definitions: &ValidatorDefinitions,
    ) -> impl Iterator<Item = Result<LoadedKey, LoadError>> {
        definitions
            .as_slice()
            .iter()
            .filter(|definition| definition.enabled)
            .map(|definition| self.unlock(definition))
    }

    /// Stores a keystore and its password (first, so that no keystore is ever without one). The definition is the
    /// caller's to insert and save. An existing keystore is an error and stays.
    pub fn store(&self, keystore: &Keystore, password: &Password) -> Result<ValidatorDefinition, LoadError> {
        let pubkey = keystore.pubkey();
        let path = self.keystore_path(&pubkey);
        if path.exists() {
            return Err(FileError::Exists { path }.into());
        }
        create_private_dir(&self.secrets_dir)?;
        create_private_dir(&self.validators_dir.join(pubkey.to_string()))?;
        let password_path = self.password_path(&pubkey);
        write_atomically(&password_path, password.as_bytes())?;
        keystore
            .create_file(&path)
            .map_err(|source| LoadError::keystore(&path, source))?;
        Ok(ValidatorDefinition::local_keystore(pubkey, path, Some(password_path)))
    }
}

fn find_keystores(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let failed = |source| FileError::io(dir, "list the directory", source);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            if let Some(depth) = depth.checked_sub(1) {
                find_keystores(&entry.path(), depth, found)?;
            }
        } else if kind.is_file() && entry.file_name().to_str().is_some_and(is_voting_keystore) {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Lighthouse's name, the deposit tool's for signing keys (`keystore-m_12381_3600_<i>_0_0-<time>.json`), and Prysm's
/// (`keystore-<i>.json`). Never the deposit tool's withdrawal keys.
fn is_voting_keystore(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if name == KEYSTORE_FILE {
        return true;
    }
    let Some(middle) = name
        .strip_prefix("keystore-")
        .and_then(|name| name.strip_suffix(".json"))
    else {
        return false;
    };
    match middle.strip_prefix("m_12381_3600_") {
        Some(rest) => rest
            .split_once("_0_0-")
            .is_some_and(|(index, time)| number(index) && number(time)),
        None => number(middle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_voting_keystores_are_recognised_by_name() {
        for name in [
            "voting-keystore.json",
            "keystore-m_12381_3600_1_0_0-1593476250.json",
            "keystore-101.json",
        ] {
            assert!(is_voting_keystore(name), "{name}");
        }
        for name in [
            "avoting-keystore.json",
            "voting-keystore.jsonb",
            "keystore-m_12381_3600_0_0-1593476250.json",
            "keystore-m_12381_3600_1_0-1593476250.json",
            "keystore-.json",
            "keystore-0a.json",
            "deposit_data-1.json",
        ] {
            assert!(!is_voting_keystore(name), "{name}");
        }
    }
}
