//! Who of a group may speak alone in a slot, and from when on.

use crate::{GossipValidator, SharedError};
use state_transition::StateError;
use state_transition::dvt::accessors::get_key_set;
use state_transition::helpers::accessors::get_seed;
use types::constants::DOMAIN_BEACON_PROPOSER;
use types::{BeaconState, Preset, Signers, Slot, ValidatorIndex};

/// A group as it proposes in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposingGroup {
    /// Its registry index.
    pub proposer: ValidatorIndex,
    /// The slot.
    pub slot: Slot,
    /// How many keys must sign.
    pub threshold: u8,
    /// Scheme of each key.
    pub schemes: Vec<u8>,
    /// All keys in the order in which they lead, rank 0 first. How many ranks there are depends on the threshold.
    pub leader_order: Vec<u8>,
}

/// How the registry entry `proposer` proposes in `slot`; `None` for a solo validator.
///
/// Spec: dvt/beacon-chain.md#get_leader_key_index
pub fn proposing_group<P: Preset>(
    state: &BeaconState<P>,
    proposer: ValidatorIndex,
    slot: Slot,
) -> Result<Option<ProposingGroup>, StateError> {
    let epoch = slot.epoch::<P>();
    let Some(key_set) = get_key_set(state, proposer, epoch)? else {
        return Ok(None);
    };
    let keys = key_set.keys.len() as u8;
    let seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER)?;
    let rounds = P::SHUFFLE_ROUND_COUNT as u8;
    Ok(Some(ProposingGroup {
        proposer,
        slot,
        threshold: key_set.threshold,
        schemes: key_set.keys.iter().map(|key| key.scheme).collect(),
        leader_order: (0..keys)
            .filter_map(|rank| group::get_leader_key_index(seed, slot, proposer, keys, rank, rounds))
            .collect(),
    }))
}

/// The one key that signed, if it is one.
pub(crate) fn single_signer(signers: &Signers) -> Option<u8> {
    let mut set = signers.iter().enumerate().filter(|(_, bit)| *bit).map(|(key, _)| key);
    match (set.next(), set.next()) {
        (Some(key), None) => u8::try_from(key).ok(),
        _ => None,
    }
}

impl<P: Preset> GossipValidator<P> {
    /// Whether the time of a leader has come, give or take the disparity of clocks.
    pub(crate) fn check_leader_time(&self, slot: Slot, rank: u8) -> Result<(), SharedError> {
        let spec = self.chain.spec();
        let clock = self.chain.clock();
        let due = clock.slot_start_ms(slot).saturating_add(spec.get_leader_due_ms(rank));
        if clock.now_ms().saturating_add(spec.maximum_gossip_clock_disparity) < due {
            return Err(SharedError::FutureSlot {
                slot,
                current: self.chain.current_slot(),
            });
        }
        Ok(())
    }

    /// A leader's proposal is right: those of higher ranks that come now are ignored.
    pub fn note_right_proposal(&self, slot: Slot, proposer: ValidatorIndex, rank: u8) {
        if let Some(seen) = self.leaders.lock().get_mut(&(slot, proposer)) {
            seen.right.insert(rank);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_signer_is_one_set_bit() {
        let mut signers = Signers::default();
        assert_eq!(single_signer(&signers), None);
        signers.set(5, true).unwrap();
        assert_eq!(single_signer(&signers), Some(5));
        signers.set(0, true).unwrap();
        assert_eq!(single_signer(&signers), None);
    }
}
