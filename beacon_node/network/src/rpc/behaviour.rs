//! Requests of all peers: our own limits and queue towards each of them, and their limits towards us.

use super::codec::DecodeError;
use super::handler::{Abandoned, Handler, HandlerEvent, OutboundRequest};
use super::messages::Request;
use super::places::Places;
use super::protocol::{MAX_CONCURRENT_REQUESTS, ProtocolKind, ResponseCode};
use super::rate_limit::{RateLimiter, Verdict};
use super::slow_readers::SlowReaders;
use super::stream::{RequestError, Responder, ResponseSink};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Instant;

/// Requests that wait for one peer because two of their kind are under way.
const MAX_QUEUED_PER_PEER: usize = 64;
/// Withheld inbound requests of all peers.
const MAX_WITHHELD: usize = 256;

/// What the behaviour tells the service.
#[derive(Debug)]
pub(crate) enum Event {
    Request {
        peer: PeerId,
        request: Request,
        responder: Responder,
    },
    Violation {
        peer: PeerId,
        kind: ProtocolKind,
        error: DecodeError,
    },
    Abandoned {
        peer: PeerId,
        kind: ProtocolKind,
        how: Abandoned,
        /// Which time it is, if it is an answer that is not read.
        times: u32,
    },
    RateLimited {
        peer: PeerId,
        kind: ProtocolKind,
        refused: bool,
    },
    Finished {
        peer: PeerId,
        kind: ProtocolKind,
        outcome: Result<u64, RequestError>,
    },
}

#[derive(Default)]
struct Peer {
    connections: Vec<ConnectionId>,
    /// Of all connections together.
    places: Places,
    queue: VecDeque<OutboundRequest>,
}

struct InFlight {
    peer: PeerId,
    connection: ConnectionId,
    kind: ProtocolKind,
}

/// See the module.
pub(crate) struct Behaviour {
    peers: HashMap<PeerId, Peer>,
    in_flight: HashMap<u64, InFlight>,
    next_id: u64,
    limiter: RateLimiter,
    slow_readers: SlowReaders,
    withheld: FuturesUnordered<BoxFuture<'static, (PeerId, Request, Responder)>>,
    events: VecDeque<ToSwarm<Event, OutboundRequest>>,
    response_delay: Arc<AtomicU64>,
}

impl Behaviour {
    pub(crate) fn new(response_delay: Arc<AtomicU64>) -> Self {
        Self {
            peers: HashMap::new(),
            in_flight: HashMap::new(),
            next_id: 0,
            limiter: RateLimiter::default(),
            slow_readers: SlowReaders::default(),
            withheld: FuturesUnordered::new(),
            events: VecDeque::new(),
            response_delay,
        }
    }

    /// Sends a request, or queues it while `MAX_CONCURRENT_REQUESTS` of its kind are under way to this peer.
    pub(crate) fn send(&mut self, peer: PeerId, request: Request, sink: ResponseSink) {
        if let Err(error) = request.check_bounds() {
            return sink.fail(RequestError::Invalid(error.to_string()));
        }
        let Some(state) = self.peers.get_mut(&peer) else {
            return sink.fail(RequestError::NotConnected);
        };
        if state.queue.len() >= MAX_QUEUED_PER_PEER {
            return sink.fail(RequestError::QueueFull(MAX_QUEUED_PER_PEER));
        }
        let id = self.next_id;
        self.next_id += 1;
        state.queue.push_back(OutboundRequest { id, request, sink });
        self.start_queued(peer);
    }

    /// Requests that wait or are under way.
    pub(crate) fn outstanding(&self) -> usize {
        self.in_flight.len() + self.peers.values().map(|peer| peer.queue.len()).sum::<usize>()
    }

    /// For a connection that nobody refuses any more: the peer is known from here on.
    fn handler(&mut self, peer: PeerId) -> Handler {
        let places = self.peers.entry(peer).or_default().places.clone();
        Handler::new(places, self.response_delay.clone())
    }

    fn start_queued(&mut self, peer_id: PeerId) {
        let Some(peer) = self.peers.get_mut(&peer_id) else {
            return;
        };
        let Some(connection) = peer.connections.first().copied() else {
            return;
        };
        let mut running: HashMap<ProtocolKind, usize> = HashMap::new();
        for entry in self.in_flight.values().filter(|entry| entry.peer == peer_id) {
            *running.entry(entry.kind).or_default() += 1;
        }
        for request in std::mem::take(&mut peer.queue) {
            let kind = request.request.kind();
            let count = running.entry(kind).or_default();
            if request.sink.is_closed() && kind != ProtocolKind::Goodbye {
                continue;
            }
            if *count >= MAX_CONCURRENT_REQUESTS {
                peer.queue.push_back(request);
                continue;
            }
            *count += 1;
            self.in_flight.insert(
                request.id,
                InFlight {
                    peer: peer_id,
                    connection,
                    kind,
                },
            );
            self.events.push_back(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::One(connection),
                event: request,
            });
        }
    }

    fn on_closed(&mut self, peer_id: PeerId, connection: ConnectionId, remaining: usize) {
        // The tasks of the connection are gone; their readers see `ConnectionClosed`.
        self.in_flight.retain(|_, entry| entry.connection != connection);
        if remaining == 0 {
            if let Some(peer) = self.peers.remove(&peer_id) {
                peer.queue
                    .iter()
                    .for_each(|request| request.sink.fail(RequestError::ConnectionClosed));
            }
        } else if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.connections.retain(|id| *id != connection);
            self.start_queued(peer_id);
        }
    }

    fn emit(&mut self, event: Event) {
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn on_request(&mut self, peer: PeerId, request: Request, responder: Responder) {
        let kind = request.kind();
        match self.limiter.take(peer, kind, request.price(), Instant::now()) {
            Verdict::Allowed => self.emit(Event::Request {
                peer,
                request,
                responder,
            }),
            Verdict::Wait(time) if self.withheld.len() < MAX_WITHHELD => {
                self.emit(Event::RateLimited {
                    peer,
                    kind,
                    refused: false,
                });
                let task = async move {
                    tokio::time::sleep(time).await;
                    (peer, request, responder)
                };
                self.withheld.push(task.boxed());
            }
            Verdict::Wait(_) | Verdict::Refused => {
                responder.refuse(ResponseCode::RateLimited, "rate limited");
                self.emit(Event::RateLimited {
                    peer,
                    kind,
                    refused: true,
                });
            }
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id, connection_id, ..
            }) => {
                self.peers.entry(peer_id).or_default().connections.push(connection_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                remaining_established,
                ..
            }) => self.on_closed(peer_id, connection_id, remaining_established),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            HandlerEvent::Request { request, responder } => self.on_request(peer, request, responder),
            HandlerEvent::Violation { kind, error } => self.emit(Event::Violation { peer, kind, error }),
            HandlerEvent::Abandoned { kind, how } => {
                let times = match how {
                    Abandoned::AnswerNotRead => self.slow_readers.note(peer, Instant::now()),
                    Abandoned::RequestCutShort | Abandoned::RequestOverdue => 1,
                };
                self.emit(Event::Abandoned { peer, kind, how, times });
            }
            HandlerEvent::TooManyStreams { kind } => {
                self.emit(Event::RateLimited {
                    peer,
                    kind,
                    refused: true,
                });
            }
            HandlerEvent::OutboundFinished { id, outcome } => {
                if let Some(entry) = self.in_flight.remove(&id) {
                    self.emit(Event::Finished {
                        peer,
                        kind: entry.kind,
                        outcome,
                    });
                }
                self.start_queued(peer);
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        if let Poll::Ready(Some((peer, request, responder))) = self.withheld.poll_next_unpin(cx) {
            return Poll::Ready(ToSwarm::GenerateEvent(Event::Request {
                peer,
                request,
                responder,
            }));
        }
        Poll::Pending
    }
}
