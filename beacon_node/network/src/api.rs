//! What the rest of the node sees: a handle that sends commands, and the events that come back.

use crate::column_faults::ColumnFaults;
use crate::config::ForkContext;
use crate::enr::{AttnetBits, Enr, EnrExt, SyncnetBits};
use crate::gossip::{GossipTopic, TopicKind};
use crate::peers::{ConnectionDirection, PeerSummary, Penalty};
use crate::rpc::{
    GoodbyeReason, MetaData, Request, RequestError, Responder, ResponseChunk, ResponseSink, ResponseStream,
    StatusMessage, response_channel,
};
use libp2p::gossipsub::MessageId;
use libp2p::metrics::Registry;
use libp2p::{Multiaddr, PeerId};
use parking_lot::RwLock;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use types::ForkDigest;

/// What the network tells the router.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A first connection to a peer; its status follows.
    PeerConnected {
        /// The peer.
        peer: PeerId,
        /// Who dialled.
        direction: ConnectionDirection,
    },
    /// The last connection is gone.
    PeerDisconnected {
        /// The peer.
        peer: PeerId,
    },
    /// A peer of our fork said where it is, by request or answer.
    PeerStatus {
        /// The peer.
        peer: PeerId,
        /// Its status.
        status: StatusMessage,
    },
    /// A gossip message; it is forwarded only after [`NetworkHandle::report_validation`].
    Gossip(GossipMessage),
    /// A request for blocks or columns. Answer through `responder`, dropping it ends the answer.
    Request {
        /// Who asks.
        peer: PeerId,
        /// Number for logs, unique per run.
        id: u64,
        /// What for.
        request: Request,
        /// Where the answer goes.
        responder: Responder,
    },
    /// A part of an answer to [`NetworkHandle::send_request`].
    Response(ResponsePart),
}

/// A part of an answer to [`NetworkHandle::send_request`].
#[derive(Debug)]
pub struct ResponsePart {
    /// Who answers.
    pub peer: PeerId,
    /// Number given to `send_request`.
    pub id: u64,
    /// The part.
    pub event: ResponseEvent,
    /// Counts the bytes as waiting until the part is dropped.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

/// A part of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseEvent {
    /// A chunk.
    Chunk(ResponseChunk),
    /// The answer is complete.
    End,
    /// The answer ended with an error.
    Error(RequestError),
}

/// A message from a topic, decompressed, not decoded.
#[derive(Debug)]
pub struct GossipMessage {
    /// Topic with its fork.
    pub topic: GossipTopic,
    /// Who handed it to us, not who made it.
    pub source: PeerId,
    /// Id for the verdict.
    pub message_id: MessageId,
    /// SSZ bytes within the topic's limit.
    pub data: Vec<u8>,
    /// Counts the bytes as waiting until the message is dropped.
    pub(crate) permits: Option<[OwnedSemaphorePermit; 2]>,
}

impl GossipMessage {
    /// Its bytes do not count as waiting any more: whoever keeps it sees to their number.
    pub fn uncounted(mut self) -> Self {
        drop(self.permits.take());
        self
    }
}

/// What validation says of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: forward it.
    Accept,
    /// Not useful: drop it.
    Ignore,
    /// Invalid: drop it and penalise who sent it.
    Reject,
}

/// A message could not be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It was seen or published already; nothing to do.
    #[error("message is known already")]
    Duplicate,
    /// Nobody we know follows the topic.
    #[error("no peer follows {0}")]
    NoPeers(GossipTopic),
    /// Above the topic's limit, or all send queues are full.
    #[error("{topic}: {reason}")]
    Failed {
        /// Topic.
        topic: GossipTopic,
        /// What gossipsub says.
        reason: String,
    },
    /// The service stopped.
    #[error("network service stopped")]
    Stopped,
}

/// The service stopped before it could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network service stopped")]
pub struct Stopped;

/// Identity of this node for the HTTP API.
#[derive(Clone, Debug)]
pub struct LocalIdentity {
    /// libp2p identity.
    pub peer_id: PeerId,
    /// Node record.
    pub enr: Enr,
    /// Addresses that libp2p listens on, with peer id.
    pub p2p_addresses: Vec<Multiaddr>,
    /// Addresses of discv5.
    pub discovery_addresses: Vec<Multiaddr>,
    /// Metadata.
    pub metadata: MetaData,
}

pub(crate) enum Command {
    Publish {
        topic: GossipTopic,
        data: Vec<u8>,
        reply: oneshot::Sender<Result<(), PublishError>>,
    },
    Validated {
        message_id: MessageId,
        source: PeerId,
        verdict: Verdict,
    },
    Request {
        peer: PeerId,
        request: Request,
        sink: ResponseSink,
    },
    Forward {
        peer: PeerId,
        id: u64,
        request: Request,
    },
    Subscribe(Vec<TopicKind>),
    Unsubscribe(Vec<TopicKind>),
    SubscribeFork(ForkDigest),
    UnsubscribeFork(ForkDigest),
    DiscoverSubnets(Vec<TopicKind>),
    UpdateFork(ForkContext),
    SetStatus(StatusMessage),
    SetSubnets {
        attnets: AttnetBits,
        syncnets: SyncnetBits,
    },
    SetCustodyGroupCount(u64),
    ReportPeer {
        peer: PeerId,
        penalty: Penalty,
        reason: &'static str,
    },
    SendStatus(PeerId),
    Disconnect {
        peer: PeerId,
        reason: GoodbyeReason,
    },
    Connect(Multiaddr),
    Peers(oneshot::Sender<Vec<PeerSummary>>),
    Peer {
        peer: PeerId,
        reply: oneshot::Sender<Option<PeerSummary>>,
    },
    Topics(oneshot::Sender<Vec<GossipTopic>>),
    SetBlockedPeers(HashSet<PeerId>),
    SetOutboundDelay(Duration),
    SetColumnFaults(ColumnFaults),
    Shutdown(oneshot::Sender<()>),
}

/// State that is read without asking the service.
pub(crate) struct Shared {
    pub(crate) peer_id: PeerId,
    pub(crate) enr: Arc<RwLock<Enr>>,
    pub(crate) listen_addresses: RwLock<Vec<Multiaddr>>,
    pub(crate) metadata: RwLock<MetaData>,
    pub(crate) connected: AtomicUsize,
    pub(crate) registry: Registry,
}

/// The way into the network service; cheap to clone. The service stops with [`NetworkHandle::shutdown`], or when the
/// last handle is dropped.
#[derive(Clone)]
pub struct NetworkHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkHandle")
            .field("peer_id", &self.shared.peer_id)
            .finish_non_exhaustive()
    }
}

impl NetworkHandle {
    async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// Publishes SSZ bytes on a topic.
    pub async fn publish(&self, topic: GossipTopic, data: Vec<u8>) -> Result<(), PublishError> {
        self.ask(|reply| Command::Publish { topic, data, reply })
            .await
            .unwrap_or(Err(PublishError::Stopped))
    }

    /// Gives the verdict on a gossip message; only accepted ones are forwarded. Due within some four seconds.
    pub async fn report_validation(
        &self,
        message_id: MessageId,
        source: PeerId,
        verdict: Verdict,
    ) -> Result<(), Stopped> {
        self.send(Command::Validated {
            message_id,
            source,
            verdict,
        })
        .await
    }

    /// Sends a request and gives the answer as a stream that is read no faster than its user takes chunks.
    pub async fn request(&self, peer: PeerId, request: Request) -> Result<ResponseStream, Stopped> {
        let (sink, stream) = response_channel();
        self.send(Command::Request { peer, request, sink }).await?;
        Ok(stream)
    }

    /// Sends a request whose answer comes as [`NetworkEvent::Response`] with this `id`. All answers together hold no
    /// more than `response_bytes_in_flight`; beyond it they are read no further.
    pub async fn send_request(&self, peer: PeerId, id: u64, request: Request) -> Result<(), Stopped> {
        self.send(Command::Forward { peer, id, request }).await
    }

    /// Follows topics in all forks that are followed at present.
    pub async fn subscribe(&self, kinds: Vec<TopicKind>) -> Result<(), Stopped> {
        self.send(Command::Subscribe(kinds)).await
    }

    /// Leaves topics in all forks.
    pub async fn unsubscribe(&self, kinds: Vec<TopicKind>) -> Result<(), Stopped> {
        self.send(Command::Unsubscribe(kinds)).await
    }

    /// Follows all chosen topics in another fork as well: some epochs before it begins.
    pub async fn subscribe_fork(&self, digest: ForkDigest) -> Result<(), Stopped> {
        self.send(Command::SubscribeFork(digest)).await
    }

    /// Leaves all topics of a fork: some epochs after it has ended. The current fork cannot be left.
    pub async fn unsubscribe_fork(&self, digest: ForkDigest) -> Result<(), Stopped> {
        self.send(Command::UnsubscribeFork(digest)).await
    }

    /// Looks for peers on subnets that we will publish on without following them. Replaces the list of the last call.
    pub async fn discover_subnets(&self, kinds: Vec<TopicKind>) -> Result<(), Stopped> {
        self.send(Command::DiscoverSubnets(kinds)).await
    }

    /// Enters a fork: record entries `eth2` and `nfd`, the digest that peers must have, topics.
    pub async fn update_fork(&self, forks: ForkContext) -> Result<(), Stopped> {
        self.send(Command::UpdateFork(forks)).await
    }

    /// Sets what peers are told about our chain.
    pub async fn set_status(&self, status: StatusMessage) -> Result<(), Stopped> {
        self.send(Command::SetStatus(status)).await
    }

    /// Sets the persistent subnets of metadata and record.
    pub async fn set_subnets(&self, attnets: AttnetBits, syncnets: SyncnetBits) -> Result<(), Stopped> {
        self.send(Command::SetSubnets { attnets, syncnets }).await
    }

    /// Sets the custody group count of metadata and record.
    pub async fn set_custody_group_count(&self, count: u64) -> Result<(), Stopped> {
        self.send(Command::SetCustodyGroupCount(count)).await
    }

    /// Penalises a peer. `reason` is a short constant text for logs and metrics.
    pub async fn report_peer(&self, peer: PeerId, penalty: Penalty, reason: &'static str) -> Result<(), Stopped> {
        self.send(Command::ReportPeer { peer, penalty, reason }).await
    }

    /// Exchanges status with a peer now; the answer comes as [`NetworkEvent::PeerStatus`].
    pub async fn send_status(&self, peer: PeerId) -> Result<(), Stopped> {
        self.send(Command::SendStatus(peer)).await
    }

    /// Says goodbye to a peer and disconnects.
    pub async fn disconnect(&self, peer: PeerId, reason: GoodbyeReason) -> Result<(), Stopped> {
        self.send(Command::Disconnect { peer, reason }).await
    }

    /// Dials an address.
    pub async fn connect(&self, address: Multiaddr) -> Result<(), Stopped> {
        self.send(Command::Connect(address)).await
    }

    /// All peers that are known, connected or not.
    pub async fn peers(&self) -> Result<Vec<PeerSummary>, Stopped> {
        self.ask(Command::Peers).await
    }

    /// One peer.
    pub async fn peer(&self, peer: PeerId) -> Result<Option<PeerSummary>, Stopped> {
        self.ask(|reply| Command::Peer { peer, reply }).await
    }

    /// Topics that are followed.
    pub async fn topics(&self) -> Result<Vec<GossipTopic>, Stopped> {
        self.ask(Command::Topics).await
    }

    /// Number of connected peers, without waiting.
    pub fn connected_peers(&self) -> usize {
        self.shared.connected.load(Ordering::Relaxed)
    }

    /// Our own peer id.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// Our own discovery id, which custody and subnets are derived from.
    pub fn node_id(&self) -> [u8; 32] {
        self.shared.enr.read().node_id().raw()
    }

    /// Our own record.
    pub fn enr(&self) -> Enr {
        self.shared.enr.read().clone()
    }

    /// Identity for the HTTP API.
    pub fn identity(&self) -> LocalIdentity {
        let enr = self.enr();
        let peer_id = self.shared.peer_id;
        let with_peer = |address: &Multiaddr| address.clone().with(libp2p::multiaddr::Protocol::P2p(peer_id));
        LocalIdentity {
            peer_id,
            p2p_addresses: self.shared.listen_addresses.read().iter().map(with_peer).collect(),
            discovery_addresses: enr.discovery_addresses(),
            metadata: self.shared.metadata.read().clone(),
            enr,
        }
    }

    /// Metrics that libp2p keeps (`libp2p_bandwidth_bytes_total`, `gossipsub_*`) in the OpenMetrics text format,
    /// without its end marker, so that it can follow the text of another registry.
    pub fn libp2p_metrics(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.shared.registry).is_err() {
            text.clear();
        }
        text.trim_end().trim_end_matches("# EOF").to_owned()
    }

    /// Fault injection: cuts off exactly these peers, connections included; an empty set heals all cuts.
    pub async fn set_blocked_peers(&self, peers: HashSet<PeerId>) -> Result<(), Stopped> {
        self.send(Command::SetBlockedPeers(peers)).await
    }

    /// Fault injection: everything that leaves (gossip, forwarding, requests, answers) waits this long. Zero heals.
    pub async fn set_outbound_delay(&self, delay: Duration) -> Result<(), Stopped> {
        self.send(Command::SetOutboundDelay(delay)).await
    }

    /// Fault injection: columns that do not come in, and columns that do not go out. The default heals.
    pub async fn set_column_faults(&self, faults: ColumnFaults) -> Result<(), Stopped> {
        self.send(Command::SetColumnFaults(faults)).await
    }

    /// Says goodbye to all peers and waits until the service and its tasks are gone.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        if self.send(Command::Shutdown(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}
