//! The table of peers: a value without sockets or clock, told what happens and asked who should stay.

use super::custody::CustodyRules;
use super::score::{Penalty, Score, Standing};
use super::subnets::SubnetSet;
use crate::enr::{Enr, EnrExt, node_id_of};
use crate::rpc::{MetaData, StatusMessage};
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::ColumnIndex;

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
    /// Data columns that it is to keep, by its id and the custody group count of its metadata, else of its record.
    pub custody: Arc<BTreeSet<ColumnIndex>>,
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
    enr: Option<Enr>,
    pub(crate) agent: Option<String>,
    pub(crate) status: Option<StatusMessage>,
    metadata: Option<MetaData>,
    /// `None`: the peer id holds no key of a consensus node.
    node_id: Option<[u8; 32]>,
    /// What it keeps, with the custody group count that it was computed for.
    columns: Option<(u64, Arc<BTreeSet<ColumnIndex>>)>,
    subnets: SubnetSet,
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
    fn new(id: &PeerId, custody: &CustodyRules, now: Instant) -> Self {
        let mut peer = Self {
            state: PeerState::Disconnected,
            direction: None,
            address: None,
            enr: None,
            agent: None,
            status: None,
            metadata: None,
            node_id: node_id_of(id),
            columns: None,
            subnets: SubnetSet::default(),
            score: Score::new(now),
            trusted: false,
            since: now,
            next_ping: now,
            next_status: now,
            failed_dials: 0,
            dial_not_before: None,
        };
        peer.update_subnets(custody);
        peer
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

    pub(crate) fn enr(&self) -> Option<&Enr> {
        self.enr.as_ref()
    }

    pub(crate) fn metadata(&self) -> Option<&MetaData> {
        self.metadata.as_ref()
    }

    /// Subnets that the peer serves, by its metadata, else its record. Every node keeps some columns.
    pub(crate) fn subnets(&self) -> SubnetSet {
        self.subnets
    }

    /// Metadata or record have changed.
    fn update_subnets(&mut self, custody: &CustodyRules) {
        let bits = match (&self.metadata, &self.enr) {
            (Some(metadata), _) => SubnetSet::of_bits(&metadata.attnets, &metadata.syncnets),
            (None, Some(enr)) => SubnetSet::of_bits_in_record(enr),
            (None, None) => SubnetSet::default(),
        };
        self.subnets = bits.union(custody.subnets_of(&self.update_columns(custody)));
    }

    /// Computed anew only for another count: it takes up to some hundred hashes.
    fn update_columns(&mut self, custody: &CustodyRules) -> Arc<BTreeSet<ColumnIndex>> {
        let in_metadata = self.metadata.as_ref().and_then(|metadata| metadata.custody_group_count);
        // Metadata of an older version does not tell.
        let told = in_metadata.or_else(|| self.enr.as_ref()?.custody_group_count());
        let count = custody.group_count(told);
        if let Some((known, columns)) = &self.columns
            && *known == count
        {
            return Arc::clone(columns);
        }
        let columns = self.node_id.map(|id| custody.columns(id, count));
        let columns = Arc::new(columns.unwrap_or_default());
        self.columns = Some((count, Arc::clone(&columns)));
        columns
    }
}

/// All peers.
#[derive(Debug)]
pub(crate) struct PeerTable {
    peers: HashMap<PeerId, Peer>,
    trusted: HashSet<PeerId>,
    custody: CustodyRules,
}

impl PeerTable {
    pub(crate) fn new(trusted: impl IntoIterator<Item = PeerId>, custody: CustodyRules) -> Self {
        Self {
            peers: HashMap::new(),
            trusted: trusted.into_iter().collect(),
            custody,
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
        let custody = &self.custody;
        let entry = self
            .peers
            .entry(peer)
            .or_insert_with_key(|id| Peer::new(id, custody, now));
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
        let custody = self.custody.clone();
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
        entry.update_subnets(&custody);
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
        let custody = self.custody.clone();
        let entry = self.entry(peer, now);
        if entry.enr.as_ref().is_none_or(|known| known.seq() < enr.seq()) {
            entry.enr = Some(enr);
            entry.update_subnets(&custody);
        }
        self.forget_oldest();
    }

    /// A known peer told of its metadata.
    pub(crate) fn on_metadata(&mut self, peer: &PeerId, metadata: MetaData) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.metadata = Some(metadata);
            entry.update_subnets(&self.custody);
        }
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

    /// Connected, or on the way to it.
    pub(crate) fn present(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        let is_present = |peer: &Peer| matches!(peer.state, PeerState::Connecting | PeerState::Connected);
        self.peers.iter().filter(move |(_, peer)| is_present(peer))
    }

    /// All that are known.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter()
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
        custody: peer
            .columns
            .as_ref()
            .map(|(_, columns)| Arc::clone(columns))
            .unwrap_or_default(),
        score: peer.score.value(),
        gossip_score: peer.score.gossip(),
        banned: peer.standing() == Standing::Banned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enr::CGC_KEY;
    use crate::identity::NodeKey;
    use crate::peers::Subnet;
    use std::sync::Arc;
    use types::ChainSpec;

    fn custody() -> CustodyRules {
        CustodyRules::new(Arc::new(ChainSpec::mainnet()))
    }

    fn table() -> PeerTable {
        PeerTable::new([], custody())
    }

    fn address() -> Multiaddr {
        "/ip4/127.0.0.1/tcp/9000".parse().unwrap()
    }

    fn connect(table: &mut PeerTable, direction: ConnectionDirection, now: Instant) -> PeerId {
        let peer = PeerId::random();
        table.on_connected(peer, direction, address(), now);
        peer
    }

    #[test]
    fn metadata_tells_of_the_custody_before_the_record_and_silence_is_the_least() {
        let now = Instant::now();
        let key = NodeKey::generate();
        let id = key.libp2p().unwrap().public().to_peer_id();
        let mut table = table();
        table.on_connected(id, ConnectionDirection::Inbound, address(), now);
        let served = |table: &PeerTable| table.get(&id).unwrap().subnets();
        let expected = |count| custody().column_subnets(node_id_of(&id).unwrap(), count);
        assert_eq!(served(&table), expected(4), "CUSTODY_REQUIREMENT");
        let record = Enr::builder().add_value(CGC_KEY, &8u64).build(&key.discv5().unwrap());
        table.on_enr(id, record.unwrap(), now);
        assert_eq!(served(&table), expected(8));
        table.on_metadata(&id, MetaData::default());
        assert_eq!(served(&table), expected(8), "metadata of version 2 does not tell");
        let mut metadata = MetaData {
            custody_group_count: Some(128),
            ..MetaData::default()
        };
        metadata.syncnets.set(1, true).unwrap();
        table.on_metadata(&id, metadata);
        let sync = [Subnet::SyncCommittee(1)].into_iter().collect();
        assert_eq!(served(&table), expected(128).union(sync));
        table.on_disconnected(id, now);
        assert_eq!(served(&table), expected(8), "it may come back with other metadata");
    }

    #[test]
    fn failed_dials_are_repeated_ever_more_slowly() {
        let start = Instant::now();
        let mut table = table();
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
        let mut table = table();
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
        let mut table = table();
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
        let mut table = table();
        let connected = connect(&mut table, ConnectionDirection::Inbound, now);
        for _ in 0..2 * MAX_REMEMBERED {
            table.on_dial_failed(PeerId::random(), now);
        }
        assert!(table.peers.len() <= MAX_REMEMBERED);
        assert!(table.get(&connected).is_some());
    }
}
