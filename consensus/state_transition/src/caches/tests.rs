//! Caches against the naive computation, on chains that branch and whose registries change.

use super::committees::{BeaconCommittee, get_committees};
use super::registry::{CHUNK, PARALLEL_INTEGERS, read_integers, registry_rows};
use super::totals::total_active_balance;
use crate::helpers::accessors::{get_active_validator_indices, get_current_epoch, get_validator_index};
use crate::helpers::misc::{compute_proposer_index, compute_proposer_index_bounded};
use crate::helpers::mutators::add_validator_to_registry;
use crate::testing::{FULL_BALANCE, minimal_spec, solo_genesis};
use proptest::prelude::*;
use std::collections::BTreeSet;
use types::{BeaconState, Epoch, ForkName, Hash32, Minimal, PublicKeyBytes, Root, Slot, SparseList};

#[derive(Debug, Clone)]
enum Change {
    /// Appends a validator with that key.
    Append(u8),
    /// Changes a validator by hand.
    Edit(prop::sample::Index, u64, u64),
    /// Puts this branch aside and goes on with the other one.
    Switch,
    /// Writes pending changes into the trees.
    Flush,
    /// Reads everything.
    Check,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => any::<u8>().prop_map(Change::Append),
        3 => (any::<prop::sample::Index>(), 0u64..64, 0u64..4).prop_map(|(i, e, x)| Change::Edit(i, e, x)),
        1 => Just(Change::Switch),
        2 => Just(Change::Flush),
        3 => Just(Change::Check),
    ]
}

fn new_key(number: u8) -> PublicKeyBytes {
    // Half of the keys share their first eight bytes.
    let mut key = PublicKeyBytes::with_last_byte(number);
    key[0] = number & 1;
    key
}

fn check(state: &BeaconState<Minimal>) {
    let epoch = get_current_epoch(state);
    let rows = registry_rows(state).unwrap();
    let rows: Vec<_> = rows.iter().flat_map(|chunk| chunk.rows.iter()).collect();
    assert_eq!(rows.len(), state.validators().len());
    for (row, validator) in rows.iter().zip(state.validators()) {
        assert_eq!(row.effective_balance, validator.effective_balance);
        assert_eq!(row.slashed, validator.slashed);
        assert_eq!(
            super::registry::is_active(row, epoch.as_u64() as u32),
            validator.is_active_at(epoch)
        );
    }
    // An epoch whose committees nobody has asked for is read from the registry.
    let far = Epoch::new(1000);
    let active: Vec<u32> = (0u32..)
        .zip(state.validators())
        .filter(|(_, validator)| validator.is_active_at(far))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(get_active_validator_indices(state, far).unwrap()[..], active[..]);
    for (index, validator) in state.validators().iter().enumerate() {
        let found = get_validator_index(state, &validator.pubkey).unwrap();
        let first = state
            .validators()
            .iter()
            .position(|other| other.pubkey == validator.pubkey)
            .unwrap();
        assert!(
            found.as_usize() == index || first < index,
            "{found} for validator {index}"
        );
    }
    assert_eq!(get_validator_index(state, &PublicKeyBytes::repeat_byte(0xee)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn caches_agree_with_the_registry_on_every_branch(changes in prop::collection::vec(change(), 1..40)) {
        let mut state = solo_genesis(8, &minimal_spec(ForkName::Fulu));
        let mut other = state.clone();
        for change in changes {
            match change {
                Change::Append(number) => {
                    if get_validator_index(&state, &new_key(number)).is_none() {
                        add_validator_to_registry(&mut state, new_key(number), Hash32::ZERO, FULL_BALANCE).unwrap();
                    }
                }
                Change::Edit(index, increments, exit) => {
                    let index = index.index(state.validators().len());
                    let validator = state.validators_mut().get_mut(index).unwrap();
                    validator.effective_balance = increments * 1_000_000_000;
                    validator.exit_epoch = Epoch::new(exit * 999);
                    validator.slashed = exit == 1;
                }
                Change::Switch => std::mem::swap(&mut state, &mut other),
                Change::Flush => state.apply_pending_mutations().unwrap(),
                Change::Check => check(&state),
            }
        }
        check(&state);
        check(&other);
    }

    #[test]
    fn bounded_sampling_draws_the_same_proposer(
        seed: [u8; 32],
        balances in prop::collection::vec(1u64..64, 1..20),
    ) {
        let mut state = solo_genesis(20, &minimal_spec(ForkName::Fulu));
        for (index, increments) in balances.iter().enumerate() {
            state.validators_mut().get_mut(index).unwrap().effective_balance = increments * 32_000_000_000;
        }
        let indices: Vec<u32> = (0..balances.len() as u32).collect();
        let bound = balances.iter().max().unwrap() * 32_000_000_000;
        let bounded = compute_proposer_index_bounded::<Minimal>(&indices, Root::new(seed), bound, |index| {
            Ok(state.validators().get(index as usize).unwrap().effective_balance)
        });
        prop_assert_eq!(bounded, compute_proposer_index(&state, &indices, Root::new(seed)));
    }
}

#[test]
fn committees_of_an_epoch_hold_each_active_validator_once() {
    let state = solo_genesis(45, &minimal_spec(ForkName::Fulu));
    for epoch in 0..=1 {
        let committees = get_committees(&state, Epoch::new(epoch)).unwrap();
        let mut members = BTreeSet::new();
        let mut count = 0;
        for slot in 8 * epoch..8 * (epoch + 1) {
            for index in 0..committees.committees_per_slot {
                let committee = BeaconCommittee::new::<Minimal>(committees.clone(), Slot::new(slot), index).unwrap();
                count += committee.len();
                members.extend(committee.members().iter().copied());
            }
        }
        assert_eq!((count, members.len()), (45, 45));
    }
    assert!(get_committees(&state, Epoch::new(2)).is_err());
}

#[test]
fn total_active_balance_is_that_of_the_epoch() {
    let spec = minimal_spec(ForkName::Fulu);
    let mut state = solo_genesis(10, &spec);
    assert_eq!(total_active_balance(&state), Ok(10 * FULL_BALANCE));
    *state.balances_mut().get_mut(0).unwrap() = 20_000_000_000;
    crate::process_slots(&mut state, Slot::new(8), &spec).unwrap();
    assert_eq!(total_active_balance(&state), Ok(9 * FULL_BALANCE + 20_000_000_000));
    let cold = {
        let mut cold = state.clone();
        cold.caches_mut().clear();
        cold
    };
    assert_eq!(total_active_balance(&cold), total_active_balance(&state));
}

#[test]
fn rows_of_many_chunks_are_read_in_order() {
    let mut state = solo_genesis(4, &minimal_spec(ForkName::Fulu));
    let validator = state.validators().get(0).unwrap().clone();
    let count = 20 * CHUNK as u64 + 7;
    for index in 4..count {
        let mut validator = validator.clone();
        validator.effective_balance = index;
        state.validators_mut().push(validator).unwrap();
    }
    state.apply_pending_mutations().unwrap();
    for changed in [0, 5 * CHUNK as u64 + 3, count - 1] {
        state.validators_mut().get_mut(changed as usize).unwrap().slashed = true;
        state.apply_pending_mutations().unwrap();
        let chunks = registry_rows(&state).unwrap();
        let rows: Vec<_> = chunks.iter().flat_map(|chunk| chunk.rows.iter()).collect();
        assert_eq!(rows.len() as u64, count);
        assert!(
            rows.iter()
                .zip(0u64..)
                .skip(4)
                .all(|(row, index)| row.effective_balance == index)
        );
        assert!(rows[changed as usize].slashed);
    }
}

#[test]
fn integers_are_read_in_order_however_many_there_are() {
    let large = PARALLEL_INTEGERS;
    for len in [
        0,
        1,
        3,
        4,
        5,
        31,
        1000,
        large - 1,
        large,
        large + 1,
        large + 5,
        2 * large + 7,
        3 * large,
    ] {
        let expected: Vec<u64> = (0..len as u64).map(|value| value.wrapping_mul(0x9e37_79b9)).collect();
        let mut list: SparseList<u64, typenum::U1099511627776> = SparseList::try_from_iter(expected.clone()).unwrap();
        assert_eq!(read_integers(&list).unwrap(), expected);
        list.push(7).unwrap();
        assert_eq!(read_integers(&list).unwrap().last(), Some(&7));
        let flags: Vec<u8> = expected.iter().map(|value| *value as u8).collect();
        let list: SparseList<u8, typenum::U1099511627776> = SparseList::try_from_iter(flags.clone()).unwrap();
        assert_eq!(read_integers(&list).unwrap(), flags);
    }
}
