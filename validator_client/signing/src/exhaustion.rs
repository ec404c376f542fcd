//! Warns before a key has no leaves left.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use types::SignerKey;
use types::constants::LEAVES_PER_EPOCH;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A new key has to be made, proven and put into the group's key set by an operation on the chain.
const WARN_BEFORE_MS: u64 = 28 * DAY_MS;

/// When a key was last warned of.
#[derive(Debug, Default)]
pub(crate) struct ExhaustionWatch(Mutex<HashMap<SignerKey, u64>>);

impl ExhaustionWatch {
    /// Notes the use of a leaf. Gives the epochs that are left if it is time for a warning: once a day.
    pub(crate) fn observe(&self, pubkey: SignerKey, leaf: u64, leaves: &Range<u64>, epoch_ms: u64) -> Option<u64> {
        let epoch = |leaf: u64| leaf.checked_div(LEAVES_PER_EPOCH).unwrap_or_default();
        let now = epoch(leaf);
        let left = epoch(leaves.end).saturating_sub(now).saturating_sub(1);
        if left.saturating_mul(epoch_ms) >= WARN_BEFORE_MS {
            return None;
        }
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = warned
            .get(&pubkey)
            .is_none_or(|last| now.saturating_sub(*last).saturating_mul(epoch_ms) >= DAY_MS);
        if is_due {
            warned.insert(pubkey, now);
        }
        is_due.then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_weeks_before_the_end_there_is_a_warning_a_day() {
        const EPOCH_MS: u64 = 32 * 12_000;
        let watch = ExhaustionWatch::default();
        let key = SignerKey::new(1, &[1; 52]).unwrap();
        let leaves = 0..100_000 * 64;
        let at = |epoch: u64| watch.observe(key, epoch * 64 + 32, &leaves, EPOCH_MS);
        // 28 days are 6300 epochs.
        assert_eq!(at(1), None);
        assert_eq!(at(100_000 - 6301), None);
        assert_eq!(at(100_000 - 6300), Some(6299));
        assert_eq!(at(100_000 - 6299), None);
        assert_eq!(at(100_000 - 6300 + 224), None);
        assert_eq!(at(100_000 - 6300 + 225), Some(6299 - 225));
        assert_eq!(at(99_999), Some(0));
        let other = SignerKey::new(1, &[2; 52]).unwrap();
        assert_eq!(watch.observe(other, 99_999 * 64, &leaves, EPOCH_MS), Some(0));
    }
}
