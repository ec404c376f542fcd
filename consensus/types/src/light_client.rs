//! Containers of the light client protocol. The dvt fork leaves them as they are.

use crate::{BeaconBlockHeader, ExecutionPayloadHeader, Preset, Root, Slot, SyncAggregate, SyncCommittee};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::FixedVector;
use tree_hash_derive::TreeHash;
use typenum::{U4, U6, U7};

/// Spec: capella/light-client/sync-protocol.md#modified-lightclientheader
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct LightClientHeader<P: Preset> {
    /// Beacon header.
    pub beacon: BeaconBlockHeader,
    /// Execution header.
    pub execution: ExecutionPayloadHeader<P>,
    /// Merkle path from the payload to the body's root.
    pub execution_branch: FixedVector<Root, U4>,
}

/// Spec: altair/light-client/sync-protocol.md#lightclientbootstrap
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct LightClientBootstrap<P: Preset> {
    /// Header of the trusted block.
    pub header: LightClientHeader<P>,
    /// Sync committee of its state.
    pub current_sync_committee: SyncCommittee<P>,
    /// Merkle path of the committee.
    pub current_sync_committee_branch: FixedVector<Root, U6>,
}

/// Spec: altair/light-client/sync-protocol.md#lightclientupdate
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct LightClientUpdate<P: Preset> {
    /// Header that the committee attests.
    pub attested_header: LightClientHeader<P>,
    /// Next sync committee of its state.
    pub next_sync_committee: SyncCommittee<P>,
    /// Merkle path of the committee.
    pub next_sync_committee_branch: FixedVector<Root, U6>,
    /// Finalised header.
    pub finalized_header: LightClientHeader<P>,
    /// Merkle path of the finalised root.
    pub finality_branch: FixedVector<Root, U7>,
    /// Signatures.
    pub sync_aggregate: SyncAggregate<P>,
    /// Slot of the signatures.
    pub signature_slot: Slot,
}

/// Spec: altair/light-client/sync-protocol.md#lightclientfinalityupdate
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct LightClientFinalityUpdate<P: Preset> {
    /// Header that the committee attests.
    pub attested_header: LightClientHeader<P>,
    /// Finalised header.
    pub finalized_header: LightClientHeader<P>,
    /// Merkle path of the finalised root.
    pub finality_branch: FixedVector<Root, U7>,
    /// Signatures.
    pub sync_aggregate: SyncAggregate<P>,
    /// Slot of the signatures.
    pub signature_slot: Slot,
}

/// Spec: altair/light-client/sync-protocol.md#lightclientoptimisticupdate
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct LightClientOptimisticUpdate<P: Preset> {
    /// Header that the committee attests.
    pub attested_header: LightClientHeader<P>,
    /// Signatures.
    pub sync_aggregate: SyncAggregate<P>,
    /// Slot of the signatures.
    pub signature_slot: Slot,
}
