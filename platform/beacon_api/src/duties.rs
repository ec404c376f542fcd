//! Duties of validators, and of virtual validators, which are told theirs in the same form.

use serde::{Deserialize, Serialize};
use types::{CommitteeIndex, Root, SignerIndex, SignerKey, Slot};

/// An entry of `/eth/v1/validator/duties/attester/{epoch}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttesterDuty {
    /// Key that signs.
    pub pubkey: SignerKey,
    /// Who attests.
    pub validator_index: SignerIndex,
    /// Committee of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: CommitteeIndex,
    /// Seats of the committee: one for each solo validator and each key of a group.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_length: u64,
    /// Committees of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committees_at_slot: u64,
    /// Seat in the committee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub validator_committee_index: u64,
    /// When to attest.
    pub slot: Slot,
    /// With the digest of an opened leaf it decides who aggregates. Only for keys that have leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_seed: Option<Root>,
}

/// An entry of `/eth/v1/validator/duties/proposer/{epoch}`. A slot of a group has an entry for each of its keys: whose
/// node answers decides which of them signs what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProposerDuty {
    /// Key that signs.
    pub pubkey: SignerKey,
    /// Who proposes.
    pub validator_index: SignerIndex,
    /// When to propose.
    pub slot: Slot,
}

/// An entry of `/eth/v1/validator/duties/sync/{epoch}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncDuty {
    /// Key that signs.
    pub pubkey: SignerKey,
    /// Who signs.
    pub validator_index: SignerIndex,
    /// Positions in the sync committee.
    #[serde(with = "serde_utils::quoted_u64_vec")]
    pub validator_sync_committee_indices: Vec<u64>,
}

/// An entry of `/eth/v1/validator/liveness/{epoch}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liveness {
    /// Who.
    pub index: SignerIndex,
    /// Whether anything signed by them was seen.
    pub is_live: bool,
}
