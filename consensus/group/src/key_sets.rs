//! Which key set is in force.

use types::{Epoch, KeySet};

/// The last of `key_sets` (ascending by activation epoch) that is in force in `epoch`. `None` before the first one
/// that is stored: what was pruned never falls back to an old key.
///
/// Spec: dvt/beacon-chain.md#get_key_set
pub fn get_key_set(key_sets: &[KeySet], epoch: Epoch) -> Option<&KeySet> {
    key_sets.iter().rev().find(|key_set| key_set.activation_epoch <= epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_set(activation_epoch: u64, threshold: u8) -> KeySet {
        KeySet {
            activation_epoch: Epoch::new(activation_epoch),
            threshold,
            ..KeySet::default()
        }
    }

    #[test]
    fn a_key_set_holds_from_its_activation_epoch_until_the_next() {
        let key_sets = [key_set(0, 0), key_set(5, 3), key_set(9, 4)];
        let threshold = |epoch| get_key_set(&key_sets, Epoch::new(epoch)).map(|key_set| key_set.threshold);
        assert_eq!(
            [threshold(0), threshold(4), threshold(5), threshold(8), threshold(9)],
            [Some(0), Some(0), Some(3), Some(3), Some(4)]
        );
    }

    #[test]
    fn nothing_is_in_force_before_the_first_stored_set() {
        assert_eq!(get_key_set(&[key_set(5, 3)], Epoch::new(4)), None);
    }
}
