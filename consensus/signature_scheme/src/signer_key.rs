//! Whether bytes are a key.

use crate::{SignatureError, scheme};
use types::SignerKey;
use types::constants::BLS_SCHEME;

/// Whether the bytes are a key of their scheme: length, encoding, subgroup.
///
/// Spec: dvt/beacon-chain.md#is_valid_virtual_key
pub fn validate_key(key: &SignerKey) -> Result<(), SignatureError> {
    let number = key.scheme();
    let found = key.as_bytes().len();
    if number == BLS_SCHEME {
        let bytes = key.as_bls().ok_or(SignatureError::KeyLength {
            scheme: number,
            found,
            expected: 48,
        })?;
        bls::cached_public_key(&bytes)?;
        return Ok(());
    }
    let scheme = scheme::find(number)?;
    if found != scheme.key_len() {
        return Err(SignatureError::KeyLength {
            scheme: number,
            found,
            expected: scheme.key_len(),
        });
    }
    scheme
        .validate_key(key.as_bytes())
        .map_err(|source| SignatureError::Scheme { scheme: number, source })
}
