//! Reading states.

use super::{ANSWER_LIMIT, ApiError, BeaconClient, REGISTRY_LIMIT, found};
use crate::{
    Committee, FinalityCheckpoints, GroupEntry, Located, Randao, RootEntry, StateId, SyncCommitteeMembers,
    ValidatorBalance, ValidatorEntry, ValidatorId, ValidatorsRequest, Versioned,
};
use std::fmt::Display;
use types::{BeaconState, CommitteeIndex, Epoch, Fork, Preset, Root, Slot};

/// Ids that fit a query; more go into a body.
const MAX_IDS_IN_QUERY: usize = 30;

impl BeaconClient {
    /// `/eth/v1/beacon/states/{id}/root`.
    pub async fn state_root(&self, state: StateId) -> Result<Located<Root>, ApiError> {
        let answer: Located<RootEntry> = self
            .get_json(&format!("eth/v1/beacon/states/{state}/root"), &[])
            .await?;
        Ok(Located {
            execution_optimistic: answer.execution_optimistic,
            finalized: answer.finalized,
            data: answer.data.root,
        })
    }

    /// `/eth/v1/beacon/states/{id}/fork`.
    pub async fn state_fork(&self, state: StateId) -> Result<Located<Fork>, ApiError> {
        self.get_json(&format!("eth/v1/beacon/states/{state}/fork"), &[]).await
    }

    /// `/eth/v1/beacon/states/{id}/finality_checkpoints`.
    pub async fn finality_checkpoints(&self, state: StateId) -> Result<Located<FinalityCheckpoints>, ApiError> {
        self.get_json(&format!("eth/v1/beacon/states/{state}/finality_checkpoints"), &[])
            .await
    }

    /// `/eth/v1/beacon/states/{id}/validators`: those of `request`; unknown ones are left out. Keys of groups are
    /// found like those of solo validators.
    pub async fn validators(
        &self,
        state: StateId,
        request: &ValidatorsRequest,
    ) -> Result<Located<Vec<ValidatorEntry>>, ApiError> {
        let path = format!("eth/v1/beacon/states/{state}/validators");
        let ids = request.ids.as_deref().unwrap_or_default();
        if ids.len() > MAX_IDS_IN_QUERY {
            return self.post_for_json(&path, request, REGISTRY_LIMIT).await;
        }
        let mut query = Vec::new();
        push_list(&mut query, "id", ids);
        push_list(&mut query, "status", request.statuses.as_deref().unwrap_or_default());
        let limit = if ids.is_empty() { REGISTRY_LIMIT } else { ANSWER_LIMIT };
        self.get(&path, &query, crate::JSON, limit).await?.json()
    }

    /// `/eth/v1/beacon/states/{id}/validators/{validator_id}`.
    pub async fn validator(
        &self,
        state: StateId,
        validator: ValidatorId,
    ) -> Result<Option<Located<ValidatorEntry>>, ApiError> {
        found(
            self.get_json(&format!("eth/v1/beacon/states/{state}/validators/{validator}"), &[])
                .await,
        )
    }

    /// `/eth/v1/beacon/states/{id}/validator_balances`; all if `ids` is empty.
    pub async fn validator_balances(
        &self,
        state: StateId,
        ids: &[ValidatorId],
    ) -> Result<Located<Vec<ValidatorBalance>>, ApiError> {
        let path = format!("eth/v1/beacon/states/{state}/validator_balances");
        self.post_for_json(&path, ids, REGISTRY_LIMIT).await
    }

    /// `/eth/v1/beacon/states/{id}/committees`.
    pub async fn committees(
        &self,
        state: StateId,
        epoch: Option<Epoch>,
        index: Option<CommitteeIndex>,
        slot: Option<Slot>,
    ) -> Result<Located<Vec<Committee>>, ApiError> {
        let mut query = Vec::new();
        push(&mut query, "epoch", epoch);
        push(&mut query, "index", index);
        push(&mut query, "slot", slot);
        let path = format!("eth/v1/beacon/states/{state}/committees");
        self.get(&path, &query, crate::JSON, REGISTRY_LIMIT).await?.json()
    }

    /// `/eth/v1/beacon/states/{id}/sync_committees`.
    pub async fn sync_committees(
        &self,
        state: StateId,
        epoch: Option<Epoch>,
    ) -> Result<Located<SyncCommitteeMembers>, ApiError> {
        let mut query = Vec::new();
        push(&mut query, "epoch", epoch);
        self.get_json(&format!("eth/v1/beacon/states/{state}/sync_committees"), &query)
            .await
    }

    /// `/eth/v1/beacon/states/{id}/randao`.
    pub async fn randao(&self, state: StateId, epoch: Option<Epoch>) -> Result<Located<Randao>, ApiError> {
        let mut query = Vec::new();
        push(&mut query, "epoch", epoch);
        self.get_json(&format!("eth/v1/beacon/states/{state}/randao"), &query)
            .await
    }

    /// `/eth/v1/beacon/states/{id}/groups`.
    pub async fn groups(&self, state: StateId) -> Result<Located<Vec<GroupEntry>>, ApiError> {
        let path = format!("eth/v1/beacon/states/{state}/groups");
        self.get(&path, &[], crate::JSON, REGISTRY_LIMIT).await?.json()
    }

    /// `/eth/v2/debug/beacon/states/{id}`.
    pub async fn state<P: Preset>(&self, state: StateId) -> Result<Option<Versioned<BeaconState<P>>>, ApiError> {
        let path = format!("eth/v2/debug/beacon/states/{state}");
        found(self.get_versioned(&path, &[], REGISTRY_LIMIT).await)
    }
}

/// Adds a parameter, if there is one.
pub(super) fn push<T: Display>(query: &mut Vec<(&'static str, String)>, name: &'static str, value: Option<T>) {
    if let Some(value) = value {
        query.push((name, value.to_string()));
    }
}

/// Adds a list, if it is not empty.
fn push_list<T: Display>(query: &mut Vec<(&'static str, String)>, name: &'static str, values: &[T]) {
    if !values.is_empty() {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        query.push((name, values.join(",")));
    }
}
