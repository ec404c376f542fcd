//! Parameter sets.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, for which an overflow is an error"
)]

use crate::field::ORDER;
use crate::signature::HEADER_LEN;
use std::fmt::Debug;
use std::hash::Hash;

/// Most chains of a parameter set: what one hash of a message can encode.
pub(crate) const MAX_CHAINS: usize = 64;

/// What the instantiations differ in. Lengths of hashes (8 field elements), parameters (5), tweaks (2), encoded
/// messages (9), randomness (7) and the sponge's capacity (9) are those of all of them.
pub trait Parameters: Copy + Debug + Eq + Hash + Send + Sync + 'static {
    /// Depth of the Merkle tree, even: 2^`LOG_LIFETIME` leaves.
    const LOG_LIFETIME: usize;
    /// Number of hash chains (v).
    const CHAINS: usize;
    /// Sum of the digits of each codeword. Verification walks `CHAINS * (BASE - 1) - TARGET_SUM` steps.
    const TARGET_SUM: u32;
    /// Length of a chain (w).
    const BASE: u32 = 8;
    /// Digits that one field element of the message's hash gives (Z).
    const DIGITS_PER_ELEMENT: usize = 8;
    /// What is left of a field element beside its digits (Q): `QUOTIENT * BASE^DIGITS_PER_ELEMENT <= p`.
    const QUOTIENT: u32 = 127;

    /// Leaves of a key.
    const LIFETIME: u64 = 1 << Self::LOG_LIFETIME;
    /// Depth of a bottom tree, and of the top tree.
    const HALF_DEPTH: usize = Self::LOG_LIFETIME / 2;
    /// Leaves of a bottom tree.
    const TREE_LEAVES: u64 = 1 << Self::HALF_DEPTH;
    /// Bytes of a signature.
    const SIGNATURE_LEN: usize = HEADER_LEN + 32 * (Self::LOG_LIFETIME + Self::CHAINS);
    /// Bytes of an opening.
    const OPENING_LEN: usize = 32 * (1 + Self::LOG_LIFETIME);
}

/// Conditions under which the scheme is what the papers prove, and under which no arithmetic here overflows.
/// Evaluated when a function that uses the parameters is compiled.
pub(crate) const fn check<P: Parameters>() {
    assert!(P::LOG_LIFETIME >= 2 && P::LOG_LIFETIME <= 32, "leaves are u32");
    assert!(P::LOG_LIFETIME.is_multiple_of(2), "half of the depth is the top tree");
    assert!(
        P::CHAINS > 2,
        "a leaf is told from an inner node by the length of its input"
    );
    assert!(P::CHAINS <= MAX_CHAINS, "the hash of a message has 64 digits");
    assert!(P::BASE >= 2 && P::BASE <= 256, "positions in a chain are u8");
    assert!(
        P::CHAINS.div_ceil(P::DIGITS_PER_ELEMENT) <= 8,
        "the hash of a message has 8 elements"
    );
    assert!(
        P::QUOTIENT as u64 * (P::BASE as u64).pow(P::DIGITS_PER_ELEMENT as u32) <= ORDER as u64,
        "digits fit into an element"
    );
    assert!(
        P::TARGET_SUM <= P::CHAINS as u32 * (P::BASE - 1),
        "some codeword exists"
    );
}

/// Largest hash of a message's element that gives digits, exclusive.
pub(crate) const fn digit_bound<P: Parameters>() -> u32 {
    P::QUOTIENT * P::BASE.pow(P::DIGITS_PER_ELEMENT as u32)
}

/// Lifetime 2^32, v = 46, target sum 200: scheme 1 of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Production;

impl Parameters for Production {
    const LOG_LIFETIME: usize = 32;
    const CHAINS: usize = 46;
    const TARGET_SUM: u32 = 200;
}

/// As [`Production`], with a lifetime of 2^18: a key for all of it is made in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Devnet;

impl Parameters for Devnet {
    const LOG_LIFETIME: usize = 18;
    const CHAINS: usize = 46;
    const TARGET_SUM: u32 = 200;
}

/// Lifetime 2^8, v = 4, target sum 6. For tests: its signatures can be forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Insecure;

impl Parameters for Insecure {
    const LOG_LIFETIME: usize = 8;
    const CHAINS: usize = 4;
    const TARGET_SUM: u32 = 6;
}
