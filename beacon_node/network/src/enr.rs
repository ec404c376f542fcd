//! The node record: what it says about this node, how it is kept over restarts, and how those of others are read.

use crate::config::{EnrForkId, ForkContext, NetworkConfig};
use crate::identity::write_atomically;
use ::enr::{CombinedKey, CombinedPublicKey, EnrPublicKey, NodeId};
use bytes::Bytes;
use libp2p::{Multiaddr, PeerId, identity, multiaddr::Protocol};
use ssz::{Decode, Encode};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use types::ForkDigest;

pub use discv5::Enr;

/// Bits of the attestation subnets.
pub type AttnetBits = ssz_types::BitVector<typenum::U64>;
/// Bits of the sync committee subnets.
pub type SyncnetBits = ssz_types::BitVector<typenum::U4>;

/// Entry with the `ENRForkID`.
pub(crate) const ETH2_KEY: &str = "eth2";
/// Entry with the attestation subnets.
pub(crate) const ATTNETS_KEY: &str = "attnets";
/// Entry with the sync committee subnets.
pub(crate) const SYNCNETS_KEY: &str = "syncnets";
/// Entry with the custody group count.
pub(crate) const CGC_KEY: &str = "cgc";
/// Entry with the next fork digest.
pub(crate) const NFD_KEY: &str = "nfd";
/// Entry with the QUIC port over IPv4.
pub(crate) const QUIC_KEY: &str = "quic";
/// Entry with the QUIC port over IPv6.
pub(crate) const QUIC6_KEY: &str = "quic6";

const ENR_FILE: &str = "enr.dat";

/// Ports that the sockets are really bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundPorts {
    /// TCP port of libp2p.
    pub(crate) tcp: u16,
    /// UDP port of discv5, if it runs.
    pub(crate) udp: Option<u16>,
    /// UDP port of QUIC, if it runs.
    pub(crate) quic: Option<u16>,
}

/// The node record cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum EnrError {
    /// The library refused an entry or the signature.
    #[error("node record: {0:?}")]
    Build(::enr::Error),
    /// The record could not be stored.
    #[error("node record {path}: {source}")]
    Io {
        /// File in question.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<::enr::Error> for EnrError {
    fn from(error: ::enr::Error) -> Self {
        Self::Build(error)
    }
}

/// Builds our record. Its sequence number is the stored one if the content is unchanged, else the next.
pub(crate) fn build_local_enr(
    key: &CombinedKey,
    config: &NetworkConfig,
    forks: &ForkContext,
    ports: BoundPorts,
) -> Result<Enr, EnrError> {
    let mut builder = Enr::builder();
    let tcp = config.enr_tcp_port.unwrap_or(ports.tcp);
    let udp = config.enr_udp_port.or(ports.udp);
    let quic = ports.quic.map(|bound| config.enr_quic_port.unwrap_or(bound));
    let address = config.advertised_address();
    if let Some(address) = address {
        builder.ip(address);
    }
    if address.unwrap_or(config.listen_address).is_ipv6() {
        builder.tcp6(tcp);
        udp.map(|port| builder.udp6(port));
        quic.map(|port| builder.add_value(QUIC6_KEY, &port));
    } else {
        builder.tcp4(tcp);
        udp.map(|port| builder.udp4(port));
        quic.map(|port| builder.add_value(QUIC_KEY, &port));
    }
    let mut attnets = AttnetBits::default();
    let mut syncnets = SyncnetBits::default();
    if config.subscribe_all_subnets {
        attnets = attnets.not();
        syncnets = syncnets.not();
    }
    builder
        .add_value(ETH2_KEY, &Bytes::from(forks.enr_fork_id.as_ssz_bytes()))
        .add_value(ATTNETS_KEY, &Bytes::from(attnets.as_ssz_bytes()))
        .add_value(SYNCNETS_KEY, &Bytes::from(syncnets.as_ssz_bytes()))
        .add_value(CGC_KEY, &config.custody_group_count)
        .add_value(NFD_KEY, &Bytes::copy_from_slice(forks.next_fork_digest.as_slice()));
    let mut enr = builder.build(key)?;
    if let Some(stored) = load_enr(&config.network_dir)
        && stored.node_id() == enr.node_id()
    {
        if stored.iter().eq(enr.iter()) && stored.verify() {
            return Ok(stored);
        }
        enr.set_seq(stored.seq().saturating_add(1), key)?;
    }
    Ok(enr)
}

/// The record of the last run, if there is a readable one.
pub(crate) fn load_enr(network_dir: &Path) -> Option<Enr> {
    std::fs::read_to_string(network_dir.join(ENR_FILE))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Stores the record, so that its sequence number goes on after a restart.
pub(crate) fn store_enr(network_dir: &Path, enr: &Enr) -> Result<(), EnrError> {
    let path = network_dir.join(ENR_FILE);
    std::fs::create_dir_all(network_dir)
        .and_then(|()| write_atomically(&path, enr.to_base64().as_bytes(), false))
        .map_err(|source| EnrError::Io { path, source })
}

/// What is read from the records of others. Every getter gives `None` for a missing or malformed entry.
pub trait EnrExt {
    /// The libp2p identity of the record's key.
    fn peer_id(&self) -> Option<PeerId>;
    /// Entry `eth2`.
    fn eth2(&self) -> Option<EnrForkId>;
    /// Entry `attnets`.
    fn attnets(&self) -> Option<AttnetBits>;
    /// Entry `syncnets`.
    fn syncnets(&self) -> Option<SyncnetBits>;
    /// Entry `cgc`.
    fn custody_group_count(&self) -> Option<u64>;
    /// Entry `nfd`.
    fn next_fork_digest(&self) -> Option<ForkDigest>;
    /// Addresses to dial, QUIC before TCP, each without peer id.
    fn dial_addresses(&self, with_quic: bool) -> Vec<Multiaddr>;
    /// All addresses of the record with peer id, for the HTTP API.
    fn p2p_addresses(&self) -> Vec<Multiaddr>;
    /// UDP addresses of discv5, for the HTTP API.
    fn discovery_addresses(&self) -> Vec<Multiaddr>;
}

fn ssz_entry<T: Decode>(enr: &Enr, key: &str) -> Option<T> {
    let bytes = enr.get_decodable::<Bytes>(key)?.ok()?;
    T::from_ssz_bytes(&bytes).ok()
}

impl EnrExt for Enr {
    fn peer_id(&self) -> Option<PeerId> {
        match self.public_key() {
            CombinedPublicKey::Secp256k1(key) => {
                let key = identity::secp256k1::PublicKey::try_from_bytes(&key.encode()).ok()?;
                Some(PeerId::from_public_key(&identity::PublicKey::from(key)))
            }
            CombinedPublicKey::Ed25519(_) => None,
        }
    }

    fn eth2(&self) -> Option<EnrForkId> {
        ssz_entry(self, ETH2_KEY)
    }

    fn attnets(&self) -> Option<AttnetBits> {
        ssz_entry(self, ATTNETS_KEY)
    }

    fn syncnets(&self) -> Option<SyncnetBits> {
        ssz_entry(self, SYNCNETS_KEY)
    }

    fn custody_group_count(&self) -> Option<u64> {
        self.get_decodable::<u64>(CGC_KEY)?.ok()
    }

    fn next_fork_digest(&self) -> Option<ForkDigest> {
        let bytes = self.get_decodable::<Bytes>(NFD_KEY)?.ok()?;
        (bytes.len() == 4).then(|| ForkDigest::from_slice(&bytes))
    }

    fn dial_addresses(&self, with_quic: bool) -> Vec<Multiaddr> {
        let quic = |key| self.get_decodable::<u16>(key).and_then(Result::ok);
        let mut addresses = Vec::new();
        if with_quic {
            if let (Some(ip), Some(port)) = (self.ip4(), quic(QUIC_KEY)) {
                addresses.push(quic_address(ip.into(), port));
            }
            if let (Some(ip), Some(port)) = (self.ip6(), quic(QUIC6_KEY)) {
                addresses.push(quic_address(ip.into(), port));
            }
        }
        addresses.extend(self.tcp4_socket().map(|socket| tcp_address(socket.into())));
        addresses.extend(self.tcp6_socket().map(|socket| tcp_address(socket.into())));
        addresses
    }

    fn p2p_addresses(&self) -> Vec<Multiaddr> {
        let Some(peer_id) = self.peer_id() else {
            return Vec::new();
        };
        let with_peer = |address: Multiaddr| address.with(Protocol::P2p(peer_id));
        self.dial_addresses(true).into_iter().map(with_peer).collect()
    }

    fn discovery_addresses(&self) -> Vec<Multiaddr> {
        let Some(peer_id) = self.peer_id() else {
            return Vec::new();
        };
        let sockets = self
            .udp4_socket()
            .map(SocketAddr::from)
            .into_iter()
            .chain(self.udp6_socket().map(SocketAddr::from));
        sockets
            .map(|socket| {
                Multiaddr::from(socket.ip())
                    .with(Protocol::Udp(socket.port()))
                    .with(Protocol::P2p(peer_id))
            })
            .collect()
    }
}

/// Discovery id of a peer, which its custody and subnets are derived from: the peer id holds the whole key.
pub fn node_id_of(peer: &PeerId) -> Option<[u8; 32]> {
    const IDENTITY_HASH: u64 = 0;
    let hash = peer.as_ref();
    let key = (hash.code() == IDENTITY_HASH).then(|| hash.digest())?;
    let key = identity::PublicKey::try_decode_protobuf(key)
        .ok()?
        .try_into_secp256k1()
        .ok()?;
    let key = ::enr::k256::ecdsa::VerifyingKey::from_sec1_bytes(&key.to_bytes()).ok()?;
    Some(NodeId::from(CombinedPublicKey::from(key)).raw())
}

/// `/ip4/../tcp/..`
pub(crate) fn tcp_address(socket: SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()))
}

/// `/ip4/../udp/../quic-v1`
pub(crate) fn quic_address(ip: IpAddr, port: u16) -> Multiaddr {
    Multiaddr::from(ip).with(Protocol::Udp(port)).with(Protocol::QuicV1)
}

/// Whether the address can be reached from anywhere: not loopback, private, link-local, shared, or documentation.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || shared)
        }
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments().first().copied().unwrap_or_default();
    let unique_local = first & 0xfe00 == 0xfc00;
    let link_local = first & 0xffc0 == 0xfe80;
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || unique_local || link_local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeKey;
    use types::{Epoch, Version};

    fn forks() -> ForkContext {
        ForkContext {
            enr_fork_id: EnrForkId {
                fork_digest: ForkDigest::new([1, 2, 3, 4]),
                next_fork_version: Version::new([5, 6, 7, 8]),
                next_fork_epoch: Epoch::new(9),
            },
            next_fork_digest: ForkDigest::new([9, 9, 9, 9]),
            known_forks: Vec::new(),
        }
    }

    fn config(dir: &Path) -> NetworkConfig {
        let mut config = NetworkConfig::new(dir.to_path_buf());
        config.enr_address = Some("127.0.0.1".parse().unwrap());
        config
    }

    const PORTS: BoundPorts = BoundPorts {
        tcp: 9100,
        udp: Some(9100),
        quic: Some(9101),
    };

    #[test]
    fn the_record_says_what_the_spec_asks_for() {
        let dir = tempfile::tempdir().unwrap();
        let node_key = NodeKey::generate();
        let key = node_key.discv5().unwrap();
        let mut config = config(dir.path());
        config.custody_group_count = 0;
        let enr = build_local_enr(&key, &config, &forks(), PORTS).unwrap();
        assert_eq!(enr.eth2(), Some(forks().enr_fork_id));
        assert_eq!(enr.next_fork_digest(), Some(ForkDigest::new([9; 4])));
        assert_eq!(enr.custody_group_count(), Some(0));
        // The integer zero is an empty string: one RLP byte.
        assert_eq!(enr.get_raw_rlp(CGC_KEY), Some(&[0x80][..]));
        assert_eq!(enr.attnets().unwrap().num_set_bits(), 0);
        assert_eq!(node_id_of(&enr.peer_id().unwrap()), Some(enr.node_id().raw()));
        assert_eq!(enr.peer_id(), Some(node_key.libp2p().unwrap().public().to_peer_id()));
        let addresses: Vec<_> = enr.dial_addresses(true).iter().map(ToString::to_string).collect();
        assert_eq!(
            addresses,
            ["/ip4/127.0.0.1/udp/9101/quic-v1", "/ip4/127.0.0.1/tcp/9100"]
        );
        assert_eq!(enr.discovery_addresses().len(), 1);
        let text = enr.to_base64();
        assert_eq!(text.parse::<Enr>().unwrap(), enr);
    }

    #[test]
    fn the_sequence_number_grows_only_with_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::generate().discv5().unwrap();
        let mut config = config(dir.path());
        let mut first = build_local_enr(&key, &config, &forks(), PORTS).unwrap();
        first.set_seq(41, &key).unwrap();
        store_enr(dir.path(), &first).unwrap();
        assert_eq!(build_local_enr(&key, &config, &forks(), PORTS).unwrap().seq(), 41);
        config.custody_group_count = 8;
        assert_eq!(build_local_enr(&key, &config, &forks(), PORTS).unwrap().seq(), 42);
    }

    #[test]
    fn malformed_entries_read_as_missing() {
        let key = NodeKey::generate().discv5().unwrap();
        let enr = Enr::builder()
            .add_value(ETH2_KEY, &Bytes::from_static(&[1, 2, 3]))
            .add_value(SYNCNETS_KEY, &Bytes::from_static(&[0xff]))
            .add_value(NFD_KEY, &Bytes::from_static(&[0xff]))
            .build(&key)
            .unwrap();
        assert_eq!(enr.eth2(), None);
        assert_eq!(enr.syncnets(), None);
        assert_eq!(enr.next_fork_digest(), None);
        assert_eq!(enr.dial_addresses(true), Vec::<Multiaddr>::new());
    }

    #[test]
    fn private_addresses_are_not_global() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
        ] {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "100.128.0.1", "2a00::1"] {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
    }
}
