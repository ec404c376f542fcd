//! The bounded way to the router. Gossip and requests may be lost, with a count; what changes the peer list may not.

use crate::api::{GossipMessage, NetworkEvent, ResponseEvent, ResponsePart};
use crate::gossip::{GossipTopic, MAX_PAYLOAD_SIZE};
use crate::metrics::NetworkMetrics;
use crate::rpc::ResponseChunk;
use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Beyond it statuses are dropped.
const MAX_BACKLOG: usize = 1024;

pub(super) struct EventQueue {
    sender: mpsc::Sender<NetworkEvent>,
    /// Events that must not be lost, in order. Bounded by the peer limit: a few per connection.
    backlog: VecDeque<NetworkEvent>,
    gossip_bytes: Arc<Semaphore>,
    gossip_capacity: usize,
    /// What each peer may take of that: half of it, so that one alone does not make this node deaf.
    gossip_shares: HashMap<PeerId, Arc<Semaphore>>,
    response_bytes: Arc<Semaphore>,
    response_capacity: usize,
    metrics: NetworkMetrics,
}

/// The way of answers: waits for room in number and bytes, so that an answer is read no faster than it is used.
pub(super) struct AnswerQueue {
    sender: mpsc::Sender<NetworkEvent>,
    bytes: Arc<Semaphore>,
    capacity: usize,
}

impl AnswerQueue {
    /// `false`: nobody listens any more.
    pub(super) async fn send(&self, peer: PeerId, id: u64, event: ResponseEvent) -> bool {
        let bytes = match &event {
            ResponseEvent::Chunk(ResponseChunk::Object { ssz, .. }) => ssz.len().min(self.capacity),
            _ => 0,
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = self.bytes.clone().acquire_many_owned(bytes).await.ok();
        let part = ResponsePart {
            peer,
            id,
            event,
            _permit: permit,
        };
        self.sender.send(NetworkEvent::Response(part)).await.is_ok()
    }
}

impl EventQueue {
    pub(super) fn new(
        sender: mpsc::Sender<NetworkEvent>,
        gossip_bytes: usize,
        response_bytes: usize,
        metrics: NetworkMetrics,
    ) -> Self {
        let gossip_capacity = gossip_bytes.min(Semaphore::MAX_PERMITS);
        let response_capacity = response_bytes.min(u32::MAX as usize);
        Self {
            sender,
            backlog: VecDeque::new(),
            gossip_bytes: Arc::new(Semaphore::new(gossip_capacity)),
            gossip_capacity,
            gossip_shares: HashMap::new(),
            response_bytes: Arc::new(Semaphore::new(response_capacity)),
            response_capacity,
            metrics,
        }
    }

    /// Where an answer to `send_request` is passed on, part by part.
    pub(super) fn for_answers(&self) -> AnswerQueue {
        AnswerQueue {
            sender: self.sender.clone(),
            bytes: self.response_bytes.clone(),
            capacity: self.response_capacity,
        }
    }

    /// Queues an event that must arrive; a status, which is repeated anyway, only while the backlog is short.
    pub(super) fn must(&mut self, event: NetworkEvent) {
        if self.backlog.len() >= MAX_BACKLOG && matches!(event, NetworkEvent::PeerStatus { .. }) {
            self.metrics.dropped.with_label_values(&["peer_status"]).inc();
        } else if !self.backlog.is_empty() {
            self.backlog.push_back(event);
        } else if let Err(mpsc::error::TrySendError::Full(event)) = self.sender.try_send(event) {
            self.backlog.push_back(event);
        }
    }

    /// Queues gossip if there is room for it in number and bytes. `false`: dropped.
    pub(super) fn gossip(&mut self, topic: GossipTopic, source: PeerId, message_id: MessageId, data: Vec<u8>) -> bool {
        let queued = match self.gossip_place(source, data.len()) {
            Some(permits) if self.backlog.is_empty() => {
                let message = GossipMessage {
                    topic,
                    source,
                    message_id,
                    data,
                    permits: Some(permits),
                };
                self.sender.try_send(NetworkEvent::Gossip(message)).is_ok()
            }
            _ => false,
        };
        if !queued {
            self.metrics.dropped.with_label_values(&[topic.kind.family()]).inc();
        }
        queued
    }

    /// Room for a message: of all, and of its peer.
    fn gossip_place(&mut self, source: PeerId, bytes: usize) -> Option<[OwnedSemaphorePermit; 2]> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // The largest message passes.
        let share = (self.gossip_capacity / 2).max(self.gossip_capacity.min(MAX_PAYLOAD_SIZE));
        let of_peer = self.gossip_shares.entry(source);
        let of_peer = Arc::clone(of_peer.or_insert_with(|| Arc::new(Semaphore::new(share))));
        let of_peer = of_peer.try_acquire_many_owned(bytes).ok()?;
        let of_all = Arc::clone(&self.gossip_bytes).try_acquire_many_owned(bytes).ok()?;
        Some([of_peer, of_all])
    }

    /// Queues an event that may be lost; gives it back if there is no room.
    pub(super) fn may(&mut self, event: NetworkEvent) -> Result<(), Box<NetworkEvent>> {
        use mpsc::error::TrySendError;
        if !self.backlog.is_empty() {
            return Err(Box::new(event));
        }
        self.sender.try_send(event).map_err(|error| match error {
            TrySendError::Full(event) | TrySendError::Closed(event) => Box::new(event),
        })
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Waits for room and sends the oldest event of the backlog. Cancel-safe.
    pub(super) async fn flush(&mut self) {
        match self.sender.reserve().await {
            Ok(permit) => {
                if let Some(event) = self.backlog.pop_front() {
                    permit.send(event);
                }
            }
            Err(_) => self.backlog.clear(),
        }
    }

    /// Forgets the shares of peers of which nothing waits.
    pub(super) fn prune(&mut self) {
        self.gossip_shares.retain(|_, share| Arc::strong_count(share) > 1);
    }

    pub(super) fn update_metrics(&self) {
        let waiting = self.sender.max_capacity() - self.sender.capacity() + self.backlog.len();
        self.metrics.event_queue.set(waiting as i64);
        let bytes = self.gossip_capacity - self.gossip_bytes.available_permits();
        self.metrics.gossip_bytes.set(bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::TopicKind;
    use types::ForkDigest;

    fn queue(events: usize, bytes: usize) -> (EventQueue, mpsc::Receiver<NetworkEvent>) {
        let (sender, receiver) = mpsc::channel(events);
        let metrics = NetworkMetrics::new(&prometheus::Registry::new()).unwrap();
        (EventQueue::new(sender, bytes, bytes, metrics), receiver)
    }

    fn gossip(queue: &mut EventQueue, bytes: usize) -> bool {
        gossip_of(queue, PeerId::random(), bytes)
    }

    #[tokio::test]
    async fn gossip_is_bounded_in_bytes_until_it_is_taken() {
        let (mut queue, mut receiver) = queue(10, 100);
        assert!(gossip(&mut queue, 60));
        assert!(!gossip(&mut queue, 60));
        assert_eq!(queue.metrics.dropped.with_label_values(&["beacon_block"]).get(), 1);
        drop(receiver.recv().await);
        assert!(gossip(&mut queue, 60));
    }

    fn gossip_of(queue: &mut EventQueue, peer: PeerId, bytes: usize) -> bool {
        let topic = GossipTopic::new(ForkDigest::ZERO, TopicKind::BeaconBlock);
        queue.gossip(topic, peer, MessageId::from(vec![1]), vec![0; bytes])
    }

    #[tokio::test]
    async fn a_message_that_is_kept_elsewhere_takes_no_room_from_others() {
        let (mut queue, mut receiver) = queue(10, 100);
        let peer = PeerId::random();
        assert!(gossip_of(&mut queue, peer, 100));
        let Some(NetworkEvent::Gossip(message)) = receiver.recv().await else {
            panic!("it was queued");
        };
        assert!(!gossip_of(&mut queue, peer, 1), "it is being looked at");
        let kept = message.uncounted();
        assert!(gossip_of(&mut queue, peer, 100));
        assert_eq!(kept.data.len(), 100);
    }

    #[tokio::test]
    async fn no_peer_takes_all_room_for_gossip() {
        const CAPACITY: usize = 4 * MAX_PAYLOAD_SIZE;
        let (mut queue, mut receiver) = queue(10, CAPACITY);
        let [greedy, other] = [PeerId::random(), PeerId::random()];
        assert!(gossip_of(&mut queue, greedy, MAX_PAYLOAD_SIZE));
        assert!(gossip_of(&mut queue, greedy, MAX_PAYLOAD_SIZE));
        assert!(!gossip_of(&mut queue, greedy, 1));
        assert!(gossip_of(&mut queue, other, MAX_PAYLOAD_SIZE));
        queue.prune();
        assert!(!gossip_of(&mut queue, greedy, 1), "its messages wait");
        while let Ok(event) = receiver.try_recv() {
            drop(event);
        }
        queue.prune();
        assert!(queue.gossip_shares.is_empty());
        assert!(gossip_of(&mut queue, greedy, 1));
    }

    #[tokio::test]
    async fn answers_wait_for_bytes_and_an_oversized_chunk_passes_alone() {
        let (queue, mut receiver) = queue(10, 100);
        let answers = queue.for_answers();
        let chunk = |bytes| {
            let ssz = vec![0; bytes];
            ResponseEvent::Chunk(ResponseChunk::Object {
                fork_digest: ForkDigest::ZERO,
                ssz,
            })
        };
        let peer = PeerId::random();
        assert!(answers.send(peer, 1, chunk(500)).await);
        let second = answers.send(peer, 1, chunk(50));
        tokio::pin!(second);
        assert!(futures::poll!(&mut second).is_pending());
        drop(receiver.recv().await);
        assert!(second.await);
        assert!(answers.send(peer, 1, ResponseEvent::End).await);
        drop(receiver);
        assert!(!answers.send(peer, 1, ResponseEvent::End).await);
    }

    #[tokio::test]
    async fn connection_events_survive_a_full_queue_in_order() {
        let (mut queue, mut receiver) = queue(1, 100);
        let peers: Vec<PeerId> = (0..3).map(|_| PeerId::random()).collect();
        for peer in &peers {
            queue.must(NetworkEvent::PeerDisconnected { peer: *peer });
        }
        assert!(queue.has_backlog() && !gossip(&mut queue, 1));
        for expected in &peers {
            match receiver.recv().await {
                Some(NetworkEvent::PeerDisconnected { peer }) => assert_eq!(peer, *expected),
                other => panic!("{other:?}"),
            }
            if queue.has_backlog() {
                queue.flush().await;
            }
        }
        assert!(!queue.has_backlog() && gossip(&mut queue, 1));
    }
}
