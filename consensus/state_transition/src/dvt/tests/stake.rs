//! What a group keeps: floors of withdrawals and of ejection.

use super::{GROUP, SHAPES, edit_key_sets};
use crate::block::operations::requests::process_withdrawal_request;
use crate::block::withdrawals::get_expected_withdrawals;
use crate::dvt::accessors::{get_ejection_balance, get_min_active_balance};
use crate::epoch::process_registry_updates;
use crate::helpers::accessors::{get_validator, get_validator_mut};
use crate::testing::{FULL_BALANCE, group_genesis, minimal_spec, public_key};
use types::constants::FAR_FUTURE_EPOCH;
use types::{
    BeaconState, ChainSpec, Epoch, ForkName, KeySet, Minimal, PendingPartialWithdrawal, ValidatorIndex, VirtualKey,
    WithdrawalRequest,
};

const GWEI: u64 = 1_000_000_000;

fn scene(keys: usize, threshold: u8) -> (BeaconState<Minimal>, ChainSpec) {
    let mut spec = minimal_spec(ForkName::Dvt);
    spec.shard_committee_period = 0;
    (group_genesis(&[(keys, threshold)], 8, &spec), spec)
}

fn set_balance(state: &mut BeaconState<Minimal>, balance: u64, effective_balance: u64) {
    *state.balances_mut().get_mut(0).unwrap() = balance;
    get_validator_mut(state, GROUP).unwrap().effective_balance = effective_balance;
    state.caches_mut().clear();
}

fn pending_growth(state: &mut BeaconState<Minimal>, activation_epoch: u64, keys: usize) {
    let keys: Vec<VirtualKey> = (0..keys).map(|key| VirtualKey::bls(public_key(key + 100))).collect();
    edit_key_sets(state, |key_sets| {
        key_sets.push(KeySet {
            activation_epoch: Epoch::new(activation_epoch),
            threshold: 1,
            keys: keys.try_into().unwrap(),
        });
    });
}

/// What a due partial withdrawal of 1000 ETH pays.
fn paid(state: &BeaconState<Minimal>) -> u64 {
    let mut state = state.clone();
    state
        .pending_partial_withdrawals_mut()
        .push(PendingPartialWithdrawal {
            validator_index: GROUP,
            amount: 1000 * GWEI,
            withdrawable_epoch: Epoch::new(0),
        })
        .unwrap();
    let (withdrawals, used) = get_expected_withdrawals(&state).unwrap();
    assert_eq!(used, 1);
    withdrawals
        .iter()
        .filter(|withdrawal| withdrawal.validator_index == GROUP)
        .map(|withdrawal| withdrawal.amount)
        .sum()
}

/// What a request for 1000 ETH puts into the queue.
fn queued(state: &BeaconState<Minimal>, spec: &ChainSpec) -> u64 {
    let mut state = state.clone();
    let validator = get_validator(&state, GROUP).unwrap();
    let request = WithdrawalRequest {
        source_address: validator.withdrawal_address(),
        validator_pubkey: validator.pubkey,
        amount: 1000 * GWEI,
    };
    process_withdrawal_request(&mut state, &request, spec).unwrap();
    state
        .pending_partial_withdrawals()
        .iter()
        .map(|withdrawal| withdrawal.amount)
        .sum()
}

#[test]
fn partial_withdrawals_leave_32_eth_for_each_key() {
    for (keys, threshold) in SHAPES {
        let (mut state, spec) = scene(keys, threshold);
        let floor = FULL_BALANCE * keys as u64;
        assert_eq!(get_min_active_balance(&state, GROUP), Ok(floor));
        for (balance, effective_balance, expected) in [
            (floor, floor, 0),
            (floor + 1, floor, 1),
            (floor + 5 * GWEI, floor, 5 * GWEI),
            (floor + 5 * GWEI, floor - GWEI, 0),
            (floor + 2000 * GWEI, floor, 1000 * GWEI),
        ] {
            set_balance(&mut state, balance, effective_balance);
            if balance <= 2048 * GWEI {
                assert_eq!(paid(&state), expected, "{keys} keys, balance {balance}");
            }
            assert_eq!(queued(&state, &spec), expected, "{keys} keys, balance {balance}");
        }
    }
}

#[test]
fn the_floor_covers_the_key_set_in_force_and_a_pending_one() {
    let (mut state, _) = scene(4, 3);
    pending_growth(&mut state, 5, 7);
    assert_eq!(get_min_active_balance(&state, GROUP), Ok(7 * FULL_BALANCE));
    set_balance(&mut state, 6 * FULL_BALANCE, 6 * FULL_BALANCE);
    assert_eq!(paid(&state), 0);
    // A pending change to fewer keys frees nothing before it is in force, and an old set no longer counts.
    let (mut state, _) = scene(7, 5);
    pending_growth(&mut state, 5, 4);
    assert_eq!(get_min_active_balance(&state, GROUP), Ok(7 * FULL_BALANCE));
    *state.slot_mut() = Epoch::new(5).start_slot::<Minimal>();
    assert_eq!(get_min_active_balance(&state, GROUP), Ok(4 * FULL_BALANCE));
}

#[test]
fn a_group_is_ejected_at_16_eth_for_each_key_in_force() {
    for (keys, threshold) in SHAPES {
        let (mut state, spec) = scene(keys, threshold);
        let limit = spec.ejection_balance * keys as u64;
        assert_eq!(get_ejection_balance(&state, GROUP, &spec), Ok(limit));
        // A pending set does not count.
        pending_growth(&mut state, 5, 16);
        assert_eq!(get_ejection_balance(&state, GROUP, &spec), Ok(limit));
        for (effective_balance, is_ejected) in [(limit + GWEI, false), (limit, true)] {
            let mut state = state.clone();
            set_balance(&mut state, effective_balance, effective_balance);
            state.apply_pending_mutations().unwrap();
            process_registry_updates(&mut state, &spec).unwrap();
            let exit_epoch = get_validator(&state, GROUP).unwrap().exit_epoch;
            assert_eq!(
                exit_epoch != FAR_FUTURE_EPOCH,
                is_ejected,
                "{keys} keys at {effective_balance}"
            );
        }
    }
}

#[test]
fn solo_validators_keep_the_floors_of_fulu() {
    let (state, spec) = scene(7, 5);
    let solo = ValidatorIndex::new(3);
    assert_eq!(get_min_active_balance(&state, solo), Ok(FULL_BALANCE));
    assert_eq!(get_ejection_balance(&state, solo, &spec), Ok(spec.ejection_balance));
}

/// The sweep begins where the last one ended, goes around the end of the registry, and meets nobody twice.
#[test]
fn the_sweep_goes_around_the_registry_from_wherever_it_begins() {
    let (mut state, _) = scene(4, 3);
    let count = state.validators().len() as u64;
    for index in 1..count {
        *state.balances_mut().get_mut(index as usize).unwrap() = FULL_BALANCE + index * GWEI;
    }
    for start in 0..count {
        *state.next_withdrawal_validator_index_mut() = ValidatorIndex::new(start);
        // Entry 0, the group, has nothing in excess; a payload of the minimal preset has room for four.
        let expected: Vec<(u64, u64)> = (start..start + count)
            .map(|index| index % count)
            .filter(|index| *index != 0)
            .map(|index| (index, index * GWEI))
            .take(4)
            .collect();
        let found: Vec<(u64, u64)> = get_expected_withdrawals(&state)
            .unwrap()
            .0
            .iter()
            .map(|withdrawal| (withdrawal.validator_index.as_u64(), withdrawal.amount))
            .collect();
        assert_eq!(found, expected, "from {start}");
    }
}
