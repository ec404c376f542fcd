//! The rules: from a state and a block to the next state.
//!
//! Everything here is a plain function over a state, with the name that it has in the specification, in a file named after
//! the section that it stands in. There is no I/O, no clock and no logging; the verdict of the execution client is an input
//! that callers hold. What is different for groups stands in [`dvt`] and is called from the shared functions.
//!
//! Expensive derived values (committees, totals, the index by key) are read through [`caches`]; there is no preparation step.
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
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod block;
pub mod caches;
pub mod dvt;
pub mod epoch;
pub mod error;
pub mod genesis;
pub mod helpers;
pub mod signatures;
pub mod slot;
pub mod sync_committee;
pub mod upgrade;

#[cfg(test)]
pub(crate) mod testing;

pub use block::{BlockError, BlockSignatures, OperationError, OperationKind, process_block, state_transition};
pub use epoch::{compute_unrealized_checkpoints, process_epoch};
pub use error::{EpochError, GenesisError, SlotError, StateError};
pub use signatures::{ImmediateVerifier, NullVerifier, Verifier};
pub use slot::{process_slot, process_slots, process_slots_with_root};
