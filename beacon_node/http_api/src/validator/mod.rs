//! What a validator client asks for and sends.

mod attestation;
mod blocks;
mod duties;
mod preparation;
mod sync;

use crate::error::Failures;
use crate::locate::Reader;
use crate::respond::Answer;
use crate::{ApiContext, ApiFailure};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use block_production::ProductionError;
use std::sync::Arc;
use types::Preset;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .merge(duties::routes())
        .merge(attestation::routes())
        .merge(sync::routes())
        .merge(preparation::routes())
        .merge(blocks::routes())
        .route("/eth/v1/validator/beacon_committee_selections", post(selections))
        .route("/eth/v1/validator/sync_committee_selections", post(selections))
}

/// These are for software between nodes and clients that holds shares of one key. Members of a group have keys of their
/// own, and nothing to combine.
async fn selections() -> Answer {
    Err(ApiFailure::new(
        StatusCode::NOT_IMPLEMENTED,
        "this node is no middleware of a cluster: each key makes its own selection proofs",
    ))
}

impl<P: Preset> ApiContext<P> {
    /// Duties need a head that is up to date.
    pub(crate) fn check_synced(&self) -> Result<(), ApiFailure> {
        if self.is_syncing() {
            return Err(ApiFailure::unavailable(format!(
                "this node is syncing: its head is {} slots behind",
                self.sync_distance()
            )));
        }
        Ok(())
    }

    /// What is signed needs a head that the execution client has verified.
    pub(crate) fn check_verified(&self) -> Result<(), ApiFailure> {
        self.check_synced()?;
        if self.chain.head().execution_optimistic {
            return Err(ApiFailure::unavailable(
                "the execution client has not verified this node's head",
            ));
        }
        Ok(())
    }
}

pub(crate) fn production_failure(error: ProductionError) -> ApiFailure {
    match error {
        ProductionError::Slot { .. }
        | ProductionError::Proposer { .. }
        | ProductionError::Randao(_)
        | ProductionError::RandaoProofs(_)
        | ProductionError::UnknownCommittee { .. } => ApiFailure::bad_request(error),
        ProductionError::Optimistic(_) | ProductionError::NoExecutionClient | ProductionError::Engine(_) => {
            ApiFailure::unavailable(error)
        }
        error => ApiFailure::internal(error),
    }
}

/// What became of the items of a list: an error names those that were refused.
pub(crate) fn outcome_of_items<E: std::fmt::Display>(
    results: impl IntoIterator<Item = Result<(), E>>,
) -> Result<(), ApiFailure> {
    let mut failures = Failures::default();
    for (index, result) in (0u64..).zip(results) {
        if let Err(error) = result {
            failures.note(index, error);
        }
    }
    let Some(first) = failures.first() else { return Ok(()) };
    tracing::debug!(count = failures.count(), first = first.message, "Messages refused");
    Err(ApiFailure::of_items(
        "some items were refused, the others were taken",
        failures,
    ))
}
