//! What differs from Fulu: registry entries whose keys are held by several nodes.

pub mod accessors;
pub mod aggregates;
pub mod aggregators;
pub mod attestation;
pub mod duties;
pub mod key_set_change;
pub mod leaders;
pub mod signers;
pub mod sync_committee;
pub mod sync_duties;

#[cfg(test)]
mod tests;
