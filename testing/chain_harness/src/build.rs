//! The chain, block by block.

use crate::Keys;
use crate::messages::{Attendance, attestation, attestation_data, randao_reveal, sum, sync_aggregate};
use bls::INFINITY_SIGNATURE;
use ssz_types::VariableList;
use state_transition::block::header::block_signing_root;
use state_transition::block::withdrawals::get_expected_withdrawals;
use state_transition::block::{BlockError, BlockSignatures, process_block, state_transition};
use state_transition::dvt::accessors::{get_key_set, get_signer_key};
use state_transition::dvt::leaders::get_leader_key_index;
use state_transition::genesis::{GenesisValidator, genesis_state};
use state_transition::helpers::accessors::{
    get_beacon_proposer_index, get_block_root_at_slot, get_current_epoch, get_randao_mix, get_validator,
};
use state_transition::helpers::misc::compute_timestamp_at_slot;
use state_transition::process_slots;
use state_transition::signatures::NullVerifier;
use tree_hash::TreeHash as _;
use types::*;

/// What a block contains beside votes and sync signatures.
#[derive(Debug, Clone)]
pub struct BlockPlan {
    /// Of how many slots before the block it holds the votes.
    pub vote_slots: u64,
    /// Key-set changes.
    pub key_set_changes: Vec<SignedKeySetChange>,
    /// Leaves out the reveal even if the leader is there.
    pub omit_randao: bool,
    /// Commitments to blobs, which nobody checks against the payload.
    pub blob_kzg_commitments: Vec<KzgCommitment>,
}

impl Default for BlockPlan {
    /// The votes of the slot before.
    fn default() -> Self {
        Self {
            vote_slots: 1,
            key_set_changes: Vec::new(),
            omit_randao: false,
            blob_kzg_commitments: Vec::new(),
        }
    }
}

/// A chain that grows by a slot at a time.
#[derive(Debug, Clone)]
pub struct Chain<P: Preset> {
    /// Configuration.
    pub spec: ChainSpec,
    /// State after the last block, or at the last empty slot.
    pub state: BeaconState<P>,
    /// All secret keys.
    pub keys: Keys,
}

impl<P: Preset> Chain<P> {
    /// A chain whose first fork is the latest that `spec` has at epoch 0.
    pub fn new(validators: &[GenesisValidator], keys: Keys, spec: ChainSpec) -> Self {
        let header = ExecutionPayloadHeader {
            block_hash: Hash32::repeat_byte(0xee),
            ..Default::default()
        };
        let state = genesis_state(1_700_000_000, validators, header, &spec).unwrap();
        Self { spec, state, keys }
    }

    /// The slot of the next block.
    pub fn next_slot(&self) -> Slot {
        self.state.slot().saturating_add(1u64)
    }

    /// Makes the next slot's block of those who are there and applies it with all checks. A slot whose proposer is not
    /// there (or a group without enough members) stays empty. Gives the block if there is one.
    pub fn step(&mut self, is_there: Attendance<'_>, plan: BlockPlan) -> Option<SignedBeaconBlock<P>> {
        let block = self.build(is_there, plan);
        let slot = self.next_slot();
        match &block {
            Some(block) => self.apply(block).expect("what the chain's own members made is valid"),
            None => process_slots(&mut self.state, slot, &self.spec).unwrap(),
        }
        block
    }

    /// Applies a block with all checks. The state is unchanged if it is invalid.
    pub fn apply(&mut self, block: &SignedBeaconBlock<P>) -> Result<(), BlockError> {
        let mut state = self.state.clone();
        state_transition(&mut state, block, BlockSignatures::All, &self.spec)?;
        self.state = state;
        Ok(())
    }

    /// Runs until the state is at `slot`.
    pub fn run_to(&mut self, slot: Slot, is_there: Attendance<'_>) {
        while self.state.slot() < slot {
            self.step(is_there, BlockPlan::default());
        }
    }

    /// Makes the next slot's block without applying it; none if too few are there to sign it.
    pub fn build(&self, is_there: Attendance<'_>, plan: BlockPlan) -> Option<SignedBeaconBlock<P>> {
        let slot = self.next_slot();
        let vote_state = self.state.clone();
        let mut state = self.state.clone();
        process_slots(&mut state, slot, &self.spec).unwrap();
        let proposer_index = get_beacon_proposer_index(&state).unwrap();
        let signers = self.block_signers(&state, proposer_index, is_there)?;
        let randao_reveal = self.reveal(&state, proposer_index, is_there, plan.omit_randao);

        let parent_root = state.latest_block_header().tree_hash_root();
        let votes = (0..plan.vote_slots)
            .map(|age| vote_state.slot().saturating_sub(age))
            .filter_map(|vote_slot| {
                let head = if vote_slot == vote_state.slot() {
                    parent_root
                } else {
                    get_block_root_at_slot(&state, vote_slot).unwrap()
                };
                let data = attestation_data(&state, vote_slot, head);
                attestation(&state, data, &self.keys, |signer| is_there(signer, vote_slot))
            })
            .collect();
        let vote_slot = vote_state.slot();
        let sync_aggregate = sync_aggregate(&state, &self.keys, |signer| is_there(signer, vote_slot));

        let body_fields = (randao_reveal, sync_aggregate, self.payload(&state));
        let mut block = unsigned_block(
            &state,
            proposer_index,
            parent_root,
            body_fields,
            votes,
            (plan.key_set_changes, plan.blob_kzg_commitments),
        );
        let mut post = state.clone();
        process_block(&mut post, block.to_ref(), &mut NullVerifier, &self.spec).expect("block of the harness applies");
        let state_root = post.canonical_root().unwrap();
        match &mut block {
            BeaconBlock::Fulu(block) => block.state_root = state_root,
            BeaconBlock::Dvt(block) => block.state_root = state_root,
        }
        Some(self.sign(&state, block, signers))
    }

    /// The members that sign a block of a group, all that are there; none if they are too few.
    fn block_signers(
        &self,
        state: &BeaconState<P>,
        proposer_index: ValidatorIndex,
        is_there: Attendance<'_>,
    ) -> Option<Signers> {
        let slot = state.slot();
        let mut signers = Signers::default();
        let Some(key_set) = get_key_set(state, proposer_index, get_current_epoch(state)).unwrap() else {
            return is_there(SignerIndex::from(proposer_index), slot).then_some(signers);
        };
        let mut count = 0;
        for key in 0..key_set.keys.len() as u8 {
            if is_there(SignerIndex::virtual_index(proposer_index, key).unwrap(), slot) {
                signers.set(usize::from(key), true).unwrap();
                count += 1;
            }
        }
        (count >= key_set.threshold).then_some(signers)
    }

    fn reveal(
        &self,
        state: &BeaconState<P>,
        proposer_index: ValidatorIndex,
        is_there: Attendance<'_>,
        omit: bool,
    ) -> SignatureBytes {
        let leader = get_leader_key_index(state, proposer_index, state.slot(), 0).unwrap();
        let signer = match leader {
            Some(key) => SignerIndex::virtual_index(proposer_index, key).unwrap(),
            None => SignerIndex::from(proposer_index),
        };
        if omit || (leader.is_some() && !is_there(signer, state.slot())) {
            return INFINITY_SIGNATURE;
        }
        let key = get_signer_key(state, signer, get_current_epoch(state))
            .unwrap()
            .as_bls()
            .unwrap();
        randao_reveal(state, &key, &self.keys)
    }

    /// Signs a block by the named members, or by the registry key if none is named.
    pub fn sign(&self, state: &BeaconState<P>, block: BeaconBlock<P>, signers: Signers) -> SignedBeaconBlock<P> {
        let proposer_index = block.proposer_index();
        let signing_root = block_signing_root(state, block.slot(), block.block_root());
        let named: Vec<u8> = (0u8..)
            .zip(signers.iter())
            .filter(|(_, bit)| *bit)
            .map(|(key, _)| key)
            .collect();
        let public_keys: Vec<PublicKeyBytes> = if named.is_empty() {
            vec![get_validator(state, proposer_index).unwrap().pubkey]
        } else {
            let epoch = block.slot().epoch::<P>();
            named
                .into_iter()
                .map(|key| SignerIndex::virtual_index(proposer_index, key).unwrap())
                .map(|signer| get_signer_key(state, signer, epoch).unwrap().as_bls().unwrap())
                .collect()
        };
        let signatures: Vec<_> = public_keys
            .iter()
            .map(|key| self.keys.get(key).sign(&signing_root))
            .collect();
        SignedBeaconBlock::from_parts(block, sum(&signatures), signers, SchemeProofs::empty())
    }

    /// A payload that fits the state; its hash only has to differ from others.
    fn payload(&self, state: &BeaconState<P>) -> ExecutionPayload<P> {
        let parent = state.latest_execution_payload_header();
        let (withdrawals, _) = get_expected_withdrawals(state).unwrap();
        let mut payload = ExecutionPayload {
            parent_hash: parent.block_hash,
            prev_randao: get_randao_mix(state, get_current_epoch(state)).unwrap(),
            block_number: parent.block_number + 1,
            gas_limit: 30_000_000,
            timestamp: compute_timestamp_at_slot(state, state.slot(), &self.spec).unwrap(),
            withdrawals: VariableList::new(withdrawals).unwrap(),
            ..Default::default()
        };
        payload.block_hash = payload.tree_hash_root();
        payload
    }
}

fn unsigned_block<P: Preset>(
    state: &BeaconState<P>,
    proposer_index: ValidatorIndex,
    parent_root: Root,
    (randao_reveal, sync_aggregate, execution_payload): (SignatureBytes, SyncAggregate<P>, ExecutionPayload<P>),
    votes: Vec<Attestation<P>>,
    (key_set_changes, blob_kzg_commitments): (Vec<SignedKeySetChange>, Vec<KzgCommitment>),
) -> BeaconBlock<P> {
    let (slot, state_root) = (state.slot(), Root::ZERO);
    let eth1_data = state.eth1_data().clone();
    let graffiti = Hash32::ZERO;
    let blob_kzg_commitments = VariableList::new(blob_kzg_commitments).unwrap();
    match state.fork_name() {
        ForkName::Fulu => {
            let votes = votes.into_iter().filter_map(|vote| match vote {
                Attestation::Fulu(vote) => Some(vote),
                Attestation::Dvt(_) => None,
            });
            let body = BeaconBlockBodyFulu {
                randao_reveal,
                eth1_data,
                graffiti,
                proposer_slashings: VariableList::empty(),
                attester_slashings: VariableList::empty(),
                attestations: VariableList::new(votes.collect()).unwrap(),
                deposits: VariableList::empty(),
                voluntary_exits: VariableList::empty(),
                sync_aggregate,
                execution_payload,
                bls_to_execution_changes: VariableList::empty(),
                blob_kzg_commitments,
                execution_requests: ExecutionRequests::default(),
            };
            BeaconBlock::Fulu(BeaconBlockFulu {
                slot,
                proposer_index,
                parent_root,
                state_root,
                body,
            })
        }
        ForkName::Dvt => {
            // The votes of the slot before the fork are made in its layout too: only proofs are added.
            let votes = votes.into_iter().filter_map(|vote| match vote {
                Attestation::Fulu(_) => None,
                Attestation::Dvt(vote) => Some(vote),
            });
            let body = BeaconBlockBodyDvt {
                randao_reveal,
                eth1_data,
                graffiti,
                proposer_slashings: VariableList::empty(),
                attester_slashings: VariableList::empty(),
                attestations: VariableList::new(votes.collect()).unwrap(),
                deposits: VariableList::empty(),
                voluntary_exits: VariableList::empty(),
                sync_aggregate,
                execution_payload,
                bls_to_execution_changes: VariableList::empty(),
                blob_kzg_commitments,
                execution_requests: ExecutionRequests::default(),
                key_set_changes: VariableList::new(key_set_changes).unwrap(),
                randao_proof: VariableList::empty(),
            };
            BeaconBlock::Dvt(BeaconBlockDvt {
                slot,
                proposer_index,
                parent_root,
                state_root,
                body,
            })
        }
    }
}
