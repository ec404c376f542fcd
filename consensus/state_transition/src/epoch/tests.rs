//! Properties of whole epochs. Single stages are tested by the official vectors.

use super::summary::rewrite;
use super::*;
use crate::helpers::accessors::get_validator_mut;
use crate::process_slots;
use crate::testing::{FULL_BALANCE, minimal_spec, solo_genesis};
use crate::upgrade::upgrade_to_dvt;
use milhouse::List;
use proptest::prelude::*;
use tree_hash::TreeHash;
use types::{Checkpoint, Epoch, ForkName, Minimal, Slot, SparseList, ValidatorIndex};

const VALIDATORS: usize = 24;

/// What happens to one validator before an epoch ends.
#[derive(Debug, Clone)]
struct Fate {
    previous_flags: u8,
    current_flags: u8,
    balance: u64,
    inactivity_score: u64,
    slashed: bool,
    exiting: bool,
    compounding: bool,
}

fn fate() -> impl Strategy<Value = Fate> {
    (
        0u8..8,
        0u8..8,
        prop_oneof![
            Just(FULL_BALANCE),
            0..2 * FULL_BALANCE,
            15_000_000_000u64..17_000_000_000
        ],
        prop_oneof![Just(0u64), 0u64..200],
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        any::<bool>(),
    )
        .prop_map(
            |(previous_flags, current_flags, balance, inactivity_score, slashed, exiting, compounding)| Fate {
                previous_flags,
                current_flags,
                balance,
                inactivity_score,
                slashed,
                exiting,
                compounding,
            },
        )
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    prop::collection::vec(fate(), VALIDATORS)
}

/// The last slot of epoch 7, which ends a sync committee period, with `fates` applied and the epoch `finalized` finalised.
fn state_with(fates: &[Fate], finalized: u64) -> (BeaconState<Minimal>, ChainSpec) {
    let spec = minimal_spec(ForkName::Fulu);
    let mut state = solo_genesis(VALIDATORS, &spec);
    process_slots(&mut state, Slot::new(63), &spec).unwrap();
    for (index, fate) in fates.iter().enumerate() {
        let validator = get_validator_mut(&mut state, ValidatorIndex::new(index as u64)).unwrap();
        validator.effective_balance = (fate.balance - fate.balance % 1_000_000_000).min(FULL_BALANCE);
        validator.slashed = fate.slashed;
        if fate.compounding {
            validator.withdrawal_credentials[0] = 2;
        }
        if fate.slashed || fate.exiting {
            validator.exit_epoch = Epoch::new(7 + index as u64 % 3);
            // For some of the slashed the correlation penalty falls due.
            validator.withdrawable_epoch = Epoch::new(7 + 32 + index as u64 % 2);
        }
        *state.balances_mut().get_mut(index).unwrap() = fate.balance;
        *state.inactivity_scores_mut().get_mut(index).unwrap() = fate.inactivity_score;
        *state.previous_epoch_participation_mut().get_mut(index).unwrap() = fate.previous_flags;
        *state.current_epoch_participation_mut().get_mut(index).unwrap() = fate.current_flags;
    }
    *state.slashings_mut().get_mut(1).unwrap() = FULL_BALANCE;
    *state.finalized_checkpoint_mut() = Checkpoint {
        epoch: Epoch::new(finalized),
        ..Default::default()
    };
    state.caches_mut().clear();
    state.apply_pending_mutations().unwrap();
    (state, spec)
}

/// The stages one by one, each reading the registry for itself.
fn stage_by_stage(state: &mut BeaconState<Minimal>, spec: &ChainSpec) -> Result<(), EpochError> {
    process_justification_and_finalization(state, spec)?;
    process_inactivity_updates(state, spec)?;
    process_rewards_and_penalties(state, spec)?;
    process_registry_updates(state, spec)?;
    process_slashings(state, spec)?;
    process_eth1_data_reset(state, spec)?;
    process_pending_deposits(state, spec)?;
    process_pending_consolidations(state, spec)?;
    process_effective_balance_updates(state, spec)?;
    process_slashings_reset(state, spec)?;
    process_randao_mixes_reset(state, spec)?;
    process_historical_summaries_update(state, spec)?;
    process_participation_flag_updates(state, spec)?;
    process_sync_committee_updates(state, spec)?;
    process_proposer_lookahead(state, spec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn epoch_is_its_stages_in_a_row(fates in fates(), finalized in prop::sample::select(vec![0u64, 6])) {
        let (mut whole, spec) = state_with(&fates, finalized);
        let mut staged = whole.clone();
        process_epoch(&mut whole, &spec).unwrap();
        stage_by_stage(&mut staged, &spec).unwrap();
        prop_assert_eq!(whole.canonical_root().unwrap(), staged.canonical_root().unwrap());
    }

    #[test]
    fn dvt_without_groups_accounts_like_fulu(fates in fates(), finalized in prop::sample::select(vec![0u64, 6])) {
        let (mut fulu, spec) = state_with(&fates, finalized);
        let mut dvt = fulu.clone();
        upgrade_to_dvt(&mut dvt, &spec).unwrap();
        process_epoch(&mut fulu, &spec).unwrap();
        process_epoch(&mut dvt, &spec).unwrap();
        // Upgraded afterwards, it is the same state: balances, committees, proposers, everything.
        upgrade_to_dvt(&mut fulu, &spec).unwrap();
        prop_assert_eq!(fulu.canonical_root().unwrap(), dvt.canonical_root().unwrap());
    }

    #[test]
    fn warm_caches_change_nothing(fates in fates()) {
        let (mut warm, spec) = state_with(&fates, 6);
        let mut cold = warm.clone();
        for epoch in 6..=8 {
            crate::caches::committees::get_committees(&warm, Epoch::new(epoch)).unwrap();
        }
        compute_unrealized_checkpoints(&warm).unwrap();
        cold.caches_mut().clear();
        process_slots(&mut warm, Slot::new(74), &spec).unwrap();
        process_slots(&mut cold, Slot::new(74), &spec).unwrap();
        prop_assert_eq!(warm.canonical_root().unwrap(), cold.canonical_root().unwrap());
    }

    #[test]
    fn unrealized_checkpoints_are_those_at_the_end_of_the_epoch(fates in fates()) {
        let (mut state, spec) = state_with(&fates, 6);
        let unrealized = compute_unrealized_checkpoints(&state).unwrap();
        process_justification_and_finalization(&mut state, &spec).unwrap();
        prop_assert_eq!(unrealized, (state.current_justified_checkpoint(), state.finalized_checkpoint()));
    }

    #[test]
    fn rewritten_list_equals_a_new_one(
        old in prop::collection::vec(0u64..4, 1..300),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u64..4), 0..300),
    ) {
        let mut new = old.clone();
        for (index, value) in changes {
            let index = index.index(new.len());
            new[index] = value;
        }
        let mut list: SparseList<u64, typenum::U1099511627776> = List::try_from_iter(old.iter().copied()).unwrap();
        list.tree_hash_root();
        let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
        rewrite(&mut list, &new, changed).unwrap();
        prop_assert_eq!(list.to_vec(), new.clone());
        let fresh: SparseList<u64, typenum::U1099511627776> = List::try_from_iter(new).unwrap();
        prop_assert_eq!(list.tree_hash_root(), fresh.tree_hash_root());
    }
}

#[test]
fn full_participation_finalizes() {
    let spec = minimal_spec(ForkName::Fulu);
    let mut state = solo_genesis(VALIDATORS, &spec);
    for epoch in 1..6u64 {
        process_slots(&mut state, Slot::new(8 * epoch - 1), &spec).unwrap();
        for index in 0..VALIDATORS {
            *state.current_epoch_participation_mut().get_mut(index).unwrap() = 7;
        }
        process_slots(&mut state, Slot::new(8 * epoch), &spec).unwrap();
    }
    assert_eq!(state.current_justified_checkpoint().epoch, Epoch::new(4));
    assert_eq!(state.finalized_checkpoint().epoch, Epoch::new(3));
    assert!(state.balances().iter().all(|balance| *balance > FULL_BALANCE));
}

#[test]
fn validator_at_the_ejection_balance_leaves_and_one_above_stays() {
    let spec = minimal_spec(ForkName::Fulu);
    let mut state = solo_genesis(VALIDATORS, &spec);
    get_validator_mut(&mut state, ValidatorIndex::new(5))
        .unwrap()
        .effective_balance = spec.ejection_balance;
    get_validator_mut(&mut state, ValidatorIndex::new(6))
        .unwrap()
        .effective_balance = spec.ejection_balance + 1_000_000_000;
    process_registry_updates(&mut state, &spec).unwrap();
    let exits = |index: usize| state.validators().get(index).unwrap().exit_epoch;
    assert_eq!(exits(5), Epoch::new(5));
    assert_eq!(exits(6), types::constants::FAR_FUTURE_EPOCH);
}

#[test]
fn validator_with_all_flags_gets_the_ideal_rewards() {
    let spec = minimal_spec(ForkName::Fulu);
    let mut state = solo_genesis(VALIDATORS, &spec);
    process_slots(&mut state, Slot::new(15), &spec).unwrap();
    for index in 0..VALIDATORS - 1 {
        *state.previous_epoch_participation_mut().get_mut(index).unwrap() = 7;
    }
    let ideal = get_ideal_rewards(&state, &spec).unwrap();
    assert_eq!(ideal.len(), 32);
    let ideal = ideal[31];
    let deltas = get_attestation_deltas(&state, &spec).unwrap();
    assert_eq!(ideal.effective_balance, FULL_BALANCE);
    assert_eq!(
        (deltas.source[0].reward, deltas.target[0].reward, deltas.head[0].reward),
        (ideal.source, ideal.target, ideal.head)
    );
    assert!(ideal.source > 0 && ideal.target > ideal.source && ideal.head == ideal.source);
    assert_eq!(deltas.source[VALIDATORS - 1].reward, 0);
}
