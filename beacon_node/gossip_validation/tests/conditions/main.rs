//! Conditions of the topics, on a chain of real blocks with one group.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod blob_limits;
mod column_headers;
mod columns;
mod operations;
mod sync_committee;
mod world;

use chain_harness::BlockPlan;
use gossip_validation::*;
use ssz_types::{BitList, VariableList};
use state_transition::StateError;
use state_transition::block::operations::attestation::IndexedAttestationError;
use state_transition::block::operations::attester_slashing::AttesterSlashingError;
use state_transition::block::operations::proposer_slashing::ProposerSlashingError;
use state_transition::dvt::leaders::get_leader_key_index;
use state_transition::dvt::signers::SignersError;
use std::sync::Arc;
use types::constants::*;
use types::*;
use world::*;

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
    // Whoever has not found it right cannot know whether the group needs the fallback.
    let unjudged = world.signed_by(&state, &block, &[leader(1)]);
    assert_eq!(world.gossip.verify_group_proposal(unjudged).await.unwrap().rank, 1);
    world.gossip.note_right_proposal(slot, ValidatorIndex::new(GROUP), 0);
    let error = world
        .gossip
        .verify_group_proposal(Arc::clone(&fallback))
        .await
        .unwrap_err();
    assert!(
        matches!(error, GroupBlockGossipError::LowerRankSeen { rank: 2, seen: 0 }),
        "{error}"
    );
}

#[tokio::test]
async fn member_signatures_verify_without_the_block() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    for key in [1, 5] {
        let header = world.signed_by(&state, &block, &[key]).signed_block_header();
        let verified = world.gossip.verify_group_signature(header.clone()).await.unwrap();
        assert_eq!(
            (verified.signer, verified.root, verified.group.threshold),
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
async fn what_builds_on_an_invalid_payload_is_no_offence_and_what_builds_on_another_invalid_block_is() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let leader = get_leader_key_index(&state, ValidatorIndex::new(GROUP), block.slot(), 0)
        .unwrap()
        .unwrap();
    let verdicts = async || {
        let proposal = world.signed_by(&state, &block, &[leader]);
        let complete = world.signed_by(&state, &block, &[0, 1, 2, 3, 4]);
        let header = proposal.signed_block_header();
        [
            world
                .gossip
                .verify_group_proposal(proposal)
                .await
                .unwrap_err()
                .verdict(),
            world.gossip.verify_group_signature(header).await.unwrap_err().verdict(),
            world.gossip.verify_block(complete).await.unwrap_err().verdict(),
        ]
    };
    let parent = block.message().parent_root();
    world.gossip.note_invalid_payload(parent);
    assert_eq!(verdicts().await, [Verdict::Ignore; 3]);
    // Whatever an execution client says: the block is wrong by itself.
    world.gossip.note_invalid_block(parent);
    assert_eq!(verdicts().await, [Verdict::Reject; 3]);
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

#[tokio::test]
async fn evidence_with_signers_that_other_heads_may_know_is_no_offence() {
    let mut world = World::new();
    let (_, block) = world.until_group_proposes().await;
    let slot = block.slot();
    let header = |proposer: u64, signers: &[usize], body: u8| {
        let mut bits = Signers::default();
        signers.iter().for_each(|key| bits.set(*key, true).unwrap());
        SignedBeaconBlockHeaderDvt {
            message: BeaconBlockHeader {
                slot,
                proposer_index: ValidatorIndex::new(proposer),
                parent_root: Root::ZERO,
                state_root: Root::ZERO,
                body_root: Root::repeat_byte(body),
            },
            signature: SignatureBytes::ZERO,
            signers: bits,
            proofs: SchemeProofs::empty(),
        }
    };
    let by_proposer = |proposer, signers: &[usize]| {
        ProposerSlashing::Dvt(ProposerSlashingDvt {
            signed_header_1: header(proposer, signers, 1),
            signed_header_2: header(proposer, signers, 2),
        })
    };
    for (proposer, signers, verdict) in [
        // Nobody; a solo validator with members; a group with a key more than it has.
        (99, &[][..], Verdict::Ignore),
        (1, &[0, 1][..], Verdict::Ignore),
        (GROUP, &[0, 1, 2, 3, 7][..], Verdict::Ignore),
        // Too few of those who are known; a signature that is none.
        (GROUP, &[0, 1, 2, 3][..], Verdict::Reject),
        (GROUP, &[0, 1, 2, 3, 4][..], Verdict::Reject),
        (1, &[][..], Verdict::Reject),
    ] {
        let error = world
            .gossip
            .verify_proposer_slashing(by_proposer(proposer, signers))
            .await
            .unwrap_err();
        assert_eq!(error.verdict(), verdict, "{error}");
    }

    let data = world.data();
    let vote = |signers: &[SignerIndex], head: u8| IndexedAttestationDvt::<Minimal> {
        attesting_indices: VariableList::new(signers.to_vec()).unwrap(),
        data: AttestationData {
            beacon_block_root: Root::repeat_byte(head),
            ..data
        },
        signature: SignatureBytes::ZERO,
        proofs: SchemeProofs::empty(),
    };
    let all: Vec<SignerIndex> = (0..7).map(member).collect();
    let plain = |index: u64| SignerIndex::new(index);
    for (signers, heads, verdict) in [
        (vec![plain(99)], [1, 2], Verdict::Ignore),
        (vec![plain(GROUP)], [1, 2], Verdict::Ignore),
        ((0..8).map(member).collect(), [1, 2], Verdict::Ignore),
        (all.clone(), [1, 1], Verdict::Reject),
        (all[..4].to_vec(), [1, 2], Verdict::Reject),
        (all.clone(), [1, 2], Verdict::Reject),
        (vec![plain(1)], [1, 2], Verdict::Reject),
    ] {
        let slashing = AttesterSlashing::Dvt(AttesterSlashingDvt {
            attestation_1: vote(&signers, heads[0]),
            attestation_2: vote(&signers, heads[1]),
            more_1: VariableList::empty(),
            more_2: VariableList::empty(),
            key_set_age_1: 0,
            key_set_age_2: 0,
        });
        let error = world.gossip.verify_attester_slashing(slashing).await.unwrap_err();
        assert_eq!(error.verdict(), verdict, "{error}");
    }
}

#[test]
fn evidence_of_an_epoch_without_a_key_set_is_no_offence() {
    let unknown = || StateError::NoKeySet {
        index: ValidatorIndex::new(GROUP),
        epoch: Epoch::new(3),
    };
    let header = ProposerSlashingError::Signers {
        place: 1,
        reason: SignersError::State(unknown()),
    };
    let vote = AttesterSlashingError::IndexedAttestation {
        side: 2,
        place: 0,
        reason: IndexedAttestationError::State(unknown()),
    };
    assert_eq!(ProposerSlashingGossipError::Invalid(header).verdict(), Verdict::Ignore);
    for error in [vote, AttesterSlashingError::State(unknown())] {
        assert_eq!(AttesterSlashingGossipError::Invalid(error).verdict(), Verdict::Ignore);
    }
}
