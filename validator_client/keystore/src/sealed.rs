//! The object `crypto` of EIP-2335: a secret under a password. Key files of all schemes have it.

use crate::fields::{FieldError, Fields};
use crate::kdf::{DERIVED_KEY_BYTES, Kdf, KdfError};
use crate::password::Password;
use aes::Aes128;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Longest secret that is accepted.
const MAX_SECRET_BYTES: usize = 1024;

/// An encrypted secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    kdf: Kdf,
    checksum: [u8; 32],
    iv: [u8; 16],
    ciphertext: Vec<u8>,
}

impl Sealed {
    pub(crate) fn seal(secret: &[u8], password: &Password, kdf: Kdf) -> Result<Self, KdfError> {
        let key = kdf.derive(password)?;
        let iv = rand::random();
        let mut ciphertext = secret.to_vec();
        apply_cipher(first_half(&key), &iv, &mut ciphertext);
        Ok(Self {
            checksum: checksum(&key, &ciphertext),
            kdf,
            iv,
            ciphertext,
        })
    }

    /// `None` if the password is another one.
    pub(crate) fn open(&self, password: &Password) -> Result<Option<Zeroizing<Vec<u8>>>, KdfError> {
        let key = self.kdf.derive(password)?;
        if checksum(&key, &self.ciphertext) != self.checksum {
            return Ok(None);
        }
        let mut secret = Zeroizing::new(self.ciphertext.clone());
        apply_cipher(first_half(&key), &self.iv, &mut secret);
        Ok(Some(secret))
    }

    /// Reads and checks the object of a document; `secret_len` is for an error.
    pub(crate) fn from_fields(fields: &Fields<'_>, secret_len: usize) -> Result<Self, FieldError> {
        fields.one_of("crypto.kdf.message", "")?;
        let kdf = Kdf::from_fields(fields)?;
        fields.one_of("crypto.checksum.function", "sha256")?;
        fields.one_of("crypto.cipher.function", "aes-128-ctr")?;
        let ciphertext = fields.bytes("crypto.cipher.message", MAX_SECRET_BYTES)?;
        if ciphertext.is_empty() {
            let expected = format!("{secret_len} bytes as hexadecimal digits");
            return Err(fields.error("crypto.cipher.message", expected));
        }
        Ok(Self {
            kdf,
            checksum: fields.fixed_bytes("crypto.checksum.message")?,
            iv: fields.fixed_bytes("crypto.cipher.params.iv")?,
            ciphertext: ciphertext.to_vec(),
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "kdf": self.kdf.to_json(),
            "checksum": { "function": "sha256", "params": {}, "message": hex::encode(self.checksum) },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": hex::encode(self.iv) },
                "message": hex::encode(&self.ciphertext),
            },
        })
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

fn first_half(key: &[u8; DERIVED_KEY_BYTES]) -> Zeroizing<[u8; 16]> {
    let mut first_half = Zeroizing::new([0; 16]);
    for (to, from) in first_half.iter_mut().zip(key) {
        *to = *from;
    }
    first_half
}

/// AES-128 in counter mode; its own inverse.
pub(crate) fn apply_cipher(key: Zeroizing<[u8; 16]>, iv: &[u8; 16], data: &mut [u8]) {
    ctr::Ctr128BE::<Aes128>::new(&(*key).into(), &(*iv).into()).apply_keystream(data);
}
