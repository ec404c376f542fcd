//! `/eth/v1/debug` and `/eth/v2/debug`: whole states, the fork choice, the heads.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::Path;
use crate::respond::{Answer, Understands, json, json_data, ssz, with_version};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use beacon_api::{ForkChoice, ForkChoiceNode, HeadEntry, PayloadValidity, Versioned};
use beacon_chain::ExecutionStatus;
use ssz::Encode as _;
use std::collections::HashSet;
use std::sync::Arc;
use types::{ForkVersioned as _, Preset, Root};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v2/debug/beacon/states/{state_id}", get(state::<P>))
        .route("/eth/v1/debug/fork_choice", get(fork_choice::<P>))
        .route("/eth/v2/debug/beacon/heads", get(heads::<P>))
}

async fn state<P: Preset>(State(reader): Context<P>, Path(state_id): Path<String>, understands: Understands) -> Answer {
    let found = reader.state(&state_id).await?;
    reader
        .replaying(move |_| {
            let fork = found.state.fork_name();
            if understands.wants_ssz(fork) {
                return Ok(with_version(ssz(found.state.as_ssz_bytes()), fork));
            }
            understands.json(Versioned::located(
                fork,
                found.execution_optimistic,
                found.finalized,
                &*found.state,
            ))
        })
        .await
}

async fn fork_choice<P: Preset>(State(reader): Context<P>) -> Answer {
    reader
        .on_worker(|chain| {
            let store = chain.fork_choice();
            let spec = chain.spec();
            let weights = store.weights::<P>(spec).map_err(ApiFailure::internal)?;
            let nodes = store
                .blocks()
                .iter()
                .zip(weights)
                .map(|(node, weight)| ForkChoiceNode {
                    slot: node.slot,
                    block_root: node.root,
                    parent_root: node.parent_root,
                    justified_epoch: node.justified_checkpoint.epoch,
                    finalized_epoch: node.finalized_checkpoint.epoch,
                    weight,
                    validity: match node.execution_status {
                        ExecutionStatus::Optimistic => PayloadValidity::Optimistic,
                        ExecutionStatus::Invalid => PayloadValidity::Invalid,
                        ExecutionStatus::Valid => PayloadValidity::Valid,
                    },
                    execution_block_hash: node.execution_block_hash,
                    extra_data: serde_json::json!({
                        "proposer_index": node.proposer_index,
                        "state_root": node.state_root,
                        "justified_root": node.justified_checkpoint.root,
                        "unrealized_justified_epoch": node.unrealized_justified_checkpoint.epoch,
                        "unrealized_finalized_epoch": node.unrealized_finalized_checkpoint.epoch,
                        "is_timely": node.is_timely,
                    }),
                })
                .collect();
            json(&ForkChoice {
                justified_checkpoint: store.justified_checkpoint(),
                finalized_checkpoint: store.finalized_checkpoint(),
                fork_choice_nodes: nodes,
                extra_data: serde_json::json!({
                    "unrealized_justified_checkpoint": store.unrealized_justified_checkpoint(),
                    "unrealized_finalized_checkpoint": store.unrealized_finalized_checkpoint(),
                    "proposer_boost_root": store.proposer_boost_root(),
                }),
            })
        })
        .await
}

async fn heads<P: Preset>(State(reader): Context<P>) -> Answer {
    let heads: Vec<HeadEntry> = {
        let store = reader.chain.fork_choice();
        let parents: HashSet<Root> = store.blocks().iter().map(|node| node.parent_root).collect();
        store
            .blocks()
            .iter()
            .filter(|node| !parents.contains(&node.root))
            .map(|node| HeadEntry {
                root: node.root,
                slot: node.slot,
                execution_optimistic: store.is_optimistic(&node.root).unwrap_or(false),
            })
            .collect()
    };
    json_data(heads)
}
