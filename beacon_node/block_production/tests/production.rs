//! Blocks made by the producer alone, against the mock execution node.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use block_production::*;
use chain_harness::{Chain, Keys, group_of, solo};
use execution_layer::{ExecutionConfig, ExecutionLayer, JwtSecret};
use mock_execution::{GenesisParameters, MockConfig, MockExecution};
use operation_pool::OperationPool;
use runtime::{SlotClock, WorkerPool};
use state_transition::block::BlockSignatures;
use state_transition::dvt::accessors::{get_committee_seats, get_key_set, get_signer_key};
use state_transition::dvt::leaders::get_leader_key_index;
use state_transition::genesis::genesis_state;
use state_transition::helpers::accessors::{get_beacon_proposer_index, get_committee_count_per_slot, get_domain};
use std::sync::Arc;
use storage::{Identity, Storage};
use types::constants::*;
use types::*;

const GROUP: u64 = 0;
const SECRET: JwtSecret = JwtSecret::new([7; 32]);
const GENESIS_TIME: u64 = 1_700_000_000;
const FEES: ExecutionAddress = ExecutionAddress::repeat_byte(0xfe);

struct World {
    /// For its keys only.
    signers: Chain<Minimal>,
    chain: Arc<BeaconChain<Minimal>>,
    clock: SlotClock,
    producer: BlockProducer<Minimal>,
    mock: MockExecution,
}

impl World {
    async fn new(fork: ForkName) -> Self {
        let mut spec = ChainSpec::minimal();
        spec.electra_fork_epoch = Epoch::new(0);
        spec.fulu_fork_epoch = Epoch::new(0);
        let first = match fork {
            ForkName::Fulu => solo(GROUP, 2048),
            ForkName::Dvt => group_of(GROUP, 5, 7, 2048),
        };
        if fork == ForkName::Dvt {
            spec.dvt_fork_epoch = Epoch::new(0);
        }
        let mut validators = vec![first];
        validators.extend((1..33).map(|validator| solo(validator, 256)));
        let genesis = mock_execution::genesis_block(&GenesisParameters::at(GENESIS_TIME));
        let header = genesis.to_payload_header::<Minimal>().unwrap();
        let state = genesis_state(GENESIS_TIME, &validators, header, &spec).unwrap();
        let mock = MockExecution::start(MockConfig::new(*SECRET.as_bytes(), genesis))
            .await
            .unwrap();
        let execution_layer = Arc::new(ExecutionLayer::new(ExecutionConfig::new(mock.url(), SECRET)).unwrap());
        execution_layer.prepare_proposers(Epoch::new(0), (0..33).map(|index| (ValidatorIndex::new(index), FEES)));
        let clock = SlotClock::manual(GENESIS_TIME, &spec);
        let config = ChainConfig {
            spec: Arc::new(spec.clone()),
            clock: clock.clone(),
            storage: Arc::new(Storage::in_memory(Identity::of(&state)).unwrap()),
            execution_layer: Some(execution_layer),
            workers: WorkerPool::start(2).unwrap(),
        };
        let signers = Chain {
            spec,
            state: state.clone(),
            keys: Keys::new(33, &[GROUP], 7),
        };
        let chain = BeaconChain::from_anchor(config, Anchor::genesis(state).unwrap()).unwrap();
        let producer = BlockProducer::new(Arc::clone(&chain), Arc::new(OperationPool::new()));
        Self {
            signers,
            chain,
            clock,
            producer,
            mock,
        }
    }

    fn sign(&self, state: &BeaconState<Minimal>, signer: SignerIndex, root: Root) -> SignatureBytes {
        let key = get_signer_key(state, signer, state.current_epoch()).unwrap();
        self.signers.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes()
    }

    async fn state(&self, slot: Slot) -> Arc<BeaconState<Minimal>> {
        self.chain
            .state_at_slot(&self.chain.head().root, slot)
            .unwrap()
            .unwrap()
    }

    /// The request of the slot's proposer; of a group, that of its first leader.
    fn request(&self, state: &BeaconState<Minimal>) -> BlockRequest {
        let (slot, proposer) = (state.slot(), get_beacon_proposer_index(state).unwrap());
        let signer = match get_leader_key_index(state, proposer, slot, 0).unwrap() {
            Some(key) => SignerIndex::virtual_index(proposer, key).unwrap(),
            None => SignerIndex::from(proposer),
        };
        let root = compute_signing_root(&state.current_epoch(), get_domain(state, DOMAIN_RANDAO, None));
        BlockRequest {
            slot,
            proposer: Some(proposer),
            randao_reveal: self.sign(state, signer, root),
            randao_proof: Vec::new(),
            verify_randao: true,
            graffiti: Hash32::repeat_byte(1),
            parent: Parent::ProposerHead,
        }
    }

    /// Has all members sign, and imports.
    async fn import(&self, state: &BeaconState<Minimal>, block: BeaconBlock<Minimal>) {
        let mut signers = Signers::default();
        let key_set = get_key_set(state, block.proposer_index(), state.current_epoch()).unwrap();
        let keys = key_set.map_or(0, |key_set| key_set.keys.len());
        (0..keys).for_each(|key| signers.set(key, true).unwrap());
        let signed = self.signers.sign(state, block, signers);
        self.chain
            .process_block(Arc::new(signed), BlockSignatures::All)
            .await
            .unwrap();
    }

    /// Everybody votes, and the sync committee signs, for the node's view of the slot.
    async fn vote(&self, slot: Slot) {
        let data = self.producer.attestation_data(slot, 0).await.unwrap();
        let state = self.state(slot).await;
        let domain = get_domain(&state, DOMAIN_BEACON_ATTESTER, Some(data.target.epoch));
        let root = compute_signing_root(&data, domain);
        for committee_index in 0..get_committee_count_per_slot(&state, slot.epoch::<Minimal>()).unwrap() {
            let seats = get_committee_seats(&state, slot, committee_index).unwrap();
            for (seat, attester_index) in seats.iter().copied().enumerate() {
                let signature = self.sign(&state, attester_index, root);
                let vote = match types::ForkVersioned::fork_name(&*state) {
                    ForkName::Fulu => SingleAttestation::Fulu(SingleAttestationFulu {
                        committee_index,
                        attester_index,
                        data,
                        signature,
                    }),
                    ForkName::Dvt => SingleAttestation::Dvt(SingleAttestationDvt {
                        committee_index,
                        attester_index,
                        data,
                        signature,
                        proofs: SchemeProofs::empty(),
                    }),
                };
                self.producer
                    .pool()
                    .insert_attestation(&vote, BLS_SCHEME, seat, seats.len());
            }
        }
        let head = self.chain.head().root;
        let domain = get_domain(&state, DOMAIN_SYNC_COMMITTEE, Some(slot.epoch::<Minimal>()));
        let root = compute_signing_root(&head, domain);
        for (position, pubkey) in state.current_sync_committee().pubkeys.iter().enumerate() {
            let signature = self.signers.keys.get(pubkey).sign(&root).to_bytes();
            let (subcommittee, place) = (position / 8, position % 8);
            self.producer
                .pool()
                .insert_sync_message(slot, head, subcommittee as u64, place, signature);
        }
    }

    async fn slot(&self, slot: u64) -> BeaconBlock<Minimal> {
        let slot = Slot::new(slot);
        let prepared = self
            .producer
            .prepare_next_slot(slot.saturating_sub(1u64))
            .await
            .unwrap();
        assert_eq!(prepared.unwrap().proposal_slot, slot);
        self.clock.set_slot(slot);
        self.chain.recompute_head().await.unwrap();
        let state = self.state(slot).await;
        let produced = self.producer.produce_block(self.request(&state)).await.unwrap();
        self.import(&state, produced.block.clone()).await;
        assert!(!self.chain.head().execution_optimistic);
        self.vote(slot).await;
        produced.block
    }
}

async fn run_to_finality(fork: ForkName) {
    let world = World::new(fork).await;
    // The head of a new node is verified when the execution client is first told of it.
    for slot in 1..=32 {
        let block = world.slot(slot).await;
        let body = block.body();
        if slot > 1 {
            assert_eq!(
                body.attestations().len(),
                1,
                "all committees of slot {slot} in one attestation"
            );
            assert_eq!(body.sync_aggregate().sync_committee_bits.num_set_bits(), 32);
        }
        let fees = match body {
            BeaconBlockBodyRef::Fulu(body) => body.execution_payload.fee_recipient,
            BeaconBlockBodyRef::Dvt(body) => body.execution_payload.fee_recipient,
        };
        assert_eq!(fees, FEES);
    }
    let head = world.chain.head();
    assert_eq!(head.finalized_checkpoint.epoch, Epoch::new(2));
    assert_eq!(
        world.mock.forkchoice().head_block_hash,
        head.state.latest_execution_payload_header().block_hash
    );
}

#[tokio::test]
async fn chain_of_produced_blocks_finalises_with_a_group() {
    run_to_finality(ForkName::Dvt).await;
}

#[tokio::test]
async fn chain_of_produced_blocks_finalises_before_the_fork() {
    run_to_finality(ForkName::Fulu).await;
}

#[tokio::test]
async fn wrong_requests_make_no_block() {
    let world = World::new(ForkName::Dvt).await;
    world.slot(1).await;
    world.clock.set_slot(Slot::new(2));
    let state = world.state(Slot::new(2)).await;
    let right = world.request(&state);

    let mut wrong = right.clone();
    wrong.randao_reveal = bls::INFINITY_SIGNATURE;
    wrong.proposer = None;
    let is_group = get_beacon_proposer_index(&state).unwrap().as_u64() == GROUP;
    let result = world.producer.produce_block(wrong.clone()).await;
    // A group with more than half and less than all of its keys may leave the reveal out.
    assert_eq!(result.is_ok(), is_group);

    wrong = right.clone();
    wrong.proposer = Some(ValidatorIndex::new(77));
    let error = world.producer.produce_block(wrong.clone()).await.unwrap_err();
    assert!(matches!(error, ProductionError::Proposer { .. }), "{error}");

    wrong = right.clone();
    wrong.slot = Slot::new(1);
    let error = world.producer.produce_block(wrong.clone()).await.unwrap_err();
    assert!(matches!(error, ProductionError::Slot { .. }), "{error}");

    wrong = right.clone();
    wrong.parent = Parent::Block(Root::repeat_byte(5));
    let error = world.producer.produce_block(wrong).await.unwrap_err();
    assert!(matches!(error, ProductionError::UnknownParent(_)), "{error}");

    world.mock.set_faults(|faults| faults.offline = true);
    let error = world.producer.produce_block(right).await.unwrap_err();
    assert!(matches!(error, ProductionError::Engine(_)), "{error}");
}

#[tokio::test]
async fn data_of_a_committee_that_does_not_exist_or_of_a_far_slot_is_refused() {
    let world = World::new(ForkName::Dvt).await;
    world.slot(1).await;
    let error = world.producer.attestation_data(Slot::new(1), 64).await.unwrap_err();
    assert!(matches!(error, ProductionError::UnknownCommittee { .. }), "{error}");
    let error = world.producer.attestation_data(Slot::new(3), 0).await.unwrap_err();
    assert!(matches!(error, ProductionError::Slot { .. }), "{error}");
    let data = world.producer.attestation_data(Slot::new(1), 0).await.unwrap();
    assert_eq!(data.beacon_block_root, world.chain.head().root);
    assert_eq!(data.target.epoch, Epoch::new(0));
}

/// A node follows without an answer of its execution client, which then finds that it followed the wrong chain.
#[tokio::test]
async fn blocks_between_an_invalid_payload_and_the_latest_valid_one_lose_the_head() {
    let (maker, follower) = (World::new(ForkName::Dvt).await, World::new(ForkName::Dvt).await);
    let mut blocks = Vec::new();
    for slot in 1..=4 {
        let produced = maker.slot(slot).await;
        let root = produced.block_root();
        let hash = match produced.body() {
            BeaconBlockBodyRef::Fulu(body) => body.execution_payload.block_hash,
            BeaconBlockBodyRef::Dvt(body) => body.execution_payload.block_hash,
        };
        blocks.push((root, hash, maker.chain.get_block(&root).unwrap().unwrap()));
    }
    follower.clock.set_slot(Slot::new(4));
    let import = |place: usize| {
        let block = Arc::clone(&blocks[place].2);
        follower.chain.process_block(block, BlockSignatures::All)
    };
    import(0).await.unwrap();
    follower.mock.set_faults(|faults| faults.syncing = true);
    import(1).await.unwrap();
    import(2).await.unwrap();
    let head = follower.chain.head();
    assert_eq!((head.root, head.execution_optimistic), (blocks[2].0, true));
    follower.mock.set_faults(|faults| {
        faults.syncing = false;
        faults.invalid.insert(blocks[1].1);
    });
    let error = import(3).await.unwrap_err();
    assert!(error.is_invalid_block() && error.is_invalid_payload(), "{error}");
    follower.chain.recompute_head().await.unwrap();
    let head = follower.chain.head();
    assert_eq!((head.root, head.execution_optimistic), (blocks[0].0, false));
}

/// An execution client that goes back on its word costs the block that it is asked about, and no more.
#[tokio::test]
async fn blocks_that_were_called_valid_stay_when_a_later_one_names_an_older_latest_valid_hash() {
    let (maker, follower) = (World::new(ForkName::Dvt).await, World::new(ForkName::Dvt).await);
    let blocks = blocks_of(&maker, 4).await;
    for block in &blocks[..3] {
        follower.follow(block).await.unwrap();
    }
    let is_head = || {
        let head = follower.chain.head();
        (head.root, head.execution_optimistic) == (blocks[2].block_root(), false)
    };
    assert!(is_head());
    follower.mock.set_faults(|faults| {
        faults.invalid.insert(payload_hash(&blocks[1]));
    });
    let error = follower.follow(&blocks[3]).await.unwrap_err();
    assert!(error.is_invalid_payload(), "{error}");
    follower.chain.recompute_head().await.unwrap();
    assert!(is_head());
    follower.mock.set_faults(|faults| faults.invalid.clear());
    let root = follower.follow(&blocks[3]).await.unwrap();
    assert_eq!(follower.chain.head().root, root);
}

/// Blocks of a maker, one per slot, as `follower` gets them.
async fn blocks_of(maker: &World, slots: u64) -> Vec<Arc<SignedBeaconBlock<Minimal>>> {
    let mut blocks = Vec::new();
    for slot in 1..=slots {
        let root = maker.slot(slot).await.block_root();
        blocks.push(maker.chain.get_block(&root).unwrap().unwrap());
    }
    blocks
}

fn payload_hash(block: &SignedBeaconBlock<Minimal>) -> Hash32 {
    match block.message().body() {
        BeaconBlockBodyRef::Fulu(body) => body.execution_payload.block_hash,
        BeaconBlockBodyRef::Dvt(body) => body.execution_payload.block_hash,
    }
}

impl World {
    async fn follow(&self, block: &Arc<SignedBeaconBlock<Minimal>>) -> Result<Root, beacon_chain::ImportError> {
        self.clock.set_slot(block.slot().max(self.chain.current_slot()));
        let block = Arc::clone(block);
        self.chain.process_block(block, BlockSignatures::All).await
    }
}

/// Nobody else has the blocks: an execution client without peers gets them from this node, from the first one on.
#[tokio::test]
async fn an_execution_client_that_lost_its_chain_gets_it_from_the_node() {
    const SLOTS: u64 = 20;
    let (maker, follower) = (World::new(ForkName::Dvt).await, World::new(ForkName::Dvt).await);
    let blocks = blocks_of(&maker, SLOTS + 1).await;
    for block in &blocks[..SLOTS as usize] {
        follower.follow(block).await.unwrap();
    }
    assert_eq!(follower.mock.block_count() as u64, SLOTS + 1);
    assert_eq!(follower.chain.bring_up_execution_client().await.unwrap(), 0);

    // It comes back at the same address with nothing but its genesis, and finds no peers.
    let World { chain, clock, mock, .. } = follower;
    let listen = mock.address();
    drop(mock);
    let genesis = mock_execution::genesis_block(&GenesisParameters::at(GENESIS_TIME));
    let config = MockConfig {
        listen,
        sync_after: None,
        ..MockConfig::new(*SECRET.as_bytes(), genesis)
    };
    let empty = loop {
        // The one before gives its address free when its task ends.
        match MockExecution::start(config.clone()).await {
            Ok(mock) => break mock,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    let layer = chain.execution_layer().unwrap();
    clock.set_slot(Slot::new(SLOTS + 1));
    chain
        .process_block(Arc::clone(&blocks[SLOTS as usize]), BlockSignatures::All)
        .await
        .unwrap();
    assert!(chain.head().execution_optimistic);
    assert_eq!(layer.state(), execution_layer::EngineState::Syncing);

    assert_eq!(chain.bring_up_execution_client().await.unwrap(), SLOTS + 1);
    assert!(!chain.head().execution_optimistic);
    assert!(layer.is_online());
    let last = payload_hash(&blocks[SLOTS as usize]);
    assert_eq!(empty.forkchoice().head_block_hash, last);
    assert_eq!(empty.block_count() as u64, SLOTS + 2);
    assert_eq!(chain.bring_up_execution_client().await.unwrap(), 0);
}

/// It has a part of the chain, and its head is on a branch that is none any more.
#[tokio::test]
async fn an_execution_client_on_another_branch_gets_what_it_lacks_of_this_one() {
    let (maker, follower) = (World::new(ForkName::Dvt).await, World::new(ForkName::Dvt).await);
    let blocks = blocks_of(&maker, 6).await;
    for block in &blocks[..3] {
        follower.follow(block).await.unwrap();
    }
    let layer = follower.chain.execution_layer().unwrap();
    // Built by itself on the second block, and made its head.
    let side = layer
        .get_payload::<Minimal>(
            execution_layer::ForkchoiceState {
                head_block_hash: payload_hash(&blocks[1]),
                ..Default::default()
            },
            &execution_layer::PayloadAttributes {
                timestamp: GENESIS_TIME + 1_000_000,
                prev_randao: Hash32::repeat_byte(3),
                suggested_fee_recipient: FEES,
                withdrawals: Vec::new(),
                parent_beacon_block_root: Hash32::repeat_byte(4),
            },
        )
        .await
        .unwrap();
    let request = execution_layer::NewPayloadRequest::new(
        &side.execution_payload,
        &[],
        Hash32::repeat_byte(4),
        &side.execution_requests,
    );
    let status = layer.notify_new_payload(&request).await.unwrap();
    assert_eq!(status, execution_layer::PayloadStatus::Valid);
    layer.lead_to(side.execution_payload.block_hash).await.unwrap();
    // Nothing of the next two blocks reaches it.
    follower.mock.set_faults(|faults| faults.offline = true);
    follower.follow(&blocks[3]).await.unwrap();
    follower.follow(&blocks[4]).await.unwrap();
    follower.mock.set_faults(|faults| faults.offline = false);
    layer.upcheck().await;
    assert!(follower.chain.head().execution_optimistic);
    assert_eq!(follower.chain.bring_up_execution_client().await.unwrap(), 2);
    assert!(!follower.chain.head().execution_optimistic);
    assert_eq!(follower.mock.forkchoice().head_block_hash, payload_hash(&blocks[4]));
}

/// A client that fetches blocks by itself says SYNCING, and is left alone.
#[tokio::test]
async fn an_execution_client_that_syncs_by_itself_is_left_alone() {
    let (maker, follower) = (World::new(ForkName::Dvt).await, World::new(ForkName::Dvt).await);
    let blocks = blocks_of(&maker, 4).await;
    follower.mock.set_faults(|faults| faults.syncing = true);
    for block in &blocks {
        follower.follow(block).await.unwrap();
    }
    assert_eq!(follower.chain.bring_up_execution_client().await.unwrap(), 0);
    assert!(follower.chain.head().execution_optimistic);
}

/// The client was wrong about a block that was followed unverified. When it takes that back, the head comes back.
#[tokio::test]
async fn an_invalid_payload_is_asked_about_again() {
    let (maker, follower) = (World::new(ForkName::Dvt).await, World::new(ForkName::Dvt).await);
    let blocks = blocks_of(&maker, 4).await;
    follower.follow(&blocks[0]).await.unwrap();
    follower.mock.set_faults(|faults| faults.syncing = true);
    follower.follow(&blocks[1]).await.unwrap();
    follower.follow(&blocks[2]).await.unwrap();
    follower.mock.set_faults(|faults| {
        faults.syncing = false;
        faults.invalid.insert(payload_hash(&blocks[1]));
    });
    let root = |place: usize| blocks[place].block_root();
    follower.chain.reverify_head().await.unwrap();
    let error = follower.follow(&blocks[3]).await.unwrap_err();
    assert!(error.is_invalid_payload(), "{error}");
    follower.chain.recompute_head().await.unwrap();
    assert_eq!(follower.chain.head().root, root(0));

    // It stays with its word.
    follower.chain.reconsider_invalid_payloads().await.unwrap();
    assert_eq!(follower.chain.head().root, root(0));

    follower.mock.set_faults(|faults| faults.invalid.clear());
    follower.chain.reconsider_invalid_payloads().await.unwrap();
    assert_eq!(follower.chain.head().root, root(2));
    follower.follow(&blocks[3]).await.unwrap();
    let head = follower.chain.head();
    assert_eq!((head.root, head.execution_optimistic), (root(3), false));
}
