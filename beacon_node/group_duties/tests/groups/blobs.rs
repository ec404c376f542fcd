//! Blocks with blobs: their columns go out with them, whoever proposes.

use crate::world::{World, everybody};
use beacon_api::{BroadcastValidation, Published, SignedBlockContents, SignedProducedBlock};
use data_columns::get_data_column_sidecars_from_block;
use gossip_validation::{DataColumnGossipError, Verdict};
use intake::Outgoing;
use mock_execution::PooledBlob;
use state_transition::block::header::block_signing_root;
use std::collections::BTreeSet;
use std::time::Duration;
use tree_hash::TreeHash as _;
use types::*;

const COLUMNS: u64 = 128;
/// Keeps all columns.
const SUPERNODE: usize = 6;
/// Is cut off from columns, in some tests.
const CUT_OFF: usize = 5;

/// Blobs in which all field elements are the same number `k`: the commitment is `k` times the generator, like the public
/// key of the secret key `k`, and every proof is the point at infinity.
fn blobs() -> Vec<PooledBlob> {
    [1u8, 2, 3]
        .map(|number| {
            let mut element = [0; 32];
            element[31] = number;
            let commitment = bls::SecretKey::from_bytes(&element).unwrap().public_key().to_bytes();
            let mut infinity = [0; 48];
            infinity[0] = 0xc0;
            PooledBlob {
                blob: element.repeat(4096).into(),
                commitment: commitment.0.into(),
                cell_proofs: vec![infinity.into(); 128],
            }
        })
        .into()
}

/// Each node keeps four columns, and one all.
fn custody(node: usize) -> BTreeSet<ColumnIndex> {
    match node {
        SUPERNODE => (0..COLUMNS).collect(),
        _ => (0..4).map(|place| place * 32 + node as u64).collect(),
    }
}

async fn world(reaches: fn(usize, ColumnIndex) -> bool) -> World {
    World::with_columns(|_| {}, custody, reaches).await
}

fn kept(world: &World, node: usize, root: &Root) -> BTreeSet<ColumnIndex> {
    let indices = world.nodes[node].chain.storage().data_column_indices(root).unwrap();
    indices.into_iter().collect()
}

/// A slot of the group in which all members take part. Gives the root of its block.
async fn groups_block(world: &World, slot: Slot) -> Root {
    world.clock.set_slot(slot);
    let leader = usize::from(world.leader(slot, 0));
    world.nodes[leader].mock.set_blobs(blobs());
    let signed = world.members(slot, everybody()).await;
    let (root, _) = *signed[leader].as_ref().unwrap();
    assert!(signed.iter().all(|signed| signed.as_ref().unwrap().0 == root));
    root
}

/// A block with blobs of a solo validator attached to the first node, not handed in yet, and its root.
async fn solo_block(world: &World) -> (Box<SignedBlockContents<Minimal>>, Root) {
    let (slot, proposer) = world.slot_of(false);
    world.clock.set_slot(slot);
    world.nodes[0].mock.set_blobs(blobs());
    let signer = SignerIndex::new(proposer.as_u64());
    let (signed, root) = world.signed_block(0, slot, signer).await.unwrap();
    match signed {
        SignedProducedBlock::Full(contents) => (contents, root),
        SignedProducedBlock::Blinded(_) => panic!("a solo proposer's block"),
    }
}

/// Until all but the supernode follow, and it has that many columns and the block. Time stands still: under their leader's
/// header, columns pass in their slot only.
async fn columns_come(world: &World, root: Root, count: usize) {
    let others = &world.nodes[..SUPERNODE];
    let all_came = async {
        while others.iter().any(|node| node.chain.head().root != root)
            || !world.nodes[SUPERNODE].intake.is_waiting(&root)
            || kept(world, SUPERNODE, &root).len() < count
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_came).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_go_out_with_the_proposal_to_a_group_and_every_node_keeps_its_own() {
    let world = world(|_, _| true).await;
    let (slot, _) = world.slot_of(true);
    let root = groups_block(&world, slot).await;
    world.all_follow(root).await;
    for node in 0..world.nodes.len() {
        assert_eq!(kept(&world, node, &root), custody(node), "node {node}");
    }
    let block = world.nodes[0].chain.get_block(&root).unwrap().unwrap();
    assert_eq!(block.message().body().blob_kzg_commitments().len(), 3);
    // The header of the columns is signed by the leader alone.
    let storage = world.nodes[0].chain.storage();
    let column = storage.get_data_column(&root, 0).unwrap();
    if world.leader(slot, 0) != 0 {
        assert_eq!(column.unwrap().signed_block_header().signers().num_set_bits(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_go_out_with_the_block_of_a_solo_validator() {
    let world = world(|_, _| true).await;
    let (slot, proposer) = world.slot_of(false);
    world.clock.set_slot(slot);
    world.nodes[0].mock.set_blobs(blobs());
    let (root, is_own) = world
        .client(0, slot, SignerIndex::new(proposer.as_u64()))
        .await
        .unwrap();
    assert!(is_own);
    world.all_follow(root).await;
    for node in 0..world.nodes.len() {
        assert_eq!(kept(&world, node, &root), custody(node), "node {node}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_client_that_gives_no_cell_proofs_is_no_hindrance() {
    let world = world(|_, _| true).await;
    let (slot, proposer) = world.slot_of(false);
    world.clock.set_slot(slot);
    let mock = &world.nodes[0].mock;
    mock.set_faults(|faults| faults.missing_methods = ["engine_getPayloadV5".to_owned()].into());
    mock.set_blobs(blobs());
    let (root, _) = world
        .client(0, slot, SignerIndex::new(proposer.as_u64()))
        .await
        .unwrap();
    world.all_follow(root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_the_execution_client_has_need_no_network() {
    let world = world(|node, _| node != CUT_OFF).await;
    world.nodes[CUT_OFF].mock.pool_blobs(blobs());
    let (slot, _) = world.slot_of(true);
    let root = groups_block(&world, slot).await;
    world.all_follow(root).await;
    assert_eq!(kept(&world, CUT_OFF, &root), custody(CUT_OFF));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_enough_to_make_the_others_of_blobs_that_the_execution_client_has() {
    let world = world(|node, _| node != CUT_OFF).await;
    let node = &world.nodes[CUT_OFF];
    node.mock.pool_blobs(blobs());
    let (contents, root) = solo_block(&world).await;
    let (block, blobs, proofs) = (&contents.signed_block, &contents.blobs, &contents.kzg_proofs);
    let columns = get_data_column_sidecars_from_block(block, blobs, proofs).unwrap();
    let not_kept = columns.into_iter().next().unwrap();
    assert!(!custody(CUT_OFF).contains(&not_kept.index()));
    let verified = node.intake.receive_data_column(not_kept.into(), None).await.unwrap();
    assert_eq!(kept(&world, CUT_OFF, &root), BTreeSet::new());
    node.intake.make_columns_ahead(&verified).await;
    assert_eq!(kept(&world, CUT_OFF, &root), custody(CUT_OFF));
    // Its block is imported as soon as it comes.
    let received = node.intake.receive_block(block.clone().into()).await.unwrap();
    assert_eq!(node.intake.import(received).await.unwrap(), root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supernode_recovers_what_does_not_come_and_gives_it_to_those_who_lack_it() {
    // Half of the columns reach nobody, unless the supernode makes them.
    fn reaches(node: usize, column: ColumnIndex) -> bool {
        node != SUPERNODE || column.is_multiple_of(2)
    }
    let world = world(reaches).await;
    let (slot, _) = world.slot_of(true);
    let root = groups_block(&world, slot).await;
    columns_come(&world, root, 64).await;
    world.all_follow_in_time(root).await;
    assert_eq!(kept(&world, SUPERNODE, &root), custody(SUPERNODE));
    let storage = world.nodes[SUPERNODE].chain.storage();
    let sent = storage.get_data_column(&root, 2).unwrap().unwrap();
    let recovered = storage.get_data_column(&root, 3).unwrap().unwrap();
    data_columns::verify_data_column_sidecar_kzg_proofs(&recovered).unwrap();
    let block = world.nodes[0].chain.get_block(&root).unwrap().unwrap();
    let header = block.signed_block_header();
    assert_eq!(
        recovered.signed_block_header().signers(),
        header.signers(),
        "of the complete block"
    );
    assert_eq!(recovered.kzg_commitments(), sent.kzg_commitments());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_columns_less_one_are_not_enough_and_the_parent_stays_head() {
    fn reaches(node: usize, column: ColumnIndex) -> bool {
        node != SUPERNODE || (column.is_multiple_of(2) && column != 64)
    }
    let world = world(reaches).await;
    let (slot, _) = world.slot_of(true);
    let root = groups_block(&world, slot).await;
    let node = &world.nodes[SUPERNODE];
    columns_come(&world, root, 63).await;
    assert!(!node.chain.contains_block(&root));
    assert_eq!(node.chain.head().slot(), Slot::new(0));
    assert_eq!(kept(&world, SUPERNODE, &root).len(), 63);
    // The one that was late.
    let leader = usize::from(world.leader(slot, 0));
    let keeper = (0..SUPERNODE)
        .find(|node| *node != leader && custody(*node).contains(&64))
        .unwrap();
    let late = world.nodes[keeper]
        .chain
        .storage()
        .get_data_column(&root, 64)
        .unwrap()
        .unwrap();
    let received = node.intake.receive_data_column(late.into(), None).await.unwrap();
    assert_eq!(received.block_root, root);
    let complete = async {
        let complete = node.intake.complete(&root).await.unwrap();
        node.intake.import(complete).await.unwrap();
    };
    tokio::join!(complete, world.all_follow_in_time(root));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_handed_in_with_other_blobs_is_refused_and_may_come_again_with_its_own() {
    let world = world(|_, _| true).await;
    let (right, root) = solo_block(&world).await;
    let mut wrong = right.clone();
    wrong.blobs = right
        .blobs
        .iter()
        .rev()
        .cloned()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let hand_in = |contents| {
        let proposals = &world.nodes[0].proposals;
        proposals.publish(SignedProducedBlock::Full(contents), BroadcastValidation::Gossip)
    };
    let error = hand_in(wrong).await.unwrap_err().to_string();
    assert!(error.contains("blobs of block"), "{error}");
    let mut none = right.clone();
    none.blobs = Vec::new().try_into().unwrap();
    none.kzg_proofs = Vec::new().try_into().unwrap();
    assert!(hand_in(none).await.is_err());
    assert_eq!(world.nodes[0].chain.head().slot(), Slot::new(0));
    hand_in(right).await.unwrap();
    world.all_follow(root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_here_without_its_columns_gets_them_from_a_client_that_hands_it_in_once_more() {
    let world = world(|node, _| node != CUT_OFF).await;
    let (contents, root) = solo_block(&world).await;
    let signed = SignedProducedBlock::Full(contents);
    let hand_in = |node: usize| {
        let proposals = &world.nodes[node].proposals;
        proposals.publish(signed.clone(), BroadcastValidation::Gossip)
    };
    assert_eq!(hand_in(0).await.unwrap(), Published::Imported);
    let node = &world.nodes[CUT_OFF];
    let waits = async {
        while !node.intake.is_waiting(&root) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waits).await.unwrap();
    assert_eq!(hand_in(CUT_OFF).await.unwrap(), Published::Imported);
    assert_eq!(node.chain.head().root, root);
    assert_eq!(kept(&world, CUT_OFF, &root), custody(CUT_OFF));
    // And whoever has everything has nothing against it.
    assert_eq!(hand_in(0).await.unwrap(), Published::Imported);
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_of_a_member_does_not_keep_the_columns_of_the_groups_block_away() {
    let world = world(|_, _| true).await;
    let (slot, _) = world.slot_of(true);
    let [leader, second] = [0, 1].map(|rank| world.leader(slot, rank));
    // The time of the second leader has come, too, when it makes columns of a block of its own that it never proposes.
    world.set_into_slot(slot, 1);
    let member = usize::from(second);
    world.nodes[member].mock.set_blobs(blobs().split_off(2));
    let (signed, junk_root) = world.signed_block(member, slot, world.signer(second)).await.unwrap();
    let SignedProducedBlock::Full(junk) = signed else {
        panic!("a block of its own")
    };
    let mut signers = Signers::default();
    signers.set(member, true).unwrap();
    let block = junk.signed_block;
    let (message, signature) = (block.message().cloned(), *block.signature());
    let block = SignedBeaconBlock::from_parts(message, signature, signers, SchemeProofs::default());
    let columns = get_data_column_sidecars_from_block(&block, &junk.blobs, &junk.kzg_proofs).unwrap();
    let send = |column: DataColumnSidecar<Minimal>| {
        let intake = &world.nodes[SUPERNODE].intake;
        intake.receive_data_column(column.into(), None)
    };
    // A proof of something else, under a header that it has to be judged by.
    let DataColumnSidecar::Dvt(mut wrong) = columns[7].clone() else {
        panic!("a column of the latest fork")
    };
    // A valid point: the generator.
    wrong.kzg_proofs[0] = KzgProof::new(blobs()[0].commitment.0);
    let error = send(wrong.into()).await.unwrap_err();
    assert!(matches!(error, DataColumnGossipError::Invalid(_)), "{error}");
    assert_eq!(error.verdict(), Verdict::Reject);
    for column in columns {
        assert_eq!(send(column).await.unwrap().block_root, junk_root);
    }
    assert_eq!(kept(&world, SUPERNODE, &junk_root).len(), 128, "its time had come");

    world.nodes[usize::from(leader)].mock.set_blobs(blobs());
    let signed = world.members(slot, everybody().filter(|key| *key != second)).await;
    let root = signed[0].as_ref().unwrap().0;
    world.all_follow_in_time(root).await;
    assert_ne!(root, junk_root);
    for node in 0..world.nodes.len() {
        assert_eq!(kept(&world, node, &root), custody(node), "node {node}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_block_that_is_to_be_validated_first_goes_out_if_it_is_invalid() {
    let world = world(|_, _| true).await;
    let (right, root) = solo_block(&world).await;
    let mut wrong = right.clone();
    let BeaconBlock::Dvt(mut message) = wrong.signed_block.message().cloned() else {
        panic!("a block of the latest fork")
    };
    message.state_root = Root::repeat_byte(1);
    let message = BeaconBlock::Dvt(message);
    let junk = message.to_ref().block_header().tree_hash_root();
    let (slot, proposer) = world.slot_of(false);
    let signer = SignerIndex::new(proposer.as_u64());
    let signature = world.sign(signer, block_signing_root(&world.state, slot, junk));
    wrong.signed_block = SignedBeaconBlock::from_parts(message, signature, Signers::default(), SchemeProofs::default());
    let proposals = &world.nodes[0].proposals;
    let handed_in = SignedProducedBlock::Full(wrong);
    proposals
        .publish(handed_in, BroadcastValidation::Consensus)
        .await
        .unwrap_err();
    // What a node publishes arrives in that order: a column of the right block comes after all that went out.
    let columns = get_data_column_sidecars_from_block(&right.signed_block, &right.blobs, &right.kzg_proofs).unwrap();
    let marker = columns.into_iter().nth(1).unwrap();
    world.nodes[0].intake.publish(Outgoing::DataColumn(marker.into())).await;
    let is_there = async {
        while !kept(&world, SUPERNODE, &root).contains(&1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_there).await.unwrap();
    for node in 1..world.nodes.len() {
        assert_eq!(kept(&world, node, &junk), BTreeSet::new(), "node {node}");
    }
}
