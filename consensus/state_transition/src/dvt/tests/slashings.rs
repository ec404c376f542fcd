//! A group is slashed when its signers reach the threshold on both sides, and not by fewer.

use super::{GROUP, SHAPES, edit_key_sets};
use crate::block::header::block_signing_root;
use crate::block::operations::attester_slashing::{
    AttesterSlashingError, check_attester_slashing, process_attester_slashing,
};
use crate::block::operations::proposer_slashing::{ProposerSlashingError, process_proposer_slashing};
use crate::dvt::signers::SignersError;
use crate::helpers::accessors::{get_domain, get_validator};
use crate::signatures::{ImmediateVerifier, NullVerifier};
use crate::testing::{group_genesis, group_key, minimal_spec, sign, signers};
use proptest::prelude::*;
use std::sync::OnceLock;
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_BEACON_ATTESTER;
use types::{
    AttestationData, AttesterSlashing, AttesterSlashingDvt, BeaconBlockHeader, BeaconState, ChainSpec, Checkpoint,
    Epoch, ForkName, IndexedAttestationDvt, KeySet, Minimal, ProposerSlashing, ProposerSlashingDvt, Root, SchemeProofs,
    SignedBeaconBlockHeaderDvt, SignerIndex, Slot, ValidatorIndex, compute_signing_root,
};

const SOLO: ValidatorIndex = ValidatorIndex::new(5);

fn state(keys: usize, threshold: u8) -> (BeaconState<Minimal>, ChainSpec) {
    let spec = minimal_spec(ForkName::Dvt);
    (group_genesis(&[(keys, threshold)], 16, &spec), spec)
}

fn data(head: u8, source: u64, target: u64) -> AttestationData {
    AttestationData {
        slot: Slot::new(target * 8),
        index: 0,
        beacon_block_root: Root::repeat_byte(head),
        source: Checkpoint {
            epoch: Epoch::new(source),
            root: Root::ZERO,
        },
        target: Checkpoint {
            epoch: Epoch::new(target),
            root: Root::ZERO,
        },
    }
}

fn of_group(keys: impl IntoIterator<Item = usize>) -> Vec<SignerIndex> {
    keys.into_iter()
        .map(|key| SignerIndex::virtual_index(GROUP, key as u8).unwrap())
        .collect()
}

fn vote(data: AttestationData, attesting: &[SignerIndex]) -> IndexedAttestationDvt<Minimal> {
    IndexedAttestationDvt {
        attesting_indices: attesting.to_vec().try_into().unwrap(),
        data,
        signature: bls::INFINITY_SIGNATURE,
        proofs: SchemeProofs::empty(),
    }
}

fn signed(
    state: &BeaconState<Minimal>,
    data: AttestationData,
    attesting: &[SignerIndex],
) -> IndexedAttestationDvt<Minimal> {
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, Some(data.target.epoch));
    let keys = attesting.iter().map(|signer| match signer.split() {
        (index, Some(key)) => group_key(index.as_usize(), usize::from(key)),
        (index, None) => index.as_usize(),
    });
    IndexedAttestationDvt {
        signature: sign(keys, compute_signing_root(&data, domain)),
        ..vote(data, attesting)
    }
}

type Votes = Vec<IndexedAttestationDvt<Minimal>>;

fn slashing(mut side_1: Votes, mut side_2: Votes) -> AttesterSlashing<Minimal> {
    let attestation_1 = side_1.remove(0);
    let attestation_2 = side_2.remove(0);
    AttesterSlashing::Dvt(AttesterSlashingDvt {
        attestation_1,
        attestation_2,
        more_1: side_1.try_into().unwrap(),
        more_2: side_2.try_into().unwrap(),
        key_set_age_1: 0,
        key_set_age_2: 0,
    })
}

fn slashable(
    state: &BeaconState<Minimal>,
    side_1: Votes,
    side_2: Votes,
) -> Result<Vec<ValidatorIndex>, AttesterSlashingError> {
    check_attester_slashing(state, slashing(side_1, side_2).to_ref()).map(|(slashable, _)| slashable)
}

#[test]
fn a_group_is_slashable_when_both_sides_reach_the_threshold() {
    for (keys, threshold) in SHAPES {
        let (state, _) = state(keys, threshold);
        let threshold = usize::from(threshold);
        for (count_1, count_2) in [
            (threshold, threshold),
            (keys, threshold),
            (keys, keys),
            (threshold - 1, keys),
            (keys, threshold - 1),
        ] {
            let side = |head, count| vec![vote(data(head, 0, 0), &of_group(0..count))];
            let found = slashable(&state, side(1, count_1), side(2, count_2));
            if count_1 == 0 || count_2 == 0 {
                assert!(matches!(found, Err(AttesterSlashingError::IndexedAttestation { .. })));
            } else if count_1.min(count_2) >= threshold {
                assert_eq!(found, Ok(vec![GROUP]), "{count_1} and {count_2} of {keys}");
            } else {
                assert_eq!(found, Err(AttesterSlashingError::NobodySlashable));
            }
        }
    }
}

#[test]
fn evidence_adds_up_over_different_heads_and_a_signer_counts_once() {
    let (state, _) = state(7, 5);
    let side_2 = || vec![vote(data(9, 0, 0), &of_group(2..7))];
    let side_1 = |second: &[usize]| {
        vec![
            vote(data(1, 0, 0), &of_group(0..4)),
            vote(data(2, 0, 0), &of_group(second.iter().copied())),
        ]
    };
    assert_eq!(slashable(&state, side_1(&[4]), side_2()), Ok(vec![GROUP]));
    assert_eq!(slashable(&state, side_2(), side_1(&[4])), Ok(vec![GROUP]));
    assert_eq!(
        slashable(&state, side_1(&[0, 1, 2, 3]), side_2()),
        Err(AttesterSlashingError::NobodySlashable)
    );
}

#[test]
fn a_side_has_one_target_epoch_and_every_pair_contradicts() {
    let (state, _) = state(7, 5);
    let all = of_group(0..7);
    let mixed = vec![vote(data(1, 0, 0), &all), vote(data(1, 0, 1), &all)];
    let other = || vec![vote(data(2, 0, 0), &all)];
    assert_eq!(
        slashable(&state, mixed, other()),
        Err(AttesterSlashingError::TargetEpochsDiffer {
            side: 1,
            first: Epoch::new(0),
            other: Epoch::new(1)
        })
    );
    // The second vote of side 1 is the very vote of side 2: no contradiction.
    let with_same = vec![vote(data(1, 0, 0), &all), vote(data(2, 0, 0), &all)];
    assert_eq!(
        slashable(&state, with_same, other()),
        Err(AttesterSlashingError::NotSlashable(1, 0))
    );
}

#[test]
fn each_side_is_judged_by_the_key_set_of_its_own_epoch() {
    let (mut state, _) = state(7, 5);
    // Solo until epoch 2, the 5-of-7 group from then on.
    edit_key_sets(&mut state, |key_sets| {
        key_sets[0].activation_epoch = Epoch::new(2);
        key_sets.insert(0, KeySet::default());
    });
    let group = |count| vec![vote(data(2, 0, 3), &of_group(0..count))];
    let solo = || vec![vote(data(1, 1, 1), &[SignerIndex::from(GROUP)])];
    assert_eq!(slashable(&state, group(5), solo()), Ok(vec![GROUP]));
    assert_eq!(
        slashable(&state, group(4), solo()),
        Err(AttesterSlashingError::NobodySlashable)
    );
    // The other form of index is invalid on either side.
    let solo_in_3 = vec![vote(data(2, 0, 3), &[SignerIndex::from(GROUP)])];
    let group_in_1 = vec![vote(data(1, 1, 1), &of_group(0..5))];
    for (side_1, side_2, wrong) in [(solo_in_3, solo(), 1), (group(5), group_in_1, 2)] {
        assert!(matches!(
            slashable(&state, side_1, side_2),
            Err(AttesterSlashingError::IndexedAttestation { side, place: 0, .. }) if side == wrong
        ));
    }
}

#[test]
fn solo_validators_beside_a_group_are_slashed_by_one_signature_each() {
    let (mut state, spec) = state(7, 5);
    let side = |head| {
        let mut all = vec![SignerIndex::from(SOLO)];
        all.extend(of_group(0..4));
        vec![vote(data(head, 0, 0), &all)]
    };
    let evidence = slashing(side(1), side(2));
    process_attester_slashing(&mut state, evidence.to_ref(), &mut NullVerifier, &spec).unwrap();
    assert!(get_validator(&state, SOLO).unwrap().slashed);
    assert!(!get_validator(&state, GROUP).unwrap().slashed);
}

#[test]
fn every_vote_of_the_evidence_must_be_signed() {
    let (state, spec) = state(4, 3);
    let side_1 = vec![
        signed(&state, data(1, 0, 0), &of_group([0, 1])),
        signed(&state, data(2, 0, 0), &of_group([2])),
    ];
    let side_2 = vec![signed(&state, data(3, 0, 0), &of_group([1, 2, 3]))];
    let process = |side_1: Votes, side_2: Votes| {
        let mut state = state.clone();
        let evidence = slashing(side_1, side_2);
        let result = process_attester_slashing(&mut state, evidence.to_ref(), &mut ImmediateVerifier, &spec);
        (result, get_validator(&state, GROUP).unwrap().slashed)
    };
    assert_eq!(process(side_1.clone(), side_2.clone()), (Ok(()), true));
    for forged in 0..3 {
        let (mut side_1, mut side_2) = (side_1.clone(), side_2.clone());
        let vote = if forged < 2 {
            &mut side_1[forged]
        } else {
            &mut side_2[0]
        };
        vote.signature = sign([group_key(0, 0)], Root::ZERO);
        let (result, slashed) = process(side_1, side_2);
        assert!(
            matches!(result, Err(AttesterSlashingError::Signature(_))),
            "vote {forged}"
        );
        assert!(!slashed);
    }
}

proptest! {
    /// Fewer than 2m - n members who sign both sides never make evidence, however the honest ones are split.
    #[test]
    fn too_few_equivocators_never_slash_their_group(shape in 0..SHAPES.len(), choices in prop::collection::vec(0u8..3, 16)) {
        static STATES: OnceLock<Vec<BeaconState<Minimal>>> = OnceLock::new();
        let states = STATES.get_or_init(|| SHAPES.iter().map(|(keys, threshold)| state(*keys, *threshold).0).collect());
        let (keys, threshold) = SHAPES[shape];
        // 0 signs side 1, 1 signs side 2, 2 signs both.
        let who = |other: u8| of_group((0..keys).filter(|key| choices[*key] != other));
        let (signers_1, signers_2) = (who(1), who(0));
        prop_assume!(!signers_1.is_empty() && !signers_2.is_empty());
        let equivocators = choices[..keys].iter().filter(|choice| **choice == 2).count();
        let found = slashable(
            &states[shape],
            vec![vote(data(1, 0, 0), &signers_1)],
            vec![vote(data(2, 0, 0), &signers_2)],
        );
        let needed = (2 * usize::from(threshold)).saturating_sub(keys);
        if equivocators < needed {
            prop_assert_eq!(found, Err(AttesterSlashingError::NobodySlashable));
        } else if equivocators >= usize::from(threshold) {
            prop_assert_eq!(found, Ok(vec![GROUP]));
        }
    }
}

#[test]
fn a_proposer_slashing_needs_two_headers_at_threshold() {
    for (keys, threshold) in SHAPES {
        let (state, spec) = state(keys, threshold);
        let threshold = usize::from(threshold);
        let header = |body: u8, count: usize| {
            let message = BeaconBlockHeader {
                slot: Slot::new(3),
                proposer_index: GROUP,
                body_root: Root::repeat_byte(body),
                ..Default::default()
            };
            let root = block_signing_root(&state, message.slot, message.tree_hash_root());
            SignedBeaconBlockHeaderDvt {
                message,
                signature: sign((0..count).map(|key| group_key(0, key)), root),
                signers: signers(0..count),
                proofs: SchemeProofs::empty(),
            }
        };
        let process = |count_1, count_2| {
            let mut state = state.clone();
            let evidence = ProposerSlashing::Dvt(ProposerSlashingDvt {
                signed_header_1: header(1, count_1),
                signed_header_2: header(2, count_2),
            });
            let result = process_proposer_slashing(&mut state, evidence.to_ref(), &mut ImmediateVerifier, &spec);
            (result, get_validator(&state, GROUP).unwrap().slashed)
        };
        assert_eq!(process(threshold, threshold), (Ok(()), true));
        assert_eq!(process(keys, threshold), (Ok(()), true));
        for (count_1, count_2, wrong) in [(threshold - 1, keys, 1), (keys, threshold - 1, 2)] {
            let (result, slashed) = process(count_1, count_2);
            assert!(
                matches!(
                    result,
                    Err(ProposerSlashingError::Signers { place, reason: SignersError::BelowThreshold { .. } }) if place == wrong
                ),
                "{result:?}"
            );
            assert!(!slashed);
        }
    }
}
