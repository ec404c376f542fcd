//! discv5: our record, the routing table, and queries for peers of our fork or of a subnet.

use crate::config::{EnrForkId, ForkContext, NetworkConfig};
use crate::enr::{Enr, EnrExt, is_global, store_enr};
use crate::peers::{CustodyRules, SubnetSet};
use ::enr::{CombinedKey, NodeId};
use discv5::{ConfigBuilder, Discv5, Event, ListenConfig};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::RwLock;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use types::ForkDigest;

/// Records that one query looks for.
const QUERY_TARGET: usize = 16;
/// Pause between general queries.
const QUERY_PAUSE: Duration = Duration::from_secs(5);
/// Pause between general queries while nobody is connected.
const LONELY_QUERY_PAUSE: Duration = Duration::from_secs(1);
/// Pause between subnet queries.
const SUBNET_QUERY_PAUSE: Duration = Duration::from_secs(10);

/// discv5 could not start.
#[derive(Debug, thiserror::Error)]
#[error("discovery: {0}")]
pub struct DiscoveryError(pub(crate) String);

/// What discovery tells the service.
#[derive(Debug)]
pub(crate) enum DiscoveryEvent {
    /// Records, not filtered.
    Found(Vec<Enr>),
    /// Peers see us under another address; the record was changed.
    LocalAddressChanged,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum QueryKind {
    General,
    Subnets,
    Record,
}

type Query = BoxFuture<'static, (QueryKind, Vec<Enr>)>;

/// See the module.
pub(crate) struct Discovery {
    discv5: Discv5,
    events: mpsc::Receiver<Event>,
    queries: FuturesUnordered<Query>,
    boot: Vec<Enr>,
    custody: CustodyRules,
    next_general: Instant,
    next_subnets: Instant,
    running_general: bool,
    running_subnets: bool,
}

/// Binds the UDP socket of discv5, so that its port is known before the record is built.
pub(crate) async fn bind(config: &NetworkConfig) -> Result<Arc<UdpSocket>, DiscoveryError> {
    let address = SocketAddr::new(config.listen_address, config.discovery_port());
    let socket = UdpSocket::bind(address).await;
    socket
        .map(Arc::new)
        .map_err(|error| DiscoveryError(format!("cannot bind UDP {address}: {error}")))
}

fn accept_any(_: &Enr) -> bool {
    true
}

fn accept_global(enr: &Enr) -> bool {
    let global4 = enr.ip4().is_none_or(|ip| is_global(ip.into()));
    let global6 = enr.ip6().is_none_or(|ip| is_global(ip.into()));
    global4 && global6
}

fn discv5_config(config: &NetworkConfig, socket: Arc<UdpSocket>) -> discv5::Config {
    let listen = match config.listen_address {
        IpAddr::V4(_) => ListenConfig::FromSockets {
            ipv4: Some(socket),
            ipv6: None,
        },
        IpAddr::V6(_) => ListenConfig::FromSockets {
            ipv4: None,
            ipv6: Some(socket),
        },
    };
    let mut builder = ConfigBuilder::new(listen);
    let private = config.allows_private_addresses();
    builder
        .request_timeout(Duration::from_secs(2))
        .query_peer_timeout(Duration::from_secs(3))
        .query_timeout(Duration::from_secs(20))
        .request_retries(1)
        .query_parallelism(5)
        .session_cache_capacity(512)
        .ping_interval(Duration::from_secs(60))
        .table_filter(if private { accept_any } else { accept_global });
    if config.disable_enr_auto_update {
        builder.disable_enr_update();
    }
    if config.disable_enr_auto_update || config.advertised_address().is_some() || private {
        // A configured address is not withdrawn because nobody has called within five minutes.
        builder.auto_nat_listen_duration(None);
    }
    if !private {
        builder.ip_limit();
    }
    if !config.disable_packet_filter {
        builder.enable_packet_filter();
    }
    if private {
        // All nodes of a test network share one address: limits per address would ban it.
        let mut list = discv5::PermitBanList::default();
        list.permit_ips.insert(IpAddr::V4(Ipv4Addr::LOCALHOST));
        list.permit_ips.insert(IpAddr::V6(Ipv6Addr::LOCALHOST));
        builder
            .permit_ban_list(list)
            .filter_max_nodes_per_ip(None)
            .filter_max_bans_per_ip(None);
    }
    builder.build()
}

impl Discovery {
    /// Starts discv5 on the bound socket and gives it the boot nodes.
    pub(crate) async fn start(
        config: &NetworkConfig,
        enr: Enr,
        key: CombinedKey,
        socket: Arc<UdpSocket>,
        boot: Vec<Enr>,
    ) -> Result<Self, DiscoveryError> {
        let mut discv5 =
            Discv5::new(enr, key, discv5_config(config, socket)).map_err(|e| DiscoveryError(e.to_owned()))?;
        discv5.start().await.map_err(|e| DiscoveryError(format!("{e:?}")))?;
        let events = discv5
            .event_stream()
            .await
            .map_err(|e| DiscoveryError(format!("{e:?}")))?;
        let now = Instant::now();
        let discovery = Self {
            discv5,
            events,
            queries: FuturesUnordered::new(),
            boot,
            custody: CustodyRules::new(config.spec.clone()),
            next_general: now,
            next_subnets: now,
            running_general: false,
            running_subnets: false,
        };
        discovery.add_boot_nodes();
        Ok(discovery)
    }

    fn add_boot_nodes(&self) {
        let own = self.discv5.local_enr().node_id();
        for enr in self.boot.iter().filter(|enr| enr.node_id() != own) {
            if let Err(reason) = self.discv5.add_enr(enr.clone()) {
                tracing::debug!(node = %enr.node_id(), reason, "boot node not added to the table");
            }
        }
    }

    /// Asks a boot node that is known by address only for its record.
    pub(crate) fn request_enr(&self, address: libp2p::Multiaddr) {
        let request = self.discv5.request_enr(address);
        self.queries
            .push(async move { (QueryKind::Record, request.await.into_iter().collect()) }.boxed());
    }

    /// The record, shared with discv5.
    pub(crate) fn shared_enr(&self) -> Arc<RwLock<Enr>> {
        self.discv5.external_enr()
    }

    /// Starts a query for peers of our fork, if none runs and the last one is long enough ago.
    pub(crate) fn find_peers(&mut self, digest: ForkDigest, lonely: bool, now: Instant) {
        if self.running_general || now < self.next_general {
            return;
        }
        if self.discv5.table_entries_id().is_empty() {
            self.add_boot_nodes();
        }
        self.running_general = true;
        self.next_general = now + if lonely { LONELY_QUERY_PAUSE } else { QUERY_PAUSE };
        self.query(QueryKind::General, Box::new(move |enr| is_of_fork(enr, digest)));
    }

    /// Starts a query for peers on any of the subnets: one for all, however many they are.
    pub(crate) fn find_subnet_peers(&mut self, missing: SubnetSet, digest: ForkDigest, now: Instant) {
        if missing.is_empty() || self.running_subnets || now < self.next_subnets {
            return;
        }
        self.running_subnets = true;
        self.next_subnets = now + SUBNET_QUERY_PAUSE;
        let custody = self.custody.clone();
        // Once per record, not per subnet: it takes less than the record's signature has taken.
        let serves = move |enr: &Enr| {
            is_of_fork(enr, digest) && !SubnetSet::of_record(enr, &custody).intersection(missing).is_empty()
        };
        self.query(QueryKind::Subnets, Box::new(serves));
    }

    fn query(&self, kind: QueryKind, predicate: Box<dyn Fn(&Enr) -> bool + Send>) {
        let query = self
            .discv5
            .find_node_predicate(NodeId::random(), predicate, QUERY_TARGET);
        self.queries
            .push(async move { (kind, query.await.unwrap_or_default()) }.boxed());
    }

    /// Queries under way.
    pub(crate) fn queue_len(&self) -> usize {
        self.queries.len()
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> DiscoveryEvent {
        loop {
            tokio::select! {
                Some(event) = self.events.recv() => match event {
                    Event::Discovered(enr) | Event::SessionEstablished(enr, _) => {
                        return DiscoveryEvent::Found(vec![enr]);
                    }
                    Event::SocketUpdated(_) => return DiscoveryEvent::LocalAddressChanged,
                    _ => {}
                },
                Some((kind, found)) = self.queries.next(), if !self.queries.is_empty() => {
                    match kind {
                        QueryKind::General => self.running_general = false,
                        QueryKind::Subnets => self.running_subnets = false,
                        QueryKind::Record => {}
                    }
                    return DiscoveryEvent::Found(found);
                }
                else => std::future::pending().await,
            }
        }
    }

    pub(crate) fn shutdown(&mut self) {
        self.discv5.shutdown();
    }
}

/// Whether a record belongs to our fork.
pub(crate) fn is_of_fork(enr: &Enr, digest: ForkDigest) -> bool {
    enr.eth2().is_some_and(|eth2| eth2.fork_digest == digest)
}

/// Whether the sender of a record goes on with us over the next fork. The digest says which fork it means; who does not
/// tell it yet still tells the epoch.
///
/// Spec: fulu/p2p-interface.md#next-fork-digest
pub(crate) fn plans_same_fork(enr: &Enr, forks: &ForkContext) -> bool {
    let is_same_epoch = |eth2: EnrForkId| eth2.next_fork_epoch == forks.enr_fork_id.next_fork_epoch;
    let is_same_digest = |digest| digest == forks.next_fork_digest;
    enr.eth2().is_some_and(is_same_epoch) && enr.next_fork_digest().is_none_or(is_same_digest)
}

/// Our own record: shared with discv5 if that runs, and stored after every change.
pub(crate) struct LocalRecord {
    enr: Arc<RwLock<Enr>>,
    key: CombinedKey,
    network_dir: PathBuf,
}

impl LocalRecord {
    pub(crate) fn new(enr: Arc<RwLock<Enr>>, key: CombinedKey, network_dir: PathBuf) -> Self {
        let record = Self { enr, key, network_dir };
        record.store();
        record
    }

    pub(crate) fn shared(&self) -> Arc<RwLock<Enr>> {
        self.enr.clone()
    }

    /// Changes entries; the sequence number grows if something really changed.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Enr, &CombinedKey) -> Result<(), ::enr::Error>) {
        let before = self.enr.read().clone();
        let mut after = before.clone();
        match change(&mut after, &self.key) {
            Ok(()) if !after.iter().eq(before.iter()) => {
                *self.enr.write() = after;
                self.store();
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(?error, "node record not updated"),
        }
    }

    pub(crate) fn store(&self) {
        let enr = self.enr.read().clone();
        if let Err(error) = store_enr(&self.network_dir, &enr) {
            tracing::warn!(%error, "node record not stored; its sequence number may fall back at the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enr::{CGC_KEY, load_enr};
    use crate::identity::NodeKey;

    #[test]
    fn the_record_is_stored_with_a_new_sequence_number_only_after_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::generate().discv5().unwrap();
        let enr = Enr::builder().add_value(CGC_KEY, &4u64).build(&key).unwrap();
        let first = enr.seq();
        let record = LocalRecord::new(Arc::new(RwLock::new(enr)), key, dir.path().to_path_buf());
        record.update(|enr, key| enr.insert(CGC_KEY, &4u64, key).map(drop));
        assert_eq!(load_enr(dir.path()).unwrap().seq(), first);
        record.update(|enr, key| enr.insert(CGC_KEY, &8u64, key).map(drop));
        assert_eq!(load_enr(dir.path()).unwrap().seq(), first + 1);
        assert_eq!(record.shared().read().custody_group_count(), Some(8));
    }

    #[test]
    fn who_plans_another_fork_or_for_another_epoch_does_not_go_on_with_us() {
        use crate::enr::{ETH2_KEY, NFD_KEY};
        use bytes::Bytes;
        use ssz::Encode as _;
        let key = NodeKey::generate().discv5().unwrap();
        let (ours, other) = (ForkDigest::new([1; 4]), ForkDigest::new([2; 4]));
        let fork_id = |epoch| EnrForkId {
            fork_digest: ForkDigest::ZERO,
            next_fork_version: types::Version::ZERO,
            next_fork_epoch: types::Epoch::new(epoch),
        };
        let forks = ForkContext {
            enr_fork_id: fork_id(5),
            next_fork_digest: ours,
            known_forks: Vec::new(),
        };
        let plans_same = |epoch, digest: Option<ForkDigest>| {
            let mut record = Enr::builder();
            record.add_value(ETH2_KEY, &Bytes::from(fork_id(epoch).as_ssz_bytes()));
            if let Some(digest) = digest {
                record.add_value(NFD_KEY, &Bytes::copy_from_slice(digest.as_slice()));
            }
            plans_same_fork(&record.build(&key).unwrap(), &forks)
        };
        assert!(plans_same(5, Some(ours)));
        assert!(plans_same(5, None), "it does not tell the digest");
        assert!(!plans_same(5, Some(other)), "another fork at the same epoch");
        assert!(!plans_same(5, Some(ForkDigest::ZERO)), "none");
        assert!(!plans_same(6, Some(ours)));
        assert!(!plans_same(u64::MAX, None));
        assert!(!plans_same_fork(&Enr::empty(&key).unwrap(), &forks));
    }

    #[test]
    fn the_table_takes_private_addresses_only_when_allowed() {
        let key = NodeKey::generate().discv5().unwrap();
        let local = Enr::builder().ip("127.0.0.1".parse().unwrap()).build(&key).unwrap();
        let global = Enr::builder().ip("8.8.8.8".parse().unwrap()).build(&key).unwrap();
        assert!(accept_any(&local) && !accept_global(&local) && accept_global(&global));
    }

    #[tokio::test]
    async fn two_nodes_on_loopback_find_each_other() {
        async fn node(boot: Vec<Enr>) -> (Discovery, Enr) {
            let mut config = NetworkConfig::new(PathBuf::new());
            config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            config.port = 0;
            let socket = bind(&config).await.unwrap();
            let key = NodeKey::generate().discv5().unwrap();
            let enr = Enr::builder()
                .ip(config.listen_address)
                .udp4(socket.local_addr().unwrap().port())
                .build(&key)
                .unwrap();
            (
                Discovery::start(&config, enr.clone(), key, socket, boot).await.unwrap(),
                enr,
            )
        }
        let (mut first, first_enr) = node(vec![]).await;
        let (mut second, second_enr) = node(vec![first_enr]).await;
        second.find_peers(ForkDigest::ZERO, true, Instant::now());
        let found = async {
            loop {
                tokio::select! {
                    event = first.next() => if let DiscoveryEvent::Found(enrs) = event
                        && enrs.contains(&second_enr) { break },
                    _ = second.next() => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
    }
}
