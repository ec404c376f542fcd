//! What is known about other nodes: connection state, score, status, metadata, record.

mod score;
mod table;

pub use score::Penalty;
pub use table::{ConnectionDirection, PeerState, PeerSummary};

pub(crate) use score::Standing;
pub(crate) use table::{PeerTable, Subnet};
