//! What a validator client does, and when.
//!
//! ```text
//! every epoch:  keys --> indices --> attester, proposer and sync duties (again when what they depend on changes)
//! every slot:   0            block: reveal, produce, sign, publish
//!               1/3 or head  votes and sync messages, one request for all keys
//!               2/3          aggregates and contributions of those who were selected
//! ```
//!
//! A key is looked up like any validator's key, and may come to have another index, or lose it, while the client runs:
//! there is no notion of groups here. Everything is signed through [`signing::Signer`], behind slashing protection.
//! Duties do not wait for each other.

mod aggregation;
mod attestation;
mod block;
mod context;
mod heads;
mod indices;
mod metrics;
mod nodes;
mod preparation;
mod selection;
mod services;
mod sync_committee;

pub use context::{Context, GRAFFITI_BYTES, Settings, padded_graffiti};
pub use indices::Indices;
pub use metrics::set_key_counts;
pub use nodes::{NodeHealth, Nodes};
pub use services::run;
