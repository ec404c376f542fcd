//! The directories of a validator client, in Lighthouse's layout.
//!
//! ```text
//! <validators-dir>/validator_definitions.yml
//! <validators-dir>/0x<pubkey>/voting-keystore.json
//! <secrets-dir>/0x<pubkey>                            the password
//! ```
//!
//! and for XMSS keys, which other clients pass over:
//!
//! ```text
//! <validators-dir>/<scheme>-0x<pubkey>/xmss-keystore.json
//! <validators-dir>/<scheme>-0x<pubkey>/xmss-keystore.trees     spares computing them
//! <secrets-dir>/<scheme>-0x<pubkey>                            the password
//! ```

use crate::definitions::{
    DEFINITIONS_FILE, DefinitionsError, LocalKeystore, SigningDefinition, ValidatorDefinition, ValidatorDefinitions,
};
use crate::file::{FileError, create_private_dir, read_limited, write_atomically};
use crate::keystore::{Keystore, KeystoreError};
use crate::lock::{LockError, LockFile};
use crate::password::{Password, PasswordError};
use crate::progress::ProgressLog;
use crate::tree_file::{TreeFile, TreeFileError};
use crate::xmss_key::XmssKey;
use crate::xmss_keystore::{XmssKeystore, XmssSeed};
use bls::SecretKey;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};
use types::{PublicKeyBytes, SignerKey};

/// Name of a validator's keystore in its own directory.
pub const KEYSTORE_FILE: &str = "voting-keystore.json";
/// Name of a validator's XMSS key file in its own directory.
pub const XMSS_KEYSTORE_FILE: &str = "xmss-keystore.json";
/// Held by the client that uses the directory.
pub const LOCK_FILE: &str = "validators.lock";
/// Deeper nesting is not searched for keystores.
const MAX_DEPTH: usize = 8;
const MAX_CERTIFICATE_BYTES: u64 = 1 << 20;

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
        pubkey: Box<SignerKey>,
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
        pubkey: Box<SignerKey>,
        /// Where the password would be found by itself.
        expected: PathBuf,
    },
    /// Definition and keystore disagree.
    #[error("keystore {path}: field `pubkey`: expected {defined}, as its definition says, found {found}")]
    OtherKey {
        /// The keystore.
        path: PathBuf,
        /// Key of the definition.
        defined: Box<SignerKey>,
        /// Key of the keystore.
        found: Box<SignerKey>,
    },
    /// The directory was moved, or copied, since the definition was written.
    #[error(
        "validator {pubkey}: field `{field}`: there is no file {defined}{}",
        .here.as_ref().map(|here| format!(
            ", but there is {}: the directory was moved or copied. If no other client uses these keys, change the \
             path in {DEFINITIONS_FILE}, or delete the entry there and it is found again",
            here.display()
        )).unwrap_or_default()
    )]
    NoFile {
        /// The validator.
        pubkey: Box<SignerKey>,
        /// The field of the definition.
        field: &'static str,
        /// What it says.
        defined: PathBuf,
        /// The file of that name here.
        here: Option<PathBuf>,
    },
    /// The same key is here and where the definition says.
    #[error(
        "validator {pubkey}: field `voting_keystore_path`: {defined} is outside of this directory, which has the \
         same key in {here}: the directory was copied, and two clients must never sign with the same keys. If no \
         other client uses them, change the path in validator_definitions.yml, or delete the entry there and it is found again"
    )]
    Copied {
        /// The validator.
        pubkey: Box<SignerKey>,
        /// Path of the definition.
        defined: PathBuf,
        /// The file here.
        here: PathBuf,
    },
    /// A field of a remote signer's definition.
    #[error("validator {pubkey}: field `{field}`: expected {expected}, found {found}")]
    Remote {
        /// The validator.
        pubkey: Box<SignerKey>,
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The trees of a new XMSS key.
    #[error("validator {pubkey}: {source}")]
    Trees {
        /// The validator.
        pubkey: Box<SignerKey>,
        /// What is wrong.
        source: TreeFileError,
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
    pub added: Vec<SignerKey>,
    /// Keystores that could not be read; the search went on.
    pub problems: Vec<LoadError>,
}

/// A key that is ready to sign.
pub struct LoadedKey {
    /// Its entry in the definitions.
    pub definition: ValidatorDefinition,
    /// The key.
    pub key: UnlockedKey,
}

/// A key of any scheme and place.
pub enum UnlockedKey {
    /// A BLS key.
    Bls(SecretKey),
    /// An XMSS key.
    Xmss(XmssKey),
    /// A BLS key in a remote signer.
    Remote(RemoteKey),
}

/// Where a remote signer is.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteKey {
    /// The key.
    pub pubkey: PublicKeyBytes,
    /// Base URL.
    pub url: String,
    /// Longest that a signature may take; the client's default if absent.
    pub request_timeout: Option<Duration>,
    /// PEM certificate of the authority that signed the signer's certificate.
    pub root_certificate: Option<Vec<u8>>,
}

impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may hold credentials.
        f.debug_struct("RemoteKey")
            .field("pubkey", &self.pubkey)
            .finish_non_exhaustive()
    }
}

/// The directories, locked for this process.
#[derive(Debug)]
pub struct ValidatorsDir {
    validators_dir: PathBuf,
    secrets_dir: PathBuf,
    _lock: LockFile,
}

impl ValidatorsDir {
    /// Opens the directories, creating those that are missing, and locks them. Their paths may be relative: those in
    /// definitions are not, so that the next start may be in another directory.
    pub fn open(validators_dir: &Path, secrets_dir: &Path) -> Result<Self, LockError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| FileError::io(path, "make the path absolute", source))
        };
        let (validators_dir, secrets_dir) = (absolute(validators_dir)?, absolute(secrets_dir)?);
        create_private_dir(&validators_dir)?;
        Ok(Self {
            _lock: LockFile::acquire(&validators_dir.join(LOCK_FILE))?,
            validators_dir,
            secrets_dir,
        })
    }

    /// The validators directory.
    pub fn path(&self) -> &Path {
        &self.validators_dir
    }

    /// Where the password of a key is by default.
    pub fn password_path(&self, pubkey: impl Into<SignerKey>) -> PathBuf {
        self.secrets_dir.join(pubkey.into().to_string())
    }

    /// Where the keystore of a key is by default.
    pub fn keystore_path(&self, pubkey: impl Into<SignerKey>) -> PathBuf {
        let pubkey = pubkey.into();
        let name = match pubkey.as_bls() {
            Some(_) => KEYSTORE_FILE,
            None => XMSS_KEYSTORE_FILE,
        };
        self.validators_dir.join(pubkey.to_string()).join(name)
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
            .filter_map(|definition| definition.signing_definition.local())
            .map(|local| local.path.clone())
            .collect();
        let mut discovered = Discovered::default();
        for path in paths {
            if known.contains(&path) {
                continue;
            }
            match public_part(&path) {
                Ok((pubkey, description)) => {
                    let password = Some(self.password_path(pubkey)).filter(|path| path.exists());
                    let mut definition = ValidatorDefinition::local_keystore(pubkey, path, password);
                    definition.description = description;
                    if definitions.insert(definition) {
                        discovered.added.push(pubkey);
                    }
                }
                Err(source) => discovered.problems.push(LoadError::keystore(&path, source)),
            }
        }
        Ok(discovered)
    }

    /// Unlocks the key of a definition. Takes up to seconds and 256 MiB, and for an XMSS key without its tree file as long
    /// as making it; meant for a blocking thread.
    pub fn unlock(&self, definition: &ValidatorDefinition) -> Result<LoadedKey, LoadError> {
        let pubkey = definition.voting_public_key;
        let loaded = |key| LoadedKey {
            definition: definition.clone(),
            key,
        };
        match &definition.signing_definition {
            SigningDefinition::LocalKeystore(local) => {
                let fail = |source| LoadError::keystore(&local.path, source);
                let (keystore, password) =
                    self.read_keystore(pubkey, local, Keystore::from_file, |keystore| keystore.pubkey().into())?;
                Ok(loaded(UnlockedKey::Bls(keystore.decrypt(&password).map_err(fail)?)))
            }
            SigningDefinition::LocalXmssKeystore(local) => {
                let fail = |source| LoadError::keystore(&local.path, source);
                let (keystore, password) =
                    self.read_keystore(pubkey, local, XmssKeystore::from_file, XmssKeystore::pubkey)?;
                let progress = ProgressLog::new(pubkey, "Computing the trees of an XMSS key");
                let opened = keystore
                    .open(&password, &XmssKeystore::tree_file(&local.path), &|done| {
                        progress.tell(done);
                    })
                    .map_err(fail)?;
                if let Some(error) = opened.unusable_tree_file {
                    tracing::warn!(%pubkey, %error, "Trees of an XMSS key were computed from its seed again");
                }
                Ok(loaded(UnlockedKey::Xmss(opened.key)))
            }
            SigningDefinition::Web3Signer { url } => Ok(loaded(UnlockedKey::Remote(remote_key(definition, url)?))),
        }
    }

    /// Reads a key file, if it is the one of its definition, and the password that opens it.
    fn read_keystore<K>(
        &self,
        pubkey: SignerKey,
        local: &LocalKeystore,
        read: impl FnOnce(&Path) -> Result<K, KeystoreError>,
        key_of: impl FnOnce(&K) -> SignerKey,
    ) -> Result<(K, Password), LoadError> {
        let path = &local.path;
        self.check_place(pubkey, path)?;
        let keystore = read(path).map_err(|source| LoadError::keystore(path, source))?;
        check_key(path, pubkey, key_of(&keystore))?;
        Ok((keystore, self.password(pubkey, local)?))
    }

    /// Whether a key file is where its definition says, and the only one of its key.
    fn check_place(&self, pubkey: SignerKey, defined: &Path) -> Result<(), LoadError> {
        let by_default = self.keystore_path(pubkey);
        let here = match defined.file_name() {
            Some(name) => by_default.with_file_name(name),
            None => by_default,
        };
        let here = Some(here).filter(|here| here.exists());
        match (defined.canonicalize(), here) {
            (Err(error), here) if error.kind() == io::ErrorKind::NotFound => Err(LoadError::NoFile {
                pubkey: Box::new(pubkey),
                field: "voting_keystore_path",
                defined: defined.to_path_buf(),
                here,
            }),
            (Ok(there), Some(here)) if here.canonicalize().is_ok_and(|here| here != there) => Err(LoadError::Copied {
                pubkey: Box::new(pubkey),
                defined: defined.to_path_buf(),
                here,
            }),
            _ => Ok(()),
        }
    }

    fn password(&self, pubkey: SignerKey, local: &LocalKeystore) -> Result<Password, LoadError> {
        let by_default = self.password_path(pubkey);
        let read = |path: &Path| {
            Password::from_file(path).map_err(|source| LoadError::Password {
                pubkey: Box::new(pubkey),
                source,
            })
        };
        match (&local.password, local.password_path.as_deref()) {
            (Some(password), _) => Ok(Password::new(password)),
            (None, Some(path)) if !path.exists() && by_default.exists() => Err(LoadError::NoFile {
                pubkey: Box::new(pubkey),
                field: "voting_keystore_password_path",
                defined: path.to_path_buf(),
                here: Some(by_default),
            }),
            (None, Some(path)) => read(path),
            (None, None) if by_default.exists() => read(&by_default),
            (None, None) => Err(LoadError::NoPassword {
                pubkey: Box::new(pubkey),
                expected: by_default,
            }),
        }
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
        self.store_with(keystore.pubkey().into(), password, |path| keystore.create_file(path))
    }

    /// As [`ValidatorsDir::store`], for an XMSS key, with its trees.
    pub fn store_xmss(
        &self,
        keystore: &XmssKeystore,
        seed: &XmssSeed,
        key: XmssKey,
        password: &Password,
    ) -> Result<ValidatorDefinition, LoadError> {
        let pubkey = keystore.pubkey();
        let trees = XmssKeystore::tree_file(&self.keystore_path(pubkey));
        let definition = self.store_with(pubkey, password, |path| keystore.create_file(path))?;
        key.with_file(TreeFile::new(&trees, seed))
            .save()
            .map_err(|source| LoadError::Trees {
                pubkey: Box::new(pubkey),
                source,
            })?;
        Ok(definition)
    }

    fn store_with(
        &self,
        pubkey: SignerKey,
        password: &Password,
        create: impl FnOnce(&Path) -> Result<(), KeystoreError>,
    ) -> Result<ValidatorDefinition, LoadError> {
        let path = self.keystore_path(pubkey);
        if path.exists() {
            return Err(FileError::Exists { path }.into());
        }
        create_private_dir(&self.secrets_dir)?;
        create_private_dir(&self.validators_dir.join(pubkey.to_string()))?;
        let password_path = self.password_path(pubkey);
        write_atomically(&password_path, password.as_bytes())?;
        create(&path).map_err(|source| LoadError::keystore(&path, source))?;
        Ok(ValidatorDefinition::local_keystore(pubkey, path, Some(password_path)))
    }
}

fn is_xmss(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == XMSS_KEYSTORE_FILE)
}

/// Key and description of a key file, which need no password.
fn public_part(path: &Path) -> Result<(SignerKey, String), KeystoreError> {
    let (pubkey, description) = if is_xmss(path) {
        let keystore = XmssKeystore::from_file(path)?;
        (keystore.pubkey(), keystore.description().map(str::to_owned))
    } else {
        let keystore = Keystore::from_file(path)?;
        (keystore.pubkey().into(), keystore.description().map(str::to_owned))
    };
    Ok((pubkey, description.unwrap_or_default()))
}

fn check_key(path: &Path, defined: SignerKey, found: SignerKey) -> Result<(), LoadError> {
    if defined == found {
        return Ok(());
    }
    Err(LoadError::OtherKey {
        path: path.to_path_buf(),
        defined: Box::new(defined),
        found: Box::new(found),
    })
}

/// The fields of a remote signer's definition, under Lighthouse's names.
fn remote_key(definition: &ValidatorDefinition, url: &str) -> Result<RemoteKey, LoadError> {
    let pubkey = definition.voting_public_key;
    let wrong = |field, expected, found: String| LoadError::Remote {
        pubkey: Box::new(pubkey),
        field,
        expected,
        found,
    };
    let field = |name: &str| definition.other.get(name).filter(|value| !value.is_null());
    if field("client_identity_path").is_some() {
        let found = "one: certificates of clients are not supported".to_owned();
        return Err(wrong("client_identity_path", "nothing", found));
    }
    let request_timeout = match field("request_timeout_ms") {
        None => None,
        Some(value) => match value.as_u64() {
            Some(milliseconds @ 1..) => Some(Duration::from_millis(milliseconds)),
            _ => return Err(wrong("request_timeout_ms", "a positive integer", format!("{value:?}"))),
        },
    };
    let root_certificate = match field("root_certificate_path") {
        None => None,
        Some(value) => {
            let path = value
                .as_str()
                .ok_or_else(|| wrong("root_certificate_path", "a path", format!("{value:?}")))?;
            Some(read_limited(Path::new(path), MAX_CERTIFICATE_BYTES)?)
        }
    };
    Ok(RemoteKey {
        pubkey: pubkey
            .as_bls()
            .ok_or_else(|| wrong("voting_public_key", "a BLS key", pubkey.to_string()))?,
        url: url.to_owned(),
        request_timeout,
        root_certificate,
    })
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
    if name == KEYSTORE_FILE || name == XMSS_KEYSTORE_FILE {
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
            "xmss-keystore.json",
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
