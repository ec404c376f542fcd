//! Making validator keys from a seed, for devnets and for tools.

use crate::definitions::{DefinitionsError, ValidatorDefinition};
use crate::kdf::Kdf;
use crate::keystore::{Keystore, KeystoreError};
use crate::password::Password;
use crate::progress::ProgressLog;
use crate::validators_dir::{LoadError, ValidatorsDir};
use crate::xmss_key::XmssKey;
use crate::xmss_keystore::{XmssKeystore, XmssSeed};
use bls::{BlsError, KeyPath, SecretKey};
use std::ops::Range;
use types::SignerKey;
use xmss::Seed;

/// Keys could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Derivation.
    #[error("could not derive key {path} from the seed: {source}")]
    Derivation {
        /// EIP-2334 path.
        path: String,
        /// What is wrong.
        source: BlsError,
    },
    /// Encryption.
    #[error("key {path}: {source}")]
    Keystore {
        /// EIP-2334 path.
        path: String,
        /// What is wrong.
        source: Box<KeystoreError>,
    },
    /// Storing.
    #[error(transparent)]
    Store(#[from] LoadError),
    /// Definitions.
    #[error(transparent)]
    Definitions(#[from] DefinitionsError),
}

/// EIP-2334: purpose and coin type of the keys of validators.
const PREFIX: [u32; 2] = [12381, 3600];

/// The node of EIP-2333 below which all keys of a seed's validators are. Made once for many keys.
pub struct ValidatorKeys(SecretKey);

impl ValidatorKeys {
    /// Of a seed of at least 32 bytes.
    pub fn of_seed(seed: &[u8]) -> Result<Self, AccountError> {
        let master = SecretKey::derive_master(seed).map_err(|source| AccountError::Derivation {
            path: "m".to_owned(),
            source,
        })?;
        Ok(Self(PREFIX.iter().fold(master, |key, index| key.derive_child(*index))))
    }

    /// `m/12381/3600/account/0`
    pub fn withdrawal(&self, account: u32) -> SecretKey {
        self.0.derive_child(account).derive_child(0)
    }

    /// `m/12381/3600/account/0/0`
    pub fn signing(&self, account: u32) -> SecretKey {
        self.withdrawal(account).derive_child(0)
    }
}

/// Derives the signing key of an account from a seed of at least 32 bytes (EIP-2333, EIP-2334).
pub fn derive_voting_key(seed: &[u8], account: u32) -> Result<SecretKey, AccountError> {
    Ok(ValidatorKeys::of_seed(seed)?.signing(account))
}

/// Encrypts a key with a random password.
fn sealed(secret_key: &SecretKey, kdf: Kdf, path: &str) -> Result<(Keystore, Password), AccountError> {
    let password = Password::random();
    let keystore =
        Keystore::encrypt(secret_key, &password, kdf, path, None).map_err(|source| AccountError::Keystore {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
    Ok((keystore, password))
}

/// Puts the keystore and the password of an account's key into a validators directory that may be carried elsewhere: the
/// client that finds them there writes their definition. A keystore that is there already is left as it is.
pub fn put_keystore(
    dir: &ValidatorsDir,
    secret_key: &SecretKey,
    kdf: impl Fn() -> Kdf,
    account: u32,
) -> Result<(), AccountError> {
    if !dir.keystore_path(secret_key.public_key().to_bytes()).exists() {
        let (keystore, password) = sealed(secret_key, kdf(), &KeyPath::signing_key(account).to_string())?;
        dir.store(&keystore, &password)?;
    }
    Ok(())
}

/// Puts a key into a validators directory: keystore with a random password, secret, definition. A key that is there
/// already is left as it is. Returns its definition.
pub fn add_key(
    dir: &ValidatorsDir,
    secret_key: &SecretKey,
    kdf: Kdf,
    path: &str,
) -> Result<ValidatorDefinition, AccountError> {
    let mut definitions = dir.definitions()?;
    let pubkey = secret_key.public_key().to_bytes();
    if let Some(existing) = definitions.get(pubkey) {
        return Ok(existing.clone());
    }
    let (keystore, password) = sealed(secret_key, kdf, path)?;
    let definition = dir.store(&keystore, &password)?;
    definitions.insert(definition.clone());
    dir.save(&definitions)?;
    Ok(definition)
}

/// Puts the XMSS key of a seed for a window of leaves into a validators directory: key file with a random password,
/// trees, secret, definition. Takes as long as making the key does: half a millisecond or so for each leaf.
pub fn add_xmss_key(
    dir: &ValidatorsDir,
    scheme: u8,
    seed: &XmssSeed,
    leaves: Range<u64>,
    kdf: Kdf,
) -> Result<ValidatorDefinition, AccountError> {
    let failed = |source: KeystoreError| AccountError::Keystore {
        path: format!("of scheme {scheme}"),
        source: Box::new(source),
    };
    let progress = ProgressLog::new(None::<SignerKey>, "Making an XMSS key");
    let key = XmssKey::generate(scheme, &Seed::from_bytes(seed), leaves, &|done| progress.tell(done))
        .map_err(|source| failed(source.into()))?;
    let mut definitions = dir.definitions()?;
    if let Some(existing) = definitions.get(key.pubkey()) {
        return Ok(existing.clone());
    }
    let password = Password::random();
    let keystore = XmssKeystore::encrypt(seed, &key, &password, kdf, None).map_err(failed)?;
    let definition = dir.store_xmss(&keystore, seed, key, &password)?;
    definitions.insert(definition.clone());
    dir.save(&definitions)?;
    Ok(definition)
}

/// [`add_key`] for the signing keys of consecutive accounts of a seed.
pub fn add_keys_from_seed(
    dir: &ValidatorsDir,
    seed: &[u8],
    accounts: Range<u32>,
    kdf: impl Fn() -> Kdf,
) -> Result<Vec<ValidatorDefinition>, AccountError> {
    let keys = ValidatorKeys::of_seed(seed)?;
    accounts
        .map(|account| {
            add_key(
                dir,
                &keys.signing(account),
                kdf(),
                &KeyPath::signing_key(account).to_string(),
            )
        })
        .collect()
}
