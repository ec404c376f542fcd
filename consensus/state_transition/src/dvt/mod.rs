//! What differs from Fulu: registry entries whose keys are held by several nodes.

pub mod accessors;
pub mod attestation;
pub mod key_set_change;
pub mod leaders;
pub mod signers;
pub mod sync_committee;

#[cfg(test)]
mod tests;
