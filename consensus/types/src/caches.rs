//! Cells for values that are expensive to derive from a state.
//!
//! They live beside the fields of a [`BeaconState`](crate::BeaconState), are filled on demand by
//! `state_transition::caches`, and are never part of equality, hashing, SSZ or `Debug`: a state that is
//! decoded starts with empty ones. There is no "not built": a reader always gets a value.
//!
//! Why nothing here is ever stale:
//! * committees are kept by epoch *and* decision root (the last block two epochs before), which together fix the
//!   shuffling, the active set and the seats, on whatever branch. They are shared by all clones of a state;
//! * the total active balance is kept with its epoch and dropped by the one epoch stage that changes it;
//! * rows of the registry are kept with the tree node that they were read from: nodes never change, so a node that still
//!   stands in the registry's tree has the same rows;
//! * the index by public key only proposes candidates, which the reader compares with the registry.
//!
//! Who edits the registry, the groups or the mixes of a state by hand calls [`Caches::clear`].

use crate::{Epoch, Gwei, PublicKeyBytes, Root, Validator, ValidatorIndex};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Committees that are kept for all clones of a state: three epochs of a few branches.
const MAX_COMMITTEES: usize = 12;

/// What fixes the committees of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitteesKey {
    /// The epoch of the committees.
    pub epoch: Epoch,
    /// Root of the last block of the epoch before the previous one.
    pub decision_root: Root,
}

/// All committees of an epoch.
#[derive(Debug, PartialEq, Eq)]
pub struct Committees {
    /// The epoch.
    pub epoch: Epoch,
    /// Registry indices of the validators active in the epoch, ascending.
    pub active: Arc<[u32]>,
    /// The same indices in committee order: slot by slot, committee by committee.
    pub shuffled: Arc<[u32]>,
    /// End of each validator's seats in `shuffled` order, counted from the epoch's first seat.
    /// `None` if every validator has one seat.
    pub seat_ends: Option<Arc<[u32]>>,
    /// Committees in each slot.
    pub committees_per_slot: u64,
}

/// Candidates for the registry index of a public key: the first eight bytes of each key with its index, sorted.
#[derive(Debug)]
pub struct PubkeyIndex {
    /// How many registry entries are covered.
    pub len: usize,
    /// Key of the last covered entry: tells whether the index belongs to a registry.
    pub last: PublicKeyBytes,
    /// `(first eight bytes, index)`, sorted.
    pub sorted: Box<[(u64, u32)]>,
}

/// What sweeps over the registry need of one validator. Epochs beyond 32 bits, "never" above all, are `u32::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryRow {
    /// In Gwei.
    pub effective_balance: Gwei,
    /// First active epoch.
    pub activation_epoch: u32,
    /// First epoch after its duties.
    pub exit_epoch: u32,
    /// When its stake can be withdrawn.
    pub withdrawable_epoch: u32,
    /// Whether it was slashed.
    pub slashed: bool,
    /// Whether its credentials are compounding.
    pub compounding: bool,
    /// Whether it has an activation eligibility epoch.
    pub eligible_for_activation: bool,
}

/// The rows of a subtree of the registry.
#[derive(Debug, Clone)]
pub struct RegistryChunk {
    /// The subtree.
    pub node: milhouse::Arc<milhouse::Tree<Validator>>,
    /// Its validators, in order.
    pub rows: Arc<[RegistryRow]>,
}

/// What a state carries beside its fields. Cloning is cheap.
#[derive(Clone)]
pub struct Caches {
    shared: Arc<Shared>,
    total_active_balance: OnceLock<(Epoch, Gwei)>,
    added_pubkeys: rpds::HashTrieMapSync<PublicKeyBytes, u32>,
    group_positions: OnceLock<Arc<HashMap<ValidatorIndex, usize>>>,
}

#[derive(Default)]
struct Shared {
    /// Least recently used first.
    committees: Mutex<Vec<(CommitteesKey, Arc<Committees>)>>,
    pubkeys: OnceLock<PubkeyIndex>,
    registry: Mutex<Arc<[RegistryChunk]>>,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            shared: Arc::default(),
            total_active_balance: OnceLock::new(),
            added_pubkeys: rpds::HashTrieMapSync::new_sync(),
            group_positions: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caches")
    }
}

/// Caches never make two states differ.
impl PartialEq for Caches {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Caches {}

impl Caches {
    /// Where each registry entry stands in the list of groups.
    pub fn group_positions(
        &self,
        compute: impl FnOnce() -> HashMap<ValidatorIndex, usize>,
    ) -> &HashMap<ValidatorIndex, usize> {
        self.group_positions.get_or_init(|| Arc::new(compute()))
    }

    /// To be called when the list of groups grows.
    pub fn forget_group_positions(&mut self) {
        self.group_positions = OnceLock::new();
    }

    /// Forgets everything, for this state only.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The committees of `key`, computed by `compute` if nobody has asked before.
    pub fn committees<E>(
        &self,
        key: CommitteesKey,
        compute: impl FnOnce() -> Result<Committees, E>,
    ) -> Result<Arc<Committees>, E> {
        if let Some(found) = self.known_committees(key) {
            return Ok(found);
        }
        // Outside of the lock: other epochs must not wait. Two threads may both compute; the values are equal.
        let computed = Arc::new(compute()?);
        let mut held = self.shared.committees.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.iter().any(|(other, _)| *other == key) {
            if held.len() >= MAX_COMMITTEES {
                held.remove(0);
            }
            held.push((key, Arc::clone(&computed)));
        }
        Ok(computed)
    }

    /// The committees of `key`, if somebody has asked for them before.
    #[must_use]
    pub fn known_committees(&self, key: CommitteesKey) -> Option<Arc<Committees>> {
        let mut held = self.shared.committees.lock().unwrap_or_else(PoisonError::into_inner);
        let position = held.iter().rposition(|(other, _)| *other == key)?;
        if let Some(used) = held.get_mut(position..) {
            used.rotate_left(1);
        }
        held.last().map(|(_, found)| Arc::clone(found))
    }

    /// The rows that were read last, for this state or a relative: valid where the node is still the same.
    #[must_use]
    pub fn registry(&self) -> Arc<[RegistryChunk]> {
        Arc::clone(&self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers the rows that were read last.
    pub fn remember_registry(&self, chunks: Arc<[RegistryChunk]>) {
        *self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner) = chunks;
    }

    /// The total active balance, if it is known for `epoch`.
    #[must_use]
    pub fn total_active_balance(&self, epoch: Epoch) -> Option<Gwei> {
        self.total_active_balance
            .get()
            .filter(|(known, _)| *known == epoch)
            .map(|(_, total)| *total)
    }

    /// Remembers the total active balance of `epoch`, unless one is remembered already.
    pub fn remember_total_active_balance(&self, epoch: Epoch, total: Gwei) {
        self.total_active_balance.get_or_init(|| (epoch, total));
    }

    /// Replaces what is known about the total active balance: effective balances have changed.
    pub fn replace_total_active_balance(&mut self, known: Option<(Epoch, Gwei)>) {
        self.total_active_balance = known.map_or_else(OnceLock::new, OnceLock::from);
    }

    /// The index by public key, made by `build` for all clones at the first call.
    pub fn pubkeys(&self, build: impl FnOnce() -> PubkeyIndex) -> &PubkeyIndex {
        self.shared.pubkeys.get_or_init(build)
    }

    /// The index that was noted for a key after [`Self::pubkeys`] was built.
    #[must_use]
    pub fn added_pubkey(&self, pubkey: &PublicKeyBytes) -> Option<u32> {
        self.added_pubkeys.get(pubkey).copied()
    }

    /// How many keys were noted after [`Self::pubkeys`] was built.
    #[must_use]
    pub fn added_pubkeys_len(&self) -> usize {
        self.added_pubkeys.size()
    }

    /// Notes the key of a registry entry that was appended to this state.
    pub fn add_pubkey(&mut self, pubkey: PublicKeyBytes, index: u32) {
        self.added_pubkeys.insert_mut(pubkey, index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committees(epoch: u64) -> Committees {
        Committees {
            epoch: Epoch::new(epoch),
            active: Arc::new([]),
            shuffled: Arc::new([]),
            seat_ends: None,
            committees_per_slot: 1,
        }
    }

    fn key(epoch: u64, branch: u8) -> CommitteesKey {
        CommitteesKey {
            epoch: Epoch::new(epoch),
            decision_root: Root::repeat_byte(branch),
        }
    }

    #[test]
    fn clones_share_committees_and_branches_do_not() {
        let caches = Caches::default();
        let clone = caches.clone();
        caches.committees(key(1, 1), || Ok::<_, ()>(committees(1))).unwrap();
        let shared = clone.committees(key(1, 1), || Err("computed twice"));
        assert_eq!(shared.unwrap().epoch, Epoch::new(1));
        assert!(clone.committees(key(1, 2), || Err("other branch")).is_err());
    }

    #[test]
    fn recently_used_committees_outlive_older_ones() {
        let caches = Caches::default();
        for epoch in 0..MAX_COMMITTEES as u64 {
            caches
                .committees(key(epoch, 0), || Ok::<_, ()>(committees(epoch)))
                .unwrap();
        }
        caches.committees(key(0, 0), || Err("known")).unwrap();
        caches.committees(key(99, 0), || Ok::<_, ()>(committees(99))).unwrap();
        caches.committees(key(0, 0), || Err("dropped too early")).unwrap();
        assert!(caches.committees(key(1, 0), || Err("still there")).is_err());
    }

    #[test]
    fn total_active_balance_of_another_epoch_is_not_used() {
        let mut caches = Caches::default();
        caches.remember_total_active_balance(Epoch::new(3), 7);
        assert_eq!(caches.total_active_balance(Epoch::new(3)), Some(7));
        assert_eq!(caches.total_active_balance(Epoch::new(4)), None);
        caches.replace_total_active_balance(None);
        assert_eq!(caches.total_active_balance(Epoch::new(3)), None);
    }

    #[test]
    fn caches_never_make_states_differ() {
        let filled = Caches::default();
        filled.remember_total_active_balance(Epoch::new(3), 7);
        assert_eq!(filled, Caches::default());
    }
}
