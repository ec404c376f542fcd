//! Gossip: topics, encoding and message ids, mesh settings, and what a peer's behaviour on a topic is worth.

mod encoding;
mod mesh;
mod scoring;
mod topics;

pub use encoding::{
    MAX_PAYLOAD_SIZE, SnappyError, compress, decompress, max_compressed_len, max_message_size, message_id,
    message_id_of_invalid,
};
pub use topics::{GossipTopic, TopicError, TopicKind};

pub(crate) use encoding::SnappyTransform;
pub(crate) use mesh::{Gossipsub, KnownDigests, gossipsub, ident_topic};
pub(crate) use scoring::{GRAYLIST_THRESHOLD, ScoreClock};
pub(crate) use topics::PayloadLimits;
