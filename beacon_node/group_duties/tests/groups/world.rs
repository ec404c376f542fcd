//! Seven nodes in one process, one key of a 5-of-7 group on each, every node with its own execution client. What a node
//! publishes reaches the others at once. Clients do what any client does: ask for a block, sign it, hand it in.

use beacon_api::{BroadcastValidation, GroupBlockEvent, SignedProducedBlock};
use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use block_production::{BlockProducer, BlockRequest, Parent};
use chain_harness::{Keys, group_of, solo};
use execution_layer::{ExecutionConfig, ExecutionLayer, JwtSecret};
use gossip_validation::GossipValidator;
use group_duties::{ProduceError, Proposals};
use intake::{Custody, Intake, Outgoing};
use mock_execution::{GenesisParameters, MockConfig, MockExecution};
use operation_pool::OperationPool;
use runtime::{Receiver, SlotClock, WorkerPool};
use state_transition::block::header::block_signing_root;
use state_transition::dvt::accessors::get_signer_key;
use state_transition::genesis::{genesis_block, genesis_state};
use state_transition::helpers::accessors::{get_beacon_proposer_index_at_slot, get_domain};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use storage::{Identity, Storage};
use tokio::sync::broadcast;
use types::constants::DOMAIN_RANDAO;
use types::*;

pub(crate) const GROUP: u64 = 0;
pub(crate) const MEMBERS: u8 = 7;
pub(crate) const SECRET: JwtSecret = JwtSecret::new([7; 32]);
pub(crate) const GENESIS_TIME: u64 = 1_700_000_000;
pub(crate) const FEES: ExecutionAddress = ExecutionAddress::repeat_byte(0xfe);

pub(crate) struct Node {
    pub(crate) chain: Arc<BeaconChain<Minimal>>,
    pub(crate) intake: Arc<Intake<Minimal>>,
    pub(crate) proposals: Arc<Proposals<Minimal>>,
    pub(crate) layer: Arc<ExecutionLayer>,
    pub(crate) mock: MockExecution,
}

pub(crate) struct World {
    pub(crate) nodes: Arc<Vec<Node>>,
    pub(crate) keys: Keys,
    pub(crate) clock: SlotClock,
    /// State at genesis.
    pub(crate) state: BeaconState<Minimal>,
    pub(crate) spec: Arc<ChainSpec>,
}

async fn node(
    spec: &Arc<ChainSpec>,
    clock: &SlotClock,
    state: &BeaconState<Minimal>,
    custody: Custody,
) -> (Node, Receiver<Outgoing<Minimal>>) {
    let genesis = mock_execution::genesis_block(&GenesisParameters::at(GENESIS_TIME));
    let mock = MockExecution::start(MockConfig::new(*SECRET.as_bytes(), genesis))
        .await
        .unwrap();
    let layer = Arc::new(ExecutionLayer::new(ExecutionConfig::new(mock.url(), SECRET)).unwrap());
    layer.prepare_proposers(Epoch::new(0), (0..17).map(|index| (ValidatorIndex::new(index), FEES)));
    let config = ChainConfig {
        spec: Arc::clone(spec),
        clock: clock.clone(),
        storage: Arc::new(Storage::in_memory(Identity::of(state)).unwrap()),
        execution_layer: Some(Arc::clone(&layer)),
        workers: WorkerPool::start(1).unwrap(),
    };
    let chain = BeaconChain::from_anchor(config, Anchor::genesis(state.clone()).unwrap()).unwrap();
    let pool = Arc::new(OperationPool::new());
    let gossip = Arc::new(GossipValidator::new(Arc::clone(&chain)));
    let (sender, outgoing) = runtime::channel("outgoing", 64);
    let intake = Intake::new(gossip, Arc::clone(&pool), sender, custody);
    let producer = BlockProducer::new(Arc::clone(&chain), pool);
    let proposals = Proposals::new(Arc::clone(&intake), producer);
    let node = Node {
        chain,
        intake,
        proposals,
        layer,
        mock,
    };
    (node, outgoing)
}

/// What a node does with what it hears. What it refuses is not the concern of who said it.
async fn deliver(node: &Node, message: Outgoing<Minimal>) {
    match message {
        Outgoing::DataColumn(column) => {
            let intake = Arc::clone(&node.intake);
            if let Ok(verified) = intake.receive_data_column(column, None).await {
                tokio::spawn(async move {
                    if let Some(complete) = intake.complete(&verified.block_root).await {
                        let _ = intake.import(complete).await;
                    }
                });
            }
        }
        Outgoing::Block(block) => {
            let intake = Arc::clone(&node.intake);
            if let Ok(verified) = intake.receive_block(block).await {
                tokio::spawn(async move { intake.import(verified).await });
            }
        }
        Outgoing::GroupProposal(block) => {
            let _ = node.proposals.receive_proposal(block).await;
        }
        Outgoing::GroupSignature(header) => {
            let _ = node.proposals.receive_signature(*header).await;
        }
        other => panic!("nobody publishes {other:?} here"),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ChainSpec)) -> Self {
        Self::with_columns(change, |_| BTreeSet::new(), |_, _| true).await
    }

    /// With the columns that each node keeps, and those that reach it.
    pub(crate) async fn with_columns(
        change: impl FnOnce(&mut ChainSpec),
        custody: impl Fn(usize) -> BTreeSet<ColumnIndex>,
        reaches: fn(usize, ColumnIndex) -> bool,
    ) -> Self {
        let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        spec.dvt_fork_epoch = Epoch::new(0);
        change(&mut spec);
        let mut validators = vec![group_of(GROUP, 5, u64::from(MEMBERS), 2048)];
        validators.extend((1..17).map(|validator| solo(validator, 128)));
        let genesis = mock_execution::genesis_block(&GenesisParameters::at(GENESIS_TIME));
        let header = genesis.to_payload_header::<Minimal>().unwrap();
        let mut state = genesis_state(GENESIS_TIME, &validators, header, &spec).unwrap();
        genesis_block(&mut state).unwrap();
        let clock = SlotClock::manual(GENESIS_TIME, &spec);
        let spec = Arc::new(spec);
        let (mut nodes, mut queues) = (Vec::new(), Vec::new());
        for number in 0..usize::from(MEMBERS) {
            let columns = custody(number);
            let (node, outgoing) = node(&spec, &clock, &state, Custody { columns }).await;
            nodes.push(node);
            queues.push(outgoing);
        }
        let nodes = Arc::new(nodes);
        for (from, mut outgoing) in queues.into_iter().enumerate() {
            let nodes = Arc::clone(&nodes);
            tokio::spawn(async move {
                while let Some(message) = outgoing.recv().await {
                    for (to, node) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
                        let is_lost = matches!(&message, Outgoing::DataColumn(column) if !reaches(to, column.index()));
                        if !is_lost {
                            deliver(node, message.clone()).await;
                        }
                    }
                }
            });
        }
        Self {
            nodes,
            keys: Keys::new(17, &[GROUP], u64::from(MEMBERS)),
            clock,
            state,
            spec,
        }
    }

    /// The first slot in which the group proposes, or somebody else.
    pub(crate) fn slot_of(&self, wants_group: bool) -> (Slot, ValidatorIndex) {
        (1..8)
            .map(Slot::new)
            .map(|slot| (slot, self.proposer(slot)))
            .find(|(_, proposer)| (proposer.as_u64() == GROUP) == wants_group)
            .unwrap()
    }

    pub(crate) fn proposer(&self, slot: Slot) -> ValidatorIndex {
        get_beacon_proposer_index_at_slot(&self.state, slot).unwrap()
    }

    pub(crate) fn leader(&self, slot: Slot, rank: u8) -> u8 {
        let proposer = ValidatorIndex::new(GROUP);
        state_transition::dvt::leaders::get_leader_key_index(&self.state, proposer, slot, rank)
            .unwrap()
            .unwrap()
    }

    pub(crate) fn signer(&self, key: u8) -> SignerIndex {
        SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
    }

    pub(crate) fn sign(&self, signer: SignerIndex, root: Root) -> SignatureBytes {
        let key = get_signer_key(&self.state, signer, Epoch::new(0)).unwrap();
        self.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes()
    }

    pub(crate) fn request(&self, slot: Slot, signer: SignerIndex) -> BlockRequest {
        let domain = get_domain(&self.state, DOMAIN_RANDAO, Some(Epoch::new(0)));
        BlockRequest {
            slot,
            proposer: None,
            randao_reveal: self.sign(signer, compute_signing_root(&Epoch::new(0), domain)),
            randao_proof: Vec::new(),
            verify_randao: true,
            graffiti: Hash32::repeat_byte(1),
            parent: Parent::ProposerHead,
        }
    }

    /// The block that a node gives a client in a slot, signed, and its root.
    pub(crate) async fn signed_block(
        &self,
        node: usize,
        slot: Slot,
        signer: SignerIndex,
    ) -> Result<(SignedProducedBlock<Minimal>, Root), ProduceError> {
        let proposals = &self.nodes[node].proposals;
        let produced = proposals.produce(self.request(slot, signer)).await?.data;
        let root = produced.block_root();
        let signature = self.sign(signer, block_signing_root(&self.state, slot, root));
        Ok((produced.sign(signature, SchemeProofs::default()), root))
    }

    /// What a client does in a slot. Gives the block that it signed, and whether it was its own.
    pub(crate) async fn client(
        &self,
        node: usize,
        slot: Slot,
        signer: SignerIndex,
    ) -> Result<(Root, bool), ProduceError> {
        let (signed, root) = self.signed_block(node, slot, signer).await?;
        let is_own = matches!(signed, SignedProducedBlock::Full(_));
        let proposals = &self.nodes[node].proposals;
        proposals.publish(signed, BroadcastValidation::Gossip).await.unwrap();
        Ok((root, is_own))
    }

    /// The clients of some members, at the same time.
    pub(crate) async fn members(
        &self,
        slot: Slot,
        keys: impl IntoIterator<Item = u8>,
    ) -> Vec<Result<(Root, bool), ProduceError>> {
        let clients = keys
            .into_iter()
            .map(|key| self.client(usize::from(key), slot, self.signer(key)));
        futures::future::join_all(clients).await
    }

    pub(crate) fn subscribe(&self, node: usize) -> broadcast::Receiver<GroupBlockEvent> {
        self.nodes[node].proposals.subscribe()
    }

    /// Waits until all nodes have a block as head.
    pub(crate) async fn all_follow(&self, root: Root) {
        let wait = async {
            while self.nodes.iter().any(|node| node.chain.head().root != root) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    }

    /// Goes on with the time, a tenth of a second at a time, until all nodes have a block as head.
    pub(crate) async fn all_follow_in_time(&self, root: Root) {
        let time = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.clock.set_ms(self.clock.now_ms() + 100);
            }
        };
        tokio::select! {
            () = self.all_follow(root) => {}
            () = time => {}
        }
    }

    pub(crate) fn set_into_slot(&self, slot: Slot, twelfths: u64) {
        let into = self.spec.slot_duration_ms * twelfths / 12;
        self.clock.set_ms(self.clock.slot_start_ms(slot) + into + 1);
    }
}

pub(crate) fn everybody() -> impl Iterator<Item = u8> {
    0..MEMBERS
}
