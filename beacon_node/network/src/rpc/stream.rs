//! Both ends of an exchange as the rest of the node sees them.

use super::handshake::{MetaData, StatusMessage};
use super::messages::{GoodbyeReason, ResponseChunk};
use super::protocol::{ProtocolKind, ResponseCode};
use tokio::sync::mpsc;
use types::ForkDigest;

/// Chunks that wait between the stream and its user: one in work, one ready.
const CHUNKS_IN_FLIGHT: usize = 2;

/// Why an answer ended other than by its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection to that peer.
    #[error("peer is not connected")]
    NotConnected,
    /// Too many requests wait for this peer already.
    #[error("{0} requests wait for this peer already")]
    QueueFull(usize),
    /// The peer does not speak the protocol.
    #[error("peer does not speak {0}")]
    UnsupportedProtocol(&'static str),
    /// The peer did not answer in time.
    #[error("no {0} in time")]
    Timeout(&'static str),
    /// The connection closed before the end.
    #[error("connection closed before the end of the answer")]
    ConnectionClosed,
    /// The peer answered with an error.
    #[error("peer answered {code:?}: {message}")]
    Rejected {
        /// Its code.
        code: ResponseCode,
        /// Its text, untrusted.
        message: String,
    },
    /// The answer breaks the encoding or a limit, and the peer was penalised; or our request is out of bounds.
    #[error("request or answer breaks the protocol: {0}")]
    Invalid(String),
    /// The stream failed.
    #[error("stream: {0}")]
    Io(String),
    /// The service stopped.
    #[error("network service stopped")]
    Stopped,
}

#[derive(Debug)]
pub(crate) enum StreamItem {
    Chunk(ResponseChunk),
    End,
    Error(RequestError),
}

/// Where the stream task puts an answer.
#[derive(Clone, Debug)]
pub(crate) struct ResponseSink(mpsc::Sender<StreamItem>);

impl ResponseSink {
    /// Waits for room. `false`: nobody reads any more.
    pub(crate) async fn send(&self, item: StreamItem) -> bool {
        self.0.send(item).await.is_ok()
    }

    /// For errors before the first chunk, when there is room for sure.
    pub(crate) fn fail(&self, error: RequestError) {
        let _ = self.0.try_send(StreamItem::Error(error));
    }

    /// For answers without a chunk, when there is room for sure.
    pub(crate) fn end(&self) {
        let _ = self.0.try_send(StreamItem::End);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

pub(crate) fn response_channel() -> (ResponseSink, ResponseStream) {
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    (
        ResponseSink(sender),
        ResponseStream {
            receiver,
            finished: false,
        },
    )
}

/// An answer as it arrives. Dropping it resets the stream.
#[derive(Debug)]
pub struct ResponseStream {
    receiver: mpsc::Receiver<StreamItem>,
    finished: bool,
}

impl ResponseStream {
    /// The next chunk, one last error, or `None` at the end. The stream is not read ahead of the caller.
    pub async fn next(&mut self) -> Option<Result<ResponseChunk, RequestError>> {
        if self.finished {
            return None;
        }
        match self.receiver.recv().await {
            Some(StreamItem::Chunk(chunk)) => Some(Ok(chunk)),
            Some(StreamItem::End) => {
                self.finished = true;
                None
            }
            Some(StreamItem::Error(error)) => {
                self.finished = true;
                Some(Err(error))
            }
            None => {
                self.finished = true;
                Some(Err(RequestError::ConnectionClosed))
            }
        }
    }

    /// The only chunk of a single answer.
    pub async fn single(mut self) -> Result<ResponseChunk, RequestError> {
        self.next()
            .await
            .unwrap_or_else(|| Err(RequestError::Invalid("empty answer".to_owned())))
    }
}

#[derive(Debug)]
pub(crate) enum Outgoing {
    Chunk(ResponseChunk),
    Error { code: ResponseCode, message: String },
}

/// The requester is gone, or the chunk is none that its request knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the requester closed the stream or the chunk does not fit the request")]
pub struct ResponderClosed;

/// The answering end. Dropping it ends the answer.
#[derive(Debug)]
pub struct Responder {
    sender: mpsc::Sender<Outgoing>,
    kind: ProtocolKind,
}

impl Responder {
    pub(crate) fn new(kind: ProtocolKind) -> (Self, mpsc::Receiver<Outgoing>) {
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        (Self { sender, kind }, receiver)
    }

    /// Sends a chunk; waits while earlier ones are on their way.
    pub async fn chunk(&self, chunk: ResponseChunk) -> Result<(), ResponderClosed> {
        if !chunk.fits(self.kind) {
            return Err(ResponderClosed);
        }
        self.sender
            .send(Outgoing::Chunk(chunk))
            .await
            .map_err(|_| ResponderClosed)
    }

    /// Sends a block or column.
    pub async fn object(&self, fork_digest: ForkDigest, ssz: Vec<u8>) -> Result<(), ResponderClosed> {
        self.chunk(ResponseChunk::Object { fork_digest, ssz }).await
    }

    /// Ends the answer with an error.
    pub async fn error(self, code: ResponseCode, message: impl Into<String>) {
        let _ = self
            .sender
            .send(Outgoing::Error {
                code,
                message: message.into(),
            })
            .await;
    }

    /// Ends the answer with an error, without waiting: for answers that have not begun.
    pub fn refuse(self, code: ResponseCode, message: impl Into<String>) {
        let _ = self.sender.try_send(Outgoing::Error {
            code,
            message: message.into(),
        });
    }

    /// Ends the answer. Dropping does the same; this says it.
    pub fn finish(self) {}

    /// Whether the requester is gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Answers a single-chunk request without waiting.
    pub(crate) fn reply(self, chunk: ResponseChunk) {
        let _ = self.sender.try_send(Outgoing::Chunk(chunk));
    }

    pub(crate) fn reply_status(self, status: StatusMessage) {
        self.reply(ResponseChunk::Status(status));
    }

    pub(crate) fn reply_metadata(self, metadata: MetaData) {
        self.reply(ResponseChunk::MetaData(Box::new(metadata)));
    }

    pub(crate) fn reply_goodbye(self, reason: GoodbyeReason) {
        self.reply(ResponseChunk::Goodbye(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_without_its_end_is_an_error() {
        let (sink, mut stream) = response_channel();
        assert!(sink.send(StreamItem::Chunk(ResponseChunk::Pong(1))).await);
        drop(sink);
        assert_eq!(stream.next().await, Some(Ok(ResponseChunk::Pong(1))));
        assert_eq!(stream.next().await, Some(Err(RequestError::ConnectionClosed)));
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn the_writer_waits_for_the_reader() {
        let (sink, mut stream) = response_channel();
        for number in 0..CHUNKS_IN_FLIGHT {
            assert!(sink.send(StreamItem::Chunk(ResponseChunk::Pong(number as u64))).await);
        }
        assert!(sink.0.try_send(StreamItem::End).is_err());
        assert_eq!(stream.next().await, Some(Ok(ResponseChunk::Pong(0))));
        assert!(sink.0.try_send(StreamItem::End).is_ok());
    }

    #[tokio::test]
    async fn a_chunk_of_another_family_is_refused() {
        let (responder, _receiver) = Responder::new(ProtocolKind::BlocksByRoot);
        assert_eq!(responder.chunk(ResponseChunk::Pong(1)).await, Err(ResponderClosed));
        assert_eq!(responder.object(ForkDigest::ZERO, vec![1]).await, Ok(()));
    }
}
