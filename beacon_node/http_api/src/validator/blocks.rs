//! Blocks to sign, and signed blocks.

use super::production_failure;
use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::{BlockBody, Path};
use crate::respond::{Answer, done, json, prefers_ssz, ssz, with_header, with_status, with_version};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use beacon_api::{
    BLINDED_HEADER, BLOCK_VALUE_HEADER, BroadcastValidation, PAYLOAD_VALUE_HEADER, Published, Query, RandaoProof,
    SignedBlockContents, SignedProducedBlock,
};
use block_production::{BlockRequest, Parent};
use group_duties::{ProduceError, PublishBlockError};
use std::sync::Arc;
use types::{Hash32, Preset, SignatureBytes, SignedBlindedBeaconBlock, Slot};

type Context<P> = State<Arc<Reader<P>>>;

pub(super) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v3/validator/blocks/{slot}", get(produce::<P>))
        .route("/eth/v2/beacon/blocks", post(publish::<P>))
        .route("/eth/v2/beacon/blinded_blocks", post(publish_blinded::<P>))
}

async fn produce<P: Preset>(
    State(reader): Context<P>,
    Path(slot): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let slot: Slot = slot
        .parse()
        .map_err(|_| ApiFailure::bad_request(format!("slot {slot:?}, expected a number")))?;
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let randao_reveal: SignatureBytes = query.required("randao_reveal")?;
    let randao_proof: Option<RandaoProof> = query.optional("randao_proof")?;
    let graffiti: Hash32 = query.optional("graffiti")?.unwrap_or_default();
    let skip_verification = query.contains("skip_randao_verification");
    if (skip_verification || randao_proof.is_some()) && randao_reveal != bls::INFINITY_SIGNATURE {
        return Err(ApiFailure::bad_request(
            "skip_randao_verification and randao_proof need the point at infinity as randao_reveal",
        ));
    }
    if skip_verification && randao_proof.is_some() {
        return Err(ApiFailure::bad_request(
            "skip_randao_verification or randao_proof, expected one of them",
        ));
    }
    reader.check_verified()?;
    let request = BlockRequest {
        slot,
        proposer: None,
        randao_reveal,
        randao_proof: randao_proof.map(|proof| proof.0).into_iter().collect(),
        verify_randao: !skip_verification,
        graffiti,
        parent: Parent::ProposerHead,
    };
    let answer = reader.proposals.produce(request).await.map_err(|error| match error {
        ProduceError::Production(error) => production_failure(error),
        error @ ProduceError::NotAMember { .. } => ApiFailure::bad_request(error),
        error @ ProduceError::NoProposal { .. } => ApiFailure::unavailable(error),
    })?;
    let response = if prefers_ssz(&headers) {
        ssz(answer.data.as_ssz_bytes())
    } else {
        json(&answer)?
    };
    let response = with_version(response, answer.version);
    let response = with_header(response, BLINDED_HEADER, &answer.execution_payload_blinded.to_string());
    let response = with_header(
        response,
        PAYLOAD_VALUE_HEADER,
        &answer.execution_payload_value.to_string(),
    );
    Ok(with_header(
        response,
        BLOCK_VALUE_HEADER,
        &answer.consensus_block_value.to_string(),
    ))
}

async fn publish<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery, body: BlockBody) -> Answer {
    let contents: SignedBlockContents<P> = body.versioned().await?;
    let block = SignedProducedBlock::Full(Box::new(contents));
    hand_in(&reader, query, block).await
}

async fn publish_blinded<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery, body: BlockBody) -> Answer {
    let block: SignedBlindedBeaconBlock<P> = body.versioned().await?;
    hand_in(&reader, query, SignedProducedBlock::Blinded(Box::new(block))).await
}

async fn hand_in<P: Preset>(reader: &Reader<P>, query: Option<String>, block: SignedProducedBlock<P>) -> Answer {
    let query = query.unwrap_or_default();
    let validation: BroadcastValidation = Query::parse(&query)
        .optional("broadcast_validation")?
        .unwrap_or_default();
    let proposals = Arc::clone(&reader.proposals);
    // Goes on if the client hangs up: a block without the rest of its columns is of no use to anybody.
    let published = tokio::spawn(async move { proposals.publish(block, validation).await }).await;
    match published.map_err(ApiFailure::internal)? {
        Ok(Published::Imported) => done(),
        Ok(Published::BroadcastOnly) => Ok(with_status(StatusCode::ACCEPTED, done()?)),
        Err(PublishBlockError::Internal(error)) => Err(error.into()),
        Err(error) => Err(ApiFailure::bad_request(error)),
    }
}
