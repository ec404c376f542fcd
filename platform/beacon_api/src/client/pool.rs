//! Operations that wait for a block.

use super::state::push;
use super::{ANSWER_LIMIT, ApiError, BeaconClient, Body};
use crate::body::list_from_json_of_either;
use crate::{Data, JSON, Versioned};
use serde_json::value::RawValue;
use types::{
    Attestation, AttesterSlashing, CommitteeIndex, ForkVersioned, Preset, ProposerSlashing, SignedBLSToExecutionChange,
    SignedKeySetChange, SignedVoluntaryExit, SingleAttestation, Slot, SyncCommitteeMessage,
};

const EXITS: &str = "eth/v1/beacon/pool/voluntary_exits";
const PROPOSER_SLASHINGS: &str = "eth/v1/beacon/pool/proposer_slashings";
const ATTESTER_SLASHINGS: &str = "eth/v2/beacon/pool/attester_slashings";
const CREDENTIAL_CHANGES: &str = "eth/v1/beacon/pool/bls_to_execution_changes";
const KEY_SET_CHANGES: &str = "eth/v1/beacon/pool/key_set_changes";
const ATTESTATIONS: &str = "eth/v2/beacon/pool/attestations";

impl BeaconClient {
    /// GET `/eth/v2/beacon/pool/attestations`.
    pub async fn pool_attestations<P: Preset>(
        &self,
        slot: Option<Slot>,
        committee_index: Option<CommitteeIndex>,
    ) -> Result<Versioned<Vec<Attestation<P>>>, ApiError> {
        let mut query = Vec::new();
        push(&mut query, "slot", slot);
        push(&mut query, "committee_index", committee_index);
        let answer = self.get(ATTESTATIONS, &query, JSON, ANSWER_LIMIT).await?;
        Versioned::list_from_json(&answer.body).map_err(|error| answer.unreadable(error))
    }

    /// POST to `/eth/v2/beacon/pool/attestations`. All of one fork. If some are refused, the error says which; the
    /// others were taken.
    pub async fn submit_attestations(&self, attestations: &[SingleAttestation]) -> Result<(), ApiError> {
        self.post_versioned_list(ATTESTATIONS, attestations).await
    }

    /// POST to `/eth/v1/beacon/pool/sync_committees`. If some are refused, the error says which; the others were
    /// taken.
    pub async fn submit_sync_committee_messages(&self, messages: &[SyncCommitteeMessage]) -> Result<(), ApiError> {
        self.post_list("eth/v1/beacon/pool/sync_committees", messages).await
    }

    /// GET `/eth/v1/beacon/pool/voluntary_exits`.
    pub async fn pool_voluntary_exits(&self) -> Result<Vec<SignedVoluntaryExit>, ApiError> {
        self.list_of_either(EXITS).await
    }

    /// POST to `/eth/v1/beacon/pool/voluntary_exits`.
    pub async fn submit_voluntary_exit(&self, exit: &SignedVoluntaryExit) -> Result<(), ApiError> {
        self.submit_versioned(EXITS, exit).await
    }

    /// GET `/eth/v1/beacon/pool/proposer_slashings`.
    pub async fn pool_proposer_slashings(&self) -> Result<Vec<ProposerSlashing>, ApiError> {
        self.list_of_either(PROPOSER_SLASHINGS).await
    }

    /// POST to `/eth/v1/beacon/pool/proposer_slashings`.
    pub async fn submit_proposer_slashing(&self, slashing: &ProposerSlashing) -> Result<(), ApiError> {
        self.submit_versioned(PROPOSER_SLASHINGS, slashing).await
    }

    /// GET `/eth/v2/beacon/pool/attester_slashings`.
    pub async fn pool_attester_slashings<P: Preset>(&self) -> Result<Versioned<Vec<AttesterSlashing<P>>>, ApiError> {
        let answer = self.get(ATTESTER_SLASHINGS, &[], JSON, ANSWER_LIMIT).await?;
        Versioned::list_from_json(&answer.body).map_err(|error| answer.unreadable(error))
    }

    /// POST to `/eth/v2/beacon/pool/attester_slashings`.
    pub async fn submit_attester_slashing<P: Preset>(&self, slashing: &AttesterSlashing<P>) -> Result<(), ApiError> {
        self.submit_versioned(ATTESTER_SLASHINGS, slashing).await
    }

    /// GET `/eth/v1/beacon/pool/bls_to_execution_changes`.
    pub async fn pool_bls_to_execution_changes(&self) -> Result<Vec<SignedBLSToExecutionChange>, ApiError> {
        self.data(CREDENTIAL_CHANGES).await
    }

    /// POST to `/eth/v1/beacon/pool/bls_to_execution_changes`.
    pub async fn submit_bls_to_execution_changes(
        &self,
        changes: &[SignedBLSToExecutionChange],
    ) -> Result<(), ApiError> {
        self.post_list(CREDENTIAL_CHANGES, changes).await
    }

    /// GET `/eth/v1/beacon/pool/key_set_changes`: also those that still lack signatures or key proofs.
    pub async fn pool_key_set_changes(&self) -> Result<Vec<SignedKeySetChange>, ApiError> {
        self.data(KEY_SET_CHANGES).await
    }

    /// POST to `/eth/v1/beacon/pool/key_set_changes`: a change with any of its signatures and key proofs; the node
    /// adds them to those it has.
    pub async fn submit_key_set_change(&self, change: &SignedKeySetChange) -> Result<(), ApiError> {
        self.post_json(KEY_SET_CHANGES, change).await?;
        Ok(())
    }

    async fn submit_versioned<T: serde::Serialize + ForkVersioned>(
        &self,
        path: &str,
        item: &T,
    ) -> Result<(), ApiError> {
        self.post(path, &[], Body::json(item)?.of(item.fork_name())).await?;
        Ok(())
    }

    async fn list_of_either<T: ForkVersioned>(&self, path: &str) -> Result<Vec<T>, ApiError> {
        let answer = self.get(path, &[], JSON, ANSWER_LIMIT).await?;
        let unread: Data<Box<RawValue>> = answer.json()?;
        list_from_json_of_either(unread.data.get().as_bytes()).map_err(|error| answer.unreadable(error))
    }
}
