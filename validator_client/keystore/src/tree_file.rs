//! The file that holds a key's trees between two runs, encrypted and authenticated under its seed.
//!
//! It only spares time: without it, the trees are computed from the seed again. It is never trusted: its contents must
//! hash to the public key.
//!
//! ```text
//! "FRSLTREE" | version: u32 | iv: 16 | ciphertext | HMAC-SHA256 of all before: 32
//! plaintext: length: u32, key | for each bottom tree: its first leaf: u32, length: u32, digests
//! ```

use crate::file::{FileError, read_limited, write_atomically};
use crate::sealed::apply_cipher;
use crate::xmss_key::XmssKeyError;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Three times the 2 MiB of a tree of 2^16 leaves, and some.
const MAX_FILE_BYTES: u64 = 1 << 23;
const MAGIC: &[u8; 8] = b"FRSLTREE";
const VERSION: u32 = 1;
const MAC_BYTES: usize = 32;

/// A tree file that is of no use. The trees have to be computed from the seed.
#[derive(Debug, thiserror::Error)]
pub enum TreeFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another file.
    #[error("{path}: not a file of trees")]
    Magic {
        /// The file.
        path: PathBuf,
    },
    /// Of another version of this client.
    #[error("{path}: version {found} of the format, expected {}", VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Changed, cut off, or of another key.
    #[error("{path}: damaged, or of another key: its authentication code does not match")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Its trees have another root.
    #[error("the trees are those of another public key")]
    OtherKey,
    /// What is in it is no key.
    #[error(transparent)]
    Key(XmssKeyError),
}

/// A key as bytes, all of them secret.
pub(crate) struct Trees {
    /// As `xmss::SecretKey::to_bytes` gives it.
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// First leaf and digests of each bottom tree.
    pub(crate) bottom: Vec<(u32, Zeroizing<Vec<u8>>)>,
}

/// Where a key's trees are, and the keys for the file.
pub(crate) struct TreeFile {
    path: PathBuf,
    cipher_key: Zeroizing<[u8; 16]>,
    mac_key: Zeroizing<[u8; 32]>,
}

impl TreeFile {
    pub(crate) fn new(path: &Path, seed: &[u8; 32]) -> Self {
        let derive = |label: &[u8]| {
            let derived: [u8; 32] = Sha256::new().chain_update(label).chain_update(seed).finalize().into();
            Zeroizing::new(derived)
        };
        let mut cipher_key = Zeroizing::new([0; 16]);
        for (to, from) in cipher_key.iter_mut().zip(derive(b"fresnel-tree-file-cipher").iter()) {
            *to = *from;
        }
        Self {
            path: path.to_path_buf(),
            cipher_key,
            mac_key: derive(b"fresnel-tree-file-mac"),
        }
    }

    /// `None` if there is no file.
    pub(crate) fn read(&self) -> Result<Option<Trees>, TreeFileError> {
        let bytes = match read_limited(&self.path, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let path = || self.path.clone();
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| TreeFileError::Magic { path: path() })?;
        let damaged = || TreeFileError::Damaged { path: path() };
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(TreeFileError::Version {
                path: path(),
                found: version,
            });
        }
        let (iv, rest) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
        let (ciphertext, code) = rest.split_last_chunk::<MAC_BYTES>().ok_or_else(damaged)?;
        let authenticated = bytes.len().saturating_sub(MAC_BYTES);
        self.mac(bytes.get(..authenticated).unwrap_or_default())
            .and_then(|mac| mac.verify_slice(code).ok())
            .ok_or_else(damaged)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        apply_cipher(self.cipher_key.clone(), iv, &mut plaintext);
        let mut rest = plaintext.as_slice();
        let key = take(&mut rest).ok_or_else(damaged)?;
        let mut bottom = Vec::new();
        while let Some((leaf, after)) = rest.split_first_chunk::<4>() {
            rest = after;
            bottom.push((u32::from_le_bytes(*leaf), take(&mut rest).ok_or_else(damaged)?));
        }
        Ok(Some(Trees { key, bottom }))
    }

    pub(crate) fn write(&self, trees: &Trees) -> Result<(), TreeFileError> {
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        let sizes = trees.bottom.iter().map(|(_, digests)| digests.len().saturating_add(8));
        let capacity = sizes.fold(trees.key.len().saturating_add(4), usize::saturating_add);
        // As large as it will be: a buffer that grows leaves a copy behind.
        let mut body = Zeroizing::new(Vec::with_capacity(capacity));
        body.extend_from_slice(&length(&trees.key));
        body.extend_from_slice(&trees.key);
        for (leaf, digests) in &trees.bottom {
            body.extend_from_slice(&leaf.to_le_bytes());
            body.extend_from_slice(&length(digests));
            body.extend_from_slice(digests);
        }
        // Never the same twice: the key of the cipher stays.
        let iv: [u8; 16] = rand::random();
        apply_cipher(self.cipher_key.clone(), &iv, &mut body);
        let mut file = Vec::with_capacity(body.len().saturating_add(64));
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&iv);
        file.extend_from_slice(&body);
        let code = self.mac(&file).map(|mac| mac.finalize().into_bytes());
        file.extend_from_slice(code.as_deref().unwrap_or_default());
        Ok(write_atomically(&self.path, &file)?)
    }

    /// HMAC takes keys of any length: never `None`.
    fn mac(&self, bytes: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.mac_key.as_slice()).ok()?;
        mac.update(bytes);
        Some(mac)
    }
}

/// Takes a length and as many bytes.
fn take(rest: &mut &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(Zeroizing::new(bytes.to_vec()))
}
