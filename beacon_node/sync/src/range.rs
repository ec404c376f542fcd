//! Fetching by slot.
//!
//! The stretch between our head and the best peer's is cut into batches of one epoch. A few batches are on their way
//! at once, from different peers; they are imported in order, one at a time. A batch that fails is asked from another
//! peer; when all attempts are used up, the sync begins anew, with those peers first that have failed least. Where a batch
//! does not connect, the chain of its peer is followed from farther back, at most from what is final.

use std::collections::{BTreeMap, BTreeSet};
use types::{Preset, Slot};

/// Batches that are asked for ahead of the one that is imported.
const MAX_BATCHES: usize = 4;
/// Peers that a batch is asked from before the sync gives up on it.
const MAX_ATTEMPTS: usize = 5;
/// So many slots behind the best peer a node is in sync: blocks of these come by gossip or by root.
const IN_SYNC_SLOTS: u64 = 2;

/// Number of a batch, unique per sync.
pub type BatchId = u64;

/// What a peer says of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerChain {
    /// Slot of its head.
    pub head_slot: Slot,
    /// First slot that it can serve.
    pub earliest_available_slot: Slot,
}

/// What a peer did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeFault {
    /// It did not answer, or with an error.
    NoAnswer,
    /// It sent blocks outside the range, out of order, or more than asked for.
    WrongBlocks,
    /// It sent a block that is invalid.
    InvalidBlocks,
}

/// How the import of a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOutcome {
    /// All blocks are imported (or were before).
    Imported,
    /// A block is invalid, or does not connect to the one before it: the peer's fault.
    Faulty,
    /// The parent of the first block is not known.
    Unlinked {
        /// The block that is final here: no chain that is of use parts from ours before it.
        finalized_slot: Slot,
    },
    /// Something inside failed: try again, nobody is to blame.
    Retry,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeAction<Peer, Block> {
    /// Ask a peer for blocks of `count` slots from `start_slot` on.
    Request {
        /// Which batch.
        batch: BatchId,
        /// Whom.
        peer: Peer,
        /// First slot.
        start_slot: Slot,
        /// Number of slots.
        count: u64,
    },
    /// Import blocks, in order.
    Import {
        /// Which batch.
        batch: BatchId,
        /// Ascending by slot; may be empty.
        blocks: Vec<Block>,
    },
    /// A peer did something wrong.
    Report {
        /// Who.
        peer: Peer,
        /// What.
        fault: RangeFault,
    },
}

#[derive(Debug)]
enum State<Peer, Block> {
    /// Nobody is asked yet.
    Waiting,
    Requested {
        peer: Peer,
    },
    Received {
        peer: Peer,
        blocks: Vec<Block>,
    },
    Importing {
        peer: Peer,
        has_blocks: bool,
    },
}

#[derive(Debug)]
struct Batch<Peer, Block> {
    start_slot: Slot,
    state: State<Peer, Block>,
    tried: Vec<Peer>,
}

/// The sync of one node.
#[derive(Debug)]
pub struct RangeSync<P: Preset, Peer, Block> {
    /// Slot of our head.
    head_slot: Slot,
    peers: BTreeMap<Peer, PeerChain>,
    /// Ascending by id and by slot.
    batches: BTreeMap<BatchId, Batch<Peer, Block>>,
    next_batch: BatchId,
    /// First slot that no batch covers.
    next_slot: Slot,
    /// How often peers failed a batch, or served one that was of no use, in this sync.
    failures: BTreeMap<Peer, u32>,
    /// Who served the batch that was imported last.
    last_served: Option<Peer>,
    /// Whose chain is followed until it has a batch from this slot on: one of its batches did not connect.
    guide: Option<(Peer, Slot)>,
    /// Epochs to go back when our chain has parted from the peers'.
    step_back: u64,
    _preset: std::marker::PhantomData<P>,
}

impl<P: Preset, Peer: Ord + Clone, Block> RangeSync<P, Peer, Block> {
    /// A sync from a head on.
    pub fn new(head_slot: Slot) -> Self {
        Self {
            head_slot,
            peers: BTreeMap::new(),
            batches: BTreeMap::new(),
            next_batch: 0,
            next_slot: head_slot.saturating_add(1u64),
            failures: BTreeMap::new(),
            last_served: None,
            guide: None,
            step_back: 1,
            _preset: std::marker::PhantomData,
        }
    }

    /// Whether there is something to fetch.
    pub fn is_syncing(&self) -> bool {
        !self.batches.is_empty() || self.target_slot() > self.head_slot.saturating_add(IN_SYNC_SLOTS)
    }

    /// How many slots our head is behind the best peer's.
    pub fn distance(&self) -> u64 {
        self.target_slot().saturating_sub(self.head_slot).as_u64()
    }

    /// How many peers have told where they are, those left out that were caught lying.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    fn target_slot(&self) -> Slot {
        self.peers
            .values()
            .map(|chain| chain.head_slot)
            .max()
            .unwrap_or_default()
    }

    /// A peer said where it is.
    pub fn on_peer_status(&mut self, peer: Peer, chain: PeerChain) -> Vec<RangeAction<Peer, Block>> {
        self.peers.insert(peer, chain);
        if self.batches.is_empty() && self.is_syncing() {
            // All was asked for, and the head is not there: somebody has kept something back.
            if let Some(suspect) = self.last_served.take() {
                self.note_failure(suspect);
            }
            self.next_slot = self.head_slot.saturating_add(1u64);
            self.guide = None;
        }
        self.proceed()
    }

    /// A peer is gone.
    pub fn on_peer_disconnected(&mut self, peer: &Peer) -> Vec<RangeAction<Peer, Block>> {
        self.peers.remove(peer);
        self.failures.remove(peer);
        self.guide.take_if(|(guide, _)| guide == peer);
        for batch in self.batches.values_mut() {
            if matches!(&batch.state, State::Requested { peer: asked } if asked == peer) {
                batch.state = State::Waiting;
            }
        }
        self.proceed()
    }

    /// Our head moved, by this sync or otherwise.
    pub fn on_head(&mut self, head_slot: Slot) -> Vec<RangeAction<Peer, Block>> {
        self.head_slot = head_slot;
        if self.batches.is_empty() {
            self.next_slot = head_slot.saturating_add(1u64);
        }
        if !self.is_syncing() {
            self.failures.clear();
        }
        self.proceed()
    }

    /// A peer answered with blocks; `slots` are theirs, in the order in which they came.
    pub fn on_blocks(&mut self, id: BatchId, slots: &[Slot], blocks: Vec<Block>) -> Vec<RangeAction<Peer, Block>> {
        let count = P::slots_per_epoch();
        let Some(batch) = self.batches.get_mut(&id) else {
            return Vec::new();
        };
        let State::Requested { peer } = &batch.state else {
            return Vec::new();
        };
        let peer = peer.clone();
        let range = batch.start_slot..batch.start_slot.saturating_add(count);
        let is_ascending = slots
            .iter()
            .zip(slots.iter().skip(1))
            .all(|(first, second)| first < second);
        if slots.len() == blocks.len() && is_ascending && slots.iter().all(|slot| range.contains(slot)) {
            batch.state = State::Received { peer, blocks };
            return self.proceed();
        }
        self.fail(id, Some(RangeFault::WrongBlocks))
    }

    /// A peer did not answer.
    pub fn on_request_failed(&mut self, id: BatchId) -> Vec<RangeAction<Peer, Block>> {
        match self.batches.get(&id).map(|batch| &batch.state) {
            Some(State::Requested { .. }) => self.fail(id, Some(RangeFault::NoAnswer)),
            _ => Vec::new(),
        }
    }

    /// The import of a batch ended.
    pub fn on_imported(&mut self, id: BatchId, outcome: BatchOutcome) -> Vec<RangeAction<Peer, Block>> {
        let Some(batch) = self.batches.get(&id) else {
            return Vec::new();
        };
        let State::Importing { peer, has_blocks } = &batch.state else {
            return Vec::new();
        };
        match outcome {
            BatchOutcome::Imported => {
                self.last_served = Some(peer.clone());
                if *has_blocks {
                    self.step_back = 1;
                }
                self.guide.take_if(|(_, until)| *until <= batch.start_slot);
                self.batches.remove(&id);
                self.proceed()
            }
            BatchOutcome::Unlinked { finalized_slot } => self.unlinked(id, finalized_slot),
            BatchOutcome::Faulty => self.fail(id, Some(RangeFault::InvalidBlocks)),
            BatchOutcome::Retry => self.fail(id, None),
        }
    }

    /// A batch does not connect: its peer sends anything, or who served the one before has kept something back, or our chain
    /// has parted from theirs. The peer shows which it is: all comes from it, from ever farther back, until it connects. Where
    /// nothing can be missing before it, it is the peer's fault.
    fn unlinked(&mut self, id: BatchId, finalized_slot: Slot) -> Vec<RangeAction<Peer, Block>> {
        let first = finalized_slot.saturating_add(1u64);
        let Some(batch) = self.batches.get(&id) else {
            return Vec::new();
        };
        let start_slot = batch.start_slot;
        if start_slot == first {
            return self.fail(id, Some(RangeFault::InvalidBlocks));
        }
        if let State::Importing { peer, .. } = &batch.state {
            let until = self.guide.take().map_or(start_slot, |(_, until)| until.max(start_slot));
            self.guide = Some((peer.clone(), until));
        }
        let slots = P::slots_per_epoch().saturating_mul(self.step_back);
        self.step_back = self.step_back.saturating_mul(2);
        self.batches.clear();
        self.next_slot = start_slot.saturating_sub(slots).max(first);
        self.proceed()
    }

    fn note_failure(&mut self, peer: Peer) {
        if self.peers.contains_key(&peer) {
            let failures = self.failures.entry(peer).or_default();
            *failures = failures.saturating_add(1);
        }
    }

    /// Asks another peer for a batch; after too many, starts again from our head.
    fn fail(&mut self, id: BatchId, fault: Option<RangeFault>) -> Vec<RangeAction<Peer, Block>> {
        let Some(batch) = self.batches.get_mut(&id) else {
            return Vec::new();
        };
        let state = std::mem::replace(&mut batch.state, State::Waiting);
        let (State::Requested { peer } | State::Received { peer, .. } | State::Importing { peer, .. }) = state else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        batch.tried.push(peer.clone());
        let attempts = batch.tried.len();
        self.note_failure(peer.clone());
        self.guide.take_if(|(guide, _)| *guide == peer);
        if let Some(fault) = fault {
            actions.push(RangeAction::Report {
                peer: peer.clone(),
                fault,
            });
            if fault != RangeFault::NoAnswer {
                // What it says of its chain is not to be relied on.
                self.peers.remove(&peer);
            }
        }
        if attempts >= MAX_ATTEMPTS {
            self.batches.clear();
            self.next_slot = self.head_slot.saturating_add(1u64);
        }
        actions.extend(self.proceed());
        actions
    }

    /// Makes batches, asks for them, and imports the first one that is here.
    fn proceed(&mut self) -> Vec<RangeAction<Peer, Block>> {
        let mut actions = Vec::new();
        let count = P::slots_per_epoch();
        let target = self.target_slot();
        let is_behind = target > self.head_slot.saturating_add(IN_SYNC_SLOTS) || !self.batches.is_empty();
        while is_behind && self.batches.len() < MAX_BATCHES && self.next_slot <= target {
            let batch = Batch {
                start_slot: self.next_slot,
                state: State::Waiting,
                tried: Vec::new(),
            };
            self.batches.insert(self.next_batch, batch);
            self.next_batch = self.next_batch.saturating_add(1);
            self.next_slot = self.next_slot.saturating_add(count);
        }

        let mut busy: BTreeSet<Peer> = self
            .batches
            .values()
            .filter_map(|batch| match &batch.state {
                State::Requested { peer } => Some(peer.clone()),
                _ => None,
            })
            .collect();
        for (id, batch) in &mut self.batches {
            if !matches!(batch.state, State::Waiting) {
                continue;
            }
            // One batch for each peer at a time. Who failed it is asked again only if nobody else could serve it: a peer
            // that is busy now is worth waiting for.
            let guide = self.guide.as_ref().map(|(guide, _)| guide);
            let guide = guide.filter(|guide| {
                self.peers
                    .get(guide)
                    .is_some_and(|chain| can_serve(chain, batch.start_slot))
            });
            let is_followed = |peer: &Peer| guide.is_none_or(|guide| guide == peer);
            let able = || {
                let peers = self.peers.iter().filter(|(peer, _)| is_followed(peer));
                peers.filter(|(_, chain)| can_serve(chain, batch.start_slot))
            };
            let is_new = |peer: &Peer| !batch.tried.contains(peer);
            let has_new = able().any(|(peer, _)| is_new(peer));
            let fresh = able().filter(|(peer, _)| !busy.contains(*peer) && (!has_new || is_new(peer)));
            let failures = |peer: &Peer| self.failures.get(peer).copied().unwrap_or_default();
            let fresh = fresh.min_by_key(|(peer, _)| failures(peer));
            let Some(peer) = fresh.map(|(peer, _)| peer.clone()) else {
                continue;
            };
            busy.insert(peer.clone());
            batch.state = State::Requested { peer: peer.clone() };
            actions.push(RangeAction::Request {
                batch: *id,
                peer,
                start_slot: batch.start_slot,
                count,
            });
        }

        if let Some((id, batch)) = self.batches.iter_mut().next() {
            match std::mem::replace(&mut batch.state, State::Waiting) {
                State::Received { peer, blocks } => {
                    let has_blocks = !blocks.is_empty();
                    batch.state = State::Importing { peer, has_blocks };
                    actions.push(RangeAction::Import { batch: *id, blocks });
                }
                other => batch.state = other,
            }
        }
        actions
    }
}

fn can_serve(chain: &PeerChain, start_slot: Slot) -> bool {
    chain.head_slot >= start_slot && chain.earliest_available_slot <= start_slot
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
