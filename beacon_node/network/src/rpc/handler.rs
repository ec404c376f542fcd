//! The streams of one connection. Each exchange is a task of its own; this struct only starts and polls them.

use super::codec::{DecodeError, Incoming, encode_chunk, encode_error, read_chunk, read_request, write_request};
use super::messages::Request;
use super::protocol::{Protocol, ProtocolKind, ResponseCode};
use super::stream::{Outgoing, RequestError, Responder, ResponseSink, StreamItem};
use futures::future::{BoxFuture, Ready, ready};
use futures::stream::FuturesUnordered;
use futures::{AsyncWriteExt, FutureExt, StreamExt};
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
use tokio::time::timeout;

/// Streams that a peer may have open on one connection: two per protocol.
const MAX_INBOUND_STREAMS: usize = 16;
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
    /// A stream was dropped because too many are open.
    TooManyStreams { kind: ProtocolKind },
    /// An exchange of ours is over, with its number of chunks.
    OutboundFinished {
        id: u64,
        outcome: Result<u64, RequestError>,
    },
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
    /// Fault injection: milliseconds before an answer begins.
    response_delay: Arc<AtomicU64>,
}

impl Handler {
    pub(crate) fn new(response_delay: Arc<AtomicU64>) -> Self {
        let (request_sender, requests) = mpsc::channel(MAX_INBOUND_STREAMS);
        Self {
            pending: VecDeque::new(),
            events: VecDeque::new(),
            inbound: FuturesUnordered::new(),
            outbound: FuturesUnordered::new(),
            requests,
            request_sender,
            response_delay,
        }
    }

    fn on_inbound(&mut self, stream: Stream, protocol: Protocol) {
        if self.inbound.len() >= MAX_INBOUND_STREAMS {
            self.events
                .push_back(HandlerEvent::TooManyStreams { kind: protocol.kind });
            return;
        }
        let delay = Duration::from_millis(self.response_delay.load(Ordering::Relaxed));
        self.inbound
            .push(serve(stream, protocol, self.request_sender.clone(), delay).boxed());
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

/// Serves one inbound stream from the request to the end of the answer.
async fn serve(
    mut stream: Stream,
    protocol: Protocol,
    requests: mpsc::Sender<HandlerEvent>,
    delay: Duration,
) -> Option<HandlerEvent> {
    let kind = protocol.kind;
    let request = match timeout(REQUEST_READ_TIMEOUT, read_request(protocol, &mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => {
            if error.is_violation()
                && let Ok(bytes) = encode_error(ResponseCode::InvalidRequest, &error.to_string())
            {
                let _ = timeout(kind.chunk_timeout(), stream.write_all(&bytes)).await;
                let _ = stream.close().await;
                return Some(HandlerEvent::Violation { kind, error });
            }
            return None;
        }
        Err(_) => return None,
    };
    let (responder, mut chunks) = Responder::new(kind);
    requests.send(HandlerEvent::Request { request, responder }).await.ok()?;
    drop(requests);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    while let Ok(Some(outgoing)) = timeout(RESPONDER_TIMEOUT, chunks.recv()).await {
        let (bytes, last) = match outgoing {
            Outgoing::Chunk(chunk) => (encode_chunk(protocol, chunk), false),
            Outgoing::Error { code, message } => (encode_error(code, &message), true),
        };
        let written = timeout(kind.chunk_timeout(), async {
            stream.write_all(&bytes?).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) if !last => {}
            _ => break,
        }
    }
    let _ = timeout(kind.chunk_timeout(), stream.close()).await;
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
