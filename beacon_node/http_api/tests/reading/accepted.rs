//! Events of messages that were accepted, on a chain without groups.

use crate::support::{Node, everybody};
use beacon_api::{AttesterDuty, BroadcastValidation, DataColumnSidecarEvent, Event, EventTopic, SignedBlockContents};
use chain_harness::BlockPlan;
use futures::{Stream, StreamExt as _};
use http_api::ApiSettings;
use state_transition::dvt::accessors::get_signer_key;
use state_transition::helpers::accessors::{get_block_root, get_domain};
use std::time::Duration;
use tree_hash::TreeHash;
use types::constants::{
    DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_SELECTION_PROOF,
    DOMAIN_VOLUNTARY_EXIT,
};
use types::*;

/// The commitment to a blob of which all field elements are 1.
const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                         6c55e83ff97a1aeffb3af00adb22c6bb";

/// What a validator signs, in the epoch of the head.
fn sign(node: &Node, validator: u64, message: &impl TreeHash, domain: Domain) -> SignatureBytes {
    let state = &node.chain.head().state;
    let signer = SignerIndex::new(validator);
    let key = get_signer_key(state, signer, state.current_epoch()).unwrap();
    let root = compute_signing_root(message, domain);
    node.producer.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes()
}

fn domain(node: &Node, domain_type: DomainType) -> Domain {
    let state = &node.chain.head().state;
    get_domain(state, domain_type, Some(state.current_epoch()))
}

fn vote_data(node: &Node, head: Root) -> AttestationData {
    let state = &node.chain.head().state;
    let epoch = state.current_epoch();
    AttestationData {
        slot: node.chain.head().slot(),
        index: 0,
        beacon_block_root: head,
        source: state.current_justified_checkpoint(),
        target: Checkpoint {
            epoch,
            root: get_block_root(state, epoch).unwrap(),
        },
    }
}

/// The duty of a validator who votes in the slot of the head.
pub(crate) async fn own_duty(node: &Node) -> AttesterDuty {
    let everyone: Vec<SignerIndex> = (1..crate::support::VALIDATORS).map(SignerIndex::new).collect();
    let head = node.chain.head();
    let epoch = head.slot().epoch::<Minimal>();
    let duties = node.client.attester_duties(epoch, &everyone).await.unwrap().data;
    duties.into_iter().find(|duty| duty.slot == head.slot()).unwrap()
}

/// Its vote.
pub(crate) fn single_vote(node: &Node, duty: &AttesterDuty) -> SingleAttestation {
    let data = vote_data(node, node.chain.head().root);
    let voter = duty.validator_index.as_u64();
    SingleAttestation::Fulu(SingleAttestationFulu {
        committee_index: duty.committee_index,
        attester_index: duty.validator_index,
        data,
        signature: sign(node, voter, &data, domain(node, DOMAIN_BEACON_ATTESTER)),
    })
}

/// The same vote as an aggregate.
pub(crate) fn aggregate(node: &Node, duty: &AttesterDuty) -> SignedAggregateAndProof<Minimal> {
    let data = vote_data(node, node.chain.head().root);
    let voter = duty.validator_index.as_u64();
    let mut aggregate = AttestationFulu {
        aggregation_bits: ssz_types::BitList::with_capacity(duty.committee_length as usize).unwrap(),
        data,
        signature: sign(node, voter, &data, domain(node, DOMAIN_BEACON_ATTESTER)),
        committee_bits: ssz_types::BitVector::new(),
    };
    let seat = duty.validator_committee_index as usize;
    aggregate.aggregation_bits.set(seat, true).unwrap();
    aggregate
        .committee_bits
        .set(duty.committee_index as usize, true)
        .unwrap();
    let message = AggregateAndProofFulu {
        aggregator_index: duty.validator_index,
        aggregate,
        selection_proof: sign(node, voter, &data.slot, domain(node, DOMAIN_SELECTION_PROOF)),
    };
    let signature = sign(node, voter, &message, domain(node, DOMAIN_AGGREGATE_AND_PROOF));
    SignedAggregateAndProof::Fulu(SignedAggregateAndProofFulu { message, signature })
}

/// Two headers of one slot.
pub(crate) fn proposer_slashing(node: &Node) -> ProposerSlashing {
    let header = |body: u8| {
        let message = BeaconBlockHeader {
            slot: node.chain.head().slot(),
            proposer_index: ValidatorIndex::new(3),
            parent_root: Root::repeat_byte(1),
            state_root: Root::repeat_byte(2),
            body_root: Root::repeat_byte(body),
        };
        SignedBeaconBlockHeaderFulu {
            message,
            signature: sign(node, 3, &message, domain(node, DOMAIN_BEACON_PROPOSER)),
        }
    };
    ProposerSlashing::Fulu(ProposerSlashingFulu {
        signed_header_1: header(3),
        signed_header_2: header(4),
    })
}

/// Two votes of one epoch.
pub(crate) fn attester_slashing(node: &Node) -> AttesterSlashing<Minimal> {
    let side = |head: Root| {
        let data = vote_data(node, head);
        IndexedAttestationFulu {
            attesting_indices: vec![SignerIndex::new(5)].try_into().unwrap(),
            data,
            signature: sign(node, 5, &data, domain(node, DOMAIN_BEACON_ATTESTER)),
        }
    };
    AttesterSlashing::Fulu(AttesterSlashingFulu {
        attestation_1: side(node.chain.head().root),
        attestation_2: side(Root::repeat_byte(9)),
    })
}

/// Somebody leaves.
pub(crate) fn voluntary_exit(node: &Node) -> SignedVoluntaryExit {
    let message = VoluntaryExit {
        epoch: Epoch::new(0),
        validator_index: ValidatorIndex::new(7),
    };
    let version = node.chain.spec().capella_fork_version;
    let exit_domain = compute_domain(DOMAIN_VOLUNTARY_EXIT, version, node.chain.genesis_validators_root());
    SignedVoluntaryExit::Fulu(SignedVoluntaryExitFulu {
        message,
        signature: sign(node, 7, &message, exit_domain),
    })
}

async fn next<E: std::fmt::Debug>(
    events: &mut (impl Stream<Item = Result<Event<Minimal>, E>> + Unpin),
) -> Event<Minimal> {
    let next = tokio::time::timeout(Duration::from_secs(10), events.next());
    next.await.expect("an event comes").unwrap().unwrap()
}

#[tokio::test]
async fn what_is_handed_in_and_accepted_is_told_to_whoever_listens() {
    let mut node = Node::start(ForkName::Fulu, ApiSettings::default()).await;
    node.run_to(11).await;
    let topics = [
        EventTopic::BlockGossip,
        EventTopic::SingleAttestation,
        EventTopic::Attestation,
        EventTopic::AggregateAndProof,
        EventTopic::VoluntaryExit,
        EventTopic::ProposerSlashing,
        EventTopic::AttesterSlashing,
        EventTopic::BlsToExecutionChange,
        EventTopic::ContributionAndProof,
        EventTopic::DataColumnSidecar,
        EventTopic::KeySetChange,
    ];
    let mut events = Box::pin(node.client.events::<Minimal>(&topics).await.unwrap());
    let mut only_exits = Box::pin(
        node.client
            .events::<Minimal>(&[EventTopic::VoluntaryExit])
            .await
            .unwrap(),
    );
    let duty = own_duty(&node).await;
    let vote = single_vote(&node, &duty);
    node.client
        .submit_attestations(std::slice::from_ref(&vote))
        .await
        .unwrap();
    assert_eq!(next(&mut events).await, Event::SingleAttestation(Box::new(vote)));

    let signed = aggregate(&node, &duty);
    node.client
        .submit_aggregates(std::slice::from_ref(&signed))
        .await
        .unwrap();
    let votes = signed.message().aggregate().cloned();
    assert_eq!(next(&mut events).await, Event::AggregateAndProof(Box::new(signed)));
    assert_eq!(
        next(&mut events).await,
        Event::Attestation(Box::new(votes)),
        "and the votes alone"
    );

    let slashing = proposer_slashing(&node);
    node.client.submit_proposer_slashing(&slashing).await.unwrap();
    assert_eq!(next(&mut events).await, Event::ProposerSlashing(Box::new(slashing)));

    let slashing = attester_slashing(&node);
    node.client.submit_attester_slashing(&slashing).await.unwrap();
    assert_eq!(next(&mut events).await, Event::AttesterSlashing(Box::new(slashing)));

    let exit = voluntary_exit(&node);
    node.client.submit_voluntary_exit(&exit).await.unwrap();
    let event = Event::VoluntaryExit(Box::new(exit));
    assert_eq!(next(&mut events).await, event);
    assert_eq!(next(&mut only_exits).await, event, "and nothing of other topics");

    let plan = BlockPlan {
        blob_kzg_commitments: vec![GENERATOR.parse().unwrap()],
        ..BlockPlan::default()
    };
    let block = node.producer.build(&everybody, plan).unwrap();
    let (slot, root) = (block.slot(), block.block_root());
    node.set_slot(slot.as_u64());
    let mut contents = SignedBlockContents::from(block);
    let mut bytes = vec![0; 131_072];
    bytes.chunks_exact_mut(32).for_each(|element| element[31] = 1);
    contents.blobs = vec![Blob::<Minimal>::new(bytes).unwrap()].try_into().unwrap();
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    contents.kzg_proofs = vec![KzgProof::new(infinity); 128].try_into().unwrap();
    for _ in 0..2 {
        // The second time nothing is news.
        node.client
            .publish_block(&contents, BroadcastValidation::Gossip)
            .await
            .unwrap();
    }
    match next(&mut events).await {
        Event::BlockGossip(event) => assert_eq!((event.slot, event.block), (slot, root)),
        other => panic!("not the block: {other:?}"),
    }
    for index in 0..128 {
        let event = DataColumnSidecarEvent {
            block_root: root,
            index,
            slot,
            kzg_commitments: vec![GENERATOR.parse().unwrap()],
        };
        assert_eq!(next(&mut events).await, Event::DataColumnSidecar(Box::new(event)));
    }
}
