//! What groups do to a chain, shown on a chain with real signatures.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use chain_harness::*;
use ssz_types::VariableList;
use state_transition::block::{BlockError, BlockSignatures};
use state_transition::dvt::accessors::{get_group, get_key_set};
use state_transition::dvt::leaders::{get_leader_key_index, get_randao_omission_fee};
use state_transition::helpers::accessors::get_balance;
use types::*;

/// The 5-of-7 group with 2048 ETH, and its control: a solo validator with the same stake.
const GROUP: u64 = 0;
const CONTROL: u64 = 1;
/// A 3-of-4 group.
const SMALL_GROUP: u64 = 2;
const VALIDATORS: u64 = 96;

fn spec(dvt_fork_epoch: u64) -> ChainSpec {
    let mut spec = ChainSpec::minimal();
    spec.electra_fork_epoch = Epoch::new(0);
    spec.fulu_fork_epoch = Epoch::new(0);
    spec.dvt_fork_epoch = Epoch::new(dvt_fork_epoch);
    spec
}

fn keys() -> Keys {
    Keys::new(VALIDATORS, &[GROUP, SMALL_GROUP], 24)
}

/// 93 solo validators of 128 ETH beside the two groups and the control.
fn chain_with_groups() -> Chain<Minimal> {
    let mut validators = vec![
        group_of(GROUP, 5, 7, 2048),
        solo(CONTROL, 2048),
        group_of(SMALL_GROUP, 3, 4, 128),
    ];
    validators.extend((validators.len() as u64..VALIDATORS).map(|validator| solo(validator, 128)));
    Chain::new(&validators, keys(), spec(0))
}

fn epoch_start(epoch: u64) -> Slot {
    Epoch::new(epoch).start_slot::<Minimal>()
}

fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

fn flags(chain: &Chain<Minimal>, validator: u64) -> u8 {
    chain
        .state
        .previous_epoch_participation()
        .get(validator as usize)
        .copied()
        .unwrap()
}

fn balance(chain: &Chain<Minimal>, validator: u64) -> Gwei {
    get_balance(&chain.state, ValidatorIndex::new(validator)).unwrap()
}

/// Balance changes of a registry entry that come from votes alone: the harness' chain has proposals and sync
/// committees too, so runs are compared over epochs in which neither falls to the entry.
fn proposes_in(chain: &Chain<Minimal>, validator: u64) -> bool {
    chain
        .state
        .proposer_lookahead()
        .iter()
        .any(|index| index.as_u64() == validator)
}

#[test]
fn a_chain_with_groups_finalises_and_counts_them_in_every_epoch() {
    let mut chain = chain_with_groups();
    for epoch in 1..=5 {
        chain.run_to(epoch_start(epoch), &everybody);
        if epoch > 1 {
            for validator in [GROUP, SMALL_GROUP, CONTROL] {
                assert_eq!(
                    flags(&chain, validator),
                    0b111,
                    "validator {validator} in epoch {}",
                    epoch - 1
                );
            }
        }
    }
    assert_eq!(chain.state.finalized_checkpoint().epoch, Epoch::new(3));
}

/// Members of the group that are missing, the first `missing` keys.
fn without(missing: u64) -> impl Fn(SignerIndex, Slot) -> bool {
    move |signer, _| !matches!(signer.split(), (index, Some(key)) if index.as_u64() == GROUP && u64::from(key) < missing)
}

#[test]
fn two_of_seven_may_be_missing_without_a_loss() {
    let mut chain = chain_with_groups();
    let is_there = without(2);
    for epoch in 1..=4 {
        chain.run_to(epoch_start(epoch), &is_there);
        if epoch > 1 {
            assert_eq!(flags(&chain, GROUP), 0b111, "epoch {}", epoch - 1);
        }
    }
}

#[test]
fn three_of_seven_missing_is_nobody_there_and_their_return_counts_at_once() {
    let mut chain = chain_with_groups();
    chain.run_to(epoch_start(2), &everybody);
    let before = balance(&chain, GROUP);
    let is_there = without(3);
    chain.run_to(epoch_start(4), &is_there);
    assert_eq!(flags(&chain, GROUP), 0);
    assert!(
        balance(&chain, GROUP) < before,
        "a group below its threshold is penalised"
    );
    chain.run_to(epoch_start(6), &everybody);
    assert_eq!(flags(&chain, GROUP), 0b111);
}

#[test]
fn a_split_over_heads_keeps_source_and_target() {
    // Keys 0 to 2 vote for the head, keys 3 to 6 for its parent: neither side reaches five, together they do.
    let mut chain = chain_with_groups();
    chain.run_to(epoch_start(2), &everybody);
    let mut counted = None;
    for _ in 0..8 {
        let slot = chain.next_slot();
        let split = chain.clone();
        chain.step(&everybody, BlockPlan::default());
        let Some(state) = split_votes(&split, slot) else {
            continue;
        };
        counted = Some(state);
        break;
    }
    let [source, target, head] = counted.expect("the group attests once in each epoch");
    assert!(source && target, "source and target add up over different heads");
    assert!(!head, "no head has five votes");
}

/// Applies the two halves of the group's votes to a state and gives which flags the group has then; none if the group
/// has no seat in the slot.
fn split_votes(chain: &Chain<Minimal>, slot: Slot) -> Option<[bool; 3]> {
    use state_transition::block::operations::attestation::process_attestation;
    use state_transition::dvt::accessors::get_committee_seats;
    use state_transition::signatures::NullVerifier;

    let mut chain = chain.clone();
    let parent = chain.state.clone();
    // A block in `slot`, and an empty slot after it in which the votes are included.
    chain.step(&|signer, _| signer.validator().as_u64() != GROUP, BlockPlan::default())?;
    let mut state = chain.state.clone();
    let has_seat =
        (0..state_transition::helpers::accessors::get_committee_count_per_slot(&state, slot.epoch::<Minimal>())
            .unwrap())
            .any(|index| {
                let seats = get_committee_seats(&state, slot, index).unwrap();
                seats.iter().any(|signer| signer.validator().as_u64() == GROUP)
            });
    if !has_seat || slot.is_epoch_start::<Minimal>() {
        return None;
    }
    state_transition::process_slots(&mut state, slot.saturating_add(1u64), &chain.spec).unwrap();
    let heads = [
        state_transition::helpers::accessors::get_block_root_at_slot(&state, slot).unwrap(),
        state_transition::helpers::accessors::get_block_root_at_slot(&state, parent.slot()).unwrap(),
    ];
    for (head, members) in heads.into_iter().zip([0..3u8, 3..7]) {
        let vote = group_vote(&state, slot, head, members)?;
        process_attestation(&mut state, vote.to_ref(), &mut NullVerifier, &chain.spec).unwrap();
    }
    let flags = *state.current_epoch_participation().get(GROUP as usize).unwrap();
    Some([0, 1, 2].map(|flag| flags & (1 << flag) != 0))
}

/// A vote by some members of the group alone, unsigned.
fn group_vote(
    state: &BeaconState<Minimal>,
    slot: Slot,
    head: Root,
    members: std::ops::Range<u8>,
) -> Option<Attestation<Minimal>> {
    use state_transition::dvt::accessors::get_committee_seats;
    use state_transition::helpers::accessors::{get_block_root, get_committee_count_per_slot};

    let epoch = slot.epoch::<Minimal>();
    for index in 0..get_committee_count_per_slot(state, epoch).unwrap() {
        let seats = get_committee_seats(state, slot, index).unwrap();
        let bits: Vec<bool> = seats
            .iter()
            .map(|signer| {
                matches!(signer.split(), (validator, Some(key)) if validator.as_u64() == GROUP && members.contains(&key))
            })
            .collect();
        if !bits.contains(&true) {
            continue;
        }
        let mut aggregation_bits = ssz_types::BitList::with_capacity(bits.len()).unwrap();
        for (place, bit) in bits.into_iter().enumerate() {
            aggregation_bits.set(place, bit).unwrap();
        }
        let mut committee_bits = ssz_types::BitVector::default();
        committee_bits.set(index as usize, true).unwrap();
        return Some(Attestation::Dvt(AttestationDvt {
            aggregation_bits,
            data: AttestationData {
                slot,
                index: 0,
                beacon_block_root: head,
                source: state.current_justified_checkpoint(),
                target: Checkpoint {
                    epoch,
                    root: get_block_root(state, epoch).unwrap(),
                },
            },
            signature: SignatureBytes::ZERO,
            committee_bits,
            proofs: SchemeProofs::empty(),
        }));
    }
    None
}

/// Runs until the group proposes next, and gives the state's clone right before.
fn run_to_group_proposal(chain: &mut Chain<Minimal>) {
    for _ in 0..400 {
        let mut state = chain.state.clone();
        state_transition::process_slots(&mut state, chain.next_slot(), &chain.spec).unwrap();
        let proposer = state_transition::helpers::accessors::get_beacon_proposer_index(&state).unwrap();
        if proposer.as_u64() == GROUP {
            return;
        }
        chain.step(&everybody, BlockPlan::default());
    }
    panic!("a group with a seventh of the stake proposes within fifty epochs");
}

#[test]
fn a_block_needs_exactly_the_threshold() {
    let mut chain = chain_with_groups();
    run_to_group_proposal(&mut chain);
    let signed = chain.build(&everybody, BlockPlan::default()).unwrap();
    let SignedBeaconBlock::Dvt(inner) = signed else {
        panic!("the chain is of the dvt fork")
    };
    let mut state = chain.state.clone();
    state_transition::process_slots(&mut state, inner.message.slot, &chain.spec).unwrap();
    let by = |count: usize| {
        let mut signers = Signers::default();
        (0..count).for_each(|key| signers.set(key, true).unwrap());
        chain.sign(&state, BeaconBlock::Dvt(inner.message.clone()), signers)
    };
    let apply = |block| chain.clone().apply(&block);
    assert!(matches!(apply(by(4)), Err(BlockError::Signers(_))), "m - 1");
    assert_eq!(apply(by(5)), Ok(()), "m");
    assert_eq!(apply(by(7)), Ok(()), "n");
    assert!(
        matches!(apply(by(0)), Err(BlockError::Signers(_))),
        "the registry key signs no more"
    );

    // Claiming one more signer than signed, or a key that does not exist.
    let SignedBeaconBlock::Dvt(mut forged) = by(5) else {
        panic!("the chain is of the dvt fork")
    };
    forged.signers.set(6, true).unwrap();
    assert!(matches!(
        apply(SignedBeaconBlock::Dvt(forged.clone())),
        Err(BlockError::Signature(_))
    ));
    forged.signers.set(7, true).unwrap();
    assert!(matches!(
        apply(SignedBeaconBlock::Dvt(forged)),
        Err(BlockError::Signers(_))
    ));

    // A leader's proposal has its signature alone: executed, but never imported.
    let mut executed = chain.state.clone();
    let proposal = by(1);
    state_transition::block::state_transition(&mut executed, &proposal, BlockSignatures::Proposal, &chain.spec)
        .unwrap();
}

#[test]
fn only_the_first_leaders_reveal_enters_the_mix_and_leaving_it_out_costs_the_fee() {
    let mut chain = chain_with_groups();
    run_to_group_proposal(&mut chain);
    let slot = chain.next_slot();
    let mut state = chain.state.clone();
    state_transition::process_slots(&mut state, slot, &chain.spec).unwrap();
    let index = ValidatorIndex::new(GROUP);
    let leader = get_leader_key_index(&state, index, slot, 0).unwrap().unwrap();
    let leader = SignerIndex::virtual_index(index, leader).unwrap();
    let fee = get_randao_omission_fee(&state, &chain.spec).unwrap();
    let mix = |chain: &Chain<Minimal>| {
        let epoch = chain.state.current_epoch().as_u64() as usize % 64;
        *chain.state.randao_mixes().get(epoch).unwrap()
    };

    let mut with = chain.clone();
    with.step(&everybody, BlockPlan::default()).unwrap();
    let mut without_leader = chain.clone();
    without_leader
        .step(&|signer, at| signer != leader || at != slot, BlockPlan::default())
        .unwrap();
    let mut omitted = chain.clone();
    omitted
        .step(
            &everybody,
            BlockPlan {
                omit_randao: true,
                ..BlockPlan::default()
            },
        )
        .unwrap();

    assert_ne!(mix(&with), mix(&chain));
    assert_eq!(
        mix(&without_leader),
        mix(&state_chain(&chain, &state)),
        "the mix stays as after an empty slot"
    );
    assert_eq!(balance(&with, GROUP) - balance(&omitted, GROUP), fee);

    // A fallback leader's reveal is not a reveal.
    let SignedBeaconBlock::Dvt(mut forged) = chain.build(&everybody, BlockPlan::default()).unwrap() else {
        panic!("the chain is of the dvt fork")
    };
    forged.message.body.randao_reveal = forged.signature;
    let error = chain.clone().apply(&SignedBeaconBlock::Dvt(forged)).unwrap_err();
    assert!(matches!(error, BlockError::Signature(_)), "{error}");
}

fn state_chain(chain: &Chain<Minimal>, state: &BeaconState<Minimal>) -> Chain<Minimal> {
    Chain {
        state: state.clone(),
        ..chain.clone()
    }
}

#[test]
fn a_group_and_its_control_earn_the_same_for_votes() {
    let mut chain = chain_with_groups();
    chain.run_to(epoch_start(2), &everybody);
    let mut compared = 0;
    for epoch in 3..16 {
        let sync_committee = |chain: &Chain<Minimal>| {
            let BeaconState::Dvt(state) = &chain.state else {
                panic!("the chain is of the dvt fork")
            };
            state
                .current_sync_committee_indices
                .iter()
                .any(|signer| signer.validator().as_u64() <= CONTROL)
        };
        let quiet =
            ![GROUP, CONTROL].iter().any(|validator| proposes_in(&chain, *validator)) && !sync_committee(&chain);
        let before = [balance(&chain, GROUP), balance(&chain, CONTROL)];
        chain.run_to(epoch_start(epoch), &everybody);
        if quiet {
            compared += 1;
            let gains = [balance(&chain, GROUP) - before[0], balance(&chain, CONTROL) - before[1]];
            assert_eq!(gains[0], gains[1], "epoch {}", epoch - 1);
        }
        assert_eq!(flags(&chain, GROUP), flags(&chain, CONTROL));
    }
    // With this stake quiet epochs are rare; the flags above are compared in every epoch.
    println!("{compared} epochs without proposals and sync duties compared to the Gwei");
}

#[test]
fn a_solo_validator_becomes_a_group_after_the_fork_without_a_missed_epoch() {
    // Fulu at genesis, dvt at epoch 2, nobody is a group.
    let mut validators: Vec<_> = vec![solo(GROUP, 2048), solo(CONTROL, 2048)];
    validators.extend((2..VALIDATORS).map(|validator| solo(validator, 128)));
    let mut chain = Chain::<Minimal>::new(&validators, keys(), spec(2));
    chain.run_to(epoch_start(2), &everybody);
    assert_eq!(chain.state.fork_name(), ForkName::Dvt);
    chain.run_to(epoch_start(3), &everybody);

    let new_keys: Vec<VirtualKey> = (0..7).map(|key| virtual_key(GROUP, key)).collect();
    let change = key_set_change(&chain, GROUP, 5, &new_keys, &[]);
    chain
        .step(
            &everybody,
            BlockPlan {
                key_set_changes: vec![change],
                ..BlockPlan::default()
            },
        )
        .unwrap();
    let index = ValidatorIndex::new(GROUP);
    let activation_epoch = get_group(&chain.state, index)
        .unwrap()
        .1
        .key_sets
        .last()
        .unwrap()
        .activation_epoch;
    assert_eq!(activation_epoch, Epoch::new(3 + 1 + Minimal::MAX_SEED_LOOKAHEAD));

    // The old key signs until the activation epoch, the members from then on: each index form is valid in its time
    // only, which the chain of the harness follows by itself.
    for epoch in 4..=activation_epoch.as_u64() + 3 {
        chain.run_to(epoch_start(epoch), &everybody);
        assert_eq!(flags(&chain, GROUP), 0b111, "epoch {}", epoch - 1);
    }
    assert_eq!(
        get_key_set(&chain.state, index, chain.state.current_epoch())
            .unwrap()
            .unwrap()
            .keys
            .len(),
        7
    );
}

#[test]
fn a_rotation_is_authorised_by_the_threshold_of_the_keys_in_force() {
    let mut chain = chain_with_groups();
    chain.run_to(epoch_start(1), &everybody);
    // Key 6 is replaced by key 20.
    let mut new_keys: Vec<VirtualKey> = (0..6).map(|key| virtual_key(GROUP, key)).collect();
    new_keys.push(virtual_key(GROUP, 20));
    let with = |change| {
        let mut chain = chain.clone();
        let block = chain.clone().try_build(change)?;
        chain.apply(&block).map(|()| chain).map_err(|error| error.to_string())
    };
    let four = key_set_change(&chain, GROUP, 5, &new_keys, &[0, 1, 2, 3]);
    assert!(with(four).is_err(), "m - 1 members cannot change the keys");
    let five = key_set_change(&chain, GROUP, 5, &new_keys, &[0, 1, 2, 3, 4]);
    let changed = with(five.clone()).unwrap();
    assert!(changed.clone().try_build(five).is_err(), "a change cannot be replayed");

    let mut wrong_proof = key_set_change(&chain, GROUP, 5, &new_keys, &[0, 1, 2, 3, 4]);
    wrong_proof.key_proofs = VariableList::empty();
    assert!(with(wrong_proof).is_err(), "a new key needs a proof of possession");
    let taken: Vec<VirtualKey> = (0..6)
        .map(|key| virtual_key(GROUP, key))
        .chain([virtual_key(SMALL_GROUP, 0)])
        .collect();
    assert!(
        with(key_set_change(&chain, GROUP, 5, &taken, &[0, 1, 2, 3, 4])).is_err(),
        "a key of another group"
    );
    let too_many: Vec<VirtualKey> = (0..5).map(|key| virtual_key(SMALL_GROUP, key)).collect();
    assert!(
        with(key_set_change(&chain, SMALL_GROUP, 3, &too_many, &[0, 1, 2])).is_err(),
        "128 ETH carry four keys"
    );

    // The old key counts until the activation epoch; then the new one does, without a missed epoch.
    let mut chain = changed;
    for epoch in 2..10 {
        chain.run_to(epoch_start(epoch), &everybody);
        assert_eq!(flags(&chain, GROUP), 0b111, "epoch {}", epoch - 1);
    }
}

trait TryBuild {
    fn try_build(self, change: SignedKeySetChange) -> Result<SignedBeaconBlock<Minimal>, String>;
}

impl TryBuild for Chain<Minimal> {
    /// The next block with a change in it, or why the change does not go into it.
    fn try_build(self, change: SignedKeySetChange) -> Result<SignedBeaconBlock<Minimal>, String> {
        use state_transition::dvt::key_set_change::process_key_set_change;
        use state_transition::signatures::ImmediateVerifier;
        let mut state = self.state.clone();
        state_transition::process_slots(&mut state, self.next_slot(), &self.spec).unwrap();
        process_key_set_change(&mut state, &change, &mut ImmediateVerifier, &self.spec)
            .map_err(|error| error.to_string())?;
        Ok(self
            .build(
                &everybody,
                BlockPlan {
                    key_set_changes: vec![change],
                    ..BlockPlan::default()
                },
            )
            .unwrap())
    }
}
