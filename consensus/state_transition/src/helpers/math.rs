//! Spec: phase0/beacon-chain.md#math

use types::Root;

/// The largest integer `x` with `x**2 <= n`.
///
/// Spec: phase0/beacon-chain.md#integer_squareroot
#[must_use]
pub const fn integer_squareroot(n: u64) -> u64 {
    n.isqrt()
}

/// The exclusive-or of two 32-byte strings.
///
/// Spec: phase0/beacon-chain.md#xor
#[must_use]
pub fn xor(bytes_1: Root, bytes_2: Root) -> Root {
    bytes_1 ^ bytes_2
}
