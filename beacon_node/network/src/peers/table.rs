//! The table of peers: a value without sockets or clock, told what happens and asked who should stay.

use super::score::{Penalty, Score, Standing};
use crate::enr::{Enr, EnrExt};
use crate::rpc::{MetaData, StatusMessage};
use libp2p::{Multiaddr, PeerId};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Disconnected peers that are remembered.
const MAX_REMEMBERED: usize = 500;
/// A lost connection is not reopened before.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);
/// A failed dial is not repeated before.
const REDIAL_AFTER: Duration = Duration::from_secs(10);
/// Failures double the pause up to this power of two.
const MAX_REDIAL_DOUBLINGS: u32 = 3;

/// Who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionDirection {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// State of a connection, in the words of the Beacon API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// Not connected.
    Disconnected,
    /// Being dialled.
    Connecting,
    /// Connected.
    Connected,
    /// Goodbye was said.
    Disconnecting,
}

/// A subnet that peers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subnet {
    Attestation(u64),
    SyncCommittee(u64),
}

impl Subnet {
    pub(crate) fn is_in_enr(self, enr: &Enr) -> bool {
        match self {
            Self::Attestation(id) => enr.attnets().is_some_and(|bits| bits.get(id as usize).unwrap_or(false)),
            Self::SyncCommittee(id) => enr
                .syncnets()
                .is_some_and(|bits| bits.get(id as usize).unwrap_or(false)),
        }
    }

    fn is_in_metadata(self, metadata: &MetaData) -> bool {
        match self {
            Self::Attestation(id) => metadata.attnets.get(id as usize).unwrap_or(false),
            Self::SyncCommittee(id) => metadata.syncnets.get(id as usize).unwrap_or(false),
        }
    }
}

/// What the HTTP API and logs show of a peer.
#[derive(Clone, Debug)]
pub struct PeerSummary {
    /// Its identity.
    pub peer_id: PeerId,
    /// Its record, if known.
    pub enr: Option<Enr>,
    /// Address of the connection.
    pub address: Option<Multiaddr>,
    /// Who opened it.
    pub direction: Option<ConnectionDirection>,
    /// Connection state.
    pub state: PeerState,
    /// Agent string, untrusted.
    pub agent: Option<String>,
    /// Last status.
    pub status: Option<StatusMessage>,
    /// Last metadata.
    pub metadata: Option<MetaData>,
    /// Total score, from -100.
    pub score: f64,
    /// Score inside gossipsub.
    pub gossip_score: f64,
    /// Whether it is refused at present.
    pub banned: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) state: PeerState,
    pub(crate) direction: Option<ConnectionDirection>,
    pub(crate) address: Option<Multiaddr>,
    pub(crate) enr: Option<Enr>,
    pub(crate) agent: Option<String>,
    pub(crate) status: Option<StatusMessage>,
    pub(crate) metadata: Option<MetaData>,
    pub(crate) score: Score,
    pub(crate) trusted: bool,
    /// When the state last changed.
    pub(crate) since: Instant,
    pub(crate) next_ping: Instant,
    pub(crate) next_status: Instant,
    failed_dials: u32,
    dial_not_before: Option<Instant>,
}

impl Peer {
    fn new(now: Instant) -> Self {
        Self {
            state: PeerState::Disconnected,
            direction: None,
            address: None,
            enr: None,
            agent: None,
            status: None,
            metadata: None,
            score: Score::new(now),
            trusted: false,
            since: now,
            next_ping: now,
            next_status: now,
            failed_dials: 0,
            dial_not_before: None,
        }
    }

    fn is_connected(&self) -> bool {
        self.state == PeerState::Connected
    }

    fn standing(&self) -> Standing {
        if self.trusted {
            Standing::Healthy
        } else {
            self.score.standing()
        }
    }

    /// Counts a failure and gives the pause before the next dial.
    fn pause_after_failure(&mut self) -> Duration {
        let doublings = self.failed_dials.min(MAX_REDIAL_DOUBLINGS);
        self.failed_dials = self.failed_dials.saturating_add(1);
        REDIAL_AFTER * 2u32.pow(doublings)
    }

    /// The handshake went well.
    pub(crate) fn on_handshake(&mut self, status: StatusMessage) {
        self.status = Some(status);
        self.failed_dials = 0;
    }

    pub(crate) fn serves(&self, subnet: Subnet) -> bool {
        match (&self.metadata, &self.enr) {
            (Some(metadata), _) => subnet.is_in_metadata(metadata),
            (None, Some(enr)) => subnet.is_in_enr(enr),
            (None, None) => false,
        }
    }
}

/// All peers.
#[derive(Debug, Default)]
pub(crate) struct PeerTable {
    peers: HashMap<PeerId, Peer>,
    trusted: HashSet<PeerId>,
}

impl PeerTable {
    pub(crate) fn new(trusted: impl IntoIterator<Item = PeerId>) -> Self {
        Self {
            peers: HashMap::new(),
            trusted: trusted.into_iter().collect(),
        }
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Peer> {
        self.peers.get(peer)
    }

    pub(crate) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(peer)
    }

    fn entry(&mut self, peer: PeerId, now: Instant) -> &mut Peer {
        let trusted = self.trusted.contains(&peer);
        let entry = self.peers.entry(peer).or_insert_with(|| Peer::new(now));
        entry.trusted = trusted;
        entry
    }

    pub(crate) fn on_connected(
        &mut self,
        peer: PeerId,
        direction: ConnectionDirection,
        address: Multiaddr,
        now: Instant,
    ) -> &mut Peer {
        let entry = self.entry(peer, now);
        entry.state = PeerState::Connected;
        entry.direction = Some(direction);
        entry.address = Some(address);
        entry.since = now;
        entry.dial_not_before = None;
        entry
    }

    pub(crate) fn on_disconnected(&mut self, peer: PeerId, now: Instant) {
        let entry = self.entry(peer, now);
        entry.state = PeerState::Disconnected;
        let pause = match entry.status {
            Some(_) => RECONNECT_AFTER,
            // Closed before the handshake: as good as no connection.
            None => entry.pause_after_failure(),
        };
        let pause = now + pause;
        entry.dial_not_before = Some(entry.dial_not_before.map_or(pause, |time| time.max(pause)));
        // It may come back as another process with other metadata under an older number.
        entry.status = None;
        entry.metadata = None;
        entry.since = now;
        self.forget_oldest();
    }

    pub(crate) fn on_dialling(&mut self, peer: PeerId, now: Instant) {
        let entry = self.entry(peer, now);
        if entry.state == PeerState::Disconnected {
            entry.state = PeerState::Connecting;
            entry.since = now;
        }
    }

    pub(crate) fn on_dial_failed(&mut self, peer: PeerId, now: Instant) {
        let entry = self.entry(peer, now);
        if entry.state == PeerState::Connecting {
            entry.state = PeerState::Disconnected;
            entry.since = now;
        }
        entry.dial_not_before = Some(now + entry.pause_after_failure());
        self.forget_oldest();
    }

    /// The peer does not want us for a while.
    pub(crate) fn do_not_dial(&mut self, peer: PeerId, pause: Duration, now: Instant) {
        self.entry(peer, now).dial_not_before = Some(now + pause);
    }

    /// Dials need not wait any more: a link was repaired.
    pub(crate) fn dial_at_once(&mut self, peer: &PeerId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.dial_not_before = None;
            entry.failed_dials = 0;
        }
    }

    /// A record from discovery: newer ones replace older ones.
    pub(crate) fn on_enr(&mut self, peer: PeerId, enr: Enr, now: Instant) {
        let entry = self.entry(peer, now);
        if entry.enr.as_ref().is_none_or(|known| known.seq() < enr.seq()) {
            entry.enr = Some(enr);
        }
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        while self.peers.len() > MAX_REMEMBERED {
            let idle = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.state == PeerState::Disconnected && !peer.trusted);
            let oldest = idle
                .min_by_key(|(_, peer)| (peer.standing() == Standing::Banned, peer.since))
                .map(|(id, _)| *id);
            match oldest {
                Some(id) => self.peers.remove(&id),
                None => return,
            };
        }
    }

    /// Whether a dial makes sense now.
    pub(crate) fn may_dial(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.get(peer).is_none_or(|entry| {
            entry.state == PeerState::Disconnected
                && entry.standing() == Standing::Healthy
                && entry.dial_not_before.is_none_or(|time| time <= now)
        })
    }

    pub(crate) fn penalise(&mut self, peer: PeerId, penalty: Penalty, now: Instant) -> Standing {
        let entry = self.entry(peer, now);
        entry.score.penalise(penalty, now);
        entry.standing()
    }

    /// Lets scores decay; gives all connected peers that have to leave and all whose ban is over.
    pub(crate) fn heartbeat(&mut self, now: Instant) -> (Vec<(PeerId, Standing)>, Vec<PeerId>) {
        let (mut leaving, mut unbanned) = (Vec::new(), Vec::new());
        for (id, peer) in &mut self.peers {
            let before = peer.standing();
            peer.score.decay(now);
            let standing = peer.standing();
            if before == Standing::Banned && standing != Standing::Banned {
                unbanned.push(*id);
            }
            if peer.is_connected() && standing != Standing::Healthy {
                leaving.push((*id, standing));
            }
        }
        (leaving, unbanned)
    }

    pub(crate) fn connected(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| peer.is_connected())
    }

    pub(crate) fn connected_count(&self) -> usize {
        self.connected().count()
    }

    pub(crate) fn dialling_count(&self) -> usize {
        self.peers
            .values()
            .filter(|peer| peer.state == PeerState::Connecting)
            .count()
    }

    pub(crate) fn serving(&self, subnet: Subnet) -> usize {
        self.connected().filter(|(_, peer)| peer.serves(subnet)).count()
    }

    /// Peers with a record that serve `subnet`, or any if none is given, and that may be dialled now.
    pub(crate) fn dial_candidates(&self, subnet: Option<Subnet>, now: Instant) -> Vec<(PeerId, Enr)> {
        self.peers
            .iter()
            .filter(|(id, _)| self.may_dial(id, now))
            .filter(|(_, peer)| subnet.is_none_or(|subnet| peer.serves(subnet)))
            .filter_map(|(id, peer)| Some((*id, peer.enr.clone()?)))
            .collect()
    }

    /// Whom to send away to come down to `target`: worst score first, then inbound before outbound, then the newest.
    /// Trusted peers stay, and whoever alone serves a subnet that we need.
    pub(crate) fn excess(&self, target: usize, needed: &[Subnet]) -> Vec<PeerId> {
        let excess = self.connected_count().saturating_sub(target);
        let mut candidates: Vec<_> = self.connected().filter(|(_, peer)| !peer.trusted).collect();
        candidates.sort_by(|(_, a), (_, b)| {
            let key = |peer: &Peer| {
                (
                    peer.direction == Some(ConnectionDirection::Outbound),
                    std::cmp::Reverse(peer.since),
                )
            };
            a.score
                .value()
                .total_cmp(&b.score.value())
                .then_with(|| key(a).cmp(&key(b)))
        });
        let mut counts: HashMap<Subnet, usize> = needed.iter().map(|subnet| (*subnet, self.serving(*subnet))).collect();
        let mut leaving = Vec::new();
        for (id, peer) in candidates {
            if leaving.len() == excess {
                break;
            }
            let served: Vec<Subnet> = needed.iter().copied().filter(|subnet| peer.serves(*subnet)).collect();
            if served
                .iter()
                .any(|subnet| counts.get(subnet).is_some_and(|count| *count <= 1))
            {
                continue;
            }
            served.iter().for_each(|subnet| {
                counts.entry(*subnet).and_modify(|count| *count -= 1);
            });
            leaving.push(*id);
        }
        leaving
    }

    pub(crate) fn summary(&self, id: &PeerId) -> Option<PeerSummary> {
        self.peers.get(id).map(|peer| summary(id, peer))
    }

    pub(crate) fn summaries(&self) -> Vec<PeerSummary> {
        self.peers.iter().map(|(id, peer)| summary(id, peer)).collect()
    }
}

fn summary(id: &PeerId, peer: &Peer) -> PeerSummary {
    PeerSummary {
        peer_id: *id,
        enr: peer.enr.clone(),
        address: peer.address.clone(),
        direction: peer.direction,
        state: peer.state,
        agent: peer.agent.clone(),
        status: peer.status,
        metadata: peer.metadata.clone(),
        score: peer.score.value(),
        gossip_score: peer.score.gossip(),
        banned: peer.standing() == Standing::Banned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Multiaddr {
        "/ip4/127.0.0.1/tcp/9000".parse().unwrap()
    }

    fn connect(table: &mut PeerTable, direction: ConnectionDirection, now: Instant) -> PeerId {
        let peer = PeerId::random();
        table.on_connected(peer, direction, address(), now);
        peer
    }

    #[test]
    fn pruning_takes_the_worst_and_spares_the_trusted_and_the_only_provider() {
        let now = Instant::now();
        let trusted = PeerId::random();
        let mut table = PeerTable::new([trusted]);
        table.on_connected(trusted, ConnectionDirection::Inbound, address(), now);
        table.penalise(trusted, Penalty::Fatal, now);
        let outbound = connect(&mut table, ConnectionDirection::Outbound, now);
        let inbound = connect(&mut table, ConnectionDirection::Inbound, now);
        let provider = connect(&mut table, ConnectionDirection::Inbound, now);
        let bad = connect(&mut table, ConnectionDirection::Outbound, now);
        table.penalise(bad, Penalty::Moderate, now);
        let mut metadata = MetaData::default();
        metadata.attnets.set(3, true).unwrap();
        table.get_mut(&provider).unwrap().metadata = Some(metadata);
        let needed = [Subnet::Attestation(3)];
        assert_eq!(table.excess(5, &needed), vec![]);
        assert_eq!(table.excess(4, &needed), vec![bad]);
        assert_eq!(table.excess(3, &needed), vec![bad, inbound]);
        assert_eq!(table.excess(0, &needed), vec![bad, inbound, outbound]);
    }

    #[test]
    fn failed_dials_are_repeated_ever_more_slowly() {
        let start = Instant::now();
        let mut table = PeerTable::default();
        let peer = PeerId::random();
        assert!(table.may_dial(&peer, start));
        table.on_dialling(peer, start);
        assert!(!table.may_dial(&peer, start));
        table.on_dial_failed(peer, start);
        assert!(!table.may_dial(&peer, start));
        assert!(table.may_dial(&peer, start + REDIAL_AFTER));
        table.on_dial_failed(peer, start);
        assert!(!table.may_dial(&peer, start + REDIAL_AFTER));
        assert!(table.may_dial(&peer, start + REDIAL_AFTER * 2));
    }

    #[test]
    fn a_peer_that_sent_us_away_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut table = PeerTable::default();
        let peer = connect(&mut table, ConnectionDirection::Outbound, now);
        table.do_not_dial(peer, Duration::from_secs(60), now);
        table.on_disconnected(peer, now);
        assert!(!table.may_dial(&peer, now + Duration::from_secs(59)));
        assert!(table.may_dial(&peer, now + Duration::from_secs(60)));
        table.dial_at_once(&peer);
        assert!(table.may_dial(&peer, now));
    }

    #[test]
    fn a_banned_peer_leaves_is_not_dialled_and_comes_back() {
        let now = Instant::now();
        let mut table = PeerTable::default();
        let peer = connect(&mut table, ConnectionDirection::Outbound, now);
        assert_eq!(table.penalise(peer, Penalty::Fatal, now), Standing::Banned);
        assert_eq!(table.heartbeat(now).0, vec![(peer, Standing::Banned)]);
        table.on_disconnected(peer, now);
        assert!(table.summary(&peer).unwrap().banned && !table.may_dial(&peer, now));
        let later = now + Duration::from_secs(3 * 3600);
        assert_eq!(table.heartbeat(later).1, vec![peer]);
        assert!(!table.summary(&peer).unwrap().banned);
    }

    #[test]
    fn the_table_does_not_grow_without_bound() {
        let now = Instant::now();
        let mut table = PeerTable::default();
        let connected = connect(&mut table, ConnectionDirection::Inbound, now);
        for _ in 0..2 * MAX_REMEMBERED {
            table.on_dial_failed(PeerId::random(), now);
        }
        assert!(table.peers.len() <= MAX_REMEMBERED);
        assert!(table.get(&connected).is_some());
    }
}
