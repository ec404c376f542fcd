//! Votes of groups: seats, flags at threshold, and the proposer's pay.

use super::{GROUP, SHAPES};
use crate::block::operations::attestation::{
    AttestationError, attestation_signature_set, check_attestation, get_attesting_indices, get_indexed_attestation,
    process_attestation,
};
use crate::dvt::accessors::{get_committee_seats, get_key_count, get_threshold};
use crate::helpers::accessors::{
    get_balance, get_base_reward, get_beacon_committee, get_beacon_proposer_index, get_block_root_at_slot,
    get_committee_count_per_slot,
};
use crate::process_slots;
use crate::signatures::{ImmediateVerifier, NullVerifier};
use crate::testing::{group_genesis, group_key, minimal_spec, sign, solo_genesis};
use crate::upgrade::upgrade_to_dvt;
use proptest::prelude::*;
use ssz_types::{BitList, BitVector};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use types::constants::PARTICIPATION_FLAG_WEIGHTS;
use types::{
    Attestation, AttestationData, AttestationDvt, AttestationFulu, BeaconState, ChainSpec, Checkpoint, ForkName,
    Minimal, Preset, Root, SchemeProofs, SignerIndex, Slot, ValidatorIndex,
};

/// Which parts of a vote are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    All,
    AllButHead,
    OnlySource,
}

impl Right {
    /// Flags that the vote earns when it is included in the next slot.
    fn flags(self) -> &'static [usize] {
        match self {
            Self::All => &[0, 1, 2],
            Self::AllButHead => &[0, 1],
            Self::OnlySource => &[0],
        }
    }
}

/// A committee with the first group in it, in the slot before the state's.
#[derive(Clone)]
struct Scene {
    state: BeaconState<Minimal>,
    spec: ChainSpec,
    slot: Slot,
    committee: u64,
    seats: Vec<SignerIndex>,
}

impl Scene {
    fn new(groups: &[(usize, u8)], solos: usize) -> Self {
        let spec = minimal_spec(ForkName::Dvt);
        let mut state = group_genesis(groups, solos, &spec);
        let (slot, committee) = (8..16)
            .map(Slot::new)
            .find_map(|slot| {
                process_slots(&mut state, slot, &spec).unwrap();
                let count = get_committee_count_per_slot(&state, slot.epoch::<Minimal>()).unwrap();
                (0..count)
                    .find(|index| {
                        let committee = get_beacon_committee(&state, slot, *index).unwrap();
                        committee.iter().any(|member| member == GROUP)
                    })
                    .map(|committee| (slot, committee))
            })
            .unwrap();
        process_slots(&mut state, slot.saturating_add(1u64), &spec).unwrap();
        let seats = get_committee_seats(&state, slot, committee).unwrap();
        Self {
            state,
            spec,
            slot,
            committee,
            seats,
        }
    }

    fn data(&self, right: Right) -> AttestationData {
        let root = |slot| get_block_root_at_slot(&self.state, slot).unwrap();
        let epoch = self.slot.epoch::<Minimal>();
        let wrong = Root::repeat_byte(0xff);
        AttestationData {
            slot: self.slot,
            index: 0,
            beacon_block_root: if right == Right::All { root(self.slot) } else { wrong },
            source: self.state.current_justified_checkpoint(),
            target: Checkpoint {
                epoch,
                root: if right == Right::OnlySource {
                    wrong
                } else {
                    root(epoch.start_slot::<Minimal>())
                },
            },
        }
    }

    fn attestation(&self, voters: &[usize], bits: usize, right: Right) -> AttestationDvt<Minimal> {
        let mut aggregation_bits = BitList::with_capacity(bits).unwrap();
        for voter in voters {
            aggregation_bits.set(*voter, true).unwrap();
        }
        let mut committee_bits = BitVector::default();
        committee_bits.set(self.committee as usize, true).unwrap();
        AttestationDvt {
            aggregation_bits,
            data: self.data(right),
            signature: bls::INFINITY_SIGNATURE,
            committee_bits,
            proofs: SchemeProofs::empty(),
        }
    }

    fn vote(&mut self, voters: &[usize], right: Right) -> Result<(), AttestationError> {
        let attestation = Attestation::Dvt(self.attestation(voters, self.seats.len(), right));
        process_attestation(&mut self.state, attestation.to_ref(), &mut NullVerifier, &self.spec)
    }

    /// Seats of the group.
    fn group_seats(&self) -> Vec<usize> {
        (0..self.seats.len())
            .filter(|seat| self.seats[*seat].validator() == GROUP)
            .collect()
    }

    fn flags(&self, index: ValidatorIndex) -> u8 {
        *self.state.current_epoch_participation().get(index.as_usize()).unwrap()
    }

    fn proposer_balance(&self) -> u64 {
        get_balance(&self.state, get_beacon_proposer_index(&self.state).unwrap()).unwrap()
    }
}

/// Building states is slow; each shape is built once.
fn scenes() -> &'static [Scene] {
    static SCENES: OnceLock<Vec<Scene>> = OnceLock::new();
    SCENES.get_or_init(|| {
        SHAPES
            .iter()
            .map(|shape| Scene::new(&[*shape, (4, 2), (16, 16)], 29))
            .collect()
    })
}

#[test]
fn each_flag_is_set_exactly_at_the_threshold() {
    for scene in scenes() {
        let threshold = usize::from(get_threshold(&scene.state, GROUP, scene.slot.epoch::<Minimal>()).unwrap());
        let seats = scene.group_seats();
        for (right, flags) in [(Right::All, 7), (Right::AllButHead, 3), (Right::OnlySource, 1)] {
            for count in 1..=seats.len() {
                let mut scene = scene.clone();
                scene.vote(&seats[seats.len() - count..], right).unwrap();
                let expected = if count >= threshold { flags } else { 0 };
                assert_eq!(
                    scene.flags(GROUP),
                    expected,
                    "{count} of {}, {threshold} needed",
                    seats.len()
                );
            }
        }
    }
}

#[test]
fn a_group_whose_nodes_see_two_heads_loses_only_the_head() {
    let mut scene = scenes()[3].clone();
    let seats = scene.group_seats();
    assert_eq!(seats.len(), 7);
    scene.vote(&seats[..3], Right::All).unwrap();
    assert_eq!(scene.flags(GROUP), 0);
    scene.vote(&seats[3..], Right::AllButHead).unwrap();
    assert_eq!(scene.flags(GROUP), 0b011);
    // Two more for the right head make five of seven for it.
    scene.vote(&seats[5..], Right::All).unwrap();
    assert_eq!(scene.flags(GROUP), 0b111);
}

#[test]
fn voting_twice_with_one_key_counts_once() {
    let mut scene = scenes()[3].clone();
    let seats = scene.group_seats();
    for _ in 0..3 {
        scene.vote(&seats[..4], Right::All).unwrap();
    }
    assert_eq!(scene.flags(GROUP), 0);
}

#[test]
fn seats_are_all_keys_of_all_members_in_committee_order() {
    for scene in scenes() {
        let epoch = scene.slot.epoch::<Minimal>();
        let committee = get_beacon_committee(&scene.state, scene.slot, scene.committee).unwrap();
        let mut expected = Vec::new();
        for member in committee.iter() {
            let keys = get_key_count(&scene.state, member, epoch).unwrap();
            match crate::dvt::accessors::is_solo_at(&scene.state, member, epoch).unwrap() {
                true => expected.push(SignerIndex::from(member)),
                false => expected.extend((0..keys as u8).map(|key| SignerIndex::virtual_index(member, key).unwrap())),
            }
        }
        assert_eq!(scene.seats, expected);
        assert_eq!(committee.seat_count(), expected.len());
    }
}

#[test]
fn bits_are_counted_by_seats_not_by_validators() {
    let scene = &scenes()[3];
    let seats = scene.seats.len();
    for bits in [seats - 6, seats - 1, seats + 1] {
        let attestation = Attestation::Dvt(scene.attestation(&[0], bits, Right::All));
        let expected = AttestationError::BitCount {
            expected: seats,
            found: bits,
        };
        let found = check_attestation(&scene.state, attestation.to_ref());
        assert_eq!(found.unwrap_err(), expected);
    }
}

#[test]
fn the_signature_is_checked_over_the_keys_of_all_set_seats() {
    let scene = &scenes()[2];
    let voters: Vec<usize> = (0..scene.seats.len()).collect();
    let mut attestation = scene.attestation(&voters, scene.seats.len(), Right::All);
    let signers = get_attesting_indices(&scene.state, Attestation::Dvt(attestation.clone()).to_ref()).unwrap();
    let mut sorted = scene.seats.clone();
    sorted.sort_unstable();
    assert_eq!(signers, sorted);
    assert!(signers.iter().any(|signer| signer.is_virtual()) && signers.iter().any(|signer| !signer.is_virtual()));

    let signing_root = {
        let wrapped = Attestation::Dvt(attestation.clone());
        let checked = check_attestation(&scene.state, wrapped.to_ref()).unwrap();
        attestation_signature_set(&scene.state, wrapped.to_ref(), &checked)
            .unwrap()
            .signing_root
    };
    let keys: Vec<usize> = signers
        .iter()
        .map(|signer| match signer.split() {
            (index, Some(key)) => group_key(index.as_usize(), usize::from(key)),
            (index, None) => index.as_usize(),
        })
        .collect();
    let mut process = |keys: &[usize]| {
        attestation.signature = sign(keys.iter().copied(), signing_root);
        let attestation = Attestation::Dvt(attestation.clone());
        process_attestation(
            &mut scene.state.clone(),
            attestation.to_ref(),
            &mut ImmediateVerifier,
            &scene.spec,
        )
    };
    assert_eq!(process(&keys), Ok(()));
    assert!(matches!(process(&keys[1..]), Err(AttestationError::Signature(_))));
    assert!(matches!(
        process(&keys[..keys.len() - 1]),
        Err(AttestationError::Signature(_))
    ));
}

#[test]
fn an_indexed_attestation_holds_ascending_signer_indices() {
    let scene = &scenes()[5];
    let voters: Vec<usize> = (0..scene.seats.len()).step_by(2).collect();
    let attestation = Attestation::Dvt(scene.attestation(&voters, scene.seats.len(), Right::All));
    let indexed = get_indexed_attestation(&scene.state, attestation.to_ref()).unwrap();
    let indices = indexed.attesting_indices().to_vec();
    assert!(indices.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(
        indices.into_iter().collect::<BTreeSet<_>>(),
        voters.iter().map(|seat| scene.seats[*seat]).collect()
    );
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![Just(Right::All), Just(Right::AllButHead), Just(Right::OnlySource)]
}

/// For each flag and registry entry the keys that voted for it, and the proposer's numerator of each attestation.
fn naive(scene: &Scene, aggregates: &[(Vec<usize>, Right)]) -> (BTreeMap<ValidatorIndex, u8>, Vec<u64>) {
    let epoch = scene.slot.epoch::<Minimal>();
    let mut voted: BTreeMap<(ValidatorIndex, usize), BTreeSet<SignerIndex>> = BTreeMap::new();
    let mut numerators = Vec::new();
    // What all votes so far are worth, from scratch each time.
    let worth = |voted: &BTreeMap<(ValidatorIndex, usize), BTreeSet<SignerIndex>>| -> u64 {
        voted
            .iter()
            .map(|((index, flag), signers)| {
                let reward = get_base_reward(&scene.state, *index, &scene.spec).unwrap();
                let threshold = u64::from(get_threshold(&scene.state, *index, epoch).unwrap());
                let counted = (signers.len() as u64).min(threshold);
                reward * PARTICIPATION_FLAG_WEIGHTS[*flag] * counted / threshold
            })
            .sum()
    };
    for (voters, right) in aggregates {
        let before = worth(&voted);
        for seat in voters {
            let signer = scene.seats[*seat];
            for flag in right.flags() {
                voted.entry((signer.validator(), *flag)).or_default().insert(signer);
            }
        }
        numerators.push(worth(&voted) - before);
    }
    let mut flags: BTreeMap<ValidatorIndex, u8> = BTreeMap::new();
    for ((index, flag), signers) in voted {
        if signers.len() >= usize::from(get_threshold(&scene.state, index, epoch).unwrap()) {
            *flags.entry(index).or_default() |= 1 << flag;
        }
    }
    (flags, numerators)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any aggregates in any order: flags and pay are those of counting keys naively, and what the proposer is paid in
    /// all does not depend on the order but for the rounding of each attestation.
    #[test]
    fn counting_equals_a_naive_model_in_any_order(
        shape in 0..SHAPES.len(),
        chosen in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 1..24), right()), 1..8),
        rotate in any::<prop::sample::Index>(),
    ) {
        let scene = &scenes()[shape];
        let denominator = (64 - 8) * 64 / 8;
        let mut aggregates: Vec<(Vec<usize>, Right)> = chosen
            .into_iter()
            .map(|(voters, right)| {
                let seats: BTreeSet<usize> = voters.iter().map(|voter| voter.index(scene.seats.len())).collect();
                (seats.into_iter().collect(), right)
            })
            .collect();
        let mut totals = Vec::new();
        for _ in 0..2 {
            let mut run = scene.clone();
            let before = run.proposer_balance();
            for (voters, right) in &aggregates {
                run.vote(voters, *right).unwrap();
            }
            let (flags, numerators) = naive(scene, &aggregates);
            for index in scene.seats.iter().map(|signer| signer.validator()) {
                prop_assert_eq!(run.flags(index), flags.get(&index).copied().unwrap_or_default());
            }
            let expected: u64 = numerators.iter().map(|numerator| numerator / denominator).sum();
            prop_assert_eq!(run.proposer_balance() - before, expected);
            totals.push((flags, numerators.iter().sum::<u64>()));
            let places = rotate.index(aggregates.len());
            aggregates.rotate_left(places);
            aggregates.reverse();
        }
        prop_assert_eq!(&totals[0], &totals[1]);
    }

    /// Without groups the fork changes nothing: the same votes leave the same balances and flags.
    #[test]
    fn without_groups_votes_count_as_in_fulu(
        chosen in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 1..6), right()), 1..6),
    ) {
        static FULU: OnceLock<(BeaconState<Minimal>, ChainSpec)> = OnceLock::new();
        let (fulu, spec) = FULU.get_or_init(|| {
            let spec = minimal_spec(ForkName::Fulu);
            let mut state = solo_genesis(64, &spec);
            process_slots(&mut state, Slot::new(12), &spec).unwrap();
            (state, spec)
        });
        let mut fulu = fulu.clone();
        let mut dvt = fulu.clone();
        upgrade_to_dvt(&mut dvt, spec).unwrap();
        let slot = Slot::new(11);
        let seats = get_committee_seats(&dvt, slot, 0).unwrap();
        let scene = Scene { state: dvt, spec: spec.clone(), slot, committee: 0, seats };
        let mut dvt = scene.state.clone();
        for (voters, right) in chosen {
            let voters: Vec<usize> = voters.iter().map(|voter| voter.index(scene.seats.len())).collect();
            let attestation = scene.attestation(&voters, scene.seats.len(), right);
            let as_fulu = Attestation::Fulu(AttestationFulu {
                aggregation_bits: attestation.aggregation_bits.clone(),
                data: attestation.data,
                signature: attestation.signature,
                committee_bits: attestation.committee_bits.clone(),
            });
            process_attestation(&mut fulu, as_fulu.to_ref(), &mut NullVerifier, spec).unwrap();
            process_attestation(&mut dvt, Attestation::Dvt(attestation).to_ref(), &mut NullVerifier, spec).unwrap();
        }
        prop_assert_eq!(fulu.balances(), dvt.balances());
        prop_assert_eq!(fulu.current_epoch_participation(), dvt.current_epoch_participation());
        prop_assert_ne!(fulu.balances().iter().sum::<u64>(), 64 * Minimal::MIN_ACTIVATION_BALANCE);
    }
}
