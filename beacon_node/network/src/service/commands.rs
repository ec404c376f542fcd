//! What the handle asks for.

use super::Service;
use super::peering::DelayedAction;
use crate::api::{Command, PublishError, ResponseEvent, Verdict};
use crate::config::ForkContext;
use crate::enr::{ATTNETS_KEY, CGC_KEY, ETH2_KEY, NFD_KEY, SYNCNETS_KEY};
use crate::gossip::{GossipTopic, TopicKind, ident_topic};
use crate::metrics::client_name;
use crate::rpc::{MetaData, Request, ResponseSink, response_channel};
use bytes::Bytes;
use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use ssz::Encode;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use types::ForkDigest;

impl Service {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, data, reply } => {
                if self.outbound_delay.is_zero() {
                    let _ = reply.send(self.publish(topic, data));
                } else {
                    self.delay(DelayedAction::Publish { topic, data });
                    let _ = reply.send(Ok(()));
                }
            }
            Command::Validated {
                message_id,
                source,
                verdict,
            } => self.on_verdict(message_id, source, verdict),
            Command::Request { peer, request, sink } => self.send_request(peer, request, sink),
            Command::Forward { peer, id, request } => self.forward_answer(peer, id, request),
            Command::Subscribe(kinds) => self.subscribe(kinds),
            Command::Unsubscribe(kinds) => self.unsubscribe(&kinds),
            Command::SubscribeFork(digest) => self.subscribe_fork(digest),
            Command::UnsubscribeFork(digest) => self.unsubscribe_fork(digest),
            Command::DiscoverSubnets(kinds) => self.publish_subnets = kinds.into_iter().collect(),
            Command::UpdateFork(forks) => self.update_fork(forks),
            Command::SetStatus(status) => self.status = status,
            Command::SetSubnets { attnets, syncnets } => self.update_metadata(|metadata| {
                metadata.attnets = attnets;
                metadata.syncnets = syncnets;
            }),
            Command::SetCustodyGroupCount(count) => {
                self.update_metadata(|metadata| metadata.custody_group_count = Some(count));
            }
            Command::ReportPeer { peer, penalty, reason } => self.penalise(peer, penalty, reason, "router"),
            Command::SendStatus(peer) => self.send_status(peer, Instant::now()),
            Command::Disconnect { peer, reason } => self.leave(peer, reason),
            Command::Connect(address) => self.connect(address),
            Command::Peers(reply) => {
                let _ = reply.send(self.peers.summaries());
            }
            Command::Peer { peer, reply } => {
                let _ = reply.send(self.peers.summary(&peer));
            }
            Command::Topics(reply) => {
                let _ = reply.send(self.followed_topics().collect());
            }
            Command::SetBlockedPeers(peers) => self.block(peers),
            Command::SetOutboundDelay(delay) => {
                self.outbound_delay = delay;
                let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.response_delay.store(millis, Ordering::Relaxed);
            }
            Command::SetColumnFaults(faults) => self.column_faults = faults,
            // Taken by the loop.
            Command::Shutdown(_) => {}
        }
    }

    pub(super) fn publish(&mut self, topic: GossipTopic, data: Vec<u8>) -> Result<(), PublishError> {
        if self.column_faults.withholds(topic.kind) {
            return Ok(());
        }
        let result = self.swarm.behaviour_mut().gossipsub.publish(ident_topic(&topic), data);
        result.map(drop).map_err(|error| {
            let error = match error {
                gossipsub::PublishError::Duplicate => PublishError::Duplicate,
                gossipsub::PublishError::NoPeersSubscribedToTopic => PublishError::NoPeers(topic),
                other => PublishError::Failed {
                    topic,
                    reason: other.to_string(),
                },
            };
            if error != PublishError::Duplicate {
                self.metrics
                    .failed_publishes
                    .with_label_values(&[topic.kind.family()])
                    .inc();
            }
            error
        })
    }

    pub(super) fn on_verdict(&mut self, message_id: MessageId, source: PeerId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept if !self.outbound_delay.is_zero() => {
                return self.delay(DelayedAction::Forward { message_id, source });
            }
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        self.report_to_mesh(&message_id, source, acceptance);
    }

    pub(super) fn report_to_mesh(&mut self, message_id: &MessageId, source: PeerId, acceptance: MessageAcceptance) {
        let label = match acceptance {
            MessageAcceptance::Accept => None,
            MessageAcceptance::Ignore => Some("ignore"),
            MessageAcceptance::Reject => Some("reject"),
        };
        if let Some(label) = label {
            let client = client_name(self.peers.get(&source).and_then(|peer| peer.agent.as_deref()));
            self.metrics.unaccepted.with_label_values(&[client, label]).inc();
        }
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        gossipsub.report_message_validation_result(message_id, &source, acceptance);
    }

    fn send_request(&mut self, peer: PeerId, request: Request, sink: ResponseSink) {
        let Some(request) = self.column_faults.to_be_asked(request) else {
            return sink.end();
        };
        if self.outbound_delay.is_zero() {
            self.send_now(peer, request, sink);
        } else {
            self.delay(DelayedAction::Request { peer, request, sink });
        }
    }

    /// Pumps an answer into the event channel; waits for room there, so that only this answer is slowed down.
    fn forward_answer(&mut self, peer: PeerId, id: u64, request: Request) {
        let (sink, mut stream) = response_channel();
        self.send_request(peer, request, sink);
        let events = self.events.for_answers();
        tokio::spawn(async move {
            loop {
                let event = match stream.next().await {
                    Some(Ok(chunk)) => ResponseEvent::Chunk(chunk),
                    Some(Err(error)) => ResponseEvent::Error(error),
                    None => ResponseEvent::End,
                };
                let last = !matches!(event, ResponseEvent::Chunk(_));
                if !events.send(peer, id, event).await || last {
                    return;
                }
            }
        });
    }

    fn has_topic(&self, digest: ForkDigest, kind: TopicKind) -> bool {
        let fork = self.forks.known_forks.iter().find(|fork| fork.digest == digest);
        !kind.is_group_topic() || fork.is_some_and(|fork| fork.has_groups)
    }

    fn followed_topics(&self) -> impl Iterator<Item = GossipTopic> {
        self.digests
            .iter()
            .flat_map(|digest| self.topics.iter().map(|kind| GossipTopic::new(*digest, *kind)))
            .filter(|topic| self.has_topic(topic.fork_digest, topic.kind))
    }

    fn follow(&mut self, topics: Vec<GossipTopic>) {
        for topic in topics {
            let params = self.clock.topic_params(&topic);
            let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
            let result = gossipsub
                .set_topic_params(ident_topic(&topic), params)
                .map_err(str::to_owned);
            let result = result.and_then(|()| gossipsub.subscribe(&ident_topic(&topic)).map_err(|e| e.to_string()));
            if let Err(error) = result {
                tracing::warn!(%topic, error, "cannot follow topic");
            }
        }
    }

    fn abandon(&mut self, topics: Vec<GossipTopic>) {
        for topic in topics {
            self.swarm.behaviour_mut().gossipsub.unsubscribe(&ident_topic(&topic));
        }
    }

    fn subscribe(&mut self, kinds: Vec<TopicKind>) {
        let before: HashSet<GossipTopic> = self.followed_topics().collect();
        self.topics.extend(kinds);
        let new = self.followed_topics().filter(|topic| !before.contains(topic)).collect();
        self.follow(new);
    }

    fn unsubscribe(&mut self, kinds: &[TopicKind]) {
        let gone = self
            .followed_topics()
            .filter(|topic| kinds.contains(&topic.kind))
            .collect();
        self.topics.retain(|kind| !kinds.contains(kind));
        self.abandon(gone);
    }

    fn subscribe_fork(&mut self, digest: ForkDigest) {
        if self.digests.insert(digest) {
            self.allow_known_digests();
            let new = self
                .followed_topics()
                .filter(|topic| topic.fork_digest == digest)
                .collect();
            self.follow(new);
        }
    }

    fn unsubscribe_fork(&mut self, digest: ForkDigest) {
        if digest == self.forks.current_digest() {
            return;
        }
        let gone = self
            .followed_topics()
            .filter(|topic| topic.fork_digest == digest)
            .collect();
        self.digests.remove(&digest);
        self.abandon(gone);
        self.allow_known_digests();
    }

    /// Both digests stay followed until the caller leaves the old one.
    fn update_fork(&mut self, forks: ForkContext) {
        let eth2 = Bytes::from(forks.enr_fork_id.as_ssz_bytes());
        let nfd = Bytes::copy_from_slice(forks.next_fork_digest.as_slice());
        self.record.update(|enr, key| {
            enr.insert(ETH2_KEY, &eth2, key)?;
            enr.insert(NFD_KEY, &nfd, key).map(drop)
        });
        self.forks = forks;
        self.allow_known_digests();
        self.subscribe_fork(self.forks.current_digest());
    }

    /// Metadata and record say the same; the sequence number of the metadata grows with every change.
    fn update_metadata(&mut self, change: impl FnOnce(&mut MetaData)) {
        let metadata = {
            let mut metadata = self.shared.metadata.write();
            let before = metadata.clone();
            change(&mut metadata);
            if *metadata == before {
                return;
            }
            metadata.seq_number = before.seq_number.saturating_add(1);
            metadata.clone()
        };
        self.record.update(|enr, key| {
            enr.insert(ATTNETS_KEY, &Bytes::from(metadata.attnets.as_ssz_bytes()), key)?;
            enr.insert(SYNCNETS_KEY, &Bytes::from(metadata.syncnets.as_ssz_bytes()), key)?;
            enr.insert(CGC_KEY, &metadata.custody_group_count.unwrap_or_default(), key)
                .map(drop)
        });
    }

    fn block(&mut self, peers: HashSet<PeerId>) {
        for peer in &peers {
            let _ = self.swarm.disconnect_peer_id(*peer);
        }
        let before = std::mem::replace(&mut self.swarm.behaviour_mut().gate.blocked, peers);
        let gate = &self.swarm.behaviour().gate;
        // A healed link is tried again at once.
        before
            .iter()
            .filter(|peer| !gate.refuses(peer))
            .for_each(|peer| self.peers.dial_at_once(peer));
        self.next_boot_dial = Instant::now();
    }

    pub(super) fn delay(&mut self, action: DelayedAction) {
        self.after(self.outbound_delay, action);
    }

    pub(super) fn after(&mut self, time: Duration, action: DelayedAction) {
        /// Actions that may wait; beyond it the oldest is done early, which bounds the memory of a fault test.
        const MAX_DELAYED: usize = 4096;
        if self.delayed.len() >= MAX_DELAYED
            && let Some((_, oldest)) = self.delayed.pop_first()
        {
            self.perform(oldest);
        }
        self.delayed_number += 1;
        self.delayed
            .insert((Instant::now() + time, self.delayed_number), action);
    }
}
