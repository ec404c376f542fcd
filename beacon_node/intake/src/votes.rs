//! Votes: attestations, aggregates, and the sync committee's.

use crate::{Accepted, Intake, Outgoing};
use gossip_validation::{
    AggregateGossipError, AttestationGossipError, SyncGossipError, VerifiedAggregate, VerifiedAttestation,
    VerifiedContribution, VerifiedSyncMessage,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Preset, SignedAggregateAndProof, SignedContributionAndProof, SingleAttestation, SyncCommitteeMessage};

impl<P: Preset> Intake<P> {
    /// Votes from the network, each with the subnet that it came from. One result per vote, in their order.
    pub async fn receive_attestations(
        &self,
        attestations: Vec<(SingleAttestation, Option<u64>)>,
    ) -> Vec<Result<(), AttestationGossipError>> {
        let results = self.gossip.verify_attestations(attestations).await;
        results
            .into_iter()
            .map(|result| result.map(|verified| self.apply_attestation(&verified)))
            .collect()
    }

    /// Votes of validators attached to this node: as from the network, then published. One result per vote, in their
    /// order.
    pub async fn submit_attestations(
        &self,
        attestations: Vec<SingleAttestation>,
    ) -> Vec<Result<(), AttestationGossipError>> {
        let attestations = attestations.into_iter().map(|vote| (vote, None)).collect();
        let mut results = Vec::new();
        for result in self.gossip.verify_attestations(attestations).await {
            results.push(match result {
                Ok(verified) => {
                    self.apply_attestation(&verified);
                    let subnet = verified.subnet_id;
                    self.publish(Outgoing::Attestation(Box::new(verified.attestation), subnet))
                        .await;
                    Ok(())
                }
                Err(error) => Err(error),
            });
        }
        results
    }

    fn apply_attestation(&self, verified: &VerifiedAttestation) {
        self.tell(|| Accepted::SingleAttestation(Arc::new(verified.attestation.clone())));
        if let Err(error) = self.chain().apply_vote(&[verified.signer], verified.data()) {
            tracing::debug!(signer = %verified.signer, %error, "Vote has no weight");
        }
        self.pool
            .insert_attestation(&verified.attestation, verified.scheme, verified.seat, verified.seats);
    }

    /// An aggregate from the network.
    pub async fn receive_aggregate(
        &self,
        aggregate: Arc<SignedAggregateAndProof<P>>,
    ) -> Result<VerifiedAggregate<P>, AggregateGossipError> {
        let verified = self.gossip.verify_aggregate(aggregate).await?;
        if let Err(error) = self
            .chain()
            .apply_vote(&verified.attesting_indices, verified.aggregate.data())
        {
            tracing::debug!(%error, "Aggregate has no weight");
        }
        self.pool
            .insert_aggregate(&verified.aggregate, verified.committee_index, &verified.seats);
        self.tell(|| Accepted::Aggregate(Arc::clone(&verified.signed)));
        Ok(verified)
    }

    /// An aggregate of a validator attached to this node: as from the network, then published.
    pub async fn submit_aggregate(&self, aggregate: SignedAggregateAndProof<P>) -> Result<(), AggregateGossipError> {
        let verified = self.receive_aggregate(Arc::new(aggregate)).await?;
        self.publish(Outgoing::Aggregate(verified.signed)).await;
        Ok(())
    }

    /// A sync committee message from the network, with the subnet that it came from.
    pub async fn receive_sync_message(
        &self,
        message: SyncCommitteeMessage,
        subnet: Option<u64>,
    ) -> Result<VerifiedSyncMessage, SyncGossipError> {
        let verified = self.gossip.verify_sync_message(message, subnet).await?;
        let message = &verified.message;
        for place in &verified.positions {
            self.pool.insert_sync_message(
                message.slot,
                message.beacon_block_root,
                place.subcommittee_index,
                place.position,
                message.signature,
            );
        }
        Ok(verified)
    }

    /// A sync committee message of a validator attached to this node: as from the network, then published on every
    /// subnet in which the validator sits.
    pub async fn submit_sync_message(&self, message: SyncCommitteeMessage) -> Result<(), SyncGossipError> {
        let verified = self.receive_sync_message(message, None).await?;
        let subnets: BTreeSet<u64> = verified
            .positions
            .iter()
            .map(|place| place.subcommittee_index)
            .collect();
        for subnet in subnets {
            self.publish(Outgoing::SyncMessage(Box::new(verified.message.clone()), subnet))
                .await;
        }
        Ok(())
    }

    /// A contribution from the network.
    pub async fn receive_contribution(
        &self,
        contribution: SignedContributionAndProof<P>,
    ) -> Result<VerifiedContribution<P>, SyncGossipError> {
        let verified = self.gossip.verify_contribution(contribution).await?;
        self.pool.insert_contribution(&verified.signed.message.contribution);
        self.tell(|| Accepted::Contribution(Arc::new(verified.signed.clone())));
        Ok(verified)
    }

    /// A contribution of a validator attached to this node: as from the network, then published.
    pub async fn submit_contribution(
        &self,
        contribution: SignedContributionAndProof<P>,
    ) -> Result<(), SyncGossipError> {
        let verified = self.receive_contribution(contribution).await?;
        self.publish(Outgoing::Contribution(Box::new(verified.signed))).await;
        Ok(())
    }
}
