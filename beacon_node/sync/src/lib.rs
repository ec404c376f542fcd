//! Catching up with the network: which blocks to ask whom for, and in which order to import them.
//!
//! Both parts are values that take events and give actions. They know no sockets, no clock and no chain, and they hold
//! no more than a fixed number of blocks.
//!
//! * [`RangeSync`] fetches long stretches by slot, batch by batch, from peers that are ahead.
//! * [`ParentLookup`] fetches the few unknown ancestors of a block that arrived by gossip, by root.

mod parent_lookup;
mod range;

pub use parent_lookup::{Lookup, LookupAction, LookupFailure, MAX_LOOKUP_BLOCKS, ParentLookup};
pub use range::{BatchId, BatchOutcome, PeerChain, RangeAction, RangeFault, RangeSync};
