//! Signatures and their bytes.

use crate::DecodeError;
use crate::field::{Digest, Randomness, Reader, check_len, write_elements};
use crate::parameters::Parameters;
use std::marker::PhantomData;

/// Bytes before the path: offset of the path's container, randomness, offset of the chains, offset in the path.
pub(crate) const HEADER_LEN: usize = 4 + 28 + 4 + 4;
/// Offset of the first field of variable length.
const PATH_OFFSET: u32 = 36;
/// Offset inside the container of the path.
const INNER_OFFSET: u32 = 4;

/// A signature: Merkle path, randomness and one value of each chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signature<P> {
    /// `P::LOG_LIFETIME` siblings, from the leaf up.
    pub(crate) path: Vec<Digest>,
    pub(crate) randomness: Randomness,
    /// `P::CHAINS` values.
    pub(crate) chains: Vec<Digest>,
    pub(crate) parameters: PhantomData<P>,
}

/// Offset of the chains.
#[allow(clippy::arithmetic_side_effects, reason = "a depth of at most 32")]
const fn chains_offset<P: Parameters>() -> u32 {
    PATH_OFFSET + INNER_OFFSET + 32 * P::LOG_LIFETIME as u32
}

impl<P: Parameters> Signature<P> {
    /// Reads `P::SIGNATURE_LEN` bytes. There is one encoding of a signature; all others are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len(bytes, P::SIGNATURE_LEN)?;
        let mut reader = Reader(bytes);
        check_offset(0, reader.u32()?, PATH_OFFSET)?;
        let randomness = reader.elements()?;
        check_offset(32, reader.u32()?, chains_offset::<P>())?;
        check_offset(36, reader.u32()?, INNER_OFFSET)?;
        Ok(Self {
            path: reader.digests(P::LOG_LIFETIME)?,
            randomness,
            chains: reader.digests(P::CHAINS)?,
            parameters: PhantomData,
        })
    }

    /// SSZ.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(P::SIGNATURE_LEN);
        bytes.extend_from_slice(&PATH_OFFSET.to_le_bytes());
        write_elements(&self.randomness, &mut bytes);
        bytes.extend_from_slice(&chains_offset::<P>().to_le_bytes());
        bytes.extend_from_slice(&INNER_OFFSET.to_le_bytes());
        for digest in self.path.iter().chain(&self.chains) {
            write_elements(&digest.0, &mut bytes);
        }
        bytes
    }

    /// Siblings on the way from the leaf to the root.
    pub fn path(&self) -> &[Digest] {
        &self.path
    }
}

fn check_offset(position: usize, found: u32, expected: u32) -> Result<(), DecodeError> {
    if found == expected {
        Ok(())
    } else {
        Err(DecodeError::Offset {
            position,
            expected,
            found,
        })
    }
}
