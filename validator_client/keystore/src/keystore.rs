//! EIP-2335 keystores, version 4.

use crate::fields::{FieldError, Fields};
use crate::file::{FileError, create_atomically, read_limited};
use crate::kdf::{DERIVED_KEY_BYTES, Kdf, KdfError};
use crate::password::Password;
use aes::Aes128;
use bls::SecretKey;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use types::PublicKeyBytes;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Real keystores have less than a kilobyte.
const MAX_KEYSTORE_BYTES: u64 = 1 << 16;
/// Longest secret that is accepted; a BLS key has 32 bytes.
const MAX_SECRET_BYTES: usize = 1024;
const BLS_SECRET_BYTES: usize = 32;

/// A keystore that cannot be read, written or decrypted. The caller adds the path.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Not JSON.
    #[error("expected a JSON document: {0}")]
    Json(#[from] serde_json::Error),
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
        stored: PublicKeyBytes,
        /// Of the secret.
        derived: PublicKeyBytes,
    },
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// One encrypted BLS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keystore {
    kdf: Kdf,
    checksum: [u8; 32],
    iv: [u8; 16],
    ciphertext: Vec<u8>,
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
        let key = kdf.derive(password)?;
        let iv = rand::random();
        let mut ciphertext = secret_key.to_bytes().to_vec();
        apply_cipher(&key, &iv, &mut ciphertext);
        Ok(Self {
            checksum: checksum(&key, &ciphertext),
            kdf,
            iv,
            ciphertext,
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
                stored: self.pubkey,
                derived,
            });
        }
        Ok(secret_key)
    }

    /// Decrypts the secret whatever it is.
    pub fn decrypt_bytes(&self, password: &Password) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let key = self.kdf.derive(password)?;
        if checksum(&key, &self.ciphertext) != self.checksum {
            return Err(KeystoreError::WrongPassword);
        }
        let mut secret = Zeroizing::new(self.ciphertext.clone());
        apply_cipher(&key, &self.iv, &mut secret);
        Ok(secret)
    }

    /// Reads and checks a keystore file; decrypts nothing.
    pub fn from_file(path: &Path) -> Result<Self, KeystoreError> {
        Self::from_json(&read_limited(path, MAX_KEYSTORE_BYTES)?)
    }

    /// Writes a new file with mode 0600; an existing one is an error and stays.
    pub fn create_file(&self, path: &Path) -> Result<(), KeystoreError> {
        let mut text = serde_json::to_vec_pretty(&self.to_json())?;
        text.push(b'\n');
        Ok(create_atomically(path, &text)?)
    }

    /// Parses a keystore and checks every field.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeystoreError> {
        let document: Value = serde_json::from_slice(bytes)?;
        let fields = Fields(&document);
        if fields.integer("version")? != 4 {
            return Err(fields.error("version", "4").into());
        }
        fields.one_of("crypto.kdf.message", "")?;
        let kdf = Kdf::from_fields(&fields)?;
        fields.one_of("crypto.checksum.function", "sha256")?;
        fields.one_of("crypto.cipher.function", "aes-128-ctr")?;
        let ciphertext = fields.bytes("crypto.cipher.message", MAX_SECRET_BYTES)?;
        if ciphertext.is_empty() {
            let expected = format!("{BLS_SECRET_BYTES} bytes as hexadecimal digits");
            return Err(fields.error("crypto.cipher.message", expected).into());
        }
        let uuid = Uuid::parse_str(fields.string("uuid")?)
            .map_err(|_| fields.error("uuid", "a UUID such as 1d85ae20-35c5-4611-98e8-aa14a633906f"))?;
        Ok(Self {
            kdf,
            checksum: fields.fixed_bytes("crypto.checksum.message")?,
            iv: fields.fixed_bytes("crypto.cipher.params.iv")?,
            ciphertext: ciphertext.to_vec(),
            pubkey: PublicKeyBytes::new(fields.fixed_bytes("pubkey")?),
            path: fields.optional_string("path")?.unwrap_or_default().to_owned(),
            description: fields.optional_string("description")?.map(str::to_owned),
            uuid,
        })
    }

    /// The document of the EIP.
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "crypto": {
                "kdf": self.kdf.to_json(),
                "checksum": { "function": "sha256", "params": {}, "message": hex::encode(self.checksum) },
                "cipher": {
                    "function": "aes-128-ctr",
                    "params": { "iv": hex::encode(self.iv) },
                    "message": hex::encode(&self.ciphertext),
                },
            },
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

/// SHA-256 of the second half of the derived key and the ciphertext.
fn checksum(key: &[u8; DERIVED_KEY_BYTES], ciphertext: &[u8]) -> [u8; 32] {
    let (_, second_half) = key.split_at(16);
    Sha256::new()
        .chain_update(second_half)
        .chain_update(ciphertext)
        .finalize()
        .into()
}

/// AES-128 in counter mode with the first half of the derived key; its own inverse.
fn apply_cipher(key: &[u8; DERIVED_KEY_BYTES], iv: &[u8; 16], data: &mut [u8]) {
    let mut first_half = Zeroizing::new([0; 16]);
    for (to, from) in first_half.iter_mut().zip(key) {
        *to = *from;
    }
    ctr::Ctr128BE::<Aes128>::new(&(*first_half).into(), &(*iv).into()).apply_keystream(data);
}
