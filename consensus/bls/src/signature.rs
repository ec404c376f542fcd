//! Validated signatures.

use crate::{BlsError, DST, PublicKey};
use blst::{BLST_ERROR, min_pk};
use std::fmt;
use types::{Root, SignatureBytes};

/// Compressed point at infinity: the signature of nobody.
///
/// Spec: altair/bls.md#constants, `G2_POINT_AT_INFINITY`
pub const INFINITY_SIGNATURE: SignatureBytes = {
    let mut bytes = [0u8; 96];
    bytes[0] = 0xc0;
    SignatureBytes::new(bytes)
};

/// A signature: a point of the subgroup, infinity included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(crate) min_pk::Signature);

impl Signature {
    /// Decompresses and checks the subgroup.
    pub fn from_bytes(bytes: &SignatureBytes) -> Result<Self, BlsError> {
        let signature = Self::from_bytes_unchecked(bytes)?;
        if signature.0.subgroup_check() {
            Ok(signature)
        } else {
            Err(BlsError::SignatureSubgroup)
        }
    }

    /// Decompresses. The caller checks the subgroup.
    pub(crate) fn from_bytes_unchecked(bytes: &SignatureBytes) -> Result<Self, BlsError> {
        min_pk::Signature::uncompress(bytes.as_slice())
            .map(Self)
            .map_err(|_| BlsError::SignatureEncoding)
    }

    /// Compressed form.
    pub fn to_bytes(&self) -> SignatureBytes {
        SignatureBytes::new(self.0.to_bytes())
    }

    /// Verifies against one key.
    ///
    /// Spec: phase0/beacon-chain.md#bls-signatures, `bls.Verify`
    pub fn verify(&self, public_key: &PublicKey, message: &Root) -> Result<(), BlsError> {
        // Both points were checked when they were made.
        match self.0.verify(false, message.as_slice(), DST, &[], &public_key.0, false) {
            BLST_ERROR::BLST_SUCCESS => Ok(()),
            _ => Err(BlsError::Invalid),
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_bytes())
    }
}
