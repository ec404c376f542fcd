//! The libp2p node: TCP (noise, yamux) and QUIC, identify, limits, and our behaviours on top.

use crate::config::NetworkConfig;
use crate::gate::Gate;
use crate::gossip::{Gossipsub, KnownDigests, PayloadLimits, ScoreClock, gossipsub};
use crate::rpc;
use libp2p::identity::Keypair;
use libp2p::metrics::Registry;
use libp2p::swarm::{NetworkBehaviour, Swarm};
use libp2p::{SwarmBuilder, connection_limits, identify, noise, tcp, yamux};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Both sides dial at the same moment: each connection has to live, or both would be closed.
const MAX_CONNECTIONS_PER_PEER: u32 = 2;
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const IDENTIFY_PROTOCOL: &str = "eth2/1.0.0";

/// All behaviours. Order matters: those that refuse stand first.
#[derive(NetworkBehaviour)]
pub(crate) struct NodeBehaviour {
    pub(crate) gate: Gate,
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) gossipsub: Gossipsub,
    pub(crate) rpc: rpc::Behaviour,
    pub(crate) identify: identify::Behaviour,
}

/// The transport could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("libp2p node: {0}")]
pub struct TransportError(pub(crate) String);

/// Peers accepted before the table prunes: a tenth more than the target, at least two, and none if none are wanted.
pub(crate) fn max_peers(target: usize) -> usize {
    match target {
        0 => 0,
        _ => target + (target / 10).max(2),
    }
}

fn limits(target: usize) -> connection_limits::ConnectionLimits {
    let peers = u32::try_from(max_peers(target)).unwrap_or(u32::MAX);
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(32))
        .with_max_pending_outgoing(Some(32))
        .with_max_established(Some(peers.saturating_mul(MAX_CONNECTIONS_PER_PEER)))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
}

/// Builds the node; it does not listen yet.
pub(crate) fn build_swarm(
    keypair: Keypair,
    config: &NetworkConfig,
    known_digests: KnownDigests,
    response_delay: Arc<AtomicU64>,
    registry: &mut Registry,
) -> Result<Swarm<NodeBehaviour>, TransportError> {
    let error = |error: &dyn std::fmt::Display| TransportError(error.to_string());
    let clock = ScoreClock {
        slot: config.slot_duration,
        slots_per_epoch: config.slots_per_epoch,
    };
    let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), keypair.public())
        .with_agent_version(config.agent.clone())
        .with_cache_size(0);
    let payloads = PayloadLimits::of(&config.spec);
    let mut limits = connection_limits::Behaviour::new(limits(config.target_peers));
    for trusted in &config.trusted_peers {
        limits.bypass_peer_id(trusted);
    }
    let behaviour = NodeBehaviour {
        gate: Gate::default(),
        limits,
        gossipsub: gossipsub(clock, payloads, known_digests, registry).map_err(|e| error(&e))?,
        rpc: rpc::Behaviour::new(response_delay),
        identify: identify::Behaviour::new(identify),
    };
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|e| error(&e))?
        .with_quic_config(|mut quic| {
            // What a slow reader can make us hold, per stream and per peer.
            quic.max_stream_data = 2 << 20;
            quic.max_connection_data = 8 << 20;
            quic
        })
        .with_bandwidth_metrics(registry)
        .with_behaviour(|_| behaviour)
        .map_err(|e| error(&e))?
        .with_swarm_config(|swarm| {
            swarm
                .with_idle_connection_timeout(Duration::from_secs(60))
                .with_per_connection_event_buffer_size(8)
                .with_max_negotiating_inbound_streams(32)
        })
        .with_connection_timeout(CONNECTION_TIMEOUT)
        .build();
    Ok(swarm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeKey;

    #[tokio::test]
    async fn the_node_listens_on_tcp_and_quic() {
        use futures::StreamExt;
        use libp2p::swarm::SwarmEvent;
        let config = NetworkConfig::new(std::path::PathBuf::new());
        let keypair = NodeKey::generate().libp2p().unwrap();
        let mut registry = Registry::default();
        let mut swarm = build_swarm(keypair, &config, KnownDigests::default(), Arc::default(), &mut registry).unwrap();
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        swarm
            .listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap())
            .unwrap();
        let mut addresses = 0;
        while addresses < 2 {
            if let SwarmEvent::NewListenAddr { .. } = swarm.select_next_some().await {
                addresses += 1;
            }
        }
    }

    #[test]
    fn some_room_is_left_above_the_target() {
        assert_eq!((max_peers(0), max_peers(3), max_peers(100)), (0, 5, 110));
    }
}
