//! A chain that is long enough for some of it to be final, and nodes on loopback that have it, or begin with some of it.

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use block_production::BlockProducer;
use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use data_columns::get_data_column_sidecars_from_block;
use gossip_validation::GossipValidator;
use group_duties::Proposals;
use intake::{Custody, Intake};
use network::{NetworkConfig, NetworkEvent, NetworkHandle, NetworkService};
use operation_pool::OperationPool;
use parking_lot::Mutex;
use router::{Router, RouterConfig, RouterHandle, SyncPolicy, fork_context, status_message};
use runtime::{ShutdownHandle, SlotClock, WorkerPool};
use state_transition::block::BlockSignatures;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use storage::{ColumnsKept, Identity, Storage};
use tokio::sync::mpsc;
use types::*;

/// Slots of the chain: so many that some of them are final.
pub(crate) const LENGTH: u64 = 42;
/// A checkpoint: the block of this slot.
pub(crate) const CHECKPOINT: u64 = 24;
/// Slots without a block.
const EMPTY: std::ops::Range<u64> = 2..12;
/// Slot of a block beside the chain.
pub(crate) const BESIDE: u64 = 31;
/// Every third block carries a blob.
const BLOB_EVERY: u64 = 3;
/// Columns are kept for so many epochs.
const RETENTION_EPOCHS: u64 = 4;
/// More blobs are allowed from this epoch on, behind the end of the chain: with another digest.
pub(crate) const NEXT_DIGEST_EPOCH: u64 = 7;
pub(crate) const VALIDATORS: u64 = 17;
pub(crate) const ALL_GROUPS: u64 = 128;

/// A chain with blocks of a group and of solo validators.
pub(crate) struct History {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) genesis: BeaconState<Minimal>,
    pub(crate) checkpoint: Anchor<Minimal>,
    pub(crate) blocks: Vec<SignedBeaconBlock<Minimal>>,
    /// Another block in a slot of the chain.
    pub(crate) beside: SignedBeaconBlock<Minimal>,
}

/// Of a blob in which all field elements are 1: the generator.
const COMMITMENT: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                          6c55e83ff97a1aeffb3af00adb22c6bb";

pub(crate) fn columns_of(block: &SignedBeaconBlock<Minimal>) -> Vec<DataColumnSidecar<Minimal>> {
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
    pub(crate) fn new() -> Self {
        let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        spec.dvt_fork_epoch = Epoch::new(0);
        spec.min_epochs_for_data_column_sidecars_requests = RETENTION_EPOCHS;
        // Pauses are slots.
        spec.slot_duration_ms = 1000;
        spec.blob_schedule = vec![BlobParameters {
            epoch: Epoch::new(NEXT_DIGEST_EPOCH),
            max_blobs_per_block: 12,
        }];
        let mut validators = vec![group_of(0, 3, 4, 512)];
        validators.extend((1..VALIDATORS).map(|validator| solo(validator, 128)));
        let mut chain = Chain::<Minimal>::new(&validators, Keys::new(VALIDATORS, &[0], 4), spec);
        let genesis = chain.state.clone();
        let (mut blocks, mut checkpoint, mut beside) = (Vec::new(), None, None);
        for slot in 1..=LENGTH {
            let is_there = |_, at: Slot| !EMPTY.contains(&at.as_u64());
            let plan = BlockPlan {
                blob_kzg_commitments: match slot % BLOB_EVERY {
                    0 => vec![COMMITMENT.parse().unwrap()],
                    _ => Vec::new(),
                },
                ..BlockPlan::default()
            };
            if slot == BESIDE {
                let other = BlockPlan {
                    vote_slots: 0,
                    ..BlockPlan::default()
                };
                beside = chain.build(&is_there, other);
            }
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
            beside: beside.unwrap(),
        }
    }

    /// Blocks with blobs whose columns have to be kept.
    pub(crate) fn with_kept_columns(&self) -> Vec<&SignedBeaconBlock<Minimal>> {
        let from = (Slot::new(LENGTH).epoch::<Minimal>().as_u64() - RETENTION_EPOCHS) * Minimal::slots_per_epoch();
        let has_blobs = |block: &&SignedBeaconBlock<Minimal>| !block.message().body().blob_kzg_commitments().is_empty();
        let blocks = self.blocks.iter().filter(has_blobs);
        blocks.filter(|block| block.slot().as_u64() >= from).collect()
    }
}

pub(crate) struct Node {
    pub(crate) chain: Arc<BeaconChain<Minimal>>,
    pub(crate) clock: SlotClock,
    pub(crate) intake: Arc<Intake<Minimal>>,
    pub(crate) network: NetworkHandle,
    registry: prometheus::Registry,
    _router: RouterHandle,
    _shutdown: ShutdownHandle,
    _dir: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn start(history: &History, anchor: Anchor<Minimal>, group_count: u64) -> Self {
        let clock = SlotClock::manual(history.genesis.genesis_time(), &history.spec);
        clock.set_slot(Slot::new(LENGTH));
        // A checkpoint comes without the columns of its block.
        let from = anchor.block.slot().saturating_add(1u64);
        let config = ChainConfig {
            spec: Arc::clone(&history.spec),
            clock: clock.clone(),
            storage: Arc::new(Storage::in_memory(Identity::of(&history.genesis)).unwrap()),
            execution_layer: None,
            workers: WorkerPool::start(2).unwrap(),
        };
        let chain = BeaconChain::from_anchor(config, anchor).unwrap();
        let kept = ColumnsKept { group_count, from };
        chain.storage().put_columns_kept(kept).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let registry = prometheus::Registry::new();
        let (network, events) = start_network(&chain, group_count, &dir, &registry).await;
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
            clock,
            intake,
            network,
            registry,
            _router: router,
            _shutdown: shutdown,
            _dir: dir,
        }
    }

    /// A node that has been there from the start, with all columns.
    pub(crate) async fn old(
        history: &History,
        change: impl Fn(SignedBeaconBlock<Minimal>) -> SignedBeaconBlock<Minimal>,
    ) -> Self {
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

    pub(crate) async fn connect(&self, other: &Self) {
        self.connect_to(&other.network).await;
    }

    pub(crate) async fn connect_to(&self, other: &NetworkHandle) {
        let addresses = other.identity().p2p_addresses;
        let tcp = addresses.iter().find(|address| address.to_string().contains("/tcp/"));
        self.network.connect(tcp.unwrap().clone()).await.unwrap();
    }

    /// Requests of a kind that this node has made.
    pub(crate) fn requests(&self, kind: &str) -> u64 {
        let families = self.registry.gather();
        let requests = families
            .iter()
            .filter(|family| family.name() == "libp2p_rpc_requests_total");
        let mut counters = requests.flat_map(|family| family.get_metric());
        let of_kind = counters.find(|counter| counter.get_label().iter().any(|label| label.value() == kind));
        of_kind.map_or(0, |counter| counter.get_counter().get_value() as u64)
    }

    pub(crate) fn oldest(&self) -> Slot {
        self.chain.storage().oldest_block().unwrap().unwrap().0
    }

    pub(crate) fn columns(&self, block: &SignedBeaconBlock<Minimal>) -> BTreeSet<ColumnIndex> {
        let indices = self.chain.storage().data_column_indices(&block.block_root()).unwrap();
        indices.into_iter().collect()
    }

    pub(crate) fn columns_from(&self) -> Slot {
        self.chain.columns_available_from().unwrap()
    }
}

async fn start_network(
    chain: &Arc<BeaconChain<Minimal>>,
    group_count: u64,
    dir: &tempfile::TempDir,
    registry: &prometheus::Registry,
) -> (NetworkHandle, mpsc::Receiver<NetworkEvent>) {
    let mut config = NetworkConfig::new(dir.path().to_path_buf());
    config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.port = 0;
    config.disable_discovery = true;
    config.custody_group_count = group_count;
    let forks = fork_context(chain.spec(), chain.genesis_validators_root(), chain.current_epoch());
    let started = NetworkService::start(config, forks, status_message(chain), registry);
    started.await.unwrap()
}

/// A peer that says where it is, and that it keeps all columns, and answers no request. It keeps those that it gets.
pub(crate) struct Silent {
    pub(crate) network: NetworkHandle,
    pub(crate) requests: Arc<Mutex<Vec<NetworkEvent>>>,
    _dir: tempfile::TempDir,
}

impl Silent {
    /// It says of itself what another says.
    pub(crate) async fn start(like: &Node) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (network, mut events) = start_network(&like.chain, ALL_GROUPS, &dir, &prometheus::Registry::new()).await;
        let requests: Arc<Mutex<Vec<NetworkEvent>>> = Arc::default();
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if matches!(event, NetworkEvent::Request { .. }) {
                    kept.lock().push(event);
                }
            }
        });
        Self {
            network,
            requests,
            _dir: dir,
        }
    }
}

pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
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

/// Slot of a block with a blob.
pub(crate) const FORGED: u64 = 15;

/// The hash of a block says nothing of its signature.
pub(crate) fn forged(block: SignedBeaconBlock<Minimal>) -> SignedBeaconBlock<Minimal> {
    let signature = bls::INFINITY_SIGNATURE;
    let (signers, proofs) = (block.signers(), SchemeProofs::empty());
    match block.slot() == Slot::new(FORGED) {
        true => SignedBeaconBlock::from_parts(block.message().cloned(), signature, signers, proofs),
        false => block,
    }
}
