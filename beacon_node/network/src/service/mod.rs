//! The service: one task that owns libp2p, discovery and the peer table, and turns their events into ours.
//!
//! - `mod.rs`: start, the loop, stop.
//! - `commands.rs`: what the handle asks for.
//! - `events.rs`: what libp2p reports.
//! - `peering.rs`: handshake, heartbeat, dialling, pruning, penalties.
//! - `queue.rs`: the bounded way to the router.

mod commands;
mod events;
mod peering;
mod queue;

use crate::api::{Command, NetworkEvent, NetworkHandle, Shared};
use crate::column_faults::ColumnFaults;
use crate::config::{BootNode, ForkContext, NetworkConfig, peer_id_of};
use crate::discovery::{self, Discovery, DiscoveryError, DiscoveryEvent, LocalRecord};
use crate::enr::{BoundPorts, EnrError, EnrExt, build_local_enr, quic_address, tcp_address};
use crate::gossip::{KnownDigests, ScoreClock, TopicKind};
use crate::identity::{IdentityError, NodeKey};
use crate::metrics::NetworkMetrics;
use crate::peers::{CustodyRules, PeerTable};
use crate::rpc::{
    GoodbyeReason, MetaData, ProtocolKind, Request, RequestError, ResponseChunk, ResponseSink, StatusMessage,
};
use crate::transport::{NodeBehaviour, TransportError, build_swarm};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::metrics::Registry;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId};
use parking_lot::RwLock;
use peering::DelayedAction;
use queue::EventQueue;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use types::ForkDigest;

const HEARTBEAT: Duration = Duration::from_millis(500);
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long goodbyes may take at shutdown.
const FAREWELL: Duration = Duration::from_millis(1500);

/// The service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Node key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Node record.
    #[error(transparent)]
    Enr(#[from] EnrError),
    /// Transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Discovery.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// A port is taken or an address is not ours.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Wanted address.
        address: Multiaddr,
        /// What the system says.
        reason: String,
    },
    /// A metric name is taken.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Namespace of [`NetworkService::start`].
#[derive(Debug)]
pub struct NetworkService;

impl NetworkService {
    /// Binds all sockets, starts the tasks, and returns once the node is reachable. No topic is followed yet.
    pub async fn start(
        config: NetworkConfig,
        forks: ForkContext,
        status: StatusMessage,
        registry: &prometheus::Registry,
    ) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), StartError> {
        let key = NodeKey::load_or_create(&config.network_dir)?;
        let bad_key = || TransportError("node key is no secp256k1 key".to_owned());
        let keypair = key.libp2p().ok_or_else(bad_key)?;
        let enr_key = key.discv5().ok_or_else(bad_key)?;
        let metrics = NetworkMetrics::new(registry)?;
        let known_digests = KnownDigests::default();
        let response_delay = Arc::new(AtomicU64::new(0));
        let mut libp2p_registry = Registry::default();
        let mut swarm = build_swarm(
            keypair,
            &config,
            known_digests.clone(),
            response_delay.clone(),
            &mut libp2p_registry,
        )?;
        let (tcp, quic, listen_addresses) = listen(&mut swarm, &config).await?;

        let socket = if config.disable_discovery {
            None
        } else {
            Some(discovery::bind(&config).await?)
        };
        let udp = socket
            .as_ref()
            .and_then(|socket| socket.local_addr().ok())
            .map(|address| address.port());
        let enr = build_local_enr(&enr_key, &config, &forks, BoundPorts { tcp, udp, quic })?;
        let mut boot_enrs = Vec::new();
        let mut boot_addresses = Vec::new();
        for node in &config.boot_nodes {
            match node {
                BootNode::Enr(enr) => boot_enrs.push((**enr).clone()),
                BootNode::Multiaddr(address) => boot_addresses.push(address.clone()),
            }
        }
        let (discovery, shared_enr) = match socket {
            Some(socket) => {
                let key = key.discv5().ok_or_else(bad_key)?;
                let discovery = Discovery::start(&config, enr, key, socket, boot_enrs.clone()).await?;
                let shared = discovery.shared_enr();
                (Some(discovery), shared)
            }
            None => (None, Arc::new(RwLock::new(enr))),
        };
        let record = LocalRecord::new(shared_enr, enr_key, config.network_dir.clone());
        let metadata = {
            let enr = record.shared();
            let enr = enr.read();
            MetaData {
                seq_number: 0,
                attnets: enr.attnets().unwrap_or_default(),
                syncnets: enr.syncnets().unwrap_or_default(),
                custody_group_count: Some(config.custody_group_count),
            }
        };
        let shared = Arc::new(Shared {
            peer_id: *swarm.local_peer_id(),
            enr: record.shared(),
            listen_addresses: RwLock::new(listen_addresses),
            metadata: RwLock::new(metadata),
            connected: AtomicUsize::new(0),
            registry: libp2p_registry,
        });
        let (event_sender, event_receiver) = mpsc::channel(config.event_queue.max(1));
        let (command_sender, command_receiver) = mpsc::channel(config.command_queue.max(1));
        let clock = ScoreClock {
            slot: config.slot_duration,
            slots_per_epoch: config.slots_per_epoch,
        };
        let now = Instant::now();
        let mut service = Service {
            events: EventQueue::new(
                event_sender,
                config.gossip_bytes_in_flight,
                config.response_bytes_in_flight,
                metrics.clone(),
            ),
            peers: PeerTable::new(
                config.trusted_peers.iter().copied(),
                CustodyRules::new(config.spec.clone()),
            ),
            digests: BTreeSet::from([forks.current_digest()]),
            topics: BTreeSet::new(),
            publish_subnets: BTreeSet::new(),
            answers: FuturesUnordered::new(),
            resolving: FuturesUnordered::new(),
            delayed: BTreeMap::new(),
            delayed_number: 0,
            outbound_delay: Duration::ZERO,
            column_faults: ColumnFaults::default(),
            next_request_id: 0,
            next_boot_dial: now,
            heartbeats: 0,
            boot_addresses,
            response_delay,
            known_digests,
            clock,
            metrics,
            record,
            discovery,
            shared: shared.clone(),
            swarm,
            config,
            forks,
            status,
        };
        service.allow_known_digests();
        service.on_records(boot_enrs);
        tracing::info!(peer_id = %shared.peer_id, enr = %shared.enr.read().to_base64(), "network started");
        tokio::spawn(service.run(command_receiver));
        Ok((
            NetworkHandle {
                commands: command_sender,
                shared,
            },
            event_receiver,
        ))
    }
}

/// An error with its causes. libp2p's own text names the layer and leaves out what the system said.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let text = text.trim().trim_end_matches(':');
        // Some errors repeat their cause.
        if !text.is_empty() && !words.iter().any(|word| word.contains(text)) {
            words.push(text.to_owned());
        }
        next = error.source();
    }
    words.join(": ")
}

/// Starts listening and waits until the ports are known.
async fn listen(
    swarm: &mut Swarm<NodeBehaviour>,
    config: &NetworkConfig,
) -> Result<(u16, Option<u16>, Vec<Multiaddr>), StartError> {
    let mut wanted = vec![tcp_address(SocketAddr::new(config.listen_address, config.port))];
    if !config.disable_quic {
        wanted.push(quic_address(config.listen_address, config.quic_port()));
    }
    let (mut tcp, mut quic, mut addresses) = (None, None, Vec::new());
    for address in wanted {
        let error = |reason: String| StartError::Listen {
            address: address.clone(),
            reason,
        };
        let id = swarm.listen_on(address.clone()).map_err(|e| error(in_words(&e)))?;
        let bound = tokio::time::timeout(LISTEN_TIMEOUT, async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, address } if listener_id == id => return Ok(address),
                    SwarmEvent::ListenerClosed {
                        listener_id, reason, ..
                    } if listener_id == id => {
                        return Err(reason.map_or_else(|e| in_words(&e), |()| "the listener was closed".to_owned()));
                    }
                    SwarmEvent::ListenerError { listener_id, error } if listener_id == id => {
                        return Err(in_words(&error));
                    }
                    _ => {}
                }
            }
        });
        let bound = bound
            .await
            .map_err(|_| error("no answer from the system".to_owned()))?
            .map_err(error)?;
        for part in &bound {
            match part {
                Protocol::Tcp(port) => tcp = Some(port),
                Protocol::Udp(port) => quic = Some(port),
                _ => {}
            }
        }
        addresses.push(bound);
    }
    Ok((tcp.unwrap_or(config.port), quic, addresses))
}

type Answer = (PeerId, ProtocolKind, Result<ResponseChunk, RequestError>);

pub(crate) struct Service {
    swarm: Swarm<NodeBehaviour>,
    discovery: Option<Discovery>,
    record: LocalRecord,
    shared: Arc<Shared>,
    config: NetworkConfig,
    forks: ForkContext,
    status: StatusMessage,
    clock: ScoreClock,
    metrics: NetworkMetrics,
    events: EventQueue,
    peers: PeerTable,
    known_digests: KnownDigests,
    /// Forks whose topics are followed, the current one among them.
    digests: BTreeSet<ForkDigest>,
    /// Followed topics, without fork.
    topics: BTreeSet<TopicKind>,
    /// Subnets that peers are looked for although we do not follow them.
    publish_subnets: BTreeSet<TopicKind>,
    /// Answers to our own handshakes.
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Addresses with names, on their way to numbers.
    resolving: FuturesUnordered<BoxFuture<'static, Vec<Multiaddr>>>,
    delayed: BTreeMap<(Instant, u64), DelayedAction>,
    delayed_number: u64,
    outbound_delay: Duration,
    column_faults: ColumnFaults,
    response_delay: Arc<AtomicU64>,
    next_request_id: u64,
    boot_addresses: Vec<Multiaddr>,
    next_boot_dial: Instant,
    heartbeats: u64,
}

impl Service {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let done: Option<oneshot::Sender<()>> = loop {
            let due = self.delayed.keys().next().map(|(time, _)| *time);
            let timer = async {
                match due {
                    Some(time) => tokio::time::sleep_until(time.into()).await,
                    None => std::future::pending().await,
                }
            };
            let discovered = async {
                match &mut self.discovery {
                    Some(discovery) => discovery.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                event = discovered => match event {
                    DiscoveryEvent::Found(records) => self.on_records(records),
                    DiscoveryEvent::LocalAddressChanged => {
                        self.metrics.address_updates.inc();
                        self.record.store();
                    }
                },
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => self.on_answer(answer),
                Some(addresses) = self.resolving.next(), if !self.resolving.is_empty() => {
                    addresses.into_iter().for_each(|address| self.dial_address(address));
                }
                () = self.events.flush(), if self.events.has_backlog() => {}
                () = timer => self.on_timer(Instant::now()),
                _ = heartbeat.tick() => self.on_heartbeat(Instant::now()),
            }
        };
        self.say_goodbye_to_all().await;
        if let Some(discovery) = &mut self.discovery {
            discovery.shutdown();
        }
        self.record.store();
        drop(self);
        tracing::info!("network stopped");
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    async fn say_goodbye_to_all(&mut self) {
        let connected: Vec<PeerId> = self.peers.connected().map(|(id, _)| *id).collect();
        for peer in connected {
            let (sink, _) = crate::rpc::response_channel();
            self.send_now(peer, Request::Goodbye(GoodbyeReason::ClientShutdown), sink);
        }
        let farewell = async {
            while self.swarm.behaviour().rpc.outstanding() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Sends a request without the injected delay.
    fn send_now(&mut self, peer: PeerId, request: Request, sink: ResponseSink) {
        self.metrics
            .rpc_requests
            .with_label_values(&[request.kind().name()])
            .inc();
        self.swarm.behaviour_mut().rpc.send(peer, request, sink);
    }

    fn allow_known_digests(&mut self) {
        let mut known = self.known_digests.0.write();
        known.clear();
        known.extend(self.forks.known_forks.iter().map(|fork| fork.digest));
        known.extend(self.digests.iter().copied());
    }

    /// Dials an address, by name or number.
    fn connect(&mut self, address: Multiaddr) {
        let has_name = address.iter().any(|part| {
            matches!(
                part,
                Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)
            )
        });
        if has_name {
            self.resolving.push(Box::pin(resolve(address)));
        } else {
            self.dial_address(address);
        }
    }

    fn dial_address(&mut self, address: Multiaddr) {
        if let Some(peer) = peer_id_of(&address) {
            self.dial(peer, vec![address]);
        } else if let Err(error) = self.swarm.dial(address.clone()) {
            tracing::debug!(%address, %error, "dial failed");
        }
    }
}

/// Replaces the host name of an address by what the system's resolver says.
async fn resolve(address: Multiaddr) -> Vec<Multiaddr> {
    let name = address.iter().find_map(|part| match part {
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => Some(name.into_owned()),
        _ => None,
    });
    let Some(name) = name else { return Vec::new() };
    let Ok(found) = tokio::net::lookup_host((name.as_str(), 0)).await else {
        tracing::debug!(%address, "host name not found");
        return Vec::new();
    };
    found
        .map(|socket| {
            let number = Multiaddr::from(socket.ip());
            let number = number.iter().next();
            address
                .iter()
                .map(|part| match part {
                    Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => number.clone().unwrap_or(part),
                    other => other,
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn host_names_become_numbers() {
        let addresses = resolve("/dns4/localhost/tcp/9000".parse().unwrap()).await;
        assert!(addresses.iter().any(|address| {
            let text = address.to_string();
            text == "/ip4/127.0.0.1/tcp/9000" || text == "/ip6/::1/tcp/9000"
        }));
    }
}
