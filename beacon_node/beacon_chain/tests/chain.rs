//! Import, finality, reorganisation and restart of a chain of real blocks.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use beacon_chain::*;
use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use runtime::{SlotClock, WorkerPool};
use state_transition::block::BlockSignatures;
use std::path::Path;
use std::sync::Arc;
use storage::{Identity, Storage};
use types::*;

const GROUP: u64 = 0;

fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

fn spec() -> ChainSpec {
    let mut spec = ChainSpec::minimal();
    spec.electra_fork_epoch = Epoch::new(0);
    spec.fulu_fork_epoch = Epoch::new(0);
    spec.dvt_fork_epoch = Epoch::new(0);
    spec
}

fn producer() -> Chain<Minimal> {
    let mut validators = vec![group_of(GROUP, 5, 7, 2048)];
    validators.extend((1..33).map(|validator| solo(validator, 256)));
    Chain::new(&validators, Keys::new(33, &[GROUP], 7), spec())
}

struct Node {
    chain: Arc<BeaconChain<Minimal>>,
    clock: SlotClock,
}

fn config(producer: &Chain<Minimal>, storage: Storage<Minimal>, clock: &SlotClock) -> ChainConfig<Minimal> {
    ChainConfig {
        spec: Arc::new(producer.spec.clone()),
        clock: clock.clone(),
        storage: Arc::new(storage),
        execution_layer: None,
        workers: WorkerPool::start(2).unwrap(),
    }
}

fn identity(genesis: &Chain<Minimal>) -> Identity {
    Identity::of(&genesis.state)
}

fn start(genesis: &Chain<Minimal>, storage: Storage<Minimal>) -> Node {
    let clock = SlotClock::manual(genesis.state.genesis_time(), &genesis.spec);
    let anchor = Anchor::genesis(genesis.state.clone()).unwrap();
    let chain = BeaconChain::from_anchor(config(genesis, storage, &clock), anchor).unwrap();
    Node { chain, clock }
}

fn open(genesis: &Chain<Minimal>, directory: &Path) -> Storage<Minimal> {
    Storage::open(directory, identity(genesis)).unwrap()
}

impl Node {
    async fn import(&self, block: &SignedBeaconBlock<Minimal>) -> Result<Root, ImportError> {
        self.clock.set_slot(block.slot().max(self.chain.current_slot()));
        self.chain
            .process_block(Arc::new(block.clone()), BlockSignatures::All)
            .await
    }
}

#[tokio::test]
async fn a_chain_with_a_group_is_followed_to_finality() {
    let mut producer = producer();
    let node = start(&producer, Storage::in_memory(identity(&producer)).unwrap());
    let mut events = node.chain.subscribe();
    while producer.state.slot() < Slot::new(8 * 4) {
        let block = producer.step(&everybody, BlockPlan::default()).unwrap();
        let root = node.import(&block).await.unwrap();
        let head = node.chain.head();
        assert_eq!((head.root, head.state_root), (root, block.message().state_root()));
        assert!(
            head.execution_optimistic,
            "without an execution client nothing is verified"
        );
    }
    let head = node.chain.head();
    assert_eq!(head.finalized_checkpoint.epoch, Epoch::new(2));
    assert_eq!(node.chain.storage().anchor().unwrap().unwrap().0, Slot::new(16));
    let mut finalized = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let ChainEvent::Finalized { checkpoint, .. } = event {
            finalized.push(checkpoint.epoch.as_u64());
        }
    }
    // Justification begins with epoch 2, so that is the first to be finalised.
    assert_eq!(finalized, [2]);
    // History behind finality is found by slot, and its states by replay.
    for slot in [1u64, 9, 20, 32] {
        let root = node.chain.canonical_root_at(Slot::new(slot)).unwrap().unwrap();
        assert_eq!(node.chain.get_block(&root).unwrap().unwrap().slot(), Slot::new(slot));
        let state = node.chain.state_after_block(&root).unwrap().unwrap();
        assert_eq!(state.slot(), Slot::new(slot));
    }
}

#[tokio::test]
async fn a_block_below_the_threshold_is_refused_and_changes_nothing() {
    let mut producer = producer();
    let node = start(&producer, Storage::in_memory(identity(&producer)).unwrap());
    let (mut refused, mut by_group) = (0, 0);
    while producer.state.slot() < Slot::new(60) && by_group < 2 {
        let before = producer.clone();
        let block = producer.step(&everybody, BlockPlan::default()).unwrap();
        if block.message().proposer_index().as_u64() == GROUP {
            by_group += 1;
            let mut state = before.state.clone();
            state_transition::process_slots(&mut state, block.slot(), &before.spec).unwrap();
            let mut signers = Signers::default();
            (0..4).for_each(|key| signers.set(key, true).unwrap());
            let below = before.sign(&state, block.message().cloned(), signers);
            let head = node.chain.head().root;
            let error = node.import(&below).await.unwrap_err();
            assert!(error.is_invalid_block() && !error.is_invalid_payload(), "{error}");
            assert_eq!(node.chain.head().root, head);
            refused += 1;
        }
        node.import(&block).await.unwrap();
    }
    assert!(
        refused > 0,
        "the group has a fifth of the stake and proposes within sixty slots"
    );
}

#[tokio::test]
async fn a_leaders_proposal_is_executed_once_and_completed_by_signatures_alone() {
    let mut producer = producer();
    let node = start(&producer, Storage::in_memory(identity(&producer)).unwrap());
    loop {
        let before = producer.clone();
        let block = producer.step(&everybody, BlockPlan::default()).unwrap();
        if block.message().proposer_index().as_u64() != GROUP {
            node.import(&block).await.unwrap();
            continue;
        }
        node.clock.set_slot(block.slot());
        let mut state = before.state.clone();
        state_transition::process_slots(&mut state, block.slot(), &before.spec).unwrap();
        let mut signers = Signers::default();
        signers.set(2, true).unwrap();
        let proposal = Arc::new(before.sign(&state, block.message().cloned(), signers));
        let executed = node
            .chain
            .execute(proposal, BlockSignatures::Proposal, runtime::Priority::GroupProposal)
            .await
            .unwrap();
        assert_ne!(node.chain.head().root, executed.root(), "a proposal is not imported");
        let root = node.chain.import(executed, Arc::new(block)).await.unwrap();
        assert_eq!(node.chain.head().root, root);
        break;
    }
}

#[tokio::test]
async fn the_heavier_branch_becomes_the_head() {
    let mut producer = producer();
    let node = start(&producer, Storage::in_memory(identity(&producer)).unwrap());
    for _ in 0..4 {
        let block = producer.step(&everybody, BlockPlan::default()).unwrap();
        node.import(&block).await.unwrap();
    }
    // One branch of a single validator's vote, and one on which everybody votes.
    let mut other = producer.clone();
    let first = producer.step(&everybody, BlockPlan::default()).unwrap();
    node.import(&first).await.unwrap();
    let mut events = node.chain.subscribe();
    // The other branch leaves slot 5 empty, and its votes for that come in slot 6.
    state_transition::process_slots(&mut other.state, Slot::new(5), &other.spec).unwrap();
    for _ in 0..3 {
        let block = other.step(&everybody, BlockPlan::default()).unwrap();
        node.import(&block).await.unwrap();
    }
    assert_eq!(node.chain.head().slot(), Slot::new(8));
    let mut is_reorg = false;
    while let Ok(event) = events.try_recv() {
        is_reorg |= matches!(event, ChainEvent::Reorg { old_head, .. } if old_head == first.block_root());
    }
    assert!(is_reorg);
}

#[tokio::test]
async fn a_node_continues_from_its_database_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let genesis = producer();
    let mut producer = genesis.clone();
    let (head, finalized) = {
        let node = start(&genesis, open(&genesis, directory.path()));
        while producer.state.slot() < Slot::new(8 * 4 + 3) {
            let block = producer.step(&everybody, BlockPlan::default()).unwrap();
            node.import(&block).await.unwrap();
        }
        let head = node.chain.head();
        (head.root, head.finalized_checkpoint)
    };
    let clock = SlotClock::manual(genesis.state.genesis_time(), &genesis.spec);
    clock.set_slot(producer.state.slot());
    let storage = open(&genesis, directory.path());
    let chain = BeaconChain::from_storage(config(&genesis, storage, &clock))
        .unwrap()
        .expect("there is a chain on disk");
    let node = Node { chain, clock };
    node.chain.recompute_head().await.unwrap();
    assert_eq!(node.chain.head().root, head);
    assert_eq!(node.chain.head().finalized_checkpoint, finalized);
    // And it goes on.
    let block = producer.step(&everybody, BlockPlan::default()).unwrap();
    node.import(&block).await.unwrap();
    assert_eq!(node.chain.head().root, block.block_root());
}

#[tokio::test]
async fn blocks_from_the_future_and_without_a_parent_wait() {
    let mut producer = producer();
    let node = start(&producer, Storage::in_memory(identity(&producer)).unwrap());
    let first = producer.step(&everybody, BlockPlan::default()).unwrap();
    let second = producer.step(&everybody, BlockPlan::default()).unwrap();
    let error = node
        .chain
        .process_block(Arc::new(first.clone()), BlockSignatures::All)
        .await
        .unwrap_err();
    assert!(matches!(error, ImportError::FutureSlot { .. }), "{error}");
    assert!(!error.is_invalid_block());
    let error = node.import(&second).await.unwrap_err();
    assert!(
        matches!(error, ImportError::UnknownParent(root) if root == first.block_root()),
        "{error}"
    );
    node.import(&first).await.unwrap();
    node.import(&second).await.unwrap();
    let error = node.import(&second).await.unwrap_err();
    assert!(matches!(error, ImportError::AlreadyKnown(_)), "{error}");
}
