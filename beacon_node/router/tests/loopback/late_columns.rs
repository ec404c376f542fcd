//! Columns that nobody has all of.

use crate::world::{ALL_GROUPS, History, LENGTH, Node, columns_of, eventually};
use beacon_chain::{Anchor, ImportError};
use network::{ColumnFaults, GossipTopic, TopicKind};
use router::status_message;
use ssz::Encode as _;
use state_transition::block::BlockSignatures;
use std::sync::Arc;
use std::time::Duration;
use storage::ColumnsKept;
use types::*;

/// Less than half of all: only with those of another node can the rest be recovered.
const FIRST: std::ops::Range<u64> = 0..60;
const SECOND: std::ops::Range<u64> = 60..120;

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_wait_for_different_columns_of_a_block_help_each_other() {
    let mut history = History::new();
    let last = Arc::new(history.blocks.pop().unwrap());
    let root = last.block_root();
    let columns = columns_of(&last);
    assert_eq!(columns.len(), 128);
    let mut nodes = Vec::new();
    for part in [FIRST, SECOND] {
        let node = Node::old(&history, |block| block).await;
        for index in part {
            node.intake.store_column(root, &columns[index as usize]);
        }
        let verified = node.intake.receive_block(Arc::clone(&last)).await.unwrap();
        let error = node.intake.import(verified).await.unwrap_err();
        assert!(matches!(error, ImportError::DataUnavailable(_)), "{error}");
        nodes.push(node);
    }
    nodes[0].connect(&nodes[1]).await;
    let is_imported = || {
        // Waiting blocks are looked at by the clock.
        for node in &nodes {
            node.clock.set_ms(node.clock.now_ms() + 10);
        }
        nodes.iter().all(|node| node.chain.head().root == root)
    };
    eventually("both have imported the block", is_imported).await;
    for node in &nodes {
        assert_eq!(node.columns(&last).len(), 128);
    }
}

pub(crate) async fn publish_block(node: &Node, block: &SignedBeaconBlock<Minimal>) {
    let digest = node.chain.fork_digest(block.slot().epoch::<Minimal>());
    let topic = GossipTopic::new(digest, TopicKind::BeaconBlock);
    let is_out = async {
        while node.network.publish(topic, block.as_ssz_bytes()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_out).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn descendants_of_a_block_whose_columns_come_late_are_imported_after_it() {
    /// Of a block with a blob.
    const PARENT: u64 = 39;
    let mut history = History::new();
    let mut late = history.blocks.split_off(
        history
            .blocks
            .iter()
            .position(|block| block.slot() == Slot::new(PARENT))
            .unwrap(),
    );
    late.truncate(3);
    let [parent, child, grandchild] = &late[..] else {
        panic!("the chain is longer")
    };
    let old = Node::old(&history, |block| block).await;
    let node = Node::old(&history, |block| block).await;
    let withheld = ColumnFaults {
        withheld: (0..128).collect(),
        ..ColumnFaults::default()
    };
    old.network.set_column_faults(withheld).await.unwrap();
    node.connect(&old).await;
    for block in &late {
        for column in columns_of(block) {
            old.intake.store_column(block.block_root(), &column);
        }
        let block = Arc::new(block.clone());
        old.chain.process_block(block, BlockSignatures::None).await.unwrap();
    }
    publish_block(&old, parent).await;
    eventually("the parent waits", || node.intake.is_waiting(&parent.block_root())).await;
    publish_block(&old, child).await;
    // For the parent once more, which its child has asked for.
    let is_tried = || node.requests("beacon_blocks_by_root") >= 1 && node.requests("data_column_sidecars_by_root") >= 2;
    eventually("their import is tried", is_tried).await;
    // It waits behind them.
    publish_block(&old, grandchild).await;
    let is_found = || node.requests("beacon_blocks_by_root") >= 3;
    eventually("all ancestors of the grandchild are asked for", is_found).await;
    old.network.set_column_faults(ColumnFaults::default()).await.unwrap();
    let is_imported = || {
        node.clock.set_ms(node.clock.now_ms() + 10);
        node.chain.head().root == grandchild.block_root()
    };
    eventually("all are imported", is_imported).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_whose_custody_grows_at_the_same_time_fill_up_from_what_they_had_before() {
    let history = History::new();
    let mut nodes = Vec::new();
    for part in [FIRST, SECOND] {
        let node = Node::old(&history, |block| block).await;
        let storage = node.chain.storage();
        for block in history.with_kept_columns() {
            let root = block.block_root();
            let all: Vec<ColumnIndex> = (0..ALL_GROUPS).collect();
            storage.remove_data_columns(block.slot(), &root, &all).unwrap();
            let columns = columns_of(block);
            for index in part.clone() {
                node.intake.store_column(root, &columns[index as usize]);
            }
        }
        let kept = ColumnsKept {
            group_count: ALL_GROUPS,
            from: Slot::new(LENGTH + 1),
        };
        storage.put_columns_kept(kept).unwrap();
        node.network.set_status(status_message(&node.chain)).await.unwrap();
        nodes.push(node);
    }
    nodes[0].connect(&nodes[1]).await;
    for node in &nodes {
        let kept_from = node.chain.columns_served_from();
        eventually("the columns are complete", || node.columns_from() <= kept_from).await;
        for block in history.with_kept_columns() {
            assert_eq!(node.columns(block).len(), 128, "slot {}", block.slot());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_finality_has_passed_over_wait_no_more() {
    /// Of a block with a blob.
    const WAITS: u64 = 18;
    let history = History::new();
    let node = Node::start(&history, Anchor::genesis(history.genesis.clone()).unwrap(), ALL_GROUPS).await;
    let mut roots = Vec::new();
    for block in &history.blocks {
        let block = Arc::new(block.clone());
        if [WAITS, LENGTH].contains(&block.slot().as_u64()) {
            let verified = node.intake.receive_block(Arc::clone(&block)).await.unwrap();
            roots.push(verified.root);
            node.intake.import(verified).await.unwrap_err();
        }
        // As if its columns were here.
        node.chain.process_block(block, BlockSignatures::None).await.unwrap();
    }
    let waiting = || {
        roots
            .iter()
            .map(|root| node.intake.is_waiting(root))
            .collect::<Vec<_>>()
    };
    assert_eq!(waiting(), [true, true]);
    assert!(node.chain.head().finalized_checkpoint.epoch.start_slot::<Minimal>() >= Slot::new(WAITS));
    node.intake.prune_waiting();
    assert_eq!(waiting(), [false, true]);
}
