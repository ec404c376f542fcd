//! What the execution engine's verdicts do to blocks that were imported without one.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use fork_choice::{BlockSummary, ExecutionStatus, JustifiedState, Store};
use types::*;

fn root(number: u8) -> Root {
    Root::repeat_byte(number + 1)
}

/// Payload hashes are not block roots.
fn hash(number: u8) -> Hash32 {
    Root::repeat_byte(number + 101)
}

fn summary(number: u8, parent: u8) -> BlockSummary {
    let genesis = Checkpoint {
        epoch: Epoch::new(0),
        root: root(0),
    };
    BlockSummary {
        root: root(number),
        slot: Slot::new(number.into()),
        proposer_index: ValidatorIndex::new(1),
        parent_root: root(parent),
        state_root: Root::ZERO,
        execution_block_hash: hash(number),
        justified_checkpoint: genesis,
        finalized_checkpoint: genesis,
        unrealized_justified_checkpoint: genesis,
        unrealized_finalized_checkpoint: genesis,
    }
}

/// Blocks 0 and 1 are valid; 2, 3, 4 follow unverified, and 5 is another child of 2.
fn store() -> (Store, ChainSpec) {
    let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
    let validators = [chain_harness::solo(0, 32), chain_harness::solo(1, 32)];
    let chain = chain_harness::Chain::<Minimal>::new(&validators, chain_harness::Keys::default(), spec.clone());
    let mut store = Store::get_forkchoice_store(&chain.state, summary(0, 0), &spec).unwrap();
    let justified = JustifiedState::new(store.justified_checkpoint(), &chain.state).unwrap();
    store.set_justified_state(justified).unwrap();
    // Long after the slots of all blocks, so that none is boosted.
    store
        .on_tick::<Minimal>(store.time_ms() + 7 * spec.slot_duration_ms, &spec)
        .unwrap();
    for (number, parent, status) in [
        (1, 0, ExecutionStatus::Valid),
        (2, 1, ExecutionStatus::Optimistic),
        (3, 2, ExecutionStatus::Optimistic),
        (4, 3, ExecutionStatus::Optimistic),
        (5, 2, ExecutionStatus::Optimistic),
    ] {
        store
            .on_block::<Minimal>(summary(number, parent), status, &spec)
            .unwrap();
    }
    (store, spec)
}

fn invalid(store: &Store) -> Vec<u8> {
    (0..=5)
        .filter(|number| store.block(&root(*number)).unwrap().execution_status == ExecutionStatus::Invalid)
        .collect()
}

#[test]
fn invalid_are_all_blocks_after_the_latest_valid_one() {
    let (mut store, spec) = store();
    store.on_invalid_execution_payload(&root(4), Some(hash(2))).unwrap();
    assert_eq!(invalid(&store), [3, 4]);
    assert_eq!(store.get_head::<Minimal>(&spec).unwrap(), root(5));
}

#[test]
fn descendants_of_an_invalid_block_are_invalid() {
    let (mut store, spec) = store();
    store.on_invalid_execution_payload(&root(3), Some(hash(1))).unwrap();
    assert_eq!(invalid(&store), [2, 3, 4, 5]);
    assert_eq!(store.get_head::<Minimal>(&spec).unwrap(), root(1));
}

#[test]
fn without_a_known_latest_valid_hash_only_the_block_itself_is_invalid() {
    for latest_valid_hash in [None, Some(Hash32::ZERO), Some(hash(99)), Some(hash(5))] {
        let (mut store, _) = store();
        store.on_invalid_execution_payload(&root(4), latest_valid_hash).unwrap();
        assert_eq!(invalid(&store), [4], "{latest_valid_hash:?}");
    }
}

#[test]
fn a_valid_block_stays_valid_when_the_latest_valid_one_is_older() {
    let (mut store, _) = store();
    store.on_invalid_execution_payload(&root(4), Some(hash(0))).unwrap();
    assert_eq!(invalid(&store), [2, 3, 4, 5]);
}

#[test]
fn a_valid_block_that_is_called_invalid_stays_valid_with_what_builds_on_it() {
    for latest_valid_hash in [None, Some(hash(0)), Some(hash(1)), Some(Hash32::ZERO)] {
        let (mut store, spec) = store();
        store.on_valid_execution_payload(&root(3)).unwrap();
        for valid in [2, 3] {
            store
                .on_invalid_execution_payload(&root(valid), latest_valid_hash)
                .unwrap();
            assert_eq!(invalid(&store), [0u8; 0], "{valid} {latest_valid_hash:?}");
        }
        let head = store.get_head::<Minimal>(&spec).unwrap();
        assert!([root(4), root(5)].contains(&head), "{head}");
    }
}

#[test]
fn ancestors_of_a_valid_block_are_valid() {
    let (mut store, _) = store();
    store.on_valid_execution_payload(&root(3)).unwrap();
    let optimistic: Vec<u8> = (0..=5)
        .filter(|number| store.is_optimistic(&root(*number)).unwrap())
        .collect();
    assert_eq!(optimistic, [4, 5]);
}

#[test]
fn a_block_that_was_called_invalid_cannot_become_valid() {
    let (mut store, _) = store();
    store.on_invalid_execution_payload(&root(4), None).unwrap();
    assert!(store.on_valid_execution_payload(&root(4)).is_err());
    assert_eq!(invalid(&store), [4]);
}
