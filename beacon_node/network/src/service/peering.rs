//! Who is connected and who should be: handshake, heartbeat, dialling, pruning, penalties.

use super::{Answer, Service};
use crate::discovery::{is_of_fork, plans_same_fork};
use crate::enr::{Enr, EnrExt, is_global};
use crate::gossip::GossipTopic;
use crate::metrics::client_name;
use crate::peers::{ConnectionDirection, PeerState, Penalty, Prospect, Standing, Subnet, SubnetSet};
use crate::rpc::{
    GoodbyeReason, ProtocolKind, Request, RequestError, ResponseChunk, ResponseSink, StatusMessage, response_channel,
};
use crate::transport::max_peers;
use futures::FutureExt;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Dials that one heartbeat starts for subnets, and again for the total.
const DIALS_PER_HEARTBEAT: usize = 8;
const BOOT_DIAL_PAUSE: Duration = Duration::from_secs(10);
/// A goodbye has this long to reach the peer.
const GOODBYE_TIME: Duration = Duration::from_millis(500);
/// Status and metadata that never came: asked again after this.
const STATUS_RETRY: Duration = Duration::from_secs(10);
/// A peer of another fork is not dialled again before.
const IRRELEVANT_PAUSE: Duration = Duration::from_secs(30);
/// Nor is a peer that had to make a place: its record may promise more than the peer has kept.
const PRUNED_PAUSE: Duration = Duration::from_secs(60);
const METRICS_EVERY: u64 = 4;

/// Something that happens later.
pub(super) enum DelayedAction {
    Publish {
        topic: GossipTopic,
        data: Vec<u8>,
    },
    Forward {
        message_id: MessageId,
        source: PeerId,
    },
    Request {
        peer: PeerId,
        request: Request,
        sink: ResponseSink,
    },
    Disconnect(PeerId),
}

impl Service {
    pub(super) fn on_timer(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            let action = entry.remove();
            self.perform(action);
        }
    }

    pub(super) fn perform(&mut self, action: DelayedAction) {
        match action {
            DelayedAction::Publish { topic, data } => {
                if let Err(error) = self.publish(topic, data) {
                    tracing::debug!(%error, "delayed message not published");
                }
            }
            DelayedAction::Forward { message_id, source } => {
                self.report_to_mesh(&message_id, source, MessageAcceptance::Accept);
            }
            DelayedAction::Request { peer, request, sink } => self.send_now(peer, request, sink),
            DelayedAction::Disconnect(peer) => {
                let _ = self.swarm.disconnect_peer_id(peer);
            }
        }
    }

    /// Asks a peer something small; the answer comes back through `on_answer`.
    fn ask(&mut self, peer: PeerId, request: Request) {
        let kind = request.kind();
        let (sink, stream) = response_channel();
        self.send_now(peer, request, sink);
        self.answers
            .push(stream.single().map(move |answer| (peer, kind, answer)).boxed());
    }

    pub(super) fn send_status(&mut self, peer: PeerId, now: Instant) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.next_status = now + self.config.status_interval.max(STATUS_RETRY);
        }
        self.ask(peer, Request::Status(self.status));
    }

    pub(super) fn on_answer(&mut self, (peer, kind, answer): Answer) {
        match (kind, answer) {
            (_, Ok(ResponseChunk::Status(status))) => self.on_status(peer, status),
            (_, Ok(ResponseChunk::Pong(seq_number))) => self.refresh_metadata(peer, seq_number),
            (_, Ok(ResponseChunk::MetaData(metadata))) => self.peers.on_metadata(&peer, *metadata),
            (ProtocolKind::Status, Err(RequestError::UnsupportedProtocol(_))) => {
                self.leave(peer, GoodbyeReason::IrrelevantNetwork);
            }
            (ProtocolKind::Status, Err(_)) => {
                if let Some(entry) = self.peers.get_mut(&peer)
                    && entry.status.is_none()
                {
                    entry.next_status = Instant::now() + STATUS_RETRY;
                }
            }
            _ => {}
        }
    }

    /// Checks that the peer is on our fork and tells the router where it is. The first status asks for metadata.
    pub(super) fn on_status(&mut self, peer: PeerId, status: StatusMessage) {
        if !self.digests.contains(&status.fork_digest) {
            tracing::debug!(%peer, digest = %status.fork_digest, "peer is on another fork");
            return self.leave(peer, GoodbyeReason::IrrelevantNetwork);
        }
        let now = Instant::now();
        let interval = self.config.status_interval;
        let Some(entry) = self.peers.get_mut(&peer) else { return };
        entry.on_handshake(status);
        entry.next_status = now + interval;
        let needs_metadata = entry.metadata().is_none();
        if entry.state == PeerState::Connected {
            self.events.must(crate::api::NetworkEvent::PeerStatus { peer, status });
            if needs_metadata {
                self.ask(peer, Request::MetaData);
            }
        }
    }

    pub(super) fn refresh_metadata(&mut self, peer: PeerId, seq_number: u64) {
        let Some(entry) = self.peers.get(&peer) else { return };
        if entry.metadata().is_none_or(|known| known.seq_number < seq_number) {
            self.ask(peer, Request::MetaData);
        }
    }

    /// Says goodbye and disconnects.
    pub(super) fn leave(&mut self, peer: PeerId, reason: GoodbyeReason) {
        match self.peers.get_mut(&peer) {
            Some(entry) if entry.state == PeerState::Connected => entry.state = PeerState::Disconnecting,
            _ => return,
        }
        tracing::debug!(%peer, ?reason, "leaving peer");
        if reason == GoodbyeReason::IrrelevantNetwork {
            self.peers.do_not_dial(peer, IRRELEVANT_PAUSE, Instant::now());
        }
        let (sink, _) = response_channel();
        self.send_now(peer, Request::Goodbye(reason), sink);
        self.disconnect_soon(peer);
    }

    pub(super) fn disconnect_soon(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.get_mut(&peer)
            && entry.state == PeerState::Connected
        {
            entry.state = PeerState::Disconnecting;
        }
        self.after(GOODBYE_TIME, DelayedAction::Disconnect(peer));
    }

    pub(super) fn penalise(&mut self, peer: PeerId, penalty: Penalty, reason: &'static str, source: &'static str) {
        let standing = self.peers.penalise(peer, penalty, Instant::now());
        let Some(entry) = self.peers.get(&peer) else { return };
        let client = client_name(entry.agent.as_deref());
        let application = entry.score.for_gossip();
        tracing::debug!(%peer, reason, penalty = penalty.name(), score = entry.score.value(), "peer penalised");
        self.metrics
            .peer_actions
            .with_label_values(&[client, penalty.name(), source])
            .inc();
        self.metrics.report_messages.with_label_values(&[reason]).inc();
        self.swarm
            .behaviour_mut()
            .gossipsub
            .set_application_score(&peer, application);
        self.act_on(peer, standing);
    }

    fn act_on(&mut self, peer: PeerId, standing: Standing) {
        match standing {
            Standing::Healthy => {}
            Standing::Disconnect => self.leave(peer, GoodbyeReason::BadScore),
            Standing::Banned => {
                self.swarm.behaviour_mut().gate.banned.insert(peer);
                self.leave(peer, GoodbyeReason::Banned);
            }
        }
    }

    /// Records from discovery: those of our fork are remembered and dialled if peers are wanted. Who parts with us at the
    /// next fork has its turn when the others are dialled.
    pub(super) fn on_records(&mut self, records: Vec<Enr>) {
        let now = Instant::now();
        for enr in records {
            let Some(peer) = enr.peer_id() else { continue };
            if peer == self.shared.peer_id || !is_of_fork(&enr, self.forks.current_digest()) {
                continue;
            }
            self.peers.on_enr(peer, enr.clone(), now);
            let is_lasting = plans_same_fork(&enr, &self.forks);
            if is_lasting && self.wants_peers() > 0 && self.peers.may_dial(&peer, now) {
                self.dial(peer, self.addresses(&enr));
            }
        }
    }

    fn addresses(&self, enr: &Enr) -> Vec<Multiaddr> {
        let mut addresses = enr.dial_addresses(!self.config.disable_quic);
        if !self.config.allows_private_addresses() {
            addresses.retain(|address| {
                address.iter().all(|part| match part {
                    Protocol::Ip4(ip) => is_global(ip.into()),
                    Protocol::Ip6(ip) => is_global(ip.into()),
                    _ => true,
                })
            });
        }
        addresses
    }

    /// How many dials would bring us to the target.
    fn wants_peers(&self) -> usize {
        let present = self.peers.connected_count() + self.peers.dialling_count();
        self.config.target_peers.saturating_sub(present)
    }

    pub(super) fn dial(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let refused = self.swarm.behaviour().gate.refuses(&peer);
        if addresses.is_empty() || refused || peer == self.shared.peer_id || self.swarm.is_connected(&peer) {
            return;
        }
        let now = Instant::now();
        self.peers.on_dialling(peer, now);
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .build();
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(%peer, %error, "dial refused");
            self.peers.on_dial_failed(peer, now);
        }
    }

    pub(super) fn on_heartbeat(&mut self, now: Instant) {
        self.heartbeats += 1;
        self.update_scores(now);
        self.send_due_pings(now);
        self.dial_boot_nodes(now);
        // First for subnets: whoever is dialled for one counts in the total as well.
        let waiting = self.find_subnet_peers(now);
        self.find_peers(now);
        self.prune(waiting, now);
        if self.heartbeats.is_multiple_of(METRICS_EVERY) {
            self.events.prune();
            self.update_metrics();
        }
    }

    fn update_scores(&mut self, now: Instant) {
        let connected: Vec<PeerId> = self.peers.connected().map(|(id, _)| *id).collect();
        for peer in connected {
            let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
            let Some(entry) = self.peers.get_mut(&peer) else {
                continue;
            };
            if let Some(total) = gossipsub.peer_score(&peer) {
                // Gossipsub's score contains what we told it; that part is counted here already.
                entry.score.set_gossip(total - entry.score.for_gossip());
            }
            entry.score.decay(now);
            let application = entry.score.for_gossip();
            gossipsub.set_application_score(&peer, application);
        }
        let (leaving, unbanned) = self.peers.heartbeat(now);
        for (peer, standing) in leaving {
            self.act_on(peer, standing);
        }
        for peer in unbanned {
            self.swarm.behaviour_mut().gate.banned.remove(&peer);
        }
    }

    fn send_due_pings(&mut self, now: Instant) {
        let due = |time: Instant| time <= now;
        let pings: Vec<PeerId> = self
            .peers
            .connected()
            .filter(|(_, p)| due(p.next_ping))
            .map(|(id, _)| *id)
            .collect();
        for peer in pings {
            if let Some(entry) = self.peers.get_mut(&peer) {
                entry.next_ping = now + self.config.ping_interval;
            }
            let seq_number = self.shared.metadata.read().seq_number;
            self.ask(peer, Request::Ping(seq_number));
        }
        let statuses: Vec<PeerId> = self
            .peers
            .connected()
            .filter(|(_, p)| due(p.next_status))
            .map(|(id, _)| *id)
            .collect();
        for peer in statuses {
            self.send_status(peer, now);
        }
    }

    fn dial_boot_nodes(&mut self, now: Instant) {
        if now < self.next_boot_dial || self.wants_peers() == 0 {
            return;
        }
        self.next_boot_dial = now + BOOT_DIAL_PAUSE;
        for address in self.boot_addresses.clone() {
            let known = crate::config::peer_id_of(&address);
            if known.is_some_and(|peer| self.swarm.is_connected(&peer)) {
                continue;
            }
            let udp = address.iter().any(|part| matches!(part, Protocol::Udp(_)));
            let quic = address.iter().any(|part| matches!(part, Protocol::QuicV1));
            match &self.discovery {
                Some(discovery) if udp && !quic && known.is_some() => discovery.request_enr(address),
                _ => self.connect(address),
            }
        }
    }

    /// Subnets that are followed or published on.
    fn needed_subnets(&self) -> SubnetSet {
        let kinds = self.topics.union(&self.publish_subnets);
        kinds.filter_map(|kind| Subnet::of_topic(*kind)).collect()
    }

    /// `None`: it may not be dialled.
    fn prospect(&self, peer: &PeerId, enr: &Enr) -> Option<Prospect> {
        let may_be_dialled = is_of_fork(enr, self.forks.current_digest())
            && !self.swarm.behaviour().gate.refuses(peer)
            && !self.addresses(enr).is_empty();
        may_be_dialled.then(|| match plans_same_fork(enr, &self.forks) {
            true => Prospect::Lasting,
            false => Prospect::UntilNextFork,
        })
    }

    fn dial_records(&mut self, records: Vec<(PeerId, Enr)>) {
        for (peer, enr) in records {
            let addresses = self.addresses(&enr);
            self.dial(peer, addresses);
        }
    }

    /// Dials remembered records and starts a query while peers are missing.
    fn find_peers(&mut self, now: Instant) {
        let wanted = self.wants_peers();
        if wanted == 0 {
            return;
        }
        let limit = wanted.min(DIALS_PER_HEARTBEAT);
        let records = self
            .peers
            .dial_candidates(limit, |peer, enr| self.prospect(peer, enr), now);
        self.dial_records(records);
        let lonely = self.peers.connected_count() == 0;
        if let Some(discovery) = &mut self.discovery {
            discovery.find_peers(self.forks.current_digest(), lonely, now);
        }
    }

    /// The same for subnets with fewer peers than wanted. Gives how many records of such peers wait for a place.
    fn find_subnet_peers(&mut self, now: Instant) -> usize {
        let missing = self.peers.lacking(self.needed_subnets());
        if missing.is_empty() {
            return 0;
        }
        let mut records =
            self.peers
                .subnet_candidates(missing, DIALS_PER_HEARTBEAT, |peer, enr| self.prospect(peer, enr), now);
        // Subnet peers may exceed the target up to the limit, where pruning removes others for them.
        let room = max_peers(self.config.target_peers)
            .saturating_sub(self.peers.connected_count() + self.peers.dialling_count());
        let waiting = records.len().saturating_sub(room);
        records.truncate(room);
        self.dial_records(records);
        if let Some(discovery) = &mut self.discovery {
            discovery.find_subnet_peers(missing, self.forks.current_digest(), now);
        }
        waiting
    }

    /// Comes down to the target from above the limit, and makes places for `waiting` subnet peers: connections that
    /// come in take all up to the limit.
    fn prune(&mut self, waiting: usize, now: Instant) {
        let target = self.config.target_peers;
        let limit = max_peers(target);
        let connected = self.peers.connected_count();
        let goal = if connected > limit {
            target
        } else {
            connected.saturating_sub(waiting).max(target)
        };
        for peer in self.peers.excess(goal, limit, self.needed_subnets()) {
            self.peers.do_not_dial(peer, PRUNED_PAUSE, now);
            self.leave(peer, GoodbyeReason::TooManyPeers);
        }
    }

    fn update_metrics(&self) {
        let metrics = &self.metrics;
        metrics.peers_multi.reset();
        metrics.peers_per_client.reset();
        let mut clients: HashMap<&'static str, i64> = HashMap::new();
        for (_, peer) in self.peers.connected() {
            *clients.entry(client_name(peer.agent.as_deref())).or_default() += 1;
            let direction = match peer.direction {
                Some(ConnectionDirection::Inbound) => "inbound",
                Some(ConnectionDirection::Outbound) => "outbound",
                None => "none",
            };
            let quic = peer
                .address
                .iter()
                .flatten()
                .any(|part| matches!(part, Protocol::QuicV1));
            metrics
                .peers_multi
                .with_label_values(&[direction, if quic { "quic" } else { "tcp" }])
                .inc();
        }
        for (client, count) in clients {
            metrics.peers_per_client.with_label_values(&[client]).set(count);
        }
        if let Some(discovery) = &self.discovery {
            let discv5 = discv5::Discv5::metrics();
            metrics.discovery_sessions.set(discv5.active_sessions as i64);
            metrics
                .discovery_requests
                .set(discv5.unsolicited_requests_per_second as i64);
            metrics
                .discovery_bytes
                .with_label_values(&["inbound"])
                .set(discv5.bytes_recv as i64);
            metrics
                .discovery_bytes
                .with_label_values(&["outbound"])
                .set(discv5.bytes_sent as i64);
            metrics.discovery_queue.set(discovery.queue_len() as i64);
        }
        self.events.update_metrics();
    }
}
