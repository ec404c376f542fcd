//! Validated public keys.

use crate::BlsError;
use blst::{BLST_ERROR, min_pk};
use std::fmt;
use types::PublicKeyBytes;

/// A public key: a point of the subgroup, not infinity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(crate) min_pk::PublicKey);

impl PublicKey {
    /// Decompresses and validates.
    ///
    /// Spec: `KeyValidate` of draft-irtf-cfrg-bls-signature
    pub fn from_bytes(bytes: &PublicKeyBytes) -> Result<Self, BlsError> {
        let key = min_pk::PublicKey::uncompress(bytes.as_slice()).map_err(|_| BlsError::PublicKeyEncoding)?;
        match key.validate() {
            Ok(()) => Ok(Self(key)),
            Err(BLST_ERROR::BLST_PK_IS_INFINITY) => Err(BlsError::PublicKeyInfinity),
            Err(_) => Err(BlsError::PublicKeySubgroup),
        }
    }

    /// Compressed form.
    pub fn to_bytes(&self) -> PublicKeyBytes {
        PublicKeyBytes::new(self.0.to_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_bytes())
    }
}
