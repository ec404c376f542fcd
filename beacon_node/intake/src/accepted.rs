//! What has been accepted, for whoever listens.

use crate::Intake;
use std::sync::Arc;
use tokio::sync::broadcast;
use types::{
    AttesterSlashing, ColumnIndex, KzgCommitment, Preset, ProposerSlashing, Root, SignedAggregateAndProof,
    SignedBLSToExecutionChange, SignedBeaconBlockHeader, SignedContributionAndProof, SignedKeySetChange,
    SignedVoluntaryExit, SingleAttestation, Slot,
};

/// Messages that a slow listener may be behind.
pub(crate) const BACKLOG: usize = 4096;

/// A message has met its conditions, from the network or the API.
#[derive(Debug, Clone)]
pub enum Accepted<P: Preset> {
    /// A complete block.
    Block {
        /// Its slot.
        slot: Slot,
        /// Its root.
        root: Root,
    },
    /// A data column.
    DataColumn {
        /// Slot of its block.
        slot: Slot,
        /// Root of its block.
        block_root: Root,
        /// Which column.
        index: ColumnIndex,
        /// Commitments to all blobs of the block.
        kzg_commitments: Vec<KzgCommitment>,
    },
    /// A single vote.
    SingleAttestation(Arc<SingleAttestation>),
    /// An aggregate of votes, with its aggregator.
    Aggregate(Arc<SignedAggregateAndProof<P>>),
    /// A contribution of the sync committee.
    Contribution(Arc<SignedContributionAndProof<P>>),
    /// A complete exit.
    VoluntaryExit(Arc<SignedVoluntaryExit>),
    /// Evidence against a proposer.
    ProposerSlashing(Arc<ProposerSlashing>),
    /// Evidence against attesters.
    AttesterSlashing(Arc<AttesterSlashing<P>>),
    /// A change of withdrawal credentials.
    BlsToExecutionChange(Arc<SignedBLSToExecutionChange>),
    /// A complete key-set change.
    KeySetChange(Arc<SignedKeySetChange>),
    /// A member's signature of a block of its group, alone or with the leader's proposal.
    GroupSignature(Arc<SignedBeaconBlockHeader>),
}

impl<P: Preset> Intake<P> {
    /// What is accepted from now on. A listener that is too slow loses messages and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Accepted<P>> {
        self.accepted.subscribe()
    }

    /// Tells listeners, if there are any.
    pub fn tell(&self, accepted: impl FnOnce() -> Accepted<P>) {
        if self.accepted.receiver_count() > 0 {
            // The last one may just have gone.
            let _ = self.accepted.send(accepted());
        }
    }
}
