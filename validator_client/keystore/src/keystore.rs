//! EIP-2335 keystores, version 4.

use crate::fields::{FieldError, Fields};
use crate::file::{FileError, create_atomically, read_limited};
use crate::kdf::{Kdf, KdfError};
use crate::password::Password;
use crate::sealed::Sealed;
use crate::xmss_key::XmssKeyError;
use bls::SecretKey;
use serde_json::{Value, json};
use std::path::Path;
use types::{PublicKeyBytes, SignerKey};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Real keystores have less than a kilobyte.
pub(crate) const MAX_KEYSTORE_BYTES: u64 = 1 << 16;
const BLS_SECRET_BYTES: usize = 32;

/// A keystore that cannot be read, written or decrypted. The caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Not JSON.
    #[error("expected a JSON document: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON that ends in the middle.
    #[error("expected a JSON document, found the beginning of one: the file ends after {found} bytes ({source})")]
    Truncated {
        /// Bytes of the file.
        found: usize,
        /// Where the parser was.
        source: serde_json::Error,
    },
    /// Of another version of this format.
    #[error("field `version`: expected {expected}, found {found}: another version of this client wrote the file")]
    Version {
        /// Ours.
        expected: u64,
        /// Its.
        found: u64,
    },
    /// A field is missing, malformed or outside of its limits.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Parameters of the key derivation.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The checksum says that the password is another one.
    #[error("the password does not open this keystore: its checksum does not match")]
    WrongPassword,
    /// Decrypted to something that is no secret key.
    #[error("expected a secret key of 32 bytes, found {found}")]
    NotASecretKey {
        /// What it is instead.
        found: String,
    },
    /// The key inside is not the one outside.
    #[error("field `pubkey`: expected {derived}, the key of the secret inside, found {stored}")]
    WrongPublicKey {
        /// The field.
        stored: Box<SignerKey>,
        /// Of the secret.
        derived: Box<SignerKey>,
    },
    /// The seed inside is that of another key: a key's parameter follows from its seed alone.
    #[error("field `pubkey`: {stored} is not a key of the seed inside: its parameter is another one")]
    WrongSeed {
        /// The field.
        stored: SignerKey,
    },
    /// An XMSS key cannot be made.
    #[error(transparent)]
    Xmss(#[from] XmssKeyError),
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// One encrypted BLS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keystore {
    sealed: Sealed,
    pubkey: PublicKeyBytes,
    path: String,
    description: Option<String>,
    uuid: Uuid,
}

impl Keystore {
    /// Encrypts a key. `path` is its EIP-2334 derivation path, or empty.
    pub fn encrypt(
        secret_key: &SecretKey,
        password: &Password,
        kdf: Kdf,
        path: &str,
        description: Option<&str>,
    ) -> Result<Self, KeystoreError> {
        Ok(Self {
            sealed: Sealed::seal(secret_key.to_bytes().as_slice(), password, kdf)?,
            pubkey: secret_key.public_key().to_bytes(),
            path: path.to_owned(),
            description: description.map(str::to_owned),
            uuid: Uuid::new_v4(),
        })
    }

    /// Decrypts the key, and checks that its public key is the one that the keystore names.
    pub fn decrypt(&self, password: &Password) -> Result<SecretKey, KeystoreError> {
        let secret = self.decrypt_bytes(password)?;
        let bytes =
            <&[u8; BLS_SECRET_BYTES]>::try_from(secret.as_slice()).map_err(|_| KeystoreError::NotASecretKey {
                found: format!("{} bytes", secret.len()),
            })?;
        let secret_key = SecretKey::from_bytes(bytes).map_err(|error| KeystoreError::NotASecretKey {
            found: error.to_string(),
        })?;
        let derived = secret_key.public_key().to_bytes();
        if derived != self.pubkey {
            return Err(KeystoreError::WrongPublicKey {
                stored: Box::new(self.pubkey.into()),
                derived: Box::new(derived.into()),
            });
        }
        Ok(secret_key)
    }

    /// Decrypts the secret whatever it is.
    pub fn decrypt_bytes(&self, password: &Password) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        self.sealed.open(password)?.ok_or(KeystoreError::WrongPassword)
    }

    /// Reads and checks a keystore file; decrypts nothing.
    pub fn from_file(path: &Path) -> Result<Self, KeystoreError> {
        Self::from_json(&read_limited(path, MAX_KEYSTORE_BYTES)?)
    }

    /// Writes a new file with mode 0600; an existing one is an error and stays.
    pub fn create_file(&self, path: &Path) -> Result<(), KeystoreError> {
        create_document(path, &self.to_json())
    }

    /// Parses a keystore and checks every field.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeystoreError> {
        let document = parse_document(bytes)?;
        let fields = Fields(&document);
        if fields.integer("version")? != 4 {
            return Err(fields.error("version", "4").into());
        }
        let sealed = Sealed::from_fields(&fields, BLS_SECRET_BYTES)?;
        let uuid = read_uuid(&fields)?;
        Ok(Self {
            sealed,
            pubkey: PublicKeyBytes::new(fields.fixed_bytes("pubkey")?),
            path: fields.optional_string("path")?.unwrap_or_default().to_owned(),
            description: fields.optional_string("description")?.map(str::to_owned),
            uuid,
        })
    }

    /// The document of the EIP.
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "crypto": self.sealed.to_json(),
            "pubkey": hex::encode(self.pubkey),
            "path": self.path,
            "uuid": self.uuid.to_string(),
            "version": 4,
        });
        if let (Some(description), Some(object)) = (&self.description, document.as_object_mut()) {
            object.insert("description".to_owned(), json!(description));
        }
        document
    }

    /// The public key that the keystore says it holds; verified by [`Keystore::decrypt`].
    pub fn pubkey(&self) -> PublicKeyBytes {
        self.pubkey
    }

    /// EIP-2334 derivation path, or empty.
    pub fn path(&self) -> &str {
        &self.path
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

/// Parses a document; one that ends too early is told from one that is something else.
pub(crate) fn parse_document(bytes: &[u8]) -> Result<Value, KeystoreError> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_eof() {
            KeystoreError::Truncated {
                found: bytes.len(),
                source: error,
            }
        } else {
            KeystoreError::Json(error)
        }
    })
}

/// Writes a document into a new file with mode 0600; an existing one is an error and stays.
pub(crate) fn create_document(path: &Path, document: &Value) -> Result<(), KeystoreError> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    Ok(create_atomically(path, &text)?)
}

pub(crate) fn read_uuid(fields: &Fields<'_>) -> Result<Uuid, FieldError> {
    Uuid::parse_str(fields.string("uuid")?)
        .map_err(|_| fields.error("uuid", "a UUID such as 1d85ae20-35c5-4611-98e8-aa14a633906f"))
}
