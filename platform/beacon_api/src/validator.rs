//! What a validator client sends besides signed containers.

use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use std::fmt;
use std::str::FromStr;
use tree_hash_derive::TreeHash;
use types::{CommitteeIndex, Epoch, ExecutionAddress, PublicKeyBytes, SchemeProof, SignatureBytes, SignerIndex, Slot};

/// An item of `/eth/v1/validator/beacon_committee_subscriptions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitteeSubscription {
    /// Who attests.
    pub validator_index: SignerIndex,
    /// Committee of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: CommitteeIndex,
    /// Committees of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub committees_at_slot: u64,
    /// When.
    pub slot: Slot,
    /// Whether an aggregate will be asked for.
    pub is_aggregator: bool,
}

/// An item of `/eth/v1/validator/sync_committee_subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCommitteeSubscription {
    /// Who signs.
    pub validator_index: SignerIndex,
    /// Positions in the sync committee.
    #[serde(with = "serde_utils::quoted_u64_vec")]
    pub sync_committee_indices: Vec<u64>,
    /// First epoch for which this does not hold any more.
    pub until_epoch: Epoch,
}

/// An item of `/eth/v1/validator/prepare_beacon_proposer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposerPreparation {
    /// Who may propose.
    pub validator_index: SignerIndex,
    /// Who gets the fees of their blocks.
    #[serde(with = "serde_utils::address_hex")]
    pub fee_recipient: ExecutionAddress,
}

/// What a validator tells builders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TreeHash, Encode, Decode, Serialize, Deserialize)]
pub struct ValidatorRegistration {
    /// Who gets the fees.
    #[serde(with = "serde_utils::address_hex")]
    pub fee_recipient: ExecutionAddress,
    /// Preferred gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Seconds since the Unix epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Whose block.
    pub pubkey: PublicKeyBytes,
}

/// An item of `/eth/v1/validator/register_validator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SignedValidatorRegistration {
    /// What is registered.
    pub message: ValidatorRegistration,
    /// By the validator's key.
    pub signature: SignatureBytes,
}

/// A reveal by a key that has leaves, as a query has it: the scheme's number and the bytes, as in `1-0x...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandaoProof(pub SchemeProof);

impl fmt::Display for RandaoProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-0x{}", self.0.scheme, hex::encode(&*self.0.data))
    }
}

impl FromStr for RandaoProof {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once("-0x");
        let proof = parts.and_then(|(scheme, data)| {
            Some(SchemeProof {
                scheme: scheme.parse().ok()?,
                data: hex::decode(data).ok()?.try_into().ok()?,
            })
        });
        proof
            .map(Self)
            .ok_or_else(|| "expected a scheme's number and an opening in hex, as in 1-0x...".to_owned())
    }
}

/// What a node checks before it sends a block to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BroadcastValidation {
    /// What gossip asks for.
    #[default]
    Gossip,
    /// Everything but the payload's execution.
    Consensus,
    /// And that no other block of the same proposer and slot was seen.
    ConsensusAndEquivocation,
}

impl BroadcastValidation {
    /// As in the query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gossip => "gossip",
            Self::Consensus => "consensus",
            Self::ConsensusAndEquivocation => "consensus_and_equivocation",
        }
    }
}

impl fmt::Display for BroadcastValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BroadcastValidation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Gossip, Self::Consensus, Self::ConsensusAndEquivocation]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| "expected gossip, consensus or consensus_and_equivocation".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reveal_is_read_as_it_is_written() {
        let proof = RandaoProof(SchemeProof {
            scheme: 2,
            data: vec![1, 0xab, 0xff].try_into().unwrap(),
        });
        assert_eq!(proof.to_string(), "2-0x01abff");
        assert_eq!(proof.to_string().parse(), Ok(proof));
        for text in ["", "0x01", "1-01", "256-0x01", "1-0x1", "1-0xzz"] {
            assert!(text.parse::<RandaoProof>().is_err(), "{text}");
        }
    }
}
