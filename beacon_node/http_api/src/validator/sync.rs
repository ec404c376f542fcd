//! The sync committee.

use super::outcome_of_items;
use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::RequestBody;
use crate::respond::{Answer, done, json_data};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};
use beacon_api::{Query, SyncCommitteeSubscription};
use gossip_validation::SyncGossipError;
use std::sync::Arc;
use types::{Preset, Root, SignedContributionAndProof, Slot, SyncCommitteeMessage};

type Context<P> = State<Arc<Reader<P>>>;

pub(super) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/validator/sync_committee_contribution", get(contribution::<P>))
        .route(
            "/eth/v1/validator/contribution_and_proofs",
            post(submit_contributions::<P>),
        )
        .route("/eth/v1/validator/sync_committee_subscriptions", post(subscribe::<P>))
        .route("/eth/v1/beacon/pool/sync_committees", post(submit_messages::<P>))
}

async fn contribution<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let slot: Slot = query.required("slot")?;
    let subcommittee_index: u64 = query.required("subcommittee_index")?;
    let beacon_block_root: Root = query.required("beacon_block_root")?;
    reader.check_verified()?;
    let contribution = reader
        .intake
        .pool()
        .get_contribution(slot, beacon_block_root, subcommittee_index)
        .map_err(ApiFailure::internal)?
        .ok_or_else(|| ApiFailure::not_found("no message of this subcommittee for this block was seen"))?;
    json_data(contribution)
}

/// Others were faster, or the client sends it twice: nothing is lost.
fn unless_known(result: Result<(), SyncGossipError>) -> Result<(), SyncGossipError> {
    match result {
        Err(SyncGossipError::NotFirst { .. } | SyncGossipError::NothingNew) => Ok(()),
        other => other,
    }
}

async fn submit_messages<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let messages: Vec<SyncCommitteeMessage> = body.json_list().await?;
    let mut results = Vec::with_capacity(messages.len());
    for message in messages {
        results.push(unless_known(reader.intake.submit_sync_message(message).await));
    }
    outcome_of_items(results)?;
    done()
}

async fn submit_contributions<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let contributions: Vec<SignedContributionAndProof<P>> = body.json_list().await?;
    let mut results = Vec::with_capacity(contributions.len());
    for contribution in contributions {
        results.push(unless_known(reader.intake.submit_contribution(contribution).await));
    }
    outcome_of_items(results)?;
    done()
}

async fn subscribe<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let subscriptions: Vec<SyncCommitteeSubscription> = body.json().await?;
    reader.router.subscribe_sync_committees(subscriptions).await;
    done()
}
