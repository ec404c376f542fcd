//! What a node tells of a genesis that its own chain does not reach.

use crate::support::{Node, everybody};
use beacon_api::{BlockId, StateId};
use beacon_chain::Anchor;
use chain_harness::BlockPlan;
use http_api::ApiSettings;
use router::SyncPolicy;
use types::Slot;

#[tokio::test]
async fn a_node_that_began_with_a_checkpoint_tells_of_its_genesis_where_it_is_at_hand() {
    let mut producer = Node::with_group().await.producer;
    let mut genesis = Anchor::genesis(producer.state.clone()).unwrap();
    for _ in 0..3 {
        producer.step(&everybody, BlockPlan::default()).unwrap();
    }
    let checkpoint = Anchor {
        block: producer.step(&everybody, BlockPlan::default()).unwrap(),
        state: producer.state.clone(),
    };
    let (settings, policy) = (ApiSettings::default(), SyncPolicy::default());
    let node = Node::begin_with(producer, checkpoint, settings, policy, None).await;
    for path in [
        "/eth/v1/beacon/headers/genesis",
        "/eth/v1/beacon/states/genesis/root",
        "/eth/v1/beacon/blocks/genesis/root",
    ] {
        let (status, body) = node.get(path).await;
        assert_eq!(status, 404, "{path}");
        let message = body["message"].as_str().unwrap();
        assert!(
            message.contains("began with a checkpoint") && message.contains("genesis.ssz"),
            "{path}: {message}"
        );
    }

    let root = genesis.block_root();
    node.chain
        .storage()
        .put_genesis(root, &genesis.block, &genesis.state)
        .unwrap();
    for id in [BlockId::Genesis, BlockId::Slot(Slot::new(0)), BlockId::Root(root)] {
        let header = node.client.header(id).await.unwrap().unwrap();
        assert_eq!((header.data.root, header.data.canonical), (root, true), "{id}");
        assert!(header.finalized, "{id}");
    }
    let state_root = genesis.state.canonical_root().unwrap();
    for id in [StateId::Genesis, StateId::Slot(Slot::new(0))] {
        let found = node.client.state_root(id).await.unwrap();
        assert_eq!(found.data, state_root, "{id}");
    }
    // What lies between is not taken for empty slots after the genesis.
    for path in ["/eth/v1/beacon/states/2/root", "/eth/v1/beacon/headers/2"] {
        assert_eq!(node.get(path).await.0, 404, "{path}");
    }
}
