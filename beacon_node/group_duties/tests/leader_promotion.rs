//! Seven nodes in one process, one key of a 5-of-7 group on each, every node with its own execution client. What a node
//! publishes reaches the others at once. Clients do what any client does: ask for a block, sign it, hand it in.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use beacon_api::{BroadcastValidation, GroupBlockEvent, ProducedBlock};
use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use block_production::{BlockProducer, BlockRequest, Parent};
use chain_harness::{Keys, group_of, solo};
use execution_layer::{ExecutionConfig, ExecutionLayer, JwtSecret};
use gossip_validation::GossipValidator;
use group_duties::{ProduceError, Proposals};
use intake::{Accepted, Custody, Intake, Outgoing};
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
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_RANDAO;
use types::*;

const GROUP: u64 = 0;
const MEMBERS: u8 = 7;
const SECRET: JwtSecret = JwtSecret::new([7; 32]);
const GENESIS_TIME: u64 = 1_700_000_000;
const FEES: ExecutionAddress = ExecutionAddress::repeat_byte(0xfe);

struct Node {
    chain: Arc<BeaconChain<Minimal>>,
    intake: Arc<Intake<Minimal>>,
    proposals: Arc<Proposals<Minimal>>,
    layer: Arc<ExecutionLayer>,
    mock: MockExecution,
}

struct World {
    nodes: Arc<Vec<Node>>,
    keys: Keys,
    clock: SlotClock,
    /// State at genesis.
    state: BeaconState<Minimal>,
    spec: Arc<ChainSpec>,
}

async fn node(
    spec: &Arc<ChainSpec>,
    clock: &SlotClock,
    state: &BeaconState<Minimal>,
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
    let custody = Custody {
        columns: BTreeSet::new(),
    };
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
        Outgoing::Block(block) => {
            if let Ok(verified) = node.intake.receive_block(block).await {
                let _ = node.intake.import(verified).await;
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
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ChainSpec)) -> Self {
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
        for _ in 0..MEMBERS {
            let (node, outgoing) = node(&spec, &clock, &state).await;
            nodes.push(node);
            queues.push(outgoing);
        }
        let nodes = Arc::new(nodes);
        for (from, mut outgoing) in queues.into_iter().enumerate() {
            let nodes = Arc::clone(&nodes);
            tokio::spawn(async move {
                while let Some(message) = outgoing.recv().await {
                    for (_, node) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
                        deliver(node, message.clone()).await;
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
    fn slot_of(&self, wants_group: bool) -> (Slot, ValidatorIndex) {
        (1..8)
            .map(Slot::new)
            .map(|slot| (slot, get_beacon_proposer_index_at_slot(&self.state, slot).unwrap()))
            .find(|(_, proposer)| (proposer.as_u64() == GROUP) == wants_group)
            .unwrap()
    }

    fn leader(&self, slot: Slot, rank: u8) -> u8 {
        let proposer = ValidatorIndex::new(GROUP);
        state_transition::dvt::leaders::get_leader_key_index(&self.state, proposer, slot, rank)
            .unwrap()
            .unwrap()
    }

    fn signer(&self, key: u8) -> SignerIndex {
        SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
    }

    fn sign(&self, signer: SignerIndex, root: Root) -> SignatureBytes {
        let key = get_signer_key(&self.state, signer, Epoch::new(0)).unwrap();
        self.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes()
    }

    fn request(&self, slot: Slot, signer: SignerIndex) -> BlockRequest {
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

    /// What a client does in a slot. Gives the block that it signed, and whether it was its own.
    async fn client(&self, node: usize, slot: Slot, signer: SignerIndex) -> Result<(Root, bool), ProduceError> {
        let proposals = &self.nodes[node].proposals;
        let produced = proposals.produce(self.request(slot, signer)).await?.data;
        let root = produced.block_root();
        let is_own = matches!(produced, ProducedBlock::Full(_));
        let signature = self.sign(signer, block_signing_root(&self.state, slot, root));
        let signed = produced.sign(signature, SchemeProofs::default());
        proposals.publish(signed, BroadcastValidation::Gossip).await.unwrap();
        Ok((root, is_own))
    }

    /// The clients of some members, at the same time.
    async fn members(&self, slot: Slot, keys: impl IntoIterator<Item = u8>) -> Vec<Result<(Root, bool), ProduceError>> {
        let clients = keys
            .into_iter()
            .map(|key| self.client(usize::from(key), slot, self.signer(key)));
        futures::future::join_all(clients).await
    }

    fn subscribe(&self, node: usize) -> broadcast::Receiver<GroupBlockEvent> {
        self.nodes[node].proposals.subscribe()
    }

    /// Waits until all nodes have a block as head.
    async fn all_follow(&self, root: Root) {
        let wait = async {
            while self.nodes.iter().any(|node| node.chain.head().root != root) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
    }

    fn set_into_slot(&self, slot: Slot, twelfths: u64) {
        let into = self.spec.slot_duration_ms * twelfths / 12;
        self.clock.set_ms(self.clock.slot_start_ms(slot) + into + 1);
    }
}

fn everybody() -> impl Iterator<Item = u8> {
    0..MEMBERS
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_leaders_block_is_signed_by_all_and_imported_by_all() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let mut events = world.subscribe(usize::from(leader));
    let mut accepted = world.nodes[usize::from(leader)].intake.subscribe();
    let signed: Vec<(Root, bool)> = world
        .members(slot, everybody())
        .await
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let root = signed[0].0;
    for (key, (signed_root, is_own)) in everybody().zip(&signed) {
        assert_eq!((*signed_root, *is_own), (root, key == leader), "key {key}");
    }
    world.all_follow(root).await;
    let event = events.recv().await.unwrap();
    assert_eq!((event.block, event.rank, event.threshold, event.size), (root, 0, 5, 7));
    assert_eq!(event.signers.len(), 5);
    let mut told = Signers::default();
    while told.num_set_bits() < 5 {
        if let Accepted::GroupSignature(header) = accepted.recv().await.unwrap() {
            assert_eq!(
                (header.message().tree_hash_root(), header.signers().num_set_bits()),
                (root, 1)
            );
            told = told.union(&header.signers());
        }
    }
    let block = world.nodes[0].chain.get_block(&root).unwrap().unwrap();
    assert_eq!(block.signers().num_set_bits(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_leader_takes_over_and_leaves_the_missing_reveal_out() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let (first, second) = (world.leader(slot, 0), world.leader(slot, 1));
    let mut events = world.subscribe(usize::from(second));
    let clients = world.members(slot, everybody().filter(|key| *key != first));
    let time = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(
            world.nodes.iter().all(|node| node.chain.head().slot() == 0u64.into()),
            "nobody proposes before its time"
        );
        world.set_into_slot(slot, 1);
    };
    let (signed, ()) = tokio::join!(clients, time);
    let root = signed[0].as_ref().unwrap().0;
    assert!(signed.iter().all(|signed| signed.as_ref().unwrap().0 == root));
    world.all_follow(root).await;
    assert_eq!(events.recv().await.unwrap().rank, 1);
    let block = world.nodes[0].chain.get_block(&root).unwrap().unwrap();
    assert_eq!(*block.message().body().randao_reveal(), bls::INFINITY_SIGNATURE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_pays_somebody_else_is_not_signed_and_does_not_hold_the_next_leader_back() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let first = world.leader(slot, 0);
    let thief = ExecutionAddress::repeat_byte(0xbb);
    world.nodes[usize::from(first)]
        .layer
        .prepare_proposers(Epoch::new(0), [(ValidatorIndex::new(GROUP), thief)]);
    let mut events = world.subscribe(usize::from(world.leader(slot, 1)));
    let clients = world.members(slot, everybody());
    let time = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.set_into_slot(slot, 1);
    };
    let (signed, ()) = tokio::join!(clients, time);
    let stolen = signed[usize::from(first)].as_ref().unwrap().0;
    let event = events.recv().await.unwrap();
    assert_eq!(event.rank, 1);
    assert_ne!(event.block, stolen);
    assert!(!event.signers.contains(&u64::from(first)));
    // The thief has not heard the other proposal: it gets the complete block, once a member's turn to publish it comes.
    world.set_into_slot(slot, 2);
    world.all_follow(event.block).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_below_the_threshold_is_no_block() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let four: Vec<u8> = std::iter::once(leader)
        .chain(everybody().filter(|key| *key != leader))
        .take(4)
        .collect();
    let signed = world.members(slot, four.iter().copied()).await;
    let root = signed[0].as_ref().unwrap().0;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(world.nodes.iter().all(|node| !node.chain.contains_block(&root)));
    // The fifth asks late, finds the proposal, and completes it.
    let fifth = everybody().find(|key| !four.contains(key)).unwrap();
    world.set_into_slot(slot, 2);
    let late = world.members(slot, [fifth]).await;
    assert_eq!(late[0].as_ref().unwrap().0, root);
    world.all_follow(root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_proposal_the_request_ends_at_the_cutoff_of_the_network() {
    let world = World::with(|spec| spec.leader_cutoff_bps = 5_000).await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leaders: Vec<u8> = (0..3).map(|rank| world.leader(slot, rank)).collect();
    let member = everybody().find(|key| !leaders.contains(key)).unwrap();
    let client = async {
        let outcome = world.members(slot, [member]).await;
        (outcome, world.clock.now_ms())
    };
    let time = async {
        for twelfths in [3, 6] {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.set_into_slot(slot, twelfths);
        }
    };
    let ((outcome, end), ()) = tokio::join!(client, time);
    let cutoff = world.clock.slot_start_ms(slot) + world.spec.slot_duration_ms / 2;
    assert_eq!(end, cutoff + 1);
    assert!(
        matches!(outcome[0], Err(ProduceError::NoProposal { .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_execution_client_cannot_judge_signs_nothing() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let blind = everybody().find(|key| *key != leader).unwrap();
    world.nodes[usize::from(blind)]
        .mock
        .set_faults(|faults| faults.syncing = true);
    let clients = world.members(slot, everybody());
    let time = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.set_into_slot(slot, 3);
    };
    let (signed, ()) = tokio::join!(clients, time);
    for (key, signed) in everybody().zip(&signed) {
        assert_eq!(signed.is_ok(), key != blind, "key {key}: {signed:?}");
    }
    let root = signed[usize::from(leader)].as_ref().unwrap().0;
    world.all_follow(root).await;
    assert!(world.nodes[usize::from(blind)].chain.head().execution_optimistic);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_nobody_is_told_so() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let stranger = SignerIndex::from(ValidatorIndex::new(3));
    let outcome = world.client(0, slot, stranger).await;
    assert!(matches!(outcome, Err(ProduceError::NotAMember { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_solo_proposers_block_leaves_by_the_same_door() {
    let world = World::new().await;
    let (slot, proposer) = world.slot_of(false);
    world.clock.set_slot(slot);
    let (root, is_own) = world.client(2, slot, SignerIndex::from(proposer)).await.unwrap();
    assert!(is_own);
    world.all_follow(root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_client_hung_up_while_its_block_was_built_may_ask_again() {
    let world = World::new().await;
    let (slot, _) = world.slot_of(true);
    world.clock.set_slot(slot);
    let leader = world.leader(slot, 0);
    let mock = &world.nodes[usize::from(leader)].mock;
    let ask = || world.client(usize::from(leader), slot, world.signer(leader));
    mock.set_faults(|faults| faults.delay = Duration::from_secs(2));
    let hung_up = tokio::time::timeout(Duration::from_millis(500), ask()).await;
    assert!(hung_up.is_err(), "the block is still being built");
    mock.set_faults(|faults| faults.delay = Duration::ZERO);
    let answer = tokio::time::timeout(Duration::from_secs(10), ask()).await;
    let (_, is_own) = answer.expect("it is built now").unwrap();
    assert!(is_own);
}
