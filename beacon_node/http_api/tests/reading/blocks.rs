//! Headers, blocks, the fork choice.

use crate::support::*;
use beacon_api::{BlockId, PayloadValidity};
use ssz::Encode as _;
use types::*;

#[tokio::test]
async fn a_block_is_found_by_each_of_its_names() {
    let mut node = Node::with_group().await;
    let genesis = node.chain.head().root;
    node.run_to(9).await;
    let early = node.chain.head().root;
    node.run_to(34).await;
    let head = node.chain.head().root;
    let root = |id| {
        let client = node.client.clone();
        async move {
            client
                .block_root(id)
                .await
                .unwrap()
                .map(|found| (found.data, found.finalized))
        }
    };
    assert_eq!(root(BlockId::Head).await, Some((head, false)));
    assert_eq!(root(BlockId::Slot(Slot::new(34))).await, Some((head, false)));
    assert_eq!(root(BlockId::Root(head)).await, Some((head, false)));
    assert_eq!(root(BlockId::Genesis).await, Some((genesis, true)));
    // Finalised long ago, and not in the fork choice any more.
    assert_eq!(root(BlockId::Slot(Slot::new(9))).await, Some((early, true)));
    assert_eq!(root(BlockId::Root(early)).await, Some((early, true)));
    let finalized = node.chain.head().finalized_checkpoint.root;
    assert_eq!(root(BlockId::Finalized).await, Some((finalized, true)));
    assert_eq!(root(BlockId::Slot(Slot::new(35))).await, None);
    assert_eq!(root(BlockId::Root(Root::repeat_byte(1))).await, None);
    for path in [
        "/eth/v1/beacon/headers/justified",
        "/eth/v2/beacon/blocks/0x00",
        "/eth/v1/beacon/headers?slot=x",
    ] {
        assert_eq!(node.get(path).await.0, 400, "{path}");
    }

    let header = node.client.header(BlockId::Root(early)).await.unwrap().unwrap().data;
    assert!(header.canonical);
    let parent = header.header.message().parent_root;
    for (slot, parent) in [
        (Some(Slot::new(9)), None),
        (None, Some(parent)),
        (Some(Slot::new(9)), Some(parent)),
    ] {
        let headers = node.client.headers(slot, parent).await.unwrap();
        assert_eq!(headers.data, std::slice::from_ref(&header));
        assert!(headers.finalized);
    }
    assert_eq!(node.client.headers(None, None).await.unwrap().data[0].root, head);
    assert!(node.client.headers(None, Some(head)).await.unwrap().data.is_empty());
}

#[tokio::test]
async fn a_block_is_the_same_in_ssz_and_json_and_blinded() {
    for fork in ForkName::ALL {
        let mut node = Node::start(fork, Default::default()).await;
        node.run_to(4).await;
        let block = node.step(&everybody).await.unwrap();
        let answer = node.client.block::<Minimal>(BlockId::Head).await.unwrap().unwrap();
        assert_eq!((answer.version, &answer.data), (fork, &block));
        let (_, json) = node.get("/eth/v2/beacon/blocks/head").await;
        assert_eq!(json["version"], "fulu", "that is what tools know");
        assert_eq!(json["execution_optimistic"], true);
        let by_json = SignedBeaconBlock::<Minimal>::from_json_by_fork(&json["data"].to_string(), fork).unwrap();
        assert_eq!(by_json.as_ssz_bytes(), block.as_ssz_bytes());
        let (_, json) = node.get("/eth/v1/beacon/blinded_blocks/head").await;
        let blinded = SignedBlindedBeaconBlock::<Minimal>::from_json_by_fork(&json["data"].to_string(), fork).unwrap();
        assert_eq!(blinded.signed_block_header(), block.signed_block_header());
        let attestations = node
            .client
            .block_attestations::<Minimal>(BlockId::Head)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(attestations.version, fork);
        assert_eq!(attestations.data.len(), block.message().body().attestations().len());
        assert!(!attestations.data.is_empty());
    }
}

#[tokio::test]
async fn a_branch_is_a_head_of_its_own() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let before = node.producer.clone();
    let block = node.step(&everybody).await.unwrap();
    // The same proposer's other block, without votes.
    let mut other = before;
    let rival = other.step(
        &everybody,
        chain_harness::BlockPlan {
            vote_slots: 0,
            ..Default::default()
        },
    );
    let rival = rival.unwrap();
    let signatures = state_transition::block::BlockSignatures::All;
    node.chain
        .process_block(std::sync::Arc::new(rival.clone()), signatures)
        .await
        .unwrap();
    let heads = node.client.heads().await.unwrap();
    let mut roots: Vec<Root> = heads.iter().map(|head| head.root).collect();
    roots.sort();
    let mut both = [block.block_root(), rival.block_root()];
    both.sort();
    assert_eq!(roots, both);
    let headers = node.client.headers(Some(Slot::new(4)), None).await.unwrap().data;
    assert_eq!(headers.len(), 2);
    assert_eq!(headers.iter().filter(|header| header.canonical).count(), 1);
    let fork_choice = node.client.fork_choice().await.unwrap();
    assert_eq!(fork_choice.fork_choice_nodes.len(), 6);
    assert!(
        fork_choice
            .fork_choice_nodes
            .iter()
            .skip(1)
            .all(|node| node.validity == PayloadValidity::Optimistic)
    );
    // A state of a branch that is not the head's is found by its root.
    let loser = if node.chain.head().root == block.block_root() {
        &rival
    } else {
        &block
    };
    let state = beacon_api::StateId::Root(loser.message().state_root());
    assert_eq!(
        node.client.state_root(state).await.unwrap().data,
        loser.message().state_root()
    );
}
