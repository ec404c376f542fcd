//! Containers of the sync committee.

use crate::{Preset, PublicKeyBytes, Root, SignatureBytes, SignerIndex, Slot};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitVector, FixedVector};
use tree_hash_derive::TreeHash;

/// Spec: altair/beacon-chain.md#syncaggregate
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct SyncAggregate<P: Preset> {
    /// One bit for each position.
    pub sync_committee_bits: BitVector<P::SyncCommitteeSize>,
    /// Aggregate of the set positions.
    pub sync_committee_signature: SignatureBytes,
}

/// Spec: altair/beacon-chain.md#synccommittee
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct SyncCommittee<P: Preset> {
    /// One key for each position.
    pub pubkeys: FixedVector<PublicKeyBytes, P::SyncCommitteeSize>,
    /// Sum of the keys.
    pub aggregate_pubkey: PublicKeyBytes,
}

/// Spec: altair/validator.md#synccommitteemessage
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncCommitteeMessage {
    /// Slot.
    pub slot: Slot,
    /// Head.
    pub beacon_block_root: Root,
    /// The signer.
    pub validator_index: SignerIndex,
    /// Over the head's root.
    pub signature: SignatureBytes,
}

/// Spec: altair/validator.md#synccommitteecontribution
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct SyncCommitteeContribution<P: Preset> {
    /// Slot.
    pub slot: Slot,
    /// Head.
    pub beacon_block_root: Root,
    /// Subcommittee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub subcommittee_index: u64,
    /// One bit for each position of the subcommittee.
    pub aggregation_bits: BitVector<P::SyncSubcommitteeSize>,
    /// Aggregate of the set positions.
    pub signature: SignatureBytes,
}

/// Spec: altair/validator.md#contributionandproof
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct ContributionAndProof<P: Preset> {
    /// The aggregator.
    pub aggregator_index: SignerIndex,
    /// The contribution.
    pub contribution: SyncCommitteeContribution<P>,
    /// Shows that the aggregator was selected.
    pub selection_proof: SignatureBytes,
}

/// Spec: altair/validator.md#signedcontributionandproof
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct SignedContributionAndProof<P: Preset> {
    /// The contribution with its aggregator.
    pub message: ContributionAndProof<P>,
    /// By the aggregator.
    pub signature: SignatureBytes,
}

/// Spec: altair/validator.md#syncaggregatorselectiondata
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SyncAggregatorSelectionData {
    /// Slot.
    pub slot: Slot,
    /// Subcommittee.
    #[serde(with = "serde_utils::quoted_u64")]
    pub subcommittee_index: u64,
}
