//! What leaves this node.

use std::sync::Arc;
use types::{
    AttesterSlashing, DataColumnSidecar, Preset, ProposerSlashing, SignedAggregateAndProof, SignedBLSToExecutionChange,
    SignedBeaconBlock, SignedBeaconBlockHeader, SignedContributionAndProof, SignedKeySetChange, SignedVoluntaryExit,
    SingleAttestation, SyncCommitteeMessage,
};

/// A message to be published on its topic.
#[derive(Debug, Clone)]
pub enum Outgoing<P: Preset> {
    /// A complete block.
    Block(Arc<SignedBeaconBlock<P>>),
    /// A leader's proposal to its group.
    GroupProposal(Arc<SignedBeaconBlock<P>>),
    /// A member's signature of a block.
    GroupSignature(Box<SignedBeaconBlockHeader>),
    /// A vote, for an attestation subnet.
    Attestation(Box<SingleAttestation>, u64),
    /// An aggregate.
    Aggregate(Arc<SignedAggregateAndProof<P>>),
    /// A sync committee message, for a sync committee subnet.
    SyncMessage(Box<SyncCommitteeMessage>, u64),
    /// A sync committee contribution.
    Contribution(Box<SignedContributionAndProof<P>>),
    /// A complete exit.
    VoluntaryExit(Box<SignedVoluntaryExit>),
    /// Evidence against a proposer.
    ProposerSlashing(Box<ProposerSlashing>),
    /// Evidence against attesters.
    AttesterSlashing(Box<AttesterSlashing<P>>),
    /// A change of withdrawal credentials.
    BlsToExecutionChange(Box<SignedBLSToExecutionChange>),
    /// A complete key-set change.
    KeySetChange(Box<SignedKeySetChange>),
    /// A data column.
    DataColumn(Arc<DataColumnSidecar<P>>),
}
