//! bls
