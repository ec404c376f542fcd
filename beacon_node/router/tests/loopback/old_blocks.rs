//! Nodes that begin where others have been for long: blocks and columns that came before them.

use crate::world::{ALL_GROUPS, CHECKPOINT, FORGED, History, LENGTH, Node, eventually, forged};
use beacon_chain::Anchor;
use intake::Custody;
use network::{DataColumnsByRangeRequest, Request, RequestError, ResponseCode};
use router::status_message;
use std::collections::BTreeSet;
use std::time::Duration;
use storage::ColumnsKept;
use types::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_begins_at_a_checkpoint_gets_what_came_before_with_the_columns_that_have_to_be_kept() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = Node::start(&history, history.checkpoint.clone(), 4).await;
    assert_eq!(
        status_message(&node.chain).earliest_available_slot,
        Some(Slot::new(CHECKPOINT + 1))
    );
    node.connect(&old).await;
    let head = history.blocks.last().unwrap().block_root();
    eventually("the head is reached", || node.chain.head().root == head).await;
    eventually("the genesis is reached", || node.oldest() == Slot::new(0)).await;
    for block in &history.blocks {
        let stored = node.chain.get_block(&block.block_root()).unwrap().unwrap();
        assert_eq!(*stored, *block);
        assert_eq!(
            node.chain.canonical_root_at(block.slot()).unwrap(),
            Some(block.block_root())
        );
    }
    let kept_from = node.chain.columns_served_from();
    eventually("the columns are complete", || node.columns_from() <= kept_from).await;
    let custody = node.intake.custody().columns;
    assert_eq!(custody.len(), 8, "as many as are sampled");
    for block in &history.blocks {
        let has_blobs = !block.message().body().blob_kzg_commitments().is_empty();
        let expected = match has_blobs && block.slot() >= kept_from {
            true => custody.clone(),
            false => BTreeSet::new(),
        };
        assert_eq!(node.columns(block), expected, "slot {}", block.slot());
    }
    let before = history
        .with_kept_columns()
        .iter()
        .filter(|block| block.slot().as_u64() < CHECKPOINT)
        .count();
    assert!(before > 0, "or nothing was tried");
    assert_eq!(status_message(&node.chain).earliest_available_slot, Some(Slot::new(0)));
    // Columns that nobody has to keep are not to be had, and that is said.
    let request = Request::DataColumnsByRange(DataColumnsByRangeRequest {
        start_slot: Slot::new(0),
        count: kept_from.as_u64(),
        columns: vec![0].try_into().unwrap(),
    });
    let mut answer = node
        .network
        .request(old.network.identity().peer_id, request)
        .await
        .unwrap();
    assert!(matches!(
        answer.next().await.unwrap().unwrap_err(),
        RequestError::Rejected {
            code: ResponseCode::ResourceUnavailable,
            ..
        }
    ));
    // A state from before the checkpoint cannot be had without one to begin with.
    let early = history.blocks.first().unwrap().block_root();
    assert_eq!(node.chain.state_after_block(&early).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_old_blocks_follow_when_custody_grows() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = Node::start(&history, history.checkpoint.clone(), 4).await;
    node.connect(&old).await;
    let kept_from = node.chain.columns_served_from();
    eventually("the columns are complete", || node.columns_from() <= kept_from).await;
    let all = Custody::of_node::<Minimal>(node.network.node_id(), ALL_GROUPS, node.chain.spec()).unwrap();
    let now = Slot::new(LENGTH);
    node.intake.raise_custody(now, all);
    let kept = ColumnsKept {
        group_count: ALL_GROUPS,
        from: now,
    };
    node.chain.storage().put_columns_kept(kept).unwrap();
    eventually("all columns are complete", || node.columns_from() <= kept_from).await;
    for block in history
        .with_kept_columns()
        .into_iter()
        .filter(|block| block.slot() < now)
    {
        assert_eq!(node.columns(block).len(), 128, "slot {}", block.slot());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_block_whose_signature_is_forged_is_not_kept() {
    let history = History::new();
    let forger = Node::old(&history, forged).await;
    let node = Node::start(&history, history.checkpoint.clone(), 4).await;
    node.connect(&forger).await;
    let root = history
        .blocks
        .iter()
        .find(|block| block.slot() == Slot::new(FORGED))
        .unwrap()
        .block_root();
    let wait = async {
        loop {
            let peers = node.network.peers().await.unwrap();
            if peers.iter().any(|peer| peer.score < -1.0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    assert!(node.oldest() > Slot::new(FORGED));
    assert_eq!(node.chain.get_block(&root).unwrap(), None);
    let honest = Node::old(&history, |block| block).await;
    node.connect(&honest).await;
    eventually("the genesis is reached", || node.oldest() == Slot::new(0)).await;
    let kept = node.chain.get_block(&root).unwrap().unwrap();
    assert_eq!(
        Some(&*kept),
        history.blocks.iter().find(|block| block.slot() == Slot::new(FORGED))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_begins_at_genesis_gets_the_columns_with_the_blocks() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let genesis = Anchor::genesis(history.genesis.clone()).unwrap();
    let node = Node::start(&history, genesis, 4).await;
    node.connect(&old).await;
    let head = history.blocks.last().unwrap().block_root();
    eventually("the head is reached", || node.chain.head().root == head).await;
    let custody = node.intake.custody().columns;
    for block in history.with_kept_columns() {
        assert_eq!(node.columns(block), custody, "slot {}", block.slot());
    }
}
