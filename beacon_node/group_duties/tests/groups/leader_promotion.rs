//! Who proposes, and what of it is signed.

use crate::world::{GROUP, World, everybody};
use group_duties::ProduceError;
use intake::Accepted;
use std::time::Duration;
use tree_hash::TreeHash as _;
use types::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_leaders_block_is_signed_by_all_and_imported_by_all() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let mut events = world.subscribe(usize::from(leader));
    let mut accepted = world.nodes[usize::from(leader)].intake.subscribe();
    let signed: Vec<(Root, bool)> = world
        .members(slot, everybody())
        .await
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let root = signed[0].0;
    for (key, (signed_root, is_own)) in everybody().zip(&signed) {
        assert_eq!((*signed_root, *is_own), (root, key == leader), "key {key}");
    }
    world.all_follow(root).await;
    let event = events.recv().await.unwrap();
    assert_eq!((event.block, event.rank, event.threshold, event.size), (root, 0, 5, 7));
    assert_eq!(event.signers.len(), 5);
    let mut told = Signers::default();
    while told.num_set_bits() < 5 {
        if let Accepted::GroupSignature(header) = accepted.recv().await.unwrap() {
            assert_eq!(
                (header.message().tree_hash_root(), header.signers().num_set_bits()),
                (root, 1)
            );
            told = told.union(&header.signers());
        }
    }
    let block = world.nodes[0].chain.get_block(&root).unwrap().unwrap();
    assert_eq!(block.signers().num_set_bits(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_leader_takes_over_and_leaves_the_missing_reveal_out() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let (first, second) = (world.leader(slot, 0), world.leader(slot, 1));
    let mut events = world.subscribe(usize::from(second));
    let clients = world.members(slot, everybody().filter(|key| *key != first));
    let time = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(
            world.nodes.iter().all(|node| node.chain.head().slot() == 0u64.into()),
            "nobody proposes before its time"
        );
        world.set_into_slot(slot, 1);
    };
    let (signed, ()) = tokio::join!(clients, time);
    let root = signed[0].as_ref().unwrap().0;
    assert!(signed.iter().all(|signed| signed.as_ref().unwrap().0 == root));
    world.all_follow(root).await;
    assert_eq!(events.recv().await.unwrap().rank, 1);
    let block = world.nodes[0].chain.get_block(&root).unwrap().unwrap();
    assert_eq!(*block.message().body().randao_reveal(), bls::INFINITY_SIGNATURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_pays_somebody_else_is_not_signed_and_does_not_hold_the_next_leader_back() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let first = world.leader(slot, 0);
    let thief = ExecutionAddress::repeat_byte(0xbb);
    world.nodes[usize::from(first)]
        .layer
        .prepare_proposers(Epoch::new(0), [(ValidatorIndex::new(GROUP), thief)]);
    let mut events = world.subscribe(usize::from(world.leader(slot, 1)));
    let clients = world.members(slot, everybody());
    let time = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.set_into_slot(slot, 1);
    };
    let (signed, ()) = tokio::join!(clients, time);
    let stolen = signed[usize::from(first)].as_ref().unwrap().0;
    let event = events.recv().await.unwrap();
    assert_eq!(event.rank, 1);
    assert_ne!(event.block, stolen);
    assert!(!event.signers.contains(&u64::from(first)));
    // The thief has not heard the other proposal: it gets the complete block, once a member's turn to publish it comes.
    world.set_into_slot(slot, 2);
    world.all_follow(event.block).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_below_the_threshold_is_no_block() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let four: Vec<u8> = std::iter::once(leader)
        .chain(everybody().filter(|key| *key != leader))
        .take(4)
        .collect();
    let signed = world.members(slot, four.iter().copied()).await;
    let root = signed[0].as_ref().unwrap().0;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(world.nodes.iter().all(|node| !node.chain.contains_block(&root)));
    // The fifth asks late, finds the proposal, and completes it.
    let fifth = everybody().find(|key| !four.contains(key)).unwrap();
    world.set_into_slot(slot, 2);
    let late = world.members(slot, [fifth]).await;
    assert_eq!(late[0].as_ref().unwrap().0, root);
    world.all_follow(root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_proposal_the_request_ends_at_the_cutoff_of_the_network() {
    let world = World::with(|spec| spec.leader_cutoff_bps = 5_000).await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leaders: Vec<u8> = (0..3).map(|rank| world.leader(slot, rank)).collect();
    let member = everybody().find(|key| !leaders.contains(key)).unwrap();
    let client = async {
        let outcome = world.members(slot, [member]).await;
        (outcome, world.clock.now_ms())
    };
    let time = async {
        for twelfths in [3, 6] {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.set_into_slot(slot, twelfths);
        }
    };
    let ((outcome, end), ()) = tokio::join!(client, time);
    let cutoff = world.clock.slot_start_ms(slot) + world.spec.slot_duration_ms / 2;
    assert_eq!(end, cutoff + 1);
    assert!(
        matches!(outcome[0], Err(ProduceError::NoProposal { .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_execution_client_cannot_judge_signs_nothing() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let blind = everybody().find(|key| *key != leader).unwrap();
    world.nodes[usize::from(blind)]
        .mock
        .set_faults(|faults| faults.syncing = true);
    let clients = world.members(slot, everybody());
    let time = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.set_into_slot(slot, 3);
    };
    let (signed, ()) = tokio::join!(clients, time);
    for (key, signed) in everybody().zip(&signed) {
        assert_eq!(signed.is_ok(), key != blind, "key {key}: {signed:?}");
    }
    let root = signed[usize::from(leader)].as_ref().unwrap().0;
    world.all_follow(root).await;
    assert!(world.nodes[usize::from(blind)].chain.head().execution_optimistic);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_nobody_is_told_so() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let stranger = SignerIndex::from(ValidatorIndex::new(3));
    let outcome = world.client(0, slot, stranger).await;
    assert!(matches!(outcome, Err(ProduceError::NotAMember { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_solo_proposers_block_leaves_by_the_same_door() {
    let world = World::new().await;
    let (slot, proposer) = world.slot_of(false);
    world.clock.set_slot(slot);
    let (root, is_own) = world.client(2, slot, SignerIndex::from(proposer)).await.unwrap();
    assert!(is_own);
    world.all_follow(root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_client_hung_up_while_its_block_was_built_may_ask_again() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let mock = &world.nodes[usize::from(leader)].mock;
    let ask = || world.client(usize::from(leader), slot, world.signer(leader));
    mock.set_faults(|faults| faults.delay = Duration::from_secs(2));
    let hung_up = tokio::time::timeout(Duration::from_millis(500), ask()).await;
    assert!(hung_up.is_err(), "the block is still being built");
    mock.set_faults(|faults| faults.delay = Duration::ZERO);
    let answer = tokio::time::timeout(Duration::from_secs(10), ask()).await;
    let (_, is_own) = answer.expect("it is built now").unwrap();
    assert!(is_own);
}
