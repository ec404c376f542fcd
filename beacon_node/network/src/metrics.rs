//! Metrics. Names are those of Lighthouse where the meaning is the same; ours begin with `network_`.
//! Gossip and bandwidth counters are kept by libp2p itself, see [`crate::NetworkHandle::libp2p_metrics`].

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Handles to all metrics of the service.
#[derive(Clone, Debug)]
pub struct NetworkMetrics {
    pub(crate) peers: IntGauge,
    pub(crate) peers_multi: IntGaugeVec,
    pub(crate) peers_per_client: IntGaugeVec,
    pub(crate) connects: IntCounter,
    pub(crate) disconnects: IntCounter,
    pub(crate) address_updates: IntCounter,
    pub(crate) discovery_bytes: IntGaugeVec,
    pub(crate) discovery_queue: IntGauge,
    pub(crate) discovery_requests: IntGauge,
    pub(crate) discovery_sessions: IntGauge,
    pub(crate) rpc_requests: IntCounterVec,
    pub(crate) rpc_errors: IntCounterVec,
    pub(crate) rpc_rate_limited: IntCounterVec,
    pub(crate) peer_actions: IntCounterVec,
    pub(crate) report_messages: IntCounterVec,
    pub(crate) unaccepted: IntCounterVec,
    pub(crate) failed_publishes: IntCounterVec,
    pub(crate) dropped: IntCounterVec,
    pub(crate) event_queue: IntGauge,
    pub(crate) gossip_bytes: IntGauge,
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let metric = IntCounter::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl NetworkMetrics {
    /// Registers everything. Fails if a name is taken already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let r = registry;
        Ok(Self {
            peers: gauge(r, "libp2p_peers", "Connected peers")?,
            peers_multi: gauges(r, "libp2p_peers_multi", "Connected peers", &["direction", "transport"])?,
            peers_per_client: gauges(
                r,
                "libp2p_peers_per_client",
                "Connected peers, by what they call themselves",
                &["Client"],
            )?,
            connects: counter(r, "libp2p_peer_connect_event_total", "Connections that were made")?,
            disconnects: counter(r, "libp2p_peer_disconnect_event_total", "Connections that ended")?,
            address_updates: counter(
                r,
                "libp2p_address_update_total",
                "Changes of this node's address as others see it",
            )?,
            discovery_bytes: gauges(r, "discovery_bytes", "Bytes of discovery", &["direction"])?,
            discovery_queue: gauge(r, "discovery_queue_size", "Queries of discovery under way")?,
            discovery_requests: gauge(r, "discovery_requests", "Requests that discovery gets, per second")?,
            discovery_sessions: gauge(r, "discovery_sessions", "Sessions of discovery")?,
            rpc_requests: counters(
                r,
                "libp2p_rpc_requests_total",
                "Requests that this node made",
                &["type"],
            )?,
            rpc_errors: counters(
                r,
                "libp2p_rpc_errors_per_client",
                "Requests that failed",
                &["client", "rpc_error", "direction"],
            )?,
            rpc_rate_limited: counters(
                r,
                "network_rpc_rate_limited_total",
                "Requests of peers that were withheld or refused for their rate",
                &["type", "outcome"],
            )?,
            peer_actions: counters(
                r,
                "libp2p_peer_actions_per_client",
                "Penalties, by client",
                &["client", "action", "source"],
            )?,
            report_messages: counters(r, "libp2p_report_peer_msgs_total", "Penalties, by reason", &["msg"])?,
            unaccepted: counters(
                r,
                "gossipsub_unaccepted_messages_per_client",
                "Messages of gossip that were ignored or rejected, by client",
                &["client", "validation_result"],
            )?,
            failed_publishes: counters(
                r,
                "gossipsub_failed_publishes_per_main_topic",
                "Messages that did not go out",
                &["topic_hash"],
            )?,
            dropped: counters(
                r,
                "network_dropped_total",
                "Events that were dropped because the receiver was too slow",
                &["kind"],
            )?,
            event_queue: gauge(r, "network_event_queue_size", "Events that wait for the router")?,
            gossip_bytes: gauge(
                r,
                "network_gossip_in_flight_bytes",
                "Bytes of gossip that wait for the router",
            )?,
        })
    }
}

/// Name of a client for labels: a short closed list, since agent strings are untrusted.
pub(crate) fn client_name(agent: Option<&str>) -> &'static str {
    const KNOWN: [&str; 9] = [
        "Fresnel",
        "Lighthouse",
        "Prysm",
        "Teku",
        "Nimbus",
        "Lodestar",
        "Grandine",
        "Caplin",
        "Ream",
    ];
    let Some(agent) = agent else { return "Unknown" };
    let name = agent.split('/').next().unwrap_or_default();
    KNOWN
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name))
        .unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_register_once() {
        let registry = Registry::new();
        let metrics = NetworkMetrics::new(&registry).unwrap();
        metrics.peers.set(3);
        assert!(registry.gather().iter().any(|family| family.name() == "libp2p_peers"));
        assert!(NetworkMetrics::new(&registry).is_err());
    }

    #[test]
    fn agents_become_a_closed_list() {
        assert_eq!(
            client_name(Some("Lighthouse/v5.3.0-d6ba8c3/x86_64-linux")),
            "Lighthouse"
        );
        assert_eq!(client_name(Some("teku/teku/v24")), "Teku");
        assert_eq!(client_name(Some("<script>")), "Unknown");
        assert_eq!(client_name(None), "Unknown");
    }
}
