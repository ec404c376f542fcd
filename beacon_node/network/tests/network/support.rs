//! In-process nodes on loopback, and waiting with a deadline instead of sleeping.

use network::{
    BootNode, EnrForkId, ForkContext, GossipTopic, KnownFork, NetworkConfig, NetworkEvent, NetworkHandle,
    NetworkService, PeerId, ProtocolKind, PublishError, Request, RequestError, Responder, ResponseChunk, ResponseCode,
    ResponseEvent, ResponseStream, StatusMessage, Verdict,
};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use types::{Epoch, ForkDigest, Root, Slot, Version};

pub(crate) const DIGEST: ForkDigest = ForkDigest::new([0xde, 0xad, 0xbe, 0xef]);
pub(crate) const NEXT_DIGEST: ForkDigest = ForkDigest::new([0xca, 0xfe, 0xba, 0xbe]);
const DEADLINE: Duration = Duration::from_secs(40);

/// What a node has seen so far.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connected: HashSet<PeerId>,
    pub(crate) statuses: HashMap<PeerId, StatusMessage>,
    pub(crate) gossip: Vec<(GossipTopic, PeerId, Vec<u8>)>,
    pub(crate) requests: usize,
    pub(crate) responses: Vec<(u64, ResponseEvent)>,
    pub(crate) chunks_sent: usize,
    /// If set, requests are kept here unanswered.
    pub(crate) held: Option<Vec<(ProtocolKind, Responder)>>,
}

pub(crate) struct Node {
    pub(crate) handle: NetworkHandle,
    pub(crate) registry: prometheus::Registry,
    pub(crate) seen: Arc<Mutex<Seen>>,
    verdict: Arc<Mutex<Verdict>>,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn status(digest: ForkDigest, head: u64) -> StatusMessage {
    StatusMessage {
        fork_digest: digest,
        finalized_root: Root::ZERO,
        finalized_epoch: Epoch::new(0),
        head_root: Root::repeat_byte(1),
        head_slot: Slot::new(head),
        earliest_available_slot: Some(Slot::new(0)),
    }
}

pub(crate) fn forks(digest: ForkDigest) -> ForkContext {
    ForkContext {
        enr_fork_id: EnrForkId {
            fork_digest: digest,
            next_fork_version: Version::ZERO,
            next_fork_epoch: Epoch::new(u64::MAX),
        },
        next_fork_digest: ForkDigest::ZERO,
        known_forks: vec![
            KnownFork {
                digest,
                has_groups: false,
            },
            KnownFork {
                digest: NEXT_DIGEST,
                has_groups: true,
            },
        ],
    }
}

pub(crate) fn config(dir: &std::path::Path) -> NetworkConfig {
    let mut config = NetworkConfig::new(dir.to_path_buf());
    config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.port = 0;
    config.slot_duration = Duration::from_secs(3);
    config.slots_per_epoch = 8;
    config.target_peers = 10;
    config
}

impl Node {
    pub(crate) async fn start(head: u64, boot: &[&Node]) -> Self {
        Self::start_with(head, DIGEST, boot, |_| {}).await
    }

    pub(crate) async fn start_with(
        head: u64,
        digest: ForkDigest,
        boot: &[&Node],
        change: impl FnOnce(&mut NetworkConfig),
    ) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), head, digest, boot, change).await
    }

    /// Starts with the key and record of an earlier run.
    pub(crate) async fn start_in(
        dir: tempfile::TempDir,
        head: u64,
        digest: ForkDigest,
        boot: &[&Node],
        change: impl FnOnce(&mut NetworkConfig),
    ) -> Self {
        let mut config = config(dir.path());
        config.boot_nodes = boot
            .iter()
            .map(|node| BootNode::Enr(Box::new(node.handle.enr())))
            .collect();
        change(&mut config);
        let registry = prometheus::Registry::new();
        let (handle, mut events) = NetworkService::start(config, forks(digest), status(digest, head), &registry)
            .await
            .unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let verdict = Arc::new(Mutex::new(Verdict::Accept));
        let node = Self {
            handle: handle.clone(),
            registry,
            seen: seen.clone(),
            verdict: verdict.clone(),
            dir,
        };
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    NetworkEvent::PeerConnected { peer, .. } => {
                        seen.lock().unwrap().connected.insert(peer);
                    }
                    NetworkEvent::PeerDisconnected { peer } => {
                        seen.lock().unwrap().connected.remove(&peer);
                    }
                    NetworkEvent::PeerStatus { peer, status } => {
                        seen.lock().unwrap().statuses.insert(peer, status);
                    }
                    NetworkEvent::Gossip(message) => {
                        let verdict = *verdict.lock().unwrap();
                        let entry = (message.topic, message.source, message.data.clone());
                        seen.lock().unwrap().gossip.push(entry);
                        handle
                            .report_validation(message.message_id, message.source, verdict)
                            .await
                            .ok();
                    }
                    NetworkEvent::Response(part) => seen.lock().unwrap().responses.push((part.id, part.event)),
                    NetworkEvent::Request { request, responder, .. } => {
                        seen.lock().unwrap().requests += 1;
                        if let Some(held) = &mut seen.lock().unwrap().held {
                            held.push((request.kind(), responder));
                            continue;
                        }
                        let seen = seen.clone();
                        tokio::spawn(async move {
                            if let Request::DataColumnsByRange(request) = &request {
                                for column in &request.columns {
                                    let column = column.to_le_bytes().to_vec();
                                    responder.object(DIGEST, column).await.unwrap();
                                }
                                return;
                            }
                            let Request::BlocksByRange(request) = request else {
                                return responder
                                    .error(ResponseCode::ResourceUnavailable, "no such thing")
                                    .await;
                            };
                            for slot in 0..request.count {
                                if responder.object(DIGEST, block(slot)).await.is_err() {
                                    return;
                                }
                                seen.lock().unwrap().chunks_sent += 1;
                            }
                        });
                    }
                }
            }
        });
        node
    }

    pub(crate) fn id(&self) -> PeerId {
        self.handle.peer_id()
    }

    pub(crate) fn judge(&self, verdict: Verdict) {
        *self.verdict.lock().unwrap() = verdict;
    }

    pub(crate) fn knows(&self, peer: &Node) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.connected.contains(&peer.id()) && seen.statuses.contains_key(&peer.id())
    }

    pub(crate) fn is_connected_to(&self, peer: &Node) -> bool {
        self.seen.lock().unwrap().connected.contains(&peer.id())
    }

    pub(crate) fn got(&self, data: &[u8]) -> bool {
        self.seen.lock().unwrap().gossip.iter().any(|(_, _, seen)| seen == data)
    }

    pub(crate) async fn score_of(&self, peer: PeerId) -> f64 {
        self.handle
            .peer(peer)
            .await
            .unwrap()
            .map_or(0.0, |summary| summary.score)
    }

    /// Sum of a counter over its labels that contain `label`.
    pub(crate) fn counter(&self, name: &str, label: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0, |family| {
            let matching = family
                .get_metric()
                .iter()
                .filter(|metric| label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label));
            matching.map(|metric| metric.get_counter().get_value() as u64).sum()
        })
    }
}

/// A block-like payload of about 100 kB that does not compress to nothing.
pub(crate) fn block(slot: u64) -> Vec<u8> {
    let mut state = slot.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..100_000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// Waits until the condition holds; fails loudly after the deadline.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "deadline passed: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same for a condition that has to ask.
pub(crate) async fn eventually_async<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "deadline passed: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Publishes as soon as a peer follows the topic.
pub(crate) async fn publish_when_followed(node: &Node, topic: GossipTopic, data: &[u8]) {
    let start = Instant::now();
    loop {
        match node.handle.publish(topic, data.to_vec()).await {
            Ok(()) | Err(PublishError::Duplicate) => return,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A whole answer.
pub(crate) async fn all_chunks(mut answer: ResponseStream) -> Result<Vec<ResponseChunk>, RequestError> {
    let mut chunks = Vec::new();
    while let Some(chunk) = answer.next().await {
        chunks.push(chunk?);
    }
    Ok(chunks)
}
