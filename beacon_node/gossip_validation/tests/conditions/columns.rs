//! Data columns.

use crate::world::*;
use chain_harness::BlockPlan;
use gossip_validation::*;
use ssz_types::VariableList;
use state_transition::dvt::leaders::get_leader_key_index;
use std::sync::Arc;
use types::*;

/// The block with one blob, of which all field elements are 1: the commitment to it is the generator of G1.
fn with_blob(block: &SignedBeaconBlock<Minimal>) -> (BeaconBlock<Minimal>, Vec<Blob<Minimal>>, Vec<KzgProof>) {
    const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                             6c55e83ff97a1aeffb3af00adb22c6bb";
    let commitments = vec![GENERATOR.parse::<KzgCommitment>().unwrap()];
    let mut block = block.message().cloned();
    match &mut block {
        BeaconBlock::Fulu(block) => block.body.blob_kzg_commitments = VariableList::new(commitments).unwrap(),
        BeaconBlock::Dvt(block) => block.body.blob_kzg_commitments = VariableList::new(commitments).unwrap(),
    }
    let mut bytes = vec![0; 131_072];
    bytes.chunks_exact_mut(32).for_each(|element| element[31] = 1);
    let blobs = vec![Blob::<Minimal>::new(bytes).unwrap()];
    let matrix = data_columns::compute_matrix::<Minimal>(&blobs).unwrap();
    (block, blobs, matrix.into_iter().map(|entry| entry.kzg_proof).collect())
}

/// A node of Fulu in the slot of a block with a blob, that block, and its columns.
async fn with_columns() -> (World, SignedBeaconBlock<Minimal>, Vec<DataColumnSidecar<Minimal>>) {
    let mut world = World::of_fork(ForkName::Fulu);
    world.step().await;
    let block = world.producer.build(&everybody, BlockPlan::default()).unwrap();
    world.clock.set_slot(block.slot());
    let (block, blobs, proofs) = with_blob(&block);
    let signed = world.producer.sign(&world.producer.state, block, Signers::default());
    let sidecars = data_columns::get_data_column_sidecars_from_block(&signed, &blobs, &proofs).unwrap();
    (world, signed, sidecars)
}

#[tokio::test]
async fn columns_of_a_block_are_accepted_once() {
    let (world, signed, sidecars) = with_columns().await;
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
    let (world, _, sidecars) = with_columns().await;
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

#[tokio::test]
async fn columns_of_a_group_come_from_a_leader_alone_or_at_threshold() {
    let mut world = World::new();
    let (state, block) = world.until_group_proposes().await;
    let slot = block.slot();
    let (block, blobs, proofs) = with_blob(&block);
    let unsigned = SignedBeaconBlock::from_parts(block, Default::default(), Signers::default(), SchemeProofs::empty());
    let column = |keys: &[u8]| {
        let signed = world.signed_by(&state, &unsigned, keys);
        let sidecars = data_columns::get_data_column_sidecars_from_block(&signed, &blobs, &proofs).unwrap();
        Arc::new(sidecars[9].clone())
    };
    let leader = |rank| {
        get_leader_key_index(&state, ValidatorIndex::new(GROUP), slot, rank)
            .unwrap()
            .unwrap()
    };
    let follower = (0..7).find(|key| (0..3).all(|rank| leader(rank) != *key)).unwrap();
    for keys in [vec![follower], vec![0, 1, 2, 3]] {
        let error = world.gossip.verify_data_column(column(&keys), None).await.unwrap_err();
        assert!(matches!(error, DataColumnGossipError::Signers(_)), "{error}");
        assert_eq!(error.verdict(), Verdict::Reject);
    }
    let error = world
        .gossip
        .verify_data_column(column(&[leader(2)]), None)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "its time has not come: {error}");
    let alone = world
        .gossip
        .verify_data_column(column(&[leader(0)]), None)
        .await
        .unwrap();
    assert_eq!(alone.leader_key, Some(leader(0)));
    let complete = world
        .gossip
        .verify_data_column(column(&[0, 1, 2, 3, 4]), None)
        .await
        .unwrap();
    assert_eq!(complete.leader_key, None);
}
