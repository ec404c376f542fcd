//! What the node knows and no block contains yet: votes, sync signatures, slashings, exits, changes.
//!
//! Votes are held by seat, so that single votes always add up, whatever aggregates they came in. A block gets those that
//! pay its proposer most, counted as the state transition counts: per flag, and for a group up to its threshold. A
//! group's exits and key-set changes are collected member by member until they are complete.

mod attestations;
mod layout;
mod operations;
mod packing;
mod partial;
mod persistence;
mod pool;
mod sync_contributions;
mod votes;

pub use operations::{Operations, limited};
pub use partial::PartError;
pub use persistence::RestoreError;
pub use pool::OperationPool;
