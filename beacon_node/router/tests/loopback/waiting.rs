//! Messages that wait for blocks, and those that come meanwhile.

use crate::serving::Asker;
use crate::world::{History, LENGTH, Node, VALIDATORS, columns_of, eventually};
use chain_harness::{Chain, Keys};
use gossip_validation::{AttestationGossipError, SharedError};
use intake::Accepted;
use network::{GossipTopic, NetworkHandle, TopicKind};
use ssz::Encode as _;
use state_transition::block::BlockSignatures;
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::helpers::accessors::{get_committee_count_per_slot, get_domain};
use std::sync::Arc;
use std::time::Duration;
use types::constants::DOMAIN_BEACON_ATTESTER;
use types::*;

const DEADLINE: Duration = Duration::from_secs(60);

async fn publish(from: &Node, slot: Slot, kind: TopicKind, data: Vec<u8>) {
    let digest = from.chain.fork_digest(slot.epoch::<Minimal>());
    publish_by(&from.network, GossipTopic::new(digest, kind), data).await;
}

async fn publish_by(network: &NetworkHandle, topic: GossipTopic, data: Vec<u8>) {
    let is_out = async {
        while network.publish(topic, data.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, is_out).await.unwrap();
}

/// An aggregate for a block that nobody has, with so many bytes of proofs.
fn aggregate(number: u8, bytes: usize) -> SignedAggregateAndProof<Minimal> {
    let slot = Slot::new(LENGTH);
    let data = vec![0; bytes].try_into().unwrap();
    let mut aggregate = AttestationDvt::<Minimal> {
        aggregation_bits: ssz_types::BitList::with_capacity(2).unwrap(),
        data: AttestationData {
            slot,
            index: 0,
            beacon_block_root: Root::repeat_byte(number),
            source: Checkpoint::default(),
            target: Checkpoint {
                epoch: slot.epoch::<Minimal>(),
                root: Root::ZERO,
            },
        },
        signature: bls::INFINITY_SIGNATURE,
        committee_bits: ssz_types::BitVector::default(),
        proofs: vec![SchemeProof { scheme: 1, data }].try_into().unwrap(),
    };
    aggregate.aggregation_bits.set(0, true).unwrap();
    aggregate.committee_bits.set(0, true).unwrap();
    let message = AggregateAndProofDvt {
        aggregator_index: SignerIndex::new(u64::from(number)),
        aggregate,
        selection_proof: bls::INFINITY_SIGNATURE,
        proofs: SchemeProofs::empty(),
    };
    let signature = bls::INFINITY_SIGNATURE;
    SignedAggregateAndProofDvt {
        message,
        signature,
        proofs: SchemeProofs::empty(),
    }
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_that_wait_for_a_block_keep_nothing_from_coming_in() {
    let mut history = History::new();
    let last = history.blocks.pop().unwrap();
    let old = Node::old(&history, |block| block).await;
    let node = Node::old(&history, |block| block).await;
    let mut accepted = node.intake.subscribe();
    let digest = node.chain.fork_digest(last.slot().epoch::<Minimal>());
    let topic = GossipTopic::new(digest, TopicKind::BeaconAggregateAndProof);
    // Of each as much as may wait, of all more than may be looked at at once, down to less than a column.
    const PEERS: u8 = 6;
    let sizes = [(2 << 20) - 2048, (2 << 20) - 2048, 1 << 20].into_iter();
    let sizes: Vec<usize> = sizes.chain((10..20).rev().flat_map(|log| [1 << log; 2])).collect();
    let mut senders = Vec::new();
    for peer in 0..PEERS {
        let sender = Asker::of(&node).await;
        for (number, bytes) in (0u8..).zip(&sizes) {
            let data = aggregate(number * PEERS + peer, *bytes).as_ssz_bytes();
            publish_by(&sender.network, topic, data).await;
        }
        senders.push(sender);
    }
    old.connect(&node).await;
    let mut came = false;
    for (column, sidecar) in (0..).zip(columns_of(&last)) {
        let kind = TopicKind::DataColumnSidecar(column);
        publish(&old, last.slot(), kind, sidecar.as_ssz_bytes()).await;
        let next = tokio::time::timeout(Duration::from_millis(200), accepted.recv());
        if let Ok(Ok(Accepted::DataColumn { .. })) = next.await {
            came = true;
            break;
        }
    }
    assert!(came, "no column comes in");
}

/// The chain as of the block before `slot`, with everybody's keys.
fn chain_before(history: &History, node: &Node, slot: Slot) -> Chain<Minimal> {
    let before = history.blocks.iter().rfind(|block| block.slot() < slot).unwrap();
    let state = node.chain.state_after_block(&before.block_root()).unwrap().unwrap();
    Chain {
        spec: (*history.spec).clone(),
        state: (*state).clone(),
        keys: Keys::new(VALIDATORS, &[0], 4),
    }
}

/// The votes of all seats of a slot for a block of it, with their subnets.
fn votes(chain: &Chain<Minimal>, history: &History, slot: Slot, block: Root) -> Vec<(SingleAttestation, u64)> {
    let epoch = slot.epoch::<Minimal>();
    let start = epoch.start_slot::<Minimal>();
    let target = history.blocks.iter().find(|block| block.slot() == start).unwrap();
    let data = AttestationData {
        slot,
        index: 0,
        beacon_block_root: block,
        source: chain.state.current_justified_checkpoint(),
        target: Checkpoint {
            epoch,
            root: target.block_root(),
        },
    };
    let domain = get_domain(&chain.state, DOMAIN_BEACON_ATTESTER, Some(epoch));
    let root = compute_signing_root(&data, domain);
    let count = get_committee_count_per_slot(&chain.state, epoch).unwrap();
    let mut votes = Vec::new();
    for committee_index in 0..count {
        let spec = &history.spec;
        let subnet = gossip_validation::compute_subnet_for_attestation::<Minimal>(count, slot, committee_index, spec);
        for signer in get_committee_seats(&chain.state, slot, committee_index).unwrap() {
            let key = get_signer_key(&chain.state, signer, epoch).unwrap().as_bls().unwrap();
            let vote = SingleAttestationDvt {
                committee_index,
                attester_index: signer,
                data,
                signature: chain.keys.get(&key).sign(&root).to_bytes(),
                proofs: SchemeProofs::empty(),
            };
            votes.push((vote.into(), subnet));
        }
    }
    votes
}

/// Messages of a kind that nodes of this process have ignored.
fn ignored(kind: &str) -> u64 {
    let families = prometheus::gather();
    let verdicts = families
        .iter()
        .filter(|family| family.name() == "beacon_gossip_verdicts_total");
    let metrics = verdicts.flat_map(|family| family.get_metric());
    let of_kind = metrics.filter(|metric| {
        let has = |value: &str| {
            metric
                .get_label()
                .iter()
                .any(|label| label.value().eq_ignore_ascii_case(value))
        };
        has(kind) && has("ignore")
    });
    of_kind.map(|metric| metric.get_counter().get_value() as u64).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_for_a_block_count_when_it_comes_however_many_columns_have_waited_with_them() {
    /// More than are looked at at once.
    const JUNK: u64 = 480;
    let mut history = History::new();
    let last = history.blocks.pop().unwrap();
    let block = history.blocks.pop().unwrap();
    let (slot, root) = (block.slot(), block.block_root());
    assert_eq!(last.parent_root(), root);
    let old = Node::old(&history, |block| block).await;
    let node = Node::old(&history, |block| block).await;
    let votes = votes(&chain_before(&history, &node, slot), &history, slot, root);
    let subnets = votes.iter().map(|(_, subnet)| TopicKind::BeaconAttestation(*subnet));
    node.network.subscribe(subnets.collect()).await.unwrap();
    let mut accepted = node.intake.subscribe();
    old.connect(&node).await;
    let columns = columns_of(&last);
    let before = ignored("data_column_sidecar");
    for number in 0..JUNK {
        // Of a block that its proposer did not sign, which shows when the parent is here.
        let index = number % 128;
        let DataColumnSidecar::Dvt(mut column) = columns[index as usize].clone() else {
            panic!("a column of the latest fork")
        };
        column.signed_block_header.message.body_root = Root::left_padding_from(&number.to_be_bytes());
        let kind = TopicKind::DataColumnSidecar(index);
        publish(&old, last.slot(), kind, column.as_ssz_bytes()).await;
        if number % 100 == 0 {
            eventually("those before wait", || {
                ignored("data_column_sidecar") >= before + number
            })
            .await;
        }
    }
    eventually("all wait", || ignored("data_column_sidecar") >= before + JUNK).await;
    let before = ignored("beacon_attestation");
    for (vote, subnet) in &votes {
        let kind = TopicKind::BeaconAttestation(*subnet);
        publish(&old, slot, kind, vote.as_ssz_bytes()).await;
    }
    let count = votes.len() as u64;
    assert!(count > 0);
    eventually("so do the votes", || ignored("beacon_attestation") >= before + count).await;
    node.chain
        .process_block(Arc::new(block), BlockSignatures::None)
        .await
        .unwrap();
    let are_counted = async {
        let mut left = count;
        while left > 0 {
            if let Accepted::SingleAttestation(_) = accepted.recv().await.unwrap() {
                left -= 1;
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), are_counted).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_passes_on_a_signed_block_is_not_blamed_for_what_its_execution_finds() {
    let mut history = History::new();
    history.blocks.pop().unwrap();
    // Without blobs.
    let block = history.blocks.pop().unwrap();
    let slot = block.slot();
    let old = Node::old(&history, |block| block).await;
    let node = Node::old(&history, |block| block).await;
    let chain = chain_before(&history, &node, slot);
    let BeaconBlock::Dvt(mut wrong) = block.message().cloned() else {
        panic!("a block of the latest fork")
    };
    wrong.state_root = Root::repeat_byte(0xbd);
    let wrong = chain.sign(&chain.state, wrong.into(), block.signers());
    let root = wrong.block_root();
    old.connect(&node).await;
    publish(&old, slot, TopicKind::BeaconBlock, wrong.as_ssz_bytes()).await;
    // Votes for it are bad ones from then on.
    let (vote, _) = votes(&chain, &history, slot, root).remove(0);
    let is_executed = async {
        let found_wrong = async || {
            let judged = node.intake.gossip().verify_attestation(vote.clone(), None).await;
            matches!(
                judged,
                Err(AttestationGossipError::Shared(SharedError::InvalidBlock(_)))
            )
        };
        while !found_wrong().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, is_executed).await.unwrap();
    let peer = old.network.identity().peer_id;
    let is_blamed = async {
        while node.network.peer(peer).await.unwrap().unwrap().score >= 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), is_blamed).await.is_err());
}
