//! Between the network and everything behind it. No rule of the protocol lives here: messages are decoded, handed to
//! whoever knows, and the verdict goes back.
//!
//! ```text
//! NetworkEvent --gossip---> decode --> intake / proposals --> verdict     (a task each; votes in batches)
//!              --request--> blocks and columns out of the chain            (a task each)
//!              --status---> catch_up: range sync and parent lookups (values of the crate `sync`), imports
//! Outgoing ----------------> topic, SSZ --> publish
//! clock, API --------------> subnets, fork digests, own status
//! ```
//!
//! A message for a block that is not here yet waits for it, for a slot at most. When the block is here it is looked at as soon
//! as there is a place, votes first.

mod backfill;
mod catch_up;
mod columns;
mod fetched;
mod forks;
mod gossip;
mod outgoing;
mod readiness;
mod serve;
mod subnets;
mod task;
mod waiting;

pub use catch_up::SyncStatus;
pub use forks::{fork_context, status_message};
pub use readiness::SyncPolicy;
pub use task::{Router, RouterConfig, RouterHandle};
