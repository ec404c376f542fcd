//! What waits for a block, and what stands in its way until then.

use crate::world::*;
use chain_harness::{key_set_change, virtual_key};
use gossip_validation::*;
use state_transition::dvt::signers::Quorum;
use types::constants::*;
use types::*;

#[tokio::test]
async fn a_change_that_no_block_includes_stands_in_the_way_until_its_window_is_over() {
    let mut world = World::new();
    world.step().await;
    let head = world.chain.head().slot();
    let next = head.saturating_add(1u64);
    let mut keys = world.keys();
    keys.reverse();
    // Signed for the slot of the clock, which has no block.
    let change = |world: &World, keys: &[VirtualKey], slot: Slot| {
        let mut producer = world.producer.clone();
        if let BeaconState::Dvt(state) = &mut producer.state {
            state.slot = slot;
        }
        key_set_change(&producer, GROUP, 5, keys, &[0, 1, 2, 3, 4])
    };
    let first = change(&world, &keys, next);
    let verify = async |change: &SignedKeySetChange| {
        let verified = world
            .gossip
            .verify_key_set_change(change.clone(), Quorum::Threshold)
            .await;
        verified.map(|verified| verified.slot)
    };
    let error = verify(&first).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "{error}");
    world.clock.set_slot(next);
    assert_eq!(verify(&first).await.unwrap(), next);

    keys[0] = virtual_key(GROUP, 7);
    let end = next.saturating_add(KEY_SET_CHANGE_WINDOW);
    let second = change(&world, &keys, end);
    world.clock.set_slot(end);
    let error = verify(&second).await.unwrap_err();
    assert!(matches!(error, KeySetChangeGossipError::NotFirst { .. }), "{error}");
    world.clock.set_slot(end.saturating_add(1u64));
    assert_eq!(verify(&second).await.unwrap(), end.saturating_add(1u64));
    for change in [&second, &first] {
        let error = verify(change).await.unwrap_err();
        assert!(matches!(error, KeySetChangeGossipError::NotFirst { .. }), "{error}");
        assert_eq!(error.verdict(), Verdict::Ignore);
    }
    world.gossip.prune();
    assert!(matches!(
        verify(&second).await,
        Err(KeySetChangeGossipError::NotFirst { .. })
    ));
}
