//! What was seen before. Bounded: a set that is full takes nothing more as new.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use types::Slot;

/// Keys that were seen, by slot (or by the first slot of an epoch), with what was noted of them; old slots are dropped.
#[derive(Debug)]
pub(crate) struct SeenBySlot<K, V = ()> {
    slots: Mutex<BTreeMap<Slot, HashMap<K, V>>>,
    limit_per_slot: usize,
}

impl<K: Eq + Hash, V> SeenBySlot<K, V> {
    pub(crate) fn new(limit_per_slot: usize) -> Self {
        Self {
            slots: Mutex::default(),
            limit_per_slot,
        }
    }

    /// Whether the key was seen, or no more keys of its slot are taken.
    pub(crate) fn contains(&self, slot: Slot, key: &K) -> bool {
        self.slots
            .lock()
            .get(&slot)
            .is_some_and(|keys| keys.contains_key(key) || keys.len() >= self.limit_per_slot)
    }

    /// Notes a key. `false` if it was seen before, or no more keys of its slot are taken.
    pub(crate) fn note(&self, slot: Slot, key: K, value: V) -> bool {
        let mut slots = self.slots.lock();
        let keys = slots.entry(slot).or_default();
        if keys.len() >= self.limit_per_slot || keys.contains_key(&key) {
            return false;
        }
        keys.insert(key, value);
        true
    }

    /// Whether a key of the slot was seen that is looked for.
    pub(crate) fn any(&self, slot: Slot, mut is_looked_for: impl FnMut(&K, &V) -> bool) -> bool {
        let slots = self.slots.lock();
        let mut keys = slots.get(&slot).into_iter().flatten();
        keys.any(|(key, value)| is_looked_for(key, value))
    }

    /// Drops all slots before `slot`.
    pub(crate) fn prune(&self, slot: Slot) {
        let mut slots = self.slots.lock();
        *slots = slots.split_off(&slot);
    }
}

impl<K: Eq + Hash> SeenBySlot<K> {
    /// As [`Self::note`].
    pub(crate) fn insert(&self, slot: Slot, key: K) -> bool {
        self.note(slot, key, ())
    }
}

/// The most recent keys, whatever their slot.
#[derive(Debug)]
pub(crate) struct RecentlySeen<K> {
    keys: Mutex<(HashSet<K>, VecDeque<K>)>,
    limit: usize,
}

impl<K: Eq + Hash + Clone> RecentlySeen<K> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            keys: Mutex::default(),
            limit,
        }
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.keys.lock().0.contains(key)
    }

    /// Notes a key. `false` if it was seen before.
    pub(crate) fn insert(&self, key: K) -> bool {
        let mut keys = self.keys.lock();
        if !keys.0.insert(key.clone()) {
            return false;
        }
        keys.1.push_back(key);
        if keys.1.len() > self.limit
            && let Some(oldest) = keys.1.pop_front()
        {
            keys.0.remove(&oldest);
        }
        true
    }

    pub(crate) fn remove(&self, key: &K) {
        let mut keys = self.keys.lock();
        if keys.0.remove(key) {
            keys.1.retain(|other| other != key);
        }
    }
}

/// Sets of bits, by subject.
type BitsBySubject<K> = HashMap<K, Vec<Vec<bool>>>;

/// Sets of bits that were seen for a subject, for the question whether new ones add anything.
#[derive(Debug)]
pub(crate) struct SeenBits<K> {
    slots: Mutex<BTreeMap<Slot, BitsBySubject<K>>>,
    limit_per_subject: usize,
    limit_per_slot: usize,
}

impl<K: Eq + Hash> SeenBits<K> {
    pub(crate) fn new(limit_per_subject: usize, limit_per_slot: usize) -> Self {
        Self {
            slots: Mutex::default(),
            limit_per_subject,
            limit_per_slot,
        }
    }

    /// Whether all of `bits` were set in one set of bits seen for the subject.
    pub(crate) fn covers(&self, slot: Slot, subject: &K, bits: &[bool]) -> bool {
        self.slots
            .lock()
            .get(&slot)
            .and_then(|subjects| subjects.get(subject))
            .is_some_and(|seen| seen.iter().any(|seen| is_subset(bits, seen)))
    }

    /// Notes bits. Those that they cover are forgotten.
    pub(crate) fn insert(&self, slot: Slot, subject: K, bits: Vec<bool>) {
        let mut slots = self.slots.lock();
        let subjects = slots.entry(slot).or_default();
        if subjects.len() >= self.limit_per_slot && !subjects.contains_key(&subject) {
            return;
        }
        let seen = subjects.entry(subject).or_default();
        seen.retain(|seen| !is_subset(seen, &bits));
        if seen.len() < self.limit_per_subject {
            seen.push(bits);
        }
    }

    pub(crate) fn prune(&self, slot: Slot) {
        let mut slots = self.slots.lock();
        *slots = slots.split_off(&slot);
    }
}

fn is_subset(bits: &[bool], of: &[bool]) -> bool {
    bits.len() == of.len() && bits.iter().zip(of).all(|(bit, other)| !bit || *other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_new_once_and_again_after_its_slot_was_pruned() {
        let seen = SeenBySlot::new(8);
        assert!(seen.insert(Slot::new(3), 7));
        assert!(!seen.insert(Slot::new(3), 7));
        assert!(seen.contains(Slot::new(3), &7));
        assert!(seen.insert(Slot::new(4), 7));
        seen.prune(Slot::new(4));
        assert!(!seen.contains(Slot::new(3), &7));
        assert!(seen.contains(Slot::new(4), &7));
    }

    #[test]
    fn what_was_noted_first_of_a_key_stays() {
        let seen = SeenBySlot::new(8);
        assert!(seen.note(Slot::new(3), 7, 'a'));
        assert!(!seen.note(Slot::new(3), 7, 'b'));
        assert!(seen.any(Slot::new(3), |key, value| (*key, *value) == (7, 'a')));
        assert!(!seen.any(Slot::new(3), |_, value| *value == 'b'));
        assert!(!seen.any(Slot::new(4), |_, _| true));
    }

    #[test]
    fn full_slot_takes_nothing_as_new() {
        let seen = SeenBySlot::new(1);
        assert!(seen.insert(Slot::new(1), 1));
        assert!(seen.contains(Slot::new(1), &2));
        assert!(!seen.insert(Slot::new(1), 2));
    }

    #[test]
    fn oldest_recent_key_gives_way() {
        let seen = RecentlySeen::new(2);
        assert!(seen.insert(1) && seen.insert(2) && seen.insert(3));
        assert!(!seen.contains(&1));
        assert!(seen.contains(&3) && !seen.insert(3));
        seen.remove(&2);
        assert!(!seen.contains(&2) && seen.insert(4) && seen.contains(&3));
    }

    #[test]
    fn bits_are_covered_by_a_superset_only() {
        let seen = SeenBits::new(4, 4);
        seen.insert(Slot::new(1), 0, vec![true, true, false]);
        assert!(seen.covers(Slot::new(1), &0, &[true, false, false]));
        assert!(seen.covers(Slot::new(1), &0, &[true, true, false]));
        assert!(!seen.covers(Slot::new(1), &0, &[false, false, true]));
        assert!(!seen.covers(Slot::new(1), &1, &[true, false, false]));
    }
}
