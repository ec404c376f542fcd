//! Messages for blocks that are not here yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use types::{Root, Slot};

/// Messages that wait at a time.
const MAX_WAITING: usize = 2048;
/// Messages of one peer that wait at a time.
const MAX_WAITING_PER_PEER: usize = 512;
/// Their bytes, which do not count as coming in any more.
const MAX_BYTES: usize = 32 << 20;
/// Bytes of one peer: it may be the only one, and hand over all columns of a block with 21 blobs, which have 5.8 MB.
const MAX_BYTES_PER_PEER: usize = 8 << 20;
/// A message that is larger does not wait. An aggregate of 500 hash-based votes has 1.3 MB, and few blocks have more.
///
/// Spec: dvt/signatures.md#proofs
const MAX_MESSAGE_BYTES: usize = 2 << 20;

/// What is told apart: who handed a message over, which message it is, and what it takes to keep it.
pub(crate) trait Letter {
    type Peer: Copy + Eq + Hash;
    type Id: Clone + Eq + Hash;
    fn peer(&self) -> Self::Peer;
    fn id(&self) -> Self::Id;
    fn bytes(&self) -> usize;
    /// Votes are verified together, and go before all else.
    fn is_vote(&self) -> bool;
}

#[derive(Debug)]
struct Entry<T> {
    slot: Slot,
    /// None once that block has come.
    waits_for: Option<Root>,
    message: T,
}

/// What a peer has here.
#[derive(Debug, Default)]
struct Share {
    numbers: BTreeSet<u64>,
    bytes: usize,
}

/// Messages by the block that they wait for, and those whose block has come until somebody has time for them. No peer
/// takes the places of others: when all places or bytes are taken, the peer that has most of them gives some up.
#[derive(Debug)]
pub(crate) struct Waiting<T: Letter> {
    /// By number, ascending in the order in which they came.
    entries: BTreeMap<u64, Entry<T>>,
    by_root: HashMap<Root, BTreeSet<u64>>,
    by_peer: HashMap<T::Peer, Share>,
    /// Votes whose block has come. Here and below, what was given up meanwhile is passed over.
    called_votes: VecDeque<u64>,
    /// All else whose block has come: each peer has its turn.
    called: VecDeque<(T::Peer, VecDeque<u64>)>,
    /// Messages that were handed in a second time, with the slot of that.
    called_back: HashMap<T::Id, Slot>,
    bytes: usize,
    next_number: u64,
}

impl<T: Letter> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_root: HashMap::new(),
            by_peer: HashMap::new(),
            called_votes: VecDeque::new(),
            called: VecDeque::new(),
            called_back: HashMap::new(),
            bytes: 0,
            next_number: 0,
        }
    }
}

impl<T: Letter> Waiting<T> {
    /// Keeps a message that came in `slot`. Gives the messages for which there is no place: this one, or others that
    /// made room for it.
    pub(crate) fn insert(&mut self, root: Root, slot: Slot, message: T) -> Vec<T> {
        let (peer, bytes) = (message.peer(), message.bytes());
        let share = self.by_peer.get(&peer);
        let own_places = share.map_or(0, |share| share.numbers.len()).saturating_add(1);
        let own_bytes = share.map_or(0, |share| share.bytes).saturating_add(bytes);
        if bytes > MAX_MESSAGE_BYTES || own_places > MAX_WAITING_PER_PEER || own_bytes > MAX_BYTES_PER_PEER {
            return vec![message];
        }
        // Whoever would have no more than another keeps has a better claim; otherwise first come, first served.
        let mut crowding = None;
        if self.entries.len() >= MAX_WAITING {
            crowding = self.most(|share| share.numbers.len(), own_places.saturating_add(1));
            if crowding.is_none() {
                return vec![message];
            }
        }
        let mut heavy = None;
        let lacking = self.bytes.saturating_add(bytes).saturating_sub(MAX_BYTES);
        if lacking > 0 {
            heavy = self.most(|share| share.bytes, own_bytes.saturating_add(lacking));
            if heavy.is_none() {
                return vec![message];
            }
        }
        let mut gone: Vec<T> = crowding
            .and_then(|peer| self.evict_newest_of(peer))
            .into_iter()
            .collect();
        // It has more than is lacking.
        while let Some(peer) = heavy
            && self.bytes.saturating_add(bytes) > MAX_BYTES
            && let Some(evicted) = self.evict_newest_of(peer)
        {
            gone.push(evicted);
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let share = self.by_peer.entry(peer).or_default();
        share.numbers.insert(number);
        share.bytes = own_bytes;
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_root.entry(root).or_default().insert(number);
        let waits_for = Some(root);
        self.entries.insert(
            number,
            Entry {
                slot,
                waits_for,
                message,
            },
        );
        gone
    }

    /// The peer that has most, if that is `enough`.
    fn most(&self, what: impl Fn(&Share) -> usize, enough: usize) -> Option<T::Peer> {
        let shares = self.by_peer.iter().map(|(peer, share)| (*peer, what(share)));
        let (peer, most) = shares.max_by_key(|(_, count)| *count)?;
        (most >= enough).then_some(peer)
    }

    fn evict_newest_of(&mut self, peer: T::Peer) -> Option<T> {
        let newest = *self.by_peer.get(&peer)?.numbers.last()?;
        self.remove(newest)
    }

    /// Frees the place of a message. The lists of those that were called are not searched for it.
    fn remove(&mut self, number: u64) -> Option<T> {
        let Entry { waits_for, message, .. } = self.entries.remove(&number)?;
        if let Some(root) = waits_for
            && let Some(numbers) = self.by_root.get_mut(&root)
        {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_root.remove(&root);
            }
        }
        let (peer, bytes) = (message.peer(), message.bytes());
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(share) = self.by_peer.get_mut(&peer) {
            share.bytes = share.bytes.saturating_sub(bytes);
            share.numbers.remove(&number);
            if share.numbers.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        Some(message)
    }

    /// A block has come: its messages are to be looked at. They keep their places until then.
    pub(crate) fn call(&mut self, root: &Root) {
        for number in self.by_root.remove(root).unwrap_or_default() {
            self.call_one(number);
        }
    }

    fn call_one(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        entry.waits_for = None;
        if entry.message.is_vote() {
            self.called_votes.push_back(number);
            return;
        }
        let peer = entry.message.peer();
        match self.called.iter_mut().find(|(of, _)| *of == peer) {
            Some((_, numbers)) => numbers.push_back(number),
            None => self.called.push_back((peer, VecDeque::from([number]))),
        }
    }

    /// A block came while one of its messages was being checked: nobody else would call them. Each is called once, in
    /// case that it is not this block that it lacks. Gives those that were called before: the block does not help them.
    pub(crate) fn call_back(&mut self, root: &Root, slot: Slot) -> Vec<T> {
        let mut hopeless = Vec::new();
        for number in self.by_root.remove(root).unwrap_or_default() {
            let Some(id) = self.entries.get(&number).map(|entry| entry.message.id()) else {
                continue;
            };
            if self.called_back.insert(id, slot).is_none() {
                self.call_one(number);
            } else {
                hopeless.extend(self.remove(number));
            }
        }
        hopeless
    }

    pub(crate) fn has_called_votes(&self) -> bool {
        !self.called_votes.is_empty()
    }

    /// So many of the votes whose block has come, in the order in which they came.
    pub(crate) fn take_called_votes(&mut self, count: usize) -> Vec<T> {
        let mut votes = Vec::new();
        while votes.len() < count
            && let Some(number) = self.called_votes.pop_front()
        {
            votes.extend(self.remove(number));
        }
        votes
    }

    pub(crate) fn has_called(&self) -> bool {
        !self.called.is_empty()
    }

    /// The next of the other messages whose block has come: the oldest of the peer whose turn it is.
    pub(crate) fn take_called(&mut self) -> Option<T> {
        while let Some((peer, mut numbers)) = self.called.pop_front() {
            let mut message = None;
            while message.is_none()
                && let Some(number) = numbers.pop_front()
            {
                message = self.remove(number);
            }
            if !numbers.is_empty() {
                self.called.push_back((peer, numbers));
            }
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// Drops what came before `slot`.
    pub(crate) fn prune(&mut self, slot: Slot) {
        let entries = self.entries.iter();
        let old: Vec<u64> = entries
            .filter(|(_, entry)| entry.slot < slot)
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            self.remove(number);
        }
        self.called_back.retain(|_, called| *called >= slot);
    }
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
