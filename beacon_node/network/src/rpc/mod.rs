//! Requests and responses: one stream per exchange, `ssz_snappy` framing, answers streamed chunk by chunk.
//!
//! A request goes `Behaviour` (limits, queue) -> `Handler` (one task per stream) -> `codec` (bytes). The channel
//! between the task and the user of the answer is bounded, so a slow reader slows the stream down, not the node.

mod behaviour;
mod codec;
mod framing;
mod handler;
mod handshake;
mod messages;
mod places;
mod protocol;
mod rate_limit;
mod slow_readers;
mod stream;

pub use codec::DecodeError;
pub use framing::FrameError;
pub use handshake::{MetaData, StatusMessage};
pub use messages::{
    BlocksByRangeRequest, BlocksByRootRequest, DataColumnsByRangeRequest, DataColumnsByRootIdentifier,
    DataColumnsByRootRequest, GoodbyeReason, Request, ResponseChunk,
};
pub use protocol::{
    MAX_CONCURRENT_REQUESTS, MAX_REQUEST_BLOCKS_DENEB, MAX_REQUEST_DATA_COLUMN_SIDECARS, NUMBER_OF_COLUMNS,
    ProtocolKind, ResponseCode,
};
pub use stream::{RequestError, Responder, ResponderClosed, ResponseStream};

pub(crate) use behaviour::{Behaviour, Event};
pub(crate) use messages::Columns;
#[cfg(test)]
pub(crate) use slow_readers::SlowReaders;
pub(crate) use stream::{ResponseSink, response_channel};
