//! Signatures by keys of any scheme. The only place that knows which schemes exist.
//!
//! A signed container has `signature`, the aggregate of all BLS signers (the point at infinity if and only if there
//! are none), and `proofs`, one [`SchemeProof`] for each other scheme that signed. A [`SignatureSet`] puts both next
//! to the signers' keys; [`verify_batch`] verifies any number of sets at once.
//!
//! BLS and XMSS are built in. Any other scheme is an implementation of [`Scheme`] that is [`register`]ed once; nothing else in
//! the program has to change for it.
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
mod scheme;
mod selection;
mod signature_set;
mod signer_key;
mod xmss_scheme;

pub use aggregate::{SignedPart, aggregate, retain};
pub use scheme::{Scheme, SchemeError, register};
pub use selection::{get_selection_hash, is_aggregator, is_sync_committee_aggregator};
pub use signature_set::{Batch, SignatureSet, find_invalid, verify, verify_batch};
pub use signer_key::validate_key;

use bls::BlsError;
use types::SchemeProof;

/// A signature, proof or key is malformed or does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The BLS part is malformed or does not verify.
    #[error("BLS part: {0}")]
    Bls(#[from] BlsError),
    /// The part of another scheme is malformed or does not verify.
    #[error("part of scheme {scheme}: {source}")]
    Scheme {
        /// Scheme number.
        scheme: u8,
        /// What is wrong.
        source: SchemeError,
    },
    /// No such scheme.
    #[error("scheme {0} is unknown")]
    UnknownScheme(u8),
    /// A key of the wrong length for its scheme.
    #[error("key of scheme {scheme} has {found} bytes, expected {expected}")]
    KeyLength {
        /// Scheme number.
        scheme: u8,
        /// Bytes that it has.
        found: usize,
        /// Bytes of such a key.
        expected: usize,
    },
    /// A BLS signature where no key is a BLS key.
    #[error("no signer has a BLS key, but the BLS signature is not the point at infinity")]
    SignatureWithoutSigner,
    /// `proofs` are not exactly those of the schemes that signed, in ascending order.
    #[error("proofs are of schemes {found:?}, expected {expected:?}")]
    ProofSchemes {
        /// Schemes of the proofs.
        found: Vec<u8>,
        /// Schemes of the signers other than BLS, ascending.
        expected: Vec<u8>,
    },
    /// Signers appear in more than one of the parts to aggregate.
    #[error("signer {0} is in more than one of the aggregated signatures")]
    OverlappingSigners(types::SignerIndex),
    /// Nobody can say whether a key that has leaves aggregates without the epoch's seed.
    #[error("the seed that decides who aggregates is not known")]
    NoSelectionSeed,
    /// A merged proof exceeds the container's limit.
    #[error("merged proof of scheme {scheme} has {bytes} bytes, more than a proof can hold")]
    ProofTooLong {
        /// Scheme number.
        scheme: u8,
        /// Bytes of the proof.
        bytes: usize,
    },
}

/// Schemes of a list of proofs, in their order.
fn schemes_of(proofs: &[SchemeProof]) -> Vec<u8> {
    proofs.iter().map(|proof| proof.scheme).collect()
}
