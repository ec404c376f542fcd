//! How many blobs a block may have, where that changes.

use crate::columns::{columns_of, leaders, unsigned, with_blobs};
use crate::world::*;
use chain_harness::BlockPlan;
use data_columns::DataColumnError;
use gossip_validation::*;
use state_transition::process_slots;
use std::sync::Arc;
use types::*;

const COLUMN: usize = 7;

/// A world of Fulu with the blob limits 2, 3 from epoch 1 on, and 1 from epoch 2 on.
fn world_with_schedule() -> World {
    let parameters = |epoch, max_blobs_per_block| BlobParameters {
        epoch: Epoch::new(epoch),
        max_blobs_per_block,
    };
    World::with(ForkName::Fulu, None, |spec| {
        spec.max_blobs_per_block_electra = 2;
        spec.blob_schedule = vec![parameters(1, 3), parameters(2, 1)];
    })
}

#[tokio::test]
async fn blocks_and_columns_are_held_to_the_blob_limit_of_their_own_epoch() {
    let mut world = world_with_schedule();
    for (boundary, before, after) in [(1, 2, 3), (2, 3, 1)] {
        let start = Epoch::new(boundary).start_slot::<Minimal>();
        while world.producer.next_slot() < start.saturating_sub(1u64) {
            world.step().await;
        }
        // Two children of one block: in the last slot before the change, and in the first one after it.
        let last = world.producer.build(&everybody, BlockPlan::default()).unwrap();
        let mut later = world.producer.clone();
        process_slots(&mut later.state, last.slot(), &later.spec).unwrap();
        let first = later.build(&everybody, BlockPlan::default()).unwrap();
        assert_eq!((last.slot().saturating_add(1u64), first.slot()), (start, start));
        let make = |block: &SignedBeaconBlock<Minimal>, blobs: u64| {
            let block = with_blobs(block, blobs as usize);
            let signed = Arc::new(world.producer.sign(&later.state, block, Signers::default()));
            let column = Arc::new(columns_of(&signed).swap_remove(COLUMN));
            (signed, column)
        };

        let start_ms = world.clock.slot_start_ms(start);
        // The slot of the message decides, not the clock.
        for now_ms in [start_ms - 400, start_ms] {
            world.clock.set_ms(now_ms);
            for (block, limit) in [(&last, before), (&first, after)] {
                let (signed, column) = make(block, limit + 1);
                let error = world.gossip.verify_block(signed).await.unwrap_err();
                let BlockGossipError::TooManyBlobs { found, limit: allowed } = error else {
                    panic!("slot {} at {now_ms}: {error}", block.slot());
                };
                assert_eq!((found, allowed, error.verdict()), (limit + 1, limit, Verdict::Reject));
                let error = world.gossip.verify_data_column(column, None).await.unwrap_err();
                assert_eq!(error.verdict(), Verdict::Reject);
                let DataColumnGossipError::Invalid(error) = error else {
                    panic!("slot {} at {now_ms}: {error}", block.slot());
                };
                let expected = DataColumnError::TooManyCommitments {
                    limit,
                    found: limit + 1,
                };
                assert_eq!(error, expected);
            }
        }
        // What was refused does not stand in the way.
        for (block, limit, now_ms) in [(&first, after, start_ms - 400), (&last, before, start_ms)] {
            world.clock.set_ms(now_ms);
            let (signed, column) = make(block, limit);
            world.gossip.verify_block(signed).await.unwrap();
            world
                .gossip
                .verify_data_column(column, Some(COLUMN as u64))
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn proposals_to_a_group_are_held_to_the_blob_limit() {
    let mut world = World::with(ForkName::Dvt, None, |spec| spec.max_blobs_per_block_electra = 2);
    let (state, block) = world.until_group_proposes().await;
    let [leader, ..] = leaders(&state);
    let propose = |blobs| {
        let block = unsigned(with_blobs(&block, blobs));
        world
            .gossip
            .verify_group_proposal(world.signed_by(&state, &block, &[leader]))
    };
    let error = propose(3).await.unwrap_err();
    assert!(
        matches!(
            error,
            GroupBlockGossipError::Block(BlockGossipError::TooManyBlobs { found: 3, limit: 2 })
        ),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Reject);
    propose(2).await.unwrap();
}
