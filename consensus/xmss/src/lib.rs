//! Generalised XMSS: hash-based signatures, one for each leaf of a Merkle tree.
//!
//! The scheme is that of eprint 2025/055 and 2025/1332 with the aborting hypercube encoding of eprint 2026/016 over
//! the KoalaBear field and Poseidon1. A key has 2^L leaves. A leaf is the hash of the ends of `v` hash chains; a
//! message is encoded as how far each chain is walked, such that no two messages' encodings are comparable. A leaf
//! must sign one message, ever: who signs has to keep a record, which is not here.
//!
//! ```text
//! seed --> PRF key --> chain starts --walk--> chain ends --> leaf --> bottom tree --> top tree --> public key
//!                                       |                      |
//!                                   signature               opening
//! ```
//!
//! Signing derives its randomness from the key, leaf and message: the same request gives the same bytes. An
//! [`Opening`] of a leaf shows its digest, which was fixed when the key was made: a value that is unique and, as long
//! as neither the leaf nor its sibling signs, unknown before.
//!
//! What of a secret is handled is handled without branches or table look-ups that depend on it. Keys, seeds and the
//! buffers of the PRF are wiped; copies that the compiler leaves on the stack while it hashes are not.
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

mod batch;
mod encoding;
mod error;
mod field;
mod hash;
mod opening;
mod parameters;
mod prf;
mod public_key;
mod secret_key;
mod signature;
mod tree;
mod window;

pub use batch::{Signed, count_threshold, verify_batch, verify_each};
pub use error::{DecodeError, KeyError, SignError, ThresholdError, VerifyError};
pub use field::Digest;
pub use opening::Opening;
pub use parameters::{Devnet, Insecure, Parameters, Production};
pub use prf::Seed;
pub use public_key::{PUBLIC_KEY_LEN, PublicKey};
pub use secret_key::{Progress, SecretKey};
pub use signature::Signature;
pub use window::{BottomTree, TreeTask};

/// What is signed: a hash.
pub type Message = [u8; 32];
