//! Messages for blocks that are not here yet.

use std::collections::HashMap;
use std::hash::Hash;
use types::{Root, Slot};

/// Messages that wait at a time.
const MAX_WAITING: usize = 2048;
/// Messages of one peer that wait at a time.
const MAX_WAITING_PER_PEER: usize = 512;

/// What is told apart: who handed a message over, and which message it is.
pub(crate) trait Letter {
    type Peer: Copy + Eq + Hash;
    type Id: Clone + Eq + Hash;
    fn peer(&self) -> Self::Peer;
    fn id(&self) -> Self::Id;
}

#[derive(Debug)]
struct Entry<T> {
    slot: Slot,
    /// Ascending in the order in which messages came.
    number: u64,
    message: T,
}

/// Messages by the block that they wait for. No peer takes the places of others: when all are taken, the peer that has
/// most of them gives one up.
#[derive(Debug)]
pub(crate) struct Waiting<T: Letter> {
    by_root: HashMap<Root, Vec<Entry<T>>>,
    by_peer: HashMap<T::Peer, usize>,
    /// Messages that were handed in a second time, with the slot of that.
    called_back: HashMap<T::Id, Slot>,
    len: usize,
    next_number: u64,
}

impl<T: Letter> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            by_root: HashMap::new(),
            by_peer: HashMap::new(),
            called_back: HashMap::new(),
            len: 0,
            next_number: 0,
        }
    }
}

/// What is done with messages whose block is here after all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CalledBack<T> {
    /// To be handed in once more.
    pub(crate) again: Vec<T>,
    /// Were handed in a second time before: the block does not help them.
    pub(crate) hopeless: Vec<T>,
}

impl<T: Letter> Waiting<T> {
    /// Keeps a message that came in `slot`. Gives the message for which there is no place: this one, or another that
    /// made room for it.
    pub(crate) fn insert(&mut self, root: Root, slot: Slot, message: T) -> Option<T> {
        let peer = message.peer();
        let taken = self.by_peer.get(&peer).copied().unwrap_or_default();
        if taken >= MAX_WAITING_PER_PEER {
            return Some(message);
        }
        let mut gone = None;
        if self.len >= MAX_WAITING {
            let most = self.by_peer.iter().max_by_key(|(_, count)| **count);
            // Whoever has fewer places than another has a better claim; otherwise first come, first served.
            match most.map(|(peer, count)| (*peer, *count)) {
                Some((greedy, count)) if count > taken.saturating_add(1) => gone = self.evict_newest_of(greedy),
                _ => return Some(message),
            }
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.by_root
            .entry(root)
            .or_default()
            .push(Entry { slot, number, message });
        *self.by_peer.entry(peer).or_default() += 1;
        self.len = self.len.saturating_add(1);
        gone
    }

    fn evict_newest_of(&mut self, peer: T::Peer) -> Option<T> {
        let (root, place, _) = self
            .by_root
            .iter()
            .flat_map(|(root, entries)| {
                let places = entries.iter().enumerate();
                places.map(move |(place, entry)| (*root, place, entry))
            })
            .filter(|(_, _, entry)| entry.message.peer() == peer)
            .max_by_key(|(_, _, entry)| entry.number)?;
        let entries = self.by_root.get_mut(&root)?;
        let entry = entries.remove(place);
        if entries.is_empty() {
            self.by_root.remove(&root);
        }
        self.leaves(&entry.message);
        Some(entry.message)
    }

    /// Frees the place of a message that is no longer kept.
    fn leaves(&mut self, message: &T) {
        let peer = message.peer();
        self.len = self.len.saturating_sub(1);
        if let Some(count) = self.by_peer.get_mut(&peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }

    /// The messages of a block that has come, in the order in which they came.
    pub(crate) fn take(&mut self, root: &Root) -> Vec<T> {
        let entries = self.by_root.remove(root).unwrap_or_default();
        let messages: Vec<T> = entries.into_iter().map(|entry| entry.message).collect();
        for message in &messages {
            self.leaves(message);
        }
        messages
    }

    /// The messages of a block that came while one of them was being checked: nobody else would call them. Each is
    /// called once, in case that it is not this block that it lacks.
    pub(crate) fn call_back(&mut self, root: &Root, slot: Slot) -> CalledBack<T> {
        let messages = self.take(root);
        let (again, hopeless) = messages
            .into_iter()
            .partition(|message| self.called_back.insert(message.id(), slot).is_none());
        CalledBack { again, hopeless }
    }

    /// Drops what came before `slot`.
    pub(crate) fn prune(&mut self, slot: Slot) {
        let mut dropped = Vec::new();
        for entries in self.by_root.values_mut() {
            dropped.extend(entries.extract_if(.., |entry| entry.slot < slot));
        }
        for entry in dropped {
            self.leaves(&entry.message);
        }
        self.by_root.retain(|_, entries| !entries.is_empty());
        self.called_back.retain(|_, called| *called >= slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer and the number of a message.
    type Message = (u8, usize);

    impl Letter for Message {
        type Peer = u8;
        type Id = Message;
        fn peer(&self) -> u8 {
            self.0
        }
        fn id(&self) -> Message {
            *self
        }
    }

    const SLOT: Slot = Slot::new(5);

    fn places(waiting: &Waiting<Message>) -> usize {
        let places = waiting.by_root.values().map(Vec::len).sum();
        assert_eq!(waiting.len, places);
        assert_eq!(waiting.by_peer.values().sum::<usize>(), places);
        places
    }

    #[test]
    fn messages_wait_for_their_block_and_not_for_ever() {
        let mut waiting = Waiting::default();
        let (a, b) = (Root::repeat_byte(1), Root::repeat_byte(2));
        for (root, slot, message) in [(a, 5, (1, 1)), (a, 6, (2, 2)), (b, 5, (1, 3))] {
            assert_eq!(waiting.insert(root, Slot::new(slot), message), None);
        }
        assert_eq!(waiting.take(&a), [(1, 1), (2, 2)]);
        assert_eq!(waiting.take(&a), []);
        assert_eq!(places(&waiting), 1);
        waiting.prune(Slot::new(6));
        assert_eq!((waiting.take(&b), places(&waiting)), (Vec::new(), 0));
    }

    #[test]
    fn a_message_whose_block_came_meanwhile_is_called_back_once() {
        let mut waiting = Waiting::default();
        let root = Root::repeat_byte(1);
        let called = |again: &[Message], hopeless: &[Message]| CalledBack {
            again: again.to_vec(),
            hopeless: hopeless.to_vec(),
        };
        waiting.insert(root, SLOT, (1, 1));
        assert_eq!(waiting.call_back(&root, SLOT), called(&[(1, 1)], &[]));
        assert_eq!(places(&waiting), 0);
        // It lacks something else, and another one does not.
        waiting.insert(root, SLOT, (1, 1));
        waiting.insert(root, SLOT, (1, 2));
        assert_eq!(waiting.call_back(&root, SLOT), called(&[(1, 2)], &[(1, 1)]));
        waiting.prune(Slot::new(6));
        assert!(waiting.called_back.is_empty());
    }

    #[test]
    fn one_peer_cannot_take_all_places() {
        let mut waiting = Waiting::default();
        for number in 0..MAX_WAITING {
            let gone = waiting.insert(Root::ZERO, SLOT, (1, number));
            let expected = (number >= MAX_WAITING_PER_PEER).then_some((1, number));
            assert_eq!(gone, expected);
        }
        assert_eq!(waiting.insert(Root::ZERO, SLOT, (2, 0)), None);
        assert_eq!(places(&waiting), MAX_WAITING_PER_PEER + 1);
        waiting.prune(Slot::new(6));
        assert_eq!(waiting.insert(Root::ZERO, Slot::new(6), (1, 0)), None);
    }

    #[test]
    fn when_all_places_are_taken_who_has_most_gives_up_its_newest() {
        let mut waiting = Waiting::default();
        let root = |number: usize| Root::left_padding_from(&number.to_be_bytes());
        let peers = (MAX_WAITING / MAX_WAITING_PER_PEER) as u8;
        for number in 0..MAX_WAITING_PER_PEER {
            for peer in 0..peers {
                assert_eq!(waiting.insert(root(number), SLOT, (peer, number)), None);
            }
        }
        assert_eq!(places(&waiting), MAX_WAITING);
        // A newcomer gets as many places as the others keep, and not more.
        let newcomer = peers;
        let mut refused = 0;
        for number in 0..MAX_WAITING_PER_PEER {
            match waiting.insert(root(number), SLOT, (newcomer, number)) {
                Some((peer, _)) if peer == newcomer => refused += 1,
                Some((_, newest)) => assert!(newest >= MAX_WAITING / usize::from(peers + 1)),
                None => panic!("all places are taken"),
            }
            assert_eq!(places(&waiting), MAX_WAITING);
        }
        let share = MAX_WAITING / usize::from(peers + 1);
        assert_eq!(waiting.by_peer[&newcomer], share);
        assert_eq!(refused, MAX_WAITING_PER_PEER - share);
        assert!(waiting.by_peer.values().all(|count| *count >= share));
    }
}
