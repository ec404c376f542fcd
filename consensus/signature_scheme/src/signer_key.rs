//! A key with its scheme, small enough to copy.

use crate::{SignatureError, scheme};
use types::constants::BLS_SCHEME;
use types::{PublicKeyBytes, VirtualKey};

/// The key of one signer. Its length is that of its scheme; whether the bytes are a key is seen when they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignerKey {
    scheme: u8,
    len: u8,
    bytes: [u8; 64],
}

impl SignerKey {
    /// A BLS key: that of a solo validator.
    pub fn bls(pubkey: PublicKeyBytes) -> Self {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(pubkey) {
            *to = from;
        }
        Self {
            scheme: BLS_SCHEME,
            len: 48,
            bytes,
        }
    }

    /// Number of the scheme.
    pub fn scheme(&self) -> u8 {
        self.scheme
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The key as BLS key bytes, if it is one.
    pub fn as_bls(&self) -> Option<PublicKeyBytes> {
        (self.scheme == BLS_SCHEME)
            .then(|| PublicKeyBytes::try_from(self.as_bytes()).ok())
            .flatten()
    }

    /// Whether the bytes are a key of their scheme: length, encoding, subgroup.
    pub fn validate(&self) -> Result<(), SignatureError> {
        if self.scheme == BLS_SCHEME {
            let bytes = self.as_bls().ok_or(SignatureError::KeyLength {
                scheme: self.scheme,
                found: usize::from(self.len),
                expected: 48,
            })?;
            bls::cached_public_key(&bytes)?;
            return Ok(());
        }
        let scheme = scheme::find(self.scheme)?;
        if self.as_bytes().len() != scheme.key_len() {
            return Err(SignatureError::KeyLength {
                scheme: self.scheme,
                found: usize::from(self.len),
                expected: scheme.key_len(),
            });
        }
        scheme
            .validate_key(self.as_bytes())
            .map_err(|source| SignatureError::Scheme {
                scheme: self.scheme,
                source,
            })
    }
}

impl From<&VirtualKey> for SignerKey {
    fn from(key: &VirtualKey) -> Self {
        let mut bytes = [0; 64];
        for (to, from) in bytes.iter_mut().zip(key.pubkey.iter()) {
            *to = *from;
        }
        // The list's limit is 64.
        Self {
            scheme: key.scheme,
            len: key.pubkey.len() as u8,
            bytes,
        }
    }
}
