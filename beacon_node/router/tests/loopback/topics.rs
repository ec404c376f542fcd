//! Messages and the topics that they belong on.

use crate::world::{History, NEXT_DIGEST_EPOCH, Node, columns_of, eventually};
use network::{GossipTopic, TopicKind};
use ssz::Encode as _;
use std::time::Duration;
use types::*;

async fn publish(node: &Node, epoch: Epoch, kind: TopicKind, data: Vec<u8>) {
    let topic = GossipTopic::new(node.chain.fork_digest(epoch), kind);
    let is_out = async {
        while node.network.publish(topic, data.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_out).await.unwrap();
}

async fn score(of: &Node, by: &Node) -> f64 {
    let peer = by.network.peer(of.network.identity().peer_id).await.unwrap();
    peer.map_or(0.0, |peer| peer.gossip_score)
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_blocks_on_the_topics_of_other_blob_parameters_are_rejected_and_keep_the_right_ones_from_nobody() {
    let mut history = History::new();
    let last = history.blocks.pop().unwrap();
    let (root, epoch) = (last.block_root(), last.slot().epoch::<Minimal>());
    // Both are followed around the change.
    let next = Epoch::new(NEXT_DIGEST_EPOCH);
    let (old, node) = (
        Node::old(&history, |block| block).await,
        Node::old(&history, |block| block).await,
    );
    assert_ne!(old.chain.fork_digest(epoch), old.chain.fork_digest(next));
    old.connect(&node).await;
    let column = &columns_of(&last)[7];
    let kind = TopicKind::DataColumnSidecar(7);
    publish(&old, next, kind, column.as_ssz_bytes()).await;
    let is_rejected = async {
        while score(&old, &node).await >= 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_rejected)
        .await
        .unwrap();
    assert!(node.columns(&last).is_empty());
    let before = score(&old, &node).await;
    publish(&old, next, TopicKind::BeaconBlock, last.as_ssz_bytes()).await;
    let is_rejected = async {
        while score(&old, &node).await >= before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_rejected)
        .await
        .unwrap();
    publish(&old, epoch, kind, column.as_ssz_bytes()).await;
    eventually("the column is taken from its own topic", || {
        node.columns(&last).contains(&7)
    })
    .await;
    publish(&old, epoch, TopicKind::BeaconBlock, last.as_ssz_bytes()).await;
    eventually("so is the block", || node.intake.is_waiting(&root)).await;
}
