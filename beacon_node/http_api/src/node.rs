//! `/eth/v1/node`: the node itself.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::{Path, RequestBody};
use crate::respond::{Answer, done, json, json_data, with_status};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use beacon_api::{
    Direction, Identity, Metadata, NetworkConditions, Peer, PeerCount, PeerCountMeta, PeerState, Peers, Query, Syncing,
    Version,
};
use network::{ColumnFaults, ConnectionDirection, PeerId, PeerSummary, Stopped};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use types::{ColumnIndex, Preset};

/// Longest delay of messages that can be asked for.
const MAX_OUTBOUND_DELAY_MS: u64 = 60_000;

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/node/version", get(version::<P>))
        .route("/eth/v1/node/syncing", get(syncing::<P>))
        .route("/eth/v1/node/health", get(health::<P>))
        .route("/eth/v1/node/identity", get(identity::<P>))
        .route("/eth/v1/node/peers", get(peers::<P>))
        .route("/eth/v1/node/peers/{peer_id}", get(peer::<P>))
        .route("/eth/v1/node/peer_count", get(peer_count::<P>))
        .route("/fresnel/v1/network/conditions", post(network_conditions::<P>))
}

impl From<Stopped> for ApiFailure {
    fn from(error: Stopped) -> Self {
        Self::unavailable(error)
    }
}

async fn version<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(Version {
        version: reader.settings.version.clone(),
    })
}

async fn syncing<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(sync_status(&reader))
}

fn sync_status<P: Preset>(reader: &Reader<P>) -> Syncing {
    let head = reader.chain.head();
    Syncing {
        head_slot: head.slot(),
        sync_distance: reader.sync_distance(),
        is_syncing: reader.is_syncing(),
        is_optimistic: head.execution_optimistic,
        el_offline: reader
            .chain
            .execution_layer()
            .is_none_or(|execution_layer| !execution_layer.is_online()),
    }
}

async fn health<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let asked: Option<u16> = Query::parse(&query).optional("syncing_status")?;
    let syncing = match asked {
        None => StatusCode::PARTIAL_CONTENT,
        // Less than 200 is no answer in HTTP.
        Some(code) => StatusCode::from_u16(code)
            .ok()
            .filter(|status| (200..600).contains(&status.as_u16()))
            .ok_or_else(|| {
                ApiFailure::bad_request(format!("syncing_status={code}, expected an HTTP status from 200"))
            })?,
    };
    let status = sync_status(&reader);
    let is_ready = !status.is_syncing && !status.is_optimistic && !status.el_offline;
    Ok(with_status(if is_ready { StatusCode::OK } else { syncing }, done()?))
}

fn hex<T: ssz::Encode>(bits: &T) -> String {
    bits.as_ssz_bytes()
        .iter()
        .fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn identity<P: Preset>(State(reader): Context<P>) -> Answer {
    let identity = reader.network.identity();
    let addresses = |addresses: &[network::Multiaddr]| addresses.iter().map(ToString::to_string).collect();
    json_data(Identity {
        peer_id: identity.peer_id.to_string(),
        enr: identity.enr.to_base64(),
        p2p_addresses: addresses(&identity.p2p_addresses),
        discovery_addresses: addresses(&identity.discovery_addresses),
        metadata: Metadata {
            seq_number: identity.metadata.seq_number,
            attnets: hex(&identity.metadata.attnets),
            syncnets: hex(&identity.metadata.syncnets),
            custody_group_count: identity.metadata.custody_group_count,
        },
    })
}

fn shown(peer: &PeerSummary) -> Peer {
    Peer {
        peer_id: peer.peer_id.to_string(),
        enr: peer.enr.as_ref().map(network::Enr::to_base64),
        last_seen_p2p_address: peer.address.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: match peer.state {
            network::PeerState::Disconnected => PeerState::Disconnected,
            network::PeerState::Connecting => PeerState::Connecting,
            network::PeerState::Connected => PeerState::Connected,
            network::PeerState::Disconnecting => PeerState::Disconnecting,
        },
        // A peer that was never connected would be called by this node.
        direction: match peer.direction {
            Some(ConnectionDirection::Inbound) => Direction::Inbound,
            Some(ConnectionDirection::Outbound) | None => Direction::Outbound,
        },
    }
}

/// Reads a word of the API by its JSON form.
fn words<T: serde::de::DeserializeOwned>(query: &Query<'_>, name: &'static str) -> Result<Vec<T>, ApiFailure> {
    query
        .list::<String>(name)?
        .into_iter()
        .map(|word| {
            let shown: String = word.chars().take(64).collect();
            serde_json::from_value(serde_json::Value::String(word))
                .map_err(|error| ApiFailure::bad_request(format!("query parameter {name}={shown}: {error}")))
        })
        .collect()
}

async fn peers<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let states: Vec<PeerState> = words(&query, "state")?;
    let directions: Vec<Direction> = words(&query, "direction")?;
    let data: Vec<Peer> = reader
        .network
        .peers()
        .await?
        .iter()
        .map(shown)
        .filter(|peer| states.is_empty() || states.contains(&peer.state))
        .filter(|peer| directions.is_empty() || directions.contains(&peer.direction))
        .collect();
    let count = data.len() as u64;
    json(&Peers {
        data,
        meta: PeerCountMeta { count },
    })
}

async fn peer<P: Preset>(State(reader): Context<P>, Path(peer_id): Path<String>) -> Answer {
    let peer_id = parse_peer_id(&peer_id)?;
    let peer = reader
        .network
        .peer(peer_id)
        .await?
        .ok_or_else(|| ApiFailure::not_found(format!("peer {peer_id} is not known")))?;
    json_data(shown(&peer))
}

fn parse_peer_id(text: &str) -> Result<PeerId, ApiFailure> {
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(128).collect();
        ApiFailure::bad_request(format!("invalid peer id {shown:?}: {error}"))
    })
}

async fn peer_count<P: Preset>(State(reader): Context<P>) -> Answer {
    let mut count = PeerCount {
        disconnected: 0,
        connecting: 0,
        connected: 0,
        disconnecting: 0,
    };
    for peer in reader.network.peers().await? {
        match peer.state {
            network::PeerState::Disconnected => count.disconnected += 1,
            network::PeerState::Connecting => count.connecting += 1,
            network::PeerState::Connected => count.connected += 1,
            network::PeerState::Disconnecting => count.disconnecting += 1,
        }
    }
    json_data(count)
}

/// Faults on purpose, for a devnet.
async fn network_conditions<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    if !reader.settings.enable_fault_injection {
        return Err(ApiFailure::not_found(
            "faults on purpose are not enabled: start the node with --http-enable-fault-injection",
        ));
    }
    let conditions: NetworkConditions = body.json().await?;
    if conditions.outbound_delay_ms > MAX_OUTBOUND_DELAY_MS {
        return Err(ApiFailure::bad_request(format!(
            "outbound_delay_ms is {}, expected at most {MAX_OUTBOUND_DELAY_MS}",
            conditions.outbound_delay_ms
        )));
    }
    let blocked = conditions
        .blocked_peers
        .iter()
        .map(|peer_id| parse_peer_id(peer_id))
        .collect::<Result<HashSet<PeerId>, ApiFailure>>()?;
    let columns = |columns: &[ColumnIndex]| match columns.iter().find(|index| **index >= P::NUMBER_OF_COLUMNS) {
        Some(index) => Err(ApiFailure::bad_request(format!(
            "there is no column {index}, there are {}",
            P::NUMBER_OF_COLUMNS
        ))),
        None => Ok(columns.iter().copied().collect::<BTreeSet<ColumnIndex>>()),
    };
    let faults = ColumnFaults {
        blocked: columns(&conditions.blocked_columns)?,
        withheld: columns(&conditions.withheld_columns)?,
    };
    reader.network.set_blocked_peers(blocked).await?;
    reader.network.set_column_faults(faults).await?;
    let delay = Duration::from_millis(conditions.outbound_delay_ms);
    reader.network.set_outbound_delay(delay).await?;
    done()
}
