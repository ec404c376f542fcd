//! Topic `key_set_change`: complete changes. A member's part is taken by a node's own pool only.
//!
//! Spec: dvt/p2p-interface.md#key_set_change

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use parking_lot::Mutex;
use runtime::Priority;
use state_transition::dvt::key_set_change::{KeySetChangeError, check_key_set_change_at};
use state_transition::dvt::signers::Quorum;
use std::collections::HashMap;
use std::sync::Arc;
use types::constants::KEY_SET_CHANGE_WINDOW;
use types::{BeaconState, ForkName, Preset, SignedKeySetChange, Slot, ValidatorIndex};

/// A key-set change is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum KeySetChangeGossipError {
    /// A change of the same number was seen before, and a block may still include it.
    #[error("change {sequence} of validator {index} was seen before")]
    NotFirst {
        /// The validator.
        index: ValidatorIndex,
        /// Number of the change.
        sequence: u64,
    },
    /// The fork has no key-set changes.
    #[error("there are no key-set changes before the fork dvt")]
    BeforeFork,
    /// Invalid, or not valid now.
    #[error(transparent)]
    Invalid(#[from] KeySetChangeError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(KeySetChangeGossipError);

impl KeySetChangeGossipError {
    /// What to do with the change.
    pub fn verdict(&self) -> Verdict {
        match self {
            // The sender's head may be another one.
            Self::NotFirst { .. }
            | Self::BeforeFork
            | Self::Invalid(
                KeySetChangeError::Sequence { .. }
                | KeySetChangeError::Window { .. }
                | KeySetChangeError::Pending(_)
                | KeySetChangeError::NotActive(_)
                | KeySetChangeError::Exiting(_)
                | KeySetChangeError::Slashed(_)
                | KeySetChangeError::NotCompounding(_)
                | KeySetChangeError::Balance { .. }
                | KeySetChangeError::KeyTaken { .. }
                | KeySetChangeError::NoRoom
                | KeySetChangeError::State(_),
            ) => Verdict::Ignore,
            Self::Invalid(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A key-set change that a block may contain, or a member's part of one.
#[derive(Debug, Clone)]
pub struct VerifiedKeySetChange<P: Preset> {
    /// The change.
    pub change: SignedKeySetChange,
    /// Whether enough keys signed.
    pub is_complete: bool,
    /// The state in which it was checked.
    pub state: Arc<BeaconState<P>>,
    /// The slot in which it was checked, perhaps later than that of the state.
    pub slot: Slot,
}

/// Slots of the changes that were seen, by validator and number. A change that no block included in its window stands in
/// the way of no other one after that.
#[derive(Debug)]
pub(crate) struct SeenChanges {
    slots: Mutex<HashMap<(ValidatorIndex, u64), Slot>>,
    limit: usize,
}

fn is_open(change: Slot, current: Slot) -> bool {
    change.saturating_add(KEY_SET_CHANGE_WINDOW) >= current
}

impl SeenChanges {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Mutex::default(),
            limit,
        }
    }

    fn contains(&self, key: &(ValidatorIndex, u64), current: Slot) -> bool {
        self.slots.lock().get(key).is_some_and(|slot| is_open(*slot, current))
    }

    /// Notes a change of `slot`. `false` if another one stands in its way, or no more are taken.
    fn insert(&self, key: (ValidatorIndex, u64), slot: Slot, current: Slot) -> bool {
        let mut slots = self.slots.lock();
        let known = slots.get(&key);
        if known.is_some_and(|known| is_open(*known, current)) || (known.is_none() && slots.len() >= self.limit) {
            return false;
        }
        slots.insert(key, slot);
        true
    }

    /// Drops those whose window is over.
    pub(crate) fn prune(&self, current: Slot) {
        self.slots.lock().retain(|_, slot| is_open(*slot, current));
    }
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a key-set change. With [`Quorum::Member`], one with fewer signers than needed is good as well, and may
    /// come again with others.
    pub async fn verify_key_set_change(
        self: &Arc<Self>,
        change: SignedKeySetChange,
        quorum: Quorum,
    ) -> Result<VerifiedKeySetChange<P>, KeySetChangeGossipError> {
        self.on_worker("key_set_change", Priority::Background, move |validator| {
            let (index, sequence) = (change.message.validator_index, change.message.sequence);
            let not_first = KeySetChangeGossipError::NotFirst { index, sequence };
            let slot = validator.latest_slot();
            if validator.key_set_changes.contains(&(index, sequence), slot) {
                return Err(not_first);
            }
            let state = validator.operations_state()?;
            if types::ForkVersioned::fork_name(&*state) != ForkName::Dvt {
                return Err(KeySetChangeGossipError::BeforeFork);
            }
            let spec = validator.chain.spec();
            let sets = check_key_set_change_at(&state, slot, &change, quorum, spec)?;
            signature_scheme::verify_batch(&sets)?;
            let is_complete = quorum == Quorum::Threshold
                || check_key_set_change_at(&state, slot, &change, Quorum::Threshold, spec).is_ok();
            if is_complete
                && !validator
                    .key_set_changes
                    .insert((index, sequence), change.message.slot, slot)
            {
                return Err(not_first);
            }
            Ok(VerifiedKeySetChange {
                change,
                is_complete,
                state,
                slot,
            })
        })
        .await
    }
}
