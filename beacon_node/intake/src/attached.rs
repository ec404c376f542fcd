//! Who is attached to this node, as far as its clients say, and how much custody follows from that.

use parking_lot::Mutex;
use state_transition::dvt::duties::get_validators_custody_requirement;
use std::collections::{BTreeMap, BTreeSet};
use types::{BeaconState, ChainSpec, Epoch, Preset, SignerIndex};

/// Epochs that are remembered: clients tell of all their keys in each, one after the other.
const EPOCHS: usize = 2;

/// Signers whose clients use this node.
#[derive(Debug, Default)]
pub struct AttachedValidators(Mutex<BTreeMap<Epoch, BTreeSet<SignerIndex>>>);

impl AttachedValidators {
    /// A client has told of some in an epoch.
    pub fn note(&self, epoch: Epoch, signers: impl IntoIterator<Item = SignerIndex>) {
        let mut epochs = self.0.lock();
        epochs.entry(epoch).or_default().extend(signers);
        while epochs.len() > EPOCHS {
            epochs.pop_first();
        }
    }

    /// The custody groups that this node needs for those it has heard of lately; none if it has heard of nobody.
    pub fn custody_requirement<P: Preset>(
        &self,
        finalized: &BeaconState<P>,
        current: Epoch,
        spec: &ChainSpec,
    ) -> Option<u64> {
        let epochs = self.0.lock();
        epochs
            .range(current.saturating_sub(1u64)..)
            .filter(|(_, signers)| !signers.is_empty())
            .map(|(epoch, signers)| {
                get_validators_custody_requirement(finalized, *epoch, signers.iter().copied(), spec)
            })
            .max()
    }

    /// Whether anybody was heard of since the epoch before.
    pub fn is_anybody(&self, current: Epoch) -> bool {
        self.0
            .lock()
            .range(current.saturating_sub(1u64)..)
            .any(|(_, signers)| !signers.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain_harness::{Chain, Keys, group_of, solo};
    use types::{Minimal, PresetName, ValidatorIndex};

    /// A 5-of-7 group with 2048 ETH, and solo validators with 32 ETH and more.
    fn chain() -> Chain<Minimal> {
        let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        spec.dvt_fork_epoch = Epoch::new(0);
        let validators = [
            group_of(0, 5, 7, 2048),
            solo(1, 32),
            solo(2, 512),
            solo(3, 2048),
            solo(4, 2048),
        ];
        Chain::new(&validators, Keys::new(5, &[0], 7), spec)
    }

    fn key(place: u8) -> SignerIndex {
        SignerIndex::virtual_index(ValidatorIndex::new(0), place).unwrap()
    }

    #[test]
    fn a_groups_balance_is_shared_out_to_its_keys() {
        let chain = chain();
        let solo = SignerIndex::new;
        let needed = |signers: &[SignerIndex]| {
            let signers = signers.iter().copied();
            get_validators_custody_requirement(&chain.state, Epoch::new(0), signers, &chain.spec)
        };
        assert_eq!(needed(&[solo(1)]), 8, "the least for a node with validators");
        assert_eq!(needed(&[solo(2)]), 16);
        assert_eq!(needed(&[solo(1), solo(2)]), 17);
        assert_eq!(needed(&[solo(3), solo(4)]), 128);
        assert_eq!(needed(&[solo(2), solo(3), solo(4)]), 128, "there are no more");
        // 2048 ETH in seven parts are some 292 ETH.
        assert_eq!(needed(&[key(0)]), 9);
        assert_eq!(needed(&[key(0), solo(2)]), 25);
        assert_eq!(needed(&(0..7).map(key).collect::<Vec<_>>()), 63);
        // The group itself, a key that it has not, and nobody at all.
        assert_eq!(needed(&[solo(0), key(7), solo(99), solo(2)]), 16);
    }

    #[test]
    fn those_who_were_not_heard_of_for_an_epoch_are_attached_no_more() {
        let chain = chain();
        let attached = AttachedValidators::default();
        let needed = |epoch| attached.custody_requirement(&chain.state, Epoch::new(epoch), &chain.spec);
        assert_eq!((needed(0), attached.is_anybody(Epoch::new(0))), (None, false));
        attached.note(Epoch::new(0), []);
        assert_eq!((needed(0), attached.is_anybody(Epoch::new(0))), (None, false));
        attached.note(Epoch::new(0), [SignerIndex::new(2)]);
        attached.note(Epoch::new(0), [key(0)]);
        assert_eq!(needed(0), Some(25));
        // Not all have been heard of yet in the new epoch, and nobody counts twice.
        attached.note(Epoch::new(1), [SignerIndex::new(2)]);
        assert_eq!(needed(1), Some(25));
        assert_eq!((needed(2), attached.is_anybody(Epoch::new(2))), (Some(16), true));
        assert_eq!((needed(3), attached.is_anybody(Epoch::new(3))), (None, false));
    }
}
