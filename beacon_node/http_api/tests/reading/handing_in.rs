//! What clients hand in: signed blocks, signs of life, and bodies that nobody can read.

use crate::duties::vote;
use crate::support::{GROUP, KEYS, Node, VALIDATORS, everybody, key_of_group};
use beacon_api::{
    ApiError, BroadcastValidation, CommitteeSubscription, ProposerPreparation, Published, SignedBlockContents,
};
use chain_harness::BlockPlan;
use std::time::Duration;
use types::*;

/// The next block by a solo validator, of the clock's slot.
async fn next_solo_block(node: &mut Node) -> SignedBeaconBlock<Minimal> {
    loop {
        let block = node.producer.build(&everybody, BlockPlan::default()).unwrap();
        if block.message().proposer_index() != ValidatorIndex::new(GROUP) {
            node.set_slot(block.slot().as_u64());
            return block;
        }
        node.step(&everybody).await;
    }
}

async fn publish(node: &Node, block: SignedBeaconBlock<Minimal>) -> Result<Published, ApiError> {
    let contents = SignedBlockContents::from(block);
    node.client.publish_block(&contents, BroadcastValidation::Gossip).await
}

#[tokio::test]
async fn a_signed_block_becomes_the_head_and_may_be_handed_in_twice() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let block = next_solo_block(&mut node).await;
    assert_eq!(publish(&node, block.clone()).await.unwrap(), Published::Imported);
    assert_eq!(node.chain.head().root, block.block_root());
    // By another client of the same key, in JSON.
    let body = serde_json::to_vec(&SignedBlockContents::from(block)).unwrap();
    assert_eq!(node.post("/eth/v2/beacon/blocks", body).await.0, 200);
}

#[tokio::test]
async fn a_block_that_its_proposer_did_not_sign_is_refused() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let SignedBeaconBlock::Dvt(mut block) = next_solo_block(&mut node).await else {
        unreachable!("the chain is of the latest fork")
    };
    let head = node.chain.head().root;
    block.message.body.graffiti = Hash32::repeat_byte(9);
    let error = publish(&node, block.into()).await.unwrap_err();
    assert_eq!(error.status(), Some(400), "{error}");
    assert_eq!(node.chain.head().root, head);
}

#[tokio::test]
async fn a_block_of_a_slot_that_has_not_come_costs_no_work() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let SignedBeaconBlock::Dvt(mut block) = next_solo_block(&mut node).await else {
        unreachable!("the chain is of the latest fork")
    };
    // To compute a state of this slot would take years.
    block.message.slot = Slot::new(1 << 40);
    let answer = tokio::time::timeout(Duration::from_secs(30), publish(&node, block.into())).await;
    let error = answer.unwrap().unwrap_err();
    assert_eq!(error.status(), Some(400), "{error}");
}

#[tokio::test]
async fn a_signer_is_alive_by_its_vote_wherever_that_is() {
    let mut node = Node::with_group().await;
    node.run_to(11).await;
    let everyone: Vec<SignerIndex> = (1..VALIDATORS)
        .map(|index| SignerIndex::from(ValidatorIndex::new(index)))
        .chain((0..KEYS as u8).map(key_of_group))
        .collect();
    let (epoch, slot) = (Epoch::new(1), node.chain.head().slot());
    let duties = node.client.attester_duties(epoch, &everyone).await.unwrap().data;
    // No block has the votes of its own slot.
    let late = duties.iter().find(|duty| duty.slot == slot).unwrap();
    let missing = duties.iter().find(|duty| duty.slot > slot).unwrap();
    let early = duties.iter().filter(|duty| duty.slot < slot);
    let is_live = async |epoch: Epoch, signer: SignerIndex| {
        let answer = node.client.liveness(epoch, &[signer]).await.unwrap();
        assert_eq!(answer[0].index, signer);
        answer[0].is_live
    };
    for duty in early {
        assert!(is_live(epoch, duty.validator_index).await, "in a block");
    }
    assert!(!is_live(epoch, late.validator_index).await, "not seen yet");
    let late_vote = vote(&node, late.validator_index, late.committee_index, late.pubkey);
    node.client.submit_attestations(&[late_vote]).await.unwrap();
    assert!(is_live(epoch, late.validator_index).await, "seen, in no block");
    // The clock goes on, the head does not.
    node.set_slot(16);
    assert!(is_live(epoch, late.validator_index).await);
    assert!(!is_live(epoch, missing.validator_index).await);
    assert!(!is_live(Epoch::new(2), late.validator_index).await);
    let status = |error: ApiError| error.status();
    for wrong in [Epoch::new(0), Epoch::new(3)] {
        let answer = node.client.liveness(wrong, &everyone).await;
        assert_eq!(answer.map_err(status).unwrap_err(), Some(400));
    }
}

#[tokio::test]
async fn what_clients_prepare_and_subscribe_for_is_attached_and_needs_custody() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let needed = || {
        let (state, spec) = (&node.chain.head().state, node.chain.spec());
        node.intake.attached().custody_requirement(state, Epoch::new(0), spec)
    };
    assert_eq!(needed(), None);
    let preparation = ProposerPreparation {
        validator_index: key_of_group(2),
        fee_recipient: ExecutionAddress::ZERO,
    };
    node.client.prepare_proposers(&[preparation]).await.unwrap();
    // A seventh of 2048 ETH.
    assert_eq!(needed(), Some(9));
    let subscription = CommitteeSubscription {
        validator_index: SignerIndex::new(1),
        committee_index: 0,
        committees_at_slot: 1,
        slot: Slot::new(5),
        is_aggregator: false,
    };
    node.client.subscribe_committees(&[subscription]).await.unwrap();
    assert_eq!(needed(), Some(17), "and 256 ETH");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_its_first_wrong_item() {
    let mut node = Node::with_group().await;
    node.run_to(11).await;
    let indices: Vec<SignerIndex> = (1..VALIDATORS).map(SignerIndex::new).collect();
    let duties = node.client.attester_duties(Epoch::new(1), &indices).await.unwrap().data;
    let duty = duties
        .iter()
        .find(|duty| duty.slot == node.chain.head().slot())
        .unwrap();
    let good = vote(&node, duty.validator_index, duty.committee_index, duty.pubkey);
    let mut bad = serde_json::to_value(&good).unwrap();
    bad["data"]["slot"] = "soon".into();
    let body = serde_json::json!([good, bad]).to_string();
    let (status, answer) = node.post("/eth/v2/beacon/pool/attestations", body).await;
    assert_eq!((status, &answer["code"]), (400, &serde_json::json!(400)));
    assert!(answer["message"].as_str().unwrap().contains("item 1"), "{answer}");
    let failures = answer["failures"].as_array().unwrap();
    assert_eq!((failures.len(), &failures[0]["index"]), (1, &serde_json::json!(1)));
    assert!(failures[0]["message"].is_string());
    let (status, answer) = node.post("/eth/v1/beacon/pool/sync_committees", "[").await;
    assert_eq!((status, &answer["failures"]), (400, &serde_json::json!([])));
    for path in [
        "/eth/v1/validator/duties/attester/1",
        "/eth/v1/beacon/pool/sync_committees",
        "/eth/v1/beacon/pool/voluntary_exits",
        "/eth/v1/validator/prepare_beacon_proposer",
        "/eth/v2/validator/aggregate_and_proofs",
        "/eth/v2/beacon/blocks",
    ] {
        assert_eq!(node.post(path, "{\"not\": \"this\"}").await.0, 400, "{path}");
    }
}
