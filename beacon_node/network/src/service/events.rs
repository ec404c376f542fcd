//! What libp2p reports.

use super::Service;
use crate::api::NetworkEvent;
use crate::gossip::GossipTopic;
use crate::metrics::client_name;
use crate::peers::{ConnectionDirection, Penalty};
use crate::rpc::{self, GoodbyeReason, ProtocolKind, Request, RequestError, Responder, ResponseCode};
use crate::transport::{NodeBehaviourEvent, max_peers};
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::swarm::{DialError, SwarmEvent};
use libp2p::{PeerId, identify};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A peer that dialled us has this long to send its status before we ask.
const INBOUND_STATUS_GRACE: Duration = Duration::from_secs(5);

/// How long a peer that said goodbye is left alone.
fn pause_after(reason: GoodbyeReason) -> Duration {
    match reason {
        GoodbyeReason::ClientShutdown => Duration::from_secs(5),
        GoodbyeReason::IrrelevantNetwork | GoodbyeReason::UnableToVerifyNetwork => Duration::from_secs(30),
        GoodbyeReason::TooManyPeers => Duration::from_secs(60),
        _ => Duration::from_secs(120),
    }
}

/// What it costs to leave an exchange, which keeps others from theirs, for the so many-th time.
fn penalty_for_leaving(times: u32) -> Penalty {
    match times {
        0 | 1 => Penalty::Mild,
        2 => Penalty::Moderate,
        _ => Penalty::Severe,
    }
}

impl Service {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<NodeBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(NodeBehaviourEvent::Gossipsub(event)) => self.on_gossipsub(event),
            SwarmEvent::Behaviour(NodeBehaviourEvent::Rpc(event)) => self.on_rpc(event),
            SwarmEvent::Behaviour(NodeBehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                endpoint,
                num_established,
                ..
            } if num_established.get() == 1 => self.on_connected(peer_id, &endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => self.on_disconnected(peer_id),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "dial failed");
                if !matches!(error, DialError::DialPeerConditionFalse(_)) {
                    self.peers.on_dial_failed(peer, Instant::now());
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let mut addresses = self.shared.listen_addresses.write();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.shared.listen_addresses.write().retain(|known| *known != address);
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let direction = match endpoint {
            ConnectedPoint::Dialer { .. } => ConnectionDirection::Outbound,
            ConnectedPoint::Listener { .. } => ConnectionDirection::Inbound,
        };
        let entry = self
            .peers
            .on_connected(peer, direction, endpoint.get_remote_address().clone(), now);
        entry.next_ping = now + self.config.ping_interval;
        entry.next_status = match direction {
            ConnectionDirection::Outbound => now,
            ConnectionDirection::Inbound => now + INBOUND_STATUS_GRACE,
        };
        let application = entry.score.for_gossip();
        let trusted = entry.trusted;
        let connected = self.peers.connected_count();
        self.shared.connected.store(connected, Ordering::Relaxed);
        self.metrics.connects.inc();
        self.metrics.peers.set(connected as i64);
        self.swarm
            .behaviour_mut()
            .gossipsub
            .set_application_score(&peer, application);
        self.events.must(NetworkEvent::PeerConnected { peer, direction });
        tracing::debug!(%peer, ?direction, address = %endpoint.get_remote_address(), "peer connected");
        if connected > max_peers(self.config.target_peers) && direction == ConnectionDirection::Inbound && !trusted {
            self.leave(peer, GoodbyeReason::TooManyPeers);
        } else if direction == ConnectionDirection::Outbound {
            self.send_status(peer, now);
        }
    }

    fn on_disconnected(&mut self, peer: PeerId) {
        self.peers.on_disconnected(peer, Instant::now());
        let connected = self.peers.connected_count();
        self.shared.connected.store(connected, Ordering::Relaxed);
        self.metrics.disconnects.inc();
        self.metrics.peers.set(connected as i64);
        self.events.must(NetworkEvent::PeerDisconnected { peer });
        tracing::debug!(%peer, "peer disconnected");
    }

    fn on_gossipsub(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                // The transform has parsed the topic already: others do not get here.
                let Ok(topic) = message.topic.as_str().parse::<GossipTopic>() else {
                    return self.report_to_mesh(&message_id, propagation_source, MessageAcceptance::Reject);
                };
                if self.column_faults.blocks(topic.kind) {
                    return self.report_to_mesh(&message_id, propagation_source, MessageAcceptance::Ignore);
                }
                // A message with this verdict is not forwarded, whatever is said of it later.
                if self.column_faults.withholds(topic.kind) {
                    self.report_to_mesh(&message_id, propagation_source, MessageAcceptance::Ignore);
                }
                if !self
                    .events
                    .gossip(topic, propagation_source, message_id.clone(), message.data)
                {
                    self.report_to_mesh(&message_id, propagation_source, MessageAcceptance::Ignore);
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => self.leave(peer_id, GoodbyeReason::Fault),
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "peer takes messages too slowly");
            }
            _ => {}
        }
    }

    fn on_identify(&mut self, event: identify::Event) {
        const MAX_AGENT_LEN: usize = 128;
        if let identify::Event::Received { peer_id, info, .. } = event
            && let Some(peer) = self.peers.get_mut(&peer_id)
        {
            peer.agent = Some(info.agent_version.chars().take(MAX_AGENT_LEN).collect());
        }
    }

    fn on_rpc(&mut self, event: rpc::Event) {
        match event {
            rpc::Event::Request {
                peer,
                request,
                responder,
            } => self.on_request(peer, request, responder),
            rpc::Event::Violation { peer, kind, error } => {
                tracing::debug!(%peer, protocol = kind.name(), %error, "invalid request");
                self.count_rpc_error(peer, "invalid", "incoming");
                self.penalise(peer, Penalty::Severe, "invalid_request", "rpc");
            }
            rpc::Event::Abandoned { peer, kind, how, times } => {
                tracing::debug!(%peer, protocol = kind.name(), ?how, times, "request is given up");
                self.count_rpc_error(peer, how.name(), "incoming");
                self.penalise(peer, penalty_for_leaving(times), how.name(), "rpc");
            }
            rpc::Event::RateLimited { peer, kind, refused } => {
                let outcome = if refused { "refused" } else { "withheld" };
                self.metrics
                    .rpc_rate_limited
                    .with_label_values(&[kind.name(), outcome])
                    .inc();
                if refused {
                    self.penalise(peer, Penalty::Mild, "rate_limited", "rpc");
                }
            }
            rpc::Event::Finished { peer, kind, outcome } => self.on_finished(peer, kind, outcome),
        }
    }

    fn on_request(&mut self, peer: PeerId, request: Request, responder: Responder) {
        match request {
            Request::Status(status) => {
                responder.reply_status(self.status);
                self.on_status(peer, status);
            }
            Request::Ping(seq_number) => {
                let own = self.shared.metadata.read().seq_number;
                responder.reply(rpc::ResponseChunk::Pong(own));
                self.refresh_metadata(peer, seq_number);
            }
            Request::MetaData => {
                let own = self.shared.metadata.read().clone();
                responder.reply_metadata(own);
            }
            Request::Goodbye(reason) => {
                tracing::debug!(%peer, ?reason, "peer says goodbye");
                responder.reply_goodbye(reason);
                self.peers.do_not_dial(peer, pause_after(reason), Instant::now());
                self.disconnect_soon(peer);
            }
            request => {
                let request = self.column_faults.to_be_answered(request);
                let id = self.next_request_id;
                self.next_request_id += 1;
                let event = NetworkEvent::Request {
                    peer,
                    id,
                    request,
                    responder,
                };
                if let Err(event) = self.events.may(event)
                    && let NetworkEvent::Request { request, responder, .. } = *event
                {
                    self.metrics.dropped.with_label_values(&[request.kind().name()]).inc();
                    responder.refuse(ResponseCode::ServerError, "busy");
                }
            }
        }
    }

    fn on_finished(&mut self, peer: PeerId, kind: ProtocolKind, outcome: Result<u64, RequestError>) {
        if kind == ProtocolKind::Goodbye {
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        }
        let Err(error) = outcome else { return };
        tracing::debug!(%peer, protocol = kind.name(), %error, "request failed");
        let (label, penalty) = match &error {
            RequestError::Invalid(_) => ("invalid", Some(Penalty::Severe)),
            RequestError::Timeout(_) => ("timeout", Some(Penalty::Mild)),
            RequestError::Rejected { .. } => ("rejected", None),
            RequestError::UnsupportedProtocol(_) => ("unsupported", None),
            _ => ("io", None),
        };
        self.count_rpc_error(peer, label, "outgoing");
        if let Some(penalty) = penalty {
            self.penalise(
                peer,
                penalty,
                if label == "invalid" {
                    "invalid_response"
                } else {
                    "timeout"
                },
                "rpc",
            );
        }
    }

    fn count_rpc_error(&self, peer: PeerId, error: &str, direction: &str) {
        let client = client_name(self.peers.get(&peer).and_then(|peer| peer.agent.as_deref()));
        self.metrics
            .rpc_errors
            .with_label_values(&[client, error, direction])
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Score, Standing};
    use crate::rpc::SlowReaders;

    /// After how many rounds a peer is sent away that lets so many answers at once lapse, each time.
    fn rounds(answers: usize) -> u32 {
        let (mut now, peer) = (Instant::now(), PeerId::random());
        let (mut score, mut readers) = (Score::new(now), SlowReaders::default());
        for round in 1..100 {
            // As long as one that is not read is waited for, and some.
            now += Duration::from_secs(12);
            for _ in 0..answers {
                let times = readers.note(peer, now);
                if score.penalise(penalty_for_leaving(times), now) != Standing::Healthy {
                    return round;
                }
            }
        }
        100
    }

    #[test]
    fn who_never_reads_its_answers_is_soon_sent_away_and_nobody_for_one_failure_of_its_link() {
        assert_eq!([1, 2, 4].map(rounds), [4, 3, 2]);
        assert!(rounds(8) > 1);
    }
}
