//! Spec: phase0/beacon-chain.md#beacon-chain-state-transition-function, the part without blocks.

use crate::epoch::process_epoch;
use crate::error::{SlotError, StateError};
use crate::upgrade::upgrade_to_dvt;
use tree_hash::TreeHash;
use types::{BeaconState, ChainSpec, Preset, Root, SafeArith, Slot};

/// Advances the state through empty slots to `slot`, with the epochs that end on the way and the upgrade to `dvt`.
///
/// Spec: phase0/beacon-chain.md#process_slots
pub fn process_slots<P: Preset>(state: &mut BeaconState<P>, slot: Slot, spec: &ChainSpec) -> Result<(), SlotError> {
    process_slots_with_root(state, slot, None, spec)
}

/// As [`process_slots`], with the hash tree root of the state that comes in, where it is known.
///
/// The root is trusted: only replay of blocks that were imported before may pass one.
pub fn process_slots_with_root<P: Preset>(
    state: &mut BeaconState<P>,
    slot: Slot,
    mut state_root: Option<Root>,
    spec: &ChainSpec,
) -> Result<(), SlotError> {
    if state.slot() >= slot {
        return Err(SlotError::NotLater {
            state_slot: state.slot(),
            slot,
        });
    }
    while state.slot() < slot {
        let now = state.slot();
        let in_slot = |error| SlotError::State { slot: now, error };
        process_slot(state, state_root.take()).map_err(in_slot)?;
        let next = now.safe_add(1u64).map_err(|error| in_slot(error.into()))?;
        if next.is_epoch_start::<P>() {
            process_epoch(state, spec).map_err(|error| SlotError::Epoch { slot: now, error })?;
        }
        *state.slot_mut() = next;
        if next.is_epoch_start::<P>() && next.epoch::<P>() == spec.dvt_fork_epoch {
            upgrade_to_dvt(state, spec).map_err(in_slot)?;
        }
    }
    Ok(())
}

/// Writes the roots of the last state and block into the rings.
///
/// Spec: phase0/beacon-chain.md#process_slot
pub fn process_slot<P: Preset>(state: &mut BeaconState<P>, state_root: Option<Root>) -> Result<(), StateError> {
    let previous_state_root = match state_root {
        Some(root) => root,
        None => state.canonical_root()?,
    };
    let index = state.slot().as_u64().safe_rem(P::SLOTS_PER_HISTORICAL_ROOT)? as usize;
    *state.state_roots_mut().get_mut(index).ok_or(StateError::MissingEntry {
        field: "state_roots",
        index,
    })? = previous_state_root;
    if state.latest_block_header().state_root == Root::ZERO {
        state.latest_block_header_mut().state_root = previous_state_root;
    }
    let previous_block_root = state.latest_block_header().tree_hash_root();
    *state.block_roots_mut().get_mut(index).ok_or(StateError::MissingEntry {
        field: "block_roots",
        index,
    })? = previous_block_root;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{minimal_spec, minimal_spec_with_upgrade, solo_genesis};
    use types::{Epoch, ForkName, ForkVersioned, SignerIndex};

    #[test]
    fn states_only_move_forward() {
        let spec = minimal_spec(ForkName::Fulu);
        let mut state = solo_genesis(8, &spec);
        let slot = Slot::new(0);
        assert_eq!(
            process_slots(&mut state, slot, &spec),
            Err(SlotError::NotLater { state_slot: slot, slot })
        );
    }

    #[test]
    fn trusted_root_leads_to_the_same_state() {
        let spec = minimal_spec(ForkName::Fulu);
        let mut computed = solo_genesis(8, &spec);
        let mut trusted = computed.clone();
        let root = computed.canonical_root().unwrap();
        process_slots(&mut computed, Slot::new(3), &spec).unwrap();
        process_slots_with_root(&mut trusted, Slot::new(3), Some(root), &spec).unwrap();
        assert_eq!(trusted.canonical_root().unwrap(), computed.canonical_root().unwrap());
    }

    #[test]
    fn dvt_begins_at_the_first_slot_of_its_epoch() {
        let spec = minimal_spec_with_upgrade(2);
        let mut state = solo_genesis(40, &spec);
        process_slots(&mut state, Slot::new(15), &spec).unwrap();
        assert_eq!(state.fork_name(), ForkName::Fulu);
        process_slots(&mut state, Slot::new(16), &spec).unwrap();
        assert_eq!(state.fork().previous_version, spec.fulu_fork_version);
        assert_eq!(state.fork().current_version, spec.dvt_fork_version);
        assert_eq!(state.fork().epoch, Epoch::new(2));
        let BeaconState::Dvt(inner) = &state else {
            panic!("not upgraded")
        };
        assert!(inner.groups.is_empty() && inner.current_group_participation.is_empty());
        for (committee, indices) in [
            (&inner.current_sync_committee, &inner.current_sync_committee_indices),
            (&inner.next_sync_committee, &inner.next_sync_committee_indices),
        ] {
            for (pubkey, index) in committee.pubkeys.iter().zip(indices.iter()) {
                let (validator, key) = index.split();
                assert_eq!(SignerIndex::from(validator), *index);
                assert_eq!(
                    (inner.validators.get(validator.as_usize()).unwrap().pubkey, key),
                    (*pubkey, None)
                );
            }
        }
        process_slots(&mut state, Slot::new(24), &spec).unwrap();
    }
}
