//! What is known about other nodes: connection state, score, status, metadata, record, subnets; whom to dial for what is
//! missing, and whom to send away.

mod custody;
mod score;
mod selection;
mod subnets;
mod table;

pub use score::Penalty;
pub use table::{ConnectionDirection, PeerState, PeerSummary};

pub(crate) use custody::CustodyRules;
#[cfg(test)]
pub(crate) use score::Score;
pub(crate) use score::Standing;
pub(crate) use selection::Prospect;
pub(crate) use subnets::{Subnet, SubnetSet};
pub(crate) use table::PeerTable;
