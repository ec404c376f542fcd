//! Spec: fulu/beacon-chain.md#execution-payload
//!
//! The execution client's verdict on the payload is no part of this: whoever imports the block asks for it.

use crate::error::StateError;
use crate::helpers::accessors::{get_current_epoch, get_randao_mix};
use crate::helpers::misc::compute_timestamp_at_slot;
use types::{BeaconState, ChainSpec, ExecutionPayload, ExecutionPayloadHeader, Hash32, Preset};

/// A payload does not fit the state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PayloadError {
    /// Another parent than the latest payload.
    #[error("parent hash is {found}, expected {expected}")]
    ParentHash {
        /// Hash of the latest payload.
        expected: Hash32,
        /// The payload's parent hash.
        found: Hash32,
    },
    /// Another randomness than the state's.
    #[error("prev_randao is {found}, expected {expected}")]
    PrevRandao {
        /// The state's mix.
        expected: Hash32,
        /// The payload's value.
        found: Hash32,
    },
    /// Another time than the slot's.
    #[error("timestamp is {found}, expected {expected}")]
    Timestamp {
        /// Time of the slot in seconds.
        expected: u64,
        /// The payload's timestamp.
        found: u64,
    },
    /// Too many blobs.
    #[error("block has {found} blobs, at most {limit} are allowed")]
    TooManyBlobs {
        /// Most blobs in this epoch.
        limit: u64,
        /// The block's commitments.
        found: u64,
    },
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Spec: fulu/beacon-chain.md#modified-process_execution_payload
pub fn process_execution_payload<P: Preset>(
    state: &mut BeaconState<P>,
    payload: &ExecutionPayload<P>,
    blob_count: usize,
    spec: &ChainSpec,
) -> Result<(), PayloadError> {
    let expected = state.latest_execution_payload_header().block_hash;
    if payload.parent_hash != expected {
        return Err(PayloadError::ParentHash {
            expected,
            found: payload.parent_hash,
        });
    }
    let expected = get_randao_mix(state, get_current_epoch(state))?;
    if payload.prev_randao != expected {
        return Err(PayloadError::PrevRandao {
            expected,
            found: payload.prev_randao,
        });
    }
    let expected = compute_timestamp_at_slot(state, state.slot(), spec)?;
    if payload.timestamp != expected {
        return Err(PayloadError::Timestamp {
            expected,
            found: payload.timestamp,
        });
    }
    let limit = spec.get_blob_parameters(get_current_epoch(state)).max_blobs_per_block;
    if blob_count as u64 > limit {
        return Err(PayloadError::TooManyBlobs {
            limit,
            found: blob_count as u64,
        });
    }
    *state.latest_execution_payload_header_mut() = ExecutionPayloadHeader::from(payload);
    Ok(())
}
