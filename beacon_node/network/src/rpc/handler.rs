//! The streams of one connection. Each exchange is a task of its own; this struct only starts and polls them.

use super::codec::{DecodeError, Incoming, encode_chunk, encode_error, read_chunk, read_request, write_request};
use super::messages::Request;
use super::places::{MAX_OPEN, Places};
use super::protocol::{Protocol, ProtocolKind, ResponseCode, reading_time};
use super::stream::{Outgoing, RequestError, Responder, ResponseSink, StreamItem};
use futures::future::{BoxFuture, Ready, ready};
use futures::stream::FuturesUnordered;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, FutureExt, StreamExt};
use libp2p::Stream;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound, StreamUpgradeError,
};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// Streams that a peer may have open on one connection: all that it may on each protocol. What is refused counts.
const MAX_INBOUND_STREAMS: usize = MAX_OPEN * Protocol::ALL.len();
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the node may think before it sends the next chunk.
const RESPONDER_TIMEOUT: Duration = Duration::from_secs(60);

/// A request on its way out.
#[derive(Debug)]
pub(crate) struct OutboundRequest {
    pub(crate) id: u64,
    pub(crate) request: Request,
    pub(crate) sink: ResponseSink,
}

/// What a handler tells the behaviour.
#[derive(Debug)]
pub(crate) enum HandlerEvent {
    /// A readable request.
    Request { request: Request, responder: Responder },
    /// A request that breaks the protocol; it was answered with `InvalidRequest`.
    Violation { kind: ProtocolKind, error: DecodeError },
    /// A request that the peer began and did not see through.
    Abandoned { kind: ProtocolKind, how: Abandoned },
    /// A stream was refused because too many are open.
    TooManyStreams { kind: ProtocolKind },
    /// An exchange of ours is over, with its number of chunks.
    OutboundFinished {
        id: u64,
        outcome: Result<u64, RequestError>,
    },
}

/// How a peer leaves an exchange that it began. It breaks no encoding, but it takes a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// The request ends before its end.
    RequestCutShort,
    /// The request is not there in time, or its half of the stream is not closed.
    RequestOverdue,
    /// The answer is not read in time.
    AnswerNotRead,
}

impl Abandoned {
    /// Label for metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequestCutShort => "request_cut_short",
            Self::RequestOverdue => "request_overdue",
            Self::AnswerNotRead => "answer_not_read",
        }
    }
}

/// How long a peer may take: with its request, with each chunk of the answer, with reading so many bytes of it, and all
/// together with an answer of so many chunks.
#[derive(Clone, Copy, Debug)]
struct Patience {
    request: Duration,
    chunk: Duration,
    reading: fn(u64) -> Duration,
    answer: fn(ProtocolKind, u64) -> Duration,
}

impl Patience {
    fn with(kind: ProtocolKind) -> Self {
        Self {
            request: REQUEST_READ_TIMEOUT,
            chunk: kind.chunk_timeout(),
            reading: reading_time,
            answer: ProtocolKind::answer_time,
        }
    }
}

/// Offers or asks for a set of protocols and hands out the raw stream.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade(Vec<Protocol>);

impl UpgradeInfo for Upgrade {
    type Info = Protocol;
    type InfoIter = std::vec::IntoIter<Protocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: Protocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: Protocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// See the module.
pub(crate) struct Handler {
    pending: VecDeque<OutboundRequest>,
    events: VecDeque<HandlerEvent>,
    inbound: FuturesUnordered<BoxFuture<'static, Option<HandlerEvent>>>,
    outbound: FuturesUnordered<BoxFuture<'static, HandlerEvent>>,
    requests: mpsc::Receiver<HandlerEvent>,
    request_sender: mpsc::Sender<HandlerEvent>,
    places: Places,
    /// Fault injection: milliseconds before an answer begins.
    response_delay: Arc<AtomicU64>,
}

impl Handler {
    pub(crate) fn new(places: Places, response_delay: Arc<AtomicU64>) -> Self {
        let (request_sender, requests) = mpsc::channel(MAX_INBOUND_STREAMS);
        Self {
            pending: VecDeque::new(),
            events: VecDeque::new(),
            inbound: FuturesUnordered::new(),
            outbound: FuturesUnordered::new(),
            requests,
            request_sender,
            places,
            response_delay,
        }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: Protocol) {
        let kind = protocol.kind;
        if self.inbound.len() >= MAX_INBOUND_STREAMS {
            self.events.push_back(HandlerEvent::TooManyStreams { kind });
            return;
        }
        let patience = Patience::with(kind);
        let Some(admitted) = self.places.admit(protocol) else {
            self.events.push_back(HandlerEvent::TooManyStreams { kind });
            self.inbound.push(refuse(stream, protocol, patience).boxed());
            return;
        };
        let delay = Duration::from_millis(self.response_delay.load(Ordering::Relaxed));
        let requests = self.request_sender.clone();
        self.inbound.push(
            async move {
                let _place = admitted.turn().await;
                serve(stream, protocol, requests, delay, patience).await
            }
            .boxed(),
        );
    }

    fn on_outbound(&mut self, stream: Stream, protocol: Protocol, request: OutboundRequest) {
        self.outbound.push(
            async move {
                let OutboundRequest { id, request, sink } = request;
                let outcome = ask(stream, protocol, request, &sink).await;
                finish(&sink, &outcome).await;
                HandlerEvent::OutboundFinished { id, outcome }
            }
            .boxed(),
        );
    }

    fn on_dial_error(&mut self, request: OutboundRequest, error: &StreamUpgradeError<Infallible>) {
        let error = match error {
            StreamUpgradeError::Timeout => RequestError::Timeout("negotiation"),
            StreamUpgradeError::NegotiationFailed => RequestError::UnsupportedProtocol(request.request.kind().name()),
            StreamUpgradeError::Io(error) => RequestError::Io(error.to_string()),
            StreamUpgradeError::Apply(never) => match *never {},
        };
        request.sink.fail(error.clone());
        self.events.push_back(HandlerEvent::OutboundFinished {
            id: request.id,
            outcome: Err(error),
        });
    }
}

/// Answers a request that is one too many.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    protocol: Protocol,
    patience: Patience,
) -> Option<HandlerEvent> {
    // A stream that is closed with something unread is reset, and the answer may be lost with it.
    let _ = timeout(patience.request, read_request(protocol, &mut stream)).await;
    if let Ok(bytes) = encode_error(ResponseCode::RateLimited, "too many requests at once") {
        let _ = timeout(patience.chunk, async {
            stream.write_all(&bytes).await?;
            stream.close().await
        })
        .await;
    }
    None
}

/// Serves one inbound stream from the request to the end of the answer.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    protocol: Protocol,
    requests: mpsc::Sender<HandlerEvent>,
    delay: Duration,
    patience: Patience,
) -> Option<HandlerEvent> {
    let kind = protocol.kind;
    let abandoned = |how| Some(HandlerEvent::Abandoned { kind, how });
    let request = match timeout(patience.request, read_request(protocol, &mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) if error.is_violation() => {
            if let Ok(bytes) = encode_error(ResponseCode::InvalidRequest, &error.to_string()) {
                let _ = timeout(patience.chunk, async {
                    stream.write_all(&bytes).await?;
                    stream.close().await
                })
                .await;
            }
            return Some(HandlerEvent::Violation { kind, error });
        }
        Ok(Err(_)) => return abandoned(Abandoned::RequestCutShort),
        Err(_) => return abandoned(Abandoned::RequestOverdue),
    };
    let (responder, mut chunks) = Responder::new(kind);
    let time = delay.saturating_add((patience.answer)(kind, request.max_chunks()));
    let deadline = Instant::now() + time;
    requests.send(HandlerEvent::Request { request, responder }).await.ok()?;
    drop(requests);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    // What the peer has taken so far, and how long that took it.
    let (mut bytes_read, mut reading) = (0u64, Duration::ZERO);
    loop {
        let until = deadline.min(Instant::now() + RESPONDER_TIMEOUT);
        let outgoing = timeout_at(until, chunks.recv()).await.unwrap_or_else(|_| {
            // What there is of the answer must not look like all of it.
            Some(Outgoing::Error {
                code: ResponseCode::ServerError,
                message: "no answer in time".to_owned(),
            })
        });
        let (bytes, last) = match outgoing {
            None => break,
            Some(Outgoing::Chunk(chunk)) => (encode_chunk(protocol, chunk), false),
            Some(Outgoing::Error { code, message }) => (encode_error(code, &message), true),
        };
        let Ok(bytes) = bytes else { break };
        bytes_read = bytes_read.saturating_add(bytes.len() as u64);
        let begun = Instant::now();
        let left = (patience.reading)(bytes_read).saturating_sub(reading);
        let until = begun + patience.chunk.min(left);
        // An error that says that it took too long comes too late itself.
        let until = if last { until } else { until.min(deadline) };
        let written = timeout_at(until, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) if !last => {}
            // Who lost interest resets the stream, which is no offence, unless it is to come before the time is over.
            Ok(Err(_)) if reading.saturating_add(begun.elapsed()) > (patience.reading)(bytes_read) / 4 => {
                return abandoned(Abandoned::AnswerNotRead);
            }
            Ok(_) => break,
            Err(_) => return abandoned(Abandoned::AnswerNotRead),
        }
        reading = reading.saturating_add(begun.elapsed());
    }
    let _ = timeout(patience.chunk, stream.close()).await;
    None
}

/// Sends one request and passes the answer on as it comes.
async fn ask(
    mut stream: Stream,
    protocol: Protocol,
    request: Request,
    sink: &ResponseSink,
) -> Result<u64, RequestError> {
    let kind = protocol.kind;
    timeout(kind.chunk_timeout(), write_request(protocol, &request, &mut stream))
        .await
        .map_err(|_| RequestError::Timeout("end of the request"))?
        .map_err(|error| RequestError::Io(error.to_string()))?;
    let limit = request.max_chunks();
    let mut chunks = 0;
    while chunks < limit {
        let (patience, what) = match chunks {
            0 => (kind.first_chunk_timeout(), "first chunk"),
            _ => (kind.chunk_timeout(), "next chunk"),
        };
        let incoming = tokio::select! {
            () = sink.closed() => break,
            incoming = timeout(patience, read_chunk(protocol, &mut stream)) => incoming,
        };
        let incoming = incoming.map_err(|_| RequestError::Timeout(what))?.map_err(|error| {
            if error.is_violation() {
                RequestError::Invalid(error.to_string())
            } else {
                RequestError::Io(error.to_string())
            }
        })?;
        match incoming {
            Incoming::Chunk(chunk) => {
                chunks += 1;
                if !sink.send(StreamItem::Chunk(chunk)).await {
                    break;
                }
            }
            Incoming::Error { code, message } => return Err(RequestError::Rejected { code, message }),
            Incoming::End => break,
        }
    }
    let _ = stream.close().await;
    Ok(chunks)
}

async fn finish(sink: &ResponseSink, outcome: &Result<u64, RequestError>) {
    let item = match outcome {
        Ok(_) => StreamItem::End,
        Err(error) => StreamItem::Error(error.clone()),
    };
    sink.send(item).await;
}

impl ConnectionHandler for Handler {
    type FromBehaviour = OutboundRequest;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OutboundRequest;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade(Protocol::ALL.to_vec()), ()).with_timeout(NEGOTIATION_TIMEOUT)
    }

    /// Peers stay connected while they are idle; who leaves is decided by the peer table.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn on_behaviour_event(&mut self, request: OutboundRequest) {
        self.pending.push_back(request);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, OutboundRequest, HandlerEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        if let Some(request) = self.pending.pop_front() {
            let upgrade = Upgrade(request.request.kind().versions());
            let protocol = SubstreamProtocol::new(upgrade, request).with_timeout(NEGOTIATION_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if let Poll::Ready(Some(event)) = self.outbound.poll_next_unpin(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        while let Poll::Ready(Some(event)) = self.inbound.poll_next_unpin(cx) {
            if let Some(event) = event {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
            }
        }
        if let Poll::Ready(Some(event)) = self.requests.poll_recv(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
        }
        Poll::Pending
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Upgrade, Upgrade, (), OutboundRequest>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) => {
                self.on_inbound(stream, protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, protocol),
                info,
            }) => self.on_outbound(stream, protocol, info),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.on_dial_error(info, &error),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
