//! Settings of the network service, one field per command line flag.

use crate::enr::Enr;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use types::{ChainSpec, Epoch, ForkDigest, Version};

/// Everything that the service needs to know before it starts.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Folder of the node key and of the last record, `<datadir>/beacon/network`.
    pub network_dir: PathBuf,
    /// `--listen-address`: address that TCP, QUIC and discovery bind to.
    pub listen_address: IpAddr,
    /// `--port`: TCP port. 0 lets the system choose.
    pub port: u16,
    /// `--discovery-port`: UDP port of discv5. `None` takes the number of `port`; 0 lets the system choose.
    pub discovery_port: Option<u16>,
    /// `--quic-port`: UDP port of QUIC. `None` takes `port + 1`; 0 lets the system choose.
    pub quic_port: Option<u16>,
    /// `--disable-quic`: neither listen on nor dial QUIC.
    pub disable_quic: bool,
    /// `--enr-address`: address in the node record.
    pub enr_address: Option<IpAddr>,
    /// `--enr-tcp-port`.
    pub enr_tcp_port: Option<u16>,
    /// `--enr-udp-port`.
    pub enr_udp_port: Option<u16>,
    /// `--enr-quic-port`.
    pub enr_quic_port: Option<u16>,
    /// `--disable-enr-auto-update`: the address in the record is not corrected by what peers see.
    pub disable_enr_auto_update: bool,
    /// `--boot-nodes`.
    pub boot_nodes: Vec<BootNode>,
    /// `--target-peers`: the service dials below this number and prunes above it.
    pub target_peers: usize,
    /// `--enable-private-discovery`: private and loopback addresses are dialled and kept in the table.
    /// Implied when our own record carries such an address.
    pub enable_private_discovery: bool,
    /// `--disable-packet-filter`: discv5 does not rate-limit by address.
    pub disable_packet_filter: bool,
    /// `--disable-discovery`: no discv5, only configured addresses.
    pub disable_discovery: bool,
    /// `--trusted-peers`: never scored, never pruned.
    pub trusted_peers: Vec<PeerId>,
    /// `--subscribe-all-subnets`: every bit of `attnets` and `syncnets` is set in the record.
    pub subscribe_all_subnets: bool,
    /// Agent string of the identify protocol.
    pub agent: String,
    /// Custody group count at start.
    pub custody_group_count: u64,
    /// Configuration of the chain: the column subnets that peers serve follow from it.
    pub spec: Arc<ChainSpec>,
    /// Length of a slot: seen-message cache and score decay follow from it.
    pub slot_duration: Duration,
    /// Slots in an epoch.
    pub slots_per_epoch: u64,
    /// Entries of the event channel; gossip beyond it is dropped and counted.
    pub event_queue: usize,
    /// Entries of the command channel; senders wait beyond it.
    pub command_queue: usize,
    /// Bytes of gossip that wait for the receiver at any time; more is dropped and counted.
    pub gossip_bytes_in_flight: usize,
    /// Bytes of answers to `send_request` that wait for the receiver at any time; reading stops beyond.
    pub response_bytes_in_flight: usize,
    /// How often `Status` is exchanged with a connected peer.
    pub status_interval: Duration,
    /// How often a connected peer is pinged.
    pub ping_interval: Duration,
}

impl NetworkConfig {
    /// Mainnet-like settings with everything stored below `network_dir`.
    pub fn new(network_dir: PathBuf) -> Self {
        Self {
            network_dir,
            listen_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 9000,
            discovery_port: None,
            quic_port: None,
            disable_quic: false,
            enr_address: None,
            enr_tcp_port: None,
            enr_udp_port: None,
            enr_quic_port: None,
            disable_enr_auto_update: false,
            boot_nodes: Vec::new(),
            target_peers: 100,
            enable_private_discovery: false,
            disable_packet_filter: false,
            disable_discovery: false,
            trusted_peers: Vec::new(),
            subscribe_all_subnets: false,
            agent: concat!("Fresnel/", env!("CARGO_PKG_VERSION")).to_owned(),
            custody_group_count: 4,
            spec: Arc::new(ChainSpec::mainnet()),
            slot_duration: Duration::from_secs(12),
            slots_per_epoch: 32,
            event_queue: 2048,
            command_queue: 512,
            gossip_bytes_in_flight: 32 << 20,
            response_bytes_in_flight: 16 << 20,
            status_interval: Duration::from_secs(60),
            ping_interval: Duration::from_secs(20),
        }
    }

    /// UDP port that discv5 binds to.
    pub fn discovery_port(&self) -> u16 {
        self.discovery_port.unwrap_or(self.port)
    }

    /// UDP port that QUIC binds to.
    pub fn quic_port(&self) -> u16 {
        self.quic_port.unwrap_or(match self.port {
            0 => 0,
            port => port.saturating_add(1),
        })
    }

    /// Address that the node record carries: the configured one, else the listening one if it is a definite one.
    pub fn advertised_address(&self) -> Option<IpAddr> {
        self.enr_address
            .or_else(|| (!self.listen_address.is_unspecified()).then_some(self.listen_address))
    }

    /// Whether non-global addresses are acceptable.
    pub fn allows_private_addresses(&self) -> bool {
        self.enable_private_discovery
            || self
                .advertised_address()
                .is_some_and(|address| !crate::enr::is_global(address))
    }
}

/// An entry of `--boot-nodes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootNode {
    /// A node record, used by discovery and dialled.
    Enr(Box<Enr>),
    /// An address, dialled; with a UDP part and a peer id discovery asks it for its record.
    Multiaddr(Multiaddr),
}

/// An entry of `--boot-nodes` that is neither a record nor an address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("boot node {text:?} is neither a node record (enr:-...) nor a multiaddr (/ip4/...): {reason}")]
pub struct BootNodeError {
    /// What was given.
    pub text: String,
    /// Why it was refused.
    pub reason: String,
}

impl FromStr for BootNode {
    type Err = BootNodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let error = |reason: String| BootNodeError {
            text: text.to_owned(),
            reason,
        };
        if text.starts_with('/') {
            let address: Multiaddr = text.parse().map_err(|e| error(format!("{e}")))?;
            Ok(Self::Multiaddr(address))
        } else {
            let enr: Enr = text.parse().map_err(error)?;
            Ok(Self::Enr(Box::new(enr)))
        }
    }
}

/// Peer id at the end of an address.
pub fn peer_id_of(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|part| match part {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    })
}

/// The forks of the chain as far as the network has to know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkContext {
    /// What the record's `eth2` entry says.
    pub enr_fork_id: EnrForkId,
    /// Digest of the next scheduled fork (`nfd`), zero if there is none.
    pub next_fork_digest: ForkDigest,
    /// All digests of the schedule: peers may subscribe to topics of these.
    pub known_forks: Vec<KnownFork>,
}

impl ForkContext {
    /// Digest of the wall-clock epoch.
    pub fn current_digest(&self) -> ForkDigest {
        self.enr_fork_id.fork_digest
    }
}

/// One entry of the fork schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFork {
    /// Its digest.
    pub digest: ForkDigest,
    /// Whether the topics of distributed validators exist in it.
    pub has_groups: bool,
}

/// Spec: phase0/p2p-interface.md#eth2-field
#[derive(Clone, Copy, Debug, PartialEq, Eq, ssz_derive::Encode, ssz_derive::Decode)]
pub struct EnrForkId {
    /// Digest of the wall-clock epoch.
    pub fork_digest: ForkDigest,
    /// Version of the next regular fork, or the current one.
    pub next_fork_version: Version,
    /// Epoch of the next fork, or `FAR_FUTURE_EPOCH`.
    pub next_fork_epoch: Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_nodes_are_records_or_addresses() {
        let address = "/ip4/127.0.0.1/tcp/9000/p2p/16Uiu2HAm2yJ8o6sGZkqTmTQSGxQLAZcMhJiiHSUXbvAGxbZCwaWM";
        match address.parse::<BootNode>() {
            Ok(BootNode::Multiaddr(parsed)) => assert!(peer_id_of(&parsed).is_some()),
            other => panic!("expected an address, got {other:?}"),
        }
        let error = "enr:-nonsense".parse::<BootNode>().unwrap_err();
        assert_eq!(error.text, "enr:-nonsense");
    }

    #[test]
    fn loopback_listening_implies_private_discovery() {
        let mut config = NetworkConfig::new(PathBuf::new());
        assert!(!config.allows_private_addresses());
        config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(config.allows_private_addresses());
        assert_eq!(config.quic_port(), 9001);
    }
}
