//! Key files for XMSS keys: EIP-2335's encryption around a seed, and in the open what the key is.
//!
//! ```json
//! { "version": 1, "scheme": 1, "pubkey": "…52 bytes…", "log_lifetime": 32, "first_leaf": 0, "leaf_count": 65536,
//!   "crypto": { "kdf": …, "checksum": …, "cipher": … }, "description": "", "uuid": "…" }
//! ```
//!
//! A reader of EIP-2335 refuses the file by its version. The window of leaves is a part of the key: the same seed with
//! another window has another public key.

use crate::fields::Fields;
use crate::file::read_limited;
use crate::kdf::Kdf;
use crate::keystore::{KeystoreError, MAX_KEYSTORE_BYTES, create_document, parse_document, read_uuid};
use crate::password::Password;
use crate::sealed::Sealed;
use crate::tree_file::{TreeFile, TreeFileError};
use crate::xmss_key::{XmssKey, XmssKeyError};
use serde_json::{Value, json};
use std::ops::Range;
use std::path::{Path, PathBuf};
use types::SignerKey;
use types::constants::{SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};
use uuid::Uuid;
use xmss::{Devnet, Insecure, Parameters as _, Production, Progress, Seed};
use zeroize::Zeroizing;

const VERSION: u64 = 1;
const SEED_BYTES: usize = 32;
/// Where the parameter stands in a public key: after the root.
const ROOT_BYTES: usize = 32;

/// Secret of an XMSS key: everything else follows from it and the window.
pub type XmssSeed = Zeroizing<[u8; SEED_BYTES]>;

/// One encrypted XMSS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmssKeystore {
    sealed: Sealed,
    pubkey: SignerKey,
    leaves: Range<u64>,
    description: Option<String>,
    uuid: Uuid,
}

/// A key that was read.
#[derive(Debug)]
pub struct OpenedXmssKey {
    /// The key.
    pub key: XmssKey,
    /// Why its trees had to be computed, if there was a file of them.
    pub unusable_tree_file: Option<TreeFileError>,
}

/// log2 of the number of leaves of a scheme's keys.
fn log_lifetime(scheme: u8) -> Result<u64, XmssKeyError> {
    match scheme {
        XMSS_SCHEME => Ok(Production::LOG_LIFETIME as u64),
        SHORT_LIVED_XMSS_SCHEME => Ok(Devnet::LOG_LIFETIME as u64),
        _ => Err(XmssKeyError::Scheme(scheme)),
    }
}

impl XmssKeystore {
    /// Encrypts the seed of a key.
    pub fn encrypt(
        seed: &XmssSeed,
        key: &XmssKey,
        password: &Password,
        kdf: Kdf,
        description: Option<&str>,
    ) -> Result<Self, KeystoreError> {
        Ok(Self {
            sealed: Sealed::seal(seed.as_slice(), password, kdf)?,
            pubkey: key.pubkey(),
            leaves: key.leaves(),
            description: description.map(str::to_owned),
            uuid: Uuid::new_v4(),
        })
    }

    /// Decrypts the seed, and checks that the parameter of the public key is the one that follows from it. Whether the
    /// root does, shows only when the trees are there: [`XmssKeystore::open`].
    pub fn decrypt(&self, password: &Password) -> Result<XmssSeed, KeystoreError> {
        let secret = self.sealed.open(password)?.ok_or(KeystoreError::WrongPassword)?;
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        if secret.len() != seed.len() {
            return Err(KeystoreError::NotASecretKey {
                found: format!("{} bytes", secret.len()),
            });
        }
        seed.copy_from_slice(&secret);
        // The parameter does not depend on the lifetime, so the smallest key shows it.
        let smallest = xmss::SecretKey::<Insecure>::generate(&Seed::from_bytes(&seed), 0..1, &|_| {});
        let smallest = smallest.map_err(XmssKeyError::from)?.public_key().to_bytes();
        if smallest.get(ROOT_BYTES..) != self.pubkey.as_bytes().get(ROOT_BYTES..) {
            return Err(KeystoreError::WrongSeed { stored: self.pubkey });
        }
        Ok(seed)
    }

    /// Decrypts the key and reads its trees from `tree_file`, or computes them on all cores if that file is missing or
    /// of no use, and writes it. `progress` is told how far that is.
    pub fn open(
        &self,
        password: &Password,
        tree_file: &Path,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<OpenedXmssKey, KeystoreError> {
        let seed = self.decrypt(password)?;
        let file = TreeFile::new(tree_file, &seed);
        let read = match file.read() {
            Ok(Some(trees)) => XmssKey::from_trees(self.pubkey, &trees).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let unusable_tree_file = match read {
            Ok(Some(key)) => {
                return Ok(OpenedXmssKey {
                    key: key.with_file(file),
                    unusable_tree_file: None,
                });
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let seed = Seed::from_bytes(&seed);
        let key = XmssKey::generate(self.pubkey.scheme(), &seed, self.leaves.clone(), progress)?;
        if key.pubkey() != self.pubkey {
            return Err(KeystoreError::WrongPublicKey {
                stored: Box::new(self.pubkey),
                derived: Box::new(key.pubkey()),
            });
        }
        let key = key.with_file(file);
        // Without the file the next start takes as long as this one: no reason not to run.
        let unusable_tree_file = unusable_tree_file.or(key.save().err());
        Ok(OpenedXmssKey {
            key,
            unusable_tree_file,
        })
    }

    /// Reads and checks a key file; decrypts nothing.
    pub fn from_file(path: &Path) -> Result<Self, KeystoreError> {
        Self::from_json(&read_limited(path, MAX_KEYSTORE_BYTES)?)
    }

    /// Writes a new file with mode 0600; an existing one is an error and stays.
    pub fn create_file(&self, path: &Path) -> Result<(), KeystoreError> {
        create_document(path, &self.to_json())
    }

    /// Where the trees of the key in a file are.
    pub fn tree_file(path: &Path) -> PathBuf {
        path.with_extension("trees")
    }

    /// Parses a key file and checks every field.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeystoreError> {
        let document = parse_document(bytes)?;
        let fields = Fields(&document);
        let version = fields.integer("version")?;
        if version != VERSION {
            return Err(KeystoreError::Version {
                expected: VERSION,
                found: version,
            });
        }
        let scheme = u8::try_from(fields.integer("scheme")?).ok();
        let (scheme, log_lifetime) = scheme
            .and_then(|scheme| Some((scheme, log_lifetime(scheme).ok()?)))
            .ok_or_else(|| fields.error("scheme", "1 or 2, a scheme of XMSS"))?;
        if fields.integer("log_lifetime")? != log_lifetime {
            return Err(fields
                .error("log_lifetime", format!("{log_lifetime}, that of scheme {scheme}"))
                .into());
        }
        let pubkey = fields.fixed_bytes::<{ xmss::PUBLIC_KEY_LEN }>("pubkey")?;
        xmss::PublicKey::<Production>::from_bytes(&pubkey)
            .map_err(|error| fields.error("pubkey", format!("an XMSS public key ({error})")))?;
        let pubkey = SignerKey::new(scheme, &pubkey).ok_or(XmssKeyError::Scheme(scheme))?;
        let first = fields.integer("first_leaf")?;
        let count = fields.integer("leaf_count")?;
        let lifetime = 1u64.checked_shl(log_lifetime as u32).unwrap_or(u64::MAX);
        let end = first.checked_add(count).filter(|end| count > 0 && *end <= lifetime);
        let end = end.ok_or_else(|| {
            let expected = format!("1 to {lifetime} leaves after `first_leaf` within the lifetime 2^{log_lifetime}");
            fields.error("leaf_count", expected)
        })?;
        Ok(Self {
            sealed: Sealed::from_fields(&fields, SEED_BYTES)?,
            pubkey,
            leaves: first..end,
            description: fields.optional_string("description")?.map(str::to_owned),
            uuid: read_uuid(&fields)?,
        })
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "version": VERSION,
            "scheme": self.pubkey.scheme(),
            "pubkey": hex::encode(self.pubkey.as_bytes()),
            "log_lifetime": log_lifetime(self.pubkey.scheme()).unwrap_or_default(),
            "first_leaf": self.leaves.start,
            "leaf_count": self.leaves.end.saturating_sub(self.leaves.start),
            "crypto": self.sealed.to_json(),
            "uuid": self.uuid.to_string(),
        });
        if let (Some(description), Some(object)) = (&self.description, document.as_object_mut()) {
            object.insert("description".to_owned(), json!(description));
        }
        document
    }

    /// The public key that the file says it holds; verified by [`XmssKeystore::open`].
    pub fn pubkey(&self) -> SignerKey {
        self.pubkey
    }

    /// Leaves that the key was made for.
    pub fn leaves(&self) -> Range<u64> {
        self.leaves.clone()
    }

    /// Free text.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Random identifier of the file.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }
}
