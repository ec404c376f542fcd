//! The pool as the rest of the node sees it.

use crate::attestations::AttestationPool;
use crate::operations::{OperationSet, Operations};
use crate::packing::pack_attestations;
use crate::partial::PartError;
use crate::persistence::{self, RestoreError};
use crate::sync_contributions::SyncPool;
use bls::BlsError;
use parking_lot::{Mutex, RwLock};
use signature_scheme::SignatureError;
use state_transition::StateError;
use types::{
    Attestation, AttesterSlashing, BeaconState, ChainSpec, CommitteeIndex, Preset, ProposerSlashing, Root,
    SignatureBytes, SignedBLSToExecutionChange, SignedKeySetChange, SignedVoluntaryExit, SignerIndex,
    SingleAttestation, Slot, SyncAggregate, SyncCommitteeContribution,
};

/// What the node knows and no block contains yet. Everything that goes in was verified; everything that goes into a
/// block is checked again against the block's state. Shared as `Arc`.
#[derive(Debug)]
pub struct OperationPool<P: Preset> {
    attestations: Mutex<AttestationPool>,
    sync: RwLock<SyncPool<P>>,
    operations: RwLock<OperationSet<P>>,
}

impl<P: Preset> Default for OperationPool<P> {
    fn default() -> Self {
        Self {
            attestations: Mutex::default(),
            sync: RwLock::default(),
            operations: RwLock::default(),
        }
    }
}

impl<P: Preset> OperationPool<P> {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a single vote: with the scheme of its signer's key, its seat, and the number of seats of its committee.
    /// `false` if the seat has voted for this.
    pub fn insert_attestation(&self, attestation: &SingleAttestation, scheme: u8, seat: usize, seats: usize) -> bool {
        self.attestations.lock().insert_single(attestation, scheme, seat, seats)
    }

    /// Takes an aggregate of one committee: with who sits in the committee, and the schemes of their keys. `false` if
    /// all of its votes are known in one aggregate.
    pub fn insert_aggregate(
        &self,
        aggregate: &Attestation<P>,
        committee_index: CommitteeIndex,
        seats: &[(SignerIndex, u8)],
    ) -> bool {
        self.attestations
            .lock()
            .insert_aggregate(aggregate, committee_index, seats)
    }

    /// The aggregate of a committee with most votes for the data with that root.
    pub fn get_aggregate(
        &self,
        slot: Slot,
        data_root: Root,
        committee_index: CommitteeIndex,
    ) -> Result<Option<Attestation<P>>, SignatureError> {
        self.attestations.lock().get_aggregate(slot, data_root, committee_index)
    }

    /// Votes as they are held, of a slot and committee, or of all.
    pub fn attestations(&self, slot: Option<Slot>, committee_index: Option<CommitteeIndex>) -> Vec<Attestation<P>> {
        self.attestations.lock().all(slot, committee_index)
    }

    /// Takes a sync committee message, at one position of its signer.
    pub fn insert_sync_message(
        &self,
        slot: Slot,
        beacon_block_root: Root,
        subcommittee_index: u64,
        position: usize,
        signature: SignatureBytes,
    ) {
        self.sync
            .write()
            .insert_message(slot, beacon_block_root, subcommittee_index, position, signature);
    }

    /// Takes a contribution.
    pub fn insert_contribution(&self, contribution: &SyncCommitteeContribution<P>) {
        self.sync.write().insert_contribution(contribution);
    }

    /// The contribution with most signers that can be made.
    pub fn get_contribution(
        &self,
        slot: Slot,
        beacon_block_root: Root,
        subcommittee_index: u64,
    ) -> Result<Option<SyncCommitteeContribution<P>>, BlsError> {
        self.sync
            .read()
            .get_contribution(slot, beacon_block_root, subcommittee_index)
    }

    /// The sync aggregate over a block by the committee of `slot`, the slot before the block that will contain it.
    pub fn sync_aggregate(&self, slot: Slot, beacon_block_root: Root) -> Result<SyncAggregate<P>, BlsError> {
        self.sync.read().sync_aggregate(slot, beacon_block_root)
    }

    /// Takes evidence against a proposer.
    pub fn insert_proposer_slashing(&self, slashing: ProposerSlashing) {
        self.operations.write().insert_proposer_slashing(slashing);
    }

    /// Takes evidence against attesters.
    pub fn insert_attester_slashing(&self, slashing: AttesterSlashing<P>) {
        self.operations.write().insert_attester_slashing(slashing);
    }

    /// Takes a change of withdrawal credentials.
    pub fn insert_bls_to_execution_change(&self, change: SignedBLSToExecutionChange) {
        self.operations.write().insert_address_change(change);
    }

    /// Takes a complete exit.
    pub fn insert_voluntary_exit(&self, exit: SignedVoluntaryExit) {
        self.operations.write().insert_exit(exit);
    }

    /// Takes a complete key-set change; `slot` is that in which it was checked.
    pub fn insert_key_set_change(&self, change: SignedKeySetChange, slot: Slot) {
        self.operations.write().insert_key_set_change(change, slot);
    }

    /// Takes a member's part of its group's exit; `state` is that in which it was checked. Gives the exit when enough
    /// members have signed: it is to be published then, and is in the pool.
    pub fn insert_voluntary_exit_part(
        &self,
        exit: &SignedVoluntaryExit,
        state: &BeaconState<P>,
        spec: &ChainSpec,
    ) -> Result<Option<SignedVoluntaryExit>, PartError> {
        self.operations.write().insert_exit_part(exit, state, spec)
    }

    /// Takes a member's part of its group's key-set change; it was checked in `state`, as if that were of `slot`. Gives
    /// the change when enough members have signed.
    pub fn insert_key_set_change_part(
        &self,
        change: &SignedKeySetChange,
        state: &BeaconState<P>,
        slot: Slot,
        spec: &ChainSpec,
    ) -> Result<Option<SignedKeySetChange>, PartError> {
        self.operations
            .write()
            .insert_key_set_change_part(change, state, slot, spec)
    }

    /// All evidence against proposers.
    pub fn proposer_slashings(&self) -> Vec<ProposerSlashing> {
        self.operations.read().proposer_slashings.values().cloned().collect()
    }

    /// All evidence against attesters.
    pub fn attester_slashings(&self) -> Vec<AttesterSlashing<P>> {
        self.operations.read().attester_slashings.values().cloned().collect()
    }

    /// All complete exits.
    pub fn voluntary_exits(&self) -> Vec<SignedVoluntaryExit> {
        self.operations.read().exits.values().cloned().collect()
    }

    /// All changes of withdrawal credentials.
    pub fn bls_to_execution_changes(&self) -> Vec<SignedBLSToExecutionChange> {
        self.operations.read().address_changes.values().cloned().collect()
    }

    /// All complete key-set changes.
    pub fn key_set_changes(&self) -> Vec<SignedKeySetChange> {
        self.operations.read().key_set_changes.values().cloned().collect()
    }

    /// Key-set changes that too few members have signed, each with the signatures so far.
    pub fn key_set_change_parts(&self) -> Vec<SignedKeySetChange> {
        let operations = self.operations.read();
        operations
            .key_set_change_parts
            .values()
            .map(|pending| pending.change.clone())
            .collect()
    }

    /// Votes for a block on `state`, which is of the block's slot: those that pay its proposer most. Takes long; call
    /// it from a worker.
    pub fn pack_attestations(
        &self,
        state: &BeaconState<P>,
        spec: &ChainSpec,
    ) -> Result<Vec<Attestation<P>>, StateError> {
        // A copy, so that votes keep coming in meanwhile.
        let mut votes = self.attestations.lock().clone();
        pack_attestations(&mut votes, state, spec)
    }

    /// All else for a block on `state`, in the layout of its fork. Takes long; call it from a worker.
    pub fn pack_operations(&self, state: &BeaconState<P>, spec: &ChainSpec) -> Operations<P> {
        let operations = self.operations.read().clone();
        operations.pack(state, spec)
    }

    /// Drops what no block can contain any more.
    pub fn prune(&self, finalized: &BeaconState<P>, current_slot: Slot) {
        let previous_epoch = current_slot.epoch::<P>().saturating_sub(1u64);
        self.attestations.lock().prune(previous_epoch.start_slot::<P>());
        self.sync.write().prune(current_slot.saturating_sub(2u64));
        self.operations.write().prune(finalized, current_slot);
    }

    /// Drops votes and sync signatures that no block can contain any more. To be called once per slot.
    pub fn prune_slots(&self, current_slot: Slot) {
        let previous_epoch = current_slot.epoch::<P>().saturating_sub(1u64);
        self.attestations.lock().prune(previous_epoch.start_slot::<P>());
        self.sync.write().prune(current_slot.saturating_sub(2u64));
    }

    /// Operations as bytes, for the database.
    pub fn to_bytes(&self) -> Vec<u8> {
        persistence::to_bytes(&self.operations.read())
    }

    /// A pool with the operations of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RestoreError> {
        Ok(Self {
            operations: RwLock::new(persistence::from_bytes(bytes)?),
            ..Self::default()
        })
    }
}
