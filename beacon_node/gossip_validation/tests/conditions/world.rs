//! A chain and a node that follows it.

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use execution_layer::ExecutionLayer;
use gossip_validation::*;
use runtime::{SlotClock, WorkerPool};
use state_transition::block::BlockSignatures;
use state_transition::dvt::accessors::{get_committee_seats, get_key_set, get_signer_key};
use state_transition::helpers::accessors::{get_committee_count_per_slot, get_domain};
use state_transition::process_slots;
use std::sync::Arc;
use storage::{Identity, Storage};
use types::constants::*;
use types::*;

pub(crate) const GROUP: u64 = 0;

pub(crate) fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

/// A chain and a node that follows it.
pub(crate) struct World {
    pub(crate) producer: Chain<Minimal>,
    pub(crate) chain: Arc<BeaconChain<Minimal>>,
    pub(crate) clock: SlotClock,
    pub(crate) gossip: Arc<GossipValidator<Minimal>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of_fork(ForkName::Dvt)
    }

    pub(crate) fn of_fork(fork: ForkName) -> Self {
        Self::with(fork, None, |_| {})
    }

    /// As [`Self::of_fork`], with an execution client and changes to the configuration.
    pub(crate) fn with(
        fork: ForkName,
        execution_layer: Option<Arc<ExecutionLayer>>,
        change: impl FnOnce(&mut ChainSpec),
    ) -> Self {
        let mut spec = ChainSpec::minimal();
        spec.capella_fork_epoch = Epoch::new(0);
        spec.electra_fork_epoch = Epoch::new(0);
        spec.fulu_fork_epoch = Epoch::new(0);
        let mut first = solo(GROUP, 2048);
        if fork == ForkName::Dvt {
            spec.dvt_fork_epoch = Epoch::new(0);
            first = group_of(GROUP, 5, 7, 2048);
        }
        spec.shard_committee_period = 0;
        change(&mut spec);
        let mut validators = vec![first];
        validators.extend((1..33).map(|validator| solo(validator, 256)));
        // Keys that may join, of everybody.
        let producer = Chain::<Minimal>::new(&validators, Keys::new(33, &(0..33).collect::<Vec<_>>(), 8), spec);
        let clock = SlotClock::manual(producer.state.genesis_time(), &producer.spec);
        let storage = Storage::in_memory(Identity::of(&producer.state));
        let config = ChainConfig {
            spec: Arc::new(producer.spec.clone()),
            clock: clock.clone(),
            storage: Arc::new(storage.unwrap()),
            execution_layer,
            workers: WorkerPool::start(2).unwrap(),
        };
        let anchor = Anchor::genesis(producer.state.clone()).unwrap();
        let chain = BeaconChain::from_anchor(config, anchor).unwrap();
        let gossip = Arc::new(GossipValidator::new(Arc::clone(&chain)));
        Self {
            producer,
            chain,
            clock,
            gossip,
        }
    }

    pub(crate) async fn step(&mut self) -> Arc<SignedBeaconBlock<Minimal>> {
        self.step_with(BlockPlan::default()).await
    }

    pub(crate) async fn step_with(&mut self, plan: BlockPlan) -> Arc<SignedBeaconBlock<Minimal>> {
        let block = Arc::new(self.producer.step(&everybody, plan).unwrap());
        self.clock.set_slot(block.slot());
        self.chain
            .process_block(Arc::clone(&block), BlockSignatures::All)
            .await
            .unwrap();
        block
    }

    /// Steps to the first slot of `epoch`.
    pub(crate) async fn run_to_epoch(&mut self, epoch: Epoch) {
        while self.chain.head().slot() < epoch.start_slot::<Minimal>() {
            self.step().await;
        }
    }

    /// Puts changes into the next block, and steps to the epoch in which they come into force.
    pub(crate) async fn change_keys(&mut self, key_set_changes: Vec<SignedKeySetChange>) {
        let in_force = self
            .producer
            .state
            .current_epoch()
            .saturating_add(1 + Minimal::MAX_SEED_LOOKAHEAD);
        self.step_with(BlockPlan {
            key_set_changes,
            ..BlockPlan::default()
        })
        .await;
        self.run_to_epoch(in_force).await;
    }

    /// The keys of the group.
    pub(crate) fn keys(&self) -> Vec<VirtualKey> {
        let state = &self.producer.state;
        let key_set = get_key_set(state, ValidatorIndex::new(GROUP), state.current_epoch()).unwrap();
        key_set.unwrap().keys.to_vec()
    }

    /// A message about the head, signed by a key whatever its index.
    pub(crate) fn sync_message(&self, validator_index: SignerIndex, key: &PublicKeyBytes) -> SyncCommitteeMessage {
        let head = self.chain.head();
        let root = compute_signing_root(&head.root, self.domain(DOMAIN_SYNC_COMMITTEE));
        SyncCommitteeMessage {
            slot: head.slot(),
            beacon_block_root: head.root,
            validator_index,
            signature: self.producer.keys.get(key).sign(&root).to_bytes(),
        }
    }

    /// Steps until the group proposes in the next slot.
    pub(crate) async fn until_group_proposes(&mut self) -> (BeaconState<Minimal>, SignedBeaconBlock<Minimal>) {
        for _ in 0..80 {
            let block = self.producer.build(&everybody, BlockPlan::default()).unwrap();
            if block.message().proposer_index().as_u64() == GROUP {
                let mut state = self.producer.state.clone();
                process_slots(&mut state, block.slot(), &self.producer.spec).unwrap();
                self.clock.set_slot(block.slot());
                return (state, block);
            }
            self.step().await;
        }
        panic!("the group has a fifth of the stake and proposes within eighty slots");
    }

    pub(crate) fn signed_by(
        &self,
        state: &BeaconState<Minimal>,
        block: &SignedBeaconBlock<Minimal>,
        keys: &[u8],
    ) -> Arc<SignedBeaconBlock<Minimal>> {
        let mut signers = Signers::default();
        keys.iter()
            .for_each(|key| signers.set(usize::from(*key), true).unwrap());
        Arc::new(self.producer.sign(state, block.message().cloned(), signers))
    }

    pub(crate) fn sign(&self, signer: SignerIndex, root: Root) -> SignatureBytes {
        let state = &self.producer.state;
        let key = get_signer_key(state, signer, state.current_epoch())
            .unwrap()
            .as_bls()
            .unwrap();
        self.producer.keys.get(&key).sign(&root).to_bytes()
    }

    pub(crate) fn domain(&self, domain_type: [u8; 4]) -> Domain {
        let state = &self.producer.state;
        get_domain(state, domain_type, Some(state.current_epoch()))
    }

    /// What everybody votes for in the head's slot.
    pub(crate) fn data(&self) -> AttestationData {
        let head = self.chain.head();
        let epoch = head.slot().epoch::<Minimal>();
        let target = self
            .chain
            .canonical_root_at_or_before(epoch.start_slot::<Minimal>())
            .unwrap()
            .unwrap();
        AttestationData {
            slot: head.slot(),
            index: 0,
            beacon_block_root: head.root,
            source: head.state.current_justified_checkpoint(),
            target: Checkpoint { epoch, root: target },
        }
    }

    pub(crate) fn vote(&self, signer: SignerIndex, committee_index: u64, data: AttestationData) -> SingleAttestation {
        let root = compute_signing_root(&data, self.domain(DOMAIN_BEACON_ATTESTER));
        SingleAttestation::Dvt(SingleAttestationDvt {
            committee_index,
            attester_index: signer,
            data,
            signature: self.sign(signer, root),
            proofs: SchemeProofs::empty(),
        })
    }

    /// Steps until the group is in a committee of the head's slot. Gives the committee, its seats and its subnet.
    pub(crate) async fn until_group_attests(&mut self) -> (u64, Vec<SignerIndex>, u64) {
        for _ in 0..20 {
            self.step().await;
            let state = &self.producer.state;
            let count = get_committee_count_per_slot(state, state.current_epoch()).unwrap();
            for index in 0..count {
                let seats = get_committee_seats(state, state.slot(), index).unwrap();
                if seats.iter().any(|signer| signer.is_virtual()) {
                    let subnet =
                        compute_subnet_for_attestation::<Minimal>(count, state.slot(), index, &self.producer.spec);
                    return (index, seats, subnet);
                }
            }
        }
        panic!("everybody attests once per epoch");
    }
}

pub(crate) fn member(key: u8) -> SignerIndex {
    SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
}
