//! Votes and aggregates.

use super::{outcome_of_items, production_failure};
use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::RequestBody;
use crate::respond::{Answer, Understands, done};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::{get, post};
use beacon_api::{CommitteeSubscription, Data, Query, Versioned};
use gossip_validation::AggregateGossipError;
use std::sync::Arc;
use types::{CommitteeIndex, ForkVersioned as _, Preset, Root, SignedAggregateAndProof, Slot};

type Context<P> = State<Arc<Reader<P>>>;

pub(super) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/validator/attestation_data", get(data::<P>))
        .route("/eth/v2/validator/aggregate_attestation", get(aggregate::<P>))
        .route("/eth/v2/validator/aggregate_and_proofs", post(submit_aggregates::<P>))
        .route("/eth/v1/validator/beacon_committee_subscriptions", post(subscribe::<P>))
}

async fn data<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery, understands: Understands) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let slot: Slot = query.required("slot")?;
    let committee_index: CommitteeIndex = query.optional("committee_index")?.unwrap_or_default();
    reader.check_verified()?;
    let data = reader
        .producer
        .attestation_data(slot, committee_index)
        .await
        .map_err(production_failure)?;
    understands.of_any_fork(&Data { data }, &data)
}

async fn aggregate<P: Preset>(
    State(reader): Context<P>,
    RawQuery(query): RawQuery,
    understands: Understands,
) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let data_root: Root = query.required("attestation_data_root")?;
    let slot: Slot = query.required("slot")?;
    let committee_index: CommitteeIndex = query.required("committee_index")?;
    reader.check_verified()?;
    let pool = Arc::clone(reader.intake.pool());
    let aggregate = reader
        .on_worker(move |_| {
            pool.get_aggregate(slot, data_root, committee_index)
                .map_err(ApiFailure::internal)
        })
        .await?
        .ok_or_else(|| ApiFailure::not_found("no vote of this committee for this data was seen"))?;
    // It becomes part of what is signed: whoever does not know its layout would sign something else.
    understands.to_be_signed(Versioned::new(aggregate.fork_name(), aggregate))
}

async fn submit_aggregates<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let aggregates: Vec<SignedAggregateAndProof<P>> = body.versioned_list(|_| None).await?;
    let mut results = Vec::with_capacity(aggregates.len());
    for aggregate in aggregates {
        results.push(match reader.intake.submit_aggregate(aggregate).await {
            // Others were faster, or the client sends it twice: nothing is lost.
            Err(AggregateGossipError::NotFirst { .. } | AggregateGossipError::NothingNew) => Ok(()),
            other => other,
        });
    }
    outcome_of_items(results)?;
    done()
}

async fn subscribe<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let subscriptions: Vec<CommitteeSubscription> = body.json().await?;
    let signers = subscriptions.iter().map(|subscription| subscription.validator_index);
    reader.intake.attached().note(reader.chain.current_epoch(), signers);
    reader.router.subscribe_committees(subscriptions).await;
    done()
}
