//! `/eth/v1/beacon/states/{id}/validators` and `validator_balances`: the registry, and the keys of groups in it.

use crate::ApiFailure;
use crate::indices::Identities;
use crate::locate::Reader;
use crate::request::{Path, RequestBody};
use crate::respond::{Answer, Understands, json, json_located};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};
use beacon_api::{
    Located, Query, ValidatorBalance, ValidatorEntry, ValidatorId, ValidatorIdentity, ValidatorStatus,
    ValidatorsRequest,
};
use std::sync::Arc;
use types::{Epoch, Preset, PublicKeyBytes, SignerIndex};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route(
            "/eth/v1/beacon/states/{state_id}/validators",
            get(get_validators::<P>).post(post_validators::<P>),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/validators/{validator_id}",
            get(validator::<P>),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/validator_balances",
            get(get_balances::<P>).post(post_balances::<P>),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/validator_identities",
            post(identities::<P>),
        )
}

async fn get_validators<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let request = (query.list("id")?, query.list("status")?);
    validators(&reader, &state_id, request).await
}

async fn post_validators<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    body: RequestBody,
) -> Answer {
    let request: ValidatorsRequest = body.optional_json().await?.unwrap_or_default();
    let request = (request.ids.unwrap_or_default(), request.statuses.unwrap_or_default());
    validators(&reader, &state_id, request).await
}

async fn validators<P: Preset>(
    reader: &Arc<Reader<P>>,
    state_id: &str,
    (ids, filters): (Vec<ValidatorId>, Vec<String>),
) -> Answer {
    let mut statuses = Vec::new();
    for filter in &filters {
        let matching = ValidatorStatus::all_that_match(filter);
        if matching.is_empty() {
            let shown: String = filter.chars().take(64).collect();
            return Err(ApiFailure::bad_request(format!(
                "unknown status {shown:?}, expected a validator status such as active_ongoing, or active, pending, exited, withdrawal"
            )));
        }
        statuses.extend(matching);
    }
    let found = reader.state(state_id).await?;
    let place = (found.execution_optimistic, found.finalized);
    reader
        .with_identities_of(&found, ids, move |identities, ids| {
            let is_wanted = |entry: &ValidatorEntry| statuses.is_empty() || statuses.contains(&entry.status);
            let entries: Vec<ValidatorEntry> = if ids.is_empty() {
                identities.registry().filter(is_wanted).collect()
            } else {
                signers(identities, ids)
                    .into_iter()
                    .filter_map(|index| identities.entry(index))
                    .filter(is_wanted)
                    .collect()
            };
            json_located(place.0, place.1, entries)
        })
        .await
}

/// Indices of those who exist, each once, in the order of the question.
pub(crate) fn signers<P: Preset>(identities: &Identities<P>, ids: Vec<ValidatorId>) -> Vec<SignerIndex> {
    let mut seen = std::collections::HashSet::new();
    ids.into_iter()
        .filter_map(|id| identities.signer(id))
        .filter(|index| seen.insert(*index))
        .collect()
}

async fn validator<P: Preset>(
    State(reader): Context<P>,
    Path((state_id, validator_id)): Path<(String, String)>,
) -> Answer {
    let id: ValidatorId = validator_id.parse()?;
    let found = reader.state(&state_id).await?;
    let place = (found.execution_optimistic, found.finalized);
    reader
        .with_identities(&found, move |_, identities| {
            let entry = identities
                .signer(id)
                .and_then(|index| identities.entry(index))
                .ok_or_else(|| ApiFailure::not_found(format!("validator {id} is not in this state")))?;
            json_located(place.0, place.1, entry)
        })
        .await
}

async fn get_balances<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let ids = Query::parse(&query).list("id")?;
    balances(&reader, &state_id, ids).await
}

async fn post_balances<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    body: RequestBody,
) -> Answer {
    let ids = body.optional_json().await?.unwrap_or_default();
    balances(&reader, &state_id, ids).await
}

async fn balances<P: Preset>(reader: &Arc<Reader<P>>, state_id: &str, ids: Vec<ValidatorId>) -> Answer {
    let found = reader.state(state_id).await?;
    let place = (found.execution_optimistic, found.finalized);
    reader
        .with_identities_of(&found, ids, move |identities, ids| {
            let balances: Vec<ValidatorBalance> = if ids.is_empty() {
                (0u64..)
                    .zip(identities.state().balances().iter())
                    .map(|(index, balance)| ValidatorBalance {
                        index: SignerIndex::new(index),
                        balance: *balance,
                    })
                    .collect()
            } else {
                signers(identities, ids)
                    .into_iter()
                    .filter_map(|index| {
                        let balance = identities.balance(index)?;
                        Some(ValidatorBalance { index, balance })
                    })
                    .collect()
            };
            json_located(place.0, place.1, balances)
        })
        .await
}

/// As SSZ sends it: only for keys of 48 bytes.
#[derive(ssz_derive::Encode)]
struct BlsIdentity {
    index: SignerIndex,
    pubkey: PublicKeyBytes,
    activation_epoch: Epoch,
}

async fn identities<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    understands: Understands,
    body: RequestBody,
) -> Answer {
    let ids: Vec<ValidatorId> = body.optional_json().await?.unwrap_or_default();
    let found = reader.state(&state_id).await?;
    let place = (found.execution_optimistic, found.finalized);
    reader
        .with_identities_of(&found, ids, move |identities, ids| {
            let entries: Vec<ValidatorEntry> = if ids.is_empty() {
                identities.registry().collect()
            } else {
                let signers = signers(identities, ids).into_iter();
                signers.filter_map(|index| identities.entry(index)).collect()
            };
            let data: Vec<ValidatorIdentity> = entries
                .into_iter()
                .map(|entry| ValidatorIdentity {
                    index: entry.index,
                    pubkey: entry.validator.pubkey,
                    activation_epoch: entry.validator.activation_epoch,
                })
                .collect();
            let in_ssz: Option<Vec<BlsIdentity>> = data
                .iter()
                .map(|identity| {
                    Some(BlsIdentity {
                        index: identity.index,
                        pubkey: identity.pubkey.as_bls()?,
                        activation_epoch: identity.activation_epoch,
                    })
                })
                .collect();
            let answer = Located {
                execution_optimistic: place.0,
                finalized: place.1,
                data,
            };
            match in_ssz {
                Some(in_ssz) => understands.of_any_fork(&answer, &in_ssz),
                None => json(&answer),
            }
        })
        .await
}
