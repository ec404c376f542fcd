//! The beacon state.

use crate::caches::Caches;
use crate::fork_versioned::impl_fork_versioned;
use crate::group::GroupsLimit;
use crate::{
    BeaconBlockHeader, Checkpoint, Epoch, Eth1Data, ExecutionPayloadHeader, Fork, Group, GroupParticipation, Gwei,
    HistoricalSummary, ParticipationFlags, PendingConsolidation, PendingDeposit, PendingPartialWithdrawal, Preset,
    Root, SignerIndex, Slot, SyncCommittee, Validator, ValidatorIndex, WithdrawalIndex,
};
use milhouse::{List, Vector};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitVector, FixedVector};
use std::collections::BTreeMap;
use std::sync::Arc;
use superstruct::superstruct;
use tree_hash_derive::TreeHash;
use typenum::U4;

/// A list of which a block changes a few entries: pending changes are held by index, not in a vector of the list's length.
pub type SparseList<T, N> = List<T, N, BTreeMap<usize, T>>;

/// Spec: dvt/beacon-chain.md#beaconstate
///
/// Big lists are persistent trees: a clone is cheap and shares what is not changed. `caches` is no part of the
/// value: it takes no part in SSZ, hashing, JSON or equality.
#[superstruct(
    variants(Fulu, Dvt),
    no_map_macros,
    variant_attributes(
        derive(Debug, Clone, PartialEq, Encode, Decode, TreeHash, Serialize, Deserialize),
        serde(bound = "P: Preset")
    ),
    ref_attributes(derive(Debug))
)]
#[derive(Debug, Clone, PartialEq, Encode, TreeHash, Serialize)]
#[serde(bound = "P: Preset", untagged)]
#[ssz(enum_behaviour = "transparent")]
#[tree_hash(enum_behaviour = "transparent")]
pub struct BeaconState<P: Preset> {
    /// Seconds since the Unix epoch.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub genesis_time: u64,
    /// Root of the registry at genesis.
    #[superstruct(getter(copy))]
    pub genesis_validators_root: Root,
    /// Slot of the state.
    #[superstruct(getter(copy))]
    pub slot: Slot,
    /// Fork versions.
    #[superstruct(getter(copy))]
    pub fork: Fork,

    /// Header of the latest block; its state root is filled in at the next slot.
    #[superstruct(getter(copy))]
    pub latest_block_header: BeaconBlockHeader,
    /// Ring of block roots.
    pub block_roots: Vector<Root, P::SlotsPerHistoricalRoot>,
    /// Ring of state roots.
    pub state_roots: Vector<Root, P::SlotsPerHistoricalRoot>,
    /// Frozen since Capella.
    pub historical_roots: List<Root, P::HistoricalRootsLimit>,

    /// Old deposit mechanism.
    pub eth1_data: Eth1Data,
    /// Votes of the period.
    pub eth1_data_votes: List<Eth1Data, P::SlotsPerEth1VotingPeriod>,
    /// Next deposit of the old mechanism.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub eth1_deposit_index: u64,

    /// Registry.
    pub validators: SparseList<Validator, P::ValidatorRegistryLimit>,
    /// Balances in Gwei, parallel to the registry.
    #[serde(with = "crate::quoted_int_list")]
    pub balances: SparseList<Gwei, P::ValidatorRegistryLimit>,

    /// Ring of randomness.
    pub randao_mixes: Vector<Root, P::EpochsPerHistoricalVector>,

    /// Ring of slashed balances, in Gwei per epoch.
    #[serde(with = "crate::quoted_int_list")]
    pub slashings: Vector<Gwei, P::EpochsPerSlashingsVector>,

    /// Flags of the previous epoch, parallel to the registry.
    #[serde(with = "crate::quoted_int_list")]
    pub previous_epoch_participation: List<ParticipationFlags, P::ValidatorRegistryLimit>,
    /// Flags of the current epoch, parallel to the registry.
    #[serde(with = "crate::quoted_int_list")]
    pub current_epoch_participation: List<ParticipationFlags, P::ValidatorRegistryLimit>,

    /// Which of the last epochs were justified.
    pub justification_bits: BitVector<U4>,
    /// Justified as of the previous epoch.
    #[superstruct(getter(copy))]
    pub previous_justified_checkpoint: Checkpoint,
    /// Justified.
    #[superstruct(getter(copy))]
    pub current_justified_checkpoint: Checkpoint,
    /// Finalised.
    #[superstruct(getter(copy))]
    pub finalized_checkpoint: Checkpoint,

    /// Parallel to the registry.
    #[serde(with = "crate::quoted_int_list")]
    pub inactivity_scores: SparseList<u64, P::ValidatorRegistryLimit>,

    /// Sync committee of the period.
    pub current_sync_committee: Arc<SyncCommittee<P>>,
    /// Sync committee of the next period.
    pub next_sync_committee: Arc<SyncCommittee<P>>,

    /// Header of the latest payload.
    pub latest_execution_payload_header: ExecutionPayloadHeader<P>,

    /// Next withdrawal.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub next_withdrawal_index: WithdrawalIndex,
    /// Where the withdrawal sweep goes on.
    #[superstruct(getter(copy))]
    pub next_withdrawal_validator_index: ValidatorIndex,

    /// One for each past period.
    pub historical_summaries: List<HistoricalSummary, P::HistoricalRootsLimit>,

    /// First deposit of the new mechanism.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_requests_start_index: u64,
    /// Deposit churn left over, in Gwei.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_balance_to_consume: Gwei,
    /// Exit churn left in `earliest_exit_epoch`, in Gwei.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub exit_balance_to_consume: Gwei,
    /// Epoch of the next exit.
    #[superstruct(getter(copy))]
    pub earliest_exit_epoch: Epoch,
    /// Consolidation churn left in `earliest_consolidation_epoch`, in Gwei.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub consolidation_balance_to_consume: Gwei,
    /// Epoch of the next consolidation.
    #[superstruct(getter(copy))]
    pub earliest_consolidation_epoch: Epoch,
    /// Deposits that wait.
    pub pending_deposits: List<PendingDeposit, P::PendingDepositsLimit>,
    /// Partial withdrawals that wait.
    pub pending_partial_withdrawals: List<PendingPartialWithdrawal, P::PendingPartialWithdrawalsLimit>,
    /// Consolidations that wait.
    pub pending_consolidations: List<PendingConsolidation, P::PendingConsolidationsLimit>,

    /// Proposers of this epoch and the next.
    pub proposer_lookahead: Vector<ValidatorIndex, P::ProposerLookaheadLength>,

    /// Registry entries that are, were or become groups, in the order in which they first did.
    #[superstruct(only(Dvt), partial_getter(rename = "groups_dvt"))]
    pub groups: List<Group, GroupsLimit>,
    /// Which virtual keys voted in the previous epoch; parallel to `groups`.
    #[superstruct(only(Dvt), partial_getter(rename = "previous_group_participation_dvt"))]
    #[serde(with = "crate::quoted_int_list")]
    pub previous_group_participation: List<GroupParticipation, GroupsLimit>,
    /// Which virtual keys voted in the current epoch; parallel to `groups`.
    #[superstruct(only(Dvt), partial_getter(rename = "current_group_participation_dvt"))]
    #[serde(with = "crate::quoted_int_list")]
    pub current_group_participation: List<GroupParticipation, GroupsLimit>,
    /// Signer of each position of the current sync committee.
    #[superstruct(only(Dvt), partial_getter(rename = "current_sync_committee_indices_dvt"))]
    pub current_sync_committee_indices: Arc<FixedVector<SignerIndex, P::SyncCommitteeSize>>,
    /// Signer of each position of the next sync committee.
    #[superstruct(only(Dvt), partial_getter(rename = "next_sync_committee_indices_dvt"))]
    pub next_sync_committee_indices: Arc<FixedVector<SignerIndex, P::SyncCommitteeSize>>,

    /// Values derived from the state, computed when first asked for.
    #[ssz(skip_serializing, skip_deserializing)]
    #[tree_hash(skip_hashing)]
    #[serde(skip)]
    pub caches: Caches,
}
impl_fork_versioned!(BeaconState<P>, BeaconStateFulu, BeaconStateDvt);

impl<P: Preset> BeaconState<P> {
    /// Epoch of the state's slot.
    pub fn current_epoch(&self) -> Epoch {
        self.slot().epoch::<P>()
    }

    /// All registry entries that are, were or become groups; `None` before the dvt fork.
    pub fn groups(&self) -> Option<&List<Group, GroupsLimit>> {
        match self {
            Self::Fulu(_) => None,
            Self::Dvt(state) => Some(&state.groups),
        }
    }

    /// Writes pending changes of all lists into their trees. Needed before hashing or encoding.
    ///
    /// Errors if a tree refuses an update, which would be a fault of this program.
    pub fn apply_pending_mutations(&mut self) -> Result<(), milhouse::Error> {
        self.block_roots_mut().apply_updates()?;
        self.state_roots_mut().apply_updates()?;
        self.historical_roots_mut().apply_updates()?;
        self.eth1_data_votes_mut().apply_updates()?;
        self.validators_mut().apply_updates()?;
        self.balances_mut().apply_updates()?;
        self.randao_mixes_mut().apply_updates()?;
        self.slashings_mut().apply_updates()?;
        self.previous_epoch_participation_mut().apply_updates()?;
        self.current_epoch_participation_mut().apply_updates()?;
        self.inactivity_scores_mut().apply_updates()?;
        self.historical_summaries_mut().apply_updates()?;
        self.pending_deposits_mut().apply_updates()?;
        self.pending_partial_withdrawals_mut().apply_updates()?;
        self.pending_consolidations_mut().apply_updates()?;
        self.proposer_lookahead_mut().apply_updates()?;
        if let Self::Dvt(state) = self {
            state.groups.apply_updates()?;
            state.previous_group_participation.apply_updates()?;
            state.current_group_participation.apply_updates()?;
        }
        Ok(())
    }

    /// Hash tree root, after pending changes are written into the trees.
    pub fn canonical_root(&mut self) -> Result<Root, milhouse::Error> {
        self.apply_pending_mutations()?;
        Ok(tree_hash::TreeHash::tree_hash_root(self))
    }
}
