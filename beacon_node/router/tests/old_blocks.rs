//! Nodes on loopback that begin where others have been for long: blocks and columns that came before them.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use block_production::BlockProducer;
use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use data_columns::get_data_column_sidecars_from_block;
use gossip_validation::GossipValidator;
use group_duties::Proposals;
use intake::{Custody, Intake};
use network::{
    DataColumnsByRangeRequest, NetworkConfig, NetworkHandle, NetworkService, Request, RequestError, ResponseCode,
};
use operation_pool::OperationPool;
use router::{Router, RouterConfig, RouterHandle, SyncPolicy, fork_context, status_message};
use runtime::{ShutdownHandle, SlotClock, WorkerPool};
use state_transition::block::BlockSignatures;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use storage::{ColumnsKept, Identity, Storage};
use types::*;

/// Slots of the chain: so many that some of them are final.
const LENGTH: u64 = 42;
/// A checkpoint: the block of this slot.
const CHECKPOINT: u64 = 24;
/// Slots without a block.
const EMPTY: std::ops::Range<u64> = 2..12;
/// Every third block carries a blob.
const BLOB_EVERY: u64 = 3;
/// Columns are kept for so many epochs.
const RETENTION_EPOCHS: u64 = 4;
const VALIDATORS: u64 = 17;
const ALL_GROUPS: u64 = 128;

/// A chain with blocks of a group and of solo validators.
struct History {
    spec: Arc<ChainSpec>,
    genesis: BeaconState<Minimal>,
    checkpoint: Anchor<Minimal>,
    blocks: Vec<SignedBeaconBlock<Minimal>>,
}

/// Of a blob in which all field elements are 1: the generator.
const COMMITMENT: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                          6c55e83ff97a1aeffb3af00adb22c6bb";

fn columns_of(block: &SignedBeaconBlock<Minimal>) -> Vec<DataColumnSidecar<Minimal>> {
    if block.message().body().blob_kzg_commitments().is_empty() {
        return Vec::new();
    }
    let mut bytes = vec![0; 131_072];
    for element in bytes.chunks_exact_mut(32) {
        element[31] = 1;
    }
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    let proofs = vec![KzgProof::new(infinity); 128];
    get_data_column_sidecars_from_block(block, &[Blob::<Minimal>::new(bytes).unwrap()], &proofs).unwrap()
}

impl History {
    fn new() -> Self {
        let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        spec.dvt_fork_epoch = Epoch::new(0);
        spec.min_epochs_for_data_column_sidecars_requests = RETENTION_EPOCHS;
        // Pauses are slots.
        spec.slot_duration_ms = 1000;
        let mut validators = vec![group_of(0, 3, 4, 512)];
        validators.extend((1..VALIDATORS).map(|validator| solo(validator, 128)));
        let mut chain = Chain::<Minimal>::new(&validators, Keys::new(VALIDATORS, &[0], 4), spec);
        let genesis = chain.state.clone();
        let (mut blocks, mut checkpoint) = (Vec::new(), None);
        for slot in 1..=LENGTH {
            let is_there = |_, at: Slot| !EMPTY.contains(&at.as_u64());
            let plan = BlockPlan {
                blob_kzg_commitments: match slot % BLOB_EVERY {
                    0 => vec![COMMITMENT.parse().unwrap()],
                    _ => Vec::new(),
                },
                ..BlockPlan::default()
            };
            let Some(block) = chain.step(&is_there, plan) else {
                continue;
            };
            if slot == CHECKPOINT {
                let (state, block) = (chain.state.clone(), block.clone());
                checkpoint = Some(Anchor { state, block });
            }
            blocks.push(block);
        }
        Self {
            spec: Arc::new(chain.spec),
            genesis,
            checkpoint: checkpoint.unwrap(),
            blocks,
        }
    }

    /// Blocks with blobs whose columns have to be kept.
    fn with_kept_columns(&self) -> Vec<&SignedBeaconBlock<Minimal>> {
        let from = (Slot::new(LENGTH).epoch::<Minimal>().as_u64() - RETENTION_EPOCHS) * Minimal::slots_per_epoch();
        let has_blobs = |block: &&SignedBeaconBlock<Minimal>| !block.message().body().blob_kzg_commitments().is_empty();
        let blocks = self.blocks.iter().filter(has_blobs);
        blocks.filter(|block| block.slot().as_u64() >= from).collect()
    }
}

struct Node {
    chain: Arc<BeaconChain<Minimal>>,
    intake: Arc<Intake<Minimal>>,
    network: NetworkHandle,
    _router: RouterHandle,
    _shutdown: ShutdownHandle,
    _dir: tempfile::TempDir,
}

impl Node {
    async fn start(history: &History, anchor: Anchor<Minimal>, group_count: u64) -> Self {
        let clock = SlotClock::manual(history.genesis.genesis_time(), &history.spec);
        clock.set_slot(Slot::new(LENGTH));
        // A checkpoint comes without the columns of its block.
        let from = anchor.block.slot().saturating_add(1u64);
        let config = ChainConfig {
            spec: Arc::clone(&history.spec),
            clock,
            storage: Arc::new(Storage::in_memory(Identity::of(&history.genesis)).unwrap()),
            execution_layer: None,
            workers: WorkerPool::start(2).unwrap(),
        };
        let chain = BeaconChain::from_anchor(config, anchor).unwrap();
        let kept = ColumnsKept { group_count, from };
        chain.storage().put_columns_kept(kept).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = NetworkConfig::new(dir.path().to_path_buf());
        config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        config.port = 0;
        config.disable_discovery = true;
        config.custody_group_count = group_count;
        let forks = fork_context(chain.spec(), chain.genesis_validators_root(), chain.current_epoch());
        let registry = prometheus::Registry::new();
        let (network, events) = NetworkService::start(config, forks, status_message(&chain), &registry)
            .await
            .unwrap();
        let (shutdown, end) = ShutdownHandle::new();
        let pool = Arc::new(OperationPool::new());
        let (sender, outgoing) = runtime::channel("outgoing", 64);
        let custody = Custody::of_node::<Minimal>(network.node_id(), group_count, chain.spec()).unwrap();
        let gossip = Arc::new(GossipValidator::new(Arc::clone(&chain)));
        let intake = Intake::new(gossip, Arc::clone(&pool), sender, custody);
        let proposals = Proposals::new(Arc::clone(&intake), BlockProducer::new(Arc::clone(&chain), pool));
        let config = RouterConfig {
            network: network.clone(),
            events,
            intake: Arc::clone(&intake),
            proposals,
            outgoing,
            subscribe_all_subnets: false,
            sync_policy: SyncPolicy::default(),
            backfill_to_genesis: false,
        };
        let router = Router::start(config, end).await;
        Self {
            chain,
            intake,
            network,
            _router: router,
            _shutdown: shutdown,
            _dir: dir,
        }
    }

    /// A node that has been there from the start, with all columns.
    async fn old(history: &History, change: impl Fn(SignedBeaconBlock<Minimal>) -> SignedBeaconBlock<Minimal>) -> Self {
        let node = Self::start(history, Anchor::genesis(history.genesis.clone()).unwrap(), ALL_GROUPS).await;
        for block in &history.blocks {
            for column in columns_of(block) {
                node.intake.store_column(block.block_root(), &column);
            }
            let block = Arc::new(change(block.clone()));
            // It has verified them long ago.
            node.chain.process_block(block, BlockSignatures::None).await.unwrap();
        }
        node.network.set_status(status_message(&node.chain)).await.unwrap();
        assert!(node.chain.head().finalized_checkpoint.epoch > Epoch::new(2));
        node
    }

    async fn connect(&self, other: &Self) {
        let addresses = other.network.identity().p2p_addresses;
        let tcp = addresses.iter().find(|address| address.to_string().contains("/tcp/"));
        self.network.connect(tcp.unwrap().clone()).await.unwrap();
    }

    fn oldest(&self) -> Slot {
        self.chain.storage().oldest_block().unwrap().unwrap().0
    }

    fn columns(&self, block: &SignedBeaconBlock<Minimal>) -> BTreeSet<ColumnIndex> {
        let indices = self.chain.storage().data_column_indices(&block.block_root()).unwrap();
        indices.into_iter().collect()
    }

    fn columns_from(&self) -> Slot {
        self.chain.columns_available_from().unwrap()
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(),
        "{what}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_begins_at_a_checkpoint_gets_what_came_before_with_the_columns_that_have_to_be_kept() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = Node::start(&history, history.checkpoint.clone(), 4).await;
    assert_eq!(
        status_message(&node.chain).earliest_available_slot,
        Some(Slot::new(CHECKPOINT + 1))
    );
    node.connect(&old).await;
    let head = history.blocks.last().unwrap().block_root();
    eventually("the head is reached", || node.chain.head().root == head).await;
    eventually("the genesis is reached", || node.oldest() == Slot::new(0)).await;
    for block in &history.blocks {
        let stored = node.chain.get_block(&block.block_root()).unwrap().unwrap();
        assert_eq!(*stored, *block);
        assert_eq!(
            node.chain.canonical_root_at(block.slot()).unwrap(),
            Some(block.block_root())
        );
    }
    let kept_from = node.chain.columns_served_from();
    eventually("the columns are complete", || node.columns_from() <= kept_from).await;
    let custody = node.intake.custody().columns;
    assert_eq!(custody.len(), 8, "as many as are sampled");
    for block in &history.blocks {
        let has_blobs = !block.message().body().blob_kzg_commitments().is_empty();
        let expected = match has_blobs && block.slot() >= kept_from {
            true => custody.clone(),
            false => BTreeSet::new(),
        };
        assert_eq!(node.columns(block), expected, "slot {}", block.slot());
    }
    let before = history
        .with_kept_columns()
        .iter()
        .filter(|block| block.slot().as_u64() < CHECKPOINT)
        .count();
    assert!(before > 0, "or nothing was tried");
    assert_eq!(status_message(&node.chain).earliest_available_slot, Some(Slot::new(0)));
    // Columns that nobody has to keep are not to be had, and that is said.
    let request = Request::DataColumnsByRange(DataColumnsByRangeRequest {
        start_slot: Slot::new(0),
        count: kept_from.as_u64(),
        columns: vec![0].try_into().unwrap(),
    });
    let answer = node
        .network
        .request(old.network.identity().peer_id, request)
        .await
        .unwrap();
    assert!(matches!(
        answer.collect().await.unwrap_err(),
        RequestError::Rejected {
            code: ResponseCode::ResourceUnavailable,
            ..
        }
    ));
    // A state from before the checkpoint cannot be had without one to begin with.
    let early = history.blocks.first().unwrap().block_root();
    assert_eq!(node.chain.state_after_block(&early).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_old_blocks_follow_when_custody_grows() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let node = Node::start(&history, history.checkpoint.clone(), 4).await;
    node.connect(&old).await;
    let kept_from = node.chain.columns_served_from();
    eventually("the columns are complete", || node.columns_from() <= kept_from).await;
    let all = Custody::of_node::<Minimal>(node.network.node_id(), ALL_GROUPS, node.chain.spec()).unwrap();
    let now = Slot::new(LENGTH);
    node.intake.raise_custody(now, all);
    let kept = ColumnsKept {
        group_count: ALL_GROUPS,
        from: now,
    };
    node.chain.storage().put_columns_kept(kept).unwrap();
    eventually("all columns are complete", || node.columns_from() <= kept_from).await;
    for block in history
        .with_kept_columns()
        .into_iter()
        .filter(|block| block.slot() < now)
    {
        assert_eq!(node.columns(block).len(), 128, "slot {}", block.slot());
    }
}

/// The hash of a block says nothing of its signature.
fn forged(block: SignedBeaconBlock<Minimal>) -> SignedBeaconBlock<Minimal> {
    let signature = bls::INFINITY_SIGNATURE;
    let (signers, proofs) = (block.signers(), SchemeProofs::empty());
    match block.slot() == Slot::new(15) {
        true => SignedBeaconBlock::from_parts(block.message().cloned(), signature, signers, proofs),
        false => block,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_block_whose_signature_is_forged_is_not_kept() {
    let history = History::new();
    let forger = Node::old(&history, forged).await;
    let node = Node::start(&history, history.checkpoint.clone(), 4).await;
    node.connect(&forger).await;
    let root = history
        .blocks
        .iter()
        .find(|block| block.slot() == Slot::new(15))
        .unwrap()
        .block_root();
    let wait = async {
        loop {
            let peers = node.network.peers().await.unwrap();
            if peers.iter().any(|peer| peer.score < -1.0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    assert!(node.oldest() > Slot::new(15));
    assert_eq!(node.chain.get_block(&root).unwrap(), None);
    let honest = Node::old(&history, |block| block).await;
    node.connect(&honest).await;
    eventually("the genesis is reached", || node.oldest() == Slot::new(0)).await;
    let kept = node.chain.get_block(&root).unwrap().unwrap();
    assert_eq!(
        Some(&*kept),
        history.blocks.iter().find(|block| block.slot() == Slot::new(15))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_begins_at_genesis_gets_the_columns_with_the_blocks() {
    let history = History::new();
    let old = Node::old(&history, |block| block).await;
    let genesis = Anchor::genesis(history.genesis.clone()).unwrap();
    let node = Node::start(&history, genesis, 4).await;
    node.connect(&old).await;
    let head = history.blocks.last().unwrap().block_root();
    eventually("the head is reached", || node.chain.head().root == head).await;
    let custody = node.intake.custody().columns;
    for block in history.with_kept_columns() {
        assert_eq!(node.columns(block), custody, "slot {}", block.slot());
    }
}
