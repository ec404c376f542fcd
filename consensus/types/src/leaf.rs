//! Leaves of hash-based keys. Keys of other schemes have none, and whoever verifies them ignores these.

use crate::constants::{
    AGGREGATE_LEAF_USE, ATTESTATION_LEAF_USE, LEAVES_PER_EPOCH, OPERATION_LEAF_USE, RANDAO_LEAF_USE, SELECTION_LEAF_USE,
};
use crate::{Epoch, Preset, Slot};

/// Leaf of a hash-based key for one kind of message in `epoch`. Saturates: no key has that many leaves.
///
/// Spec: dvt/beacon-chain.md#get_leaf_index
pub fn get_leaf_index(epoch: Epoch, r#use: u64) -> u64 {
    epoch.as_u64().saturating_mul(LEAVES_PER_EPOCH).saturating_add(r#use)
}

/// Which leaf of a hash-based key a message needs, and how. A leaf signs one message, ever; a leaf that is opened
/// signs none, nor does its sibling, so that its digest is unique and nobody knows it before.
///
/// Spec: dvt/signatures.md#leaf-schedule
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// The leaf signs.
    Signs(u64),
    /// The leaf is opened: its digest is shown with the path to the key.
    Opens(u64),
    /// No leaf is for such a message: hash-based keys do not sign it.
    None,
}

impl Leaf {
    /// A block, or its header, of `slot`.
    pub fn block<P: Preset>(slot: Slot) -> Self {
        let position = slot.as_u64().checked_rem(P::slots_per_epoch()).unwrap_or(0);
        Self::Signs(get_leaf_index(slot.epoch::<P>(), position))
    }

    /// A vote for `target`.
    pub fn attestation(target: Epoch) -> Self {
        Self::Signs(get_leaf_index(target, ATTESTATION_LEAF_USE))
    }

    /// The RANDAO reveal of an epoch.
    pub fn randao(epoch: Epoch) -> Self {
        Self::Opens(get_leaf_index(epoch, RANDAO_LEAF_USE))
    }

    /// The proof of being selected as aggregator: the votes of an epoch fall to one slot of it.
    pub fn selection(epoch: Epoch) -> Self {
        Self::Opens(get_leaf_index(epoch, SELECTION_LEAF_USE))
    }

    /// An aggregate of votes of an epoch, with its aggregator.
    pub fn aggregate(epoch: Epoch) -> Self {
        Self::Signs(get_leaf_index(epoch, AGGREGATE_LEAF_USE))
    }

    /// An exit (its epoch), a key-set change or a proof of possession (the epoch of its slot).
    pub fn operation(epoch: Epoch) -> Self {
        Self::Signs(get_leaf_index(epoch, OPERATION_LEAF_USE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Minimal;

    #[test]
    fn no_two_messages_of_an_epoch_share_a_leaf() {
        let epoch = Epoch::new(5);
        let mut leaves: Vec<Leaf> = (40..48).map(|slot| Leaf::block::<Minimal>(Slot::new(slot))).collect();
        leaves.extend([
            Leaf::attestation(epoch),
            Leaf::randao(epoch),
            Leaf::selection(epoch),
            Leaf::aggregate(epoch),
            Leaf::operation(epoch),
        ]);
        let mut indices: Vec<u64> = leaves
            .iter()
            .map(|leaf| match leaf {
                Leaf::Signs(index) | Leaf::Opens(index) => *index,
                Leaf::None => panic!("each of them has a leaf"),
            })
            .collect();
        assert!(indices.iter().all(|index| (5 * 64..6 * 64).contains(index)));
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), leaves.len());
    }

    #[test]
    fn the_sibling_of_an_opened_leaf_has_no_use() {
        let uses = [ATTESTATION_LEAF_USE, AGGREGATE_LEAF_USE, OPERATION_LEAF_USE];
        for opened in [RANDAO_LEAF_USE, SELECTION_LEAF_USE] {
            assert!(opened >= 32 && !uses.contains(&(opened ^ 1)));
        }
    }

    #[test]
    fn an_epoch_beyond_all_keys_saturates() {
        assert_eq!(Leaf::attestation(Epoch::new(u64::MAX)), Leaf::Signs(u64::MAX));
    }
}
