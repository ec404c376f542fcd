//! What the pool makes of votes and operations, on a chain of real blocks with one group.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use chain_harness::{BlockPlan, Chain, Keys, group_of, solo, virtual_key};
use operation_pool::OperationPool;
use state_transition::block::operations::attestation::{apply_attestation, check_attestation, get_attesting_indices};
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::helpers::accessors::{get_block_root_at_slot, get_committee_count_per_slot, get_domain};
use state_transition::process_slots;
use tree_hash::TreeHash as _;
use types::constants::*;
use types::*;

const GROUP: u64 = 0;

fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

struct World {
    chain: Chain<Minimal>,
    pool: OperationPool<Minimal>,
    /// State of the next slot.
    next: BeaconState<Minimal>,
    data: AttestationData,
}

impl World {
    /// A chain at a slot in whose committees the group sits, with empty pool.
    fn new() -> Self {
        let mut spec = ChainSpec::minimal();
        spec.fulu_fork_epoch = Epoch::new(0);
        spec.dvt_fork_epoch = Epoch::new(0);
        spec.shard_committee_period = 0;
        let mut validators = vec![group_of(GROUP, 5, 7, 2048)];
        validators.extend((1..33).map(|validator| solo(validator, 256)));
        let mut chain = Chain::<Minimal>::new(&validators, Keys::new(33, &[GROUP], 8), spec);
        loop {
            chain.step(&everybody, BlockPlan::default());
            let epoch_ends = chain.next_slot().is_epoch_start::<Minimal>();
            if !epoch_ends && Self::seats(&chain).iter().any(|(_, _, signer)| signer.is_virtual()) {
                break;
            }
        }
        let mut next = chain.state.clone();
        process_slots(&mut next, chain.next_slot(), &chain.spec).unwrap();
        let slot = chain.state.slot();
        let epoch = slot.epoch::<Minimal>();
        let data = AttestationData {
            slot,
            index: 0,
            beacon_block_root: get_block_root_at_slot(&next, slot).unwrap(),
            source: next.current_justified_checkpoint(),
            target: Checkpoint {
                epoch,
                root: get_block_root_at_slot(&next, epoch.start_slot::<Minimal>()).unwrap(),
            },
        };
        Self {
            chain,
            pool: OperationPool::new(),
            next,
            data,
        }
    }

    /// Committee, seat and signer of all who vote in the state's slot.
    fn seats(chain: &Chain<Minimal>) -> Vec<(u64, usize, SignerIndex)> {
        let state = &chain.state;
        let count = get_committee_count_per_slot(state, state.current_epoch()).unwrap();
        (0..count)
            .flat_map(|index| {
                let seats = get_committee_seats(state, state.slot(), index).unwrap();
                seats
                    .into_iter()
                    .enumerate()
                    .map(move |(seat, signer)| (index, seat, signer))
            })
            .collect()
    }

    fn sign(&self, signer: SignerIndex, root: Root) -> SignatureBytes {
        let key = get_signer_key(&self.next, signer, self.next.current_epoch()).unwrap();
        self.chain.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes()
    }

    fn vote(&self, (committee_index, seat, signer): (u64, usize, SignerIndex), data: AttestationData) -> bool {
        let domain = get_domain(&self.next, DOMAIN_BEACON_ATTESTER, Some(data.target.epoch));
        let single = SingleAttestation::Dvt(SingleAttestationDvt {
            committee_index,
            attester_index: signer,
            data,
            signature: self.sign(signer, compute_signing_root(&data, domain)),
            proofs: SchemeProofs::empty(),
        });
        let seats = get_committee_seats(&self.next, data.slot, committee_index)
            .unwrap()
            .len();
        self.pool.insert_attestation(&single, BLS_SCHEME, seat, seats)
    }

    fn pack(&self) -> Vec<Attestation<Minimal>> {
        self.pool.pack_attestations(&self.next, &self.chain.spec).unwrap()
    }
}

fn member(key: u8) -> SignerIndex {
    SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
}

#[test]
fn single_votes_of_all_committees_become_one_attestation_of_a_block() {
    let mut world = World::new();
    let seats = World::seats(&world.chain);
    for seat in &seats {
        assert!(world.vote(*seat, world.data));
        assert!(!world.vote(*seat, world.data), "the seat has voted");
    }
    let packed = world.pack();
    assert_eq!(packed.len(), 1);
    let voters = get_attesting_indices(&world.next, packed[0].to_ref()).unwrap();
    assert_eq!(voters.len(), seats.len());

    // What a block contained pays nothing again.
    let checked = check_attestation(&world.next, packed[0].to_ref()).unwrap();
    apply_attestation(&mut world.next, checked, &world.chain.spec).unwrap();
    assert!(world.pack().is_empty());
}

#[test]
fn votes_for_different_heads_both_count_while_a_flag_is_missing() {
    let world = World::new();
    let seats = World::seats(&world.chain);
    let other = AttestationData {
        beacon_block_root: Root::repeat_byte(7),
        ..world.data
    };
    // Three members saw another head: their votes are needed for source and target of the group.
    for seat in &seats {
        let (_, key) = seat.2.split();
        let saw_other = key.is_some_and(|key| key < 3);
        world.vote(*seat, if saw_other { other } else { world.data });
    }
    let packed = world.pack();
    let heads: Vec<Root> = packed.iter().map(|vote| vote.data().beacon_block_root).collect();
    assert_eq!(heads, [world.data.beacon_block_root, other.beacon_block_root]);
    let mut state = world.next.clone();
    for vote in &packed {
        let checked = check_attestation(&state, vote.to_ref()).unwrap();
        apply_attestation(&mut state, checked, &world.chain.spec).unwrap();
    }
    let flags = *state.current_epoch_participation().get(GROUP as usize).unwrap();
    assert_eq!(flags, 0b011, "source and target at threshold, head not");
}

#[test]
fn votes_of_members_beyond_the_threshold_are_left_out() {
    let world = World::new();
    let seats = World::seats(&world.chain);
    let mut state = world.next.clone();
    let members: Vec<_> = seats.iter().filter(|seat| seat.2.is_virtual()).copied().collect();
    members.iter().take(5).for_each(|seat| {
        world.vote(*seat, world.data);
    });
    for vote in world.pack() {
        let checked = check_attestation(&state, vote.to_ref()).unwrap();
        apply_attestation(&mut state, checked, &world.chain.spec).unwrap();
    }
    let late = World {
        next: state,
        pool: OperationPool::new(),
        ..world
    };
    members.iter().skip(5).for_each(|seat| {
        late.vote(*seat, late.data);
    });
    assert!(late.pack().is_empty());
}

#[test]
fn aggregates_are_found_by_what_they_vote_for() {
    let world = World::new();
    let seats = World::seats(&world.chain);
    let committee = seats.iter().find(|(_, _, signer)| signer.is_virtual()).unwrap().0;
    let voters: Vec<_> = seats
        .iter()
        .filter(|(index, seat, _)| *index == committee && seat % 2 == 0)
        .collect();
    voters.iter().for_each(|seat| {
        world.vote(**seat, world.data);
    });
    let root = world.data.tree_hash_root();
    let find = |root, committee| world.pool.get_aggregate(world.data.slot, root, committee).unwrap();
    let aggregate = find(root, committee).unwrap();
    assert_eq!(aggregate.aggregation_bits().num_set_bits(), voters.len());
    assert_eq!(aggregate.committee_indices(), [committee]);
    assert!(find(Root::ZERO, committee).is_none() && find(root, 63).is_none());

    // It can go into another pool as it is.
    let schemes: Vec<(SignerIndex, u8)> = seats
        .iter()
        .filter(|(index, ..)| *index == committee)
        .map(|(_, _, signer)| (*signer, BLS_SCHEME))
        .collect();
    let other = OperationPool::<Minimal>::new();
    assert!(other.insert_aggregate(&aggregate, committee, &schemes));
    assert!(!other.insert_aggregate(&aggregate, committee, &schemes));
    assert_eq!(
        other.get_aggregate(world.data.slot, root, committee).unwrap().unwrap(),
        aggregate
    );
    assert_eq!(other.attestations(Some(world.data.slot), Some(committee)), [aggregate]);
}

fn exit_by(world: &World, key: u8) -> SignedVoluntaryExit {
    let message = VoluntaryExit {
        epoch: Epoch::new(0),
        validator_index: ValidatorIndex::new(GROUP),
    };
    let domain = compute_domain(
        DOMAIN_VOLUNTARY_EXIT,
        world.chain.spec.capella_fork_version,
        world.next.genesis_validators_root(),
    );
    let mut signers = Signers::default();
    signers.set(usize::from(key), true).unwrap();
    SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
        message,
        signature: world.sign(member(key), compute_signing_root(&message, domain)),
        signers,
        proofs: SchemeProofs::empty(),
    })
}

#[test]
fn exit_of_a_group_is_complete_with_the_last_member_needed() {
    let world = World::new();
    let insert = |key| {
        world
            .pool
            .insert_voluntary_exit_part(&exit_by(&world, key), &world.next, &world.chain.spec)
            .unwrap()
    };
    for key in [6, 0, 0, 3, 2] {
        assert!(insert(key).is_none());
    }
    assert!(world.pool.voluntary_exits().is_empty());
    let complete = insert(5).unwrap();
    assert_eq!(complete.to_ref().signers().num_set_bits(), 5);
    assert_eq!(world.pool.voluntary_exits(), std::slice::from_ref(&complete));
    let packed = world.pool.pack_operations(&world.next, &world.chain.spec);
    assert_eq!(packed.voluntary_exits, [complete]);
}

#[test]
fn parts_of_an_exit_are_void_once_the_key_set_changes() {
    let mut world = World::new();
    let insert = |world: &World, key| {
        world
            .pool
            .insert_voluntary_exit_part(&exit_by(world, key), &world.next, &world.chain.spec)
            .unwrap()
    };
    // A complete exit, by keys one of which goes.
    let before = World::new();
    let void = (0..5).filter_map(|key| insert(&before, key)).next().unwrap();
    world.pool.insert_voluntary_exit(void.clone());
    assert_eq!(
        world
            .pool
            .pack_operations(&world.next, &world.chain.spec)
            .voluntary_exits,
        [void]
    );
    for key in 0..4 {
        assert!(insert(&world, key).is_none());
    }
    let epoch = world.next.current_epoch();
    if let BeaconState::Dvt(state) = &mut world.next {
        let key_sets = &mut state.groups.get_mut(0).unwrap().key_sets;
        let mut key_set = key_sets.last().unwrap().clone();
        key_set.activation_epoch = epoch;
        key_set.keys[0] = virtual_key(GROUP, 7);
        key_sets.push(key_set).unwrap();
    }
    world.next.apply_pending_mutations().unwrap();
    assert!(
        world
            .pool
            .pack_operations(&world.next, &world.chain.spec)
            .voluntary_exits
            .is_empty()
    );
    // The place of the key that went counts again, and so do those of the keys that stayed: with the four from before
    // this would be a fifth.
    for key in [4, 0, 1, 2] {
        assert!(insert(&world, key).is_none(), "{key}");
    }
    let complete = insert(&world, 3).unwrap();
    assert_eq!(complete.to_ref().signers().num_set_bits(), 5);
    let packed = world.pool.pack_operations(&world.next, &world.chain.spec);
    assert_eq!(packed.voluntary_exits, [complete]);
}

#[test]
fn key_set_change_is_complete_with_the_last_member_needed() {
    let world = World::new();
    let group = match &world.next {
        BeaconState::Dvt(state) => state.groups.get(0).unwrap().clone(),
        BeaconState::Fulu(_) => unreachable!(),
    };
    let keys = group.key_sets.last().unwrap().keys.clone();
    let message = KeySetChange {
        validator_index: ValidatorIndex::new(GROUP),
        sequence: group.sequence,
        slot: world.chain.state.slot(),
        threshold: 6,
        keys,
    };
    let domain = compute_domain(
        DOMAIN_KEY_SET_CHANGE,
        world.chain.spec.genesis_fork_version,
        world.next.genesis_validators_root(),
    );
    let root = compute_signing_root(&message, domain);
    let part = |key: u8| {
        let mut signers = Signers::default();
        signers.set(usize::from(key), true).unwrap();
        SignedKeySetChange {
            message: message.clone(),
            key_proofs: Default::default(),
            signers,
            signature: world.sign(member(key), root),
            proofs: SchemeProofs::empty(),
        }
    };
    let insert = |key| {
        world
            .pool
            .insert_key_set_change_part(&part(key), &world.next, world.next.slot(), &world.chain.spec)
            .unwrap()
    };
    assert!((0..4).all(|key| insert(key).is_none()));
    assert_eq!(world.pool.key_set_change_parts()[0].signers.num_set_bits(), 4);
    let complete = insert(4).unwrap();
    assert!(world.pool.key_set_change_parts().is_empty());
    let packed = world.pool.pack_operations(&world.next, &world.chain.spec);
    assert_eq!(packed.key_set_changes, std::slice::from_ref(&complete));

    // It survives a restart, and goes when the chain has accepted another one of its number.
    let restored = OperationPool::<Minimal>::from_bytes(&world.pool.to_bytes()).unwrap();
    assert_eq!(restored.key_set_changes(), std::slice::from_ref(&complete));
    // Another one of its number takes its place once its window is over.
    let mut other = complete.clone();
    other.message.slot = complete.message.slot.saturating_add(1u64);
    let end = complete.message.slot.saturating_add(KEY_SET_CHANGE_WINDOW);
    restored.insert_key_set_change(other.clone(), end);
    assert_eq!(restored.key_set_changes(), [complete]);
    restored.insert_key_set_change(other.clone(), end.saturating_add(1u64));
    assert_eq!(restored.key_set_changes(), [other]);
    let mut accepted = world.next.clone();
    if let BeaconState::Dvt(state) = &mut accepted {
        state.groups.get_mut(0).unwrap().sequence += 1;
    }
    accepted.apply_pending_mutations().unwrap();
    restored.prune(&accepted, accepted.slot());
    assert!(restored.key_set_changes().is_empty());
}

#[test]
fn stored_operations_that_are_cut_off_are_refused() {
    let world = World::new();
    world.pool.insert_voluntary_exit(exit_by(&world, 1));
    let bytes = world.pool.to_bytes();
    let restored = OperationPool::<Minimal>::from_bytes(&bytes).unwrap();
    assert_eq!(restored.voluntary_exits(), world.pool.voluntary_exits());
    assert!(OperationPool::<Minimal>::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(OperationPool::<Minimal>::from_bytes(&[]).is_err());
    assert!(OperationPool::<Minimal>::from_bytes(&[9]).is_err());
}

#[test]
fn votes_of_epochs_that_are_over_are_dropped() {
    let world = World::new();
    let seat = World::seats(&world.chain)[0];
    world.vote(seat, world.data);
    world.pool.prune_slots(world.data.slot);
    assert_eq!(world.pool.attestations(None, None).len(), 1);
    world.pool.prune_slots(world.data.slot.saturating_add(16u64));
    assert!(world.pool.attestations(None, None).is_empty());
}
