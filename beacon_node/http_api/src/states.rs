//! `/eth/v1/beacon/states/{id}`: roots, checkpoints, randomness, queues, groups.

use crate::ApiFailure;
use crate::locate::{FoundState, Reader};
use crate::request::Path;
use crate::respond::{Answer, Understands, json_located};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use beacon_api::{FinalityCheckpoints, GroupEntry, Query, Randao, RootEntry, Versioned};
use ssz::Encode;
use state_transition::helpers::accessors::get_randao_mix;
use std::sync::Arc;
use types::{BeaconState, Epoch, ForkVersioned as _, Preset};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/beacon/states/{state_id}/root", get(root::<P>))
        .route("/eth/v1/beacon/states/{state_id}/fork", get(fork::<P>))
        .route(
            "/eth/v1/beacon/states/{state_id}/finality_checkpoints",
            get(finality_checkpoints::<P>),
        )
        .route("/eth/v1/beacon/states/{state_id}/randao", get(randao::<P>))
        .route("/eth/v1/beacon/states/{state_id}/groups", get(groups::<P>))
        .route(
            "/eth/v1/beacon/states/{state_id}/pending_deposits",
            get(pending_deposits::<P>),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/pending_partial_withdrawals",
            get(pending_partial_withdrawals::<P>),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/pending_consolidations",
            get(pending_consolidations::<P>),
        )
        .route(
            "/eth/v1/beacon/states/{state_id}/proposer_lookahead",
            get(proposer_lookahead::<P>),
        )
}

async fn root<P: Preset>(State(reader): Context<P>, Path(state_id): Path<String>) -> Answer {
    let found = reader.state(&state_id).await?;
    let state = Arc::clone(&found.state);
    let head = reader.chain.head();
    let root = if Arc::ptr_eq(&state, &head.state) {
        head.state_root
    } else {
        reader
            .on_worker(move |_| {
                BeaconState::clone(&state)
                    .canonical_root()
                    .map_err(|error| ApiFailure::internal(format!("{error:?}")))
            })
            .await?
    };
    json_located(found.execution_optimistic, found.finalized, RootEntry { root })
}

async fn fork<P: Preset>(State(reader): Context<P>, Path(state_id): Path<String>) -> Answer {
    let found = reader.state(&state_id).await?;
    json_located(found.execution_optimistic, found.finalized, found.state.fork())
}

async fn finality_checkpoints<P: Preset>(State(reader): Context<P>, Path(state_id): Path<String>) -> Answer {
    let found = reader.state(&state_id).await?;
    let checkpoints = FinalityCheckpoints {
        previous_justified: found.state.previous_justified_checkpoint(),
        current_justified: found.state.current_justified_checkpoint(),
        finalized: found.state.finalized_checkpoint(),
    };
    json_located(found.execution_optimistic, found.finalized, checkpoints)
}

async fn randao<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = query.unwrap_or_default();
    let asked: Option<Epoch> = Query::parse(&query).optional("epoch")?;
    let found = reader.state(&state_id).await?;
    let current = found.state.current_epoch();
    let epoch = asked.unwrap_or(current);
    let length = found.state.randao_mixes().len() as u64;
    if epoch > current || epoch.saturating_add(length) <= current {
        return Err(ApiFailure::bad_request(format!(
            "the state of epoch {current} has no randao mix of epoch {epoch}, expected one of the last {length} epochs"
        )));
    }
    let randao = get_randao_mix(&*found.state, epoch).map_err(ApiFailure::internal)?;
    json_located(found.execution_optimistic, found.finalized, Randao { randao })
}

/// Groups of the state, with the seats that have voted. Empty before the fork.
async fn groups<P: Preset>(
    State(reader): Context<P>,
    Path(state_id): Path<String>,
    understands: Understands,
) -> Answer {
    let found = reader.state(&state_id).await?;
    reader
        .on_worker(move |_| {
            let entries = match &*found.state {
                BeaconState::Fulu(_) => Vec::new(),
                BeaconState::Dvt(state) => state
                    .groups
                    .iter()
                    .zip(state.previous_group_participation.iter())
                    .zip(state.current_group_participation.iter())
                    .map(|((group, previous), current)| GroupEntry::new(group, *previous, *current))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| ApiFailure::internal("a group has an index that no registry entry can have"))?,
            };
            understands.json(Versioned::located(
                found.state.fork_name(),
                found.execution_optimistic,
                found.finalized,
                entries,
            ))
        })
        .await
}

/// A part of a state, in SSZ or JSON.
fn part<P: Preset, T: serde::Serialize + Encode>(understands: Understands, found: &FoundState<P>, part: T) -> Answer {
    let fork = found.state.fork_name();
    understands.json_or_ssz(Versioned::located(
        fork,
        found.execution_optimistic,
        found.finalized,
        part,
    ))
}

macro_rules! parts {
    ($($name:ident),*) => {
        $(async fn $name<P: Preset>(
            State(reader): Context<P>,
            Path(state_id): Path<String>,
            understands: Understands,
        ) -> Answer {
            let found = reader.state(&state_id).await?;
            reader
                .on_worker(move |_| part(understands, &found, found.state.$name().clone()))
                .await
        })*
    };
}

parts!(
    pending_deposits,
    pending_partial_withdrawals,
    pending_consolidations,
    proposer_lookahead
);
