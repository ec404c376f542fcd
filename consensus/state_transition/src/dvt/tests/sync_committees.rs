//! Sync committees: who fills which positions, and how runs are paid.

use super::GROUP;
use crate::block::sync_aggregate::{compute_sync_aggregate_rewards, process_sync_aggregate};
use crate::dvt::accessors::get_key_set;
use crate::dvt::sync_committee::{get_next_sync_committee, get_sync_committee_runs};
use crate::helpers::accessors::{get_balance, get_beacon_proposer_index, get_validator};
use crate::process_slots;
use crate::signatures::{ImmediateVerifier, NullVerifier};
use crate::testing::{group_genesis, minimal_spec, sign};
use proptest::prelude::*;
use ssz_types::BitVector;
use std::sync::{Arc, OnceLock};
use types::{
    BeaconState, ChainSpec, Epoch, ForkName, KeySet, Minimal, Preset, SignerIndex, Slot, SyncAggregate, ValidatorIndex,
    VirtualKey,
};

const SIZE: usize = Minimal::SYNC_COMMITTEE_SIZE as usize;

fn scene() -> &'static (BeaconState<Minimal>, ChainSpec) {
    static SCENE: OnceLock<(BeaconState<Minimal>, ChainSpec)> = OnceLock::new();
    SCENE.get_or_init(|| {
        let spec = minimal_spec(ForkName::Dvt);
        let mut state = group_genesis(&[(7, 5), (4, 2), (16, 16)], 24, &spec);
        process_slots(&mut state, Slot::new(3), &spec).unwrap();
        (state, spec)
    })
}

fn virtual_run(validator: u64, keys: std::ops::Range<u8>) -> impl Iterator<Item = SignerIndex> {
    keys.map(move |key| SignerIndex::virtual_index(ValidatorIndex::new(validator), key).unwrap())
}

/// A committee of a whole run of each kind, solo validators, a group twice in a row, and a short run at the end.
fn positions() -> Vec<SignerIndex> {
    let mut positions: Vec<SignerIndex> = virtual_run(0, 0..7).collect();
    positions.extend(virtual_run(1, 0..4).chain(virtual_run(1, 0..4)));
    positions.extend([8, 9, 9, 20].map(SignerIndex::new));
    positions.extend(virtual_run(0, 0..7));
    positions.extend(virtual_run(2, 0..16));
    positions.truncate(SIZE);
    positions
}

fn with_positions(positions: Vec<SignerIndex>) -> BeaconState<Minimal> {
    let mut state = scene().0.clone();
    if let BeaconState::Dvt(inner) = &mut state {
        inner.current_sync_committee_indices = Arc::new(positions.try_into().unwrap());
    }
    state
}

fn aggregate(bits: impl IntoIterator<Item = usize>) -> SyncAggregate<Minimal> {
    let mut sync_committee_bits = BitVector::default();
    for bit in bits {
        sync_committee_bits.set(bit, true).unwrap();
    }
    SyncAggregate {
        sync_committee_bits,
        sync_committee_signature: bls::INFINITY_SIGNATURE,
    }
}

/// What one aggregate changes in each balance.
fn changes(state: &BeaconState<Minimal>, bits: impl IntoIterator<Item = usize>) -> Vec<i64> {
    let mut after = state.clone();
    process_sync_aggregate(&mut after, &aggregate(bits), &mut NullVerifier, &scene().1).unwrap();
    let pairs = after.balances().iter().zip(state.balances().iter());
    pairs.map(|(after, before)| *after as i64 - *before as i64).collect()
}

#[test]
fn a_run_is_paid_from_its_share_of_the_threshold_on() {
    let state = with_positions(positions());
    let (reward, proposer_reward) = compute_sync_aggregate_rewards(&state, &scene().1).unwrap();
    let proposer = get_beacon_proposer_index(&state).unwrap();
    assert!(reward > 0 && proposer_reward > 0);
    // Start, length, and how many must sign: 5 of 7, 2 of 4, and of sixteen 16; the last run has only six positions.
    for (start, len, needed) in [(0, 7, 5), (7, 4, 2), (11, 4, 2), (19, 7, 5), (26, 6, 6), (15, 1, 1)] {
        let index = positions()[start].validator();
        for signed in 0..=len {
            // The last positions of the run sign, and nobody else.
            let found = changes(&state, start + len - signed..start + len);
            let idle = changes(&state, [])[index.as_usize()];
            let expected = if signed >= needed {
                2 * (reward * len as u64) as i64
            } else {
                0
            };
            let pay = if index == proposer {
                (proposer_reward * signed as u64) as i64
            } else {
                0
            };
            assert_eq!(
                found[index.as_usize()] - idle,
                expected + pay,
                "{signed} of run {start}+{len}"
            );
        }
    }
}

#[test]
fn the_proposer_is_paid_for_each_bit_of_unpaid_runs_too() {
    let state = with_positions(positions());
    let (_, proposer_reward) = compute_sync_aggregate_rewards(&state, &scene().1).unwrap();
    let proposer = get_beacon_proposer_index(&state).unwrap().as_usize();
    let idle = changes(&state, [])[proposer];
    // Four of seven: below the threshold.
    assert_eq!(changes(&state, 0..4)[proposer] - idle, (4 * proposer_reward) as i64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bits: balances are those of adding up every position by itself.
    #[test]
    fn accounting_equals_a_naive_model(bits in prop::collection::vec(any::<bool>(), SIZE)) {
        let state = with_positions(positions());
        let (reward, proposer_reward) = compute_sync_aggregate_rewards(&state, &scene().1).unwrap();
        let proposer = get_beacon_proposer_index(&state).unwrap();
        let mut expected = vec![0i64; state.validators().len()];
        for (start, len, needed) in [(0, 7, 5), (7, 4, 2), (11, 4, 2), (15, 1, 1), (16, 1, 1), (17, 1, 1), (18, 1, 1), (19, 7, 5), (26, 6, 6)] {
            let signed = bits[start..start + len].iter().filter(|bit| **bit).count();
            let sign = if signed >= needed { 1 } else { -1 };
            expected[positions()[start].validator().as_usize()] += sign * (len as u64 * reward) as i64;
            expected[proposer.as_usize()] += (signed as u64 * proposer_reward) as i64;
        }
        prop_assert_eq!(changes(&state, (0..SIZE).filter(|bit| bits[*bit])), expected);
    }
}

#[test]
fn a_drawn_group_fills_positions_with_its_keys_in_order() {
    let (state, spec) = scene();
    let (committee, indices) = get_next_sync_committee(state, spec).unwrap();
    let mut whole_runs = 0;
    let mut position = 0;
    while position < SIZE {
        let (index, key) = indices[position].split();
        let key_set = get_key_set(state, index, Epoch::new(1)).unwrap();
        let pubkeys: Vec<_> = match key_set {
            None => vec![get_validator(state, index).unwrap().pubkey],
            Some(key_set) => key_set.keys.iter().map(|key| key.as_bls().unwrap()).collect(),
        };
        assert_eq!(key, key_set.map(|_| 0), "position {position} begins a run");
        for (place, pubkey) in pubkeys.iter().enumerate().take(SIZE - position) {
            assert_eq!(committee.pubkeys[position + place], *pubkey);
            let key = key_set.map(|_| place as u8);
            assert_eq!(indices[position + place].split(), (index, key));
        }
        whole_runs += usize::from(key_set.is_some() && position + pubkeys.len() <= SIZE);
        position += pubkeys.len();
    }
    assert!(whole_runs > 0, "the seed draws at least one group");
}

/// Puts an XMSS key into the key sets of the groups for which `is_chosen` says so.
fn with_xmss_keys(is_chosen: impl Fn(u64) -> bool) -> BeaconState<Minimal> {
    let mut state = scene().0.clone();
    if let BeaconState::Dvt(inner) = &mut state {
        for position in 0..3 {
            let group = inner.groups.get_mut(position).unwrap();
            if is_chosen(group.validator_index.as_u64()) {
                group.key_sets[0].keys[1] = VirtualKey {
                    scheme: 1,
                    pubkey: vec![1; 52].try_into().unwrap(),
                };
            }
        }
    }
    state.caches_mut().clear();
    state
}

#[test]
fn groups_with_a_key_of_another_scheme_are_no_candidates() {
    let drawn = |state: &BeaconState<Minimal>| {
        let (_, indices) = get_next_sync_committee(state, &scene().1).unwrap();
        indices
            .iter()
            .map(|signer| signer.validator().as_u64())
            .collect::<Vec<_>>()
    };
    let usual = drawn(&scene().0);
    let group = *usual.iter().find(|index| **index < 3).unwrap();
    let state = with_xmss_keys(|index| index == group);
    assert!(drawn(&state).iter().all(|index| *index != group));
}

#[test]
fn without_candidates_positions_are_filled_and_nobody_is_paid() {
    let spec = &scene().1;
    let mut state = with_xmss_keys(|_| true);
    // Only the groups are active.
    for index in 3..state.validators().len() {
        state.validators_mut().get_mut(index).unwrap().exit_epoch = Epoch::new(1);
    }
    state.apply_pending_mutations().unwrap();
    state.caches_mut().clear();
    let (committee, indices) = get_next_sync_committee(&state, spec).unwrap();
    for (signer, pubkey) in indices.iter().zip(committee.pubkeys.iter()) {
        assert!(!signer.is_virtual() && signer.as_u64() < 3);
        assert_eq!(*pubkey, get_validator(&state, signer.validator()).unwrap().pubkey);
    }
    let mut state = with_xmss_keys(|_| true);
    if let BeaconState::Dvt(inner) = &mut state {
        inner.current_sync_committee_indices = Arc::new(indices);
    }
    assert!(
        get_sync_committee_runs(&state)
            .unwrap()
            .iter()
            .all(|terms| !terms.is_accountable)
    );
    let proposer = get_beacon_proposer_index(&state).unwrap().as_usize();
    for (index, change) in changes(&state, 0..SIZE / 2).into_iter().enumerate() {
        assert_eq!(change > 0, index == proposer);
        assert!(change >= 0);
    }
}

#[test]
fn a_committee_keeps_the_key_sets_it_was_drawn_with() {
    // Drawn in period 0 for period 1; the group changes to 1-of-1 in period 1.
    let mut state = with_positions(positions());
    let period = Minimal::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    if let BeaconState::Dvt(inner) = &mut state {
        let group = inner.groups.get_mut(0).unwrap();
        let mut key_sets = group.key_sets.to_vec();
        key_sets.push(KeySet {
            activation_epoch: Epoch::new(period),
            threshold: 1,
            keys: vec![key_sets[0].keys[0].clone()].try_into().unwrap(),
        });
        group.key_sets = key_sets.try_into().unwrap();
    }
    state.caches_mut().clear();
    let terms_in = |epoch: u64| {
        let mut state = state.clone();
        *state.slot_mut() = Epoch::new(epoch).start_slot::<Minimal>();
        let terms = get_sync_committee_runs(&state).unwrap();
        let run = terms.iter().find(|terms| terms.run.validator == GROUP).unwrap();
        (run.keys, run.threshold)
    };
    assert_eq!([terms_in(period), terms_in(2 * period - 1)], [(7, 5), (7, 5)]);
    assert_eq!(terms_in(2 * period), (1, 1));
}

#[test]
fn an_empty_aggregate_is_the_point_at_infinity_and_nothing_else() {
    let (state, spec) = scene();
    let mut empty = aggregate([]);
    let process = |aggregate: &SyncAggregate<Minimal>| {
        process_sync_aggregate(&mut state.clone(), aggregate, &mut ImmediateVerifier, spec)
    };
    assert_eq!(process(&empty), Ok(()));
    empty.sync_committee_signature = sign([0], Default::default());
    assert!(process(&empty).is_err());
    assert!(process(&aggregate([0])).is_err());
    let proposer = get_beacon_proposer_index(state).unwrap();
    assert!(get_balance(state, proposer).unwrap() > 0);
}
