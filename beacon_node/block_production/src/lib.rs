//! What validators sign: blocks and attestation data for a slot.
//!
//! ```text
//! parent (head, or its parent) --> state of the slot --+--> execution client: payload      --+--> block with state root
//!                                                      +--> pool: votes, operations, sync  --+
//! ```
//!
//! Nothing is made on top of a payload that the execution client has not verified.

mod attestation_data;
mod block;
mod error;
mod metrics;
mod producer;

pub use block::{BlockRequest, ProducedBlock};
pub use error::ProductionError;
pub use producer::{BlockProducer, Parent, PreparedPayload};
