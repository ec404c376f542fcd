//! What nodes make of what their peers send and say.

use crate::world::{BESIDE, FORGED, History, NEXT_DIGEST_EPOCH, Node, eventually, forged};
use beacon_chain::Anchor;
use network::{EnrExt as _, PeerState, PeerSummary};
use router::status_message;
use state_transition::block::BlockSignatures;
use std::sync::Arc;
use std::time::Duration;
use types::*;

async fn peers_become(node: &Node, what: &str, condition: impl Fn(&[PeerSummary]) -> bool) {
    let wait = async {
        while !condition(&node.network.peers().await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_block_whose_columns_nobody_has_is_its_peers_fault_and_keeps_nobody_from_syncing() {
    let history = History::new();
    let forger = Node::old(&history, forged).await;
    let block = history
        .blocks
        .iter()
        .find(|block| block.slot() == Slot::new(FORGED))
        .unwrap();
    let storage = forger.chain.storage();
    let all: Vec<ColumnIndex> = (0..128).collect();
    storage
        .remove_data_columns(block.slot(), &block.block_root(), &all)
        .unwrap();
    let genesis = || Anchor::genesis(history.genesis.clone()).unwrap();
    let node = Node::start(&history, genesis(), 4).await;
    node.connect(&forger).await;
    let is_gone = |peers: &[PeerSummary]| {
        peers
            .iter()
            .any(|peer| peer.score < -1.0 && peer.state != PeerState::Connected)
    };
    peers_become(&node, "the forger is sent away", is_gone).await;
    assert!(node.chain.head().slot() < Slot::new(FORGED));
    let honest = Node::old(&history, |block| block).await;
    node.connect(&honest).await;
    let head = history.blocks.last().unwrap().block_root();
    eventually("the head is reached", || node.chain.head().root == head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_chain_has_parted_from_its_peers_follows_theirs_and_blames_nobody() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = Node::start(&history, Anchor::genesis(history.genesis.clone()).unwrap(), 4).await;
    let before = history.blocks.iter().filter(|block| block.slot() < Slot::new(BESIDE));
    for block in before.chain([&history.beside]) {
        let block = Arc::new(block.clone());
        node.chain.process_block(block, BlockSignatures::None).await.unwrap();
    }
    assert_eq!(node.chain.head().root, history.beside.block_root());
    node.network.set_status(status_message(&node.chain)).await.unwrap();
    node.connect(&old).await;
    let head = history.blocks.last().unwrap().block_root();
    eventually("the head is reached", || node.chain.head().root == head).await;
    let peers = node.network.peers().await.unwrap();
    assert!(
        peers
            .iter()
            .all(|peer| peer.state == PeerState::Connected && peer.score >= 0.0),
        "{peers:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_chain_stands_still_over_a_change_of_digest_become_peers() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = Node::old(&history, |block| block).await;
    let digest = node.chain.fork_digest(Epoch::new(NEXT_DIGEST_EPOCH));
    assert_ne!(digest, node.chain.fork_digest(node.chain.current_epoch()));
    // Until the digest before is of no interest any more.
    let end = Epoch::new(NEXT_DIGEST_EPOCH + 3).start_slot::<Minimal>();
    let are_there = || {
        [&node, &old].into_iter().all(|node| {
            node.clock.set_slot(node.chain.current_slot().saturating_add(1u64));
            let announced = node.network.identity().enr.eth2();
            node.chain.current_slot() > end && announced.is_some_and(|eth2| eth2.fork_digest == digest)
        })
    };
    eventually("both announce the new digest", are_there).await;
    node.connect(&old).await;
    let tells_new_digest = |peers: &[PeerSummary]| {
        let told = |peer: &PeerSummary| peer.status.as_ref().map(|status| status.fork_digest);
        let is_there = |peer: &PeerSummary| peer.state == PeerState::Connected && told(peer) == Some(digest);
        peers.iter().any(is_there)
    };
    peers_become(&node, "they are peers by the new digest", tells_new_digest).await;
}
