//! Key-set changes: what each check refuses, and what an accepted change does.

use super::{GROUP, edit_key_sets};
use crate::dvt::accessors::{get_group, get_key_set, get_threshold, is_solo_at};
use crate::dvt::key_set_change::{KeySetChangeError, check_key_set_change, process_key_set_change};
use crate::dvt::signers::{Quorum, SignersError};
use crate::helpers::accessors::get_validator_mut;
use crate::process_slots;
use crate::signatures::{ImmediateVerifier, NullVerifier};
use crate::testing::{FULL_BALANCE, genesis, group, group_key, minimal_spec, public_key, sign, signers, solo};
use types::constants::{DOMAIN_KEY_POSSESSION, DOMAIN_KEY_SET_CHANGE, KEY_SET_CHANGE_WINDOW};
use types::{
    BeaconState, ChainSpec, Epoch, ForkName, KeyPossession, KeyProof, KeySet, KeySetChange, Minimal, Preset, Root,
    SchemeProof, SchemeProofs, SignedKeySetChange, Slot, ValidatorIndex, VirtualKey, compute_domain,
    compute_signing_root,
};

/// A solo validator with compounding credentials and stake for seven keys. Its key is number 2.
const RICH: ValidatorIndex = ValidatorIndex::new(2);
/// A solo validator with ordinary credentials.
const POOR: ValidatorIndex = ValidatorIndex::new(3);
/// Keys that nobody has yet.
const FRESH: usize = 3000;

/// Groups 0 (5-of-7) and 1 (3-of-4), the rich solo validator, and poor ones.
fn scene() -> (BeaconState<Minimal>, ChainSpec) {
    let spec = minimal_spec(ForkName::Dvt);
    let mut validators = vec![group(0, 7, 5), group(1, 4, 3), solo(2)];
    validators[2].withdrawal_credentials.0[0] = 2;
    validators[2].balance = 7 * FULL_BALANCE;
    validators.extend((3..16).map(solo));
    (genesis(&validators, &spec), spec)
}

/// A change to keys by number, with proofs by the keys `new`, signed by the keys `by` under the places `named`.
struct Draft {
    index: ValidatorIndex,
    threshold: u8,
    keys: Vec<usize>,
    new: Vec<usize>,
    by: Vec<usize>,
    named: Vec<usize>,
    sequence: u64,
    slot: Slot,
}

impl Draft {
    /// The rich solo validator becomes a group of those keys.
    fn of_solo(threshold: u8, keys: impl IntoIterator<Item = usize>) -> Self {
        let keys: Vec<usize> = keys.into_iter().collect();
        Self {
            index: RICH,
            threshold,
            new: keys.clone(),
            keys,
            by: vec![2],
            named: Vec::new(),
            sequence: 0,
            slot: Slot::new(0),
        }
    }

    /// The first group changes to those keys, as its first five want.
    fn of_group(threshold: u8, keys: impl IntoIterator<Item = usize>) -> Self {
        let keys: Vec<usize> = keys.into_iter().collect();
        let is_old = |key: &usize| (group_key(0, 0)..group_key(0, 7)).contains(key);
        Self {
            index: GROUP,
            threshold,
            new: keys.iter().copied().filter(|key| !is_old(key)).collect(),
            keys,
            by: (0..5).map(|key| group_key(0, key)).collect(),
            named: (0..5).collect(),
            sequence: 0,
            slot: Slot::new(0),
        }
    }

    fn sign(&self, state: &BeaconState<Minimal>, spec: &ChainSpec) -> SignedKeySetChange {
        let domain =
            |domain_type| compute_domain(domain_type, spec.genesis_fork_version, state.genesis_validators_root());
        let message = KeySetChange {
            validator_index: self.index,
            sequence: self.sequence,
            slot: self.slot,
            threshold: self.threshold,
            keys: virtual_keys(&self.keys).try_into().unwrap(),
        };
        let key_proofs: Vec<KeyProof> = self
            .new
            .iter()
            .map(|key| {
                let possession = KeyPossession {
                    validator_index: self.index,
                    key: VirtualKey::bls(public_key(*key)),
                    slot: self.slot,
                };
                let root = compute_signing_root(&possession, domain(DOMAIN_KEY_POSSESSION));
                KeyProof {
                    slot: self.slot,
                    proof: SchemeProof {
                        scheme: 0,
                        data: sign([*key], root).to_vec().try_into().unwrap(),
                    },
                }
            })
            .collect();
        let root = compute_signing_root(&message, domain(DOMAIN_KEY_SET_CHANGE));
        SignedKeySetChange {
            message,
            key_proofs: key_proofs.try_into().unwrap(),
            signers: signers(self.named.iter().copied()),
            signature: sign(self.by.iter().copied(), root),
            proofs: SchemeProofs::empty(),
        }
    }
}

fn virtual_keys(keys: &[usize]) -> Vec<VirtualKey> {
    keys.iter().map(|key| VirtualKey::bls(public_key(*key))).collect()
}

fn check(draft: &Draft, state: &BeaconState<Minimal>, spec: &ChainSpec) -> Result<(), KeySetChangeError> {
    check_key_set_change(state, &draft.sign(state, spec), Quorum::Threshold, spec).map(|_| ())
}

/// The verdict on a draft, signatures included, and the state after it.
fn process(
    draft: &Draft,
    state: &BeaconState<Minimal>,
    spec: &ChainSpec,
) -> (Result<(), KeySetChangeError>, BeaconState<Minimal>) {
    let mut after = state.clone();
    let result = process_key_set_change(&mut after, &draft.sign(state, spec), &mut ImmediateVerifier, spec);
    (result, after)
}

#[test]
fn a_solo_validator_becomes_a_group_at_the_activation_epoch() {
    let (state, spec) = scene();
    let (result, mut state) = process(&Draft::of_solo(5, FRESH..FRESH + 7), &state, &spec);
    assert_eq!(result, Ok(()));
    let (position, group) = get_group(&state, RICH).unwrap();
    assert_eq!((position, group.sequence, group.key_sets.len()), (2, 1, 2));
    assert_eq!(group.key_sets[0], KeySet::default());
    let activation = Epoch::new(1 + Minimal::MAX_SEED_LOOKAHEAD);
    assert_eq!(is_solo_at(&state, RICH, activation.saturating_sub(1u64)), Ok(true));
    assert_eq!(get_threshold(&state, RICH, activation), Ok(5));
    let BeaconState::Dvt(inner) = &state else {
        unreachable!()
    };
    assert_eq!(inner.previous_group_participation.len(), 3);
    assert_eq!(inner.current_group_participation.len(), 3);
    // Epochs pass with the new group: its seats are there from its epoch on.
    process_slots(&mut state, activation.start_slot::<Minimal>(), &spec).unwrap();
    let seats: usize = (0..8)
        .map(|slot| activation.start_slot::<Minimal>().saturating_add(slot as u64))
        .flat_map(|slot| {
            let count = crate::helpers::accessors::get_committee_count_per_slot(&state, activation).unwrap();
            (0..count).map(move |index| (slot, index))
        })
        .map(|(slot, index)| {
            let seats = crate::dvt::accessors::get_committee_seats(&state, slot, index).unwrap();
            seats.iter().filter(|seat| seat.validator() == RICH).count()
        })
        .sum();
    assert_eq!(seats, 7);
}

#[test]
fn a_change_needs_the_threshold_of_the_key_set_in_force() {
    let (state, spec) = scene();
    for count in 0..=7 {
        let draft = Draft {
            by: (0..count).map(|key| group_key(0, key)).collect(),
            named: (0..count).collect(),
            ..Draft::of_group(4, (0..6).map(|key| group_key(0, key)))
        };
        let (result, after) = process(&draft, &state, &spec);
        if count < 5 {
            let expected = KeySetChangeError::Signers(SignersError::BelowThreshold {
                index: GROUP,
                signers: count,
                threshold: 5,
            });
            assert_eq!(result, Err(expected));
            assert_eq!(after.groups(), state.groups());
        } else {
            assert_eq!(result, Ok(()), "{count} signers");
        }
    }
    // A member's part is checked by a node's pool with one signature.
    let part = Draft {
        by: vec![group_key(0, 6)],
        named: vec![6],
        ..Draft::of_group(4, (0..6).map(|key| group_key(0, key)))
    };
    assert!(check_key_set_change(&state, &part.sign(&state, &spec), Quorum::Member, &spec).is_ok());
    // By the right number of wrong keys.
    let stolen = Draft {
        by: (0..5).map(|key| group_key(1, key)).collect(),
        ..Draft::of_group(4, (0..6).map(|key| group_key(0, key)))
    };
    assert!(matches!(
        process(&stolen, &state, &spec).0,
        Err(KeySetChangeError::Signature(_))
    ));
}

#[test]
fn a_group_is_dissolved_by_an_empty_change() {
    let (state, spec) = scene();
    let (result, state) = process(&Draft::of_group(0, []), &state, &spec);
    assert_eq!(result, Ok(()));
    let activation = Epoch::new(1 + Minimal::MAX_SEED_LOOKAHEAD);
    assert_eq!(is_solo_at(&state, GROUP, activation.saturating_sub(1u64)), Ok(false));
    assert_eq!(is_solo_at(&state, GROUP, activation), Ok(true));
}

#[test]
fn a_rotation_needs_no_stake_but_growth_does() {
    let (mut state, spec) = scene();
    get_validator_mut(&mut state, GROUP).unwrap().effective_balance = 7 * FULL_BALANCE - 1_000_000_000;
    let old = |count| (0..count).map(|key| group_key(0, key));
    // 223 ETH: seven keys in, seven keys out.
    assert_eq!(check(&Draft::of_group(5, old(6).chain([FRESH])), &state, &spec), Ok(()));
    assert_eq!(
        check(&Draft::of_group(5, old(7).chain([FRESH])), &state, &spec),
        Err(KeySetChangeError::Balance {
            keys: 8,
            expected: 8 * FULL_BALANCE,
            found: 7 * FULL_BALANCE - 1_000_000_000
        })
    );
    get_validator_mut(&mut state, GROUP).unwrap().effective_balance = 8 * FULL_BALANCE;
    assert_eq!(check(&Draft::of_group(5, old(7).chain([FRESH])), &state, &spec), Ok(()));
    // The largest group.
    get_validator_mut(&mut state, GROUP).unwrap().effective_balance = 16 * FULL_BALANCE;
    assert_eq!(
        check(&Draft::of_group(16, old(7).chain(FRESH..FRESH + 9)), &state, &spec),
        Ok(())
    );
    // From solo: seven keys fit 224 ETH, not eight.
    assert_eq!(check(&Draft::of_solo(5, FRESH..FRESH + 7), &state, &spec), Ok(()));
    assert!(matches!(
        check(&Draft::of_solo(5, FRESH..FRESH + 8), &state, &spec),
        Err(KeySetChangeError::Balance { keys: 8, .. })
    ));
}

#[test]
fn the_threshold_lies_between_one_and_the_number_of_keys() {
    let (state, spec) = scene();
    for (threshold, keys, is_valid) in [(0, 4, false), (1, 4, true), (4, 4, true), (5, 4, false), (1, 1, true)] {
        let result = check(&Draft::of_solo(threshold, FRESH..FRESH + keys), &state, &spec);
        let expected = if is_valid {
            Ok(())
        } else {
            Err(KeySetChangeError::Threshold { threshold, keys })
        };
        assert_eq!(result, expected);
    }
    assert_eq!(
        check(&Draft::of_group(1, []), &state, &spec),
        Err(KeySetChangeError::ThresholdWithoutKeys(1))
    );
    assert_eq!(
        check(&Draft::of_solo(0, []), &state, &spec),
        Err(KeySetChangeError::NothingToDissolve(RICH))
    );
}

#[test]
fn several_keys_need_compounding_credentials_and_one_does_not() {
    let (state, spec) = scene();
    let poor = |keys: usize| Draft {
        index: POOR,
        by: vec![3],
        ..Draft::of_solo(1, FRESH..FRESH + keys)
    };
    assert_eq!(check(&poor(1), &state, &spec), Ok(()));
    assert_eq!(
        check(&poor(2), &state, &spec),
        Err(KeySetChangeError::NotCompounding(POOR))
    );
}

#[test]
fn keys_are_well_formed_distinct_and_nobody_elses() {
    let (state, spec) = scene();
    let solo = |keys: &[usize]| check(&Draft::of_solo(1, keys.iter().copied()), &state, &spec);
    assert_eq!(
        solo(&[FRESH, FRESH + 1, FRESH]),
        Err(KeySetChangeError::DuplicateKey { first: 0, second: 2 })
    );
    assert_eq!(
        solo(&[FRESH, 5]),
        Err(KeySetChangeError::KeyTaken {
            place: 1,
            owner: ValidatorIndex::new(5)
        })
    );
    assert_eq!(
        solo(&[FRESH, group_key(1, 3)]),
        Err(KeySetChangeError::KeyTaken {
            place: 1,
            owner: ValidatorIndex::new(1)
        })
    );
    // Its own registry key may be one of them.
    assert_eq!(solo(&[FRESH, 2]), Ok(()));

    // A key that another group had, but still remembers, is taken too.
    let mut before = state.clone();
    edit_key_sets(&mut before, |key_sets| {
        key_sets.push(KeySet {
            activation_epoch: Epoch::new(1),
            threshold: 1,
            keys: virtual_keys(&[FRESH + 9]).try_into().unwrap(),
        });
    });
    assert!(matches!(
        check(&Draft::of_solo(1, [group_key(0, 6)]), &before, &spec),
        Err(KeySetChangeError::KeyTaken { place: 0, owner }) if owner == GROUP
    ));

    for key in [
        VirtualKey {
            scheme: 0,
            pubkey: vec![0xc0; 47].try_into().unwrap(),
        },
        VirtualKey::bls([0xff; 48].into()),
        VirtualKey {
            scheme: 200,
            pubkey: vec![1; 48].try_into().unwrap(),
        },
    ] {
        let mut change = Draft::of_solo(1, [FRESH]).sign(&state, &spec);
        change.message.keys = vec![key].try_into().unwrap();
        let found = check_key_set_change(&state, &change, Quorum::Threshold, &spec);
        assert!(
            matches!(found, Err(KeySetChangeError::Key { place: 0, .. })),
            "{found:?}"
        );
    }
}

#[test]
fn each_new_key_proves_possession_for_this_validator() {
    let (state, spec) = scene();
    let draft = Draft::of_group(5, (0..6).map(|key| group_key(0, key)).chain([FRESH]));
    let good = draft.sign(&state, &spec);
    assert_eq!(good.key_proofs.len(), 1);
    let verdict =
        |change: &SignedKeySetChange| process_key_set_change(&mut state.clone(), change, &mut ImmediateVerifier, &spec);
    assert_eq!(verdict(&good), Ok(()));

    let mut none = good.clone();
    none.key_proofs = Default::default();
    assert_eq!(
        verdict(&none),
        Err(KeySetChangeError::ProofCount { expected: 1, found: 0 })
    );
    let mut two = good.clone();
    two.key_proofs = vec![good.key_proofs[0].clone(); 2].try_into().unwrap();
    assert_eq!(
        verdict(&two),
        Err(KeySetChangeError::ProofCount { expected: 1, found: 2 })
    );

    // Made for another validator.
    let other = Draft::of_solo(1, [FRESH]).sign(&state, &spec);
    let mut moved = good.clone();
    moved.key_proofs = other.key_proofs.clone();
    assert!(matches!(verdict(&moved), Err(KeySetChangeError::Signature(_))));
    // Another slot than the signed one.
    let mut shifted = good.clone();
    shifted.key_proofs[0].slot = Slot::new(1);
    assert!(matches!(verdict(&shifted), Err(KeySetChangeError::Signature(_))));
    for proof in [
        SchemeProof {
            scheme: 1,
            ..good.key_proofs[0].proof.clone()
        },
        SchemeProof {
            scheme: 0,
            data: vec![0; 95].try_into().unwrap(),
        },
    ] {
        let mut wrong = good.clone();
        wrong.key_proofs[0].proof = proof;
        assert!(matches!(
            verdict(&wrong),
            Err(KeySetChangeError::Possession { place: 6, .. })
        ));
    }
}

#[test]
fn a_change_is_good_for_its_window_and_its_sequence() {
    let (mut state, spec) = scene();
    let draft = |slot: u64, sequence| Draft {
        slot: Slot::new(slot),
        sequence,
        ..Draft::of_solo(1, [FRESH])
    };
    *state.slot_mut() = Slot::new(10_000);
    for (slot, is_valid) in [
        (10_000, true),
        (10_001, false),
        (10_000 - KEY_SET_CHANGE_WINDOW, true),
        (9_999 - KEY_SET_CHANGE_WINDOW, false),
    ] {
        let result = check(&draft(slot, 0), &state, &spec);
        assert_eq!(result.is_ok(), is_valid, "slot {slot}");
        assert!(is_valid || matches!(result, Err(KeySetChangeError::Window { .. })));
    }
    assert_eq!(
        check(&draft(10_000, 1), &state, &spec),
        Err(KeySetChangeError::Sequence { expected: 0, found: 1 })
    );
}

#[test]
fn only_one_change_is_pending_at_a_time() {
    let (state, spec) = scene();
    let first = Draft::of_group(5, (0..6).map(|key| group_key(0, key)).chain([FRESH]));
    let (result, mut state) = process(&first, &state, &spec);
    assert_eq!(result, Ok(()));
    let activation = 1 + Minimal::MAX_SEED_LOOKAHEAD;
    // The same change again is stopped by its sequence, another one by the pending one.
    assert_eq!(
        check(&first, &state, &spec),
        Err(KeySetChangeError::Sequence { expected: 1, found: 0 })
    );
    let mut second = Draft::of_group(0, []);
    second.sequence = 1;
    assert_eq!(
        check(&second, &state, &spec),
        Err(KeySetChangeError::Pending(Epoch::new(activation)))
    );
    *state.slot_mut() = Slot::new(activation * 8 - 1);
    assert!(matches!(
        check(&second, &state, &spec),
        Err(KeySetChangeError::Pending(_))
    ));
    *state.slot_mut() = Slot::new(activation * 8);
    assert_eq!(check(&second, &state, &spec), Ok(()));
}

#[test]
fn who_is_not_active_or_on_the_way_out_cannot_change() {
    let (state, spec) = scene();
    let draft = Draft::of_solo(1, [FRESH]);
    let with = |edit: fn(&mut types::Validator)| {
        let mut state = state.clone();
        edit(get_validator_mut(&mut state, RICH).unwrap());
        check(&draft, &state, &spec)
    };
    assert_eq!(
        with(|validator| validator.activation_epoch = Epoch::new(1)),
        Err(KeySetChangeError::NotActive(RICH))
    );
    assert_eq!(
        with(|validator| validator.exit_epoch = Epoch::new(9)),
        Err(KeySetChangeError::Exiting(RICH))
    );
    assert_eq!(
        with(|validator| validator.slashed = true),
        Err(KeySetChangeError::Slashed(RICH))
    );
    assert_eq!(with(|_| ()), Ok(()));
}

#[test]
fn old_key_sets_are_dropped_only_after_their_retention_and_only_then_make_room() {
    let (mut state, spec) = scene();
    // Four sets; the second has been in force since epoch 10.
    edit_key_sets(&mut state, |key_sets| {
        for (number, epoch) in [(1, 10), (2, 20), (3, 30)] {
            key_sets.push(KeySet {
                activation_epoch: Epoch::new(epoch),
                threshold: 5,
                keys: virtual_keys(&(0..7).map(|key| group_key(0, key)).collect::<Vec<_>>())
                    .try_into()
                    .unwrap(),
            });
            assert_eq!(key_sets.len(), number + 1);
        }
    });
    let draft = |state: &BeaconState<Minimal>| Draft {
        slot: state.slot(),
        ..Draft::of_group(4, (0..7).map(|key| group_key(0, key)))
    };
    let retained_until = 10 + Minimal::KEY_SET_RETENTION_EPOCHS;
    *state.slot_mut() = Epoch::new(retained_until - 1).start_slot::<Minimal>();
    assert_eq!(check(&draft(&state), &state, &spec), Err(KeySetChangeError::NoRoom));
    *state.slot_mut() = Epoch::new(retained_until).start_slot::<Minimal>();
    let change = draft(&state).sign(&state, &spec);
    process_key_set_change(&mut state, &change, &mut NullVerifier, &spec).unwrap();
    let (_, group) = get_group(&state, GROUP).unwrap();
    let epochs: Vec<u64> = group.key_sets.iter().map(|set| set.activation_epoch.as_u64()).collect();
    assert_eq!(epochs, [10, 20, 30, retained_until + 1 + Minimal::MAX_SEED_LOOKAHEAD]);
    // What is gone never falls back to an old key.
    assert!(get_key_set(&state, GROUP, Epoch::new(9)).is_err());
    assert!(get_key_set(&state, GROUP, Epoch::new(10)).is_ok());
}

#[test]
fn a_chain_of_another_genesis_accepts_no_signature() {
    let (state, spec) = scene();
    let change = Draft::of_solo(1, [FRESH]).sign(&state, &spec);
    let mut other = state.clone();
    *other.genesis_validators_root_mut() = Root::repeat_byte(1);
    let found = process_key_set_change(&mut other, &change, &mut ImmediateVerifier, &spec);
    assert!(matches!(found, Err(KeySetChangeError::Signature(_))));
}
