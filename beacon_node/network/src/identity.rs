//! The node key: 32 raw bytes in `<network_dir>/key`, used for libp2p, noise and the node record alike.

use ::enr::CombinedKey;
use libp2p::identity::{Keypair, secp256k1};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const KEY_FILE: &str = "key";

/// The secp256k1 secret of this node.
#[derive(Clone)]
pub struct NodeKey {
    bytes: [u8; 32],
}

/// The node key could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("node key {path}: {source}; check that the folder exists and is writable")]
    Io {
        /// File in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "node key {path} holds {found} bytes that are no secp256k1 key of 32 bytes; delete it to get a new identity"
    )]
    Invalid {
        /// File in question.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
}

impl NodeKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self {
            bytes: secp256k1::SecretKey::generate().to_bytes(),
        }
    }

    /// A key from its 32 bytes, `None` if they are no valid scalar.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let key = Self { bytes };
        key.secret().is_some().then_some(key)
    }

    /// Reads the key of `network_dir`, or creates folder and key.
    pub fn load_or_create(network_dir: &Path) -> Result<Self, IdentityError> {
        let path = network_dir.join(KEY_FILE);
        let io_error = |source| IdentityError::Io {
            path: path.clone(),
            source,
        };
        match fs::read(&path) {
            Ok(content) => <[u8; 32]>::try_from(content.as_slice())
                .ok()
                .and_then(Self::from_bytes)
                .ok_or(IdentityError::Invalid {
                    path: path.clone(),
                    found: content.len(),
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate();
                fs::create_dir_all(network_dir).map_err(io_error)?;
                write_atomically(&path, &key.bytes, true).map_err(io_error)?;
                Ok(key)
            }
            Err(error) => Err(io_error(error)),
        }
    }

    fn secret(&self) -> Option<secp256k1::SecretKey> {
        let mut bytes = self.bytes;
        secp256k1::SecretKey::try_from_bytes(&mut bytes).ok()
    }

    /// The key as libp2p wants it.
    pub fn libp2p(&self) -> Option<Keypair> {
        Some(Keypair::from(secp256k1::Keypair::from(self.secret()?)))
    }

    /// The key as discv5 wants it.
    pub fn discv5(&self) -> Option<CombinedKey> {
        let mut bytes = self.bytes;
        CombinedKey::secp256k1_from_bytes(&mut bytes).ok()
    }
}

/// Writes `content` next to `path`, syncs and renames: readers see the old or the new content, never a part.
pub(crate) fn write_atomically(path: &Path, content: &[u8], secret: bool) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let mut file = options.open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::enr::{EnrKey, EnrPublicKey};

    #[test]
    fn the_key_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("beacon").join("network");
        let first = NodeKey::load_or_create(&nested).unwrap();
        let second = NodeKey::load_or_create(&nested).unwrap();
        assert_eq!(first.bytes, second.bytes);
        assert_eq!(fs::read(nested.join("key")).unwrap().len(), 32);
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), [7; 31]).unwrap();
        assert!(matches!(
            NodeKey::load_or_create(dir.path()),
            Err(IdentityError::Invalid { found: 31, .. })
        ));
        assert_eq!(fs::read(dir.path().join("key")).unwrap(), vec![7; 31]);
        assert!(NodeKey::from_bytes([0; 32]).is_none());
    }

    #[test]
    fn libp2p_and_discovery_see_the_same_public_key() {
        let key = NodeKey::generate();
        let libp2p_key = key.libp2p().unwrap().public().try_into_secp256k1().unwrap();
        assert_eq!(libp2p_key.to_bytes().to_vec(), key.discv5().unwrap().public().encode());
    }
}
