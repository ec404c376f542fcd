//! What a validator client does in each slot and epoch.

use super::{ANSWER_LIMIT, ApiError, BeaconClient, found};
use crate::{
    AttesterDuty, CommitteeSubscription, Data, Dependent, Liveness, Located, ProposerDuty, ProposerPreparation,
    SignedValidatorRegistration, SyncCommitteeSubscription, SyncDuty, Versioned,
};
use types::{
    Attestation, AttestationData, CommitteeIndex, Epoch, Preset, Root, SignedAggregateAndProof,
    SignedContributionAndProof, SignerIndex, Slot, SyncCommitteeContribution,
};

impl BeaconClient {
    /// `/eth/v1/validator/duties/attester/{epoch}`, at most one epoch ahead.
    pub async fn attester_duties(
        &self,
        epoch: Epoch,
        indices: &[SignerIndex],
    ) -> Result<Dependent<Vec<AttesterDuty>>, ApiError> {
        let path = format!("eth/v1/validator/duties/attester/{epoch}");
        self.post_for_json(&path, indices, ANSWER_LIMIT).await
    }

    /// `/eth/v1/validator/duties/proposer/{epoch}`.
    pub async fn proposer_duties(&self, epoch: Epoch) -> Result<Dependent<Vec<ProposerDuty>>, ApiError> {
        self.get_json(&format!("eth/v1/validator/duties/proposer/{epoch}"), &[])
            .await
    }

    /// `/eth/v1/validator/duties/sync/{epoch}`, as far as the next sync committee period.
    pub async fn sync_duties(&self, epoch: Epoch, indices: &[SignerIndex]) -> Result<Located<Vec<SyncDuty>>, ApiError> {
        let path = format!("eth/v1/validator/duties/sync/{epoch}");
        self.post_for_json(&path, indices, ANSWER_LIMIT).await
    }

    /// `/eth/v1/validator/attestation_data`.
    pub async fn attestation_data(
        &self,
        slot: Slot,
        committee_index: CommitteeIndex,
    ) -> Result<AttestationData, ApiError> {
        let query = [
            ("slot", slot.to_string()),
            ("committee_index", committee_index.to_string()),
        ];
        let answer: Data<_> = self.get_json("eth/v1/validator/attestation_data", &query).await?;
        Ok(answer.data)
    }

    /// `/eth/v2/validator/aggregate_attestation`; none if the node has seen no vote.
    pub async fn aggregate_attestation<P: Preset>(
        &self,
        attestation_data_root: Root,
        slot: Slot,
        committee_index: CommitteeIndex,
    ) -> Result<Option<Versioned<Attestation<P>>>, ApiError> {
        let query = [
            ("attestation_data_root", format!("{attestation_data_root:?}")),
            ("slot", slot.to_string()),
            ("committee_index", committee_index.to_string()),
        ];
        found(
            self.get_versioned("eth/v2/validator/aggregate_attestation", &query, ANSWER_LIMIT)
                .await,
        )
    }

    /// POST to `/eth/v2/validator/aggregate_and_proofs`. All of one fork.
    pub async fn submit_aggregates<P: Preset>(
        &self,
        aggregates: &[SignedAggregateAndProof<P>],
    ) -> Result<(), ApiError> {
        self.post_versioned_list("eth/v2/validator/aggregate_and_proofs", aggregates)
            .await
    }

    /// POST to `/eth/v1/validator/beacon_committee_subscriptions`.
    pub async fn subscribe_committees(&self, subscriptions: &[CommitteeSubscription]) -> Result<(), ApiError> {
        self.post_list("eth/v1/validator/beacon_committee_subscriptions", subscriptions)
            .await
    }

    /// POST to `/eth/v1/validator/sync_committee_subscriptions`.
    pub async fn subscribe_sync_committees(&self, subscriptions: &[SyncCommitteeSubscription]) -> Result<(), ApiError> {
        self.post_list("eth/v1/validator/sync_committee_subscriptions", subscriptions)
            .await
    }

    /// `/eth/v1/validator/sync_committee_contribution`; none if the node has seen no message.
    pub async fn sync_committee_contribution<P: Preset>(
        &self,
        slot: Slot,
        subcommittee_index: u64,
        beacon_block_root: Root,
    ) -> Result<Option<SyncCommitteeContribution<P>>, ApiError> {
        let query = [
            ("slot", slot.to_string()),
            ("subcommittee_index", subcommittee_index.to_string()),
            ("beacon_block_root", format!("{beacon_block_root:?}")),
        ];
        let answer: Option<Data<_>> = found(
            self.get_json("eth/v1/validator/sync_committee_contribution", &query)
                .await,
        )?;
        Ok(answer.map(|answer| answer.data))
    }

    /// POST to `/eth/v1/validator/contribution_and_proofs`.
    pub async fn submit_contributions<P: Preset>(
        &self,
        contributions: &[SignedContributionAndProof<P>],
    ) -> Result<(), ApiError> {
        self.post_list("eth/v1/validator/contribution_and_proofs", contributions)
            .await
    }

    /// POST to `/eth/v1/validator/prepare_beacon_proposer`.
    pub async fn prepare_proposers(&self, preparations: &[ProposerPreparation]) -> Result<(), ApiError> {
        self.post_list("eth/v1/validator/prepare_beacon_proposer", preparations)
            .await
    }

    /// POST to `/eth/v1/validator/register_validator`.
    pub async fn register_validators(&self, registrations: &[SignedValidatorRegistration]) -> Result<(), ApiError> {
        self.post_list("eth/v1/validator/register_validator", registrations)
            .await
    }

    /// `/eth/v1/validator/liveness/{epoch}`.
    pub async fn liveness(&self, epoch: Epoch, indices: &[SignerIndex]) -> Result<Vec<Liveness>, ApiError> {
        let path = format!("eth/v1/validator/liveness/{epoch}");
        let answer: Data<_> = self.post_for_json(&path, indices, ANSWER_LIMIT).await?;
        Ok(answer.data)
    }
}
