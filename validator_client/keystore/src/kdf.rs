//! Key derivation functions, with limits: the parameters come from a file.

use crate::fields::{FieldError, Fields};
use crate::password::Password;
use crate::scrypt::scrypt;
use hmac::Hmac;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Length of the derived key: 16 bytes for the cipher, 16 for the checksum.
pub(crate) const DERIVED_KEY_BYTES: usize = 32;
/// The EIP's own parameters need 256 MiB (n = 2^18, r = 8).
const MAX_SCRYPT_MEMORY_BYTES: u64 = 1 << 28;
/// Usual is 8. Bounds the other buffer, of `128 * r * p` bytes.
const MAX_SCRYPT_BLOCK_SIZE: u64 = 1024;
/// Bounds the time: p passes over the memory.
const MAX_SCRYPT_PARALLELISM: u64 = 8;
/// The EIP's own parameter is 2^18; this many rounds take some seconds.
const MAX_PBKDF2_ROUNDS: u64 = 1 << 24;
const MAX_SALT_BYTES: usize = 128;

/// At most one scrypt derivation holds its memory at a time, however many threads unlock keys.
static SCRYPT_MEMORY: Mutex<()> = Mutex::new(());

/// A key could not be derived.
#[derive(Debug, thiserror::Error)]
pub enum KdfError {
    /// Parameters outside of the function's domain or of this client's limits.
    #[error(transparent)]
    Parameter(#[from] FieldError),
}

/// A key derivation function with its parameters and salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kdf {
    /// Memory-hard: `128 * n * r` bytes.
    Scrypt {
        /// Cost, a power of two.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelism.
        p: u64,
        /// Salt.
        salt: Vec<u8>,
    },
    /// PBKDF2 with HMAC-SHA256.
    Pbkdf2 {
        /// Rounds.
        c: u64,
        /// Salt.
        salt: Vec<u8>,
    },
}

impl Kdf {
    /// scrypt as in the EIP (256 MiB, about a second): for keys of value.
    pub fn strong() -> Self {
        Self::Scrypt {
            n: 1 << 18,
            r: 8,
            p: 1,
            salt: random_salt(),
        }
    }

    /// PBKDF2 with few rounds, no protection against guessing: for devnets, whose passwords lie beside the keystores.
    pub fn insecure() -> Self {
        Self::Pbkdf2 {
            c: 2,
            salt: random_salt(),
        }
    }

    /// Reads the object `kdf` of a keystore and checks the limits.
    pub(crate) fn from_fields(fields: &Fields<'_>) -> Result<Self, FieldError> {
        let length = fields.integer("crypto.kdf.params.dklen")?;
        if length != DERIVED_KEY_BYTES as u64 {
            return Err(fields.error("crypto.kdf.params.dklen", DERIVED_KEY_BYTES.to_string()));
        }
        let salt = fields.bytes("crypto.kdf.params.salt", MAX_SALT_BYTES)?.to_vec();
        let kdf = match fields.string("crypto.kdf.function")? {
            "scrypt" => Self::Scrypt {
                n: fields.integer("crypto.kdf.params.n")?,
                r: fields.integer("crypto.kdf.params.r")?,
                p: fields.integer("crypto.kdf.params.p")?,
                salt,
            },
            "pbkdf2" => {
                fields.one_of("crypto.kdf.params.prf", "hmac-sha256")?;
                Self::Pbkdf2 {
                    c: fields.integer("crypto.kdf.params.c")?,
                    salt,
                }
            }
            _ => {
                return Err(fields.error("crypto.kdf.function", "\"scrypt\" or \"pbkdf2\""));
            }
        };
        kdf.check()?;
        Ok(kdf)
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Scrypt { n, r, p, salt } => json!({
                "function": "scrypt",
                "params": { "dklen": DERIVED_KEY_BYTES, "n": n, "r": r, "p": p, "salt": hex::encode(salt) },
                "message": "",
            }),
            Self::Pbkdf2 { c, salt } => json!({
                "function": "pbkdf2",
                "params": { "dklen": DERIVED_KEY_BYTES, "c": c, "prf": "hmac-sha256", "salt": hex::encode(salt) },
                "message": "",
            }),
        }
    }

    fn check(&self) -> Result<(), FieldError> {
        let limit = |name: &str, expected: String, found: u64| {
            FieldError::new(format!("crypto.kdf.params.{name}"), expected, found.to_string())
        };
        match *self {
            Self::Scrypt { n, r, p, .. } => {
                if n < 2 || !n.is_power_of_two() {
                    return Err(limit("n", "a power of two, at least 2".into(), n));
                }
                if r == 0 || r > MAX_SCRYPT_BLOCK_SIZE {
                    return Err(limit("r", format!("1 to {MAX_SCRYPT_BLOCK_SIZE}"), r));
                }
                if p == 0 || p > MAX_SCRYPT_PARALLELISM {
                    return Err(limit("p", format!("1 to {MAX_SCRYPT_PARALLELISM}"), p));
                }
                let memory = n.checked_mul(r).and_then(|nr| nr.checked_mul(128));
                if memory.is_none_or(|memory| memory > MAX_SCRYPT_MEMORY_BYTES) {
                    let expected =
                        format!("128 * n * r of at most {MAX_SCRYPT_MEMORY_BYTES} bytes of memory with r = {r}");
                    return Err(limit("n", expected, n));
                }
                // RFC 7914: n < 2^(128 * r / 8). Only tiny r can break it.
                if r < 4 && n >= 1 << (16 * r) {
                    return Err(limit("n", format!("less than 2^{}", 16 * r), n));
                }
            }
            Self::Pbkdf2 { c, .. } => {
                if c == 0 || c > MAX_PBKDF2_ROUNDS {
                    return Err(limit("c", format!("1 to {MAX_PBKDF2_ROUNDS}"), c));
                }
            }
        }
        Ok(())
    }

    /// Derives the key of a password. Takes up to seconds of one core, and for scrypt up to 256 MiB meanwhile.
    pub fn derive(&self, password: &Password) -> Result<Zeroizing<[u8; DERIVED_KEY_BYTES]>, KdfError> {
        self.check()?;
        let mut key = Zeroizing::new([0; DERIVED_KEY_BYTES]);
        let impossible = |name: &str, found: String| {
            FieldError::new(
                format!("crypto.kdf.params.{name}"),
                "a value that the function accepts",
                found,
            )
        };
        match self {
            Self::Scrypt { n, r, p, salt } => {
                let sizes = (usize::try_from(*n), usize::try_from(*r), usize::try_from(*p));
                let (Ok(n), Ok(r), Ok(p)) = sizes else {
                    return Err(impossible("n", format!("n = {n}, r = {r}, p = {p}")).into());
                };
                let _one = SCRYPT_MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
                if !scrypt(password.as_bytes(), salt, n, r, p, key.as_mut()) {
                    return Err(impossible("dklen", DERIVED_KEY_BYTES.to_string()).into());
                }
            }
            Self::Pbkdf2 { c, salt } => {
                let rounds = u32::try_from(*c).map_err(|_| impossible("c", c.to_string()))?;
                pbkdf2::pbkdf2::<Hmac<Sha256>>(password.as_bytes(), salt, rounds, key.as_mut())
                    .map_err(|error| impossible("c", error.to_string()))?;
            }
        }
        Ok(key)
    }
}

fn random_salt() -> Vec<u8> {
    rand::random::<[u8; 32]>().to_vec()
}
