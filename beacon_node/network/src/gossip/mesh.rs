//! The gossipsub behaviour with the parameters of the spec.

use super::{GossipTopic, PayloadLimits, ScoreClock, SnappyTransform, max_message_size, message_id};
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId, MetricsConfig,
    TopicHash, TopicSubscriptionFilter, ValidationMode,
};
use libp2p::metrics::Registry;
use parking_lot::RwLock;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use types::ForkDigest;

/// The gossipsub of this node.
pub(crate) type Gossipsub = Behaviour<SnappyTransform, MaxCountSubscriptionFilter<KnownDigests>>;

/// Lets peers subscribe only to well-formed topics of forks in the schedule, so that nobody fills our tables with names.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownDigests(pub(crate) Arc<RwLock<HashSet<ForkDigest>>>);

impl TopicSubscriptionFilter for KnownDigests {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        topic
            .as_str()
            .parse::<GossipTopic>()
            .is_ok_and(|topic| self.0.read().contains(&topic.fork_digest))
    }
}

/// Topics of one fork: 12 global, 64 attestation, 4 sync committee, 128 column subnets.
const TOPICS_PER_FORK: usize = 208;
/// A peer at a fork follows two.
const MAX_TOPICS_PER_PEER: usize = 2 * TOPICS_PER_FORK;

/// The topic as gossipsub wants it.
pub(crate) fn ident_topic(topic: &GossipTopic) -> IdentTopic {
    IdentTopic::new(topic.to_string())
}

/// Builds the behaviour. Spec: phase0/p2p-interface.md#the-gossip-domain-gossipsub
pub(crate) fn gossipsub(
    clock: ScoreClock,
    limits: PayloadLimits,
    known_digests: KnownDigests,
    registry: &mut Registry,
) -> Result<Gossipsub, String> {
    let config = ConfigBuilder::default()
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .mesh_outbound_min(3)
        .gossip_lazy(6)
        .heartbeat_interval(Duration::from_millis(700))
        .heartbeat_initial_delay(Duration::from_millis(700))
        .fanout_ttl(Duration::from_secs(60))
        .history_length(6)
        .history_gossip(3)
        .duplicate_cache_time(clock.seen_ttl())
        .max_transmit_size(max_message_size())
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .allow_self_origin(true)
        .flood_publish(true)
        .message_id_fn(|message| MessageId::from(message_id(message.topic.as_str(), &message.data).to_vec()))
        // 20-byte ids: what one heartbeat may advertise, and the frame that it takes with room to spare.
        .max_control_messages_sent(2000)
        .max_control_message_size(256 << 10)
        // Bounds the memory that one stalled peer can hold.
        .connection_handler_queue_len(1000)
        .build()
        .map_err(|error| error.to_string())?;
    let filter = MaxCountSubscriptionFilter {
        filter: known_digests,
        max_subscribed_topics: MAX_TOPICS_PER_PEER,
        max_subscriptions_per_request: 2 * MAX_TOPICS_PER_PEER,
    };
    let mut behaviour = Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        filter,
        SnappyTransform(limits),
    )?
    .with_metrics(
        registry.sub_registry_with_prefix("gossipsub"),
        MetricsConfig {
            max_topics: 2 * TOPICS_PER_FORK,
            max_never_subscribed_topics: 16,
            ..MetricsConfig::default()
        },
    );
    behaviour.with_peer_score(clock.peer_params(), ScoreClock::thresholds())?;
    Ok(behaviour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::TopicKind;
    use types::ChainSpec;

    #[test]
    fn the_behaviour_accepts_its_settings() {
        let clock = ScoreClock {
            slot: Duration::from_secs(3),
            slots_per_epoch: 8,
        };
        let mut registry = Registry::default();
        let limits = PayloadLimits::of(&ChainSpec::mainnet());
        assert!(gossipsub(clock, limits, KnownDigests::default(), &mut registry).is_ok());
    }

    #[test]
    fn peers_may_follow_topics_of_scheduled_forks_only() {
        let mut filter = KnownDigests::default();
        let topic = GossipTopic::new(ForkDigest::new([1; 4]), TopicKind::BeaconBlock);
        let hash = ident_topic(&topic).hash();
        assert!(!filter.can_subscribe(&hash));
        filter.0.write().insert(topic.fork_digest);
        assert!(filter.can_subscribe(&hash));
        assert!(!filter.can_subscribe(&TopicHash::from_raw("/eth2/01010101/foo/ssz_snappy")));
    }
}
