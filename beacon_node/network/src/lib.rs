//! The network of the beacon node: gossip, requests, peers, discovery.
//!
//! It knows encodings, topics, peers and limits, not containers and not the chain. What comes in leaves as
//! [`NetworkEvent`] through a bounded channel; what the node wants comes in through [`NetworkHandle`]:
//!
//! ```text
//!  discv5 ──records──▶ service ◀──commands── NetworkHandle
//!  libp2p ──events───▶ (one task, ──events──▶ router
//!   gossipsub, rpc,     owns the peer table)
//!   identify, gate
//! ```
//!
//! Every queue is bounded. Gossip that finds the queue full is dropped and ignored towards the mesh, requests are
//! refused, both with a metric; connection events are never lost. Answers to requests have a channel of their own with
//! room for two chunks, so that a slow reader slows down one stream and nothing else.

mod api;
mod column_faults;
mod config;
mod discovery;
mod enr;
mod gate;
mod gossip;
mod identity;
mod metrics;
mod peers;
mod rpc;
mod service;
mod transport;

pub use api::{
    GossipMessage, LocalIdentity, NetworkEvent, NetworkHandle, PublishError, ResponseEvent, ResponsePart, Stopped,
    Verdict,
};
pub use column_faults::ColumnFaults;
pub use config::{BootNode, BootNodeError, EnrForkId, ForkContext, KnownFork, NetworkConfig, peer_id_of};
pub use discovery::DiscoveryError;
pub use enr::{AttnetBits, Enr, EnrError, EnrExt, SyncnetBits, is_global, node_id_of};
pub use gossip::{
    GossipTopic, MAX_PAYLOAD_SIZE, SnappyError, TopicError, TopicKind, compress, decompress, max_compressed_len,
    max_message_size, message_id, message_id_of_invalid,
};
pub use identity::{IdentityError, NodeKey};
pub use libp2p::gossipsub::MessageId;
pub use libp2p::{Multiaddr, PeerId};
pub use metrics::NetworkMetrics;
pub use peers::{ConnectionDirection, PeerState, PeerSummary, Penalty};
pub use rpc::{
    BlocksByRangeRequest, BlocksByRootRequest, DataColumnsByRangeRequest, DataColumnsByRootIdentifier,
    DataColumnsByRootRequest, DecodeError, FrameError, GoodbyeReason, MAX_CONCURRENT_REQUESTS,
    MAX_REQUEST_BLOCKS_DENEB, MAX_REQUEST_DATA_COLUMN_SIDECARS, MetaData, NUMBER_OF_COLUMNS, ProtocolKind, Request,
    RequestError, Responder, ResponderClosed, ResponseChunk, ResponseCode, ResponseStream, StatusMessage,
};
pub use service::{NetworkService, StartError};
pub use transport::TransportError;
