//! A node on loopback with a chain that tests grow, and a client of its API.

use beacon_api::{BeaconClient, ClientConfig};
use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use block_production::BlockProducer;
use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use gossip_validation::GossipValidator;
use group_duties::Proposals;
use http_api::{ApiContext, ApiSettings, serve};
use http_server::Listener;
use intake::{Custody, Intake};
use network::{BootNode, NetworkConfig, NetworkService};
use operation_pool::OperationPool;
use router::{Router, RouterConfig, SyncPolicy, fork_context, status_message};
use runtime::{ShutdownHandle, SlotClock, WorkerPool};
use state_transition::block::BlockSignatures;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use storage::{Identity, Storage};
use types::*;

/// The validator that is a group of seven keys, of which five must sign.
pub(crate) const GROUP: u64 = 0;
pub(crate) const KEYS: u64 = 7;
/// The group's key that is its registry key, too.
pub(crate) const KEPT_KEY: u8 = 6;
pub(crate) const VALIDATORS: u64 = 33;

pub(crate) fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

pub(crate) struct Node {
    pub(crate) producer: Chain<Minimal>,
    pub(crate) chain: Arc<BeaconChain<Minimal>>,
    pub(crate) intake: Arc<Intake<Minimal>>,
    pub(crate) client: BeaconClient,
    pub(crate) url: String,
    pub(crate) shutdown: ShutdownHandle,
    pub(crate) server: tokio::task::JoinHandle<()>,
    clock: SlotClock,
    _dir: tempfile::TempDir,
}

impl Node {
    /// A chain of the latest fork, with a group.
    pub(crate) async fn with_group() -> Self {
        Self::start(ForkName::Dvt, ApiSettings::default()).await
    }

    /// A node that is the whole network.
    pub(crate) async fn start(fork: ForkName, settings: ApiSettings) -> Self {
        let policy = SyncPolicy {
            may_be_alone: true,
            ..SyncPolicy::default()
        };
        Self::start_with(fork, settings, policy, None).await
    }

    /// A node that connects to another one.
    pub(crate) async fn start_with(
        fork: ForkName,
        settings: ApiSettings,
        sync_policy: SyncPolicy,
        peer: Option<&Self>,
    ) -> Self {
        let mut spec = ChainSpec::minimal();
        spec.electra_fork_epoch = Epoch::new(0);
        spec.fulu_fork_epoch = Epoch::new(0);
        // Whoever is there may leave at once.
        spec.shard_committee_period = 0;
        let mut first = match fork {
            ForkName::Fulu => solo(GROUP, 2048),
            ForkName::Dvt => group_of(GROUP, 5, KEYS, 2048),
        };
        if let Some(group) = &mut first.group {
            // It was solo once and has kept its key.
            group.keys[usize::from(KEPT_KEY)] = VirtualKey::bls(first.pubkey);
        }
        if fork == ForkName::Dvt {
            spec.dvt_fork_epoch = Epoch::new(0);
        }
        let mut validators = vec![first];
        validators.extend((1..VALIDATORS).map(|validator| solo(validator, 256)));
        let groups: &[u64] = if fork == ForkName::Dvt { &[GROUP] } else { &[] };
        // One more key may join the group.
        let producer = Chain::new(&validators, Keys::new(VALIDATORS, groups, KEYS + 1), spec);
        let anchor = Anchor::genesis(producer.state.clone()).unwrap();
        Self::begin_with(producer, anchor, settings, sync_policy, peer).await
    }

    /// A node whose chain begins with a block of the producer's.
    pub(crate) async fn begin_with(
        producer: Chain<Minimal>,
        anchor: Anchor<Minimal>,
        settings: ApiSettings,
        sync_policy: SyncPolicy,
        peer: Option<&Self>,
    ) -> Self {
        let clock = SlotClock::manual(producer.state.genesis_time(), &producer.spec);
        let config = ChainConfig {
            spec: Arc::new(producer.spec.clone()),
            clock: clock.clone(),
            storage: Arc::new(Storage::in_memory(Identity::of(&producer.state)).unwrap()),
            execution_layer: None,
            workers: WorkerPool::start(2).unwrap(),
        };
        clock.set_slot(producer.state.slot());
        let chain = BeaconChain::from_anchor(config, anchor).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let mut network_config = NetworkConfig::new(dir.path().to_path_buf());
        network_config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        network_config.port = 0;
        network_config.disable_discovery = true;
        if let Some(peer) = peer {
            let addresses = peer.client.identity().await.unwrap().p2p_addresses;
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            network_config.boot_nodes = addresses.map(BootNode::Multiaddr).collect();
        }
        let forks = fork_context(chain.spec(), chain.genesis_validators_root(), Epoch::new(0));
        let registry = prometheus::Registry::new();
        let (network, events) = NetworkService::start(network_config, forks, status_message(&chain), &registry)
            .await
            .unwrap();
        let (shutdown, end) = ShutdownHandle::new();
        let pool = Arc::new(OperationPool::new());
        let (sender, outgoing) = runtime::channel("outgoing", 64);
        let custody = Custody::of_node::<Minimal>(network.node_id(), 4, chain.spec()).unwrap();
        let gossip = Arc::new(GossipValidator::new(Arc::clone(&chain)));
        let intake = Intake::new(gossip, Arc::clone(&pool), sender, custody);
        let producer_of_blocks = || BlockProducer::new(Arc::clone(&chain), Arc::clone(&pool));
        let proposals = Proposals::new(Arc::clone(&intake), producer_of_blocks());
        let router = Router::start(
            RouterConfig {
                network: network.clone(),
                events,
                intake: Arc::clone(&intake),
                proposals: Arc::clone(&proposals),
                outgoing,
                subscribe_all_subnets: false,
                sync_policy,
                backfill_to_genesis: false,
            },
            end.clone(),
        )
        .await;
        let context = ApiContext {
            chain: Arc::clone(&chain),
            intake: Arc::clone(&intake),
            producer: Arc::new(producer_of_blocks()),
            proposals,
            network,
            router,
            settings,
        };
        let listener = Listener::bind("HTTP API", "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let url = format!("http://{}", listener.address());
        let server = tokio::spawn(serve(context, listener, end));
        Self {
            client: BeaconClient::new(&url, ClientConfig::default()).unwrap(),
            producer,
            chain,
            intake,
            url,
            shutdown,
            server,
            clock,
            _dir: dir,
        }
    }

    /// Everybody does everything until the block of a slot is imported.
    pub(crate) async fn run_to(&mut self, slot: u64) {
        while self.producer.state.slot() < Slot::new(slot) {
            self.step(&everybody).await;
        }
    }

    /// The next slot, with its block imported if there is one.
    pub(crate) async fn step(&mut self, is_there: chain_harness::Attendance<'_>) -> Option<SignedBeaconBlock<Minimal>> {
        self.step_with(is_there, BlockPlan::default()).await
    }

    /// The next slot, with a block of other contents.
    pub(crate) async fn step_with(
        &mut self,
        is_there: chain_harness::Attendance<'_>,
        plan: BlockPlan,
    ) -> Option<SignedBeaconBlock<Minimal>> {
        let block = self.producer.step(is_there, plan);
        self.clock.set_slot(self.producer.state.slot());
        if let Some(block) = &block {
            self.chain
                .process_block(Arc::new(block.clone()), BlockSignatures::All)
                .await
                .unwrap();
        }
        block
    }

    /// Lets the clock go on without a block.
    pub(crate) fn set_slot(&self, slot: u64) {
        self.clock.set_slot(Slot::new(slot));
    }

    /// Status and body of any path.
    pub(crate) async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Status and body of JSON that is handed in.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, serde_json::Value) {
        let response = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// The index of a key of the group.
pub(crate) fn key_of_group(key: u8) -> SignerIndex {
    SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
}
