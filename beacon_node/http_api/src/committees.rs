//! `/eth/v1/beacon/states/{id}/committees` and `sync_committees`, seat by seat.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::Path;
use crate::respond::{Answer, json_located};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use beacon_api::{Committee, Query, SyncCommitteeMembers};
use state_transition::StateError;
use state_transition::dvt::accessors::get_committee_seats;
use state_transition::helpers::accessors::{get_committee_count_per_slot, get_validator_index};
use std::sync::Arc;
use types::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use types::{BeaconState, CommitteeIndex, Epoch, Preset, SignerIndex, Slot, SyncCommittee};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/beacon/states/{state_id}/committees", get(committees::<P>))
        .route(
            "/eth/v1/beacon/states/{state_id}/sync_committees",
            get(sync_committees::<P>),
        )
}

fn state_failure(error: StateError) -> ApiFailure {
    match error {
        StateError::EpochOutOfRange { .. } => ApiFailure::bad_request(error),
        error => ApiFailure::internal(error),
    }
}

async fn committees<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let epoch: Option<Epoch> = query.optional("epoch")?;
    let index: Option<CommitteeIndex> = query.optional("index")?;
    let slot: Option<Slot> = query.optional("slot")?;
    let found = reader.state(&state_id).await?;
    let epoch = epoch
        .or_else(|| slot.map(|slot| slot.epoch::<P>()))
        .unwrap_or_else(|| found.state.current_epoch());
    if let Some(slot) = slot
        && slot.epoch::<P>() != epoch
    {
        return Err(ApiFailure::bad_request(format!("slot {slot} is not in epoch {epoch}")));
    }
    reader
        .on_worker(move |_| {
            let state = &*found.state;
            let per_slot = get_committee_count_per_slot(state, epoch).map_err(state_failure)?;
            if let Some(index) = index
                && index >= per_slot
            {
                return Err(ApiFailure::bad_request(format!(
                    "committee {index} does not exist, each slot of epoch {epoch} has {per_slot}"
                )));
            }
            let slots = match slot {
                Some(slot) => slot.as_u64()..=slot.as_u64(),
                None => epoch.start_slot::<P>().as_u64()..=epoch.end_slot::<P>().as_u64(),
            };
            let indices = match index {
                Some(index) => index..=index,
                None => 0..=per_slot.saturating_sub(1),
            };
            let mut committees = Vec::new();
            for slot in slots.map(Slot::new) {
                for index in indices.clone() {
                    let validators = get_committee_seats(state, slot, index).map_err(state_failure)?;
                    committees.push(Committee {
                        index,
                        slot,
                        validators,
                    });
                }
            }
            json_located(found.execution_optimistic, found.finalized, committees)
        })
        .await
}

async fn sync_committees<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let epoch: Option<Epoch> = Query::parse(&query).optional("epoch")?;
    let found = reader.state(&state_id).await?;
    reader
        .on_worker(move |_| {
            let validators = sync_committee_signers(&found.state, epoch)?;
            let per_subcommittee = validators.len() / SYNC_COMMITTEE_SUBNET_COUNT.max(1) as usize;
            let members = SyncCommitteeMembers {
                validator_aggregates: validators
                    .chunks(per_subcommittee.max(1))
                    .map(<[SignerIndex]>::to_vec)
                    .collect(),
                validators,
            };
            json_located(found.execution_optimistic, found.finalized, members)
        })
        .await
}

/// Signer of each position of the sync committee of an epoch; of the state's own without one.
pub(crate) fn sync_committee_signers<P: Preset>(
    state: &BeaconState<P>,
    epoch: Option<Epoch>,
) -> Result<Vec<SignerIndex>, ApiFailure> {
    let period = |epoch: Epoch| epoch.as_u64() / P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
    let current = period(state.current_epoch());
    let asked = epoch.map_or(current, period);
    let is_current = asked == current;
    if !is_current && asked != current + 1 {
        return Err(ApiFailure::bad_request(format!(
            "the state of epoch {} knows no sync committee of epoch {}, expected its own period or the next",
            state.current_epoch(),
            epoch.unwrap_or_default()
        )));
    }
    match state {
        BeaconState::Dvt(state) => Ok(if is_current {
            state.current_sync_committee_indices.to_vec()
        } else {
            state.next_sync_committee_indices.to_vec()
        }),
        BeaconState::Fulu(inner) => {
            let committee: &SyncCommittee<P> = if is_current {
                &inner.current_sync_committee
            } else {
                &inner.next_sync_committee
            };
            committee
                .pubkeys
                .iter()
                .map(|public_key| {
                    get_validator_index(state, public_key)
                        .map(SignerIndex::from)
                        .ok_or_else(|| ApiFailure::internal("a key of the sync committee is not in the registry"))
                })
                .collect()
        }
    }
}
