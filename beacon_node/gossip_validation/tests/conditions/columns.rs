//! Data columns.

use crate::world::*;
use chain_harness::BlockPlan;
use gossip_validation::*;
use ssz_types::VariableList;
use state_transition::dvt::leaders::get_leader_key_index;
use state_transition::dvt::signers::SignersError;
use std::sync::{Arc, LazyLock};
use types::*;

/// A blob of which all field elements are 1, and the proofs of its cells.
static BLOB: LazyLock<(Blob<Minimal>, Vec<KzgProof>)> = LazyLock::new(|| {
    let mut bytes = vec![0; 131_072];
    bytes.chunks_exact_mut(32).for_each(|element| element[31] = 1);
    let blobs = [Blob::<Minimal>::new(bytes).unwrap()];
    let matrix = data_columns::compute_matrix::<Minimal>(&blobs).unwrap();
    let [blob] = blobs;
    (blob, matrix.into_iter().map(|entry| entry.kzg_proof).collect())
});

/// The block with so many times that blob: the commitment to it is the generator of G1.
pub(crate) fn with_blobs(block: &SignedBeaconBlock<Minimal>, blobs: usize) -> BeaconBlock<Minimal> {
    const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                             6c55e83ff97a1aeffb3af00adb22c6bb";
    let commitments = VariableList::new(vec![GENERATOR.parse::<KzgCommitment>().unwrap(); blobs]).unwrap();
    let mut block = block.message().cloned();
    match &mut block {
        BeaconBlock::Fulu(block) => block.body.blob_kzg_commitments = commitments,
        BeaconBlock::Dvt(block) => block.body.blob_kzg_commitments = commitments,
    }
    block
}

/// The columns of a block that has its blobs from [`with_blobs`].
pub(crate) fn columns_of(block: &SignedBeaconBlock<Minimal>) -> Vec<DataColumnSidecar<Minimal>> {
    let message = block.message();
    let blobs = message.body().blob_kzg_commitments().len();
    let (blob, proofs) = &*BLOB;
    data_columns::get_data_column_sidecars_from_block(block, &vec![blob.clone(); blobs], &proofs.repeat(blobs)).unwrap()
}

/// A node of Fulu in the slot of a block with so many blobs, that block, and its columns.
pub(crate) async fn with_columns(blobs: usize) -> (World, SignedBeaconBlock<Minimal>, Vec<DataColumnSidecar<Minimal>>) {
    let mut world = World::of_fork(ForkName::Fulu);
    world.step().await;
    world.step().await;
    let block = world.producer.build(&everybody, BlockPlan::default()).unwrap();
    world.clock.set_slot(block.slot());
    let signed = world
        .producer
        .sign(&world.producer.state, with_blobs(&block, blobs), Signers::default());
    let sidecars = columns_of(&signed);
    (world, signed, sidecars)
}

#[tokio::test]
async fn columns_of_a_block_are_accepted_once() {
    let (world, signed, sidecars) = with_columns(1).await;
    assert_eq!(sidecars.len(), 128);
    for index in [0u64, 127] {
        let sidecar = Arc::new(sidecars[index as usize].clone());
        let verified = world
            .gossip
            .verify_data_column(Arc::clone(&sidecar), Some(index))
            .await
            .unwrap();
        assert_eq!((verified.block_root, verified.leader_key), (signed.block_root(), None));
        let error = world.gossip.verify_data_column(sidecar, Some(index)).await.unwrap_err();
        assert!(matches!(error, DataColumnGossipError::NotFirst { .. }), "{error}");
    }
    let sidecar = Arc::new(sidecars[5].clone());
    let error = world.gossip.verify_data_column(sidecar, Some(6)).await.unwrap_err();
    assert!(matches!(error, DataColumnGossipError::Subnet { .. }), "{error}");
    let DataColumnSidecar::Fulu(mut mixed) = sidecars[5].clone() else {
        unreachable!()
    };
    mixed.kzg_commitments_inclusion_proof[0] = Root::ZERO;
    let error = world
        .gossip
        .verify_data_column(Arc::new(DataColumnSidecar::Fulu(mixed)), None)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
}

#[tokio::test]
async fn of_columns_that_come_at_once_only_those_with_wrong_proofs_are_rejected() {
    const WRONG: [ColumnIndex; 2] = [3, 90];
    let (world, _, sidecars) = with_columns(1).await;
    let received = sidecars.into_iter().map(|sidecar| {
        let DataColumnSidecar::Fulu(mut sidecar) = sidecar else {
            unreachable!()
        };
        if WRONG.contains(&sidecar.index) {
            // A point, but not the proof.
            sidecar.kzg_proofs[0] = KzgProof::new(sidecar.kzg_commitments[0].0);
        }
        let index = sidecar.index;
        let sidecar = Arc::new(DataColumnSidecar::Fulu(sidecar));
        let verified = world.gossip.verify_data_column(sidecar, Some(index));
        async move { (index, verified.await) }
    });
    for (index, result) in futures::future::join_all(received).await {
        match result {
            Ok(verified) => assert_eq!(verified.sidecar.index(), index),
            Err(error) => assert_eq!(
                (error.verdict(), WRONG.contains(&index)),
                (Verdict::Reject, true),
                "{error}"
            ),
        }
    }
}

/// The keys that lead the group in the state's slot, in the order of their ranks.
pub(crate) fn leaders(state: &BeaconState<Minimal>) -> [u8; 3] {
    [0, 1, 2].map(|rank| {
        get_leader_key_index(state, ValidatorIndex::new(GROUP), state.slot(), rank)
            .unwrap()
            .unwrap()
    })
}

/// A block that waits for its signers.
pub(crate) fn unsigned(block: BeaconBlock<Minimal>) -> SignedBeaconBlock<Minimal> {
    SignedBeaconBlock::from_parts(block, Default::default(), Signers::default(), SchemeProofs::empty())
}

#[tokio::test]
async fn columns_of_a_group_come_from_a_leader_alone_or_at_threshold() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let unsigned = unsigned(with_blobs(&block, 1));
    let column = |keys: &[u8]| Arc::new(columns_of(&world.signed_by(&state, &unsigned, keys)).swap_remove(9));
    let leaders = leaders(&state);
    let follower = (0..7).find(|key| !leaders.contains(key)).unwrap();
    for keys in [vec![follower], vec![0, 1, 2, 3]] {
        let error = world.gossip.verify_data_column(column(&keys), None).await.unwrap_err();
        assert!(matches!(error, DataColumnGossipError::Signers(_)), "{error}");
        assert_eq!(error.verdict(), Verdict::Reject);
    }
    let error = world
        .gossip
        .verify_data_column(column(&[leaders[2]]), None)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "its time has not come: {error}");
    let alone = world
        .gossip
        .verify_data_column(column(&[leaders[0]]), None)
        .await
        .unwrap();
    assert_eq!(alone.leader_key, Some(leaders[0]));
    let complete = world
        .gossip
        .verify_data_column(column(&[0, 1, 2, 3, 4]), None)
        .await
        .unwrap();
    assert_eq!(complete.leader_key, None);
}

fn with_graffiti(mut block: BeaconBlock<Minimal>, graffiti: u8) -> BeaconBlock<Minimal> {
    match &mut block {
        BeaconBlock::Fulu(block) => block.body.graffiti = Hash32::repeat_byte(graffiti),
        BeaconBlock::Dvt(block) => block.body.graffiti = Hash32::repeat_byte(graffiti),
    }
    block
}

#[tokio::test]
async fn columns_of_two_leaders_and_of_the_group_are_accepted_side_by_side_but_one_of_each() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let [first, second, third] = leaders(&state);
    world.clock.set_ms(world.clock.slot_start_ms(block.slot()) + 1_100);
    let column = |keys: &[u8], graffiti: u8| {
        let block = unsigned(with_graffiti(with_blobs(&block, 1), graffiti));
        Arc::new(columns_of(&world.signed_by(&state, &block, keys)).swap_remove(9))
    };
    let quorums = [vec![first], vec![second], vec![third], vec![0, 1, 2, 3, 4]];
    for (graffiti, keys) in (1..).zip(&quorums) {
        let verified = world
            .gossip
            .verify_data_column(column(keys, graffiti), None)
            .await
            .unwrap();
        let leader = (keys.len() == 1).then(|| keys[0]);
        assert_eq!(verified.leader_key, leader);
    }
    for (graffiti, keys) in (2..).zip(&quorums) {
        let error = world
            .gossip
            .verify_data_column(column(keys, graffiti), None)
            .await
            .unwrap_err();
        assert!(
            matches!(error, DataColumnGossipError::NotFirst { column: 9, slot, proposer }
                if (slot, proposer.as_u64()) == (block.slot(), GROUP)),
            "{error}"
        );
        assert_eq!(error.verdict(), Verdict::Ignore);
    }
}

#[tokio::test]
async fn a_leader_alone_sends_columns_in_its_slot_only_and_the_group_later_too() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let [first, ..] = leaders(&state);
    let block = unsigned(with_blobs(&block, 1));
    let column = |keys: &[u8], index| Arc::new(columns_of(&world.signed_by(&state, &block, keys)).swap_remove(index));
    let next = block.slot().saturating_add(1u64);
    let end_ms = world.clock.slot_start_ms(next);
    // Clocks differ by half a second at most.
    world.clock.set_ms(end_ms + 499);
    let alone = world.gossip.verify_data_column(column(&[first], 0), None).await;
    assert_eq!(alone.unwrap().leader_key, Some(first));
    world.clock.set_ms(end_ms + 500);
    let error = world
        .gossip
        .verify_data_column(column(&[first], 1), None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, DataColumnGossipError::Shared(SharedError::PastSlot { slot, earliest })
            if (slot, earliest) == (block.slot(), next)),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Ignore);
    let complete = world.gossip.verify_data_column(column(&[0, 1, 2, 3, 4], 1), None).await;
    assert_eq!(complete.unwrap().leader_key, None);
}

/// The column with the signature and the signers of a header changed.
fn signed_otherwise(
    column: &DataColumnSidecar<Minimal>,
    change: impl FnOnce(&mut SignedBeaconBlockHeaderDvt),
) -> Arc<DataColumnSidecar<Minimal>> {
    let DataColumnSidecar::Dvt(mut column) = column.clone() else {
        unreachable!()
    };
    change(&mut column.signed_block_header);
    Arc::new(DataColumnSidecar::Dvt(column))
}

#[tokio::test]
async fn wrong_signatures_for_a_group_are_rejected_whatever_the_time_and_do_not_keep_out_right_ones() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let [first, second, third] = leaders(&state);
    let (slot, block) = (block.slot(), unsigned(with_blobs(&block, 1)));
    let columns = |keys: &[u8]| columns_of(&world.signed_by(&state, &block, keys));
    let (of_first, of_third, complete) = (columns(&[first]), columns(&[third]), columns(&[0, 1, 2, 3, 4]));
    let signature_of = |columns: &[DataColumnSidecar<Minimal>]| match &columns[0] {
        DataColumnSidecar::Dvt(column) => column.signed_block_header.signature,
        DataColumnSidecar::Fulu(_) => unreachable!(),
    };
    let by_second = signature_of(&columns(&[second]));
    let now_ms = world.clock.now_ms();
    let over_ms = world.clock.slot_start_ms(slot.saturating_add(1u64)) + 500;
    // A leader in time, one that is too early, one that is too late, and the group with a member's signature.
    for (columns, at_ms, index) in [
        (&of_first, now_ms, 0),
        (&of_third, now_ms, 1),
        (&of_first, over_ms, 2),
        (&complete, now_ms, 3),
    ] {
        world.clock.set_ms(at_ms);
        let wrong = signed_otherwise(&columns[index], |header| header.signature = by_second);
        let error = world.gossip.verify_data_column(wrong, None).await.unwrap_err();
        assert!(
            matches!(error, DataColumnGossipError::Shared(SharedError::Signature(_))),
            "column {index}: {error}"
        );
        assert_eq!(error.verdict(), Verdict::Reject);
        // In the time of all of them.
        world.clock.set_ms(world.clock.slot_start_ms(slot) + 1_100);
        let right = Arc::new(columns[index].clone());
        world.gossip.verify_data_column(right, None).await.unwrap();
    }
}

#[tokio::test]
async fn columns_name_no_signers_of_a_solo_proposer_and_none_that_a_group_lacks() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let column =
        columns_of(&world.signed_by(&state, &unsigned(with_blobs(&block, 1)), &[0, 1, 2, 3, 4])).swap_remove(0);
    for (keys, is_expected) in [
        (
            &[][..],
            (|error| {
                matches!(
                    error,
                    SignersError::BelowThreshold {
                        signers: 0,
                        threshold: 5,
                        ..
                    }
                )
            }) as fn(&_) -> bool,
        ),
        (&[7], |error| {
            matches!(error, SignersError::UnknownKey { key: 7, keys: 7, .. })
        }),
        (&[0, 1, 2, 3, 7], |error| {
            matches!(error, SignersError::UnknownKey { key: 7, keys: 7, .. })
        }),
    ] {
        check_signers(&world, &column, keys, is_expected).await;
    }
    world.gossip.verify_data_column(Arc::new(column), None).await.unwrap();

    let mut world = World::new();
    let block = loop {
        let block = world.producer.build(&everybody, BlockPlan::default()).unwrap();
        if block.message().proposer_index().as_u64() != GROUP {
            break block;
        }
        world.step().await;
    };
    world.clock.set_slot(block.slot());
    let signed = world
        .producer
        .sign(&world.producer.state, with_blobs(&block, 1), Signers::default());
    let column = columns_of(&signed).swap_remove(0);
    check_signers(&world, &column, &[0], |error| {
        matches!(error, SignersError::SoloWithSigners { signers: 1, .. })
    })
    .await;
    world.gossip.verify_data_column(Arc::new(column), None).await.unwrap();
}

/// The column is rejected if its header names these keys.
async fn check_signers(
    world: &World,
    column: &DataColumnSidecar<Minimal>,
    keys: &[usize],
    is_expected: fn(&SignersError) -> bool,
) {
    let wrong = signed_otherwise(column, |header| {
        header.signers = Signers::default();
        keys.iter().for_each(|key| header.signers.set(*key, true).unwrap());
    });
    let error = world.gossip.verify_data_column(wrong, None).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
    let DataColumnGossipError::Signers(signers) = error else {
        panic!("{keys:?}: {error}");
    };
    assert!(is_expected(&signers), "{keys:?}: {signers}");
}
