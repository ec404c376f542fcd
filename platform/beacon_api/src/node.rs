//! The node itself.

use serde::{Deserialize, Serialize};
use types::{ColumnIndex, Slot};

/// `/eth/v1/node/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Name, version and platform, like a user agent.
    pub version: String,
}

/// `/eth/v1/node/syncing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syncing {
    /// Slot of the head.
    pub head_slot: Slot,
    /// Slots from the head to the clock.
    pub sync_distance: Slot,
    /// Whether the node is behind.
    pub is_syncing: bool,
    /// Whether the execution client has still to verify the head.
    #[serde(default)]
    pub is_optimistic: bool,
    /// Whether the execution client is unreachable.
    #[serde(default)]
    pub el_offline: bool,
}

/// `/eth/v1/node/health`: a status without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// 200: ready.
    Ready,
    /// 206: syncing, or the execution client is behind or unreachable.
    Syncing,
    /// 503: not started yet, or in trouble.
    Unavailable,
}

/// `/eth/v1/node/identity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// libp2p's name of the node.
    pub peer_id: String,
    /// Node record in its text form.
    pub enr: String,
    /// Addresses of libp2p.
    pub p2p_addresses: Vec<String>,
    /// Addresses of discovery.
    pub discovery_addresses: Vec<String>,
    /// What the node tells its peers about itself.
    pub metadata: Metadata,
}

/// What a node tells its peers about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Goes up with each change.
    #[serde(with = "serde_utils::quoted_u64")]
    pub seq_number: u64,
    /// Attestation subnets, as hex of a bit vector.
    pub attnets: String,
    /// Sync committee subnets, as hex of a bit vector.
    #[serde(default)]
    pub syncnets: String,
    /// Groups of columns that the node keeps.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_quoted_u64")]
    pub custody_group_count: Option<u64>,
}

mod optional_quoted_u64 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Quoted(#[serde(with = "serde_utils::quoted_u64")] u64);
        Ok(Option::<Quoted>::deserialize(deserializer)?.map(|Quoted(value)| value))
    }
}

/// An entry of `/eth/v1/node/peers`, and the answer of `/eth/v1/node/peers/{peer_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// libp2p's name of the peer.
    pub peer_id: String,
    /// Node record, if it is known.
    #[serde(default)]
    pub enr: Option<String>,
    /// Where it was seen last.
    pub last_seen_p2p_address: String,
    /// Whether it is connected.
    pub state: PeerState,
    /// Who called whom.
    pub direction: Direction,
}

/// Whether a peer is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// Not any more, or not yet.
    Disconnected,
    /// Soon.
    Connecting,
    /// Yes.
    Connected,
    /// Not for long.
    Disconnecting,
}

/// Who called whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer called.
    Inbound,
    /// This node called.
    Outbound,
}

/// `/eth/v1/node/peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// The peers.
    pub data: Vec<Peer>,
    /// Their number.
    pub meta: PeerCountMeta,
}

/// Number of peers in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCountMeta {
    /// Number of peers.
    pub count: u64,
}

/// `/eth/v1/node/peer_count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCount {
    /// Known and not connected.
    #[serde(with = "serde_utils::quoted_u64")]
    pub disconnected: u64,
    /// Being connected.
    #[serde(with = "serde_utils::quoted_u64")]
    pub connecting: u64,
    /// Connected.
    #[serde(with = "serde_utils::quoted_u64")]
    pub connected: u64,
    /// Being disconnected.
    #[serde(with = "serde_utils::quoted_u64")]
    pub disconnecting: u64,
}

/// What a devnet does to a node's connections: faults on purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkConditions {
    /// Peer ids with whom the node has no connection as long as this holds.
    pub blocked_peers: Vec<String>,
    /// How long everything that leaves the node waits, in milliseconds.
    #[serde(with = "serde_utils::quoted_u64")]
    pub outbound_delay_ms: u64,
    /// Columns that do not reach the node from outside.
    #[serde(default, with = "serde_utils::quoted_u64_vec")]
    pub blocked_columns: Vec<ColumnIndex>,
    /// Columns that the node lets nobody have.
    #[serde(default, with = "serde_utils::quoted_u64_vec")]
    pub withheld_columns: Vec<ColumnIndex>,
}
