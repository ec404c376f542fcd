//! What a node answers to requests for columns, and what it makes of answers.

use crate::late_columns::publish_block;
use crate::world::{ALL_GROUPS, History, LENGTH, Node, Silent, columns_of, eventually};
use beacon_chain::{Anchor, ImportError};
use network::{
    DataColumnsByRangeRequest, DataColumnsByRootIdentifier, DataColumnsByRootRequest, PeerId, PeerState, Request,
    RequestError, ResponseChunk, ResponseStream,
};
use std::sync::Arc;
use std::time::Duration;
use types::*;

/// An answer of a peer that is about to be connected.
async fn asked(by: &Node, from: &Node, request: Request) -> ResponseStream {
    let peer = from.network.identity().peer_id;
    let is_connected = async {
        while !is_connected_to(by, peer).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_connected)
        .await
        .unwrap();
    by.network.request(peer, request).await.unwrap()
}

async fn is_connected_to(node: &Node, peer: PeerId) -> bool {
    let summary = node.network.peer(peer).await.unwrap();
    summary.is_some_and(|peer| peer.state == PeerState::Connected)
}

/// What a node gets from another, with the digest that it came under.
async fn columns(by: &Node, from: &Node, request: Request) -> Vec<(ForkDigest, DataColumnSidecar<Minimal>)> {
    let mut answer = asked(by, from, request).await;
    let mut columns = Vec::new();
    while let Some(chunk) = answer.next().await {
        let ResponseChunk::Object { fork_digest, ssz } = chunk.unwrap() else {
            panic!("only columns are sent")
        };
        let sidecar = DataColumnSidecar::from_ssz_bytes_by_fork(&ssz, ForkName::Dvt).unwrap();
        columns.push((fork_digest, sidecar));
    }
    columns
}

fn by_range(first: u64, count: u64, columns: &[u64]) -> Request {
    Request::DataColumnsByRange(DataColumnsByRangeRequest {
        start_slot: Slot::new(first),
        count,
        columns: columns.to_vec().try_into().unwrap(),
    })
}

fn by_root(block_root: Root, columns: &[u64]) -> Request {
    Request::DataColumnsByRoot(DataColumnsByRootRequest {
        identifiers: vec![DataColumnsByRootIdentifier {
            block_root,
            columns: columns.to_vec().try_into().unwrap(),
        }],
    })
}

async fn beginner(history: &History) -> Node {
    Node::start(history, Anchor::genesis(history.genesis.clone()).unwrap(), 4).await
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_range_come_by_slot_and_index_those_of_the_canonical_chain_alone() {
    const FROM: u64 = 28;
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    // Of a block that is not in the chain.
    let beside = Arc::new(history.beside.clone());
    let other = columns_of(&history.blocks[LENGTH as usize - 11]);
    old.intake.store_column(beside.block_root(), &other[3]);
    let node = beginner(&history).await;
    node.connect(&old).await;
    let sent = columns(&node, &old, by_range(FROM, 9, &[5, 3, 127])).await;
    let expected: Vec<(Slot, ColumnIndex, Root)> = history
        .blocks
        .iter()
        .filter(|block| (FROM..FROM + 9).contains(&block.slot().as_u64()) && !columns_of(block).is_empty())
        .flat_map(|block| [3, 5, 127].map(|index| (block.slot(), index, block.block_root())))
        .collect();
    assert_eq!(expected.len(), 9, "three blocks have blobs");
    let found: Vec<(Slot, ColumnIndex, Root)> = sent
        .iter()
        .map(|(digest, sidecar)| {
            let header = sidecar.block_header();
            assert_eq!(*digest, old.chain.fork_digest(header.slot.epoch::<Minimal>()));
            (
                header.slot,
                sidecar.index(),
                tree_hash::TreeHash::tree_hash_root(header),
            )
        })
        .collect();
    assert_eq!(found, expected);
    // Beyond the head nothing is to be had, and that is no error.
    assert_eq!(columns(&node, &old, by_range(LENGTH + 1, 64, &[3])).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_served_before_their_block_is_here() {
    let mut history = History::new();
    let last = history.blocks.pop().unwrap();
    let root = last.block_root();
    let old = Node::old(&history, |block| block).await;
    let column = &columns_of(&last)[9];
    let verified = old
        .intake
        .receive_data_column(Arc::new(column.clone()), None)
        .await
        .unwrap();
    assert_eq!(verified.block_root, root);
    let node = beginner(&history).await;
    node.connect(&old).await;
    let sent = columns(&node, &old, by_root(root, &[8, 9])).await;
    let digest = old.chain.fork_digest(last.slot().epoch::<Minimal>());
    assert_eq!(sent, [(digest, column.clone())]);
}

/// The first node waits for the columns of a block that came by gossip.
async fn wait_for_columns(node: &Node, block: &Arc<SignedBeaconBlock<Minimal>>) {
    let verified = node.intake.receive_block(Arc::clone(block)).await.unwrap();
    let error = node.intake.import(verified).await.unwrap_err();
    assert!(matches!(error, ImportError::DataUnavailable(_)), "{error}");
}

/// Time goes on until what a node thinks of a peer is that bad.
async fn score_becomes(node: &Node, peer: PeerId, most: f64) {
    let score = async || node.network.peer(peer).await.unwrap().map_or(0.0, |peer| peer.score);
    let is_blamed = async {
        while score().await > most {
            node.clock.set_ms(node.clock.now_ms() + 10);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_blamed).await.unwrap();
}

/// Node with another column in the place of one of the last block.
async fn with_wrong_column(history: &History, wrong: DataColumnSidecar<Minimal>) -> Node {
    let node = Node::old(history, |block| block).await;
    let last = history.blocks.last().unwrap();
    let (root, index) = (last.block_root(), wrong.index());
    let storage = node.chain.storage();
    storage.remove_data_columns(last.slot(), &root, &[index]).unwrap();
    storage.put_data_column(&root, &wrong).unwrap();
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_with_wrong_columns_is_blamed_and_others_are_asked() {
    let history = History::new();
    let last = Arc::new(history.blocks.last().unwrap().clone());
    let root = last.block_root();
    let mut before = History::new();
    before.blocks.pop().unwrap();
    let DataColumnSidecar::Dvt(right) = &columns_of(&last)[0] else {
        panic!("a column of the latest fork")
    };
    // A proof of something else, and a cell too many.
    let mut wrong_proof = right.clone();
    wrong_proof.kzg_proofs[0] = KzgProof::new(wrong_proof.kzg_commitments[0].0);
    let mut too_long = right.clone();
    too_long.column.push(right.column[0].clone()).unwrap();
    for wrong in [wrong_proof, too_long] {
        let liar = with_wrong_column(&history, wrong.into()).await;
        let node = Node::old(&before, |block| block).await;
        wait_for_columns(&node, &last).await;
        node.connect(&liar).await;
        score_becomes(&node, liar.network.identity().peer_id, -5.0).await;
        assert!(!node.chain.contains_block(&root));
        let honest = Node::old(&history, |block| block).await;
        node.connect(&honest).await;
        let is_imported = || {
            node.clock.set_ms(node.clock.now_ms() + 10);
            node.chain.head().root == root
        };
        eventually("the columns come from somebody else", is_imported).await;
        assert_eq!(node.columns(&last).len(), ALL_GROUPS as usize);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_to_keep_any_more_is_unavailable_and_said_so() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = beginner(&history).await;
    node.connect(&old).await;
    let mut answer = asked(&node, &old, by_range(0, 2, &[0])).await;
    let error = answer.next().await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Rejected { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_nothing_is_blamed_a_little_and_not_asked_before_others_any_more() {
    let history = History::new();
    let with_blobs: Vec<_> = history
        .blocks
        .iter()
        .filter(|block| !columns_of(block).is_empty())
        .collect();
    let last = Arc::new((**with_blobs.last().unwrap()).clone());
    let mut before = History::new();
    before.blocks.retain(|block| block.slot() < last.slot());
    let honest = Node::old(&history, |block| block).await;
    let node = Node::old(&before, |block| block).await;
    let silent = Silent::start(&node).await;
    node.connect_to(&silent.network).await;
    wait_for_columns(&node, &last).await;
    score_becomes(&node, silent.network.identity().peer_id, -0.5).await;
    let summary = node
        .network
        .peer(silent.network.identity().peer_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(summary.state, PeerState::Connected, "it may only be slow");
    let asked = silent.requests.lock().len();
    assert!(asked >= 1);
    node.connect(&honest).await;
    let is_imported = || {
        node.clock.set_ms(node.clock.now_ms() + 10);
        node.chain.contains_block(&last.block_root())
    };
    eventually("somebody else has the columns", is_imported).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_block_with_more_blobs_than_a_block_may_have_are_not_asked_for() {
    let history = History::new();
    let last = history.blocks.last().unwrap();
    let mut before = History::new();
    before.blocks.pop().unwrap();
    let forger = Node::old(&before, |block| block).await;
    let node = Node::old(&before, |block| block).await;
    let BeaconBlock::Dvt(mut bloated) = last.message().cloned() else {
        panic!("a block of the latest fork")
    };
    let limit = history
        .spec
        .get_blob_parameters(last.slot().epoch::<Minimal>())
        .max_blobs_per_block;
    let commitment = bloated.body.blob_kzg_commitments[0];
    while bloated.body.blob_kzg_commitments.len() as u64 <= limit {
        bloated.body.blob_kzg_commitments.push(commitment).unwrap();
    }
    let BeaconBlock::Dvt(mut child) = last.message().cloned() else {
        panic!("a block of the latest fork")
    };
    let sign =
        |block| SignedBeaconBlock::from_parts(block, bls::INFINITY_SIGNATURE, last.signers(), SchemeProofs::empty());
    let bloated = sign(BeaconBlock::Dvt(bloated));
    child.parent_root = bloated.block_root();
    child.slot = last.slot().saturating_add(1u64);
    let child = sign(BeaconBlock::Dvt(child));
    forger
        .chain
        .storage()
        .put_block(bloated.block_root(), &bloated)
        .unwrap();
    for node in [&node, &forger] {
        node.clock.set_slot(child.slot());
    }
    node.connect(&forger).await;
    publish_block(&forger, &child).await;
    score_becomes(&node, forger.network.identity().peer_id, -5.0).await;
    assert_eq!(node.requests("beacon_blocks_by_root"), 1);
    assert_eq!(node.requests("data_column_sidecars_by_root"), 0);
}
