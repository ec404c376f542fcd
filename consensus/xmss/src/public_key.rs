//! Public keys and verification.

use crate::encoding::encode;
use crate::field::{Digest, Parameter, Reader, check_len, write_elements};
use crate::hash::{leaf_digest, root_of_path, walk_chains};
use crate::parameters::{MAX_CHAINS, Parameters, check};
use crate::{DecodeError, Message, Opening, Signature, VerifyError};
use std::marker::PhantomData;

/// Bytes of a public key: root and parameter.
pub const PUBLIC_KEY_LEN: usize = 52;

/// Root of a key's Merkle tree, and the parameter of its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey<P> {
    pub(crate) root: Digest,
    pub(crate) parameter: Parameter,
    parameters: PhantomData<P>,
}

impl<P: Parameters> PublicKey<P> {
    pub(crate) fn new(root: Digest, parameter: Parameter) -> Self {
        Self {
            root,
            parameter,
            parameters: PhantomData,
        }
    }

    /// Reads 52 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_len(bytes, PUBLIC_KEY_LEN)?;
        let mut reader = Reader(bytes);
        Ok(Self::new(Digest(reader.elements()?), reader.elements()?))
    }

    /// SSZ: root, then parameter.
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_LEN] {
        let mut bytes = Vec::with_capacity(PUBLIC_KEY_LEN);
        write_elements(&self.root.0, &mut bytes);
        write_elements(&self.parameter, &mut bytes);
        let mut array = [0; PUBLIC_KEY_LEN];
        array.copy_from_slice(&bytes);
        array
    }

    /// Whether `signature` is one of this key's leaf over `message`.
    pub fn verify(&self, leaf: u32, message: &Message, signature: &Signature<P>) -> Result<(), VerifyError> {
        const { check::<P>() };
        check_leaf::<P>(leaf)?;
        let codeword =
            encode::<P>(&self.parameter, leaf, message, &signature.randomness).ok_or(VerifyError::Codeword)?;
        let mut ends = [Digest::ZERO; MAX_CHAINS];
        for (end, value) in ends.iter_mut().zip(&signature.chains) {
            *end = *value;
        }
        let ends = ends.get_mut(..P::CHAINS).ok_or(VerifyError::Invalid)?;
        walk_chains(
            &self.parameter,
            leaf,
            ends,
            &codeword,
            &[last_position::<P>(); MAX_CHAINS],
        );
        self.check_path(leaf, leaf_digest(&self.parameter, leaf, ends), &signature.path)
    }

    /// Whether `opening` shows this key's leaf.
    pub fn verify_opening(&self, leaf: u32, opening: &Opening<P>) -> Result<(), VerifyError> {
        const { check::<P>() };
        check_leaf::<P>(leaf)?;
        self.check_path(leaf, opening.digest, &opening.path)
    }

    fn check_path(&self, leaf: u32, digest: Digest, path: &[Digest]) -> Result<(), VerifyError> {
        if root_of_path(&self.parameter, leaf, digest, path) == self.root {
            Ok(())
        } else {
            Err(VerifyError::Invalid)
        }
    }
}

/// Position of the last value of a chain.
#[allow(clippy::arithmetic_side_effects, reason = "the base is from 2 to 256")]
const fn last_position<P: Parameters>() -> u8 {
    (P::BASE - 1) as u8
}

fn check_leaf<P: Parameters>(leaf: u32) -> Result<(), VerifyError> {
    if u64::from(leaf) < P::LIFETIME {
        Ok(())
    } else {
        Err(VerifyError::Leaf {
            leaf,
            log_lifetime: P::LOG_LIFETIME,
        })
    }
}
