//! Conditions of the topics, on a chain of real blocks with one group.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use gossip_validation::*;
use runtime::{SlotClock, WorkerPool};
use ssz_types::{BitList, VariableList};
use state_transition::block::BlockSignatures;
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::dvt::leaders::get_leader_key_index;
use state_transition::dvt::signers::Quorum;
use state_transition::genesis::genesis_block;
use state_transition::helpers::accessors::{get_committee_count_per_slot, get_domain};
use state_transition::process_slots;
use std::sync::Arc;
use storage::{Identity, Storage};
use types::constants::*;
use types::*;

const GROUP: u64 = 0;

fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

/// A chain and a node that follows it.
struct World {
    producer: Chain<Minimal>,
    chain: Arc<BeaconChain<Minimal>>,
    clock: SlotClock,
    gossip: Arc<GossipValidator<Minimal>>,
}

impl World {
    fn new() -> Self {
        Self::of_fork(ForkName::Dvt)
    }

    fn of_fork(fork: ForkName) -> Self {
        let mut spec = ChainSpec::minimal();
        spec.capella_fork_epoch = Epoch::new(0);
        spec.electra_fork_epoch = Epoch::new(0);
        spec.fulu_fork_epoch = Epoch::new(0);
        let mut first = solo(GROUP, 2048);
        if fork == ForkName::Dvt {
            spec.dvt_fork_epoch = Epoch::new(0);
            first = group_of(GROUP, 5, 7, 2048);
        }
        spec.shard_committee_period = 0;
        let mut validators = vec![first];
        validators.extend((1..33).map(|validator| solo(validator, 256)));
        let producer = Chain::<Minimal>::new(&validators, Keys::new(33, &[GROUP], 7), spec);
        let clock = SlotClock::manual(producer.state.genesis_time(), &producer.spec);
        let storage = Storage::in_memory(Identity {
            genesis_validators_root: producer.state.genesis_validators_root(),
            genesis_time: producer.state.genesis_time(),
        });
        let config = ChainConfig {
            spec: Arc::new(producer.spec.clone()),
            clock: clock.clone(),
            storage: Arc::new(storage.unwrap()),
            execution_layer: None,
            workers: WorkerPool::start(2).unwrap(),
        };
        let mut state = producer.state.clone();
        let block = genesis_block(&mut state).unwrap();
        let chain = BeaconChain::from_anchor(config, Anchor { state, block }).unwrap();
        let gossip = Arc::new(GossipValidator::new(Arc::clone(&chain)));
        Self {
            producer,
            chain,
            clock,
            gossip,
        }
    }

    async fn step(&mut self) -> Arc<SignedBeaconBlock<Minimal>> {
        let block = Arc::new(self.producer.step(&everybody, BlockPlan::default()).unwrap());
        self.clock.set_slot(block.slot());
        self.chain
            .process_block(Arc::clone(&block), BlockSignatures::All)
            .await
            .unwrap();
        block
    }

    /// Steps until the group proposes in the next slot.
    async fn until_group_proposes(&mut self) -> (BeaconState<Minimal>, SignedBeaconBlock<Minimal>) {
        for _ in 0..80 {
            let block = self.producer.build(&everybody, BlockPlan::default()).unwrap();
            if block.message().proposer_index().as_u64() == GROUP {
                let mut state = self.producer.state.clone();
                process_slots(&mut state, block.slot(), &self.producer.spec).unwrap();
                self.clock.set_slot(block.slot());
                return (state, block);
            }
            self.step().await;
        }
        panic!("the group has a fifth of the stake and proposes within eighty slots");
    }

    fn signed_by(
        &self,
        state: &BeaconState<Minimal>,
        block: &SignedBeaconBlock<Minimal>,
        keys: &[u8],
    ) -> Arc<SignedBeaconBlock<Minimal>> {
        let mut signers = Signers::default();
        keys.iter()
            .for_each(|key| signers.set(usize::from(*key), true).unwrap());
        Arc::new(self.producer.sign(state, block.message().cloned(), signers))
    }

    fn sign(&self, signer: SignerIndex, root: Root) -> SignatureBytes {
        let state = &self.producer.state;
        let key = get_signer_key(state, signer, state.current_epoch())
            .unwrap()
            .as_bls()
            .unwrap();
        self.producer.keys.get(&key).sign(&root).to_bytes()
    }

    fn domain(&self, domain_type: [u8; 4]) -> Domain {
        let state = &self.producer.state;
        get_domain(state, domain_type, Some(state.current_epoch()))
    }

    /// What everybody votes for in the head's slot.
    fn data(&self) -> AttestationData {
        let head = self.chain.head();
        let epoch = head.slot().epoch::<Minimal>();
        let target = self
            .chain
            .canonical_root_at_or_before(epoch.start_slot::<Minimal>())
            .unwrap()
            .unwrap();
        AttestationData {
            slot: head.slot(),
            index: 0,
            beacon_block_root: head.root,
            source: head.state.current_justified_checkpoint(),
            target: Checkpoint { epoch, root: target },
        }
    }

    fn vote(&self, signer: SignerIndex, committee_index: u64, data: AttestationData) -> SingleAttestation {
        let root = compute_signing_root(&data, self.domain(DOMAIN_BEACON_ATTESTER));
        SingleAttestation::Dvt(SingleAttestationDvt {
            committee_index,
            attester_index: signer,
            data,
            signature: self.sign(signer, root),
            proofs: SchemeProofs::empty(),
        })
    }

    /// Steps until the group is in a committee of the head's slot. Gives the committee, its seats and its subnet.
    async fn until_group_attests(&mut self) -> (u64, Vec<SignerIndex>, u64) {
        for _ in 0..20 {
            self.step().await;
            let state = &self.producer.state;
            let count = get_committee_count_per_slot(state, state.current_epoch()).unwrap();
            for index in 0..count {
                let seats = get_committee_seats(state, state.slot(), index).unwrap();
                if seats.iter().any(|signer| signer.is_virtual()) {
                    let subnet =
                        compute_subnet_for_attestation::<Minimal>(count, state.slot(), index, &self.producer.spec);
                    return (index, seats, subnet);
                }
            }
        }
        panic!("everybody attests once per epoch");
    }
}

fn member(key: u8) -> SignerIndex {
    SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
}

#[tokio::test]
async fn votes_of_members_are_new_once_and_have_their_own_seats() {
    let mut world = World::new();
    let (committee, seats, subnet) = world.until_group_attests().await;
    let data = world.data();
    for key in 0..7 {
        let vote = world.vote(member(key), committee, data);
        let verified = world
            .gossip
            .verify_attestation(vote.clone(), Some(subnet))
            .await
            .unwrap();
        assert_eq!(seats[verified.seat], member(key));
        assert_eq!((verified.seats, verified.subnet_id), (seats.len(), subnet));
        let again = world.gossip.verify_attestation(vote, Some(subnet)).await.unwrap_err();
        assert!(matches!(again, AttestationGossipError::NotFirst { .. }), "{again}");
        assert_eq!(again.verdict(), Verdict::Ignore);
    }
}

#[tokio::test]
async fn wrong_votes_are_rejected_and_do_not_keep_out_right_ones() {
    let mut world = World::new();
    let (committee, _, subnet) = world.until_group_attests().await;
    let data = world.data();
    let right = world.vote(member(2), committee, data);

    let error = world
        .gossip
        .verify_attestation(right.clone(), Some(subnet + 1))
        .await
        .unwrap_err();
    assert!(matches!(error, AttestationGossipError::Subnet { .. }), "{error}");

    let SingleAttestation::Dvt(mut inner) = right.clone() else {
        unreachable!()
    };
    inner.attester_index = member(3);
    let error = world
        .gossip
        .verify_attestation(SingleAttestation::Dvt(inner.clone()), None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, AttestationGossipError::Shared(SharedError::Signature(_))),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Reject);

    // A group has no plain index while it is a group.
    inner.attester_index = SignerIndex::new(GROUP);
    let error = world
        .gossip
        .verify_attestation(SingleAttestation::Dvt(inner.clone()), None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, AttestationGossipError::NotInCommittee { .. }),
        "{error}"
    );

    let unknown = Root::repeat_byte(9);
    let error = world
        .gossip
        .verify_attestation(
            world.vote(
                member(2),
                committee,
                AttestationData {
                    beacon_block_root: unknown,
                    ..data
                },
            ),
            None,
        )
        .await
        .unwrap_err();
    assert_eq!(
        (error.unknown_block(), error.verdict()),
        (Some(unknown), Verdict::Ignore)
    );

    // One bad signature in a batch does not harm the others.
    inner.attester_index = member(4);
    let batch = vec![
        (right, None),
        (SingleAttestation::Dvt(inner), None),
        (world.vote(member(5), committee, data), None),
    ];
    let results = world.gossip.verify_attestations(batch).await;
    let accepted: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, false, true]);
}

#[tokio::test]
async fn aggregate_of_a_member_is_new_once_and_only_with_new_votes() {
    let mut world = World::new();
    let (committee, seats, _) = world.until_group_attests().await;
    let data = world.data();
    let voters: Vec<usize> = (0..seats.len()).filter(|seat| seat % 2 == 0).collect();
    let make = |aggregator: SignerIndex, voters: &[usize]| {
        let root = compute_signing_root(&data, world.domain(DOMAIN_BEACON_ATTESTER));
        let parts: Vec<_> = voters.iter().map(|seat| world.sign(seats[*seat], root)).collect();
        let signers: Vec<_> = voters.iter().map(|seat| vec![(seats[*seat], BLS_SCHEME)]).collect();
        let parts: Vec<_> = parts
            .iter()
            .zip(&signers)
            .map(|(signature, signers)| signature_scheme::SignedPart {
                signers,
                signature,
                proofs: &[],
            })
            .collect();
        let (signature, proofs) = signature_scheme::aggregate(&parts).unwrap();
        let mut aggregate = AttestationDvt {
            aggregation_bits: BitList::with_capacity(seats.len()).unwrap(),
            data,
            signature,
            committee_bits: Default::default(),
            proofs,
        };
        aggregate.committee_bits.set(committee as usize, true).unwrap();
        voters
            .iter()
            .for_each(|seat| aggregate.aggregation_bits.set(*seat, true).unwrap());
        let selection_root = compute_signing_root(&data.slot, world.domain(DOMAIN_SELECTION_PROOF));
        let message = AggregateAndProofDvt {
            aggregator_index: aggregator,
            aggregate,
            selection_proof: world.sign(aggregator, selection_root),
            proofs: SchemeProofs::empty(),
        };
        let root = compute_signing_root(&message, world.domain(DOMAIN_AGGREGATE_AND_PROOF));
        Arc::new(SignedAggregateAndProof::Dvt(SignedAggregateAndProofDvt {
            signature: world.sign(aggregator, root),
            message,
            proofs: SchemeProofs::empty(),
        }))
    };
    let signed = make(member(1), &voters);
    let verified = world.gossip.verify_aggregate(Arc::clone(&signed)).await.unwrap();
    assert_eq!(verified.attesting_indices.len(), voters.len());
    assert_eq!(verified.committee_index, committee);

    let error = world.gossip.verify_aggregate(signed).await.unwrap_err();
    assert!(matches!(error, AggregateGossipError::NotFirst { .. }), "{error}");
    let error = world
        .gossip
        .verify_aggregate(make(member(2), &voters[1..]))
        .await
        .unwrap_err();
    assert!(matches!(error, AggregateGossipError::NothingNew), "{error}");
    assert!(world.gossip.verify_aggregate(make(member(2), &[1])).await.is_ok());
}

#[tokio::test]
async fn group_block_below_threshold_is_rejected_and_the_complete_one_is_new_once() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let below = world.signed_by(&state, &block, &[0, 1, 2, 3]);
    let error = world.gossip.verify_block(below).await.unwrap_err();
    assert!(matches!(error, BlockGossipError::Signers(_)), "{error}");
    assert_eq!(error.verdict(), Verdict::Reject);

    let complete = world.signed_by(&state, &block, &[0, 2, 3, 4, 6]);
    let verified = world.gossip.verify_block(Arc::clone(&complete)).await.unwrap();
    assert_eq!(verified.root, block.block_root());
    let error = world.gossip.verify_block(complete).await.unwrap_err();
    assert!(matches!(error, BlockGossipError::NotFirst { .. }), "{error}");
    assert_eq!(error.verdict(), Verdict::Ignore);
}

#[tokio::test]
async fn block_whose_parent_is_unknown_waits_and_one_of_a_future_slot_too() {
    let mut world = World::new();
    world.step().await;
    let parent = world.producer.step(&everybody, BlockPlan::default()).unwrap();
    let block = Arc::new(world.producer.step(&everybody, BlockPlan::default()).unwrap());
    let error = world.gossip.verify_block(Arc::clone(&block)).await.unwrap_err();
    assert!(
        matches!(error, BlockGossipError::Shared(SharedError::FutureSlot { .. })),
        "{error}"
    );
    world.clock.set_slot(block.slot());
    let error = world.gossip.verify_block(block).await.unwrap_err();
    assert_eq!(error.unknown_block(), Some(parent.block_root()));
    assert_eq!(error.verdict(), Verdict::Ignore);
}

#[tokio::test]
async fn proposals_come_from_leaders_alone_in_their_time() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let slot = block.slot();
    let leader = |rank| {
        get_leader_key_index(&state, ValidatorIndex::new(GROUP), slot, rank)
            .unwrap()
            .unwrap()
    };
    let follower = (0..7).find(|key| (0..3).all(|rank| leader(rank) != *key)).unwrap();
    let error = world
        .gossip
        .verify_group_proposal(world.signed_by(&state, &block, &[follower]))
        .await
        .unwrap_err();
    assert!(matches!(error, GroupBlockGossipError::NotALeader { .. }), "{error}");
    let error = world
        .gossip
        .verify_group_proposal(world.signed_by(&state, &block, &[leader(0), follower]))
        .await
        .unwrap_err();
    assert!(matches!(error, GroupBlockGossipError::SignerCount(2)), "{error}");

    // Rank 2 is due after a sixth of a slot, which is one second; clocks may differ by half of one.
    let fallback = world.signed_by(&state, &block, &[leader(2)]);
    let error = world
        .gossip
        .verify_group_proposal(Arc::clone(&fallback))
        .await
        .unwrap_err();
    assert!(
        matches!(error, GroupBlockGossipError::Shared(SharedError::FutureSlot { .. })),
        "{error}"
    );

    let first = world
        .gossip
        .verify_group_proposal(world.signed_by(&state, &block, &[leader(0)]))
        .await
        .unwrap();
    assert_eq!((first.rank, first.signer), (0, member(leader(0))));
    world.clock.set_ms(world.clock.slot_start_ms(slot) + 1_100);
    let error = world
        .gossip
        .verify_group_proposal(Arc::clone(&fallback))
        .await
        .unwrap_err();
    assert!(
        matches!(error, GroupBlockGossipError::LowerRankSeen { rank: 2, seen: 0 }),
        "{error}"
    );
    // The first leader's block is invalid after all.
    world.gossip.note_invalid_proposal(slot, ValidatorIndex::new(GROUP), 0);
    assert_eq!(world.gossip.verify_group_proposal(fallback).await.unwrap().rank, 2);
}

#[tokio::test]
async fn member_signatures_verify_without_the_block() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    for key in [1, 5] {
        let header = world.signed_by(&state, &block, &[key]).signed_block_header();
        let verified = world.gossip.verify_group_signature(header.clone()).await.unwrap();
        assert_eq!(
            (verified.signer, verified.root, verified.threshold),
            (member(key), block.block_root(), 5)
        );
        let error = world.gossip.verify_group_signature(header).await.unwrap_err();
        assert!(matches!(error, GroupBlockGossipError::NotFirst { .. }), "{error}");
    }
    let SignedBeaconBlockHeader::Dvt(mut header) = world.signed_by(&state, &block, &[2]).signed_block_header() else {
        unreachable!()
    };
    header.message.body_root = Root::ZERO;
    let error = world
        .gossip
        .verify_group_signature(SignedBeaconBlockHeader::Dvt(header))
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
}

#[tokio::test]
async fn solo_validators_have_no_proposals_to_a_group() {
    let mut world = World::new();
    world.step().await;
    loop {
        let block = world.producer.build(&everybody, BlockPlan::default()).unwrap();
        if block.message().proposer_index().as_u64() == GROUP {
            world.step().await;
            continue;
        }
        world.clock.set_slot(block.slot());
        let SignedBeaconBlock::Dvt(mut inner) = block else {
            unreachable!()
        };
        inner.signers.set(0, true).unwrap();
        let error = world
            .gossip
            .verify_group_proposal(Arc::new(SignedBeaconBlock::Dvt(inner)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, GroupBlockGossipError::NotAGroup { threshold: 1, .. }),
            "{error}"
        );
        return;
    }
}

#[tokio::test]
async fn sync_message_counts_at_every_position_of_its_signer() {
    let mut world = World::new();
    world.step().await;
    let head = world.chain.head();
    let members = sync_committee_members(&head.state, head.slot()).unwrap();
    let signer = members[0].0.unwrap();
    let root = compute_signing_root(&head.root, world.domain(DOMAIN_SYNC_COMMITTEE));
    let message = SyncCommitteeMessage {
        slot: head.slot(),
        beacon_block_root: head.root,
        validator_index: signer,
        signature: world.sign(signer, root),
    };
    let verified = world.gossip.verify_sync_message(message.clone(), None).await.unwrap();
    let expected = members.iter().filter(|(member, _)| *member == Some(signer)).count();
    assert_eq!(verified.positions.len(), expected);
    assert_eq!(
        verified.positions[0],
        SyncPosition {
            subcommittee_index: 0,
            position: 0
        }
    );
    let error = world
        .gossip
        .verify_sync_message(message.clone(), Some(0))
        .await
        .unwrap_err();
    assert!(matches!(error, SyncGossipError::NotFirst { .. }), "{error}");
    world.clock.set_slot(head.slot().saturating_add(2u64));
    let error = world.gossip.verify_sync_message(message, None).await.unwrap_err();
    assert!(
        matches!(error, SyncGossipError::Shared(SharedError::PastSlot { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn contribution_holds_with_its_three_signatures() {
    let mut world = World::new();
    world.step().await;
    let head = world.chain.head();
    let members = sync_committee_members(&head.state, head.slot()).unwrap();
    let signer = members[1].0.unwrap();
    let root = compute_signing_root(&head.root, world.domain(DOMAIN_SYNC_COMMITTEE));
    let mut contribution = SyncCommitteeContribution::<Minimal> {
        slot: head.slot(),
        beacon_block_root: head.root,
        subcommittee_index: 0,
        aggregation_bits: Default::default(),
        signature: world.sign(signer, root),
    };
    contribution.aggregation_bits.set(1, true).unwrap();
    let selection = SyncAggregatorSelectionData {
        slot: head.slot(),
        subcommittee_index: 0,
    };
    let selection_root = compute_signing_root(&selection, world.domain(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF));
    let message = ContributionAndProof {
        aggregator_index: signer,
        contribution,
        selection_proof: world.sign(signer, selection_root),
    };
    let root = compute_signing_root(&message, world.domain(DOMAIN_CONTRIBUTION_AND_PROOF));
    let mut signed = SignedContributionAndProof {
        signature: world.sign(signer, root),
        message,
    };
    assert!(world.gossip.verify_contribution(signed.clone()).await.is_ok());
    signed.message.contribution.aggregation_bits.set(2, true).unwrap();
    let error = world.gossip.verify_contribution(signed).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "the aggregator was heard: {error}");
}

#[tokio::test]
async fn exit_of_a_group_is_complete_at_its_threshold() {
    let mut world = World::new();
    world.step().await;
    let message = VoluntaryExit {
        epoch: Epoch::new(0),
        validator_index: ValidatorIndex::new(GROUP),
    };
    let spec = &world.producer.spec;
    let domain = compute_domain(
        DOMAIN_VOLUNTARY_EXIT,
        spec.capella_fork_version,
        world.chain.genesis_validators_root(),
    );
    let root = compute_signing_root(&message, domain);
    let exit = |keys: std::ops::Range<u8>| {
        let parts: Vec<_> = keys
            .clone()
            .map(|key| (world.sign(member(key), root), [(member(key), BLS_SCHEME)]))
            .collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|(signature, signers)| signature_scheme::SignedPart {
                signers,
                signature,
                proofs: &[],
            })
            .collect();
        let (signature, proofs) = signature_scheme::aggregate(&parts).unwrap();
        let mut signers = Signers::default();
        keys.for_each(|key| signers.set(usize::from(key), true).unwrap());
        SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
            message,
            signature,
            signers,
            proofs,
        })
    };
    let error = world
        .gossip
        .verify_voluntary_exit(exit(0..4), Quorum::Threshold)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
    let part = world
        .gossip
        .verify_voluntary_exit(exit(0..4), Quorum::Member)
        .await
        .unwrap();
    assert!(!part.is_complete);
    let complete = world
        .gossip
        .verify_voluntary_exit(exit(0..5), Quorum::Member)
        .await
        .unwrap();
    assert!(complete.is_complete);
    let error = world
        .gossip
        .verify_voluntary_exit(exit(1..6), Quorum::Threshold)
        .await
        .unwrap_err();
    assert!(matches!(error, ExitGossipError::NotFirst(_)), "{error}");
}

#[tokio::test]
async fn evidence_against_a_group_needs_its_threshold_in_both_headers() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let SignedBeaconBlock::Dvt(inner) = block else {
        unreachable!()
    };
    let mut other = inner.clone();
    other.message.body.graffiti = Hash32::repeat_byte(1);
    let header = |block: &SignedBeaconBlockDvt<Minimal>, keys: &[u8]| {
        let block = SignedBeaconBlock::Dvt(block.clone());
        match world.signed_by(&state, &block, keys).signed_block_header() {
            SignedBeaconBlockHeader::Dvt(header) => header,
            SignedBeaconBlockHeader::Fulu(_) => unreachable!(),
        }
    };
    let slashing = |keys: &[u8]| {
        ProposerSlashing::Dvt(ProposerSlashingDvt {
            signed_header_1: header(&inner, &[0, 1, 2, 3, 4]),
            signed_header_2: header(&other, keys),
        })
    };
    let error = world
        .gossip
        .verify_proposer_slashing(slashing(&[3, 4, 5, 6]))
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
    let evidence = slashing(&[2, 3, 4, 5, 6]);
    assert!(world.gossip.verify_proposer_slashing(evidence.clone()).await.is_ok());
    let error = world.gossip.verify_proposer_slashing(evidence).await.unwrap_err();
    assert!(matches!(error, ProposerSlashingGossipError::NotFirst(_)), "{error}");
}

/// The block with one blob, of which all field elements are 1: the commitment to it is the generator of G1.
fn with_blob(block: &SignedBeaconBlock<Minimal>) -> (BeaconBlock<Minimal>, Vec<Blob<Minimal>>, Vec<KzgProof>) {
    const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                             6c55e83ff97a1aeffb3af00adb22c6bb";
    let commitments = vec![GENERATOR.parse::<KzgCommitment>().unwrap()];
    let mut block = block.message().cloned();
    match &mut block {
        BeaconBlock::Fulu(block) => block.body.blob_kzg_commitments = VariableList::new(commitments).unwrap(),
        BeaconBlock::Dvt(block) => block.body.blob_kzg_commitments = VariableList::new(commitments).unwrap(),
    }
    let mut bytes = vec![0; 131_072];
    bytes.chunks_exact_mut(32).for_each(|element| element[31] = 1);
    let blobs = vec![Blob::<Minimal>::new(bytes).unwrap()];
    let matrix = data_columns::compute_matrix::<Minimal>(&blobs).unwrap();
    (block, blobs, matrix.into_iter().map(|entry| entry.kzg_proof).collect())
}

#[tokio::test]
async fn columns_of_a_block_are_accepted_once() {
    let mut world = World::of_fork(ForkName::Fulu);
    world.step().await;
    let block = world.producer.build(&everybody, BlockPlan::default()).unwrap();
    world.clock.set_slot(block.slot());
    let (block, blobs, proofs) = with_blob(&block);
    let signed = world.producer.sign(&world.producer.state, block, Signers::default());
    let sidecars = data_columns::get_data_column_sidecars_from_block(&signed, &blobs, &proofs).unwrap();
    assert_eq!(sidecars.len(), 128);
    for index in [0u64, 127] {
        let sidecar = Arc::new(sidecars[index as usize].clone());
        let verified = world
            .gossip
            .verify_data_column(Arc::clone(&sidecar), Some(index))
            .await
            .unwrap();
        assert_eq!((verified.block_root, verified.leader_key), (signed.block_root(), None));
        let error = world.gossip.verify_data_column(sidecar, Some(index)).await.unwrap_err();
        assert!(matches!(error, DataColumnGossipError::NotFirst { .. }), "{error}");
    }
    let sidecar = Arc::new(sidecars[5].clone());
    let error = world.gossip.verify_data_column(sidecar, Some(6)).await.unwrap_err();
    assert!(matches!(error, DataColumnGossipError::Subnet { .. }), "{error}");
    let DataColumnSidecar::Fulu(mut mixed) = sidecars[5].clone() else {
        unreachable!()
    };
    mixed.kzg_commitments_inclusion_proof[0] = Root::ZERO;
    let error = world
        .gossip
        .verify_data_column(Arc::new(DataColumnSidecar::Fulu(mixed)), None)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
}

#[tokio::test]
async fn columns_of_a_group_come_from_a_leader_alone_or_at_threshold() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let slot = block.slot();
    let (block, blobs, proofs) = with_blob(&block);
    let unsigned = SignedBeaconBlock::from_parts(block, Default::default(), Signers::default(), SchemeProofs::empty());
    let column = |keys: &[u8]| {
        let signed = world.signed_by(&state, &unsigned, keys);
        let sidecars = data_columns::get_data_column_sidecars_from_block(&signed, &blobs, &proofs).unwrap();
        Arc::new(sidecars[9].clone())
    };
    let leader = |rank| {
        get_leader_key_index(&state, ValidatorIndex::new(GROUP), slot, rank)
            .unwrap()
            .unwrap()
    };
    let follower = (0..7).find(|key| (0..3).all(|rank| leader(rank) != *key)).unwrap();
    for keys in [vec![follower], vec![0, 1, 2, 3]] {
        let error = world.gossip.verify_data_column(column(&keys), None).await.unwrap_err();
        assert!(matches!(error, DataColumnGossipError::Signers(_)), "{error}");
        assert_eq!(error.verdict(), Verdict::Reject);
    }
    let error = world
        .gossip
        .verify_data_column(column(&[leader(2)]), None)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "its time has not come: {error}");
    let alone = world
        .gossip
        .verify_data_column(column(&[leader(0)]), None)
        .await
        .unwrap();
    assert_eq!(alone.leader_key, Some(leader(0)));
    let complete = world
        .gossip
        .verify_data_column(column(&[0, 1, 2, 3, 4]), None)
        .await
        .unwrap();
    assert_eq!(complete.leader_key, None);
}
