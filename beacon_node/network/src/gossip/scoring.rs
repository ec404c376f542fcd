//! What a peer's behaviour on a topic is worth to gossipsub.
//!
//! Derivation. Negative behaviour is measured against one yardstick: the graylist threshold, at which a peer is no
//! longer listened to. Positive behaviour is measured against one budget per topic, `MAX_POSITIVE * weight`, of which
//! time in the mesh earns a quarter and first deliveries three quarters. So:
//! - an invalid message on a topic of weight 1 costs `GRAYLIST / INVALID_TO_GRAYLIST^2`, and the penalty grows with the
//!   square of their number: ten of them graylist a peer, whatever it earned. Small topics are not cheaper, because
//!   the price is divided by the topic's weight.
//! - first deliveries decay over ten epochs (twenty for rare kinds) and are capped at what a fair mesh peer delivers.
//! - mesh delivery deficits (P3) are not punished: with sparse topics, few peers and restarting nodes, silence of a
//!   peer says more about the chain than about the peer. Pruning by score already prefers those who deliver.

use super::{GossipTopic, TopicKind};
use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay_with_base};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// No gossip (IHAVE, IWANT) with a peer below.
pub(crate) const GOSSIP_THRESHOLD: f64 = -4_000.0;
/// No own messages to a peer below.
pub(crate) const PUBLISH_THRESHOLD: f64 = -8_000.0;
/// A peer below is not listened to.
pub(crate) const GRAYLIST_THRESHOLD: f64 = -16_000.0;

/// Positive score that a topic of weight one can give.
const MAX_POSITIVE: f64 = 50.0;
/// Invalid messages, without decay in between, that graylist a peer on their own.
const INVALID_TO_GRAYLIST: f64 = 10.0;
/// Counters below are zero.
const DECAY_TO_ZERO: f64 = 0.01;

/// Durations that all decay follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreClock {
    pub(crate) slot: Duration,
    pub(crate) slots_per_epoch: u64,
}

impl ScoreClock {
    fn decay_interval(self) -> Duration {
        self.slot.max(Duration::from_secs(1))
    }

    fn epochs(self, count: u32) -> Duration {
        let slots = u32::try_from(self.slots_per_epoch).unwrap_or(u32::MAX).max(1);
        self.slot.saturating_mul(slots.saturating_mul(count))
    }

    /// Factor per interval by which a counter falls to zero in `time`.
    fn decay(self, time: Duration) -> f64 {
        // A counter has to live for more than one interval, or its factor is no factor.
        let time = time.max(self.decay_interval().saturating_mul(2));
        score_parameter_decay_with_base(time, self.decay_interval(), DECAY_TO_ZERO)
    }

    /// How long ids of seen messages are kept.
    pub(crate) fn seen_ttl(self) -> Duration {
        self.epochs(2)
    }

    pub(crate) fn thresholds() -> PeerScoreThresholds {
        PeerScoreThresholds {
            gossip_threshold: GOSSIP_THRESHOLD,
            publish_threshold: PUBLISH_THRESHOLD,
            graylist_threshold: GRAYLIST_THRESHOLD,
            accept_px_threshold: 100.0,
            opportunistic_graft_threshold: 5.0,
        }
    }

    /// Parameters that hold for all topics. Topics are added when they are subscribed to.
    pub(crate) fn peer_params(self) -> PeerScoreParams {
        let broken_promises_to_gossip_threshold = 20.0f64;
        PeerScoreParams {
            topics: HashMap::new(),
            topic_score_cap: MAX_POSITIVE,
            app_specific_weight: 1.0,
            ip_colocation_factor_weight: -MAX_POSITIVE,
            ip_colocation_factor_threshold: 8.0,
            // Several nodes of one operator behind loopback are no attack from one address.
            ip_colocation_factor_whitelist: HashSet::from([
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ]),
            behaviour_penalty_weight: GOSSIP_THRESHOLD / broken_promises_to_gossip_threshold.powi(2),
            behaviour_penalty_threshold: 6.0,
            behaviour_penalty_decay: self.decay(self.epochs(10)),
            decay_interval: self.decay_interval(),
            decay_to_zero: DECAY_TO_ZERO,
            retain_score: self.epochs(20),
            slow_peer_weight: -0.2,
            slow_peer_threshold: 10.0,
            slow_peer_decay: self.decay(self.epochs(1)),
        }
    }

    /// Parameters of one topic.
    pub(crate) fn topic_params(self, topic: &GossipTopic) -> TopicScoreParams {
        let class = TopicClass::of(topic.kind);
        let in_mesh_cap = 20.0;
        TopicScoreParams {
            topic_weight: class.weight,
            time_in_mesh_weight: MAX_POSITIVE * 0.25 / in_mesh_cap,
            time_in_mesh_quantum: self.slot.max(Duration::from_millis(1)),
            time_in_mesh_cap: in_mesh_cap,
            first_message_deliveries_weight: MAX_POSITIVE * 0.75 / class.first_deliveries_cap,
            first_message_deliveries_decay: self.decay(self.epochs(class.decay_epochs)),
            first_message_deliveries_cap: class.first_deliveries_cap,
            mesh_message_deliveries_weight: 0.0,
            mesh_message_deliveries_decay: 0.5,
            mesh_message_deliveries_cap: 1.0,
            mesh_message_deliveries_threshold: 1.0,
            mesh_message_deliveries_window: Duration::from_secs(2),
            mesh_message_deliveries_activation: self.epochs(4).max(Duration::from_secs(1)),
            mesh_failure_penalty_weight: 0.0,
            mesh_failure_penalty_decay: 0.5,
            invalid_message_deliveries_weight: GRAYLIST_THRESHOLD / INVALID_TO_GRAYLIST.powi(2) / class.weight,
            invalid_message_deliveries_decay: self.decay(self.epochs(50)),
        }
    }
}

struct TopicClass {
    weight: f64,
    decay_epochs: u32,
    first_deliveries_cap: f64,
}

impl TopicClass {
    fn of(kind: TopicKind) -> Self {
        let (weight, decay_epochs, first_deliveries_cap) = match kind {
            TopicKind::BeaconBlock | TopicKind::GroupBlockProposal => (0.5, 20, 23.0),
            TopicKind::BeaconAggregateAndProof => (0.5, 1, 180.0),
            TopicKind::GroupBlockSignature | TopicKind::SyncCommitteeContributionAndProof => (0.25, 1, 60.0),
            TopicKind::BeaconAttestation(_) => (1.0 / 64.0, 4, 24.0),
            TopicKind::SyncCommittee(_) => (0.1, 1, 60.0),
            TopicKind::DataColumnSidecar(_) => (1.0 / 128.0, 20, 23.0),
            TopicKind::VoluntaryExit
            | TopicKind::ProposerSlashing
            | TopicKind::AttesterSlashing
            | TopicKind::BlsToExecutionChange
            | TopicKind::KeySetChange => (0.05, 100, 4.0),
            TopicKind::LightClientFinalityUpdate | TopicKind::LightClientOptimisticUpdate => (0.05, 20, 4.0),
        };
        Self {
            weight,
            decay_epochs,
            first_deliveries_cap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ForkDigest;

    fn clocks() -> [ScoreClock; 3] {
        [(12_000, 32), (3_000, 8), (500, 8)].map(|(millis, slots_per_epoch)| ScoreClock {
            slot: Duration::from_millis(millis),
            slots_per_epoch,
        })
    }

    fn topic(kind: TopicKind) -> GossipTopic {
        GossipTopic::new(ForkDigest::ZERO, kind)
    }

    #[test]
    fn all_parameters_are_valid_for_long_and_short_slots() {
        for clock in clocks() {
            clock.peer_params().validate().unwrap();
            ScoreClock::thresholds().validate().unwrap();
            let subnets = [
                TopicKind::BeaconAttestation(1),
                TopicKind::SyncCommittee(1),
                TopicKind::DataColumnSidecar(9),
            ];
            for kind in TopicKind::GLOBAL.into_iter().chain(subnets) {
                clock.topic_params(&topic(kind)).validate().unwrap();
            }
        }
    }

    #[test]
    fn ten_invalid_messages_on_any_topic_outweigh_all_that_can_be_earned() {
        for clock in clocks() {
            for kind in [
                TopicKind::BeaconBlock,
                TopicKind::BeaconAttestation(3),
                TopicKind::KeySetChange,
            ] {
                let params = clock.topic_params(&topic(kind));
                let penalty = params.topic_weight * params.invalid_message_deliveries_weight * 100.0;
                assert!(penalty <= GRAYLIST_THRESHOLD, "{kind}: {penalty}");
                let one = params.topic_weight * params.invalid_message_deliveries_weight;
                assert!(
                    one < -clock.peer_params().topic_score_cap,
                    "one invalid message must leave a negative score"
                );
            }
        }
    }

    #[test]
    fn what_a_topic_gives_stays_within_its_budget() {
        let clock = clocks()[0];
        for kind in TopicKind::GLOBAL {
            let params = clock.topic_params(&topic(kind));
            let most = params.time_in_mesh_cap * params.time_in_mesh_weight
                + params.first_message_deliveries_cap * params.first_message_deliveries_weight;
            assert!((most - MAX_POSITIVE).abs() < 1e-9);
        }
    }
}
