//! BLS12-381 signatures as Ethereum uses them: public keys in G1, signatures in G2, proof-of-possession scheme.
//!
//! Bytes from outside become a [`PublicKey`] or [`Signature`] only through checks of encoding and subgroup, so that a
//! value of these types can be used without further thought.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod aggregate;
mod batch;
mod pubkey_cache;
mod public_key;
mod secret_key;
mod signature;

pub use aggregate::{aggregate_signatures, eth_aggregate_pubkeys, eth_fast_aggregate_verify, fast_aggregate_verify};
pub use batch::{Batch, SignedMessage, verify_batch};
pub use pubkey_cache::{cached_public_key, cached_public_keys_len};
pub use public_key::PublicKey;
pub use secret_key::{KeyPath, SecretKey};
pub use signature::{INFINITY_SIGNATURE, Signature};

/// Domain separation tag of the ciphersuite.
///
/// Spec: phase0/beacon-chain.md#bls-signatures
pub const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Bytes are not a key or signature, or a signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BlsError {
    /// A public key is not the canonical encoding of a point of the curve.
    #[error("public key is not a point of the curve in canonical encoding")]
    PublicKeyEncoding,
    /// A public key is the point at infinity.
    #[error("public key is the point at infinity")]
    PublicKeyInfinity,
    /// A public key is not in the subgroup.
    #[error("public key is not in the prime-order subgroup")]
    PublicKeySubgroup,
    /// A signature is not the canonical encoding of a point of the curve.
    #[error("signature is not a point of the curve in canonical encoding")]
    SignatureEncoding,
    /// A signature is not in the subgroup.
    #[error("signature is not in the prime-order subgroup")]
    SignatureSubgroup,
    /// A secret key is zero, not below the group's order, or not 32 bytes long.
    #[error("secret key is not an integer between 1 and the group's order, in 32 big-endian bytes")]
    SecretKey,
    /// A seed is shorter than 32 bytes.
    #[error("seed has {0} bytes, expected at least 32")]
    SeedLength(usize),
    /// A derivation path does not parse.
    #[error("key path does not have the form m/12381/3600/i/...")]
    KeyPath,
    /// There is nothing to aggregate.
    #[error("no keys or signatures to aggregate")]
    Empty,
    /// A signature does not verify.
    #[error("signature does not verify")]
    Invalid,
}
