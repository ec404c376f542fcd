//! What duties paid.

use serde::{Deserialize, Serialize};
use types::{Gwei, SignerIndex, ValidatorIndex};

/// `/eth/v1/beacon/rewards/attestations/{epoch}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationRewards {
    /// What a perfect validator would have got, by effective balance.
    pub ideal_rewards: Vec<IdealAttestationReward>,
    /// What validators have got.
    pub total_rewards: Vec<TotalAttestationReward>,
}

/// What a perfect validator would have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdealAttestationReward {
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub effective_balance: Gwei,
    /// Gwei for the head.
    #[serde(with = "serde_utils::quoted_i64")]
    pub head: i64,
    /// Gwei for the target.
    #[serde(with = "serde_utils::quoted_i64")]
    pub target: i64,
    /// Gwei for the source.
    #[serde(with = "serde_utils::quoted_i64")]
    pub source: i64,
    /// Nothing since Altair. Clients expect the field.
    #[serde(default, with = "serde_utils::quoted_u64")]
    pub inclusion_delay: u64,
    /// Gwei of inactivity penalty.
    #[serde(with = "serde_utils::quoted_i64")]
    pub inactivity: i64,
}

/// What a validator has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalAttestationReward {
    /// Who.
    pub validator_index: ValidatorIndex,
    /// Gwei for the head.
    #[serde(with = "serde_utils::quoted_i64")]
    pub head: i64,
    /// Gwei for the target.
    #[serde(with = "serde_utils::quoted_i64")]
    pub target: i64,
    /// Gwei for the source.
    #[serde(with = "serde_utils::quoted_i64")]
    pub source: i64,
    /// Nothing since Altair. Clients expect the field.
    #[serde(default, with = "serde_utils::quoted_u64")]
    pub inclusion_delay: u64,
    /// Gwei of inactivity penalty.
    #[serde(with = "serde_utils::quoted_i64")]
    pub inactivity: i64,
}

/// `/eth/v1/beacon/rewards/blocks/{id}`, in Gwei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRewards {
    /// Who proposed.
    pub proposer_index: ValidatorIndex,
    /// Sum of the others.
    #[serde(with = "serde_utils::quoted_u64")]
    pub total: Gwei,
    /// For attestations.
    #[serde(with = "serde_utils::quoted_u64")]
    pub attestations: Gwei,
    /// For the sync aggregate.
    #[serde(with = "serde_utils::quoted_u64")]
    pub sync_aggregate: Gwei,
    /// For slashings of proposers.
    #[serde(with = "serde_utils::quoted_u64")]
    pub proposer_slashings: Gwei,
    /// For slashings of attesters.
    #[serde(with = "serde_utils::quoted_u64")]
    pub attester_slashings: Gwei,
}

/// An entry of `/eth/v1/beacon/rewards/sync_committee/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCommitteeReward {
    /// Who signed, or should have.
    pub validator_index: SignerIndex,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_i64")]
    pub reward: i64,
}
