//! Openings: the digest of a leaf and its path.

use crate::DecodeError;
use crate::field::{Digest, Reader, check_len, write_elements};
use crate::parameters::Parameters;
use std::marker::PhantomData;

/// Shows the digest of a leaf. A key has one digest at each leaf, so whoever holds the public key can be shown no
/// other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opening<P> {
    pub(crate) digest: Digest,
    /// `P::LOG_LIFETIME` siblings, from the leaf up.
    pub(crate) path: Vec<Digest>,
    pub(crate) parameters: PhantomData<P>,
}

impl<P: Parameters> Opening<P> {
    /// Reads `P::OPENING_LEN` bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len(bytes, P::OPENING_LEN)?;
        let mut reader = Reader(bytes);
        Ok(Self {
            digest: Digest(reader.elements()?),
            path: reader.digests(P::LOG_LIFETIME)?,
            parameters: PhantomData,
        })
    }

    /// SSZ of a container of two vectors: digest, then path.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(P::OPENING_LEN);
        for digest in std::iter::once(&self.digest).chain(&self.path) {
            write_elements(&digest.0, &mut bytes);
        }
        bytes
    }

    /// The value that was fixed when the key was made.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}
